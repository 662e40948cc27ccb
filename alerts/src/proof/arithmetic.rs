//! What follows from the record of a transition alone: that the alert's name is that of its rule, subject and
//! window, that its expectation follows from the counts it carries, and that what was observed is what the rule
//! asked for.

use earshot_common::definitions::Window;
use earshot_common::events::{
    AbsenceArithmetic, AlertEvent, Arithmetic, CountArithmetic, CountAsked, CountSpan, EachArithmetic,
    Gathered, NoveltyArithmetic, RankArithmetic, ReachArithmetic, SeverityRaise, ToneArithmetic, ToneMeasure,
    Transition,
};
use earshot_common::time::Timestamp;

use super::verify::Check;
use crate::fold::{
    HOUR_MS, RankStanding, alert_key, expectation_again, little_data_threshold, reach_probability,
    reach_spread, reach_threshold, silence_again, tone_again, tone_probability_again, window_of,
};

/// Floating-point numbers that were written and read again may differ by this share.
const ROUNDING: f64 = 1e-9;
const OLDER_RECORD: &str = "a record of this version does not carry what it follows from";

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
        Arithmetic::Reach(reach) => checks.extend(reach_checks(event, reach)),
        Arithmetic::Absence(absence) => checks.extend(absence_checks(absence)),
        Arithmetic::Novelty(novelty) => checks.extend(novelty_checks(event, novelty)),
        Arithmetic::Rank(rank) => checks.extend(rank_checks(event, rank)),
    }
    checks
}

/// Whether the numbers are those of an alert that opens.
fn opens(event: &AlertEvent) -> bool {
    matches!(event.transition, Transition::Opened | Transition::Reopened)
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
        Arithmetic::Count(CountArithmetic { before: Some(before), .. }) => vec![before.end.to_string()],
        Arithmetic::Count(count) => judged_starts(&count.window),
        Arithmetic::Each(_) => event.evidence.first().map(ToString::to_string).into_iter().collect(),
        Arithmetic::Tone(tone) => judged_starts(&tone.window),
        Arithmetic::Reach(reach) => judged_starts(&reach.window),
        Arithmetic::Absence(absence) => vec![absence.since.to_string()],
        Arithmetic::Novelty(novelty) => vec![novelty.value.clone()],
        Arithmetic::Rank(rank) => judged_starts(&rank.window),
    }
}

/// When the window that was judged can have begun. Where the hour before was judged with it that hour is over first,
/// and the one that the clock shows twice lasts two: records of older versions do not say which.
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
    checks.extend(threshold_check(event.historic, window, count, asked));
    if opens(event) {
        checks.extend(opening_checks(event, count, asked));
    }
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

/// What an alert about a count opens with: the mentions that the rule needs, and the raise of the severity by their
/// number.
fn opening_checks(event: &AlertEvent, count: &CountArithmetic, asked: &CountAsked) -> Vec<Check> {
    let Some(least) = asked.mentions_at_least else { return Vec::new() };
    let counted = count.observed.saturating_sub(count.before.map_or(0, |before| before.count));
    let found = format!("{least} asked for");
    let of_concern = count.threshold.max(least).max(asked.authors_at_least);
    let by_size = SeverityRaise::of(count.observed.into(), of_concern.into(), 0).by_size;
    vec![
        Check::that("observed, at least the mentions asked for", counted, counted >= least, found),
        Check::of("raise of the severity by size", event.raise.by_size, by_size),
    ]
}

/// The count that the rule asked for. With too little data it is the floor, or a multiple of the highest count so far,
/// and nothing where nothing can fire. With the hour before it is one more than that hour's, where that hour's alone is
/// enough.
fn threshold_check(
    historic: bool,
    window: Window,
    count: &CountArithmetic,
    asked: &CountAsked,
) -> Option<Check> {
    let (threshold, floor) = (count.threshold, asked.little_data_at_least);
    let at_least = |least: u32| {
        let found = format!("{least} asked for");
        Check::that("threshold, at least", threshold, threshold >= least, found)
    };
    if count.baseline.is_empty() {
        let again = |highest| little_data_threshold(window, floor, highest, historic).unwrap_or_default();
        return match count.highest {
            Some(highest) => Some(Check::of("threshold", threshold, again(highest))),
            None => (threshold > 0).then(|| at_least(floor)),
        };
    }
    let least = expectation_again(window, count)?.critical_count(asked.probability_below);
    match (count.span(), count.before) {
        (CountSpan::TwoHours, None) => Some(at_least(least)),
        (CountSpan::TwoHours, Some(before)) => {
            Some(Check::of("threshold", threshold, least.max(before.count.saturating_add(1))))
        }
        (CountSpan::Hour | CountSpan::Day, _) => Some(Check::of("threshold", threshold, least)),
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
        let together = each.gathered.map_or(1, |gathered| gathered.mentions);
        checks.push(Check::of("matches at the opening", each.matched, together));
    }
    checks.extend(each.gathered.into_iter().flat_map(|gathered| gathered_checks(event, &gathered)));
    checks
}

/// What opened an alert together: as much as the rule asks for, and within its time.
fn gathered_checks(event: &AlertEvent, gathered: &Gathered) -> Vec<Check> {
    let at_least = |what: &str, told: u32, least: u32| {
        Check::that(what, told, told >= least, format!("{least} asked for"))
    };
    let mut checks = vec![
        at_least(
            "mentions together, at least those asked for",
            gathered.mentions,
            gathered.mentions_at_least,
        ),
        at_least("authors, at least those asked for", gathered.authors, gathered.authors_at_least),
    ];
    if event.transition == Transition::Opened {
        let end = gathered.first.plus_millis(i64::from(gathered.within_hours) * HOUR_MS);
        checks.push(Check::that(
            "together in time",
            event.until,
            event.until <= end,
            format!("before {end}"),
        ));
        let asked = gathered.mentions_at_least.max(gathered.authors_at_least);
        let by_size = SeverityRaise::of(gathered.mentions.into(), asked.into(), 0).by_size;
        checks.push(Check::of("raise of the severity by size", event.raise.by_size, by_size));
    }
    checks
}

/// Whether a reach is as wide as a rule asks for: one that is unknown is so only where it asks for none.
pub(crate) fn reaches(reach: Option<u64>, at_least: u64) -> bool {
    at_least == 0 || reach.is_some_and(|reach| reach >= at_least)
}

/// The tone, what was to be expected and the probability again, from the window and what those before come to.
fn tone_checks(tone: &ToneArithmetic) -> Vec<Check> {
    if let Some(again) = tone_again(tone) {
        return vec![
            number("observed", tone.observed, again.observed),
            number("expected", tone.expected, again.expected),
            number("spread", tone.spread, again.spread),
            number("probability", tone.probability, again.probability),
        ];
    }
    let mut checks = Vec::new();
    if tone.measure == ToneMeasure::ShareOfNegatives {
        let share = f64::from(tone.negatives) / f64::from(tone.mentions);
        checks.push(number("observed", tone.observed, share));
    }
    checks.push(number("probability", tone.probability, tone_probability_again(tone)));
    checks.push(Check::not_possible("expected", tone.expected, OLDER_RECORD));
    checks.push(Check::not_possible("spread", tone.spread, OLDER_RECORD));
    checks
}

/// What was to be expected of a reach, its probability and the threshold again, from what the windows before come to; and
/// whether the reach is as the rule asks for.
fn reach_checks(event: &AlertEvent, reach: &ReachArithmetic) -> Vec<Check> {
    let ReachArithmetic { baseline, asked, .. } = reach;
    let threshold = reach_threshold(baseline, asked.probability_below);
    let mut checks = vec![
        Check::of("expected", reach.expected, baseline.median),
        number("spread", reach.spread, reach_spread(baseline)),
        number("probability", reach.probability, reach_probability(baseline, reach.reach)),
        number("threshold", reach.threshold as f64, threshold as f64),
        Check::that(
            "known, at most the mentions",
            reach.known,
            reach.known <= reach.mentions,
            reach.mentions,
        ),
    ];
    if event.transition.raises() {
        let found = format!(
            "a reach of {} by {} mentions and {} authors asked for",
            threshold.max(asked.reach_at_least),
            asked.mentions_at_least,
            asked.authors_at_least
        );
        checks.push(Check::that("reach, at least the threshold", reach.reach, reach.holds(), found));
    }
    if event.transition == Transition::Opened {
        let by_size = SeverityRaise::of(reach.reach, reach.asked_for(), 0).by_size;
        checks.push(Check::of("raise of the severity by size", event.raise.by_size, by_size));
    }
    checks
}

/// What was to be expected of a silence, and its probability, again from its hours. Of sources there is nothing to
/// compute.
fn absence_checks(absence: &AbsenceArithmetic) -> Vec<Check> {
    let (Some(expected), Some(probability)) = (absence.expected, absence.probability) else {
        return Vec::new();
    };
    if absence.usual.is_empty() {
        return vec![
            Check::not_possible("expected", expected, OLDER_RECORD),
            Check::not_possible("probability", probability, OLDER_RECORD),
        ];
    }
    let (hours, known) = (absence.hours, absence.usual.len());
    let again = silence_again(&absence.usual);
    vec![
        Check::that("hours, at least those that have a baseline", hours, known <= hours as usize, known),
        number("expected", expected, again.0),
        number("probability", probability, again.1),
    ]
}

fn novelty_checks(event: &AlertEvent, novelty: &NoveltyArithmetic) -> Vec<Check> {
    let mut checks = Vec::new();
    if event.transition == Transition::Opened {
        checks.push(Check::of("new values at the opening", novelty.matched, 1));
    }
    let Some(asked) = novelty.asked.filter(|_| event.transition.raises()) else { return checks };
    let mut at_least = |what: &str, told: u32, least: u32| {
        checks.push(Check::that(what, told, told >= least, format!("{least} asked for")));
    };
    at_least("mentions, at least those asked for", novelty.mentions, asked.mentions_at_least);
    at_least("authors, at least those asked for", novelty.authors, asked.authors_at_least);
    let least = asked.new_authors_share_at_least;
    if least > 0.0 {
        let share = f64::from(novelty.new_authors) / f64::from(novelty.authors.max(1));
        let found = format!("{least} asked for");
        checks.push(Check::that(
            "share of new authors, at least that asked for",
            share,
            share >= least,
            found,
        ));
    }
    if event.transition == Transition::Opened {
        let until = novelty.first.plus_millis(i64::from(asked.within_hours) * HOUR_MS);
        let found = format!("{until} at the latest");
        checks.push(Check::that("opened in time", event.opened, event.opened <= until, found));
        let (size, least) = (novelty.mentions.into(), asked.mentions_at_least.into());
        let by_size = SeverityRaise::of(size, least, 0).by_size;
        checks.push(Check::of("raise of the severity by size", event.raise.by_size, by_size));
    }
    checks
}

/// Ranks, who passed whom and how unlikely that is, again from the numbers of the competitors.
fn rank_checks(event: &AlertEvent, rank: &RankArithmetic) -> Vec<Check> {
    let Some(asked) = rank.asked else {
        return vec![
            Check::not_possible("usual rank", rank.usual_rank, OLDER_RECORD),
            Check::not_possible("probability", rank.probability, OLDER_RECORD),
        ];
    };
    let again = RankStanding::of(rank.mentions, rank.authors, &rank.competitors, asked);
    let mut checks = vec![
        Check::of("competitors and the subject", rank.of as usize, rank.competitors.len() + 1),
        Check::of("rank", rank.rank, again.rank),
        Check::of("usual rank", rank.usual_rank, again.usual_rank),
        Check::of("passed", rank.passed.join(", "), again.passed.join(", ")),
        number("probability", rank.probability, again.probability),
    ];
    if event.transition == Transition::Opened {
        let passed = rank.passed.len();
        checks.push(Check::that("passed, at least one", passed, passed > 0, again.passed.len()));
    }
    checks
}

fn number(what: &str, told: f64, found: f64) -> Check {
    let agrees = (told - found).abs() <= ROUNDING * told.abs().max(found.abs());
    Check::that(what, told, agrees, found)
}

/// When the window of the numbers began, or what they are about, or the opening of an alert about single mentions, or the
/// first of those that opened it together.
pub(crate) fn begins(event: &AlertEvent) -> Timestamp {
    let window = match &event.arithmetic {
        Arithmetic::Count(count) => &count.window,
        Arithmetic::Tone(tone) => &tone.window,
        Arithmetic::Reach(reach) => &reach.window,
        Arithmetic::Rank(rank) => &rank.window,
        Arithmetic::Absence(absence) => return absence.since,
        Arithmetic::Novelty(novelty) => return novelty.first,
        Arithmetic::Each(each) => return each.gathered.map_or(event.opened, |gathered| gathered.first),
    };
    window_of(window).map_or(event.opened, |(_, start)| start)
}
