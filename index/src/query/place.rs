//! Phrases and distances over the positions of a segment: tantivy finds the documents that hold the words,
//! and the arithmetic of [`earshot_common::query::places`] decides over their positions. (tantivy's own slop
//! is not a distance: two words that change places cost two.)

use earshot_common::events::{Enriched, decode};
use earshot_common::query::places::{BODY, Place, Words, WrittenText, WrittenTexts};
use earshot_common::query::{Scope, Span, Word};
use earshot_common::text::tokens;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::{
    BooleanQuery, ConstScoreQuery, EnableScoring, Explanation, Occur, Query, Scorer, TermQuery, Weight,
};
use tantivy::schema::{Field, IndexRecordOption, Value};
use tantivy::store::StoreReader;
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyDocument, Term};

use super::scoped;
use super::wildcard::{WildcardQuery, explain, occurrences};
use crate::schema::Fields;

/// Blocks of the document store that a query with raw characters keeps.
const STORE_BLOCKS: usize = 4;

/// Documents in which a span stands.
#[derive(Debug)]
pub(super) struct PlaceQuery {
    plan: Plan,
    /// Documents that hold the words, wherever. Its score is the query's.
    holding: Box<dyn Query>,
}

impl Clone for PlaceQuery {
    fn clone(&self) -> Self {
        Self { plan: self.plan.clone(), holding: self.holding.box_clone() }
    }
}

/// What to look for in a segment.
#[derive(Clone, Debug)]
struct Plan {
    place: Place,
    /// By number.
    words: Vec<Word>,
    scope: Scope,
    fields: Fields,
    /// Whether the characters of the text count, which only the stored record has.
    is_raw: bool,
}

impl PlaceQuery {
    pub(super) fn new(scope: Scope, span: &Span, fields: &Fields) -> Self {
        let mut words: Vec<Word> = Vec::new();
        let place = Place::of(span, &mut |word| {
            let known = words.iter().position(|other| other == word);
            known.unwrap_or_else(|| {
                words.push(word.clone());
                words.len() - 1
            }) as u32
        });
        let plan = Plan { is_raw: has_raw(&place), place, words, scope, fields: *fields };
        let holding = plan.holding(&plan.place);
        Self { plan, holding }
    }
}

fn has_raw(place: &Place) -> bool {
    match place {
        Place::Word(_) | Place::Phrase(_) => false,
        Place::Raw { .. } => true,
        Place::Any(places) => places.iter().any(has_raw),
        Place::Near { left, right, .. } => has_raw(left) || has_raw(right),
    }
}

impl Plan {
    fn holding(&self, place: &Place) -> Box<dyn Query> {
        match place {
            Place::Word(word) => self.holding_word(*word),
            Place::Phrase(words) | Place::Raw { words, .. } => {
                joined(Occur::Must, words.iter().map(|word| self.holding_word(*word)))
            }
            Place::Any(places) => joined(Occur::Should, places.iter().map(|place| self.holding(place))),
            Place::Near { left, right, .. } => {
                joined(Occur::Must, [self.holding(left), self.holding(right)].into_iter())
            }
        }
    }

    fn holding_word(&self, number: u32) -> Box<dyn Query> {
        let word = &self.words[number as usize];
        let fields = self.fields_of(word).map(|(field, _)| field);
        let term = |field: Field, word: &str| -> Box<dyn Query> {
            Box::new(TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs))
        };
        match word {
            Word::Folded(word) => joined(Occur::Should, fields.map(|field| term(field, word))),
            // Without field norms the score would say nothing.
            Word::Exact(word) => Box::new(ConstScoreQuery::new(
                joined(Occur::Should, fields.map(|field| term(field, word))),
                1.0,
            )),
            Word::Wildcard(pattern) => Box::new(WildcardQuery::of_word(fields.collect(), pattern.clone())),
        }
    }

    /// The fields that hold a word, each with the position of its first word.
    fn fields_of(&self, word: &Word) -> impl Iterator<Item = (Field, u32)> + use<> {
        let [title, body] = match word {
            Word::Folded(_) | Word::Wildcard(_) => scoped(self.scope, self.fields.title, self.fields.text),
            Word::Exact(_) => scoped(self.scope, self.fields.title_exact, self.fields.text_exact),
        };
        [title.map(|title| (title, 0)), body.map(|body| (body, BODY))].into_iter().flatten()
    }
}

fn joined(occur: Occur, queries: impl Iterator<Item = Box<dyn Query>>) -> Box<dyn Query> {
    Box::new(BooleanQuery::new(queries.map(|query| (occur, query)).collect()))
}

impl Query for PlaceQuery {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(PlaceWeight { plan: self.plan.clone(), holding: self.holding.weight(scoring)? }))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        self.holding.query_terms(visitor);
    }
}

struct PlaceWeight {
    plan: Plan,
    holding: Box<dyn Weight>,
}

impl Weight for PlaceWeight {
    fn scorer(&self, segment: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut sources = Vec::with_capacity(self.plan.words.len());
        for word in &self.plan.words {
            let fields: Vec<(Field, u32)> = self.plan.fields_of(word).collect();
            sources.push(Source::open(segment, word, &fields)?);
        }
        let texts = match self.plan.is_raw {
            true => Some(Texts::open(segment, self.plan.fields.record)?),
            false => None,
        };
        let document = Document { places: vec![Vec::new(); sources.len()], texts };
        let holding = self.holding.scorer(segment, boost)?;
        let mut scorer = PlaceScorer { place: self.plan.place.clone(), holding, sources, document };
        scorer.find();
        Ok(Box::new(scorer))
    }

    fn explain(&self, segment: &SegmentReader, document: DocId) -> tantivy::Result<Explanation> {
        explain(self, segment, document)
    }
}

/// Where one word stands, document by document.
enum Source {
    /// A term in each of the fields that hold it, with the position of the field's first word.
    Terms(Vec<(SegmentPostings, u32)>),
    /// All that fit a wildcard, and how far it was read.
    Wildcard(Vec<(DocId, u32)>, usize),
}

impl Source {
    fn open(segment: &SegmentReader, word: &Word, fields: &[(Field, u32)]) -> tantivy::Result<Self> {
        let text = match word {
            Word::Folded(text) | Word::Exact(text) => text,
            Word::Wildcard(pattern) => return Ok(Self::Wildcard(occurrences(segment, fields, pattern)?, 0)),
        };
        let mut terms = Vec::new();
        for (field, first) in fields {
            let term = Term::from_field_text(*field, text);
            let option = IndexRecordOption::WithFreqsAndPositions;
            if let Some(postings) = segment.inverted_index(*field)?.read_postings(&term, option)? {
                terms.push((postings, *first));
            }
        }
        Ok(Self::Terms(terms))
    }

    /// The word's places in a document. Documents are asked for in ascending order.
    fn read(&mut self, document: DocId, places: &mut Vec<u32>) {
        places.clear();
        match self {
            Self::Terms(terms) => {
                for (postings, first) in terms {
                    if postings.doc() < document {
                        postings.seek(document);
                    }
                    if postings.doc() == document {
                        postings.append_positions_with_offset(*first, places);
                    }
                }
                places.dedup();
            }
            Self::Wildcard(occurrences, at) => {
                *at += occurrences[*at..].partition_point(|(other, _)| *other < document);
                let here = occurrences[*at..].iter().take_while(|(other, _)| *other == document);
                places.extend(here.map(|(_, place)| *place));
            }
        }
    }
}

struct PlaceScorer {
    place: Place,
    holding: Box<dyn Scorer>,
    sources: Vec<Source>,
    document: Document,
}

impl PlaceScorer {
    /// Goes to the first document, from the present one on, in which the span stands.
    fn find(&mut self) -> DocId {
        let mut document = self.holding.doc();
        while document != TERMINATED {
            for (source, places) in self.sources.iter_mut().zip(&mut self.document.places) {
                source.read(document, places);
            }
            if let Some(texts) = &mut self.document.texts {
                texts.read(document);
            }
            if self.place.occurs(&self.document) {
                return document;
            }
            document = self.holding.advance();
        }
        TERMINATED
    }
}

impl DocSet for PlaceScorer {
    fn advance(&mut self) -> DocId {
        self.holding.advance();
        self.find()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.holding.doc() < target {
            self.holding.seek(target);
            self.find();
        }
        self.doc()
    }

    fn doc(&self) -> DocId {
        self.holding.doc()
    }

    fn size_hint(&self) -> u32 {
        self.holding.size_hint()
    }
}

impl Scorer for PlaceScorer {
    fn score(&mut self) -> Score {
        self.holding.score()
    }
}

/// The words of the present document.
struct Document {
    /// By the number of the word.
    places: Vec<Vec<u32>>,
    texts: Option<Texts>,
}

impl Words for Document {
    fn places(&self, word: u32) -> &[u32] {
        &self.places[word as usize]
    }

    fn reads(&self, place: u32, lead: usize, text: &str) -> bool {
        self.texts.as_ref().is_some_and(|texts| texts.written.reads(place, lead, text))
    }
}

/// The texts of the present document as they were written.
struct Texts {
    store: StoreReader,
    record: Field,
    written: WrittenTexts,
}

impl Texts {
    fn open(segment: &SegmentReader, record: Field) -> tantivy::Result<Self> {
        Ok(Self { store: segment.get_store_reader(STORE_BLOCKS)?, record, written: WrittenTexts::default() })
    }

    fn read(&mut self, document: DocId) {
        let mention = self.record(document).map(|enriched| enriched.mention);
        let (title, body) = match mention {
            Some(mention) => (mention.title.unwrap_or_default(), mention.text),
            None => (String::new(), String::new()),
        };
        self.written = WrittenTexts { title: written(title), body: written(body) };
    }

    /// A tombstone has no record; neither has it any words.
    fn record(&self, document: DocId) -> Option<Enriched> {
        let document: TantivyDocument = match self.store.get(document) {
            Ok(document) => document,
            Err(error) => {
                tracing::error!(%error, document, "a stored document cannot be read and is left out of a search");
                return None;
            }
        };
        let record = document.get_first(self.record)?;
        decode(record.as_bytes()?).ok()
    }
}

fn written(text: String) -> WrittenText {
    let starts = tokens(&text).into_iter().map(|token| token.bytes.start).collect();
    WrittenText { text, starts }
}
