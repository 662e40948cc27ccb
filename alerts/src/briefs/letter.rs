//! What a brief says: sentences, each with the page that shows what it says.

use std::collections::BTreeMap;
use std::ops::Range;

use earshot_common::calendar::{DAY_MS, HOUR_MS};
use earshot_common::definitions::{Brief, Every};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::reading::{Digest, Story, ToneCounts};
use crate::delivery::colours;
use crate::delivery::words::{about, grouped, local, what_happened};
use crate::fold::{AlertFacts, Facts, GapFacts, SubjectFacts};

/// Alerts of a subject that are told, at most.
const MOST_ALERTS: usize = 5;
/// Gaps that are told, at most.
const MOST_GAPS: usize = 5;
/// Stories of a subject that are told, at most, where the brief is about one or two; else the loudest alone.
const MOST_STORIES: usize = 3;
/// A source that answers again sooner was busy, and nothing is missing.
const SHORTEST_GAP_MS: i64 = 15 * 60 * 1_000;
/// From so many mentions on shares say more than counts.
const ENOUGH_FOR_SHARES: u64 = 20;

const MINUTE_MS: i64 = 60 * 1_000;

/// What a brief is made of.
#[derive(Clone, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) brief: &'a Brief,
    pub(crate) period: Range<Timestamp>,
    pub(crate) facts: &'a Facts,
    /// Where people open the console; without it there are no links.
    pub(crate) console: Option<&'a str>,
}

/// A brief, written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    /// When it was due.
    pub(crate) due: Timestamp,
    /// How often it comes, and about whom.
    pub(crate) kind: String,
    /// How things are, in a line.
    pub(crate) title: String,
    /// The subject line of a mail.
    pub(crate) subject_line: String,
    /// The time that it tells of.
    pub(crate) period: String,
    /// Where nothing happened: what was read.
    pub(crate) lead: Option<Line>,
    /// One for each subject of which there is something to say, then what was not heard.
    pub(crate) sections: Vec<Section>,
}

/// Lines under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) lines: Vec<Line>,
}

/// A sentence and its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    /// What else there is to know, in small print.
    pub(crate) detail: Option<String>,
    /// The page that shows what it says.
    pub(crate) link: Option<String>,
    mark: Mark,
}

/// What marks a line at its edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    None,
    /// An alert of this severity.
    Alert(u8),
    /// Words of this tone.
    Quote(&'static str),
}

impl Line {
    fn new(text: String, link: Option<String>) -> Self {
        Self { text, detail: None, link, mark: Mark::None }
    }

    /// The colour at its edge: that of a severity or of a tone on every page.
    pub(crate) fn colour(&self) -> Option<&'static str> {
        match self.mark {
            Mark::None => None,
            Mark::Alert(severity) => Some(colours::of_alert(severity)),
            Mark::Quote(tone) => Some(colours::of_tone(tone)),
        }
    }
}

impl Letter {
    /// Writes a brief. Without digests it says that nothing is known of mentions.
    pub(crate) fn of(told: &Told<'_>, digests: Option<&[Digest]>) -> Self {
        let situations = Situations::of(told.facts);
        let mut sections = Vec::new();
        let mut silent = Vec::new();
        for (place, subject) in told.facts.subjects.iter().enumerate() {
            let mut lines = told.alert_lines(subject, &situations);
            if let Some(digest) = digests.and_then(|digests| digests.get(place)) {
                lines.extend(told.mention_lines(subject, digest, lines.is_empty()));
            }
            match lines.is_empty() {
                true => silent.push(subject.name.clone()),
                false => sections.push(Section { name: subject.name.clone(), lines }),
            }
        }
        let gaps = told.gap_lines(digests.is_none());
        let quiet = situations.alerts == 0;
        let title = situations.title(gaps.is_empty());
        let lead = quiet.then(|| told.lead(digests, !gaps.is_empty()));
        if !quiet && !silent.is_empty() && digests.is_some() {
            let text = format!("Nothing was said of {}.", listed(&silent));
            sections
                .push(Section { name: "Quiet".to_owned(), lines: vec![Line::new(text, told.search(&[]))] });
        }
        if !gaps.is_empty() {
            sections.push(Section { name: "What was not heard".to_owned(), lines: gaps });
        }
        let often = match told.brief.every {
            Every::Day => "Daily brief",
            Every::Week => "Weekly brief",
        };
        let names: Vec<String> = told.facts.subjects.iter().map(|subject| subject.name.clone()).collect();
        let told_in_short = title.strip_prefix("Still listening: ").unwrap_or(&title);
        Self {
            due: told.period.end,
            kind: format!("{often} on {}", listed(&names)),
            subject_line: format!("{often}: {told_in_short} ({})", listed(&names)),
            period: told.period_in_words(),
            title,
            lead,
            sections,
        }
    }

    /// The highest severity of an alert that it tells.
    pub(crate) fn severity(&self) -> Option<u8> {
        let severity = |line: &Line| match line.mark {
            Mark::Alert(severity) => Some(severity),
            Mark::None | Mark::Quote(_) => None,
        };
        self.sections.iter().flat_map(|section| &section.lines).filter_map(severity).max()
    }
}

/// The alerts of all subjects by situation: one that joined another is told with it.
struct Situations {
    /// Whether each alert is open, and how many joined it.
    of: BTreeMap<AlertKey, (bool, usize)>,
    alerts: usize,
    open: usize,
}

impl Situations {
    fn of(facts: &Facts) -> Self {
        let all = || facts.subjects.iter().flat_map(|subject| &subject.alerts);
        let of = all().map(|alert| (alert.alert, (alert.over.is_none(), 0))).collect();
        let mut situations = Self { of, alerts: 0, open: 0 };
        for alert in all() {
            match alert.parent.filter(|_| situations.is_told_with_another(alert)) {
                Some(parent) => {
                    if let Some((_, joined)) = situations.of.get_mut(&parent) {
                        *joined += 1;
                    }
                }
                None => {
                    situations.alerts += 1;
                    situations.open += usize::from(alert.over.is_none());
                }
            }
        }
        situations
    }

    fn is_told_with_another(&self, alert: &AlertFacts) -> bool {
        let parent = alert.parent.and_then(|parent| self.of.get(&parent));
        parent.is_some_and(|(open, _)| *open || alert.over.is_some())
    }

    fn title(&self, all_was_heard: bool) -> String {
        match (self.alerts, self.open) {
            (0, _) if all_was_heard => "Still listening: nothing happened".to_owned(),
            (0, _) => "No alert, but not everything was heard".to_owned(),
            (1, 0) => "1 alert, over".to_owned(),
            (1, _) => "1 alert, open".to_owned(),
            (alerts, 0) => format!("{alerts} alerts, all over"),
            (alerts, open) => format!("{alerts} alerts, {open} open"),
        }
    }
}

impl Told<'_> {
    fn alert_lines(&self, subject: &SubjectFacts, situations: &Situations) -> Vec<Line> {
        let own: Vec<&AlertFacts> =
            subject.alerts.iter().filter(|alert| !situations.is_told_with_another(alert)).collect();
        let mut lines: Vec<Line> = own
            .iter()
            .take(MOST_ALERTS)
            .map(|alert| {
                let joined = situations.of.get(&alert.alert).map_or(0, |(_, joined)| *joined);
                self.alert_line(alert, joined)
            })
            .collect();
        if own.len() > MOST_ALERTS {
            let text = format!("And {} less severe.", counted(own.len() - MOST_ALERTS, "alert"));
            lines.push(Line::new(text, self.search(&[("subject", &subject.id)])));
        }
        lines
    }

    fn alert_line(&self, alert: &AlertFacts, joined: usize) -> Line {
        let state = match (alert.is_new, alert.over) {
            (true, None) => "New",
            (true, Some(_)) => "Came and went",
            (false, None) => "Still open",
            (false, Some(_)) => "Over",
        };
        let mut details = vec![format!("Severity {} of 10", alert.severity), self.lasted(alert)];
        match &alert.in_hand {
            _ if alert.over.is_some() => {}
            Some(by) => {
                let name = by.split_once(':').map_or(by.as_str(), |(_, name)| name);
                details.push(format!("{name} has it in hand"));
            }
            None => details.push("nobody has it in hand".to_owned()),
        }
        if !alert.was_sent && alert.parent.is_none() {
            details.push("nobody was sent it".to_owned());
        }
        if joined > 0 {
            details.push(format!("with {} of the same situation", counted(joined, "more alert")));
        }
        Line {
            text: format!("{state}: {}.", what_happened(&alert.arithmetic, &alert.definition)),
            detail: Some(details.join(" · ")),
            link: self.console.map(|console| format!("{console}/alerts/{}", alert.alert)),
            mark: Mark::Alert(alert.severity),
        }
    }

    fn lasted(&self, alert: &AlertFacts) -> String {
        match alert.over {
            Some(over) if over > alert.opened => format!("from {}", self.span_in_words(alert.opened, over)),
            Some(_) => format!("at {}", self.when(alert.opened)),
            None => format!("since {}", self.when(alert.opened)),
        }
    }

    /// What was said. Of a subject with nothing else to tell, no mention is nothing to tell.
    fn mention_lines(&self, subject: &SubjectFacts, digest: &Digest, may_be_silent: bool) -> Vec<Line> {
        let id = ("subject", subject.id.as_str());
        let Digest { counts, before, risks, stories } = digest;
        if counts.total == 0 && may_be_silent {
            return Vec::new();
        }
        let mut lines = vec![Line {
            detail: (subject.expected.is_none() && counts.total > 0)
                .then(|| "Too little is known yet to say what is usual.".to_owned()),
            ..Line::new(self.volume(subject, counts, before), self.search(&[id]))
        }];
        if counts.negative + counts.positive > 0 {
            lines.push(Line::new(self.tone(counts, before), self.search(&[id, ("sentiment", "negative")])));
        }
        if !risks.is_empty() {
            let names: Vec<&str> = risks.iter().map(|risk| risk.risk.as_str()).collect();
            let query = format!("risk:({})", names.join(" OR "));
            let said = |(name, n): (&str, u64)| format!("{} {}", name.replace('_', " "), grouped(n));
            let said: Vec<String> =
                risks.iter().map(|risk| said((risk.risk.as_str(), risk.mentions))).collect();
            let text = format!("Risks that are spoken of: {}.", said.join(", "));
            lines.push(Line::new(text, self.search(&[id, ("q", &query)])));
        }
        let most = if self.facts.subjects.len() > 2 { 1 } else { MOST_STORIES };
        for (place, story) in stories.iter().take(most).enumerate() {
            if place == 0 || story.mentions > 1 || story.mention.reach.is_some() {
                lines.push(self.story_line(&subject.id, story));
            }
        }
        lines
    }

    fn volume(&self, subject: &SubjectFacts, counts: &ToneCounts, before: &ToneCounts) -> String {
        let now = match counts.total {
            0 => "No mention".to_owned(),
            total => mentions(total),
        };
        let usual = match subject.expected {
            Some(expected) => format!(", and {} to be expected", about(expected)),
            None => String::new(),
        };
        format!("{now}: {} in {}{usual}.", grouped(before.total), self.time_before())
    }

    fn tone(&self, counts: &ToneCounts, before: &ToneCounts) -> String {
        let time = self.time_before();
        if counts.total >= ENOUGH_FOR_SHARES && before.total >= ENOUGH_FOR_SHARES {
            return format!(
                "Tone: {} negative and {} positive; in {time} {} and {}.",
                percent(counts.negative, counts.total),
                percent(counts.positive, counts.total),
                percent(before.negative, before.total),
                percent(before.positive, before.total)
            );
        }
        let compared = match before.total {
            0 => String::new(),
            total => format!("; in {time} {} and {} of {}", before.negative, before.positive, grouped(total)),
        };
        format!(
            "Tone: {} negative and {} positive of {}{compared}.",
            counts.negative,
            counts.positive,
            grouped(counts.total)
        )
    }

    fn story_line(&self, subject: &str, story: &Story) -> Line {
        let quote = story.mention.said.quote(subject, &self.zone());
        let mut details = Vec::new();
        if story.mentions > 1 {
            details.push(mentions(story.mentions));
        }
        if let Some(reach) = story.mention.reach {
            let unit = story.mention.reach_unit.unwrap_or_default();
            details.push(format!("reach {} {unit}", grouped(reach)));
        }
        details.extend([quote.tone.to_owned(), quote.by, quote.at]);
        let link = match &story.story {
            Some(key) if story.mentions > 1 => {
                self.search(&[("subject", subject), ("q", &format!("story:{key}"))])
            }
            _ => self.mention(&story.mention.id),
        };
        Line {
            text: format!("“{}”", quote.text),
            detail: Some(details.join(" · ")),
            link,
            mark: Mark::Quote(quote.tone),
        }
    }

    fn lead(&self, digests: Option<&[Digest]>, gaps: bool) -> Line {
        let mut text = "No alert was open.".to_owned();
        if let Some(digests) = digests {
            let of = |(subject, digest): (&SubjectFacts, &Digest)| match digest.counts.total {
                0 => format!("none of {}", subject.name),
                total => format!("{} of {}", mentions(total), subject.name),
            };
            let read: Vec<String> = self.facts.subjects.iter().zip(digests).map(of).collect();
            text += &format!(" Read: {}.", listed(&read));
        }
        if gaps {
            text += " Not everything was heard: see below.";
        }
        let only = match self.facts.subjects.as_slice() {
            [only] => vec![("subject", only.id.as_str())],
            _ => Vec::new(),
        };
        Line::new(text, self.search(&only))
    }

    fn gap_lines(&self, index_is_silent: bool) -> Vec<Line> {
        let mut lines = Vec::new();
        if index_is_silent {
            let text = "The index did not answer, so nothing is said here of mentions.".to_owned();
            lines.push(Line::new(text, self.search(&[])));
        }
        for subject in &self.facts.subjects {
            let text = match subject.listened_from {
                Some(from) if from > self.period.start => {
                    format!("{} has been listened to only since {}.", subject.name, self.when(from))
                }
                None => format!("{} is not listened to yet.", subject.name),
                Some(_) => continue,
            };
            lines.push(Line::new(text, self.search(&[("subject", &subject.id)])));
        }
        let long = |gap: &&GapFacts| self.within_ms(gap) >= SHORTEST_GAP_MS;
        let gaps: Vec<&GapFacts> = self.facts.gaps.iter().filter(long).collect();
        lines.extend(gaps.iter().take(MOST_GAPS).map(|gap| self.gap_line(gap)));
        if gaps.len() > MOST_GAPS {
            let text = format!("And {}.", counted(gaps.len() - MOST_GAPS, "more time"));
            lines.push(Line::new(text, self.search(&[])));
        }
        lines
    }

    fn gap_line(&self, gap: &GapFacts) -> Line {
        let length = length(self.length_ms(gap));
        let text = match (&gap.name, gap.until) {
            (Some(name), None) => {
                format!("{name} has not answered since {} ({length}).", self.when(gap.from))
            }
            (Some(name), Some(until)) => {
                format!(
                    "{name} did not answer, or was not asked, from {} ({length}).",
                    self.span_in_words(gap.from, until)
                )
            }
            (None, None) => {
                format!("What was said since {} ({length}) is not read yet.", self.when(gap.from))
            }
            (None, Some(until)) => {
                format!(
                    "Earshot itself was not at work from {} ({length}).",
                    self.span_in_words(gap.from, until)
                )
            }
        };
        let link = match &gap.source {
            Some(source) => self.search(&[("source", source)]),
            None => self.search(&[]),
        };
        Line::new(text, link)
    }

    fn length_ms(&self, gap: &GapFacts) -> i64 {
        gap.until.unwrap_or(self.period.end).as_millis() - gap.from.as_millis()
    }

    /// How much of the time was in a gap.
    fn within_ms(&self, gap: &GapFacts) -> i64 {
        let until = gap.until.unwrap_or(self.period.end).min(self.period.end);
        until.as_millis() - gap.from.max(self.period.start).as_millis()
    }

    /// The console's search over the time, with these parameters beside.
    fn search(&self, parameters: &[(&str, &str)]) -> Option<String> {
        let console = self.console?;
        let (from, to) = (self.period.start.to_string(), self.period.end.to_string());
        let mut query = Serializer::new(String::new());
        query.extend_pairs(parameters);
        query.extend_pairs([("from", &from), ("to", &to), ("zone", &self.brief.zone)]);
        Some(format!("{console}/?{}", query.finish()))
    }

    fn mention(&self, id: &str) -> Option<String> {
        // Of a path a space is not written as a plus.
        let id: String = byte_serialize(id.as_bytes()).collect::<String>().replace('+', "%20");
        Some(format!("{}/mentions/{id}", self.console?))
    }

    fn zone(&self) -> TimeZone {
        self.brief.time_zone()
    }

    fn when(&self, at: Timestamp) -> String {
        local(at, &self.zone(), "%a %-d %b, %H:%M")
    }

    /// Two times, of which the second names its day only where it is another.
    fn span_in_words(&self, from: Timestamp, to: Timestamp) -> String {
        let day = |at| local(at, &self.zone(), "%F");
        let end = if day(from) == day(to) { local(to, &self.zone(), "%H:%M") } else { self.when(to) };
        format!("{} to {end}", self.when(from))
    }

    fn period_in_words(&self) -> String {
        let Range { start, end } = self.period;
        format!("{} to {} ({})", self.when(start), self.when(end), self.brief.zone)
    }

    /// The time before, which is as long, as people call it.
    fn time_before(&self) -> String {
        let length_ms = self.period.end.as_millis() - self.period.start.as_millis();
        // A day has 23 to 25 hours.
        let is = |days: i64| (length_ms - days * DAY_MS).abs() <= HOUR_MS;
        if is(1) {
            "the day before".to_owned()
        } else if is(7) {
            "the week before".to_owned()
        } else {
            format!("the {} before", length(length_ms))
        }
    }
}

/// A duration as people say it.
fn length(ms: i64) -> String {
    let (days, hours, minutes) = (ms / DAY_MS, ms % DAY_MS / HOUR_MS, ms % HOUR_MS / MINUTE_MS);
    match (days, hours, minutes) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => counted(usize::try_from(days).unwrap_or_default(), "day"),
        (days, hours, _) => {
            format!("{} {hours} h", counted(usize::try_from(days).unwrap_or_default(), "day"))
        }
    }
}

fn mentions(number: u64) -> String {
    match number {
        1 => "1 mention".to_owned(),
        number => format!("{} mentions", grouped(number)),
    }
}

fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.0} %", part as f64 * 100.0 / whole as f64)
}

/// Several names in a sentence; of many the first two.
fn listed(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [one, other, rest @ ..] => format!("{one}, {other} and {} more", rest.len()),
    }
}

#[cfg(test)]
mod tests;
