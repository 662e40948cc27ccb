//! An alert that is open, and the record of each of its transitions.

use std::collections::{BTreeMap, BTreeSet};

use earshot_common::definitions::{CountCondition, EachCondition, Route, Rule};
use earshot_common::events::{
    AlertEvent, Arithmetic, CausedBy, Channel, CountArithmetic, CountAsked, DecidedWith, EachArithmetic,
    Gathered, HourBefore, Notification, PassedOver, ReachArithmetic, SchemaVersion, Seasonality,
    SeverityRaise, Signal, SubjectSignal, Transition, Word,
};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::{Bucket, interval};
use super::evidence::Evidence;
use super::people::People;
use super::threshold::Threshold;

/// The record of `signals` that is being folded, and how many transitions it caused so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cause {
    /// Its offset.
    pub(crate) offset: u64,
    /// Its append time.
    pub(crate) appended: Timestamp,
    /// Transitions so far.
    pub(crate) transitions: u32,
}

/// An alert that is not over, or was not long ago.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OpenAlert {
    pub(crate) key: AlertKey,
    /// Of the last transition.
    pub(crate) sequence: u32,
    pub(crate) opened: Timestamp,
    /// When it opened by the log's clock.
    pub(crate) opened_in_log: Timestamp,
    /// When it opened, or last opened again.
    pub(crate) raised: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) arithmetic: Arithmetic,
    /// The numbers that raised it last, not those of the calm that ends it.
    pub(crate) raised_by: Arithmetic,
    pub(crate) evidence: Evidence,
    pub(crate) lexicon: String,
    pub(crate) course: Course,
    pub(crate) people: People,
    /// The highest that it had so far.
    pub(crate) severity: u8,
    pub(crate) raise: SeverityRaise,
    /// What the rule asks for: its size is a multiple of that. Zero where it has no size.
    asked: u64,
    /// When people were told, since nobody has or had it in hand.
    pub(crate) told: Option<Told>,
    /// Until when its message waits.
    pub(crate) held_until: Option<Timestamp>,
    /// Whether anybody was ever sent it.
    pub(crate) was_sent: bool,
    /// The routes that were sent it since it opened, or opened again: they hear of its end.
    pub(crate) sent_to: BTreeSet<String>,
    /// The routes that take it once their schedules begin, and when that is.
    pub(crate) waiting: BTreeMap<String, Timestamp>,
    /// The routes that were told of it, or are to be when quiet hours or their schedules allow.
    pub(crate) reached: BTreeSet<String>,
    /// The routes at which another alert of its situation speaks for it.
    pub(crate) spoken_for: BTreeSet<String>,
    /// Whether anybody is to be told of it: it is of now, and its rule does not cool down.
    pub(crate) speaks: bool,
    /// The alert of the same situation that speaks for this one.
    pub(crate) parent: Option<AlertKey>,
    /// Alerts are numbered as they open, so that the first of a situation can be told.
    pub(crate) place: u64,
    /// The sources of which it was said that their silence keeps it from being over.
    blocked_by: BTreeSet<String>,
}

/// That people were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The severity that they know of.
    pub(crate) severity: u8,
    /// Since when, by the log's clock: the steps of an escalation count from here.
    pub(crate) since: Timestamp,
    /// Steps of the escalation that were taken.
    pub(crate) steps: usize,
}

/// How far an alert about counts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Rising,
    Peak,
    Fading,
}

/// What an open alert remembers to know when it rises and when it is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Course {
    /// Of a count rule.
    Count {
        /// The window that opened it: its baseline ends here.
        opening: Bucket,
        /// The newest window that was announced.
        current: Bucket,
        /// The highest count that was announced.
        announced: u32,
        phase: Phase,
        /// The highest count of a window that has closed, and when that window began.
        highest: u32,
        highest_at: Timestamp,
        /// Windows up to here were looked at after they closed.
        checked: Timestamp,
    },
    /// Of a rule about the tone: the window that opened it.
    Tone { opening: Bucket },
    /// Of a rule about reach.
    Reach {
        /// The window that opened it, or the first of those that did.
        opening: Bucket,
        /// When the newest window began that was announced.
        current: Timestamp,
        /// The widest reach that was announced.
        announced: u64,
    },
    /// Of a rule about silence.
    Absence,
    /// Of a rule about ranks: the window that opened it.
    Rank { opening: Bucket },
    /// Of a rule about each mention, or about what is new.
    Each {
        /// The number of matches that was announced last.
        announced: u32,
        /// When the last match was there to be seen.
        last_match: Timestamp,
    },
}

/// What an alert opens with.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) key: AlertKey,
    /// When it opened, in event time.
    pub(crate) at: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) lexicon: String,
    pub(crate) arithmetic: Arithmetic,
    pub(crate) evidence: Evidence,
    /// What the rule asks for; zero where the alert has no size.
    pub(crate) asked: u64,
}

impl Course {
    /// Of a count rule, opened by this window with this count.
    pub(crate) fn of_count(window: Bucket, observed: u32) -> Self {
        Self::Count {
            opening: window,
            current: window,
            announced: observed,
            phase: Phase::Rising,
            highest: observed,
            highest_at: window.start,
            checked: window.start,
        }
    }
}

impl Course {
    /// Of a rule about reach, opened by the last of these windows with this reach.
    pub(crate) fn of_reach(first: Bucket, last: &Bucket, reach: u64) -> Self {
        Self::Reach { opening: first, current: last.start, announced: reach }
    }
}

impl OpenAlert {
    /// An alert as it opens.
    pub(crate) fn new(opening: Opening, course: Course) -> Self {
        Self {
            key: opening.key,
            sequence: 0,
            opened: opening.at,
            opened_in_log: Timestamp::default(),
            raised: opening.at,
            until: opening.until,
            raised_by: opening.arithmetic.clone(),
            arithmetic: opening.arithmetic,
            evidence: opening.evidence,
            lexicon: opening.lexicon,
            course,
            people: People::default(),
            severity: 0,
            raise: SeverityRaise::default(),
            asked: opening.asked,
            told: None,
            held_until: None,
            was_sent: false,
            sent_to: BTreeSet::new(),
            waiting: BTreeMap::new(),
            reached: BTreeSet::new(),
            spoken_for: BTreeSet::new(),
            speaks: false,
            parent: None,
            place: 0,
            blocked_by: BTreeSet::new(),
        }
    }

    /// Goes on as the alert of the same situation that was over: with its name, its number and what people said. It
    /// stays a part of what it was a part of, and is none of itself.
    pub(crate) fn go_on_as(&mut self, over: Self) {
        self.key = over.key;
        self.parent = self.parent.or(over.parent).filter(|parent| *parent != over.key);
        self.sequence = over.sequence;
        self.opened = over.opened;
        self.opened_in_log = over.opened_in_log;
        self.people = over.people;
        self.people.end_with_the_alert();
        self.was_sent = over.was_sent;
        self.reached = over.reached;
    }

    /// When the window began that opened it, where a window did.
    pub(crate) fn window_start(&self) -> Option<Timestamp> {
        match &self.course {
            Course::Count { opening, .. }
            | Course::Tone { opening }
            | Course::Reach { opening, .. }
            | Course::Rank { opening } => Some(opening.start),
            Course::Absence | Course::Each { .. } => None,
        }
    }

    /// Takes in a count of a window that is worth saying.
    pub(crate) fn announce(
        &mut self,
        window: Bucket,
        observed: u32,
        arithmetic: CountArithmetic,
        asked: u64,
    ) {
        if let Course::Count { current, announced, phase, .. } = &mut self.course {
            *current = window;
            *announced = observed.max(*announced);
            *phase = Phase::Rising;
        }
        self.until = window.end;
        self.asked = asked;
        self.arithmetic = Arithmetic::Count(arithmetic);
    }

    /// Whether a reach is worth saying: twice what was announced, or so wide that the alert is more severe.
    pub(crate) fn is_wider(&self, reach: u64) -> bool {
        let Course::Reach { announced, .. } = self.course else { return false };
        reach >= announced.saturating_mul(2) || self.raise_at(reach).total() > self.raise.total()
    }

    /// Takes in a reach of a window that is worth saying.
    pub(crate) fn announce_reach(&mut self, window: &Bucket, arithmetic: ReachArithmetic) {
        if let Course::Reach { current, announced, .. } = &mut self.course {
            *current = window.start;
            *announced = arithmetic.reach.max(*announced);
        }
        self.until = window.end;
        self.asked = arithmetic.asked_for();
        self.arithmetic = Arithmetic::Reach(arithmetic);
    }

    /// Whether a count is worth saying: twice what was announced, or, after the height, a quarter more than that;
    /// or so many that the alert is more severe.
    pub(crate) fn is_rise(&self, observed: u32) -> bool {
        let Course::Count { announced, phase, .. } = self.course else { return false };
        let (observed, announced) = (u64::from(observed), u64::from(announced));
        let higher = match phase {
            Phase::Rising => observed >= announced * 2,
            Phase::Peak | Phase::Fading => observed * 4 > announced * 5,
        };
        higher || self.raise_at(observed).total() > self.raise.total()
    }

    /// The severity's raise where it has this size.
    fn raise_at(&self, size: u64) -> SeverityRaise {
        SeverityRaise::of(size, self.asked, self.evidence.widest_reach())
    }

    fn size(&self) -> u64 {
        match &self.arithmetic {
            Arithmetic::Count(count) => count.observed.into(),
            Arithmetic::Each(each) => each.matched.into(),
            Arithmetic::Novelty(novelty) => novelty.mentions.into(),
            Arithmetic::Reach(reach) => reach.reach,
            Arithmetic::Tone(_) | Arithmetic::Absence(_) | Arithmetic::Rank(_) => 0,
        }
    }

    /// Sets the severity by the rule, the size and the reach; it does not fall while the alert is open. Answers
    /// whether it rose.
    pub(crate) fn weigh(&mut self, rule: &Rule) -> bool {
        let raise = self.raise_at(self.size());
        if raise.total() > self.raise.total() {
            self.raise = raise;
        }
        let severity = (rule.severity + self.raise.total()).min(rule.severity_at_most);
        let rose = severity > self.severity;
        self.severity = self.severity.max(severity);
        rose
    }

    /// Takes in the final count of a window that has closed and is not calm. Answers the phase that begins with it.
    pub(crate) fn closed(&mut self, start: Timestamp, observed: u32) -> Option<Transition> {
        let Course::Count { phase, highest, highest_at, .. } = &mut self.course else { return None };
        if observed >= *highest {
            (*highest, *highest_at) = (observed, start);
            return None;
        }
        let next = match phase {
            _ if start <= *highest_at => return None,
            Phase::Rising | Phase::Peak if observed.saturating_mul(2) <= *highest => Phase::Fading,
            Phase::Rising => Phase::Peak,
            Phase::Peak | Phase::Fading => return None,
        };
        *phase = next;
        Some(if next == Phase::Peak { Transition::Peak } else { Transition::Fading })
    }

    /// Notes that the windows up to here were looked at, and were not calm as far as anybody can tell.
    pub(crate) fn checked_up_to(&mut self, end: Timestamp) {
        if let Course::Count { checked, .. } = &mut self.course {
            *checked = end;
        }
        self.until = self.until.max(end);
    }

    /// Mentions, or new values, that matched since the opening.
    pub(crate) fn matched(&self) -> u32 {
        match &self.arithmetic {
            Arithmetic::Each(each) => each.matched,
            Arithmetic::Novelty(novelty) => novelty.matched,
            Arithmetic::Count(_)
            | Arithmetic::Tone(_)
            | Arithmetic::Reach(_)
            | Arithmetic::Absence(_)
            | Arithmetic::Rank(_) => 0,
        }
    }

    /// What opened it together, where its rule asks for more than one mention.
    pub(crate) fn gathered(&self) -> Option<Gathered> {
        match &self.arithmetic {
            Arithmetic::Each(each) => each.gathered,
            _ => None,
        }
    }

    /// Takes in another match. Answers whether there are twice as many as were announced, or the alert is more severe.
    pub(crate) fn join(&mut self, signal: &Signal, arithmetic: Arithmetic, now: Timestamp) -> bool {
        self.arithmetic = arithmetic;
        self.goes_on(signal, now);
        let matched = self.matched();
        let Course::Each { announced, .. } = &mut self.course else { return false };
        let doubled = matched >= announced.saturating_mul(2);
        if doubled {
            *announced = matched;
        }
        doubled || self.raise_at(self.size()).total() > self.raise.total()
    }

    /// Notes that it is not over yet.
    pub(crate) fn goes_on(&mut self, signal: &Signal, now: Timestamp) {
        self.until = self.until.max(signal.event_time);
        if let Course::Each { last_match, .. } = &mut self.course {
            *last_match = now;
        }
    }

    /// It would be over, but these sources do not answer. That is said once of each.
    pub(crate) fn block(&mut self, silent: &[String]) -> Option<Transition> {
        let known = self.blocked_by.len();
        self.blocked_by.extend(silent.iter().cloned());
        (self.blocked_by.len() > known).then_some(Transition::Blocked)
    }

    /// The sources behind it, or that keep it from being over, which do not answer.
    fn silent_sources(&self, unheard: &BTreeMap<String, Timestamp>) -> Vec<String> {
        let mut silent = self.evidence.sources_among(unheard);
        silent.extend(self.blocked_by.iter().filter(|source| unheard.contains_key(*source)).cloned());
        silent.sort();
        silent.dedup();
        silent
    }

    /// The next transition's record.
    pub(crate) fn transition(
        &mut self,
        transition: Transition,
        decided_by: &DecidedBy<'_>,
        cause: &mut Cause,
    ) -> AlertEvent {
        self.sequence += 1;
        if transition.raises() {
            self.raised_by = self.arithmetic.clone();
        }
        let prefix = format!("{}/{}", self.key, self.sequence);
        let notify = notifications(&prefix, &decided_by.tell, decided_by.addresses);
        self.was_sent = self.was_sent || !notify.is_empty();
        match transition {
            Transition::Resolved => self.sent_to.clear(),
            _ => self.sent_to.extend(decided_by.tell.iter().map(|told| told.route.id.clone())),
        }
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
            severity: self.severity,
            historic: decided_by.historic,
            parent: self.parent,
            opened: self.opened,
            until: self.until,
            arithmetic: self.arithmetic.clone(),
            evidence: self.evidence.mentions(),
            silent_sources: self.silent_sources(decided_by.unheard),
            definition: DecidedWith {
                watchlist: decided_by.version,
                rule: decided_by.rule.to_string(),
                filter: decided_by.rule.filter.clone(),
                lexicon: self.lexicon.clone(),
            },
            notify,
            desks: self.evidence.desks(),
            passed_over: decided_by.passed_over.clone(),
            unrouted: decided_by.unrouted,
            decided: cause.appended,
            word: decided_by.word.clone(),
            acknowledged: self.people.acknowledged.clone(),
            muted_until: self.people.muted_until,
            held_until: self.held_until,
            raise: self.raise,
        }
    }
}

/// What stands around a transition.
pub(crate) struct DecidedBy<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) version: u64,
    pub(crate) subject: &'a str,
    pub(crate) historic: bool,
    pub(crate) unheard: &'a BTreeMap<String, Timestamp>,
    /// Whom to tell, where this transition is told to anybody.
    pub(crate) tell: Vec<Routes<'a>>,
    /// Which addresses of these routes.
    pub(crate) addresses: fn(&Route) -> Vec<Channel>,
    /// Whom not, who could have been.
    pub(crate) passed_over: Vec<PassedOver>,
    /// Whether it was to be told, and no route takes it.
    pub(crate) unrouted: bool,
    /// The person's word that caused it.
    pub(crate) word: Option<Word>,
}

/// Whom to tell.
pub(crate) struct Routes<'a> {
    pub(crate) route: &'a Route,
    /// Who is told instead of each address that cannot be reached.
    pub(crate) fallback: Option<&'a Route>,
}

/// A message to each address of the routes, with those that take its place where it fails. Its key begins so and is the
/// same at every attempt. Who is on several of the routes is told once; each route's fallback stands in all the same.
pub(super) fn notifications(
    prefix: &str,
    routes: &[Routes<'_>],
    addresses: fn(&Route) -> Vec<Channel>,
) -> Vec<Notification> {
    let mut notifications: Vec<Notification> = Vec::new();
    for routes in routes {
        for to in addresses(routes.route) {
            let key = key(prefix, &to);
            let mut fallback = fallback(&key, routes.fallback, addresses);
            match notifications.iter_mut().find(|known| known.key == key) {
                Some(known) => {
                    fallback.retain(|instead| known.fallback.iter().all(|other| other.key != instead.key));
                    known.fallback.extend(fallback);
                }
                None => notifications.push(notification(key, routes.route, to, fallback)),
            }
        }
    }
    notifications
}

/// The messages that take the place of one that fails.
fn fallback(key: &str, route: Option<&Route>, addresses: fn(&Route) -> Vec<Channel>) -> Vec<Notification> {
    let Some(route) = route else { return Vec::new() };
    let instead = |to: Channel| {
        let key = self::key(&format!("{key}/instead"), &to);
        notification(key, route, to, Vec::new())
    };
    addresses(route).into_iter().map(instead).collect()
}

fn key(prefix: &str, to: &Channel) -> String {
    match to.address() {
        Some(address) => format!("{prefix}/{}/{address}", to.name()),
        None => format!("{prefix}/{}", to.name()),
    }
}

fn notification(key: String, route: &Route, to: Channel, fallback: Vec<Notification>) -> Notification {
    let group_wait_s = if to.is_read_by_people() { route.group_wait_s } else { 0 };
    Notification { key, route: route.id.clone(), to, group_wait_s, fallback }
}

/// The numbers of a count rule.
pub(crate) fn count_arithmetic(
    condition: &CountCondition,
    bucket: &Bucket,
    observed: u32,
    authors: u32,
    mentions: Option<u32>,
    threshold: &Threshold,
) -> CountArithmetic {
    let baseline = threshold.baseline.as_ref();
    CountArithmetic {
        measure: condition.measure,
        window: interval(condition.window, threshold.before.map(|before| before.start), bucket),
        observed: threshold.counted(observed),
        expected: baseline.map(|baseline| baseline.expectation.mean),
        probability: threshold.probability(observed),
        dispersion: baseline.map(|baseline| baseline.expectation.dispersion),
        authors,
        mentions,
        baseline: baseline.map(|baseline| baseline.counts.clone()).unwrap_or_default(),
        seasonality: baseline.map_or(Seasonality::None, |baseline| baseline.seasonality),
        little_data: baseline.is_none(),
        drawn_to: baseline.and_then(|baseline| baseline.drawn).map(|drawn| drawn.usual),
        drawn_weight: baseline.and_then(|baseline| baseline.drawn).map(|drawn| drawn.weight),
        threshold: threshold.counted(threshold.count.unwrap_or_default()),
        variation: baseline.map(|baseline| baseline.variation),
        asked: Some(CountAsked {
            probability_below: threshold.probability_below(condition),
            authors_at_least: condition.authors_at_least,
            little_data_at_least: condition.little_data_at_least,
            mentions_at_least: Some(condition.mentions_at_least),
        }),
        before: threshold.before.map(|before| HourBefore { count: before.count, end: bucket.start }),
        highest: baseline.is_none().then_some(threshold.highest),
        stretch: Some(threshold.stretch).filter(|stretch| baseline.is_some() && *stretch != 1.0),
    }
}

/// The numbers of a rule about each mention.
pub(crate) fn each_arithmetic(
    condition: &EachCondition,
    signal: &Signal,
    subject: &SubjectSignal,
    matched: u32,
    gathered: Option<Gathered>,
) -> EachArithmetic {
    EachArithmetic {
        polarity: subject.polarity,
        polarity_at_most: condition.sentiment_at_most,
        reach: signal.reach,
        reach_unit: signal.reach_unit,
        reach_at_least: condition.reach_at_least,
        matched,
        gathered,
    }
}
