//! The numbers behind alerts about tone, silence and novelty, and how they are said.
//!
//! What belongs here: all that another program needs to say or recompute them. Those about counts and single
//! mentions stand with the alert.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::accounts_in_words;
use crate::time::Timestamp;

/// What of the tone is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToneMeasure {
    /// Negative mentions among all.
    ShareOfNegatives,
    /// The mean polarity.
    MeanSentiment,
}

impl ToneMeasure {
    /// Its name in a sentence.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::ShareOfNegatives => "share of negatives",
            Self::MeanSentiment => "mean sentiment",
        }
    }
}

/// A tone against what was to be expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToneArithmetic {
    /// What was compared.
    pub measure: ToneMeasure,
    /// ISO 8601 interval: start and duration.
    pub window: String,
    /// Mentions in the window.
    pub mentions: u32,
    /// Negative ones among them.
    pub negatives: u32,
    /// Distinct authors in the window, counted up to a limit.
    pub authors: u32,
    /// The share, 0 to 1, or the mean, -1 to 1.
    pub observed: f64,
    /// That of the windows before.
    pub expected: f64,
    /// How much windows differ beyond chance: the correlation of mentions within a window of the beta-binomial
    /// model, or the standard deviation of a window's mean.
    pub spread: f64,
    /// Probability of a tone as bad or worse under the model.
    pub probability: f64,
    /// Windows that it was compared with.
    pub baseline_windows: u32,
    /// Mentions in these.
    pub baseline_mentions: u64,
    /// The sum of the polarities in the window, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<i64>,
    /// What the windows before come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<ToneBaseline>,
    /// How many windows one after the other, up to this one, were as the rule asks for.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub in_a_row: u32,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

/// That it was not one window alone.
fn persistence(f: &mut fmt::Formatter<'_>, in_a_row: u32) -> fmt::Result {
    match in_a_row {
        0 | 1 => Ok(()),
        windows => write!(f, ", the last of {windows} such windows one after the other"),
    }
}

/// What the windows before come to: enough to compute again what was to be expected, and by how much windows differ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToneBaseline {
    /// Negative mentions in them.
    pub negatives: u64,
    /// The sum of their polarities, in thousandths.
    #[serde(default)]
    pub sum: i64,
    /// The sum of the squares of their polarities, in millionths.
    #[serde(default)]
    pub squares: i64,
    /// Windows of two mentions or more: these tell how windows differ.
    pub compared: u32,
    /// The sum of their squared deviations beyond chance: of the mean as they are, of the share in units of its
    /// variance.
    pub excess: f64,
    /// What that sum would be at a spread of one: of the mean the windows compared, of the share their pairs of mentions.
    pub scale: f64,
}

impl fmt::Display for ToneArithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.measure {
            ToneMeasure::ShareOfNegatives => write!(
                f,
                "{} of {} mentions are negative, where about {:.1} were to be expected",
                self.negatives,
                self.mentions,
                self.expected * f64::from(self.mentions)
            ),
            ToneMeasure::MeanSentiment => write!(
                f,
                "the mean sentiment of {} mentions is {:.2}, where about {:.2} was to be expected",
                self.mentions, self.observed, self.expected
            ),
        }?;
        persistence(f, self.in_a_row)
    }
}

/// The accounts that could have seen the mentions of a window, against what was to be expected.
///
/// Reach has a heavy tail: the highest fifth of windows exceeds the rest by factors whose logarithms are exponential, with
/// [`Self::spread`] as their mean. So the probability of a reach as high is
/// `above / windows · ((1 + reach) / (1 + high)) ^ (-1 / spread)`, at most one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReachArithmetic {
    /// ISO 8601 interval: start and duration.
    pub window: String,
    /// Accounts that could have seen the mentions, as far as is known; who could have seen two is counted twice.
    pub reach: u64,
    /// Mentions in the window.
    pub mentions: u32,
    /// Those of which the reach is known.
    pub known: u32,
    /// Distinct authors, counted up to a limit.
    pub authors: u32,
    /// The median of the windows before.
    pub expected: u64,
    /// The mean logarithm by which the highest windows before exceed [`ReachBaseline::high`], drawn to one as if ten more
    /// windows had said so.
    pub spread: f64,
    /// Probability of a reach as high or higher.
    pub probability: f64,
    /// The reach from which on it is less likely than the rule asks for.
    pub threshold: u64,
    /// What the windows before come to.
    pub baseline: ReachBaseline,
    /// What the rule asks for.
    pub asked: ReachAsked,
    /// How many windows one after the other, up to this one, were as the rule asks for.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub in_a_row: u32,
}

/// What the windows before come to that have a known reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachBaseline {
    /// How many.
    pub windows: u32,
    /// Their median.
    pub median: u64,
    /// The reach that the highest fifth of them exceeds, or equals.
    pub high: u64,
    /// How many these are.
    pub above: u32,
    /// The sum of the natural logarithms of `(1 + reach) / (1 + high)` of these, in millionths.
    pub excess: i64,
}

/// What a rule about reach asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReachAsked {
    /// A reach whose probability is below this.
    pub probability_below: f64,
    /// The reach itself, at least.
    pub reach_at_least: u64,
    /// Mentions in the window, at least.
    pub mentions_at_least: u32,
    /// Distinct authors of these, at least.
    pub authors_at_least: u32,
}

impl ReachArithmetic {
    /// The reach that the rule asks for in this window.
    pub fn asked_for(&self) -> u64 {
        self.threshold.max(self.asked.reach_at_least)
    }

    /// Whether the window is as the rule asks for.
    pub fn holds(&self) -> bool {
        self.reach >= self.asked_for()
            && self.mentions >= self.asked.mentions_at_least
            && self.authors >= self.asked.authors_at_least
    }
}

impl fmt::Display for ReachArithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} mentions reached about {} accounts, usually {}",
            self.mentions,
            accounts_in_words(self.reach),
            accounts_in_words(self.expected)
        )?;
        persistence(f, self.in_a_row)
    }
}

/// A silence of the subject, or of a source that brought mentions of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AbsenceArithmetic {
    /// Since when.
    pub since: Timestamp,
    /// Whole hours of it.
    pub hours: u32,
    /// Of the subject: the sum of the means of the hours that it covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// Of the subject: the probability of such a silence under the count model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// The sources that do not answer; empty where it is the subject of which nothing is heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Of the subject: the mean and the dispersion that were to be expected of each of the hours that have a baseline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usual: Vec<(f32, f32)>,
}

impl fmt::Display for AbsenceArithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expected {
            Some(expected) => write!(
                f,
                "no mention for {} hours, where about {expected:.1} were to be expected",
                self.hours
            ),
            None => write!(f, "{} does not answer, so mentions are missing", self.sources.join(", ")),
        }
    }
}

/// What can be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoveltyOf {
    /// A story: a link, a root of reposts, or a text.
    Story,
    /// A source.
    Source,
}

impl NoveltyOf {
    /// Its name in a sentence.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Story => "a story",
            Self::Source => "a source",
        }
    }
}

/// Something that was never there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoveltyArithmetic {
    /// What it is.
    pub of: NoveltyOf,
    /// The key of the story, or the id of the source.
    pub value: String,
    /// The event time of its first mention; of a story that spreads, of the first that is counted.
    pub first: Timestamp,
    /// Mentions of it since then.
    pub mentions: u32,
    /// Distinct authors of these, counted up to what the rule asks for.
    pub authors: u32,
    /// Those among the authors who were never heard about the subject before.
    pub new_authors: u32,
    /// Such values since the alert opened.
    pub matched: u32,
    /// What the rule asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<NoveltyAsked>,
}

/// What a rule about something new asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoveltyAsked {
    /// Mentions of it, at least.
    pub mentions_at_least: u32,
    /// Distinct authors of these, at least.
    pub authors_at_least: u32,
    /// The share of authors who were never heard before, at least.
    pub new_authors_share_at_least: f64,
    /// All of that within so many hours of its first mention.
    pub within_hours: u32,
    /// It need not be new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spreads: bool,
}

impl NoveltyArithmetic {
    /// Whether it need not be new, so that it is not said to be.
    pub fn spreads(&self) -> bool {
        self.asked.is_some_and(|asked| asked.spreads)
    }
}

impl fmt::Display for NoveltyArithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            NoveltyOf::Story if self.spreads() => {
                write!(f, "a story that spreads, with {} mentions", self.mentions)?;
            }
            NoveltyOf::Source if self.spreads() => write!(f, "{} mentions by {}", self.mentions, self.value)?,
            NoveltyOf::Story => write!(f, "a new story with {} mentions", self.mentions)?,
            NoveltyOf::Source => write!(f, "the first mention by {}", self.value)?,
        }
        if self.authors > 1 {
            write!(f, " by {} authors or more", self.authors)?;
        }
        if self.new_authors > 0 {
            write!(f, ", {} of them never heard before", self.new_authors)?;
        }
        match self.matched.saturating_sub(1) {
            0 => Ok(()),
            more => write!(f, ", and {more} more like it"),
        }
    }
}

/// A rank among competitors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankArithmetic {
    /// ISO 8601 interval: start and duration.
    pub window: String,
    /// Mentions of the subject in the window.
    pub mentions: u32,
    /// Distinct authors of these, counted up to a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authors: Option<u32>,
    /// Its rank in the window, from 1.
    pub rank: u32,
    /// That of the windows before, taken together.
    pub usual_rank: u32,
    /// Among so many.
    pub of: u32,
    /// Ids of the competitors that passed it or that it passed, by more than chance explains.
    pub passed: Vec<String>,
    /// The least probability among these; one where there is none.
    pub probability: f64,
    /// Each competitor, in the rule's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub competitors: Vec<RankedCompetitor>,
    /// What the rule asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<RankAsked>,
    /// How many windows one after the other, up to this one, were as the rule asks for.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub in_a_row: u32,
}

/// A competitor, beside the subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedCompetitor {
    /// Its id.
    pub id: String,
    /// Its mentions in the window.
    pub mentions: u32,
    /// Distinct authors of these, counted up to a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authors: Option<u32>,
    /// Its mentions in the windows before.
    pub usual_mentions: u64,
    /// The subject's mentions in the windows before.
    pub usual_own: u64,
    /// Windows before with mentions of either, where one has passed the other since.
    #[serde(default)]
    pub windows: u32,
    /// Where one has passed the other since: the windows before, with the mentions of the one who is ahead now in the
    /// place of negatives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<ToneBaseline>,
}

/// What a rule about ranks asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankAsked {
    /// A passing less likely than this.
    pub probability_below: f64,
    /// Mentions in the window, at least, of whoever passes somebody.
    pub mentions_at_least: u32,
    /// Their distinct authors, at least. In records of older versions only the subject needs so many mentions, and nobody
    /// authors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authors_at_least: Option<u32>,
}

impl fmt::Display for RankArithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {} by mentions, where {} is usual", self.rank, self.of, self.usual_rank)?;
        match self.passed.is_empty() {
            true => return Ok(()),
            false if self.rank > self.usual_rank => write!(f, ": passed by {}", self.passed.join(", "))?,
            false => write!(f, ": it passed {}", self.passed.join(", "))?,
        }
        persistence(f, self.in_a_row)
    }
}
