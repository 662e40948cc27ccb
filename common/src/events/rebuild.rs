//! Counts that are made anew: `rebuilds`, where they are asked for, and what `signals` says of them.
//!
//! Counts belong to a definition. Where it changes, alerts asks for those of the new one, enrich judges the retained
//! mentions again and hands the sums over. No mention text and no author names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Polarity, SchemaVersion};
use crate::definitions::Window;
use crate::time::Timestamp;

/// A value of `rebuilds`; its key is the subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RebuildRequest {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// The subject, or the search as one.
    pub subject: String,
    /// Offset in `watchlist` of the version that it is to be counted by.
    pub version: u64,
    /// Offset of the record of `signals` that made it necessary.
    pub asked: u64,
    /// What happened before this is to be counted; what happens from then on is counted live.
    pub until: Timestamp,
    /// Sources that do not count yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Sources that count from this rebuild on, and since when they bring mentions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub entering: BTreeMap<String, Timestamp>,
    /// Whether it is done: the sums are in `signals`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
}

impl RebuildRequest {
    /// How people and records call it.
    pub fn name(&self) -> String {
        format!("rebuild:{}@{}", self.subject, self.version)
    }
}

/// In `signals`, by alerts: somebody asks for a subject's counts anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuild {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// The subject, or the search as one.
    pub subject: String,
}

/// In `signals`, by enrich: one series of a subject's counts, made anew. The last one of a rebuild ends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rebuilt {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// `rebuild:SUBJECT@VERSION`.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// Offset of the record that asked for it: an answer to an older question is passed over.
    pub asked: u64,
    /// What happened before this is counted.
    pub until: Timestamp,
    /// What happened before this is not known under this definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The rule that counts so for itself; without one these are all mentions of the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The span of a bucket.
    pub window: Window,
    /// The sums; a bucket that is absent is zero.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<RebuiltBucket>,
    /// Of a rule about what is new: short keys of the values and of the authors that were there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<u64>,
    /// See `values`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<u64>,
    /// From the first to the last mention that each import brought, of those that name the subject.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub imports: BTreeMap<String, (Timestamp, Timestamp)>,
    /// Mentions of the subject in all.
    pub mentions: u64,
    /// Whether the rebuild ends here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last: bool,
}

/// The sums of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuiltBucket {
    /// When it starts.
    pub start: Timestamp,
    /// Of what came live.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub live: u32,
    /// Of what imports brought.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub past: u32,
    /// The tone and the reach of what came live, for a rule about either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tone: Option<ToneSums>,
}

/// The tone and the reach of some mentions, as sums of integers, so that the order in which they came cannot show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToneSums {
    /// Mentions.
    pub mentions: u32,
    /// Negative ones.
    pub negatives: u32,
    /// Of the polarities, in thousandths.
    pub sum: i64,
    /// Of their squares.
    pub squares: i64,
    /// Mentions of which it is known how many accounts could have seen them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub known: u32,
    /// These accounts, up to the highest number that there is.
    #[serde(default, skip_serializing_if = "is_none")]
    pub reach: u64,
}

impl ToneSums {
    /// Takes a mention in: its polarity, and the accounts that could have seen it where that is known.
    pub fn add(&mut self, polarity: f32, reach: Option<u64>) {
        let thousandths = (f64::from(polarity) * 1_000.0).round() as i64;
        self.mentions += 1;
        self.negatives += u32::from(Polarity::of(polarity) == Polarity::Negative);
        self.sum += thousandths;
        self.squares += thousandths * thousandths;
        self.known += u32::from(reach.is_some());
        self.reach = self.reach.saturating_add(reach.unwrap_or_default());
    }

    /// So many of all, for a share alone.
    pub fn of_counts(part: u32, all: u32) -> Self {
        Self { mentions: all, negatives: part, ..Self::default() }
    }

    /// Takes other sums in.
    pub fn add_all(&mut self, other: &Self) {
        self.mentions += other.mentions;
        self.negatives += other.negatives;
        self.sum += other.sum;
        self.squares += other.squares;
        self.known += other.known;
        self.reach = self.reach.saturating_add(other.reach);
    }

    /// The mean polarity.
    pub fn mean(&self) -> f64 {
        self.sum as f64 / 1_000.0 / f64::from(self.mentions)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_none(number: &u64) -> bool {
    *number == 0
}
