//! What comes twice counts once, and a replay decides the same.

use earshot_common::events::encode;
use proptest::prelude::*;

use super::*;
use crate::fold::Folded;

#[test]
fn a_second_delivery_and_a_second_collection_count_once() {
    let mut timeline = Timeline::new(HARBOR);
    timeline.ordinary_days("2026-01-05T00:00", 3, 4);
    timeline.push("2026-01-08T00:00", 15, 15);
    assert_eq!(timeline.said(), "", "one below the threshold");
    let signals: Vec<(Timestamp, Signal)> = timeline
        .log
        .iter()
        .rev()
        .take(15)
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
enum Step {
    Burst { mentions: u32, authors: u32 },
    Strong { name: u8, revision: i64 },
    Pass { minutes: i64 },
    Again { back: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..60u32, 1..30u32).prop_map(|(mentions, authors)| Step::Burst { mentions, authors }),
        (0..5u8, 1..4i64).prop_map(|(name, revision)| Step::Strong { name, revision }),
        (1..900i64).prop_map(|minutes| Step::Pass { minutes }),
        (1..50usize).prop_map(|back| Step::Again { back }),
    ];
    proptest::collection::vec(step, 1..30)
}

/// A log that such steps leave, with re-deliveries where `again` says so.
fn log_of(steps: &[Step], again: bool) -> Timeline {
    let rules = format!(
        "{HARBOR}\n[[rule]]\nid = \"strong\"\nwhen = \"each mention\"\nsubjects = [\"harbor\"]\nreach_at_least = 10\n"
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_replay_from_anywhere_decides_the_same_to_the_last_bit(steps in steps(), cut in 0.0..1.0f64) {
        let timeline = log_of(&steps, true);
        let cut = (timeline.log.len() as f64 * cut) as usize;
        let mut state = State::new();
        let mut replayed = Vec::new();
        for (offset, appended, record) in &timeline.log[..cut] {
            replayed.extend(state.apply(*offset, *appended, record));
        }
        let mut state = state.clone();
        for (offset, appended, record) in &timeline.log[cut..] {
            replayed.extend(state.apply(*offset, *appended, record));
        }
        prop_assert_eq!(bytes(&replayed, true), bytes(&timeline.events, true));
    }

    #[test]
    fn a_second_delivery_anywhere_changes_nothing(steps in steps()) {
        let (once, twice) = (log_of(&steps, false), log_of(&steps, true));
        prop_assert_eq!(bytes(&once.events, false), bytes(&twice.events, false));
    }

    #[test]
    fn transitions_are_numbered_without_a_gap_and_ordered_by_their_causes(steps in steps()) {
        let events = log_of(&steps, true).events;
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
