//! The cases of `common/tests/queries/meaning.toml` on the matcher, and fields, which need whole mentions.

use serde::Deserialize;

use super::super::*;
use super::random::now;
use crate::definitions::SubjectKind;
use crate::events::{
    Author, Enriched, EnrichmentVersion, EntityTag, Lane, Mention, Polarity, RawPosition, Sentiment,
    SourceRef,
};

#[derive(Deserialize)]
struct Cases {
    group: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    documents: Vec<(String, String)>,
    queries: Vec<(String, Vec<String>)>,
}

/// A mention with nothing about it but its text.
pub(super) fn mention(id: &str, text: &str) -> Enriched {
    let at = "2026-01-02T00:00:00Z".parse().unwrap();
    let source = SourceRef { id: "hn".to_owned(), network: "hackernews".to_owned(), site: None };
    Enriched {
        mention: Mention { revision: 1, ..Mention::new(id.to_owned(), source, text.to_owned(), at) },
        raw: RawPosition { partition: 0, offset: 1 },
        enrichment: EnrichmentVersion { watchlist: 1, lexicon: "none".to_owned() },
        lang: "en".to_owned(),
        lang_confidence: 1.0,
        entities: Vec::new(),
        sentiment: neutral(),
        risk: Vec::new(),
        intent: Vec::new(),
        desks: Vec::new(),
        evidence: Vec::new(),
        story: None,
        reach: None,
        reach_unit: None,
        outlet: None,
        searches: Vec::new(),
        enriched: at,
    }
}

fn neutral() -> Sentiment {
    Sentiment { score: 0.0, label: Polarity::Neutral, confidence: None, words: Vec::new(), fallback: false }
}

#[test]
fn the_cases_written_out_match_as_they_say() {
    let cases: Cases = toml::from_str(include_str!("../../../tests/queries/meaning.toml")).unwrap();
    for group in cases.group {
        for (query, wanted) in group.queries {
            let matcher = Matcher::new(&parse(&query).unwrap());
            let found: Vec<&String> = group
                .documents
                .iter()
                .filter(|(id, text)| matcher.matches(&mention(id, text), now()))
                .map(|(id, _)| id)
                .collect();
            assert_eq!(found, wanted.iter().collect::<Vec<_>>(), "{query}");
        }
    }
}

fn holds(query: &str, mention: &Enriched) -> bool {
    Matcher::new(&parse(query).unwrap()).matches(mention, now())
}

#[test]
fn no_phrase_and_no_distance_crosses_from_the_title_to_the_text() {
    let mut titled = mention("m", "outage ends");
    titled.mention.title = Some("harbor bank".to_owned());
    assert!(holds("bank outage", &titled));
    assert!(!holds("\"bank outage\"", &titled));
    assert!(!holds("bank NEAR/1000 outage", &titled));
    assert!(holds("title:bank body:outage", &titled));
    assert!(!holds("title:outage", &titled) && !holds("body:bank", &titled));
    assert!(holds("title:(harbor NEAR/1 bank) AND body:\"outage ends\"", &titled));
    assert!(holds("raw:\"outage ends\" raw:\"harbor b\"", &titled) || !holds("raw:\"harbor b\"", &titled));
}

#[test]
fn fields_are_asked_in_the_form_that_people_write() {
    let mut told = mention("hn:1", "x");
    told.mention.author = Some(Author {
        id: "hackernews:Ann".to_owned(),
        name: Some("Ann Lee".to_owned()),
        handle: Some("AnnL".to_owned()),
        followers: Some(50),
        verified: Some(true),
    });
    told.mention.url = Some("https://www.News.example.org/1".to_owned());
    told.mention.country = Some("US".to_owned());
    told.mention.links = vec!["https://x.example".to_owned()];
    told.mention.reply_to = Some("hn:0".to_owned());
    told.reach = Some(70);
    told.risk = vec!["legal".to_owned()];
    told.entities = vec![
        EntityTag {
            subject: "bank".to_owned(),
            kind: Some(SubjectKind::Brand),
            matches: Vec::new(),
            lane: Lane::Sure,
            passing: false,
            sentiment: neutral(),
        },
        EntityTag {
            subject: "doubted".to_owned(),
            kind: Some(SubjectKind::Executive),
            matches: Vec::new(),
            lane: Lane::Doubtful,
            passing: false,
            sentiment: neutral(),
        },
    ];
    for query in [
        "author:annl",
        "author:@ANNL",
        "author:\"ann lee\"",
        "author:hackernews:ann",
        "author:ann*",
        "site:example.org",
        "site:news.example.org",
        "site:*.org",
        "country:us",
        "lang:EN",
        "is:reply",
        "is:verified",
        "has:link",
        "risk:legal",
        "entity:bank",
        "doubtful:doubted",
        "lane:doubtful",
        "lane:sure",
        "kind:brand",
        "sentiment:neutral",
        "followers:50",
        "followers:[50 TO 50]",
        "followers:>49",
        "reach:>=70",
        "id:hn:1",
        "after:2026-01-02",
        "before:2026-01-02T00:00:00.001Z",
        "after:-1d",
        "network:hackernews",
        "source:(x OR hn)",
        "authorVerified:true",
    ] {
        assert!(holds(query, &told), "{query}");
    }
    for query in [
        "author:ann",
        "site:ample.org",
        "country:de",
        "is:original",
        "is:repost",
        "has:media",
        "entity:doubted",
        "doubtful:bank",
        "kind:executive",
        "followers:<50",
        "followers:>50",
        "before:2026-01-02",
        "after:-23h",
        "id:hn:*1x",
    ] {
        assert!(!holds(query, &told), "{query}");
    }
    // What is not known is not zero.
    let unknown = mention("hn:2", "x");
    assert!(
        !holds("followers:<1000", &unknown)
            && !holds("reach:>=0", &unknown)
            && holds("is:original", &unknown)
    );
}

#[test]
fn a_text_of_one_word_repeated_is_answered_in_reasonable_time() {
    // Each of 20,000 words pairs with 100 others, and each pair with as many again.
    let hostile = mention("m", &("down ".repeat(20_000) + &"x ".repeat(100) + "up"));
    assert!(holds("down NEAR/50 down NEAR/50 down", &hostile));
    assert!(!holds("down NEAR/50 down NEAR/50 up", &hostile));
}
