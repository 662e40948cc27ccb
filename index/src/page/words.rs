//! Numbers, times and alerts in words for people.

use std::fmt;

use earshot_common::events::{
    Acknowledgement, AlertEvent, Arithmetic, CommandKind, CountArithmetic, CountSpan, EachArithmetic,
    Measure, Polarity, ReachArithmetic, ReachUnit, Seasonality, ToneArithmetic, Transition, Word,
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
        Transition::Rising => "grew",
        Transition::Reopened => "opened again",
        Transition::Acknowledged => "taken in hand",
        Transition::Lapsed => "in nobody's hand any more",
        Transition::Declined => "in somebody's hand already",
        Transition::Noted => "note",
        Transition::Rated => "feedback",
        Transition::Peak => "stands at its height",
        Transition::Escalated => "the next was called",
        Transition::Told => "told when quiet hours were over",
        Transition::Blocked => "not known to be over: a source is silent",
        other => other.name(),
    }
}

/// A transition in a sentence: what a person said, else the numbers.
pub(crate) fn step(event: &AlertEvent, zone: &TimeZone) -> String {
    match &event.word {
        Some(said) => word(said, zone),
        None => sentence(event, zone),
    }
}

fn word(word: &Word, zone: &TimeZone) -> String {
    let until = word.until.map_or_else(String::new, |until| format!(" until {}", moment(until, zone)));
    let what = match word.what {
        CommandKind::Acknowledge => format!("{} takes it in hand{until}", word.by),
        CommandKind::Mute => format!("{} wants nobody to be told more of it{until}", word.by),
        CommandKind::MuteRule => format!("{} wants nobody to be told of this rule here{until}", word.by),
        CommandKind::Release => format!("{} gives it back: nobody has it in hand", word.by),
        CommandKind::Unmute => format!("{} wants people to be told of it again", word.by),
        CommandKind::UnmuteRule => format!("{} wants people to be told of this rule here again", word.by),
        CommandKind::Note => word.by.clone(),
        CommandKind::Useful => format!("{}: it was worth the attention", word.by),
        CommandKind::Noise => format!("{}: it was noise", word.by),
    };
    match &word.note {
        Some(note) => format!("{what}: {note}"),
        None => format!("{what}."),
    }
}

/// Why an alert is more severe than its rule says, where it is.
pub(crate) fn raise(event: &AlertEvent) -> Option<String> {
    let reasons: Vec<&str> = [
        (event.raise.by_size == 1, "it has five times the size that the rule asks for"),
        (event.raise.by_size > 1, "it has twenty-five times the size that the rule asks for"),
        (event.raise.by_reach > 0, "a mention behind it could have been seen by 100,000 accounts or more"),
    ]
    .into_iter()
    .filter_map(|(holds, reason)| holds.then_some(reason))
    .collect();
    (!reasons.is_empty()).then(|| format!("More severe than usual, since {}.", reasons.join(" and ")))
}

/// Who has an alert in hand.
pub(crate) fn in_hand(held: &Acknowledgement, zone: &TimeZone) -> String {
    let until = held.until.map_or_else(String::new, |until| format!(", until {}", moment(until, zone)));
    format!("{} has it in hand since {}{until}.", held.by, moment(held.since, zone))
}

/// An alert in one sentence.
pub(crate) fn sentence(alert: &AlertEvent, zone: &TimeZone) -> String {
    match &alert.arithmetic {
        Arithmetic::Count(count) => count_sentence(count, &alert.definition.matching("match"), zone),
        Arithmetic::Each(each) => {
            let verb = if each.gathered.is_some() { "match" } else { "matches" };
            each_sentence(each, &alert.definition.matching(verb))
        }
        Arithmetic::Tone(tone) => plain(tone),
        Arithmetic::Reach(reach) => plain(reach),
        Arithmetic::Absence(absence) => plain(absence),
        Arithmetic::Novelty(novelty) => plain(novelty),
        Arithmetic::Rank(rank) => plain(rank),
    }
}

/// Numbers that say themselves, as a sentence.
fn plain(numbers: &impl fmt::Display) -> String {
    let text = numbers.to_string();
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    format!("{}{}.", first.collect::<String>(), letters.as_str())
}

fn count_sentence(count: &CountArithmetic, matching: &str, zone: &TimeZone) -> String {
    let observed = measured(count) + &in_mentions(count) + matching;
    let when = window(&count.window, zone);
    match count.expected {
        Some(expected) if !count.little_data => {
            format!("{observed} {when}, where about {} were expected.", rounded(expected))
        }
        _ => format!("{observed} {when}; there is too little history to say what is usual."),
    }
}

/// A count with what it counts.
fn measured(count: &CountArithmetic) -> String {
    let (one, many) = match count.measure {
        Measure::Mentions => ("mention", "mentions"),
        Measure::Stories => ("story", "stories"),
        Measure::Authors => ("author", "authors"),
        Measure::Negatives => ("negative mention", "negative mentions"),
    };
    counted(count.observed.into(), one, many)
}

/// In how many mentions what was counted once stands.
fn in_mentions(count: &CountArithmetic) -> String {
    let Some(mentions) = count.mentions else { return String::new() };
    let of_last_hour = if count.span() == CountSpan::TwoHours { " in the last hour" } else { "" };
    format!(" ({}{of_last_hour})", counted(mentions.into(), "mention", "mentions"))
}

fn each_sentence(each: &EachArithmetic, matching: &str) -> String {
    let strength = if each.polarity <= -0.5 { "strongly negative" } else { tone(each.polarity) };
    let reach = match each.audience() {
        Some((reach, unit)) => format!("with a reach of {}", audience(reach, unit)),
        None => "whose reach is unknown".to_owned(),
    };
    if each.gathered.is_some() {
        let (mentions, polarity) =
            (counted(each.matched.into(), "mention", "mentions"), signed(each.polarity));
        return format!("{mentions}{matching}, the last of them {strength} ({polarity}), {reach}.");
    }
    let more = match each.matched.saturating_sub(1) {
        0 => String::new(),
        more => format!(", and {} more like it", number(more.into())),
    };
    format!("A {strength} mention ({}){matching}, {reach}{more}.", signed(each.polarity))
}

fn tone(score: f32) -> &'static str {
    Polarity::of(score).as_str()
}

/// How an alert's numbers came about, a sentence each.
pub(crate) fn explanation(arithmetic: &Arithmetic) -> Vec<String> {
    match arithmetic {
        Arithmetic::Count(count) => count_explanation(count),
        Arithmetic::Each(each) => each_explanation(each),
        Arithmetic::Tone(tone) => tone_explanation(tone),
        Arithmetic::Reach(reach) => reach_explanation(reach),
        Arithmetic::Absence(absence) => absence
            .probability
            .map(|probability| {
                format!(
                    "By chance alone, such a silence has a probability of {probability:.2e} in these hours."
                )
            })
            .into_iter()
            .collect(),
        Arithmetic::Rank(rank) => vec![format!(
            "Mentions of the subject: {}. By chance alone, such a share of the mentions of both has a probability of \
             {:.2e}.",
            number(rank.mentions.into()),
            rank.probability
        )],
        Arithmetic::Novelty(novelty) if novelty.spreads() => vec![format!(
            "What spreads: {} ({}), counted since {}.",
            novelty.of.in_words(),
            novelty.value,
            novelty.first
        )],
        Arithmetic::Novelty(novelty) => vec![format!(
            "What is new: {} ({}), first heard {}.",
            novelty.of.in_words(),
            novelty.value,
            novelty.first
        )],
    }
}

fn each_explanation(each: &EachArithmetic) -> Vec<String> {
    let mut sentences = Vec::new();
    if each.asks_for_tone() {
        sentences.push(format!(
            "The rule asks for a sentiment of {} or lower; this one is {}.",
            signed(each.polarity_at_most),
            signed(each.polarity)
        ));
    }
    if each.asks_for_reach() {
        sentences.push(format!(
            "It asks for a reach of {} or more; {}.",
            number(each.reach_at_least),
            each.audience().map_or_else(
                || "the reach is unknown".to_owned(),
                |(reach, unit)| format!("here it is {}", audience(reach, unit))
            )
        ));
    }
    sentences.extend(each.gathered.as_ref().map(plain));
    sentences.push(format!("Such mentions since the alert opened: {}.", number(each.matched.into())));
    sentences
}

fn tone_explanation(tone: &ToneArithmetic) -> Vec<String> {
    vec![
        format!(
            "Compared: the {} of {} by {}.",
            tone.measure.in_words(),
            counted(tone.mentions.into(), "mention", "mentions"),
            counted(tone.authors.into(), "author", "different authors")
        ),
        format!(
            "It is {:.2}; in {} before, with {}, it was {:.2}.",
            tone.observed,
            counted(tone.baseline_windows.into(), "window", "windows"),
            counted(tone.baseline_mentions, "mention", "mentions"),
            tone.expected
        ),
        format!(
            "A tone as bad or worse has a probability of {:.2e}, windows that differ by themselves allowed for \
             (spread {:.3}).",
            tone.probability, tone.spread
        ),
    ]
}

fn reach_explanation(reach: &ReachArithmetic) -> Vec<String> {
    let ReachArithmetic { baseline, .. } = reach;
    vec![
        format!(
            "Added up: the accounts that could have seen {} by {}; the reach of {} of them is known, and the others count as \
             none.",
            counted(reach.mentions.into(), "mention", "mentions"),
            counted(reach.authors.into(), "author", "different authors"),
            number(reach.known.into())
        ),
        format!(
            "In {} before, the median is {}, and one in five is above {}. The rule fires at {} or more here.",
            counted(baseline.windows.into(), "window", "windows"),
            number(baseline.median),
            number(baseline.high),
            number(reach.asked_for())
        ),
        format!(
            "A reach as high or higher has a probability of {:.2e}, the heavy tail of reach allowed for (spread {:.3}).",
            reach.probability, reach.spread
        ),
    ]
}

fn count_explanation(count: &CountArithmetic) -> Vec<String> {
    let (span, by) = match count.span() {
        CountSpan::Hour => ("hours", "by"),
        CountSpan::TwoHours => ("pairs of hours", "in two hours, those of the last hour by"),
        CountSpan::Day => ("days", "by"),
    };
    let mut sentences = vec![format!(
        "Counted: {} {by} {}.",
        measured(count),
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
        let longer = count.stretch.map_or(String::new(), |stretch| {
            format!("; the clock is changed, so that this hour is {stretch} times as long")
        });
        sentences.push(format!("Expected: about {}, {of}{longer}.", rounded(expected)));
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
            mentions: None,
            baseline: vec![9, 12, 10, 14],
            drawn_to: None,
            drawn_weight: None,
            seasonality: Seasonality::HourOfWeek,
            little_data: expected.is_none(),
            threshold: 30,
            variation: None,
            asked: None,
            before: None,
            highest: None,
            stretch: None,
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
        .assert_eq(&count_sentence(&count(Some(11.25)), "", &zone));
        expect!["1,064 mentions that match risk:legal between 14:00 and 15:00 EST on Thu 1 Jan 2026; there is too little history to say what is usual."]
            .assert_eq(&count_sentence(&count(None), " that match risk:legal", &zone));
        expect![[r#"
            Counted: 1,064 mentions by 51 different authors.
            Expected: about 11, the mean of 4 windows before at the same hour of the week.
            The rule fires at 30 or more here.
            By chance alone, a count this high comes about once in 320,000,000 such hours.
            Counts of this subject swing more than pure chance would let them; the estimate allows for it (dispersion 0.31)."#]]
        .assert_eq(&count_explanation(&count(Some(11.25))).join("\n"));
    }

    #[test]
    fn an_hour_in_which_the_clock_is_changed_is_told_so() {
        let count = CountArithmetic { stretch: Some(2.0), ..count(Some(22.5)) };
        let told = count_explanation(&count).remove(1);
        expect![
            "Expected: about 23, the mean of 4 windows before at the same hour of the week; the clock is changed, so \
             that this hour is 2 times as long."
        ]
        .assert_eq(&told);
    }

    #[test]
    fn an_hour_that_was_judged_with_the_one_before_is_told_as_two() {
        let window = "2026-01-01T18:00:00Z/PT2H".to_owned();
        let count = CountArithmetic { window, drawn_to: Some(12.4), ..count(Some(11.25)) };
        expect![
            "1,064 mentions between 18:00 and 20:00 UTC on Thu 1 Jan 2026, where about 11 were expected."
        ]
        .assert_eq(&count_sentence(&count, "", &TimeZone::UTC));
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
            gathered: None,
        };
        expect![
            "A strongly negative mention (−0.72), with a reach of 120,000 followers, and 2 more like it."
        ]
        .assert_eq(&each_sentence(&each, ""));
    }
}
