//! Numbers, times and alerts in words for people.

use earshot_common::events::{
    AlertEvent, Arithmetic, CountArithmetic, CountSpan, EachArithmetic, Polarity, ReachUnit, Seasonality,
    Transition,
};
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;
use jiff::{Span, ZonedDateTime};

/// A number with separators: `12,345`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 mention`, `2 mentions`.
pub(crate) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// How many could have seen something, and what is counted: `12,000 followers`.
pub(crate) fn audience(count: u64, unit: ReachUnit) -> String {
    format!("{} {unit}", number(count))
}

/// A score with its sign: `−0.42`.
pub(crate) fn signed(score: f32) -> String {
    let size = format!("{:.2}", score.abs());
    match size.as_str() {
        "0.00" => "0".to_owned(),
        _ if score < 0.0 => format!("−{size}"),
        _ => format!("+{size}"),
    }
}

/// An instant in a zone: `Thu 1 Jan 2026, 14:05 EST`.
pub(crate) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_jiff().to_zoned_datetime(zone.clone()).strftime("%a %-d %b %Y, %H:%M %Z").to_string()
}

/// A day: `Thu 1 Jan 2026`.
pub(crate) fn day(at: &ZonedDateTime) -> String {
    at.strftime("%a %-d %b %Y").to_string()
}

/// How loud an alert is, in a word.
pub(crate) fn severity(severity: u8) -> &'static str {
    match severity {
        7.. => "urgent",
        4..=6 => "important",
        _ => "minor",
    }
}

/// What happened to an alert.
pub(crate) fn transition(transition: Transition) -> &'static str {
    match transition {
        Transition::Opened => "opened",
        Transition::Rising => "grew",
        Transition::Resolved => "resolved",
    }
}

/// An alert in one sentence.
pub(crate) fn sentence(alert: &AlertEvent, zone: &TimeZone) -> String {
    match &alert.arithmetic {
        Arithmetic::Count(count) => count_sentence(count, zone),
        Arithmetic::Each(each) => each_sentence(each),
    }
}

fn count_sentence(count: &CountArithmetic, zone: &TimeZone) -> String {
    let observed = counted(count.observed.into(), "mention", "mentions");
    let when = window(&count.window, zone);
    match count.expected {
        Some(expected) if !count.little_data => {
            format!("{observed} {when}, where about {} were expected.", rounded(expected))
        }
        _ => format!("{observed} {when}; there is too little history to say what is usual."),
    }
}

fn each_sentence(each: &EachArithmetic) -> String {
    let strength = if each.polarity <= -0.5 { "strongly negative" } else { tone(each.polarity) };
    let reach = match each.audience() {
        Some((reach, unit)) => format!("with a reach of {}", audience(reach, unit)),
        None => "whose reach is unknown".to_owned(),
    };
    let more = match each.matched.saturating_sub(1) {
        0 => String::new(),
        more => format!(", and {} more like it", number(more.into())),
    };
    format!("A {strength} mention ({}) {reach}{more}.", signed(each.polarity))
}

fn tone(score: f32) -> &'static str {
    Polarity::of(score).as_str()
}

/// How an alert's numbers came about, a sentence each.
pub(crate) fn explanation(arithmetic: &Arithmetic) -> Vec<String> {
    match arithmetic {
        Arithmetic::Count(count) => count_explanation(count),
        Arithmetic::Each(each) => vec![
            format!(
                "The rule asks for a sentiment of {} or lower; this one is {}.",
                signed(each.polarity_at_most),
                signed(each.polarity)
            ),
            format!(
                "It asks for a reach of {} or more; {}.",
                number(each.reach_at_least),
                each.audience().map_or_else(
                    || "the reach is unknown".to_owned(),
                    |(reach, unit)| format!("here it is {}", audience(reach, unit))
                )
            ),
            format!("Mentions that met both since the alert opened: {}.", number(each.matched.into())),
        ],
    }
}

fn count_explanation(count: &CountArithmetic) -> Vec<String> {
    let (span, by) = match count.span() {
        CountSpan::Hour => ("hours", "by"),
        CountSpan::TwoHours => ("pairs of hours", "in two hours, those of the last hour by"),
        CountSpan::Day => ("days", "by"),
    };
    let mut sentences = vec![format!(
        "Counted: {} {by} {}.",
        counted(count.observed.into(), "mention", "mentions"),
        counted(count.authors.into(), "author", "different authors")
    )];
    if let Some(expected) = count.expected.filter(|_| !count.little_data) {
        let before = counted(count.baseline.len() as u64, "window", "windows");
        let of = match count.drawn_to {
            Some(usual) => format!(
                "from {before} before{} and what is usual, about {}",
                alike(count.seasonality),
                rounded(usual)
            ),
            None => format!("the mean of {before} before{}", alike(count.seasonality)),
        };
        sentences.push(format!("Expected: about {}, {of}.", rounded(expected)));
        sentences.push(format!("The rule fires at {} or more here.", number(count.threshold.into())));
        if let Some(probability) = count.probability {
            sentences.push(by_chance(probability, span));
        }
        if let Some(dispersion) = count.dispersion.filter(|dispersion| *dispersion > 0.0) {
            sentences.push(format!(
                "Counts of this subject swing more than pure chance would let them; the estimate allows for it \
                 (dispersion {dispersion:.2})."
            ));
        }
    } else {
        sentences.push(format!(
            "There is too little history to say what is usual, so {} or more decided: the rule's own limit, or four \
             times the highest hour so far.",
            number(count.threshold.into())
        ));
    }
    sentences
}

fn alike(seasonality: Seasonality) -> &'static str {
    match seasonality {
        Seasonality::HourOfWeek => " at the same hour of the week",
        Seasonality::HourOfDay => " at the same hour of the day",
        Seasonality::DayOfWeek => " on the same day of the week",
        Seasonality::EveryDay | Seasonality::None => "",
    }
}

fn by_chance(probability: f64, span: &str) -> String {
    let one_in = 1.0 / probability;
    if one_in.is_finite() && one_in < 1e12 {
        // Two digits: the model is not more exact than that.
        let unit = 10_f64.powi((one_in.log10().floor() as i32 - 1).max(0));
        let one_in = number(((one_in / unit).round() * unit) as u64);
        format!("By chance alone, a count this high comes about once in {one_in} such {span}.")
    } else {
        format!("By chance alone, a count this high practically never comes about in such {span}.")
    }
}

/// An expectation with one decimal where that says something.
fn rounded(expected: f64) -> String {
    if expected < 10.0 { format!("{expected:.1}") } else { number(expected.round() as u64) }
}

/// The window of a count: `between 14:00 and 15:00 EST on Thu 1 Jan 2026`. As it is written where it cannot be read.
fn window(text: &str, zone: &TimeZone) -> String {
    let ends = || {
        let (start, length) = text.split_once('/')?;
        let start: Timestamp = start.parse().ok()?;
        let start = start.to_jiff().to_zoned_datetime(zone.clone());
        let end = start.checked_add(length.parse::<Span>().ok()?).ok()?;
        Some((start, end))
    };
    match ends() {
        Some((start, _)) if text.ends_with("P1D") => format!("on {}", day(&start)),
        Some((start, end)) => {
            let (from, to) = (start.strftime("%H:%M"), end.strftime("%H:%M %Z"));
            format!("between {from} and {to} on {}", day(&start))
        }
        None => format!("in {text}"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn count(expected: Option<f64>) -> CountArithmetic {
        CountArithmetic {
            measure: earshot_common::events::Measure::Mentions,
            window: "2026-01-01T19:00:00Z/PT1H".to_owned(),
            observed: 1_064,
            expected,
            probability: expected.map(|_| 3.1e-9),
            dispersion: expected.map(|_| 0.31),
            authors: 51,
            baseline: vec![9, 12, 10, 14],
            drawn_to: None,
            drawn_weight: None,
            seasonality: Seasonality::HourOfWeek,
            little_data: expected.is_none(),
            threshold: 30,
        }
    }

    #[test]
    fn numbers_have_separators_and_signs() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([-0.421, 0.5, 0.001].map(signed), ["−0.42", "+0.50", "0"]);
    }

    #[test]
    fn a_count_is_told_in_plain_words_in_the_subjects_zone() {
        let zone = TimeZone::get("America/New_York").unwrap();
        expect![
            "1,064 mentions between 14:00 and 15:00 EST on Thu 1 Jan 2026, where about 11 were expected."
        ]
        .assert_eq(&count_sentence(&count(Some(11.25)), &zone));
        expect!["1,064 mentions between 14:00 and 15:00 EST on Thu 1 Jan 2026; there is too little history to say what is usual."]
            .assert_eq(&count_sentence(&count(None), &zone));
        expect![[r#"
            Counted: 1,064 mentions by 51 different authors.
            Expected: about 11, the mean of 4 windows before at the same hour of the week.
            The rule fires at 30 or more here.
            By chance alone, a count this high comes about once in 320,000,000 such hours.
            Counts of this subject swing more than pure chance would let them; the estimate allows for it (dispersion 0.31)."#]]
        .assert_eq(&count_explanation(&count(Some(11.25))).join("\n"));
    }

    #[test]
    fn an_hour_that_was_judged_with_the_one_before_is_told_as_two() {
        let window = "2026-01-01T18:00:00Z/PT2H".to_owned();
        let count = CountArithmetic { window, drawn_to: Some(12.4), ..count(Some(11.25)) };
        expect![
            "1,064 mentions between 18:00 and 20:00 UTC on Thu 1 Jan 2026, where about 11 were expected."
        ]
        .assert_eq(&count_sentence(&count, &TimeZone::UTC));
        expect![[r#"
            Counted: 1,064 mentions in two hours, those of the last hour by 51 different authors.
            Expected: about 11, from 4 windows before at the same hour of the week and what is usual, about 12.
            The rule fires at 30 or more here.
            By chance alone, a count this high comes about once in 320,000,000 such pairs of hours.
            Counts of this subject swing more than pure chance would let them; the estimate allows for it (dispersion 0.31)."#]].assert_eq(&count_explanation(&count).join("\n"));
    }

    #[test]
    fn a_single_mention_is_told_with_its_reach() {
        let each = EachArithmetic {
            polarity: -0.72,
            polarity_at_most: -0.5,
            reach: Some(120_000),
            reach_unit: None,
            reach_at_least: 10_000,
            matched: 3,
        };
        expect!["A strongly negative mention (−0.72) with a reach of 120,000 followers, and 2 more like it."]
            .assert_eq(&each_sentence(&each));
    }
}
