//! What moved between the judgements of before and those of now: counts, and the mentions that moved most. Pure.

use std::collections::BTreeMap;

use earshot_common::events::{Enriched, EnrichmentVersion, EntityTag, Lane, Polarity};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::ReenrichRequest;

/// So many of the mentions that moved most are named.
const LARGEST: usize = 10;

/// How far a run is, and what moved so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Mentions of this time and later are judged again.
    pub since: Timestamp,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// Whether it still goes on.
    pub state: State,
    /// Why it ended before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// What is judged with.
    pub enrichment: EnrichmentVersion,
    /// Whether the watchlist changed while it ran: another run would carry the change over history too.
    pub newer_watchlist: bool,
    /// Records of `mentions.enriched` to read.
    pub records: u64,
    /// Records that were read.
    pub records_read: u64,
    /// Mentions that were judged again.
    pub judged: u64,
    /// Mentions whose judgement differs: they were written, unless nothing is.
    pub changed: u64,
    /// Mentions that were left as they are.
    pub left: Left,
    /// What moved.
    pub changes: Changes,
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It goes on.
    Running,
    /// It came to its end.
    Done,
    /// It ended before.
    Failed,
}

/// Mentions that were left as they are, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// They changed meanwhile, or a newer watchlist judged them.
    pub newer: u64,
    /// Their author was erased.
    pub erased: u64,
    /// With the new judgement they are larger than the log takes.
    pub too_large: u64,
    /// Their records cannot be read.
    pub unreadable: u64,
}

/// What moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// Polarity of whole messages.
    pub messages: Labels,
    /// By subject.
    pub subjects: BTreeMap<String, SubjectChanges>,
    /// By risk category.
    pub risks: BTreeMap<String, Count>,
    /// By intent.
    pub intents: BTreeMap<String, Count>,
    /// By search.
    pub searches: BTreeMap<String, Count>,
    /// The mentions that moved most, the most moved first.
    pub largest: Vec<LargestChange>,
}

/// How many mentions have each polarity before (outer) and after (inner): negative, neutral, positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels(pub [[u64; 3]; 3]);

/// How many mentions have something, before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// They had it.
    pub before: u64,
    /// They have it.
    pub after: u64,
    /// They have it and had it not.
    pub gained: u64,
    /// They had it and have it no more.
    pub lost: u64,
}

/// What moved for one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectChanges {
    /// Mentions that count for it.
    pub sure: Count,
    /// Mentions that wait for a person to say.
    pub doubtful: Count,
    /// Polarity towards it, of mentions that count before and after.
    pub towards: Labels,
}

/// A mention that moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LargestChange {
    /// Its id.
    pub id: String,
    /// One for each subject, risk, intent and search that was gained or lost, and by how far each polarity moved.
    pub size: f32,
}

impl Report {
    pub(super) fn new(request: ReenrichRequest, enrichment: EnrichmentVersion, now: Timestamp) -> Self {
        Self {
            since: request.since,
            dry_run: request.dry_run,
            state: State::Running,
            error: None,
            started: now,
            ended: None,
            enrichment,
            newer_watchlist: false,
            records: 0,
            records_read: 0,
            judged: 0,
            changed: 0,
            left: Left::default(),
            changes: Changes::default(),
        }
    }

    /// Says how it ended.
    pub(super) fn end(&mut self, error: Option<String>, newer_watchlist: bool, now: Timestamp) {
        self.state = if error.is_some() { State::Failed } else { State::Done };
        self.error = error;
        self.newer_watchlist = newer_watchlist;
        self.ended = Some(now);
    }
}

impl Changes {
    /// Counts a mention that was judged again.
    pub fn note(&mut self, before: &Enriched, after: &Enriched) {
        self.messages.note(before.sentiment.label, after.sentiment.label);
        let mut size = (before.sentiment.score - after.sentiment.score).abs();
        size += self.note_subjects(&before.entities, &after.entities);
        size += note_words(&mut self.risks, &before.risk, &after.risk);
        size += note_words(&mut self.intents, &before.intent, &after.intent);
        size += note_words(&mut self.searches, &before.searches, &after.searches);
        if size > 0.0 {
            self.rank(&after.mention.id, size);
        }
    }

    fn note_subjects(&mut self, before: &[EntityTag], after: &[EntityTag]) -> f32 {
        let mut size = 0.0;
        for had in before {
            let has = after.iter().find(|tag| tag.subject == had.subject);
            size += self.note_subject(&had.subject, Some(had), has);
        }
        for has in after {
            if !before.iter().any(|tag| tag.subject == has.subject) {
                size += self.note_subject(&has.subject, None, Some(has));
            }
        }
        size
    }

    fn note_subject(&mut self, id: &str, had: Option<&EntityTag>, has: Option<&EntityTag>) -> f32 {
        let changes = entry(&mut self.subjects, id);
        let is_in = |tag: Option<&EntityTag>, lane| tag.is_some_and(|tag| tag.lane == lane);
        let (was_sure, is_sure) = (is_in(had, Lane::Sure), is_in(has, Lane::Sure));
        changes.sure.note(was_sure, is_sure);
        changes.doubtful.note(is_in(had, Lane::Doubtful), is_in(has, Lane::Doubtful));
        match (had, has) {
            (Some(had), Some(has)) if was_sure && is_sure => {
                changes.towards.note(had.sentiment.label, has.sentiment.label);
                (had.sentiment.score - has.sentiment.score).abs()
            }
            (Some(had), Some(has)) if had.lane == has.lane => 0.0,
            _ => 1.0,
        }
    }

    fn rank(&mut self, id: &str, size: f32) {
        let place = self.largest.partition_point(|larger| larger.size >= size);
        if place < LARGEST {
            self.largest.insert(place, LargestChange { id: id.to_owned(), size });
            self.largest.truncate(LARGEST);
        }
    }
}

impl Labels {
    fn note(&mut self, before: Polarity, after: Polarity) {
        self.0[before as usize][after as usize] += 1;
    }

    /// How many have another polarity than before.
    pub fn moved(&self) -> u64 {
        let all: u64 = self.0.iter().flatten().sum();
        let stayed: u64 = (0..3).map(|label| self.0[label][label]).sum();
        all - stayed
    }
}

impl Count {
    fn note(&mut self, had: bool, has: bool) {
        self.before += u64::from(had);
        self.after += u64::from(has);
        self.gained += u64::from(has && !had);
        self.lost += u64::from(had && !has);
    }
}

/// Counts the words that a mention had and has; answers how many it gained and lost.
fn note_words(counts: &mut BTreeMap<String, Count>, before: &[String], after: &[String]) -> f32 {
    let mut moved = 0;
    for had in before {
        let has = after.contains(had);
        entry(counts, had).note(true, has);
        moved += usize::from(!has);
    }
    for has in after.iter().filter(|has| !before.contains(has)) {
        entry(counts, has).note(false, true);
        moved += 1;
    }
    moved as f32
}

/// The entry of a key, which is copied only where it is new.
fn entry<'m, T: Default>(map: &'m mut BTreeMap<String, T>, key: &str) -> &'m mut T {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), T::default());
    }
    map.get_mut(key).expect("it was put in where it was missing")
}

#[cfg(test)]
mod tests;
