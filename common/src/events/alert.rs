//! `alerts`: every transition of every alert. Written by the fold alone; kept for ever.

use serde::{Deserialize, Serialize};

use super::{ReachUnit, SchemaVersion};
use crate::keys::{AlertKey, MentionKey};
use crate::time::Timestamp;

/// A value of `alerts`; its key is the alert id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// The alert.
    pub alert: AlertKey,
    /// Numbers the transitions of the alert, from 1.
    pub sequence: u32,
    /// The record of `signals` that caused it, so that a restart emits nothing twice.
    pub signals: CausedBy,
    /// What happened.
    pub transition: Transition,
    /// The rule's id.
    pub rule: String,
    /// The subject's id.
    pub subject: String,
    /// 1 to 10: 7 and up reaches the executive at any hour, 4 to 6 the team, the rest the brief.
    pub severity: u8,
    /// Whether it is about the past: shown and never delivered.
    pub historic: bool,
    /// The alert of the same situation that speaks for this one.
    pub parent: Option<AlertKey>,
    /// When it opened, in event time.
    pub opened: Timestamp,
    /// Up to when it holds, in event time.
    pub until: Timestamp,
    /// The numbers behind it.
    pub arithmetic: Arithmetic,
    /// Mentions that caused it: the strongest and the latest, not all.
    pub evidence: Vec<MentionKey>,
    /// Sources that were silent meanwhile.
    #[serde(default)]
    pub silent_sources: Vec<String>,
    /// What it was decided with.
    pub definition: DecidedWith,
    /// Whom to tell: decided here, so that the sender has nothing to decide.
    #[serde(default)]
    pub notify: Vec<Notification>,
    /// Append time of the record that caused it.
    pub decided: Timestamp,
}

/// A place in `signals`, and which of the transitions that it caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CausedBy {
    /// Offset in `signals`.
    pub offset: u64,
    /// Counted from 0 within the offset.
    pub n: u32,
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// It began.
    Opened,
    /// It grew.
    Rising,
    /// It is over.
    Resolved,
}

/// The numbers behind an alert, by the primitive of its rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "primitive", rename_all = "snake_case")]
pub enum Arithmetic {
    /// A count against what was to be expected.
    Count(CountArithmetic),
    /// A single mention that is strong enough by itself.
    Each(EachArithmetic),
}

/// A count against what was to be expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountArithmetic {
    /// What was counted.
    pub measure: Measure,
    /// ISO 8601 interval: start and duration, such as `2026-01-01T00:00:00Z/PT1H`; `PT2H` where an hour was judged
    /// together with the one before.
    pub window: String,
    /// The count.
    pub observed: u32,
    /// The mean to be expected from the like buckets before, see [`Self::drawn_to`]; `None` where there is too
    /// little data.
    pub expected: Option<f64>,
    /// Probability of a count as high or higher under the model; `None` where there is too little data.
    pub probability: Option<f64>,
    /// The count model's extra variance as a share of the squared mean: Var = m + dispersion · m².
    pub dispersion: Option<f64>,
    /// Distinct authors in the window, in its last hour where it is two hours; counted up to a limit.
    pub authors: u32,
    /// Counts of the like buckets before, oldest first, without those of bursts, unless bursts are most of them.
    pub baseline: Vec<u32>,
    /// The mean that wider groups of buckets make likely: the expected count is
    /// `(sum of baseline + drawn_weight · drawn_to) / (length of baseline + drawn_weight)`. Where it is absent it
    /// is `(sum of baseline + 0.5) / length of baseline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn_to: Option<f64>,
    /// How many buckets [`Self::drawn_to`] weighs as much as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn_weight: Option<f64>,
    /// Which buckets were alike.
    pub seasonality: Seasonality,
    /// Whether there was too little data for a model, so that a floor decided.
    pub little_data: bool,
    /// The count that the rule asked for in this window.
    pub threshold: u32,
}

impl CountArithmetic {
    /// How long its window is.
    pub fn span(&self) -> CountSpan {
        match self.window.rsplit('/').next() {
            Some("P1D") => CountSpan::Day,
            Some("PT2H") => CountSpan::TwoHours,
            _ => CountSpan::Hour,
        }
    }
}

/// How long the window of a count is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountSpan {
    /// A clock hour.
    Hour,
    /// A clock hour and the one before.
    TwoHours,
    /// A calendar day.
    Day,
}

/// What a count counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Every mention.
    Mentions,
}

/// Which earlier buckets a count is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seasonality {
    /// The same hour of the week.
    HourOfWeek,
    /// The same hour of every day.
    HourOfDay,
    /// The same day of the week.
    DayOfWeek,
    /// Every day.
    EveryDay,
    /// None: there are too few.
    None,
}

/// A mention that is strong enough by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EachArithmetic {
    /// Polarity towards the subject, -1 to 1.
    pub polarity: f32,
    /// The rule asked for this or lower.
    pub polarity_at_most: f32,
    /// Accounts that could have seen it. Only a known reach can satisfy a rule that asks for one.
    pub reach: Option<u64>,
    /// What the reach counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach_unit: Option<ReachUnit>,
    /// The rule asked for this or more.
    pub reach_at_least: u64,
    /// Mentions that satisfied the rule since the alert opened.
    pub matched: u32,
}

impl EachArithmetic {
    /// How many could have seen it, and what is counted; none where it is unknown.
    pub fn audience(&self) -> Option<(u64, ReachUnit)> {
        Some((self.reach?, self.reach_unit.unwrap_or_default()))
    }
}

/// The versions that a decision was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedWith {
    /// Offset of the rule's version in `watchlist`.
    pub watchlist: u64,
    /// The rule in words.
    pub rule: String,
    /// Lexicons of the mention that caused it.
    pub lexicon: String,
}

/// One message to one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Alert, transition, channel and address: the same at every attempt.
    pub key: String,
    /// The route that asked for it.
    pub route: String,
    /// Where to.
    pub to: Channel,
}

/// A channel and the address on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "channel", content = "address", rename_all = "snake_case")]
pub enum Channel {
    /// An e-mail address.
    Mail(String),
    /// The name of a webhook in the settings, which hold its address and secret.
    Webhook(String),
    /// The service's log.
    Log,
}

impl Channel {
    /// The channel's name, as metrics and keys write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mail(_) => "mail",
            Self::Webhook(_) => "webhook",
            Self::Log => "log",
        }
    }
}
