//! One situation is one alert: what an alert goes on as, what it joins, and whether its people know already.
//!
//! What belongs here: which alerts are one situation. What of it is told, and when, is [`super::telling`]'s.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use earshot_common::definitions::Rule;
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;

use super::alert::{OpenAlert, Told};
use super::calendar::{DAY_MS, HOUR_MS};
use super::evidence::Evidence;
use super::watch::{Watch, Watched};
use super::{Over, State};

/// So long after the end the same stories are the same situation.
const SAME_STORIES_MS: i64 = 7 * DAY_MS;

/// What an alert joins as it opens.
pub(super) struct Situation {
    /// The alert that speaks for it.
    pub(super) parent: Option<AlertKey>,
    /// The routes that are told already of something as severe, or will be. Of what is muted nobody is to hear, so it
    /// speaks for nothing.
    pub(super) told: BTreeSet<String>,
}

/// An open alert that may go on with what one that is over did for their situation.
struct Heir<'a> {
    open: &'a mut OpenAlert,
    rule: &'a Rule,
}

impl<'a> Heir<'a> {
    /// The open alert of a rule, where it is of this situation and anybody is to be told of it.
    fn of(watch: &'a mut Watch, situation: AlertKey) -> Option<Self> {
        let Watch { open, rule, .. } = watch;
        let open = open.as_mut()?;
        let is_of_it = open.speaks && open.parent.unwrap_or(open.key) == situation;
        is_of_it.then_some(Self { open, rule })
    }

    /// Where people were told of the alert that is over and nobody has answered, who is next in the order is called as
    /// if it went on: but for those whom its rule has called already.
    fn escalate_from(&mut self, over: &OpenAlert, rule: &Rule) {
        let answered = over.people.acknowledged.is_some() || over.people.muted_until.is_some();
        let Some(told) = over.told.filter(|_| !answered && self.open.told.is_none()) else { return };
        let called = rule.telling.escalate.iter().take(told.steps);
        let called: BTreeSet<&str> = called.map(|step| step.route.as_str()).collect();
        let own = self.rule.telling.escalate.iter();
        let steps = own.take_while(|step| called.contains(step.route.as_str())).count();
        self.open.told = Some(Told { steps, ..told });
    }
}

impl OpenAlert {
    /// Whether people at this route hear of the situation by this alert.
    fn speaks_at(&self, route: &str, now: Timestamp) -> bool {
        self.reached.contains(route) && !self.spoken_for.contains(route) && !self.people.is_muted(now)
    }

    /// Speaks at this route from now on, where another alert did that is over.
    fn take_over(&mut self, route: &str, over: &Self) {
        self.spoken_for.remove(route);
        self.reached.insert(route.to_owned());
        self.held_until = self.held_until.max(over.held_until);
        self.waiting.extend(over.waiting.get(route).map(|begin| (route.to_owned(), *begin)));
    }
}

/// An alert of a situation.
#[derive(Clone, Copy)]
struct Member<'a> {
    alert: &'a OpenAlert,
    is_over: bool,
}

impl Member<'_> {
    /// The routes that know of it, or will. Of one that is over nobody will be told any more.
    fn told(&self) -> impl Iterator<Item = &String> {
        let OpenAlert { reached, spoken_for, waiting, held_until, .. } = self.alert;
        let known = |route: &&String| !self.is_over || held_until.is_none() && !waiting.contains_key(*route);
        reached.iter().chain(spoken_for).filter(known)
    }
}

impl State {
    /// The alert of the same rule that is the same situation: it was over a short time before this one opened, or
    /// at most a week, and at least half of the stories are the same.
    pub(super) fn goes_on(&self, subject: &str, rule: usize) -> Option<AlertKey> {
        let watch = &self.subjects.get(subject)?.rules[rule];
        let open = watch.open.as_ref()?;
        let within_ms = i64::from(watch.rule.reopen_within_hours) * HOUR_MS;
        let same = |over: &&Over| {
            over.subject == subject
                && over.rule.id == watch.rule.id
                && over.rule.asks_for_the_same(&watch.rule)
                && within_ms > 0
                && (open.opened <= over.alert.until.plus_millis(within_ms)
                    || (open.opened <= over.alert.until.plus_millis(SAME_STORIES_MS)
                        && open.evidence.mostly_within([&over.alert.evidence].into_iter())))
        };
        self.over.values().filter(same).max_by_key(|over| over.alert.place).map(|over| over.alert.key)
    }

    /// The situation that an alert belongs to as it opens: that of the subject's alerts that are open already; else
    /// of those that are over and held into the window that opens this one, for it counts what they counted; else
    /// that of the company, or of another subject, where at least half of the stories are the same.
    pub(super) fn situation(&self, subject: &str, rule: usize) -> Option<Situation> {
        let watched = self.subjects.get(subject)?;
        let opening = &watched.rules[rule];
        let alert = opening.open.as_ref()?;
        let mut members = members(watched.open().filter(|watch| watch.rule.id != opening.rule.id));
        if members.is_empty() {
            members = self.over_since(subject, alert);
        }
        if members.is_empty() {
            members = self.with_the_same_stories(watched, &alert.evidence);
        }
        let now = self.cause.appended;
        let speaks_for_it = |member: &&Member<'_>| {
            member.alert.severity >= alert.severity && !member.alert.people.is_muted(now)
        };
        let as_severe = members.iter().filter(speaks_for_it);
        let first = members.iter().map(|member| member.alert).min_by_key(|first| first.place);
        Some(Situation {
            parent: first.map(|first| first.parent.unwrap_or(first.key)),
            told: as_severe.flat_map(Member::told).cloned().collect(),
        })
    }

    /// What an alert that is over did for its situation, the next one there goes on with, the most severe first: it
    /// speaks at the routes of the first, tells what quiet hours or schedules held back, and where nobody had the first
    /// in hand it goes on with the escalation. `rule` is that of the alert that is over.
    pub(super) fn hand_over(&mut self, over: &OpenAlert, rule: &Rule) {
        let situation = over.parent.unwrap_or(over.key);
        let now = self.cause.appended;
        let rules = self.subjects.values_mut().flat_map(|watched| &mut watched.rules);
        let mut heirs: Vec<Heir<'_>> = rules.filter_map(|watch| Heir::of(watch, situation)).collect();
        heirs.sort_by_key(|heir| (Reverse(heir.open.severity), heir.open.place));
        let mut speakers = BTreeSet::new();
        for route in &over.reached {
            for next in 0..heirs.len() {
                let severity = heirs[next].open.severity;
                let speaks =
                    |heir: &Heir<'_>| heir.open.severity >= severity && heir.open.speaks_at(route, now);
                if heirs[next].open.spoken_for.contains(route) && !heirs.iter().any(speaks) {
                    heirs[next].open.take_over(route, over);
                    speakers.insert(next);
                }
            }
        }
        let first = speakers.into_iter().find(|speaker| !heirs[*speaker].open.people.is_muted(now));
        if let Some(first) = first {
            heirs[first].escalate_from(over, rule);
        }
    }

    /// The subject's alerts that were over after the opening window of this one began. A silence counts nothing.
    fn over_since(&self, subject: &str, alert: &OpenAlert) -> Vec<Member<'_>> {
        let Some(start) = alert.window_start() else { return Vec::new() };
        let same = |over: &&Over| over.subject == subject && over.alert.until > start;
        let mut members = Vec::new();
        for Over { alert, .. } in self.over.values().filter(same) {
            members.push(Member { alert, is_over: true });
        }
        members
    }

    /// The open alerts of the subject that has at least half of these stories: of the company of an executive, else
    /// of whichever was first.
    fn with_the_same_stories(&self, watched: &Watched, evidence: &Evidence) -> Vec<Member<'_>> {
        let company = watched.subject.company.as_ref();
        let others = self.subjects.values().filter(|other| other.subject.id != watched.subject.id);
        let mut found: Vec<(bool, u64, Vec<Member<'_>>)> = Vec::new();
        for other in others {
            let open = members(other.open());
            let Some(first) = open.iter().map(|member| member.alert.place).min() else { continue };
            if evidence.mostly_within(open.iter().map(|member| &member.alert.evidence)) {
                found.push((company != Some(&other.subject.id), first, open));
            }
        }
        found
            .into_iter()
            .min_by_key(|(other, first, _)| (*other, *first))
            .map_or(Vec::new(), |(.., open)| open)
    }
}

fn members<'a>(watches: impl Iterator<Item = &'a Watch>) -> Vec<Member<'a>> {
    watches.filter_map(|watch| Some(Member { alert: watch.open.as_ref()?, is_over: false })).collect()
}
