//! The query language's back end for tantivy, and the one place where filters become part of a query.

use earshot_common::events::Polarity;
use earshot_common::query::Query;
use earshot_common::time::Timestamp;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, Occur, PhraseQuery, Query as TantivyQuery, RangeQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use std::ops::Bound;

use crate::schema::Fields;

/// What a reader of the index asks for. Whatever limits what somebody may see belongs in here too, so that
/// results, totals and timelines obey it alike.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// The query.
    pub(crate) query: Query,
    /// A subject's id.
    pub(crate) subject: Option<String>,
    /// A source's id.
    pub(crate) source: Option<String>,
    /// A language.
    pub(crate) lang: Option<String>,
    /// Polarity: towards the subject where one is given, else of the whole message.
    pub(crate) sentiment: Option<Polarity>,
    /// Event time: this or later.
    pub(crate) from: Option<Timestamp>,
    /// Event time: before this.
    pub(crate) to: Option<Timestamp>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            query: Query::All,
            subject: None,
            source: None,
            lang: None,
            sentiment: None,
            from: None,
            to: None,
        }
    }
}

impl Filter {
    /// As one query. Only the words of the query count for relevance.
    pub(crate) fn to_tantivy(&self, fields: &Fields) -> Box<dyn TantivyQuery> {
        let mut parts: Vec<Box<dyn TantivyQuery>> =
            vec![unscored(term(Term::from_field_bool(fields.deleted, false)))];
        let exact =
            [(fields.subject, &self.subject), (fields.source, &self.source), (fields.lang, &self.lang)];
        for (field, value) in exact {
            if let Some(value) = value {
                parts.push(unscored(term(Term::from_field_text(field, value))));
            }
        }
        if let Some(sentiment) = self.sentiment {
            parts.push(unscored(term(sentiment_term(fields, self.subject.as_deref(), sentiment))));
        }
        if self.from.is_some() || self.to.is_some() {
            let bound = |time: Timestamp| Term::from_field_i64(fields.time, time.as_millis());
            let from = self.from.map_or(Bound::Unbounded, |from| Bound::Included(bound(from)));
            let to = self.to.map_or(Bound::Unbounded, |to| Bound::Excluded(bound(to)));
            parts.push(unscored(Box::new(RangeQuery::new(from, to))));
        }
        if self.query != Query::All {
            parts.push(translate(&self.query, fields));
        }
        all_of(parts)
    }
}

/// The term of a polarity: towards a subject, or of the whole message.
fn sentiment_term(fields: &Fields, subject: Option<&str>, sentiment: Polarity) -> Term {
    match subject {
        Some(subject) => {
            Term::from_field_text(fields.subject_sentiment, &format!("{subject}:{}", sentiment.as_str()))
        }
        None => Term::from_field_text(fields.sentiment, sentiment.as_str()),
    }
}

/// A query of the language. Each word may stand in the title or in the text, a phrase within one of them.
fn translate(query: &Query, fields: &Fields) -> Box<dyn TantivyQuery> {
    let either =
        |of: &dyn Fn(Field) -> Box<dyn TantivyQuery>| any_of(vec![of(fields.title), of(fields.text)]);
    match query {
        Query::All => Box::new(AllQuery),
        Query::Term(word) => either(&|field| {
            let term = Term::from_field_text(field, word);
            Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
        }),
        Query::Phrase(words) => either(&|field| {
            Box::new(PhraseQuery::new(words.iter().map(|word| Term::from_field_text(field, word)).collect()))
        }),
        Query::And(parts) => all_of(parts.iter().map(|part| translate(part, fields)).collect()),
        Query::Or(parts) => any_of(parts.iter().map(|part| translate(part, fields)).collect()),
        Query::Not(part) => Box::new(BooleanQuery::new(vec![
            // By itself an exclusion matches nothing in tantivy; here it matches all the rest.
            (Occur::Must, unscored(Box::new(AllQuery))),
            (Occur::MustNot, translate(part, fields)),
        ])),
    }
}

fn term(term: Term) -> Box<dyn TantivyQuery> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn unscored(query: Box<dyn TantivyQuery>) -> Box<dyn TantivyQuery> {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

fn all_of(parts: Vec<Box<dyn TantivyQuery>>) -> Box<dyn TantivyQuery> {
    Box::new(BooleanQuery::new(parts.into_iter().map(|part| (Occur::Must, part)).collect()))
}

fn any_of(parts: Vec<Box<dyn TantivyQuery>>) -> Box<dyn TantivyQuery> {
    Box::new(BooleanQuery::new(parts.into_iter().map(|part| (Occur::Should, part)).collect()))
}
