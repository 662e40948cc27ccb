//! What follows from the record of a transition alone: that the alert's name is that of its rule, subject and
//! window, that its expectation follows from the counts it carries, and that what was observed is what the rule
//! asked for.

use earshot_common::definitions::Window;
use earshot_common::events::{
    AlertEvent, Arithmetic, CountArithmetic, CountAsked, CountSpan, EachArithmetic, ToneArithmetic,
    ToneMeasure, Transition,
};
use earshot_common::time::Timestamp;

use super::verify::Check;
use crate::fold::{HOUR_MS, alert_key, expectation_again, tone_again, window_of};

/// Floating-point numbers that were written and read again may differ by this share.
const ROUNDING: f64 = 1e-9;
const OLDER_RECORD: &str = "a record of this version does not carry what it follows from";
const WINDOWS_BEFORE: &str = "the record does not carry the windows that it was compared with";

/// Computes the numbers of a transition again.
pub(crate) fn checks(event: &AlertEvent) -> Vec<Check> {
    let mut checks = Vec::new();
    if event.transition == Transition::Opened {
        checks.push(name(event));
    }
    match &event.arithmetic {
        Arithmetic::Count(count) => checks.extend(count_checks(event, count)),
        Arithmetic::Each(each) => checks.extend(each_checks(event, each)),
        Arithmetic::Tone(tone) => checks.extend(tone_checks(tone)),
        Arithmetic::Absence(absence) => {
            let hourly =
                "it follows from what was usual in each of the hours, which the record does not carry";
            checks.extend(absence.expected.map(|told| Check::not_possible("expected", told, hourly)));
            checks.extend(absence.probability.map(|told| Check::not_possible("probability", told, hourly)));
        }
        Arithmetic::Novelty(novelty) if event.transition == Transition::Opened => {
            checks.push(Check::of("new values at the opening", novelty.matched, 1));
        }
        Arithmetic::Novelty(_) => {}
        Arithmetic::Rank(rank) => {
            checks.push(Check::not_possible("usual rank", rank.usual_rank, WINDOWS_BEFORE));
            checks.push(Check::not_possible("probability", rank.probability, WINDOWS_BEFORE));
        }
    }
    checks
}

/// An alert's id is the hash of what makes it this alert.
fn name(event: &AlertEvent) -> Check {
    let (rule, words) = (&event.rule, &event.definition.rule);
    let mut keys = Vec::new();
    for situation in situations(event) {
        keys.push(alert_key(event.historic, rule, words, &event.subject, &situation));
    }
    let what = "id, from rule, subject and situation";
    let agreeing = keys.iter().find(|key| **key == event.alert);
    match agreeing.or(keys.first()) {
        Some(key) => Check::of(what, event.alert, *key),
        None => Check::that(what, event.alert, false, "no situation in the record"),
    }
}

/// What the alert can be about.
fn situations(event: &AlertEvent) -> Vec<String> {
    match &event.arithmetic {
        Arithmetic::Count(count) => judged_starts(&count.window),
        Arithmetic::Each(_) => event.evidence.first().map(ToString::to_string).into_iter().collect(),
        Arithmetic::Tone(tone) => judged_starts(&tone.window),
        Arithmetic::Absence(absence) => vec![absence.since.to_string()],
        Arithmetic::Novelty(novelty) => vec![novelty.value.clone()],
        Arithmetic::Rank(rank) => judged_starts(&rank.window),
    }
}

/// When the window that was judged can have begun. Where the hour before was judged with it that hour is over first,
/// and the one that the clock shows twice lasts two.
fn judged_starts(window: &str) -> Vec<String> {
    let Some((_, start)) = window_of(window) else { return Vec::new() };
    if CountSpan::of(window) != CountSpan::TwoHours {
        return vec![start.to_string()];
    }
    let later = |hours| start.plus_millis(hours * HOUR_MS).to_string();
    vec![later(1), later(2)]
}

fn count_checks(event: &AlertEvent, count: &CountArithmetic) -> Vec<Check> {
    let Some((window, start)) = window_of(&count.window) else {
        return vec![Check::that("window", &count.window, false, "no interval of an hour or a day")];
    };
    let mut checks = Vec::new();
    if event.transition == Transition::Opened {
        checks.push(Check::that(
            "opened within the window",
            event.opened,
            (start..event.until).contains(&event.opened),
            format!("{start} to {}", event.until),
        ));
    }
    checks.push(Check::of("little data", count.little_data, count.baseline.is_empty()));
    checks.extend(expectation_checks(window, count));
    checks.extend(asked_checks(event, window, count));
    checks
}

/// Mean, dispersion and probability again, from the counts before.
fn expectation_checks(window: Window, count: &CountArithmetic) -> Vec<Check> {
    let (Some(expected), Some(dispersion), Some(probability)) =
        (count.expected, count.dispersion, count.probability)
    else {
        let numbers = [count.expected, count.dispersion, count.probability];
        let none = numbers.iter().all(Option::is_none);
        return vec![Check::that("expectation", "none", none && count.little_data, "too little data")];
    };
    let Some(again) = expectation_again(window, count) else {
        return vec![Check::not_possible("expected", expected, OLDER_RECORD)];
    };
    vec![
        number("expected", expected, again.mean),
        number("dispersion", dispersion, again.dispersion),
        number("probability", probability, again.probability_of_at_least(count.observed)),
    ]
}

/// What the rule asked for, and whether it was there.
fn asked_checks(event: &AlertEvent, window: Window, count: &CountArithmetic) -> Vec<Check> {
    let Some(asked) = &count.asked else {
        return vec![Check::not_possible("threshold", count.threshold, OLDER_RECORD)];
    };
    let mut checks = Vec::new();
    checks.extend(threshold_check(window, count, asked));
    if event.transition.raises() {
        let (observed, threshold) = (count.observed, count.threshold);
        let enough = observed >= threshold && threshold > 0;
        let found = format!("a threshold of {threshold}");
        checks.push(Check::that("observed, at least the threshold", observed, enough, found));
        let (authors, least) = (count.authors, asked.authors_at_least);
        let found = format!("{least} asked for");
        checks.push(Check::that("authors, at least those asked for", authors, authors >= least, found));
    }
    checks
}

/// The count that the rule asked for. With too little data it is the floor, or a multiple of the highest count so far,
/// which the record does not carry; and nothing where nothing can fire. With the hour before it is one more than that
/// hour's, where that hour's alone is enough.
fn threshold_check(window: Window, count: &CountArithmetic, asked: &CountAsked) -> Option<Check> {
    let (threshold, floor) = (count.threshold, asked.little_data_at_least);
    let at_least = |least: u32| {
        let found = format!("{least} asked for");
        Check::that("threshold, at least", threshold, threshold >= least, found)
    };
    if count.baseline.is_empty() {
        return (threshold > 0).then(|| at_least(floor));
    }
    let least = expectation_again(window, count)?.critical_count(asked.probability_below);
    match count.span() {
        CountSpan::TwoHours => Some(at_least(least)),
        CountSpan::Hour | CountSpan::Day => Some(Check::of("threshold", threshold, least)),
    }
}

fn each_checks(event: &AlertEvent, each: &EachArithmetic) -> Vec<Check> {
    let reach = each.reach.map_or("unknown".to_owned(), |reach| reach.to_string());
    let mut checks = vec![
        Check::that(
            "polarity, at most what the rule asks for",
            each.polarity,
            each.polarity <= each.polarity_at_most,
            format!("{} asked for", each.polarity_at_most),
        ),
        Check::that(
            "reach, at least what the rule asks for",
            reach,
            reaches(each.reach, each.reach_at_least),
            format!("{} asked for", each.reach_at_least),
        ),
    ];
    if event.transition == Transition::Opened {
        checks.push(Check::of("matches at the opening", each.matched, 1));
    }
    checks
}

/// Whether a reach is as wide as a rule asks for: one that is unknown is so only where it asks for none.
pub(crate) fn reaches(reach: Option<u64>, at_least: u64) -> bool {
    at_least == 0 || reach.is_some_and(|reach| reach >= at_least)
}

/// The probability again, from the tone and what was to be expected.
fn tone_checks(tone: &ToneArithmetic) -> Vec<Check> {
    let mut checks = Vec::new();
    if tone.measure == ToneMeasure::ShareOfNegatives {
        let share = f64::from(tone.negatives) / f64::from(tone.mentions);
        checks.push(number("observed", tone.observed, share));
    }
    checks.push(number("probability", tone.probability, tone_again(tone)));
    checks.push(Check::not_possible("expected", tone.expected, WINDOWS_BEFORE));
    checks.push(Check::not_possible("spread", tone.spread, WINDOWS_BEFORE));
    checks
}

fn number(what: &str, told: f64, found: f64) -> Check {
    let agrees = (told - found).abs() <= ROUNDING * told.abs().max(found.abs());
    Check::that(what, told, agrees, found)
}

/// When the window of the numbers began, or what they are about, or the opening of an alert about single mentions.
pub(crate) fn begins(event: &AlertEvent) -> Timestamp {
    let window = match &event.arithmetic {
        Arithmetic::Count(count) => &count.window,
        Arithmetic::Tone(tone) => &tone.window,
        Arithmetic::Rank(rank) => &rank.window,
        Arithmetic::Absence(absence) => return absence.since,
        Arithmetic::Novelty(novelty) => return novelty.first,
        Arithmetic::Each(_) => return event.opened,
    };
    window_of(window).map_or(event.opened, |(_, start)| start)
}
