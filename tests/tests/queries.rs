//! The two back ends of the query language agree: the matcher and the standing queries on the stream, and the
//! index.
//!
//! `EARSHOT_QUERY_CASES=1000000 cargo test --release -p earshot-tests --test queries` tries a million random
//! cases in place of the ordinary two thousand; `EARSHOT_QUERY_SEED` begins elsewhere.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;

use earshot_common::events::Enriched;
use earshot_common::query::{self, Matcher, Query, StandingQueries, refusal};
use earshot_index::TemporaryIndex;
use earshot_tests::random_queries::{Generator, now};

/// Mentions that a query is tried on.
const MENTIONS: usize = 25;
/// Queries that are tried on the same mentions.
const QUERIES: usize = 100;
/// Of a hundred cases so many match something, at least: a test of queries that find nothing tests little.
const MATCHING_PERCENT: usize = 40;

fn number_of(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |value| value.parse().unwrap())
}

#[test]
fn the_stream_and_the_index_agree_on_random_queries_and_the_presearcher_loses_no_match() {
    let cases = number_of("EARSHOT_QUERY_CASES", 2_000);
    let seed = number_of("EARSHOT_QUERY_SEED", 1);
    let mut matching = 0;
    for round in 0..cases.div_ceil(QUERIES) {
        matching += agree((seed + round) as u64);
    }
    println!("{matching} of {} cases matched something", cases.div_ceil(QUERIES) * QUERIES);
    assert!(matching * 100 >= cases * MATCHING_PERCENT, "{matching} of {cases} cases matched something");
}

/// Tries queries on mentions; says how many match something.
fn agree(seed: u64) -> usize {
    let mut generator = Generator::new(seed);
    let mentions: Vec<Enriched> = (0..MENTIONS).map(|number| generator.mention(number)).collect();
    let mut index = TemporaryIndex::new().unwrap();
    // Two segments: a query must not depend on which documents share one.
    let (first, second) = mentions.split_at(MENTIONS / 3);
    index.add(first.to_vec()).unwrap();
    index.add(second.to_vec()).unwrap();

    let queries: Vec<(String, Query)> = (0..QUERIES)
        .map(|number| {
            let written = generator.query(&mentions[number % MENTIONS]);
            let query =
                query::parse(&written).unwrap_or_else(|error| panic!("seed {seed}: {written}: {error}"));
            (written, query)
        })
        .collect();
    let on_stream = matches_on_stream(seed, &queries, &mentions);
    let mut matching = 0;
    for ((written, query), on_stream) in queries.iter().zip(on_stream) {
        let in_index = index.find(query, now()).unwrap();
        let different: Vec<&u64> = on_stream.symmetric_difference(&in_index).collect();
        if let Some(&&number) = different.first() {
            let mention = &mentions[number as usize].mention;
            let who = if on_stream.contains(&number) { "the stream" } else { "the index" };
            panic!(
                "seed {seed}: only {who} matches `{written}` ({query}) with title {:?} and text {:?} of {number}",
                mention.title, mention.text
            );
        }
        matching += usize::from(!in_index.is_empty());
    }
    matching
}

/// The numbers of the mentions that each query matches.
fn matches_on_stream(seed: u64, queries: &[(String, Query)], mentions: &[Enriched]) -> Vec<BTreeSet<u64>> {
    let mut standing = StandingQueries::default();
    let mut found = vec![BTreeSet::new(); queries.len()];
    for (number, (_, query)) in queries.iter().enumerate() {
        if refusal(query).is_some() {
            let matcher = Matcher::new(query);
            let matches = (0..).zip(mentions).filter(|(_, mention)| matcher.matches(mention, now()));
            found[number] = matches.map(|(mention, _)| mention).collect();
        } else {
            standing.put(&number.to_string(), query).unwrap();
        }
    }
    for (mention, number) in mentions.iter().zip(0..) {
        let owned = |ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect::<BTreeSet<String>>();
        let candidates = owned(standing.candidates(mention));
        let all = owned(standing.matches_by_evaluating_all(mention));
        assert!(
            all.is_subset(&candidates),
            "seed {seed}: the presearcher loses {:?}",
            all.difference(&candidates)
        );
        let matches = owned(standing.matches(mention));
        assert_eq!(matches, all, "seed {seed}");
        for query in matches {
            found[query.parse::<usize>().unwrap()].insert(number);
        }
    }
    found
}

/// The cases that are written out, with their expected answers.
#[derive(serde::Deserialize)]
struct Cases {
    group: Vec<Group>,
}

#[derive(serde::Deserialize)]
struct Group {
    documents: Vec<(String, String)>,
    queries: Vec<(String, Vec<String>)>,
}

#[test]
fn the_cases_written_out_are_answered_so_by_the_index_too() {
    let cases: Cases = toml::from_str(include_str!("../../common/tests/queries/meaning.toml")).unwrap();
    let mut generator = Generator::new(1);
    for group in cases.group {
        let mentions = group.documents.iter().enumerate().map(|(number, (_, text))| {
            let mut mention = generator.mention(number);
            mention.mention.title = None;
            mention.mention.text.clone_from(text);
            mention
        });
        let mut index = TemporaryIndex::new().unwrap();
        index.add(mentions).unwrap();
        for (written, wanted) in group.queries {
            let found = index.find(&query::parse(&written).unwrap(), now()).unwrap();
            let found: Vec<&String> =
                found.iter().map(|number| &group.documents[*number as usize].0).collect();
            assert_eq!(found, wanted.iter().collect::<Vec<_>>(), "{written}");
        }
    }
}
