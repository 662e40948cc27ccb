//! From what stands behind a field's colon to a condition: numbers, times, and names of other products.

use super::fields::{Field, Named, NumberField};
use super::lexer::FieldValue;
use super::tree::{Bound, Condition, Moment, Query, Value};
use crate::time::Timestamp;

/// The condition that a mention is something.
pub(super) fn is(flag: &str) -> Query {
    Query::Field(Condition::Value(Field::Is, Value::Is(flag.to_owned())))
}

/// The condition that a field and its written value make.
pub(super) fn condition(named: Named, value: &FieldValue) -> Result<Query, String> {
    let written = match value {
        FieldValue::Written(written) => written.as_str(),
        FieldValue::Range(range) => range.as_str(),
        FieldValue::Follows => "",
    };
    let is_range = matches!(value, FieldValue::Range(_));
    let condition = match named {
        Named::Value(field) if is_range => {
            return Err(format!("`{}:` holds words, which have no range", field.name()));
        }
        Named::Value(field) => field.condition(written)?,
        Named::Number(field) => number(field, written, is_range)?,
        Named::After => Condition::Time(Bound::After, moment(written)?),
        Named::Before => Condition::Time(Bound::Before, moment(written)?),
        Named::Verified => {
            return match written.to_lowercase().as_str() {
                "true" => Ok(is("verified")),
                "false" => Ok(Query::Not(Box::new(is("verified")))),
                _ => Err(format!("`{written}` is neither `true` nor `false`")),
            };
        }
        Named::Title | Named::Body | Named::Raw | Named::Engagement | Named::Foreign => {
            return Err(format!("`{written}` is no value of this field"));
        }
    };
    Ok(Query::Field(condition))
}

/// `1000`, `>=1000`, `[1000 TO 2000]`, `[* TO 2000]`.
fn number(field: NumberField, written: &str, is_range: bool) -> Result<Condition, String> {
    let wrong = || {
        format!(
            "`{written}` is no number of `{0}:`; write `{0}:1000`, `{0}:>=1000`, `{0}:<1000` or `{0}:[1000 TO 5000]`",
            field.name()
        )
    };
    let read = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
    let (from, to) = if is_range {
        let (from, to) = written.split_once(" TO ").ok_or_else(wrong)?;
        let limit = |text: &str| if text.trim() == "*" { Ok(None) } else { read(text).map(Some) };
        (limit(from)?, limit(to)?)
    } else if let Some(rest) = written.strip_prefix(">=") {
        (Some(read(rest)?), None)
    } else if let Some(rest) = written.strip_prefix("<=") {
        (None, Some(read(rest)?))
    } else if let Some(rest) = written.strip_prefix('>') {
        (Some(read(rest)?.checked_add(1).ok_or_else(wrong)?), None)
    } else if let Some(rest) = written.strip_prefix('<') {
        (None, Some(read(rest)?.checked_sub(1).ok_or_else(wrong)?))
    } else {
        let number = read(written)?;
        (Some(number), Some(number))
    };
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(format!("`{written}` is empty: its first number is greater than its second"));
    }
    Ok(Condition::Number(field, from, to))
}

/// A time, the beginning of a date in UTC, or so long before now.
fn moment(written: &str) -> Result<Moment, String> {
    if let Some(ago) = written.strip_prefix('-') {
        let seconds = ago.char_indices().next_back().and_then(|(last, unit)| {
            let unit: u32 = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                'w' => 604_800,
                _ => return None,
            };
            ago[..last].parse::<u32>().ok()?.checked_mul(unit)
        });
        if let Some(seconds) = seconds {
            return Ok(Moment::Ago(seconds));
        }
    } else if let Ok(time) = written.parse::<Timestamp>() {
        return Ok(Moment::At(time));
    } else if let Some(start) = start_of(written) {
        return Ok(Moment::At(start));
    }
    Err(format!(
        "`{written}` is no time; write `2026-01-31`, `2026-01-31T12:00:00Z`, or `-7d` for seven days ago (s, m, h, d, w)"
    ))
}

fn start_of(date: &str) -> Option<Timestamp> {
    let date: jiff::civil::Date = if date.len() == 10 { date.parse().ok()? } else { return None };
    Some(date.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?.timestamp().into())
}
