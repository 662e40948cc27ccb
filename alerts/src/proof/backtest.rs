//! The back-test: when a rule would have fired, by the fold itself over what `signals` holds, sorted by event
//! time.
//!
//! Mentions of imports and those that came live are one history here. It was observed where imports reach and
//! since listening began; what was never heard is unknown, not zero. What a filter matched was decided when a
//! mention was judged, so a filter that is not in force has no history to be tested on.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use earshot_common::definitions::{Condition, Definition, Rule, Search, Watchlist, check};
use earshot_common::events::{
    AlertEvent, Arithmetic, DefinitionVersion, Origin, SchemaVersion, Signal, SignalRecord, Transition,
};
use earshot_common::keys::{AlertKey, MentionKey};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::gaps::{Period, SourceGap, Sources};
use crate::fold::{BASELINE_MS, Cause, State};
use crate::history::{Names, PastMention, joined, whole_hours};

/// Which rule to test, and how far back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BacktestRequest {
    /// The rule's id.
    pub rule: String,
    /// Definitions in place of those in force, such as another version of the rule.
    #[serde(default)]
    pub definitions: Vec<Definition>,
    /// Alerts that would have opened from here on are told.
    pub since: Timestamp,
}

/// When a rule would have fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// The rule's id.
    pub rule: String,
    /// The tested version in words.
    pub tested: String,
    /// The version in force in words, where another one is tested.
    pub in_force: Option<String>,
    /// What was asked for.
    pub since: Timestamp,
    /// Where history ends.
    pub until: Timestamp,
    /// What there is of each subject.
    pub subjects: Vec<SubjectHistory>,
    /// Sources that were missing, wholly or for a time.
    pub missing_sources: Vec<SourceGap>,
    /// Alerts of the tested version, by opening.
    pub fired: Vec<Fired>,
    /// Alerts of the version in force, where another one is tested.
    pub fired_in_force: Vec<Fired>,
    /// Alerts that exist and that the tested version would not have raised.
    pub not_fired: Vec<Existing>,
}

/// What there is of a subject's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectHistory {
    /// The subject's id.
    pub subject: String,
    /// Its mentions in the span.
    pub mentions: u64,
    /// When it was observed, in order; baselines know nothing else.
    pub observed: Vec<Period>,
}

/// An alert that would have been.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fired {
    /// When it would have opened, in event time.
    pub opened: Timestamp,
    /// Until when it would have held; `None` where it would still be open.
    pub until: Option<Timestamp>,
    /// The subject's id.
    pub subject: String,
    /// Its severity, the highest that it had.
    pub severity: u8,
    /// Its numbers where they were announced last.
    pub arithmetic: Arithmetic,
    /// The alert that exists at this time of this rule and subject, if any.
    pub alert: Option<AlertKey>,
}

/// An alert that was raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Existing {
    /// Its id.
    pub alert: AlertKey,
    /// The subject's id.
    pub subject: String,
    /// When it opened, in event time.
    pub opened: Timestamp,
    /// Until when it held; `None` where it is open.
    pub until: Option<Timestamp>,
}

impl Existing {
    /// Takes a transition of an alert in.
    pub(crate) fn take(known: &mut Vec<Self>, event: &AlertEvent) {
        let until = (event.transition == Transition::Resolved).then_some(event.until);
        match known.iter_mut().find(|existing| existing.alert == event.alert) {
            Some(_) if event.transition.leaves_open().is_none() => {}
            Some(existing) => existing.until = until,
            None => known.push(Self {
                alert: event.alert,
                subject: event.subject.clone(),
                opened: event.opened,
                until,
            }),
        }
    }

    fn is_at_the_time_of(&self, fired: &Fired) -> bool {
        let begins_before =
            |from: Timestamp, until: Option<Timestamp>| until.is_none_or(|until| from <= until);
        self.subject == fired.subject
            && begins_before(self.opened, fired.until)
            && begins_before(fired.opened, self.until)
    }
}

/// A back-test that can be done: the rule is there, and the history can say something about it.
#[derive(Debug)]
pub(crate) struct Plan {
    since: Timestamp,
    tested: Version,
    /// The version in force, where another one is tested.
    in_force: Option<Version>,
    /// Sources that are expected to bring something.
    sources: Vec<String>,
}

/// A version of the rule, and a watchlist of it alone.
#[derive(Debug)]
struct Version {
    rule: Rule,
    watchlist: Watchlist,
}

impl Plan {
    /// Puts the request's definitions in place of those in force; the error says what is wrong with the request.
    pub(crate) fn of(request: BacktestRequest, in_force: &Watchlist) -> Result<Self, String> {
        let mut changed = in_force.clone();
        for definition in request.definitions {
            check(&definition)?;
            let version = DefinitionVersion {
                v: SchemaVersion::default(),
                id: definition.key(),
                owner: "backtest".to_owned(),
                definition: Some(definition),
                version: None,
            };
            changed.take(changed.next(), version);
        }
        changed.check().map_err(|error| error.to_string())?;
        let tested =
            Version::of(&request.rule, &changed).ok_or_else(|| unknown_rule(&request.rule, in_force))?;
        let in_force_version = Version::of(&request.rule, in_force);
        if matches!(tested.rule.condition, Condition::SourceAbsence(_)) {
            return Err(format!(
                "rule `{}`: whether a source answered is not tested on history; `earshot status` says which do not",
                request.rule
            ));
        }
        let known_filter = in_force_version.as_ref().and_then(|version| version.rule.filter.as_ref());
        if tested.rule.filter.is_some() && tested.rule.filter.as_ref() != known_filter {
            return Err(format!(
                "rule `{}`: history knows only what the filter in force matched, and `filter` is another; apply it and \
                 wait, or look for its matches with a search",
                request.rule
            ));
        }
        Ok(Self {
            since: request.since,
            in_force: in_force_version.filter(|version| version.rule != tested.rule),
            tested,
            sources: in_force.sources().map(|source| source.id.clone()).collect(),
        })
    }

    /// Whether a transition is one of this rule's.
    pub(crate) fn is_of_this_rule(&self, event: &AlertEvent) -> bool {
        event.rule == self.tested.rule.id
    }

    fn versions(&self) -> impl Iterator<Item = &Version> {
        std::iter::once(&self.tested).chain(&self.in_force)
    }
}

impl Version {
    fn of(rule: &str, watchlist: &Watchlist) -> Option<Self> {
        let (_, rule) = watchlist.rules().find(|(_, known)| known.id == rule)?;
        let mut alone = Watchlist::default();
        for version in watchlist.versions() {
            let is_wanted = match &version.definition {
                Some(Definition::Rule(other)) => other.id == rule.id,
                Some(Definition::Subject(subject)) => needed(rule).contains(&subject.id),
                Some(Definition::Search(search)) => rule.searches.contains(&search.id),
                _ => false,
            };
            if is_wanted {
                alone.take(version.version.unwrap_or_default(), version.clone());
            }
        }
        Some(Self { rule: rule.clone(), watchlist: alone })
    }
}

/// The subjects that a rule watches, and those that it compares them with.
fn needed(rule: &Rule) -> BTreeSet<String> {
    let competitors = match &rule.condition {
        Condition::Rank(rank) => rank.competitors.as_slice(),
        _ => &[],
    };
    rule.watched().chain(competitors.iter().cloned()).collect()
}

fn unknown_rule(rule: &str, in_force: &Watchlist) -> String {
    let known: Vec<&str> = in_force.rules().map(|(_, rule)| rule.id.as_str()).collect();
    match known.is_empty() {
        true => format!("there is no rule `{rule}`: none is in force"),
        false => format!("there is no rule `{rule}`; there are: {}", known.join(", ")),
    }
}

/// What `signals` holds of the rule's subjects.
#[derive(Debug)]
pub(crate) struct Gathered {
    plan: Plan,
    raised: Vec<Existing>,
    watched: BTreeSet<String>,
    names: Names,
    mentions: Vec<(MentionKey, PastMention)>,
    /// The mentions of each subject in the span.
    counted: BTreeMap<String, HashSet<u64>>,
    /// From the first to the last event time that each import brought of each subject.
    imported: BTreeMap<(String, String), Range<Timestamp>>,
    /// Folds all but the mentions: it knows when listening began, and which imports are complete.
    listening: State,
    newest: Timestamp,
    sources: Sources,
}

impl Gathered {
    /// Nothing yet.
    pub(crate) fn new(plan: Plan, raised: Vec<Existing>) -> Self {
        Self {
            watched: plan.versions().flat_map(|version| needed(&version.rule)).collect(),
            plan,
            raised,
            names: Names::default(),
            mentions: Vec::new(),
            counted: BTreeMap::new(),
            imported: BTreeMap::new(),
            listening: State::new(),
            newest: Timestamp::default(),
            sources: Sources::default(),
        }
    }

    /// Takes a record in, in the order of the log.
    pub(crate) fn take(&mut self, offset: u64, appended: Timestamp, record: SignalRecord) {
        match &record {
            SignalRecord::Signal(signal) => self.signal(signal),
            SignalRecord::Progress(_) => drop(self.listening.apply(offset, appended, &record)),
            SignalRecord::SourceHealth(health) => {
                self.sources.health(health);
                self.listening.apply(offset, appended, &record);
            }
            SignalRecord::Definition(version) if self.defines_a_watched_one(version) => {
                self.listening.apply(offset, appended, &record);
            }
            SignalRecord::Definition(_)
            | SignalRecord::Command(_)
            | SignalRecord::Delivery(_)
            | SignalRecord::History(_)
            | SignalRecord::Rebuild(_)
            | SignalRecord::Rebuilt(_)
            | SignalRecord::Tick(_)
            | SignalRecord::Collecting(_) => {}
        }
    }

    fn defines_a_watched_one(&self, version: &DefinitionVersion) -> bool {
        match version.id.split_once('/') {
            Some(("subject", id)) => self.watched.contains(id),
            Some(("search", id)) => self.watched.contains(&Search::subject_id(id)),
            _ => false,
        }
    }

    fn signal(&mut self, signal: &Signal) {
        self.newest = self.newest.max(signal.event_time);
        if signal.event_time >= self.plan.since {
            self.sources.mention(&signal.source);
        }
        let mut concerned = signal.concerned();
        concerned.retain(|subject| self.watched.contains(&subject.id));
        if concerned.is_empty() {
            return;
        }
        for subject in concerned {
            if signal.event_time >= self.plan.since {
                self.counted.entry(subject.id.clone()).or_default().insert(signal.mention.short());
            }
            if signal.origin == Origin::History {
                let extent = self
                    .imported
                    .entry((subject.id, signal.source.clone()))
                    .or_insert(signal.event_time..signal.event_time);
                extent.start = extent.start.min(signal.event_time);
                extent.end = extent.end.max(signal.event_time);
            }
        }
        if signal.event_time >= self.plan.since.plus_millis(-BASELINE_MS) {
            self.mentions.push((signal.mention, self.names.compact(signal)));
        }
    }

    /// Folds what was gathered.
    pub(crate) fn fold(mut self) -> Backtest {
        // What has one event time stays in the order of the log.
        self.mentions.sort_by_key(|(_, mention)| mention.event_time);
        let until = self.listening.clock().map_or(self.newest, |clock| clock.max(self.newest));
        let observed = self.observed();
        let fired = self.fired(&self.plan.tested, &observed, until);
        let fired_in_force = self.plan.in_force.as_ref();
        let fired_in_force = fired_in_force.map(|version| self.fired(version, &observed, until));
        let is_missed = |existing: &&Existing| {
            existing.opened >= self.plan.since && !fired.iter().any(|fired| existing.is_at_the_time_of(fired))
        };
        let Plan { since, tested, in_force, sources } = &self.plan;
        let subject = |subject: &String| SubjectHistory {
            subject: subject.clone(),
            mentions: self.counted.get(subject).map_or(0, |counted| counted.len() as u64),
            observed: periods(observed.get(subject).map_or(&[], Vec::as_slice), until),
        };
        Backtest {
            rule: tested.rule.id.clone(),
            tested: tested.rule.to_string(),
            in_force: in_force.as_ref().map(|version| version.rule.to_string()),
            since: *since,
            until,
            subjects: self.watched.iter().map(subject).collect(),
            missing_sources: self.sources.gaps(*since, sources.iter().map(String::as_str)),
            not_fired: self.raised.iter().filter(is_missed).cloned().collect(),
            fired_in_force: fired_in_force.unwrap_or_default(),
            fired,
        }
    }

    /// When each subject was observed: by a complete import that names it, and since listening began.
    fn observed(&self) -> BTreeMap<String, Vec<Range<Timestamp>>> {
        let mut observed: BTreeMap<String, Vec<Range<Timestamp>>> = BTreeMap::new();
        for ((subject, import), extent) in &self.imported {
            if self.listening.complete_imports().contains(import) {
                observed.entry(subject.clone()).or_default().push(whole_hours(extent));
            }
        }
        for subject in &self.watched {
            let listened = self.listening.listened(subject);
            observed.entry(subject.clone()).or_default().extend(listened.iter().cloned());
        }
        observed.into_iter().map(|(subject, spans)| (subject, joined(spans))).collect()
    }

    /// The alerts that a version of the rule would have raised.
    fn fired(
        &self,
        version: &Version,
        observed: &BTreeMap<String, Vec<Range<Timestamp>>>,
        until: Timestamp,
    ) -> Vec<Fired> {
        let mut state = State::of_the_past(&version.watchlist, observed, Cause::default());
        let mut events = Vec::new();
        for (key, mention) in &self.mentions {
            events.extend(state.past_mention(&self.names.signal(*key, mention)));
        }
        events.extend(state.pass_to(until));
        let mut fired = alerts(&events);
        fired.retain(|fired| fired.opened >= self.plan.since);
        for fired in &mut fired {
            let existing = self.raised.iter().find(|existing| existing.is_at_the_time_of(fired));
            fired.alert = existing.map(|existing| existing.alert);
        }
        fired
    }
}

/// The alerts that transitions make, by opening.
fn alerts(events: &[AlertEvent]) -> Vec<Fired> {
    let mut places: BTreeMap<AlertKey, usize> = BTreeMap::new();
    let mut alerts: Vec<Fired> = Vec::new();
    for event in events {
        let place = *places.entry(event.alert).or_insert(alerts.len());
        match alerts.get_mut(place) {
            Some(alert) if event.transition == Transition::Resolved => alert.until = Some(event.until),
            Some(alert) if event.transition.raises() => {
                alert.severity = event.severity;
                alert.arithmetic = event.arithmetic.clone();
            }
            Some(_) => {}
            None => alerts.push(Fired {
                opened: event.opened,
                until: None,
                subject: event.subject.clone(),
                severity: event.severity,
                arithmetic: event.arithmetic.clone(),
                alert: None,
            }),
        }
    }
    alerts
}

fn periods(spans: &[Range<Timestamp>], until: Timestamp) -> Vec<Period> {
    let end = |span: &Range<Timestamp>| (span.end <= until).then_some(span.end);
    spans.iter().map(|span| Period { from: span.start, until: end(span) }).collect()
}
