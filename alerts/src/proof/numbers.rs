//! The numbers of a transition, counted again from the mentions of its alert, for each primitive.
//!
//! What belongs here: which of the mentions a number is about. Which mentions there are is [`super::recount`]'s.

use std::collections::{BTreeMap, BTreeSet};

use earshot_common::definitions::{Condition, Rule, Window};
use earshot_common::events::{
    AbsenceArithmetic, AlertEvent, Arithmetic, CountArithmetic, CountSpan, EachArithmetic, History, Measure,
    NoveltyArithmetic, Polarity, RankArithmetic, ReachArithmetic, SourceHealth, SourceStatus, ToneArithmetic,
    ToneMeasure, Transition,
};
use earshot_common::keys::{AuthorKey, MentionKey};
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;

use super::arithmetic::reaches;
use super::recount::{OfCompetitor, Seen};
use super::verify::Check;
use crate::fold::{MOST_AUTHORS, bucket_end, bucket_of, window_of};

/// Means that were written and read again may differ by this.
const ROUNDING: f64 = 1e-9;

/// What a transition is counted again from.
pub(super) struct Counted<'a> {
    pub(super) event: &'a AlertEvent,
    /// The first transition of the alert.
    pub(super) opening: &'a AlertEvent,
    /// The version of the rule that decided.
    pub(super) rule: &'a Rule,
    /// Where the rule began to count for itself.
    pub(super) counts_from: u64,
    /// The mentions of the subject up to the cause.
    pub(super) seen: &'a [&'a Seen],
    pub(super) zone: &'a TimeZone,
    /// What imports told of the rule and the subject up to the cause, oldest first.
    pub(super) histories: &'a [&'a History],
    /// The mentions of competitors up to the cause.
    pub(super) of_competitors: &'a [&'a OfCompetitor],
}

impl Counted<'_> {
    /// The numbers again; `health` is what sources said of themselves up to the cause.
    pub(super) fn checks(&self, health: &[&SourceHealth]) -> Vec<Check> {
        match &self.event.arithmetic {
            Arithmetic::Count(count) => self.count(count),
            Arithmetic::Each(each) => self.each(each),
            Arithmetic::Tone(tone) => self.tone(tone),
            Arithmetic::Reach(reach) => self.reach(reach),
            Arithmetic::Absence(absence) if absence.sources.is_empty() => self.silence(absence),
            Arithmetic::Absence(absence) => self.silent_sources(absence, health),
            Arithmetic::Novelty(novelty) => self.novelty(novelty),
            Arithmetic::Rank(rank) => self.rank(rank),
        }
    }

    /// Whether the numbers must be exactly those at the cause.
    fn is_exact(&self) -> bool {
        !self.event.historic && self.event.transition.raises()
    }

    fn opens(&self) -> bool {
        matches!(self.event.transition, Transition::Opened | Transition::Reopened)
    }

    /// The mentions of a window, each once, as the rule counts them: those that its filter matched, and those that came
    /// since it counts for itself.
    fn in_window(&self, window: Window, start: Timestamp, for_itself: bool) -> BTreeMap<MentionKey, &Seen> {
        let mut mentions: BTreeMap<MentionKey, &Seen> = BTreeMap::new();
        let historic = self.event.historic;
        let within = start..bucket_end(window, self.zone, start);
        for seen in self.seen {
            let counts = seen.is_new && (!for_itself || seen.offset >= self.counts_from);
            // One that was counted so long ago that it was forgotten counts again, in its window.
            let counts_here = counts && within.contains(&seen.event_time);
            if !(historic || counts_here) {
                continue;
            }
            let known = mentions.entry(seen.mention).or_insert(seen);
            // The past knows each mention in its newest revision, and the live stream as it came first.
            if historic && known.revision < seen.revision {
                *known = seen;
            }
        }
        mentions.retain(|_, seen| within.contains(&seen.event_time) && self.passes(seen));
        mentions
    }

    fn passes(&self, seen: &Seen) -> bool {
        self.rule.filter.is_none() || seen.matched
    }

    /// What a rule counts since it is there.
    fn since_the_rule(&self) -> impl Iterator<Item = &Seen> {
        let historic = self.event.historic;
        let counts = move |seen: &&Seen| historic || (seen.is_new && seen.offset >= self.counts_from);
        self.seen.iter().copied().filter(counts).filter(|seen| self.passes(seen))
    }

    fn count(&self, count: &CountArithmetic) -> Vec<Check> {
        let Some((window, start)) = window_of(&count.window) else { return Vec::new() };
        let with_before = count.span() == CountSpan::TwoHours;
        let judged = count.before.map(|before| before.end);
        let judged = match with_before {
            true => judged.unwrap_or_else(|| bucket_end(window, self.zone, start)),
            false => start,
        };
        let mentions = self.counted(count.measure, window, judged);
        let found = size(count.measure, &mentions);
        let exact = self.is_exact();
        let told_before = count.before.map(|before| before.count);
        let in_words = count.measure.in_words();
        let mut checks = match (with_before, told_before) {
            (false, _) => vec![again(&format!("{in_words} in the window"), count.observed, found, exact)],
            (true, Some(before)) => {
                let told = count.observed.saturating_sub(before);
                let hour = size(count.measure, &self.counted(count.measure, window, start));
                vec![
                    again(&format!("{in_words} in the window's last hour"), told, found, exact),
                    self.hour_before(&format!("{in_words} in the hour before"), start, before, hour),
                ]
            }
            // A record of an older version does not say which part is of the hour before, and what came late to that
            // hour may have been there too late to be judged.
            (true, None) => {
                let live = size(count.measure, &self.counted(count.measure, window, start));
                let hour = live.max(self.imported(start).unwrap_or_default() as usize);
                vec![again(&format!("{in_words} in the window"), count.observed, found + hour, false)]
            }
        };
        checks.push(
            // Authors of a window that closed long ago are forgotten, so only the opening is sure to have them all.
            again("distinct authors", count.authors, authors(&mentions), exact && self.opens()),
        );
        if let Some(told) = count.stretch {
            let found = bucket_of(window, self.zone, judged).stretch(window);
            checks.push(Check::of("times as long as an hour", told, found));
        }
        if let Some(told) = count.mentions {
            checks.push(again("mentions in the window", told, mentions.len(), exact && self.opens()));
        }
        if exact && self.opens() {
            let strongest = mentions.values().min_by(|a, b| {
                let by_polarity = a.polarity.total_cmp(&b.polarity);
                by_polarity.then(b.event_time.cmp(&a.event_time)).then(a.mention.cmp(&b.mention))
            });
            let first =
                |mention: Option<MentionKey>| mention.map_or("none".to_owned(), |key| key.to_string());
            checks.push(Check::of(
                "the most negative mention",
                first(self.event.evidence.first().copied()),
                first(strongest.map(|seen| seen.mention)),
            ));
        }
        checks
    }

    /// The hour before the one that was judged. Where we did not listen then, an import may have told its count.
    fn hour_before(&self, what: &str, start: Timestamp, told: u32, found: usize) -> Check {
        let imported = self.imported(start);
        match imported.filter(|imported| *imported == told && found != told as usize) {
            Some(imported) => Check::of(what, told, imported),
            None if self.event.historic => again(what, told, found, false),
            None => again(what, told, found, self.is_exact()),
        }
    }

    /// What the newest import before the cause told of an hour.
    fn imported(&self, start: Timestamp) -> Option<u32> {
        let covers = |history: &&&History| history.from <= start && start < history.until;
        let history = self.histories.iter().rev().find(covers)?;
        let bucket = history.buckets.iter().find(|bucket| bucket.start == start);
        Some(bucket.map_or(0, |bucket| bucket.count))
    }

    /// The mentions of a window that a measure is about.
    fn counted(&self, measure: Measure, window: Window, start: Timestamp) -> BTreeMap<MentionKey, &Seen> {
        let for_itself = self.rule.filter.is_some() || measure != Measure::Mentions;
        let mut mentions = self.in_window(window, start, for_itself);
        match measure {
            Measure::Negatives => mentions.retain(|_, seen| is_negative(seen)),
            Measure::Stories => mentions.retain(|_, seen| seen.story.is_some()),
            Measure::Mentions | Measure::Authors => {}
        }
        mentions
    }

    /// The mention that caused it, and those that matched since the opening.
    fn each(&self, each: &EachArithmetic) -> Vec<Check> {
        let is_it = |seen: &&&Seen| seen.polarity == each.polarity && seen.reach == each.reach;
        let told = format!("{} with reach {}", each.polarity, reach(each.reach));
        let mention = match self.is_exact() {
            true => self.seen.iter().find(|seen| seen.offset == self.event.signals.offset),
            false => self.seen.iter().find(is_it),
        };
        let found = mention.map_or("no such mention".to_owned(), |seen| {
            format!("{} with reach {}", seen.polarity, reach(seen.reach))
        });
        let risk = match &self.rule.condition {
            Condition::Each(asked) => asked.risk.as_ref(),
            _ => None,
        };
        let satisfies = |seen: &&&Seen| {
            // Alerts of older versions took visits of a month for accounts; none of them says what it gathered.
            let reach = if each.gathered.is_some() { seen.accounts } else { seen.reach };
            seen.polarity <= each.polarity_at_most
                && reaches(reach, each.reach_at_least)
                && risk.is_none_or(|risk| seen.risk.contains(risk))
        };
        let first = each.gathered.map(|gathered| gathered.first);
        let since_opening = |seen: &&&Seen| {
            let is_gathered = first.is_some_and(|first| first <= seen.event_time);
            self.event.historic || is_gathered || seen.offset >= self.opening.signals.offset
        };
        let matched: Vec<&&Seen> = self
            .seen
            .iter()
            .filter(since_opening)
            .filter(satisfies)
            .filter(|seen| self.passes(seen))
            .collect();
        let mentions = matched.iter().map(|seen| seen.mention).collect::<BTreeSet<_>>().len();
        let mut checks = vec![
            Check::of("polarity of the mention", told, found),
            // One that matched before the opening is among those found.
            again("matches since the opening", each.matched, mentions, false),
        ];
        if let Some(gathered) = &each.gathered {
            let authors = matched.iter().map(|seen| seen.author).collect::<BTreeSet<_>>().len();
            checks.push(again("distinct authors", gathered.authors, authors, false));
            if self.event.transition == Transition::Opened {
                let earliest = matched.iter().map(|seen| seen.event_time).min();
                let found = earliest.map_or("none".to_owned(), |at| at.to_string());
                let agrees = earliest == first;
                checks.push(Check::that("the first of them", gathered.first, agrees, found));
            }
        }
        checks.extend(risk.map(|risk| {
            let found = mention.map_or(&[][..], |seen| seen.risk.as_slice());
            Check::that("risk said of the subject", risk, found.contains(risk), found.join(", "))
        }));
        checks
    }

    fn tone(&self, tone: &ToneArithmetic) -> Vec<Check> {
        let Some((window, start)) = window_of(&tone.window) else { return Vec::new() };
        let mentions = self.in_window(window, start, true);
        let negatives = mentions.values().filter(|seen| is_negative(seen)).count();
        let exact = self.is_exact();
        let mut checks = vec![
            again("mentions in the window", tone.mentions, mentions.len(), exact),
            again("negative ones among them", tone.negatives, negatives, exact),
        ];
        if exact {
            let of = self.in_window(window, start, self.rule.filter.is_some());
            checks.push(again("distinct authors", tone.authors, authors(&of), true));
            if tone.measure == ToneMeasure::MeanSentiment {
                let sum: f64 = mentions.values().map(|seen| thousandths(seen.polarity)).sum();
                let mean = sum / 1_000.0 / mentions.len() as f64;
                let agrees = (mean - tone.observed).abs() <= ROUNDING;
                checks.push(Check::that("mean sentiment", tone.observed, agrees, mean));
            }
        }
        if let Condition::Tone(asked) = &self.rule.condition {
            checks.extend(self.less_likely_than(asked.probability_below, tone.probability));
            checks.extend(self.lasts(asked.windows, tone.in_a_row));
        }
        checks
    }

    fn reach(&self, reach: &ReachArithmetic) -> Vec<Check> {
        let Some((window, start)) = window_of(&reach.window) else { return Vec::new() };
        let mentions = self.in_window(window, start, true);
        let exact = self.is_exact();
        let known: Vec<u64> = mentions.values().filter_map(|seen| seen.accounts).collect();
        let found = known.iter().fold(0_u64, |sum, accounts| sum.saturating_add(*accounts));
        let mut checks = vec![
            again("mentions in the window", reach.mentions, mentions.len(), exact),
            again("those of a known reach", reach.known, known.len(), exact),
        ];
        checks.push(match exact {
            true => Check::of("reach of the window", reach.reach, found),
            false => Check::that("reach of the window, at least", reach.reach, found >= reach.reach, found),
        });
        if exact {
            let of = self.in_window(window, start, self.rule.filter.is_some());
            checks.push(again("distinct authors", reach.authors, authors(&of), self.opens()));
        }
        if let Condition::Reach(asked) = &self.rule.condition {
            checks.extend(self.lasts(asked.windows, reach.in_a_row));
        }
        checks
    }

    /// Nothing that the rule counts came since then.
    fn silence(&self, absence: &AbsenceArithmetic) -> Vec<Check> {
        if !self.is_exact() {
            return Vec::new();
        }
        let later = self.since_the_rule().filter(|seen| seen.event_time > absence.since).count();
        let mut checks = vec![Check::of("mentions since then", 0, later)];
        if let Condition::Absence(asked) = &self.rule.condition {
            let (hours, least) = (absence.hours, asked.silent_after_hours);
            let found = format!("{least} asked for");
            checks.push(Check::that("hours, at least those asked for", hours, hours >= least, found));
            checks.extend(
                absence.probability.and_then(|told| self.less_likely_than(asked.probability_below, told)),
            );
        }
        checks
    }

    /// The sources did not answer, the first of them since then.
    fn silent_sources(&self, absence: &AbsenceArithmetic, health: &[&SourceHealth]) -> Vec<Check> {
        if !self.is_exact() {
            return Vec::new();
        }
        let mut failing: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for health in health {
            match health.state {
                SourceStatus::Failing => {
                    failing.entry(&health.source).or_insert(health.at);
                }
                SourceStatus::Healthy | SourceStatus::Finished => {
                    failing.remove(health.source.as_str());
                }
            }
        }
        failing.retain(|source, _| absence.sources.iter().any(|told| told == source));
        let found: Vec<&str> = failing.keys().copied().collect();
        let since = failing.values().min().map_or("none".to_owned(), ToString::to_string);
        vec![
            Check::of("sources that do not answer", absence.sources.join(", "), found.join(", ")),
            Check::of("since", absence.since, since),
        ]
    }

    fn novelty(&self, novelty: &NoveltyArithmetic) -> Vec<Check> {
        let of_it = |seen: &&Seen| seen.value.as_ref() == Some(&novelty.value);
        let of_it: Vec<&Seen> = self.since_the_rule().filter(of_it).collect();
        // What was forgotten before the first mention does not count.
        let first = of_it.iter().position(|seen| !self.event.historic && seen.event_time == novelty.first);
        let of_it = &of_it[first.unwrap_or_default()..];
        let mentions = match self.event.historic {
            true => of_it.iter().map(|seen| seen.mention).collect::<BTreeSet<_>>().len(),
            false => of_it.len(),
        };
        let found = distinct(of_it.iter().map(|seen| seen.author.map_or(0, |author| author.short())));
        let exact = self.is_exact();
        let mut checks = vec![
            again("mentions of it", novelty.mentions, mentions, exact),
            again("distinct authors", novelty.authors, found, exact),
        ];
        if novelty.new_authors > 0 {
            let why =
                "it takes all that its authors ever wrote about the subject, which is not read again here";
            checks.push(Check::not_possible("authors never heard before", novelty.new_authors, why));
        }
        checks
    }

    fn rank(&self, rank: &RankArithmetic) -> Vec<Check> {
        let Some((window, start)) = window_of(&rank.window) else { return Vec::new() };
        let window = start..bucket_end(window, self.zone, start);
        let of_it = self.of_the_subject(&window);
        let mut checks = vec![again("mentions in the window", rank.mentions, of_it.len(), self.is_exact())];
        if let Some(told) = rank.authors.filter(|_| self.is_exact()) {
            checks.push(again("distinct authors", told, authors(&of_it), true));
        }
        for competitor in &rank.competitors {
            let of_it = self.of_competitors.iter().filter(|of| of.id == competitor.id);
            let within = of_it.filter(|of| window.contains(&of.event_time));
            let found = within.map(|of| of.mention).collect::<BTreeSet<_>>().len();
            let what = format!("mentions of {} in the window", competitor.id);
            checks.push(again(&what, competitor.mentions, found, self.is_exact()));
        }
        if let Condition::Rank(asked) = &self.rule.condition
            && self.opens()
        {
            checks.extend(self.less_likely_than(asked.probability_below, rank.probability));
            checks.extend(self.lasts(asked.windows, rank.in_a_row));
        }
        checks
    }

    /// Mentions of the subject in a span, whatever the rule's filter.
    fn of_the_subject(&self, span: &std::ops::Range<Timestamp>) -> BTreeMap<MentionKey, &Seen> {
        let counts = |seen: &&&Seen| self.event.historic || seen.is_new;
        let within = self.seen.iter().filter(counts).filter(|seen| span.contains(&seen.event_time));
        within.map(|seen| (seen.mention, *seen)).collect()
    }

    fn lasts(&self, asked: u32, told: u32) -> Option<Check> {
        let what = "windows one after the other, at least those asked for";
        self.opens().then(|| Check::that(what, told, told >= asked, format!("{asked} asked for")))
    }

    fn less_likely_than(&self, asked: f64, told: f64) -> Option<Check> {
        let raises = self.event.transition.raises();
        let what = "probability, below what the rule asks for";
        raises.then(|| Check::that(what, told, told < asked, format!("{asked} asked for")))
    }
}

/// How many of what a measure counts these are.
fn size(measure: Measure, mentions: &BTreeMap<MentionKey, &Seen>) -> usize {
    match measure {
        Measure::Mentions | Measure::Negatives => mentions.len(),
        Measure::Stories => distinct(mentions.values().filter_map(|seen| seen.story)),
        Measure::Authors => {
            distinct(mentions.values().map(|seen| seen.author.map_or(0, |author| author.short())))
        }
    }
}

fn is_negative(seen: &Seen) -> bool {
    Polarity::of(seen.polarity) == Polarity::Negative
}

/// As the fold sums them, so that the order cannot show.
fn thousandths(polarity: f32) -> f64 {
    (f64::from(polarity) * 1_000.0).round()
}

fn distinct(keys: impl Iterator<Item = u64>) -> usize {
    keys.collect::<BTreeSet<u64>>().len()
}

/// Distinct authors, up to the limit. All whose author is unknown are one.
fn authors(mentions: &BTreeMap<MentionKey, &Seen>) -> usize {
    let authors: BTreeSet<Option<AuthorKey>> = mentions.values().map(|seen| seen.author).collect();
    let unknown = usize::from(authors.contains(&None));
    (authors.len() - unknown).min(MOST_AUTHORS) + unknown
}

fn reach(reach: Option<u64>) -> String {
    reach.map_or("unknown".to_owned(), |reach| reach.to_string())
}

/// A count that must be what was told, or no less.
fn again(what: &str, told: u32, found: usize, is_exact: bool) -> Check {
    match is_exact {
        true => Check::of(what, told, found),
        false => Check::that(&format!("{what}, at least"), told, found >= told as usize, found),
    }
}
