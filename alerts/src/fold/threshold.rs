//! From which count on a bucket is surprising, and when it is calm again.
//!
//! What belongs here: the decision about one bucket, as a pure function of the buckets before it. What opens,
//! joins and closes an alert is [`super::watch`]'s; how likely a count is, [`super::model`]'s.
//!
//! A burst of two hours that is too weak in either hour can be plain in both together. So an hour is judged
//! alone and together with the hour before it, and the one that asks for less decides. The rule's probability is
//! divided between the two, so that both together are reached by chance no oftener than it says (Bonferroni). Two
//! hours have the larger share: they tell more of what lasts, and what is large is plain in one. A rule that asks for
//! several windows one after the other says itself what lasts: then each window is judged alone.

use earshot_common::definitions::{CountCondition, Window};
use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, Rhythm, baseline};
use super::calendar::Bucket;
use super::past::{PastBucket, PastCounts, Tally};

/// A window whose count is more likely than this is calm.
pub(super) const CALM_PROBABILITY: f64 = 0.05;
/// The share of the rule's probability that an hour alone is judged by; the rest is for two hours.
const ALONE_SHARE: f64 = 0.2;
/// With too little data for a model, so many times the highest count so far is surprising.
const LITTLE_DATA_FACTOR: u32 = 4;

/// From which count on a bucket is surprising.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Threshold {
    /// The bucket's count; `None` where nothing can fire.
    pub(crate) count: Option<u32>,
    /// What it follows from; `None` where there is too little data.
    pub(crate) baseline: Option<Baseline>,
    /// The bucket before, where both are judged together: the baseline is about both.
    pub(crate) before: Option<PastBucket>,
    /// The highest count so far.
    pub(crate) highest: u32,
    /// How many times as long as those before the bucket is; the expectation is about all of it.
    pub(crate) stretch: f64,
}

impl Threshold {
    /// The threshold of a bucket, from what is known of those before it.
    ///
    /// With too little data an hour may fire at the rule's floor, if it is far above all hours so far, and says
    /// so; a day waits. In the past neither fires: that a file begins somewhere is not news.
    pub(crate) fn of(
        condition: &CountCondition,
        rhythm: Rhythm,
        bucket: &Bucket,
        past: &PastCounts,
        historic: bool,
    ) -> Self {
        let Some(mut alone) = baseline(rhythm, bucket.slot, &past.single) else {
            let highest = past.single.known().map(|bucket| bucket.count).max().unwrap_or_default();
            let floor =
                little_data_threshold(rhythm.window, condition.little_data_at_least, highest, historic);
            return Self { count: floor, baseline: None, before: None, highest, stretch: 1.0 };
        };
        // Parts of an hour are all alike.
        let is_whole = rhythm == Rhythm::from(rhythm.window);
        let stretch = if is_whole { bucket.stretch(rhythm.window) } else { 1.0 };
        alone.expectation.mean *= stretch;
        let pairs = past.pairs.as_ref().filter(|_| condition.windows == 1);
        let share = if pairs.is_some() { ALONE_SHARE } else { 1.0 };
        let count = alone.expectation.critical_count(condition.probability_below * share);
        let alone = Self { count: Some(count), baseline: Some(alone), before: None, highest: 0, stretch };
        match pairs
            .filter(|_| stretch == 1.0)
            .and_then(|pairs| together(condition, rhythm, bucket, past, pairs))
        {
            Some(together) if together.count < alone.count => together,
            _ => alone,
        }
    }

    /// Whether a count is surprising.
    pub(crate) fn is_reached_by(&self, observed: u32) -> bool {
        self.count.is_some_and(|count| count <= observed)
    }

    /// The probability of a bucket's count or a higher one; `None` where there is too little data.
    pub(crate) fn probability(&self, observed: u32) -> Option<f64> {
        let baseline = self.baseline.as_ref()?;
        Some(baseline.expectation.probability_of_at_least(self.counted(observed)))
    }

    /// The share of the rule's probability that decided.
    pub(crate) fn probability_below(&self, condition: &CountCondition) -> f64 {
        let share = match condition.window {
            Window::Hour if self.before.is_some() => 1.0 - ALONE_SHARE,
            Window::Hour if self.baseline.is_some() && condition.windows == 1 => ALONE_SHARE,
            Window::Hour | Window::Day => 1.0,
        };
        condition.probability_below * share
    }

    /// What was counted in all that is judged.
    pub(crate) fn counted(&self, observed: u32) -> u32 {
        observed.saturating_add(self.before.map_or(0, |before| before.count))
    }

    /// Whether a bucket that has closed is back to normal.
    pub(crate) fn is_calm(&self, condition: &CountCondition, observed: u32) -> bool {
        match self.probability(observed) {
            Some(probability) => probability > CALM_PROBABILITY.max(condition.probability_below),
            None => observed.saturating_mul(2) < self.count.unwrap_or(condition.little_data_at_least),
        }
    }
}

/// The count that is surprising where there is too little data for a model; `None` where none is.
pub(crate) fn little_data_threshold(window: Window, floor: u32, highest: u32, historic: bool) -> Option<u32> {
    let fires = window == Window::Hour && !historic;
    fires.then(|| floor.max(highest.saturating_mul(LITTLE_DATA_FACTOR)))
}

/// The threshold of an hour together with the hour before, where that was calm and observed.
fn together(
    condition: &CountCondition,
    rhythm: Rhythm,
    bucket: &Bucket,
    past: &PastCounts,
    pairs: &Tally,
) -> Option<Threshold> {
    let before = past.single.known().next_back().copied().filter(|before| !before.burst)?;
    if !before.is_followed_by(bucket.start, bucket.slot) {
        return None;
    }
    let baseline = baseline(rhythm, bucket.slot, pairs)?;
    let both = baseline.expectation.critical_count(condition.probability_below * (1.0 - ALONE_SHARE));
    let count = both.saturating_sub(before.count).max(1);
    let (count, baseline, before) = (Some(count), Some(baseline), Some(before));
    Some(Threshold { count, baseline, before, highest: 0, stretch: 1.0 })
}
