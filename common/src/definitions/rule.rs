//! Rules: when a subject raises an alert, how severe it is, and who hears of it.

use std::fmt;
use std::mem::discriminant;

use serde::{Deserialize, Serialize};

use super::condition::{Condition, Window};
use super::rule_form::RuleForm;
use super::telling::{Hours, Telling};
use super::{Search, standing_query};
use crate::events::Measure;
#[cfg(doc)]
use crate::events::SeverityRaise;

/// When subjects raise an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RuleForm", into = "RuleForm")]
pub struct Rule {
    /// Short and stable; alerts name the rule by it.
    pub id: String,
    /// Ids of the subjects that it watches, each by itself.
    pub subjects: Vec<String>,
    /// Ids of the searches that it watches, each by itself.
    pub searches: Vec<String>,
    /// A query that mentions must match to count for it.
    pub filter: Option<String>,
    /// What has to happen.
    pub condition: Condition,
    /// It raises alerts in these hours only; without them at any time.
    pub schedule: Option<Hours>,
    /// 1 to 10: that of an ordinary case. Size and reach raise it.
    pub severity: u8,
    /// It is not raised above this.
    pub severity_at_most: u8,
    /// Ids of the routes that its alerts may take; without any, those of all routes that state a match.
    pub routes: Vec<String>,
    /// What begins within this time after an alert was over is the same alert again.
    pub reopen_within_hours: u32,
    /// When and whom its alerts are told, beside the route.
    pub telling: Telling,
}

/// The highest severity.
pub const MOST_SEVERE: u8 = 10;

/// By so much size and reach raise a severity at most ([`SeverityRaise`]).
const MOST_RAISED: u8 = 3;

/// How the names of filters begin among the queries that matched; no search's id can.
pub const FILTER_PREFIX: &str = "rule:";

impl Rule {
    /// Whether it watches a subject, or a search as a subject ([`Search::subject_id`]).
    pub fn watches(&self, subject: &str) -> bool {
        self.watched().any(|watched| watched == subject)
    }

    /// The subjects that it watches, and the searches as subjects.
    pub fn watched(&self) -> impl Iterator<Item = String> {
        self.subjects.iter().cloned().chain(self.searches.iter().map(|search| Search::subject_id(search)))
    }

    /// The highest severity that its alerts can have.
    pub fn most_severe(&self) -> u8 {
        (self.severity + MOST_RAISED).min(self.severity_at_most)
    }

    /// Every route that it names.
    pub fn named_routes(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().map(String::as_str).chain(self.telling.routes())
    }

    /// What a signal names the rule's filter by among the queries that matched.
    pub fn filter_id(&self) -> String {
        format!("{FILTER_PREFIX}{}", self.id)
    }

    /// Whether it asks for the same as another rule.
    pub fn asks_for_the_same(&self, other: &Self) -> bool {
        self.condition == other.condition && self.filter == other.filter && self.schedule == other.schedule
    }

    /// Whether what it counts and remembers is what another rule counts and remembers too, whatever they make of it.
    pub fn counts_the_same(&self, other: &Self) -> bool {
        let condition = match (&self.condition, &other.condition) {
            (Condition::Count(one), Condition::Count(two)) => {
                (one.measure, one.window) == (two.measure, two.window)
            }
            (Condition::Tone(one), Condition::Tone(two)) => one.window == two.window,
            (Condition::Reach(one), Condition::Reach(two)) => one.window == two.window,
            (Condition::Novelty(one), Condition::Novelty(two)) => {
                (one.of, one.look_back_days) == (two.of, two.look_back_days)
            }
            (Condition::Rank(one), Condition::Rank(two)) => {
                (one.window, &one.competitors) == (two.window, &two.competitors)
            }
            (one, two) => discriminant(one) == discriminant(two),
        };
        condition && self.filter == other.filter
    }

    /// The windows one after the other in which it asks for a count: those before the last are looked at again.
    pub fn windows(&self) -> u32 {
        match &self.condition {
            Condition::Count(count) => count.windows,
            _ => 1,
        }
    }

    /// Whether it counts or remembers what no other rule does: a new one begins with nothing.
    pub fn keeps_for_itself(&self) -> bool {
        let remembers = matches!(self.condition, Condition::Novelty(_));
        remembers || self.condition.summed_window().is_some() || self.own_series().is_some()
    }

    /// What it counts for itself, where that is not all mentions.
    pub fn own_series(&self) -> Option<(Measure, Window)> {
        let filtered = self.filter.is_some();
        match &self.condition {
            Condition::Count(count) if filtered || count.measure != Measure::Mentions => {
                Some((count.measure, count.window))
            }
            Condition::Absence(_) if filtered => Some((Measure::Mentions, Window::Hour)),
            condition if filtered => condition.summed_window().map(|window| (Measure::Mentions, window)),
            _ => None,
        }
    }

    /// Whether what it counts depends on how mentions are judged, beside whom they concern.
    pub fn asks_for_judgement(&self) -> bool {
        let judged = match &self.condition {
            Condition::Tone(_) => true,
            Condition::Count(count) => count.measure == Measure::Negatives,
            _ => false,
        };
        judged || self.filter.is_some()
    }

    /// Says what is wrong with it by itself, naming the field and the value.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.subjects.is_empty() && self.searches.is_empty() {
            return Err("`subjects` and `searches` are empty: name at least one".to_owned());
        }
        if let Some(filter) = &self.filter {
            standing_query(filter).map_err(|error| format!("`filter`: {error}"))?;
        }
        if !(1..=MOST_SEVERE).contains(&self.severity) {
            return Err(format!("`severity = {}` must be between 1 and {MOST_SEVERE}", self.severity));
        }
        if !(self.severity..=MOST_SEVERE).contains(&self.severity_at_most) {
            return Err(format!(
                "`severity_at_most = {}` must be between `severity = {}` and {MOST_SEVERE}",
                self.severity_at_most, self.severity
            ));
        }
        if let Some(twice) =
            self.routes.iter().enumerate().find(|(n, route)| self.routes[..*n].contains(route))
        {
            return Err(format!("`routes` names `{}` twice", twice.1));
        }
        if let Condition::Rank(rank) = &self.condition
            && let Some(own) = rank.competitors.iter().find(|competitor| self.subjects.contains(competitor))
        {
            return Err(format!("`competitors` names `{own}`, which is among the rule's own `subjects`"));
        }
        self.telling.check()?;
        self.condition.check()
    }
}

impl fmt::Display for Rule {
    /// The rule in words, as alerts carry it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)?;
        match &self.filter {
            Some(filter) => write!(f, ", where {filter}"),
            None => Ok(()),
        }
    }
}
