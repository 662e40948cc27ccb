//! `earshot query`: a query on its own, without a running system.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use earshot_common::definitions::Watchlist;
use earshot_common::events::{Enriched, Mention, RawPosition};
use earshot_common::query::{self, Matcher, Query, Reading, Span};
use earshot_common::time::{Clock, Timestamp};
use earshot_enrich::judge::{Knowledge, judge};
use earshot_index::TemporaryIndex;
use serde_json::{Map, Value, json};

use crate::{print, say};

#[derive(Debug, Subcommand)]
pub(crate) enum QueryCommand {
    /// Print the ids of the documents that a query matches, in the order of the file
    Match(MatchCommand),
    /// Show what a query is read as, what is probably not meant, and what it costs
    Check(CheckCommand),
}

#[derive(Debug, Args)]
pub(crate) struct MatchCommand {
    /// The query
    #[arg(long, value_name = "QUERY", allow_hyphen_values = true)]
    query: String,
    /// One JSON document a line: `id`, `text`, and whatever other fields of a mention there are
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Ask an index in memory instead of the matcher of the stream; the answer is the same
    #[arg(long)]
    index: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckCommand {
    /// The query
    #[arg(value_name = "QUERY", allow_hyphen_values = true)]
    query: String,
}

/// Carries out a command.
pub(crate) fn query(command: QueryCommand) -> anyhow::Result<()> {
    match command {
        QueryCommand::Match(command) => print_matches(&command),
        QueryCommand::Check(command) => check(&command.query),
    }
}

fn print_matches(command: &MatchCommand) -> anyhow::Result<()> {
    let reading = query::read(&command.query)?;
    for note in &reading.notes {
        say(&format!("{note}: the condition is left out"));
    }
    let now = Clock::system().now();
    let documents = Documents::open(&command.input, now)?;
    let matched = match command.index {
        true => by_index(&reading.query, documents, now)?,
        false => by_matcher(&reading.query, documents, now)?,
    };
    for id in matched {
        print(&id);
    }
    Ok(())
}

fn by_matcher(query: &Query, documents: Documents, now: Timestamp) -> anyhow::Result<Vec<String>> {
    let matcher = Matcher::new(query);
    let mut matched = Vec::new();
    for document in documents {
        let document = document?;
        if matcher.matches(&document.mention, now) {
            matched.push(document.id);
        }
    }
    Ok(matched)
}

fn by_index(query: &Query, documents: Documents, now: Timestamp) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut mentions = Vec::new();
    for document in documents {
        let document = document?;
        ids.push(document.id);
        mentions.push(document.mention);
    }
    let mut index = TemporaryIndex::new()?;
    index.add(mentions)?;
    let found = index.find(query, now)?;
    Ok(ids.into_iter().zip(0..).filter(|(_, number)| found.contains(number)).map(|(id, _)| id).collect())
}

/// A line of a file.
struct Document {
    /// As the file writes it.
    id: String,
    mention: Enriched,
}

/// The documents of a file, judged as the stream would with an empty watchlist. What the file itself says of
/// a judgement stands.
struct Documents {
    file: String,
    lines: std::iter::Enumerate<std::io::Lines<BufReader<File>>>,
    knowledge: Knowledge,
    now: Timestamp,
}

impl Documents {
    fn open(path: &Path, now: Timestamp) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("read {}", path.display()))?;
        Ok(Self {
            file: path.display().to_string(),
            lines: BufReader::new(file).lines().enumerate(),
            knowledge: Knowledge::shipped(&Watchlist::default())?,
            now,
        })
    }

    fn read(&self, line: &str) -> anyhow::Result<Document> {
        let given: Map<String, Value> = serde_json::from_str(line).context("the line is no JSON object")?;
        let id = match given.get("id") {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => bail!("field `id`, a string or a number, is missing"),
        };
        if !given.get("text").is_some_and(Value::is_string) {
            bail!("field `text`, a string, is missing");
        }
        let mut given = Value::Object(given);
        given["id"] = json!(id);
        let mut mention = self.bare();
        if given.get("author").is_some_and(Value::is_object) {
            mention["author"] = json!({ "id": "file:unknown" });
        }
        overlay(&mut mention, &given);
        let mention: Mention = serde_json::from_value(mention)?;
        let raw = RawPosition { partition: 0, offset: 0 };
        let mut judged = serde_json::to_value(judge(mention, raw, &self.knowledge, self.now))?;
        overlay(&mut judged, &given);
        Ok(Document { id, mention: serde_json::from_value(judged)? })
    }

    /// A mention with nothing about it.
    fn bare(&self) -> Value {
        json!({
            "v": 1, "revision": 0, "origin": "history", "source": { "id": "file", "network": "file" },
            "published": self.now, "collected": self.now,
        })
    }
}

impl Iterator for Documents {
    type Item = anyhow::Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (number, line) = self.lines.next()?;
            let place = || format!("{}:{}", self.file, number + 1);
            let line = match line.with_context(place) {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            if !line.trim().is_empty() {
                return Some(self.read(&line).with_context(place));
            }
        }
    }
}

/// Puts what is given over what is there, field by field.
fn overlay(there: &mut Value, given: &Value) {
    match (there, given) {
        (Value::Object(there), Value::Object(given)) => {
            for (key, value) in given {
                overlay(there.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (there, given) => *there = given.clone(),
    }
}

fn check(text: &str) -> anyhow::Result<()> {
    let reading = query::read(text)?;
    for line in report(text, &reading) {
        print(&line);
    }
    Ok(())
}

/// What is said of a query: its tree, what was left out of it, what is probably not meant, and its cost.
fn report(text: &str, reading: &Reading) -> Vec<String> {
    let mut lines = vec!["read as".to_owned()];
    tree(&reading.query, 1, &mut lines);
    for note in &reading.notes {
        lines.push(format!("left out: {note}"));
    }
    for lint in query::lint(text, reading) {
        lines.push(match lint.at {
            Some(at) => format!("warning: character {}: {}", at + 1, lint.message),
            None => format!("warning: {}", lint.message),
        });
    }
    lines.push(format!("cost: {} (one word is 1)", query::cost(&reading.query)));
    lines.push(match query::refusal(&reading.query) {
        Some(refusal) => format!("on the stream: refused: {refusal}"),
        None => "on the stream: it can stand".to_owned(),
    });
    lines
}

fn tree(query: &Query, depth: usize, lines: &mut Vec<String>) {
    match query {
        Query::And(parts) => branch("AND", parts, depth, lines),
        Query::Or(parts) => branch("OR", parts, depth, lines),
        Query::Not(part) => branch("NOT", std::slice::from_ref(part.as_ref()), depth, lines),
        Query::Text(text) if matches!(text.span, Span::Near(_)) => {
            let scope = match text.scope {
                query::Scope::Anywhere => "",
                query::Scope::Title => "title: ",
                query::Scope::Body => "body: ",
            };
            span_tree(&text.span, scope, depth, lines);
        }
        Query::All => lines.push(indented(depth, "* (everything)")),
        Query::Text(_) | Query::Field(_) => lines.push(indented(depth, &query.to_string())),
    }
}

fn branch(name: &str, parts: &[Query], depth: usize, lines: &mut Vec<String>) {
    lines.push(indented(depth, name));
    for part in parts {
        tree(part, depth + 1, lines);
    }
}

fn span_tree(span: &Span, scope: &str, depth: usize, lines: &mut Vec<String>) {
    match span {
        Span::Near(near) => {
            let operator = if near.ordered { "ONEAR" } else { "NEAR" };
            lines.push(indented(depth, &format!("{scope}{operator}/{}", near.distance)));
            span_tree(&near.left, "", depth + 1, lines);
            span_tree(&near.right, "", depth + 1, lines);
        }
        Span::Any(spans) => {
            lines.push(indented(depth, "OR"));
            for span in spans {
                span_tree(span, "", depth + 1, lines);
            }
        }
        Span::Word(_) | Span::Phrase(_) | Span::Raw(_) => lines.push(indented(depth, &span.to_string())),
    }
}

fn indented(depth: usize, line: &str) -> String {
    format!("{}{line}", "  ".repeat(depth))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use expect_test::{Expect, expect};

    use super::*;

    fn check(query: &str, wanted: Expect) {
        wanted.assert_eq(&report(query, &query::read(query).unwrap()).join("\n"));
    }

    #[test]
    fn a_query_is_shown_with_its_tree_its_lint_and_its_cost() {
        check(
            "harbor AND (outage NEAR/3 (\"app down\" OR ba*)) NOT (#ad OR city:london) reach:>5",
            expect![[r#"
                read as
                  AND
                    harbor
                    NEAR/3
                      outage
                      OR
                        "app down"
                        ba*
                    NOT
                      #ad
                    reach:[6 TO *]
                left out: character 60: the field `city` is not known here
                warning: `ba*` begins with 2 known characters and stands for very many words; give at least 3
                cost: 38 (one word is 1)
                on the stream: refused: reach:[6 TO *] cannot stand on the stream: reach grows after a mention was matched, which is not done again; ask for `followers:`; rules of `each mention` have `reach_at_least`"#]],
        );
    }

    fn matches(documents: &str, query: &str) -> anyhow::Result<Vec<String>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(documents.as_bytes()).unwrap();
        let query = query::parse(query).unwrap();
        let now = "2026-01-02T00:00:00Z".parse().unwrap();
        let one = by_matcher(&query, Documents::open(file.path(), now)?, now)?;
        let other = by_index(&query, Documents::open(file.path(), now)?, now)?;
        assert_eq!(one, other, "both back ends say the same of {query}");
        Ok(one)
    }

    #[test]
    fn documents_are_mentions_with_whatever_fields_they_give() {
        let documents = r#"
            {"id": "b", "text": "the app is down", "title": "Outage", "author": {"handle": "Ann", "followers": 7}}
            {"id": 1, "text": "Die App ist leider schon wieder kaputt und niemand antwortet", "reach": 500}
            {"id": "b", "text": "app", "published": "2025-12-01T00:00:00Z", "lang": "pt", "source": {"site": "x.example"}}
        "#;
        let found = |query| matches(documents, query).unwrap();
        assert_eq!(found("app"), ["b", "1", "b"]);
        assert_eq!(found("title:outage author:ann followers:<10"), ["b"]);
        assert_eq!(found("lang:de reach:500"), ["1"]);
        assert_eq!(found("lang:pt site:example before:2026-01-01"), ["b"]);
        assert_eq!(found("after:-1d"), ["b", "1"]);
        assert_eq!(found("nothing"), [""; 0]);
    }

    #[test]
    fn a_line_that_is_no_document_is_named() {
        let error = |line: &str| format!("{:#}", matches(&format!("\n{line}"), "a").unwrap_err());
        assert!(error("nonsense").contains(":2: the line is no JSON object"));
        assert!(error(r#"{"text": "a"}"#).contains(":2: field `id`, a string or a number, is missing"));
        assert!(error(r#"{"id": "a"}"#).contains(":2: field `text`, a string, is missing"));
    }
}
