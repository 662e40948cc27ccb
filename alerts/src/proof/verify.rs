//! The verification of an alert: each number again, beside the one that the alert told.
//!
//! What follows from the alert's record alone is computed in [`super::arithmetic`]; what `signals` still holds of
//! its mentions is counted again in [`super::recount`], not with the fold's own counters.

use std::collections::BTreeMap;

use earshot_common::events::{AlertEvent, Transition};
use earshot_common::keys::AlertKey;
use serde::{Deserialize, Serialize};

use super::arithmetic;
use super::recount::Recount;

/// An alert, verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The alert.
    pub alert: AlertKey,
    /// The rule's id.
    pub rule: String,
    /// The subject's id.
    pub subject: String,
    /// Each of its transitions.
    pub transitions: Vec<VerifiedTransition>,
}

/// A transition, verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifiedTransition {
    /// Its number in the alert.
    pub sequence: u32,
    /// What happened.
    pub transition: Transition,
    /// What follows from its record alone.
    pub arithmetic: Vec<Check>,
    /// What `signals` holds of it.
    pub evidence: Vec<Check>,
}

/// One number of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Which.
    pub what: String,
    /// As the alert tells it.
    pub told: String,
    /// As it was found.
    pub found: Finding,
}

/// What was found in place of a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// This, which agrees.
    Agrees(String),
    /// This, which does not.
    Differs(String),
    /// Nothing could be found, and why.
    NotPossible(String),
}

impl Verification {
    /// Whether any number is another than the alert tells.
    pub fn differs(&self) -> bool {
        self.transitions
            .iter()
            .flat_map(|transition| transition.arithmetic.iter().chain(&transition.evidence))
            .any(|check| matches!(check.found, Finding::Differs(_)))
    }
}

impl Check {
    /// A number that must be what was found.
    pub(crate) fn of(what: &str, told: impl ToString, found: impl ToString) -> Self {
        let (told, found) = (told.to_string(), found.to_string());
        let agrees = told == found;
        Self::that(what, told, agrees, found)
    }

    /// A number that agrees or not.
    pub(crate) fn that(what: &str, told: impl ToString, agrees: bool, found: impl ToString) -> Self {
        let found = found.to_string();
        let found = if agrees { Finding::Agrees(found) } else { Finding::Differs(found) };
        Self { what: what.to_owned(), told: told.to_string(), found }
    }

    /// A number that nothing can be said of.
    pub(crate) fn not_possible(what: &str, told: impl ToString, why: impl ToString) -> Self {
        Self { what: what.to_owned(), told: told.to_string(), found: Finding::NotPossible(why.to_string()) }
    }
}

/// Verifies the transitions of one alert, in the order of `alerts`. There is at least one. A transition may stand there
/// twice, word for word: it is one.
pub(crate) fn verify(transitions: &[AlertEvent], recount: &Recount) -> Option<Verification> {
    let opening = transitions.first()?;
    let mut verified = Vec::new();
    let mut known: BTreeMap<u32, &AlertEvent> = BTreeMap::new();
    for event in transitions {
        if let Some(first) = known.get(&event.sequence) {
            verified.extend((*first != event).then(|| written_otherwise(event)));
            continue;
        }
        known.insert(event.sequence, event);
        let mut checks = vec![Check::of("number of the transition", event.sequence, known.len())];
        checks.extend(arithmetic::checks(event));
        verified.push(VerifiedTransition {
            sequence: event.sequence,
            transition: event.transition,
            arithmetic: checks,
            evidence: recount.checks(event, opening),
        });
    }
    Some(Verification {
        alert: opening.alert,
        rule: opening.rule.clone(),
        subject: opening.subject.clone(),
        transitions: verified,
    })
}

/// A transition whose number another one has.
fn written_otherwise(event: &AlertEvent) -> VerifiedTransition {
    let found = "another record of this number stands before it";
    VerifiedTransition {
        sequence: event.sequence,
        transition: event.transition,
        arithmetic: vec![Check::that("written once, or alike", event.sequence, false, found)],
        evidence: Vec::new(),
    }
}
