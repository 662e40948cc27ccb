//! The historic fold: what imports and first reads brought goes through the same fold, sorted by event time.
//!
//! It opens alerts marked historic, which are shown and never delivered, and hands its counts over as
//! baselines. Its result is a function of the log up to the record that asked for it, so a crash in between is
//! repaired by running it again.
//!
//! **Where the past was observed.** An import observes the time from its first mention to its last, to whole
//! hours (an export is cut at a full hour, and its first mention comes some minutes later), for each subject
//! that it names; the first read of a feed, which holds the feed's newest entries only, observes
//! nothing. Hours and days without observation are unknown, not zero.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use earshot_common::definitions::{FILTER_PREFIX, Watchlist};
use earshot_common::events::{
    AlertEvent, History, Lane, Origin, RawPosition, ReachUnit, SchemaVersion, Signal, SubjectSignal,
};
use earshot_common::keys::{AuthorKey, MentionKey, StoryKey};
use earshot_common::time::Timestamp;

use crate::fold::{Cause, DeskSet, HistoryDue, State};

/// Every mention of the past that the log holds, each once in its newest revision.
#[derive(Debug, Default)]
pub struct Past {
    mentions: HashMap<MentionKey, PastMention>,
    names: Names,
    /// From the first to the last event time that each source brought.
    extents: BTreeMap<u32, Range<Timestamp>>,
}

/// What the historic fold found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Transitions, all historic.
    pub events: Vec<AlertEvent>,
    /// Counts, for each rule and subject that was wanted.
    pub histories: Vec<History>,
}

/// A signal without what repeats: millions of them are in memory at once.
#[derive(Debug)]
pub(crate) struct PastMention {
    revision: i64,
    origin: Origin,
    author: Option<AuthorKey>,
    story: Option<StoryKey>,
    pub(crate) event_time: Timestamp,
    reach: Option<u64>,
    reach_unit: Option<ReachUnit>,
    desks: DeskSet,
    /// Subjects and searches that count.
    subjects: Box<[PastSubject]>,
    /// Filters that matched.
    filters: Box<[u32]>,
    source: u32,
    lexicon: u32,
}

/// One subject of it.
#[derive(Clone, Copy, Debug)]
struct PastSubject {
    number: u32,
    polarity: f32,
    /// The risks that are said of it, as one name: there are few such lists.
    risks: u32,
    passing: bool,
}

/// Names by number.
#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Past {
    /// Takes a signal in, if it is of the past.
    pub fn take(&mut self, signal: &Signal) {
        if signal.origin != Origin::History {
            return;
        }
        let source = self.names.number(&signal.source);
        let extent = self.extents.entry(source).or_insert(signal.event_time..signal.event_time);
        extent.start = extent.start.min(signal.event_time);
        extent.end = extent.end.max(signal.event_time);

        let known = self.mentions.get(&signal.mention);
        if known.is_some_and(|known| known.revision >= signal.revision) {
            return;
        }
        let mention = self.names.compact(signal);
        self.mentions.insert(signal.mention, mention);
    }

    /// Folds the past with these definitions.
    pub fn fold(&self, watchlist: &Watchlist, due: &HistoryDue) -> Found {
        let cause = Cause { offset: due.offset, appended: due.appended, transitions: 0 };
        let mut state = State::of_the_past(watchlist, &self.spans(&due.imports), cause);
        let mut order: Vec<(Timestamp, MentionKey)> =
            self.mentions.iter().map(|(key, mention)| (mention.event_time, *key)).collect();
        order.sort_unstable();
        let mut events = Vec::new();
        for (_, key) in order {
            events.extend(state.past_mention(&self.names.signal(key, &self.mentions[&key]), false));
        }
        if let Some(end) = self.extents.values().map(|extent| whole_hours(extent).end).max() {
            events.extend(state.end_of_the_past(end));
        }

        let mut histories = state.histories();
        let wanted = |rule: &str, subject: &str| due.wanted.contains(&(rule.to_owned(), subject.to_owned()));
        events.retain(|event| wanted(&event.rule, &event.subject));
        histories.retain(|history| wanted(&history.rule, &history.subject));
        Found { events, histories }
    }

    /// When each subject was observed: the extents of the imports that name it, joined where they overlap.
    fn spans(&self, imports: &BTreeSet<String>) -> BTreeMap<String, Vec<Range<Timestamp>>> {
        let mut sources: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for mention in
            self.mentions.values().filter(|mention| imports.contains(self.names.name(mention.source)))
        {
            for subject in &mention.subjects {
                sources.entry(subject.number).or_default().insert(mention.source);
            }
        }
        let mut spans = BTreeMap::new();
        for (subject, sources) in sources {
            let extents =
                sources.iter().filter_map(|source| self.extents.get(source)).map(whole_hours).collect();
            spans.insert(self.names.name(subject).to_owned(), joined(extents));
        }
        spans
    }
}

impl Names {
    /// What the fold over the past needs of a signal.
    pub(crate) fn compact(&mut self, signal: &Signal) -> PastMention {
        let mut subjects = Vec::new();
        for subject in signal.concerned() {
            let (number, risks) = (self.number(&subject.id), self.number(&subject.risk.join(" ")));
            subjects.push(PastSubject {
                number,
                polarity: subject.polarity,
                risks,
                passing: subject.passing,
            });
        }
        let filters = signal.matched.iter().filter(|id| id.starts_with(FILTER_PREFIX));
        let filters: Vec<u32> = filters.map(|id| self.number(id)).collect();
        PastMention {
            revision: signal.revision,
            origin: signal.origin,
            author: signal.author,
            story: signal.story,
            event_time: signal.event_time,
            reach: signal.reach,
            reach_unit: signal.reach_unit,
            desks: DeskSet::of(&signal.desks),
            subjects: subjects.into_boxed_slice(),
            filters: filters.into_boxed_slice(),
            source: self.number(&signal.source),
            lexicon: self.number(&signal.lexicon),
        }
    }

    /// The signal again, as far as the fold over the past needs it.
    pub(crate) fn signal(&self, key: MentionKey, mention: &PastMention) -> Signal {
        let subject = |subject: &PastSubject| SubjectSignal {
            id: self.name(subject.number).to_owned(),
            polarity: subject.polarity,
            risk: self.name(subject.risks).split_whitespace().map(str::to_owned).collect(),
            lane: Lane::Sure,
            passing: subject.passing,
        };
        Signal {
            v: SchemaVersion::default(),
            mention: key,
            revision: mention.revision,
            author: mention.author,
            origin: mention.origin,
            story: mention.story,
            event_time: mention.event_time,
            subjects: mention.subjects.iter().map(subject).collect(),
            polarity: None,
            risk: Vec::new(),
            desks: mention.desks.names(),
            reach: mention.reach,
            reach_unit: mention.reach_unit,
            matched: mention.filters.iter().map(|id| self.name(*id).to_owned()).collect(),
            source: self.name(mention.source).to_owned(),
            raw: RawPosition { partition: 0, offset: 0 },
            raw_appended: None,
            watchlist: 0,
            lexicon: self.name(mention.lexicon).to_owned(),
        }
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }
}

/// A span widened to whole hours.
pub(crate) fn whole_hours(extent: &Range<Timestamp>) -> Range<Timestamp> {
    const HOUR_MS: i64 = 3_600_000;
    let hours = |at: Timestamp| at.as_millis().div_euclid(HOUR_MS);
    Timestamp::from_millis(hours(extent.start) * HOUR_MS)
        ..Timestamp::from_millis((hours(extent.end) + 1) * HOUR_MS)
}

/// Spans in order, joined where they touch.
pub(crate) fn joined(mut spans: Vec<Range<Timestamp>>) -> Vec<Range<Timestamp>> {
    spans.sort_by_key(|span| (span.start, span.end));
    let mut joined: Vec<Range<Timestamp>> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    joined
}
