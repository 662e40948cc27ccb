//! When the log must be told what time it is: timers of the fold follow its clock, and that stands still where nobody
//! appends anything, as while enrichment is down. Pure.

use earshot_common::time::Timestamp;

/// Nothing was appended for so long: enrichment, which tells its progress every five seconds, stands still.
const QUIET_MS: i64 = 10_000;
/// A tick that came before the timer by the log's clock, which may be behind ours, is followed by another after this.
const AGAIN_MS: i64 = 60_000;

/// When ticks are due, by our clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticks {
    /// When the log last took something, as far as we know.
    appended: Timestamp,
    /// The timer that the last tick was for.
    told: Option<Timestamp>,
}

impl Ticks {
    /// Something was read from the log.
    pub(crate) fn note_append(&mut self, now: Timestamp) {
        self.appended = now;
    }

    /// Whether to append a tick now, that the fold's next timer may end. It counts as appended.
    pub(crate) fn take_due(&mut self, timer: Option<Timestamp>, now: Timestamp) -> bool {
        if timer.is_none_or(|timer| now < timer) {
            return false;
        }
        let wait_ms = if self.told == timer { AGAIN_MS } else { QUIET_MS };
        // A clock that was set back must not make a wait longer.
        if self.appended <= now && now < self.appended.plus_millis(wait_ms) {
            return false;
        }
        *self = Self { appended: now, told: timer };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn one_tick_is_due_for_a_timer_and_only_where_nothing_else_is_appended() {
        let mut ticks = Ticks::default();
        ticks.note_append(at(100));
        assert!(!ticks.take_due(None, at(900)), "nothing is due");
        assert!(!ticks.take_due(Some(at(105)), at(104)));
        assert!(!ticks.take_due(Some(at(105)), at(109)), "something else may come");
        assert!(ticks.take_due(Some(at(105)), at(110)));
        // Where the log's clock is behind, the timer is still there.
        ticks.note_append(at(111));
        assert!(!ticks.take_due(Some(at(105)), at(170)));
        assert!(ticks.take_due(Some(at(105)), at(171)));
        // The next timer has its own; a clock that was set back does not keep it.
        assert!(ticks.take_due(Some(at(60)), at(90)));
        assert!(!ticks.take_due(Some(at(95)), at(99)));
        assert!(ticks.take_due(Some(at(95)), at(100)));
    }
}
