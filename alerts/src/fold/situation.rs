//! One situation is one alert: what an alert goes on as, what it joins, and whether its people know already.
//!
//! What belongs here: which alerts are one situation. What of it is told, and when, is [`super::telling`]'s.

use earshot_common::definitions::Rule;
use earshot_common::keys::AlertKey;

use super::alert::OpenAlert;
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
    /// Whether the same people were told already of something as severe.
    pub(super) is_told: bool,
}

/// An alert of a situation, and what it was decided by.
#[derive(Clone, Copy)]
struct Member<'a> {
    rule: &'a Rule,
    alert: &'a OpenAlert,
    /// Whether people know of it, or will.
    is_told_of: bool,
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
        let tells = |member: &Member<'_>| {
            member.is_told_of
                && member.alert.severity >= alert.severity
                && member.rule.route == opening.rule.route
        };
        let first = members.iter().map(|member| member.alert).min_by_key(|first| first.place);
        Some(Situation {
            parent: first.map(|first| first.parent.unwrap_or(first.key)),
            is_told: members.iter().any(tells),
        })
    }

    /// Where quiet hours kept people from being told of an alert before it was over, the next of its situation is to
    /// tell them.
    pub(super) fn hand_over(&mut self, over: &OpenAlert) {
        let Some(until) = over.held_until else { return };
        let open = self.subjects.values_mut().flat_map(|watched| &mut watched.rules);
        let next = open
            .filter_map(|watch| watch.open.as_mut())
            .filter(|open| open.parent == Some(over.key) && !open.speaks)
            .min_by_key(|open| open.place);
        if let Some(next) = next {
            next.speaks = true;
            next.held_until = Some(until);
        }
    }

    /// The subject's alerts that were over after the opening window of this one began. A silence counts nothing.
    fn over_since(&self, subject: &str, alert: &OpenAlert) -> Vec<Member<'_>> {
        let Some(start) = alert.window_start() else { return Vec::new() };
        let same = |over: &&Over| over.subject == subject && over.alert.until > start;
        let mut members = Vec::new();
        for Over { rule, alert, .. } in self.over.values().filter(same) {
            members.push(Member { rule, alert, is_told_of: alert.held_until.is_none() });
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
    watches
        .filter_map(|watch| Some(Member { rule: &watch.rule, alert: watch.open.as_ref()?, is_told_of: true }))
        .collect()
}
