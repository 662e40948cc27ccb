//! One subject under watch: its counts, and its rules with what each of them has open.
//!
//! What belongs here: everything that one subject decides by itself. What it takes two subjects or the whole
//! watchlist to decide (parents, routes) is [`super::State`]'s.

use std::collections::BTreeMap;
use std::ops::Range;

use earshot_common::definitions::{
    Condition, CountCondition, EachCondition, NoveltyCondition, Rule, Subject, Window,
};
use earshot_common::events::{
    Arithmetic, History, HistoryBucket, Measure, Signal, SubjectSignal, Transition,
};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::alert::{Course, OpenAlert, Opening, Told, count_arithmetic, each_arithmetic};
use super::baseline::{Rhythm, baseline};
use super::brought::Brought;
use super::buckets::Counted;
use super::calendar::{Bucket, DAY_MS, HOUR_MS, bucket_of};
use super::closing::{Run, Silence, Tones};
use super::evidence::Witness;
use super::gathering::Gathering;
use super::memory::{Memory, Novelty};
use super::novel::Novelties;
use super::past::{PastBucket, PastCounts};
use super::rebuild::{Rebuilding, TakenRebuild, Waits};
use super::series::{LOOK_BACK_MS, Series};
use super::threshold::Threshold;

/// A mention that matched a rule does not match it again after an edit within this time.
const MATCHED_FOR_MS: i64 = 30 * DAY_MS;
/// A live alert about a count ends after this: what lasts longer is not a burst.
pub(crate) const LONGEST_MS: i64 = 7 * DAY_MS;

/// A subject, its counts and its rules.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Watched {
    pub(crate) subject: Subject,
    pub(crate) rules: Vec<Watch>,
    pub(super) historic: bool,
    /// The sources that brought mentions of it.
    pub(super) sources: Brought,
    /// What its newest mention was judged with.
    pub(super) lexicon: String,
    /// Sources that do not count yet, and since when the log knows them.
    pub(super) young: BTreeMap<String, Timestamp>,
    /// The rebuild of its counts that is outstanding.
    pub(super) rebuilding: Option<Box<Rebuilding>>,
    pub(super) rebuilt: Option<Box<TakenRebuild>>,
    /// When we listened. Live it is one span without an end.
    spans: Vec<Range<Timestamp>>,
    pub(super) hours: Series,
    pub(super) days: Series,
    memory: Memory,
}

/// A rule on this subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) rule: Rule,
    /// Offset of the rule's version in `watchlist`.
    pub(crate) version: u64,
    pub(crate) open: Option<OpenAlert>,
    /// When people were last told of an alert of it.
    pub(crate) told: Option<Told>,
    /// Whether its history is in the log, or there is none to come.
    pub(crate) covered: bool,
    /// What a signal names its filter by.
    pub(super) filter: Option<String>,
    /// The version of the rule that brought the filter: signals before it do not say what that matched.
    pub(super) filtered_since: u64,
    /// When it began to count for itself.
    pub(super) from: Option<Timestamp>,
    /// Whether what it counts for itself, or remembers, is to be made anew before it opens anything.
    pub(super) warming: bool,
    /// What it counts for itself, where that is not all mentions.
    pub(super) own: Option<Series>,
    /// What it remembers beside counts; empty where its rule asks for none of it.
    pub(super) tones: Tones,
    /// The windows up to the newest that has closed that are as the rule asks for, while no alert is open.
    pub(super) run: Option<Run>,
    /// Windows up to here were judged, of a rule about ranks.
    pub(super) looked: Option<Timestamp>,
    pub(super) silence: Silence,
    /// The sources that brought what it counts for itself, of a rule about silence.
    brought: Brought,
    pub(super) novelties: Novelties,
    pub(super) past: Vec<PastBucket>,
    bursts: Vec<Range<Timestamp>>,
    matched: Memory,
    /// Matches that are too few so far to open an alert.
    pub(super) gathering: Gathering,
    /// Counts what changes a threshold beside the closing of buckets.
    pub(super) generation: u64,
    /// Those that were asked for last, as many as the rule asks for windows.
    thresholds: Vec<(ThresholdKey, Threshold)>,
}

/// What a threshold was computed for and from.
type ThresholdKey = (Timestamp, Option<Timestamp>, u64, u32);

impl Watched {
    /// A subject of which nothing was heard yet.
    pub(crate) fn new(subject: Subject, historic: bool, spans: Vec<Range<Timestamp>>) -> Self {
        let zone = subject.time_zone();
        Self {
            subject,
            rules: Vec::new(),
            historic,
            sources: Brought::default(),
            lexicon: String::new(),
            young: BTreeMap::new(),
            rebuilding: None,
            rebuilt: None,
            spans,
            hours: Series::new(Measure::Mentions, Window::Hour, zone.clone()),
            days: Series::new(Measure::Mentions, Window::Day, zone),
            memory: Memory::of_counted(),
        }
    }

    /// Mentions in a window, by the hours that begin in it: each subject's days are those of its own zone.
    pub(super) fn mentions_in(&self, bucket: &Bucket) -> u32 {
        self.hours.count_in(bucket.start..bucket.end)
    }

    /// Whether it was listened to all through a window, by the hours that are over with it.
    pub(super) fn is_observed_in(&self, bucket: &Bucket) -> bool {
        self.hours.is_observed_through(bucket.start..bucket.end)
    }

    /// Mentions that were to be expected in a time, by the observed hours before it; none where these are too few.
    pub(crate) fn expected_in(&self, period: &Range<Timestamp>) -> Option<f64> {
        let first = self.hours.bucket(period.start);
        let oldest = first.start.plus_millis(-LOOK_BACK_MS);
        // A rule that counts all mentions by the hour knows of imports and of bursts beside.
        let rule = self.rules.iter().find(|watch| {
            matches!(&watch.rule.condition, Condition::Count(count) if count.window == Window::Hour)
                && watch.own.is_none()
        });
        let past = match rule {
            Some(watch) => watch.past_buckets(&self.hours, &first),
            None => {
                let before = self.hours.observed(oldest..first.start);
                let before = before.filter(|counted| counted.bucket.is_regular(Window::Hour));
                before.map(PastBucket::of_no_burst).collect()
            }
        };
        let rhythm = Rhythm::from(Window::Hour);
        let past = PastCounts::of(rhythm, &past);
        let (mut expected, mut bucket) = (0.0, first);
        while bucket.start < period.end {
            if bucket.start >= period.start {
                let usual = baseline(rhythm, bucket.slot, &past.single)?.expectation.mean;
                expected += usual * bucket.stretch(Window::Hour);
            }
            bucket = self.hours.bucket(bucket.end);
        }
        Some(expected)
    }

    /// Its rules that have an alert open.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Watch> {
        self.rules.iter().filter(|watch| watch.open.is_some())
    }

    /// Mentions that were counted.
    pub(crate) fn counted(&self) -> u64 {
        self.hours.counted()
    }

    /// Puts a rule on it, or a newer version of one. What no version before counted begins at `clock`, and is to be
    /// counted anew from before that where the subject was listened to. Answers whether it asks for something that no
    /// rule of this name asked for here.
    pub(crate) fn attach(&mut self, version: u64, rule: &Rule, clock: Option<Timestamp>) -> bool {
        let mut new = Watch::new(version, rule.clone(), &self.zone(), clock);
        new.warming =
            rule.keeps_for_itself() && (self.rebuilding.is_some() || self.observed_from().is_some());
        let place = self.rules.partition_point(|watch| watch.rule.id < rule.id);
        match self.rules.get_mut(place) {
            Some(watch) if watch.rule.id == rule.id => watch.change_to(new),
            _ => {
                self.rules.insert(place, new);
                true
            }
        }
    }

    /// When the first hour began that was wholly listened to, as far back as baselines look.
    pub(super) fn observed_from(&self) -> Option<Timestamp> {
        let always = Timestamp::from_millis(i64::MIN)..Timestamp::from_millis(i64::MAX);
        self.hours.observed(always).next().map(|counted| counted.bucket.start)
    }

    /// Takes a mention in and says whether it is new here.
    pub(crate) fn take(&mut self, signal: &Signal, subject: &SubjectSignal, now: Timestamp) -> Novelty {
        let novelty = self.memory.take(signal.mention, signal.revision, now);
        if novelty == Novelty::New {
            self.sources.note(&signal.source, now);
            if self.lexicon != signal.lexicon {
                self.lexicon.clone_from(&signal.lexicon);
            }
            if self.young.contains_key(&signal.source) {
                return novelty;
            }
            let witness = Witness::of(signal, subject);
            self.hours.count(signal, subject, witness, now);
            self.days.count(signal, subject, witness, now);
            for rule in 0..self.rules.len() {
                self.count_for(rule, signal, subject, witness, now);
            }
        }
        novelty
    }

    /// Counts a new mention for a rule that counts for itself.
    fn count_for(
        &mut self,
        rule: usize,
        signal: &Signal,
        subject: &SubjectSignal,
        witness: Witness,
        now: Timestamp,
    ) {
        if !self.rules[rule].passes(signal) {
            return;
        }
        if let Some(own) = self.rules[rule].own.as_mut() {
            own.count(signal, subject, witness, now);
            if let Condition::Absence(_) = self.rules[rule].rule.condition {
                self.rules[rule].brought.note(&signal.source, now);
            }
        }
        if let Some(window) = self.rules[rule].rule.condition.summed_window() {
            let window = self.series(rule, window).bucket(signal.event_time).start;
            let (polarity, reach) = (subject.polarity, signal.accounts());
            self.rules[rule].tones.add(window, signal.event_time, polarity, reach);
        }
    }

    /// What a mention that was taken in means to a rule. What it says is done in the rule's open alert already.
    pub(crate) fn judge(
        &mut self,
        rule: usize,
        novelty: Novelty,
        signal: &Signal,
        subject: &SubjectSignal,
        now: Timestamp,
    ) -> Option<Transition> {
        if novelty == Novelty::Known || !self.rules[rule].passes(signal) {
            return None;
        }
        // Most mentions end here: nothing is copied for them.
        if let Condition::Each(condition) = &self.rules[rule].rule.condition
            && !satisfies(condition, signal, subject)
        {
            return None;
        }
        let new = novelty == Novelty::New;
        match self.rules[rule].rule.condition.clone() {
            Condition::Each(condition) => self.judge_each(rule, &condition, signal, subject, now),
            Condition::Count(_) | Condition::Reach(_)
                if self.waits(rule) || self.young.contains_key(&signal.source) =>
            {
                None
            }
            Condition::Reach(condition) if new => self.judge_reach(rule, &condition, signal, subject, now),
            Condition::Count(condition) if new => self.judge_count(rule, &condition, signal, subject, now),
            Condition::Novelty(condition) if new => {
                self.judge_novelty(rule, &condition, signal, subject, now)
            }
            Condition::Absence(_) if new => self.rules[rule].end_silence(signal),
            // A tone is judged when its window has closed, a source by what it says of itself.
            _ => None,
        }
    }

    fn judge_count(
        &mut self,
        rule: usize,
        condition: &CountCondition,
        signal: &Signal,
        subject: &SubjectSignal,
        now: Timestamp,
    ) -> Option<Transition> {
        if condition.measure == Measure::Negatives && !Witness::of(signal, subject).is_negative() {
            return None;
        }
        let series = self.series(rule, condition.window);
        let bucket = series.bucket(signal.event_time);
        let (observed, authors) = (series.count_at(bucket.start), series.authors_at(bucket.start));
        let mentions = series.mentions_at(bucket.start);
        // A late mention must not open again what was opened and closed.
        let may_fire = series.may_fire(&bucket, now)
            && !self.rules[rule].in_burst(bucket.start)
            && observed >= condition.mentions_at_least;
        match self.rules[rule].open.as_mut() {
            None if !may_fire => return None,
            None => {}
            Some(open) => {
                let Course::Count { current, .. } = &open.course else { return None };
                if bucket.start < current.start {
                    return None;
                }
                open.evidence.add(Witness::of(signal, subject), &signal.source);
                if !open.is_rise(observed) {
                    return None;
                }
            }
        }

        // A threshold costs more than all else here, and few buckets have the authors.
        if authors < condition.authors_at_least
            || !self.threshold(rule, condition, &bucket).is_reached_by(observed)
        {
            return None;
        }
        if self.rules[rule].open.is_none() && !self.is_persistent(rule, condition, &bucket) {
            return None;
        }
        let threshold = self.threshold(rule, condition, &bucket);
        let arithmetic = count_arithmetic(condition, &bucket, observed, authors, mentions, threshold);
        let asked = arithmetic.threshold.max(condition.mentions_at_least).max(condition.authors_at_least);
        if let Some(open) = self.rules[rule].open.as_mut() {
            open.announce(bucket, observed, arithmetic, asked.into());
            return Some(Transition::Rising);
        }
        if !self.is_scheduled(rule, signal.event_time) {
            return None;
        }
        let opening = Opening {
            key: self.key(rule, &bucket.start.to_string()),
            at: signal.event_time,
            until: bucket.end,
            lexicon: signal.lexicon.clone(),
            asked: asked.into(),
            arithmetic: Arithmetic::Count(arithmetic),
            evidence: self.series(rule, condition.window).evidence_at(bucket.start),
        };
        let watch = &mut self.rules[rule];
        watch.open = Some(OpenAlert::new(opening, Course::of_count(bucket, observed)));
        watch.generation += 1;
        Some(Transition::Opened)
    }

    /// Whether the windows before this one had all that the rule asks for too, as many as it asks for.
    fn is_persistent(&mut self, rule: usize, condition: &CountCondition, bucket: &Bucket) -> bool {
        let mut start = bucket.start;
        for _ in 1..condition.windows {
            let series = self.series(rule, condition.window);
            let before = series.bucket(start.plus_millis(-1));
            let (observed, authors) = (series.count_at(before.start), series.authors_at(before.start));
            let are_enough = observed >= condition.mentions_at_least && authors >= condition.authors_at_least;
            if !are_enough || !self.threshold(rule, condition, &before).is_reached_by(observed) {
                return false;
            }
            start = before.start;
        }
        true
    }

    /// One mention that [`satisfies`] the rule is enough, or as many as the rule asks for. More while the alert is open join it; it rises
    /// when their number doubles, so that a storm of them is a handful of transitions.
    fn judge_each(
        &mut self,
        rule: usize,
        condition: &EachCondition,
        signal: &Signal,
        subject: &SubjectSignal,
        now: Timestamp,
    ) -> Option<Transition> {
        let opens = self.rules[rule].open.is_none();
        if opens && !self.is_scheduled(rule, signal.event_time) {
            return None;
        }
        if self.rules[rule].matched.take(signal.mention, 0, now) != Novelty::New {
            return None;
        }
        let witness = Witness::of(signal, subject);
        let arithmetic = |matched, gathered| {
            Arithmetic::Each(each_arithmetic(condition, signal, subject, matched, gathered))
        };
        if let Some(open) = self.rules[rule].open.as_mut() {
            open.evidence.add(witness, &signal.source);
            let arithmetic = arithmetic(open.matched() + 1, open.gathered());
            return open.join(signal, arithmetic, now).then_some(Transition::Rising);
        }
        let enough = self.rules[rule].gathering.take(condition, signal, witness)?;
        let matched = enough.numbers.mentions;
        let strongest = enough.evidence.mentions().first().copied().unwrap_or(signal.mention);
        let opening = Opening {
            key: self.key(rule, &strongest.to_string()),
            at: signal.event_time,
            until: enough.last,
            lexicon: signal.lexicon.clone(),
            arithmetic: arithmetic(matched, condition.gathers().then_some(enough.numbers)),
            evidence: enough.evidence,
            asked: condition.mentions_at_least.max(condition.authors_at_least).into(),
        };
        let course = Course::Each { announced: matched, last_match: now };
        self.rules[rule].open = Some(OpenAlert::new(opening, course));
        Some(Transition::Opened)
    }

    /// What a rule counts: for itself, or all mentions.
    pub(super) fn series(&self, rule: usize, window: Window) -> &Series {
        match (&self.rules[rule].own, window) {
            (Some(own), _) => own,
            (None, Window::Hour) => &self.hours,
            (None, Window::Day) => &self.days,
        }
    }

    /// The sources that bring what a rule about silence counts.
    pub(super) fn brought(&self, rule: usize) -> &Brought {
        let watch = &self.rules[rule];
        if watch.own.is_some() { &watch.brought } else { &self.sources }
    }

    /// Since when a rule hears all of what it counts.
    pub(super) fn listened_from(&self, rule: usize) -> Option<Timestamp> {
        let start = self.spans.first()?.start;
        Some(self.rules[rule].from.map_or(start, |from| from.max(start)))
    }

    /// Whether the rule raises alerts at this time.
    pub(super) fn is_scheduled(&self, rule: usize, at: Timestamp) -> bool {
        let rule = &self.rules[rule].rule;
        rule.schedule.as_ref().is_none_or(|hours| hours.end(at, &rule.telling.zone(&self.zone())).is_some())
    }

    /// Whether the rule raises alerts at some time of a window that is judged when it has closed.
    pub(super) fn is_scheduled_within(&self, rule: usize, bucket: &Bucket) -> bool {
        let Rule { schedule: Some(hours), telling, .. } = &self.rules[rule].rule else { return true };
        let begins = || hours.next_start(bucket.start, &telling.zone(&self.zone()));
        self.is_scheduled(rule, bucket.start) || begins().is_some_and(|begin| begin < bucket.end)
    }

    /// The key of an alert of this rule.
    pub(super) fn key(&self, rule: usize, situation: &str) -> AlertKey {
        let rule = &self.rules[rule].rule;
        alert_key(self.historic, &rule.id, &rule.to_string(), &self.subject.id, situation)
    }

    /// From which count on the bucket is surprising. Computed once for a bucket, and again when a bucket closes
    /// or what is known of the past changes.
    fn threshold(&mut self, rule: usize, condition: &CountCondition, bucket: &Bucket) -> &Threshold {
        let series = self.series(rule, condition.window);
        // What comes late to the window before is part of what is judged.
        let before = series.count_at(series.bucket(bucket.start.plus_millis(-1)).start);
        let key = (bucket.start, series.closed_until(), self.rules[rule].generation, before);
        let known = self.rules[rule].thresholds.iter().position(|(known, _)| *known == key);
        let newest = match known {
            Some(place) => self.rules[rule].thresholds.remove(place),
            None => {
                let past = self.rules[rule].past_buckets(self.series(rule, condition.window), bucket);
                let rhythm = Rhythm::from(condition.window);
                let past = PastCounts::of(rhythm, &past);
                (key, Threshold::of(condition, rhythm, bucket, &past, self.historic))
            }
        };
        let thresholds = &mut self.rules[rule].thresholds;
        thresholds.truncate(condition.windows as usize - 1);
        thresholds.insert(0, newest);
        &thresholds[0].1
    }

    /// Begins where another left off: what that one has counted is counted anew from here on.
    pub(super) fn succeed(&mut self, other: Self) {
        self.spans = other.spans;
        self.sources = other.sources;
        self.young = other.young;
        self.memory = other.memory;
        for watch in &mut self.rules {
            let before = other.rules.iter().find(|before| before.rule.id == watch.rule.id);
            watch.from = before.map_or(watch.from, |before| before.from);
        }
    }

    /// When it was listened to.
    pub(crate) fn spans(&self) -> &[Range<Timestamp>] {
        &self.spans
    }

    /// From here on it is judged as it is live, where it was not.
    pub(crate) fn judge_as_live(&mut self) {
        if self.historic {
            self.historic = false;
            for watch in &mut self.rules {
                watch.generation += 1;
            }
        }
    }

    /// Listening to this subject begins, once.
    pub(crate) fn listen_from(&mut self, start: Timestamp) {
        if self.spans.is_empty() {
            self.spans.push(start..Timestamp::from_millis(i64::MAX));
        }
    }

    /// It was listened to since then, as retained mentions tell.
    pub(super) fn listened_since(&mut self, start: Timestamp, clock: Timestamp) {
        match self.spans.first_mut() {
            Some(first) => first.start = first.start.min(start),
            None => self.listen_from(start),
        }
        self.hours.close_again(&self.spans, clock);
        self.days.close_again(&self.spans, clock);
    }

    /// Closes what is over at `clock`.
    pub(crate) fn close(&mut self, clock: Timestamp) {
        let before = self.hours.closed_until();
        self.hours.close(&self.spans, clock);
        self.days.close(&self.spans, clock);
        let prunes = self.hours.closed_until() != before;
        if prunes {
            self.hours.prune(clock, self.windows_asked(Window::Hour));
            self.days.prune(clock, self.windows_asked(Window::Day));
        }
        for watch in &mut self.rules {
            let Some(own) = watch.own.as_mut() else { continue };
            let from = watch.from.unwrap_or_else(|| Timestamp::from_millis(i64::MIN));
            let spans: Vec<Range<Timestamp>> =
                self.spans.iter().map(|span| span.start.max(from)..span.end.max(from)).collect();
            own.close(&spans, clock);
            if prunes {
                own.prune(clock, watch.rule.windows());
            }
        }
    }

    /// The most windows one after the other that a rule asks for which counts all mentions.
    fn windows_asked(&self, window: Window) -> u32 {
        let counts_all = |watch: &&Watch| {
            matches!(&watch.rule.condition, Condition::Count(count) if count.window == window)
                && watch.own.is_none()
        };
        self.rules.iter().filter(counts_all).map(|watch| watch.rule.windows()).max().unwrap_or(1)
    }

    /// What the clock makes of the rule's open alert: the phase that begins, or that it is over, and then until when
    /// it held. `unheard` are the sources that fail and those that nobody asks.
    pub(crate) fn pass_to(
        &mut self,
        rule: usize,
        clock: Timestamp,
        failing: &BTreeMap<String, Timestamp>,
        unheard: &BTreeMap<String, Timestamp>,
    ) -> Option<Transition> {
        let condition = self.rules[rule].rule.condition.clone();
        let waits = self.waits(rule);
        match &condition {
            Condition::Absence(_) | Condition::Tone(_) | Condition::Reach(_) if waits => return None,
            Condition::Absence(condition) => return self.pass_silence(rule, condition, clock, unheard),
            Condition::SourceAbsence(condition) => return self.pass_sources(rule, condition, clock, failing),
            Condition::Tone(condition) => {
                let silent = self.rules[rule].silent_sources(unheard);
                return self.pass_tone(rule, condition, clock, &silent);
            }
            Condition::Reach(condition) => {
                let silent = self.rules[rule].silent_sources(unheard);
                return self.pass_reach(rule, condition, clock, &silent);
            }
            // Several subjects decide that together.
            Condition::Rank(_) => return None,
            Condition::Each(_) | Condition::Count(_) | Condition::Novelty(_) => {}
        }
        let silent = self.rules[rule].silent_sources(unheard);
        let open = self.rules[rule].open.as_mut()?;
        let expired = !self.historic && open.raised.plus_millis(LONGEST_MS) <= clock;
        match (condition, &open.course) {
            (
                Condition::Each(EachCondition { quiet_after_hours, .. })
                | Condition::Novelty(NoveltyCondition { quiet_after_hours, .. }),
                Course::Each { last_match, .. },
            ) => {
                let quiet_ms = i64::from(quiet_after_hours) * HOUR_MS;
                if last_match.plus_millis(quiet_ms) > clock {
                    return None;
                }
                if silent.is_empty() || expired { Some(Transition::Resolved) } else { open.block(&silent) }
            }
            // Its counts are of two definitions until they are made anew.
            (Condition::Count(_), Course::Count { .. }) if waits && !expired => None,
            (Condition::Count(condition), Course::Count { .. }) => {
                let phase = self.closed_windows(rule, &condition, clock, &silent);
                if phase != Some(Transition::Resolved) && expired {
                    return self.end_burst(rule, bucket_of(condition.window, &self.zone(), clock).start);
                }
                phase
            }
            _ => Some(Transition::Resolved),
        }
    }

    /// Looks at each window that has closed, and takes its final count. The first calm one ends the alert, and the
    /// last that begins a phase is said; unless a source behind the alert is silent: then nobody knows whether it is
    /// calm.
    fn closed_windows(
        &mut self,
        rule: usize,
        condition: &CountCondition,
        clock: Timestamp,
        silent: &[String],
    ) -> Option<Transition> {
        let mut phase = None;
        loop {
            let Some(Course::Count { checked, .. }) = self.rules[rule].open.as_ref().map(|open| &open.course)
            else {
                return phase;
            };
            let bucket = self.series(rule, condition.window).bucket(*checked);
            if bucket.end > clock {
                return phase;
            }
            let series = self.series(rule, condition.window);
            let (observed, authors) = (series.count_at(bucket.start), series.authors_at(bucket.start));
            let mentions = series.mentions_at(bucket.start);
            let threshold = self.threshold(rule, condition, &bucket);
            let calm = threshold.is_calm(condition, observed);
            let arithmetic = count_arithmetic(condition, &bucket, observed, authors, mentions, threshold);
            let open = self.rules[rule].open.as_mut()?;
            if !calm || silent.is_empty() {
                open.arithmetic = Arithmetic::Count(arithmetic);
            }
            if calm && silent.is_empty() {
                return self.end_burst(rule, bucket.start);
            }
            open.checked_up_to(bucket.end);
            if silent.is_empty() {
                phase = open.closed(bucket.start, observed).or(phase);
            } else if calm {
                phase = open.block(silent).or(phase);
            }
        }
    }

    /// Marks the windows from the opening to here as a burst: the alert is over.
    fn end_burst(&mut self, rule: usize, end: Timestamp) -> Option<Transition> {
        let watch = &mut self.rules[rule];
        if let Some(open) = watch.open.as_mut()
            && let Course::Count { opening, .. } = &open.course
        {
            open.until = end.max(opening.end);
            let burst = opening.start..open.until;
            watch.note_burst(burst, end);
        }
        Some(Transition::Resolved)
    }

    /// What the past was, as the historic fold found it: from what `signals` says, so by the definitions of its time.
    pub(crate) fn take_history(&mut self, history: &History, cause: (u64, Timestamp)) {
        let (zone, is_rebuilt) = (self.zone(), self.is_rebuilt());
        let Some(watch) = self.rules.iter_mut().find(|watch| watch.rule.id == history.rule) else { return };
        watch.covered = true;
        if is_rebuilt {
            return self.begin_rebuild(cause, Waits::Nothing);
        }
        if let Condition::Count(condition) = &watch.rule.condition {
            let counts: BTreeMap<Timestamp, &HistoryBucket> =
                history.buckets.iter().map(|bucket| (bucket.start, bucket)).collect();
            let oldest = history.until.plus_millis(-LOOK_BACK_MS);
            watch.past.clear();
            let mut bucket = bucket_of(condition.window, &zone, history.from.max(oldest));
            while bucket.end <= history.until {
                let counted = counts.get(&bucket.start);
                if bucket.is_regular(condition.window) {
                    watch.past.push(PastBucket {
                        start: bucket.start,
                        slot: bucket.slot,
                        count: counted.map_or(0, |counted| counted.count),
                        burst: counted.is_some_and(|counted| counted.burst),
                    });
                }
                bucket = bucket_of(condition.window, &zone, bucket.end);
            }
            watch.generation += 1;
        }
    }

    /// What was counted for a rule, for baselines to come: the last unbroken run of observed buckets.
    pub(crate) fn history(&self, rule: usize) -> (Range<Timestamp>, Vec<HistoryBucket>) {
        let watch = &self.rules[rule];
        let nothing = Timestamp::default()..Timestamp::default();
        let Condition::Count(condition) = &watch.rule.condition else { return (nothing, Vec::new()) };
        let (mut run, mut buckets) = (nothing, Vec::new());
        let always = Timestamp::from_millis(i64::MIN)..Timestamp::from_millis(i64::MAX);
        for counted in self.series(rule, condition.window).observed(always) {
            let bucket = counted.bucket;
            if run.end != bucket.start {
                run.start = bucket.start;
                buckets.clear();
            }
            run.end = bucket.end;
            if counted.count > 0 {
                let (start, count) = (bucket.start, counted.count);
                buckets.push(HistoryBucket { start, count, burst: watch.in_burst(start) });
            }
        }
        (run, buckets)
    }

    fn zone(&self) -> jiff::tz::TimeZone {
        self.subject.time_zone()
    }
}

/// Whether a mention is, by itself, what a rule about each mention asks for.
fn satisfies(condition: &EachCondition, signal: &Signal, subject: &SubjectSignal) -> bool {
    let reaches = condition.reach_at_least == 0
        || signal.accounts().is_some_and(|reach| reach >= condition.reach_at_least);
    let at_risk = condition.risk.as_ref().is_none_or(|risk| subject.risk.contains(risk));
    at_risk && reaches && subject.polarity <= condition.sentiment_at_most
}

impl Watch {
    fn new(version: u64, rule: Rule, zone: &jiff::tz::TimeZone, clock: Option<Timestamp>) -> Self {
        let own = rule.own_series();
        Self {
            filter: rule.filter.is_some().then(|| rule.filter_id()),
            rule,
            version,
            filtered_since: version,
            open: None,
            told: None,
            covered: false,
            from: clock,
            warming: false,
            own: own.map(|(measure, window)| Series::new(measure, window, zone.clone())),
            tones: Tones::default(),
            run: None,
            looked: None,
            silence: Silence::default(),
            brought: Brought::default(),
            novelties: Novelties::default(),
            past: Vec::new(),
            bursts: Vec::new(),
            matched: Memory::lasting(MATCHED_FOR_MS),
            gathering: Gathering::default(),
            generation: 0,
            thresholds: Vec::new(),
        }
    }

    /// The sources behind its open alert that are not heard.
    fn silent_sources(&self, unheard: &BTreeMap<String, Timestamp>) -> Vec<String> {
        self.open.as_ref().map(|open| open.evidence.sources_among(unheard)).unwrap_or_default()
    }

    /// Becomes a newer version. What that one counts and remembers as well is kept. Answers whether it asks for
    /// something else.
    fn change_to(&mut self, mut new: Self) -> bool {
        let asks_for_more = !self.rule.asks_for_the_same(&new.rule);
        if self.rule.counts_the_same(&new.rule) {
            (self.rule, self.version) = (new.rule, new.version);
            if asks_for_more {
                self.covered = false;
                self.generation += 1;
                // These are what the version before asked for.
                self.run = None;
                self.gathering = Gathering::default();
            }
        } else {
            new.told = self.told.take();
            if self.rule.filter == new.rule.filter {
                new.filtered_since = self.filtered_since;
            }
            *self = new;
        }
        asks_for_more
    }

    /// Whether a mention passes the rule's filter.
    fn passes(&self, signal: &Signal) -> bool {
        self.filter.as_ref().is_none_or(|filter| signal.matched.contains(filter))
    }

    /// A mention ends a silence, and the alert about it.
    fn end_silence(&mut self, signal: &Signal) -> Option<Transition> {
        self.silence.hear(signal.event_time);
        let open = self.open.as_mut().filter(|open| open.opened < signal.event_time)?;
        open.until = signal.event_time;
        Some(Transition::Resolved)
    }

    /// Takes in a window that has closed, and says how many up to it are as the rule asks for.
    pub(super) fn note_window(&mut self, bucket: &Bucket, holds: bool) -> u32 {
        self.run = holds.then(|| Run::with(self.run, bucket));
        self.run.map_or(0, |run| run.windows)
    }

    /// How many windows are as the rule asks for, if this one is.
    pub(super) fn in_a_row(&self, bucket: &Bucket) -> u32 {
        Run::with(self.run, bucket).windows
    }

    /// Until when the windows before this one say what is usual: where several must be as the rule asks for, until the
    /// first of them.
    pub(super) fn usual_until(&self, bucket: &Bucket, windows: u32) -> Timestamp {
        match windows {
            0 | 1 => bucket.start,
            _ => Run::with(self.run, bucket).first.start,
        }
    }

    /// An alert opens with this window. Answers the first of those that opened it together.
    pub(super) fn begin_burst(&mut self, bucket: &Bucket) -> Bucket {
        self.run.take().map_or(*bucket, |run| run.first)
    }

    /// Marks the windows of the open alert that were looked at as a burst: the rule is to ask for something else.
    pub(super) fn note_closed_burst(&mut self, now: Timestamp) {
        let Some(open) = &self.open else { return };
        let looked = match &open.course {
            Course::Count { checked, .. } => Some(*checked),
            Course::Tone { .. } | Course::Reach { .. } => self.tones.looked,
            Course::Rank { .. } => self.looked,
            Course::Each { .. } | Course::Absence => None,
        };
        if let (Some(start), Some(end)) = (open.window_start(), looked)
            && start < end
        {
            self.note_burst(start..end, now);
        }
    }

    /// Marks windows as belonging to a burst, which baselines leave out.
    pub(super) fn note_burst(&mut self, burst: Range<Timestamp>, now: Timestamp) {
        self.bursts.push(burst);
        self.bursts.retain(|burst| burst.end >= now.plus_millis(-LOOK_BACK_MS));
        self.generation += 1;
    }

    /// The observed buckets before this one within the look-back. While an alert is open its windows are not
    /// among them: the baseline is frozen at the opening. But where nothing was known at the opening there is
    /// nothing to freeze.
    pub(super) fn past_buckets(&self, series: &Series, bucket: &Bucket) -> Vec<PastBucket> {
        let oldest = bucket.start.plus_millis(-LOOK_BACK_MS);
        if let Some(Course::Count { opening, .. }) = self.open.as_ref().map(|open| &open.course) {
            let frozen = self.buckets_in(series, oldest..opening.start.min(bucket.start));
            if !frozen.is_empty() {
                return frozen;
            }
        }
        self.buckets_in(series, oldest..bucket.start)
    }

    fn buckets_in(&self, series: &Series, range: Range<Timestamp>) -> Vec<PastBucket> {
        if range.is_empty() {
            return Vec::new();
        }
        let told =
            self.past.iter().filter(|past| range.contains(&past.start) && !series.is_observed(past.start));
        let mut past: Vec<PastBucket> = told.copied().collect();
        let regular = |counted: &Counted| counted.bucket.is_regular(series.window());
        for counted in series.observed(range.clone()).filter(regular) {
            let Bucket { start, slot, .. } = counted.bucket;
            past.push(PastBucket { start, slot, count: counted.count, burst: self.in_burst(start) });
        }
        past.sort_by_key(|past| past.start);
        past
    }

    pub(super) fn in_burst(&self, start: Timestamp) -> bool {
        self.bursts.iter().any(|burst| burst.contains(&start))
    }
}

/// The same rule, subject and situation are the same alert, whenever and however often they are decided. A rule
/// that asks for something else is another. Those of the past have keys of their own, so that an import cannot
/// stand in the way of a live alert.
pub(crate) fn alert_key(historic: bool, rule: &str, words: &str, subject: &str, situation: &str) -> AlertKey {
    let instance = if historic { "historic" } else { "live" };
    AlertKey::of(&[instance, rule, words, subject, situation])
}
