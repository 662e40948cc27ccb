//! Whom the words are about: of a text's praise and blame, the part that is meant for one of those it names.

use std::ops::Range;

use super::reading::{Clause, Reading};
use super::roles::Role;

/// What a text's weights are worth towards somebody.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The part of each hit's value that is meant for them.
    pub(super) worth: Vec<f32>,
    /// Whether nothing is said of them, so that the message stands in.
    pub(super) fallback: bool,
}

/// What a weight in another clause of the same sentence is worth.
const SAME_SENTENCE: f32 = 0.5;
/// What it is worth where a *but* stands between: that clause is about something else.
const ACROSS_A_CONTRAST: f32 = 0.15;
/// How much more a comparison says of the two that it compares than of the message.
const COMPARISON: f32 = 1.5;
/// What a weight in another sentence is worth.
const OTHER_SENTENCE: f32 = 0.3;
/// What the message's weights are worth where none stands in a clause of theirs.
const FALLBACK: f32 = 0.35;

/// The view of what is named at some places.
pub(super) fn towards(reading: &Reading, places: &[Range<usize>]) -> View {
    let mut named: Vec<usize> = places.iter().filter_map(|place| word_at(reading, place)).collect();
    named.sort_unstable();
    let own_clauses: Vec<bool> =
        reading.clauses.iter().map(|clause| !within(&named, clause).is_empty()).collect();
    let closeness = closeness(reading, &own_clauses);
    let mut worth = vec![0.0; reading.hits.len()];
    let mut said = false;
    for (at, clause) in reading.clauses.iter().enumerate() {
        for hit in clause.hits.clone() {
            worth[hit] = closeness[at];
            said |= own_clauses[at];
        }
        if own_clauses[at] {
            compared(reading, clause, within(&named, clause), &mut worth);
        }
    }
    if !said {
        return View { worth: vec![FALLBACK; reading.hits.len()], fallback: true };
    }
    View { worth, fallback: false }
}

/// How much of what each clause says is meant for those who are named in their own clauses. Within a sentence a
/// *but* turns to something else; without one, clauses go on about the same.
fn closeness(reading: &Reading, own: &[bool]) -> Vec<f32> {
    let mut closeness = Vec::with_capacity(own.len());
    let mut start = 0;
    while start < own.len() {
        let sentence = reading.clauses[start].sentence;
        let length = reading.clauses[start..].iter().take_while(|clause| clause.sentence == sentence).count();
        let is_contrast = |at: usize| at > start && reading.clauses[at].opening.has(Role::Contrast);
        let is_named = own[start..start + length].contains(&true);
        let mut part_start = start;
        while part_start < start + length {
            let part_end =
                (part_start + 1..start + length).find(|at| is_contrast(*at)).unwrap_or(start + length);
            let named_here = own[part_start..part_end].contains(&true);
            for named in &own[part_start..part_end] {
                closeness.push(match (named, named_here, is_named) {
                    (true, ..) => 1.0,
                    (false, true, _) => SAME_SENTENCE,
                    (false, false, true) => ACROSS_A_CONTRAST,
                    (false, false, false) => OTHER_SENTENCE,
                });
            }
            part_start = part_end;
        }
        start += length;
    }
    closeness
}

/// Those of the words, in their order, that are in a clause.
fn within<'n>(words: &'n [usize], clause: &Clause) -> &'n [usize] {
    let start = words.partition_point(|word| *word < clause.words.start);
    let end = words.partition_point(|word| *word < clause.words.end);
    &words[start..end]
}

/// *X is better than Y*, one of them named in the clause, praises X and blames Y. Who stands on both sides is spoken
/// of, and measured against others: *X is the best to own over five years $X*.
fn compared(reading: &Reading, clause: &Clause, named: &[usize], worth: &mut [f32]) {
    let roles = |at: usize| reading.roles[at];
    let Some(than) = clause.words.clone().find(|at| roles(*at).has(Role::Than)) else { return };
    let behind = named.first().is_some_and(|word| *word > than);
    for at in clause.hits.clone() {
        let start = reading.hits[at].words.start;
        let compares = roles(start).has(Role::Better) || roles(start).has(Role::Worse);
        if start < than {
            let by = if compares { COMPARISON } else { 1.0 };
            worth[at] *= if behind { -by } else { by };
        }
    }
}

/// The word that a place begins in, or the first one behind its beginning.
fn word_at(reading: &Reading, place: &Range<usize>) -> Option<usize> {
    let at = reading.words.partition_point(|word| word.bytes.end <= place.start);
    (at < reading.words.len()).then_some(at)
}
