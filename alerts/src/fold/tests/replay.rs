//! What comes twice counts once, and a replay decides the same.

use earshot_common::events::{Command, CommandKind, encode};
use proptest::prelude::*;

use super::*;
use crate::fold::Folded;

#[test]
fn a_second_delivery_and_a_second_collection_count_once() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 16, 16);
    assert_eq!(timeline.said(), "", "one below the threshold");
    let signals: Vec<(Timestamp, Signal)> = timeline
        .log
        .iter()
        .rev()
        .take(16)
        .map(|(_, appended, record)| {
            let SignalRecord::Signal(signal) = record else { panic!("the last records are signals") };
            (*appended, Signal::clone(signal))
        })
        .collect();
    for (appended, signal) in &signals {
        timeline.append(*appended, SignalRecord::Signal(Box::new(signal.clone())));
    }
    assert_eq!(timeline.said(), "", "the same raw offsets again");
    for (appended, signal) in &signals {
        let mut again = signal.clone();
        again.raw.offset = timeline.raw_next;
        again.revision += 1;
        timeline.raw_next += 1;
        timeline.append(*appended, SignalRecord::Signal(Box::new(again)));
    }
    assert_eq!(timeline.said(), "", "the same mentions, read again by their source");
    timeline.push("2026-01-08T00:30", 1, 1);
    assert!(timeline.said().starts_with("opened"), "one more is a new one");
}

#[test]
fn raw_offsets_that_begin_anew_with_their_topic_are_no_second_delivery() {
    let signal = |offset: u64, appended: &str| Signal {
        raw: RawPosition { partition: 0, offset },
        raw_appended: Some(at(appended)),
        ..Post::new("any").signal(at(appended), offset)
    };
    let mut folded = Folded::default();
    assert!(folded.is_new(&signal(40, "2026-01-08T00:00")));
    assert!(folded.is_new(&signal(41, "2026-01-08T00:02")));
    assert!(!folded.is_new(&signal(40, "2026-01-08T00:00")), "delivered again");
    assert!(folded.is_new(&signal(0, "2026-01-08T00:03")), "the topic was made anew");
    assert!(!folded.is_new(&signal(0, "2026-01-08T00:03")), "delivered again");
    assert!(folded.is_new(&signal(1, "2026-01-08T00:03")));
}

#[test]
fn mentions_of_the_past_do_not_count_live() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    for number in 0..100 {
        let mut post = Post::new(&format!("old-{number}"));
        post.origin = Origin::History;
        timeline.post("2026-01-08T00:10", &post);
    }
    assert_eq!(timeline.said(), "");
}

/// What may happen next on the line.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Burst { mentions: u32, authors: u32 },
    Strong { name: u8, revision: i64 },
    Pass { minutes: i64 },
    Say { what: CommandKind, by: u8, minutes: i64 },
    Again { back: usize },
}

const WORDS: &[CommandKind] =
    &[CommandKind::Acknowledge, CommandKind::Mute, CommandKind::MuteRule, CommandKind::Noise];

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..60u32, 1..30u32).prop_map(|(mentions, authors)| Step::Burst { mentions, authors }),
        (0..5u8, 1..4i64).prop_map(|(name, revision)| Step::Strong { name, revision }),
        (1..900i64).prop_map(|minutes| Step::Pass { minutes }),
        (prop::sample::select(WORDS), 0..3u8, 1..600i64).prop_map(|(what, by, minutes)| Step::Say {
            what,
            by,
            minutes
        }),
        (1..50usize).prop_map(|back| Step::Again { back }),
    ];
    proptest::collection::vec(step, 1..30)
}

/// A log that such steps leave, with re-deliveries where `again` says so.
pub(super) fn log_of(steps: &[Step], again: bool) -> Timeline {
    let mut rules = HARBOR.to_owned();
    for rule in [
        "when = \"each mention\"\nreach_at_least = 10\nroute = \"comms\"\n\
         quiet_hours = { from = \"22:00\", to = \"02:00\" }\nescalate = [{ after_minutes = 15, route = \"comms\" }]",
        "when = \"each mention\"\nreach_at_least = 10\nmentions_at_least = 3\nauthors_at_least = 2\nquiet_after_hours = 4",
        "preset = \"sentiment drop\"",
        "when = \"reach against expectation\"\nreach_at_least = 1",
        "preset = \"subject silent\"",
        "when = \"novelty\"\nof = \"source\"",
        "when = \"count against expectation\"\nmeasure = \"authors\"\nwindows = 2",
    ] {
        let id = rules.len();
        writeln!(rules, "[[rule]]\nid = \"rule-{id}\"\nsubjects = [\"harbor\"]\n{rule}").unwrap();
    }
    rules.push_str(
        "[[route]]\nid = \"office\"\nmail = [\"office@harbor.example\"]\nseverity_at_most = 6\n\
         schedule = { from = \"09:00\", to = \"17:00\" }\n\
         [[route]]\nid = \"executive\"\nmail = [\"executive@harbor.example\"]\nseverity_at_least = 7\n",
    );
    let mut timeline = Timeline::new(&rules);
    timeline.ordinary_days("2026-01-05T00:00", 3, 2);
    let mut now = at("2026-01-08T00:00");
    for step in steps {
        match step {
            Step::Burst { mentions, authors } => timeline.push(&now.to_string(), *mentions, *authors),
            Step::Strong { name, revision } => {
                let mut post = Post::new(&format!("strong-{name}")).about("harbor", -0.9).reach(50);
                post.revision = *revision;
                timeline.post_at(now, &post);
            }
            Step::Pass { minutes } => {
                now = now.plus_millis(minutes * 60_000);
                timeline.progress_at(now);
            }
            Step::Say { what, by, minutes } => {
                let Some(alert) = timeline.events.last().map(|event| event.alert) else { continue };
                let command = Command {
                    v: SchemaVersion::default(),
                    id: format!("command-{}-{by}", timeline.events.len()),
                    alert,
                    what: *what,
                    by: by.to_string(),
                    note: None,
                    until: Some(now.plus_millis(minutes * 60_000)),
                };
                timeline.append(now, SignalRecord::Command(command));
            }
            Step::Again { back } if again => {
                let mut signals = timeline
                    .log
                    .iter()
                    .rev()
                    .filter(|(_, _, record)| matches!(record, SignalRecord::Signal(_)));
                let known = signals.nth(*back).cloned().unwrap();
                timeline.append(now, known.2);
            }
            Step::Again { .. } => {}
        }
    }
    timeline
}

/// Everything of the transitions but where in the log their causes stand.
fn bytes(events: &[AlertEvent], with_offsets: bool) -> Vec<Vec<u8>> {
    let mut events = events.to_vec();
    for event in &mut events {
        if !with_offsets {
            event.signals.offset = 0;
        }
    }
    events.iter().map(encode).collect()
}

fn snapshot(state: &State) -> Vec<u8> {
    rmp_serde::to_vec_named(state).unwrap()
}

#[test]
fn a_snapshot_holds_every_kind_of_definition() {
    let definitions = r#"
        [[subject]]
        id = "chief"
        kind = "executive"
        name = "Ann Chief"
        aliases = [{ text = "Chief", case = "exact", ambiguous = true }, "A. Chief"]
        zone = "Europe/Berlin"
        [[search]]
        id = "app"
        query = "app AND (down OR slow)"
        [[rule]]
        id = "app-hour"
        when = "count of mentions against expectation"
        searches = ["app"]
        probability_below = 0.00031415926535897933
        [[rule]]
        id = "strong"
        when = "each mention"
        subjects = ["chief"]
        filter = "lang:en"
        [[source]]
        id = "blog"
        kind = "feed"
        url = "https://blog.harbor.example/feed"
    "#;
    let timeline = Timeline::new(&format!("{HARBOR}{definitions}"));
    let read: State = rmp_serde::from_slice(&snapshot(&timeline.state)).unwrap();
    assert!(snapshot(&read) == snapshot(&timeline.state));
    let definitions = |state: &State| state.watchlist().versions().cloned().collect::<Vec<_>>();
    assert_eq!(definitions(&read), definitions(&timeline.state));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_replay_from_a_snapshot_anywhere_decides_the_same_to_the_last_bit(steps in steps(), cut in 0.0..1.0f64) {
        let timeline = log_of(&steps, true);
        let cut = (timeline.log.len() as f64 * cut) as usize;
        let mut state = State::new();
        let mut replayed = Vec::new();
        for (offset, appended, record) in &timeline.log[..cut] {
            replayed.extend(state.apply(*offset, *appended, record));
        }
        let mut state: State = rmp_serde::from_slice(&snapshot(&state)).unwrap();
        for (offset, appended, record) in &timeline.log[cut..] {
            replayed.extend(state.apply(*offset, *appended, record));
        }
        prop_assert_eq!(bytes(&replayed, true), bytes(&timeline.events, true));
        prop_assert!(snapshot(&state) == snapshot(&timeline.state), "the states differ");
    }

    #[test]
    fn a_second_delivery_anywhere_changes_nothing(steps in steps()) {
        let (once, twice) = (log_of(&steps, false), log_of(&steps, true));
        prop_assert_eq!(bytes(&once.events, false), bytes(&twice.events, false));
    }

    #[test]
    fn transitions_are_numbered_without_a_gap_and_ordered_by_their_causes(steps in steps()) {
        let events = log_of(&steps, true).events.clone();
        let mut sequences = std::collections::BTreeMap::new();
        for pair in events.windows(2) {
            prop_assert!(pair[0].signals < pair[1].signals);
        }
        for event in &events {
            let last = sequences.insert(event.alert, event.sequence).unwrap_or(0);
            prop_assert_eq!(event.sequence, last + 1);
        }
    }
}
