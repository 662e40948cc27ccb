//! When nobody heard what a source had to say, or Earshot itself heard nothing: what a brief must name.

use std::collections::BTreeMap;
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
    /// When the log last took a sign of ingest; none where that has never given one.
    collected: Option<Timestamp>,
    /// When ingest last stood still.
    stood_still: Option<Range<Timestamp>>,
}

impl Gaps {
    /// A source answers again. One that nobody asked while ingest stood still is no gap beside that.
    pub(super) fn end(&mut self, source: &str, from: Timestamp, until: Timestamp) {
        let is_within = |still: &Range<Timestamp>| {
            still.start <= from.plus_millis(PAUSE_MS) && until <= still.end.plus_millis(PAUSE_MS)
        };
        if !self.stood_still.as_ref().is_some_and(is_within) {
            self.note(Some(source), from, until);
        }
    }

    /// Ingest is at work.
    pub(super) fn collecting(&mut self, at: Timestamp) {
        if let Some(since) = self.stands_still(at) {
            self.note(None, since, at);
            self.stood_still = Some(since..at);
        }
        self.collected = Some(at);
    }

    /// Since when ingest gives no sign, where that is too long by then. It tells one every five minutes.
    pub(super) fn stands_still(&self, now: Timestamp) -> Option<Timestamp> {
        self.collected.filter(|at| at.plus_millis(PAUSE_MS) <= now)
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
        let mut gap = Gap { source: source.map(str::to_owned), from, until: Some(until) };
        self.over.retain(|other| {
            // Where ingest and enrichment were down together that is told once.
            let overlaps = other.source == gap.source && other.from < until && other.until > Some(from);
            if overlaps {
                (gap.from, gap.until) = (gap.from.min(other.from), gap.until.max(other.until));
            }
            !overlaps && other.until >= Some(until.plus_millis(-KEPT_MS))
        });
        if self.over.len() == MOST_KEPT {
            self.over.remove(0);
        }
        self.over.push(gap);
    }
}

impl State {
    /// The sources that do not answer; while ingest stands still all that it is to ask.
    pub(super) fn unheard(&self) -> BTreeMap<String, Timestamp> {
        let mut unheard = self.failing.clone();
        if let Some(since) = self.gaps.stands_still(self.cause.appended) {
            for source in self.watchlist.sources() {
                unheard.entry(source.id.clone()).or_insert(since);
            }
        }
        unheard
    }

    /// What was not heard at some time in a period: first what lasts, then by when it began. What nobody has collected
    /// and what enrichment has not come to yet lasts.
    pub(crate) fn gaps(&self, period: &Range<Timestamp>) -> Vec<Gap> {
        let read = self.clock.filter(|clock| clock.plus_millis(PAUSE_MS) <= period.end);
        let done = read.into_iter().chain(self.gaps.stands_still(period.end)).min();
        let unread = done.map(|from| Gap { source: None, from, until: None });
        let is_source = |id: &String| self.watchlist.sources().any(|source| source.id == *id);
        let lasting = self.failing.iter().filter(|(id, _)| is_source(id)).map(|(id, from)| Gap {
            source: Some(id.clone()),
            from: *from,
            until: None,
        });
        // A pause that is not made up for is part of what lasts.
        let is_over = |gap: &&Gap| gap.source.is_some() || done.is_none_or(|done| gap.until <= Some(done));
        let over = self.gaps.over.iter().filter(is_over).cloned();
        let within = |gap: &Gap| gap.from < period.end && gap.until.is_none_or(|until| until > period.start);
        let mut gaps: Vec<Gap> = lasting.chain(unread).chain(over).filter(within).collect();
        gaps.sort_by_key(|gap| (gap.until.is_some(), gap.from));
        gaps
    }
}
