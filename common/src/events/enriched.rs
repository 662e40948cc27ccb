//! `mentions.enriched`: the mention with what we make of it, and why.

use serde::{Deserialize, Serialize};

use super::{Deletion, Mention, ReachUnit};
use crate::definitions::SubjectKind;
use crate::keys::StoryKey;
use crate::time::Timestamp;

/// A value of `mentions.enriched`; its key is the mention id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EnrichedEvent {
    /// The judged mention.
    Upsert(Box<Enriched>),
    /// The mention is gone. It carries no text.
    Delete {
        /// The end of the mention.
        #[serde(flatten)]
        deletion: Deletion,
        /// Where it stood in `mentions.raw`.
        raw: RawPosition,
    },
}

/// A mention and its judgement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enriched {
    /// What the source said.
    #[serde(flatten)]
    pub mention: Mention,
    /// Where it stood in `mentions.raw`.
    pub raw: RawPosition,
    /// What it was judged with.
    pub enrichment: EnrichmentVersion,
    /// Language (ISO 639-1), or `und` where it cannot be told.
    pub lang: String,
    /// How sure the language is, 0 to 1.
    pub lang_confidence: f32,
    /// The subjects that it concerns, each once.
    pub entities: Vec<EntityTag>,
    /// Polarity of the whole message.
    pub sentiment: Sentiment,
    /// Risk categories.
    #[serde(default)]
    pub risk: Vec<String>,
    /// What the author is about: complaint, praise …
    #[serde(default)]
    pub intent: Vec<String>,
    /// Desks that it is for.
    #[serde(default)]
    pub desks: Vec<String>,
    /// What risk and intent were read from, in the order of the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The story that it is a copy of; none where the text is too short to tell.
    pub story: Option<StoryKey>,
    /// How many could have seen it: the author's followers, else the outlet's audience. `None` is unknown.
    pub reach: Option<u64>,
    /// What the reach counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach_unit: Option<ReachUnit>,
    /// Where it was published: the name that the source's definition gives, else the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlet: Option<String>,
    /// Ids of the searches that matched.
    #[serde(default)]
    pub searches: Vec<String>,
    /// When it was judged.
    pub enriched: Timestamp,
}

impl Enriched {
    /// How many could have seen it, and what is counted; none where it is unknown.
    pub fn audience(&self) -> Option<(u64, ReachUnit)> {
        Some((self.reach?, self.reach_unit.unwrap_or_default()))
    }
}

/// Words that a risk category or an intent was read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The category or intent.
    pub label: String,
    /// First character, counted in characters of the text (of the title, where `in_title`).
    pub from: u32,
    /// The character after the last one.
    pub to: u32,
    /// The words as they stand there; none where a confidential code name is among them, which is repeated nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Whether the place is in the title.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_title: bool,
}

impl EnrichedEvent {
    /// What orders it among the versions of its mention.
    pub fn version(&self) -> MentionVersion {
        match self {
            Self::Upsert(enriched) => MentionVersion::of_upsert(enriched),
            Self::Delete { deletion, raw } => MentionVersion::of_delete(deletion.revision, *raw),
        }
    }
}

/// What orders the versions of one mention: the newest one stands, in whatever order they arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MentionVersion {
    /// The source's.
    pub revision: i64,
    /// Of one revision the end comes last: a copy that arrives behind it stays away.
    pub deleted: bool,
    /// Where it stood in its partition of `mentions.raw`.
    pub raw_offset: u64,
    /// The watchlist that judged it: a mention that is judged again has the same revision and offset.
    pub watchlist: u64,
    /// When it was judged. A lexicon has no number to order it by: of one watchlist the later judgement stands.
    pub judged: Timestamp,
}

impl MentionVersion {
    /// Of a mention that stands.
    pub fn of_upsert(enriched: &Enriched) -> Self {
        Self {
            revision: enriched.mention.revision,
            deleted: false,
            raw_offset: enriched.raw.offset,
            watchlist: enriched.enrichment.watchlist,
            judged: enriched.enriched,
        }
    }

    /// Of the end of a mention, which nobody judges.
    pub fn of_delete(revision: i64, raw: RawPosition) -> Self {
        let judged = Timestamp::default();
        Self { revision, deleted: true, raw_offset: raw.offset, watchlist: 0, judged }
    }
}

/// A record's place in `mentions.raw`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RawPosition {
    /// Partition of `mentions.raw`.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
}

/// Which watchlist and which lexicons a judgement was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrichmentVersion {
    /// Next offset of `watchlist` at the time: all definitions before it were known.
    pub watchlist: u64,
    /// Names and versions of the lexicons.
    pub lexicon: String,
}

/// One subject found in a mention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntityTag {
    /// The subject's id.
    pub subject: String,
    /// What the subject is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SubjectKind>,
    /// What was found, in the order of the text.
    #[serde(default)]
    pub matches: Vec<EntityMatch>,
    /// Whether it counts, or waits for a person to say.
    pub lane: Lane,
    /// It is named in passing only, in a list of ticker symbols: a mention, but no story about it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
    /// Polarity towards this subject.
    pub sentiment: Sentiment,
}

/// One place where a subject is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityMatch {
    /// First character, counted in characters of the text (of the title, where `in_title`).
    pub from: u32,
    /// The character after the last one.
    pub to: u32,
    /// The alias, handle, domain or cashtag that matched, as the watchlist writes it or as it follows from that.
    pub alias: String,
    /// What made an ambiguous alias count, as it stands in the text, or as the author, site or source is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corroborated_by: Option<String>,
    /// What `corroborated_by` is to the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corroboration: Option<Corroboration>,
    /// How the alias follows from the watchlist, where it is not written there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derived: Option<Derivation>,
    /// Whether the place is in the title.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_title: bool,
}

/// What makes an ambiguous alias count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corroboration {
    /// Another name, account, site or ticker symbol of the same subject.
    Name,
    /// A context word of the subject.
    Context,
    /// The executive's role.
    Role,
    /// The executive's company, which is meant for sure.
    Company,
    /// An executive of the company, who is meant for sure.
    Executive,
    /// The mention's author is the subject.
    Author,
    /// The mention was published on the subject's site.
    Site,
    /// The mention comes from a source that is about the subject.
    Source,
}

/// How an alias follows from what the watchlist says of an executive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Derivation {
    /// The surname alone.
    Surname,
    /// A short form of the first name, or the full form of a short one, before the surname.
    ShortForm,
    /// Initials before the surname.
    Initials,
    /// The role in the company, such as `Harbor's CEO`.
    Role,
}

/// Whether a tag counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// It counts.
    Sure,
    /// An ambiguous alias that nothing corroborates: shown for review, counted nowhere.
    Doubtful,
}

impl Lane {
    /// The word as it is written in records and queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sure => "sure",
            Self::Doubtful => "doubtful",
        }
    }
}

/// A polarity and the words that made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sentiment {
    /// Polarity from -1 to 1; 0.05 is what it takes to be an opinion.
    pub score: f32,
    /// The score in a word.
    pub label: Polarity,
    /// How sure, 0 to 1, where it was estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// The words that made the score.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<SentimentWord>,
    /// Whether the message's score stands in for one towards the subject.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fallback: bool,
}

/// A polarity in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Polarity {
    /// Score of -0.05 or lower.
    Negative,
    /// Neither.
    Neutral,
    /// Score of 0.05 or higher.
    Positive,
}

impl Polarity {
    /// All of them, from bad to good, each at its own number.
    pub const ALL: [Self; 3] = [Self::Negative, Self::Neutral, Self::Positive];

    /// The label of a score, by the thresholds that VADER's authors publish for theirs.
    pub fn of(score: f32) -> Self {
        if score >= 0.05 {
            Self::Positive
        } else if score <= -0.05 {
            Self::Negative
        } else {
            Self::Neutral
        }
    }

    /// The word as it is written in records and addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::Neutral => "neutral",
            Self::Positive => "positive",
        }
    }
}

/// A word with its part in a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentimentWord {
    /// First character, counted in characters of the text (of the title, where `in_title`).
    pub from: u32,
    /// The character after the last one.
    pub to: u32,
    /// The word as it stands there.
    pub word: String,
    /// Its part in the score; the parts add up to the score.
    pub share: f32,
    /// Whether the place is in the title.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_title: bool,
}
