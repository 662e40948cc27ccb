//! Which imports are complete, so that the fold over the past can run.

use std::collections::{BTreeMap, BTreeSet};

use earshot_common::events::{PartitionProgress, RawPosition};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

/// So many sources of the past are told apart.
const MOST_SOURCES: usize = 10_000;

/// Imports that have ended, and how far their signals are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Imports {
    /// Ended, but not all of their mentions are judged yet: where they end in `mentions.raw`.
    pending: BTreeMap<String, Vec<RawPosition>>,
    /// All of their mentions are judged.
    complete: BTreeSet<String>,
    /// The oldest watchlist that mentions of the past were judged by, by source.
    judged_by: BTreeMap<String, u64>,
    /// The record that last gave the historic fold something to do.
    asked: Option<(u64, Timestamp)>,
}

/// A fold over the past that must run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryDue {
    /// The record of `signals` that asked for it: the fold takes in what the log holds up to here.
    pub offset: u64,
    /// Its append time.
    pub appended: Timestamp,
    /// The imports that are complete: where they reach, the past was observed.
    pub imports: BTreeSet<String>,
    /// The rules and subjects whose history is wanted.
    pub wanted: BTreeSet<(String, String)>,
}

impl Imports {
    /// An import has brought all that it had.
    pub(crate) fn finished(&mut self, source: &str, raw: &[RawPosition]) {
        self.pending.insert(source.to_owned(), raw.to_vec());
    }

    /// Notes by which watchlist a mention of the past was judged: all versions before `watchlist` were known.
    pub(crate) fn judged(&mut self, source: &str, watchlist: u64) {
        let has_room = self.judged_by.len() < MOST_SOURCES;
        match self.judged_by.get_mut(source) {
            Some(oldest) => *oldest = watchlist.min(*oldest),
            None if has_room => {
                self.judged_by.insert(source.to_owned(), watchlist);
            }
            None => {}
        }
    }

    /// Whether mentions of a complete import were judged before this version was known. Of sources past the most that
    /// are told apart nobody knows.
    pub(crate) fn were_judged_before(&self, version: u64) -> bool {
        self.complete.iter().any(|import| match self.judged_by.get(import) {
            Some(watchlist) => *watchlist <= version,
            None => self.judged_by.len() >= MOST_SOURCES,
        })
    }

    /// Moves on what enrichment has come to the end of. Answers whether any import became complete.
    pub(crate) fn complete(
        &mut self,
        progress: &BTreeMap<u32, PartitionProgress>,
        offset: u64,
        appended: Timestamp,
    ) -> bool {
        let judged = |end: &RawPosition| {
            progress.get(&end.partition).is_some_and(|partition| partition.next >= end.offset)
        };
        let done: Vec<String> = self
            .pending
            .iter()
            .filter(|(_, ends)| ends.iter().all(judged))
            .map(|(source, _)| source.clone())
            .collect();
        for source in &done {
            self.pending.remove(source);
            self.complete.insert(source.clone());
            self.asked = Some((offset, appended));
        }
        !done.is_empty()
    }

    /// The imports whose mentions are all judged.
    pub(crate) fn complete_ones(&self) -> &BTreeSet<String> {
        &self.complete
    }

    /// Whether an import has ended whose mentions are not all judged.
    pub(crate) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// A rule was put on a subject: it has no history yet.
    pub(crate) fn defined(&mut self, offset: u64, appended: Timestamp) {
        if !self.complete.is_empty() {
            self.asked = Some((offset, appended));
        }
    }

    /// The fold to run for the rules and subjects that lack their history, if there are any.
    pub(crate) fn due(&self, lacking: impl FnOnce() -> BTreeSet<(String, String)>) -> Option<HistoryDue> {
        let (offset, appended) = self.asked?;
        let wanted = lacking();
        if wanted.is_empty() {
            return None;
        }
        Some(HistoryDue { offset, appended, imports: self.complete.clone(), wanted })
    }
}
