//! The tone of a window against that of the windows before it: the share of negatives, and the mean sentiment.
//!
//! Mentions of one window are alike: they answer to one event, or to each other. Negatives among `n` are therefore
//! beta-binomial, with the correlation `rho` of two mentions of a window, and the mean of a window varies by more than
//! `s / sqrt(n)`. Both are estimated by moments over the windows before and drawn towards a prior, so that a short
//! history asks for more before it is surprised.
//!
//! What belongs here: arithmetic on sums. Which windows are compared is said in [`super::watch`].

use earshot_common::events::{ToneArithmetic, ToneBaseline, ToneMeasure, ToneSums};
use statrs::function::erf::erfc;
use statrs::function::gamma::ln_gamma;

/// Fewer mentions before are too little to say what is usual.
const LEAST_MENTIONS: u64 = 50;
/// Fewer windows with mentions are.
const LEAST_WINDOWS: u32 = 10;
/// What is believed before any data weighs as much as so many windows.
const PRIOR_WINDOWS: f64 = 10.0;
/// The correlation within a window that is believed before any data.
const PRIOR_CORRELATION: f64 = 0.02;
/// The variance of a window's mean beyond chance that is believed before any data: a tenth either way.
const PRIOR_VARIANCE: f64 = 0.01;
/// Probabilities are never written as zero, which would claim more than a model can.
const LEAST_PROBABILITY: f64 = 1e-300;

/// A window's tone and how it compares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tone {
    pub(crate) observed: f64,
    pub(crate) expected: f64,
    pub(crate) spread: f64,
    pub(crate) probability: f64,
    pub(crate) past: PastTones,
}

/// The windows before, as far as a comparison needs them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PastTones {
    pub(crate) windows: u32,
    pub(crate) mentions: u64,
    pub(crate) baseline: ToneBaseline,
}

/// How a window's tone compares with that of the windows before, oldest first; `None` is too little data.
pub(crate) fn compare(measure: ToneMeasure, window: &ToneSums, past: &[ToneSums]) -> Option<Tone> {
    compare_with(measure, window, PastTones::of(measure, past))
}

/// The same, of what the windows before come to.
pub(crate) fn compare_with(measure: ToneMeasure, window: &ToneSums, past: PastTones) -> Option<Tone> {
    if window.mentions == 0 || past.windows < LEAST_WINDOWS || past.mentions < LEAST_MENTIONS {
        return None;
    }
    let expected = past.expected(measure);
    let (observed, spread, probability) = match measure {
        ToneMeasure::ShareOfNegatives => {
            let correlation = past.correlation();
            let probability =
                probability_of_at_least(window.negatives, window.mentions, expected, correlation);
            (f64::from(window.negatives) / f64::from(window.mentions), correlation, probability)
        }
        ToneMeasure::MeanSentiment => {
            let spread = past.spread_of_mean(window.mentions);
            (window.mean(), spread, normal_at_most((window.mean() - expected) / spread))
        }
    };
    Some(Tone { observed, expected, spread, probability, past })
}

impl PastTones {
    /// What windows come to, oldest first.
    pub(crate) fn of(measure: ToneMeasure, past: &[ToneSums]) -> Self {
        let past: Vec<&ToneSums> = past.iter().filter(|sums| sums.mentions > 0).collect();
        let baseline = ToneBaseline {
            negatives: past.iter().map(|sums| u64::from(sums.negatives)).sum(),
            sum: past.iter().map(|sums| sums.sum).sum(),
            squares: past.iter().map(|sums| sums.squares).sum(),
            compared: 0,
            excess: 0.0,
            scale: 0.0,
        };
        let mentions = past.iter().map(|sums| u64::from(sums.mentions)).sum();
        let mut tones = Self { windows: past.len() as u32, mentions, baseline };
        let (expected, variance) = (tones.expected(measure), tones.variance());
        for sums in past.into_iter().filter(|sums| sums.mentions > 1) {
            let n = f64::from(sums.mentions);
            let baseline = &mut tones.baseline;
            match measure {
                ToneMeasure::ShareOfNegatives => {
                    let deviation = f64::from(sums.negatives) - n * expected;
                    baseline.excess += deviation * deviation / (expected * (1.0 - expected)) - n;
                    baseline.scale += n * (n - 1.0);
                }
                ToneMeasure::MeanSentiment => {
                    let deviation = sums.mean() - expected;
                    baseline.excess += deviation * deviation - variance / n;
                    baseline.scale += 1.0;
                }
            }
            baseline.compared += 1;
        }
        tones
    }

    /// Half a negative among one more mention is added, so that a history without any is not the certainty of none.
    fn expected(&self, measure: ToneMeasure) -> f64 {
        match measure {
            ToneMeasure::ShareOfNegatives => {
                (self.baseline.negatives as f64 + 0.5) / (self.mentions as f64 + 1.0)
            }
            ToneMeasure::MeanSentiment => self.baseline.sum as f64 / 1_000.0 / self.mentions as f64,
        }
    }

    /// The correlation of two mentions of a window.
    fn correlation(&self) -> f64 {
        let ToneBaseline { compared, excess, scale, .. } = self.baseline;
        let measured = if scale > 0.0 { (excess / scale).clamp(0.0, 0.9) } else { PRIOR_CORRELATION };
        drawn(measured, PRIOR_CORRELATION, compared.into())
    }

    /// The variance of the polarities of all mentions.
    fn variance(&self) -> f64 {
        let all = self.mentions as f64;
        let mean = self.expected(ToneMeasure::MeanSentiment);
        (self.baseline.squares as f64 / 1_000_000.0 / all - mean * mean).max(0.0)
    }

    /// The standard deviation of the mean of so many mentions of one window.
    fn spread_of_mean(&self, mentions: u32) -> f64 {
        let ToneBaseline { compared, excess, scale, .. } = self.baseline;
        let measured = if scale > 0.0 { f64::max(excess / scale, 0.0) } else { PRIOR_VARIANCE };
        let between = drawn(measured, PRIOR_VARIANCE, compared.into());
        let variance = self.variance();
        (variance / f64::from(mentions) + variance / self.mentions as f64 + between).sqrt()
    }
}

/// The tone of an alert again, from what its record carries; `None` where it carries too little, as those of older
/// versions do.
pub(crate) fn tone_again(tone: &ToneArithmetic) -> Option<Tone> {
    let counts = ToneSums::of_counts(tone.negatives, tone.mentions);
    let window = ToneSums { sum: tone.sum?, ..counts };
    let past = PastTones {
        windows: tone.baseline_windows,
        mentions: tone.baseline_mentions,
        baseline: tone.baseline?,
    };
    compare_with(tone.measure, &window, past)
}

/// The probability of a tone again, from what records of older versions carry too.
pub(crate) fn tone_probability_again(tone: &ToneArithmetic) -> f64 {
    match tone.measure {
        ToneMeasure::ShareOfNegatives => {
            probability_of_at_least(tone.negatives, tone.mentions, tone.expected, tone.spread)
        }
        ToneMeasure::MeanSentiment => normal_at_most((tone.observed - tone.expected) / tone.spread),
    }
}

fn drawn(measured: f64, prior: f64, windows: f64) -> f64 {
    (prior * PRIOR_WINDOWS + measured * windows) / (PRIOR_WINDOWS + windows)
}

/// The probability of so many negatives or more among `n`, summed from its first term, in log space at the start.
fn probability_of_at_least(negatives: u32, n: u32, expected: f64, correlation: f64) -> f64 {
    if negatives == 0 {
        return 1.0;
    }
    let size = (1.0 - correlation) / correlation;
    let (a, b) = (expected * size, (1.0 - expected) * size);
    let (n, mut k) = (f64::from(n), f64::from(negatives));
    let ln_beta = |a: f64, b: f64| ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    let ln_choose = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
    let first = ln_choose + ln_beta(k + a, n - k + b) - ln_beta(a, b);
    let (mut term, mut sum) = (1.0, 1.0);
    while k < n {
        term *= (n - k) / (k + 1.0) * (k + a) / (n - k - 1.0 + b);
        sum += term;
        k += 1.0;
    }
    (first + f64::ln(sum)).exp().clamp(LEAST_PROBABILITY, 1.0)
}

/// The probability of a standard normal deviate as low as this.
fn normal_at_most(deviate: f64) -> f64 {
    (erfc(-deviate / std::f64::consts::SQRT_2) / 2.0).clamp(LEAST_PROBABILITY, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.betabinom.sf(k - 1, n, p (1 - rho) / rho, (1 - p) (1 - rho) / rho)` of SciPy 1.17.1; where that is
    /// less exact, the sum in rational numbers.
    const BETA_BINOMIAL: [(u32, f64, f64, u32, f64); 7] = [
        (20, 0.1, 0.02, 7, 1.058944058160e-02),
        (20, 0.1, 0.02, 12, 1.569885711724e-05),
        (200, 0.25, 0.05, 90, 3.823196927255e-02),
        (1000, 0.3, 0.01, 400, 2.327788631535e-02),
        (10, 0.05, 0.02, 1, 3.751134980215e-01),
        (50, 0.5, 0.1, 50, 4.621899822232e-05),
        (30, 0.02, 0.001, 6, 4.395329944752e-05),
    ];

    /// `scipy.stats.norm.cdf(z)` of SciPy 1.17.1.
    const NORMAL: [(f64, f64); 5] = [
        (-1.0, 1.586552539315e-01),
        (-3.5, 2.326290790355e-04),
        (-6.0, 9.865876450377e-10),
        (0.5, 6.914624612740e-01),
        (-10.0, 7.619853024160e-24),
    ];

    #[test]
    fn tails_agree_with_scipy() {
        for (n, expected, correlation, negatives, wanted) in BETA_BINOMIAL {
            let found = probability_of_at_least(negatives, n, expected, correlation);
            assert!((found / wanted - 1.0).abs() < 1e-8, "{negatives} of {n}: {found:e}, SciPy {wanted:e}");
        }
        for (deviate, wanted) in NORMAL {
            let found = normal_at_most(deviate);
            assert!((found / wanted - 1.0).abs() < 1e-8, "{deviate}: {found:e}, SciPy {wanted:e}");
        }
    }

    fn sums(negatives: u32, others: u32) -> ToneSums {
        let mut sums = ToneSums::default();
        for _ in 0..negatives {
            sums.add(-0.6, None);
        }
        for _ in 0..others {
            sums.add(0.2, None);
        }
        sums
    }

    #[test]
    fn a_window_that_is_as_usual_is_no_surprise_and_a_bad_one_is() {
        let past = [sums(2, 18); 20];
        for measure in [ToneMeasure::ShareOfNegatives, ToneMeasure::MeanSentiment] {
            let usual = compare(measure, &sums(2, 18), &past).unwrap();
            let bad = compare(measure, &sums(16, 4), &past).unwrap();
            assert!(usual.probability > 0.3, "{measure:?}: {usual:?}");
            assert!(bad.probability < 1e-5, "{measure:?}: {bad:?}");
            assert_eq!((bad.past.windows, bad.past.mentions), (20, 400));
        }
    }

    #[test]
    fn windows_that_differ_by_themselves_make_a_bad_one_less_surprising() {
        let mut past = [sums(0, 20); 20];
        for window in past.iter_mut().step_by(4) {
            *window = sums(8, 12);
        }
        let calm = compare(ToneMeasure::ShareOfNegatives, &sums(10, 10), &[sums(2, 18); 20]).unwrap();
        let lively = compare(ToneMeasure::ShareOfNegatives, &sums(10, 10), &past).unwrap();
        assert!((calm.expected - lively.expected).abs() < 1e-12, "the same share on the whole");
        assert!(lively.probability > calm.probability * 100.0, "{calm:?} {lively:?}");
    }

    #[test]
    fn little_data_says_nothing() {
        assert_eq!(compare(ToneMeasure::MeanSentiment, &sums(9, 1), &[sums(1, 9); 4]), None, "40 mentions");
        assert_eq!(compare(ToneMeasure::MeanSentiment, &sums(9, 1), &[sums(5, 45); 4]), None, "4 windows");
        assert_eq!(compare(ToneMeasure::MeanSentiment, &sums(0, 0), &[sums(1, 9); 40]), None);
    }
}
