//! The evidence of an alert, counted again from `signals` with plain sets, not with the fold's counters.
//!
//! What the log no longer holds cannot be counted, and that is said. Of a transition that raises a live alert the
//! numbers must be exactly those at its cause. One that ends it may tell numbers of some time before, so there must
//! be at least as many; and so for the past, where the order of event time decided.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use earshot_common::definitions::{Definition, Search};
use earshot_common::events::{
    AlertEvent, Arithmetic, CountArithmetic, DefinitionVersion, EachArithmetic, Origin, Signal, SignalRecord,
    Transition,
};
use earshot_common::keys::{AuthorKey, MentionKey};
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;

use super::Place;
use super::arithmetic::{begins, raises};
use super::verify::Check;
use crate::fold::{MOST_AUTHORS, Memory, Novelty, State, bucket_end, window_of};

/// What `signals` holds of the mentions of one alert.
#[derive(Debug)]
pub(crate) struct Recount {
    subject: String,
    definition: String,
    origin: Origin,
    /// What else is in the log was not there yet, or is no evidence.
    offsets: RangeInclusive<u64>,
    /// What is earlier in event time is no evidence.
    from: Timestamp,
    evidence: BTreeSet<MentionKey>,
    /// The oldest record of the log.
    first: Option<Place>,
    /// Where the subject's counts began anew, and in which zone.
    beginnings: Vec<(u64, String)>,
    /// Whether the subject is in force, as far as the log is read.
    in_force: bool,
    seen: Vec<Seen>,
    /// Which mentions were counted already, in this window or one before.
    memory: Memory,
    /// The latest event time so far.
    newest: Timestamp,
    /// Folds nothing but the progress of enrichment, for the log's clock.
    clock: State,
}

/// A mention, as far as evidence needs it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    offset: u64,
    mention: MentionKey,
    revision: i64,
    author: Option<AuthorKey>,
    event_time: Timestamp,
    polarity: f32,
    reach: Option<u64>,
    /// Whether it was the first of its mention, which is the one that counts live.
    is_new: bool,
}

impl Recount {
    /// Nothing read yet, for an alert with these transitions.
    pub(crate) fn of(transitions: &[AlertEvent]) -> Option<Self> {
        let (opening, last) = (transitions.first()?, transitions.last()?);
        let definition = match opening.subject.strip_prefix(&Search::subject_id("")) {
            Some(search) => format!("search/{search}"),
            None => format!("subject/{}", opening.subject),
        };
        let (first_offset, from) = match &opening.arithmetic {
            // A mention that came late may match too.
            Arithmetic::Each(_) if !opening.historic => {
                (opening.signals.offset, Timestamp::from_millis(i64::MIN))
            }
            Arithmetic::Each(_) | Arithmetic::Count(_) => (0, begins(opening)),
        };
        Some(Self {
            subject: opening.subject.clone(),
            definition,
            origin: if opening.historic { Origin::History } else { Origin::Live },
            offsets: first_offset..=last.signals.offset,
            from,
            evidence: transitions.iter().flat_map(|event| event.evidence.iter().copied()).collect(),
            first: None,
            beginnings: Vec::new(),
            in_force: false,
            seen: Vec::new(),
            memory: Memory::of_counted(),
            newest: Timestamp::default(),
            clock: State::new(),
        })
    }

    /// Takes a record in, in the order of the log.
    pub(crate) fn take(&mut self, place: Place, record: &SignalRecord) {
        if self.first.is_none() {
            self.first = Some(place);
        }
        match record {
            SignalRecord::Signal(signal) => self.signal(place, signal),
            SignalRecord::Definition(version) if version.id == self.definition => self.define(place, version),
            SignalRecord::Progress(_) => drop(self.clock.apply(place.offset, place.appended, record)),
            _ => {}
        }
    }

    fn signal(&mut self, place: Place, signal: &Signal) {
        if signal.origin != self.origin {
            return;
        }
        self.newest = self.newest.max(signal.event_time);
        let now = self.clock.clock().unwrap_or_default().max(self.newest);
        let mut concerned = signal.concerned();
        concerned.retain(|subject| subject.id == self.subject);
        for subject in concerned {
            let is_new = self.memory.take(signal.mention, signal.revision, now) == Novelty::New;
            let is_evidence = signal.event_time >= self.from || self.evidence.contains(&signal.mention);
            if self.offsets.contains(&place.offset) && is_evidence {
                self.seen.push(Seen {
                    offset: place.offset,
                    mention: signal.mention,
                    revision: signal.revision,
                    author: signal.author,
                    event_time: signal.event_time,
                    polarity: subject.polarity,
                    reach: signal.reach,
                    is_new,
                });
            }
        }
    }

    /// A subject that comes into force, or moves to another zone, is counted from there on. A copy in a log that
    /// has lost its oldest records is not the first.
    fn define(&mut self, place: Place, version: &DefinitionVersion) {
        let zone = match &version.definition {
            Some(Definition::Subject(subject)) => subject.zone.clone(),
            Some(Definition::Search(search)) => search.zone.clone(),
            _ => {
                self.in_force = false;
                return;
            }
        };
        let goes_on = self.beginnings.last().is_some_and(|(_, known)| *known == zone) && self.in_force;
        if !goes_on {
            let is_first_copy =
                self.beginnings.is_empty() && self.first.is_some_and(|first| first.offset > 0);
            self.beginnings.push((if is_first_copy { 0 } else { place.offset }, zone));
            if !is_first_copy {
                self.memory = Memory::of_counted();
            }
        }
        self.in_force = true;
    }

    /// Counts the evidence of a transition again.
    pub(crate) fn checks(&self, event: &AlertEvent, opening: &AlertEvent) -> Vec<Check> {
        if let Some(why) = self.gone(event) {
            return vec![Check::not_possible("evidence", event.evidence.len(), why)];
        }
        let (begin, zone) = self.beginning(event.signals.offset);
        let until_then: Vec<&Seen> =
            self.seen.iter().filter(|seen| (begin..=event.signals.offset).contains(&seen.offset)).collect();
        let mentions: BTreeSet<MentionKey> = until_then.iter().map(|seen| seen.mention).collect();
        let found = event.evidence.iter().filter(|mention| mentions.contains(mention)).count();
        let mut checks = vec![Check::of("evidence in `signals`", event.evidence.len(), found)];
        match &event.arithmetic {
            Arithmetic::Count(count) => checks.extend(counted_again(event, count, &until_then, &zone)),
            Arithmetic::Each(each) => checks.extend(matched_again(event, opening, each, &until_then)),
        }
        checks
    }

    /// Why the log cannot say anything of a transition.
    fn gone(&self, event: &AlertEvent) -> Option<String> {
        let Some(first) = self.first else { return Some("`signals` is empty".to_owned()) };
        let begins_at = format!("`signals` begins at {}", first.appended);
        if event.signals.offset < first.offset || event.decided < first.appended {
            return Some(format!("{begins_at}, after this was decided"));
        }
        if first.offset > 0 && (event.historic || begins(event) < first.appended) {
            return Some(format!("{begins_at}, and some of the mentions may have been before it"));
        }
        None
    }

    fn beginning(&self, offset: u64) -> (u64, TimeZone) {
        let beginning = self.beginnings.iter().rfind(|(begin, _)| *begin <= offset);
        let zone = beginning.and_then(|(_, zone)| TimeZone::get(zone).ok());
        (beginning.map_or(0, |(begin, _)| *begin), zone.unwrap_or(TimeZone::UTC))
    }
}

/// Mentions and authors of the window, each once.
fn counted_again(event: &AlertEvent, count: &CountArithmetic, seen: &[&Seen], zone: &TimeZone) -> Vec<Check> {
    let Some((window, start)) = window_of(&count.window) else { return Vec::new() };
    let mut mentions: BTreeMap<MentionKey, &Seen> = BTreeMap::new();
    for seen in seen.iter().filter(|seen| event.historic || seen.is_new) {
        let known = mentions.entry(seen.mention).or_insert(seen);
        // The past knows each mention in its newest revision, and the live stream as it came first.
        if event.historic && known.revision < seen.revision {
            *known = seen;
        }
    }
    let within = start..bucket_end(window, zone, start);
    mentions.retain(|_, seen| within.contains(&seen.event_time));
    let authors: BTreeSet<Option<AuthorKey>> = mentions.values().map(|seen| seen.author).collect();
    let unknown = usize::from(authors.contains(&None));
    let authors = (authors.len() - unknown).min(MOST_AUTHORS) + unknown;

    let is_exact = !event.historic && raises(event.transition);
    let mut checks = vec![
        again("mentions in the window", count.observed, mentions.len(), is_exact),
        // Authors of a window that closed long ago are forgotten, so only the opening is sure to have them all.
        again("distinct authors", count.authors, authors, is_exact && event.transition == Transition::Opened),
    ];
    if is_exact && event.transition == Transition::Opened {
        let strongest = mentions.values().min_by(|a, b| {
            let by_polarity = a.polarity.total_cmp(&b.polarity);
            by_polarity.then(b.event_time.cmp(&a.event_time)).then(a.mention.cmp(&b.mention))
        });
        let first = |mention: Option<MentionKey>| mention.map_or("none".to_owned(), |key| key.to_string());
        checks.push(Check::of(
            "the most negative mention",
            first(event.evidence.first().copied()),
            first(strongest.map(|seen| seen.mention)),
        ));
    }
    checks
}

/// The mention that caused it, and those that matched since the opening.
fn matched_again(
    event: &AlertEvent,
    opening: &AlertEvent,
    each: &EachArithmetic,
    seen: &[&Seen],
) -> Vec<Check> {
    let is_it = |seen: &&&Seen| seen.polarity == each.polarity && seen.reach == each.reach;
    let caused = !event.historic && raises(event.transition);
    let told = format!("{} with reach {}", each.polarity, reach(each.reach));
    let mention = match caused {
        true => seen.iter().find(|seen| seen.offset == event.signals.offset),
        false => seen.iter().find(is_it),
    };
    let found = mention.map_or("no such mention".to_owned(), |seen| {
        format!("{} with reach {}", seen.polarity, reach(seen.reach))
    });
    let satisfies = |seen: &&&Seen| {
        seen.polarity <= each.polarity_at_most && seen.reach.is_some_and(|reach| reach >= each.reach_at_least)
    };
    let since_opening = |seen: &&&Seen| event.historic || seen.offset >= opening.signals.offset;
    let matched: BTreeSet<MentionKey> =
        seen.iter().filter(since_opening).filter(satisfies).map(|seen| seen.mention).collect();
    vec![
        Check::of("polarity of the mention", told, found),
        // One that matched before the opening, or that the rule's filter left out, is among those found.
        again("matches since the opening", each.matched, matched.len(), false),
    ]
}

fn reach(reach: Option<u64>) -> String {
    reach.map_or("unknown".to_owned(), |reach| reach.to_string())
}

/// A count that must be what was told, or no less.
fn again(what: &str, told: u32, found: usize, is_exact: bool) -> Check {
    match is_exact {
        true => Check::of(what, told, found),
        false => Check::that(&format!("{what}, at least"), told, found >= told as usize, found),
    }
}
