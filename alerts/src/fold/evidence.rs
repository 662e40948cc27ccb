//! Which mentions stand for an alert: the strongest and the latest, not all.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use earshot_common::events::{Polarity, Signal, SubjectSignal};
use earshot_common::keys::{MentionKey, StoryKey};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::desks::DeskSet;

/// How many are kept of each kind.
const KEPT: usize = 10;
/// How many sources are remembered.
const MOST_SOURCES: usize = 50;

/// The strongest and the latest mentions of a window or an alert. The same mentions give the same evidence in
/// whatever order they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    strongest: Vec<Witness>,
    latest: Vec<Witness>,
    sources: BTreeSet<String>,
    /// The widest reach that is known of any of them.
    widest: u64,
}

/// One mention, as far as evidence needs it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Witness {
    mention: MentionKey,
    story: Option<StoryKey>,
    polarity: f32,
    event_time: Timestamp,
    reach: u64,
    desks: DeskSet,
}

/// What copies have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Story(StoryKey),
    Mention(MentionKey),
}

impl Witness {
    /// The mention as it concerns one of its subjects.
    pub(crate) fn of(signal: &Signal, subject: &SubjectSignal) -> Self {
        Self {
            mention: signal.mention,
            story: signal.story,
            polarity: subject.polarity,
            event_time: signal.event_time,
            reach: signal.accounts().unwrap_or_default(),
            desks: DeskSet::of(&signal.desks),
        }
    }

    /// Whether it is negative.
    pub(crate) fn is_negative(&self) -> bool {
        Polarity::of(self.polarity) == Polarity::Negative
    }

    /// When it was published.
    pub(crate) fn event_time(&self) -> Timestamp {
        self.event_time
    }

    fn by_strength(&self, other: &Self) -> Ordering {
        self.polarity.total_cmp(&other.polarity).then_with(|| self.by_time(other))
    }

    fn by_time(&self, other: &Self) -> Ordering {
        other.event_time.cmp(&self.event_time).then(self.mention.cmp(&other.mention))
    }

    /// Copies of one text are one story; a mention too short to have a story is its own.
    fn identity(&self) -> Identity {
        match self.story {
            Some(story) => Identity::Story(story),
            None => Identity::Mention(self.mention),
        }
    }
}

impl Evidence {
    /// Takes a mention in.
    pub(crate) fn add(&mut self, witness: Witness, source: &str) {
        keep(&mut self.strongest, witness, Witness::by_strength);
        keep(&mut self.latest, witness, Witness::by_time);
        self.widest = self.widest.max(witness.reach);
        if self.sources.len() < MOST_SOURCES && !self.sources.contains(source) {
            self.sources.insert(source.to_owned());
        }
    }

    /// Accounts that could have seen the mention of the widest reach, as far as is known.
    pub(crate) fn widest_reach(&self) -> u64 {
        self.widest
    }

    /// Those of the sources behind it that are among these.
    pub(crate) fn sources_among(&self, failing: &BTreeMap<String, Timestamp>) -> Vec<String> {
        self.sources.iter().filter(|source| failing.contains_key(*source)).cloned().collect()
    }

    /// The mentions, each once: the strongest first, then the latest.
    pub(crate) fn mentions(&self) -> Vec<MentionKey> {
        self.witnesses().map(|witness| witness.mention).collect()
    }

    /// The desks that it is for.
    pub(crate) fn desks(&self) -> Vec<String> {
        DeskSet::of_most(self.witnesses().map(|witness| witness.desks)).names()
    }

    fn witnesses(&self) -> impl Iterator<Item = &Witness> {
        let among_strongest =
            |latest: &&Witness| self.strongest.iter().any(|known| known.mention == latest.mention);
        self.strongest.iter().chain(self.latest.iter().filter(move |latest| !among_strongest(latest)))
    }

    /// Whether at least half of its stories are among those of the others.
    pub(crate) fn mostly_within<'a>(&self, others: impl Iterator<Item = &'a Self>) -> bool {
        let own: BTreeSet<Identity> = self.stories().collect();
        let shared: BTreeSet<Identity> =
            others.flat_map(Self::stories).filter(|story| own.contains(story)).collect();
        !own.is_empty() && shared.len() * 2 >= own.len()
    }

    fn stories(&self) -> impl Iterator<Item = Identity> {
        self.strongest.iter().chain(&self.latest).map(Witness::identity)
    }
}

fn keep(kept: &mut Vec<Witness>, witness: Witness, order: fn(&Witness, &Witness) -> Ordering) {
    if kept.iter().any(|known| known.mention == witness.mention) {
        return;
    }
    let place = kept.partition_point(|known| order(known, &witness) == Ordering::Less);
    if place < KEPT {
        kept.insert(place, witness);
        kept.truncate(KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(number: u32, polarity: f32, millis: i64) -> Witness {
        Witness {
            mention: MentionKey::of(&number.to_string()),
            story: None,
            polarity,
            event_time: Timestamp::from_millis(millis),
            reach: 0,
            desks: DeskSet::default(),
        }
    }

    #[test]
    fn the_strongest_and_the_latest_stay_whatever_the_order() {
        let witnesses: Vec<Witness> =
            (0..100).map(|n| witness(n, if n == 3 { -0.9 } else { 0.1 }, i64::from(n))).collect();
        let (mut forward, mut backward) = (Evidence::default(), Evidence::default());
        for witness in &witnesses {
            forward.add(*witness, "hn");
        }
        for witness in witnesses.iter().rev() {
            backward.add(*witness, "hn");
        }
        assert_eq!(forward, backward);
        let mentions = forward.mentions();
        assert_eq!(mentions[0], MentionKey::of("3"), "the most negative one comes first");
        assert!(mentions.contains(&MentionKey::of("99")), "the latest one is there");
        assert!(mentions.len() <= 20);
    }

    #[test]
    fn half_of_the_stories_make_one_situation() {
        let (mut company, mut executive) = (Evidence::default(), Evidence::default());
        company.add(witness(1, -0.5, 1), "hn");
        executive.add(witness(1, -0.5, 1), "hn");
        executive.add(witness(2, -0.5, 2), "hn");
        assert!(executive.mostly_within([&company].into_iter()));
        executive.add(witness(3, -0.5, 3), "hn");
        assert!(!executive.mostly_within([&company].into_iter()), "one of three is less than half");
        assert!(!Evidence::default().mostly_within([&company].into_iter()));
    }
}
