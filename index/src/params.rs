//! The parameters of a request, read once into values that cannot be wrong.

use earshot_common::events::{Polarity, RISKS};
use earshot_common::query;
use earshot_common::time::{Clock, Timestamp};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::histogram::Unit;
use crate::query::Filter;
use crate::search::{Cursor, Sort};

/// Mentions on a page where nothing else is asked for.
const DEFAULT_LIMIT: usize = 20;
/// Mentions on a page, at most.
const MAX_LIMIT: usize = 100;

/// The parameters that filter.
const FILTERS: [&str; 9] = ["q", "subject", "source", "lang", "sentiment", "risk", "from", "to", "zone"];

/// A parameter that cannot be taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter `{name}`: {message}")]
pub(crate) struct ParameterError {
    /// The parameter.
    pub(crate) name: String,
    /// Its value, and what is wrong with it.
    pub(crate) message: String,
}

/// Names and values as they stand in the address. An empty value counts as none: forms send them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Refuses what is not known and what is given twice.
    pub(crate) fn new(pairs: Vec<(String, String)>, known: &[&[&str]]) -> Result<Self, ParameterError> {
        let known: Vec<&str> = known.concat();
        let mut taken: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs {
            if !known.contains(&name.as_str()) {
                let message = format!("there is no such parameter; there are: {}", known.join(", "));
                return Err(ParameterError { name, message });
            }
            if taken.iter().any(|(other, _)| *other == name) {
                return Err(ParameterError { name, message: "is given twice".to_owned() });
            }
            if !value.trim().is_empty() {
                taken.push((name, value));
            }
        }
        Ok(Self(taken))
    }

    /// The filters, the order and the page.
    pub(crate) const SEARCH: [&[&str]; 2] = [&FILTERS, &["sort", "limit", "cursor"]];
    /// The filters and the unit.
    pub(crate) const HISTOGRAM: [&[&str]; 2] = [&FILTERS, &["by"]];
    /// Of the mentions behind an alert.
    pub(crate) const EVIDENCE: [&[&str]; 1] = [&["keys", "limit", "wait_ms"]];
    /// The filters, and how long to wait.
    pub(crate) const DIGEST: [&[&str]; 2] = [&FILTERS, &["wait_ms"]];
    /// Of the list of alerts.
    pub(crate) const ALERTS: [&[&str]; 1] = [&["state", "historic", "subject"]];
    /// Of an export.
    pub(crate) const EXPORT: [&[&str]; 1] = [&["author"]];
    /// Of the list of dead letters.
    pub(crate) const LETTERS: [&[&str]; 1] = [&["limit", "before", "service", "kind"]];

    /// Names and values, in their order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter's value, read; `expected` says what would be right.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, ParameterError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => {
                Err(ParameterError { name: name.to_owned(), message: format!("`{value}` is not {expected}") })
            }
        }
    }

    /// The zone that dates are read in and times are shown in.
    pub(crate) fn zone(&self) -> Result<Option<TimeZone>, ParameterError> {
        self.read(
            "zone",
            |name| TimeZone::get(name).ok(),
            "a known time zone; an IANA name such as `Europe/Berlin` is",
        )
    }

    /// The filters, with dates in `zone`.
    pub(crate) fn filter(&self, zone: &TimeZone) -> Result<Filter, ParameterError> {
        let query = query::parse(self.get("q").unwrap_or_default())
            .map_err(|error| ParameterError { name: "q".to_owned(), message: error.to_string() })?;
        let when = "an RFC 3339 time such as `2026-01-31T12:00:00Z`, or a date such as `2026-01-31`";
        let own = |name| self.get(name).map(str::to_owned);
        let filter = Filter {
            query,
            now: Clock::system().now(),
            subject: own("subject"),
            source: own("source"),
            lang: own("lang"),
            author: None,
            sentiment: self.read("sentiment", polarity, "`negative`, `neutral` or `positive`")?,
            from: self.read("from", |text| instant(text, zone, false), when)?,
            to: self.read("to", |text| instant(text, zone, true), when)?,
        };
        if filter.from.zip(filter.to).is_some_and(|(from, to)| from >= to) {
            let message = format!(
                "`{}` is not later than `from`, which is `{}`",
                self.get("to").unwrap_or_default(),
                self.get("from").unwrap_or_default()
            );
            return Err(ParameterError { name: "to".to_owned(), message });
        }
        let expected = format!("a risk; there are: {}", RISKS.join(", "));
        let risk = self.read("risk", risk, &expected)?;
        Ok(match risk {
            Some(risk) => filter.with(query::Field::Risk, risk),
            None => filter,
        })
    }

    /// The order of results.
    pub(crate) fn sort(&self) -> Result<Sort, ParameterError> {
        let read = |text: &str| match text {
            "time" => Some(Sort::Time),
            "relevance" => Some(Sort::Relevance),
            _ => None,
        };
        Ok(self.read("sort", read, "`time` or `relevance`")?.unwrap_or_default())
    }

    /// Results on a page.
    pub(crate) fn limit(&self) -> Result<usize, ParameterError> {
        let read = |text: &str| text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        let expected = format!("a number from 1 to {MAX_LIMIT}");
        Ok(self.read("limit", read, &expected)?.unwrap_or(DEFAULT_LIMIT))
    }

    /// Where the page begins.
    pub(crate) fn cursor(&self, sort: Sort) -> Result<Option<Cursor>, ParameterError> {
        self.read("cursor", |text| Cursor::parse(text, sort), "the `next` of an answer in this order")
    }

    /// The unit of a timeline.
    pub(crate) fn unit(&self) -> Result<Option<Unit>, ParameterError> {
        self.read("by", Unit::parse, "`hour`, `day` or `month`")
    }
}

fn risk(text: &str) -> Option<&'static str> {
    RISKS.into_iter().find(|risk| *risk == text)
}

fn polarity(text: &str) -> Option<Polarity> {
    [Polarity::Negative, Polarity::Neutral, Polarity::Positive]
        .into_iter()
        .find(|polarity| polarity.as_str() == text)
}

/// A time, or the beginning of a date in the zone; as an end, the end of the date.
fn instant(text: &str, zone: &TimeZone, as_end: bool) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let date: Date = if text.len() == 10 { text.parse().ok()? } else { return None };
    let date = if as_end { date.tomorrow().ok()? } else { date };
    Some(date.to_zoned_datetime(zone.clone()).ok()?.timestamp().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Result<Parameters, ParameterError> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Parameters::new(pairs, &Parameters::SEARCH)
    }

    fn filter(pairs: &[(&str, &str)]) -> Result<Filter, ParameterError> {
        let parameters = parameters(pairs)?;
        parameters.filter(&parameters.zone()?.unwrap_or(TimeZone::UTC))
    }

    #[test]
    fn a_date_means_the_whole_day_in_the_zone() {
        // Clocks in New York went forward on 8 March 2026: the day had 23 hours.
        let filter = filter(&[("from", "2026-03-08"), ("to", "2026-03-08"), ("zone", "America/New_York")]);
        let filter = filter.unwrap();
        assert_eq!(filter.from.unwrap().to_string(), "2026-03-08T05:00:00.000Z");
        assert_eq!(filter.to.unwrap().to_string(), "2026-03-09T04:00:00.000Z");
    }

    #[test]
    fn a_time_is_taken_as_it_is() {
        let filter = filter(&[("to", "2026-03-08T12:00:00+02:00"), ("zone", "America/New_York")]).unwrap();
        assert_eq!(filter.to.unwrap().to_string(), "2026-03-08T10:00:00.000Z");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value() {
        let message = |pairs: &[(&str, &str)]| filter(pairs).unwrap_err().to_string();
        assert!(
            message(&[("form", "x")])
                .starts_with("parameter `form`: there is no such parameter; there are: q,")
        );
        assert!(message(&[("q", "a"), ("q", "b")]).contains("`q`: is given twice"));
        assert!(message(&[("sentiment", "angry")]).contains("`sentiment`: `angry` is not `negative`"));
        assert!(message(&[("risk", "anger")]).contains("`risk`: `anger` is not a risk; there are: legal, "));
        assert!(message(&[("from", "yesterday")]).contains("`from`: `yesterday` is not"));
        assert!(message(&[("zone", "Mars/Base")]).contains("`zone`: `Mars/Base` is not"));
        assert!(
            message(&[("from", "2026-01-02"), ("to", "2026-01-01")]).contains("is not later than `from`")
        );
        assert!(message(&[("q", "say \"this")]).contains("query, character 5"));
        let limit = parameters(&[("limit", "101")]).unwrap().limit().unwrap_err();
        assert_eq!(limit.to_string(), "parameter `limit`: `101` is not a number from 1 to 100");
        let cursor = parameters(&[("cursor", "t_1_2")]).unwrap().cursor(Sort::Relevance).unwrap_err();
        assert!(cursor.to_string().contains("`cursor`: `t_1_2` is not"), "{cursor}");
    }

    #[test]
    fn empty_values_count_as_none_since_forms_send_them() {
        assert_eq!(filter(&[("subject", ""), ("from", " ")]).unwrap().subject, None);
    }
}
