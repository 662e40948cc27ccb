//! Rules: when a subject raises an alert, how severe it is, and who hears of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Search;

/// When subjects raise an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "RuleForm", into = "RuleForm")]
pub struct Rule {
    /// Short and stable; alerts name the rule by it.
    pub id: String,
    /// Ids of the subjects that it watches, each by itself.
    pub subjects: Vec<String>,
    /// Ids of the searches that it watches, each by itself.
    pub searches: Vec<String>,
    /// Of *each mention*: a query that the mention must match too.
    pub filter: Option<String>,
    /// What has to happen.
    pub condition: Condition,
    /// 1 to 10.
    pub severity: u8,
    /// Id of the route; without one the alert is shown and nobody is told.
    pub route: Option<String>,
}

/// What has to happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// `when = "each mention"`: one mention that is strong enough.
    Each(EachCondition),
    /// `when = "count of mentions against expectation"`: more than can be explained.
    Count(CountCondition),
}

/// One mention that is strong enough.
#[derive(Clone, Debug, PartialEq)]
pub struct EachCondition {
    /// Polarity towards the subject, -1 to 1: this or lower.
    pub sentiment_at_most: f32,
    /// Accounts that could have seen it: this or more. An unknown reach never satisfies it.
    pub reach_at_least: u64,
    /// Without another such mention for this long, the alert is over.
    pub quiet_after_hours: u32,
}

/// More mentions than can be explained.
#[derive(Clone, Debug, PartialEq)]
pub struct CountCondition {
    /// The span that is counted.
    pub window: Window,
    /// The rule fires where a count as high has a probability below this.
    pub probability_below: f64,
    /// Distinct authors in the window, at least: one account cannot raise an alert.
    pub authors_at_least: u32,
    /// Where there is too little data for a model: mentions in the window, at least, and four times as many as in
    /// any window so far.
    pub little_data_at_least: u32,
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

impl CountCondition {
    /// What is asked for where a rule says no more. A subject has 720 hours a month and 30 days: hours must be less
    /// likely by about as much.
    pub fn of(window: Window) -> Self {
        let probability_below = match window {
            Window::Hour => 0.0003,
            Window::Day => 0.003,
        };
        Self { window, probability_below, authors_at_least: 5, little_data_at_least: 20 }
    }
}

impl Rule {
    /// Whether it watches a subject, or a search as a subject ([`Search::subject_id`]).
    pub fn watches(&self, subject: &str) -> bool {
        self.watched().any(|watched| watched == subject)
    }

    /// The subjects that it watches, and the searches as subjects.
    pub fn watched(&self) -> impl Iterator<Item = String> {
        self.subjects.iter().cloned().chain(self.searches.iter().map(|search| Search::subject_id(search)))
    }

    /// What a signal names the rule's filter by among the queries that matched.
    pub fn filter_id(&self) -> String {
        format!("{FILTER_PREFIX}{}", self.id)
    }

    /// Whether it asks for the same as another rule.
    pub fn asks_for_the_same(&self, other: &Self) -> bool {
        self.condition == other.condition && self.filter == other.filter
    }
}

/// How the names of filters begin among the queries that matched; no search's id can.
pub const FILTER_PREFIX: &str = "rule:";

impl fmt::Display for Rule {
    /// The rule in words, as alerts carry it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.condition {
            Condition::Each(each) => write!(
                f,
                "each mention with sentiment at most {} and reach at least {}",
                each.sentiment_at_most, each.reach_at_least
            ),
            Condition::Count(count) => write!(
                f,
                "count of mentions in {} against expectation, probability below {}, authors at least {}",
                match count.window {
                    Window::Hour => "an hour",
                    Window::Day => "a day",
                },
                count.probability_below,
                count.authors_at_least
            ),
        }?;
        match &self.filter {
            Some(filter) => write!(f, ", where {filter}"),
            None => Ok(()),
        }
    }
}

/// A rule as files and records write it: flat, with the fields of both conditions. What does not belong to
/// the condition is refused by [`Rule::refused_field`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleForm {
    pub(super) id: String,
    when: When,
    #[serde(default)]
    pub(super) subjects: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    searches: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    #[serde(default = "default_severity")]
    severity: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sentiment_at_most: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reach_at_least: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quiet_after_hours: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<Window>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probability_below: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authors_at_least: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    little_data_at_least: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum When {
    #[serde(rename = "each mention")]
    Each,
    #[serde(rename = "count of mentions against expectation")]
    Count,
}

fn default_severity() -> u8 {
    5
}

impl RuleForm {
    /// Fields that the rule's `when` does not have.
    pub(super) fn misplaced_fields(&self) -> Vec<&'static str> {
        let each = [
            ("sentiment_at_most", self.sentiment_at_most.is_some()),
            ("reach_at_least", self.reach_at_least.is_some()),
            ("quiet_after_hours", self.quiet_after_hours.is_some()),
        ];
        let count = [
            ("window", self.window.is_some()),
            ("probability_below", self.probability_below.is_some()),
            ("authors_at_least", self.authors_at_least.is_some()),
            ("little_data_at_least", self.little_data_at_least.is_some()),
        ];
        let misplaced: &[(&'static str, bool)] = match self.when {
            When::Each => &count,
            When::Count => &each,
        };
        misplaced.iter().filter(|(_, present)| *present).map(|(name, _)| *name).collect()
    }
}

impl From<RuleForm> for Rule {
    fn from(form: RuleForm) -> Self {
        let condition = match form.when {
            When::Each => Condition::Each(EachCondition {
                sentiment_at_most: form.sentiment_at_most.unwrap_or(-0.5),
                reach_at_least: form.reach_at_least.unwrap_or(10_000),
                quiet_after_hours: form.quiet_after_hours.unwrap_or(24),
            }),
            When::Count => {
                let usual = CountCondition::of(form.window.unwrap_or(Window::Hour));
                Condition::Count(CountCondition {
                    window: usual.window,
                    probability_below: form.probability_below.unwrap_or(usual.probability_below),
                    authors_at_least: form.authors_at_least.unwrap_or(usual.authors_at_least),
                    little_data_at_least: form.little_data_at_least.unwrap_or(usual.little_data_at_least),
                })
            }
        };
        Self {
            id: form.id,
            subjects: form.subjects,
            searches: form.searches,
            filter: form.filter,
            condition,
            severity: form.severity,
            route: form.route,
        }
    }
}

impl From<Rule> for RuleForm {
    fn from(rule: Rule) -> Self {
        let mut form = Self {
            id: rule.id,
            when: When::Each,
            subjects: rule.subjects,
            searches: rule.searches,
            filter: rule.filter,
            severity: rule.severity,
            route: rule.route,
            sentiment_at_most: None,
            reach_at_least: None,
            quiet_after_hours: None,
            window: None,
            probability_below: None,
            authors_at_least: None,
            little_data_at_least: None,
        };
        match rule.condition {
            Condition::Each(each) => {
                form.sentiment_at_most = Some(each.sentiment_at_most);
                form.reach_at_least = Some(each.reach_at_least);
                form.quiet_after_hours = Some(each.quiet_after_hours);
            }
            Condition::Count(count) => {
                form.when = When::Count;
                form.window = Some(count.window);
                form.probability_below = Some(count.probability_below);
                form.authors_at_least = Some(count.authors_at_least);
                form.little_data_at_least = Some(count.little_data_at_least);
            }
        }
        form
    }
}
