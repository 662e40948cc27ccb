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
