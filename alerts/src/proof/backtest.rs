//! The back-test: when a rule would have fired, by the fold itself over what `signals` holds, sorted by event
//! time.
//!
//! Mentions of imports and those that came live are one history here. It was observed where imports reach and
//! since listening began; what was never heard is unknown, not zero. What a filter, a subject's words or a query matched
//! was decided when a mention was judged, so those that are not in force have no history to be tested on. Where counts
//! were made anew, they are here too, at the same time and with the same sums.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use earshot_common::calendar::DAY_MS;
use earshot_common::definitions::{Condition, Definition, Matching, Rule, Search, Watchlist, check};
use earshot_common::events::{
    AlertEvent, Arithmetic, DefinitionVersion, Origin, Rebuilt, RebuiltBucket, SchemaVersion, Signal,
    SignalRecord, Transition,
};
use earshot_common::keys::{AlertKey, MentionKey};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::gaps::{Period, SourceGap, Sources};
use crate::fold::{self, BASELINE_MS, Cause, PastRebuild, State};
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
    /// When what was before was counted anew: by other words, or with a source that was young until then.
    #[serde(default)]
    pub counted_anew: Vec<Timestamp>,
    /// Since when that is outstanding: rules that compare with a baseline open nothing from there on.
    #[serde(default)]
    pub warming_since: Option<Timestamp>,
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
        words_in_force(&tested.rule, &changed, in_force)?;
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

    /// Whether a version counts for itself what the version in force counts.
    fn counts_as_in_force(&self, version: &Version) -> bool {
        let in_force = self.in_force.as_ref().map_or(&version.rule, |in_force| &in_force.rule);
        let kind = |rule: &Rule| std::mem::discriminant(&rule.condition);
        version.rule.own_series() == in_force.own_series() && kind(&version.rule) == kind(in_force)
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

/// Mentions were matched by the words in force: by others there is no history. Those of a company and its executives
/// corroborate each other.
fn words_in_force(rule: &Rule, tested: &Watchlist, in_force: &Watchlist) -> Result<(), String> {
    let refused = |why: String| Err(format!("rule `{}`: history knows {why}", rule.id));
    for id in needed(rule) {
        if in_force.matching(&id).is_none() {
            return refused(format!("nothing of `{id}`, which is not in force; apply it and wait"));
        }
        let company = tested.subject(&id).and_then(|subject| subject.company.clone());
        let executives = tested.watched().filter(|other| other.company.as_ref() == Some(&id));
        let executives = executives.map(|other| other.id.clone());
        for other in std::iter::once(id.clone()).chain(company).chain(executives) {
            let known = in_force.matching(&other);
            if tested.matching(&other).is_some_and(|(_, now)| known.is_some_and(|(_, known)| known != now)) {
                return refused(format!(
                    "only what the words or the query in force of `{other}` matched, and these are others; apply them \
                     and wait, or look for their matches with a search"
                ));
            }
        }
    }
    Ok(())
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
    /// Each with whether its source was young.
    mentions: Vec<(MentionKey, PastMention, bool)>,
    /// So many are held at most.
    most: usize,
    /// How many there are of each day.
    by_day: BTreeMap<i64, usize>,
    /// The mentions of each subject in the span.
    counted: BTreeMap<String, HashSet<u64>>,
    /// From the first to the last event time that each import brought of each subject.
    imported: BTreeMap<(String, String), Range<Timestamp>>,
    /// Folds all but the mentions: it knows when listening began, and which imports are complete.
    listening: State,
    newest: Timestamp,
    sources: Sources,
    /// Since when the log knows each source, and those that were young.
    heard: fold::Sources,
    young: BTreeSet<String>,
    /// Where the words of a subject changed, while its counts wait.
    changed: BTreeMap<String, (u64, Timestamp)>,
    /// The sums of rebuilds that have not ended.
    sums: BTreeMap<(String, u64), Vec<Rebuilt>>,
    rebuilds: Vec<PastRebuild>,
}

impl Gathered {
    /// Nothing yet, and no more than so many mentions at once.
    pub(crate) fn new(plan: Plan, raised: Vec<Existing>, most: usize) -> Self {
        Self {
            watched: plan.versions().flat_map(|version| needed(&version.rule)).collect(),
            plan,
            raised,
            names: Names::default(),
            mentions: Vec::new(),
            most,
            by_day: BTreeMap::new(),
            counted: BTreeMap::new(),
            imported: BTreeMap::new(),
            listening: State::new(),
            newest: Timestamp::default(),
            sources: Sources::default(),
            heard: fold::Sources::default(),
            young: BTreeSet::new(),
            changed: BTreeMap::new(),
            sums: BTreeMap::new(),
            rebuilds: Vec::new(),
        }
    }

    /// Takes a record in, in the order of the log.
    pub(crate) fn take(&mut self, offset: u64, appended: Timestamp, record: SignalRecord) {
        self.heard.begin(appended);
        match &record {
            SignalRecord::Signal(signal) => self.signal(signal, appended),
            SignalRecord::Progress(_) => drop(self.listening.apply(offset, appended, &record)),
            SignalRecord::SourceHealth(health) => {
                self.sources.health(health);
                self.listening.apply(offset, appended, &record);
            }
            SignalRecord::Definition(version) => {
                self.define(offset, appended, version);
                if self.watched_by(version).is_some() {
                    self.listening.apply(offset, appended, &record);
                }
            }
            SignalRecord::Rebuilt(rebuilt) => self.rebuilt(rebuilt),
            SignalRecord::Command(_)
            | SignalRecord::Delivery(_)
            | SignalRecord::History(_)
            | SignalRecord::Rebuild(_)
            | SignalRecord::Tick(_)
            | SignalRecord::Collecting(_) => {}
        }
    }

    /// The watched subject that a definition is of.
    fn watched_by(&self, version: &DefinitionVersion) -> Option<String> {
        let id = match version.id.split_once('/')? {
            ("subject", id) => id.to_owned(),
            ("search", id) => Search::subject_id(id),
            _ => return None,
        };
        self.watched.contains(&id).then_some(id)
    }

    /// Notes a source that is there from now on, and a subject whose words are others from now on.
    fn define(&mut self, offset: u64, appended: Timestamp, version: &DefinitionVersion) {
        if let Some(source) = version.id.strip_prefix("source/") {
            self.heard.note(source, appended);
        }
        let Some(subject) = self.watched_by(version) else { return };
        let new = version.definition.as_ref().and_then(Matching::of);
        let before = self.listening.watchlist().matching(&subject);
        if before.is_some_and(|(_, old)| new.is_some_and(|new| new != old)) {
            self.changed.insert(subject, (offset, appended));
        }
    }

    /// Takes sums in that were made anew. What imports brought and what came live is one history here.
    fn rebuilt(&mut self, rebuilt: &Rebuilt) {
        let (subject, asked) = (&rebuilt.subject, rebuilt.asked);
        let is_known = self.rebuilds.iter().any(|known| known.subject == *subject && known.asked == asked);
        if !self.watched.contains(subject) || is_known {
            return;
        }
        let is_of_another = rebuilt.rule.as_ref().is_some_and(|rule| *rule != self.plan.tested.rule.id);
        let in_one =
            |bucket: &RebuiltBucket| RebuiltBucket { live: bucket.live + bucket.past, past: 0, ..*bucket };
        let buckets = rebuilt.buckets.iter().filter(|_| !is_of_another).map(in_one).collect();
        let sums = self.sums.entry((subject.clone(), asked)).or_default();
        sums.push(Rebuilt { buckets, imports: BTreeMap::new(), ..rebuilt.clone() });
        if !rebuilt.last {
            return;
        }
        let sums = std::mem::take(sums);
        self.sums.retain(|(other, _), _| other != subject);
        let mut entering = BTreeMap::new();
        for source in &self.young {
            if self.heard.note(source, rebuilt.until).is_none() {
                entering.insert(source.clone(), rebuilt.until);
            }
        }
        let changes = self.changed.get(subject).is_some_and(|(changed, _)| *changed <= asked);
        if changes {
            self.changed.remove(subject);
        }
        let (subject, until) = (subject.clone(), rebuilt.until);
        self.rebuilds.push(PastRebuild { subject, asked, until, changes, entering, sums });
    }

    /// Whether the mentions that the back-test needs can be held; the error says since when they can.
    pub(crate) fn fits(&self) -> Result<(), String> {
        let all: usize = self.by_day.values().sum();
        if all <= self.most {
            return Ok(());
        }
        let mut held = 0;
        let fitting = self.by_day.iter().rev().take_while(|(_, mentions)| {
            held += **mentions;
            held <= self.most
        });
        // The first of these days may not be wholly after what a baseline looks back.
        let first = fitting.last().map(|(day, _)| Timestamp::from_millis(day * DAY_MS + BASELINE_MS));
        let instead = match first.filter(|first| *first < self.newest) {
            Some(first) => format!("ask since {first} or later"),
            None => "test it on fewer subjects: what a baseline looks back over is too many alone".to_owned(),
        };
        Err(format!(
            "rule `{}`: since {} there are {all} mentions with those that a baseline looks back over, and {} can be held; \
             {instead}",
            self.plan.tested.rule.id, self.plan.since, self.most
        ))
    }

    fn signal(&mut self, signal: &Signal, appended: Timestamp) {
        let is_live = signal.origin == Origin::Live;
        let is_young = is_live && self.heard.note(&signal.source, appended).is_some();
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
            *self.by_day.entry(signal.event_time.as_millis().div_euclid(DAY_MS)).or_default() += 1;
            if is_young && !self.young.contains(&signal.source) {
                self.young.insert(signal.source.clone());
            }
            if self.mentions.len() < self.most {
                self.mentions.push((signal.mention, self.names.compact(signal), is_young));
            }
        }
    }

    /// Folds what was gathered.
    pub(crate) fn fold(mut self) -> Backtest {
        // What has one event time stays in the order of the log.
        self.mentions.sort_by_key(|(_, mention, _)| mention.event_time);
        for (subject, (asked, until)) in std::mem::take(&mut self.changed) {
            let (entering, sums) = (BTreeMap::new(), Vec::new());
            self.rebuilds.push(PastRebuild { subject, asked, until, changes: true, entering, sums });
        }
        self.rebuilds.sort_by_key(|rebuild| rebuild.asked);
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
            counted_anew: self.rebuilds_of(subject, true).collect(),
            warming_since: self.rebuilds_of(subject, false).next(),
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

    /// When counts of a subject were made anew that matter here, or began to wait for it.
    fn rebuilds_of(&self, subject: &str, done: bool) -> impl Iterator<Item = Timestamp> {
        let oldest = self.plan.since.plus_millis(-BASELINE_MS);
        let of_it = move |rebuild: &&PastRebuild| {
            rebuild.subject == subject && rebuild.sums.is_empty() != done && rebuild.until > oldest
        };
        self.rebuilds.iter().filter(of_it).map(|rebuild| rebuild.until)
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
        let is_of_rule = self.plan.counts_as_in_force(version);
        let mut rebuilds = self.rebuilds.iter().peekable();
        for (key, mention, is_young) in &self.mentions {
            while let Some(rebuild) = rebuilds.next_if(|next| next.until <= mention.event_time) {
                events.extend(state.past_rebuild(rebuild, is_of_rule));
            }
            events.extend(state.past_mention(&self.names.signal(*key, mention), *is_young));
        }
        for rebuild in rebuilds {
            events.extend(state.past_rebuild(rebuild, is_of_rule));
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
