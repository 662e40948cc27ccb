//! A rule as files and records write it: flat, with the fields of all primitives, and presets.
//!
//! A preset is a name for a primitive with settings; what a file says beside it stands. It is taken apart when the
//! file is read, so that records and alerts say what is really asked for.

use serde::{Deserialize, Serialize};

use super::condition::{
    AbsenceCondition, Condition, CountCondition, EachCondition, NoveltyCondition, RankCondition,
    ReachCondition, SourceAbsenceCondition, ToneCondition, Window,
};
use super::rule::{MOST_SEVERE, Rule};
use super::telling::{EscalationStep, Hours, Shift, Telling};
use crate::events::{Measure, NoveltyOf, ToneMeasure};

/// The fields of all rules. What does not belong to the rule's primitive is refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleForm {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<When>,
    #[serde(default, skip_serializing)]
    preset: Option<Preset>,
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    searches: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<Hours>,
    #[serde(default = "default_severity")]
    severity: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    severity_at_most: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    routes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    on_duty: Vec<Shift>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quiet_hours: Option<Hours>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    escalate: Vec<EscalationStep>,
    #[serde(default, skip_serializing_if = "is_zero")]
    cool_down_hours: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reopen_within_hours: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sentiment_at_most: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reach_at_least: Option<u64>,
    /// The risk of single mentions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quiet_after_hours: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measure: Option<Measure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<Window>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probability_below: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mentions_at_least: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authors_at_least: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    little_data_at_least: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    windows: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    silent_after_hours: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    silent_after_minutes: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<NoveltyOf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    look_back_days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    within_hours: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spreads: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    new_authors_share_at_least: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    competitors: Option<Vec<String>>,
}

/// The primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum When {
    #[serde(rename = "each mention")]
    Each,
    #[serde(rename = "count of mentions against expectation", alias = "count against expectation")]
    Count,
    #[serde(rename = "share of negatives against expectation")]
    ShareOfNegatives,
    #[serde(rename = "mean sentiment against expectation")]
    MeanSentiment,
    #[serde(rename = "reach against expectation")]
    Reach,
    #[serde(rename = "absence of mentions")]
    Absence,
    #[serde(rename = "absence of a source")]
    SourceAbsence,
    #[serde(rename = "novelty")]
    Novelty,
    #[serde(rename = "rank among competitors")]
    Rank,
}

/// A name for a primitive with settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Preset {
    #[serde(rename = "volume spike")]
    VolumeSpike,
    #[serde(rename = "sentiment drop")]
    SentimentDrop,
    #[serde(rename = "influential author")]
    InfluentialAuthor,
    #[serde(rename = "risk")]
    Risk,
    #[serde(rename = "momentum")]
    Momentum,
    #[serde(rename = "new story")]
    NewStory,
    #[serde(rename = "coordinated posting")]
    CoordinatedPosting,
    #[serde(rename = "subject silent")]
    SubjectSilent,
    #[serde(rename = "source silent")]
    SourceSilent,
    #[serde(rename = "rank")]
    Rank,
}

fn default_severity() -> u8 {
    5
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl RuleForm {
    /// The rule, unless what is written does not fit together.
    fn rule(mut self) -> Result<Rule, String> {
        let when = match (self.when, self.preset) {
            (Some(when), None) => when,
            (None, Some(preset)) => self.expand(preset)?,
            (Some(_), Some(_)) => {
                return Err("`when` and `preset` are both there: a preset says when".to_owned());
            }
            (None, None) => return Err("neither `when` nor `preset` is there: give one".to_owned()),
        };
        if let Some(field) = self.misplaced_field(when) {
            return Err(format!("`{field}` does not belong to its `when`"));
        }
        if self.route.is_some() && !self.routes.is_empty() {
            return Err("`route` and `routes` are both there: name all of them in `routes`".to_owned());
        }
        let condition = self.condition(when)?;
        Ok(Rule {
            id: self.id,
            subjects: self.subjects,
            searches: self.searches,
            filter: self.filter,
            schedule: self.schedule,
            reopen_within_hours: self.reopen_within_hours.unwrap_or_else(|| condition.reopen_within_hours()),
            condition,
            severity: self.severity,
            severity_at_most: self.severity_at_most.unwrap_or(MOST_SEVERE),
            routes: self.route.into_iter().chain(self.routes).collect(),
            telling: Telling {
                zone: self.zone,
                on_duty: self.on_duty,
                quiet_hours: self.quiet_hours,
                escalate: self.escalate,
                cool_down_hours: self.cool_down_hours,
            },
        })
    }

    /// Sets what the preset stands for and the rule does not say itself.
    fn expand(&mut self, preset: Preset) -> Result<When, String> {
        match preset {
            // Many who say something, each in their own words; what is repeated is the momentum of one story.
            Preset::VolumeSpike => {
                self.measure.get_or_insert(Measure::Stories);
                return Ok(When::Count);
            }
            Preset::SentimentDrop => return Ok(When::ShareOfNegatives),
            Preset::SubjectSilent => return Ok(When::Absence),
            Preset::SourceSilent => return Ok(When::SourceAbsence),
            Preset::Rank => return Ok(When::Rank),
            Preset::InfluentialAuthor => {
                self.sentiment_at_most.get_or_insert(1.0);
                self.reach_at_least.get_or_insert(100_000);
                return Ok(When::Each);
            }
            Preset::Risk => {
                self.sentiment_at_most.get_or_insert(1.0);
                self.reach_at_least.get_or_insert(0);
                if self.category.is_none() {
                    return Err("`category` is missing: `preset = \"risk\"` needs one, such as `category = \"legal\"`"
                        .to_owned());
                }
                return Ok(When::Each);
            }
            Preset::NewStory => self.novelty(3, 3, 24),
            Preset::Momentum => {
                self.novelty(50, 25, 24);
                self.spreads.get_or_insert(true);
            }
            Preset::CoordinatedPosting => {
                self.novelty(10, 10, 1);
                self.spreads.get_or_insert(true);
                self.new_authors_share_at_least.get_or_insert(0.5);
            }
        }
        Ok(When::Novelty)
    }

    fn novelty(&mut self, mentions: u32, authors: u32, within_hours: u32) {
        self.of.get_or_insert(NoveltyOf::Story);
        self.mentions_at_least.get_or_insert(mentions);
        self.authors_at_least.get_or_insert(authors);
        self.within_hours.get_or_insert(within_hours);
    }

    /// A field that the primitive does not have.
    fn misplaced_field(&self, when: When) -> Option<&'static str> {
        let present = [
            ("filter", self.filter.is_some()),
            ("sentiment_at_most", self.sentiment_at_most.is_some()),
            ("reach_at_least", self.reach_at_least.is_some()),
            ("category", self.category.is_some()),
            ("quiet_after_hours", self.quiet_after_hours.is_some()),
            ("measure", self.measure.is_some()),
            ("window", self.window.is_some()),
            ("probability_below", self.probability_below.is_some()),
            ("mentions_at_least", self.mentions_at_least.is_some()),
            ("authors_at_least", self.authors_at_least.is_some()),
            ("little_data_at_least", self.little_data_at_least.is_some()),
            ("windows", self.windows.is_some()),
            ("silent_after_hours", self.silent_after_hours.is_some()),
            ("silent_after_minutes", self.silent_after_minutes.is_some()),
            ("of", self.of.is_some()),
            ("look_back_days", self.look_back_days.is_some()),
            ("within_hours", self.within_hours.is_some()),
            ("spreads", self.spreads.is_some()),
            ("new_authors_share_at_least", self.new_authors_share_at_least.is_some()),
            ("competitors", self.competitors.is_some()),
        ];
        let own: &[&str] = match when {
            When::Each => &[
                "filter",
                "sentiment_at_most",
                "reach_at_least",
                "category",
                "mentions_at_least",
                "authors_at_least",
                "quiet_after_hours",
            ],
            When::Count => &[
                "filter",
                "measure",
                "window",
                "probability_below",
                "mentions_at_least",
                "authors_at_least",
                "little_data_at_least",
                "windows",
            ],
            When::ShareOfNegatives | When::MeanSentiment => {
                &["filter", "window", "probability_below", "mentions_at_least", "authors_at_least", "windows"]
            }
            When::Reach => &[
                "filter",
                "window",
                "probability_below",
                "reach_at_least",
                "mentions_at_least",
                "authors_at_least",
                "windows",
            ],
            When::Absence => &["filter", "probability_below", "silent_after_hours"],
            When::SourceAbsence => &["silent_after_minutes"],
            When::Rank => &[
                "competitors",
                "window",
                "probability_below",
                "mentions_at_least",
                "authors_at_least",
                "windows",
            ],
            When::Novelty => &[
                "filter",
                "of",
                "look_back_days",
                "within_hours",
                "spreads",
                "mentions_at_least",
                "authors_at_least",
                "new_authors_share_at_least",
                "quiet_after_hours",
            ],
        };
        present.iter().find(|(name, there)| *there && !own.contains(name)).map(|(name, _)| *name)
    }

    fn condition(&self, when: When) -> Result<Condition, String> {
        let window = self.window.unwrap_or(Window::Hour);
        let probability_below = self.probability_below.unwrap_or_else(|| window.default_probability());
        let quiet_after_hours = self.quiet_after_hours.unwrap_or(24);
        let tone = |measure| {
            Condition::Tone(ToneCondition {
                measure,
                window,
                probability_below,
                mentions_at_least: self.mentions_at_least.unwrap_or(10),
                authors_at_least: self.authors_at_least.unwrap_or(5),
                windows: self.windows.unwrap_or(1),
            })
        };
        Ok(match when {
            When::Each => Condition::Each(EachCondition {
                sentiment_at_most: self.sentiment_at_most.unwrap_or(-0.5),
                reach_at_least: self.reach_at_least.unwrap_or(10_000),
                risk: self.category.clone(),
                mentions_at_least: self.mentions_at_least.unwrap_or(1),
                authors_at_least: self.authors_at_least.unwrap_or(1),
                quiet_after_hours,
            }),
            When::Count => {
                let usual = CountCondition::of(window);
                Condition::Count(CountCondition {
                    measure: self.measure.unwrap_or(usual.measure),
                    window,
                    probability_below: self.probability_below.unwrap_or(usual.probability_below),
                    mentions_at_least: self.mentions_at_least.unwrap_or(usual.mentions_at_least),
                    authors_at_least: self.authors_at_least.unwrap_or(usual.authors_at_least),
                    little_data_at_least: self.little_data_at_least.unwrap_or(usual.little_data_at_least),
                    windows: self.windows.unwrap_or(usual.windows),
                })
            }
            When::ShareOfNegatives => tone(ToneMeasure::ShareOfNegatives),
            When::MeanSentiment => tone(ToneMeasure::MeanSentiment),
            When::Reach => Condition::Reach(ReachCondition {
                window,
                probability_below: self.probability_below.unwrap_or(window.default_probability()),
                reach_at_least: self.reach_at_least.unwrap_or(10_000),
                mentions_at_least: self.mentions_at_least.unwrap_or(3),
                authors_at_least: self.authors_at_least.unwrap_or(3),
                windows: self.windows.unwrap_or(1),
            }),
            When::Absence => Condition::Absence(AbsenceCondition {
                probability_below: self.probability_below.unwrap_or(0.001),
                silent_after_hours: self.silent_after_hours.unwrap_or(3),
            }),
            When::SourceAbsence => Condition::SourceAbsence(SourceAbsenceCondition {
                silent_after_minutes: self.silent_after_minutes.unwrap_or(60),
            }),
            When::Rank => {
                let window = self.window.unwrap_or(Window::Day);
                let probability_below =
                    self.probability_below.unwrap_or_else(|| window.default_probability());
                Condition::Rank(RankCondition {
                    competitors: self.competitors.clone().unwrap_or_default(),
                    window,
                    probability_below,
                    mentions_at_least: self.mentions_at_least.unwrap_or(10),
                    authors_at_least: self.authors_at_least.unwrap_or(1),
                    windows: self.windows.unwrap_or(1),
                })
            }
            When::Novelty => {
                let of = self.of.ok_or("`of` is missing: say what must be new, `story` or `source`")?;
                let few = if of == NoveltyOf::Story { 3 } else { 1 };
                Condition::Novelty(NoveltyCondition {
                    of,
                    look_back_days: self.look_back_days.unwrap_or(30),
                    within_hours: self.within_hours.unwrap_or(24),
                    spreads: self.spreads.unwrap_or_default(),
                    mentions_at_least: self.mentions_at_least.unwrap_or(few),
                    authors_at_least: self.authors_at_least.unwrap_or(few),
                    new_authors_share_at_least: self.new_authors_share_at_least.unwrap_or(0.0),
                    quiet_after_hours,
                })
            }
        })
    }

    /// Writes the primitive and its settings.
    fn set_condition(&mut self, condition: Condition) {
        match condition {
            Condition::Each(each) => {
                self.when = Some(When::Each);
                self.sentiment_at_most = Some(each.sentiment_at_most);
                self.reach_at_least = Some(each.reach_at_least);
                self.category = each.risk;
                self.mentions_at_least = Some(each.mentions_at_least).filter(|least| *least != 1);
                self.authors_at_least = Some(each.authors_at_least).filter(|least| *least != 1);
                self.quiet_after_hours = Some(each.quiet_after_hours);
            }
            Condition::Count(count) => {
                self.when = Some(When::Count);
                self.measure = Some(count.measure).filter(|measure| *measure != Measure::default());
                self.window = Some(count.window);
                self.probability_below = Some(count.probability_below);
                let usual = CountCondition::of(count.window);
                self.mentions_at_least =
                    Some(count.mentions_at_least).filter(|least| *least != usual.mentions_at_least);
                self.authors_at_least = Some(count.authors_at_least);
                self.little_data_at_least = Some(count.little_data_at_least);
                self.windows = Some(count.windows).filter(|windows| *windows != 1);
            }
            Condition::Tone(tone) => {
                self.when = Some(match tone.measure {
                    ToneMeasure::ShareOfNegatives => When::ShareOfNegatives,
                    ToneMeasure::MeanSentiment => When::MeanSentiment,
                });
                self.window = Some(tone.window);
                self.probability_below = Some(tone.probability_below);
                self.mentions_at_least = Some(tone.mentions_at_least);
                self.authors_at_least = Some(tone.authors_at_least);
                self.windows = Some(tone.windows).filter(|windows| *windows != 1);
            }
            Condition::Reach(reach) => {
                self.when = Some(When::Reach);
                self.window = Some(reach.window);
                self.probability_below = Some(reach.probability_below);
                self.reach_at_least = Some(reach.reach_at_least);
                self.mentions_at_least = Some(reach.mentions_at_least);
                self.authors_at_least = Some(reach.authors_at_least);
                self.windows = Some(reach.windows).filter(|windows| *windows != 1);
            }
            Condition::Absence(absence) => {
                self.when = Some(When::Absence);
                self.probability_below = Some(absence.probability_below);
                self.silent_after_hours = Some(absence.silent_after_hours);
            }
            Condition::SourceAbsence(absence) => {
                self.when = Some(When::SourceAbsence);
                self.silent_after_minutes = Some(absence.silent_after_minutes);
            }
            Condition::Rank(rank) => {
                self.when = Some(When::Rank);
                self.competitors = Some(rank.competitors);
                self.window = Some(rank.window);
                self.probability_below = Some(rank.probability_below);
                self.mentions_at_least = Some(rank.mentions_at_least);
                self.authors_at_least = Some(rank.authors_at_least).filter(|least| *least != 1);
                self.windows = Some(rank.windows).filter(|windows| *windows != 1);
            }
            Condition::Novelty(novelty) => {
                self.when = Some(When::Novelty);
                self.of = Some(novelty.of);
                self.look_back_days = Some(novelty.look_back_days);
                self.within_hours = Some(novelty.within_hours);
                self.spreads = Some(novelty.spreads).filter(|spreads| *spreads);
                self.mentions_at_least = Some(novelty.mentions_at_least);
                self.authors_at_least = Some(novelty.authors_at_least);
                self.new_authors_share_at_least =
                    Some(novelty.new_authors_share_at_least).filter(|share| *share > 0.0);
                self.quiet_after_hours = Some(novelty.quiet_after_hours);
            }
        }
    }
}

impl TryFrom<RuleForm> for Rule {
    type Error = String;

    fn try_from(form: RuleForm) -> Result<Self, String> {
        let id = form.id.clone();
        form.rule().map_err(|what| format!("rule `{id}`: {what}"))
    }
}

impl From<Rule> for RuleForm {
    fn from(rule: Rule) -> Self {
        let reopen = Some(rule.reopen_within_hours);
        // One is written as it always was, so that older programs read it.
        let (route, routes) = match <[String; 1]>::try_from(rule.routes) {
            Ok([only]) => (Some(only), Vec::new()),
            Err(routes) => (None, routes),
        };
        let mut form = Self {
            id: rule.id,
            subjects: rule.subjects,
            searches: rule.searches,
            filter: rule.filter,
            schedule: rule.schedule,
            severity: rule.severity,
            severity_at_most: Some(rule.severity_at_most).filter(|most| *most != MOST_SEVERE),
            route,
            routes,
            zone: rule.telling.zone,
            on_duty: rule.telling.on_duty,
            quiet_hours: rule.telling.quiet_hours,
            escalate: rule.telling.escalate,
            cool_down_hours: rule.telling.cool_down_hours,
            reopen_within_hours: reopen.filter(|hours| *hours != rule.condition.reopen_within_hours()),
            ..Self::default()
        };
        form.set_condition(rule.condition);
        form
    }
}
