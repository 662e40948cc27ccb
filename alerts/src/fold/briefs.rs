//! Which briefs are due, by the log's clock.
//!
//! The first record that the log takes at or after a brief's time makes it due. One that is due takes the place of one
//! that nobody got: after an outage people get one message and not one for each day, and it reaches back to where the
//! last one ended that somebody got. What belongs here: when, for whom and of which time. What a brief says is
//! [`crate::briefs`]'s.

use std::ops::Range;

use earshot_common::definitions::{Brief, Route, Watchlist};
use earshot_common::events::{Delivery, DeliveryState, Notification};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::alert::notifications;
use super::calendar::DAY_MS;
use super::{State, routes};

/// A brief reaches back no further than this, whoever did not get the ones before.
const LONGEST_MS: i64 = 31 * DAY_MS;

/// How a brief in force stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Schedule {
    /// When it is due next.
    pub(super) next: Timestamp,
    /// Where the next one begins: where the last one ended that somebody got. None before the first.
    begins: Option<Timestamp>,
    /// The last one that was due.
    due: Option<DueBrief>,
}

/// A brief that was due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DueBrief {
    /// As it was defined then.
    pub(crate) brief: Brief,
    /// Since when it tells what changed.
    pub(crate) from: Timestamp,
    /// When it was due; it tells nothing later.
    pub(crate) until: Timestamp,
    /// When the log took the record that made it due.
    pub(crate) decided: Timestamp,
    /// Whom to tell.
    pub(crate) notify: Vec<Notification>,
}

impl DueBrief {
    /// The time that it tells of.
    pub(crate) fn period(&self) -> Range<Timestamp> {
        self.from..self.until
    }

    /// Whether one of its messages, or one in the place of these, has this key.
    fn has(&self, key: &str) -> bool {
        let mut messages = self.notify.iter().flat_map(|first| std::iter::once(first).chain(&first.fallback));
        messages.any(|message| message.key == key)
    }
}

impl Schedule {
    fn new(next: Timestamp) -> Self {
        Self { next, begins: None, due: None }
    }

    /// The time that a brief tells of that ends there.
    fn period(&self, brief: &Brief, until: Timestamp) -> Range<Timestamp> {
        let begins = self.begins.unwrap_or_else(|| brief.last_due(until.plus_millis(-1)));
        begins.max(until.plus_millis(-LONGEST_MS)).min(until)..until
    }

    /// What is due now, of all that was missed the last.
    fn fall_due(&mut self, brief: &Brief, now: Timestamp, watchlist: &Watchlist) {
        let until = brief.last_due(now);
        let period = self.period(brief, until);
        // Where nobody gets this one, the next begins where it does.
        self.begins = Some(period.start);
        self.next = brief.next_due(now);
        let prefix = format!("brief/{}/{until}", brief.id);
        let notify = routes(watchlist, &brief.to)
            .map(|routes| notifications(&prefix, &[routes], Route::readers))
            .unwrap_or_default();
        self.due = Some(DueBrief { brief: brief.clone(), from: period.start, until, decided: now, notify });
    }
}

impl State {
    /// The last brief of each kind that was due.
    pub(crate) fn due_briefs(&self) -> impl Iterator<Item = &DueBrief> {
        self.briefs.values().filter_map(|schedule| schedule.due.as_ref())
    }

    /// The time that a brief tells of that ends now.
    pub(crate) fn period_to(&self, brief: &Brief, now: Timestamp) -> Range<Timestamp> {
        let unknown = Schedule::new(now);
        self.briefs.get(&brief.id).unwrap_or(&unknown).period(brief, now)
    }

    /// A definition is in force, or a copy of it: what was due before stays as it is.
    pub(super) fn define_brief(&mut self, id: &str) {
        match self.watchlist.brief(id) {
            Some(brief) => {
                let next = brief.next_due(self.cause.appended);
                self.briefs.entry(id.to_owned()).or_insert_with(|| Schedule::new(next)).next = next;
            }
            None => drop(self.briefs.remove(id)),
        }
        self.set_timer();
    }

    /// The briefs whose time has come.
    pub(super) fn let_briefs_fall_due(&mut self) {
        let now = self.cause.appended;
        for (id, schedule) in self.briefs.iter_mut().filter(|(_, schedule)| schedule.next <= now) {
            if let Some(brief) = self.watchlist.brief(id) {
                schedule.fall_due(brief, now, &self.watchlist);
            }
        }
    }

    /// What somebody got need not be told again by the next brief.
    pub(super) fn note_delivery(&mut self, delivery: &Delivery) {
        if delivery.state != DeliveryState::Delivered {
            return;
        }
        for schedule in self.briefs.values_mut() {
            if let Some(due) = schedule.due.as_ref().filter(|due| due.has(&delivery.key)) {
                schedule.begins = Some(due.until);
            }
        }
    }
}
