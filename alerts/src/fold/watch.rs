//! One subject under watch: its counts, and its rules with what each of them has open.
//!
//! What belongs here: everything that one subject decides by itself. What it takes two subjects or the whole
//! watchlist to decide (parents, routes) is [`super::State`]'s.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use earshot_common::definitions::{Condition, CountCondition, EachCondition, Rule, Subject, Window};
use earshot_common::events::{Arithmetic, History, HistoryBucket, Signal, SubjectSignal, Transition};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;

use super::alert::{Course, OpenAlert, count_arithmetic, each_arithmetic};
use super::baseline::Rhythm;
use super::calendar::{Bucket, DAY_MS, HOUR_MS, bucket_of};
use super::evidence::{Evidence, Witness};
use super::memory::{Memory, Novelty};
use super::past::{PastBucket, PastCounts};
use super::series::{LOOK_BACK_MS, Series};
use super::threshold::Threshold;

/// Mentions are remembered for longer than the longest window, so that no window counts one twice.
const COUNTED_FOR_MS: i64 = 2 * DAY_MS;
/// A mention that matched a rule does not match it again after an edit within this time.
const MATCHED_FOR_MS: i64 = 30 * DAY_MS;
/// A live alert about a count ends after this: what lasts longer is not a burst.
pub(crate) const LONGEST_MS: i64 = 7 * DAY_MS;

/// A subject, its counts and its rules.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) subject: Subject,
    pub(crate) rules: Vec<Watch>,
    historic: bool,
    /// When we listened. Live it is one span without an end.
    spans: Vec<Range<Timestamp>>,
    hours: Series,
    days: Series,
    memory: Memory,
}

/// A rule on this subject.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) rule: Rule,
    /// Offset of the rule's version in `watchlist`.
    pub(crate) version: u64,
    pub(crate) open: Option<OpenAlert>,
    /// Whether its history is in the log, or there is none to come.
    pub(crate) covered: bool,
    past: Vec<PastBucket>,
    bursts: Vec<Range<Timestamp>>,
    matched: Memory,
    /// Counts what changes a threshold beside the closing of buckets.
    generation: u64,
    threshold: Option<(ThresholdKey, Threshold)>,
}

/// What a threshold was computed for and from.
type ThresholdKey = (Timestamp, Option<Timestamp>, u64);

impl Watched {
    /// A subject of which nothing was heard yet.
    pub(crate) fn new(subject: Subject, historic: bool, spans: Vec<Range<Timestamp>>) -> Self {
        let zone = subject.time_zone();
        Self {
            subject,
            rules: Vec::new(),
            historic,
            spans,
            hours: Series::new(Window::Hour, zone.clone()),
            days: Series::new(Window::Day, zone),
            memory: Memory::lasting(COUNTED_FOR_MS),
        }
    }

    /// Its rules that have an alert open.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Watch> {
        self.rules.iter().filter(|watch| watch.open.is_some())
    }

    /// Mentions that were counted.
    pub(crate) fn counted(&self) -> u64 {
        self.hours.counted()
    }

    /// Puts a rule on it, or a newer version of a rule that asks for the same. Answers whether the rule is new
    /// here.
    pub(crate) fn attach(&mut self, version: u64, rule: &Rule) -> bool {
        let place = self.rules.partition_point(|watch| watch.rule.id < rule.id);
        match self.rules.get_mut(place) {
            Some(watch) if watch.rule.id == rule.id => {
                watch.rule = rule.clone();
                watch.version = version;
                false
            }
            _ => {
                self.rules.insert(place, Watch::new(version, rule.clone()));
                true
            }
        }
    }

    /// Takes a mention in and says whether it is new here.
    pub(crate) fn take(&mut self, signal: &Signal, subject: &SubjectSignal, now: Timestamp) -> Novelty {
        let novelty = self.memory.take(signal.mention, signal.revision, now);
        if novelty == Novelty::New {
            let witness = Witness::of(signal, subject);
            self.hours.count(signal, witness, now);
            self.days.count(signal, witness, now);
        }
        novelty
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
        match (self.rules[rule].rule.condition.clone(), novelty) {
            (_, Novelty::Known) | (Condition::Count(_), Novelty::Edited) => None,
            (Condition::Count(condition), Novelty::New) => {
                self.judge_count(rule, &condition, signal, subject, now)
            }
            (Condition::Each(condition), _) => {
                self.rules[rule].judge_each(self.historic, &condition, signal, subject, now)
            }
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
        let series = self.series(condition.window);
        let bucket = series.bucket(signal.event_time);
        let (observed, authors) = (series.count_at(bucket.start), series.authors_at(bucket.start));
        // A late mention must not open again what was opened and closed.
        let may_fire = series.may_fire(&bucket, now) && !self.rules[rule].in_burst(bucket.start);
        match self.rules[rule].open.as_mut() {
            None if !may_fire => return None,
            None => {}
            Some(open) => {
                let Course::Count { current, announced, .. } = &open.course else { return None };
                if bucket.start < current.start {
                    return None;
                }
                let announced_here = bucket.start == current.start;
                let doubled = observed >= announced.saturating_mul(2);
                open.evidence.add(Witness::of(signal, subject), &signal.source);
                if announced_here && !doubled {
                    return None;
                }
            }
        }

        if authors < condition.authors_at_least {
            return None;
        }
        let threshold = self.threshold(rule, condition, &bucket);
        if threshold.count.is_none_or(|count| observed < count) {
            return None;
        }
        let arithmetic = count_arithmetic(condition, &bucket, observed, authors, threshold);
        let evidence = self.series(condition.window).evidence_at(bucket.start);
        let watch = &mut self.rules[rule];
        let key = alert_key(self.historic, &watch.rule, &self.subject.id, &bucket.start.to_string());
        match watch.open.as_mut() {
            Some(open) => {
                open.announce(bucket, observed, arithmetic);
                Some(Transition::Rising)
            }
            None => {
                watch.open = Some(OpenAlert::of_count(key, signal, bucket, observed, arithmetic, evidence));
                watch.generation += 1;
                Some(Transition::Opened)
            }
        }
    }

    fn series(&self, window: Window) -> &Series {
        match window {
            Window::Hour => &self.hours,
            Window::Day => &self.days,
        }
    }

    /// From which count on the bucket is surprising. Computed once for a bucket, and again when a bucket closes
    /// or what is known of the past changes.
    fn threshold(&mut self, rule: usize, condition: &CountCondition, bucket: &Bucket) -> &Threshold {
        let key = (bucket.start, self.series(condition.window).closed_until(), self.rules[rule].generation);
        let known = self.rules[rule].threshold.take().filter(|(known, _)| *known == key);
        let threshold = match known {
            Some((_, threshold)) => threshold,
            None => {
                let past = self.rules[rule].past_buckets(self.series(condition.window), bucket);
                let rhythm = Rhythm::from(condition.window);
                Threshold::of(condition, rhythm, bucket, &PastCounts::of(rhythm, &past), self.historic)
            }
        };
        &self.rules[rule].threshold.insert((key, threshold)).1
    }

    /// Listening to this subject begins, once.
    pub(crate) fn listen_from(&mut self, start: Timestamp) {
        if self.spans.is_empty() {
            self.spans.push(start..Timestamp::from_millis(i64::MAX));
        }
    }

    /// Closes what is over at `clock`.
    pub(crate) fn close(&mut self, clock: Timestamp) {
        let before = self.hours.closed_until();
        self.hours.close(&self.spans, clock);
        self.days.close(&self.spans, clock);
        if self.hours.closed_until() != before {
            self.hours.prune(clock);
            self.days.prune(clock);
        }
    }

    /// Whether the rule's open alert is over at `clock`; then it says until when it held.
    pub(crate) fn is_over(&mut self, rule: usize, clock: Timestamp, failing: &BTreeSet<String>) -> bool {
        let Some(open) = &self.rules[rule].open else { return false };
        let silent = !open.evidence.sources_among(failing).is_empty();
        let expired = !self.historic && open.opened.plus_millis(LONGEST_MS) <= clock;
        match (self.rules[rule].rule.condition.clone(), &open.course) {
            (Condition::Each(condition), Course::Each { last_match, .. }) => {
                let quiet_ms = i64::from(condition.quiet_after_hours) * HOUR_MS;
                last_match.plus_millis(quiet_ms) <= clock && (!silent || expired)
            }
            (Condition::Count(condition), Course::Count { .. }) => {
                self.calm_at(rule, &condition, clock, silent)
                    || (expired
                        && self.end_burst(rule, bucket_of(condition.window, &self.zone(), clock).start))
            }
            _ => true,
        }
    }

    /// Looks at each window that has closed, and takes its final count. The first calm one ends the alert, unless a
    /// source behind the alert is silent: then nobody knows whether it is calm.
    fn calm_at(&mut self, rule: usize, condition: &CountCondition, clock: Timestamp, silent: bool) -> bool {
        loop {
            let Some(Course::Count { checked, .. }) = self.rules[rule].open.as_ref().map(|open| &open.course)
            else {
                return false;
            };
            let bucket = self.series(condition.window).bucket(*checked);
            if bucket.end > clock {
                return false;
            }
            let series = self.series(condition.window);
            let (observed, authors) = (series.count_at(bucket.start), series.authors_at(bucket.start));
            let threshold = self.threshold(rule, condition, &bucket);
            let calm = threshold.is_calm(condition, observed);
            let arithmetic = count_arithmetic(condition, &bucket, observed, authors, threshold);
            let Some(open) = self.rules[rule].open.as_mut() else { return false };
            if !calm || !silent {
                open.arithmetic = Arithmetic::Count(arithmetic);
            }
            if calm && !silent {
                return self.end_burst(rule, bucket.start);
            }
            open.checked_up_to(bucket.end);
        }
    }

    /// Marks the windows from the opening to here as a burst. Answers true: the alert is over.
    fn end_burst(&mut self, rule: usize, end: Timestamp) -> bool {
        let watch = &mut self.rules[rule];
        if let Some(open) = watch.open.as_mut()
            && let Course::Count { opening, .. } = &open.course
        {
            open.until = end.max(opening.end);
            watch.bursts.push(opening.start..open.until);
            watch.bursts.retain(|burst| burst.end >= end.plus_millis(-LOOK_BACK_MS));
            watch.generation += 1;
        }
        true
    }

    /// What the past was, as the historic fold found it.
    pub(crate) fn take_history(&mut self, history: &History) {
        let zone = self.zone();
        let Some(watch) = self.rules.iter_mut().find(|watch| watch.rule.id == history.rule) else { return };
        watch.covered = true;
        if let Condition::Count(condition) = &watch.rule.condition {
            let counts: BTreeMap<Timestamp, &HistoryBucket> =
                history.buckets.iter().map(|bucket| (bucket.start, bucket)).collect();
            let oldest = history.until.plus_millis(-LOOK_BACK_MS);
            watch.past.clear();
            let mut bucket = bucket_of(condition.window, &zone, history.from.max(oldest));
            while bucket.end <= history.until {
                let counted = counts.get(&bucket.start);
                watch.past.push(PastBucket {
                    start: bucket.start,
                    slot: bucket.slot,
                    count: counted.map_or(0, |counted| counted.count),
                    burst: counted.is_some_and(|counted| counted.burst),
                });
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
        for counted in self.series(condition.window).observed(always) {
            if run.end != counted.bucket.start {
                run.start = counted.bucket.start;
                buckets.clear();
            }
            run.end = counted.bucket.end;
            if counted.count > 0 {
                let (start, count) = (counted.bucket.start, counted.count);
                buckets.push(HistoryBucket { start, count, burst: watch.in_burst(start) });
            }
        }
        (run, buckets)
    }

    fn zone(&self) -> jiff::tz::TimeZone {
        self.subject.time_zone()
    }
}

impl Watch {
    fn new(version: u64, rule: Rule) -> Self {
        Self {
            rule,
            version,
            open: None,
            covered: false,
            past: Vec::new(),
            bursts: Vec::new(),
            matched: Memory::lasting(MATCHED_FOR_MS),
            generation: 0,
            threshold: None,
        }
    }

    /// One strong mention is enough. More while the alert is open join it; it rises when their number doubles,
    /// so that a storm of them is a handful of transitions.
    fn judge_each(
        &mut self,
        historic: bool,
        condition: &EachCondition,
        signal: &Signal,
        subject: &SubjectSignal,
        now: Timestamp,
    ) -> Option<Transition> {
        let reaches = signal.reach.is_some_and(|reach| reach >= condition.reach_at_least);
        let passes = self.rule.filter.is_none() || signal.matched.contains(&self.rule.filter_id());
        let satisfied = passes && reaches && subject.polarity <= condition.sentiment_at_most;
        if !satisfied || self.matched.take(signal.mention, 0, now) != Novelty::New {
            return None;
        }
        let witness = Witness::of(signal, subject);
        let Some(open) = self.open.as_mut() else {
            let key = alert_key(historic, &self.rule, &subject.id, &signal.mention.to_string());
            let mut evidence = Evidence::default();
            evidence.add(witness, &signal.source);
            let arithmetic = each_arithmetic(condition, signal, subject, 1);
            self.open = Some(OpenAlert::of_each(key, signal, arithmetic, evidence, now));
            return Some(Transition::Opened);
        };
        open.evidence.add(witness, &signal.source);
        let matched = open.matched() + 1;
        let arithmetic = each_arithmetic(condition, signal, subject, matched);
        open.join(signal, arithmetic, now).then_some(Transition::Rising)
    }

    /// The observed buckets before this one within the look-back. While an alert is open its windows are not
    /// among them: the baseline is frozen at the opening. But where nothing was known at the opening there is
    /// nothing to freeze.
    fn past_buckets(&self, series: &Series, bucket: &Bucket) -> Vec<PastBucket> {
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
        for counted in series.observed(range.clone()) {
            let Bucket { start, slot, .. } = counted.bucket;
            past.push(PastBucket { start, slot, count: counted.count, burst: self.in_burst(start) });
        }
        past.sort_by_key(|past| past.start);
        past
    }

    fn in_burst(&self, start: Timestamp) -> bool {
        self.bursts.iter().any(|burst| burst.contains(&start))
    }
}

/// The same rule, subject and situation are the same alert, whenever and however often they are decided. A rule
/// that asks for something else is another. Those of the past have keys of their own, so that an import cannot
/// stand in the way of a live alert.
fn alert_key(historic: bool, rule: &Rule, subject: &str, situation: &str) -> AlertKey {
    let instance = if historic { "historic" } else { "live" };
    AlertKey::of(&[instance, &rule.id, &rule.to_string(), subject, situation])
}
