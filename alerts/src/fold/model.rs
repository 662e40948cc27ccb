//! The count model: how unlikely a count is.
//!
//! Mentions come in clumps: one post brings replies, one article copies. Counts of like buckets therefore vary
//! more than a Poisson count would. The usual model for that is the negative binomial in its quadratic form
//! (NB2; Cameron and Trivedi, *Regression Analysis of Count Data*, 2nd edition, section 3.3):
//!
//! ```text
//! Var = m + phi · m²          m the mean, phi the dispersion
//! ```
//!
//! What belongs here: arithmetic on counts. Which buckets are alike is [`super::baseline`]'s to say.

use earshot_common::events::Variation;
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

/// Probabilities are never written as zero, which would claim more than a model can.
const LEAST_PROBABILITY: f64 = 1e-300;
/// So many groups of plentiful data weigh as much as what is believed of their spread.
const SPREAD_GROUPS: f64 = 5.0;
/// No groups are quite alike.
const LEAST_SPREAD: f64 = 0.05;
/// A step that changes the continued fraction by a smaller share is the last.
const NEGLIGIBLE: f64 = 1e-13;
/// More steps than the largest count needs.
const MOST_STEPS: u32 = 100_000;

/// What is to be expected of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Expectation {
    /// The mean count.
    pub(crate) mean: f64,
    /// Var = mean + dispersion · mean².
    pub(crate) dispersion: f64,
}

/// Counts of buckets that are alike, as the sums that the estimates need. Integers, so that the order in which
/// they were added cannot show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// How many buckets.
    pub(crate) buckets: u32,
    /// The sum of their counts.
    pub(crate) total: u64,
    /// The sum of the squares of their counts.
    pub(crate) squares: u128,
}

/// What a group's mean is drawn to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Drawn {
    /// The mean that the group is believed to have.
    pub(crate) usual: f64,
    /// How many buckets the belief weighs as much as.
    pub(crate) weight: f64,
}

/// What is believed of the dispersion before any data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prior {
    /// The dispersion.
    pub(crate) dispersion: f64,
    /// How many buckets of plentiful data it weighs as much as.
    pub(crate) buckets: f64,
}

/// A mean that was estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// The mean count.
    pub(crate) mean: f64,
    /// It is as well known as from this many like buckets.
    pub(crate) buckets: f64,
}

impl Sums {
    /// Takes a count in.
    pub(crate) fn add(&mut self, count: u32) {
        self.buckets += 1;
        self.total += u64::from(count);
        self.squares += u128::from(count).pow(2);
    }

    /// Takes out a count that was taken in.
    pub(crate) fn take(&mut self, count: u32) {
        self.buckets -= 1;
        self.total -= u64::from(count);
        self.squares -= u128::from(count).pow(2);
    }

    /// Takes other buckets in.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.buckets += other.buckets;
        self.total += other.total;
        self.squares += other.squares;
    }

    /// The mean of these buckets alone. Half a mention is added to the sum, so that a history of zeros is not the
    /// certainty of zero.
    pub(crate) fn mean(&self) -> Estimate {
        let buckets = f64::from(self.buckets);
        Estimate { mean: (self.total as f64 + 0.5) / buckets, buckets }
    }

    /// The mean of these buckets, drawn to what they are believed to be like: the less they say themselves, the
    /// more (the credibility estimate of Bühlmann).
    ///
    /// `spread` is how far the means of such groups lie from `usual`, as a share of it. A bucket's chance
    /// variation is `usual² (1 / usual + phi)`, that of the groups `usual² spread²`: their ratio is the number of
    /// buckets that the belief weighs as much as, though never more than it is known from.
    pub(crate) fn drawn_to(&self, usual: Estimate, spread: f64, dispersion: f64) -> Drawn {
        let weight = ((dispersion + 1.0 / usual.mean) / (spread * spread)).min(usual.buckets);
        Drawn { usual: usual.mean, weight }
    }

    /// The mean of these buckets and of what they are drawn to.
    pub(crate) fn drawn_mean(&self, drawn: Drawn) -> Estimate {
        let buckets = f64::from(self.buckets) + drawn.weight;
        Estimate { mean: (self.total as f64 + drawn.weight * drawn.usual) / buckets, buckets }
    }
}

/// How far the means of groups lie from what they are drawn to, as a share of it.
///
/// What chance adds to a group of so few buckets is taken off (the moment estimate of empirical Bayes methods, for
/// means of groups that of Bühlmann and Straub): a subject whose Mondays are like its other days needs not learn them
/// one by one. Groups that say more weigh more, and the belief as much as [`SPREAD_GROUPS`] of plentiful data.
pub(crate) fn spread_of(groups: &[(Sums, Estimate)], believed: f64, dispersion: f64) -> f64 {
    let believed = believed * believed;
    let mut weights = SPREAD_GROUPS / (believed * believed);
    let mut sum = weights * believed;
    for (sums, usual) in groups.iter().filter(|(sums, _)| sums.buckets > 0) {
        let buckets = f64::from(sums.buckets);
        let chance = dispersion + 1.0 / usual.mean;
        let deviation = sums.total as f64 / buckets / usual.mean - 1.0;
        // The group is among those that the usual mean is known from.
        let by_chance = chance * (1.0 / buckets - 1.0 / usual.buckets).max(0.0);
        let weight = (chance / buckets + believed).powi(-2);
        sum += weight * (deviation * deviation - by_chance);
        weights += weight;
    }
    (sum / weights).max(0.0).sqrt().max(LEAST_SPREAD)
}

/// How counts vary around the means of their groups.
///
/// The squared deviations of a group of n buckets are expected to sum to `n (1 - 1/k)(m + phi m²)`, where the
/// mean is known as from k buckets (n itself, if nothing else is known).
pub(crate) fn variation(groups: &[(Sums, Estimate)]) -> Variation {
    let (mut excess, mut scale, mut freedom, mut expected) = (0.0, 0.0, 0.0, 0.0);
    for (sums, estimate) in groups.iter().filter(|(sums, _)| sums.buckets > 0) {
        let (n, mean, total) = (f64::from(sums.buckets), estimate.mean, sums.total as f64);
        let free = n * (1.0 - 1.0 / estimate.buckets).max(0.0);
        let deviations = sums.squares as f64 - 2.0 * mean * total + n * mean * mean;
        excess += deviations - free * mean;
        scale += free * mean * mean;
        freedom += free;
        expected += free * mean;
    }
    Variation { excess, scale, freedom, expected }
}

/// The dispersion that follows: the moment estimate, not below zero and drawn towards the prior.
///
/// What is expected of the squared deviations, summed over the groups, is solved for phi. The variance of that
/// estimate grows with `(1 / m + phi)²`, so where counts are low, and say little about more than chance, the
/// prior weighs by as much more.
pub(crate) fn dispersion_of(variation: &Variation, prior: &Prior) -> f64 {
    let Variation { excess, scale, freedom, expected } = *variation;
    if scale == 0.0 {
        return prior.dispersion;
    }
    let measured = (excess / scale).max(0.0);
    let vagueness = (freedom / expected + prior.dispersion) / prior.dispersion;
    let weight = prior.buckets * vagueness * vagueness;
    (prior.dispersion * weight + measured * freedom) / (weight + freedom)
}

impl Expectation {
    /// What is to be expected of the next bucket with this mean. The mean is an estimate itself, with the
    /// variance `(m + phi m²) / n`; written as a share of the squared mean it joins the dispersion, so that a
    /// short history asks for more before it is surprised.
    pub(crate) fn of(estimate: Estimate, dispersion: f64) -> Self {
        let Estimate { mean, buckets } = estimate;
        Self { mean, dispersion: dispersion + (dispersion + 1.0 / mean) / buckets }
    }

    /// The probability of this count or a higher one: the regularised incomplete beta function of
    /// `mean / (size + mean)` with the parameters count and size (DLMF 8.17.5 and 8.17.24).
    ///
    /// Each side of the mean has its own continued fraction, so that the upper tail is no difference of two
    /// numbers near one. (That of `statrs` stops after 140 steps, which large counts exceed.)
    pub(crate) fn probability_of_at_least(&self, count: u32) -> f64 {
        if count == 0 {
            return 1.0;
        }
        let (count, size) = (f64::from(count), 1.0 / self.dispersion);
        let ln_front = ln_gamma(count + size)
            - ln_gamma(count)
            - ln_gamma(size)
            - count * (size / self.mean).ln_1p()
            - size * (self.mean / size).ln_1p();
        let share = self.mean / (size + self.mean);
        let probability = if count > self.mean {
            (ln_front + f64::ln(beta_fraction(count, size, share) / count)).exp()
        } else {
            1.0 - ln_front.exp() * beta_fraction(size, count, 1.0 - share) / size
        };
        probability.clamp(LEAST_PROBABILITY, 1.0)
    }

    /// The lowest count whose probability is below this.
    pub(crate) fn critical_count(&self, probability_below: f64) -> u32 {
        let surprising = |count: u32| self.probability_of_at_least(count) < probability_below;
        let mut high = 1;
        while !surprising(high) {
            match u32::checked_mul(high, 2) {
                Some(double) => high = double,
                None => return u32::MAX,
            }
        }
        let mut low = high / 2;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if surprising(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }
}

/// The continued fraction of the incomplete beta function (DLMF 8.17.22), by the modified Lentz method. It
/// converges within about the root of the larger parameter for `x < (a + 1) / (a + b + 2)`.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let away_from_zero = |value: f64| if value.abs() < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..MOST_STEPS {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for coefficient in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + coefficient * d);
            c = away_from_zero(1.0 + coefficient / c);
            change = d * c;
            fraction *= change;
        }
        if (change - 1.0).abs() < NEGLIGIBLE {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.nbinom.sf(k - 1, 1 / phi, (1 / phi) / (1 / phi + m))` of SciPy 1.17.1, confirmed to all
    /// digits by `mpmath.betainc` with 50 digits: mean, dispersion, count, probability.
    const SCIPY: [(f64, f64, u32, f64); 15] = [
        (11.2, 0.1, 12, 4.315162677171e-01),
        (11.2, 0.1, 30, 1.717263778641e-03),
        (11.2, 0.1, 64, 2.432404761562e-10),
        (0.1, 0.3, 1, 9.383089550691e-02),
        (0.1, 0.3, 3, 3.013291557071e-04),
        (0.5, 2.0, 5, 1.011955973543e-02),
        (300.0, 0.02, 400, 2.129606376455e-02),
        (300.0, 0.02, 700, 2.124761761233e-11),
        (455.0, 0.0222, 711, 8.224275966992e-04),
        (26.0, 0.05, 1036, 5.233544960420e-224),
        (5000.0, 0.02, 8000, 1.391783693629e-04),
        (5000.0, 0.02, 4000, 9.286717582971e-01),
        (100000.0, 0.01, 150000, 5.977870019115e-06),
        (2.5, 0.15, 1, 8.803309034724e-01),
        (20.0, 0.001, 60, 9.090254942091e-13),
    ];

    #[test]
    fn tails_agree_with_scipy() {
        for (mean, dispersion, count, wanted) in SCIPY {
            let found = Expectation { mean, dispersion }.probability_of_at_least(count);
            assert!(
                (found / wanted - 1.0).abs() < 1e-8,
                "P(X >= {count} | {mean}, {dispersion}) = {found:e}, SciPy {wanted:e}"
            );
        }
    }

    #[test]
    fn the_critical_count_is_the_first_surprising_one() {
        for (mean, dispersion, _, _) in SCIPY {
            let expectation = Expectation { mean, dispersion };
            let critical = expectation.critical_count(0.001);
            assert!(expectation.probability_of_at_least(critical) < 0.001);
            assert!(expectation.probability_of_at_least(critical - 1) >= 0.001);
        }
    }

    fn sums(counts: &[u32]) -> Sums {
        let mut sums = Sums::default();
        for count in counts {
            sums.add(*count);
        }
        sums
    }

    fn dispersion(groups: &[(Sums, Estimate)], prior: &Prior) -> f64 {
        dispersion_of(&variation(groups), prior)
    }

    const NO_PRIOR: Prior = Prior { dispersion: 0.5, buckets: 0.0 };

    /// Groups whose means are known from their own counts alone.
    fn own(counts: &[u32]) -> (Sums, Estimate) {
        let sums = sums(counts);
        (sums, Estimate { mean: sums.total as f64 / counts.len() as f64, buckets: counts.len() as f64 })
    }

    #[test]
    fn the_dispersion_is_what_poisson_leaves_over() {
        // Mean 4, variance (n - 1) of 20/3: phi = (20/3 - 4) / 16.
        assert!((dispersion(&[own(&[1, 3, 5, 7])], &NO_PRIOR) - (20.0 / 3.0 - 4.0) / 16.0).abs() < 1e-12);
        // Less varied than Poisson is not a negative dispersion.
        assert_eq!(dispersion(&[own(&[4, 4, 4])], &NO_PRIOR), 0.0);
        // Groups of different means do not add their difference.
        assert_eq!(dispersion(&[own(&[4, 4]), own(&[100, 100])], &NO_PRIOR), 0.0);
    }

    #[test]
    fn a_short_history_stays_near_the_prior() {
        let prior = Prior { dispersion: 0.02, buckets: 5.0 };
        assert_eq!(dispersion(&[], &prior), 0.02);
        // Two days that are the same, far above chance, weigh one day against five.
        let found = dispersion(&[own(&[1_000_000, 1_000_000])], &prior);
        assert!((found - 0.02 * 5.0 / 6.0).abs() < 1e-5, "{found}");
        // Chance alone explains 50 in 50² as much as the prior: it weighs four times as much.
        let found = dispersion(&[own(&[50, 50])], &prior);
        assert!((found - 0.02 * 20.0 / 21.0).abs() < 1e-12, "{found}");
    }

    #[test]
    fn a_history_of_zeros_is_not_the_certainty_of_zero() {
        let zeros = sums(&[0, 0, 0, 0, 0]).mean();
        assert!((zeros.mean - 0.1).abs() < 1e-12);
        assert!(Expectation::of(zeros, 0.1).critical_count(0.001) > 2);
    }

    #[test]
    fn a_group_that_says_little_is_drawn_to_what_is_usual() {
        let usual = Estimate { mean: 2.0, buckets: 100.0 };
        let drawn = |counts: &[u32], usual: Estimate| {
            let sums = sums(counts);
            sums.drawn_mean(sums.drawn_to(usual, 0.25, 0.125))
        };
        // A bucket varies by 1/2 + 1/8 of the squared mean, groups by 1/16: the belief weighs ten buckets.
        assert_eq!(drawn(&[8, 8], usual), Estimate { mean: 3.0, buckets: 12.0 });
        // What is known from one bucket weighs no more than one.
        assert_eq!(
            drawn(&[8, 8], Estimate { mean: 2.0, buckets: 1.0 }),
            Estimate { mean: 6.0, buckets: 3.0 }
        );
    }

    #[test]
    fn groups_that_are_alike_are_told_from_groups_that_are_not() {
        let usual = Estimate { mean: 1_000.0, buckets: 400.0 };
        // Chance alone makes means of four buckets differ by a share of sqrt(0.126 * (1/4 - 1/400)), or 0.177.
        let of = |deviation: u32| {
            let group = |high: bool| if high { 1_000 + deviation } else { 1_000 - deviation };
            let groups: Vec<_> = (0..100).map(|place| (sums(&[group(place % 2 == 0); 4]), usual)).collect();
            spread_of(&groups, 0.15, 0.125)
        };
        // What is left of sqrt(0²), sqrt(0.177²) and sqrt(0.4²) is drawn to the belief by about a fifth.
        assert_eq!(of(0), LEAST_SPREAD);
        assert!((0.06..0.08).contains(&of(177)), "chance alone: {}", of(177));
        assert!((0.30..0.36).contains(&of(400)), "sqrt(0.4² - 0.177²) is 0.359: {}", of(400));
        // With nothing to go by it is what is believed.
        assert!((spread_of(&[], 0.15, 0.125) - 0.15).abs() < 1e-12);
    }
}
