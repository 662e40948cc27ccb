//! Mentions and indexes for tests.

use earshot_common::events::{
    Author, Deletion, DeletionReason, Enriched, EnrichedEvent, EnrichmentVersion, EntityMatch, EntityTag,
    Lane, Mention, Origin, Polarity, RawPosition, SchemaVersion, Sentiment, SentimentWord, SourceRef, encode,
};
use earshot_common::time::Timestamp;
use tantivy::directory::RamDirectory;

use crate::store::Store;

/// A mention of 1 January 2026, with nothing about it that a test does not say.
pub(crate) fn mention(id: &str, text: &str) -> Enriched {
    let at: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let source = SourceRef { id: "hn".to_owned(), network: "hackernews".to_owned(), site: None };
    Enriched {
        mention: Mention {
            revision: 1,
            url: Some("https://example.org/1".to_owned()),
            author: Some(Author {
                id: "hackernews:ann".to_owned(),
                name: Some("Ann".to_owned()),
                ..Author::default()
            }),
            ..Mention::new(id.to_owned(), source, text.to_owned(), at)
        },
        raw: RawPosition { partition: 0, offset: 1 },
        enrichment: EnrichmentVersion { watchlist: 1, lexicon: "general-1".to_owned() },
        lang: "en".to_owned(),
        lang_confidence: 1.0,
        entities: Vec::new(),
        sentiment: sentiment(0.0),
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

/// The same mention at another time.
pub(crate) fn at(mut mention: Enriched, time: &str) -> Enriched {
    mention.mention.published = time.parse().unwrap();
    mention.mention.collected = mention.mention.published;
    mention
}

/// The same mention as a version of this revision and raw offset.
pub(crate) fn version(mut mention: Enriched, revision: i64, offset: u64) -> Enriched {
    mention.mention.revision = revision;
    mention.raw.offset = offset;
    mention
}

/// The same mention with a subject, and a sentiment towards it.
pub(crate) fn about(mut mention: Enriched, subject: &str, score: f32, lane: Lane) -> Enriched {
    let found = EntityMatch {
        from: 0,
        to: 1,
        alias: subject.to_owned(),
        corroborated_by: None,
        corroboration: None,
        derived: None,
        in_title: false,
    };
    mention.entities.push(EntityTag {
        subject: subject.to_owned(),
        kind: None,
        matches: vec![found],
        lane,
        passing: false,
        sentiment: sentiment(score),
    });
    mention
}

/// The same mention with a word that makes the score of the whole message.
pub(crate) fn feeling(mut mention: Enriched, word: &str, score: f32) -> Enriched {
    let before = mention.mention.text.split(word).next().unwrap().chars().count() as u32;
    let word = SentimentWord {
        from: before,
        to: before + word.chars().count() as u32,
        word: word.to_owned(),
        share: score,
        in_title: false,
    };
    mention.sentiment = Sentiment { words: vec![word], ..sentiment(score) };
    mention
}

fn sentiment(score: f32) -> Sentiment {
    Sentiment { score, label: Polarity::of(score), confidence: None, words: Vec::new(), fallback: false }
}

pub(crate) fn upsert(mention: Enriched) -> Vec<u8> {
    encode(&EnrichedEvent::Upsert(Box::new(mention)))
}

pub(crate) fn delete(id: &str, revision: i64, offset: u64) -> Vec<u8> {
    encode(&EnrichedEvent::Delete {
        deletion: Deletion {
            v: SchemaVersion::default(),
            id: id.to_owned(),
            revision,
            origin: Origin::Live,
            reason: DeletionReason::DeletedAtSource,
            collected: "2026-01-01T13:00:00Z".parse().unwrap(),
        },
        raw: RawPosition { partition: 0, offset },
    })
}

/// An index in memory that holds these mentions.
pub(crate) fn index_of(mentions: &[Enriched]) -> Store {
    let store = Store::in_directory(RamDirectory::create()).unwrap();
    add(&store, mentions);
    store
}

/// Adds mentions to an index.
pub(crate) fn add(store: &Store, mentions: &[Enriched]) {
    let mut writer = store.writer().unwrap();
    for mention in mentions {
        writer.add_document(store.fields.mention(mention, None)).unwrap();
    }
    writer.commit().unwrap();
    store.reload().unwrap();
}
