//! Rules about each mention.

use earshot_common::events::ReachUnit;
use expect_test::expect;

use super::past::due;
use super::*;
use crate::history::Past;

const STRONG: &str = r#"
    [[subject]]
    id = "harbor"
    kind = "brand"
    name = "Harbor"
    [[route]]
    id = "desk"
    log = true
    [[rule]]
    id = "strong"
    when = "each mention"
    subjects = ["harbor"]
    sentiment_at_most = -0.5
    reach_at_least = 1000
    quiet_after_hours = 6
    route = "desk"
"#;

fn strong(name: &str) -> Post {
    Post::new(name).about("harbor", -0.8).reach(5_000)
}

#[test]
fn one_strong_mention_opens_and_more_join_it() {
    let mut timeline = Timeline::new(STRONG);
    timeline.progress("2026-01-05T08:00");
    timeline.post("2026-01-05T09:00", &strong("a"));
    for name in ["b", "c", "d", "e"] {
        timeline.post("2026-01-05T09:30", &strong(name));
    }
    expect![[r#"
        opened strong/harbor #1: polarity -0.8 reach Some(5000) matched 1, told /1/log
        rising strong/harbor #2: polarity -0.8 reach Some(5000) matched 2
        rising strong/harbor #3: polarity -0.8 reach Some(5000) matched 4
        rising strong/harbor #4: polarity -0.8 reach Some(5000) matched 5, told /4/log
    "#]]
    .assert_eq(&timeline.said());
    timeline.progress("2026-01-05T15:29");
    assert_eq!(timeline.said(), "");
    timeline.progress("2026-01-05T15:30");
    assert!(timeline.said().starts_with("resolved strong/harbor #5"), "six hours after the last match");
}

#[test]
fn only_a_known_reach_satisfies() {
    let mut timeline = Timeline::new(STRONG);
    timeline.post("2026-01-05T09:00", &Post::new("unknown reach").about("harbor", -0.9));
    timeline.post("2026-01-05T09:00", &Post::new("small").about("harbor", -0.9).reach(999));
    timeline.post("2026-01-05T09:00", &Post::new("mild").about("harbor", -0.49).reach(5_000));
    let mut doubtful = strong("doubtful");
    doubtful.lane = Lane::Doubtful;
    timeline.post("2026-01-05T09:00", &doubtful);
    assert_eq!(timeline.said(), "");
}

#[test]
fn visits_of_a_month_are_no_accounts_that_could_have_seen_it() {
    let mut timeline = Timeline::new(STRONG);
    for (number, unit) in (0..).zip([ReachUnit::MonthlyVisits, ReachUnit::Followers]) {
        let mut signal = strong(&format!("{unit:?}")).signal(at("2026-01-05T09:00"), number);
        signal.reach_unit = Some(unit);
        timeline.append(at("2026-01-05T09:00"), SignalRecord::Signal(Box::new(signal)));
        assert_eq!(timeline.said().starts_with("opened"), unit == ReachUnit::Followers);
    }
}

#[test]
fn an_edit_is_judged_again_and_matches_once() {
    let mut timeline = Timeline::new(STRONG);
    let mut post = Post::new("edited").about("harbor", 0.1).reach(5_000);
    timeline.post("2026-01-05T09:00", &post);
    assert_eq!(timeline.said(), "");
    post.revision = 2;
    post.subjects = vec![("harbor", -0.9)];
    timeline.post("2026-01-05T09:05", &post);
    assert!(timeline.said().starts_with("opened"), "the edit made it strong");
    post.revision = 3;
    timeline.post("2026-01-05T09:10", &post);
    assert_eq!(timeline.said(), "", "it matched already");
    // An older copy that comes late says nothing either.
    post.revision = 1;
    timeline.post("2026-01-05T09:15", &post);
    assert_eq!(timeline.said(), "");
}

const TOGETHER: &str = r#"
    [[subject]]
    id = "harbor"
    kind = "brand"
    name = "Harbor"
    [[rule]]
    id = "legal"
    preset = "risk"
    category = "legal"
    subjects = ["harbor"]
    mentions_at_least = 3
    authors_at_least = 2
    quiet_after_hours = 6
"#;

fn legal(name: &str, author: &str) -> Post {
    let mut post = Post::new(name).about("harbor", 0.0);
    post.risks = vec![("harbor", "legal")];
    post.author = Some(author.to_owned());
    post
}

#[test]
fn the_mention_that_completes_what_the_rule_asks_for_opens_and_the_earlier_ones_are_its_evidence() {
    let mut timeline = Timeline::new(TOGETHER);
    timeline.progress("2026-01-05T08:00");
    timeline.post("2026-01-05T09:00", &legal("a", "ann"));
    timeline.post("2026-01-05T10:00", &legal("b", "ann"));
    timeline.post("2026-01-05T11:00", &legal("c", "ann"));
    timeline.post("2026-01-05T12:00", &Post::new("of no risk"));
    assert_eq!(timeline.said(), "", "three, and all by one author");
    timeline.post("2026-01-05T14:59", &legal("d", "bob"));
    expect![[r#"
        opened legal/harbor #1: polarity 0 reach None matched 4 by 2
    "#]]
    .assert_eq(&timeline.said());
    let evidence: std::collections::BTreeSet<_> = timeline.events[0].evidence.iter().copied().collect();
    assert_eq!(evidence, ["a", "b", "c", "d"].map(MentionKey::of).into());
    timeline.post("2026-01-05T15:30", &legal("e", "ann"));
    assert_eq!(timeline.said(), "", "it joins, by whomever it is");
    timeline.progress("2026-01-05T21:30");
    assert!(timeline.said().starts_with("resolved legal/harbor #2"));
    timeline.post("2026-01-05T21:40", &legal("f", "cid"));
    timeline.post("2026-01-05T21:41", &legal("g", "dan"));
    assert_eq!(timeline.said(), "", "what was in the alert counts for no other");
}

#[test]
fn what_is_as_old_as_an_alert_lasts_counts_no_longer() {
    let mut timeline = Timeline::new(TOGETHER);
    timeline.post("2026-01-05T09:00", &legal("a", "ann"));
    timeline.post("2026-01-05T10:00", &legal("b", "bob"));
    timeline.post("2026-01-05T15:00", &legal("c", "cid"));
    assert_eq!(timeline.said(), "", "the first is six hours old");
    timeline.post("2026-01-05T15:59", &legal("d", "cid"));
    assert!(timeline.said().starts_with("opened legal/harbor #1: polarity 0 reach None matched 3 by 2"));
}

#[test]
fn a_rule_that_comes_to_ask_for_something_else_begins_to_gather_anew() {
    let mut timeline = Timeline::new(TOGETHER);
    timeline.post("2026-01-05T09:00", &legal("a", "ann"));
    timeline.post("2026-01-05T09:01", &legal("b", "bob"));
    let mut other =
        version_of(&TOGETHER.replace("\"legal\"\n    subjects", "\"safety\"\n    subjects"), "rule/legal");
    other.version = Some(20);
    timeline.append(at("2026-01-05T09:02"), SignalRecord::Definition(other));
    let unsafe_too =
        |name: &str, author: &str| Post { risks: vec![("harbor", "safety")], ..legal(name, author) };
    timeline.post("2026-01-05T09:03", &unsafe_too("c", "cid"));
    timeline.post("2026-01-05T09:04", &unsafe_too("d", "dan"));
    assert_eq!(timeline.said(), "", "two of them are legal ones");
    timeline.post("2026-01-05T09:05", &unsafe_too("e", "eve"));
    assert_eq!(timeline.said(), "opened legal/harbor #1: polarity 0 reach None matched 3 by 3\n");
}

#[test]
fn one_author_who_never_stops_is_never_enough_and_takes_no_more_room() {
    let mut timeline = Timeline::new(TOGETHER);
    let mut post = |from: i64, to: i64| {
        for number in from..to {
            let time = at("2026-01-05T09:00").plus_millis(number * 1_000);
            timeline.post_at(time, &legal(&format!("{number:03}"), "ann"));
        }
        rmp_serde::to_vec_named(&timeline.state.subjects["harbor"].rules[0].gathering).unwrap().len()
    };
    let (some, more) = (post(0, 300), post(300, 600));
    assert_eq!(some, more);
    assert_eq!(timeline.said(), "");
    timeline.post("2026-01-05T09:11", &legal("other", "bob"));
    assert!(timeline.said().starts_with("opened legal/harbor #1"));
}

#[test]
fn so_many_mentions_of_the_past_open_a_historic_alert() {
    let mut timeline = Timeline::new(TOGETHER);
    let mut past = crate::history::Past::default();
    for (name, author, hour) in
        [("a", "ann", 1), ("b", "bob", 2), ("c", "cid", 9), ("d", "cid", 10), ("e", "ann", 11)]
    {
        let mut post = legal(name, author);
        post.origin = Origin::History;
        post.source = "import:tweets";
        let time = at("2025-12-01T00:00").plus_millis(hour * HOUR_MS);
        past.take(&post.signal(time, timeline.raw_next));
        timeline.post_at(time, &post);
    }
    let found = past.fold(timeline.state.watchlist(), &super::past::due(timeline.state.watchlist()));
    expect![[r#"
        opened legal/harbor #1: polarity 0 reach None matched 3 by 2
        resolved legal/harbor #2: polarity 0 reach None matched 3 by 2
    "#]]
    .assert_eq(&describe(&found.events));
    assert_eq!(super::verify::faults(&super::verify::verified(&found.events, &timeline.log)), []);
}

/// Two companies and a search under one rule about legal risks, and a rule of the time when a risk was a filter.
const LEGAL: &str = r#"
    [[subject]]
    id = "harbor"
    kind = "brand"
    name = "Harbor"
    [[subject]]
    id = "oakmere"
    kind = "competitor"
    name = "Oakmere"
    [[search]]
    id = "airlines"
    query = "airline"
    [[rule]]
    id = "legal"
    preset = "risk"
    category = "legal"
    subjects = ["harbor", "oakmere"]
    searches = ["airlines"]
    [[rule]]
    id = "written-before"
    when = "each mention"
    sentiment_at_most = 1.0
    reach_at_least = 0
    filter = "risk:legal"
    subjects = ["harbor"]
"#;

/// *Oakmere was sued today. I flew Harbor instead.*
fn sued_is_oakmere() -> Post {
    let mut post = Post::new("sued");
    post.subjects = vec![("harbor", 0.4), ("oakmere", -0.6)];
    post.risks = vec![("oakmere", "legal")];
    post
}

#[test]
fn a_risk_opens_an_alert_of_whom_it_is_said() {
    let mut timeline = Timeline::new(LEGAL);
    timeline.progress("2026-01-05T08:00");
    timeline.post("2026-01-05T09:00", &sued_is_oakmere());
    assert_eq!(timeline.said(), "opened legal/oakmere #1: polarity -0.6 reach None matched 1\n");
    let mut airlines = sued_is_oakmere().matched(&["airlines"], -0.1);
    (airlines.name, airlines.subjects) = ("airlines".to_owned(), Vec::new());
    timeline.post("2026-01-05T09:01", &airlines);
    assert_eq!(
        timeline.said(),
        "opened legal/search:airlines #1: polarity -0.1 reach None matched 1\n",
        "a search has the risks of the message"
    );
    timeline.post("2026-01-05T09:02", &Post::new("before").matched(&["rule:written-before"], 0.0));
    assert!(timeline.said().starts_with("opened written-before/harbor #1"));
    timeline.progress("2026-01-05T10:00");
    let fired = timeline.backtest_of("legal", "2026-01-05T08:00", "").fired;
    let of: Vec<&str> = fired.iter().map(|fired| fired.subject.as_str()).collect();
    assert_eq!(of, ["oakmere", "search:airlines"], "the back-test says what was decided live");
}

#[test]
fn a_risk_of_the_past_is_that_of_whom_it_is_said() {
    let mut watchlist = Watchlist::default();
    for (offset, version) in (0..).zip(versions(LEGAL)) {
        watchlist.take(offset, version);
    }
    let mut past = Past::default();
    past.take(&Post { origin: Origin::History, ..sued_is_oakmere() }.signal(at("2025-03-01T09:00"), 0));
    let found = past.fold(&watchlist, &due(&watchlist));
    assert_eq!(
        describe(&found.events).lines().next(),
        Some("opened legal/oakmere #1: polarity -0.6 reach None matched 1")
    );
    assert!(found.events.iter().all(|event| event.subject == "oakmere"));
}
