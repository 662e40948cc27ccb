//! What the count rules do on generated months: how often they fire for nothing, and which bursts they find.
//!
//! The streams are seasonal and clumped: an hour's count is negative binomial with the variance `m + m²/8`; the
//! busiest hour of a day has four times the mean of the quietest, and a day of the weekend seven tenths of that of
//! a working day. The rules are the defaults, judged by the product's own [`Detector`], by the hour and by the day
//! side by side, as the sample watchlist has them.
//!
//! What belongs here: the generator and the measurement. The program that prints the report is
//! `tests/src/bin/calibration.rs`.

use std::f64::consts::TAU;

use earshot_alerts::Detector;
use earshot_common::definitions::{CountCondition, Window};
use earshot_common::time::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const HOUR_MS: i64 = 3_600_000;
/// A Monday.
const BEGIN: &str = "2026-01-05T00:00:00Z";
/// Variance `m + m²/8`: the sum of eight geometric counts.
const SIZE: u32 = 8;
/// The busiest hour of a day as a multiple of the quietest.
const DAY_RHYTHM: f64 = 4.0;
/// A day of the weekend as a share of a working day.
const WEEKEND: f64 = 0.7;
/// A planted burst has so many times the mean.
const BURST: f64 = 4.0;
/// How many hours it lasts.
const BURST_HOURS: usize = 2;
/// A planted day of a subject with two mentions a day.
const BURST_OF_A_DAY: u32 = 9;
/// Bursts are planted from this day on, one in so many days.
const BURSTS_FROM_DAY: usize = 21;
const BURST_EVERY_DAYS: usize = 20;

/// How much is said of a subject.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    /// In words.
    pub name: &'static str,
    /// The mean of all hours.
    pub mentions_an_hour: f64,
    /// Whether bursts are planted by the day instead of by the hour.
    pub by_day: bool,
}

/// The volumes of the report.
pub const VOLUMES: [Volume; 4] = [
    Volume { name: "2 a day", mentions_an_hour: 2.0 / 24.0, by_day: true },
    Volume { name: "5 an hour", mentions_an_hour: 5.0, by_day: false },
    Volume { name: "200 an hour", mentions_an_hour: 200.0, by_day: false },
    Volume { name: "2,000 a minute", mentions_an_hour: 120_000.0, by_day: false },
];

/// The default rules.
#[derive(Clone, Debug)]
pub struct Rules {
    hour: CountCondition,
    day: CountCondition,
}

/// Alerts on streams without bursts.
#[derive(Clone, Debug, Default)]
pub struct FalseAlerts {
    /// By the month since listening began, of the rule by the hour and of the rule by the day.
    pub months: Vec<(u32, u32)>,
    /// Subjects, each with all months.
    pub subjects: u32,
}

/// One planted burst.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// The ordinary mean of its first hour.
    pub usual: f64,
    /// Hours from its beginning to the alert, if it was found before its end.
    pub delay_hours: Option<f64>,
}

impl Rules {
    /// What a watchlist says that says no more than the window.
    pub fn default_ones() -> Self {
        Self { hour: CountCondition::of(Window::Hour), day: CountCondition::of(Window::Day) }
    }

    /// Their settings in words.
    pub fn describe(&self) -> String {
        let probability = |condition: &CountCondition| condition.probability_below;
        format!(
            "probability below {} for an hour and {} for a day, {} authors at least",
            probability(&self.hour),
            probability(&self.day),
            self.hour.authors_at_least
        )
    }
}

impl FalseAlerts {
    /// Alerts for each subject and month.
    pub fn rate(&self) -> f64 {
        let alerts: u32 = self.months.iter().map(|(hour, day)| hour + day).sum();
        f64::from(alerts) / f64::from(self.subjects) / self.months.len() as f64
    }
}

/// Counts the alerts on subjects to which nothing happens, from their first hour on.
pub fn false_alerts(rules: &Rules, volume: Volume, subjects: u32, months: usize, seed: u64) -> FalseAlerts {
    let mut found = FalseAlerts { months: vec![(0, 0); months], subjects };
    for subject in 0..subjects {
        let mut random = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003) + u64::from(subject));
        let hours = stream(&mut random, volume, months * 30);
        for opened in alerts(&rules.hour, &hours) {
            found.months[opened.at / (30 * 24)].0 += 1;
        }
        for opened in alerts(&rules.day, &by_day(&hours)) {
            found.months[opened.at / 30].1 += 1;
        }
    }
    found
}

/// Plants bursts of `BURST_HOURS` hours, or of a day, in streams of their own and looks for each.
pub fn planted_bursts(rules: &Rules, volume: Volume, subjects: u32, days: usize, seed: u64) -> Vec<Planted> {
    let mut planted = Vec::new();
    for subject in 0..subjects {
        let mut random = StdRng::seed_from_u64(seed.wrapping_mul(7_000_003) + u64::from(subject));
        let mut hours = stream(&mut random, volume, days);
        let burst_days: Vec<usize> = (BURSTS_FROM_DAY..days - 1).step_by(BURST_EVERY_DAYS).collect();
        if volume.by_day {
            for day in &burst_days {
                plant_day(&mut random, &mut hours, day * 24);
            }
            let (of_hours, of_days) = (alerts(&rules.hour, &hours), alerts(&rules.day, &by_day(&hours)));
            for day in burst_days {
                let of_hours = of_hours.iter().filter(|opened| opened.at / 24 == day);
                let of_days = of_days.iter().filter(|opened| opened.at == day);
                let delays = of_hours
                    .map(|opened| (opened.at % 24) as f64 + opened.within)
                    .chain(of_days.map(|opened| reached(&hours[day * 24..day * 24 + 24], opened.threshold)));
                let delay_hours = delays.min_by(f64::total_cmp);
                planted.push(Planted { usual: volume.mentions_an_hour, delay_hours });
            }
        } else {
            let begins: Vec<usize> =
                burst_days.iter().map(|day| day * 24 + random.random_range(0..24)).collect();
            for begin in &begins {
                for (hour, count) in hours.iter_mut().enumerate().skip(*begin).take(BURST_HOURS) {
                    *count = negative_binomial(&mut random, BURST * mean(volume, hour));
                }
            }
            let opened = alerts(&rules.hour, &hours);
            for begin in begins {
                let during = opened.iter().find(|opened| (begin..begin + BURST_HOURS).contains(&opened.at));
                let delay_hours = during.map(|opened| (opened.at - begin) as f64 + opened.within);
                planted.push(Planted { usual: mean(volume, begin), delay_hours });
            }
        }
    }
    planted
}

/// An alert that opened.
#[derive(Clone, Copy, Debug)]
struct Opened {
    /// In which bucket.
    at: usize,
    /// After which share of it, with its mentions spread evenly.
    within: f64,
    /// At which count.
    threshold: u32,
}

fn alerts(condition: &CountCondition, counts: &[u32]) -> Vec<Opened> {
    let length_ms = match condition.window {
        Window::Hour => HOUR_MS,
        Window::Day => 24 * HOUR_MS,
    };
    let begin: Timestamp = BEGIN.parse().unwrap_or_default();
    let mut detector = Detector::new(condition.clone());
    let mut alerts = Vec::new();
    for (at, count) in counts.iter().enumerate() {
        let judged = detector.push(begin.plus_millis(at as i64 * length_ms), *count);
        if judged.opened {
            let threshold = judged.threshold.unwrap_or_default().max(condition.authors_at_least);
            let within = f64::from(threshold) / f64::from(count + 1);
            alerts.push(Opened { at, within, threshold });
        }
    }
    alerts
}

/// Hours until so many mentions were counted.
fn reached(hours: &[u32], threshold: u32) -> f64 {
    let mut counted = 0;
    for (hour, count) in hours.iter().enumerate() {
        if counted + count >= threshold {
            return hour as f64 + f64::from(threshold - counted) / f64::from(count + 1);
        }
        counted += count;
    }
    hours.len() as f64
}

fn stream(random: &mut StdRng, volume: Volume, days: usize) -> Vec<u32> {
    (0..days * 24).map(|hour| negative_binomial(random, mean(volume, hour))).collect()
}

fn by_day(hours: &[u32]) -> Vec<u32> {
    hours.chunks(24).map(|day| day.iter().sum()).collect()
}

/// The mean of an hour since the beginning. Three in the morning is the quietest.
fn mean(volume: Volume, hour: usize) -> f64 {
    let of_day = |hour: usize| (-DAY_RHYTHM.ln() / 2.0 * (TAU * (hour as f64 - 3.0) / 24.0).cos()).exp();
    let of_week = |hour: usize| if hour / 24 % 7 < 5 { 1.0 } else { WEEKEND };
    let all: f64 = (0..168).map(|hour| of_day(hour) * of_week(hour)).sum();
    volume.mentions_an_hour * of_day(hour) * of_week(hour) * 168.0 / all
}

/// A count with this mean and the variance `m + m²/8`.
fn negative_binomial(random: &mut StdRng, mean: f64) -> u32 {
    let goes_on = mean / (f64::from(SIZE) + mean);
    let geometric = |_| {
        let uniform: f64 = 1.0 - random.random::<f64>();
        (uniform.ln() / goes_on.ln()).floor() as u32
    };
    (0..SIZE).map(geometric).sum()
}

/// A day with [`BURST_OF_A_DAY`] mentions, spread as the day's rhythm has it.
fn plant_day(random: &mut StdRng, hours: &mut [u32], begin: usize) {
    let day = &mut hours[begin..begin + 24];
    day.fill(0);
    let unit = Volume { name: "", mentions_an_hour: 1.0, by_day: true };
    let means: Vec<f64> = (begin..begin + 24).map(|hour| mean(unit, hour)).collect();
    for _ in 0..BURST_OF_A_DAY {
        let mut left = random.random::<f64>() * means.iter().sum::<f64>();
        let hour = means.iter().position(|mean| {
            left -= mean;
            left < 0.0
        });
        day[hour.unwrap_or(23)] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_counts_have_the_mean_the_variance_and_the_rhythm_that_are_told() {
        let mut random = StdRng::seed_from_u64(1);
        let counts: Vec<f64> = (0..40_000).map(|_| f64::from(negative_binomial(&mut random, 20.0))).collect();
        let mean_of = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let found = mean_of(&counts);
        let squares: Vec<f64> = counts.iter().map(|count| (count - found).powi(2)).collect();
        assert!((found - 20.0).abs() < 0.2, "{found}");
        assert!((mean_of(&squares) - 70.0).abs() < 3.0, "20 + 400/8, not {}", mean_of(&squares));

        let means: Vec<f64> = (0..168).map(|hour| mean(VOLUMES[1], hour)).collect();
        assert!((mean_of(&means) - 5.0).abs() < 1e-9);
        assert!((means[15] / means[3] - 4.0).abs() < 1e-9);
        assert!((means[5 * 24 + 15] / means[15] - 0.7).abs() < 1e-9);
    }

    #[test]
    fn the_default_rules_keep_quiet_and_find_what_is_planted() {
        let rules = Rules::default_ones();
        let quiet = false_alerts(&rules, VOLUMES[1], 8, 1, 1);
        assert!(quiet.rate() <= 1.0, "{quiet:?}");
        let planted = planted_bursts(&rules, VOLUMES[2], 4, 45, 1);
        let found = planted.iter().filter(|planted| planted.delay_hours.is_some()).count();
        assert!(found * 10 >= planted.len() * 9, "{planted:?}");
    }
}
