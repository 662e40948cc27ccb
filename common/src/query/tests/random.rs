//! Random queries in the form that reading gives them.

use proptest::prelude::*;

use super::super::*;
use crate::time::Timestamp;

/// Words that queries are made of.
pub(super) const VOCABULARY: &[&str] =
    &["app", "down", "bank", "#appdown", "appdown", "@app", "$app", "😡", "a.i", "down's"];

pub(super) fn query(words: &'static [&'static str]) -> impl Strategy<Value = Query> {
    let leaf = prop_oneof![
        6 => (scope(), span(words)).prop_map(|(scope, span)| Query::Text(Text { scope, span })),
        2 => condition().prop_map(Query::Field),
        1 => Just(Query::All),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Query::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Query::Or),
            inner.prop_map(|query| Query::Not(Box::new(query))),
        ]
    })
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![6 => Just(Scope::Anywhere), 1 => Just(Scope::Title), 1 => Just(Scope::Body)]
}

/// As it is read: `text` has one word.
fn word_of(text: &str) -> Word {
    match parse(text).unwrap() {
        Query::Text(Text { span: Span::Word(word), .. }) => word,
        other => panic!("{text} is one word and not {other}"),
    }
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = Word> {
    prop_oneof![
        6 => prop::sample::select(words).prop_map(word_of),
        1 => prop::sample::select(vec!["ap*", "d?wn", "*own", "#app*", "?pp", "a*p*d"]).prop_map(word_of),
    ]
}

fn span(words: &'static [&'static str]) -> impl Strategy<Value = Span> {
    let leaf = prop_oneof![
        6 => word(words).prop_map(Span::Word),
        2 => prop::collection::vec(word(words), 2..4).prop_map(Span::Phrase),
        1 => prop::sample::select(vec!["{App}", "{app}", "{Down}", "{App Down}", "raw:\"App!\"", "raw:\"app down\"", "raw:\"(app\""])
            .prop_map(|text| match parse(text).unwrap() {
                Query::Text(text) => text.span,
                other => panic!("{other} is a text"),
            }),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        let near = (inner.clone(), inner.clone(), 1..6_u32, any::<bool>()).prop_map(
            |(left, right, distance, ordered)| Span::Near(Box::new(Near { left, right, distance, ordered })),
        );
        let any = (prop::collection::vec(inner.clone(), 2..4), inner, 1..6_u32, any::<bool>()).prop_map(
            |(group, right, distance, ordered)| {
                Span::Near(Box::new(Near { left: Span::Any(group), right, distance, ordered }))
            },
        );
        prop_oneof![near, any]
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let written = prop::sample::select(vec![
        "author:ann",
        "author:an*",
        "source:hn",
        "network:hackernews",
        "site:example.org",
        "site:*.org",
        "lang:en",
        "lang:de",
        "country:us",
        "entity:bank",
        "kind:brand",
        "sentiment:negative",
        "followers:>=100",
        "followers:[5 TO 50]",
        "reach:<100",
        "risk:legal",
        "intent:complaint",
        "desk:customer_care",
        "is:repost",
        "is:reply",
        "is:original",
        "is:verified",
        "has:link",
        "has:media",
        "after:2026-01-01",
        "before:2026-01-02T12:00:00Z",
        "after:-1d",
        "id:m1",
    ]);
    written.prop_map(|text| match parse(text).unwrap() {
        Query::Field(condition) => condition,
        other => panic!("{other} is a field"),
    })
}

/// Now, in the tests.
pub(super) fn now() -> Timestamp {
    "2026-01-03T00:00:00Z".parse().unwrap()
}
