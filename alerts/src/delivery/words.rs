//! An alert's numbers in words, for somebody who reads them on a phone.

use earshot_common::events::{AlertEvent, Arithmetic, CountArithmetic, EachArithmetic, Seasonality};
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;

/// How many counts of the baseline a message lists.
const LISTED: usize = 8;

/// What happened to the subject of this name, in a line.
pub(crate) fn headline(name: &str, event: &AlertEvent) -> String {
    match &event.arithmetic {
        Arithmetic::Count(count) => count_headline(name, count),
        Arithmetic::Each(each) => each_headline(name, each),
    }
}

/// How it stands against what was to be expected, a sentence each.
pub(crate) fn sentences(event: &AlertEvent, zone: &TimeZone) -> Vec<String> {
    let mut sentences = match &event.arithmetic {
        Arithmetic::Count(count) => count_sentences(count, event.until, zone),
        Arithmetic::Each(each) => each_sentences(each, event.opened, zone),
    };
    if !event.silent_sources.is_empty() {
        let silent = event.silent_sources.join(", ");
        sentences.push(format!("Silent meanwhile, so that some mentions may be missing: {silent}."));
    }
    sentences
}

/// What the reader is to do about an alert that may be over.
pub(crate) fn advice(event: &AlertEvent, over: bool) -> &'static str {
    if over {
        return "Nothing: it is over. Tell those who were told that it began.";
    }
    match event.severity {
        7.. => {
            "Read what people say, decide who answers and by when, and acknowledge, so that the others know that you \
             have it in hand."
        }
        4..=6 => "Look at it in working hours, and acknowledge when you have it in hand.",
        _ => "Nothing now: it will be in the brief.",
    }
}

/// How urgent an alert of this severity is.
pub(crate) fn urgency(severity: u8) -> &'static str {
    match severity {
        7.. => "needs attention now",
        4..=6 => "for the team",
        _ => "for the brief",
    }
}

fn count_headline(name: &str, count: &CountArithmetic) -> String {
    let observed = grouped(u64::from(count.observed));
    let window = if is_day(count) { "a day" } else { "an hour" };
    match count.expected {
        Some(expected) => format!("{name}: {observed} mentions in {window}, {} expected", about(expected)),
        None => format!("{name}: {observed} mentions in {window}, too little history to say what is usual"),
    }
}

fn count_sentences(count: &CountArithmetic, until: Timestamp, zone: &TimeZone) -> Vec<String> {
    let start = count.window.split('/').next().and_then(|start| start.parse().ok()).unwrap_or(until);
    let period = if is_day(count) {
        format!("on {}", local(start, zone, "%A, %-d %B %Y"))
    } else {
        format!(
            "in the hour from {} to {}",
            local(start, zone, "%H:%M"),
            local(until, zone, "%H:%M, %A, %-d %B %Y")
        )
    };
    let mut sentences = vec![format!(
        "From {} different authors, {period} ({}); the count may still grow.",
        grouped(u64::from(count.authors)),
        zone.iana_name().unwrap_or("UTC"),
    )];
    if let (Some(expected), Some(probability)) = (count.expected, count.probability) {
        let listed: Vec<String> =
            count.baseline.iter().rev().take(LISTED).rev().map(|count| grouped(u64::from(*count))).collect();
        sentences.push(format!(
            "{} were to be expected: {} before had {}.",
            capitalised(&about(expected)),
            likeness(count.seasonality),
            listed.join(", ")
        ));
        sentences.push(format!("By chance alone as many come {}.", odds(probability, is_day(count))));
    } else {
        sentences.push(format!(
            "There is less than two days of history, so the rule's own limit of {} decided.",
            grouped(u64::from(count.threshold))
        ));
    }
    sentences
}

fn each_headline(name: &str, each: &EachArithmetic) -> String {
    match each.reach {
        Some(reach) => format!(
            "{name}: a negative mention with a reach of {} {}",
            grouped(reach),
            each.reach_unit.unwrap_or_default()
        ),
        None => format!("{name}: a negative mention"),
    }
}

fn each_sentences(each: &EachArithmetic, opened: Timestamp, zone: &TimeZone) -> Vec<String> {
    let mut sentences = vec![
        format!(
            "Published at {} ({}).",
            local(opened, zone, "%H:%M, %A, %-d %B %Y"),
            zone.iana_name().unwrap_or("UTC")
        ),
        format!(
            "Its tone towards the subject is {:.2} on a scale from -1 to 1; the rule asks for {} or lower.",
            each.polarity, each.polarity_at_most
        ),
    ];
    if let Some(reach) = each.reach {
        sentences.push(format!(
            "Its reach is {} {}; the rule asks for {} or more.",
            grouped(reach),
            each.reach_unit.unwrap_or_default(),
            grouped(each.reach_at_least)
        ));
    }
    sentences
}

fn likeness(seasonality: Seasonality) -> &'static str {
    match seasonality {
        Seasonality::HourOfWeek => "the same hour of the weeks",
        Seasonality::HourOfDay => "the same hour of the days",
        Seasonality::DayOfWeek => "the same day of the weeks",
        Seasonality::EveryDay => "the days",
        Seasonality::None => "the time",
    }
}

/// A probability as an executive would say it.
fn odds(probability: f64, day: bool) -> String {
    let windows = if day { "days" } else { "such hours" };
    if probability < 1e-9 {
        return format!("less than once in a billion {windows}");
    }
    format!("about once in {} {windows}", grouped(two_digits(1.0 / probability)))
}

/// Rounded to two digits: more would claim a precision that a model does not have.
fn two_digits(number: f64) -> u64 {
    let unit = 10f64.powf((number.log10().floor() - 1.0).max(0.0));
    ((number / unit).round() * unit) as u64
}

fn about(expected: f64) -> String {
    if expected < 1.0 {
        "fewer than one".to_owned()
    } else {
        format!("about {}", grouped(expected.round() as u64))
    }
}

fn is_day(count: &CountArithmetic) -> bool {
    count.window.ends_with("P1D")
}

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + characters.as_str())
}

/// An instant in a zone, in this format.
pub(crate) fn local(at: Timestamp, zone: &TimeZone, format: &str) -> String {
    at.to_jiff().to_zoned_datetime(zone.clone()).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odds_are_said_in_two_digits() {
        assert_eq!(odds(3.1e-7, false), "about once in 3,200,000 such hours");
        assert_eq!(odds(0.00098, true), "about once in 1,000 days");
        assert_eq!(odds(1e-40, true), "less than once in a billion days");
    }
}
