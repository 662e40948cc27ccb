//! Briefs: what changed about some subjects since the last one, told at a time of the day or of the week.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::telling::{Day, TimeOfDay};
use super::{Search, utc};
use crate::time::Timestamp;

/// A message that comes by the clock, whatever happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brief {
    /// Short and stable; records name the brief by it.
    pub id: String,
    /// Id of the route whose people read it.
    pub to: String,
    /// Ids of the subjects that it is about, in the order in which it tells of them.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// Ids of the searches that it is about, told after the subjects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub searches: Vec<String>,
    /// How often it comes.
    pub every: Every,
    /// Of a weekly one: the day; without it Monday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekday: Option<Day>,
    /// When it comes.
    pub at: TimeOfDay,
    /// The readers' zone (IANA name).
    #[serde(default = "utc")]
    pub zone: String,
}

/// How often a brief comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// Once a day.
    Day,
    /// Once a week.
    Week,
}

impl Brief {
    /// What it is about: the subjects, and the searches as subjects.
    pub fn about(&self) -> impl Iterator<Item = String> {
        self.subjects.iter().cloned().chain(self.searches.iter().map(|search| Search::subject_id(search)))
    }

    /// The readers' zone. Falls back to UTC where this machine does not know the name, which `apply` has refused.
    pub fn time_zone(&self) -> TimeZone {
        TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC)
    }

    /// When it was due last, up to and with an instant.
    pub fn last_due(&self, at: Timestamp) -> Timestamp {
        self.due_around(at).filter(|due| *due <= at).max().unwrap_or(at)
    }

    /// When it is due next, after an instant.
    pub fn next_due(&self, after: Timestamp) -> Timestamp {
        self.due_around(after).filter(|due| *due > after).min().unwrap_or(after)
    }

    /// When it is due in the week before and the week after an instant.
    fn due_around(&self, at: Timestamp) -> impl Iterator<Item = Timestamp> {
        let zone = self.time_zone();
        let today = at.to_jiff().to_zoned_datetime(zone.clone()).date();
        let days = (-8..=8).filter_map(move |days| today.checked_add(jiff::Span::new().days(days)).ok());
        let due =
            |date: &Date| self.every == Every::Day || Day::of(*date) == self.weekday.unwrap_or(Day::Mon);
        days.filter(due).filter_map(move |date| {
            // Of a time that the clock shows twice the first, of one that it skips the one behind the gap.
            let due = zone.to_ambiguous_zoned_datetime(date.to_datetime(self.at.0)).compatible().ok()?;
            Some(due.timestamp().into())
        })
    }

    /// Says what is wrong with it by itself, naming the field and the value.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.subjects.is_empty() && self.searches.is_empty() {
            return Err("`subjects` and `searches` are empty: name at least one".to_owned());
        }
        if self.weekday.is_some() && self.every != Every::Week {
            return Err("`weekday` belongs to `every = \"week\"`".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn brief(every: Every, weekday: Option<Day>, zone: &str) -> Brief {
        Brief {
            id: "board".to_owned(),
            to: "board".to_owned(),
            subjects: vec!["harbor".to_owned()],
            searches: vec!["app".to_owned()],
            every,
            weekday,
            at: "07:30".parse().unwrap(),
            zone: zone.to_owned(),
        }
    }

    #[test]
    fn a_daily_one_is_due_every_day_at_its_time() {
        let brief = brief(Every::Day, None, "UTC");
        assert_eq!(brief.last_due(at("2026-01-08T07:29:59Z")), at("2026-01-07T07:30:00Z"));
        assert_eq!(brief.last_due(at("2026-01-08T07:30:00Z")), at("2026-01-08T07:30:00Z"));
        assert_eq!(brief.next_due(at("2026-01-08T07:30:00Z")), at("2026-01-09T07:30:00Z"));
        assert_eq!(brief.about().collect::<Vec<_>>(), ["harbor", "search:app"]);
    }

    /// 8 January 2026 is a Thursday.
    #[test]
    fn a_weekly_one_is_due_on_its_day_and_on_monday_where_none_is_given() {
        let thursday = at("2026-01-08T12:00:00Z");
        assert_eq!(brief(Every::Week, None, "UTC").last_due(thursday), at("2026-01-05T07:30:00Z"));
        assert_eq!(brief(Every::Week, Some(Day::Thu), "UTC").next_due(thursday), at("2026-01-15T07:30:00Z"));
        assert_eq!(brief(Every::Week, Some(Day::Fri), "UTC").last_due(thursday), at("2026-01-02T07:30:00Z"));
    }

    /// Berlin's clocks went forward on 2026-03-29 at 02:00 and back on 2026-10-25 at 03:00 (IANA tz database).
    #[test]
    fn it_is_due_when_the_readers_clock_shows_its_time() {
        let mut brief = brief(Every::Day, None, "Europe/Berlin");
        assert_eq!(brief.next_due(at("2026-03-28T12:00:00Z")), at("2026-03-29T05:30:00Z"));
        brief.at = "02:30".parse().unwrap();
        assert_eq!(
            brief.next_due(at("2026-03-28T12:00:00Z")),
            at("2026-03-29T01:30:00Z"),
            "there is no 02:30"
        );
        assert_eq!(
            brief.next_due(at("2026-10-24T12:00:00Z")),
            at("2026-10-25T00:30:00Z"),
            "the first of two"
        );
        assert_eq!(brief.next_due(at("2026-10-25T00:30:00Z")), at("2026-10-26T01:30:00Z"), "once that day");
    }
}
