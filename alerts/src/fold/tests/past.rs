//! The fold over the past, and what live baselines take from it.

use std::collections::{BTreeMap, BTreeSet};

use earshot_common::definitions::Window;
use earshot_common::events::{
    Arithmetic, History, Rebuilt, RebuiltBucket, SourceHealth, SourceStatus, Transition,
};
use expect_test::expect;

use super::*;
use crate::fold::HistoryDue;
use crate::history::{Found, Past};

/// Distinct tweets a day that name six US airlines, 17 to 24 February 2015 (days of America/Los_Angeles), counted
/// in the Twitter US Airline Sentiment set (Crowdflower, CC BY-NC-SA 4.0). A crisis fell on the 22nd and 23rd.
const AIRLINES: [(&str, [u32; 8]); 6] = [
    ("us-airways", [312, 317, 279, 336, 368, 663, 513, 194]),
    ("united", [400, 407, 427, 529, 512, 711, 660, 218]),
    ("jetblue", [266, 269, 285, 254, 243, 414, 396, 115]),
    ("southwest", [384, 299, 322, 322, 371, 289, 283, 184]),
    ("virgin-america", [57, 61, 70, 70, 79, 53, 96, 30]),
    ("american", [14, 24, 22, 28, 21, 1036, 1170, 489]),
];

/// How a day's mentions spread over its hours, from midnight: quiet at night, most in the afternoon.
const HOURS: [u32; 24] = [2, 1, 1, 1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 5, 5, 4, 4, 3, 2];

pub(super) fn airlines() -> Watchlist {
    let mut text = String::from(
        "[[rule]]\nid = \"day\"\nwhen = \"count of mentions against expectation\"\nwindow = \"1d\"\nsubjects = [",
    );
    for (id, _) in AIRLINES {
        write!(text, "\"{id}\",").unwrap();
    }
    text.push_str("]\n");
    for (id, _) in AIRLINES {
        writeln!(
            text,
            "[[subject]]\nid = \"{id}\"\nkind = \"brand\"\nname = \"{id}\"\nzone = \"America/Los_Angeles\""
        )
        .unwrap();
    }
    let mut watchlist = Watchlist::default();
    for (offset, version) in versions(&text).into_iter().enumerate() {
        watchlist.take(offset as u64, version);
    }
    watchlist
}

/// Mentions of the figures, each day's by two thirds as many authors.
fn crisis() -> Past {
    let mut past = Past::default();
    for signal in crisis_signals() {
        past.take(&signal);
    }
    past
}

pub(super) fn crisis_signals() -> Vec<Signal> {
    let mut signals = Vec::new();
    let weight: u32 = HOURS.iter().sum();
    for (subject, days) in AIRLINES {
        for (day, count) in (0i64..).zip(days) {
            let midnight = days_later(at("2015-02-17T08:00"), day);
            for number in 0..count {
                let mut post = Post::new(&format!("{subject}-{day}-{number}")).about(subject, -0.4);
                post.author = Some(format!("{subject}-{}", number % (count * 2 / 3)));
                post.origin = Origin::History;
                post.source = "import:tweets";
                signals.push(post.signal(midnight.plus_millis(instant_of(number, count, weight)), 0));
            }
        }
    }
    signals
}

/// When in its day the n-th of so many mentions comes.
fn instant_of(number: u32, count: u32, weight: u32) -> i64 {
    let share = f64::from(number) * f64::from(weight) / f64::from(count);
    let mut before = 0.0;
    for (hour, hours_weight) in (0i64..).zip(HOURS) {
        let within = (share - before) / f64::from(hours_weight);
        if within < 1.0 {
            return hour * HOUR_MS + (within * HOUR_MS as f64) as i64;
        }
        before += f64::from(hours_weight);
    }
    unreachable!("the share is less than the whole")
}

pub(super) fn due(watchlist: &Watchlist) -> HistoryDue {
    let wanted =
        watchlist.rules().flat_map(|(_, rule)| rule.subjects.iter().map(|s| (rule.id.clone(), s.clone())));
    HistoryDue {
        offset: 77,
        appended: at("2026-01-01T00:00"),
        imports: BTreeSet::from(["import:tweets".to_owned()]),
        wanted: wanted.collect(),
    }
}

#[test]
fn the_airline_crisis_is_found_on_its_first_day_and_nobody_is_told() {
    let watchlist = airlines();
    let found = crisis().fold(&watchlist, &due(&watchlist));
    let mut opened: Vec<String> = Vec::new();
    for event in found.events.iter().filter(|event| event.transition == Transition::Opened) {
        let Arithmetic::Count(count) = &event.arithmetic else { panic!("a count") };
        opened.push(format!("{} {}", event.subject, count.window));
    }
    opened.sort();
    expect![[r#"
        [
            "american 2015-02-22T08:00:00Z/P1D",
            "jetblue 2015-02-22T08:00:00Z/P1D",
            "united 2015-02-22T08:00:00Z/P1D",
            "us-airways 2015-02-22T08:00:00Z/P1D",
        ]
    "#]]
    .assert_debug_eq(&opened);
    assert!(found.events.iter().all(|event| event.historic && event.notify.is_empty()));
    let american: Vec<&AlertEvent> =
        found.events.iter().filter(|event| event.subject == "american").collect();
    let last = american.last().unwrap();
    assert_eq!(last.transition, Transition::Resolved);
    assert!(last.until > at("2015-02-24T08:00"), "open through the 23rd, until {}", last.until);
    let Arithmetic::Count(count) = &last.arithmetic else { panic!("a count") };
    // The 24th, spread over its whole day here, is far from calm too; the file ends with it.
    assert_eq!((count.observed, last.until), (489, at("2015-02-25T08:00")));
    for (n, event) in (0u32..).zip(&found.events) {
        assert_eq!((event.signals.offset, event.signals.n), (77, n));
    }
}

#[test]
fn the_same_past_in_another_order_is_found_the_same() {
    let watchlist = airlines();
    let (first, second) =
        (crisis().fold(&watchlist, &due(&watchlist)), crisis().fold(&watchlist, &due(&watchlist)));
    assert_eq!(first, second);
}

#[test]
fn a_file_that_begins_somewhere_is_no_burst() {
    let watchlist = airlines();
    let mut past = Past::default();
    for number in 0..2_000 {
        let mut post = Post::new(&number.to_string()).about("united", 0.0);
        post.origin = Origin::History;
        post.source = "import:tweets";
        past.take(&post.signal(at("2015-02-17T20:00").plus_millis(number * 1_000), 0));
    }
    assert_eq!(past.fold(&watchlist, &due(&watchlist)).events, []);
}

fn imported(timeline: &mut Timeline, days: i64, an_hour: u32) -> Past {
    let mut past = Past::default();
    let start = at("2025-12-20T00:00");
    for hour in 0..days * 24 {
        for number in 0..an_hour {
            let mut post = Post::new(&format!("past-{hour}-{number}"));
            post.origin = Origin::History;
            post.source = "import:year";
            let time = start.plus_millis(hour * HOUR_MS + i64::from(number) * 60_000);
            past.take(&post.signal(time, 0));
            timeline.post_at(time, &post);
        }
    }
    let health = SourceHealth {
        v: SchemaVersion::default(),
        source: "import:year".to_owned(),
        state: SourceStatus::Finished,
        reason: None,
        raw: vec![RawPosition { partition: 0, offset: timeline.raw_next }],
        at: at("2026-01-05T00:00"),
    };
    timeline.append(at("2026-01-05T00:00"), SignalRecord::SourceHealth(health));
    past
}

fn hand_over(timeline: &mut Timeline, past: &Past) -> Found {
    let due = timeline.state.history_due().expect("an import is complete");
    let found = past.fold(timeline.state.watchlist(), &due);
    for history in &found.histories {
        timeline.append(at("2026-01-05T00:01"), SignalRecord::History(History::clone(history)));
    }
    found
}

#[test]
fn an_import_is_folded_when_enrichment_has_come_to_its_end() {
    let mut timeline = Timeline::new(HARBOR);
    let past = imported(&mut timeline, 10, 4);
    assert_eq!(timeline.state.history_due(), None, "its mentions are not all judged");
    timeline.progress("2026-01-05T00:00");
    let found = hand_over(&mut timeline, &past);
    assert_eq!(found.histories[0].until, at("2025-12-30T00:00"));
    assert_eq!(timeline.state.history_due(), None, "its history is in the log");
}

#[test]
fn live_alerts_use_the_baseline_of_the_past() {
    let mut timeline = Timeline::new(HARBOR);
    let past = imported(&mut timeline, 10, 4);
    timeline.progress("2026-01-05T00:00");
    hand_over(&mut timeline, &past);
    timeline.push("2026-01-05T00:10", 25, 25);
    let Arithmetic::Count(count) = &timeline.events[0].arithmetic else { panic!("a count") };
    assert!(!count.little_data);
    assert_eq!(count.baseline, [4; 10]);
    assert!(timeline.said().contains("told /1/mail/comms@harbor.example"));
}

#[test]
fn a_rule_that_comes_after_the_import_has_its_past_too() {
    let mut timeline = Timeline::new(HARBOR);
    let past = imported(&mut timeline, 10, 4);
    timeline.progress("2026-01-05T00:00");
    hand_over(&mut timeline, &past);
    let text = HARBOR.replace("id = \"volume\"", "id = \"volume-2\"");
    let mut rule = version_of(&text, "rule/volume-2");
    rule.version = Some(50);
    timeline.append(at("2026-01-06T00:00"), SignalRecord::Definition(rule));
    let due = timeline.state.history_due().expect("the new rule has no history");
    assert_eq!(due.wanted, BTreeSet::from([("volume-2".to_owned(), "harbor".to_owned())]));
    let found = hand_over(&mut timeline, &past);
    assert_eq!(found.histories.len(), 1, "what the log holds is not written again");
}

/// Two bursts of one afternoon, with two calm hours between them.
#[test]
fn what_begins_again_in_the_past_is_the_same_alert() {
    let mut watchlist = Watchlist::default();
    for (offset, version) in versions(HARBOR).into_iter().enumerate() {
        watchlist.take(offset as u64, version);
    }
    let mut past = Past::default();
    let start = at("2026-01-05T00:00");
    for hour in 0..14 * 24 {
        let count = if [13 * 24 + 12, 13 * 24 + 15].contains(&hour) { 30 } else { 2 };
        for number in 0..count {
            let mut post = Post::new(&format!("{hour}-{number}"));
            post.origin = Origin::History;
            post.source = "import:tweets";
            past.take(&post.signal(start.plus_millis(hour * HOUR_MS + number * 1_000), 0));
        }
    }
    let found = past.fold(&watchlist, &due(&watchlist));
    expect![[r#"
        opened volume/harbor #1: 2026-01-18T12:00:00Z/PT1H with 11 by 11 authors, 2.0 expected
        rising volume/harbor #2: 2026-01-18T12:00:00Z/PT1H with 22 by 22 authors, 2.0 expected
        resolved volume/harbor #3: 2026-01-18T13:00:00Z/PT1H with 2 by 2 authors, 2.0 expected
        reopened volume/harbor #4: 2026-01-18T15:00:00Z/PT1H with 11 by 11 authors, 2.0 expected
        rising volume/harbor #5: 2026-01-18T15:00:00Z/PT1H with 22 by 22 authors, 2.0 expected
        resolved volume/harbor #6: 2026-01-18T16:00:00Z/PT1H with 2 by 2 authors, 2.0 expected
    "#]]
    .assert_eq(&describe(&found.events));
    assert_eq!(found.events.iter().map(|event| event.alert).collect::<BTreeSet<_>>().len(), 1);
}

/// A rule that counts what a filter matches, and was defined after the import.
fn filtered(id: &str, filter: &str) -> DefinitionVersion {
    let text = HARBOR.replace("id = \"volume\"", &format!("id = \"{id}\"\n    filter = '{filter}'"));
    DefinitionVersion { version: Some(50), ..version_of(&text, &format!("rule/{id}")) }
}

/// What enrich counts anew: so many matches in each hour of the import.
fn counted_anew(timeline: &Timeline, rule: &str, an_hour: u32) -> Rebuilt {
    let request = timeline.state.rebuilds().next().expect("a rebuild is outstanding");
    let start = |hour: i64| at("2025-12-20T00:00").plus_millis(hour * HOUR_MS);
    let bucket = |hour| RebuiltBucket { start: start(hour), live: 0, past: an_hour, tone: None };
    Rebuilt {
        rule: Some(rule.to_owned()),
        buckets: (0..240).map(bucket).collect(),
        imports: BTreeMap::from([("import:year".to_owned(), (start(0), start(240).plus_millis(-1)))]),
        mentions: 240 * u64::from(an_hour),
        last: true,
        ..rebuild::answer(&request, Window::Hour)
    }
}

/// `signals` says of an import what the filters of its time matched. A filter that came later matched nothing there,
/// which is not the same as eight weeks of silence.
#[test]
fn a_filter_that_comes_after_the_import_has_its_past_counted_anew() {
    for (id, filter) in [("app", "app"), ("volume", "lang:de")] {
        let mut timeline = Timeline::new(HARBOR);
        let past = imported(&mut timeline, 10, 4);
        timeline.progress("2026-01-05T00:00");
        hand_over(&mut timeline, &past);
        timeline.append(at("2026-01-05T00:02"), SignalRecord::Definition(filtered(id, filter)));
        assert_eq!(timeline.state.history_due(), None, "the past that `signals` knows is not its own");
        assert_eq!(timeline.state.warming().collect::<Vec<_>>(), ["harbor"]);
        assert_eq!(timeline.state.rebuilds().next().unwrap().version, 50);
        let matching = |timeline: &mut Timeline, time: &str, mentions: i64| {
            for number in 0..mentions {
                let name = format!("{time}-{number}");
                let post = Post::new(&name).matched(&["rule:app", "rule:volume"], 0.0);
                timeline.post_at(at(time).plus_millis(number * 1_000), &post);
            }
        };
        matching(&mut timeline, "2026-01-05T00:05", 12);
        assert!(!timeline.said().contains(&format!("{id}/")), "it waits");
        let rebuilt = counted_anew(&timeline, id, 12);
        timeline.append(at("2026-01-05T00:10"), SignalRecord::Rebuilt(Box::new(rebuilt)));
        assert_eq!(timeline.state.warming().count(), 0);
        timeline.progress("2026-01-05T01:00");
        matching(&mut timeline, "2026-01-05T01:10", 13);
        assert!(!timeline.said().contains(&format!("{id}/")), "that is as usual");
        timeline.progress("2026-01-05T02:00");
        matching(&mut timeline, "2026-01-05T02:10", 60);
        let of_rule = timeline.events.iter().find(|event| event.rule == id).expect("a burst is one");
        let Arithmetic::Count(count) = &of_rule.arithmetic else { panic!("a count") };
        let usual = if count.before.is_some() { 24 } else { 12 };
        assert_eq!(count.baseline, [usual; 10], "{id}");
    }
}

#[test]
fn a_filter_that_was_known_to_the_import_has_its_past_from_signals() {
    let text = HARBOR.replace("id = \"volume\"", "id = \"volume\"\n    filter = 'app'");
    let mut timeline = Timeline::new(&text);
    imported(&mut timeline, 10, 4);
    timeline.progress("2026-01-05T00:00");
    assert_eq!(timeline.state.rebuilds().count(), 0);
    assert!(timeline.state.history_due().is_some());
}
