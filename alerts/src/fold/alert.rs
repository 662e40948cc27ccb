//! An alert that is open, and the record of each of its transitions.

use std::collections::BTreeSet;

use earshot_common::definitions::{CountCondition, EachCondition, Route, Rule};
use earshot_common::events::{
    AlertEvent, Arithmetic, CausedBy, Channel, CountArithmetic, DecidedWith, EachArithmetic, Measure,
    Notification, SchemaVersion, Seasonality, Signal, SubjectSignal, Transition,
};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;

use super::calendar::{Bucket, interval};
use super::evidence::Evidence;
use super::threshold::Threshold;

/// The record of `signals` that is being folded, and how many transitions it caused so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cause {
    /// Its offset.
    pub(crate) offset: u64,
    /// Its append time.
    pub(crate) appended: Timestamp,
    /// Transitions so far.
    pub(crate) transitions: u32,
}

/// An alert that is not over.
#[derive(Clone, Debug)]
pub(crate) struct OpenAlert {
    pub(crate) key: AlertKey,
    /// Of the last transition.
    pub(crate) sequence: u32,
    pub(crate) opened: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) arithmetic: Arithmetic,
    pub(crate) evidence: Evidence,
    pub(crate) lexicon: String,
    pub(crate) course: Course,
    /// The alert of the same situation that speaks for this one.
    pub(crate) parent: Option<AlertKey>,
    /// Alerts are numbered as they open, so that the first of a situation can be told.
    pub(crate) place: u64,
}

/// What an open alert remembers to know when it rises and when it is over.
#[derive(Clone, Debug)]
pub(crate) enum Course {
    /// Of a count rule.
    Count {
        /// The window that opened it: its baseline ends here.
        opening: Bucket,
        /// The newest window that was announced.
        current: Bucket,
        /// The highest count that was announced.
        announced: u32,
        /// Windows up to here were looked at after they closed.
        checked: Timestamp,
    },
    /// Of a rule about each mention.
    Each {
        /// The number of matches that was announced last.
        announced: u32,
        /// When the last match was there to be seen.
        last_match: Timestamp,
    },
}

impl OpenAlert {
    /// An alert of a count rule, opened by this window.
    pub(crate) fn of_count(
        key: AlertKey,
        signal: &Signal,
        window: Bucket,
        observed: u32,
        arithmetic: CountArithmetic,
        evidence: Evidence,
    ) -> Self {
        let course =
            Course::Count { opening: window, current: window, announced: observed, checked: window.start };
        let arithmetic = Arithmetic::Count(arithmetic);
        Self::new(key, signal, window.end, arithmetic, evidence, course)
    }

    /// An alert of a rule about each mention, opened by this one.
    pub(crate) fn of_each(
        key: AlertKey,
        signal: &Signal,
        arithmetic: EachArithmetic,
        evidence: Evidence,
        now: Timestamp,
    ) -> Self {
        let course = Course::Each { announced: 1, last_match: now };
        Self::new(key, signal, signal.event_time, Arithmetic::Each(arithmetic), evidence, course)
    }

    fn new(
        key: AlertKey,
        signal: &Signal,
        until: Timestamp,
        arithmetic: Arithmetic,
        evidence: Evidence,
        course: Course,
    ) -> Self {
        Self {
            key,
            sequence: 0,
            opened: signal.event_time,
            until,
            arithmetic,
            evidence,
            lexicon: signal.lexicon.clone(),
            course,
            parent: None,
            place: 0,
        }
    }

    /// Takes in a window's count that is worth saying.
    pub(crate) fn announce(&mut self, window: Bucket, observed: u32, arithmetic: CountArithmetic) {
        if let Course::Count { current, announced, .. } = &mut self.course {
            *current = window;
            *announced = observed.max(*announced);
        }
        self.until = window.end;
        self.arithmetic = Arithmetic::Count(arithmetic);
    }

    /// Notes that the windows up to here were looked at, and were not calm as far as anybody can tell.
    pub(crate) fn checked_up_to(&mut self, end: Timestamp) {
        if let Course::Count { checked, .. } = &mut self.course {
            *checked = end;
        }
        self.until = self.until.max(end);
    }

    /// Mentions that matched since the opening.
    pub(crate) fn matched(&self) -> u32 {
        match &self.arithmetic {
            Arithmetic::Each(each) => each.matched,
            Arithmetic::Count(_) => 0,
        }
    }

    /// Takes in another match. Answers whether there are twice as many as were announced.
    pub(crate) fn join(&mut self, signal: &Signal, arithmetic: EachArithmetic, now: Timestamp) -> bool {
        let matched = arithmetic.matched;
        self.until = self.until.max(signal.event_time);
        self.arithmetic = Arithmetic::Each(arithmetic);
        let Course::Each { announced, last_match } = &mut self.course else { return false };
        *last_match = now;
        let doubled = matched >= announced.saturating_mul(2);
        if doubled {
            *announced = matched;
        }
        doubled
    }

    /// The next transition's record.
    pub(crate) fn transition(
        &mut self,
        transition: Transition,
        decided_by: &DecidedBy<'_>,
        cause: &mut Cause,
    ) -> AlertEvent {
        self.sequence += 1;
        let caused_by = CausedBy { offset: cause.offset, n: cause.transitions };
        cause.transitions += 1;
        AlertEvent {
            v: SchemaVersion::default(),
            alert: self.key,
            sequence: self.sequence,
            signals: caused_by,
            transition,
            rule: decided_by.rule.id.clone(),
            subject: decided_by.subject.to_owned(),
            severity: decided_by.rule.severity,
            historic: decided_by.historic,
            parent: self.parent,
            opened: self.opened,
            until: self.until,
            arithmetic: self.arithmetic.clone(),
            evidence: self.evidence.mentions(),
            silent_sources: self.evidence.sources_among(decided_by.failing),
            definition: DecidedWith {
                watchlist: decided_by.version,
                rule: decided_by.rule.to_string(),
                lexicon: self.lexicon.clone(),
            },
            notify: decided_by.tell.map(|route| notifications(self, route)).unwrap_or_default(),
            decided: cause.appended,
        }
    }
}

/// What stands around a transition.
pub(crate) struct DecidedBy<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) version: u64,
    pub(crate) subject: &'a str,
    pub(crate) historic: bool,
    pub(crate) failing: &'a BTreeSet<String>,
    /// The route to tell, where this transition is told to anybody.
    pub(crate) tell: Option<&'a Route>,
}

/// A message to each address of the route. The key is the same at every attempt.
fn notifications(alert: &OpenAlert, route: &Route) -> Vec<Notification> {
    let mail = route.mail.iter().cloned().map(Channel::Mail);
    let webhooks = route.webhook.iter().cloned().map(Channel::Webhook);
    let log = route.log.then_some(Channel::Log);
    let mut notifications = Vec::new();
    for to in mail.chain(webhooks).chain(log) {
        let name = to.name();
        let key = match &to {
            Channel::Mail(address) | Channel::Webhook(address) => {
                format!("{}/{}/{name}/{address}", alert.key, alert.sequence)
            }
            Channel::Log => format!("{}/{}/{name}", alert.key, alert.sequence),
        };
        notifications.push(Notification { key, route: route.id.clone(), to });
    }
    notifications
}

/// The numbers of a count rule.
pub(crate) fn count_arithmetic(
    condition: &CountCondition,
    bucket: &Bucket,
    observed: u32,
    authors: u32,
    threshold: &Threshold,
) -> CountArithmetic {
    let baseline = threshold.baseline.as_ref();
    CountArithmetic {
        measure: Measure::Mentions,
        window: interval(condition.window, threshold.before.map(|before| before.start), bucket),
        observed: threshold.counted(observed),
        expected: baseline.map(|baseline| baseline.expectation.mean),
        probability: threshold.probability(observed),
        dispersion: baseline.map(|baseline| baseline.expectation.dispersion),
        authors,
        baseline: baseline.map(|baseline| baseline.counts.clone()).unwrap_or_default(),
        seasonality: baseline.map_or(Seasonality::None, |baseline| baseline.seasonality),
        little_data: baseline.is_none(),
        drawn_to: baseline.and_then(|baseline| baseline.drawn).map(|drawn| drawn.usual),
        drawn_weight: baseline.and_then(|baseline| baseline.drawn).map(|drawn| drawn.weight),
        threshold: threshold.counted(threshold.count.unwrap_or_default()),
    }
}

/// The numbers of a rule about each mention.
pub(crate) fn each_arithmetic(
    condition: &EachCondition,
    signal: &Signal,
    subject: &SubjectSignal,
    matched: u32,
) -> EachArithmetic {
    EachArithmetic {
        polarity: subject.polarity,
        polarity_at_most: condition.sentiment_at_most,
        reach: signal.reach,
        reach_unit: signal.reach_unit,
        reach_at_least: condition.reach_at_least,
        matched,
    }
}
