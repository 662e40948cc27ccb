//! The evaluation on the airline crisis of February 2015: imports the file as a person would, looks at what a
//! communications team would have seen, and writes the report.
//!
//! `cargo build --release -p earshot-tests && cargo run --release -p earshot-tests --bin airline -- FILE`, where FILE
//! is the *Twitter US Airline Sentiment* data set as CSV, plain or gzip. It prints the report, which holds no text
//! of the data set, and behind it the evidence of each alert of the hour rule, for whoever judges it.

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
/// What the file holds, by its own ids.
const DISTINCT_TWEETS: u64 = 14_485;
const ZONE: &str = "America/Los_Angeles";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = std::env::args_os().nth(1).map(PathBuf::from).context("name the file")?.canonicalize()?;
    let binary = std::env::current_exe()?.with_file_name("earshot-node");
    let folder = tempfile::tempdir()?;
    input::write_settings(folder.path(), WATCHLIST, "")?;
    let node =
        Node::up(&binary, folder.path()).await.context("is earshot-node built beside this program?")?;
    let watch = Watch::new(&node.address);

    let mut report = String::from("# The airline crisis of February 2015\n\n");
    let start = Instant::now();
    let first = import(&binary, folder.path(), &file, &node.address).await?;
    watch.until_searchable(DISTINCT_TWEETS).await?;
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
    for rule in ["airlines-day", "airlines-hour", "executives-each"] {
        report.push_str(&alert_table(rule, &alerts)?);
    }
    node.stop().await?;
    print(&report);
    print("## Evidence of the hour rule, to be read and judged\n");
    for alert in alerts.iter().filter(|alert| alert["rule"] == "airlines-hour") {
        print(&format!("{} {}", alert["subject"], alert["opened"]));
        for mention in alert["evidence_mentions"].as_array().into_iter().flatten() {
            print(&format!("  {}", mention["text"]));
        }
    }
    Ok(())
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
            let day = bucket["from"].as_str().unwrap_or_default().chars().take(10).collect();
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

/// The alerts of a rule with the numbers that opened them.
fn alert_table(rule: &str, alerts: &[Value]) -> anyhow::Result<String> {
    let mut chosen: Vec<&Value> = alerts.iter().filter(|alert| alert["rule"] == rule).collect();
    chosen.sort_by_key(|alert| (alert["subject"].to_string(), alert["opened"].to_string()));
    let mut text = format!("## Alerts of the rule `{rule}`: {}\n\n", chosen.len());
    if chosen.is_empty() {
        return Ok(text);
    }
    text.push_str("| subject | opened (UTC) | until (UTC) | window | observed | at its height | expected | probability | authors | evidence |\n");
    text.push_str("|---|---|---|---|---:|---:|---:|---:|---:|---:|\n");
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for alert in chosen {
        let steps = alert["transitions"].as_array().context("transitions")?;
        let numbers = &steps[0]["arithmetic"];
        let height = steps.iter().filter_map(|step| step["arithmetic"]["observed"].as_u64()).max();
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {:.1} | {:.1e} | {} | {} |",
            word(&alert["subject"]),
            word(&alert["opened"]),
            word(&alert["until"]),
            word(&numbers["window"]),
            numbers["observed"],
            height.unwrap_or_default(),
            numbers["expected"].as_f64().unwrap_or(f64::NAN),
            numbers["probability"].as_f64().unwrap_or(f64::NAN),
            numbers["authors"],
            alert["evidence"].as_array().map_or(0, Vec::len),
        )?;
    }
    text.push('\n');
    Ok(text)
}

#[expect(clippy::print_stdout, reason = "the report is this program's answer")]
fn print(text: &str) {
    println!("{text}");
}
