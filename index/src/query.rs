//! The query language's back end for tantivy, and the one place where filters become part of a query.

mod careful;
mod place;
mod wildcard;

use std::ops::Bound;

use earshot_common::events::Polarity;
use earshot_common::keys::AuthorKey;
use earshot_common::query::{self, Condition, NumberField, Query, Scope, Span, Text, Value, Word};
use earshot_common::time::Timestamp;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, Occur, Query as TantivyQuery, RangeQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use self::careful::Careful;
use self::place::PlaceQuery;
use self::wildcard::WildcardQuery;
use crate::schema::{Fields, fact};

/// What a reader of the index asks for. Whatever limits what somebody may see belongs in here too, so that
/// results, totals and timelines obey it alike.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// The query.
    pub(crate) query: Query,
    /// What times relative to now are relative to.
    pub(crate) now: Timestamp,
    /// A subject's id.
    pub(crate) subject: Option<String>,
    /// A source's id.
    pub(crate) source: Option<String>,
    /// A language.
    pub(crate) lang: Option<String>,
    /// An author.
    pub(crate) author: Option<AuthorKey>,
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
            now: Timestamp::default(),
            subject: None,
            source: None,
            lang: None,
            author: None,
            sentiment: None,
            from: None,
            to: None,
        }
    }
}

impl Filter {
    /// The same, and a field has this value.
    pub(crate) fn with(&self, field: query::Field, value: &str) -> Self {
        let condition = Query::Field(Condition::Value(field, Value::Is(value.to_owned())));
        let query = match &self.query {
            Query::All => condition,
            query => Query::And(vec![query.clone(), condition]),
        };
        Self { query, ..self.clone() }
    }

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
        if let Some(author) = self.author {
            parts.push(unscored(term(Term::from_field_text(fields.author, &author.to_string()))));
        }
        if let Some(sentiment) = self.sentiment {
            parts.push(unscored(term(sentiment_term(fields, self.subject.as_deref(), sentiment))));
        }
        if self.from.is_some() || self.to.is_some() {
            parts.push(unscored(between(fields, self.from, self.to)));
        }
        if self.query != Query::All {
            parts.push(translate(&self.query, fields, self.now));
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

/// A query of the language.
fn translate(query: &Query, fields: &Fields, now: Timestamp) -> Box<dyn TantivyQuery> {
    match query {
        Query::All => unscored(Box::new(AllQuery)),
        Query::Text(Text { scope, span: Span::Word(Word::Folded(word)) }) => {
            let fields = scoped(*scope, fields.title, fields.text);
            any_of(fields.into_iter().flatten().map(|field| scored_word(field, word)).collect())
        }
        Query::Text(Text { scope, span }) => Box::new(PlaceQuery::new(*scope, span, fields)),
        Query::Field(condition) => unscored(condition_query(condition, fields, now)),
        Query::And(parts) => all_of(parts.iter().map(|part| translate(part, fields, now)).collect()),
        Query::Or(parts) => any_of(parts.iter().map(|part| translate(part, fields, now)).collect()),
        Query::Not(part) => Box::new(BooleanQuery::new(vec![
            // By itself an exclusion matches nothing in tantivy; here it matches all the rest.
            (Occur::Must, unscored(Box::new(AllQuery))),
            (Occur::MustNot, Box::new(Careful(translate(part, fields, now)))),
        ])),
    }
}

/// The fields of a text: the title's and the body's, of which a scope may leave one out.
fn scoped(scope: Scope, title: Field, body: Field) -> [Option<Field>; 2] {
    match scope {
        Scope::Anywhere => [Some(title), Some(body)],
        Scope::Title => [Some(title), None],
        Scope::Body => [None, Some(body)],
    }
}

fn condition_query(condition: &Condition, fields: &Fields, now: Timestamp) -> Box<dyn TantivyQuery> {
    match condition {
        Condition::Value(field, Value::Is(value)) => {
            term(Term::from_field_text(fields.fact, &fact(*field, value)))
        }
        Condition::Value(field, Value::Like(pattern)) => {
            Box::new(WildcardQuery::of_fact(fields.fact, *field, pattern.clone()))
        }
        Condition::Number(field, from, to) => {
            let field = match field {
                NumberField::Followers => fields.followers,
                NumberField::Reach => fields.reach,
            };
            let bound = |limit: &Option<u64>| match limit {
                Some(limit) => Bound::Included(Term::from_field_u64(field, *limit)),
                None => Bound::Unbounded,
            };
            match (from, to) {
                // Known, whatever it is.
                (None, None) => Box::new(RangeQuery::new(
                    Bound::Included(Term::from_field_u64(field, 0)),
                    Bound::Unbounded,
                )),
                (from, to) => Box::new(RangeQuery::new(bound(from), bound(to))),
            }
        }
        Condition::Time(query::Bound::After, moment) => between(fields, Some(moment.at(now)), None),
        Condition::Time(query::Bound::Before, moment) => between(fields, None, Some(moment.at(now))),
    }
}

/// Event times from the first up to the second. At least one is given.
fn between(fields: &Fields, from: Option<Timestamp>, to: Option<Timestamp>) -> Box<dyn TantivyQuery> {
    let bound = |time: Timestamp| Term::from_field_i64(fields.time, time.as_millis());
    let from = from.map_or(Bound::Unbounded, |from| Bound::Included(bound(from)));
    let to = to.map_or(Bound::Unbounded, |to| Bound::Excluded(bound(to)));
    Box::new(RangeQuery::new(from, to))
}

fn scored_word(field: Field, word: &str) -> Box<dyn TantivyQuery> {
    Box::new(TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use earshot_common::events::Lane;
    use earshot_common::query::parse;

    use super::*;
    use crate::fixtures::{about, at, feeling, index_of, mention};
    use crate::search::{Sort, search};
    use crate::store::Store;

    fn found(store: &Store, filter: &Filter) -> BTreeSet<String> {
        let page = search(store, filter, Sort::Time, None, 100).unwrap();
        page.mentions.into_iter().map(|mention| mention.mention.id).collect()
    }

    fn ids(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[track_caller]
    fn check(store: &Store, query: &str, wanted: &[&str]) {
        let filter = Filter { query: parse(query).unwrap(), ..Filter::default() };
        assert_eq!(found(store, &filter), ids(wanted), "{query}");
    }

    #[test]
    fn queries_find_what_people_mean() {
        let mut titled = mention("titled", "Nothing to see.");
        titled.mention.title = Some("Harbor cancelled the flight".to_owned());
        let store = index_of(&[
            mention("plain", "My flight with Harbor was cancelled. Café closed."),
            mention("tag", "Great. #CancelledFlight thanks @harbor"),
            mention("praise", "I love the Harbor app"),
            titled,
        ]);
        check(&store, "", &["plain", "tag", "praise", "titled"]);
        check(&store, "flight cancelled", &["plain", "tag", "titled"]);
        check(&store, "\"cancelled the flight\"", &["titled"]);
        check(&store, "\"flight cancelled\"", &[]);
        // A title's last word and a text's first one are no phrase.
        check(&store, "\"flight nothing\"", &[]);
        check(&store, "love OR café", &["praise", "plain"]);
        check(&store, "harbor -app", &["plain", "titled"]);
        check(&store, "-harbor", &["tag"]);
        check(&store, "NOT (harbor OR great)", &[]);
        check(&store, "NOT NOT love", &["praise"]);
        // A hashtag is found by its words and by itself, an account only by itself.
        check(&store, "#cancelledflight", &["tag"]);
        check(&store, "cancelledflight", &["tag"]);
        check(&store, "@harbor", &["tag"]);
        check(&store, "CAFE", &["plain"]);
    }

    #[test]
    fn a_phrase_that_no_text_holds_may_be_excluded() {
        // A debug assertion of tantivy 0.27 stopped this search.
        let store = index_of(&[mention("a", "down")]);
        check(&store, "-\"down down\" OR app", &["a"]);
    }

    #[test]
    fn a_sentiment_with_a_subject_means_the_sentiment_towards_that_subject() {
        let both = about(mention("mixed", "x"), "bank", -0.5, Lane::Sure);
        let both = feeling(about(both, "rival", 0.5, Lane::Sure), "x", 0.5);
        let doubtful = about(mention("doubtful", "x"), "bank", -0.5, Lane::Doubtful);
        let store = index_of(&[both, doubtful]);
        let ask = |subject: Option<&str>, sentiment| {
            let filter = Filter { subject: subject.map(str::to_owned), sentiment, ..Filter::default() };
            found(&store, &filter)
        };
        assert_eq!(ask(Some("bank"), None), ids(&["mixed"]), "a doubtful tag does not count");
        assert_eq!(ask(Some("bank"), Some(Polarity::Negative)), ids(&["mixed"]));
        assert_eq!(ask(Some("bank"), Some(Polarity::Positive)), ids(&[]));
        assert_eq!(ask(Some("rival"), Some(Polarity::Positive)), ids(&["mixed"]));
        assert_eq!(ask(None, Some(Polarity::Positive)), ids(&["mixed"]));
    }

    #[test]
    fn a_search_that_matched_is_a_subject_with_the_sentiment_of_the_message() {
        let mut matched = feeling(mention("matched", "x"), "x", -0.5);
        matched.searches = vec!["app".to_owned()];
        let store = index_of(&[matched, mention("other", "x")]);
        let filter = Filter { subject: Some("search:app".to_owned()), ..Filter::default() };
        assert_eq!(found(&store, &filter), ids(&["matched"]));
        let towards = |sentiment| found(&store, &Filter { sentiment: Some(sentiment), ..filter.clone() });
        assert_eq!(towards(Polarity::Negative), ids(&["matched"]));
        assert_eq!(towards(Polarity::Positive), ids(&[]));
    }

    #[test]
    fn filters_by_source_language_and_time() {
        let mut other = at(mention("b", "x"), "2026-01-02T00:00:00Z");
        other.mention.source.id = "feed".to_owned();
        other.lang = "de".to_owned();
        let store = index_of(&[at(mention("a", "x"), "2026-01-01T23:59:59.999Z"), other]);
        let midnight = "2026-01-02T00:00:00Z".parse().unwrap();
        let filter = Filter::default();
        assert_eq!(found(&store, &Filter { source: Some("feed".to_owned()), ..filter.clone() }), ids(&["b"]));
        assert_eq!(found(&store, &Filter { lang: Some("en".to_owned()), ..filter.clone() }), ids(&["a"]));
        assert_eq!(found(&store, &Filter { from: Some(midnight), ..filter.clone() }), ids(&["b"]));
        assert_eq!(found(&store, &Filter { to: Some(midnight), ..filter }), ids(&["a"]));
    }
}
