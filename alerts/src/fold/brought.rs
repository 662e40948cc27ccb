//! Which sources bring the mentions of a subject, and how many each.

use std::collections::BTreeMap;

use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::series::LOOK_BACK_MS;

/// So many sources are told apart: past it the one that was not heard for longest makes room.
const MOST_SOURCES: usize = 1_000;
/// Mentions are counted over the span of two of these at most, so that what a source once brought is forgotten.
const PERIOD_MS: i64 = LOOK_BACK_MS / 2;
/// Sources that bring one in so many mentions or more are a real share of them.
const REAL_SHARE: u64 = 10;

/// The sources of a subject.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Brought(BTreeMap<String, Source>);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Source {
    /// When it last brought a mention.
    last: Timestamp,
    /// Mentions in the period of that, and in the one before.
    mentions: [u32; 2],
}

impl Brought {
    /// A source has brought a mention.
    pub(super) fn note(&mut self, source: &str, now: Timestamp) {
        match self.0.get_mut(source) {
            Some(source) => source.note(now),
            None => {
                self.make_room(now);
                self.0.insert(source.to_owned(), Source { last: now, mentions: [1, 0] });
            }
        }
    }

    /// Whether a source brought any within the look-back.
    pub(super) fn is_heard(&self, source: &str, clock: Timestamp) -> bool {
        self.is_heard_since(source, clock.plus_millis(-LOOK_BACK_MS))
    }

    /// Whether a source brought any since then.
    pub(super) fn is_heard_since(&self, source: &str, since: Timestamp) -> bool {
        self.0.get(source).is_some_and(|source| source.last >= since)
    }

    /// Whether the sources that do not answer bring a real share of the mentions, so that without them nobody knows
    /// whether a subject is silent.
    pub(super) fn misses(&self, failing: &BTreeMap<String, Timestamp>, clock: Timestamp) -> bool {
        let (mut missed, mut all) = (0, 0);
        for (id, source) in &self.0 {
            let mentions = source.mentions_at(clock);
            all += mentions;
            missed += if failing.contains_key(id) { mentions } else { 0 };
        }
        missed > 0 && missed * REAL_SHARE >= all
    }

    fn make_room(&mut self, now: Timestamp) {
        let oldest = now.plus_millis(-LOOK_BACK_MS);
        self.0.retain(|_, source| source.last >= oldest);
        if self.0.len() >= MOST_SOURCES
            && let Some((_, id)) = self.0.iter().map(|(id, source)| (source.last, id)).min()
        {
            let id = id.clone();
            self.0.remove(&id);
        }
    }
}

impl Source {
    fn note(&mut self, now: Timestamp) {
        self.mentions = match period(now) - period(self.last) {
            ..=0 => self.mentions,
            1 => [0, self.mentions[0]],
            _ => [0, 0],
        };
        self.mentions[0] = self.mentions[0].saturating_add(1);
        self.last = self.last.max(now);
    }

    fn mentions_at(&self, clock: Timestamp) -> u64 {
        let [newest, before] = self.mentions.map(u64::from);
        match period(clock) - period(self.last) {
            ..=0 => newest + before,
            1 => newest,
            _ => 0,
        }
    }
}

fn period(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(PERIOD_MS)
}

#[cfg(test)]
mod tests {
    use super::super::calendar::DAY_MS;
    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_millis(day * DAY_MS)
    }

    #[test]
    fn a_source_is_missed_where_it_brings_a_tenth() {
        let failing = BTreeMap::from([("blog".to_owned(), day(0))]);
        let mut brought = Brought::default();
        brought.note("blog", day(0));
        for _ in 0..9 {
            brought.note("hn", day(0));
        }
        assert!(brought.misses(&failing, day(1)), "one in ten");
        brought.note("hn", day(1));
        assert!(!brought.misses(&failing, day(1)), "one in eleven");
        assert!(!brought.misses(&BTreeMap::new(), day(1)), "all answer");
    }

    #[test]
    fn what_a_source_brought_long_ago_is_forgotten() {
        let failing = BTreeMap::from([("blog".to_owned(), day(0))]);
        let mut brought = Brought::default();
        for _ in 0..100 {
            brought.note("blog", day(0));
        }
        for at in 1..57 {
            brought.note("hn", day(at));
        }
        assert!(brought.misses(&failing, day(55)));
        assert!(!brought.misses(&failing, day(56)), "the second span of 28 days after it has begun");
        assert!(brought.is_heard("blog", day(56)) && !brought.is_heard("blog", day(57)));
    }

    #[test]
    fn the_source_that_was_not_heard_for_longest_makes_room() {
        let mut brought = Brought::default();
        for number in 0..=MOST_SOURCES {
            brought.note(&number.to_string(), Timestamp::from_millis(number as i64));
        }
        assert_eq!(brought.0.len(), MOST_SOURCES);
        assert!(!brought.is_heard("0", day(1)) && brought.is_heard("1", day(1)));
    }
}
