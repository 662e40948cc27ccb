//! A report for people: compact, and no wider than a terminal of eighty columns.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use earshot_common::time::Timestamp;
use earshot_ingest::{ListedSource, Standing};

use super::report::{Answer, Input, Program, Report};

/// Columns of a page, at most.
const WIDTH: usize = 80;
/// Services that read topics all the time.
const READERS: [&str; 3] = ["enrich", "index", "alerts"];

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let mut page = String::new();
    services(&mut page, &report.programs);
    let answers: Vec<&Answer> =
        report.programs.iter().filter_map(|program| program.answer.as_ref()).collect();
    inputs(&mut page, &answers);
    sources(&mut page, &answers, report.at);
    undelivered(&mut page, &answers, report.at);
    verdict(&mut page, &report.faults);
    page.trim_end().to_owned()
}

fn services(page: &mut String, programs: &[Program]) {
    line(page, &format!("{:<8} {:<14} address", "SERVICE", "state"));
    for program in programs {
        match &program.answer {
            Some(answer) => {
                for service in program.services() {
                    let address = &program.address;
                    line(
                        page,
                        &format!("{service:<8} {:<14} {address}, {}", "answers", answer.health.version),
                    );
                }
            }
            None => {
                let service = program.expected.unwrap_or("?");
                line(page, &format!("{service:<8} {:<14} {}", "NO ANSWER", program.address));
            }
        }
    }
    page.push('\n');
}

/// One line for each reader and topic: what waits in all partitions, and the shortest time that is left.
fn inputs(page: &mut String, answers: &[&Answer]) {
    let mut by_reader = BTreeMap::<(&str, &str), Vec<&Input>>::new();
    for input in answers.iter().flat_map(|answer| &answer.health.inputs) {
        by_reader.entry((&input.stage, &input.topic)).or_default().push(input);
    }
    if by_reader.is_empty() {
        return;
    }
    line(page, "READER   topic                partitions     unread      deleted in");
    for ((stage, topic), inputs) in &by_reader {
        let unread: u64 = inputs.iter().map(|input| input.lag).sum();
        let left = inputs.iter().filter_map(|input| input.retention_left_s).reduce(f64::min);
        // What is read cannot be lost any more.
        let left = left.filter(|_| unread > 0).map_or("-".to_owned(), hours);
        line(page, &format!("{stage:<8} {topic:<20} {:>10} {unread:>10}  {left:>14}", inputs.len()));
    }
    // As while a group shares out its partitions.
    let reads = |service: &str| by_reader.keys().any(|(stage, _)| *stage == service);
    for service in answers.iter().flat_map(|answer| &answer.health.services) {
        if READERS.contains(&service.as_str()) && !reads(service) {
            line(page, &format!("{service:<8} reads nothing at the moment"));
        }
    }
    page.push('\n');
}

fn sources(page: &mut String, answers: &[&Answer], at: Timestamp) {
    // Several instances of ingest list the same sources.
    let by_id: BTreeMap<&str, &ListedSource> = answers
        .iter()
        .flat_map(|answer| &answer.sources)
        .map(|source| (source.id.as_str(), source))
        .collect();
    if by_id.is_empty() {
        return;
    }
    let count = |standing| by_id.values().filter(|source| source.status == standing).count();
    line(
        page,
        &format!(
            "SOURCES  {} healthy, {} failing, {} new",
            count(Standing::Healthy),
            count(Standing::Failing),
            count(Standing::New)
        ),
    );
    for source in by_id.values().filter(|source| source.status == Standing::Failing) {
        let answered = source.last_success.map_or("it never answered".to_owned(), |last| {
            format!("it last answered {} ago", duration_s(seconds_between(last, at)))
        });
        wrapped(page, 2, &format!("{} fails; {answered}", source.id));
    }
    page.push('\n');
}

fn undelivered(page: &mut String, answers: &[&Answer], at: Timestamp) {
    let messages: Vec<_> = answers.iter().flat_map(|answer| &answer.undelivered).collect();
    if messages.is_empty() {
        return;
    }
    line(page, &format!("UNDELIVERED MESSAGES  {}", messages.len()));
    for message in messages {
        let state = if message.given_up { "given up" } else { "waiting" };
        let tried = match message.attempts {
            1 => "1 attempt".to_owned(),
            attempts => format!("{attempts} attempts"),
        };
        let age = duration_s(seconds_between(message.since, at));
        let what = message.alert.map_or_else(|| "a brief".to_owned(), |alert| format!("alert {alert}"));
        line(page, &format!("  {what}"));
        wrapped(
            page,
            4,
            &format!("{} of route {}: {age} old, {tried}, {state}", message.channel, message.route),
        );
    }
    page.push('\n');
}

/// The reasons are here and nowhere else, so that they are next to the prompt.
fn verdict(page: &mut String, faults: &[String]) {
    match faults.len() {
        0 => line(page, "all is well"),
        1 => line(page, "NOT WELL: 1 fault"),
        count => line(page, &format!("NOT WELL: {count} faults")),
    }
    for fault in faults {
        wrapped(page, 2, fault);
    }
}

fn seconds_between(earlier: Timestamp, later: Timestamp) -> f64 {
    (later.as_millis() - earlier.as_millis()).max(0) as f64 / 1_000.0
}

/// Retention in the unit in which people think of it.
fn hours(seconds: f64) -> String {
    format!("{:.1} h", seconds / 3_600.0)
}

/// About how long, in one unit.
fn duration_s(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

fn line(page: &mut String, text: &str) {
    let _ = writeln!(page, "{}", text.trim_end());
}

/// Writes a text over several lines, each after the same indent; what follows the first two further in.
fn wrapped(page: &mut String, indent: usize, text: &str) {
    let mut current = " ".repeat(indent);
    let mut empty = true;
    for word in text.split_whitespace() {
        let fits = current.chars().count() + 1 + word.chars().count() <= WIDTH;
        if !empty && !fits {
            line(page, &current);
            current = " ".repeat(indent + 2);
            empty = true;
        }
        if !empty {
            current.push(' ');
        }
        current.push_str(word);
        empty = false;
    }
    line(page, &current);
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::report::tests::{at, troubled};
    use super::*;

    #[test]
    fn the_page_says_everything_within_eighty_columns() {
        let page = page(&Report::of(troubled(), at()));
        expect![[r#"
            SERVICE  state          address
            index    answers        http://127.0.0.1:7700, 0.1.0
            ingest   answers        http://127.0.0.1:7701, 0.1.0
            enrich   NO ANSWER      http://127.0.0.1:7702
            alerts   answers        http://127.0.0.1:7703, 0.1.0

            READER   topic                partitions     unread      deleted in
            index    mentions.enriched             2       1200          22.2 h
            alerts   reads nothing at the moment

            SOURCES  1 healthy, 1 failing, 1 new
              news fails; it last answered 3 h ago

            UNDELIVERED MESSAGES  2
              alert a7000000000000000000000000000001
                webhook of route comms: 4 min old, 4 attempts, waiting
              alert a7000000000000000000000000000001
                mail of route comms: 2 s old, 0 attempts, waiting

            NOT WELL: 5 faults
              index has 1200 records of mentions.enriched partition 1 to read, of which the
                oldest are deleted in less than a day
              source news fails: HTTP 403 Forbidden
              enrich gives no answer at http://127.0.0.1:7702: Connection refused (os error
                111)
              alerts does not get on: append to `signals`: Local: Message timed out
              message a7000000000000000000000000000001/1/webhook/team is not delivered:
                webhook team: HTTP 500 Internal Server Error"#]]
        .assert_eq(&page);
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn a_long_reason_goes_on_in_the_next_line() {
        let mut page = String::new();
        wrapped(&mut page, 2, &"word ".repeat(20));
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("  word") && lines[1].starts_with("    word"), "{page}");
        assert!(lines[0].chars().count() <= WIDTH);
    }
}
