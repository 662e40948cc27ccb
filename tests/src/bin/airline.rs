//! The evaluation on the airline crisis of February 2015: imports the file as a person would, looks at what a
//! communications team would have seen, and writes the report.
//!
//! `cargo run --release -p earshot-tests --bin airline -- FILE [REPORT]`, where FILE is the *Twitter US Airline
//! Sentiment* data set as CSV, plain or gzip.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use earshot_tests::input;
use earshot_tests::node::{self, Node};
use earshot_tests::watch::Watch;
use serde_json::Value;

const WATCHLIST: &str = include_str!("../../evaluations/airlines.toml");
const ZONE: &str = "America/Los_Angeles";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let file = arguments.next().context("name the file")?.canonicalize()?;
    let report_file = arguments.next();
    let binary = std::env::current_exe()?.with_file_name("earshot-node");
    let folder = tempfile::tempdir()?;
    input::write_settings(folder.path(), WATCHLIST, "")?;
    let node =
        Node::up(&binary, folder.path()).await.context("is earshot-node built beside this program?")?;
    let watch = Watch::new(&node.address);

    let mut report = String::from("# The airline crisis of February 2015\n\n");
    let start = Instant::now();
    let first = import(&binary, folder.path(), &file, &node.address).await?;
    watch.until("/api/status", |status| status["up_to_date"] == Value::Bool(true)).await?;
    let documents = watch.get("/api/status").await?["documents"].clone();
    writeln!(
        report,
        "* first import: {first}\n* searchable: {documents}, {:.1} s after the start of the import",
        start.elapsed().as_secs_f64()
    )?;
    watch.until("/api/alerts", |alerts| !alerts["alerts"].as_array().is_some_and(Vec::is_empty)).await?;
    watch.until_decided().await?;
    let alerts = watch.get("/api/alerts").await?["alerts"].as_array().cloned().context("alerts")?;

    let second = import(&binary, folder.path(), &file, &node.address).await?;
    watch.until("/api/status", |status| status["up_to_date"] == Value::Bool(true)).await?;
    watch.until_decided().await?;
    let documents_after = watch.get("/api/status").await?["documents"].clone();
    let alerts_after = watch.get("/api/alerts").await?["alerts"].as_array().map_or(0, Vec::len);
    writeln!(
        report,
        "* second import: {second}\n* searchable after it: {documents_after}; alerts {} before, {alerts_after} after\n",
        alerts.len()
    )?;

    report.push_str(&searches(&watch).await?);
    report.push_str(&timeline(&watch).await?);
    for rule in ["airlines-day", "airlines-hour"] {
        report.push_str(&alert_table(&watch, rule, &alerts).await?);
    }
    node.stop().await?;
    match report_file {
        Some(path) => std::fs::write(&path, report).with_context(|| format!("write {}", path.display())),
        None => {
            print(&report);
            Ok(())
        }
    }
}

async fn import(binary: &Path, folder: &Path, file: &Path, server: &str) -> anyhow::Result<String> {
    let file = file.to_string_lossy();
    let (ok, said, noted) =
        node::command(binary, folder, &["import", &file, "--server", server, "--name", "airline"]).await?;
    anyhow::ensure!(ok, "import: {noted}");
    Ok(format!(
        "{}{}",
        said.trim(),
        if noted.is_empty() { String::new() } else { format!("; noted: {}", noted.trim()) }
    ))
}

async fn searches(watch: &Watch) -> anyhow::Result<String> {
    let mut text = String::from("## \"cancelled flight\" about one airline\n\n");
    for subject in ["us-airways", "virgin-america"] {
        let found = watch
            .get(&format!("/api/search?q=%22cancelled+flight%22&subject={subject}&limit=3&sort=relevance"))
            .await?;
        writeln!(text, "{subject}: {} found", found["total"])?;
        for hit in found["hits"].as_array().into_iter().flatten() {
            let highlights = hit["highlights"].as_array().map_or(0, Vec::len);
            writeln!(text, "* {highlights} highlights, sentiment {}", hit["sentiment"]["label"])?;
        }
        text.push('\n');
    }
    Ok(text)
}

/// Mentions by day and subject, in the file's zone.
async fn timeline(watch: &Watch) -> anyhow::Result<String> {
    let mut days: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let subjects = ["us-airways", "united", "jetblue", "southwest", "virgin-america", "american"];
    for subject in subjects {
        let histogram = watch.get(&format!("/api/histogram?by=day&zone={ZONE}&subject={subject}")).await?;
        for bucket in histogram["buckets"].as_array().into_iter().flatten() {
            let day = bucket["start"].as_str().unwrap_or_default().chars().take(10).collect();
            days.entry(day)
                .or_default()
                .insert(subject.to_owned(), bucket["total"].as_u64().unwrap_or_default());
        }
    }
    let mut text = format!(
        "## Mentions a day, in {ZONE}\n\n| day | {} |\n|---|{}\n",
        subjects.join(" | "),
        "---:|".repeat(subjects.len())
    );
    for (day, counts) in days {
        let cells: Vec<String> =
            subjects.iter().map(|s| counts.get(*s).copied().unwrap_or_default().to_string()).collect();
        writeln!(text, "| {day} | {} |", cells.join(" | "))?;
    }
    text.push('\n');
    Ok(text)
}

/// The alerts of a rule with their numbers; evidence is read by whoever judges, in the console.
async fn alert_table(watch: &Watch, rule: &str, alerts: &[Value]) -> anyhow::Result<String> {
    let mut chosen: Vec<&Value> = alerts.iter().filter(|alert| alert["rule"] == rule).collect();
    chosen.sort_by_key(|alert| (alert["subject"].to_string(), alert["opened"].to_string()));
    let mut text = format!(
        "## Alerts of the rule `{rule}`: {}\n\n| subject | opened | until | window | observed | expected | probability | authors | first words of the evidence |\n|---|---|---|---|---:|---:|---:|---:|---|\n",
        chosen.len()
    );
    for alert in chosen {
        let detail = watch.get(&format!("/api/alerts/{}", alert["id"].as_str().unwrap_or_default())).await?;
        let opened = &detail["transitions"][0];
        let numbers = &opened["arithmetic"];
        let evidence: Vec<String> =
            detail["evidence_mentions"].as_array().into_iter().flatten().take(3).map(first_words).collect();
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.1} | {:.1e} | {} | {} |",
            alert["subject"].as_str().unwrap_or_default(),
            alert["opened"].as_str().unwrap_or_default(),
            alert["until"].as_str().unwrap_or_default(),
            numbers["window"].as_str().unwrap_or_default(),
            numbers["observed"],
            numbers["expected"].as_f64().unwrap_or(f64::NAN),
            numbers["probability"].as_f64().unwrap_or(f64::NAN),
            numbers["authors"],
            evidence.join(" / "),
        )?;
    }
    text.push('\n');
    Ok(text)
}

fn first_words(mention: &Value) -> String {
    let text = mention["text"].as_str().unwrap_or_default().replace(['|', '\n'], " ");
    text.split_whitespace().take(12).collect::<Vec<_>>().join(" ")
}

#[expect(clippy::print_stdout, reason = "the report is this program's answer")]
fn print(text: &str) {
    println!("{text}");
}
