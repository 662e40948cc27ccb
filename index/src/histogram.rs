//! The timeline: how many mentions of each polarity fall into each hour, day or month of a zone.
//!
//! What belongs here: calendars and zones. Counting is [`crate::search`]'s.

use earshot_common::events::Polarity;
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;
use jiff::{ToSpan, ZonedDateTime};
use serde::Serialize;

use crate::query::Filter;
use crate::search::quarter_hours;
use crate::store::Store;

/// Bars of one timeline, at most.
const MAX_BUCKETS: usize = 1_000;

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// A clock hour.
    Hour,
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
}

impl Unit {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            "month" => Some(Self::Month),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The beginning of the bucket that an instant falls into.
    pub(crate) fn start(self, at: &ZonedDateTime) -> Result<ZonedDateTime, jiff::Error> {
        match self {
            // By subtraction and not by setting the minutes: of a repeated hour both must stay apart.
            Self::Hour => at.checked_sub(
                i64::from(at.minute()).minutes().seconds(at.second()).nanoseconds(at.subsec_nanosecond()),
            ),
            Self::Day => at.start_of_day(),
            Self::Month => at.first_of_month()?.start_of_day(),
        }
    }

    /// The beginning of the bucket behind the one that begins here.
    fn following(self, start: &ZonedDateTime) -> Result<ZonedDateTime, jiff::Error> {
        match self {
            Self::Hour => self.start(&start.checked_add(1.hour())?),
            Self::Day => start.tomorrow()?.start_of_day(),
            Self::Month => start.checked_add(1.month())?.start_of_day(),
        }
    }
}

/// One bar of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Its first instant.
    pub(crate) from: ZonedDateTime,
    /// The first instant behind it.
    pub(crate) to: ZonedDateTime,
    /// Mentions with a negative polarity.
    pub(crate) negative: u64,
    /// Mentions with neither.
    pub(crate) neutral: u64,
    /// Mentions with a positive polarity.
    pub(crate) positive: u64,
}

impl Bucket {
    /// Mentions of every polarity.
    pub(crate) fn total(&self) -> u64 {
        self.negative + self.neutral + self.positive
    }
}

/// What a timeline cannot be made of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistogramError {
    /// The span holds too many buckets.
    #[error(
        "by `{unit}` from {from} to {to} is more than {MAX_BUCKETS} buckets; narrow `from` and `to`, or count by a \
         longer unit"
    )]
    TooMany {
        /// The unit.
        unit: &'static str,
        /// The span's beginning.
        from: Timestamp,
        /// The span's end.
        to: Timestamp,
    },
    /// The index or the calendar failed.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// Mentions by time, counted before they are put into buckets.
pub(crate) struct Timeline {
    counts: Vec<(Timestamp, Polarity, u64)>,
    /// The first instant that the buckets cover and the last one; `None` where there is nothing to show.
    span: Option<(Timestamp, Timestamp)>,
}

impl Timeline {
    /// Counts the matches. The timeline covers the filter's span where it has both ends, else from the first
    /// match to the last one.
    pub(crate) fn count(store: &Store, filter: &Filter) -> anyhow::Result<Self> {
        let mut counts = Vec::new();
        for sentiment in [Polarity::Negative, Polarity::Neutral, Polarity::Positive] {
            for (at, count) in quarter_hours(store, filter, sentiment)? {
                counts.push((at, sentiment, count));
            }
        }
        let first = counts.iter().map(|(at, ..)| *at).min();
        let last = counts.iter().map(|(at, ..)| *at).max();
        let span = match (filter.from, filter.to) {
            (Some(from), Some(to)) if from < to => Some((from, to.plus_millis(-1))),
            _ => first.zip(last),
        };
        Ok(Self { counts, span })
    }

    /// The unit that makes a readable number of bars.
    pub(crate) fn readable_unit(&self) -> Unit {
        const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
        let length_ms = self.span.map_or(0, |(from, to)| to.as_millis() - from.as_millis());
        match length_ms / DAY_MS {
            0..=2 => Unit::Hour,
            3..=100 => Unit::Day,
            _ => Unit::Month,
        }
    }

    /// The buckets of a zone, without gaps.
    pub(crate) fn buckets(&self, unit: Unit, zone: &TimeZone) -> Result<Vec<Bucket>, HistogramError> {
        let Some((from, to)) = self.span else { return Ok(Vec::new()) };
        let calendar = |error: jiff::Error| HistogramError::Failed(error.into());
        let mut buckets: Vec<Bucket> = Vec::new();
        let mut start = unit.start(&from.to_jiff().to_zoned_datetime(zone.clone())).map_err(calendar)?;
        while start.timestamp() <= to.to_jiff() {
            if buckets.len() == MAX_BUCKETS {
                return Err(HistogramError::TooMany { unit: unit.as_str(), from, to });
            }
            let next = unit.following(&start).map_err(calendar)?;
            let bucket = Bucket { from: start, to: next.clone(), negative: 0, neutral: 0, positive: 0 };
            buckets.push(bucket);
            start = next;
        }
        for (at, sentiment, count) in &self.counts {
            let behind = buckets.partition_point(|bucket| bucket.from.timestamp() <= at.to_jiff());
            // A quarter of an hour may begin before a span that does not.
            let bucket = &mut buckets[behind.saturating_sub(1)];
            match sentiment {
                Polarity::Negative => bucket.negative += count,
                Polarity::Neutral => bucket.neutral += count,
                Polarity::Positive => bucket.positive += count,
            }
        }
        Ok(buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{at, feeling, index_of, mention};

    fn buckets(times: &[&str], unit: Unit, zone: &str, filter: &Filter) -> Vec<(String, u64)> {
        let mentions: Vec<_> =
            times.iter().enumerate().map(|(n, time)| at(mention(&format!("m{n}"), "x"), time)).collect();
        let timeline = Timeline::count(&index_of(&mentions), filter).unwrap();
        let buckets = timeline.buckets(unit, &TimeZone::get(zone).unwrap()).unwrap();
        buckets
            .iter()
            .map(|bucket| (bucket.from.strftime("%d %H:%M %:z").to_string(), bucket.total()))
            .collect()
    }

    fn shown(buckets: &[(String, u64)]) -> Vec<(&str, u64)> {
        buckets.iter().map(|(label, count)| (label.as_str(), *count)).collect()
    }

    #[test]
    fn days_begin_at_midnight_of_the_zone_also_where_clocks_change() {
        // Berlin's clocks went forward on 29 March 2026, so its day began at 23:00Z and ended at 22:00Z.
        let times =
            ["2026-03-28T22:59:00Z", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-31T00:00:00Z"];
        let found = buckets(&times, Unit::Day, "Europe/Berlin", &Filter::default());
        assert_eq!(
            shown(&found),
            [("28 00:00 +01:00", 1), ("29 00:00 +01:00", 2), ("30 00:00 +02:00", 0), ("31 00:00 +02:00", 1)]
        );
    }

    #[test]
    fn both_hours_of_a_repeated_hour_stand_apart() {
        // Berlin's clocks went back at 01:00Z on 25 October 2026: the hour from two to three came twice.
        let times =
            ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T01:45:00Z", "2026-10-25T02:00:00Z"];
        let found = buckets(&times, Unit::Hour, "Europe/Berlin", &Filter::default());
        assert_eq!(shown(&found), [("25 02:00 +02:00", 1), ("25 02:00 +01:00", 2), ("25 03:00 +01:00", 1)]);
        // An hour of India begins at half past an hour of UTC.
        let found = buckets(
            &["2026-01-01T00:29:00Z", "2026-01-01T00:30:00Z"],
            Unit::Hour,
            "Asia/Kolkata",
            &Filter::default(),
        );
        assert_eq!(shown(&found), [("01 05:00 +05:30", 1), ("01 06:00 +05:30", 1)]);
    }

    #[test]
    fn a_span_with_both_ends_is_shown_whole() {
        let filter = Filter {
            from: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            to: Some("2026-01-04T00:00:00Z".parse().unwrap()),
            ..Filter::default()
        };
        let found = buckets(&["2026-01-02T12:00:00Z", "2026-02-01T00:00:00Z"], Unit::Day, "UTC", &filter);
        assert_eq!(shown(&found), [("01 00:00 +00:00", 0), ("02 00:00 +00:00", 1), ("03 00:00 +00:00", 0)]);
    }

    #[test]
    fn polarities_are_counted_apart() {
        let store = index_of(&[
            feeling(mention("a", "bad"), "bad", -0.5),
            feeling(mention("b", "bad"), "bad", -0.5),
            feeling(mention("c", "good"), "good", 0.5),
            mention("d", "so"),
        ]);
        let timeline = Timeline::count(&store, &Filter::default()).unwrap();
        let buckets = timeline.buckets(Unit::Day, &TimeZone::UTC).unwrap();
        assert_eq!((buckets[0].negative, buckets[0].neutral, buckets[0].positive), (2, 1, 1));
        let filter = Filter { sentiment: Some(Polarity::Positive), ..Filter::default() };
        let buckets = Timeline::count(&store, &filter).unwrap().buckets(Unit::Day, &TimeZone::UTC).unwrap();
        assert_eq!((buckets[0].negative, buckets[0].neutral, buckets[0].positive), (0, 0, 1));
    }

    #[test]
    fn too_many_buckets_are_refused_with_what_to_do() {
        let store = index_of(&[
            at(mention("a", "x"), "2015-01-01T00:00:00Z"),
            at(mention("b", "x"), "2026-01-01T00:00:00Z"),
        ]);
        let timeline = Timeline::count(&store, &Filter::default()).unwrap();
        let error = timeline.buckets(Unit::Hour, &TimeZone::UTC).unwrap_err().to_string();
        assert!(error.contains("more than 1000 buckets; narrow `from` and `to`"), "{error}");
        assert_eq!(timeline.readable_unit(), Unit::Month);
    }
}
