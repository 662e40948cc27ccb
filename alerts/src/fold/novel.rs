//! What was never there: stories and sources of a subject, each with what it has gathered since its first mention.
//!
//! A value is new where its first mention came after we had listened for a while, and it is forgotten when it was not
//! seen for the look-back. Where a rule asks for what spreads, a value that has gathered too little begins anew with its
//! next mention, and only what had spread before we had listened for a while is old. What belongs here: the account of values and authors, and the alert that a new one opens.

use std::collections::{BTreeMap, BTreeSet};

use earshot_common::definitions::NoveltyCondition;
use earshot_common::events::{
    Arithmetic, NoveltyArithmetic, NoveltyAsked, NoveltyOf, Rebuilt, Signal, SubjectSignal, Transition,
};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::alert::{Course, OpenAlert, Opening};
use super::calendar::{DAY_MS, HOUR_MS};
use super::evidence::{Evidence, Witness};
use super::watch::Watched;

/// A bound on memory: past it half is forgotten, first what was heard once, then what was not heard for longest.
const MOST_VALUES: usize = 20_000;
const MOST_AUTHORS: usize = 200_000;
/// A story whose first mention came in the first two days may be older than our listening.
const STORY_WARM_UP_MS: i64 = 2 * DAY_MS;
/// Sources and authors that write seldom are heard within two weeks.
const WARM_UP_MS: i64 = 14 * DAY_MS;
/// What is later than this is no longer news.
const STALE_MS: i64 = DAY_MS;

/// The values and authors of one subject and rule.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Novelties {
    values: BTreeMap<u64, Value>,
    /// When each author was first and last heard.
    authors: BTreeMap<u64, (Timestamp, Timestamp)>,
    pruned: Timestamp,
}

/// What one value has gathered.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Value {
    first: Timestamp,
    last: Timestamp,
    /// Whether it was heard more than once.
    again: bool,
    mentions: u32,
    authors: BTreeSet<u64>,
    new_authors: u32,
    evidence: Evidence,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// It may become news.
    Gathering,
    /// It was news.
    Told,
    /// It is none: it was there before, or gathered too little in time. Of what spreads: it had spread before.
    Old,
}

/// What a mention means to its value.
#[derive(Clone, Debug)]
enum Heard {
    /// Nothing.
    Nothing,
    /// The value is news with it.
    News(NoveltyArithmetic, Evidence),
    /// The value was news before.
    Again,
}

impl Novelties {
    /// Takes a mention in. `since` is when we began to listen.
    fn take(
        &mut self,
        condition: &NoveltyCondition,
        signal: &Signal,
        subject: &SubjectSignal,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Heard {
        self.prune(condition, now);
        let witness = Witness::of(signal, subject);
        let author = signal.author.map(|author| author.short());
        let at = signal.event_time;
        let author_first = author.map(|author| self.hear(author, at));
        let Some((key, name)) = value_of(condition.of, signal, subject) else { return Heard::Nothing };
        let warm = since.is_some_and(|since| at >= since.plus_millis(warm_up_ms(condition)));
        let stage = if warm || condition.spreads { Stage::Gathering } else { Stage::Old };
        let value = self.values.entry(key).and_modify(|value| value.again = true);
        let value = value.or_insert_with(|| Value::new(at, stage));
        value.last = value.last.max(at);
        match value.stage {
            Stage::Told => return Heard::Again,
            Stage::Old => return Heard::Nothing,
            Stage::Gathering => {}
        }
        if at > value.end(condition) {
            if !condition.spreads {
                value.give_up();
                return Heard::Nothing;
            }
            *value = Value { last: value.last, again: true, ..Value::new(at, Stage::Gathering) };
        }
        value.mentions += 1;
        value.evidence.add(witness, &signal.source);
        // All whose author is unknown are one.
        let is_other = value.authors.insert(author.unwrap_or_default());
        if is_other && author_first.is_some_and(|first| first >= value.first) {
            value.new_authors += 1;
        }
        if !value.is_news(condition) || at < now.plus_millis(-STALE_MS) {
            return Heard::Nothing;
        }
        if condition.spreads && !warm {
            value.give_up();
            return Heard::Nothing;
        }
        let arithmetic = NoveltyArithmetic {
            of: condition.of,
            value: name,
            first: value.first,
            mentions: value.mentions,
            authors: value.authors.len() as u32,
            new_authors: if condition.new_authors_share_at_least > 0.0 { value.new_authors } else { 0 },
            matched: 1,
            asked: Some(NoveltyAsked {
                mentions_at_least: condition.mentions_at_least,
                authors_at_least: condition.authors_at_least,
                new_authors_share_at_least: condition.new_authors_share_at_least,
                within_hours: condition.within_hours,
                spreads: condition.spreads,
            }),
        };
        let evidence = std::mem::take(&mut value.evidence);
        value.give_up();
        value.stage = Stage::Told;
        Heard::News(arithmetic, evidence)
    }

    /// What was there before, by a definition that asks for it now: it is not new, and its authors were heard.
    pub(super) fn recall(&mut self, rebuilt: &Rebuilt) {
        let before = rebuilt.until.plus_millis(-1);
        for key in &rebuilt.values {
            self.values.entry(*key).or_insert_with(|| Value::new(before, Stage::Old));
        }
        for author in &rebuilt.authors {
            let (first, _) = self.authors.entry(*author).or_insert((before, before));
            *first = before.min(*first);
        }
    }

    /// When this author was first heard about the subject.
    fn hear(&mut self, author: u64, at: Timestamp) -> Timestamp {
        let (first, last) = self.authors.entry(author).or_insert((at, at));
        *last = at.max(*last);
        *first
    }

    /// Forgets what was not seen for the look-back, once an hour, and where there is too much of it.
    fn prune(&mut self, condition: &NoveltyCondition, now: Timestamp) {
        if self.values.len() > MOST_VALUES {
            let mut ages: Vec<(bool, Timestamp, u64)> =
                self.values.iter().map(|(key, value)| (value.again, value.last, *key)).collect();
            ages.sort_unstable();
            for (_, _, key) in ages.iter().take(MOST_VALUES / 2) {
                self.values.remove(key);
            }
        }
        if self.authors.len() > MOST_AUTHORS {
            let mut ages: Vec<(Timestamp, u64)> =
                self.authors.iter().map(|(author, (_, last))| (*last, *author)).collect();
            ages.sort_unstable();
            for (_, author) in ages.iter().take(MOST_AUTHORS / 2) {
                self.authors.remove(author);
            }
        }
        if now < self.pruned.plus_millis(HOUR_MS) {
            return;
        }
        self.pruned = now;
        let oldest = now.plus_millis(-i64::from(condition.look_back_days) * DAY_MS);
        self.values.retain(|_, value| value.last >= oldest);
        // What comes so late is no longer news.
        let over = now.plus_millis(-STALE_MS);
        for value in self.values.values_mut().filter(|value| value.end(condition) < over) {
            value.forget_mentions();
        }
        self.authors.retain(|_, (_, last)| *last >= oldest);
    }
}

impl Watched {
    /// The first value that is news opens an alert, the next ones join it.
    pub(super) fn judge_novelty(
        &mut self,
        rule: usize,
        condition: &NoveltyCondition,
        signal: &Signal,
        subject: &SubjectSignal,
        now: Timestamp,
    ) -> Option<Transition> {
        let since = self.listened_from(rule);
        let witness = Witness::of(signal, subject);
        let heard = self.rules[rule].novelties.take(condition, signal, subject, since, now);
        let opens = self.is_scheduled(rule, signal.event_time) && !self.waits(rule);
        match (heard, self.rules[rule].open.as_mut()) {
            (Heard::News(mut arithmetic, _), Some(open)) => {
                arithmetic.matched = open.matched() + 1;
                open.evidence.add(witness, &signal.source);
                open.join(signal, Arithmetic::Novelty(arithmetic), now).then_some(Transition::Rising)
            }
            (Heard::News(arithmetic, evidence), None) if opens => {
                let opening = Opening {
                    key: self.key(rule, &arithmetic.value),
                    at: signal.event_time,
                    until: signal.event_time,
                    lexicon: signal.lexicon.clone(),
                    arithmetic: Arithmetic::Novelty(arithmetic),
                    evidence,
                    asked: condition.mentions_at_least.into(),
                };
                let course = Course::Each { announced: 1, last_match: now };
                self.rules[rule].open = Some(OpenAlert::new(opening, course));
                Some(Transition::Opened)
            }
            (Heard::Again, Some(open)) => {
                open.evidence.add(witness, &signal.source);
                open.goes_on(signal, now);
                None
            }
            _ => None,
        }
    }
}

impl Value {
    fn new(first: Timestamp, stage: Stage) -> Self {
        Self {
            first,
            last: first,
            again: false,
            mentions: 0,
            authors: BTreeSet::new(),
            new_authors: 0,
            evidence: Evidence::default(),
            stage,
        }
    }

    fn is_news(&self, condition: &NoveltyCondition) -> bool {
        let authors = self.authors.len() as u32;
        let new_share = f64::from(self.new_authors) / f64::from(authors.max(1));
        self.mentions >= condition.mentions_at_least
            && authors >= condition.authors_at_least
            && new_share >= condition.new_authors_share_at_least
    }

    /// Until when it may gather what it needs.
    fn end(&self, condition: &NoveltyCondition) -> Timestamp {
        self.first.plus_millis(i64::from(condition.within_hours) * HOUR_MS)
    }

    /// Nothing more is to be known of it.
    fn give_up(&mut self) {
        self.stage = Stage::Old;
        self.forget_mentions();
    }

    fn forget_mentions(&mut self) {
        self.authors = BTreeSet::new();
        self.evidence = Evidence::default();
    }
}

/// The value that a mention has, by a short key and by its name in records.
fn value_of(of: NoveltyOf, signal: &Signal, subject: &SubjectSignal) -> Option<(u64, String)> {
    match of {
        NoveltyOf::Story => signal.story_about(subject).map(|story| (story.short(), story.to_string())),
        NoveltyOf::Source => Some((signal.short_source(), signal.source.clone())),
    }
}

fn warm_up_ms(condition: &NoveltyCondition) -> i64 {
    match condition.of {
        NoveltyOf::Story if condition.new_authors_share_at_least == 0.0 => STORY_WARM_UP_MS,
        NoveltyOf::Story | NoveltyOf::Source => WARM_UP_MS,
    }
}
