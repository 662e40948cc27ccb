//! The back-test says of a rule in force what really happened, and of another version what would have.

use earshot_common::events::{Rebuilt, SourceHealth, SourceStatus};

use super::rebuild::{NAMES, alias_is_added, days_with, hours, request, take};
use super::timelines::played;
use super::*;
use crate::proof::{Backtest, BacktestRequest, Existing, Gathered, Plan};

impl Timeline {
    /// A back-test of the rule `volume` since a time, with these definitions in place of those in force.
    fn backtest(&self, since: &str, changed: &str) -> Backtest {
        self.backtest_of("volume", since, changed)
    }

    /// A back-test of a rule since a time, with these definitions in place of those in force.
    pub(super) fn backtest_of(&self, rule: &str, since: &str, changed: &str) -> Backtest {
        let request = BacktestRequest {
            rule: rule.to_owned(),
            definitions: parse_file("changed.toml", changed).unwrap(),
            since: at(since),
        };
        let gathered = self.gathered(request, usize::MAX);
        assert_eq!(gathered.fits(), Ok(()));
        gathered.fold()
    }

    fn gathered(&self, request: BacktestRequest, most: usize) -> Gathered {
        let plan = Plan::of(request, self.state.watchlist()).unwrap();
        let mut raised = Vec::new();
        for event in &self.events {
            Existing::take(&mut raised, event);
        }
        let mut gathered = Gathered::new(plan, raised, most);
        for (offset, appended, record) in &self.log {
            gathered.take(*offset, *appended, record.clone());
        }
        gathered
    }
}

/// What begins two hours after the end is another alert.
fn harbor() -> String {
    HARBOR.replace("severity = 6", "severity = 6\nreopen_within_hours = 1")
}

/// Three ordinary days, a burst of forty, a small one of ten.
fn two_bursts() -> Timeline {
    let mut timeline = Timeline::new(&harbor());
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 40, 40);
    timeline.progress("2026-01-08T03:00");
    timeline.push("2026-01-08T03:00", 12, 12);
    timeline.progress("2026-01-08T06:00");
    timeline
}

#[test]
fn of_the_rule_in_force_it_says_what_was_decided_live() {
    let timeline = two_bursts();
    let backtest = timeline.backtest("2026-01-08T00:00", "");
    let opened = timeline.events.iter().find(|event| event.transition == Transition::Opened).unwrap();
    let resolved = timeline.events.iter().find(|event| event.transition == Transition::Resolved).unwrap();
    let announced = timeline.events.iter().rfind(|event| event.transition != Transition::Resolved).unwrap();
    assert_eq!(backtest.fired.len(), 1, "{:?}", backtest.fired);
    let fired = &backtest.fired[0];
    assert_eq!((fired.opened, fired.until), (opened.opened, Some(resolved.until)));
    assert_eq!((&fired.arithmetic, fired.severity), (&announced.arithmetic, 6));
    assert_eq!(fired.alert, Some(opened.alert));
    assert_eq!((backtest.in_force, backtest.not_fired), (None, Vec::new()));
    assert_eq!(backtest.subjects[0].mentions, 52);
    assert_eq!(backtest.subjects[0].observed[0].from, at("2026-01-05T00:00"));
    assert_eq!(backtest.until, at("2026-01-08T06:00"));
}

#[test]
fn of_another_version_it_says_what_it_would_add_and_what_it_would_miss() {
    let timeline = two_bursts();
    let version = |threshold: &str| harbor().replace("probability_below = 0.001", threshold);
    let easier = timeline.backtest("2026-01-08T00:00", &version("probability_below = 0.05"));
    let exist: Vec<bool> = easier.fired.iter().map(|fired| fired.alert.is_some()).collect();
    assert_eq!(exist, [true, false], "the small burst too: {:?}", easier.fired);
    assert_eq!(easier.fired_in_force.len(), 1);
    assert!(easier.in_force.unwrap().contains("probability below 0.001"));
    let harder = timeline.backtest(
        "2026-01-08T00:00",
        &version("probability_below = 0.001\nauthors_at_least = 50").replace("authors_at_least = 10\n", ""),
    );
    assert_eq!(harder.fired, []);
    assert_eq!(harder.not_fired.len(), 1, "the alert that exists");
    // What opened before the span is not told.
    assert_eq!(timeline.backtest("2026-01-08T01:00", "").fired, []);
}

#[test]
fn imports_and_the_live_stream_are_one_history() {
    let mut timeline = Timeline::new(HARBOR);
    let mut past = Post::new("any");
    past.origin = Origin::History;
    past.source = "file";
    for hour in 0..72 {
        for number in 0..4 {
            past.name = format!("past-{hour}-{number}");
            past.author = Some(past.name.clone());
            timeline.post_at(at("2026-01-05T00:00").plus_millis(hour * HOUR_MS + number * 1_000), &past);
        }
    }
    let finished = SourceHealth {
        v: SchemaVersion::default(),
        source: "file".to_owned(),
        state: SourceStatus::Finished,
        reason: None,
        raw: vec![RawPosition { partition: 0, offset: timeline.raw_next }],
        at: at("2026-01-08T00:00"),
    };
    timeline.append(at("2026-01-08T00:00"), SignalRecord::SourceHealth(finished));
    timeline.progress("2026-01-08T00:00");
    timeline.push("2026-01-08T00:00", 18, 18);
    timeline.progress("2026-01-08T01:00");
    let backtest = timeline.backtest("2026-01-05T00:00", "");
    let observed = &backtest.subjects[0].observed;
    assert_eq!((observed[0].from, observed[0].until), (at("2026-01-05T00:00"), None));
    assert_eq!(backtest.fired.len(), 1, "eighteen after three days of four an hour: {:?}", backtest.fired);
    let Arithmetic::Count(count) = &backtest.fired[0].arithmetic else { panic!("it is a count") };
    assert_eq!(count.baseline, [4, 4, 4], "from the import");
}

#[test]
fn what_history_cannot_say_is_refused_with_what_to_do() {
    let timeline = Timeline::new(HARBOR);
    let refused = |rule: &str, changed: &str| {
        let definitions = parse_file("changed.toml", changed).unwrap();
        let request = BacktestRequest { rule: rule.to_owned(), definitions, since: at("2026-01-01T00:00") };
        Plan::of(request, timeline.state.watchlist()).unwrap_err()
    };
    assert_eq!(refused("volumes", ""), "there is no rule `volumes`; there are: volume");
    let filtered =
        "[[rule]]\nid = \"strong\"\nwhen = \"each mention\"\nsubjects = [\"harbor\"]\nfilter = \"app\"\n";
    let message = refused("strong", filtered);
    assert!(message.contains("only what the filter in force matched"), "{message}");
    let message = refused("volume", &HARBOR.replace(NAMES, "name = \"Harbor\"\naliases = [\"Port Bank\"]"));
    assert!(message.contains("only what the words or the query in force of `harbor` matched"), "{message}");
    let message =
        refused("volume", &HARBOR.replace("\"harbor\"", "\"haven\"").replace(NAMES, "name = \"Haven\""));
    assert!(message.contains("history knows nothing of `haven`"), "{message}");
    let elsewhere = filtered.replace("harbor", "haven").replace("filter = \"app\"\n", "");
    let message = refused("strong", &elsewhere);
    assert!(message.contains("there is no subject of that id; there are: harbor"), "{message}");
}

#[test]
fn what_an_alias_adds_is_no_burst_to_the_back_test_either_and_the_next_burst_is_one() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    alias_is_added(&mut timeline, "2026-01-08T00:00");
    let asked = request(&timeline);
    // Until it is counted anew it waits, here as there.
    timeline.push("2026-01-08T00:10", 25, 25);
    let waiting = timeline.backtest("2026-01-05T00:00", "");
    assert_eq!(
        (waiting.fired, waiting.subjects[0].warming_since),
        (Vec::new(), Some(at("2026-01-08T00:00")))
    );
    take(&mut timeline, "2026-01-08T00:20", Rebuilt { last: true, ..hours(&asked, "2026-01-05T00:00", 24) });
    timeline.progress("2026-01-08T01:00");
    timeline.push("2026-01-08T01:00", 28, 28);
    timeline.progress("2026-01-08T02:00");
    timeline.push("2026-01-08T02:00", 200, 200);
    let backtest = timeline.backtest("2026-01-05T00:00", "");
    let raised: Vec<_> = timeline.events.iter().filter(|event| event.transition.raises()).collect();
    assert_eq!(backtest.subjects[0].counted_anew, [at("2026-01-08T00:00")]);
    assert_eq!(backtest.fired.len(), 1, "{:?}", backtest.fired);
    assert_eq!(backtest.fired[0].opened, raised[0].opened);
    assert_eq!(&backtest.fired[0].arithmetic, &raised.last().unwrap().arithmetic);
    // Another measure was never counted anew: what was before is unknown to it.
    let other = HARBOR
        .replace(NAMES, "name = \"Harbor\"\naliases = [\"Port Bank\"]")
        .replace("severity = 6", "severity = 6\nmeasure = \"authors\"");
    let other = timeline.backtest("2026-01-05T00:00", &other).fired;
    let Arithmetic::Count(count) = &other[0].arithmetic else { panic!("it is a count") };
    assert!(count.little_data, "{count:?}");
}

#[test]
fn a_source_that_was_young_pages_nobody_in_the_back_test_either() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.progress("2026-01-05T00:00");
    days_with(&mut timeline, "2026-01-05T00:00", 14, &[("hn", 4)]);
    days_with(&mut timeline, "2026-01-19T00:00", 14, &[("hn", 4), ("bluesky", 40)]);
    assert_eq!(timeline.backtest("2026-01-05T00:00", "").fired, []);
    let asked = request(&timeline);
    let from = Some(at("2026-01-19T00:00"));
    let rebuilt = Rebuilt { last: true, from, ..hours(&asked, "2026-01-19T00:00", 44) };
    take(&mut timeline, "2026-02-02T00:00:01Z", rebuilt);
    days_with(&mut timeline, "2026-02-02T00:00", 1, &[("hn", 4), ("bluesky", 40)]);
    timeline.push("2026-02-03T00:10", 200, 200);
    let fired = timeline.backtest("2026-01-05T00:00", "").fired;
    let raised: Vec<_> = timeline.events.iter().filter(|event| event.transition.raises()).collect();
    assert_eq!(fired.len(), 1, "{fired:?}");
    assert_eq!(
        (fired[0].opened, &fired[0].arithmetic),
        (raised[0].opened, &raised.last().unwrap().arithmetic)
    );
}

/// A hundred mentions a day for 70 days from 2026-01-01 on.
#[test]
fn a_span_of_too_many_mentions_is_refused_with_one_that_fits() {
    let mut timeline = Timeline::new(HARBOR);
    for day in 0..70 {
        timeline.push(&days_later(at("2026-01-01T00:00"), day).to_string(), 100, 1);
    }
    let asked = |since: &str, most: usize| {
        let definitions = Vec::new();
        let request = BacktestRequest { rule: "volume".to_owned(), definitions, since: at(since) };
        timeline.gathered(request, most).fits()
    };
    assert_eq!(asked("2026-02-28T00:00", 7_000), Ok(()));
    // Of 6,000 the last sixty days fit, from 2026-01-11 on, and a baseline looks back over 58 days.
    let refused = asked("2026-02-28T00:00", 6_000).unwrap_err();
    assert!(refused.contains("there are 7000 mentions"), "{refused}");
    assert!(refused.ends_with("ask since 2026-03-10T00:00:00.000Z or later"), "{refused}");
    assert_eq!(asked("2026-03-10T00:00", 6_000), Ok(()));
    let refused = asked("2026-02-28T00:00", 500).unwrap_err();
    assert!(refused.ends_with("is too many alone"), "{refused}");
}

/// A company's other name corroborates those of its executives.
#[test]
fn other_words_of_the_company_are_refused_for_its_executive_too_and_another_search_is_not_the_one_in_force() {
    let text = |company: &str, query: &str| {
        format!(
            "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"{company}\"\n\
             [[subject]]\nid = \"vale\"\nkind = \"executive\"\nname = \"Ada Vale\"\ncompany = \"harbor\"\n\
             [[search]]\nid = \"app\"\nquery = \"{query}\"\n\
             [[rule]]\nid = \"volume\"\nwhen = \"count against expectation\"\nsubjects = [\"vale\"]\n\
             [[rule]]\nid = \"down\"\nwhen = \"count against expectation\"\nsearches = [\"app\"]\n"
        )
    };
    let timeline = Timeline::new(&text("Harbor", "app down"));
    let plan = |rule: &str, changed: &str| {
        let definitions = parse_file("changed.toml", changed).unwrap();
        let request = BacktestRequest { rule: rule.to_owned(), definitions, since: at("2026-01-01T00:00") };
        Plan::of(request, timeline.state.watchlist()).map(drop)
    };
    assert_eq!(plan("volume", &text("Harbor", "app broken")), Ok(()));
    assert!(plan("volume", &text("Haven", "app down")).unwrap_err().contains("in force of `harbor` matched"));
    assert!(
        plan("down", &text("Harbor", "app broken")).unwrap_err().contains("in force of `search:app` matched")
    );
}

#[test]
fn of_other_primitives_it_says_what_was_decided_live_too() {
    for (rule, timeline) in [
        (
            "when = \"share of negatives against expectation\"",
            "quiet 3 at 4\n00:00 push 30 by 30 toned -0.6\n01:00 progress",
        ),
        ("preset = \"subject silent\"", "quiet 3 at 6\n01:00 progress\n02:00 progress\n03:00 progress"),
        ("preset = \"new story\"", "quiet 3 at 1\n00:00 push 2 by 2 of merger\n01:00 push 1 by 1 of merger"),
        ("when = \"count against expectation\"\nmeasure = \"authors\"", "quiet 3 at 4\n00:00 push 80 by 80"),
    ] {
        let timeline = played(rule, timeline);
        let fired = timeline.backtest_of("rule", "2026-01-07T00:00", "").fired;
        assert_eq!(fired.len(), 1, "{rule}: {fired:?}");
        let opened = &timeline.events[0];
        assert_eq!((fired[0].opened, fired[0].alert), (opened.opened, Some(opened.alert)), "{rule}");
    }
}

#[test]
fn whether_a_source_answered_is_not_tested_on_history() {
    let timeline = Timeline::new(HARBOR);
    let silent = "[[rule]]\nid = \"volume\"\nsubjects = [\"harbor\"]\npreset = \"source silent\"\n";
    let request = BacktestRequest {
        rule: "volume".to_owned(),
        definitions: parse_file("changed.toml", silent).unwrap(),
        since: at("2026-01-08T00:00"),
    };
    let refused = Plan::of(request, timeline.state.watchlist()).unwrap_err();
    assert!(refused.contains("whether a source answered is not tested on history"), "{refused}");
}
