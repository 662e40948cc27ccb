//! Which mentions were taken in already, so that a second collection is not a second mention.
//!
//! A second *delivery* is told by its raw offset, elsewhere; this is about a source that answers the same post
//! again, or its edit.

use std::collections::{BTreeSet, HashMap};

use earshot_common::keys::MentionKey;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::DAY_MS;

/// A bound on memory: past it the oldest are forgotten first.
const MOST: usize = 1_000_000;

/// A day may fire until two days after its end.
const COUNTED_FOR_MS: i64 = 4 * DAY_MS;

/// What a mention is to somebody who may have seen it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Novelty {
    /// It was never seen.
    New,
    /// It is a newer revision of one that was.
    Edited,
    /// It was seen as it is, or newer.
    Known,
}

/// The mentions of the last days, by 64 bits of their keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub(crate) struct Memory {
    lasts_ms: i64,
    revisions: HashMap<u64, i64>,
    by_age: BTreeSet<(Timestamp, u64)>,
}

/// A memory as snapshots hold it: the oldest first, each with when it was taken in, its key and its revision.
#[derive(Serialize, Deserialize)]
struct Form {
    lasts_ms: i64,
    taken: Vec<(i64, u64, i64)>,
}

impl From<Memory> for Form {
    fn from(memory: Memory) -> Self {
        let revision = |short: &u64| memory.revisions.get(short).copied().unwrap_or_default();
        let entry = |(taken, short): &(Timestamp, u64)| (taken.as_millis(), *short, revision(short));
        Self { lasts_ms: memory.lasts_ms, taken: memory.by_age.iter().map(entry).collect() }
    }
}

impl From<Form> for Memory {
    fn from(form: Form) -> Self {
        let mut memory = Self::lasting(form.lasts_ms);
        for (taken, short, revision) in form.taken {
            memory.revisions.insert(short, revision);
            memory.by_age.insert((Timestamp::from_millis(taken), short));
        }
        memory
    }
}

impl Memory {
    /// The memory of what was counted: longer than any window may fire, so that none counts a mention twice.
    pub(crate) fn of_counted() -> Self {
        Self::lasting(COUNTED_FOR_MS)
    }

    /// An empty memory that keeps a mention for this long.
    pub(crate) fn lasting(lasts_ms: i64) -> Self {
        Self { lasts_ms, revisions: HashMap::new(), by_age: BTreeSet::new() }
    }

    /// Takes a mention in. `now` only moves forward, and it is what age is counted from: a mention that arrives
    /// days late is remembered as long as any other.
    pub(crate) fn take(&mut self, mention: MentionKey, revision: i64, now: Timestamp) -> Novelty {
        self.forget(now);
        let short = mention.short();
        match self.revisions.get_mut(&short) {
            Some(known) if *known >= revision => Novelty::Known,
            Some(known) => {
                *known = revision;
                Novelty::Edited
            }
            None => {
                self.revisions.insert(short, revision);
                self.by_age.insert((now, short));
                Novelty::New
            }
        }
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some(&(taken, short)) = self.by_age.first() {
            let old = taken.plus_millis(self.lasts_ms) < now;
            if !old && self.by_age.len() <= MOST {
                return;
            }
            self.by_age.pop_first();
            self.revisions.remove(&short);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_is_new_once_and_an_edit_is_told_from_a_copy() {
        let mut memory = Memory::lasting(1000);
        let (post, now) = (MentionKey::of("hn:1"), Timestamp::from_millis(0));
        assert_eq!(memory.take(post, 1, now), Novelty::New);
        assert_eq!(memory.take(post, 1, now), Novelty::Known);
        assert_eq!(memory.take(post, 2, now), Novelty::Edited);
        assert_eq!(memory.take(post, 1, now), Novelty::Known, "an older copy comes late");
        let later = now.plus_millis(1001);
        assert_eq!(memory.take(MentionKey::of("hn:2"), 1, later), Novelty::New);
        assert_eq!(memory.revisions.len(), 1, "what is older is forgotten");
    }
}
