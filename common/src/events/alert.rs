//! `alerts`: every transition of every alert. Written by the fold alone; kept for ever.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    AbsenceArithmetic, CommandKind, NoveltyArithmetic, RankArithmetic, ReachArithmetic, ReachUnit,
    SchemaVersion, ToneArithmetic,
};
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
    /// The desks that it is for: of each at least a third of the mentions in `evidence`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub desks: Vec<String>,
    /// The routes that could have been told with this transition and are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// Whether it was to be told, and no route takes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unrouted: bool,
    /// Append time of the record that caused it.
    pub decided: Timestamp,
    /// The person's word that caused it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<Word>,
    /// Who has it in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledgement>,
    /// Until when nobody is told anything of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<Timestamp>,
    /// Until when its message waits for the end of quiet hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// By how much the severity is above the rule's, and why.
    #[serde(default, skip_serializing_if = "SeverityRaise::is_none")]
    pub raise: SeverityRaise,
}

/// A route that is not told, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Its id.
    pub route: String,
    /// Which of its conditions failed, or who speaks for the alert there.
    pub why: String,
}

/// By how much an alert is more severe than its rule says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeverityRaise {
    /// For its size: one from five times what the rule asks for, two from twenty-five times.
    pub by_size: u8,
    /// For who speaks: one where a mention behind it could have been seen by 100,000 accounts.
    pub by_reach: u8,
}

impl SeverityRaise {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The raise of an alert of this size, of which its rule asks for so much, with so wide a reach.
    pub fn of(size: u64, asked: u64, reach: u64) -> Self {
        let times = |factor: u64| u8::from(asked > 0 && size >= asked.saturating_mul(factor));
        let by_size = times(5) + times(25);
        Self { by_size, by_reach: u8::from(reach >= 100_000) }
    }

    /// How much it is in all.
    pub fn total(self) -> u8 {
        self.by_size + self.by_reach
    }
}

/// A person's word about an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// The id of the command.
    pub command: String,
    /// What it asked for.
    pub what: CommandKind,
    /// Who said so.
    pub by: String,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it ends to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Somebody has an alert in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// Since when, by the log's clock.
    pub since: Timestamp,
    /// Until when; without it until the alert is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Milliseconds from the opening to the first acknowledgement of the alert, in that one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assessed_after_ms: Option<i64>,
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
    /// It was over, and began again soon enough to be the same situation.
    Reopened,
    /// Somebody has it in hand.
    Acknowledged,
    /// Nobody has it in hand any more: the time of the one who had it ran out, or it was given back.
    Lapsed,
    /// A person wanted it, and somebody else has it already.
    Declined,
    /// A person wants nobody to be told more of it.
    Muted,
    /// People are told of it again.
    Unmuted,
    /// A person added a note.
    Noted,
    /// A person said whether it was worth the attention.
    Rated,
    /// It stands at its height: a window has closed below the highest one.
    Peak,
    /// A window has closed at half of the highest one or less, and not yet calm.
    Fading,
    /// Nobody took it in hand in time: the next in the order is called.
    Escalated,
    /// Its message waited for the end of quiet hours, or for the schedule of a route.
    Told,
    /// It would be over, but a source behind it does not answer, so that nobody knows: `silent_sources` names it.
    Blocked,
}

impl Transition {
    /// Whether the alert is open after it; `None` where it says nothing of that.
    pub fn leaves_open(self) -> Option<bool> {
        match self {
            Self::Opened | Self::Reopened | Self::Rising | Self::Peak | Self::Fading | Self::Blocked => {
                Some(true)
            }
            Self::Resolved => Some(false),
            _ => None,
        }
    }

    /// Whether its numbers are those that raised the alert.
    pub fn raises(self) -> bool {
        matches!(self, Self::Opened | Self::Reopened | Self::Rising)
    }

    /// Its name, as records and metrics write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Rising => "rising",
            Self::Resolved => "resolved",
            Self::Reopened => "reopened",
            Self::Acknowledged => "acknowledged",
            Self::Lapsed => "lapsed",
            Self::Declined => "declined",
            Self::Muted => "muted",
            Self::Unmuted => "unmuted",
            Self::Noted => "noted",
            Self::Rated => "rated",
            Self::Peak => "peak",
            Self::Fading => "fading",
            Self::Escalated => "escalated",
            Self::Told => "told",
            Self::Blocked => "blocked",
        }
    }
}

/// The numbers behind an alert, by the primitive of its rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "primitive", rename_all = "snake_case")]
pub enum Arithmetic {
    /// A count against what was to be expected.
    Count(CountArithmetic),
    /// A single mention that is strong enough by itself.
    Each(EachArithmetic),
    /// A tone against what was to be expected.
    Tone(ToneArithmetic),
    /// A reach against what was to be expected.
    Reach(ReachArithmetic),
    /// A silence.
    Absence(AbsenceArithmetic),
    /// Something that was never there.
    Novelty(NoveltyArithmetic),
    /// Another rank among competitors than usual.
    Rank(RankArithmetic),
}

/// A count against what was to be expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountArithmetic {
    /// What was counted.
    pub measure: Measure,
    /// ISO 8601 interval: start and duration, such as `2026-01-01T00:00:00Z/PT1H`. Two hours are an hour that was
    /// judged together with the hour before: authors and evidence are those of the later one.
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
    /// Mentions of the same time, where the measure counts each story or author once: repeated texts are among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mentions: Option<u32>,
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
    /// How the counts varied that the dispersion follows from; `None` where there is too little data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variation: Option<Variation>,
    /// The rule's own numbers, from which the threshold follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<CountAsked>,
    /// The hour before, where the window is two hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<HourBefore>,
    /// The highest count so far, where there is too little data: the threshold is at least four times that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest: Option<u32>,
    /// How many times as long as the like hours before the window is, where a clock is changed in it: so many times
    /// their mean is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stretch: Option<f64>,
}

/// The hour before the one that was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourBefore {
    /// Its count, which is part of the observed one.
    pub count: u32,
    /// When it ended, and the one that was judged began.
    pub end: Timestamp,
}

/// How counts varied around the means of their groups, summed over all groups of like buckets: enough to compute
/// the dispersion again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    /// The sum of the squared deviations, beyond what Poisson counts would have.
    pub excess: f64,
    /// What that sum would be at a dispersion of one.
    pub scale: f64,
    /// Buckets that could vary: of each group as many as it has, less what its mean was fitted to them.
    pub freedom: f64,
    /// The sum of the squared deviations that Poisson counts would have.
    #[serde(default)]
    pub expected: f64,
}

/// What a rule about counts asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountAsked {
    /// A count whose probability is below this: of the rule's own, the share for this window. An hour is judged alone and
    /// with the hour before, which share it.
    pub probability_below: f64,
    /// Distinct authors, at least.
    pub authors_at_least: u32,
    /// Where there is too little data for a model: mentions, at least.
    pub little_data_at_least: u32,
    /// The count itself, at least; in two hours that of the later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mentions_at_least: Option<u32>,
}

impl CountArithmetic {
    /// How long its window is.
    pub fn span(&self) -> CountSpan {
        CountSpan::of(&self.window)
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

impl CountSpan {
    /// Of a window as alerts write it.
    pub fn of(window: &str) -> Self {
        match window.rsplit('/').next() {
            Some("P1D") => Self::Day,
            Some("PT2H") => Self::TwoHours,
            _ => Self::Hour,
        }
    }
}

/// What a count counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Every mention.
    #[default]
    Mentions,
    /// Each story once; a mention that is too short to have a story is its own.
    Stories,
    /// Each author once; all whose author is unknown are one.
    Authors,
    /// Negative mentions.
    Negatives,
}

impl Measure {
    /// What is counted, in a sentence.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Mentions => "mentions",
            Self::Stories => "stories",
            Self::Authors => "authors",
            Self::Negatives => "negative mentions",
        }
    }
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
    /// Mentions that satisfied the rule since the alert opened, and those that opened it.
    pub matched: u32,
    /// What opened the alert together, where the rule asks for more than one mention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gathered: Option<Gathered>,
}

/// The mentions that opened an alert together, and how many the rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gathered {
    /// Mentions.
    pub mentions: u32,
    /// Their distinct authors; all whose author is unknown are one.
    pub authors: u32,
    /// When the first of them was published.
    pub first: Timestamp,
    /// The rule asks for so many mentions.
    pub mentions_at_least: u32,
    /// By so many authors.
    pub authors_at_least: u32,
    /// All of them within so many hours.
    pub within_hours: u32,
}

impl fmt::Display for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the rule asks for {} mentions by {} authors within {} hours, and {} by {} opened the alert",
            self.mentions_at_least, self.authors_at_least, self.within_hours, self.mentions, self.authors
        )
    }
}

impl EachArithmetic {
    /// Whether the rule asks for a tone: every mention has a polarity of 1 or lower.
    pub fn asks_for_tone(&self) -> bool {
        self.polarity_at_most < 1.0
    }

    /// Whether the rule asks for a reach.
    pub fn asks_for_reach(&self) -> bool {
        self.reach_at_least > 0
    }

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
    /// The query that mentions must match to count for the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Lexicons of the mention that caused it.
    pub lexicon: String,
}

impl DecidedWith {
    /// Which mentions count for the rule, where not all do, with the verb for one or for many: ` that match risk:legal`.
    pub fn matching(&self, verb: &str) -> String {
        self.filter.as_ref().map_or_else(String::new, |filter| format!(" that {verb} {filter}"))
    }
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
    /// The sender may wait so long for others of the same route and address, to tell all in one message.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub group_wait_s: u32,
    /// Whom to tell instead where this one fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<Notification>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A channel and the address on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "channel", content = "address", rename_all = "snake_case")]
pub enum Channel {
    /// An e-mail address.
    Mail(String),
    /// The name of a webhook in the settings, which hold its address and secret.
    Webhook(String),
    /// The name of a Slack webhook in the settings.
    Slack(String),
    /// The name of a Microsoft Teams workflow in the settings.
    Teams(String),
    /// The name of a Prometheus Alertmanager in the settings.
    Alertmanager(String),
    /// The service's log.
    Log,
}

impl Channel {
    /// The channel's name, as metrics and keys write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mail(_) => "mail",
            Self::Webhook(_) => "webhook",
            Self::Slack(_) => "slack",
            Self::Teams(_) => "teams",
            Self::Alertmanager(_) => "alertmanager",
            Self::Log => "log",
        }
    }

    /// Whether people read it: such messages quote what was said, carry links that act, and may tell several alerts
    /// at once. A program gets each transition by itself.
    pub fn is_read_by_people(&self) -> bool {
        match self {
            Self::Mail(_) | Self::Slack(_) | Self::Teams(_) => true,
            Self::Webhook(_) | Self::Alertmanager(_) | Self::Log => false,
        }
    }

    /// Whether briefs go there: people read them, and the log says that one was due.
    pub fn takes_briefs(&self) -> bool {
        self.is_read_by_people() || *self == Self::Log
    }

    /// The address on the channel, where it has any.
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Mail(address)
            | Self::Webhook(address)
            | Self::Slack(address)
            | Self::Teams(address)
            | Self::Alertmanager(address) => Some(address),
            Self::Log => None,
        }
    }
}
