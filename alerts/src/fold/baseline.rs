//! What is to be expected of a bucket, from the observed buckets before it that are like it.
//!
//! Hours are compared with the same hour of the week where three of them were observed, else with the same hour
//! of every day; days with the same day of the week where four were observed, else with every day. Fewer than
//! two days' worth of observed buckets are too little data for a model.
//!
//! Three like hours are few. So the mean of a group is drawn to what the wider group makes likely: that of an
//! hour of the day to the three hours around it, that of an hour of the week to its hour of the day times its day
//! of the week. How far depends on what the group says itself: at two mentions a day eight like hours say next to
//! nothing, at two thousand a minute one says nearly all. It depends on the subject too: where no day of the week
//! has a rhythm of its own, all of them say what an hour is like.
//!
//! Buckets of a burst are set aside, so that one crisis does not hide the next; but where bursts are most of the
//! like buckets, they are how things are now. They do count towards the dispersion, as no more than what would
//! just have been a burst: of whom there are bursts often, the next one is less of a surprise. Which hours belong to a
//! burst is told by the alerts of a count rule; where a silence is judged, by days that are far above the usual day.

use earshot_common::definitions::Window;
use earshot_common::events::{CountArithmetic, Seasonality, Variation};
use serde::{Deserialize, Serialize};

use super::model::{Drawn, Estimate, Expectation, Prior, Sums, dispersion_of, spread_of, variation};
use super::past::{PastBucket, Slot, Tally};

/// Enough of the same hour of the week.
const LIKE_HOURS_OF_WEEK: usize = 3;
/// Enough of the same day of the week.
const LIKE_DAYS_OF_WEEK: usize = 4;
/// Fewer days than this are too little data.
const LEAST_DAYS: usize = 2;
/// Towards the dispersion, a count of a burst is brought down to what is as unlikely as this. A day as unlikely is a burst
/// where no rule tells.
const BURST_PROBABILITY: f64 = 1e-4;

/// How far the means of three hours of the day lie from the mean of all hours, as a share of it.
const THREE_HOURS_SPREAD: f64 = 0.5;
/// How far the means of hours of the day are believed to lie from those of the three hours around them.
const HOURS_OF_DAY_SPREAD: f64 = 0.25;
/// How far the means of days of the week lie from the mean of all days.
const DAYS_OF_WEEK_SPREAD: f64 = 0.25;
/// How far the means of hours of the week are believed to lie from hour of the day times day of the week.
const HOURS_OF_WEEK_SPREAD: f64 = 0.15;

/// Days of ordinary traffic vary by about an eighth around their mean. Like [`HOUR_DISPERSION`] it weighs as much
/// as five days of data. It was chosen on the public tweets about six US airlines in February 2015, whose quiet days
/// before the crisis measure up to 0.016.
const DAY_DISPERSION: f64 = 0.015;
/// Hours vary by about a third around their mean beside what chance adds: one post brings a few replies. The same
/// tweets measure about 0.07; it is higher, so that a subject with two days behind it rather waits than pages somebody
/// for nothing. How high was chosen on generated months (`tests/reports/calibration.md`).
const HOUR_DISPERSION: f64 = 0.1;
/// Days of data that the beliefs about the dispersion weigh as much as.
const DISPERSION_DAYS: f64 = 5.0;

/// How the buckets of a series follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rhythm {
    /// Whether a bucket belongs to an hour of the week (slots 0 to 167) or to a day of the week (0 to 6).
    pub(crate) window: Window,
    /// Buckets of a day.
    pub(crate) buckets_a_day: usize,
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
    /// What their mean was drawn to.
    pub(crate) drawn: Option<Drawn>,
    /// How the counts of all groups varied.
    pub(crate) variation: Variation,
}

impl From<Window> for Rhythm {
    fn from(window: Window) -> Self {
        let buckets_a_day = match window {
            Window::Hour => 24,
            Window::Day => 1,
        };
        Self { window, buckets_a_day }
    }
}

impl Rhythm {
    fn prior(&self) -> Prior {
        let dispersion = match self.window {
            Window::Hour => HOUR_DISPERSION,
            Window::Day => DAY_DISPERSION,
        };
        Prior { dispersion, buckets: DISPERSION_DAYS * self.buckets_a_day as f64 }
    }
}

/// The baseline of a bucket with this slot, from the known ones before it. `None` is too little data.
pub(crate) fn baseline(rhythm: Rhythm, slot: u8, past: &Tally) -> Option<Baseline> {
    let seasonality = match rhythm.window {
        Window::Hour => hour_seasonality(rhythm, slot, past)?,
        Window::Day => day_seasonality(slot, past)?,
    };
    let own = group(seasonality, slot);
    let bursts_are_the_rule = bursts_are_the_rule(seasonality, own, past.slots());
    let by_slot: Vec<Sums> =
        past.slots().iter().map(|slot| if bursts_are_the_rule { slot.all() } else { slot.calm }).collect();
    let mut groups = Groups::of(seasonality, &by_slot, rhythm.prior());
    if !bursts_are_the_rule {
        groups.widen_by_bursts(past.slots());
    }
    let like = past.known().filter(|bucket| group(seasonality, bucket.slot) == own);
    let like = like.filter(|bucket| bursts_are_the_rule || !bucket.burst);
    Some(Baseline {
        expectation: groups.expectation(own),
        seasonality,
        counts: like.map(|bucket| bucket.count).collect(),
        drawn: groups.of[own].drawn,
        variation: groups.variation,
    })
}

/// Marks the hours of days that are far above the usual day, in place of a rule that would know the bursts: one crisis must
/// not let every quiet hour of the weeks after it look like a silence.
pub(crate) fn mark_loud_days(hours: &mut [PastBucket]) {
    let same_day = |one: &PastBucket, next: &PastBucket| one.slot / 24 == next.slot / 24;
    let total = |day: &[PastBucket]| day.iter().map(|hour| hour.count).fold(0, u32::saturating_add);
    let mut days: Vec<u32> = hours.chunk_by(same_day).map(total).collect();
    if days.is_empty() {
        return;
    }
    days.sort_unstable();
    let median = f64::from(days[(days.len() - 1) / 2]) + 0.5;
    // Days vary by more than chance adds, like hours: what is set aside should be beyond doubt.
    let usual = Expectation::of(Estimate { mean: median, buckets: days.len() as f64 }, HOUR_DISPERSION);
    let loud = usual.critical_count(BURST_PROBABILITY);
    for day in hours.chunk_by_mut(same_day).filter(|day| total(day) >= loud) {
        day.iter_mut().for_each(|hour| hour.burst = true);
    }
}

/// The expectation of a window again, from what its alert carries alone. `None` where the record has too little
/// data for a model, or is of a version that did not carry how the counts varied.
pub(crate) fn expectation_again(window: Window, arithmetic: &CountArithmetic) -> Option<Expectation> {
    let mut like = Sums::default();
    for count in &arithmetic.baseline {
        like.add(*count);
    }
    let variation = arithmetic.variation.as_ref()?;
    if like.buckets == 0 || (variation.expected == 0.0 && variation.scale > 0.0) {
        return None;
    }
    let mean = match (arithmetic.drawn_to, arithmetic.drawn_weight) {
        (Some(usual), Some(weight)) => like.drawn_mean(Drawn { usual, weight }),
        _ => like.mean(),
    };
    let mut again = Expectation::of(mean, dispersion_of(variation, &Rhythm::from(window).prior()));
    again.mean *= arithmetic.stretch.unwrap_or(1.0);
    Some(again)
}

fn hour_seasonality(rhythm: Rhythm, slot: u8, past: &Tally) -> Option<Seasonality> {
    let an_hour = rhythm.buckets_a_day / 24;
    let of_week = past.slots()[usize::from(slot)].buckets();
    let of_day: usize = past.slots().iter().skip(usize::from(slot % 24)).step_by(24).map(Slot::buckets).sum();
    if of_week >= LIKE_HOURS_OF_WEEK * an_hour {
        Some(Seasonality::HourOfWeek)
    } else if of_day >= LEAST_DAYS * an_hour && past.len() >= LEAST_DAYS * rhythm.buckets_a_day {
        Some(Seasonality::HourOfDay)
    } else {
        None
    }
}

fn day_seasonality(slot: u8, past: &Tally) -> Option<Seasonality> {
    if past.slots()[usize::from(slot)].buckets() >= LIKE_DAYS_OF_WEEK {
        Some(Seasonality::DayOfWeek)
    } else if past.len() >= LEAST_DAYS {
        Some(Seasonality::EveryDay)
    } else {
        None
    }
}

/// Whether most buckets of a group belong to bursts.
fn bursts_are_the_rule(seasonality: Seasonality, own: usize, slots: &[Slot]) -> bool {
    let (mut bursts, mut buckets) = (0, 0);
    for (slot, past) in (0_u8..).zip(slots) {
        if group(seasonality, slot) == own {
            bursts += past.bursts.len();
            buckets += past.buckets();
        }
    }
    bursts * 2 > buckets
}

/// Which group a slot belongs to.
fn group(seasonality: Seasonality, slot: u8) -> usize {
    match seasonality {
        Seasonality::HourOfWeek | Seasonality::DayOfWeek => usize::from(slot),
        Seasonality::HourOfDay => usize::from(slot % 24),
        Seasonality::EveryDay | Seasonality::None => 0,
    }
}

/// The groups of like buckets, with their means, and how the counts vary around these.
struct Groups {
    seasonality: Seasonality,
    of: Vec<Group>,
    variation: Variation,
    prior: Prior,
}

#[derive(Clone, Copy)]
struct Group {
    sums: Sums,
    mean: Estimate,
    drawn: Option<Drawn>,
}

impl Groups {
    fn of(seasonality: Seasonality, by_slot: &[Sums], prior: Prior) -> Self {
        let mut all = Sums::default();
        for sums in by_slot {
            all.add_all(sums);
        }
        let all_mean = all.mean();
        let phi = prior.dispersion;
        let of: Vec<Group> = match seasonality {
            Seasonality::HourOfWeek => {
                let usual = usual_hours_of_week(by_slot, all_mean, phi);
                let groups: Vec<_> = by_slot.iter().copied().zip(usual).collect();
                drawn_together(&groups, HOURS_OF_WEEK_SPREAD, phi)
            }
            Seasonality::HourOfDay => hours_of_day(by_slot, all_mean, phi),
            Seasonality::DayOfWeek => {
                by_slot[..7].iter().map(|sums| drawn(sums, all_mean, DAYS_OF_WEEK_SPREAD, phi)).collect()
            }
            Seasonality::EveryDay | Seasonality::None => {
                vec![Group { sums: all, mean: all_mean, drawn: None }]
            }
        };
        Self { seasonality, variation: variation(&sums_and_means(&of)), prior, of }
    }

    fn expectation(&self, group: usize) -> Expectation {
        Expectation::of(self.of[group].mean, dispersion_of(&self.variation, &self.prior))
    }

    /// A crisis tells that bursts happen, but not that the next bucket like it will be one.
    fn widen_by_bursts(&mut self, slots: &[Slot]) {
        if slots.iter().all(|slot| slot.bursts.is_empty()) {
            return;
        }
        let mut groups = sums_and_means(&self.of);
        let mut highest: Vec<Option<u32>> = vec![None; groups.len()];
        for (slot, past) in (0_u8..).zip(slots).filter(|(_, past)| !past.bursts.is_empty()) {
            let group = group(self.seasonality, slot);
            let of_group = || self.expectation(group).critical_count(BURST_PROBABILITY);
            let highest = *highest[group].get_or_insert_with(of_group);
            for count in &past.bursts {
                groups[group].0.add((*count).min(highest));
            }
        }
        self.variation = variation(&groups);
    }
}

fn drawn(sums: &Sums, usual: Estimate, spread: f64, phi: f64) -> Group {
    let drawn = sums.drawn_to(usual, spread, phi);
    Group { sums: *sums, mean: sums.drawn_mean(drawn), drawn: Some(drawn) }
}

/// Groups that lie about as far from what is usual of each.
fn drawn_together(groups: &[(Sums, Estimate)], believed: f64, phi: f64) -> Vec<Group> {
    let spread = spread_of(groups, believed, phi);
    groups.iter().map(|(sums, usual)| drawn(sums, *usual, spread, phi)).collect()
}

/// What hours of the week are believed to be like: the hour of the day times the day of the week.
fn usual_hours_of_week(by_slot: &[Sums], all: Estimate, phi: f64) -> Vec<Estimate> {
    let of_day: Vec<Estimate> = hours_of_day(by_slot, all, phi).iter().map(|hour| hour.mean).collect();
    let mut usual = Vec::with_capacity(by_slot.len());
    for day in by_slot.chunks(24) {
        let counted: f64 = day.iter().map(|sums| sums.total as f64).sum();
        let of_other_days: f64 =
            day.iter().zip(&of_day).map(|(sums, hour)| f64::from(sums.buckets) * hour.mean).sum();
        // The belief that the day is like all others weighs so many mentions.
        let weight = (1.0 + phi * all.mean) / (DAYS_OF_WEEK_SPREAD * DAYS_OF_WEEK_SPREAD);
        let day_of_week = (counted + weight) / (of_other_days + weight);
        usual.extend(of_day.iter().map(|hour| Estimate { mean: hour.mean * day_of_week, ..*hour }));
    }
    usual
}

/// Hours of the day, each drawn to the three hours around it: a rhythm has few jumps.
fn hours_of_day(by_slot: &[Sums], all: Estimate, phi: f64) -> Vec<Group> {
    let mut of_day = [Sums::default(); 24];
    for (slot, sums) in by_slot.iter().enumerate() {
        of_day[slot % 24].add_all(sums);
    }
    let around = |hour: usize| {
        let mut three = of_day[hour];
        three.add_all(&of_day[(hour + 23) % 24]);
        three.add_all(&of_day[(hour + 1) % 24]);
        drawn(&three, all, THREE_HOURS_SPREAD, phi).mean
    };
    let groups: Vec<_> = of_day.iter().enumerate().map(|(hour, sums)| (*sums, around(hour))).collect();
    drawn_together(&groups, HOURS_OF_DAY_SPREAD, phi)
}

fn sums_and_means(groups: &[Group]) -> Vec<(Sums, Estimate)> {
    groups.iter().map(|group| (group.sums, group.mean)).collect()
}

#[cfg(test)]
mod tests {
    use earshot_common::time::Timestamp;

    use super::*;
    use crate::fold::past::{PastBucket, PastCounts};

    fn baseline(window: Window, slot: u8, past: &[PastBucket]) -> Option<Baseline> {
        super::baseline(window.into(), slot, &PastCounts::of(window.into(), past).single)
    }

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
        assert!(night.expectation.mean < 1.0, "far below the two of all hours: {:?}", night.expectation);
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

    #[test]
    fn an_hour_of_the_week_is_drawn_to_its_hour_of_the_day_and_its_day_of_the_week() {
        // Eight ordinary weeks of about five an hour, half of it on Sundays; one Monday hour had none so far by chance.
        let past = hours(56, |hour| match hour % 168 {
            12 => 0,
            slot if slot >= 144 => 2 + (slot % 2) as u32,
            _ => ((hour * 7 + hour / 168 * 3) % 11) as u32,
        });
        let monday = baseline(Window::Hour, 12, &past).unwrap();
        assert!((2.0..5.0).contains(&monday.expectation.mean), "{:?}", monday.expectation);
        let sunday = baseline(Window::Hour, 150, &past).unwrap();
        assert!((1.8..2.8).contains(&sunday.expectation.mean), "{:?}", sunday.expectation);
        // The mean follows from what an alert says of it.
        let (drawn, sum) = (monday.drawn.unwrap(), f64::from(monday.counts.iter().sum::<u32>()));
        let mean = (sum + drawn.weight * drawn.usual) / (monday.counts.len() as f64 + drawn.weight);
        assert!((mean - monday.expectation.mean).abs() < 1e-12);
    }

    #[test]
    fn where_each_day_has_a_rhythm_of_its_own_an_hour_of_the_week_stands_for_itself() {
        let past = hours(56, |hour| ((hour % 168 / 24 + hour % 24) % 3 * 5) as u32);
        let monday = baseline(Window::Hour, 12, &past).unwrap();
        assert_eq!(monday.counts, [0; 8]);
        assert!(monday.expectation.mean < 1.0, "{:?}", monday.expectation);
    }

    #[test]
    fn who_has_bursts_often_is_less_surprising_the_next_time() {
        let mut past = hours(21, |hour| ((hour * 7 + hour / 168 * 3) % 11) as u32);
        let before = baseline(Window::Hour, 0, &past).unwrap().expectation;
        for burst in [100, 200, 300, 400] {
            past[burst].count = 500;
            past[burst].burst = true;
        }
        let after = baseline(Window::Hour, 0, &past).unwrap().expectation;
        assert!(after.dispersion > before.dispersion, "{before:?} {after:?}");
        assert!((after.mean - before.mean).abs() < 0.1, "{before:?} {after:?}");
    }
}
