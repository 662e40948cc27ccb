//! The evidence of an alert, counted again from `signals` with plain sets, not with the fold's counters.
//!
//! What the log no longer holds cannot be counted, and that is said. Of a transition that raises a live alert the
//! numbers must be exactly those at its cause. One that ends it may tell numbers of some time before, so there must
//! be at least as many; and so for the past, where the order of event time decided.

use std::collections::{BTreeMap, BTreeSet};

use earshot_common::definitions::{Definition, FILTER_PREFIX, Rule, Search};
use earshot_common::events::{
    AlertEvent, Arithmetic, DefinitionVersion, History, NoveltyOf, Origin, SchemaVersion, Signal,
    SignalRecord, SourceHealth, SourceStatus, SubjectSignal,
};
use earshot_common::keys::{AuthorKey, MentionKey};
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;

use super::Place;
use super::arithmetic::begins;
use super::before::{Before, Bursts, not_counted};
use super::numbers::Counted;
use super::verify::Check;
use crate::fold::{DeskSet, Folded, Memory, Novelty, Sources, State};

/// So many mentions of an alert are held at most: half a gigabyte.
const MOST_SEEN: usize = 4_000_000;

/// What `signals` holds of the mentions of one alert.
#[derive(Debug)]
pub(crate) struct Recount {
    subject: String,
    definition: String,
    rule: String,
    /// What a signal names the rule's filter by.
    filter: String,
    /// What an alert about something new can be about, and what it was.
    values: Option<(NoveltyOf, BTreeSet<String>)>,
    origin: Origin,
    /// What else is in the log was not there yet, or is no evidence.
    last: u64,
    /// What is earlier in event time is no evidence, but for what came from here on.
    from: Timestamp,
    late_from: u64,
    evidence: BTreeSet<MentionKey>,
    /// The oldest record of the log.
    first: Option<Place>,
    /// Where the subject's counts began anew, and in which zone.
    beginnings: Vec<(u64, String)>,
    /// Whether the subject is in force, as far as the log is read.
    in_force: bool,
    /// What the rule asked for, one version after the other.
    rules: Vec<Version>,
    /// Whether the rule watches the subject, as far as the log is read.
    watches: bool,
    /// Until when the subject's mentions were counted anew elsewhere, and where in the log that stands.
    rebuilt: Vec<(u64, Timestamp)>,
    sources: Sources,
    /// Where mentions of a source stand that was too young to count.
    young: Vec<(u64, Timestamp)>,
    /// The sources that an alert is about, and what they said of themselves.
    sources_told: BTreeSet<String>,
    health: Vec<(u64, SourceHealth)>,
    /// What imports told of the rule and the subject.
    histories: Vec<(u64, History)>,
    seen: Vec<Seen>,
    /// Whether there are too many to be held.
    too_many: bool,
    /// The competitors of a rule about ranks, each with which of its mentions were counted already.
    competitors: BTreeMap<String, Memory>,
    of_competitors: Vec<OfCompetitor>,
    /// The zone of each competitor in force.
    zones: BTreeMap<String, String>,
    /// Which mentions were counted already, in this window or one before.
    memory: Memory,
    /// How far each partition of `mentions.raw` is folded.
    folded: BTreeMap<u32, Folded>,
    /// What the counts were compared with.
    before: Option<Before>,
    /// The latest event time so far.
    newest: Timestamp,
    /// Folds nothing but the progress of enrichment, for the log's clock.
    clock: State,
}

/// What a rule asked for.
#[derive(Clone, Debug)]
struct Version {
    /// From where in the log on.
    begin: u64,
    /// Where it began to count for itself: a version before may have counted the same.
    counts_from: u64,
    rule: Rule,
}

/// A mention, as far as evidence needs it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) offset: u64,
    pub(super) mention: MentionKey,
    pub(super) revision: i64,
    pub(super) author: Option<AuthorKey>,
    /// A short key of its story, or of itself where it has none; nothing where that is not about the subject.
    pub(super) story: Option<u64>,
    pub(super) event_time: Timestamp,
    pub(super) polarity: f32,
    pub(super) reach: Option<u64>,
    /// Accounts that could have seen it, as far as is known.
    pub(super) accounts: Option<u64>,
    /// The risks that are said of the subject.
    pub(super) risk: Vec<String>,
    pub(super) desks: DeskSet,
    /// Whether the rule's filter matched.
    pub(super) matched: bool,
    /// What it says that was new.
    pub(super) value: Option<String>,
    /// Whether it was the first of its mention, which is the one that counts live.
    pub(super) is_new: bool,
}

/// A mention of a competitor.
#[derive(Clone, Debug)]
pub(super) struct OfCompetitor {
    pub(super) offset: u64,
    pub(super) id: String,
    pub(super) mention: MentionKey,
    pub(super) event_time: Timestamp,
}

impl Recount {
    /// Nothing read yet, for an alert with these transitions; with the bursts of its rule and subject.
    pub(crate) fn of(transitions: &[AlertEvent], bursts: Bursts) -> Option<Self> {
        let opening = transitions.first()?;
        let last = transitions.iter().map(|event| event.signals.offset).max()?;
        let definition = match opening.subject.strip_prefix(&Search::subject_id("")) {
            Some(search) => format!("search/{search}"),
            None => format!("subject/{}", opening.subject),
        };
        let always = Timestamp::from_millis(i64::MIN);
        let from = match &opening.arithmetic {
            Arithmetic::Novelty(_) => always,
            // A later transition may be about the hour before, too.
            _ => transitions.iter().map(begins).min().unwrap_or_else(|| begins(opening)),
        };
        // A mention that came late may match too.
        let takes_late = matches!(opening.arithmetic, Arithmetic::Each(_)) && !opening.historic;
        let late_from = if takes_late { opening.signals.offset } else { u64::MAX };
        Some(Self {
            rule: format!("rule/{}", opening.rule),
            filter: format!("{FILTER_PREFIX}{}", opening.rule),
            values: values(transitions),
            rules: Vec::new(),
            watches: false,
            rebuilt: Vec::new(),
            sources: Sources::default(),
            young: Vec::new(),
            sources_told: sources_told(transitions),
            health: Vec::new(),
            histories: Vec::new(),
            competitors: competitors(transitions),
            of_competitors: Vec::new(),
            zones: BTreeMap::new(),
            subject: opening.subject.clone(),
            definition,
            origin: if opening.historic { Origin::History } else { Origin::Live },
            last,
            from,
            late_from,
            evidence: transitions.iter().flat_map(|event| event.evidence.iter().copied()).collect(),
            first: None,
            beginnings: Vec::new(),
            in_force: false,
            seen: Vec::new(),
            too_many: false,
            memory: Memory::of_counted(),
            folded: BTreeMap::new(),
            before: Before::of(transitions, bursts),
            newest: Timestamp::default(),
            clock: State::new(),
        })
    }

    /// Takes a record in, in the order of the log.
    pub(crate) fn take(&mut self, place: Place, record: &SignalRecord) {
        if self.first.is_none() {
            self.first = Some(place);
        }
        self.sources.begin(place.appended);
        match record {
            SignalRecord::Signal(signal) => self.signal(place, signal),
            SignalRecord::Rebuilt(rebuilt) if rebuilt.subject == self.subject && rebuilt.last => {
                self.rebuilt.push((place.offset, rebuilt.until));
            }
            SignalRecord::Definition(version) if version.id.starts_with("source/") => {
                self.sources.note(&version.id["source/".len()..], place.appended);
            }
            SignalRecord::Definition(version) if version.id == self.definition => self.define(place, version),
            SignalRecord::Definition(version) if version.id == self.rule => self.define_rule(place, version),
            SignalRecord::Definition(version) => {
                self.define_competitor(version);
                self.define_source(place, version);
            }
            SignalRecord::History(history) if history.subject == self.subject && self.is_of_rule(history) => {
                self.histories.push((place.offset, history.clone()));
            }
            SignalRecord::SourceHealth(health) if self.sources_told.contains(&health.source) => {
                self.health.push((place.offset, health.clone()));
            }
            SignalRecord::Progress(_) => {
                self.clock.apply(place.offset, place.appended, record);
                if let (true, Some(before), Some(clock)) =
                    (self.in_force, &mut self.before, self.clock.clock())
                {
                    before.pass_to(clock);
                }
            }
            _ => {}
        }
        if let Some(before) = &mut self.before {
            let elsewhere = |from| counted_anew(&self.rebuilt, &self.young, !self.histories.is_empty(), from);
            before.note(place.offset, &self.histories, elsewhere);
        }
    }

    fn signal(&mut self, place: Place, signal: &Signal) {
        let is_live = signal.origin == Origin::Live;
        // What is behind its partition's offset was delivered before.
        let is_behind = !self.folded.entry(signal.raw.partition).or_default().is_new(signal) && is_live;
        if signal.origin != self.origin || is_behind {
            return;
        }
        let is_young = is_live && self.sources.note(&signal.source, place.appended).is_some();
        self.newest = self.newest.max(signal.event_time);
        let now = self.clock.clock().unwrap_or_default().max(self.newest);
        let mut concerned = signal.concerned();
        self.of_competitors(place, signal, &concerned, now);
        concerned.retain(|subject| subject.id == self.subject);
        for mut subject in concerned {
            if is_young {
                self.young.push((place.offset, signal.event_time));
            }
            let is_new = self.memory.take(signal.mention, signal.revision, now) == Novelty::New;
            let matched = signal.matched.contains(&self.filter);
            if let (true, Some(before)) = (is_new && !is_young, &mut self.before) {
                before.count(signal, &subject, matched, now);
            }
            let value = self.values.as_ref().and_then(|(of, values)| {
                let value = match of {
                    NoveltyOf::Story => signal.story_about(&subject)?.to_string(),
                    NoveltyOf::Source => signal.source.clone(),
                };
                values.contains(&value).then_some(value)
            });
            let is_asked_for = match self.values {
                Some(_) => value.is_some(),
                None => signal.event_time >= self.from || place.offset >= self.late_from,
            };
            let is_evidence = is_asked_for || self.evidence.contains(&signal.mention);
            if self.seen.len() >= MOST_SEEN {
                (self.seen, self.too_many) = (Vec::new(), true);
            }
            if place.offset <= self.last && is_evidence && !self.too_many {
                self.seen.push(Seen {
                    offset: place.offset,
                    mention: signal.mention,
                    revision: signal.revision,
                    author: signal.author,
                    story: signal.short_story(&subject),
                    event_time: signal.event_time,
                    polarity: subject.polarity,
                    reach: signal.reach,
                    accounts: signal.accounts(),
                    risk: std::mem::take(&mut subject.risk),
                    desks: DeskSet::of(&signal.desks),
                    matched,
                    value,
                    is_new,
                });
            }
        }
    }

    fn of_competitors(&mut self, place: Place, signal: &Signal, concerned: &[SubjectSignal], now: Timestamp) {
        for subject in concerned {
            let Some(memory) = self.competitors.get_mut(&subject.id) else { continue };
            let is_new = memory.take(signal.mention, signal.revision, now) == Novelty::New;
            let is_asked_for = signal.event_time >= self.from && place.offset <= self.last;
            if is_new && is_asked_for && self.of_competitors.len() < MOST_SEEN {
                self.of_competitors.push(OfCompetitor {
                    offset: place.offset,
                    id: subject.id.clone(),
                    mention: signal.mention,
                    event_time: signal.event_time,
                });
            }
        }
    }

    /// A competitor that comes into force is counted from there on; copies of a definition in force change nothing.
    fn define_competitor(&mut self, version: &DefinitionVersion) {
        let Some(id) = version.id.strip_prefix("subject/").filter(|id| self.competitors.contains_key(*id))
        else {
            return;
        };
        let begins = match &version.definition {
            Some(Definition::Subject(subject)) => {
                self.zones.insert(id.to_owned(), subject.zone.clone()).is_none_or(|zone| zone != subject.zone)
            }
            _ => {
                self.zones.remove(id);
                true
            }
        };
        if begins && self.first.is_some_and(|first| first.offset == 0) {
            self.competitors.insert(id.to_owned(), Memory::of_counted());
            self.of_competitors.retain(|of| of.id != id);
        }
    }

    /// Nobody asks a source that is retired: it fails no longer.
    fn define_source(&mut self, place: Place, version: &DefinitionVersion) {
        let Some(source) = version.id.strip_prefix("source/").filter(|_| version.definition.is_none()) else {
            return;
        };
        if !self.sources_told.contains(source) {
            return;
        }
        let health = SourceHealth {
            v: SchemaVersion::default(),
            source: source.to_owned(),
            state: SourceStatus::Healthy,
            reason: None,
            raw: Vec::new(),
            at: place.appended,
        };
        self.health.push((place.offset, health));
    }

    fn is_of_rule(&self, history: &History) -> bool {
        self.rule.strip_prefix("rule/") == Some(history.rule.as_str())
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
            if let Some(before) = &mut self.before {
                before.subject_begins(place.offset, !is_first_copy, &zone, self.clock.clock());
            }
            self.beginnings.push((if is_first_copy { 0 } else { place.offset }, zone));
            if !is_first_copy {
                self.memory = Memory::of_counted();
            }
        }
        self.in_force = true;
    }

    /// A rule that comes into force for the subject, or is to count something else, counts for itself from there on.
    fn define_rule(&mut self, place: Place, version: &DefinitionVersion) {
        let rule = match &version.definition {
            Some(Definition::Rule(rule)) if rule.watches(&self.subject) => rule,
            _ => {
                self.watches = false;
                return;
            }
        };
        let last = self.rules.last().filter(|_| self.watches);
        if !last.is_some_and(|last| last.rule.asks_for_the_same(rule)) {
            let is_first_copy = self.rules.is_empty() && self.first.is_some_and(|first| first.offset > 0);
            let begin = if is_first_copy { 0 } else { place.offset };
            let goes_on = last.filter(|last| last.rule.counts_the_same(rule));
            let counts_from = goes_on.map_or(begin, |last| last.counts_from);
            if let Some(before) = self.before.as_mut().filter(|_| goes_on.is_none()) {
                before.rule_begins(place.offset, !is_first_copy, self.clock.clock());
            }
            self.rules.push(Version { begin, counts_from, rule: rule.clone() });
        }
        self.watches = true;
    }

    /// The version of the rule that decided.
    fn rule_of(&self, event: &AlertEvent, raised_at: u64) -> Option<&Version> {
        let asked = |version: &&Version| {
            version.begin <= raised_at && version.rule.to_string() == event.definition.rule
        };
        self.rules.iter().rev().find(asked)
    }

    /// Counts the evidence of a transition again.
    pub(crate) fn checks(&self, event: &AlertEvent, opening: &AlertEvent) -> Vec<Check> {
        if let Some(why) = self.gone(event) {
            return vec![Check::not_possible("evidence", event.evidence.len(), why)];
        }
        // What does not raise the alert carries numbers of before, which another subject or rule may have counted.
        let raised_at = if event.transition.raises() { event.signals.offset } else { opening.signals.offset };
        let (begin, zone) = self.beginning(raised_at);
        let until_then: Vec<&Seen> =
            self.seen.iter().filter(|seen| (begin..=event.signals.offset).contains(&seen.offset)).collect();
        let mentions: BTreeSet<MentionKey> = until_then.iter().map(|seen| seen.mention).collect();
        let found = event.evidence.iter().filter(|mention| mentions.contains(mention)).count();
        let mut checks = vec![Check::of("evidence in `signals`", event.evidence.len(), found)];
        checks.extend(desks(event, &until_then));
        let Some(Version { counts_from, rule, .. }) = self.rule_of(event, raised_at) else {
            let why = "`signals` does not hold the rule that decided";
            checks.push(Check::not_possible("numbers", &event.definition.rule, why));
            return checks;
        };
        if let Some(why) = self.counted_elsewhere(event) {
            checks.push(Check::not_possible("numbers", &event.definition.rule, why));
            return checks;
        }
        let health = self.health.iter().filter(|(offset, _)| *offset <= event.signals.offset);
        let health: Vec<&SourceHealth> = health.map(|(_, health)| health).collect();
        let histories = self.histories.iter().filter(|(offset, _)| *offset <= event.signals.offset);
        let histories: Vec<&History> = histories.map(|(_, history)| history).collect();
        let of_competitors = self.of_competitors.iter().filter(|of| of.offset <= event.signals.offset);
        let of_competitors: Vec<&OfCompetitor> = of_competitors.collect();
        let counted = Counted {
            event,
            opening,
            rule,
            counts_from: *counts_from,
            seen: &until_then,
            zone: &zone,
            histories: &histories,
            of_competitors: &of_competitors,
        };
        checks.extend(counted.checks(&health));
        match (&self.before, &event.arithmetic) {
            (Some(before), Arithmetic::Count(count)) => checks.extend(before.checks(event, count)),
            _ if event.transition.raises() => checks.extend(not_counted(event)),
            _ => {}
        }
        checks
    }

    /// Why what `signals` holds does not add up to the numbers of a transition.
    fn counted_elsewhere(&self, event: &AlertEvent) -> Option<String> {
        if matches!(event.arithmetic, Arithmetic::Each(_)) {
            return None;
        }
        let (offset, from) = (event.signals.offset, begins(event));
        let reaches = |(at, time): &&(u64, Timestamp)| *at <= offset && *time >= from;
        if let Some((_, until)) = self.rebuilt.iter().find(reaches) {
            return Some(format!("what happened before {until} was counted anew from the retained mentions"));
        }
        let young = self.young.iter().find(reaches);
        young.map(|_| "mentions of a source that is younger than two weeks are not among them".to_owned())
    }

    /// Why the log cannot say anything of a transition.
    fn gone(&self, event: &AlertEvent) -> Option<String> {
        let Some(first) = self.first else { return Some("`signals` is empty".to_owned()) };
        let begins_at = format!("`signals` begins at {}", first.appended);
        if event.signals.offset < first.offset || event.decided < first.appended {
            return Some(format!("{begins_at}, after this was decided"));
        }
        if self.too_many || self.of_competitors.len() >= MOST_SEEN {
            return Some(format!("there are more than {MOST_SEEN} mentions, which are not held at once"));
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

/// Why buckets from here on cannot be counted again.
fn counted_anew(
    rebuilt: &[(u64, Timestamp)],
    young: &[(u64, Timestamp)],
    is_imported: bool,
    from: Timestamp,
) -> Option<String> {
    // What imports brought before a rebuild was counted anew with the rest.
    if let Some((_, until)) = rebuilt.iter().find(|(_, until)| is_imported || *until > from) {
        return Some(format!("what happened before {until} was counted anew from the retained mentions"));
    }
    let is_young = young.iter().any(|(_, time)| *time >= from);
    is_young.then(|| "mentions of a source that is younger than two weeks are not among them".to_owned())
}

/// The sources that an alert about silent sources names.
fn sources_told(transitions: &[AlertEvent]) -> BTreeSet<String> {
    let mut sources = BTreeSet::new();
    for event in transitions {
        if let Arithmetic::Absence(absence) = &event.arithmetic {
            sources.extend(absence.sources.iter().cloned());
        }
    }
    sources
}

/// The competitors that an alert about a rank was compared with.
fn competitors(transitions: &[AlertEvent]) -> BTreeMap<String, Memory> {
    let mut competitors = BTreeMap::new();
    for event in transitions {
        if let Arithmetic::Rank(rank) = &event.arithmetic {
            competitors.extend(rank.competitors.iter().map(|of| (of.id.clone(), Memory::of_counted())));
        }
    }
    competitors
}

/// The desks that the evidence is for. Nothing where not all of it is there, which is said elsewhere.
fn desks(event: &AlertEvent, seen: &[&Seen]) -> Option<Check> {
    let told = event.desks.join(", ");
    let mut of_evidence = Vec::new();
    for mention in &event.evidence {
        let mut revisions = seen.iter().filter(|seen| seen.mention == *mention).map(|seen| seen.desks);
        let first = revisions.next()?;
        if revisions.any(|other| other != first) {
            let why = "a mention was for other desks before it was edited, and the alert does not say which it knew";
            return Some(Check::not_possible("desks", told, why));
        }
        of_evidence.push(first);
    }
    let found = DeskSet::of_most(of_evidence.into_iter()).names().join(", ");
    Some(Check::of("desks", told, found))
}

/// What an alert about something new can be about, and what it was.
fn values(transitions: &[AlertEvent]) -> Option<(NoveltyOf, BTreeSet<String>)> {
    let mut found: Option<(NoveltyOf, BTreeSet<String>)> = None;
    for event in transitions {
        if let Arithmetic::Novelty(novelty) = &event.arithmetic {
            found.get_or_insert_with(|| (novelty.of, BTreeSet::new())).1.insert(novelty.value.clone());
        }
    }
    found
}
