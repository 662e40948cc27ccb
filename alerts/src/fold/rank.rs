//! The rank of a subject among its competitors, by mentions in windows that have closed.
//!
//! Ranks of near equals change by chance. So one passes the other only where its share of what both have together is
//! as far from usual as the rule asks: the same beta-binomial comparison as that of a tone, with the mentions of one
//! in the place of negatives. What belongs here: what it takes several subjects to decide.

use earshot_common::definitions::{Condition, RankCondition, Window};
use earshot_common::events::{Arithmetic, RankArithmetic, ToneMeasure, Transition};
use earshot_common::time::Timestamp;

use super::State;
use super::alert::{Course, OpenAlert, Opening};
use super::calendar::{Bucket, interval};
use super::series::LOOK_BACK_MS;
use super::tone::{ToneSums, compare};
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
            let bucket = watched.series(rule, condition.window).bucket(looked);
            if bucket.end > clock {
                return None;
            }
            watched.rules[rule].looked = Some(bucket.end);
            let arithmetic = self.rank(id, rule, &condition, &bucket);
            let watched = self.subjects.get_mut(id)?;
            if let Some(transition) = watched.take_rank(rule, condition.window, &bucket, clock, arithmetic) {
                return Some(transition);
            }
        }
    }

    /// The rank in a window that was wholly observed, and the usual one.
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
        let before = own.windows_before(rule, condition.window, bucket);
        let mentions = own.mentions_in(bucket);
        let (mut above, mut usually_above) = (0, 0);
        let (mut passed, mut probability) = (Vec::new(), 1.0);
        for competitor in &condition.competitors {
            let other = self.subjects.get(competitor)?;
            let now = (mentions, other.mentions_in(bucket));
            let past: Vec<(u32, u32)> =
                before.iter().map(|bucket| (own.mentions_in(bucket), other.mentions_in(bucket))).collect();
            let usual: (u64, u64) = past.iter().fold((0, 0), |(own, other), window| {
                (own + u64::from(window.0), other + u64::from(window.1))
            });
            above += u32::from(now.1 > now.0);
            usually_above += u32::from(usual.1 > usual.0);
            if (now.1 > now.0) == (usual.1 > usual.0) {
                continue;
            }
            if let Some(found) = passing(now, &past).filter(|found| *found < condition.probability_below) {
                passed.push(competitor.clone());
                probability = f64::min(probability, found);
            }
        }
        let enough = mentions >= condition.mentions_at_least || above > usually_above;
        Some(RankArithmetic {
            window: interval(condition.window, None, bucket),
            mentions,
            rank: above + 1,
            usual_rank: usually_above + 1,
            of: condition.competitors.len() as u32 + 1,
            passed: if enough { passed } else { Vec::new() },
            probability,
        })
    }
}

/// How unlikely it is that the one who has more now has so large a share of what both have.
fn passing(now: (u32, u32), past: &[(u32, u32)]) -> Option<f64> {
    let other_passes = now.1 > now.0;
    let sums = |&(own, other): &(u32, u32)| {
        let part = if other_passes { other } else { own };
        ToneSums::of_counts(part, own + other)
    };
    let past: Vec<ToneSums> = past.iter().map(sums).collect();
    compare(ToneMeasure::ShareOfNegatives, &sums(&now), &past).map(|share| share.probability)
}

impl Watched {
    /// The observed windows before this one that belong to no other time of another rank; where such times are most of
    /// them, all. While an alert is open those before its opening.
    fn windows_before(&self, rule: usize, window: Window, bucket: &Bucket) -> Vec<Bucket> {
        let watch = &self.rules[rule];
        let end = match watch.open.as_ref().map(|open| &open.course) {
            Some(Course::Rank { opening }) => opening.start,
            _ => bucket.start,
        };
        let range = bucket.start.plus_millis(-LOOK_BACK_MS)..end;
        if range.is_empty() {
            return Vec::new();
        }
        let all: Vec<Bucket> =
            self.series(rule, window).observed(range).map(|counted| counted.bucket).collect();
        let usual: Vec<Bucket> = all.iter().filter(|bucket| !watch.in_burst(bucket.start)).copied().collect();
        if usual.len() * 2 >= all.len() { usual } else { all }
    }

    /// Opens an alert where somebody was passed, and ends it when the rank is the usual one again.
    fn take_rank(
        &mut self,
        rule: usize,
        window: Window,
        bucket: &Bucket,
        clock: Timestamp,
        arithmetic: Option<RankArithmetic>,
    ) -> Option<Transition> {
        let arithmetic = arithmetic?;
        if let Some(open) = self.rules[rule].open.as_mut() {
            let expired = !self.historic && open.raised.plus_millis(LONGEST_MS) <= bucket.end;
            if arithmetic.rank != arithmetic.usual_rank && !expired {
                open.until = bucket.end;
                return None;
            }
            open.until = bucket.start;
            open.arithmetic = Arithmetic::Rank(arithmetic);
            if let Course::Rank { opening } = open.course {
                self.rules[rule].note_burst(opening.start..bucket.start, clock);
            }
            return Some(Transition::Resolved);
        }
        let fires =
            self.series(rule, window).may_fire(bucket, clock) && self.is_scheduled(rule, bucket.start);
        if arithmetic.passed.is_empty() || !fires {
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
        self.rules[rule].open = Some(OpenAlert::new(opening, Course::Rank { opening: *bucket }));
        Some(Transition::Opened)
    }
}
