//! From a mention to its judgement, and from the judgement to its signal. Pure: the same mention, knowledge
//! and time give the same records.

use std::sync::Arc;

use earshot_common::definitions::Watchlist;
use earshot_common::events::{
    Enriched, EnrichmentVersion, EntityMatch, EntityTag, Mention, RawPosition, SchemaVersion, Sentiment,
    Signal, SubjectSignal,
};
use earshot_common::keys::{AuthorKey, MentionKey};
use earshot_common::text::Tokenized;
use earshot_common::time::Timestamp;

use crate::entities::Matcher;
use crate::sentiment::{self, Lexicon, Place, Read};
use crate::{language, story};

/// Of a text with more sentiment words than this they are listed once, with the message, and not again with
/// each subject.
const MAX_COPIED_WORDS: usize = 100;

/// A message that names more subjects than this, a mere list, is read for what it says of the first ones; for the
/// others the message stands in.
const MAX_ATTITUDES: usize = 100;

/// What mentions are judged with.
#[derive(Debug)]
pub struct Knowledge {
    matcher: Matcher,
    lexicon: Arc<Lexicon>,
    version: EnrichmentVersion,
}

impl Knowledge {
    /// What follows from a watchlist and a lexicon.
    pub fn of(watchlist: &Watchlist, lexicon: Arc<Lexicon>) -> anyhow::Result<Self> {
        let version = EnrichmentVersion { watchlist: watchlist.next(), lexicon: lexicon.version() };
        Ok(Self { matcher: Matcher::new(watchlist)?, lexicon, version })
    }

    /// Which watchlist and lexicon these are.
    pub fn version(&self) -> &EnrichmentVersion {
        &self.version
    }
}

/// Judges a mention that stands at a place of `mentions.raw`.
pub fn judge(mention: Mention, raw: RawPosition, knowledge: &Knowledge, now: Timestamp) -> Enriched {
    let title = mention.title.as_deref().map(Tokenized::new);
    let text = Tokenized::new(&mention.text);
    let language = language::of(mention.lang_given.as_deref(), mention.title.as_deref(), &mention.text);
    let subjects = knowledge.matcher.find_among(title.as_ref(), &text, &mention.links);
    let read = sentiment::is_judged(&language.code).then(|| {
        let names = subjects.iter().flat_map(|subject| &subject.matches).map(place);
        Read::apart_from(&knowledge.lexicon, title.as_ref(), &text, names)
    });
    let story = story::of_tokens(&mention, title.as_ref(), &text);
    let sentiment = read.as_ref().map_or_else(sentiment::not_judged, Read::message);
    let mut entities = Vec::new();
    for (number, named) in subjects.into_iter().enumerate() {
        let towards = match &read {
            Some(read) if number < MAX_ATTITUDES => towards(read, &named.matches),
            Some(read) => towards(read, &[]),
            None => sentiment::not_judged(),
        };
        entities.push(EntityTag {
            subject: named.subject,
            kind: Some(named.kind),
            matches: named.matches,
            lane: named.lane,
            sentiment: towards,
        });
    }
    Enriched {
        raw,
        enrichment: knowledge.version.clone(),
        lang: language.code,
        lang_confidence: language.confidence,
        entities,
        sentiment,
        risk: Vec::new(),
        intent: Vec::new(),
        desks: Vec::new(),
        story,
        reach: mention.author.as_ref().and_then(|author| author.followers),
        searches: Vec::new(),
        enriched: now,
        mention,
    }
}

/// How the text of a judged mention is read, to explain it.
pub fn reading_of(enriched: &Enriched, lexicon: &Lexicon) -> Read {
    let mention = &enriched.mention;
    let title = mention.title.as_deref().map(Tokenized::new);
    let names = enriched.entities.iter().flat_map(|tag| &tag.matches).map(place);
    Read::apart_from(lexicon, title.as_ref(), &Tokenized::new(&mention.text), names)
}

/// What the decision side needs of a judgement, of its author's key and of the queries that matched; nothing where it
/// concerns nobody.
pub fn signal(
    enriched: &Enriched,
    author: Option<AuthorKey>,
    matched: Vec<String>,
    appended: Timestamp,
) -> Option<Signal> {
    if enriched.entities.is_empty() && enriched.searches.is_empty() {
        return None;
    }
    let subject = |tag: &EntityTag| SubjectSignal {
        id: tag.subject.clone(),
        polarity: tag.sentiment.score,
        risk: Vec::new(),
        lane: tag.lane,
    };
    let mention = &enriched.mention;
    Some(Signal {
        v: SchemaVersion::default(),
        mention: MentionKey::of(&mention.id),
        revision: mention.revision,
        author,
        origin: mention.origin,
        story: enriched.story,
        event_time: mention.event_time(),
        subjects: enriched.entities.iter().map(subject).collect(),
        polarity: Some(enriched.sentiment.score),
        reach: enriched.reach,
        matched,
        source: mention.source.id.clone(),
        raw: enriched.raw,
        raw_appended: Some(appended),
        watchlist: enriched.enrichment.watchlist,
        lexicon: enriched.enrichment.lexicon.clone(),
    })
}

fn place(at: &EntityMatch) -> Place {
    Place { in_title: at.in_title, characters: at.from..at.to }
}

/// The polarity towards a subject that is named at some places; towards none, where there is no place.
fn towards(read: &Read, named: &[EntityMatch]) -> Sentiment {
    let mut sentiment = read.towards(&read.places(named.iter().map(place)));
    if sentiment.words.len() > MAX_COPIED_WORDS {
        sentiment.words.clear();
    }
    sentiment
}

#[cfg(test)]
mod tests;
