//! Hours and days on the clock of a subject's zone.
//!
//! What belongs here: the one place where instants become buckets. A day is a calendar day, so it has 23 or 25
//! hours twice a year; the hour that the clock shows twice in autumn is one bucket of two hours.

use jiff::civil::{Date, DateTime};
pub use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::definitions::Window;
use crate::time::Timestamp;

/// A zone by its name, as snapshots hold it.
pub mod zone_name {
    use jiff::tz::TimeZone;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    /// Writes the name.
    pub fn serialize<S: Serializer>(zone: &TimeZone, serializer: S) -> Result<S::Ok, S::Error> {
        zone.iana_name().unwrap_or("UTC").serialize(serializer)
    }

    /// Reads the name.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
        let name = String::deserialize(deserializer)?;
        TimeZone::get(&name).map_err(de::Error::custom)
    }
}

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;
/// Milliseconds of a day of 24 hours.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// A clock hour or a calendar day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// Which of the week's hours (0 to 167, from Monday midnight) or days (0 to 6) it is.
    pub slot: u8,
}

impl Bucket {
    /// How many times as long as usual it is. Where a clock is changed an hour may last two, one and a half or half an
    /// hour; days are taken as alike.
    pub fn stretch(&self, window: Window) -> f64 {
        match window {
            Window::Hour => (self.end.as_millis() - self.start.as_millis()) as f64 / HOUR_MS as f64,
            Window::Day => 1.0,
        }
    }

    /// Whether it is as long as usual.
    pub fn is_regular(&self, window: Window) -> bool {
        window == Window::Day || self.end == self.start.plus_millis(HOUR_MS)
    }
}

/// The bucket that holds an instant.
pub fn bucket_of(window: Window, zone: &TimeZone, at: Timestamp) -> Bucket {
    let local = at.to_jiff().to_zoned_datetime(zone.clone()).datetime();
    let weekday = local.weekday().to_monday_zero_offset().unsigned_abs();
    match window {
        Window::Hour => {
            let hour = local.date().at(local.hour(), 0, 0, 0);
            let next = match local.hour() {
                23 => local.date().tomorrow().map(midnight),
                hour => Ok(local.date().at(hour + 1, 0, 0, 0)),
            };
            Bucket {
                start: instant(hour, zone, at),
                end: instant_or(next, zone, at.plus_millis(HOUR_MS)),
                slot: weekday * 24 + local.hour().unsigned_abs(),
            }
        }
        Window::Day => Bucket {
            start: instant(midnight(local.date()), zone, at),
            end: instant_or(local.date().tomorrow().map(midnight), zone, at.plus_millis(DAY_MS)),
            slot: weekday,
        },
    }
}

/// A window as alerts write it: an ISO 8601 interval of start and duration. An hour that is judged together with
/// the one before begins there.
pub fn interval(window: Window, before: Option<Timestamp>, bucket: &Bucket) -> String {
    let duration = match window {
        Window::Hour if before.is_some() => "PT2H",
        Window::Hour => "PT1H",
        Window::Day => "P1D",
    };
    format!("{}/{duration}", before.unwrap_or(bucket.start).to_jiff())
}

/// The first instant after the window that starts there.
pub fn bucket_end(window: Window, zone: &TimeZone, start: Timestamp) -> Timestamp {
    bucket_of(window, zone, start).end
}

/// Reads what [`interval`] writes: which window, and when it starts: of two hours, when the first does.
pub fn window_of(interval: &str) -> Option<(Window, Timestamp)> {
    let (start, duration) = interval.split_once('/')?;
    let window = match duration {
        "PT1H" | "PT2H" => Window::Hour,
        "P1D" => Window::Day,
        _ => return None,
    };
    Some((window, start.parse().ok()?))
}

/// The usual length of a window in milliseconds.
pub fn length_ms(window: Window) -> i64 {
    match window {
        Window::Hour => HOUR_MS,
        Window::Day => DAY_MS,
    }
}

fn midnight(date: Date) -> DateTime {
    date.at(0, 0, 0, 0)
}

/// The instant at which the zone's clock shows this time: of two the first, of none the one after the gap.
/// `otherwise` is for the edges of the calendar, which no mention reaches.
fn instant(local: DateTime, zone: &TimeZone, otherwise: Timestamp) -> Timestamp {
    zone.to_ambiguous_zoned_datetime(local).compatible().map_or(otherwise, |zoned| zoned.timestamp().into())
}

fn instant_or(local: Result<DateTime, jiff::Error>, zone: &TimeZone, otherwise: Timestamp) -> Timestamp {
    local.map_or(otherwise, |local| instant(local, zone, otherwise))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(window: Window, zone: &str, at: &str, start: &str, end: &str) {
        let bucket = bucket_of(window, &TimeZone::get(zone).unwrap(), at.parse().unwrap());
        let parsed = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!((bucket.start, bucket.end), (parsed(start), parsed(end)), "{at} in {zone}");
    }

    #[test]
    fn an_hour_begins_where_the_zones_clock_shows_it() {
        check(
            Window::Hour,
            "UTC",
            "2026-01-01T09:59:59.999Z",
            "2026-01-01T09:00:00Z",
            "2026-01-01T10:00:00Z",
        );
        check(
            Window::Hour,
            "Asia/Kolkata",
            "2026-01-01T09:10:00Z",
            "2026-01-01T08:30:00Z",
            "2026-01-01T09:30:00Z",
        );
    }

    /// New York's clocks went back on 2025-11-02 at 02:00 and forward on 2025-03-09 at 02:00 (IANA tz database).
    #[test]
    fn a_day_with_a_change_of_the_clock_is_one_day() {
        let zone = "America/New_York";
        check(
            Window::Day,
            zone,
            "2025-11-02T12:00:00-05:00",
            "2025-11-02T00:00:00-04:00",
            "2025-11-03T00:00:00-05:00",
        );
        check(
            Window::Day,
            zone,
            "2025-03-09T12:00:00-04:00",
            "2025-03-09T00:00:00-05:00",
            "2025-03-10T00:00:00-04:00",
        );
    }

    #[test]
    fn the_repeated_hour_is_one_bucket_and_the_skipped_one_is_none() {
        let zone = "America/New_York";
        for at in ["2025-11-02T01:30:00-04:00", "2025-11-02T01:30:00-05:00"] {
            check(Window::Hour, zone, at, "2025-11-02T01:00:00-04:00", "2025-11-02T02:00:00-05:00");
        }
        check(
            Window::Hour,
            zone,
            "2025-03-09T01:59:00-05:00",
            "2025-03-09T01:00:00-05:00",
            "2025-03-09T03:00:00-04:00",
        );
        let stretch = |window, at: &str| {
            bucket_of(window, &TimeZone::get(zone).unwrap(), at.parse().unwrap()).stretch(window)
        };
        assert_eq!(stretch(Window::Hour, "2025-11-02T01:30:00-05:00"), 2.0);
        assert_eq!(stretch(Window::Hour, "2025-03-09T01:59:00-05:00"), 1.0);
        assert_eq!(stretch(Window::Day, "2025-11-02T01:30:00-05:00"), 1.0);
    }

    #[test]
    fn slots_count_from_monday() {
        let zone = TimeZone::UTC;
        let monday: Timestamp = "2026-01-05T00:30:00Z".parse().unwrap();
        assert_eq!(bucket_of(Window::Hour, &zone, monday).slot, 0);
        let sunday: Timestamp = "2026-01-11T23:30:00Z".parse().unwrap();
        assert_eq!(bucket_of(Window::Hour, &zone, sunday).slot, 167);
        assert_eq!(bucket_of(Window::Day, &zone, sunday).slot, 6);
    }
}
