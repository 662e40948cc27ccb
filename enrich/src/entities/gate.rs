//! The gate: which of the names found in a mention mean their subject, and what shows it.

use std::ops::Range;

use earshot_common::events::{Corroboration, Derivation};

use super::patterns::Context;
use super::{Found, Part, Watched, is_possessive};

/// A context word where it was found, with the subjects that it speaks for.
pub(super) struct FoundContext<'m, 't> {
    pub(super) contexts: &'m [Context],
    pub(super) part: Part,
    pub(super) bytes: Range<usize>,
    pub(super) written: &'t str,
}

/// What speaks for a subject outside title and text.
pub(super) struct Surrounding<'t> {
    pub(super) subject: usize,
    pub(super) written: &'t str,
    pub(super) kind: Corroboration,
}

/// What names were found in.
#[derive(Clone, Copy)]
pub(super) struct Texts<'t> {
    pub(super) title: &'t str,
    pub(super) text: &'t str,
}

/// What was found of one subject.
pub(super) struct Finding<'m, 't> {
    pub(super) subject: usize,
    /// In the order of the mention.
    pub(super) names: Vec<Found<'m, 't>>,
    /// What makes its ambiguous names count; a name that is not ambiguous, where there is one.
    pub(super) evidence: Option<Evidence<'t>>,
}

/// What shows that a subject is meant.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'t> {
    pub(super) written: &'t str,
    pub(super) kind: Corroboration,
}

/// Sorts what was found by subject, keeps the subjects that are named, and says what speaks for each.
pub(super) fn pass<'m, 't>(
    mut found: Vec<Found<'m, 't>>,
    contexts: &[FoundContext<'m, 't>],
    around: &[Surrounding<'t>],
    subjects: &[Watched],
    texts: Texts,
) -> Vec<Finding<'m, 't>> {
    drop_parts_of_others(&mut found);
    found.sort_by_key(|found| found.pattern.subject);
    let mut findings = Vec::new();
    for of_one in found.chunk_by(|a, b| a.pattern.subject == b.pattern.subject) {
        let names = names(of_one);
        if let Some(first) = names.first() {
            let subject = first.pattern.subject;
            let evidence = evidence(subject, &names, contexts, around, texts);
            findings.push(Finding { subject, names, evidence });
        }
    }
    by_company(&mut findings, subjects, texts);
    // An everyday word is no name where nothing beside it says so: not even a doubtful one.
    findings.retain(|finding| {
        finding.evidence.is_some() || !finding.names.iter().all(|name| name.pattern.name.is_everyday)
    });
    findings
}

/// Drops ambiguous names that are part of a longer name of another subject: `United` within `United Parcel Service`.
/// A role names its company too.
fn drop_parts_of_others(found: &mut Vec<Found>) {
    let longer: Vec<Found> = found.iter().filter(|name| is_whole_name(name)).cloned().collect();
    found.retain(|name| {
        let is_part_of = |other: &Found| {
            other.pattern.subject != name.pattern.subject
                && other.bytes.len() > name.bytes.len()
                && other.contains(name.part, &name.bytes)
        };
        !name.ambiguous || !longer.iter().any(is_part_of)
    });
}

/// Whether a name is sure by itself and means nobody beside its subject.
fn is_whole_name(name: &Found) -> bool {
    !name.ambiguous && !name.pattern.excluded && name.derived != Some(Derivation::Role)
}

/// The names of one subject that mean it: none within an excluded phrase, and the longest at each place.
fn names<'m, 't>(found: &[Found<'m, 't>]) -> Vec<Found<'m, 't>> {
    let mut names: Vec<Found> = Vec::new();
    for name in found.iter().filter(|found| !found.pattern.excluded) {
        let within = |phrase: &Found| phrase.pattern.excluded && phrase.contains(name.part, &name.bytes);
        if !found.iter().any(within) {
            names.push(name.clone());
        }
    }
    // At one place the longest comes first, and of equals the one that is sure.
    names
        .sort_by_key(|name| (name.part, name.bytes.start, std::cmp::Reverse(name.bytes.end), name.ambiguous));
    let mut kept: Vec<Found> = Vec::new();
    for name in names {
        match kept.last_mut() {
            Some(last) if last.overlaps(&name) => {
                if name.bytes.len() > last.bytes.len() {
                    *last = name;
                }
            }
            _ => kept.push(name),
        }
    }
    kept
}

/// What in the mention itself shows that a subject is meant: a name that is sure, a word of its context that is
/// not part of an ambiguous name, or where the mention comes from.
fn evidence<'t>(
    subject: usize,
    names: &[Found<'_, 't>],
    contexts: &[FoundContext<'_, 't>],
    around: &[Surrounding<'t>],
    texts: Texts,
) -> Option<Evidence<'t>> {
    if let Some(certain) = names.iter().find(|name| !name.ambiguous) {
        return Some(Evidence { written: certain.written, kind: Corroboration::Name });
    }
    for word in contexts {
        let Ok(place) = word.contexts.binary_search_by_key(&subject, |context| context.subject) else {
            continue;
        };
        let speaks_for = |name: &Found| {
            !name.pattern.name.is_everyday || stand_together(name, word.part, &word.bytes, texts)
        };
        if !names.iter().any(|name| name.contains(word.part, &word.bytes)) && names.iter().any(speaks_for) {
            let is_role = word.contexts[place].is_role;
            let kind = if is_role { Corroboration::Role } else { Corroboration::Context };
            return Some(Evidence { written: word.written, kind });
        }
    }
    let surrounding = around.iter().find(|surrounding| surrounding.subject == subject)?;
    Some(Evidence { written: surrounding.written, kind: surrounding.kind })
}

/// An executive is meant where the company is, and the company where its executive is: the last resort for
/// ambiguous names. What is doubtful itself proves nothing.
fn by_company(findings: &mut [Finding<'_, '_>], subjects: &[Watched], texts: Texts) {
    let mut proved = Vec::new();
    for (number, doubtful) in findings.iter().enumerate().filter(|(_, finding)| finding.evidence.is_none()) {
        for sure in findings.iter() {
            let Some(evidence) = sure.evidence else { continue };
            let kind = if subjects[doubtful.subject].company == Some(sure.subject) {
                Corroboration::Company
            } else if subjects[sure.subject].company == Some(doubtful.subject) {
                Corroboration::Executive
            } else {
                continue;
            };
            let speaks_for = |name: &Found| {
                let beside = |other: &Found| stand_together(name, other.part, &other.bytes, texts);
                !name.pattern.name.is_everyday || sure.names.iter().any(beside)
            };
            if !doubtful.names.iter().any(speaks_for) {
                continue;
            }
            let certain = sure.names.iter().find(|name| !name.ambiguous);
            let written = certain.or(sure.names.first()).map_or(evidence.written, |name| name.written);
            proved.push((number, Evidence { written, kind }));
            break;
        }
    }
    for (number, evidence) in proved {
        findings[number].evidence = Some(evidence);
    }
}

/// Whether something stands next to a name: `Harbor's Good`, `Good, the CEO`.
fn stand_together(name: &Found, part: Part, bytes: &Range<usize>, texts: Texts) -> bool {
    let text = match part {
        Part::Title => texts.title,
        Part::Text => texts.text,
        Part::Links => return false,
    };
    let (end, start) = match bytes.end <= name.bytes.start {
        true => (bytes.end, name.bytes.start),
        false => (name.bytes.end, bytes.start),
    };
    let between = if part == name.part { text.get(end..start) } else { None };
    between
        .map(|between| between.trim_matches([' ', ',']))
        .is_some_and(|between| matches!(between, "" | "the") || is_possessive(between))
}

impl Found<'_, '_> {
    fn contains(&self, part: Part, bytes: &Range<usize>) -> bool {
        self.part == part && self.bytes.start <= bytes.start && bytes.end <= self.bytes.end
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.part == other.part && self.bytes.start < other.bytes.end && other.bytes.start < self.bytes.end
    }
}
