//! From a mention to its judgement, and from the judgement to its signal. Pure: the same mention, knowledge
//! and time give the same records.

use std::sync::Arc;

use earshot_common::definitions::Watchlist;
use earshot_common::events::{
    Enriched, EnrichmentVersion, EntityMatch, EntityTag, Mention, RawPosition, SchemaVersion, Sentiment,
    Signal, SubjectSignal,
};
use earshot_common::keys::{AuthorKey, MentionKey, fingerprint};
use earshot_common::text::Tokenized;
use earshot_common::time::Timestamp;

use crate::entities::Matcher;
use crate::reach::Outlets;
use crate::risk::{self, Risks};
use crate::sentiment::{self, Lexicon, Lexicons, Place, Read, Weighed};
use crate::{language, story};

/// Of a text with more sentiment words than this they are listed once, with the message, and not again with
/// each subject.
const MAX_COPIED_WORDS: usize = 100;
/// What stands for the lexicons where the language is not judged.
const NO_LEXICON: &str = "none";

/// A message that names more subjects than this, a mere list, is read for what it says of the first ones; for the
/// others the message stands in.
const MAX_ATTITUDES: usize = 100;

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

    /// What follows from a watchlist and what comes with the program.
    pub fn shipped(watchlist: &Watchlist) -> anyhow::Result<Self> {
        Self::of(watchlist, Arc::new(Lexicons::shipped()), Arc::new(Risks::english()))
    }

    /// Which watchlist and which lexicons a text is judged with.
    fn version(&self, lexicon: Option<&Lexicon>) -> EnrichmentVersion {
        let lexicon = lexicon.map_or_else(|| NO_LEXICON.to_owned(), Lexicon::version);
        let lexicon = format!("{lexicon}, {}", self.risks.version());
        EnrichmentVersion { watchlist: self.watchlist, lexicon }
    }

    /// A short hash of the lexicons and patterns: what changes where the same mention may be judged in another way.
    pub fn judges(&self) -> String {
        fingerprint(&self.versions().lexicon)
    }

    /// Which watchlist and which lexicons these are, of every language.
    pub fn versions(&self) -> EnrichmentVersion {
        let lexicon = format!("{}, {}", self.lexicons.versions(), self.risks.version());
        EnrichmentVersion { watchlist: self.watchlist, lexicon }
    }
}

/// Judges a mention that stands at a place of `mentions.raw`.
pub fn judge(mention: Mention, raw: RawPosition, knowledge: &Knowledge, now: Timestamp) -> Enriched {
    let title = mention.title.as_deref().map(Tokenized::new);
    let text = Tokenized::new(&mention.text);
    let language = language::of(mention.lang_given.as_deref(), title.as_ref(), &text);
    let lexicon = knowledge.lexicons.of(&language.code);
    let subjects = knowledge.matcher.find_among(&mention, title.as_ref(), &text);
    let sights = knowledge.risks.look(title.as_ref(), &text, risk::is_read(&language.code));
    let read = lexicon.map(|lexicon| {
        let names = subjects.iter().flat_map(|subject| &subject.matches).chain(&sights.code_names);
        Read::apart_from(lexicon, title.as_ref(), &text, names.map(place))
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
            passing: named.passing,
            sentiment: towards,
        });
    }
    let labels = knowledge.risks.labels(sights.evidence, sentiment.label, &entities);
    let reach = knowledge.outlets.reach(&mention);
    Enriched {
        raw,
        enrichment: knowledge.version(lexicon),
        lang: language.code,
        lang_confidence: language.confidence,
        entities,
        sentiment,
        risk: labels.risk,
        intent: labels.intent,
        desks: labels.desks,
        evidence: labels.evidence,
        story,
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
    let title = enriched.mention.title.as_deref().map(Tokenized::new);
    let text = Tokenized::new(&enriched.mention.text);
    let sights = knowledge.risks.look(title.as_ref(), &text, risk::is_read(&enriched.lang));
    let names = enriched.entities.iter().flat_map(|tag| &tag.matches).chain(&sights.code_names);
    let read = Read::apart_from(lexicon, title.as_ref(), &text, names.map(place));
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
    let subject = |(tag, risk): (&EntityTag, Vec<String>)| SubjectSignal {
        id: tag.subject.clone(),
        polarity: tag.sentiment.score,
        risk,
        lane: tag.lane,
        passing: tag.passing,
    };
    let subjects = enriched.entities.iter().zip(risk::of_subjects(enriched)).map(subject);
    let mention = &enriched.mention;
    Some(Signal {
        v: SchemaVersion::default(),
        mention: MentionKey::of(&mention.id),
        revision: mention.revision,
        author,
        origin: mention.origin,
        story: enriched.story,
        event_time: mention.event_time(),
        subjects: subjects.collect(),
        polarity: Some(enriched.sentiment.score),
        risk: enriched.risk.clone(),
        desks: enriched.desks.clone(),
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

fn place(at: &EntityMatch) -> Place {
    Place { in_title: at.in_title, characters: at.from..at.to }
}

/// The polarity towards a subject that is named at some places; towards none, where there is no place.
fn towards(read: &Read<'_>, named: &[EntityMatch]) -> Sentiment {
    let mut sentiment = read.towards(&read.places(named.iter().map(place)));
    if sentiment.words.len() > MAX_COPIED_WORDS {
        sentiment.words.clear();
    }
    sentiment
}

#[cfg(test)]
mod tests;
