//! `earshot dead-letters`: what was rejected, why, and driving it again.
//!
//! Every word of a letter comes from outside: it is escaped before it reaches a terminal.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use earshot_index::{Letter, LetterPage, LetterSummary, RedriveAnswer, RedriveRequest};

use crate::client::{Client, Server};
use crate::terminal::{lines, one_line};
use crate::{print, say};

/// Letters that are asked for at once, at most.
const PAGE: usize = 100;
/// Offsets that are named where letters were not driven again.
const OFFSETS_NAMED: usize = 10;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List them, newest first: offset, time, service, kind, where it came from, and the reason
    List(ListCommand),
    /// Show one: its reason, its headers and the original value
    Show(ShowCommand),
    /// Append letters as they were to the topic that they came from; twice is harmless
    Redrive(RedriveCommand),
}

#[derive(Debug, Args)]
pub(crate) struct ListCommand {
    /// How many
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    limit: usize,
    /// Only letters older than this offset
    #[arg(long, value_name = "OFFSET")]
    before: Option<u64>,
    /// Only letters of this service: ingest, enrich, index or alerts
    #[arg(long)]
    service: Option<String>,
    /// Only letters of this kind: unreadable, newer_version, too_large or bad_row
    #[arg(long)]
    kind: Option<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct ShowCommand {
    /// Its offset, as the list shows it
    offset: u64,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct RedriveCommand {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Their offsets, as the list shows them
    #[arg(value_name = "OFFSET")]
    offsets: Vec<u64>,
    /// All of this kind, such as newer_version after an upgrade
    #[arg(long)]
    kind: Option<String>,
    /// All that are there
    #[arg(long)]
    all: bool,
}

pub(crate) async fn dead_letters(command: DeadLettersCommand, settings: &Path) -> anyhow::Result<()> {
    match command {
        DeadLettersCommand::List(command) => list(command, settings).await,
        DeadLettersCommand::Show(command) => show(command, settings).await,
        DeadLettersCommand::Redrive(command) => redrive(command, settings).await,
    }
}

async fn list(command: ListCommand, settings: &Path) -> anyhow::Result<()> {
    let client = Client::find(&command.server, settings, "index").await?;
    let mut before = command.before;
    let mut left = command.limit;
    let mut next = None;
    while left > 0 {
        let mut query: Vec<(&str, String)> = vec![("limit", left.min(PAGE).to_string())];
        query.extend(before.map(|before| ("before", before.to_string())));
        query.extend(command.service.clone().map(|service| ("service", service)));
        query.extend(command.kind.clone().map(|kind| ("kind", kind)));
        let page: LetterPage = client.get_json("/api/dead-letters", &query).await?;
        if left == command.limit && !page.letters.is_empty() {
            print(&format!(
                "{:>8}  {:<24}  {:<7}  {:<13}  from: reason",
                "offset", "time", "service", "kind"
            ));
        }
        for letter in &page.letters {
            print(&row(letter));
        }
        left -= page.letters.len().min(left);
        next = page.next;
        match next {
            Some(next) => before = Some(next),
            None => break,
        }
    }
    match next {
        Some(next) => say(&format!("there may be older ones: --before {next}")),
        None if left == command.limit => say("there are no such dead letters"),
        None => {}
    }
    Ok(())
}

fn row(letter: &LetterSummary) -> String {
    format!(
        "{:>8}  {:<24}  {:<7}  {:<13}  {}: {}",
        letter.offset,
        letter.at,
        one_line(&letter.service),
        one_line(&letter.kind),
        one_line(&letter.from),
        one_line(&letter.reason)
    )
}

async fn show(command: ShowCommand, settings: &Path) -> anyhow::Result<()> {
    let client = Client::find(&command.server, settings, "index").await?;
    let letter: Letter = client.get_json(&format!("/api/dead-letters/{}", command.offset), &()).await?;
    print(&in_full(&letter));
    Ok(())
}

fn in_full(letter: &Letter) -> String {
    let LetterSummary { offset, at, service, kind, reason, from, erased } = &letter.summary;
    let mut text = format!(
        "dead letter {offset} of {at}\nrejected by {} ({}), came from {}\nreason: {}\n",
        one_line(service),
        one_line(kind),
        one_line(from),
        one_line(reason)
    );
    if *erased {
        return text + "nothing else of it is told";
    }
    text.push_str("headers:\n");
    for (name, value) in &letter.headers {
        text.push_str(&format!("  {}: {}\n", one_line(name), one_line(value)));
    }
    text.push_str(&format!("key: {}\n", letter.key.as_deref().map_or("none".to_owned(), one_line)));
    text.push_str("value:");
    // Set in, so that no line of it can pass for one of ours.
    for line in lines(&letter.value).split('\n') {
        text.push_str(&format!("\n  {line}"));
    }
    text
}

async fn redrive(command: RedriveCommand, settings: &Path) -> anyhow::Result<()> {
    let client = Client::find(&command.server, settings, "index").await?;
    let Which { offsets, kind, .. } = command.which;
    let mut done = RedriveAnswer::default();
    for offset in &offsets {
        let path = format!("/api/dead-letters/{offset}/redrive");
        add(&mut done, client.post_json(&path, &()).await?);
    }
    if offsets.is_empty() {
        let newest: LetterPage = client.get_json("/api/dead-letters", &[("limit", "1")]).await?;
        let mut request = RedriveRequest { from: 0, to: newest.end, kind, service: None };
        let mut next = Some(0);
        while let Some(from) = next {
            request.from = from;
            let answer: RedriveAnswer =
                client.post_json("/api/dead-letters/redrive", &request).await.with_context(|| {
                    format!("{} before letter {from}; the same command goes on", summary(&done))
                })?;
            next = answer.next;
            add(&mut done, answer);
        }
    }
    print(&summary(&done));
    for line in refusals(&done) {
        say(&line);
    }
    if done.redriven.is_empty() && !done.refused.is_empty() {
        anyhow::bail!("no letter was driven again");
    }
    Ok(())
}

fn add(sum: &mut RedriveAnswer, answer: RedriveAnswer) {
    for (topic, count) in answer.redriven {
        *sum.redriven.entry(topic).or_default() += count;
    }
    sum.refused.extend(answer.refused);
}

fn summary(answer: &RedriveAnswer) -> String {
    let total: u64 = answer.redriven.values().sum();
    let parts: Vec<String> =
        answer.redriven.iter().map(|(topic, count)| format!("{count} to {topic}")).collect();
    match parts.is_empty() {
        true => format!("{} driven again", letters(total)),
        false => format!("{} driven again: {}", letters(total), parts.join(", ")),
    }
}

/// A line for each reason, with the first offsets.
fn refusals(answer: &RedriveAnswer) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for refused in &answer.refused {
        by_reason.entry(&refused.why).or_default().push(refused.offset.to_string());
    }
    let line = |(why, offsets): (&str, Vec<String>)| {
        let more = if offsets.len() > OFFSETS_NAMED { ", …" } else { "" };
        let named = offsets.iter().take(OFFSETS_NAMED).cloned().collect::<Vec<_>>().join(", ");
        format!("{} not driven again ({named}{more}): {}", letters(offsets.len() as u64), one_line(why))
    };
    by_reason.into_iter().map(line).collect()
}

fn letters(count: u64) -> String {
    match count {
        1 => "1 letter".to_owned(),
        count => format!("{count} letters"),
    }
}

#[cfg(test)]
mod tests {
    use earshot_index::RefusedLetter;

    use super::*;

    fn letter(reason: &str, value: &str) -> Letter {
        let summary = LetterSummary {
            offset: 7,
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
            service: "enrich".to_owned(),
            kind: "unreadable".to_owned(),
            reason: reason.to_owned(),
            from: "mentions.raw/2:17".to_owned(),
            erased: false,
        };
        let headers = vec![("reason".to_owned(), reason.to_owned())];
        Letter { summary, headers, key: Some("hn:1".to_owned()), value: value.to_owned() }
    }

    #[test]
    fn no_letter_can_move_the_cursor_or_pass_for_our_own_lines() {
        let letter = letter("bad \u{1b}]0;title\u{7}\nreason: fine", "{\"text\":\"\u{9b}2J\"}\nreason: fine");
        for shown in [row(&letter.summary), in_full(&letter)] {
            assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
            assert!(!shown.lines().any(|line| line.starts_with("reason: fine")), "{shown}");
        }
        assert_eq!(row(&letter.summary).lines().count(), 1);
    }

    #[test]
    fn what_was_not_driven_again_is_told_by_reason() {
        let refused = |offset, why: &str| RefusedLetter { offset, why: why.to_owned() };
        let mut answer =
            RedriveAnswer { refused: vec![refused(3, "its author was erased")], ..Default::default() };
        answer.refused.extend((10..30).map(|offset| refused(offset, "a row")));
        add(
            &mut answer,
            RedriveAnswer { redriven: [("mentions.raw".to_owned(), 2)].into(), ..Default::default() },
        );
        assert_eq!(summary(&answer), "2 letters driven again: 2 to mentions.raw");
        assert_eq!(
            refusals(&answer),
            [
                "20 letters not driven again (10, 11, 12, 13, 14, 15, 16, 17, 18, 19, …): a row",
                "1 letter not driven again (3): its author was erased"
            ]
        );
    }
}
