//! What a message says, in words for somebody who reads it on a phone. No mention text: that is read in the
//! console, which knows what was deleted meanwhile.

use askama::Template;
use earshot_common::definitions::Watchlist;
use earshot_common::events::{
    AlertEvent, Arithmetic, Channel, CountArithmetic, CountSpan, EachArithmetic, Seasonality,
};
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;

use super::Job;

/// How many counts of the baseline a message lists.
const LISTED: usize = 8;

/// A message to one address.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The same at every attempt.
    pub(crate) key: String,
    pub(crate) to: Channel,
    pub(crate) event: AlertEvent,
    /// What happened, in a line.
    pub(crate) headline: String,
    /// How it stands against what was to be expected, a sentence each.
    pub(crate) sentences: Vec<String>,
    /// Where to read more.
    pub(crate) link: Option<String>,
}

#[derive(Template)]
#[template(path = "alert.html")]
struct HtmlBody<'a> {
    message: &'a Message,
    urgency: &'static str,
}

#[derive(Template)]
#[template(path = "alert.txt")]
struct TextBody<'a> {
    message: &'a Message,
    urgency: &'static str,
}

impl Message {
    /// The message of a notification.
    pub(crate) fn compose(job: Job, watchlist: &Watchlist, console_url: Option<&str>) -> Self {
        let event = AlertEvent::clone(&job.event);
        let subject = watchlist.subject(&event.subject);
        let name = subject.map_or(event.subject.as_str(), |subject| subject.name.as_str());
        let zone = subject.map_or(TimeZone::UTC, |subject| subject.time_zone());
        let (headline, sentences) = match &event.arithmetic {
            Arithmetic::Count(count) => {
                (count_headline(name, count), count_sentences(count, event.until, &zone))
            }
            Arithmetic::Each(each) => (each_headline(name, each), each_sentences(each, event.opened, &zone)),
        };
        let link =
            console_url.map(|console| format!("{}/alerts/{}", console.trim_end_matches('/'), event.alert));
        Self { key: job.notification.key, to: job.notification.to, event, headline, sentences, link }
    }

    /// The subject line of a mail.
    pub(crate) fn subject_line(&self) -> String {
        format!("[{}/10] {}", self.event.severity, self.headline)
    }

    /// The body for every reader.
    pub(crate) fn text(&self) -> Result<String, askama::Error> {
        TextBody { message: self, urgency: urgency(self.event.severity) }.render()
    }

    /// The body for readers that show HTML.
    pub(crate) fn html(&self) -> Result<String, askama::Error> {
        HtmlBody { message: self, urgency: urgency(self.event.severity) }.render()
    }
}

fn urgency(severity: u8) -> &'static str {
    match severity {
        7.. => "needs attention now",
        4..=6 => "for the team",
        _ => "for the brief",
    }
}

fn count_headline(name: &str, count: &CountArithmetic) -> String {
    let observed = grouped(u64::from(count.observed));
    let window = match count.span() {
        CountSpan::Hour => "an hour",
        CountSpan::TwoHours => "two hours",
        CountSpan::Day => "a day",
    };
    match count.expected {
        Some(expected) => format!("{name}: {observed} mentions in {window}, {} expected", about(expected)),
        None => format!("{name}: {observed} mentions in {window}, too little history to say what is usual"),
    }
}

fn count_sentences(count: &CountArithmetic, until: Timestamp, zone: &TimeZone) -> Vec<String> {
    let start = count.window.split('/').next().and_then(|start| start.parse().ok()).unwrap_or(until);
    let (mentions, authors) = (grouped(u64::from(count.observed)), grouped(u64::from(count.authors)));
    let by = format!("by {authors} different authors");
    let hours =
        || format!("{} to {}", local(start, zone, "%H:%M"), local(until, zone, "%H:%M, %A, %-d %B %Y"));
    let counted = match count.span() {
        CountSpan::Hour => format!("{mentions} mentions {by} in the hour from {}", hours()),
        CountSpan::TwoHours => {
            format!("{mentions} mentions, those of the last hour {by}, in the two hours from {}", hours())
        }
        CountSpan::Day => format!("{mentions} mentions {by} on {}", local(start, zone, "%A, %-d %B %Y")),
    };
    let zone_name = zone.iana_name().unwrap_or("UTC");
    let mut sentences = vec![format!("{counted} ({zone_name}), and the count may still grow.")];
    if let (Some(expected), Some(probability)) = (count.expected, count.probability) {
        let listed: Vec<String> =
            count.baseline.iter().rev().take(LISTED).rev().map(|count| grouped(u64::from(*count))).collect();
        sentences.push(format!(
            "{} were to be expected: {} before had {}{}.",
            capitalised(&about(expected)),
            likeness(count.seasonality),
            listed.join(", "),
            count.drawn_to.map_or_else(String::new, |usual| format!(", and {} are usual", about(usual)))
        ));
        sentences.push(format!("By chance alone as many come {}.", odds(probability, count.span())));
    } else {
        sentences.push(format!(
            "There is less than two days of history, so {} or more decided: the rule's own limit, or four times the \
             highest hour so far.",
            grouped(u64::from(count.threshold))
        ));
    }
    sentences
}

fn each_headline(name: &str, each: &EachArithmetic) -> String {
    match each.audience() {
        Some((reach, unit)) => {
            format!("{name}: a negative mention with a reach of {} {unit}", grouped(reach))
        }
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
    if let Some((reach, unit)) = each.audience() {
        sentences.push(format!(
            "Its reach is {} {unit}; the rule asks for {} or more.",
            grouped(reach),
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
fn odds(probability: f64, span: CountSpan) -> String {
    let windows = match span {
        CountSpan::Hour => "such hours",
        CountSpan::TwoHours => "such pairs of hours",
        CountSpan::Day => "days",
    };
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

fn local(at: Timestamp, zone: &TimeZone, format: &str) -> String {
    at.to_jiff().to_zoned_datetime(zone.clone()).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::delivery::tests::message;

    #[test]
    fn a_message_says_what_how_bad_and_against_what() {
        let message = message(Channel::Log, "Harbor");
        expect!["[7/10] Harbor: 1,064 mentions in an hour, about 11 expected"]
            .assert_eq(&message.subject_line());
        expect![[r#"
            Harbor: 1,064 mentions in an hour, about 11 expected
            Severity 7 of 10: needs attention now.

            1,064 mentions by 51 different authors in the hour from 04:00 to 05:00, Monday, 5 January 2026 (America/New_York), and the count may still grow.
            About 11 were to be expected: the same hour of the days before had 9, 12, 10, 14.
            By chance alone as many come about once in 3,200,000 such hours.

            Mentions and history: https://earshot.harbor.example/alerts/a7000000000000000000000000000001

            Rule harbor-volume: count of mentions in an hour against expectation
            Alert a7000000000000000000000000000001, sent by Earshot"#]].assert_eq(&message.text().unwrap());
    }

    #[test]
    fn an_hour_that_was_judged_with_the_one_before_is_told_as_two() {
        let mut message = message(Channel::Log, "Harbor");
        let Arithmetic::Count(count) = &mut message.event.arithmetic else { panic!("a count") };
        count.window = "2026-01-05T08:00:00Z/PT2H".to_owned();
        count.drawn_to = Some(12.4);
        let until = "2026-01-05T10:00:00Z".parse().unwrap();
        expect!["Harbor: 1,064 mentions in two hours, about 11 expected"]
            .assert_eq(&count_headline("Harbor", count));
        expect![[r#"
            1,064 mentions, those of the last hour by 51 different authors, in the two hours from 08:00 to 10:00, Monday, 5 January 2026 (UTC), and the count may still grow.
            About 11 were to be expected: the same hour of the days before had 9, 12, 10, 14, and about 12 are usual.
            By chance alone as many come about once in 3,200,000 such pairs of hours."#]].assert_eq(&count_sentences(count, until, &TimeZone::UTC).join("\n"));
    }

    #[test]
    fn what_people_called_something_is_escaped() {
        let html = message(Channel::Log, "Har<b>bor & Sons").html().unwrap();
        assert!(!html.contains("<b>bor"), "{html}");
        assert!(
            html.contains("href=\"https://earshot.harbor.example/alerts/a7000000000000000000000000000001\""),
            "{html}"
        );
    }

    #[test]
    fn odds_are_said_in_two_digits() {
        assert_eq!(odds(3.1e-7, CountSpan::Hour), "about once in 3,200,000 such hours");
        assert_eq!(odds(0.00098, CountSpan::Day), "about once in 1,000 days");
        assert_eq!(odds(1e-40, CountSpan::Day), "less than once in a billion days");
    }
}
