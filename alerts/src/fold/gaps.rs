//! When nobody heard what a source had to say, or Earshot itself heard nothing: what a brief must name.

use std::ops::Range;

use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::State;
use super::calendar::DAY_MS;

/// Enrichment tells its progress every few seconds; a pause as long as this is an outage. A source that answers again
/// sooner was busy, and nothing is missing.
const PAUSE_MS: i64 = 15 * 60 * 1_000;
/// What ended longer ago than a brief reaches back is forgotten.
const KEPT_MS: i64 = 32 * DAY_MS;
/// So many are remembered, the newest.
const MOST_KEPT: usize = 1_000;

/// A time in which something was not heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// The source that did not answer; none where Earshot itself was not running, or not getting on.
    pub(crate) source: Option<String>,
    /// Since when.
    pub(crate) from: Timestamp,
    /// Until when; none where it lasts.
    pub(crate) until: Option<Timestamp>,
}

/// The gaps that are over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Gaps {
    over: Vec<Gap>,
    /// When the log last took enrichment's progress.
    progressed: Option<Timestamp>,
}

impl Gaps {
    /// A source answers again.
    pub(super) fn end(&mut self, source: &str, from: Timestamp, until: Timestamp) {
        self.note(Some(source), from, until);
    }

    /// Enrichment told its progress.
    pub(super) fn progress(&mut self, at: Timestamp) {
        if let Some(before) = self.progressed {
            self.note(None, before, at);
        }
        self.progressed = Some(at);
    }

    fn note(&mut self, source: Option<&str>, from: Timestamp, until: Timestamp) {
        if until < from.plus_millis(PAUSE_MS) {
            return;
        }
        self.over.retain(|gap| gap.until >= Some(until.plus_millis(-KEPT_MS)));
        if self.over.len() == MOST_KEPT {
            self.over.remove(0);
        }
        self.over.push(Gap { source: source.map(str::to_owned), from, until: Some(until) });
    }
}

impl State {
    /// What was not heard at some time in a period: first what lasts, then by when it began. What enrichment has not
    /// come to yet lasts.
    pub(crate) fn gaps(&self, period: &Range<Timestamp>) -> Vec<Gap> {
        let done = self.clock.filter(|clock| clock.plus_millis(PAUSE_MS) <= period.end);
        let unread = done.map(|from| Gap { source: None, from, until: None });
        let is_source = |id: &String| self.watchlist.sources().any(|source| source.id == *id);
        let lasting = self.failing.iter().filter(|(id, _)| is_source(id)).map(|(id, from)| Gap {
            source: Some(id.clone()),
            from: *from,
            until: None,
        });
        // A pause of enrichment that it has not made up for is part of what lasts.
        let is_over = |gap: &&Gap| gap.source.is_some() || done.is_none_or(|done| gap.until <= Some(done));
        let over = self.gaps.over.iter().filter(is_over).cloned();
        let within = |gap: &Gap| gap.from < period.end && gap.until.is_none_or(|until| until > period.start);
        let mut gaps: Vec<Gap> = lasting.chain(unread).chain(over).filter(within).collect();
        gaps.sort_by_key(|gap| (gap.until.is_some(), gap.from));
        gaps
    }
}
