//! Counts belong to a definition: what makes those of a subject be made anew, what waits meanwhile, and how the new
//! ones are taken.
//!
//! A rebuild counts what happened before the record that asked for it, by judging the retained mentions again
//! (enrich does); what happens from then on is counted live, by the new definition. Where the definition changed the
//! subject is *warming* until the sums are here: rules that compare with a baseline open nothing, and what is open
//! stays as it is. Rules about single mentions never wait.
//!
//! So it is with a rule that counts for itself: where it is new, or is to count something else, it is *warming* until
//! what was heard before is counted for it too. And so with a subject that is new on a running system, as far back as
//! the system listened.
//!
//! A source that comes to a log that is older than two weeks is young for two weeks: its mentions would look like a
//! burst. Then a rebuild takes them into the baselines of its subjects, and from there on they count.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use earshot_common::definitions::{Condition, Window};
use earshot_common::events::{AlertEvent, Rebuild, RebuildRequest, Rebuilt, SchemaVersion, ToneSums};
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::State;
use super::calendar::{DAY_MS, HOUR_MS, bucket_of};
use super::imports::Imports;
use super::past::PastBucket;
use super::series::LOOK_BACK_MS;
use super::watch::{Watch, Watched};
use crate::history::{joined, whole_hours};

/// A source is young for so long, where the log was that old before it came.
const YOUNG_MS: i64 = 14 * DAY_MS;
/// So many sources are told apart. The rest count at once.
const MOST_SOURCES: usize = 10_000;
/// Versions of what is judged with that are remembered, so that two instances of enrich, one of them upgraded, are one
/// change.
const MOST_JUDGES: usize = 100;

/// What waits for a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Waits {
    /// Nothing: the counts are right, and others will be too.
    Nothing,
    /// What depends on how mentions are judged, beside whom they concern.
    Judgements,
    /// All that compares with a baseline.
    Baselines,
}

/// A rebuild that was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rebuilding {
    /// The record that asked for it last.
    asked: u64,
    /// Its append time.
    until: Timestamp,
    waits: Waits,
    /// Young sources that count from the rebuild on.
    entering: BTreeMap<String, Timestamp>,
    /// Whether the subject is new: what was heard before its definition names it too.
    looks_back: bool,
}

/// The rebuild that was taken last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenRebuild {
    /// `rebuild:SUBJECT@VERSION`.
    pub name: String,
    /// The record of `signals` that asked for it.
    pub asked: u64,
    /// What happened before this was counted anew.
    pub until: Timestamp,
    /// Mentions that were counted.
    pub mentions: u64,
}

/// A rebuild, to a back-test.
#[derive(Clone, Debug)]
pub(crate) struct PastRebuild {
    /// The subject's id.
    pub(crate) subject: String,
    /// The record of `signals` that asked for it.
    pub(crate) asked: u64,
    /// What happened before this was counted anew.
    pub(crate) until: Timestamp,
    /// Whether the subject's words had changed.
    pub(crate) changes: bool,
    /// Young sources that count from then on.
    pub(crate) entering: BTreeMap<String, Timestamp>,
    /// The sums; none where they are not in the log yet.
    pub(crate) sums: Vec<Rebuilt>,
}

/// Since when the log knows each source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sources {
    began: Option<Timestamp>,
    first: BTreeMap<String, Timestamp>,
}

impl Sources {
    /// The log has a record of this time.
    pub(crate) fn begin(&mut self, appended: Timestamp) {
        self.began.get_or_insert(appended);
    }

    /// The log knows the source from here on, at the latest. Answers since when, where the source is young: at a fresh
    /// start all are new, and none is young.
    pub(crate) fn note(&mut self, source: &str, now: Timestamp) -> Option<Timestamp> {
        let first = match self.first.get(source) {
            Some(first) => *first,
            None if self.first.len() < MOST_SOURCES => {
                self.first.insert(source.to_owned(), now);
                now
            }
            None => return None,
        };
        self.is_young(first, now).then_some(first)
    }

    fn is_young(&self, first: Timestamp, now: Timestamp) -> bool {
        let is_late = self.began.is_some_and(|began| first >= began.plus_millis(YOUNG_MS));
        is_late && now < first.plus_millis(YOUNG_MS)
    }

    /// The sources that are young, and since when the log knows them.
    fn young(&self, now: Timestamp) -> BTreeMap<String, Timestamp> {
        let young = self.first.iter().filter(|(_, first)| self.is_young(**first, now));
        young.map(|(source, first)| (source.clone(), *first)).collect()
    }
}

impl State {
    /// The rebuilds that are outstanding.
    pub fn rebuilds(&self) -> impl Iterator<Item = RebuildRequest> {
        self.subjects.iter().filter_map(|(id, watched)| {
            let rebuilding = watched.rebuilding.as_ref()?;
            let (version, _) = self.watchlist.matching(id)?;
            let warming = watched.rules.iter().filter(|watch| watch.warming);
            let version = warming.map(|watch| watch.version).fold(version, u64::max);
            let entering = rebuilding.entering.clone();
            let stays_young = |source: &&String| !entering.contains_key(*source);
            Some(RebuildRequest {
                v: SchemaVersion::default(),
                subject: id.clone(),
                version,
                asked: rebuilding.asked,
                until: rebuilding.until,
                without: watched.young.keys().filter(stays_young).cloned().collect(),
                entering,
                done: false,
            })
        })
    }

    /// The subjects of which some rules wait for a rebuild.
    pub fn warming(&self) -> impl Iterator<Item = &str> {
        let is_warming = |watched: &Watched| {
            watched.waiting() > Some(Waits::Nothing) || watched.rules.iter().any(|watch| watch.warming)
        };
        self.subjects.iter().filter(move |(_, watched)| is_warming(watched)).map(|(id, _)| id.as_str())
    }

    /// Whether a subject's mentions are of two definitions.
    pub(super) fn is_warming(&self, id: &str) -> bool {
        self.subjects.get(id).and_then(Watched::waiting) == Some(Waits::Baselines)
    }

    /// The rebuild of each subject that was taken last.
    pub fn rebuilt(&self) -> impl Iterator<Item = &TakenRebuild> {
        self.subjects.values().filter_map(|watched| watched.rebuilt.as_deref())
    }

    /// Another definition of a subject is in force: its counts and those of its company or executives, which
    /// corroborate each other's names, belong to the one before.
    pub(super) fn definition_changed(&mut self, id: &str) {
        let company = self.subjects.get(id).and_then(|watched| watched.subject.company.clone());
        for (other, watched) in &mut self.subjects {
            let is_related =
                Some(other) == company.as_ref() || watched.subject.company.as_deref() == Some(id);
            if other == id || is_related {
                watched.begin_rebuild((self.cause.offset, self.cause.appended), Waits::Baselines);
            }
        }
    }

    /// A subject is new on a running system: the retained mentions say how often it was named before.
    pub(super) fn look_back_for(&mut self, id: &str) {
        let (Some(began), Some(clock)) = (self.began, self.clock) else { return };
        let (now, heard) = (self.cause.appended, began.plus_millis(HOUR_MS) <= clock);
        let Some(watched) = self.subjects.get_mut(id) else { return };
        if heard || !self.imports.complete_ones().is_empty() {
            watched.young = self.sources.young(now);
            watched.begin_rebuild((self.cause.offset, now), Waits::Baselines);
            if let Some(rebuilding) = &mut watched.rebuilding {
                rebuilding.looks_back = true;
            }
        }
    }

    /// Enrichment says what it judges with. The first version is that of all counts so far.
    pub(super) fn judged_with(&mut self, version: &str) {
        if self.judges.contains(version) {
            return;
        }
        if !self.judges.is_empty() {
            for watched in self.subjects.values_mut() {
                if watched.rules.iter().any(|watch| watch.rule.asks_for_judgement()) {
                    watched.begin_rebuild((self.cause.offset, self.cause.appended), Waits::Judgements);
                }
            }
        }
        if self.judges.len() < MOST_JUDGES {
            self.judges.insert(version.to_owned());
        }
    }

    /// Somebody asks for it: the counts stay in use until then.
    pub(super) fn rebuild(&mut self, rebuild: &Rebuild) {
        if let Some(watched) = self.subjects.get_mut(&rebuild.subject) {
            watched.begin_rebuild((self.cause.offset, self.cause.appended), Waits::Nothing);
        }
    }

    /// Takes a series that was counted anew.
    pub(super) fn take_rebuilt(&mut self, rebuilt: &Rebuilt) {
        let Some(watched) = self.subjects.get_mut(&rebuilt.subject) else { return };
        if let (Some(began), Some(clock)) = (self.began, self.clock)
            && watched.looks_back(rebuilt)
        {
            let oldest = rebuilt.until.plus_millis(-LOOK_BACK_MS).max(began);
            watched.listened_since(oldest.max(rebuilt.from.unwrap_or(oldest)), clock);
        }
        watched.take_rebuilt(rebuilt, self.imports.complete_ones());
    }

    /// In a back-test: counts are made anew at the time at which they were, or wait for it. What a rule counted for itself
    /// is of another version of it where `is_of_rule` does not hold: then it is unknown.
    pub(crate) fn past_rebuild(&mut self, rebuild: &PastRebuild, is_of_rule: bool) -> Vec<AlertEvent> {
        let events = self.pass_to_quarter(rebuild.until);
        let Some(watched) = self.subjects.get_mut(&rebuild.subject) else { return events };
        let waits = if rebuild.changes { Waits::Baselines } else { Waits::Nothing };
        watched.begin_rebuild((rebuild.asked, rebuild.until), waits);
        if let Some(rebuilding) = &mut watched.rebuilding {
            rebuilding.entering.clone_from(&rebuild.entering);
        }
        let Some(first) = rebuild.sums.first() else { return events };
        for (rule, window) in watched.counting_for_themselves() {
            if !is_of_rule || !rebuild.sums.iter().any(|sums| sums.rule.as_ref() == Some(&rule)) {
                let unknown = Rebuilt {
                    rule: Some(rule),
                    window,
                    from: Some(rebuild.until),
                    buckets: Vec::new(),
                    values: Vec::new(),
                    authors: Vec::new(),
                    last: false,
                    ..first.clone()
                };
                watched.take_rebuilt(&unknown, &BTreeSet::new());
            }
        }
        for sums in &rebuild.sums {
            if sums.rule.is_none() || is_of_rule {
                watched.take_rebuilt(sums, &BTreeSet::new());
            } else if sums.last {
                watched.end_rebuild(sums);
            }
        }
        events
    }

    /// Sources that have two weeks behind them begin to count, by a rebuild.
    pub(super) fn let_sources_in(&mut self) {
        let now = self.cause.appended;
        for watched in self.subjects.values_mut().filter(|watched| !watched.young.is_empty()) {
            if watched.rebuilding.as_ref().is_some_and(|rebuilding| !rebuilding.entering.is_empty()) {
                continue;
            }
            let is_old = |(_, first): &(&String, &Timestamp)| first.plus_millis(YOUNG_MS) <= now;
            let old: BTreeMap<String, Timestamp> =
                watched.young.iter().filter(is_old).map(|(source, first)| (source.clone(), *first)).collect();
            if !old.is_empty() {
                watched.begin_rebuild((self.cause.offset, now), Waits::Nothing);
                if let Some(rebuilding) = &mut watched.rebuilding {
                    rebuilding.entering = old;
                }
            }
        }
    }
}

impl Watched {
    /// What happened before the record that asks is to be counted anew; what is counted from here on is kept apart
    /// within the buckets that the record falls into.
    pub(super) fn begin_rebuild(&mut self, (asked, until): (u64, Timestamp), waits: Waits) {
        let before = self.rebuilding.take().map(|before| *before);
        let (waits, entering, looks_back) = match before {
            Some(before) => (waits.max(before.waits), before.entering, before.looks_back),
            None => (waits, BTreeMap::new(), false),
        };
        self.rebuilding = Some(Box::new(Rebuilding { asked, until, waits, entering, looks_back }));
        self.hours.changes_at(until);
        self.days.changes_at(until);
        for rule in 0..self.rules.len() {
            if let Some(own) = &mut self.rules[rule].own {
                own.changes_at(until);
            }
            if let Some(window) = self.rules[rule].rule.condition.summed_window() {
                let window = self.series(rule, window).bucket(until).start;
                self.rules[rule].tones.changes_at(until, window);
            }
        }
    }

    /// The rules that count for themselves, or by tone or reach.
    fn counting_for_themselves(&self) -> Vec<(String, Window)> {
        let mut rules = Vec::new();
        for watch in &self.rules {
            let own = watch.rule.own_series().map(|(_, window)| window);
            let summed = watch.rule.condition.summed_window();
            rules.extend(own.or(summed).map(|window| (watch.rule.id.clone(), window)));
        }
        rules
    }

    fn waiting(&self) -> Option<Waits> {
        self.rebuilding.as_ref().map(|rebuilding| rebuilding.waits)
    }

    /// Whether a rule opens nothing until the counts are made anew.
    pub(super) fn waits(&self, rule: usize) -> bool {
        let Some(rebuilding) = &self.rebuilding else { return false };
        let Watch { rule, warming, .. } = &self.rules[rule];
        match rebuilding.waits {
            _ if *warming => true,
            Waits::Nothing => false,
            Waits::Judgements => rule.asks_for_judgement(),
            Waits::Baselines => !matches!(rule.condition, Condition::Each(_) | Condition::SourceAbsence(_)),
        }
    }

    /// Whether counts of this subject were ever made anew, or are being: those that `signals` adds up to are not its.
    pub(super) fn is_rebuilt(&self) -> bool {
        self.rebuilding.is_some() || self.rebuilt.is_some()
    }

    /// Asks for the counts of rules that have none yet. So it is where imports were judged before the rule's filter was
    /// known: what `signals` says of them is not the rule's past, and raises no alerts of it.
    pub(super) fn rebuild_where_warming(&mut self, imports: &Imports, cause: (u64, Timestamp)) {
        for watch in self.rules.iter_mut().filter(|watch| !watch.covered && watch.filter.is_some()) {
            if imports.were_judged_before(watch.filtered_since) {
                watch.covered = true;
                watch.warming |= matches!(watch.rule.condition, Condition::Count(_));
            }
        }
        if self.rules.iter().any(|watch| watch.warming) {
            self.begin_rebuild(cause, Waits::Nothing);
        }
    }

    /// What this is the answer to, if it is to what was asked last.
    fn asked_for(&self, rebuilt: &Rebuilt) -> Option<&Rebuilding> {
        self.rebuilding.as_deref().filter(|rebuilding| rebuilding.asked == rebuilt.asked)
    }

    /// Whether the answer says how often the subject was named before it was defined.
    fn looks_back(&self, rebuilt: &Rebuilt) -> bool {
        self.asked_for(rebuilt).is_some_and(|rebuilding| rebuilding.looks_back)
    }

    fn take_rebuilt(&mut self, rebuilt: &Rebuilt, complete_imports: &BTreeSet<String>) {
        let Some(Rebuilding { looks_back, .. }) = self.asked_for(rebuilt).cloned() else { return };
        let zone = self.subject.time_zone();
        match (&rebuilt.rule, rebuilt.window) {
            (None, Window::Hour) => self.hours.recount(rebuilt),
            (None, Window::Day) => self.days.recount(rebuilt),
            (Some(_), _) => {}
        }
        for watch in &mut self.rules {
            match &rebuilt.rule {
                None if watch.own.is_none() => watch.take_past(rebuilt, &zone, complete_imports),
                Some(rule) if *rule == watch.rule.id => {
                    if let Some(own) = &mut watch.own {
                        if watch.warming || looks_back {
                            own.observe_as(match rebuilt.window {
                                Window::Hour => &self.hours,
                                Window::Day => &self.days,
                            });
                        }
                        own.recount(rebuilt);
                        watch.take_past(rebuilt, &zone, complete_imports);
                    }
                    watch.tones.recount(rebuilt);
                    watch.novelties.recall(rebuilt);
                }
                _ => {}
            }
        }
        if rebuilt.last {
            self.end_rebuild(rebuilt);
        }
    }

    fn end_rebuild(&mut self, rebuilt: &Rebuilt) {
        let Some(ended) = self.rebuilding.take() else { return };
        self.young.retain(|source, _| !ended.entering.contains_key(source));
        self.hours.is_changed();
        self.days.is_changed();
        let observed_from = self.observed_from();
        for watch in &mut self.rules {
            watch.is_recounted(&ended, observed_from);
        }
        self.rebuilt = Some(Box::new(TakenRebuild {
            name: rebuilt.name.clone(),
            asked: rebuilt.asked,
            until: rebuilt.until,
            mentions: rebuilt.mentions,
        }));
    }
}

impl Watch {
    /// The buckets that imports brought, counted anew. Which of them belonged to a burst is known already.
    fn take_past(&mut self, rebuilt: &Rebuilt, zone: &TimeZone, complete_imports: &BTreeSet<String>) {
        let Condition::Count(condition) = &self.rule.condition else { return };
        if condition.window != rebuilt.window {
            return;
        }
        let counts: BTreeMap<Timestamp, u32> =
            rebuilt.buckets.iter().map(|bucket| (bucket.start, bucket.past)).collect();
        let bursts: BTreeSet<Timestamp> =
            self.past.iter().filter(|past| past.burst).map(|past| past.start).collect();
        self.past.clear();
        for span in observed_by(rebuilt, complete_imports) {
            let mut bucket = bucket_of(condition.window, zone, span.start);
            if bucket.start < span.start {
                bucket = bucket_of(condition.window, zone, bucket.end);
            }
            while bucket.end <= span.end {
                if bucket.is_regular(condition.window) {
                    self.past.push(PastBucket {
                        start: bucket.start,
                        slot: bucket.slot,
                        count: counts.get(&bucket.start).copied().unwrap_or_default(),
                        burst: bursts.contains(&bucket.start),
                    });
                }
                bucket = bucket_of(condition.window, zone, bucket.end);
            }
        }
        self.generation += 1;
    }

    fn is_recounted(&mut self, ended: &Rebuilding, observed_from: Option<Timestamp>) {
        if let Some(own) = &mut self.own {
            own.is_changed();
        }
        self.tones.is_changed();
        let begins = std::mem::take(&mut self.warming) || ended.looks_back;
        if ended.waits == Waits::Baselines || begins {
            // What was silent under the definition before may not be under this one.
            self.silence.hear(ended.until);
        }
        if begins {
            self.from = observed_from.or(self.from);
            self.tones.look_from(ended.until);
        }
        self.generation += 1;
    }
}

/// When imports observed the subject, as far back as baselines look.
fn observed_by(rebuilt: &Rebuilt, complete_imports: &BTreeSet<String>) -> Vec<Range<Timestamp>> {
    let oldest = rebuilt.until.plus_millis(-LOOK_BACK_MS).max(rebuilt.from.unwrap_or_default());
    let complete = rebuilt.imports.iter().filter(|(import, _)| complete_imports.contains(*import));
    let spans = complete.map(|(_, (first, last))| whole_hours(&(*first..*last)));
    let spans = spans.map(|span| span.start.max(oldest)..span.end).filter(|span| !span.is_empty());
    joined(spans.collect())
}

/// The tones of a rule's windows by start.
pub(super) fn tones_of(rebuilt: &Rebuilt) -> BTreeMap<Timestamp, ToneSums> {
    rebuilt.buckets.iter().filter_map(|bucket| Some((bucket.start, bucket.tone?))).collect()
}
