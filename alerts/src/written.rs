//! What the topic `alerts` holds already, so that a replay writes nothing twice.

use std::collections::HashMap;

use earshot_common::events::{AlertEvent, CausedBy, Transition};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;

/// An account of the records of `alerts`.
///
/// Live transitions are written in the order of their causes, so everything up to the last one is there. The
/// historic fold runs again after each import, with another cause: there an alert that is over is left as it is, and
/// one that a crash cut short is continued. In the run that ended it an alert may open again.
#[derive(Debug, Default)]
pub(crate) struct Written {
    last_live: Option<Last>,
    historic: HashMap<AlertKey, Historic>,
}

/// The newest live transition.
#[derive(Clone, Copy, Debug)]
struct Last {
    signals: CausedBy,
    decided: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Historic {
    sequence: u32,
    resolved: bool,
    /// Offset of the record that the run was for.
    run: u64,
}

impl Written {
    /// Whether a transition is not written yet.
    pub(crate) fn lacks(&self, event: &AlertEvent) -> bool {
        if event.historic {
            return self.historic.get(&event.alert).is_none_or(|known| {
                let goes_on = !known.resolved || known.run == event.signals.offset;
                goes_on && known.sequence < event.sequence
            });
        }
        // Decided later and yet less far: `signals` was made anew, and its offsets with it.
        self.last_live.is_none_or(|last| last.signals < event.signals || last.decided < event.decided)
    }

    /// Takes a transition in, unless it is written already.
    pub(crate) fn take(&mut self, event: &AlertEvent) {
        if !self.lacks(event) {
            return;
        }
        if event.historic {
            let resolved = event.transition == Transition::Resolved;
            let (sequence, run) = (event.sequence, event.signals.offset);
            self.historic.insert(event.alert, Historic { sequence, resolved, run });
            return;
        }
        // Where the log's clock was set back the latest time stands.
        let decided = self.last_live.map_or(event.decided, |last| last.decided.max(event.decided));
        self.last_live = Some(Last { signals: event.signals, decided });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Written {
        /// Takes a transition in and says whether it was new.
        fn is_new(&mut self, event: &AlertEvent) -> bool {
            let new = self.lacks(event);
            self.take(event);
            new
        }
    }

    fn event(alert: &str, sequence: u32, offset: u64, transition: &str, historic: bool) -> AlertEvent {
        let json = format!(
            r#"{{"v":1,"alert":"{}","sequence":{sequence},"signals":{{"offset":{offset},"n":0}},
            "transition":"{transition}","rule":"r","subject":"s","severity":5,"historic":{historic},"parent":null,
            "opened":"2026-01-05T09:00:00.000Z","until":"2026-01-05T10:00:00.000Z",
            "arithmetic":{{"primitive":"each","polarity":-0.9,"polarity_at_most":-0.5,"reach":5,"reach_at_least":1,"matched":1}},
            "evidence":[],"definition":{{"watchlist":3,"rule":"r","lexicon":"l"}},"decided":"2026-01-05T09:00:00.000Z"}}"#,
            AlertKey::of(&[alert])
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_replay_writes_nothing_at_or_below_the_last_live_record() {
        let mut written = Written::default();
        assert!(written.is_new(&event("a", 1, 10, "opened", false)));
        assert!(written.is_new(&event("a", 2, 20, "resolved", false)));
        assert!(!written.is_new(&event("a", 1, 10, "opened", false)));
        assert!(!written.is_new(&event("a", 2, 20, "resolved", false)));
        assert!(written.is_new(&event("b", 1, 21, "opened", false)));
    }

    #[test]
    fn offsets_that_begin_anew_with_their_topic_are_not_taken_for_old_ones() {
        let mut written = Written::default();
        let later = |mut event: AlertEvent| {
            event.decided = event.decided.plus_millis(1);
            event
        };
        assert!(written.is_new(&event("a", 1, 900, "opened", false)));
        assert!(written.is_new(&later(event("b", 1, 3, "opened", false))));
        assert!(!written.is_new(&later(event("b", 1, 3, "opened", false))));
        assert!(written.is_new(&later(event("c", 1, 4, "opened", false))));
    }

    #[test]
    fn a_log_whose_clock_was_set_back_is_not_taken_for_another() {
        let mut written = Written::default();
        let mut earlier = event("b", 1, 20, "opened", false);
        earlier.decided = earlier.decided.plus_millis(-3_600_000);
        let first = event("a", 1, 10, "opened", false);
        assert!(written.is_new(&first) && written.is_new(&earlier));
        assert!(!written.is_new(&first) && !written.is_new(&earlier));
    }

    #[test]
    fn a_second_import_leaves_a_historic_alert_as_it_is() {
        let mut written = Written::default();
        assert!(written.is_new(&event("h", 1, 900, "opened", true)));
        assert!(written.is_new(&event("h", 2, 900, "resolved", true)));
        // The next import finds it longer, with another cause.
        assert!(!written.is_new(&event("h", 1, 1_900, "opened", true)));
        assert!(!written.is_new(&event("h", 2, 1_900, "rising", true)));
        assert!(!written.is_new(&event("h", 3, 1_900, "resolved", true)));
        // Causes of the past do not stand in the way of the live ones.
        assert!(written.is_new(&event("a", 1, 950, "opened", false)));
    }

    #[test]
    fn a_historic_alert_opens_again_in_the_run_that_ended_it_alone() {
        let mut written = Written::default();
        for (sequence, transition) in [(1, "opened"), (2, "resolved")] {
            assert!(written.is_new(&event("h", sequence, 900, transition, true)));
        }
        // A crash came here: the run is repeated.
        assert!(!written.is_new(&event("h", 1, 900, "opened", true)));
        assert!(!written.is_new(&event("h", 2, 900, "resolved", true)));
        assert!(written.is_new(&event("h", 3, 900, "reopened", true)));
        assert!(written.is_new(&event("h", 4, 900, "resolved", true)));
        assert!(!written.is_new(&event("h", 5, 1_900, "reopened", true)), "the next import leaves it");
    }

    #[test]
    fn a_historic_alert_that_a_crash_cut_short_is_continued() {
        let mut written = Written::default();
        assert!(written.is_new(&event("h", 1, 900, "opened", true)));
        assert!(!written.is_new(&event("h", 1, 900, "opened", true)));
        assert!(written.is_new(&event("h", 2, 900, "resolved", true)));
    }
}
