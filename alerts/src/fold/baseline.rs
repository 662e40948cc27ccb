//! What is to be expected of a bucket, from the observed buckets before it that are like it.
//!
//! Hours are compared with the same hour of the week where three of them were observed, else with the same hour
//! of every day; days with the same day of the week where four were observed, else with every day. Fewer than
//! two days' worth of observed buckets are too little data for a model.
//!
//! Buckets of a burst are set aside, so that one crisis does not hide the next; but where bursts are most of
//! the like buckets, they are how things are now.

use earshot_common::definitions::Window;
use earshot_common::events::{CountArithmetic, Seasonality, Variation};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::model::{Expectation, Prior, Sums, expect, variation};

/// Enough of the same hour of the week.
const LIKE_HOURS_OF_WEEK: usize = 3;
/// Enough of the same day of the week.
const LIKE_DAYS_OF_WEEK: usize = 4;
/// Fewer days than this are too little data.
const LEAST_DAYS: usize = 2;

/// Days of ordinary traffic vary by about an eighth around their mean. Like [`HOUR_PRIOR`] it weighs as much as
/// five days of data. Both were chosen on the public tweets about six US airlines in February 2015: the quiet
/// days before the crisis there measure up to 0.016 for days and about 0.07 for hours. The prior for hours is
/// higher, so that a subject with two days behind it rather waits than pages somebody for nothing.
const DAY_PRIOR: Prior = Prior { dispersion: 0.015, days: 5.0, buckets_a_day: 1.0 };
/// Hours vary by about four tenths around their mean beside what chance adds: one post brings a few replies.
const HOUR_PRIOR: Prior = Prior { dispersion: 0.15, days: 5.0, buckets_a_day: 24.0 };

/// An observed bucket before the one in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PastBucket {
    /// Its first instant.
    pub(crate) start: Timestamp,
    /// Which of the week's hours or days it is.
    pub(crate) slot: u8,
    /// Mentions in it.
    pub(crate) count: u32,
    /// Whether it belonged to a burst.
    pub(crate) burst: bool,
}

/// What is to be expected, and from what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// Mean and dispersion.
    pub(crate) expectation: Expectation,
    /// Which buckets were alike.
    pub(crate) seasonality: Seasonality,
    /// Their counts, oldest first.
    pub(crate) counts: Vec<u32>,
    /// How the counts of all groups varied.
    pub(crate) variation: Variation,
}

/// The baseline of a bucket with this slot, from the observed ones before it, oldest first. `None` is too
/// little data.
pub(crate) fn baseline(window: Window, slot: u8, past: &[PastBucket]) -> Option<Baseline> {
    let seasonality = match window {
        Window::Hour => hour_seasonality(slot, past)?,
        Window::Day => day_seasonality(slot, past)?,
    };
    let own_group = group(seasonality, slot);
    let like = || past.iter().filter(|bucket| group(seasonality, bucket.slot) == own_group);
    let bursts = like().filter(|bucket| bucket.burst).count();
    let set_aside = bursts * 2 <= like().count();
    let counts_in = |bucket: &&PastBucket| !(bucket.burst && set_aside);

    let mut groups = vec![Sums::default(); 168];
    for bucket in past.iter().filter(counts_in) {
        groups[group(seasonality, bucket.slot)].add(bucket.count);
    }
    let variation = variation(&groups);
    Some(Baseline {
        expectation: expect(&groups[own_group], &variation, prior(window)),
        seasonality,
        counts: like().filter(counts_in).map(|bucket| bucket.count).collect(),
        variation,
    })
}

/// The expectation of a window again, from what its alert carries alone. `None` where the record has too little
/// data for a model, or is of a version that did not carry how the counts varied.
pub(crate) fn expectation_again(window: Window, arithmetic: &CountArithmetic) -> Option<Expectation> {
    let mut like = Sums::default();
    for count in &arithmetic.baseline {
        like.add(*count);
    }
    let variation = arithmetic.variation.as_ref().filter(|_| like.buckets > 0)?;
    Some(expect(&like, variation, prior(window)))
}

fn prior(window: Window) -> &'static Prior {
    match window {
        Window::Hour => &HOUR_PRIOR,
        Window::Day => &DAY_PRIOR,
    }
}

fn hour_seasonality(slot: u8, past: &[PastBucket]) -> Option<Seasonality> {
    let of_week = past.iter().filter(|bucket| bucket.slot == slot).count();
    let of_day = past.iter().filter(|bucket| bucket.slot % 24 == slot % 24).count();
    if of_week >= LIKE_HOURS_OF_WEEK {
        Some(Seasonality::HourOfWeek)
    } else if of_day >= LEAST_DAYS && past.len() >= LEAST_DAYS * 24 {
        Some(Seasonality::HourOfDay)
    } else {
        None
    }
}

fn day_seasonality(slot: u8, past: &[PastBucket]) -> Option<Seasonality> {
    let of_week = past.iter().filter(|bucket| bucket.slot == slot).count();
    if of_week >= LIKE_DAYS_OF_WEEK {
        Some(Seasonality::DayOfWeek)
    } else if past.len() >= LEAST_DAYS {
        Some(Seasonality::EveryDay)
    } else {
        None
    }
}

/// Which group a slot belongs to.
fn group(seasonality: Seasonality, slot: u8) -> usize {
    match seasonality {
        Seasonality::HourOfWeek | Seasonality::DayOfWeek => usize::from(slot),
        Seasonality::HourOfDay => usize::from(slot % 24),
        Seasonality::EveryDay | Seasonality::None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(counts: &[u32]) -> Vec<PastBucket> {
        let bucket = |(day, count): (usize, &u32)| PastBucket {
            start: Timestamp::from_millis(day as i64),
            slot: (day % 7) as u8,
            count: *count,
            burst: false,
        };
        counts.iter().enumerate().map(bucket).collect()
    }

    fn hours(days: usize, count: impl Fn(usize) -> u32) -> Vec<PastBucket> {
        let bucket = |hour: usize| PastBucket {
            start: Timestamp::from_millis(hour as i64),
            slot: (hour % 168) as u8,
            count: count(hour),
            burst: false,
        };
        (0..days * 24).map(bucket).collect()
    }

    #[test]
    fn one_day_is_too_little_and_two_are_enough() {
        assert_eq!(baseline(Window::Day, 1, &days(&[9])), None);
        assert_eq!(baseline(Window::Day, 2, &days(&[9, 11])).unwrap().counts, [9, 11]);
        assert_eq!(baseline(Window::Hour, 47, &hours(2, |_| 1)[..47]), None);
        assert!(baseline(Window::Hour, 48, &hours(2, |_| 1)).is_some());
    }

    #[test]
    fn an_hour_is_compared_with_the_same_hour() {
        // Mentions come at noon only.
        let past = hours(6, |hour| if hour % 24 == 12 { 50 } else { 0 });
        let noon = baseline(Window::Hour, 144 + 12, &past).unwrap();
        assert_eq!((noon.seasonality, noon.counts), (Seasonality::HourOfDay, vec![50; 6]));
        let night = baseline(Window::Hour, 144 + 3, &past).unwrap();
        assert!(night.expectation.mean < 0.1, "{:?}", night.expectation);
        // From the third week on, with the same hour of the week.
        let monday =
            baseline(Window::Hour, 12, &hours(21, |hour| if hour % 168 == 12 { 90 } else { 5 })).unwrap();
        assert_eq!((monday.seasonality, monday.counts), (Seasonality::HourOfWeek, vec![90; 3]));
    }

    #[test]
    fn a_burst_is_set_aside_until_bursts_are_the_rule() {
        let mut past = days(&[10, 10, 500, 10]);
        past[2].burst = true;
        assert_eq!(baseline(Window::Day, 4, &past).unwrap().counts, [10, 10, 10]);
        for bucket in &mut past {
            bucket.burst = bucket.start.as_millis() > 0;
        }
        assert_eq!(baseline(Window::Day, 4, &past).unwrap().counts, [10, 10, 500, 10]);
    }
}
