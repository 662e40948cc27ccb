//! The times that exports contain.

use earshot_common::time::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::TimeZone;

/// Formats with an offset that neither RFC 3339 nor RFC 2822 covers; the first is Twitter's.
const WITH_OFFSET: &[&str] =
    &["%a %b %d %H:%M:%S %z %Y", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M %z"];

/// No number means a time after this: 2100-01-01. A number beyond is in another unit or no time.
const LAST_SECOND: f64 = 4_102_444_800.0;

/// A time, and whether it took the zone because it has no offset of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadTime {
    pub(super) at: Timestamp,
    pub(super) zone_assumed: bool,
}

/// Reads a time. `format` is tried alone where it is given; a time without offset is in `zone`.
pub(super) fn read(text: &str, zone: &TimeZone, format: Option<&str>) -> Option<ReadTime> {
    let text = text.trim();
    if let Some(format) = format {
        return by_format(format, text, zone);
    }
    if let Some(at) = with_offset(text) {
        return Some(ReadTime { at, zone_assumed: false });
    }
    if let Ok(civil) = text.parse::<DateTime>() {
        return in_zone(civil, zone);
    }
    unix(text).map(|at| ReadTime { at, zone_assumed: false })
}

fn with_offset(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    if let Ok(zoned) = rfc2822::parse(text) {
        return Some(zoned.timestamp().into());
    }
    // Tools write UTC in letters; the conversions below want digits.
    let numbered = match text.strip_suffix("UTC").or_else(|| text.strip_suffix("GMT")) {
        Some(rest) => format!("{rest}+0000"),
        None => text.replace(" UTC ", " +0000 "),
    };
    for format in WITH_OFFSET {
        if let Ok(at) = strtime::parse(format, &numbered).and_then(|parts| parts.to_timestamp()) {
            return Some(at.into());
        }
    }
    None
}

fn by_format(format: &str, text: &str, zone: &TimeZone) -> Option<ReadTime> {
    let parts = strtime::parse(format, text).ok()?;
    if let Ok(at) = parts.to_timestamp() {
        return Some(ReadTime { at: at.into(), zone_assumed: false });
    }
    let civil = parts.to_datetime().or_else(|_| parts.to_date().map(DateTime::from)).ok()?;
    in_zone(civil, zone)
}

fn in_zone(civil: DateTime, zone: &TimeZone) -> Option<ReadTime> {
    let at = zone.to_timestamp(civil).ok()?;
    Some(ReadTime { at: at.into(), zone_assumed: true })
}

/// Seconds, milliseconds or microseconds since 1970: the largest unit that gives a time of our days.
fn unix(text: &str) -> Option<Timestamp> {
    let number: f64 = text.parse().ok()?;
    for per_second in [1.0, 1e3, 1e6] {
        let seconds = number / per_second;
        if (0.0..LAST_SECOND).contains(&seconds) {
            return Some(Timestamp::from_millis((seconds * 1000.0).round() as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_formats_are_read() {
        let new_york = TimeZone::get("America/New_York").unwrap();
        for (text, wanted, zone_assumed) in [
            ("2015-02-24T19:35:52Z", "2015-02-24T19:35:52.000Z", false),
            ("2015-02-24T11:35:52.123456-08:00", "2015-02-24T19:35:52.123Z", false),
            ("2015-02-24 11:35:52 -0800", "2015-02-24T19:35:52.000Z", false),
            ("2015-02-24 19:35:52 UTC", "2015-02-24T19:35:52.000Z", false),
            ("2015-02-24T11:35:52-0800", "2015-02-24T19:35:52.000Z", false),
            ("Tue, 24 Feb 2015 11:35:52 -0800", "2015-02-24T19:35:52.000Z", false),
            ("Tue, 24 Feb 2015 19:35:52 GMT", "2015-02-24T19:35:52.000Z", false),
            ("Tue Feb 24 11:35:52 +0000 2015", "2015-02-24T11:35:52.000Z", false),
            ("2015-02-24 11:35:52", "2015-02-24T16:35:52.000Z", true),
            ("2015-02-24T11:35", "2015-02-24T16:35:00.000Z", true),
            (" 2015-07-01 ", "2015-07-01T04:00:00.000Z", true),
            ("20150701", "2015-07-01T04:00:00.000Z", true),
            ("1424806552", "2015-02-24T19:35:52.000Z", false),
            ("1424806552.25", "2015-02-24T19:35:52.250Z", false),
            ("1424806552123", "2015-02-24T19:35:52.123Z", false),
            ("1424806552123456", "2015-02-24T19:35:52.123Z", false),
        ] {
            let read = read(text, &new_york, None).unwrap_or_else(|| panic!("{text} is a time"));
            assert_eq!((read.at.to_string().as_str(), read.zone_assumed), (wanted, zone_assumed), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_or_could_be_two_is_not_read() {
        for text in ["", "soon", "6/24/2016 3:48", "2015-13-01", "-5", "NaN", "99999999999999999999"] {
            assert_eq!(read(text, &TimeZone::UTC, None), None, "{text}");
        }
    }

    #[test]
    fn a_format_of_ones_own_decides_what_the_digits_mean() {
        let read = |format| read("6/7/2016 3:48", &TimeZone::UTC, Some(format)).unwrap().at.to_string();
        assert_eq!(read("%m/%d/%Y %H:%M"), "2016-06-07T03:48:00.000Z");
        assert_eq!(read("%d/%m/%Y %H:%M"), "2016-07-06T03:48:00.000Z");
    }
}
