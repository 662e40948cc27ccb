//! Rules about reach. What is usual in each of them is thirty hours of four mentions with 500 followers each, 2,000 in all:
//! with a spread of 10 / 16 an hour is surprising from `2,001 · (0.2 / 0.0006) ^ 0.625 = 75,517` accounts on.

use earshot_common::events::{ReachArithmetic, ReachUnit};

use super::timelines::played;
use super::verify::{contradictions, faults, verified};
use super::*;

const REACH: &str = "when = \"reach against expectation\"\nprobability_below = 0.0006";

/// The time-line begins at six in the morning of the second day.
fn after_thirty_usual_hours(rule: &str, timeline: &str) -> Timeline {
    let usual: String = (0..30).map(|hour| usual_hour(hour, "")).collect();
    played(rule, &format!("00:00 progress\n{usual}{timeline}"))
}

fn usual_hour(hour: u32, more: &str) -> String {
    let moment = |hour: u32| format!("{}+{:02}:00", hour / 24, hour % 24);
    format!("{} push 4 by 4 reaching 500 {more}\n{} progress\n", moment(hour), moment(hour + 1))
}

fn reach_of(event: &AlertEvent) -> &ReachArithmetic {
    match &event.arithmetic {
        Arithmetic::Reach(reach) => reach,
        _ => panic!("it is a reach"),
    }
}

#[test]
fn an_hour_that_is_seen_by_far_more_than_usual_is_said_at_once_until_an_hour_is_calm() {
    let timeline = after_thirty_usual_hours(
        REACH,
        "1+06:10 push 3 by 3 reaching 25000
         1+06:10 want nothing
         1+06:11 push 1 by 1 reaching 600
         1+06:11 want opened to team
         1+06:12 push 1 by 1 reaching 20000
         1+06:12 want nothing
         1+06:13 push 1 by 1 reaching 60000
         1+06:13 want rising
         1+06:14 push 1 by 1 reaching 300000
         1+06:14 want rising at 7 to team
         1+07:00 progress
         1+07:00 want nothing
         1+07:00 push 4 by 4 reaching 500
         1+08:00 progress
         1+08:00 want resolved at 7",
    );
    let reach = reach_of(&timeline.events[0]);
    assert_eq!((reach.reach, reach.mentions, reach.known, reach.authors), (75_600, 4, 4, 4));
    assert_eq!((reach.expected, reach.threshold, reach.baseline.windows), (2_000, 75_517, 30));
    assert_eq!(reach.to_string(), "4 mentions reached about 75,600 accounts, usually 2,000");
    let fired = timeline.backtest_of("rule", "2026-01-09T00:00", "").fired;
    let opened: Vec<Timestamp> = fired.iter().map(|fired| fired.opened).collect();
    assert_eq!(opened, [timeline.events[0].opened], "the back-test says what was decided live");
}

#[test]
fn what_is_unknown_and_visits_of_a_month_are_no_reach_and_the_alert_says_how_many_are_known() {
    let mut timeline = after_thirty_usual_hours(REACH, "1+06:00 want nothing");
    let time = at("2026-01-09T06:10");
    for (name, reach, unit) in [
        ("unknown", None, None),
        ("outlet", Some(9_000_000), Some(ReachUnit::MonthlyVisits)),
        ("wide", Some(70_000), Some(ReachUnit::Followers)),
        ("wider", Some(80_000), None),
    ] {
        assert_eq!(timeline.said(), "", "before {name}");
        let mut signal = Post::new(name).signal(time, timeline.raw_next);
        (signal.reach, signal.reach_unit) = (reach, unit);
        timeline.raw_next += 1;
        timeline.append(time, SignalRecord::Signal(Box::new(signal)));
    }
    assert!(timeline.said().starts_with("opened"));
    let reach = reach_of(&timeline.events[0]);
    assert_eq!((reach.reach, reach.mentions, reach.known), (150_000, 4, 2));
}

#[test]
fn a_reach_of_few_mentions_or_authors_or_one_that_is_small_is_not_said() {
    for rule in ["", "mentions_at_least = 5", "authors_at_least = 4", "reach_at_least = 400000"] {
        let opens = if rule.is_empty() { "opened to team" } else { "nothing" };
        let hour = format!("1+06:10 push 4 by 3 reaching 90000\n1+07:00 progress\n1+07:00 want {opens}");
        after_thirty_usual_hours(&format!("{REACH}\n{rule}"), &hour);
    }
}

#[test]
fn a_reach_is_not_known_to_be_calm_while_its_source_is_silent() {
    after_thirty_usual_hours(
        REACH,
        "1+06:10 push 4 by 4 reaching 90000
         1+06:10 want opened to team
         1+06:30 failing hn
         1+07:00 progress
         1+08:00 progress
         1+08:00 want blocked on hn
         1+09:00 progress
         1+09:00 want nothing
         1+09:10 healthy hn
         1+10:00 progress
         1+10:00 want resolved",
    );
}

/// The first wide hour is one of the usual ones for those after it: `2,001 · (6/32 / 0.0006) ^ 0.8809 = 315,409`.
#[test]
fn a_reach_that_must_last_is_said_in_the_second_hour_and_little_data_says_nothing() {
    after_thirty_usual_hours(
        &format!("{REACH}\nwindows = 2"),
        "1+06:10 push 4 by 4 reaching 30000
         1+07:00 progress
         1+07:00 want nothing
         1+07:10 push 4 by 4 reaching 500
         1+08:00 progress
         1+08:10 push 4 by 4 reaching 90000
         1+09:00 progress
         1+09:10 push 3 by 3 reaching 99000
         1+09:10 want nothing
         1+09:11 push 1 by 1 reaching 25000
         1+09:11 want opened to team",
    );
    let hours: String = (0..19).map(|hour| usual_hour(hour, "")).collect();
    played(
        REACH,
        &format!(
            "00:00 progress\n{hours}19:10 push 40 by 40 reaching 900000\n20:00 progress\n20:00 want nothing"
        ),
    );
}

#[test]
fn what_a_filter_leaves_out_is_not_reached() {
    let rule = format!("{REACH}\nfilter = \"lang:en\"");
    let usual: String = (0..30).map(|hour| usual_hour(hour, "passing")).collect();
    let timeline = format!(
        "00:00 progress\n{usual}1+06:10 push 9 by 9 reaching 900000\n1+06:10 want nothing\n\
         1+06:11 push 4 by 4 reaching 30000 passing\n1+06:11 want opened to team"
    );
    played(&rule, &timeline);
}

#[test]
fn a_reach_that_was_tampered_with_does_not_verify() {
    type Tamper = (&'static str, fn(&mut ReachArithmetic));
    let timeline =
        after_thirty_usual_hours(REACH, "1+06:10 push 4 by 4 reaching 30000\n1+06:10 want opened to team");
    let tampers: [Tamper; 8] = [
        ("reach of the window", |reach| reach.reach += 1),
        ("those of a known reach", |reach| reach.known -= 1),
        ("mentions in the window", |reach| reach.mentions += 1),
        ("distinct authors", |reach| reach.authors += 1),
        ("expected", |reach| reach.expected = 1),
        ("spread", |reach| reach.baseline.excess += 1_000_000),
        ("probability", |reach| reach.baseline.above += 1),
        ("threshold", |reach| reach.threshold -= 1_000),
    ];
    for (what, tamper) in tampers {
        let mut transitions = timeline.events.clone();
        assert_eq!(contradictions(&verified(&transitions, &timeline.log)), [], "{what}");
        let Arithmetic::Reach(reach) = &mut transitions[0].arithmetic else { panic!("a reach") };
        tamper(reach);
        let faults = faults(&verified(&transitions, &timeline.log));
        assert!(faults.iter().any(|check| check.what == what), "{what}: {faults:?}");
    }
}
