//! What has to happen for a rule to raise an alert: five primitives over measures.
//!
//! What belongs here: the primitives with their settings, and how they are said. Their defaults stand in
//! `rule_form`, beside the fields that people write; every field with its unit is in `common/docs/rules.md`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::events::{Measure, NoveltyOf, RISKS, ToneMeasure};

/// What has to happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// `when = "each mention"`: one mention that is strong enough.
    Each(EachCondition),
    /// `when = "count against expectation"`: more than can be explained.
    Count(CountCondition),
    /// `when = "share of negatives against expectation"` or `when = "mean sentiment against expectation"`: worse than
    /// can be explained.
    Tone(ToneCondition),
    /// `when = "reach against expectation"`: seen by more than can be explained.
    Reach(ReachCondition),
    /// `when = "absence of mentions"`: silence where there should be some.
    Absence(AbsenceCondition),
    /// `when = "absence of a source"`: a source that brought mentions does not answer.
    SourceAbsence(SourceAbsenceCondition),
    /// `when = "novelty"`: something that was never there.
    Novelty(NoveltyCondition),
    /// `when = "rank among competitors"`: another rank than usual.
    Rank(RankCondition),
}

/// One mention that is strong enough.
#[derive(Clone, Debug, PartialEq)]
pub struct EachCondition {
    /// Polarity towards the subject, -1 to 1: this or lower.
    pub sentiment_at_most: f32,
    /// Accounts that could have seen it: this or more. An unknown reach satisfies zero alone.
    pub reach_at_least: u64,
    /// One of [`RISKS`], which must be said of the subject, not of another one in the same message.
    pub risk: Option<String>,
    /// Such mentions, at least, within [`Self::quiet_after_hours`] of each other; those of an open alert need no others.
    pub mentions_at_least: u32,
    /// Distinct authors of these, at least.
    pub authors_at_least: u32,
    /// Without another such mention for this long, the alert is over.
    pub quiet_after_hours: u32,
}

/// More than can be explained.
#[derive(Clone, Debug, PartialEq)]
pub struct CountCondition {
    /// What is counted.
    pub measure: Measure,
    /// The span that is counted.
    pub window: Window,
    /// The rule fires where a count as high has a probability below this.
    pub probability_below: f64,
    /// The count, at least: less is no evidence, however unlikely it is.
    pub mentions_at_least: u32,
    /// Distinct authors in the window, at least: one account cannot raise an alert.
    pub authors_at_least: u32,
    /// Where there is too little data for a model: the count, at least.
    pub little_data_at_least: u32,
    /// It must be so in this many windows one after the other.
    pub windows: u32,
}

/// A tone that is worse than can be explained. It is judged when a window has closed.
#[derive(Clone, Debug, PartialEq)]
pub struct ToneCondition {
    /// What is compared.
    pub measure: ToneMeasure,
    /// The span that is judged.
    pub window: Window,
    /// The rule fires where a tone as bad has a probability below this.
    pub probability_below: f64,
    /// Mentions in the window, at least.
    pub mentions_at_least: u32,
    /// Distinct authors in the window, at least.
    pub authors_at_least: u32,
    /// It must be so in this many windows one after the other.
    pub windows: u32,
}

/// Seen by more accounts than can be explained.
#[derive(Clone, Debug, PartialEq)]
pub struct ReachCondition {
    /// The span that is summed up.
    pub window: Window,
    /// The rule fires where a reach as high has a probability below this.
    pub probability_below: f64,
    /// The reach itself, at least.
    pub reach_at_least: u64,
    /// Mentions in the window, at least.
    pub mentions_at_least: u32,
    /// Distinct authors of these, at least.
    pub authors_at_least: u32,
    /// It must be so in this many windows one after the other.
    pub windows: u32,
}

/// Silence where there should be mentions.
#[derive(Clone, Debug, PartialEq)]
pub struct AbsenceCondition {
    /// The rule fires where such a silence has a probability below this, by the hours that it covers.
    pub probability_below: f64,
    /// Whole hours without a mention, at least.
    pub silent_after_hours: u32,
}

/// A source that brought mentions of the subject does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceAbsenceCondition {
    /// For this long.
    pub silent_after_minutes: u32,
}

/// Something that was never there.
#[derive(Clone, Debug, PartialEq)]
pub struct NoveltyCondition {
    /// What is looked at.
    pub of: NoveltyOf,
    /// It is forgotten after this time, and new again.
    pub look_back_days: u32,
    /// It must gather what it needs within this time of its first mention; of any, where it need not be new.
    pub within_hours: u32,
    /// It need not be new: one that was heard before and never told counts where it spreads.
    pub spreads: bool,
    /// Mentions of it, at least.
    pub mentions_at_least: u32,
    /// Distinct authors of these, at least.
    pub authors_at_least: u32,
    /// Share of these authors that were never heard about the subject before, at least.
    pub new_authors_share_at_least: f64,
    /// Without another mention of it for this long, the alert is over.
    pub quiet_after_hours: u32,
}

/// Another rank among competitors than usual. It is judged when a window has closed.
#[derive(Clone, Debug, PartialEq)]
pub struct RankCondition {
    /// Ids of the subjects that it is compared with.
    pub competitors: Vec<String>,
    /// The span that is judged.
    pub window: Window,
    /// The rule fires where one passes the other by a share that has a probability below this.
    pub probability_below: f64,
    /// Whoever passes somebody needs so many mentions in the window, at least.
    pub mentions_at_least: u32,
    /// And so many distinct authors of these.
    pub authors_at_least: u32,
    /// It must be so in this many windows one after the other.
    pub windows: u32,
}

/// The span that a count is about, in the subject's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// A clock hour.
    #[serde(rename = "1h")]
    Hour,
    /// A calendar day.
    #[serde(rename = "1d")]
    Day,
}

impl EachCondition {
    /// So many mentions or authors are told apart at most, while they are too few.
    pub const MOST_GATHERED: u32 = 100;

    /// Whether one mention is not enough.
    pub fn gathers(&self) -> bool {
        self.mentions_at_least > 1 || self.authors_at_least > 1
    }

    fn check(&self) -> Result<(), String> {
        for (field, least) in
            [("mentions_at_least", self.mentions_at_least), ("authors_at_least", self.authors_at_least)]
        {
            if !(1..=Self::MOST_GATHERED).contains(&least) {
                return Err(format!(
                    "`{field} = {least}` must be between 1 and {} for each mention; more are a count",
                    Self::MOST_GATHERED
                ));
            }
        }
        Ok(())
    }
}

impl CountCondition {
    /// What is asked for where a rule says no more.
    pub fn of(window: Window) -> Self {
        Self {
            measure: Measure::default(),
            window,
            probability_below: match window {
                // How this was chosen stands in `tests/reports/calibration.md`.
                Window::Hour => 0.0006,
                Window::Day => 0.003,
            },
            mentions_at_least: 3,
            authors_at_least: 5,
            little_data_at_least: 20,
            windows: 1,
        }
    }
}

impl Window {
    /// Of tones, reaches and ranks. A subject has 720 hours a month and 30 days: hours must be less likely by about as much.
    pub(super) fn default_probability(self) -> f64 {
        match self {
            Self::Hour => 0.0003,
            Self::Day => 0.003,
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Hour => "an hour",
            Self::Day => "a day",
        }
    }
}

impl Condition {
    /// The span of the windows of which tone and reach are summed up, beside counts.
    pub fn summed_window(&self) -> Option<Window> {
        match self {
            Self::Tone(tone) => Some(tone.window),
            Self::Reach(reach) => Some(reach.window),
            _ => None,
        }
    }

    /// Unless the rule says otherwise: six hours, two days where days are looked at, and one where mentions are judged
    /// singly.
    pub(super) fn reopen_within_hours(&self) -> u32 {
        match self {
            Self::Count(CountCondition { window, .. })
            | Self::Tone(ToneCondition { window, .. })
            | Self::Reach(ReachCondition { window, .. })
            | Self::Rank(RankCondition { window, .. }) => match window {
                Window::Hour => 6,
                Window::Day => 48,
            },
            Self::Each(_) | Self::Novelty(_) => 24,
            Self::Absence(_) | Self::SourceAbsence(_) => 6,
        }
    }

    /// Says what is wrong with it, naming the field and the value.
    pub(super) fn check(&self) -> Result<(), String> {
        let probability = match self {
            Self::Count(count) => Some(count.probability_below),
            Self::Tone(tone) => Some(tone.probability_below),
            Self::Reach(reach) => Some(reach.probability_below),
            Self::Absence(absence) => Some(absence.probability_below),
            Self::Rank(rank) => Some(rank.probability_below),
            Self::Each(_) | Self::SourceAbsence(_) | Self::Novelty(_) => None,
        };
        if let Some(below) = probability.filter(|below| !(*below > 0.0 && *below < 1.0)) {
            return Err(format!("`probability_below = {below}` must be between 0 and 1"));
        }
        let windows = self.windows();
        if !(1..=MOST_WINDOWS).contains(&windows) {
            return Err(format!("`windows = {windows}` must be between 1 and {MOST_WINDOWS}"));
        }
        let authors = self.authors_at_least();
        if authors > MOST_AUTHORS {
            return Err(format!("`authors_at_least = {authors}` must be at most {MOST_AUTHORS}"));
        }
        match self {
            Self::Each(each) if !(-1.0..=1.0).contains(&each.sentiment_at_most) => {
                Err(format!("`sentiment_at_most = {}` must be between -1 and 1", each.sentiment_at_most))
            }
            Self::Each(EachCondition { risk: Some(risk), .. }) if !RISKS.contains(&risk.as_str()) => {
                Err(format!("`category = \"{risk}\"` is no risk; there are: {}", RISKS.join(", ")))
            }
            Self::Each(each) => each.check(),
            Self::Rank(rank) if rank.competitors.is_empty() => {
                Err("`competitors` is empty: name at least one subject".to_owned())
            }
            Self::Count(count)
                if count.window == Window::Day
                    && count.little_data_at_least != CountCondition::of(Window::Day).little_data_at_least =>
            {
                Err(format!(
                    "`little_data_at_least = {}` does not belong to `window = \"1d\"`: a day with too little data waits",
                    count.little_data_at_least
                ))
            }
            Self::Novelty(novelty) if !(0.0..=1.0).contains(&novelty.new_authors_share_at_least) => {
                Err(format!(
                    "`new_authors_share_at_least = {}` must be between 0 and 1",
                    novelty.new_authors_share_at_least
                ))
            }
            Self::Novelty(novelty) if !(1..=MOST_DAYS).contains(&novelty.look_back_days) => Err(format!(
                "`look_back_days = {}` must be between 1 and {MOST_DAYS}",
                novelty.look_back_days
            )),
            Self::Novelty(novelty) if novelty.spreads && novelty.mentions_at_least < 2 => Err(format!(
                "`mentions_at_least = {}` must be at least 2 with `spreads = true`: one mention is no spreading",
                novelty.mentions_at_least
            )),
            _ => Ok(()),
        }
    }

    /// The windows one after the other that it asks for.
    fn windows(&self) -> u32 {
        match self {
            Self::Count(count) => count.windows,
            Self::Tone(tone) => tone.windows,
            Self::Reach(reach) => reach.windows,
            Self::Rank(rank) => rank.windows,
            Self::Each(_) | Self::Absence(_) | Self::SourceAbsence(_) | Self::Novelty(_) => 1,
        }
    }

    /// Distinct authors that it asks for.
    fn authors_at_least(&self) -> u32 {
        match self {
            Self::Count(count) => count.authors_at_least,
            Self::Tone(tone) => tone.authors_at_least,
            Self::Reach(reach) => reach.authors_at_least,
            Self::Novelty(novelty) => novelty.authors_at_least,
            Self::Rank(rank) => rank.authors_at_least,
            // It has a limit of its own.
            Self::Each(_) | Self::Absence(_) | Self::SourceAbsence(_) => 0,
        }
    }
}

/// A rule waits for so many windows at most.
const MOST_WINDOWS: u32 = 24;
/// What is new is looked for among so many days at most: as long as baselines reach back.
const MOST_DAYS: u32 = 56;
/// Of each window and value so many authors are told apart at most.
pub const MOST_AUTHORS: u32 = 1_000;

impl fmt::Display for Condition {
    /// The condition in words, as alerts carry it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each(each) => each.fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Tone(tone) => {
                write!(
                    f,
                    "{} in {} against expectation, probability below {}, mentions at least {}, authors at least {}",
                    tone.measure.in_words(),
                    tone.window.in_words(),
                    tone.probability_below,
                    tone.mentions_at_least,
                    tone.authors_at_least
                )?;
                persistence(f, tone.windows)
            }
            Self::Reach(reach) => {
                write!(
                    f,
                    "reach in {} against expectation, probability below {}, reach at least {}, mentions at least {}, \
                     authors at least {}",
                    reach.window.in_words(),
                    reach.probability_below,
                    reach.reach_at_least,
                    reach.mentions_at_least,
                    reach.authors_at_least
                )?;
                persistence(f, reach.windows)
            }
            Self::Absence(absence) => write!(
                f,
                "absence of mentions for {} hours or longer, probability below {}",
                absence.silent_after_hours, absence.probability_below
            ),
            Self::SourceAbsence(absence) => {
                write!(f, "absence of a source for {} minutes or longer", absence.silent_after_minutes)
            }
            Self::Novelty(novelty) => novelty.fmt(f),
            Self::Rank(rank) => {
                write!(
                    f,
                    "rank by mentions in {} among {}, probability below {}",
                    rank.window.in_words(),
                    rank.competitors.join(", "),
                    rank.probability_below
                )?;
                if rank.authors_at_least > 1 {
                    write!(f, ", authors at least {}", rank.authors_at_least)?;
                }
                persistence(f, rank.windows)
            }
        }
    }
}

/// In how many windows it must be so, where that is not one.
fn persistence(f: &mut fmt::Formatter<'_>, windows: u32) -> fmt::Result {
    match windows {
        0 | 1 => Ok(()),
        windows => write!(f, ", in {windows} windows one after the other"),
    }
}

impl fmt::Display for EachCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("each mention with ")?;
        if let Some(risk) = &self.risk {
            write!(f, "risk {risk}, ")?;
        }
        write!(f, "sentiment at most {} and reach at least {}", self.sentiment_at_most, self.reach_at_least)?;
        match self.gathers() {
            false => Ok(()),
            true => write!(
                f,
                ", at least {} of them by {} authors within {} hours",
                self.mentions_at_least, self.authors_at_least, self.quiet_after_hours
            ),
        }
    }
}

impl fmt::Display for CountCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "count of {} in {} against expectation, probability below {}, authors at least {}",
            self.measure.in_words(),
            self.window.in_words(),
            self.probability_below,
            self.authors_at_least
        )?;
        persistence(f, self.windows)
    }
}

impl fmt::Display for NoveltyCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "novelty: {} that ", self.of.in_words())?;
        match self.spreads {
            true => f.write_str("spreads")?,
            false => write!(f, "was not there within {} days", self.look_back_days)?,
        }
        write!(
            f,
            ", with at least {} mentions by {} authors within {} hours",
            self.mentions_at_least, self.authors_at_least, self.within_hours
        )?;
        if self.new_authors_share_at_least > 0.0 {
            write!(f, ", at least {:.0} % of them new", self.new_authors_share_at_least * 100.0)?;
        }
        Ok(())
    }
}
