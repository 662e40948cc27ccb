//! Whom to tell, and when: what people said, the situation, quiet hours, which routes take the alert, and the order in
//! which others are called.
//!
//! All of it follows the log's clock (append time). What belongs here: which routes are told of an alert. Whether a
//! route takes one is said by the route's definition; what is told, and by which channels, by [`crate::delivery`]; briefs
//! have a place of their own, [`super::briefs`].

use std::collections::BTreeSet;

use earshot_common::definitions::{Candidate, Takes, Watchlist};
use earshot_common::events::{AlertEvent, PassedOver, Transition};
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;

use super::State;
use super::alert::{OpenAlert, Told};
use super::calendar::HOUR_MS;
use super::watch::{Watch, Watched};

const MINUTE_MS: i64 = 60_000;

/// Why people are told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// It begins, or begins to concern them again.
    First,
    /// It is more severe than what they know; also of one who has it in hand.
    MoreSevere,
}

/// Whom a transition is told, and whom not.
#[derive(Debug, Default)]
pub(super) struct Called {
    /// The routes that are told.
    pub(super) routes: Vec<String>,
    /// Those that could have been, and why they are not.
    pub(super) passed_over: Vec<PassedOver>,
    /// Whether it was to be told, and no route takes it.
    pub(super) unrouted: bool,
}

/// What is due by the log's clock.
enum Due {
    /// Something that a person said for a time has ended.
    Ended(Transition),
    /// Quiet hours are over.
    Held,
    /// The schedules of these routes have begun.
    Waited(Vec<String>),
    /// The next in the order is called.
    Step(String),
}

impl State {
    /// The routes that are to be told of an open alert now; none while people do not want it told, or have it in hand.
    /// In quiet hours the alert waits for their end.
    pub(super) fn call(&mut self, subject: &str, rule: usize, call: Call) -> Called {
        self.call_routes(subject, rule, call).unwrap_or_default()
    }

    fn call_routes(&mut self, subject: &str, rule: usize, call: Call) -> Option<Called> {
        if self.is_kept_from_people(subject, rule, call)? {
            return None;
        }
        let now = self.cause.appended;
        let Self { watchlist, subjects, .. } = self;
        let watched = subjects.get_mut(subject)?;
        let zone = watched.zone_of_readers(rule);
        let watch = &mut watched.rules[rule];
        let routes = candidates(watchlist, watch, now, &zone);
        let telling = &watch.rule.telling;
        let open = watch.open.as_mut()?;
        open.waiting.clear();
        let quiet_until = telling.quiet_until(open.severity, now, &zone);
        let spoken_for = open.spoken_for.clone();
        let called = ask(watchlist, open, subject, &routes, &spoken_for, now, &zone);
        // Where nobody waits for the end of quiet hours it is said at once why.
        let anybody = !called.routes.is_empty() || !open.waiting.is_empty();
        open.held_until = quiet_until.filter(|_| anybody);
        if open.held_until.is_some() {
            open.waiting.clear();
            return None;
        }
        if !called.routes.is_empty() {
            let before = open.told.filter(|_| call == Call::MoreSevere);
            watch.note_told(now, before);
        }
        Some(called)
    }

    /// Whether nobody is to be told now, whatever the routes: another alert of the rule was told shortly before, somebody
    /// has this one in hand, or does not want it told.
    fn is_kept_from_people(&self, subject: &str, rule: usize, call: Call) -> Option<bool> {
        let watch = &self.subjects.get(subject)?.rules[rule];
        let open = watch.open.as_ref()?;
        let in_hand = open.people.acknowledged.is_some() && call == Call::First;
        Some(!open.speaks || in_hand || open.people.muted_until.is_some())
    }

    /// Calls routes whose schedules have begun.
    fn call_waiting(&mut self, subject: &str, rule: usize, routes: &[String]) -> Option<Called> {
        if self.is_kept_from_people(subject, rule, Call::First)? {
            return None;
        }
        let mut called = self.call_these(subject, rule, routes)?;
        let watch = &mut self.subjects.get_mut(subject)?.rules[rule];
        let open = watch.open.as_ref()?;
        called.unrouted &= open.told.is_none() && open.waiting.is_empty();
        if !called.routes.is_empty() {
            let before = open.told;
            watch.note_told(self.cause.appended, before);
        }
        Some(called)
    }

    /// Asks routes that were chosen already.
    fn call_these(&mut self, subject: &str, rule: usize, routes: &[String]) -> Option<Called> {
        let Self { watchlist, subjects, cause, .. } = self;
        let watched = subjects.get_mut(subject)?;
        let zone = watched.zone_of_readers(rule);
        let open = watched.rules[rule].open.as_mut()?;
        Some(ask(watchlist, open, subject, routes, &BTreeSet::new(), cause.appended, &zone))
    }

    /// Whether the rule told of another alert so short a time ago that this one, no more severe, is not told.
    pub(super) fn cools_down(&self, subject: &str, rule: usize) -> bool {
        let Some(watch) = self.subjects.get(subject).and_then(|watched| watched.rules.get(rule)) else {
            return false;
        };
        let (Some(told), Some(open)) = (watch.told, &watch.open) else { return false };
        let cool_ms = i64::from(watch.rule.telling.cool_down_hours) * HOUR_MS;
        open.severity <= told.severity && self.cause.appended < told.since.plus_millis(cool_ms)
    }

    /// What the log's clock ends and begins.
    pub(super) fn timers(&mut self) -> Vec<AlertEvent> {
        let now = self.cause.appended;
        if self.next_timer.is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.let_briefs_fall_due();
        let mut watches = Vec::new();
        for (id, watched) in &self.subjects {
            let is_due = |rule: &usize| watched.next_due(*rule, now).is_some_and(|due| due <= now);
            watches.extend((0..watched.rules.len()).filter(is_due).map(|rule| (id.clone(), rule)));
        }
        let mut events = Vec::new();
        for (subject, rule) in watches {
            // One at a time: what one thing that is due comes to may settle the next.
            while let Some(due) = self.due(&subject, rule) {
                let (transition, called) = match due {
                    Due::Ended(transition) => (transition, self.call(&subject, rule, Call::First)),
                    Due::Held => (Transition::Told, self.call(&subject, rule, Call::First)),
                    Due::Waited(routes) => {
                        (Transition::Told, self.call_waiting(&subject, rule, &routes).unwrap_or_default())
                    }
                    Due::Step(route) => {
                        (Transition::Escalated, self.call_these(&subject, rule, &[route]).unwrap_or_default())
                    }
                };
                if transition != Transition::Told || !called.routes.is_empty() || called.unrouted {
                    events.extend(self.record(&subject, rule, transition, called, None));
                }
            }
        }
        self.set_timer();
        events
    }

    fn due(&mut self, subject: &str, rule: usize) -> Option<Due> {
        let now = self.cause.appended;
        let watched = self.subjects.get_mut(subject)?;
        let zone = watched.zone_of_readers(rule);
        watched.rules.get_mut(rule)?.due(now, &zone)
    }

    /// Looks up when the clock next has something to do.
    pub(super) fn set_timer(&mut self) {
        let now = self.cause.appended;
        let of_subject =
            |watched: &Watched| (0..watched.rules.len()).filter_map(|rule| watched.next_due(rule, now)).min();
        let of_alerts = self.subjects.values().filter_map(of_subject);
        self.next_timer = of_alerts.chain(self.briefs.values().map(|schedule| schedule.next)).min();
    }
}

/// The routes that may take an alert: whoever is on duty, else those of its rule.
fn candidates(watchlist: &Watchlist, watch: &Watch, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    match watch.rule.telling.on_duty(now, zone) {
        Some(route) => vec![route.to_owned()],
        // What a rule names is asked also where it is not in force, to be named.
        None if !watch.rule.routes.is_empty() => watch.rule.routes.clone(),
        None => watchlist.routes_of(&watch.rule).into_iter().map(|route| route.id.clone()).collect(),
    }
}

/// Asks routes whether they take an alert, and has those wait whose schedule is to begin.
fn ask(
    watchlist: &Watchlist,
    open: &mut OpenAlert,
    subject: &str,
    routes: &[String],
    spoken_for: &BTreeSet<String>,
    at: Timestamp,
    zone: &TimeZone,
) -> Called {
    let mut called = Called { unrouted: true, ..Called::default() };
    let desks = open.evidence.desks();
    let alert = Candidate { subject, severity: open.severity, desks: &desks, at, zone };
    for id in routes {
        let takes = match watchlist.route(id) {
            Some(route) => route.takes(&alert),
            None => Takes::Not("it is not in force".to_owned()),
        };
        called.unrouted &= matches!(takes, Takes::Not(_));
        let why = match takes {
            Takes::Not(why) => why,
            Takes::Now | Takes::From(..) if spoken_for.contains(id) => {
                "another alert of the same situation, as severe, is told there and speaks for this one"
                    .to_owned()
            }
            Takes::Now => {
                open.reached.insert(id.clone());
                called.routes.push(id.clone());
                continue;
            }
            Takes::From(begin, why) => {
                open.reached.insert(id.clone());
                open.waiting.insert(id.clone(), begin);
                why
            }
        };
        called.passed_over.push(PassedOver { route: id.clone(), why });
    }
    called
}

impl Watched {
    /// The zone of those who read the alerts of a rule.
    fn zone_of_readers(&self, rule: usize) -> TimeZone {
        self.rules[rule].rule.telling.zone(&self.subject.time_zone())
    }

    /// When something of a rule's open alert is due, from now on. A step of the escalation and a route's schedule wait for
    /// the end of quiet hours.
    fn next_due(&self, rule: usize, now: Timestamp) -> Option<Timestamp> {
        let watch = &self.rules[rule];
        let open = watch.open.as_ref()?;
        let step = watch.next_step().map(|(due, _)| due);
        let call = open.waiting.values().copied().chain(step).min();
        let call = call.map(|due| match watch.rule.telling.quiet_hours {
            // A zone is dear, and all that is open is asked after each transition.
            None => due,
            Some(_) => {
                let zone = self.zone_of_readers(rule);
                watch.rule.telling.after_quiet(open.severity, due.max(now), &zone)
            }
        });
        open.people.next_end().into_iter().chain(open.held_until).chain(call).min()
    }
}

impl Watch {
    /// Notes that people are told now. Where they were before, the steps of the escalation go on from there.
    fn note_told(&mut self, now: Timestamp, before: Option<Told>) {
        let Some(open) = self.open.as_mut() else { return };
        let told = Told {
            severity: open.severity,
            since: before.map_or(now, |told| told.since),
            steps: before.map_or(0, |told| told.steps),
        };
        open.told = Some(told);
        self.told = Some(told);
    }

    /// When the next in the order is called, and by which route, where nobody has the alert in hand.
    fn next_step(&self) -> Option<(Timestamp, &str)> {
        let open = self.open.as_ref()?;
        let quiet = open.people.acknowledged.is_some() || open.people.muted_until.is_some();
        let told = open.told.filter(|_| !quiet)?;
        let step = self.rule.telling.escalate.get(told.steps)?;
        Some((told.since.plus_millis(i64::from(step.after_minutes) * MINUTE_MS), &step.route))
    }

    /// Takes one thing that is due, if any is left.
    fn due(&mut self, now: Timestamp, zone: &TimeZone) -> Option<Due> {
        let step = self.next_step().filter(|(due, _)| *due <= now).map(|(_, route)| route.to_owned());
        let open = self.open.as_mut()?;
        if let Some(ended) = open.people.end(now) {
            open.told = None;
            return Some(Due::Ended(ended));
        }
        if open.held_until.is_some_and(|until| until <= now) {
            open.held_until = None;
            return Some(Due::Held);
        }
        if self.rule.telling.quiet_until(open.severity, now, zone).is_some() {
            return None;
        }
        if open.waiting.values().any(|until| *until <= now) {
            let begun: Vec<String> = open
                .waiting
                .iter()
                .filter(|(_, until)| **until <= now)
                .map(|(route, _)| route.clone())
                .collect();
            open.waiting.retain(|_, until| *until > now);
            return Some(Due::Waited(begun));
        }
        let told = open.told.as_mut()?;
        let route = step?;
        told.steps += 1;
        Some(Due::Step(route))
    }
}
