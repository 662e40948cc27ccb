//! The fold: from the records of `signals` to the transitions of alerts.
//!
//! [`State`] after record *n* is a function of the records up to *n* and of nothing else: no clock, no other
//! topic, no I/O. So a restart is a replay, and a replay gives the same transitions, to the last bit.
//!
//! What belongs here: every decision. What does not: reading the log and writing `alerts` ([`crate::service`]),
//! and telling people ([`crate::delivery`]).

mod alert;
mod baseline;
mod briefs;
mod brought;
mod buckets;
mod closing;
mod command;
mod desks;
mod detector;
mod evidence;
mod facts;
mod gaps;
mod gathering;
mod imports;
mod memory;
mod model;
mod novel;
mod past;
mod people;
mod rank;
mod reach;
mod rebuild;
mod series;
mod situation;
mod telling;
#[cfg(test)]
mod tests;
mod threshold;
mod tone;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use earshot_common::calendar;
use earshot_common::definitions::{Matching, Route, Rule, Search, Watchlist};
use earshot_common::events::{
    AlertEvent, COMMANDS_AFTER_END_MS, Channel, DefinitionVersion, History, Origin, PartitionProgress,
    Progress, SchemaVersion, Signal, SignalRecord, SourceHealth, SourceStatus, SubjectSignal, Transition,
    Word,
};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use alert::{DecidedBy, OpenAlert, Routes};
use briefs::Schedule;
use gaps::Gaps;
use imports::Imports;
use people::Commands;
use telling::{Call, Called};
use watch::Watched;

pub(crate) use alert::Cause;
pub(crate) use baseline::{Rhythm, baseline, expectation_again};
pub(crate) use briefs::DueBrief;
pub(crate) use closing::silence_again;
pub(crate) use desks::DeskSet;
pub use detector::{Detector, Judged};
pub(crate) use earshot_common::calendar::{HOUR_MS, bucket_end, bucket_of, window_of};
pub(crate) use facts::{AlertFacts, Facts, GapFacts, SubjectFacts};
pub use imports::HistoryDue;
pub(crate) use memory::{Memory, Novelty};
pub(crate) use past::{PastBucket, PastCounts};
pub(crate) use people::Feedback;
pub(crate) use rank::Standing as RankStanding;
pub(crate) use reach::{
    probability as reach_probability, spread as reach_spread, threshold as reach_threshold,
};
pub use rebuild::TakenRebuild;
pub(crate) use rebuild::{PastRebuild, Sources};
pub(crate) use series::{FRESH_WINDOWS, LOOK_BACK_MS, MOST_AUTHORS, MOST_DISTINCT};
pub(crate) use threshold::little_data_threshold;
pub(crate) use tone::{tone_again, tone_probability_again};
pub(crate) use watch::alert_key;

/// How far back a baseline looks, and a day or two more, so that its first bucket is whole.
pub(crate) const BASELINE_MS: i64 = series::LOOK_BACK_MS + 2 * calendar::DAY_MS;

/// People hear of the end of alerts from this severity on: it was at any hour that they heard of the beginning.
const TOLD_OF_THE_END: u8 = 7;

/// How far a partition of `mentions.raw` is folded.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Folded {
    /// What is below this offset was folded.
    next: u64,
    /// The newest append time of what was folded.
    appended: Option<Timestamp>,
}

impl Folded {
    /// Takes a signal's place in. Answers whether it was not folded before: an offset that was is another
    /// record's where its append time is newer than all that was folded, for then the topic was made anew.
    pub(crate) fn is_new(&mut self, signal: &Signal) -> bool {
        let new = signal.raw.offset >= self.next || signal.raw_appended > self.appended;
        if new {
            self.next = signal.raw.offset + 1;
            self.appended = self.appended.max(signal.raw_appended);
        }
        new
    }
}

/// What the fold knows after the records so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Whether this is the fold over the past: it opens alerts that nobody is told of.
    historic: bool,
    watchlist: Watchlist,
    /// When the log took the copy of each definition.
    copied: BTreeMap<String, Timestamp>,
    subjects: BTreeMap<String, Watched>,
    /// How far each partition of `mentions.raw` is folded.
    folded: BTreeMap<u32, Folded>,
    progress: BTreeMap<u32, PartitionProgress>,
    /// Up to when all is done: the least over the raw partitions, and it never falls.
    clock: Option<Timestamp>,
    /// What the clock first said: nobody was listened to before.
    began: Option<Timestamp>,
    /// The latest event time so far.
    newest: Timestamp,
    /// The sources that do not answer, and since when.
    failing: BTreeMap<String, Timestamp>,
    gaps: Gaps,
    imports: Imports,
    sources: Sources,
    /// What mentions were judged with so far.
    judges: BTreeSet<String>,
    opened: u64,
    /// Alerts that are over and still take words of people, and may go on.
    over: BTreeMap<AlertKey, Over>,
    commands: Commands,
    /// Rules that are muted for a subject, and until when: so long each alert of them is muted as it opens.
    muted: BTreeMap<(String, String), Timestamp>,
    /// What people said of the alerts of each rule.
    feedback: BTreeMap<String, Feedback>,
    /// The briefs in force.
    briefs: BTreeMap<String, Schedule>,
    /// When the log's clock next ends or begins something; computed again after whatever may change it.
    next_timer: Option<Timestamp>,
    cause: Cause,
}

/// An alert that is over, and what it was decided by.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Over {
    alert: OpenAlert,
    rule: Rule,
    version: u64,
    subject: String,
    /// When it was over by the log's clock.
    since: Timestamp,
}

impl State {
    /// The state before the first record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Folds one record and answers the transitions that it causes, in order.
    pub fn apply(&mut self, offset: u64, appended: Timestamp, record: &SignalRecord) -> Vec<AlertEvent> {
        self.cause = Cause { offset, appended, transitions: 0 };
        self.sources.begin(appended);
        let mut events = self.timers();
        events.extend(match record {
            SignalRecord::Signal(signal) => self.signal(signal),
            SignalRecord::Progress(progress) => self.progress(progress),
            SignalRecord::SourceHealth(health) => self.source_health(health),
            SignalRecord::Definition(version) => self.define(version),
            SignalRecord::History(history) => self.history(history),
            SignalRecord::Command(command) => self.command(command).into_iter().collect(),
            SignalRecord::Rebuild(rebuild) => {
                self.rebuild(rebuild);
                Vec::new()
            }
            SignalRecord::Rebuilt(rebuilt) => {
                self.take_rebuilt(rebuilt);
                Vec::new()
            }
            // The sender's account of its messages decides nothing about alerts.
            SignalRecord::Delivery(delivery) => {
                self.note_delivery(delivery);
                Vec::new()
            }
            // It says what time it is, and nothing of how far enrichment is.
            SignalRecord::Tick(_) => Vec::new(),
            SignalRecord::Collecting(_) => {
                self.gaps.collecting(self.cause.appended);
                Vec::new()
            }
        });
        // A definition may ask for other times, also where nothing follows from it yet.
        if !events.is_empty() || matches!(record, SignalRecord::Definition(_)) {
            self.set_timer();
        }
        // What one alert had begun when it ended may be due for another of its situation.
        events.extend(self.timers());
        events
    }

    /// The definitions in force: those that were read back from the log.
    pub fn watchlist(&self) -> &Watchlist {
        &self.watchlist
    }

    /// When the log took the copy of a definition in force.
    pub fn copied(&self, id: &str) -> Option<Timestamp> {
        self.copied.get(id).copied()
    }

    /// The severity of each alert that is open.
    pub fn open_severities(&self) -> impl Iterator<Item = u8> {
        self.subjects
            .values()
            .flat_map(Watched::open)
            .filter_map(|watch| watch.open.as_ref())
            .map(|open| open.severity)
    }

    /// What people said of the alerts of each rule.
    pub(crate) fn feedback(&self) -> &BTreeMap<String, Feedback> {
        &self.feedback
    }

    /// The historic fold that must run now, if any: an import is complete, and the history of some rule and
    /// subject is not in the log.
    pub fn history_due(&self) -> Option<HistoryDue> {
        self.imports.due(|| self.uncovered())
    }

    /// Whether a historic fold must run now, or will when enrichment has come to the end of an import.
    pub fn awaits_history(&self) -> bool {
        self.imports.is_pending() || self.history_due().is_some()
    }

    /// When the log's clock next ends or begins something.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.next_timer
    }

    /// Up to when all is done, where enrichment has told it.
    pub(crate) fn clock(&self) -> Option<Timestamp> {
        self.clock
    }

    /// When a subject was listened to live.
    pub(crate) fn listened(&self, subject: &str) -> &[Range<Timestamp>] {
        self.subjects.get(subject).map_or(&[], Watched::spans)
    }

    /// The imports whose mentions are all judged.
    pub(crate) fn complete_imports(&self) -> &BTreeSet<String> {
        self.imports.complete_ones()
    }

    /// Mentions of a subject that were counted live, as far back as baselines look.
    pub fn counted(&self, subject: &str) -> u64 {
        self.subjects.get(subject).map_or(0, Watched::counted)
    }

    /// A signal that is behind its partition's offset was delivered before.
    fn signal(&mut self, signal: &Signal) -> Vec<AlertEvent> {
        if !self.folded.entry(signal.raw.partition).or_default().is_new(signal) {
            return Vec::new();
        }
        match signal.origin {
            Origin::Live => {
                let young = self.sources.note(&signal.source, self.cause.appended);
                self.mention(signal, young)
            }
            Origin::History => {
                self.imports.judged(&signal.source, signal.watchlist);
                Vec::new()
            }
        }
    }

    /// Takes a mention in, for each of its subjects and searches that is watched.
    /// `young` says since when its source is known, where that one is young.
    fn mention(&mut self, signal: &Signal, young: Option<Timestamp>) -> Vec<AlertEvent> {
        self.newest = self.newest.max(signal.event_time);
        let now = self.clock.unwrap_or_default().max(self.newest);
        let mut events = Vec::new();
        for subject in signal.concerned() {
            if let (Some(since), Some(watched)) = (young, self.subjects.get_mut(&subject.id)) {
                watched.young.entry(signal.source.clone()).or_insert(since);
            }
            self.mention_of(signal, &subject, now, &mut events);
        }
        events
    }

    fn mention_of(
        &mut self,
        signal: &Signal,
        subject: &SubjectSignal,
        now: Timestamp,
        events: &mut Vec<AlertEvent>,
    ) {
        let Some(watched) = self.subjects.get_mut(&subject.id) else { return };
        let novelty = watched.take(signal, subject, now);
        for rule in 0..watched.rules.len() {
            let Some(watched) = self.subjects.get_mut(&subject.id) else { return };
            if let Some(transition) = watched.judge(rule, novelty, signal, subject, now) {
                events.extend(self.transition(&subject.id, rule, transition));
            }
        }
    }

    /// Progress moves the clock, and the clock closes what more data could undo.
    fn progress(&mut self, progress: &Progress) -> Vec<AlertEvent> {
        if let Some(version) = &progress.judged_with {
            self.judged_with(version);
        }
        self.gaps.progress(self.cause.appended);
        self.let_sources_in();
        for partition in &progress.partitions {
            let known = self.progress.entry(partition.partition).or_insert_with(|| partition.clone());
            // Later and yet less far: the topic was made anew.
            if partition.done_up_to > known.done_up_to || partition.next > known.next {
                known.next = partition.next;
            }
            known.done_up_to = known.done_up_to.max(partition.done_up_to);
        }
        let mut events = Vec::new();
        if let Some(least) = self.progress.values().map(|partition| partition.done_up_to).min() {
            let clock = self.clock.unwrap_or(least).max(least);
            self.began.get_or_insert(clock);
            for watched in self.subjects.values_mut() {
                watched.listen_from(clock);
            }
            events = self.pass_to(clock);
        }
        self.note_complete_imports();
        events
    }

    /// Closes the buckets that are over, and with them moves the alerts on.
    pub(crate) fn pass_to(&mut self, clock: Timestamp) -> Vec<AlertEvent> {
        self.clock = Some(clock);
        let unheard = self.unheard();
        let mut passed = Vec::new();
        for (id, watched) in &mut self.subjects {
            watched.close(clock);
            for rule in 0..watched.rules.len() {
                if let Some(transition) = watched.pass_to(rule, clock, &self.failing, &unheard) {
                    passed.push((id.clone(), rule, transition));
                }
            }
        }
        passed.extend(self.pass_ranks(clock));
        let mut events = Vec::new();
        for (id, rule, transition) in passed {
            events.extend(self.transition(&id, rule, transition));
        }
        events
    }

    fn source_health(&mut self, health: &SourceHealth) -> Vec<AlertEvent> {
        match health.state {
            SourceStatus::Failing => drop(self.failing.entry(health.source.clone()).or_insert(health.at)),
            SourceStatus::Healthy => self.answers_again(&health.source, health.at),
            SourceStatus::Finished => {
                self.answers_again(&health.source, health.at);
                self.imports.finished(&health.source, &health.raw);
                self.note_complete_imports();
            }
        }
        Vec::new()
    }

    /// From then on a source that failed does so no longer.
    fn answers_again(&mut self, source: &str, at: Timestamp) {
        if let Some(since) = self.failing.remove(source) {
            self.gaps.end(source, since, at);
        }
    }

    fn note_complete_imports(&mut self) {
        if self.imports.complete(&self.progress, self.cause.offset, self.cause.appended) {
            for watched in self.subjects.values_mut() {
                for watch in &mut watched.rules {
                    watch.covered = false;
                }
                watched.rebuild_where_warming(&self.imports, (self.cause.offset, self.cause.appended));
            }
        }
    }

    /// Rules and subjects whose history is not in the log.
    fn uncovered(&self) -> BTreeSet<(String, String)> {
        let mut uncovered = BTreeSet::new();
        for (id, watched) in &self.subjects {
            for watch in watched.rules.iter().filter(|watch| !watch.covered) {
                uncovered.insert((watch.rule.id.clone(), id.clone()));
            }
        }
        uncovered
    }

    fn history(&mut self, history: &History) -> Vec<AlertEvent> {
        if let Some(watched) = self.subjects.get_mut(&history.subject) {
            watched.take_history(history, (self.cause.offset, self.cause.appended));
        }
        Vec::new()
    }

    /// Puts a version of a definition in force. Where nothing asks for an open alert any more, it is over.
    fn define(&mut self, version: &DefinitionVersion) -> Vec<AlertEvent> {
        let offset = version.version.unwrap_or_else(|| self.watchlist.next());
        let (kind, id) = version.id.split_once('/').unwrap_or_default();
        let subject = match kind {
            "subject" => id.to_owned(),
            "search" => Search::subject_id(id),
            _ => String::new(),
        };
        let new = version.definition.as_ref().and_then(Matching::of);
        let changes =
            self.watchlist.matching(&subject).is_some_and(|(_, old)| new.is_some_and(|new| new != old));
        self.watchlist.take(offset, version.clone());
        self.copied.insert(version.id.clone(), self.cause.appended);
        match kind {
            "subject" | "search" => self.define_subject(&subject, changes),
            "rule" => self.define_rule(id),
            "brief" => {
                self.define_brief(id);
                Vec::new()
            }
            "source" => {
                self.sources.note(id, self.cause.appended);
                // Nobody asks it any more, so it will never say that it answers again.
                if version.definition.is_none() {
                    self.answers_again(id, self.cause.appended);
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The counts of a subject that is told by other words from now on, or whose buckets begin elsewhere in another
    /// zone, are made anew.
    fn define_subject(&mut self, id: &str, changes: bool) -> Vec<AlertEvent> {
        let Some(subject) = self.watchlist.subject(id).cloned() else { return self.retire(id) };
        let before = match self.subjects.get_mut(id) {
            Some(watched) if watched.subject.zone == subject.zone => {
                watched.subject = subject;
                if changes {
                    self.definition_changed(id);
                }
                return Vec::new();
            }
            before => before.cloned(),
        };
        let is_new = before.is_none();
        let events = self.retire(id);
        self.subjects.insert(id.to_owned(), Watched::new(subject, self.historic, Vec::new()));
        let rules: Vec<(u64, Rule)> =
            self.watchlist.rules().map(|(version, rule)| (version, rule.clone())).collect();
        for (version, rule) in rules.iter().filter(|(_, rule)| rule.watches(id)) {
            self.attach(id, *version, rule);
        }
        if let (Some(before), Some(watched)) = (before, self.subjects.get_mut(id)) {
            watched.succeed(before);
            self.definition_changed(id);
        }
        if is_new {
            self.look_back_for(id);
        }
        events
    }

    fn define_rule(&mut self, id: &str) -> Vec<AlertEvent> {
        let rule = self.watchlist.rules().find(|(_, rule)| rule.id == id);
        let rule = rule.map(|(version, rule)| (version, rule.clone()));
        let subjects: Vec<String> = self.subjects.keys().cloned().collect();
        let mut events = Vec::new();
        for subject in subjects {
            let wanted = rule.as_ref().filter(|(_, rule)| rule.watches(&subject));
            events.extend(self.detach_unless(&subject, id, wanted.map(|(_, rule)| rule)));
            if let Some((version, rule)) = wanted {
                self.attach(&subject, *version, rule);
            }
        }
        events
    }

    fn attach(&mut self, subject: &str, version: u64, rule: &Rule) {
        if let Some(watched) = self.subjects.get_mut(subject)
            && watched.attach(version, rule, self.clock)
        {
            let cause = (self.cause.offset, self.cause.appended);
            watched.rebuild_where_warming(&self.imports, cause);
            self.imports.defined(cause.0, cause.1);
        }
    }

    /// Takes a rule off a subject, where it is not wanted there any more. What is open of one that is to ask for
    /// something else is over.
    fn detach_unless(&mut self, subject: &str, id: &str, wanted: Option<&Rule>) -> Option<AlertEvent> {
        let watched = self.subjects.get(subject)?;
        let rule = watched.rules.iter().position(|watch| watch.rule.id == id)?;
        if wanted.is_some_and(|wanted| wanted.asks_for_the_same(&watched.rules[rule].rule)) {
            return None;
        }
        let clock = self.clock.unwrap_or_default();
        self.subjects.get_mut(subject)?.rules[rule].note_closed_burst(clock);
        let resolved = self.transition(subject, rule, Transition::Resolved);
        if wanted.is_none() {
            self.subjects.get_mut(subject)?.rules.remove(rule);
        }
        resolved
    }

    /// Takes a subject away.
    fn retire(&mut self, id: &str) -> Vec<AlertEvent> {
        let rules = self.subjects.get(id).map_or(0, |watched| watched.rules.len());
        let events = (0..rules).filter_map(|rule| self.transition(id, rule, Transition::Resolved)).collect();
        self.subjects.remove(id);
        events
    }

    /// A transition that the open alert has made. One that opens finds its place in its situation first; one that is
    /// more severe than people know is told again.
    fn transition(&mut self, subject: &str, rule: usize, transition: Transition) -> Option<AlertEvent> {
        match transition {
            Transition::Opened => self.open(subject, rule),
            Transition::Rising => self.rise(subject, rule),
            Transition::Resolved => self.resolve(subject, rule),
            _ => self.record(subject, rule, transition, Called::default(), None),
        }
    }

    fn rise(&mut self, subject: &str, rule: usize) -> Option<AlertEvent> {
        let watch = &mut self.subjects.get_mut(subject)?.rules[rule];
        let more_severe = watch.open.as_mut()?.weigh(&watch.rule);
        let mut called = Called::default();
        if more_severe {
            let told = self.situation(subject, rule)?.told;
            let speaks = !self.historic && !self.cools_down(subject, rule);
            let open = self.subjects.get_mut(subject)?.rules[rule].open.as_mut()?;
            open.speaks = open.speaks || speaks;
            open.spoken_for.retain(|route| told.contains(route));
            called = self.call(subject, rule, Call::MoreSevere);
        }
        self.record(subject, rule, Transition::Rising, called, None)
    }

    /// It is over: those who were told of it hear of that.
    fn resolve(&mut self, subject: &str, rule: usize) -> Option<AlertEvent> {
        let open = self.subjects.get(subject)?.rules[rule].open.as_ref()?;
        let called = Called { routes: open.sent_to.iter().cloned().collect(), ..Called::default() };
        self.record(subject, rule, Transition::Resolved, called, None)
    }

    /// The addresses of its routes that hear of a transition. Of the end the programs do, and the people where it was
    /// severe and is not muted; not where the rule or the subject was changed, for then nobody knows whether it is over.
    fn addresses(
        &self,
        watched: &Watched,
        rule: usize,
        transition: Transition,
    ) -> fn(&Route) -> Vec<Channel> {
        if transition != Transition::Resolved {
            return Route::channels;
        }
        let watch = &watched.rules[rule];
        let severe = watch
            .open
            .as_ref()
            .is_some_and(|open| open.severity >= TOLD_OF_THE_END && open.people.muted_until.is_none());
        let mut in_force = self.watchlist.rules().map(|(_, rule)| rule);
        let stands = self.watchlist.subject(&watched.subject.id) == Some(&watched.subject)
            && in_force.any(|rule| rule.id == watch.rule.id && rule.asks_for_the_same(&watch.rule));
        if severe && stands { Route::programs_and_people } else { Route::programs }
    }

    /// An alert opens: as the one that was over not long ago, where there is one, and in its situation, which
    /// decides whether anybody is told.
    fn open(&mut self, subject: &str, rule: usize) -> Option<AlertEvent> {
        let over = self.goes_on(subject, rule).and_then(|key| self.over.remove(&key));
        let transition = if over.is_some() { Transition::Reopened } else { Transition::Opened };
        let watch = &mut self.subjects.get_mut(subject)?.rules[rule];
        watch.open.as_mut()?.weigh(&watch.rule);
        let situation = self.situation(subject, rule)?;
        let cools_down = transition == Transition::Opened && self.cools_down(subject, rule);
        self.opened += 1;
        let (place, now) = (self.opened, self.cause.appended);
        let muted_until = self.rule_muted_until(&self.subjects.get(subject)?.rules[rule].rule.id, subject);
        let open = self.subjects.get_mut(subject)?.rules[rule].open.as_mut()?;
        open.opened_in_log = now;
        open.place = place;
        open.parent = situation.parent;
        open.spoken_for = situation.told;
        open.speaks = !self.historic && !cools_down;
        if let Some(over) = over {
            open.go_on_as(over.alert);
            while open.people.end(now).is_some() {}
        }
        open.people.muted_until = open.people.muted_until.max(muted_until);
        let called = self.call(subject, rule, Call::First);
        self.record(subject, rule, transition, called, None)
    }

    /// The record of a transition of the open alert. One that is over is no longer open, but not forgotten.
    fn record(
        &mut self,
        subject: &str,
        rule: usize,
        transition: Transition,
        called: Called,
        word: Option<Word>,
    ) -> Option<AlertEvent> {
        let addresses = self.addresses(self.subjects.get(subject)?, rule, transition);
        let unheard = self.unheard();
        let watch = &mut self.subjects.get_mut(subject)?.rules[rule];
        let mut open = watch.open.take()?;
        let decided_by = DecidedBy {
            rule: &watch.rule,
            version: watch.version,
            subject,
            historic: self.historic,
            unheard: &unheard,
            tell: called.routes.iter().filter_map(|route| routes(&self.watchlist, route)).collect(),
            addresses,
            passed_over: called.passed_over,
            unrouted: called.unrouted,
            word,
        };
        let event = open.transition(transition, &decided_by, &mut self.cause);
        if transition != Transition::Resolved {
            watch.open = Some(open);
            return Some(event);
        }
        let (rule, version, since) = (watch.rule.clone(), watch.version, self.cause.appended);
        self.hand_over(&open, &rule);
        self.over.retain(|_, over| over.since.plus_millis(COMMANDS_AFTER_END_MS) > since);
        self.over.insert(open.key, Over { alert: open, rule, version, subject: subject.to_owned(), since });
        Some(event)
    }
}

/// A route by its id, with its fallback.
fn routes<'a>(watchlist: &'a Watchlist, id: &str) -> Option<Routes<'a>> {
    let route = watchlist.route(id)?;
    let fallback = route.fallback.as_ref().and_then(|fallback| watchlist.route(fallback));
    Some(Routes { route, fallback })
}

/// The fold over the past. It is the same fold; only its clock follows event time, and where it listened is told
/// to it.
impl State {
    /// The state before the first mention of the past. `spans` says for each subject when it was observed.
    pub(crate) fn of_the_past(
        watchlist: &Watchlist,
        spans: &BTreeMap<String, Vec<Range<Timestamp>>>,
        cause: Cause,
    ) -> Self {
        let mut state = Self { historic: true, watchlist: watchlist.clone(), cause, ..Self::default() };
        for subject in watchlist.watched() {
            let spans = spans.get(&subject.id).cloned().unwrap_or_default();
            let mut watched = Watched::new(subject.clone(), true, spans);
            for (version, rule) in watchlist.rules().filter(|(_, rule)| rule.watches(&subject.id)) {
                watched.attach(version, rule, None);
            }
            state.subjects.insert(subject.id.clone(), watched);
        }
        state
    }

    /// Takes in a mention of the past. They come in the order of event time. In a back-test some were live: then
    /// little data is judged as it was, for it is no file that begins there, and those of a source that was young do not
    /// count.
    pub(crate) fn past_mention(&mut self, signal: &Signal, is_young: bool) -> Vec<AlertEvent> {
        if signal.origin == Origin::Live {
            for subject in signal.concerned() {
                if let Some(watched) = self.subjects.get_mut(&subject.id) {
                    watched.judge_as_live();
                }
            }
        }
        let mut events = self.pass_to_quarter(signal.event_time);
        events.extend(self.mention(signal, is_young.then_some(signal.event_time)));
        events
    }

    /// Moves the clock of the past on.
    fn pass_to_quarter(&mut self, time: Timestamp) -> Vec<AlertEvent> {
        let clock = quarter_hour(time);
        if self.clock < Some(clock) { self.pass_to(clock) } else { Vec::new() }
    }

    /// The past ends here, and with it the alerts that are still open.
    pub(crate) fn end_of_the_past(&mut self, end: Timestamp) -> Vec<AlertEvent> {
        let mut events = self.pass_to(end);
        let mut open = Vec::new();
        for (id, watched) in &mut self.subjects {
            for (rule, watch) in watched.rules.iter_mut().enumerate() {
                if let Some(alert) = watch.open.as_mut() {
                    alert.until = alert.until.min(end);
                    open.push((id.clone(), rule));
                }
            }
        }
        events.extend(open.iter().filter_map(|(id, rule)| self.transition(id, *rule, Transition::Resolved)));
        events
    }

    /// What was counted, for each rule and subject, for baselines to come.
    pub(crate) fn histories(&self) -> Vec<History> {
        let mut histories = Vec::new();
        for (id, watched) in &self.subjects {
            for (rule, watch) in watched.rules.iter().enumerate() {
                let (run, buckets) = watched.history(rule);
                histories.push(History {
                    v: SchemaVersion::default(),
                    rule: watch.rule.id.clone(),
                    subject: id.clone(),
                    watchlist: self.watchlist.next(),
                    from: run.start,
                    until: run.end,
                    buckets,
                });
            }
        }
        histories
    }
}

/// Every zone's hours begin at a quarter of an hour of UTC, so the clock of the past need not tick finer.
fn quarter_hour(at: Timestamp) -> Timestamp {
    const QUARTER_MS: i64 = 15 * 60 * 1_000;
    Timestamp::from_millis(at.as_millis().div_euclid(QUARTER_MS) * QUARTER_MS)
}
