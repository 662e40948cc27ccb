//! The reach of a window against that of the windows before it: the accounts that could have seen its mentions.
//!
//! Reach has a heavy tail. A few authors have most of the followers, so neither a count model nor a mean says what is
//! rare. What does is how the highest windows exceed the rest: their logarithms over a high one are about exponential
//! (Hill, 1975), and their mean is estimated from the highest fifth of the windows before. It is drawn towards one, which
//! is Zipf's law, so that a short history asks for more before it is surprised. That the default is wrong less than once a
//! month is tried by a test, on generated months with followers from log-normal to heavier than Zipf.
//!
//! Windows of which no reach is known say nothing, and the rest are compared whatever their hour: those that are alike in
//! the hour are too few to know a tail by.
//!
//! A reach can only grow while its window lasts, so it is said at once; that it is over waits for the window's end.

use earshot_common::definitions::ReachCondition;
use earshot_common::events::{
    Arithmetic, ReachArithmetic, ReachAsked, ReachBaseline, Signal, SubjectSignal, Transition,
};
use earshot_common::time::Timestamp;

use super::alert::Course;
use super::calendar::{Bucket, interval};
use super::closing::{Judged, WindowsAsked};
use super::evidence::Witness;
use super::series::LOOK_BACK_MS;
use super::watch::{Watch, Watched};

/// Fewer windows before are too little to say what is usual.
const LEAST_WINDOWS: usize = 20;
/// One in so many windows is high.
const HIGH_ONE_IN: usize = 5;
/// What is believed before any data weighs as much as so many high windows.
const PRIOR_WINDOWS: f64 = 10.0;
/// The mean logarithm by which high windows exceed the lowest of them that is believed before any data.
const PRIOR_SPREAD: f64 = 1.0;
/// Probabilities are never written as zero, which would claim more than a model can.
const LEAST_PROBABILITY: f64 = 1e-300;

/// What the windows before come to, whatever their order; `None` is too little data.
pub(crate) fn usual(mut reaches: Vec<u64>) -> Option<ReachBaseline> {
    if reaches.len() < LEAST_WINDOWS {
        return None;
    }
    reaches.sort_unstable();
    let windows = reaches.len();
    let above = windows / HIGH_ONE_IN;
    let high = reaches[windows - above - 1];
    let over_high = |reach: &u64| ((ln(*reach) - ln(high)) * 1e6).round() as i64;
    Some(ReachBaseline {
        windows: windows as u32,
        median: reaches[windows / 2],
        high,
        above: above as u32,
        excess: reaches[windows - above..].iter().map(over_high).sum(),
    })
}

/// How much high windows exceed the lowest of them: the mean of the logarithms.
pub(crate) fn spread(usual: &ReachBaseline) -> f64 {
    let excess = usual.excess as f64 / 1e6;
    (PRIOR_SPREAD * PRIOR_WINDOWS + excess) / (PRIOR_WINDOWS + f64::from(usual.above))
}

/// The probability of a reach as high or higher.
pub(crate) fn probability(usual: &ReachBaseline, reach: u64) -> f64 {
    let beyond = (ln(reach) - ln(usual.high)) / spread(usual);
    (share_of_high(usual) * (-beyond).exp()).clamp(LEAST_PROBABILITY, 1.0)
}

/// The least reach whose probability is below this.
pub(crate) fn threshold(usual: &ReachBaseline, below: f64) -> u64 {
    let ln_threshold = ln(usual.high) + spread(usual) * (share_of_high(usual) / below).ln();
    // A number beyond the highest that there is becomes that.
    ln_threshold.exp().floor() as u64
}

fn share_of_high(usual: &ReachBaseline) -> f64 {
    f64::from(usual.above) / f64::from(usual.windows)
}

fn ln(reach: u64) -> f64 {
    (reach as f64).ln_1p()
}

impl Watched {
    /// A mention in a window may make its reach one that the rule asks for. What is open rises when the reach has
    /// doubled, or is so wide that it is more severe.
    pub(super) fn judge_reach(
        &mut self,
        rule: usize,
        condition: &ReachCondition,
        signal: &Signal,
        subject: &SubjectSignal,
        now: Timestamp,
    ) -> Option<Transition> {
        let series = self.series(rule, condition.window);
        let bucket = series.bucket(signal.event_time);
        let may_fire = series.may_fire(&bucket, now) && !self.rules[rule].in_burst(bucket.start);
        let reach = self.rules[rule].reach_in(&bucket);
        match self.rules[rule].open.as_mut() {
            // What was usual costs more than all else here.
            None if !may_fire || reach < condition.reach_at_least => return None,
            None => {}
            Some(open) => {
                let Course::Reach { current, .. } = open.course else { return None };
                if bucket.start < current {
                    return None;
                }
                open.evidence.add(Witness::of(signal, subject), &signal.source);
                if !open.is_wider(reach) {
                    return None;
                }
            }
        }
        let found = self.reach_of(rule, condition, &bucket).filter(ReachArithmetic::holds)?;
        if let Some(open) = self.rules[rule].open.as_mut() {
            open.announce_reach(&bucket, found);
            return Some(Transition::Rising);
        }
        if found.in_a_row < condition.windows || !self.is_scheduled(rule, signal.event_time) {
            return None;
        }
        let at = signal.event_time;
        self.open_window(rule, condition.window, &bucket, at, Arithmetic::Reach(found));
        Some(Transition::Opened)
    }

    /// Judges the windows that have closed.
    pub(super) fn pass_reach(
        &mut self,
        rule: usize,
        condition: &ReachCondition,
        clock: Timestamp,
        silent: &[String],
    ) -> Option<Transition> {
        let ReachCondition { window, probability_below, windows, .. } = *condition;
        let asked = WindowsAsked { window, probability_below, windows };
        self.pass_windows(rule, asked, clock, silent, |watched, bucket| {
            let is_observed = watched.series(rule, window).is_observed(bucket.start);
            let found = watched.reach_of(rule, condition, bucket).filter(|_| is_observed)?;
            let (probability, holds) = (found.probability, found.holds());
            Some(Judged { probability, holds, arithmetic: Arithmetic::Reach(found) })
        })
    }

    /// The reach of a window so far, against the windows before it that belong to no burst.
    fn reach_of(
        &mut self,
        rule: usize,
        condition: &ReachCondition,
        bucket: &Bucket,
    ) -> Option<ReachArithmetic> {
        let authors = self.series(rule, condition.window).authors_at(bucket.start);
        let watch = &mut self.rules[rule];
        let baseline = watch.usual_reach(bucket, condition.windows)?;
        let sums = watch.tones.windows.get(&bucket.start).copied().unwrap_or_default();
        Some(ReachArithmetic {
            window: interval(condition.window, None, bucket),
            reach: sums.reach,
            mentions: sums.mentions,
            known: sums.known,
            authors,
            expected: baseline.median,
            spread: spread(&baseline),
            probability: probability(&baseline, sums.reach),
            threshold: threshold(&baseline, condition.probability_below),
            baseline,
            asked: ReachAsked {
                probability_below: condition.probability_below,
                reach_at_least: condition.reach_at_least,
                mentions_at_least: condition.mentions_at_least,
                authors_at_least: condition.authors_at_least,
            },
            in_a_row: watch.in_a_row(bucket),
        })
    }
}

impl Watch {
    fn reach_in(&self, bucket: &Bucket) -> u64 {
        self.tones.windows.get(&bucket.start).map_or(0, |sums| sums.reach)
    }

    /// What was usual before a window, or before the alert that is open. Computed once for a window, and again when what
    /// is known of those before it changes.
    fn usual_reach(&mut self, bucket: &Bucket, windows: u32) -> Option<ReachBaseline> {
        let until = match self.open.as_ref().map(|open| &open.course) {
            Some(Course::Reach { opening, .. }) => opening.start,
            _ => self.usual_until(bucket, windows),
        };
        let key = (bucket.start, until, self.generation);
        if let Some((_, known)) = self.tones.usual.filter(|(known, _)| *known == key) {
            return known;
        }
        let oldest = bucket.start.plus_millis(-LOOK_BACK_MS);
        let (mut past, mut bursts) = (Vec::new(), Vec::new());
        for (start, sums) in self.tones.windows.range(oldest..until.max(oldest)) {
            let kind = if self.in_burst(*start) { &mut bursts } else { &mut past };
            kind.extend((sums.known > 0).then_some(sums.reach));
        }
        // Where bursts are most of the windows, they are how things are now.
        if bursts.len() > past.len() {
            past.append(&mut bursts);
        }
        let usual = usual(past);
        self.tones.usual = Some((key, usual));
        usual
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    /// Sixty windows: the middle ones reach 40,000, and the twelve high ones each e times the 90,000 below them.
    fn sixty() -> Vec<u64> {
        let mut reaches = vec![20_000; 20];
        reaches.extend([40_000; 27]);
        reaches.push(90_000);
        reaches.extend([244_647; 12]);
        reaches
    }

    #[test]
    fn the_highest_fifth_says_how_rare_a_reach_is() {
        let usual = usual(sixty()).unwrap();
        assert_eq!((usual.windows, usual.median, usual.high, usual.above), (60, 40_000, 90_000, 12));
        assert!((usual.excess - 12_000_000).abs() < 200, "twelve times a logarithm of one: {}", usual.excess);
        assert!((spread(&usual) - 1.0).abs() < 1e-4);
        // A Pareto tail of index one: ten times as wide is a tenth as likely.
        assert!((probability(&usual, 90_000) - 0.2).abs() < 1e-9);
        assert!((probability(&usual, 900_000) / 0.02 - 1.0).abs() < 1e-3);
        assert_eq!(probability(&usual, 0), 1.0);
        let least = threshold(&usual, 0.003);
        assert!((least as f64 / (90_000.0 * 0.2 / 0.003) - 1.0).abs() < 1e-3, "{least}");
        assert!(probability(&usual, least) <= 0.003 && probability(&usual, least - 2) > 0.003);
    }

    /// A subject's months, hour by hour, four times as loud by day as by night, with what each author reaches: how many
    /// hours would be alerts at the defaults. Hours side by side are one alert of the product, and here several.
    fn surprises(mean: f64, months: u32, seed: u64, followers: fn(&mut StdRng) -> f64) -> u32 {
        const AUTHORS: u32 = 3;
        const REACH: u64 = 10_000;
        let mut random = StdRng::seed_from_u64(seed);
        let (mut past, mut surprises): (Vec<(u32, u64)>, u32) = (Vec::new(), 0);
        for hour in 0..months * 30 * 24 {
            let loud = if hour % 24 < 12 { 1.6 } else { 0.4 };
            // The sum of eight geometric counts: its variance is m + m²/8.
            let goes_on = mean * loud / (8.0 + mean * loud);
            let mut geometric = || ((1.0 - random.random::<f64>()).ln() / goes_on.ln()).floor() as u32;
            let mentions: u32 = (0..8).map(|_| geometric()).sum();
            let reach: u64 = (0..mentions).map(|_| followers(&mut random).min(1e9) as u64).sum();
            past.retain(|(at, _)| *at + 56 * 24 > hour);
            if mentions >= AUTHORS
                && reach >= REACH
                && let Some(usual) = usual(past.iter().map(|(_, reach)| *reach).collect())
            {
                surprises += u32::from(reach >= threshold(&usual, 0.0003));
            }
            if mentions > 0 {
                past.push((hour, reach));
            }
        }
        surprises
    }

    fn log_normal(random: &mut StdRng) -> f64 {
        let (one, two) = (1.0 - random.random::<f64>(), random.random::<f64>());
        (6.0 + 2.0 * (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos()).exp()
    }

    fn pareto(random: &mut StdRng, index: f64) -> f64 {
        50.0 * (1.0 - random.random::<f64>()).powf(-1.0 / index)
    }

    #[test]
    fn followers_of_many_kinds_surprise_less_than_once_a_month() {
        let kinds: [fn(&mut StdRng) -> f64; 3] =
            [log_normal, |random| pareto(random, 1.0), |random| pareto(random, 0.8)];
        for (kind, followers) in kinds.into_iter().enumerate() {
            for mean in [5.0, 50.0] {
                let months = 20;
                let found: u32 = (0..4).map(|seed| surprises(mean, months / 4, seed, followers)).sum();
                assert!(found < months, "{found} in {months} months of kind {kind} at {mean} an hour");
            }
        }
    }

    #[test]
    fn few_windows_say_nothing_and_equal_ones_do_not_make_a_little_more_a_surprise() {
        assert_eq!(usual(vec![40_000; 19]), None);
        let equal = usual(vec![40_000; 20]).unwrap();
        assert_eq!(equal.excess, 0);
        assert!(probability(&equal, 80_000) > 0.05, "twice as wide: {}", probability(&equal, 80_000));
        assert!(threshold(&equal, 1e-300) > 1_000_000_000_000);
    }
}
