//! A definition, a lexicon or the sources change: what waits, and how the counts come to be those of now.

use std::collections::BTreeMap;

use earshot_common::definitions::Window;
use earshot_common::events::{Rebuild, RebuildRequest, Rebuilt, RebuiltBucket, ToneSums};
use expect_test::expect;

use super::*;

pub(super) const NAMES: &str = "name = \"Harbor\"";

/// A version of a definition in a file, as the log has it from here on.
fn define(timeline: &mut Timeline, time: &str, text: &str, id: &str, offset: u64) {
    let mut version = version_of(text, id);
    version.version = Some(offset);
    timeline.append(at(time), SignalRecord::Definition(version));
}

pub(super) fn alias_is_added(timeline: &mut Timeline, time: &str) {
    let text = HARBOR.replace(NAMES, "name = \"Harbor\"\naliases = [\"Port Bank\"]");
    define(timeline, time, &text, "subject/harbor", 20);
}

pub(super) fn request(timeline: &Timeline) -> RebuildRequest {
    let mut requests = timeline.state.rebuilds();
    let request = requests.next().expect("a rebuild is outstanding");
    assert_eq!(requests.next(), None);
    request
}

/// An answer without any sums.
pub(super) fn answer(request: &RebuildRequest, window: Window) -> Rebuilt {
    Rebuilt {
        v: SchemaVersion::default(),
        name: request.name(),
        subject: request.subject.clone(),
        asked: request.asked,
        until: request.until,
        from: None,
        rule: None,
        window,
        buckets: Vec::new(),
        values: Vec::new(),
        authors: Vec::new(),
        imports: BTreeMap::new(),
        mentions: 0,
        last: false,
    }
}

fn bucket(start: Timestamp, live: u32) -> RebuiltBucket {
    RebuiltBucket { start, live, past: 0, tone: None }
}

/// So many mentions in each hour from a day on until the request.
pub(super) fn hours(request: &RebuildRequest, from: &str, an_hour: u32) -> Rebuilt {
    let mut buckets = Vec::new();
    let mut start = at(from);
    while start < request.until {
        buckets.push(bucket(start, an_hour));
        start = start.plus_millis(HOUR_MS);
    }
    Rebuilt { buckets, ..answer(request, Window::Hour) }
}

pub(super) fn take(timeline: &mut Timeline, time: &str, rebuilt: Rebuilt) {
    timeline.append(at(time), SignalRecord::Rebuilt(Box::new(rebuilt)));
}

fn warming(timeline: &Timeline) -> Vec<&str> {
    timeline.state.warming().collect()
}

#[test]
fn an_alias_is_added_and_its_mentions_are_no_burst_and_the_next_burst_is_one() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    alias_is_added(&mut timeline, "2026-01-08T00:10");
    assert_eq!(warming(&timeline), ["harbor"]);
    let asked = request(&timeline);
    assert_eq!((asked.version, asked.until), (20, at("2026-01-08T00:10")));
    assert_eq!((asked.asked, asked.name()), (timeline.log.len() as u64 - 1, "rebuild:harbor@20".to_owned()));

    // Twenty an hour go by the alias.
    timeline.push("2026-01-08T00:20", 25, 25);
    assert_eq!(timeline.said(), "", "what the alias adds is no burst");
    take(&mut timeline, "2026-01-08T00:30", answer(&asked, Window::Day));
    assert_eq!(warming(&timeline), ["harbor"], "a part is not the whole");
    take(&mut timeline, "2026-01-08T00:30", Rebuilt { last: true, ..hours(&asked, "2026-01-05T00:00", 24) });
    assert_eq!(warming(&timeline), [""; 0]);
    let taken: Vec<_> = timeline.state.rebuilt().collect();
    assert_eq!((taken[0].asked, taken[0].until), (asked.asked, asked.until));

    timeline.push("2026-01-08T00:40", 3, 3);
    timeline.progress("2026-01-08T01:00");
    timeline.push("2026-01-08T01:05", 24, 24);
    assert_eq!(timeline.said(), "", "it is what is expected now");
    // 24 before the change, and 25 and 3 since.
    assert_eq!(timeline.state.counted("harbor"), 3 * 24 * 24 + 24 + 28 + 24);
    timeline.push("2026-01-08T01:20", 150, 150);
    let said = timeline.said();
    assert!(said.starts_with("opened volume/harbor #1: 2026-01-08T00:00:00Z/PT2H with "), "{said}");
    let Arithmetic::Count(count) = &timeline.events[0].arithmetic else { panic!("a count") };
    assert_eq!(count.baseline, [48; 3], "{said}");
}

#[test]
fn while_it_is_warming_single_mentions_raise_alerts_and_what_is_open_stays_as_it_is() {
    let text = format!(
        "{HARBOR}\n[[rule]]\nid = \"strong\"\nwhen = \"each mention\"\nsubjects = [\"harbor\"]\nroute = \"comms\"\n\
         sentiment_at_most = -0.5\nreach_at_least = 1000\n"
    );
    let mut timeline = Timeline::new(&text);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 25, 25);
    assert!(timeline.said().starts_with("opened volume/harbor"));
    let changed = text.replace(NAMES, "name = \"Harbor\"\nexclusions = [\"harbor master\"]");
    define(&mut timeline, "2026-01-08T00:40", &changed, "subject/harbor", 20);
    timeline.push("2026-01-08T00:45", 200, 200);
    timeline.progress("2026-01-08T05:00");
    assert_eq!(timeline.said(), "", "it neither rises nor ends");
    timeline.post("2026-01-08T05:10", &Post::new("voice").about("harbor", -0.9).reach(5_000));
    let said = timeline.said();
    assert!(said.starts_with("opened strong/harbor"), "{said}");

    let asked = request(&timeline);
    take(&mut timeline, "2026-01-08T05:20", Rebuilt { last: true, ..hours(&asked, "2026-01-05T00:00", 4) });
    timeline.progress("2026-01-08T05:20");
    let said = timeline.said();
    assert!(said.lines().last().unwrap().starts_with("resolved volume/harbor"), "{said}");
}

#[test]
fn a_copy_of_the_same_definition_or_another_owner_changes_nothing() {
    let mut timeline = Timeline::new(HARBOR);
    let mut copy = version_of(HARBOR, "subject/harbor");
    (copy.owner, copy.version) = ("console".to_owned(), Some(30));
    timeline.append(at("2026-01-05T00:00"), SignalRecord::Definition(copy));
    assert_eq!(timeline.state.rebuilds().count(), 0);
}

#[test]
fn a_search_that_asks_for_something_else_is_counted_anew_and_one_that_is_renamed_is_not() {
    let search = |query: &str, name: &str| {
        format!("[[search]]\nid = \"app\"\nquery = \"{query}\"\nname = \"{name}\"\n")
    };
    let mut timeline = Timeline::new(&search("app down", "App"));
    define(&mut timeline, "2026-01-05T00:00", &search("app down", "The app"), "search/app", 7);
    assert_eq!(warming(&timeline), [""; 0]);
    define(&mut timeline, "2026-01-05T00:00", &search("app broken", "The app"), "search/app", 8);
    assert_eq!(warming(&timeline), ["search:app"]);
    assert_eq!(request(&timeline).version, 8);
}

#[test]
fn a_companys_other_name_concerns_its_executives_too() {
    let vale = "[[subject]]\nid = \"vale\"\nkind = \"executive\"\nname = \"Vale\"\ncompany = \"harbor\"\n\
                [[subject]]\nid = \"other\"\nkind = \"brand\"\nname = \"Other\"\n";
    let mut timeline = Timeline::new(&format!("{HARBOR}{vale}"));
    alias_is_added(&mut timeline, "2026-01-05T00:00");
    assert_eq!(warming(&timeline), ["harbor", "vale"]);
}

#[test]
fn another_zone_begins_its_hours_elsewhere_and_keeps_what_was_heard() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    let kolkata = HARBOR.replace(NAMES, "name = \"Harbor\"\nzone = \"Asia/Kolkata\"");
    define(&mut timeline, "2026-01-08T00:10", &kolkata, "subject/harbor", 20);
    let asked = request(&timeline);
    timeline.progress("2026-01-08T00:30");
    // Hours of India begin at half past.
    let rebuilt = hours(&asked, "2026-01-05T00:30", 4);
    take(&mut timeline, "2026-01-08T00:31", Rebuilt { last: true, ..rebuilt });
    timeline.push("2026-01-08T00:35", 25, 25);
    let Arithmetic::Count(count) = &timeline.events[0].arithmetic else { panic!("a count") };
    assert_eq!((count.window.as_str(), &count.baseline), ("2026-01-08T00:30:00Z/PT1H", &vec![4; 3]));
}

#[test]
fn only_the_answer_to_the_newest_question_is_taken_and_only_once() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    alias_is_added(&mut timeline, "2026-01-08T00:10");
    let first = request(&timeline);
    timeline.append(
        at("2026-01-08T00:20"),
        SignalRecord::Rebuild(Rebuild { v: SchemaVersion::default(), subject: "harbor".to_owned() }),
    );
    let second = request(&timeline);
    assert!(second.asked > first.asked);
    take(&mut timeline, "2026-01-08T00:30", Rebuilt { last: true, ..hours(&first, "2026-01-05T00:00", 90) });
    assert_eq!(warming(&timeline), ["harbor"]);
    for an_hour in [10, 90] {
        let rebuilt = hours(&second, "2026-01-05T00:00", an_hour);
        take(&mut timeline, "2026-01-08T00:30", Rebuilt { last: true, ..rebuilt });
    }
    assert_eq!(timeline.state.counted("harbor"), 10 * (3 * 24 + 1));
}

#[test]
fn what_somebody_asks_for_warms_nothing() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    let subject = "harbor".to_owned();
    timeline.append(
        at("2026-01-08T00:00"),
        SignalRecord::Rebuild(Rebuild { v: SchemaVersion::default(), subject }),
    );
    assert_eq!((request(&timeline).asked, warming(&timeline).len()), (timeline.log.len() as u64 - 1, 0));
    timeline.push("2026-01-08T00:10", 25, 25);
    assert!(timeline.said().starts_with("opened volume/harbor"));
}

#[test]
fn with_too_few_retained_mentions_it_is_little_data() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    alias_is_added(&mut timeline, "2026-01-08T00:00");
    let asked = request(&timeline);
    let from = Some(at("2026-01-07T12:00"));
    let rebuilt = Rebuilt { last: true, from, ..hours(&asked, "2026-01-07T12:00", 4) };
    take(&mut timeline, "2026-01-08T00:01", rebuilt);
    timeline.push("2026-01-08T00:10", 25, 25);
    expect![[r#"
        opened volume/harbor #1: 2026-01-08T00:00:00Z/PT1H with 20 by 20 authors, little data, told /1/mail/comms@harbor.example
    "#]]
    .assert_eq(&timeline.said());
}

/// A rule on tone, one on negatives and one on mentions, in one watchlist.
const JUDGED: &str = r#"
    [[subject]]
    id = "harbor"
    kind = "brand"
    name = "Harbor"
    [[rule]]
    id = "tone"
    when = "share of negatives against expectation"
    subjects = ["harbor"]
    [[rule]]
    id = "volume"
    when = "count of mentions against expectation"
    subjects = ["harbor"]
    authors_at_least = 10
"#;

fn judged_with(timeline: &mut Timeline, time: &str, version: &str) {
    let partitions = vec![PartitionProgress { partition: 0, next: timeline.raw_next, done_up_to: at(time) }];
    let judged_with = Some(version.to_owned());
    let progress = Progress { v: SchemaVersion::default(), judged_with, partitions };
    timeline.append(at(time), SignalRecord::Progress(progress));
}

#[test]
fn a_lexicon_is_upgraded_and_only_what_depends_on_judgements_waits() {
    let mut timeline = Timeline::new(JUDGED);
    judged_with(&mut timeline, "2026-01-05T00:00", "one");
    timeline.ordinary_days("2026-01-05T00:00", 3, 10);
    assert_eq!(timeline.state.rebuilds().count(), 0, "the first is that of all counts");
    judged_with(&mut timeline, "2026-01-08T00:00", "two");
    assert_eq!(warming(&timeline), ["harbor"]);
    let asked = request(&timeline);
    // The instance that is not upgraded yet says what it judges with, too.
    judged_with(&mut timeline, "2026-01-08T00:00", "one");
    judged_with(&mut timeline, "2026-01-08T00:00", "two");
    assert_eq!(request(&timeline), asked);

    // By the new lexicon half of what is said is negative, which is nothing new.
    for number in 0..40 {
        let tone = if number % 2 == 0 { -0.8 } else { 0.2 };
        let mut post = Post::new(&format!("judged-{number}")).about("harbor", tone);
        post.author = Some(format!("judge-{number}"));
        timeline.post_at(at("2026-01-08T00:10").plus_millis(number * 1_000), &post);
    }
    let said = timeline.said();
    assert!(said.starts_with("opened volume/harbor"), "counts of mentions do not wait: {said}");
    judged_with(&mut timeline, "2026-01-08T01:00", "two");
    assert!(!timeline.said().contains("tone/"), "a tone waits");
    let mut buckets = hours(&asked, "2026-01-05T00:00", 10).buckets;
    for bucket in &mut buckets {
        bucket.tone = Some(ToneSums { sum: -3_000, squares: 3_400_000, ..ToneSums::of_counts(5, 10) });
    }
    let rule = Some("tone".to_owned());
    take(
        &mut timeline,
        "2026-01-08T01:01",
        Rebuilt { last: true, rule, buckets, ..answer(&asked, Window::Hour) },
    );
    judged_with(&mut timeline, "2026-01-08T01:02", "two");
    assert!(!timeline.said().contains("tone/"), "it is as it was");
    assert_eq!(warming(&timeline), [""; 0]);
}

/// Mentions of a source in each hour of some days, beside those of the quiet ones.
pub(super) fn days_with(timeline: &mut Timeline, from: &str, days: i64, sources: &[(&'static str, u32)]) {
    for hour in 0..days * 24 {
        let begin = at(from).plus_millis(hour * HOUR_MS);
        for (source, an_hour) in sources {
            for number in 0..*an_hour {
                timeline.named += 1;
                let mut post = Post::new(&format!("post-{}", timeline.named));
                post.source = source;
                post.author = Some(format!("{source}-{number}"));
                timeline.post_at(begin.plus_millis(i64::from(number) * 1_000), &post);
            }
        }
        timeline.progress_at(begin.plus_millis(HOUR_MS));
    }
}

#[test]
fn at_a_fresh_start_no_source_is_young() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.progress("2026-01-05T00:00");
    days_with(&mut timeline, "2026-01-05T00:00", 3, &[("hn", 2), ("bluesky", 2)]);
    assert_eq!(timeline.state.counted("harbor"), 3 * 24 * 4);
}

#[test]
fn a_source_is_added_and_pages_nobody_and_counts_when_it_has_two_weeks_behind_it() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.progress("2026-01-05T00:00");
    days_with(&mut timeline, "2026-01-05T00:00", 14, &[("hn", 4)]);
    let old = timeline.state.counted("harbor");
    days_with(&mut timeline, "2026-01-19T00:00", 14, &[("hn", 4), ("bluesky", 40)]);
    assert_eq!(timeline.said(), "", "a new source is no burst");
    assert_eq!(timeline.state.counted("harbor"), 2 * old, "what it brings does not count yet");
    assert_eq!(warming(&timeline), [""; 0], "and warms nothing");

    let asked = request(&timeline);
    assert_eq!(asked.entering, BTreeMap::from([("bluesky".to_owned(), at("2026-01-19T00:00"))]));
    assert_eq!(asked.without, [""; 0]);
    // It is most of what is heard: the days before it are no measure for what comes.
    let from = Some(at("2026-01-19T00:00"));
    let rebuilt = Rebuilt { last: true, from, ..hours(&asked, "2026-01-19T00:00", 44) };
    take(&mut timeline, "2026-02-02T00:00:01Z", rebuilt);
    days_with(&mut timeline, "2026-02-02T00:00", 2, &[("hn", 4), ("bluesky", 40)]);
    assert_eq!(timeline.said(), "");
    assert_eq!(timeline.state.counted("harbor"), (14 + 2) * 24 * 44);
    timeline.push("2026-02-04T00:10", 200, 200);
    assert!(timeline.said().starts_with("opened volume/harbor"), "a burst is one");
}

#[test]
fn a_young_source_raises_alerts_of_single_mentions_and_one_that_was_defined_long_ago_is_not_young() {
    let feed = "[[source]]\nid = \"paper\"\nkind = \"feed\"\nurl = \"https://paper.example/feed\"\n";
    let strong = "[[rule]]\nid = \"strong\"\nwhen = \"each mention\"\nsubjects = [\"harbor\"]\nreach_at_least = 1000\n";
    let mut timeline = Timeline::new(&format!("{HARBOR}{feed}{strong}"));
    timeline.ordinary_days("2026-01-05T00:00", 20, 4);
    let counted = timeline.state.counted("harbor");
    let mut post = Post::new("voice").about("harbor", -0.9).reach(5_000);
    post.source = "bluesky";
    timeline.post("2026-01-25T00:01", &post);
    assert!(timeline.said().starts_with("opened strong/harbor"));
    assert_eq!(timeline.state.counted("harbor"), counted);
    post.source = "paper";
    post.name = "article".to_owned();
    timeline.post("2026-01-25T00:02", &post);
    assert_eq!(timeline.state.counted("harbor"), counted + 1, "a paper that seldom names the subject counts");
}

#[test]
fn a_warm_state_is_written_and_read_again_as_it_is() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    alias_is_added(&mut timeline, "2026-01-08T00:10");
    timeline.push("2026-01-08T00:20", 25, 25);
    let bytes = rmp_serde::to_vec_named(&timeline.state).unwrap();
    timeline.state = rmp_serde::from_slice(&bytes).unwrap();
    let asked = request(&timeline);
    take(&mut timeline, "2026-01-08T00:30", Rebuilt { last: true, ..hours(&asked, "2026-01-05T00:00", 24) });
    assert_eq!(timeline.state.counted("harbor"), 3 * 24 * 24 + 24 + 25);
}

/// A rule that counts each story once, and so for itself.
const STORIES: &str = r#"
    [[subject]]
    id = "harbor"
    kind = "brand"
    name = "Harbor"
    [[rule]]
    id = "stories"
    preset = "volume spike"
    subjects = ["harbor"]
    authors_at_least = 5
"#;

#[test]
fn a_rule_that_asks_for_more_authors_keeps_what_it_counted() {
    let mut timeline = Timeline::new(STORIES);
    timeline.ordinary_days("2026-01-05T00:00", 3, 18);
    timeline.push("2026-01-08T00:05", 4, 4);
    let stricter = STORIES.replace("authors_at_least = 5", "authors_at_least = 8");
    define(&mut timeline, "2026-01-08T00:10", &stricter, "rule/stories", 30);
    assert_eq!(timeline.state.rebuilds().count(), 0, "nothing is to be counted anew");
    timeline.push("2026-01-08T00:20", 18, 18);
    assert_eq!(timeline.said(), "", "as many are usual");
    timeline.push("2026-01-08T00:30", 120, 120);
    let Arithmetic::Count(count) = &timeline.events[0].arithmetic else { panic!("a count") };
    let usual = if count.before.is_some() { 36 } else { 18 };
    assert_eq!((count.baseline.last(), count.little_data), (Some(&usual), false));
}

#[test]
fn a_rule_that_is_edited_while_its_alert_is_open_remembers_the_burst() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 60, 60);
    timeline.progress("2026-01-08T01:00");
    timeline.push("2026-01-08T01:00", 20, 20);
    timeline.said();
    let text = HARBOR.replace("authors_at_least = 10", "authors_at_least = 11");
    define(&mut timeline, "2026-01-08T01:30", &text, "rule/volume", 30);
    assert!(timeline.said().starts_with("resolved volume/harbor"));
    timeline.progress("2026-01-08T02:00");
    timeline.ordinary_days("2026-01-08T02:00", 1, 4);
    timeline.said();
    timeline.push("2026-01-09T00:00", 25, 25);
    let last = timeline.events.last().unwrap();
    let Arithmetic::Count(count) = &last.arithmetic else { panic!("a count") };
    assert_eq!((last.transition, count.before.is_none()), (Transition::Opened, true));
    assert_eq!(count.baseline[..3], [4, 4, 4], "midnight of the eighth was none of an ordinary day");
    assert_eq!(count.baseline.len(), 3);
}

#[test]
fn a_new_rule_that_counts_for_itself_waits_for_what_was_heard_before() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 18);
    define(&mut timeline, "2026-01-08T00:10", STORIES, "rule/stories", 30);
    assert_eq!(warming(&timeline), ["harbor"]);
    let asked = request(&timeline);
    assert_eq!(asked.version, 30, "it is to be counted by the rule");
    timeline.push("2026-01-08T00:20", 20, 9);
    assert_eq!(timeline.said(), "", "it waits");

    take(&mut timeline, "2026-01-08T00:30", hours(&asked, "2026-01-05T00:00", 18));
    let rule = Some("stories".to_owned());
    let rebuilt = Rebuilt { last: true, rule, ..hours(&asked, "2026-01-05T00:00", 17) };
    take(&mut timeline, "2026-01-08T00:30", rebuilt);
    assert_eq!(warming(&timeline), [""; 0]);
    timeline.progress("2026-01-08T02:00");
    timeline.push("2026-01-08T02:10", 21, 9);
    assert_eq!(timeline.said(), "", "as many are usual");
    timeline.push("2026-01-08T02:20", 120, 9);
    let Arithmetic::Count(count) = &timeline.events[0].arithmetic else { panic!("a count") };
    assert_eq!(timeline.events[0].rule, "stories");
    let usual = if count.before.is_some() { 34 } else { 17 };
    assert_eq!((&count.baseline, count.little_data), (&vec![usual; 3], false));
}

#[test]
fn a_rule_on_tone_that_is_new_knows_the_tone_of_before() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 10);
    define(&mut timeline, "2026-01-08T00:00", JUDGED, "rule/tone", 30);
    let asked = request(&timeline);
    let mut buckets = hours(&asked, "2026-01-05T00:00", 10).buckets;
    for bucket in &mut buckets {
        bucket.tone = Some(ToneSums {
            mentions: 10,
            negatives: 1,
            sum: 1_000,
            squares: 1_000_000,
            ..ToneSums::default()
        });
    }
    let rule = Some("tone".to_owned());
    take(&mut timeline, "2026-01-08T00:01", hours(&asked, "2026-01-05T00:00", 10));
    let rebuilt = Rebuilt { last: true, rule, buckets, ..answer(&asked, Window::Hour) };
    take(&mut timeline, "2026-01-08T00:01", rebuilt);
    for number in 0..12 {
        let post = Post::new(&format!("bad-{number}")).about("harbor", -0.8);
        timeline.post_at(at("2026-01-08T00:10").plus_millis(number * 1_000), &post);
    }
    timeline.progress("2026-01-08T01:00");
    let Arithmetic::Tone(tone) = &timeline.events[0].arithmetic else { panic!("a tone") };
    assert_eq!((tone.baseline_windows, tone.baseline_mentions, tone.negatives), (72, 720, 12));
}

const WIDE: &str = r#"
    [[subject]]
    id = "harbor"
    kind = "brand"
    name = "Harbor"
    [[rule]]
    id = "wide"
    when = "reach against expectation"
    probability_below = 0.0006
    subjects = ["harbor"]
"#;

/// So many posts of so wide a reach, by as many authors.
fn reaching(timeline: &mut Timeline, time: &str, posts: i64, reach: u64) {
    for number in 0..posts {
        let post = Post::new(&format!("{time}-{number}")).reach(reach);
        timeline.post_at(at(time).plus_millis(number * 1_000), &post);
    }
}

/// Of 73 hours with 2,000 accounts each an hour is surprising from `2,001 · (14/73 / 0.0006) ^ (10/24) = 22,123` on.
#[test]
fn a_rule_on_reach_that_is_new_knows_the_reach_of_before_and_keeps_it_when_its_limits_change() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    define(&mut timeline, "2026-01-08T00:00", WIDE, "rule/wide", 30);
    reaching(&mut timeline, "2026-01-08T00:00", 4, 500);
    assert_eq!((timeline.said().as_str(), warming(&timeline)), ("", vec!["harbor"]));
    let asked = request(&timeline);
    let mut buckets = hours(&asked, "2026-01-05T00:00", 4).buckets;
    for bucket in &mut buckets {
        let sums = ToneSums { mentions: 4, known: 4, reach: 2_000, ..ToneSums::default() };
        bucket.tone = Some(sums);
    }
    take(&mut timeline, "2026-01-08T00:01", hours(&asked, "2026-01-05T00:00", 4));
    let rebuilt =
        Rebuilt { last: true, rule: Some("wide".to_owned()), buckets, ..answer(&asked, Window::Hour) };
    take(&mut timeline, "2026-01-08T00:01", rebuilt);
    let stricter = WIDE.replace("0.0006", "0.0006\nreach_at_least = 22300");
    timeline.progress("2026-01-08T01:00");
    reaching(&mut timeline, "2026-01-08T01:10", 1, 20_000);
    define(&mut timeline, "2026-01-08T01:20", &stricter, "rule/wide", 31);
    assert_eq!(timeline.state.rebuilds().count(), 0, "nothing is to be counted anew");
    reaching(&mut timeline, "2026-01-08T01:30", 1, 2_299);
    reaching(&mut timeline, "2026-01-08T01:40", 1, 0);
    assert_eq!(timeline.said(), "", "22,299 accounts");
    reaching(&mut timeline, "2026-01-08T01:50", 1, 1);
    let Arithmetic::Reach(reach) = &timeline.events[0].arithmetic else { panic!("a reach") };
    assert_eq!((reach.reach, reach.mentions, reach.baseline.windows), (22_300, 4, 73));
}

#[test]
fn windows_of_a_reach_whose_alert_is_ended_by_an_edit_are_a_burst() {
    let mut timeline = Timeline::new(WIDE);
    timeline.progress("2026-01-08T00:00");
    for hour in 0..24 {
        reaching(&mut timeline, &format!("2026-01-08T{hour:02}:10"), 4, 500);
    }
    timeline.progress("2026-01-09T00:00");
    reaching(&mut timeline, "2026-01-09T00:10", 4, 50_000);
    timeline.progress("2026-01-09T01:00");
    assert!(timeline.said().starts_with("opened wide/harbor"));
    let stricter = WIDE.replace("0.0006", "0.0006\nreach_at_least = 22300");
    define(&mut timeline, "2026-01-09T01:05", &stricter, "rule/wide", 31);
    assert!(timeline.said().starts_with("resolved wide/harbor"));
    reaching(&mut timeline, "2026-01-09T01:10", 4, 50_000);
    let last = timeline.events.last().unwrap();
    let Arithmetic::Reach(reach) = &last.arithmetic else { panic!("a reach") };
    assert_eq!((last.sequence, reach.baseline.windows), (1, 24), "the wide hour is none of them");
}

#[test]
fn a_subject_that_is_new_on_a_running_system_is_known_as_far_back_as_the_system_listened() {
    let vale = HARBOR.replace("harbor", "vale").replace("Harbor", "Vale").replace("volume", "vale-volume");
    let vale = vale.split("[[route]]").next().unwrap().to_owned()
        + &format!("[[rule]]{}", vale.split("[[rule]]").nth(1).unwrap());
    let text = format!("{HARBOR}{vale}");
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    define(&mut timeline, "2026-01-08T00:10", &text, "subject/vale", 30);
    define(&mut timeline, "2026-01-08T00:10", &text, "rule/vale-volume", 31);
    assert_eq!(warming(&timeline), ["vale"]);
    let asked = request(&timeline);
    let of_vale = |timeline: &mut Timeline, time: &str, mentions: i64| {
        for number in 0..mentions {
            let post = Post::new(&format!("{time}-{number}")).about("vale", 0.0);
            timeline.post_at(at(time).plus_millis(number * 1_000), &post);
        }
    };
    of_vale(&mut timeline, "2026-01-08T00:20", 25);
    assert_eq!(timeline.said(), "", "nobody knows yet what is usual");
    // Mentions of ten weeks are retained, and the system listened for three days.
    let rebuilt = Rebuilt { last: true, ..hours(&asked, "2025-11-01T00:00", 24) };
    take(&mut timeline, "2026-01-08T00:30", rebuilt);
    of_vale(&mut timeline, "2026-01-08T00:40", 5);
    assert_eq!(timeline.said(), "");
    timeline.progress("2026-01-08T01:00");
    of_vale(&mut timeline, "2026-01-08T01:20", 150);
    let Arithmetic::Count(count) = &timeline.events[0].arithmetic else { panic!("a count") };
    let usual = if count.before.is_some() { 48 } else { 24 };
    assert_eq!((timeline.events[0].subject.as_str(), &count.baseline), ("vale", &vec![usual; 3]));
}

#[test]
fn a_subject_of_which_nothing_is_retained_just_begins() {
    let vale = "[[subject]]\nid = \"vale\"\nkind = \"brand\"\nname = \"Vale\"\n\
                [[rule]]\nid = \"vale-volume\"\npreset = \"volume spike\"\nsubjects = [\"vale\"]\n";
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    define(&mut timeline, "2026-01-08T00:00", vale, "subject/vale", 30);
    define(&mut timeline, "2026-01-08T00:00", vale, "rule/vale-volume", 31);
    let asked = request(&timeline);
    let from = Some(asked.until);
    take(&mut timeline, "2026-01-08T00:01", Rebuilt { last: true, from, ..answer(&asked, Window::Hour) });
    timeline.progress("2026-01-08T01:00");
    for number in 0..20 {
        let post = Post::new(&format!("vale-{number}")).about("vale", 0.0);
        timeline.post_at(at("2026-01-08T01:10").plus_millis(number * 1_000), &post);
    }
    let Arithmetic::Count(count) = &timeline.events[0].arithmetic else { panic!("a count") };
    assert_eq!((count.little_data, count.observed), (true, 20));
}
