//! The gate: which of the names found in a mention mean their subject, and what shows it.

use std::ops::Range;

use earshot_common::definitions::AliasClass;
use earshot_common::events::Corroboration;

use super::patterns::{Context, Pattern};
use super::{Found, Part, Watched};

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
) -> Vec<Finding<'m, 't>> {
    found.sort_by_key(|found| found.pattern.subject);
    let mut findings = Vec::new();
    for of_one in found.chunk_by(|a, b| a.pattern.subject == b.pattern.subject) {
        let names = names(of_one);
        if let Some(first) = names.first() {
            let subject = first.pattern.subject;
            let evidence = evidence(subject, &names, contexts, around);
            findings.push(Finding { subject, names, evidence });
        }
    }
    by_company(&mut findings, subjects);
    findings
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
) -> Option<Evidence<'t>> {
    if let Some(certain) = names.iter().find(|name| !name.ambiguous) {
        return Some(Evidence { written: certain.written, kind: Corroboration::Name });
    }
    for word in contexts {
        let Ok(place) = word.contexts.binary_search_by_key(&subject, |context| context.subject) else {
            continue;
        };
        let speaks_for = |name: &Found| !is_common_surname(name) || name.is_beside(word.part, &word.bytes);
        if !names.iter().any(|name| name.contains(word.part, &word.bytes)) && names.iter().any(speaks_for) {
            let is_role = word.contexts[place].is_role;
            let kind = if is_role { Corroboration::Role } else { Corroboration::Context };
            return Some(Evidence { written: word.written, kind });
        }
    }
    let surrounding = around.iter().find(|surrounding| surrounding.subject == subject)?;
    Some(Evidence { written: surrounding.written, kind: surrounding.kind })
}

/// A surname such as `Good`: words of business all over the text say nothing of it.
fn is_common_surname(name: &Found) -> bool {
    name.pattern.name.is_surname && name.pattern.name.class == AliasClass::CommonWord
}

/// An executive is meant where the company is, and the company where its executive is: the last resort for
/// ambiguous names. What is doubtful itself proves nothing.
fn by_company(findings: &mut [Finding<'_, '_>], subjects: &[Watched]) {
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

impl Found<'_, '_> {
    fn contains(&self, part: Part, bytes: &Range<usize>) -> bool {
        self.part == part && self.bytes.start <= bytes.start && bytes.end <= self.bytes.end
    }

    /// Whether a word stands next to the name, with no more than a comma and an article between.
    fn is_beside(&self, part: Part, bytes: &Range<usize>) -> bool {
        let near = |end: usize, start: usize| end <= start && start - end <= ", the ".len();
        self.part == part && (near(bytes.end, self.bytes.start) || near(self.bytes.end, bytes.start))
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.part == other.part && self.bytes.start < other.bytes.end && other.bytes.start < self.bytes.end
    }
}

/// Whether a name as it is written in the text has the capitals of its spelling: more of them do no harm.
pub(super) fn has_capitals(pattern: &Pattern, written: &str) -> bool {
    let letters = |text: &'_ str| text.chars().filter(|c| c.is_alphanumeric()).collect::<Vec<_>>();
    if written.is_ascii() && pattern.spelling.is_ascii() {
        let ours = pattern.spelling.bytes().filter(u8::is_ascii_alphanumeric);
        let theirs = written.bytes().filter(u8::is_ascii_alphanumeric);
        return ours
            .zip(theirs)
            .all(|(ours, theirs)| !ours.is_ascii_uppercase() || theirs.is_ascii_uppercase());
    }
    let (ours, theirs) = (letters(&pattern.spelling), letters(written));
    ours.iter().zip(&theirs).all(|(ours, theirs)| !ours.is_uppercase() || theirs.is_uppercase())
}
