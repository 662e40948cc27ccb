//! Thousands of queries that stand on the stream: which of them does this mention match?
//!
//! Of each query a set of words and values is known of which one must be there: the presearcher looks up what
//! the mention has, and only the queries that it finds are evaluated. A query of which nothing must be there
//! is evaluated for every mention.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use super::fields::{Field, NumberField};
use super::matcher::{Plan, Sighting};
use super::places::Place;
use super::tree::{Condition, Moment, Query, Value, Word};
use super::vocabulary::{Item, Vocabulary};
use crate::events::Enriched;
use crate::time::Timestamp;

/// Why a query cannot stand on the stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{condition} cannot stand on the stream: {reason}")]
pub struct Refusal {
    /// The condition, as it is written.
    pub condition: String,
    /// Why not, and what to write instead.
    pub reason: &'static str,
}

/// What of a query could change after the match was made, if anything.
pub fn refusal(query: &Query) -> Option<Refusal> {
    match query {
        Query::Field(condition) => {
            let reason = match condition {
                Condition::Number(NumberField::Reach, ..) => {
                    "reach grows after a mention was matched, which is not done again; ask for `followers:`; rules of \
                     `each mention` have `reach_at_least`"
                }
                Condition::Time(_, Moment::Ago(_)) => {
                    "a time relative to now is another one at every reading; give a date, or leave it out: the stream \
                     is always new"
                }
                Condition::Value(..) | Condition::Number(..) | Condition::Time(..) => return None,
            };
            Some(Refusal { condition: condition.to_string(), reason })
        }
        Query::And(parts) | Query::Or(parts) => parts.iter().find_map(refusal),
        Query::Not(query) => refusal(query),
        Query::All | Query::Text(_) => None,
    }
}

/// Queries by their ids. They can be added, changed and removed between any two mentions.
#[derive(Debug, Default)]
pub struct StandingQueries {
    vocabulary: Vocabulary,
    queries: Vec<Option<Standing>>,
    by_id: HashMap<String, u32>,
    free: Vec<u32>,
    /// By item: the queries that it makes candidates.
    watched: Vec<Vec<u32>>,
    /// Queries of which nothing must be there.
    always: BTreeSet<u32>,
    /// What is worked with, for each thread that asks at the same time.
    desks: Mutex<Vec<Desk>>,
}

/// What one mention is looked at with: made once and used for one mention after another.
#[derive(Debug, Default)]
struct Desk {
    sighting: Sighting,
    candidates: Vec<u32>,
}

#[derive(Debug)]
struct Standing {
    id: String,
    plan: Plan,
    /// One of these must be there; empty where nothing must.
    required: Vec<u32>,
}

impl StandingQueries {
    /// Adds a query, or changes it where the id is there.
    pub fn put(&mut self, id: &str, query: &Query) -> Result<(), Refusal> {
        if let Some(refusal) = refusal(query) {
            return Err(refusal);
        }
        self.remove(id);
        let plan = Plan::of(query, &mut self.vocabulary);
        let mut required = required(&plan, &self.vocabulary).map(|found| found.items).unwrap_or_default();
        required.sort_unstable();
        required.dedup();
        let number = self.free.pop().unwrap_or_else(|| {
            self.queries.push(None);
            self.queries.len() as u32 - 1
        });
        self.watched.resize_with(self.vocabulary.len(), Vec::new);
        for item in &required {
            self.watched[*item as usize].push(number);
        }
        if required.is_empty() {
            self.always.insert(number);
        }
        self.by_id.insert(id.to_owned(), number);
        self.queries[number as usize] = Some(Standing { id: id.to_owned(), plan, required });
        Ok(())
    }

    /// Removes a query; says whether it was there.
    pub fn remove(&mut self, id: &str) -> bool {
        let Some(number) = self.by_id.remove(id) else { return false };
        self.always.remove(&number);
        self.free.push(number);
        if let Some(standing) = self.queries[number as usize].take() {
            for item in standing.required {
                self.watched[item as usize].retain(|query| *query != number);
            }
            let mut items = Vec::new();
            standing.plan.items(&mut items);
            for item in items {
                self.vocabulary.give_back(item);
            }
        }
        true
    }

    /// Queries that stand.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none stands.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The ids of those that stand, in no order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }

    /// The ids of the queries that a mention matches, in alphabetical order.
    pub fn matches(&self, mention: &Enriched) -> Vec<&str> {
        if self.is_empty() {
            return Vec::new();
        }
        self.at_desk(|desk| {
            self.look(mention, desk);
            let candidates = desk.candidates.iter().filter_map(|number| self.standing(*number));
            matching(candidates, &desk.sighting)
        })
    }

    /// The ids of the queries that the presearcher leaves to be evaluated, in no order.
    pub fn candidates(&self, mention: &Enriched) -> Vec<&str> {
        self.at_desk(|desk| {
            self.look(mention, desk);
            let candidates = desk.candidates.iter().filter_map(|number| self.standing(*number));
            candidates.map(|standing| standing.id.as_str()).collect()
        })
    }

    /// The same answer as [`StandingQueries::matches`] without the presearcher: what it is measured against.
    pub fn matches_by_evaluating_all(&self, mention: &Enriched) -> Vec<&str> {
        self.at_desk(|desk| {
            desk.sighting.look(&self.vocabulary, mention);
            matching(self.queries.iter().flatten(), &desk.sighting)
        })
    }

    fn standing(&self, number: u32) -> Option<&Standing> {
        self.queries[number as usize].as_ref()
    }

    fn look(&self, mention: &Enriched, desk: &mut Desk) {
        desk.sighting.look(&self.vocabulary, mention);
        desk.candidates.clear();
        desk.candidates.extend(&self.always);
        for item in desk.sighting.present() {
            desk.candidates.extend(&self.watched[*item as usize]);
        }
        desk.candidates.sort_unstable();
        desk.candidates.dedup();
    }

    /// Works at a desk that nobody else works at.
    fn at_desk<R>(&self, work: impl FnOnce(&mut Desk) -> R) -> R {
        let desks = || self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut desk = desks().pop().unwrap_or_default();
        let done = work(&mut desk);
        desks().push(desk);
        done
    }
}

fn matching<'q>(standing: impl Iterator<Item = &'q Standing>, sighting: &Sighting) -> Vec<&'q str> {
    // No standing query depends on now.
    let now = Timestamp::default();
    let mut ids: Vec<&str> =
        standing.filter(|query| query.plan.holds(sighting, now)).map(|query| query.id.as_str()).collect();
    ids.sort_unstable();
    ids
}

/// Items of which one must be there, and how often one is, in no unit.
pub(super) struct Required {
    pub(super) items: Vec<u32>,
    frequency: u32,
}

/// What must be there for a plan to hold: of several such sets the one that is seldomest there.
fn required(plan: &Plan, vocabulary: &Vocabulary) -> Option<Required> {
    match plan {
        Plan::All | Plan::Field(_) | Plan::Not(_) => None,
        Plan::Present(item) | Plan::Word(_, item) => Some(one(*item, vocabulary)),
        Plan::Text(_, place) => Some(required_of_place(place, vocabulary)),
        Plan::And(parts) => parts
            .iter()
            .filter_map(|part| required(part, vocabulary))
            .min_by_key(|required| required.frequency),
        Plan::Or(parts) => {
            let each: Option<Vec<Required>> = parts.iter().map(|part| required(part, vocabulary)).collect();
            each.map(all_of)
        }
    }
}

pub(super) fn required_of_place(place: &Place, vocabulary: &Vocabulary) -> Required {
    let seldomest = |parts: Vec<Required>| {
        parts.into_iter().min_by_key(|required| required.frequency).expect("a phrase and a pair have parts")
    };
    match place {
        Place::Word(word) => one(*word, vocabulary),
        Place::Phrase(words) | Place::Raw { words, .. } => {
            seldomest(words.iter().map(|word| one(*word, vocabulary)).collect())
        }
        Place::Any(places) => {
            all_of(places.iter().map(|place| required_of_place(place, vocabulary)).collect())
        }
        Place::Near { left, right, .. } => {
            seldomest(vec![required_of_place(left, vocabulary), required_of_place(right, vocabulary)])
        }
    }
}

fn one(item: u32, vocabulary: &Vocabulary) -> Required {
    Required { items: vec![item], frequency: vocabulary.item(item).map_or(0, frequency) }
}

fn all_of(each: Vec<Required>) -> Required {
    let frequency = each.iter().map(|required| required.frequency).fold(0, u32::saturating_add);
    Required { items: each.into_iter().flat_map(|required| required.items).collect(), frequency }
}

/// Roughly how many of ten thousand mentions have an item. Only the choice between items depends on it, and
/// never what matches.
fn frequency(item: &Item) -> u32 {
    match item {
        Item::Word(Word::Folded(word) | Word::Exact(word)) => word_frequency(word),
        Item::Word(Word::Wildcard(pattern)) => match pattern.prefix().chars().count() {
            0 | 1 => 2_000,
            2 => 1_000,
            3 => 300,
            4 => 100,
            _ => 40,
        },
        Item::Value(field, value) => {
            let frequency = match field {
                Field::Id | Field::Story | Field::Author => 1,
                Field::Entity | Field::Doubtful | Field::Risk | Field::Desk => 100,
                Field::Source | Field::Site | Field::Country | Field::Intent => 500,
                Field::Network | Field::Kind | Field::Lane => 1_000,
                Field::Lang | Field::Sentiment | Field::Is | Field::Has => 4_000,
            };
            if matches!(value, Value::Like(_)) { frequency * 10 } else { frequency }
        }
    }
}

/// English words by length: short ones are frequent, and a word with a mark is seldom.
fn word_frequency(word: &str) -> u32 {
    if word.starts_with(['#', '@', '$']) {
        return 5;
    }
    match word.chars().count() {
        0..=2 => 1_000,
        3 => 500,
        4 => 200,
        5 => 80,
        6 => 40,
        7 => 30,
        _ => 20,
    }
}
