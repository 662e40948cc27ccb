//! The query language's back end for tantivy, and the one place where filters become part of a query.

mod careful;

use std::ops::Bound;

use earshot_common::events::Polarity;
use earshot_common::keys::AuthorKey;
use earshot_common::query::Query;
use earshot_common::time::Timestamp;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, Occur, PhraseQuery, Query as TantivyQuery, RangeQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use self::careful::Careful;
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
            (Occur::MustNot, Box::new(Careful(translate(part, fields)))),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use earshot_common::events::{Enriched, Lane};
    use earshot_common::query::parse;
    use earshot_common::text;
    use proptest::prelude::*;

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

    /// The meaning of a query on one text, as plainly as it can be written.
    fn matches(query: &Query, mention: &Enriched) -> bool {
        let terms = text::terms(&mention.mention.text);
        let stands = |position: usize, word: &str| {
            terms.iter().any(|term| term.position == position && term.text == word)
        };
        match query {
            Query::All => true,
            Query::Term(word) => terms.iter().any(|term| term.text == *word),
            Query::Phrase(words) => terms
                .iter()
                .any(|first| words.iter().enumerate().all(|(n, word)| stands(first.position + n, word))),
            Query::And(parts) => parts.iter().all(|part| matches(part, mention)),
            Query::Or(parts) => parts.iter().any(|part| matches(part, mention)),
            Query::Not(part) => !matches(part, mention),
        }
    }

    fn word() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "app",
            "down",
            "#AppDown",
            "@app",
            "$APP",
            "Down's",
            "😡",
            "http://app.example/x",
        ])
    }

    fn any_query() -> impl Strategy<Value = Query> {
        let term = prop::sample::select(vec![
            "app",
            "down",
            "#appdown",
            "appdown",
            "@app",
            "$app",
            "😡",
            "app.example",
        ]);
        let leaf = prop_oneof![
            term.clone().prop_map(|word| Query::Term(word.to_owned())),
            prop::collection::vec(term.prop_map(str::to_owned), 2..4).prop_map(Query::Phrase),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Query::And),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Query::Or),
                inner.prop_map(|query| Query::Not(Box::new(query))),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn the_index_and_the_plain_meaning_agree(
            texts in prop::collection::vec(prop::collection::vec(word(), 0..6), 1..12),
            queries in prop::collection::vec(any_query(), 8),
        ) {
            let mentions: Vec<Enriched> =
                texts.iter().enumerate().map(|(n, words)| mention(&format!("m{n}"), &words.join(" "))).collect();
            let store = index_of(&mentions);
            for query in queries {
                let wanted: BTreeSet<String> =
                    mentions.iter().filter(|m| matches(&query, m)).map(|m| m.mention.id.clone()).collect();
                let shown = query.to_string();
                prop_assert_eq!(found(&store, &Filter { query, ..Filter::default() }), wanted, "{}", shown);
            }
        }
    }
}
