//! What the topic `alerts` holds already, so that a replay writes nothing twice.

use std::collections::HashMap;

use earshot_common::events::{AlertEvent, CausedBy, Transition};
use earshot_common::keys::AlertKey;

/// An account of the records of `alerts`.
///
/// Live transitions are written in the order of their causes, so everything up to the last one is there. The
/// historic fold runs again after each import, with another cause: there an alert that is complete is left as it
/// is, and one that a crash cut short is continued.
#[derive(Debug, Default)]
pub(crate) struct Written {
    last_live: Option<CausedBy>,
    historic: HashMap<AlertKey, Historic>,
}

#[derive(Clone, Copy, Debug)]
struct Historic {
    sequence: u32,
    resolved: bool,
}

impl Written {
    /// Takes a transition in. Answers whether it is not written yet.
    pub(crate) fn is_new(&mut self, event: &AlertEvent) -> bool {
        if !event.historic {
            let new = self.last_live < Some(event.signals);
            self.last_live = self.last_live.max(Some(event.signals));
            return new;
        }
        let known = self.historic.get(&event.alert);
        let new = known.is_none_or(|known| !known.resolved && known.sequence < event.sequence);
        if new {
            let resolved = event.transition == Transition::Resolved;
            self.historic.insert(event.alert, Historic { sequence: event.sequence, resolved });
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_historic_alert_that_a_crash_cut_short_is_continued() {
        let mut written = Written::default();
        assert!(written.is_new(&event("h", 1, 900, "opened", true)));
        assert!(!written.is_new(&event("h", 1, 900, "opened", true)));
        assert!(written.is_new(&event("h", 2, 900, "resolved", true)));
    }
}
