//! Mentions of a subject whose definition is not in the log yet.
//!
//! Enrich reads the watchlist by itself, so it may know of a subject before the active instance has copied the subject
//! into `signals`: for seconds, or as long as a take-over lasts. What it says of the subject meanwhile is kept here and
//! counted when the definition is read, as if it came then.

use std::collections::VecDeque;

use earshot_common::events::Signal;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::DAY_MS;

/// A bound on memory: past it the oldest are forgotten first.
const MOST: usize = 20_000;

/// Mentions that wait for a definition, in their order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ahead(VecDeque<Waiting>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    subject: String,
    /// When the log took it: after a day its subject is not to come.
    appended: Timestamp,
    signal: Signal,
}

impl Ahead {
    /// Keeps a mention for a subject that is not in force, where whoever judged it knew more of the watchlist than the
    /// log held by then: `known` is the next offset of that.
    pub(crate) fn keep(&mut self, subject: &str, signal: &Signal, known: u64, appended: Timestamp) {
        if signal.watchlist <= known {
            return;
        }
        self.0.push_back(Waiting { subject: subject.to_owned(), appended, signal: signal.clone() });
        while self.0.len() > MOST || self.0.front().is_some_and(|oldest| oldest.is_old(appended)) {
            self.0.pop_front();
        }
    }

    /// The mentions that waited for a subject, in their order.
    pub(crate) fn take(&mut self, subject: &str, now: Timestamp) -> Vec<Signal> {
        let (mut taken, mut left) = (Vec::new(), VecDeque::new());
        for waiting in std::mem::take(&mut self.0) {
            match waiting.subject == subject {
                true if waiting.is_old(now) => {}
                true => taken.push(waiting.signal),
                false => left.push_back(waiting),
            }
        }
        self.0 = left;
        taken
    }
}

impl Waiting {
    fn is_old(&self, now: Timestamp) -> bool {
        self.appended.plus_millis(DAY_MS) <= now
    }
}
