//! An alert's numbers in words, for somebody who reads them on a phone.

use earshot_common::events::{
    AbsenceArithmetic, AlertEvent, Arithmetic, CountArithmetic, CountSpan, DecidedWith, EachArithmetic,
    Polarity, RankArithmetic, ReachArithmetic, Seasonality, ToneArithmetic, Transition, accounts_in_words,
};
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;

/// How many counts of the baseline a message lists.
const LISTED: usize = 8;

/// What happened to the subject of this name, in a line.
pub(crate) fn headline(name: &str, event: &AlertEvent) -> String {
    let over = if event.transition == Transition::Resolved { "it is over: " } else { "" };
    format!("{name}: {over}{}", what_happened(&event.arithmetic, &event.definition))
}

/// What happened, in a line.
pub(crate) fn what_happened(arithmetic: &Arithmetic, definition: &DecidedWith) -> String {
    match arithmetic {
        Arithmetic::Count(count) => count_headline(count, &definition.matching("match")),
        Arithmetic::Each(each) => {
            let verb = if each.gathered.is_some() { "match" } else { "matches" };
            each_headline(each, &definition.matching(verb))
        }
        Arithmetic::Tone(tone) => tone.to_string(),
        Arithmetic::Reach(reach) => reach.to_string(),
        Arithmetic::Absence(absence) => absence.to_string(),
        Arithmetic::Novelty(novelty) => novelty.to_string(),
        Arithmetic::Rank(rank) => rank.to_string(),
    }
}

/// How it stands against what was to be expected, a sentence each.
pub(crate) fn sentences(event: &AlertEvent, zone: &TimeZone) -> Vec<String> {
    if event.transition == Transition::Resolved {
        return vec![format!(
            "It lasted from {} to {}.",
            with_zone(event.opened, zone),
            with_zone(event.until, zone)
        )];
    }
    let mut sentences = match &event.arithmetic {
        Arithmetic::Count(count) => count_sentences(count, event.until, zone),
        Arithmetic::Each(each) => each_sentences(each, event.opened, zone),
        Arithmetic::Tone(tone) => tone_sentences(tone, event.until, zone),
        Arithmetic::Reach(reach) => reach_sentences(reach, event.until, zone),
        Arithmetic::Absence(absence) => absence_sentences(absence, zone),
        Arithmetic::Novelty(novelty) => {
            let what = if novelty.spreads() { "Counted since" } else { "First heard at" };
            vec![format!("{what} {}.", with_zone(novelty.first, zone))]
        }
        Arithmetic::Rank(rank) => rank_sentences(rank, event.until, zone),
    };
    if let Some(filter) = event.definition.filter.as_ref().filter(|_| !headline_has_filter(event)) {
        sentences.push(format!("Only mentions that match {filter} are looked at."));
    }
    if !event.silent_sources.is_empty() {
        let silent = event.silent_sources.join(", ");
        sentences.push(format!("Silent meanwhile, so that some mentions may be missing: {silent}."));
    }
    sentences
}

/// What the reader is to do about an alert that may be over.
pub(crate) fn advice(event: &AlertEvent, over: bool) -> &'static str {
    if over {
        return "Nothing: it is over.";
    }
    if let Arithmetic::Absence(_) = event.arithmetic {
        return "Look whether its sources still answer, and what keeps people from writing; acknowledge when you have it in \
                hand.";
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

fn headline_has_filter(event: &AlertEvent) -> bool {
    matches!(event.arithmetic, Arithmetic::Count(_) | Arithmetic::Each(_))
}

fn count_headline(count: &CountArithmetic, matching: &str) -> String {
    let observed = format!("{} {}{matching}", grouped(u64::from(count.observed)), count.measure.in_words());
    let window = match count.span() {
        CountSpan::Hour => "an hour",
        CountSpan::TwoHours => "two hours",
        CountSpan::Day => "a day",
    };
    match count.expected {
        Some(expected) => format!("{observed} in {window}, {} expected", about(expected)),
        None => format!("{observed} in {window}, too little history to say what is usual"),
    }
}

fn count_sentences(count: &CountArithmetic, until: Timestamp, zone: &TimeZone) -> Vec<String> {
    let of_last_hour = if count.span() == CountSpan::TwoHours { " in the last hour" } else { "" };
    let mentions = count.mentions.map(|mentions| format!("{} mentions by", grouped(u64::from(mentions))));
    let mut sentences = vec![format!(
        "{} {} different authors{of_last_hour}, {}; the count may still grow.",
        mentions.as_deref().unwrap_or("From"),
        grouped(u64::from(count.authors)),
        period(&count.window, until, zone)
    )];
    if let (Some(expected), Some(probability)) = (count.expected, count.probability) {
        let listed: Vec<String> =
            count.baseline.iter().rev().take(LISTED).rev().map(|count| grouped(u64::from(*count))).collect();
        sentences.push(format!(
            "{} were to be expected: {} before had {}{}{}.",
            capitalised(&about(expected)),
            likeness(count.seasonality),
            listed.join(", "),
            count.drawn_to.map_or_else(String::new, |usual| format!(", and {} are usual", about(usual))),
            count.stretch.map_or_else(String::new, |stretch| format!(
                ", and with the change of the clock this hour is {stretch} times as long"
            ))
        ));
        sentences.push(format!("By chance alone as many come {}.", odds(probability, such(&count.window))));
    } else {
        sentences.push(format!(
            "There is less than two days of history, so {} or more decided: the rule's own limit, or four times the \
             highest count so far.",
            grouped(u64::from(count.threshold))
        ));
    }
    sentences
}

fn tone_sentences(tone: &ToneArithmetic, until: Timestamp, zone: &TimeZone) -> Vec<String> {
    let authors = grouped(u64::from(tone.authors));
    vec![
        format!("By {authors} different authors, {}.", period(&tone.window, until, zone)),
        format!("By chance alone it is as bad {}.", odds(tone.probability, such(&tone.window))),
    ]
}

fn reach_sentences(reach: &ReachArithmetic, until: Timestamp, zone: &TimeZone) -> Vec<String> {
    let ReachArithmetic { known, mentions, baseline, .. } = reach;
    vec![
        format!(
            "By {} different authors, {}; the reach may still grow.",
            grouped(u64::from(reach.authors)),
            period(&reach.window, until, zone)
        ),
        format!(
            "The reach of {} of {} mentions is known; the others count as none.",
            grouped(u64::from(*known)),
            grouped(u64::from(*mentions))
        ),
        format!(
            "Of {} {} before, half reached fewer than {}, and one in five more than {}.",
            baseline.windows,
            such(&reach.window).trim_start_matches("such "),
            accounts_in_words(baseline.median),
            accounts_in_words(baseline.high)
        ),
        format!("By chance alone as many are reached {}.", odds(reach.probability, such(&reach.window))),
    ]
}

fn absence_sentences(absence: &AbsenceArithmetic, zone: &TimeZone) -> Vec<String> {
    let mut sentences = vec![format!("Since {}.", with_zone(absence.since, zone))];
    if let Some(probability) = absence.probability {
        sentences.push(format!("By chance alone it is as silent {}.", odds(probability, "such times")));
    }
    sentences
}

fn rank_sentences(rank: &RankArithmetic, until: Timestamp, zone: &TimeZone) -> Vec<String> {
    let mentions = grouped(u64::from(rank.mentions));
    let mut sentences = vec![format!("With {mentions} mentions, {}.", period(&rank.window, until, zone))];
    if !rank.passed.is_empty() {
        sentences.push(format!("By chance alone that comes {}.", odds(rank.probability, such(&rank.window))));
    }
    sentences
}

/// When a window was, in words.
fn period(window: &str, until: Timestamp, zone: &TimeZone) -> String {
    let start = window.split('/').next().and_then(|start| start.parse().ok()).unwrap_or(until);
    let name = zone.iana_name().unwrap_or("UTC");
    let span = match CountSpan::of(window) {
        CountSpan::Hour => "hour",
        CountSpan::TwoHours => "two hours",
        CountSpan::Day => return format!("on {} ({name})", local(start, zone, "%A, %-d %B %Y")),
    };
    let (from, to) = (local(start, zone, "%H:%M"), local(until, zone, "%H:%M, %A, %-d %B %Y"));
    format!("in the {span} from {from} to {to} ({name})")
}

fn with_zone(at: Timestamp, zone: &TimeZone) -> String {
    format!("{} ({})", local(at, zone, "%H:%M, %A, %-d %B %Y"), zone.iana_name().unwrap_or("UTC"))
}

fn each_headline(each: &EachArithmetic, matching: &str) -> String {
    let tone = Polarity::of(each.polarity).as_str();
    let mention = match each.gathered {
        None => format!("a {tone} mention{matching}"),
        Some(_) => format!("{} mentions{matching}, the last of them {tone}", grouped(each.matched.into())),
    };
    match each.audience() {
        Some((reach, unit)) => format!("{mention}, with a reach of {} {unit}", grouped(reach)),
        None => mention,
    }
}

fn each_sentences(each: &EachArithmetic, opened: Timestamp, zone: &TimeZone) -> Vec<String> {
    let mut tone = format!("Its tone towards the subject is {:.2} on a scale from -1 to 1", each.polarity);
    if each.asks_for_tone() {
        tone += &format!("; the rule asks for {} or lower", each.polarity_at_most);
    }
    let mut sentences = vec![format!("Published at {}.", with_zone(opened, zone)), tone + "."];
    if let Some((reach, unit)) = each.audience() {
        let mut sentence = format!("Its reach is {} {unit}", grouped(reach));
        if each.asks_for_reach() {
            sentence += &format!("; the rule asks for {} or more", grouped(each.reach_at_least));
        }
        sentences.push(sentence + ".");
    }
    sentences.extend(each.gathered.map(|gathered| capitalised(&format!("{gathered}."))));
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
fn odds(probability: f64, windows: &str) -> String {
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

pub(crate) fn about(expected: f64) -> String {
    if expected < 1.0 {
        "fewer than one".to_owned()
    } else {
        format!("about {}", grouped(expected.round() as u64))
    }
}

/// What windows like this are called.
fn such(window: &str) -> &'static str {
    match CountSpan::of(window) {
        CountSpan::Hour => "such hours",
        CountSpan::TwoHours => "such pairs of hours",
        CountSpan::Day => "days",
    }
}

/// A number with its thousands set apart.
pub(crate) fn grouped(number: u64) -> String {
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
    use earshot_common::events::{ReachAsked, ReachBaseline};
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_primitive_is_said_in_the_zone_of_the_subject() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let mut event = crate::delivery::tests::event();
        event.until = "2026-01-05T10:00:00Z".parse().unwrap();
        let since = event.until.plus_millis(-3 * 3_600_000);
        let window = "2026-01-05T09:00:00Z/PT1H".to_owned();
        let measure = earshot_common::events::ToneMeasure::ShareOfNegatives;
        let mut said = Vec::new();
        for arithmetic in [
            Arithmetic::Tone(ToneArithmetic {
                measure,
                window: window.clone(),
                mentions: 30,
                negatives: 27,
                authors: 25,
                observed: 0.9,
                expected: 0.1,
                spread: 0.02,
                probability: 1e-12,
                baseline_windows: 72,
                baseline_mentions: 288,
                sum: None,
                baseline: None,
                in_a_row: 1,
            }),
            Arithmetic::Reach(ReachArithmetic {
                window: window.clone(),
                reach: 2_100_000,
                mentions: 15,
                known: 12,
                authors: 14,
                expected: 40_000,
                spread: 0.5,
                probability: 0.0001,
                threshold: 1_000_000,
                baseline: ReachBaseline { windows: 60, median: 40_000, high: 90_000, above: 12, excess: 1 },
                asked: ReachAsked {
                    probability_below: 0.0006,
                    reach_at_least: 10_000,
                    mentions_at_least: 3,
                    authors_at_least: 3,
                },
                in_a_row: 1,
            }),
            Arithmetic::Absence(AbsenceArithmetic {
                since,
                hours: 3,
                expected: Some(18.0),
                probability: Some(0.00001),
                sources: Vec::new(),
                usual: Vec::new(),
            }),
            Arithmetic::Rank(RankArithmetic {
                window,
                mentions: 4,
                authors: None,
                rank: 2,
                usual_rank: 1,
                of: 2,
                passed: vec!["oakmere".to_owned()],
                probability: 0.00001,
                competitors: Vec::new(),
                asked: None,
                in_a_row: 1,
            }),
        ] {
            event.arithmetic = arithmetic;
            said.push(headline("Harbor", &event));
            said.extend(sentences(&event, &zone));
        }
        expect![[r#"
            Harbor: 27 of 30 mentions are negative, where about 3.0 were to be expected
            By 25 different authors, in the hour from 04:00 to 05:00, Monday, 5 January 2026 (America/New_York).
            By chance alone it is as bad less than once in a billion such hours.
            Harbor: 15 mentions reached about 2.1 million accounts, usually 40,000
            By 14 different authors, in the hour from 04:00 to 05:00, Monday, 5 January 2026 (America/New_York); the reach may still grow.
            The reach of 12 of 15 mentions is known; the others count as none.
            Of 60 hours before, half reached fewer than 40,000, and one in five more than 90,000.
            By chance alone as many are reached about once in 10,000 such hours.
            Harbor: no mention for 3 hours, where about 18.0 were to be expected
            Since 02:00, Monday, 5 January 2026 (America/New_York).
            By chance alone it is as silent about once in 100,000 such times.
            Harbor: rank 2 of 2 by mentions, where 1 is usual: passed by oakmere
            With 4 mentions, in the hour from 04:00 to 05:00, Monday, 5 January 2026 (America/New_York).
            By chance alone that comes about once in 100,000 such hours."#]].assert_eq(&said.join("\n"));
    }

    #[test]
    fn an_hour_that_was_judged_with_the_one_before_is_told_as_two() {
        let mut event = crate::delivery::tests::event();
        event.until = "2026-01-05T10:00:00Z".parse().unwrap();
        let Arithmetic::Count(count) = &mut event.arithmetic else { panic!("a count") };
        count.window = "2026-01-05T08:00:00Z/PT2H".to_owned();
        count.drawn_to = Some(12.4);
        let mut said = vec![headline("Harbor", &event)];
        said.extend(sentences(&event, &TimeZone::UTC));
        expect![[r#"
            Harbor: 1,064 mentions in two hours, about 11 expected
            From 51 different authors in the last hour, in the two hours from 08:00 to 10:00, Monday, 5 January 2026 (UTC); the count may still grow.
            About 11 were to be expected: the same hour of the days before had 9, 12, 10, 14, and about 12 are usual.
            By chance alone as many come about once in 3,200,000 such pairs of hours."#]].assert_eq(&said.join("\n"));
    }

    #[test]
    fn what_a_rule_does_not_ask_for_is_not_said_and_what_its_filter_asks_for_is() {
        let mut event = crate::delivery::tests::event();
        event.arithmetic = Arithmetic::Each(EachArithmetic {
            polarity: -0.98,
            polarity_at_most: 1.0,
            reach: Some(250_000),
            reach_unit: None,
            reach_at_least: 0,
            matched: 1,
            gathered: None,
        });
        event.definition.filter = Some("risk:legal".to_owned());
        let mut said = vec![headline("Harbor", &event)];
        said.extend(sentences(&event, &TimeZone::UTC));
        expect![[r#"
            Harbor: a negative mention that matches risk:legal, with a reach of 250,000 followers
            Published at 09:41, Monday, 5 January 2026 (UTC).
            Its tone towards the subject is -0.98 on a scale from -1 to 1.
            Its reach is 250,000 followers."#]]
        .assert_eq(&said.join("\n"));
    }

    #[test]
    fn odds_are_said_in_two_digits() {
        assert_eq!(odds(3.1e-7, "such hours"), "about once in 3,200,000 such hours");
        assert_eq!(odds(0.00098, "days"), "about once in 1,000 days");
        assert_eq!(odds(1e-40, "days"), "less than once in a billion days");
    }
}
