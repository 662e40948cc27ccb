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
/// Terms smaller than this share of the sum no longer change it.
const NEGLIGIBLE: f64 = 1e-17;

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

/// What is believed of the dispersion before any data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prior {
    /// The dispersion.
    pub(crate) dispersion: f64,
    /// How many days of data it weighs as much as.
    pub(crate) days: f64,
    /// Buckets of a day.
    pub(crate) buckets_a_day: f64,
}

impl Sums {
    /// Takes a count in.
    pub(crate) fn add(&mut self, count: u32) {
        self.buckets += 1;
        self.total += u64::from(count);
        self.squares += u128::from(count).pow(2);
    }

    fn mean(&self) -> f64 {
        self.total as f64 / f64::from(self.buckets)
    }
}

/// The expectation of a bucket like these; `variation` is that of all groups of like buckets.
///
/// Half a mention is added to the sum, so that a history of zeros is not the certainty of zero. The mean is an
/// estimate itself, with the variance `(m + phi m²) / n`; written as a share of the squared mean it joins the
/// dispersion, so that a short history asks for more before it is surprised.
pub(crate) fn expect(like: &Sums, variation: &Variation, prior: &Prior) -> Expectation {
    let n = f64::from(like.buckets);
    let mean = (like.total as f64 + 0.5) / n;
    let phi = dispersion(variation, prior);
    Expectation { mean, dispersion: phi + (phi + 1.0 / mean.max(0.5)) / n }
}

/// How counts vary in groups with means of their own. In a group of n buckets the sum of squared deviations is
/// expected to be `(n - 1)(m + phi m²)`.
pub(crate) fn variation(groups: &[Sums]) -> Variation {
    let (mut excess, mut scale, mut freedom) = (0.0, 0.0, 0.0);
    for group in groups.iter().filter(|group| group.buckets > 1) {
        let (n, mean) = (f64::from(group.buckets), group.mean());
        let deviations = group.squares as f64 - group.total as f64 * mean;
        excess += deviations - (n - 1.0) * mean;
        scale += (n - 1.0) * mean * mean;
        freedom += n - 1.0;
    }
    Variation { excess, scale, freedom }
}

/// The moment estimate of the dispersion: what was expected of the deviations, summed over the groups and solved for
/// phi; not below zero and drawn towards the prior.
fn dispersion(variation: &Variation, prior: &Prior) -> f64 {
    let Variation { excess, scale, freedom } = *variation;
    if scale == 0.0 {
        return prior.dispersion;
    }
    let measured = (excess / scale).max(0.0);
    let days = freedom / prior.buckets_a_day;
    (prior.dispersion * prior.days + measured * days) / (prior.days + days)
}

impl Expectation {
    /// The probability of this count or a higher one.
    ///
    /// The upper tail is summed from its first term, in log space at the start: no difference of two numbers
    /// near one, and right far below what `1 - cdf` can show. (The regularised incomplete beta function of
    /// `statrs` stops after 140 steps, which large counts exceed.)
    pub(crate) fn probability_of_at_least(&self, count: u32) -> f64 {
        if count == 0 {
            return 1.0;
        }
        let count = f64::from(count);
        if count <= self.mean {
            return (1.0 - self.lower_tail(count - 1.0)).clamp(0.0, 1.0);
        }
        let (mut k, mut term, mut sum) = (count, 1.0, 1.0);
        while term > sum * NEGLIGIBLE {
            term *= self.ratio_above(k);
            sum += term;
            k += 1.0;
        }
        (self.ln_mass(count) + f64::ln(sum)).exp().clamp(LEAST_PROBABILITY, 1.0)
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

    /// The probability of this count or a lower one, for a count below the mean.
    fn lower_tail(&self, count: f64) -> f64 {
        let (mut k, mut term, mut sum) = (count, 1.0, 1.0);
        while k > 0.0 && term > sum * NEGLIGIBLE {
            term /= self.ratio_above(k - 1.0);
            sum += term;
            k -= 1.0;
        }
        (self.ln_mass(count) + f64::ln(sum)).exp()
    }

    /// P(k + 1) / P(k).
    fn ratio_above(&self, k: f64) -> f64 {
        let size = 1.0 / self.dispersion;
        (k + size) / (k + 1.0) * self.mean / (size + self.mean)
    }

    /// ln P(k).
    fn ln_mass(&self, k: f64) -> f64 {
        let size = 1.0 / self.dispersion;
        ln_gamma(k + size)
            - ln_gamma(size)
            - ln_gamma(k + 1.0)
            - size * (self.mean / size).ln_1p()
            - k * (size / self.mean).ln_1p()
    }
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

    fn dispersion(groups: &[Sums], prior: &Prior) -> f64 {
        super::dispersion(&variation(groups), prior)
    }

    const NO_PRIOR: Prior = Prior { dispersion: 0.5, days: 0.0, buckets_a_day: 1.0 };

    #[test]
    fn the_dispersion_is_what_poisson_leaves_over() {
        // Mean 4, variance (n - 1) of 20/3: phi = (20/3 - 4) / 16.
        let group = sums(&[1, 3, 5, 7]);
        assert!((dispersion(&[group], &NO_PRIOR) - (20.0 / 3.0 - 4.0) / 16.0).abs() < 1e-12);
        // Less varied than Poisson is not a negative dispersion.
        assert_eq!(dispersion(&[sums(&[4, 4, 4])], &NO_PRIOR), 0.0);
        // Groups of different means do not add their difference.
        assert_eq!(dispersion(&[sums(&[4, 4]), sums(&[100, 100])], &NO_PRIOR), 0.0);
    }

    #[test]
    fn a_short_history_stays_near_the_prior() {
        let prior = Prior { dispersion: 0.02, days: 5.0, buckets_a_day: 1.0 };
        assert_eq!(dispersion(&[], &prior), 0.02);
        // Two days that are the same weigh one day against five.
        assert!((dispersion(&[sums(&[9, 9])], &prior) - 0.02 * 5.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn a_history_of_zeros_is_not_the_certainty_of_zero() {
        let prior = Prior { dispersion: 0.1, days: 5.0, buckets_a_day: 24.0 };
        let zeros = sums(&[0, 0, 0, 0, 0]);
        let expectation = expect(&zeros, &variation(&[zeros]), &prior);
        assert!((expectation.mean - 0.1).abs() < 1e-12);
        assert!(expectation.critical_count(0.001) > 2);
    }
}
