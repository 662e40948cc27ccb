//! When a rule's alerts are told, and to whom: who is on duty, quiet hours, and who is called next.
//!
//! What belongs here: hours of the week on the readers' clock, and what follows from an instant. What does not:
//! whether there is anything to tell, which the fold of alerts decides.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::Timestamp;

/// From this severity on an alert is told at any hour.
pub const TOLD_AT_ANY_HOUR: u8 = 7;
/// From this severity on somebody is to be told at all; what is below is there to be seen.
pub const TOLD_TO_A_TEAM: u8 = 4;

/// Whom a rule's alerts are told, beside its route, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// The readers' zone (IANA name); without it the subject's.
    pub zone: Option<String>,
    /// Who is told instead of the rule's route: the first of these that is on duty then.
    pub on_duty: Vec<Shift>,
    /// What is less severe than [`TOLD_AT_ANY_HOUR`] waits for their end.
    pub quiet_hours: Option<Hours>,
    /// Who is called next while nobody has the alert in hand.
    pub escalate: Vec<EscalationStep>,
    /// Another alert of the rule about the same subject is told after this time, or where it is more severe.
    pub cool_down_hours: u32,
}

/// Who is told in some hours of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// Id of the route.
    pub route: String,
    /// The days on which it begins; without them every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// When it begins.
    pub from: TimeOfDay,
    /// When it ends: at or before the beginning is a time of the next day.
    pub to: TimeOfDay,
}

/// Who is called next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationStep {
    /// Minutes after the alert was told during which nobody took it in hand.
    pub after_minutes: u32,
    /// Id of the route.
    pub route: String,
}

/// Hours of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The days on which they begin; without them every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// When they begin.
    pub from: TimeOfDay,
    /// When they end: at or before the beginning is a time of the next day.
    pub to: TimeOfDay,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the days of the week are known")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A time of the day, written `HH:MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(pub(super) Time);

impl Telling {
    /// The readers' zone.
    pub fn zone(&self, subject: &TimeZone) -> TimeZone {
        self.zone.as_ref().and_then(|zone| TimeZone::get(zone).ok()).unwrap_or_else(|| subject.clone())
    }

    /// Who is on duty, if that is said for this instant.
    pub fn on_duty(&self, at: Timestamp, zone: &TimeZone) -> Option<&str> {
        let shift =
            self.on_duty.iter().find(|shift| end(&shift.days, shift.from, shift.to, at, zone).is_some());
        shift.map(|shift| shift.route.as_str())
    }

    /// Until when an alert of this severity waits, where it does.
    pub fn quiet_until(&self, severity: u8, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let hours = self.quiet_hours.as_ref().filter(|_| severity < TOLD_AT_ANY_HOUR)?;
        hours.end(at, zone)
    }

    /// When an alert of this severity is told that is to be told at an instant: then, or when quiet hours are over. Where
    /// these follow one another without end, a week and a day later.
    pub fn after_quiet(&self, severity: u8, at: Timestamp, zone: &TimeZone) -> Timestamp {
        let mut told = at;
        for _ in 0..=7 {
            let Some(end) = self.quiet_until(severity, told, zone) else { break };
            told = end;
        }
        told
    }

    /// The routes that it names.
    pub fn routes(&self) -> impl Iterator<Item = &str> {
        let shifts = self.on_duty.iter().map(|shift| shift.route.as_str());
        shifts.chain(self.escalate.iter().map(|step| step.route.as_str()))
    }

    /// Says what is wrong with it, naming the field and the value.
    pub fn check(&self) -> Result<(), String> {
        if let Some(zone) = &self.zone
            && let Err(error) = TimeZone::get(zone)
        {
            return Err(format!("`zone = \"{zone}\"` is not a known time zone: {error}"));
        }
        let mut before = 0;
        for step in &self.escalate {
            if step.after_minutes <= before {
                return Err(format!(
                    "`escalate` calls `{}` after {} minutes, which must be more than {before}: each step later than \
                     the one before",
                    step.route, step.after_minutes
                ));
            }
            before = step.after_minutes;
        }
        Ok(())
    }
}

impl Hours {
    /// When the hours that an instant is in are over; `None` where it is in none.
    pub fn end(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        end(&self.days, self.from, self.to, at, zone)
    }

    /// When they begin next, after an instant.
    pub fn next_start(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut day = at.to_jiff().to_zoned_datetime(zone.clone()).date();
        // Every day of the week comes within eight days, also where the first of them is over.
        for _ in 0..=8 {
            if self.days.is_empty() || self.days.contains(&Day::of(day)) {
                let begin = day.to_datetime(self.from.0);
                let begin = zone.to_ambiguous_zoned_datetime(begin).compatible().ok()?;
                let begin = Timestamp::from(begin.timestamp());
                if begin > at {
                    return Some(begin);
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }
}

/// When the hours of a week that an instant is in are over. Those of the day before may reach into its day.
fn end(days: &[Day], from: TimeOfDay, to: TimeOfDay, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let local = at.to_jiff().to_zoned_datetime(zone.clone()).datetime();
    let today = local.date();
    for day in [Some(today), today.yesterday().ok()].into_iter().flatten() {
        if !days.is_empty() && !days.contains(&Day::of(day)) {
            continue;
        }
        let last = if to <= from { day.tomorrow().ok()? } else { day };
        if day.to_datetime(from.0) <= local && local < last.to_datetime(to.0) {
            let end = zone.to_ambiguous_zoned_datetime(last.to_datetime(to.0)).compatible().ok()?;
            // The hour that a clock shows twice may lie behind the end of its first showing.
            return Some(Timestamp::from(end.timestamp()).max(at.plus_millis(1)));
        }
    }
    None
}

impl Day {
    pub(super) fn of(date: Date) -> Self {
        match date.weekday() {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a time of day such as `22:00`");
        let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
        if hour.len() != 2 || minute.len() != 2 {
            return Err(wrong());
        }
        let number = |digits: &str| digits.parse::<i8>().map_err(|_| wrong());
        Time::new(number(hour)?, number(minute)?, 0, 0).map(Self).map_err(|_| wrong())
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn hours(days: &[Day], from: &str, to: &str) -> Hours {
        Hours { days: days.to_vec(), from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    #[test]
    fn a_night_ends_in_the_morning_of_the_next_day() {
        let (night, utc) = (hours(&[], "22:00", "07:00"), TimeZone::UTC);
        for (time, end) in [
            ("2026-01-08T21:59:59Z", None),
            ("2026-01-08T22:00:00Z", Some("2026-01-09T07:00:00Z")),
            ("2026-01-09T06:59:59Z", Some("2026-01-09T07:00:00Z")),
            ("2026-01-09T07:00:00Z", None),
        ] {
            assert_eq!(night.end(at(time), &utc), end.map(at), "{time}");
        }
    }

    /// 8 January 2026 is a Thursday.
    #[test]
    fn hours_belong_to_the_day_on_which_they_begin() {
        let (night, utc) = (hours(&[Day::Thu], "22:00", "07:00"), TimeZone::UTC);
        assert!(night.end(at("2026-01-08T23:00:00Z"), &utc).is_some());
        assert!(night.end(at("2026-01-09T06:00:00Z"), &utc).is_some(), "still Thursday's night");
        assert!(night.end(at("2026-01-08T06:00:00Z"), &utc).is_none(), "Wednesday's night");
    }

    /// 10 January 2026 is a Saturday.
    #[test]
    fn hours_begin_next_on_one_of_their_days() {
        let (office, utc) = (hours(&[Day::Mon, Day::Fri], "09:00", "17:00"), TimeZone::UTC);
        for (time, begin) in [
            ("2026-01-10T03:10:00Z", "2026-01-12T09:00:00Z"),
            ("2026-01-12T08:59:59Z", "2026-01-12T09:00:00Z"),
            ("2026-01-12T09:00:00Z", "2026-01-16T09:00:00Z"),
        ] {
            assert_eq!(office.next_start(at(time), &utc), Some(at(begin)), "{time}");
        }
        // That it is over today leaves the same day of the next week.
        let mondays = hours(&[Day::Mon], "09:00", "17:00");
        assert_eq!(mondays.next_start(at("2026-01-12T18:00:00Z"), &utc), Some(at("2026-01-19T09:00:00Z")));
    }

    /// 10 January 2026 is a Saturday.
    #[test]
    fn quiet_hours_that_follow_one_another_are_one() {
        let quiet_hours = Some(hours(&[Day::Sat, Day::Sun], "00:00", "00:00"));
        let (weekend, utc) = (Telling { quiet_hours, ..Telling::default() }, TimeZone::UTC);
        for (severity, time, told) in [
            (6, "2026-01-10T03:00:00Z", "2026-01-12T00:00:00Z"),
            (6, "2026-01-09T23:59:00Z", "2026-01-09T23:59:00Z"),
            (7, "2026-01-10T03:00:00Z", "2026-01-10T03:00:00Z"),
        ] {
            assert_eq!(weekend.after_quiet(severity, at(time), &utc), at(told), "{severity} at {time}");
        }
    }

    /// New York's clocks went forward on 2025-03-09 at 02:00 (IANA tz database).
    #[test]
    fn hours_are_those_of_the_readers_clock() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let night = hours(&[], "22:00", "07:00");
        assert_eq!(night.end(at("2025-03-09T05:00:00Z"), &zone), Some(at("2025-03-09T11:00:00Z")));
        assert_eq!(night.end(at("2025-03-08T05:00:00Z"), &zone), Some(at("2025-03-08T12:00:00Z")));
    }

    #[test]
    fn what_is_no_time_of_day_is_refused_by_its_text() {
        for wrong in ["24:00", "7:00", "07.00", "07:60", "night"] {
            assert_eq!(
                wrong.parse::<TimeOfDay>().unwrap_err(),
                format!("`{wrong}` is not a time of day such as `22:00`")
            );
        }
    }
}
