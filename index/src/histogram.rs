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
