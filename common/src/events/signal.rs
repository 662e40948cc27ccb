//! `signals`: the one ordered input log of the decision side. No mention text and no author names.

use serde::{Deserialize, Serialize};

use super::{
    DefinitionVersion, Lane, Measure, Origin, Polarity, RawPosition, ReachUnit, Rebuild, Rebuilt,
    SchemaVersion, SourceHealth,
};
use crate::definitions::{FILTER_PREFIX, Search};
use crate::keys::{AlertKey, AuthorKey, MentionKey, StoryKey};
use crate::time::Timestamp;

/// A value of `signals`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "the largest, a definition, is rare and never kept in this form"
)]
pub enum SignalRecord {
    /// By enrich: a mention that concerns a subject.
    Signal(Box<Signal>),
    /// By enrich: how far each raw partition is done.
    Progress(Progress),
    /// By ingest: a source's state changed, or an import has ended.
    SourceHealth(SourceHealth),
    /// By index: what a person told us to do.
    Command(Command),
    /// By alerts: a version copied from `watchlist`.
    Definition(DefinitionVersion),
    /// By the sender of alerts: what became of a notification.
    Delivery(Delivery),
    /// By the historic fold of alerts: sums for baselines.
    History(History),
    /// By alerts: somebody asks for a subject's counts anew.
    Rebuild(Rebuild),
    /// By enrich: counts made anew from the retained mentions.
    Rebuilt(Box<Rebuilt>),
    /// By alerts: nobody else appends anything, and something is due by the log's clock.
    Tick(Tick),
    /// By ingest: it is at work, told every few minutes.
    Collecting(Collecting),
}

/// A mention as the decision side sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// The mention.
    pub mention: MentionKey,
    /// Its revision.
    pub revision: i64,
    /// Its author, where known.
    pub author: Option<AuthorKey>,
    /// How it came to us.
    pub origin: Origin,
    /// Its story, where there is one.
    pub story: Option<StoryKey>,
    /// The earlier of published and collected.
    pub event_time: Timestamp,
    /// The subjects that it concerns.
    pub subjects: Vec<SubjectSignal>,
    /// Polarity of the whole message, -1 to 1: that towards a search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polarity: Option<f32>,
    /// Risk categories of the whole message: those of a search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risk: Vec<String>,
    /// The desks that the whole message is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub desks: Vec<String>,
    /// How many could have seen it. `None` is unknown.
    pub reach: Option<u64>,
    /// What the reach counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach_unit: Option<ReachUnit>,
    /// Ids of the searches and rule filters that matched.
    #[serde(default)]
    pub matched: Vec<String>,
    /// Id of the source, so that a silent one can be named and an import told from another.
    pub source: String,
    /// Where it stood in `mentions.raw`: what makes a second delivery recognisable.
    pub raw: RawPosition,
    /// When `mentions.raw` took it: what makes that topic recognisable, should it be made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_appended: Option<Timestamp>,
    /// Next offset of `watchlist` when it was judged.
    pub watchlist: u64,
    /// Names and versions of the lexicons that it was judged with.
    pub lexicon: String,
}

impl Signal {
    /// The subjects that count, and the searches that matched as subjects.
    pub fn concerned(&self) -> Vec<SubjectSignal> {
        let sure = self.subjects.iter().filter(|subject| subject.lane == Lane::Sure).cloned();
        let searches = self.matched.iter().filter(|id| !id.starts_with(FILTER_PREFIX));
        let as_subject = |id: &String| SubjectSignal {
            id: Search::subject_id(id),
            polarity: self.polarity.unwrap_or_default(),
            risk: self.risk.clone(),
            lane: Lane::Sure,
            passing: false,
        };
        sure.chain(searches.map(as_subject)).collect()
    }

    /// Accounts that could have seen it, as far as is known: visits of a month are not the readers of one article.
    pub fn accounts(&self) -> Option<u64> {
        self.reach.filter(|_| self.reach_unit != Some(ReachUnit::MonthlyVisits))
    }

    /// How a measure takes it, as it concerns one of its subjects.
    pub fn counted_by(&self, measure: Measure, subject: &SubjectSignal) -> Counted {
        match measure {
            Measure::Mentions => Counted::Each,
            Measure::Negatives if Polarity::of(subject.polarity) == Polarity::Negative => Counted::Each,
            Measure::Negatives => Counted::Not,
            Measure::Stories => self.short_story(subject).map_or(Counted::Not, Counted::Once),
            Measure::Authors => Counted::Once(self.author.map_or(0, |author| author.short())),
        }
    }

    /// Its story, where it is one about the subject.
    pub fn story_about(&self, subject: &SubjectSignal) -> Option<StoryKey> {
        self.story.filter(|_| !subject.passing)
    }

    /// A short key of its story, without one of the mention itself; nothing where that is not about the subject.
    pub fn short_story(&self, subject: &SubjectSignal) -> Option<u64> {
        let key = self.story.map_or_else(|| self.mention.short(), |story| story.short());
        (!subject.passing).then_some(key)
    }

    /// A short key of its source.
    pub fn short_source(&self) -> u64 {
        AlertKey::of(&[&self.source]).short()
    }
}

/// How a measure takes a mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It counts.
    Each,
    /// It counts where it is the first with this key in its bucket.
    Once(u64),
    /// It does not.
    Not,
}

/// One subject of a signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectSignal {
    /// The subject's id.
    pub id: String,
    /// Polarity towards it, -1 to 1.
    pub polarity: f32,
    /// Risk categories that are said of it: in a sentence that names it, or in one that names nobody.
    #[serde(default)]
    pub risk: Vec<String>,
    /// Whether it counts.
    pub lane: Lane,
    /// It is named in passing, so this is no story about it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
}

/// How far enrichment is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// A short hash of the lexicons and patterns that are judged with: what changes where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_with: Option<String>,
    /// Each raw partition that the author owns.
    pub partitions: Vec<PartitionProgress>,
}

/// Nothing but the time at which the log takes it: what is due by then is due, also where enrichment stands still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// Schema version.
    pub v: SchemaVersion<1>,
}

/// A sign that an instance of ingest asks its sources and opens its doors: where it stays away, nobody collects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collecting {
    /// Schema version.
    pub v: SchemaVersion<1>,
}

/// How far one raw partition is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionProgress {
    /// Partition of `mentions.raw`.
    pub partition: u32,
    /// Next raw offset: the signals of all before it stand earlier in this log.
    pub next: u64,
    /// All that was appended to the partition before this time is done.
    pub done_up_to: Timestamp,
}

/// What a person told us to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// Makes a second delivery of the command recognisable.
    pub id: String,
    /// The alert that it is about.
    pub alert: AlertKey,
    /// What to do.
    pub what: CommandKind,
    /// Who said so, such as `user:ann`.
    pub by: String,
    /// In their words.
    #[serde(default)]
    pub note: Option<String>,
    /// When it ends to hold: of an acknowledgement, without it when the alert is over; of a mute, without it after
    /// a day.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// What a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    /// Somebody has it in hand: nobody else is called to it. The first in the log has it.
    Acknowledge,
    /// Nobody is to be told anything more of this alert.
    Mute,
    /// Nobody is to be told of any alert of the same rule and subject.
    MuteRule,
    /// Something to know about it.
    Note,
    /// It was worth the attention.
    Useful,
    /// It was not.
    Noise,
    /// Whoever has it in hand has it no longer: others are called again.
    Release,
    /// People are to be told of this alert again.
    Unmute,
    /// People are to be told of this alert again, and of all of the same rule and subject.
    UnmuteRule,
}

/// Alerts that are over take words of people for this long: 30 days.
pub const COMMANDS_AFTER_END_MS: i64 = 30 * 24 * 60 * 60 * 1_000;

/// What became of a notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// The notification: alert, transition, channel and address.
    pub key: String,
    /// How far it is.
    pub state: DeliveryState,
    /// Counted from 1.
    pub attempt: u32,
    /// The sender that wrote it: one name for each start of the program.
    pub sender: String,
    /// What went wrong: for a failure, or of a claim at the attempt before.
    #[serde(default)]
    pub error: Option<String>,
    /// Of a failure: whether another attempt might have succeeded, but the time for it was up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub out_of_time: bool,
}

/// How far a notification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Claimed by a sender.
    Sending,
    /// The channel took it.
    Delivered,
    /// The channel will not take it, or not in time.
    Failed,
}

/// Sums of the past by definition, for baselines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// The rule whose measure these are.
    pub rule: String,
    /// The subject.
    pub subject: String,
    /// The version of the definitions that they were counted with.
    pub watchlist: u64,
    /// Start of the first whole bucket that was observed.
    pub from: Timestamp,
    /// End of the last whole bucket that was observed.
    pub until: Timestamp,
    /// Counts by bucket start; a bucket between `from` and `until` that is absent is zero.
    pub buckets: Vec<HistoryBucket>,
}

/// The count of one bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryBucket {
    /// When the bucket starts.
    pub start: Timestamp,
    /// Mentions in it.
    pub count: u32,
    /// Whether it belonged to a burst, which a baseline leaves out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub burst: bool,
}
