//! Wildcards over the dictionary of a segment. What fits is never cut short: the pattern's shape limits it.

use std::fmt;

use earshot_common::query::{self, Pattern};
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED};

use crate::schema::fact;

/// Documents with a term that fits a pattern.
#[derive(Clone)]
pub(super) struct WildcardQuery {
    fields: Vec<Field>,
    /// What stands before the part that is compared.
    name: String,
    pattern: Pattern,
}

impl WildcardQuery {
    /// A word in any of these texts.
    pub(super) fn of_word(fields: Vec<Field>, pattern: Pattern) -> Self {
        Self { fields, name: String::new(), pattern }
    }

    /// A value of a field of the language.
    pub(super) fn of_fact(facts: Field, field: query::Field, pattern: Pattern) -> Self {
        Self { fields: vec![facts], name: fact(field, ""), pattern }
    }
}

impl fmt::Debug for WildcardQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.pattern)
    }
}

impl Query for WildcardQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for WildcardQuery {
    fn scorer(&self, segment: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut documents = Vec::new();
        for field in &self.fields {
            for_each_fit(segment, *field, &self.name, &self.pattern, IndexRecordOption::Basic, |postings| {
                let mut document = postings.doc();
                while document != TERMINATED {
                    documents.push(document);
                    document = postings.advance();
                }
            })?;
        }
        Ok(Box::new(Documents::new(documents, boost)))
    }

    fn explain(&self, segment: &SegmentReader, document: DocId) -> tantivy::Result<Explanation> {
        explain(self, segment, document)
    }
}

/// Calls `visit` with the postings of each term of a field that begins with `name` and then fits the pattern.
fn for_each_fit(
    segment: &SegmentReader,
    field: Field,
    name: &str,
    pattern: &Pattern,
    option: IndexRecordOption,
    mut visit: impl FnMut(&mut SegmentPostings),
) -> tantivy::Result<()> {
    let index = segment.inverted_index(field)?;
    let prefix = format!("{name}{}", pattern.prefix());
    let mut range = index.terms().range().ge(&prefix);
    if let Some(end) = behind(prefix.as_bytes()) {
        range = range.lt(end);
    }
    let mut terms = range.into_stream()?;
    while terms.advance() {
        let fits = std::str::from_utf8(terms.key())
            .ok()
            .and_then(|term| term.strip_prefix(name))
            .is_some_and(|term| pattern.fits(term));
        if fits {
            visit(&mut index.read_postings_from_terminfo(terms.value(), option)?);
        }
    }
    Ok(())
}

/// The first bytes in order that do not begin with these.
fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// Where the words stand that fit a pattern: document and position, in ascending order. Positions of each
/// field count from its offset.
pub(super) fn occurrences(
    segment: &SegmentReader,
    fields: &[(Field, u32)],
    pattern: &Pattern,
) -> tantivy::Result<Vec<(DocId, u32)>> {
    let mut occurrences = Vec::new();
    let mut positions = Vec::new();
    for (field, offset) in fields {
        let option = IndexRecordOption::WithFreqsAndPositions;
        for_each_fit(segment, *field, "", pattern, option, |postings| {
            let mut document = postings.doc();
            while document != TERMINATED {
                postings.positions_with_offset(*offset, &mut positions);
                occurrences.extend(positions.iter().map(|position| (document, *position)));
                document = postings.advance();
            }
        })?;
    }
    occurrences.sort_unstable();
    occurrences.dedup();
    Ok(occurrences)
}

/// Documents that are known beforehand, all alike.
pub(super) struct Documents {
    documents: Vec<DocId>,
    at: usize,
    score: Score,
}

impl Documents {
    /// These, in any order.
    pub(super) fn new(mut documents: Vec<DocId>, score: Score) -> Self {
        documents.sort_unstable();
        documents.dedup();
        Self { documents, at: 0, score }
    }
}

impl DocSet for Documents {
    fn advance(&mut self) -> DocId {
        self.at = (self.at + 1).min(self.documents.len());
        self.doc()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.at += self.documents[self.at..].partition_point(|document| *document < target);
        self.doc()
    }

    fn doc(&self) -> DocId {
        self.documents.get(self.at).copied().unwrap_or(TERMINATED)
    }

    fn size_hint(&self) -> u32 {
        self.documents.len() as u32
    }
}

impl Scorer for Documents {
    fn score(&mut self) -> Score {
        self.score
    }
}

/// Whether a document matches, and with which score.
pub(super) fn explain(
    weight: &dyn Weight,
    segment: &SegmentReader,
    document: DocId,
) -> tantivy::Result<Explanation> {
    let mut scorer = weight.scorer(segment, 1.0)?;
    let found = scorer.doc() <= document && scorer.seek(document) == document;
    let score = if found { scorer.score() } else { 0.0 };
    Ok(Explanation::new("a query of Earshot's language", score))
}
