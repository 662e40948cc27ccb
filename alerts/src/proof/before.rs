//! What a count was compared with, counted again: the hours or days before it, from `signals` with plain counters.
//!
//! What belongs here: what each of them counts, and which of them were listened to. Which are alike, and what is to be
//! expected after them, is the model's. Where counts were made anew elsewhere, or the log does not say when listening
//! began, nothing can be counted again, and that is said.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use earshot_common::calendar::{Bucket, bucket_of, length_ms};
use earshot_common::definitions::Window;
use earshot_common::events::{
    AlertEvent, Arithmetic, CountArithmetic, CountSpan, Counted, History, Measure, Signal, SubjectSignal,
    Transition,
};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;

use super::verify::Check;
use crate::fold::{
    FRESH_WINDOWS, LOOK_BACK_MS, MOST_DISTINCT, PastBucket, PastCounts, Rhythm, baseline, window_of,
};

const WHAT: &str = "baseline counts";

/// When the live alerts of one rule and subject held: their windows are bursts, which baselines leave out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bursts {
    rule: String,
    subject: String,
    /// When the window began that opened an alert.
    opened: BTreeMap<AlertKey, Timestamp>,
    /// Each burst, and where in `signals` it was over.
    over: Vec<(u64, Range<Timestamp>)>,
}

impl Bursts {
    /// None yet of the rule and subject of an alert.
    pub(crate) fn around(event: &AlertEvent) -> Self {
        Self { rule: event.rule.clone(), subject: event.subject.clone(), ..Self::default() }
    }

    /// Takes a record of `alerts` in, in their order.
    pub(crate) fn take(&mut self, event: &AlertEvent) {
        let Arithmetic::Count(count) = &event.arithmetic else { return };
        if event.historic || event.rule != self.rule || event.subject != self.subject {
            return;
        }
        match event.transition {
            Transition::Opened | Transition::Reopened => {
                self.opened.extend(judged(count).map(|start| (event.alert, start)));
            }
            Transition::Resolved => {
                if let Some(start) = self.opened.remove(&event.alert) {
                    self.over.push((event.signals.offset, start..event.until));
                }
            }
            _ => {}
        }
    }
}

/// The buckets before those that an alert is about.
#[derive(Debug)]
pub(super) struct Before {
    measure: Measure,
    window: Window,
    is_filtered: bool,
    /// Whether the rule counts for itself, from when it was put on the subject.
    for_itself: bool,
    /// What is earlier is compared with nothing.
    oldest: Timestamp,
    bursts: Bursts,
    /// The transitions to say something of, by the record that caused them.
    wanted: BTreeMap<u64, Vec<Wanted>>,
    found: BTreeMap<u32, Result<Found, String>>,
    zone: TimeZone,
    buckets: BTreeMap<Timestamp, Cell>,
    /// Whether the log says when the subject and the rule came.
    subject_is_known: bool,
    rule_is_known: bool,
    /// Where the rule was put on the subject.
    attached: u64,
    /// Since when the subject is listened to, and since when the rule counts for itself.
    listened: Option<Timestamp>,
    own: Option<Timestamp>,
    /// When the bucket begins that is not over.
    closed: Option<Timestamp>,
}

/// A transition whose numbers are new.
#[derive(Clone, Debug)]
struct Wanted {
    sequence: u32,
    /// When the window began that was judged.
    judged: Timestamp,
    with_before: bool,
    /// When the window began that opened the alert; none where it opens.
    opening: Option<Timestamp>,
}

/// A bucket and what was counted in it.
#[derive(Debug)]
struct Cell {
    end: Timestamp,
    count: u32,
    /// Of these, what came since a bucket was last closed: thresholds may be older.
    late: u32,
    /// The stories or authors that were counted.
    counted: BTreeSet<u64>,
}

/// What there was to compare with when a bucket was last closed, and at the cause.
#[derive(Debug)]
struct Found {
    at_least: Compared,
    at_most: Compared,
}

#[derive(Debug)]
struct Compared {
    /// The counts of the like buckets, oldest first; none where there is too little data.
    counts: Vec<u32>,
    /// The highest of all.
    highest: u32,
}

impl Before {
    /// Nothing counted yet, for an alert with these transitions; `None` where it is about no count, or about the past.
    pub(super) fn of(transitions: &[AlertEvent], bursts: Bursts) -> Option<Self> {
        let (mut wanted, mut opening, mut last) = (BTreeMap::<u64, Vec<Wanted>>::new(), None, None);
        let (mut asked, mut oldest) = (None, Timestamp::from_millis(i64::MAX));
        for event in transitions.iter().filter(|event| !event.historic) {
            let Arithmetic::Count(count) = &event.arithmetic else { continue };
            let (Some((window, _)), Some(judged)) = (window_of(&count.window), judged(count)) else {
                continue;
            };
            let opens = matches!(event.transition, Transition::Opened | Transition::Reopened);
            opening = opening.filter(|_| !opens);
            // What was told before is not told anew.
            if last.replace(count) != Some(count) || opens {
                let with_before = count.span() == CountSpan::TwoHours;
                let of = Wanted { sequence: event.sequence, judged, with_before, opening };
                wanted.entry(event.signals.offset).or_default().push(of);
                oldest = oldest.min(judged.plus_millis(-LOOK_BACK_MS));
            }
            opening = opening.or(Some(judged).filter(|_| opens));
            asked.get_or_insert((count.measure, window, event.definition.filter.is_some()));
        }
        let (measure, window, is_filtered) = asked?;
        Some(Self {
            measure,
            window,
            is_filtered,
            for_itself: is_filtered || measure != Measure::Mentions,
            oldest,
            bursts,
            wanted,
            found: BTreeMap::new(),
            zone: TimeZone::UTC,
            buckets: BTreeMap::new(),
            subject_is_known: false,
            rule_is_known: false,
            attached: 0,
            listened: None,
            own: None,
            closed: None,
        })
    }

    /// The subject comes into force, or moves to another zone.
    pub(super) fn subject_begins(
        &mut self,
        offset: u64,
        is_known: bool,
        zone: &str,
        clock: Option<Timestamp>,
    ) {
        self.subject_is_known = is_known;
        self.zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        self.buckets.clear();
        (self.listened, self.closed) = (None, None);
        (self.attached, self.own) = (offset, clock);
    }

    /// The rule comes into force for the subject, or asks for something else.
    pub(super) fn rule_begins(&mut self, offset: u64, is_known: bool, clock: Option<Timestamp>) {
        self.rule_is_known = is_known;
        if self.for_itself {
            self.buckets.clear();
        }
        (self.attached, self.own) = (offset, clock);
    }

    /// Counts a mention of the subject that is new, and that the rule's filter matched or not.
    pub(super) fn count(&mut self, signal: &Signal, subject: &SubjectSignal, matched: bool, now: Timestamp) {
        let at = signal.event_time;
        let is_left_out = self.is_filtered && !matched;
        if is_left_out || at < self.oldest.max(now.plus_millis(-LOOK_BACK_MS)) {
            return;
        }
        let fresh_from = self.fresh_from(now);
        let measure = self.measure;
        let cell = self.cell(at);
        let counts = match signal.counted_by(measure, subject) {
            Counted::Each => true,
            Counted::Once(key) => {
                cell.end >= fresh_from && cell.counted.len() < MOST_DISTINCT && cell.counted.insert(key)
            }
            Counted::Not => false,
        };
        cell.count += u32::from(counts);
        cell.late += u32::from(counts);
    }

    /// Closes what is over at `clock`.
    pub(super) fn pass_to(&mut self, clock: Timestamp) {
        self.listened.get_or_insert(clock);
        let open = bucket_of(self.window, &self.zone, clock).start;
        if self.closed.replace(open) != Some(open) {
            let fresh_from = self.fresh_from(clock);
            for cell in self.buckets.values_mut() {
                cell.late = 0;
                if cell.end < fresh_from {
                    cell.counted.clear();
                }
            }
        }
    }

    /// Notes what the transitions that a record caused were compared with. `elsewhere` says of the oldest bucket why it
    /// cannot be counted again.
    pub(super) fn note(
        &mut self,
        offset: u64,
        histories: &[(u64, History)],
        elsewhere: impl Fn(Timestamp) -> Option<String>,
    ) {
        for wanted in self.wanted.remove(&offset).unwrap_or_default() {
            let why = (!self.subject_is_known || !self.rule_is_known)
                .then(|| "`signals` does not hold when this began to be counted".to_owned())
                .or_else(|| elsewhere(wanted.judged.plus_millis(-LOOK_BACK_MS)));
            let found = match why {
                Some(why) => Err(why),
                None => {
                    let imported = histories.iter().rfind(|(at, _)| *at > self.attached);
                    Ok(self.found(&wanted, offset, imported.map(|(_, history)| history)))
                }
            };
            self.found.insert(wanted.sequence, found);
        }
    }

    /// What the numbers of a transition were compared with, again. Nothing where they were told before.
    pub(super) fn checks(&self, event: &AlertEvent, count: &CountArithmetic) -> Vec<Check> {
        let told = listed(&count.baseline);
        let found = match self.found.get(&event.sequence) {
            None => return Vec::new(),
            Some(Err(why)) => return vec![Check::not_possible(WHAT, told, why)],
            Some(Ok(found)) => found,
        };
        let agrees = found.holds(count);
        if !agrees && !event.transition.raises() {
            let why = "they may have been counted some time before this";
            return vec![Check::not_possible(WHAT, told, why)];
        }
        let Found { at_least, at_most } = found;
        let mut checks = vec![Check::that(WHAT, told, agrees, listed(&at_most.counts))];
        if let Some(told) = count.highest {
            let agrees = (at_least.highest..=at_most.highest).contains(&told);
            checks.push(Check::that("highest count so far", told, agrees, at_most.highest));
        }
        checks
    }

    fn found(&self, wanted: &Wanted, offset: u64, imported: Option<&History>) -> Found {
        let judged = bucket_of(self.window, &self.zone, wanted.judged);
        let oldest = judged.start.plus_millis(-LOOK_BACK_MS);
        let past = |until: Timestamp| self.past(&(oldest..until), offset, imported);
        // From its opening on an alert's windows are not compared with, but where nothing was known before.
        let frozen = wanted.opening.map(|opening| past(opening.min(judged.start)));
        let past = frozen.filter(|frozen| !frozen.is_empty()).unwrap_or_else(|| past(judged.start));
        let compared = |count: fn(&(PastBucket, u32)) -> PastBucket| {
            let buckets: Vec<PastBucket> = past.iter().map(count).collect();
            Compared::with(self.window, &judged, &buckets, wanted.with_before)
        };
        Found {
            at_least: compared(|(bucket, late)| PastBucket { count: bucket.count - late, ..*bucket }),
            at_most: compared(|(bucket, _)| *bucket),
        }
    }

    /// The known buckets of a time, oldest first, and how much of each came late: what was listened to, else what an
    /// import told.
    fn past(
        &self,
        time: &Range<Timestamp>,
        offset: u64,
        imported: Option<&History>,
    ) -> Vec<(PastBucket, u32)> {
        let mut past = BTreeMap::new();
        for bucket in imported.map_or(Vec::new(), |history| self.told_by(history)) {
            past.insert(bucket.start, (bucket, 0));
        }
        let own = self.own.filter(|_| self.for_itself);
        if let (Some(listened), Some(closed)) = (self.listened, self.closed) {
            let from = own.map_or(listened, |own| own.max(listened));
            for bucket in self.whole(from.max(time.start)..closed) {
                let cell = self.buckets.get(&bucket.start);
                let (count, late) = cell.map_or((0, 0), |cell| (cell.count, cell.late));
                let burst = self.in_burst(bucket.start, offset);
                let known = PastBucket { start: bucket.start, slot: bucket.slot, count, burst };
                past.insert(bucket.start, (known, late));
            }
        }
        past.into_values().filter(|(bucket, _)| time.contains(&bucket.start)).collect()
    }

    fn told_by(&self, history: &History) -> Vec<PastBucket> {
        let told: BTreeMap<Timestamp, (u32, bool)> =
            history.buckets.iter().map(|bucket| (bucket.start, (bucket.count, bucket.burst))).collect();
        let mut buckets = Vec::new();
        for bucket in self.whole(history.from.max(history.until.plus_millis(-LOOK_BACK_MS))..history.until) {
            let (count, burst) = told.get(&bucket.start).copied().unwrap_or_default();
            buckets.push(PastBucket { start: bucket.start, slot: bucket.slot, count, burst });
        }
        buckets
    }

    /// The buckets that lie wholly within a time and can be compared with others: not the hour in which a clock is changed.
    fn whole(&self, time: Range<Timestamp>) -> Vec<Bucket> {
        let mut buckets = Vec::new();
        let mut bucket = bucket_of(self.window, &self.zone, time.start);
        while bucket.end <= time.end {
            if bucket.start >= time.start && bucket.is_regular(self.window) {
                buckets.push(bucket);
            }
            bucket = bucket_of(self.window, &self.zone, bucket.end);
        }
        buckets
    }

    /// Whether an alert that was over held at a time.
    fn in_burst(&self, at: Timestamp, offset: u64) -> bool {
        let over = self.bursts.over.iter().filter(|(over, _)| *over > self.attached && *over < offset);
        over.into_iter().any(|(_, burst)| burst.contains(&at))
    }

    fn cell(&mut self, at: Timestamp) -> &mut Cell {
        let known = self.buckets.range(..=at).next_back().filter(|(_, cell)| at < cell.end);
        let (start, end) = match known {
            Some((start, cell)) => (*start, cell.end),
            None => {
                let bucket = bucket_of(self.window, &self.zone, at);
                (bucket.start, bucket.end)
            }
        };
        let empty = || Cell { end, count: 0, late: 0, counted: BTreeSet::new() };
        self.buckets.entry(start).or_insert_with(empty)
    }

    fn fresh_from(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(-FRESH_WINDOWS * length_ms(self.window))
    }
}

impl Found {
    /// Whether the counts that were told are these, as far as what came late allows.
    fn holds(&self, told: &CountArithmetic) -> bool {
        let told = &told.baseline;
        let mut bounds = self.at_least.counts.iter().zip(&self.at_most.counts);
        let within = |told| bounds.next().is_some_and(|(least, most)| (least..=most).contains(&told));
        told.len() == self.at_most.counts.len() && told.iter().all(within)
    }
}

impl Compared {
    fn with(window: Window, judged: &Bucket, past: &[PastBucket], with_before: bool) -> Self {
        let rhythm = Rhythm::from(window);
        let counts = PastCounts::of(rhythm, past);
        let tally = counts.pairs.as_ref().filter(|_| with_before).unwrap_or(&counts.single);
        Self {
            counts: baseline(rhythm, judged.slot, tally).map_or(Vec::new(), |baseline| baseline.counts),
            highest: past.iter().map(|bucket| bucket.count).max().unwrap_or_default(),
        }
    }
}

/// What a transition was compared with, where that is not counted again here.
pub(super) fn not_counted(event: &AlertEvent) -> Option<Check> {
    let why = "what it was compared with is not counted again for this kind of rule";
    match &event.arithmetic {
        Arithmetic::Count(count) => {
            let why = "the past is counted in the order of event time, which is not done again here";
            Some(Check::not_possible(WHAT, listed(&count.baseline), why))
        }
        Arithmetic::Tone(tone) => Some(Check::not_possible("baseline", tone.expected, why)),
        Arithmetic::Reach(reach) => Some(Check::not_possible("baseline", reach.expected, why)),
        Arithmetic::Absence(absence) => {
            absence.expected.map(|expected| Check::not_possible("baseline", expected, why))
        }
        Arithmetic::Rank(rank) => Some(Check::not_possible("usual numbers", rank.usual_rank, why)),
        Arithmetic::Each(_) | Arithmetic::Novelty(_) => None,
    }
}

/// When the window began that was judged: of two hours the later one.
fn judged(count: &CountArithmetic) -> Option<Timestamp> {
    let (_, start) = window_of(&count.window)?;
    match (count.span(), count.before) {
        (CountSpan::TwoHours, Some(before)) => Some(before.end),
        (CountSpan::TwoHours, None) => Some(start.plus_millis(length_ms(Window::Hour))),
        (CountSpan::Hour | CountSpan::Day, _) => Some(start),
    }
}

fn listed(counts: &[u32]) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    counts.join(", ")
}
