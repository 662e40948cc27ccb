//! Which briefs are due, by the log's clock.
//!
//! The first record that the log takes at or after a brief's time makes it due. One that is due takes the place of one
//! that nobody got: after an outage people get one message and not one for each day, and to each address it reaches back
//! to where the last one ended that came there. What belongs here: when, for whom and of which time. What a brief says is
//! [`crate::briefs`]'s.

use std::collections::BTreeMap;
use std::ops::Range;

use earshot_common::definitions::{Brief, Route, Watchlist};
use earshot_common::events::{Channel, Delivery, DeliveryState, Notification};
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
    /// Where the next one begins, for each address: where the last one ended that came there. None before the first.
    begins: BTreeMap<String, Timestamp>,
    /// The last one that was due.
    due: Option<DueBrief>,
}

/// A brief that was due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DueBrief {
    /// As it was defined then.
    pub(crate) brief: Brief,
    /// Since when it tells what changed to those who got the one before.
    pub(crate) from: Timestamp,
    /// The same of the messages, by their keys, to those who did not.
    #[serde(default)]
    pub(crate) longer: BTreeMap<String, Timestamp>,
    /// When it was due; it tells nothing later.
    pub(crate) until: Timestamp,
    /// When the log took the record that made it due.
    pub(crate) decided: Timestamp,
    /// Whom to tell.
    pub(crate) notify: Vec<Notification>,
}

impl DueBrief {
    /// The time that the message with this key tells of.
    pub(crate) fn period(&self, key: &str) -> Range<Timestamp> {
        self.longer.get(key).copied().unwrap_or(self.from)..self.until
    }

    /// The address that is told by the message with this key, or by the one that it takes the place of.
    fn address(&self, key: &str) -> Option<String> {
        let first =
            self.notify.iter().find(|first| with_fallback(first).any(|message| message.key == key))?;
        Some(address(&first.to))
    }
}

/// A message, and those in its place.
fn with_fallback(first: &Notification) -> impl Iterator<Item = &Notification> {
    std::iter::once(first).chain(&first.fallback)
}

fn address(to: &Channel) -> String {
    format!("{}/{}", to.name(), to.address().unwrap_or_default())
}

impl Schedule {
    fn new(next: Timestamp) -> Self {
        Self { next, begins: BTreeMap::new(), due: None }
    }

    /// Since when a brief that ends there tells those whose last one ended then.
    fn begin(brief: &Brief, last: Option<Timestamp>, until: Timestamp) -> Timestamp {
        let begins = last.unwrap_or_else(|| brief.last_due(until.plus_millis(-1)));
        begins.max(until.plus_millis(-LONGEST_MS)).min(until)
    }

    /// What is due now, of all that was missed the last.
    fn fall_due(&mut self, brief: &Brief, now: Timestamp, watchlist: &Watchlist) {
        let until = brief.last_due(now);
        self.next = brief.next_due(now);
        let prefix = format!("brief/{}/{until}", brief.id);
        let notify = routes(watchlist, &brief.to)
            .map(|routes| notifications(&prefix, &[routes], Route::readers))
            .unwrap_or_default();
        let mut longer = BTreeMap::new();
        for first in &notify {
            // Where this one does not come, the next begins where it does.
            let last = self.begins.get(&address(&first.to)).copied();
            let from = Self::begin(brief, last, until);
            self.begins.insert(address(&first.to), from);
            longer.extend(with_fallback(first).map(|message| (message.key.clone(), from)));
        }
        let from = longer.values().max().copied().unwrap_or_else(|| Self::begin(brief, None, until));
        longer.retain(|_, begins| *begins != from);
        self.due = Some(DueBrief { brief: brief.clone(), from, longer, until, decided: now, notify });
    }
}

impl State {
    /// The last brief of each kind that was due.
    pub(crate) fn due_briefs(&self) -> impl Iterator<Item = &DueBrief> {
        self.briefs.values().filter_map(|schedule| schedule.due.as_ref())
    }

    /// The time that a brief tells of that ends now, to those who got the last one.
    pub(crate) fn period_to(&self, brief: &Brief, now: Timestamp) -> Range<Timestamp> {
        let last = self.briefs.get(&brief.id).and_then(|schedule| schedule.begins.values().max().copied());
        Schedule::begin(brief, last, now)..now
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
            let Some(due) = &schedule.due else { continue };
            if let Some(address) = due.address(&delivery.key) {
                schedule.begins.insert(address, due.until);
            }
        }
    }
}
