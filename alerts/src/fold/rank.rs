//! The rank of a subject among its competitors, by mentions in windows that have closed.
//!
//! Ranks of near equals change by chance. So one passes the other only where its share of what both have together is
//! as far from usual as the rule asks: the same beta-binomial comparison as that of a tone, with the mentions of one
//! in the place of negatives. What belongs here: what it takes several subjects to decide.

use earshot_common::definitions::{Condition, RankCondition, Window};
use earshot_common::events::{
    Arithmetic, RankArithmetic, RankAsked, RankedCompetitor, ToneMeasure, ToneSums, Transition,
};
use earshot_common::time::Timestamp;

use super::State;
use super::alert::{Course, OpenAlert, Opening};
use super::calendar::{Bucket, interval};
use super::series::LOOK_BACK_MS;
use super::tone::{PastTones, compare_with};
use super::watch::{LONGEST_MS, Watched};

impl State {
    /// Judges the windows that have closed, for each rule about ranks.
    pub(super) fn pass_ranks(&mut self, clock: Timestamp) -> Vec<(String, usize, Transition)> {
        let mut ranked = Vec::new();
        for (id, watched) in &self.subjects {
            for (rule, watch) in watched.rules.iter().enumerate() {
                if matches!(watch.rule.condition, Condition::Rank(_)) {
                    ranked.push((id.clone(), rule));
                }
            }
        }
        let mut passed = Vec::new();
        for (id, rule) in ranked {
            if let Some(transition) = self.pass_rank(&id, rule, clock) {
                passed.push((id, rule, transition));
            }
        }
        passed
    }

    fn pass_rank(&mut self, id: &str, rule: usize, clock: Timestamp) -> Option<Transition> {
        loop {
            let watched = self.subjects.get_mut(id)?;
            let Condition::Rank(condition) = watched.rules[rule].rule.condition.clone() else { return None };
            let start = watched.listened_from(rule)?.max(clock.plus_millis(-LOOK_BACK_MS));
            let looked = watched.rules[rule].looked.unwrap_or(start);
            if watched.waits(rule) || condition.competitors.iter().any(|other| self.is_warming(other)) {
                return None;
            }
            let watched = self.subjects.get_mut(id)?;
            let bucket = watched.series(rule, condition.window).bucket(looked);
            if bucket.end > clock {
                return None;
            }
            watched.rules[rule].looked = Some(bucket.end);
            let arithmetic = self.rank(id, rule, &condition, &bucket);
            let silent = self.silent_in_rank(id, rule, &condition);
            let watched = self.subjects.get_mut(id)?;
            let transition = watched.take_rank(rule, &condition, &bucket, clock, arithmetic, &silent);
            if let Some(transition) = transition {
                return Some(transition);
            }
        }
    }

    /// The sources that do not answer and have brought mentions of the subject or its competitors since the window
    /// that opened the alert began.
    fn silent_in_rank(&self, id: &str, rule: usize, condition: &RankCondition) -> Vec<String> {
        let watch = self.subjects.get(id).map(|watched| &watched.rules[rule]);
        let Some(Course::Rank { opening }) =
            watch.and_then(|watch| watch.open.as_ref()).map(|open| &open.course)
        else {
            return Vec::new();
        };
        let ranked = condition.competitors.iter().map(String::as_str).chain([id]);
        let ranked: Vec<&Watched> = ranked.filter_map(|id| self.subjects.get(id)).collect();
        let brought = |source: &String| {
            ranked.iter().any(|watched| watched.sources.is_heard_since(source, opening.start))
        };
        self.unheard().into_keys().filter(brought).collect()
    }

    /// The rank in a window that was wholly observed, and the usual one, among the competitors of whom this window and
    /// one before are known: one who was not listened to was not silent.
    fn rank(
        &self,
        id: &str,
        rule: usize,
        condition: &RankCondition,
        bucket: &Bucket,
    ) -> Option<RankArithmetic> {
        let own = self.subjects.get(id)?;
        if !own.series(rule, condition.window).is_observed(bucket.start) {
            return None;
        }
        let before = own.windows_before(rule, condition, bucket);
        let mentions = own.mentions_in(bucket);
        let authors = own.authors_in(condition.window, bucket);
        let mut competitors = Vec::new();
        for competitor in &condition.competitors {
            let other = self.subjects.get(competitor)?;
            let known = before.iter().filter(|bucket| other.is_observed_in(bucket));
            let past: Vec<(u32, u32)> =
                known.map(|bucket| (own.mentions_in(bucket), other.mentions_in(bucket))).collect();
            if !past.is_empty() && other.is_observed_in(bucket) {
                let ranked = ranked(competitor, mentions, other.mentions_in(bucket), &past);
                let authors = Some(other.authors_in(condition.window, bucket));
                competitors.push(RankedCompetitor { authors, ..ranked });
            }
        }
        if competitors.is_empty() {
            return None;
        }
        let asked = RankAsked {
            probability_below: condition.probability_below,
            mentions_at_least: condition.mentions_at_least,
            authors_at_least: Some(condition.authors_at_least),
        };
        let standing = Standing::of(mentions, Some(authors), &competitors, asked);
        Some(RankArithmetic {
            window: interval(condition.window, None, bucket),
            mentions,
            authors: Some(authors),
            rank: standing.rank,
            usual_rank: standing.usual_rank,
            of: competitors.len() as u32 + 1,
            passed: standing.passed,
            probability: standing.probability,
            competitors,
            asked: Some(asked),
            in_a_row: own.rules[rule].in_a_row(bucket),
        })
    }
}

/// A competitor beside the subject, now and in the windows before: the mentions of both in each.
fn ranked(id: &str, own: u32, mentions: u32, past: &[(u32, u32)]) -> RankedCompetitor {
    let usual: (u64, u64) =
        past.iter().fold((0, 0), |sum, window| (sum.0 + u64::from(window.0), sum.1 + u64::from(window.1)));
    let competitor = RankedCompetitor {
        id: id.to_owned(),
        mentions,
        authors: None,
        usual_mentions: usual.1,
        usual_own: usual.0,
        windows: 0,
        share: None,
    };
    if !has_passed(own, &competitor) {
        return competitor;
    }
    let is_ahead = mentions > own;
    let ahead =
        |&(own, other): &(u32, u32)| ToneSums::of_counts(if is_ahead { other } else { own }, own + other);
    let past: Vec<ToneSums> = past.iter().map(ahead).collect();
    let past = PastTones::of(ToneMeasure::ShareOfNegatives, &past);
    RankedCompetitor { windows: past.windows, share: Some(past.baseline), ..competitor }
}

/// Whether one of the two is ahead who usually is not.
fn has_passed(own: u32, competitor: &RankedCompetitor) -> bool {
    (competitor.mentions > own) != (competitor.usual_mentions > competitor.usual_own)
}

/// What the numbers of competitors come to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing {
    pub(crate) rank: u32,
    pub(crate) usual_rank: u32,
    /// The competitors that have passed the subject or were passed by it, by more than chance explains.
    pub(crate) passed: Vec<String>,
    /// The least probability among these.
    pub(crate) probability: f64,
}

impl Standing {
    /// The standing of a subject that has so many mentions by so many authors.
    pub(crate) fn of(
        own: u32,
        authors: Option<u32>,
        competitors: &[RankedCompetitor],
        asked: RankAsked,
    ) -> Self {
        let mut standing = Self { rank: 1, usual_rank: 1, passed: Vec::new(), probability: 1.0 };
        for competitor in competitors {
            standing.rank += u32::from(competitor.mentions > own);
            standing.usual_rank += u32::from(competitor.usual_mentions > competitor.usual_own);
            let ahead = if competitor.mentions > own {
                (competitor.mentions, competitor.authors)
            } else {
                (own, authors)
            };
            let found = passing(own, competitor).filter(|found| *found < asked.probability_below);
            if let Some(found) = found.filter(|_| is_enough(ahead, asked)) {
                standing.passed.push(competitor.id.clone());
                standing.probability = f64::min(standing.probability, found);
            }
        }
        let is_older = asked.authors_at_least.is_none();
        if is_older && own < asked.mentions_at_least && standing.rank <= standing.usual_rank {
            standing.passed.clear();
        }
        standing
    }
}

/// Whether the mentions and authors of the one who is ahead are enough.
fn is_enough((mentions, authors): (u32, Option<u32>), asked: RankAsked) -> bool {
    let Some(authors_at_least) = asked.authors_at_least else { return true };
    mentions >= asked.mentions_at_least && authors.unwrap_or_default() >= authors_at_least
}

/// How unlikely it is that the one who is ahead now has so large a share of what both have.
fn passing(own: u32, competitor: &RankedCompetitor) -> Option<f64> {
    let part = competitor.mentions.max(own);
    let past = PastTones {
        windows: competitor.windows,
        mentions: competitor.usual_own + competitor.usual_mentions,
        baseline: competitor.share?,
    };
    let now = ToneSums::of_counts(part, own + competitor.mentions);
    compare_with(ToneMeasure::ShareOfNegatives, &now, past).map(|share| share.probability)
}

impl Watched {
    /// The observed windows before this one that belong to no other time of another rank; where such times are most of
    /// them, all. While an alert is open those before its opening.
    fn windows_before(&self, rule: usize, condition: &RankCondition, bucket: &Bucket) -> Vec<Bucket> {
        let watch = &self.rules[rule];
        let end = match watch.open.as_ref().map(|open| &open.course) {
            Some(Course::Rank { opening }) => opening.start,
            _ => watch.usual_until(bucket, condition.windows),
        };
        let range = bucket.start.plus_millis(-LOOK_BACK_MS)..end;
        if range.is_empty() {
            return Vec::new();
        }
        let all: Vec<Bucket> =
            self.series(rule, condition.window).observed(range).map(|counted| counted.bucket).collect();
        let usual: Vec<Bucket> = all.iter().filter(|bucket| !watch.in_burst(bucket.start)).copied().collect();
        if usual.len() * 2 >= all.len() { usual } else { all }
    }

    /// Distinct authors in a window; in another zone those of its own hour or day that holds the beginning.
    fn authors_in(&self, window: Window, bucket: &Bucket) -> u32 {
        let series = match window {
            Window::Hour => &self.hours,
            Window::Day => &self.days,
        };
        series.authors_at(series.bucket(bucket.start).start)
    }

    /// Opens an alert where somebody was passed, and ends it when the rank is the usual one again, unless a source of
    /// one of them is silent.
    fn take_rank(
        &mut self,
        rule: usize,
        condition: &RankCondition,
        bucket: &Bucket,
        clock: Timestamp,
        arithmetic: Option<RankArithmetic>,
        silent: &[String],
    ) -> Option<Transition> {
        let arithmetic = arithmetic?;
        if let Some(open) = self.rules[rule].open.as_mut() {
            let expired = !self.historic && open.raised.plus_millis(LONGEST_MS) <= bucket.end;
            let over = arithmetic.rank == arithmetic.usual_rank;
            if !expired && (!over || !silent.is_empty()) {
                open.until = bucket.end;
                return if over { open.block(silent) } else { None };
            }
            open.until = bucket.start;
            open.arithmetic = Arithmetic::Rank(arithmetic);
            if let Course::Rank { opening } = open.course {
                self.rules[rule].note_burst(opening.start..bucket.start, clock);
            }
            return Some(Transition::Resolved);
        }
        let window = condition.window;
        let lasts = self.rules[rule].note_window(bucket, !arithmetic.passed.is_empty()) >= condition.windows;
        let fires =
            self.series(rule, window).may_fire(bucket, clock) && self.is_scheduled_within(rule, bucket);
        if arithmetic.passed.is_empty() || !lasts || !fires {
            return None;
        }
        let opening = Opening {
            key: self.key(rule, &bucket.start.to_string()),
            at: bucket.start,
            until: bucket.end,
            lexicon: self.lexicon.clone(),
            evidence: self.series(rule, window).evidence_at(bucket.start),
            arithmetic: Arithmetic::Rank(arithmetic),
            asked: 0,
        };
        let first = self.rules[rule].begin_burst(bucket);
        self.rules[rule].open = Some(OpenAlert::new(opening, Course::Rank { opening: first }));
        Some(Transition::Opened)
    }
}
