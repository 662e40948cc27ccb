//! What is counted anew, series by series. Pure: the same mentions in any order give the same sums.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use earshot_common::calendar::{Bucket, DAY_MS, TimeZone, bucket_of};
use earshot_common::definitions::{Condition, NoveltyCondition, Rule, Watchlist, Window};
use earshot_common::events::{
    Counted, Measure, NoveltyOf, Origin, RebuildRequest, Rebuilt, RebuiltBucket, SchemaVersion, Signal,
    SubjectSignal, ToneSums,
};
use earshot_common::time::Timestamp;

/// Values and authors of one rule, at most: they stand in one record. As on the decision side those that were heard once
/// are left out first, then those that were not heard for longest.
const MOST_KEYS: usize = 20_000;
/// What is older than this is not new, however seldom it is heard: the decision side listens for so long before it
/// calls a source or an author new.
const HEARD_MS: i64 = 14 * DAY_MS;
/// A source that brings more than one in so many mentions, and was not there before, makes what was before it no
/// measure for what comes.
const LARGE_SOURCE: u64 = 10;

/// The sums of all subjects that are counted anew.
#[derive(Debug)]
pub(super) struct Sums {
    subjects: BTreeMap<String, SubjectSums>,
    /// What happened before this is not retained.
    from: Option<Timestamp>,
}

/// The series of one subject.
#[derive(Debug)]
struct SubjectSums {
    request: RebuildRequest,
    zone: TimeZone,
    series: Vec<Series>,
    imports: BTreeMap<String, (Timestamp, Timestamp)>,
    mentions: u64,
    /// Of each source that enters: its live mentions, and all since it came.
    entering: BTreeMap<String, (u64, u64)>,
}

/// One series.
#[derive(Debug)]
struct Series {
    /// Whose own it is; all mentions of the subject without one.
    rule: Option<String>,
    filter: Option<String>,
    measure: Measure,
    window: Window,
    /// Whether tone and reach are summed up.
    wants_tone: bool,
    novelty: Option<NoveltyCondition>,
    live: BTreeMap<Timestamp, Cell>,
    past: BTreeMap<Timestamp, Cell>,
    values: HashMap<u64, Heard>,
    authors: HashMap<u64, Heard>,
    /// The bucket that was counted in last: mentions of one time come together.
    bucket: Option<Bucket>,
}

/// How often something was heard, and when last.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    mentions: u32,
    last: Timestamp,
}

#[derive(Debug, Default)]
struct Cell {
    count: u32,
    tone: ToneSums,
    /// The stories or authors that were counted, where each counts once.
    counted: HashSet<u64>,
}

impl Sums {
    /// Nothing counted yet, for the subjects that are in force.
    pub(super) fn of(watchlist: &Watchlist, requests: &[RebuildRequest]) -> Self {
        let mut subjects = BTreeMap::new();
        for request in requests.iter().cloned() {
            let Some(subject) = watchlist.subject(&request.subject) else { continue };
            let all = |window| Series::new(None, Measure::Mentions, window);
            let mut series = vec![all(Window::Hour), all(Window::Day)];
            for (_, rule) in watchlist.rules().filter(|(_, rule)| rule.watches(&request.subject)) {
                series.extend(Series::of(rule));
            }
            let sums = SubjectSums {
                zone: subject.time_zone(),
                series,
                imports: BTreeMap::new(),
                mentions: 0,
                entering: request.entering.keys().map(|source| (source.clone(), (0, 0))).collect(),
                request,
            };
            subjects.insert(sums.request.subject.clone(), sums);
        }
        Self { subjects, from: None }
    }

    /// Whether there is nobody to count for.
    pub(super) fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// The earliest time that counts.
    pub(super) fn since(&self, look_back_ms: i64) -> Timestamp {
        let untils = self.subjects.values().map(|sums| sums.request.until);
        untils.min().unwrap_or_default().plus_millis(-look_back_ms)
    }

    /// What happened before this is not retained.
    pub(super) fn begin_at(&mut self, from: Timestamp) {
        self.from = self.from.max(Some(from));
    }

    /// Whether a mention counts for any of the subjects.
    pub(super) fn concerns(&self, signal: &Signal) -> bool {
        signal.concerned().iter().any(|subject| self.subjects.contains_key(&subject.id))
    }

    /// Counts a mention.
    pub(super) fn add(&mut self, signal: &Signal) {
        for subject in signal.concerned() {
            if let Some(sums) = self.subjects.get_mut(&subject.id) {
                sums.add(signal, &subject);
            }
        }
    }

    /// The sums as the decision side takes them.
    pub(super) fn into_records(self) -> Vec<Rebuilt> {
        let from = self.from;
        self.subjects.into_values().flat_map(|sums| sums.into_records(from)).collect()
    }
}

impl SubjectSums {
    fn add(&mut self, signal: &Signal, subject: &SubjectSignal) {
        let request = &self.request;
        if signal.event_time >= request.until || request.without.contains(&signal.source) {
            return;
        }
        self.mentions += 1;
        match signal.origin {
            Origin::Live => self.note_entering(signal),
            Origin::History => {
                let at = signal.event_time;
                let (first, last) = self.imports.entry(signal.source.clone()).or_insert((at, at));
                (*first, *last) = (at.min(*first), at.max(*last));
            }
        }
        for series in &mut self.series {
            series.add(signal, subject, &self.request, &self.zone);
        }
    }

    fn note_entering(&mut self, signal: &Signal) {
        for (source, (own, all)) in &mut self.entering {
            let came = self.request.entering.get(source);
            if came.is_some_and(|came| *came <= signal.event_time) {
                *all += 1;
                *own += u64::from(*source == signal.source);
            }
        }
    }

    fn into_records(self, from: Option<Timestamp>) -> Vec<Rebuilt> {
        let large = self.entering.iter().filter(|(_, (own, all))| own * LARGE_SOURCE > *all);
        let from = large.filter_map(|(source, _)| self.request.entering.get(source).copied()).max().max(from);
        let count = self.series.len();
        let mut records = Vec::with_capacity(count);
        for (number, series) in self.series.into_iter().enumerate() {
            let (buckets, values, authors) = series.into_sums();
            let sums = &self.request;
            records.push(Rebuilt {
                v: SchemaVersion::default(),
                name: sums.name(),
                subject: sums.subject.clone(),
                asked: sums.asked,
                until: sums.until,
                from,
                rule: buckets.rule,
                window: buckets.window,
                buckets: buckets.all,
                values,
                authors,
                imports: self.imports.clone(),
                mentions: self.mentions,
                last: number + 1 == count,
            });
        }
        records
    }
}

/// The buckets of a series.
struct BucketsOf {
    rule: Option<String>,
    window: Window,
    all: Vec<RebuiltBucket>,
}

impl Series {
    fn new(rule: Option<&Rule>, measure: Measure, window: Window) -> Self {
        Self {
            rule: rule.map(|rule| rule.id.clone()),
            filter: rule.filter(|rule| rule.filter.is_some()).map(Rule::filter_id),
            measure,
            window,
            wants_tone: false,
            novelty: None,
            live: BTreeMap::new(),
            past: BTreeMap::new(),
            values: HashMap::new(),
            authors: HashMap::new(),
            bucket: None,
        }
    }

    /// What a rule counts for itself, if anything.
    fn of(rule: &Rule) -> Option<Self> {
        let own = rule.own_series().map(|(measure, window)| Self::new(Some(rule), measure, window));
        if let Some(window) = rule.condition.summed_window() {
            let series = own.unwrap_or_else(|| Self::new(Some(rule), Measure::Mentions, window));
            return Some(Self { wants_tone: true, ..series });
        }
        match &rule.condition {
            Condition::Novelty(novelty) => {
                let series = Self::new(Some(rule), Measure::Mentions, Window::Hour);
                Some(Self { novelty: Some(novelty.clone()), ..series })
            }
            _ => own,
        }
    }

    fn add(&mut self, signal: &Signal, subject: &SubjectSignal, request: &RebuildRequest, zone: &TimeZone) {
        if self.filter.as_ref().is_some_and(|filter| !signal.matched.contains(filter)) {
            return;
        }
        if self.novelty.is_some() {
            return self.remember(signal, subject, request.until);
        }
        let at = signal.event_time;
        let bucket = match self.bucket {
            Some(bucket) if (bucket.start..bucket.end).contains(&at) => bucket,
            _ => bucket_of(self.window, zone, at),
        };
        self.bucket = Some(bucket);
        let once = match signal.counted_by(self.measure, subject) {
            Counted::Not => return,
            Counted::Each => None,
            Counted::Once(key) => Some(key),
        };
        let cells = if signal.origin == Origin::Live { &mut self.live } else { &mut self.past };
        let cell = cells.entry(bucket.start).or_default();
        cell.count += u32::from(once.is_none_or(|key| cell.counted.insert(key)));
        if self.wants_tone {
            cell.tone.add(subject.polarity, signal.accounts());
        }
    }

    /// Remembers what was there, so that it is not called new.
    fn remember(&mut self, signal: &Signal, subject: &SubjectSignal, until: Timestamp) {
        let Some(novelty) = &self.novelty else { return };
        let at = signal.event_time;
        let value = match novelty.of {
            NoveltyOf::Story => signal.story_about(subject).map(|story| story.short()),
            NoveltyOf::Source => Some(signal.short_source()),
        };
        let is_recent = at >= until.plus_millis(-HEARD_MS);
        if let Some(value) = value.filter(|_| is_recent || novelty.of == NoveltyOf::Source) {
            hear(&mut self.values, value, at);
        }
        if let Some(author) = signal.author.filter(|_| is_recent && novelty.new_authors_share_at_least > 0.0)
        {
            hear(&mut self.authors, author.short(), at);
        }
    }

    fn into_sums(mut self) -> (BucketsOf, Vec<u64>, Vec<u64>) {
        // What spreads need not be new: it is known where it may have spread before.
        if let Some(novelty) = self.novelty.as_ref().filter(|novelty| novelty.spreads) {
            self.values.retain(|_, heard| heard.mentions >= novelty.mentions_at_least);
        }
        let starts: BTreeSet<Timestamp> = self.live.keys().chain(self.past.keys()).copied().collect();
        let count = |cells: &BTreeMap<Timestamp, Cell>, start: &Timestamp| {
            cells.get(start).map_or(0, |cell| cell.count)
        };
        let bucket = |start: &Timestamp| RebuiltBucket {
            start: *start,
            live: count(&self.live, start),
            past: count(&self.past, start),
            tone: self.live.get(start).filter(|_| self.wants_tone).map(|cell| cell.tone),
        };
        let all = starts.iter().map(bucket).collect();
        (BucketsOf { rule: self.rule, window: self.window, all }, newest(self.values), newest(self.authors))
    }
}

fn hear(heard: &mut HashMap<u64, Heard>, key: u64, at: Timestamp) {
    let heard = heard.entry(key).or_default();
    heard.mentions += 1;
    heard.last = at.max(heard.last);
}

/// The keys that were heard more than once, then those that were heard last; in their order.
fn newest(heard: HashMap<u64, Heard>) -> Vec<u64> {
    let mut heard: Vec<(bool, Timestamp, u64)> =
        heard.into_iter().map(|(key, heard)| (heard.mentions > 1, heard.last, key)).collect();
    heard.sort_unstable_by(|one, other| other.cmp(one));
    heard.truncate(MOST_KEYS);
    let mut keys: Vec<u64> = heard.into_iter().map(|(_, _, key)| key).collect();
    keys.sort_unstable();
    keys
}
