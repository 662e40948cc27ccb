//! What the fold knows of a subject in a time, for a brief: its alerts, and how many mentions were to be expected.

use std::ops::Range;

use earshot_common::definitions::{Brief, Rule};
use earshot_common::events::{Arithmetic, DecidedWith};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;

use super::State;
use super::alert::OpenAlert;
use super::gaps::Gap;

/// What the fold has to say in a brief.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The subjects, in the brief's order; those that are no longer defined are left out.
    pub(crate) subjects: Vec<SubjectFacts>,
    /// What was not heard.
    pub(crate) gaps: Vec<GapFacts>,
}

/// A time in which something was not heard.
#[derive(Clone, Debug)]
pub(crate) struct GapFacts {
    /// The source; none where Earshot itself was not at work.
    pub(crate) source: Option<String>,
    /// What people call it.
    pub(crate) name: Option<String>,
    /// Since when.
    pub(crate) from: Timestamp,
    /// Until when; none where it lasts.
    pub(crate) until: Option<Timestamp>,
}

impl GapFacts {
    /// Whether it is what nobody has collected or read yet.
    pub(crate) fn is_unread(&self) -> bool {
        self.source.is_none() && self.until.is_none()
    }
}

/// What the fold knows of one subject.
#[derive(Clone, Debug)]
pub(crate) struct SubjectFacts {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Alerts that were open at some time, the most severe first.
    pub(crate) alerts: Vec<AlertFacts>,
    /// Mentions that were to be expected; none where too little is known.
    pub(crate) expected: Option<f64>,
    /// Since when it is listened to; none before the first time.
    pub(crate) listened_from: Option<Timestamp>,
}

/// An alert as it stands.
#[derive(Clone, Debug)]
pub(crate) struct AlertFacts {
    /// Its key.
    pub(crate) alert: AlertKey,
    /// When it opened, in event time.
    pub(crate) opened: Timestamp,
    /// When it was over, in event time; none while it is open.
    pub(crate) over: Option<Timestamp>,
    /// Whether it opened within the time.
    pub(crate) is_new: bool,
    /// The highest that it had.
    pub(crate) severity: u8,
    /// The numbers that raised it.
    pub(crate) arithmetic: Arithmetic,
    /// What it was decided with.
    pub(crate) definition: DecidedWith,
    /// The alert of the same situation that speaks for this one.
    pub(crate) parent: Option<AlertKey>,
    /// Whether anybody was sent it.
    pub(crate) was_sent: bool,
    /// Who has it in hand.
    pub(crate) in_hand: Option<String>,
}

impl State {
    /// What a brief has to say of a time.
    pub(crate) fn facts(&self, brief: &Brief, period: &Range<Timestamp>) -> Facts {
        let subjects = brief.about().filter_map(|id| self.subject_facts(&id, period)).collect();
        let gaps = self.gaps(period).into_iter().map(|gap| self.gap_facts(gap)).collect();
        Facts { subjects, gaps }
    }

    fn gap_facts(&self, gap: Gap) -> GapFacts {
        let Gap { source, from, until } = gap;
        let defined = self.watchlist.sources().find(|defined| source.as_ref() == Some(&defined.id));
        let name = defined.and_then(|source| source.outlet.clone()).or_else(|| source.clone());
        GapFacts { source, name, from, until }
    }

    fn subject_facts(&self, id: &str, period: &Range<Timestamp>) -> Option<SubjectFacts> {
        let watched = self.subjects.get(id)?;
        let mut alerts = Vec::new();
        for watch in watched.open() {
            if let Some(alert) = watch.open.as_ref().filter(|alert| alert.opened_in_log < period.end) {
                alerts.push(AlertFacts::of(alert, &watch.rule, watch.version, None, period));
            }
        }
        for over in self.over.values().filter(|over| over.subject == id) {
            if over.since >= period.start && over.alert.opened_in_log < period.end {
                // One that ended later was open still: its end is for the next brief to tell.
                let until = (over.since < period.end).then_some(over.alert.until);
                alerts.push(AlertFacts::of(&over.alert, &over.rule, over.version, until, period));
            }
        }
        alerts.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.opened, alert.alert));
        Some(SubjectFacts {
            id: id.to_owned(),
            name: watched.subject.name.clone(),
            alerts,
            expected: watched.expected_in(period),
            listened_from: watched.spans().first().map(|span| span.start),
        })
    }
}

impl AlertFacts {
    fn of(
        alert: &OpenAlert,
        rule: &Rule,
        version: u64,
        over: Option<Timestamp>,
        period: &Range<Timestamp>,
    ) -> Self {
        Self {
            alert: alert.key,
            opened: alert.opened,
            over,
            is_new: alert.opened_in_log >= period.start,
            severity: alert.severity,
            arithmetic: alert.raised_by.clone(),
            definition: DecidedWith {
                watchlist: version,
                rule: rule.to_string(),
                filter: rule.filter.clone(),
                lexicon: alert.lexicon.clone(),
            },
            parent: alert.parent,
            was_sent: alert.was_sent,
            in_hand: alert.people.acknowledged.as_ref().map(|held| held.by.clone()),
        }
    }
}
