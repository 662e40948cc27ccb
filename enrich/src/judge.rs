//! From a mention to its judgement, and from the judgement to its signal. Pure: the same mention, knowledge
//! and time give the same records.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use earshot_common::definitions::Watchlist;
use earshot_common::events::{
    Enriched, EnrichmentVersion, EntityMatch, EntityTag, Mention, RawPosition, SchemaVersion, Sentiment,
    Signal, SubjectSignal,
};
use earshot_common::keys::{AuthorKey, MentionKey};
use earshot_common::text::{CharacterOffsets, TokenKind, tokens};
use earshot_common::time::Timestamp;

use crate::entities::{Matcher, NamedSubject};
use crate::reach::Outlets;
use crate::risk::{self, Risks};
use crate::sentiment::{self, Lexicon, Lexicons, Place, Read, Weighed};
use crate::{language, story};

/// Of a text with more sentiment words than this they are listed once, with the message, and not again with
/// each subject.
const MAX_COPIED_WORDS: usize = 100;
/// What stands for the lexicons where the language is not judged.
const NO_LEXICON: &str = "none";

/// What mentions are judged with.
#[derive(Debug)]
pub struct Knowledge {
    matcher: Matcher,
    lexicons: Arc<Lexicons>,
    risks: Arc<Risks>,
    outlets: Outlets,
    watchlist: u64,
}

impl Knowledge {
    /// What follows from a watchlist, the lexicons and patterns of risk.
    pub fn of(watchlist: &Watchlist, lexicons: Arc<Lexicons>, risks: Arc<Risks>) -> anyhow::Result<Self> {
        let (matcher, outlets) = (Matcher::new(watchlist)?, Outlets::of(watchlist));
        Ok(Self { matcher, lexicons, risks, outlets, watchlist: watchlist.next() })
    }

    /// Which watchlist and which lexicons a text in a language is judged with.
    pub fn version(&self, lang: &str) -> EnrichmentVersion {
        let lexicon = self.lexicons.of(lang).map_or_else(|| NO_LEXICON.to_owned(), Lexicon::version);
        EnrichmentVersion {
            watchlist: self.watchlist,
            lexicon: format!("{lexicon}, {}", self.risks.version()),
        }
    }
}

/// Judges a mention that stands at a place of `mentions.raw`.
pub fn judge(mention: Mention, raw: RawPosition, knowledge: &Knowledge, now: Timestamp) -> Enriched {
    let title = mention.title.as_deref();
    let language = language::of(mention.lang_given.as_deref(), title, &mention.text);
    let subjects = knowledge.matcher.find(&mention);
    let sights = knowledge.risks.look(title, &mention.text, risk::is_read(&language.code));
    let read = knowledge.lexicons.of(&language.code).map(|lexicon| {
        let names = subjects.iter().flat_map(|subject| &subject.matches).chain(&sights.code_names);
        let names: Vec<&EntityMatch> = names.collect();
        read_without_names(lexicon, title, &mention.text, &names)
    });
    let sentiment = read.as_ref().map_or_else(sentiment::not_judged, Read::message);
    let mut entities = Vec::new();
    for named in subjects {
        let towards = read.as_ref().map_or_else(sentiment::not_judged, |read| towards(read, &named));
        entities.push(EntityTag {
            subject: named.subject,
            kind: Some(named.kind),
            matches: named.matches,
            lane: named.lane,
            sentiment: towards,
        });
    }
    let labels = knowledge.risks.labels(sights.evidence, sentiment.label, &entities);
    let reach = knowledge.outlets.reach(&mention);
    Enriched {
        raw,
        enrichment: knowledge.version(&language.code),
        lang: language.code,
        lang_confidence: language.confidence,
        entities,
        sentiment,
        risk: labels.risk,
        intent: labels.intent,
        desks: labels.desks,
        evidence: labels.evidence,
        story: story::of(&mention),
        reach: reach.map(|(count, _)| count),
        reach_unit: reach.map(|(_, unit)| unit),
        outlet: knowledge.outlets.name(&mention),
        searches: Vec::new(),
        enriched: now,
        mention,
    }
}

/// The words that weigh something in a judged mention and why, to explain it; `None` where its language is not
/// judged.
pub fn weighed(enriched: &Enriched, knowledge: &Knowledge) -> Option<Vec<Weighed>> {
    let lexicon = knowledge.lexicons.of(&enriched.lang)?;
    let (title, text) = (enriched.mention.title.as_deref(), &enriched.mention.text);
    let sights = knowledge.risks.look(title, text, risk::is_read(&enriched.lang));
    let names = enriched.entities.iter().flat_map(|tag| &tag.matches).chain(&sights.code_names);
    let read = read_without_names(lexicon, title, text, &names.collect::<Vec<_>>());
    Some(read.weighed(lexicon))
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
        risk: risk::of_subject(enriched, tag),
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
        risk: enriched.risk.clone(),
        reach: enriched.reach,
        reach_unit: enriched.reach_unit,
        matched,
        source: mention.source.id.clone(),
        raw: enriched.raw,
        raw_appended: Some(appended),
        watchlist: enriched.enrichment.watchlist,
        lexicon: enriched.enrichment.lexicon.clone(),
    })
}

fn read_without_names(lexicon: &Lexicon, title: Option<&str>, text: &str, names: &[&EntityMatch]) -> Read {
    let title = title.map(|title| without_names(title, names, true));
    Read::new(lexicon, title.as_deref(), &without_names(text, names, false))
}

/// The text with the letters of names and handles made meaningless, character for character: to be called
/// United is no praise.
fn without_names<'t>(text: &'t str, named: &[&EntityMatch], in_title: bool) -> Cow<'t, str> {
    if !text.contains(['@', '＠']) && named.iter().all(|named| named.in_title != in_title) {
        return Cow::Borrowed(text);
    }
    let mut offsets = CharacterOffsets::new(text);
    let mut names: Vec<Range<u32>> = Vec::new();
    for token in tokens(text) {
        if token.kind == TokenKind::Handle {
            names.push(offsets.at(token.bytes.start)..offsets.at(token.bytes.end));
        }
    }
    for named in named {
        if named.in_title == in_title {
            names.push(named.from..named.to);
        }
    }
    let mut is_name = vec![false; text.chars().count()];
    for name in names {
        is_name[name.start as usize..name.end as usize].fill(true);
    }
    let mut masked = String::with_capacity(text.len());
    for (c, is_name) in text.chars().zip(is_name) {
        masked.push(match (is_name && c.is_alphabetic(), c.is_uppercase()) {
            (false, _) => c,
            // Letters that no word of a lexicon is made of; case stays, since shouting is counted by it.
            (true, true) => 'Ø',
            (true, false) => 'ø',
        });
    }
    Cow::Owned(masked)
}

/// The polarity towards a subject.
fn towards(read: &Read, named: &NamedSubject) -> Sentiment {
    let place = |at: &EntityMatch| Place { in_title: at.in_title, characters: at.from..at.to };
    let mut sentiment = read.towards(&read.places(named.matches.iter().map(place)));
    if sentiment.words.len() > MAX_COPIED_WORDS {
        sentiment.words.clear();
    }
    sentiment
}

#[cfg(test)]
mod tests;
