//! Whom to tell, and when: what people said, the situation, quiet hours, and the order in which others are called.
//!
//! All of it follows the log's clock (append time). What belongs here: which route is told of an alert. What is told, and by
//! which channels, is the route's and [`crate::delivery`]'s; briefs have a place of their own, [`super::briefs`].

use earshot_common::events::{AlertEvent, Transition};
use earshot_common::time::Timestamp;

use super::State;
use super::alert::Told;
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

/// What is due by the log's clock.
enum Due {
    /// Something that a person said for a time has ended.
    Ended(Transition),
    /// Quiet hours are over.
    Held,
    /// The next in the order is called.
    Step(String),
}

impl State {
    /// The route that is to be told of an open alert now; none while people do not want it told, or have it in hand.
    /// In quiet hours the alert waits for their end.
    pub(super) fn call(&mut self, subject: &str, rule: usize, call: Call) -> Option<String> {
        let now = self.cause.appended;
        let watched = self.subjects.get_mut(subject)?;
        let watch = &mut watched.rules[rule];
        let muted = self.muted.get(&(watch.rule.id.clone(), subject.to_owned()));
        let rule_is_muted = muted.is_some_and(|until| *until > now);
        let open = watch.open.as_mut()?;
        let in_hand = open.people.acknowledged.is_some() && call == Call::First;
        if !open.speaks || in_hand || open.people.muted_until.is_some() || rule_is_muted {
            return None;
        }
        let telling = &watch.rule.telling;
        let zone = telling.zone(&watched.subject.time_zone());
        let route = telling.on_duty(now, &zone).or(watch.rule.route.as_deref())?.to_owned();
        open.held_until = telling.quiet_until(open.severity, now, &zone);
        if open.held_until.is_some() {
            return None;
        }
        let before = open.told.filter(|_| call == Call::MoreSevere);
        let told = Told {
            severity: open.severity,
            since: before.map_or(now, |told| told.since),
            steps: before.map_or(0, |told| told.steps),
        };
        open.told = Some(told);
        watch.told = Some(told);
        Some(route)
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
        let mut all = Vec::new();
        for (id, watched) in &mut self.subjects {
            for (rule, watch) in watched.rules.iter_mut().enumerate() {
                while let Some(due) = watch.due(now) {
                    all.push((id.clone(), rule, due));
                }
            }
        }
        let mut events = Vec::new();
        for (subject, rule, due) in all {
            let (transition, tell) = match due {
                Due::Ended(transition) => (transition, self.call(&subject, rule, Call::First)),
                Due::Held => (Transition::Told, self.call(&subject, rule, Call::First)),
                Due::Step(route) => (Transition::Escalated, Some(route)),
            };
            if transition != Transition::Told || tell.is_some() {
                events.extend(self.record(&subject, rule, transition, tell, None));
            }
        }
        self.set_timer();
        events
    }

    /// Looks up when the clock next has something to do.
    pub(super) fn set_timer(&mut self) {
        let of_alerts = self.subjects.values().flat_map(Watched::open).filter_map(Watch::next_due);
        self.next_timer = of_alerts.chain(self.briefs.values().map(|schedule| schedule.next)).min();
    }
}

impl Watch {
    /// When something of the open alert is due.
    fn next_due(&self) -> Option<Timestamp> {
        let open = self.open.as_ref()?;
        let step = self.next_step().map(|(due, _)| due);
        open.people.next_end().into_iter().chain(open.held_until).chain(step).min()
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
    fn due(&mut self, now: Timestamp) -> Option<Due> {
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
        let told = open.told.as_mut()?;
        let route = step?;
        told.steps += 1;
        Some(Due::Step(route))
    }
}
