//! What is judged when time has passed: a tone or reach over a window that has closed, and silence.
//!
//! More data could undo each of these, so they wait for the clock that says that all is done up to then. While sources
//! that bring a real share do not answer nobody knows whether it is silent, or calm again.

use std::collections::BTreeMap;

use earshot_common::definitions::{AbsenceCondition, SourceAbsenceCondition, ToneCondition, Window};
use earshot_common::events::{
    AbsenceArithmetic, Arithmetic, ReachBaseline, Rebuilt, ToneArithmetic, ToneSums, Transition,
};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::alert::{Course, OpenAlert, Opening};
use super::baseline::{Rhythm, baseline, mark_loud_days};
use super::calendar::{Bucket, HOUR_MS, interval};
use super::evidence::Evidence;
use super::model::Expectation;
use super::past::PastCounts;
use super::rebuild::tones_of;
use super::series::LOOK_BACK_MS;
use super::threshold::CALM_PROBABILITY;
use super::tone::{Tone, compare};
use super::watch::{LONGEST_MS, Watched};

const MINUTE_MS: i64 = 60_000;

/// The tones and reaches of the windows of one subject and rule.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tones {
    pub(super) windows: BTreeMap<Timestamp, ToneSums>,
    /// What was usual of reach, of which window, and counted how.
    pub(super) usual: Option<(UsualKey, Option<ReachBaseline>)>,
    /// Windows up to here were judged.
    pub(super) looked: Option<Timestamp>,
    /// While what happened before some time is judged anew elsewhere.
    changed: Option<ChangedTone>,
}

/// The window that it is for, until when the windows before it are looked at, and the rule's generation.
pub(super) type UsualKey = (Timestamp, Timestamp, u64);

/// From when on tones are by another judgement.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ChangedTone {
    at: Timestamp,
    /// The window that it falls into.
    window: Timestamp,
    /// The tone in it of what happened since.
    sums: ToneSums,
}

impl Tones {
    /// Takes a mention's polarity and reach into its window.
    pub(crate) fn add(&mut self, window: Timestamp, at: Timestamp, polarity: f32, reach: Option<u64>) {
        self.windows.entry(window).or_default().add(polarity, reach);
        // What comes late to a window before is part of what was usual.
        self.usual.take_if(|((of, ..), _)| window < *of);
        if let Some(changed) =
            self.changed.as_mut().filter(|changed| changed.window == window && changed.at <= at)
        {
            changed.sums.add(polarity, reach);
        }
    }

    /// What happens from now on is by another judgement; what happened before will be judged anew.
    pub(super) fn changes_at(&mut self, at: Timestamp, window: Timestamp) {
        self.changed = Some(ChangedTone { at, window, sums: ToneSums::default() });
    }

    /// Takes the tones of what happened before the change.
    pub(super) fn recount(&mut self, rebuilt: &Rebuilt) {
        let Some(changed) = &self.changed else { return };
        self.windows.retain(|start, _| *start > changed.window);
        self.windows.extend(tones_of(rebuilt));
        self.windows.entry(changed.window).or_default().add_all(&changed.sums);
        self.usual = None;
    }

    /// Windows that end before this are no news.
    pub(super) fn look_from(&mut self, start: Timestamp) {
        self.looked.get_or_insert(start);
    }

    /// All is by one judgement from here on.
    pub(super) fn is_changed(&mut self) {
        self.changed = None;
    }
}

/// How long nothing was heard of one subject and rule, and how unlikely that is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Silence {
    /// The newest mention.
    heard: Option<Timestamp>,
    /// Hours up to here are in the sums.
    looked: Option<Timestamp>,
    hours: u32,
    expected: f64,
    ln_probability: f64,
    /// What was to be expected of each of the hours that have a baseline: mean and dispersion.
    usual: Vec<(f32, f32)>,
}

/// A silence that was no surprise in so many hours, those that a baseline looks back, is judged anew from there on.
const LONGEST_SILENCE_H: u32 = (LOOK_BACK_MS / HOUR_MS) as u32;

impl Silence {
    /// A mention ends it.
    pub(crate) fn hear(&mut self, at: Timestamp) {
        if self.heard.is_none_or(|heard| heard < at) {
            *self = Self { heard: Some(at), ..Self::default() };
        }
    }

    /// An hour more of it, with what was to be expected.
    fn last(&mut self, end: Timestamp, expected: Option<Expectation>) {
        self.looked = Some(end);
        self.hours += 1;
        if let Some(expectation) = expected {
            // As the record has it, so that it can be computed again.
            let usual = (expectation.mean as f32, expectation.dispersion as f32);
            self.usual.push(usual);
            let (mean, ln_none) = none_in_an_hour(usual);
            self.expected += mean;
            self.ln_probability += ln_none;
        }
    }
}

/// The mean of an hour, and the logarithm of the probability that nothing comes in it.
fn none_in_an_hour((mean, dispersion): (f32, f32)) -> (f64, f64) {
    let expectation = Expectation { mean: mean.into(), dispersion: dispersion.into() };
    (expectation.mean, (-expectation.probability_of_at_least(1)).ln_1p())
}

/// What was to be expected of a silence, and how likely it is, again from its hours.
pub(crate) fn silence_again(usual: &[(f32, f32)]) -> (f64, f64) {
    let (mut expected, mut ln_probability) = (0.0, 0.0);
    for hour in usual {
        let (mean, ln_none) = none_in_an_hour(*hour);
        expected += mean;
        ln_probability += ln_none;
    }
    (expected, probability_of(ln_probability))
}

fn probability_of(ln_probability: f64) -> f64 {
    ln_probability.exp().max(f64::MIN_POSITIVE)
}

/// Whether so many mentions by so many authors are enough to judge a tone by.
fn is_evidence(condition: &ToneCondition, found: &ToneArithmetic) -> bool {
    found.mentions >= condition.mentions_at_least && found.authors >= condition.authors_at_least
}

/// Windows one after the other that are each as a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// How many.
    pub(super) windows: u32,
    /// The first of them: what was usual is known from before it.
    pub(super) first: Bucket,
    end: Timestamp,
}

impl Run {
    /// A run with this window as its last.
    pub(super) fn with(before: Option<Self>, bucket: &Bucket) -> Self {
        match before {
            Some(run) if run.end == bucket.start => Self { windows: run.windows + 1, end: bucket.end, ..run },
            _ => Self { windows: 1, first: *bucket, end: bucket.end },
        }
    }
}

/// What a rule asks of windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowsAsked {
    pub(super) window: Window,
    pub(super) probability_below: f64,
    pub(super) windows: u32,
}

/// A window that was judged.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) arithmetic: Arithmetic,
    pub(super) probability: f64,
    /// Whether it is what the rule asks for, by itself.
    pub(super) holds: bool,
}

impl Watched {
    /// Judges the windows that have closed, of a rule about tone.
    pub(super) fn pass_tone(
        &mut self,
        rule: usize,
        condition: &ToneCondition,
        clock: Timestamp,
        silent: &[String],
    ) -> Option<Transition> {
        let ToneCondition { window, probability_below, windows, .. } = *condition;
        let asked = WindowsAsked { window, probability_below, windows };
        self.pass_windows(rule, asked, clock, silent, |watched, bucket| {
            let (tone, arithmetic) = watched.tone_of(rule, condition, bucket)?;
            Some(Judged {
                probability: tone.probability,
                holds: tone.probability < probability_below && is_evidence(condition, &arithmetic),
                arithmetic: Arithmetic::Tone(arithmetic),
            })
        })
    }

    /// Judges the windows that have closed: the last of as many as the rule asks for opens an alert, the first that is
    /// calm ends it.
    pub(super) fn pass_windows(
        &mut self,
        rule: usize,
        asked: WindowsAsked,
        clock: Timestamp,
        silent: &[String],
        judge: impl Fn(&mut Self, &Bucket) -> Option<Judged>,
    ) -> Option<Transition> {
        let oldest = clock.plus_millis(-LOOK_BACK_MS);
        let start = self.listened_from(rule)?.max(oldest);
        loop {
            let looked = self.rules[rule].tones.looked.unwrap_or(start);
            let bucket = self.series(rule, asked.window).bucket(looked);
            if bucket.end > clock {
                return None;
            }
            self.rules[rule].tones.looked = Some(bucket.end);
            self.rules[rule].tones.windows.retain(|start, _| *start >= oldest);
            let found = judge(self, &bucket);
            let historic = self.historic;
            let Some(open) = self.rules[rule].open.as_mut() else {
                let holds = found.as_ref().is_some_and(|found| found.holds);
                let lasts = self.rules[rule].note_window(&bucket, holds) >= asked.windows;
                let fires = self.series(rule, asked.window).may_fire(&bucket, clock);
                if let Some(found) =
                    found.filter(|_| holds && lasts && fires && self.is_scheduled_within(rule, &bucket))
                {
                    self.open_window(rule, asked.window, &bucket, bucket.start, found.arithmetic);
                    return Some(Transition::Opened);
                }
                continue;
            };
            // One that opened before its window was over is not judged by those before.
            let Some(begin) = open.window_start().filter(|begin| *begin <= bucket.start) else { continue };
            let expired = !historic && open.raised.plus_millis(LONGEST_MS) <= bucket.end;
            let calm = CALM_PROBABILITY.max(asked.probability_below);
            let over = expired || found.as_ref().is_none_or(|found| found.probability > calm);
            if !silent.is_empty() && !expired {
                if over && let Some(blocked) = open.block(silent) {
                    return Some(blocked);
                }
                continue;
            }
            if over {
                open.until = bucket.start.max(open.raised);
                if let Some(found) = found {
                    open.arithmetic = found.arithmetic;
                }
                self.rules[rule].note_burst(begin..bucket.start, clock);
                return Some(Transition::Resolved);
            }
            open.until = bucket.end;
        }
    }

    /// Opens an alert about a window, and about those before it that had to be as the rule asks for.
    pub(super) fn open_window(
        &mut self,
        rule: usize,
        window: Window,
        bucket: &Bucket,
        at: Timestamp,
        arithmetic: Arithmetic,
    ) {
        let first = self.rules[rule].begin_burst(bucket);
        let (asked, course) = match &arithmetic {
            Arithmetic::Reach(reach) => (reach.asked_for(), Course::of_reach(first, bucket, reach.reach)),
            _ => (0, Course::Tone { opening: first }),
        };
        let evidence = self.series(rule, window).evidence_at(bucket.start);
        let opening = Opening {
            key: self.key(rule, &bucket.start.to_string()),
            at,
            until: bucket.end,
            lexicon: self.lexicon.clone(),
            arithmetic,
            evidence,
            asked,
        };
        self.rules[rule].open = Some(OpenAlert::new(opening, course));
    }

    /// The tone of a window that was wholly observed, against those before it that belong to no burst.
    fn tone_of(
        &mut self,
        rule: usize,
        condition: &ToneCondition,
        bucket: &Bucket,
    ) -> Option<(Tone, ToneArithmetic)> {
        let series = self.series(rule, condition.window);
        if !series.is_observed(bucket.start) {
            return None;
        }
        let authors = series.authors_at(bucket.start);
        let watch = &self.rules[rule];
        let before = match watch.open.as_ref().map(|open| &open.course) {
            Some(Course::Tone { opening }) => opening.start,
            _ => watch.usual_until(bucket, condition.windows),
        };
        let oldest = bucket.start.plus_millis(-LOOK_BACK_MS);
        let range = oldest..before.max(oldest);
        let window = watch.tones.windows.get(&bucket.start).copied().unwrap_or_default();
        let (mut past, mut bursts) = (Vec::new(), Vec::new());
        for (start, sums) in watch.tones.windows.range(range) {
            let kind = if watch.in_burst(*start) { &mut bursts } else { &mut past };
            kind.push(*sums);
        }
        // Where bursts are most of the windows, they are how things are now.
        if bursts.len() > past.len() {
            past.append(&mut bursts);
        }
        let tone = compare(condition.measure, &window, &past)?;
        let arithmetic = ToneArithmetic {
            measure: condition.measure,
            window: interval(condition.window, None, bucket),
            mentions: window.mentions,
            negatives: window.negatives,
            authors,
            observed: tone.observed,
            expected: tone.expected,
            spread: tone.spread,
            probability: tone.probability,
            baseline_windows: tone.past.windows,
            baseline_mentions: tone.past.mentions,
            sum: Some(window.sum),
            baseline: Some(tone.past.baseline),
            in_a_row: watch.in_a_row(bucket),
        };
        Some((tone, arithmetic))
    }

    /// Looks at each hour that has closed without a mention. The alert is over with the next mention, elsewhere.
    pub(super) fn pass_silence(
        &mut self,
        rule: usize,
        condition: &AbsenceCondition,
        clock: Timestamp,
        unheard: &BTreeMap<String, Timestamp>,
    ) -> Option<Transition> {
        if self.historic || self.rules[rule].open.is_some() {
            return None;
        }
        let start = self.listened_from(rule)?.max(clock.plus_millis(-LOOK_BACK_MS));
        loop {
            let since = self.rules[rule].silence.heard.unwrap_or(start);
            let looked = self.rules[rule].silence.looked;
            let series = self.series(rule, Window::Hour);
            let bucket = series.bucket(looked.unwrap_or_else(|| series.bucket(since).end));
            if bucket.end > clock {
                break;
            }
            // Nobody knows whether anything came where nobody listened, as between the spans of a back-test.
            if !series.is_observed(bucket.start) {
                self.rules[rule].silence.hear(bucket.end);
                continue;
            }
            let rhythm = Rhythm::from(Window::Hour);
            let mut past = self.rules[rule].past_buckets(series, &bucket);
            mark_loud_days(&mut past);
            let past = PastCounts::of(rhythm, &past);
            let expected = baseline(rhythm, bucket.slot, &past.single).map(|baseline| {
                let Expectation { mean, dispersion } = baseline.expectation;
                Expectation { mean: mean * bucket.stretch(Window::Hour), dispersion }
            });
            let silence = &mut self.rules[rule].silence;
            silence.last(bucket.end, expected);
            if silence.hours >= LONGEST_SILENCE_H {
                silence.hear(bucket.end);
            }
        }
        let silence = &self.rules[rule].silence;
        let since = silence.heard.unwrap_or(start);
        let probability = probability_of(silence.ln_probability);
        let blocked = self.brought(rule).misses(unheard, clock);
        let fires =
            silence.hours >= condition.silent_after_hours && probability < condition.probability_below;
        if blocked || !fires || !self.is_scheduled(rule, clock) {
            return None;
        }
        let arithmetic = AbsenceArithmetic {
            since,
            hours: silence.hours,
            expected: Some(silence.expected),
            probability: Some(probability),
            sources: Vec::new(),
            usual: silence.usual.clone(),
        };
        self.open_absence(rule, arithmetic, clock);
        Some(Transition::Opened)
    }

    /// Opens an alert for the sources of the subject that do not answer for so long, and ends it when all do again.
    pub(super) fn pass_sources(
        &mut self,
        rule: usize,
        condition: &SourceAbsenceCondition,
        clock: Timestamp,
        failing: &BTreeMap<String, Timestamp>,
    ) -> Option<Transition> {
        if self.historic {
            return None;
        }
        let failing_here = || failing.iter().filter(|(source, _)| self.sources.is_heard(source, clock));
        if self.rules[rule].open.is_some() {
            let over = failing_here().next().is_none();
            if let Some(open) = self.rules[rule].open.as_mut().filter(|_| over) {
                open.until = clock;
            }
            return over.then_some(Transition::Resolved);
        }
        let silent_ms = i64::from(condition.silent_after_minutes) * MINUTE_MS;
        let silent: Vec<(&String, &Timestamp)> =
            failing_here().filter(|(_, since)| since.plus_millis(silent_ms) <= clock).collect();
        let since = **silent.iter().map(|(_, since)| since).min()?;
        if !self.is_scheduled(rule, clock) {
            return None;
        }
        let arithmetic = AbsenceArithmetic {
            since,
            hours: ((clock.as_millis() - since.as_millis()) / HOUR_MS) as u32,
            expected: None,
            probability: None,
            sources: silent.iter().map(|(source, _)| (*source).clone()).collect(),
            usual: Vec::new(),
        };
        self.open_absence(rule, arithmetic, clock);
        Some(Transition::Opened)
    }

    fn open_absence(&mut self, rule: usize, arithmetic: AbsenceArithmetic, clock: Timestamp) {
        let opening = Opening {
            key: self.key(rule, &arithmetic.since.to_string()),
            at: arithmetic.since,
            until: clock,
            lexicon: self.lexicon.clone(),
            arithmetic: Arithmetic::Absence(arithmetic),
            evidence: Evidence::default(),
            asked: 0,
        };
        self.rules[rule].open = Some(OpenAlert::new(opening, Course::Absence));
    }
}
