//! Matches of a rule about each mention that asks for several: those that are too few so far.
//!
//! They are published within the time that the rule's alerts stay open without another one. What belongs here: which of
//! them are still to be counted, and when they are enough.

use std::collections::BTreeSet;

use earshot_common::definitions::EachCondition;
use earshot_common::events::{Gathered, Signal};
use earshot_common::keys::AuthorKey;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::HOUR_MS;
use super::evidence::{Evidence, Witness};

/// A bound on memory. Past it an early match goes whose author has a later one. With twice of what a rule can ask for
/// that decides nothing: where it goes a hundred later ones stay.
const MOST: usize = 2 * EachCondition::MOST_GATHERED as usize;

/// The matches so far, by the time of their publication.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Gathering(Vec<Match>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Match {
    witness: Witness,
    author: Option<AuthorKey>,
    source: String,
}

/// Matches that are enough.
#[derive(Clone, Debug)]
pub(crate) struct Enough {
    pub(crate) numbers: Gathered,
    pub(crate) evidence: Evidence,
    /// When the last of them was published.
    pub(crate) last: Timestamp,
}

impl Gathering {
    /// Takes a match in. Answers all of them where they are enough with it, and then begins anew.
    pub(super) fn take(
        &mut self,
        condition: &EachCondition,
        signal: &Signal,
        witness: Witness,
    ) -> Option<Enough> {
        let at = signal.event_time;
        let place = self.0.partition_point(|known| known.witness.event_time() <= at);
        self.0.insert(place, Match { witness, author: signal.author, source: signal.source.clone() });
        let last = self.0.last()?.witness.event_time();
        let too_early = last.plus_millis(-i64::from(condition.quiet_after_hours) * HOUR_MS);
        self.0.retain(|known| known.witness.event_time() > too_early || known.witness.event_time() == last);
        let authors = self.0.iter().map(|known| known.author).collect::<BTreeSet<_>>().len() as u32;
        let mentions = self.0.len() as u32;
        if mentions < condition.mentions_at_least || authors < condition.authors_at_least {
            self.forget_one();
            return None;
        }
        let mut evidence = Evidence::default();
        for known in &self.0 {
            evidence.add(known.witness, &known.source);
        }
        let numbers = Gathered {
            mentions,
            authors,
            first: self.0.first()?.witness.event_time(),
            mentions_at_least: condition.mentions_at_least,
            authors_at_least: condition.authors_at_least,
            within_hours: condition.quiet_after_hours,
        };
        self.0.clear();
        Some(Enough { numbers, evidence, last })
    }

    fn forget_one(&mut self) {
        if self.0.len() <= MOST {
            return;
        }
        let mut later = BTreeSet::new();
        let mut earliest = None;
        for (place, known) in self.0.iter().enumerate().rev() {
            if !later.insert(known.author) {
                earliest = Some(place);
            }
        }
        if let Some(place) = earliest {
            self.0.remove(place);
        }
    }
}
