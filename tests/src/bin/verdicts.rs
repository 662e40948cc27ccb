//! Every alert about a file of the past, with its numbers and its evidence, for whoever judges it.
//!
//! `cargo build --release -p earshot-tests && cargo run --release -p earshot-tests --bin verdicts -- WATCHLIST FILE`,
//! where FILE is anything that `earshot import` reads. It imports the file as a person would, twice, and prints what
//! the services found: how many alerts there are and stand for themselves, whether any situation has two of them, and
//! then each alert, oldest first, with the arithmetic that raised it and the texts behind it. `--table FILE` writes a
//! line for each alert that stands for itself, without a text of the data set; the reports keep it with the verdicts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use earshot_common::events::{Arithmetic, Transition};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;
use earshot_tests::input;
use earshot_tests::node::{self, Node};
use earshot_tests::watch::Watch;
use serde::Deserialize;
use serde_json::Value;

/// A long past takes its time on a slow machine: so often is asked for the end of it, each time with patience.
const MOST_WAITS: u32 = 10;
/// So much of a text is enough to judge it.
const LONGEST_TEXT: usize = 200;

/// Prints every alert about a file of the past, ready for a verdict.
#[derive(Debug, Parser)]
struct Arguments {
    /// Subjects and rules.
    watchlist: PathBuf,
    /// The mentions, as `earshot import` reads them.
    file: PathBuf,
    /// Where to write a line for each alert.
    #[arg(long)]
    table: Option<PathBuf>,
}

/// What the judge needs of an alert.
#[derive(Debug, Deserialize)]
struct Alert {
    id: AlertKey,
    rule: String,
    subject: String,
    severity: u8,
    opened: Timestamp,
    until: Timestamp,
    parent: Option<AlertKey>,
    arithmetic: Arithmetic,
    evidence_mentions: Vec<Mention>,
    transitions: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Mention {
    text: String,
    event_time: Timestamp,
    author: Option<Author>,
}

#[derive(Debug, Deserialize)]
struct Author {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Step {
    transition: Transition,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let watchlist = std::fs::read_to_string(&arguments.watchlist)
        .with_context(|| format!("read {}", arguments.watchlist.display()))?;
    let file = arguments.file.canonicalize().with_context(|| arguments.file.display().to_string())?;
    let binary = std::env::current_exe()?.with_file_name("earshot-node");
    let folder = tempfile::tempdir()?;
    input::write_settings(folder.path(), &watchlist, "")?;
    let node =
        Node::up(&binary, folder.path()).await.context("is earshot-node built beside this program?")?;
    let watch = Watch::new(&node.address);

    let imported = import(&binary, folder.path(), &file, &node.address).await?;
    let alerts = alerts_now(&watch).await?;
    import(&binary, folder.path(), &file, &node.address).await?;
    let again = alerts_now(&watch).await?;
    node.stop().await?;

    print(&format!("{imported}\n{}", summary(&alerts, &again)?));
    for (number, alert) in (1..).zip(&alerts) {
        print(&alert.to_be_judged(number)?);
    }
    if let Some(path) = arguments.table {
        std::fs::write(&path, table(&alerts)?).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

async fn import(binary: &Path, folder: &Path, file: &Path, server: &str) -> anyhow::Result<String> {
    let file = file.to_string_lossy();
    let (ok, said, noted) =
        node::command(binary, folder, &["import", &file, "--server", server, "--name", "past"]).await?;
    anyhow::ensure!(ok, "import: {noted}");
    Ok(said)
}

/// All alerts once everything is judged, searchable and decided; oldest first.
async fn alerts_now(watch: &Watch) -> anyhow::Result<Vec<Alert>> {
    watch.until("/api/status", |status| status["up_to_date"] == Value::Bool(true)).await?;
    let mut waits = 1;
    while let Err(error) = watch.until_decided().await {
        anyhow::ensure!(waits < MOST_WAITS, error);
        waits += 1;
    }
    let mut answer = watch.get("/api/alerts").await?;
    let mut alerts: Vec<Alert> =
        serde_json::from_value(answer["alerts"].take()).context("read the alerts")?;
    alerts.sort_by(|a, b| (a.opened, &a.subject, &a.rule).cmp(&(b.opened, &b.subject, &b.rule)));
    Ok(alerts)
}

fn summary(alerts: &[Alert], again: &[Alert]) -> anyhow::Result<String> {
    let mut by_rule: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for alert in alerts {
        let (all, alone) = by_rule.entry(&alert.rule).or_default();
        *all += 1;
        *alone += u32::from(alert.parent.is_none());
    }
    let mut text = format!(
        "{} alerts, {} after a second import; {} stand for themselves\n",
        alerts.len(),
        again.len(),
        alerts.iter().filter(|alert| alert.parent.is_none()).count(),
    );
    for (rule, (all, alone)) in by_rule {
        writeln!(text, "* {rule}: {all}, {alone} for themselves")?;
    }
    let doubled = doubled(alerts);
    writeln!(text, "{} situations of one subject have a second alert that stands for itself", doubled.len())?;
    for (first, second) in doubled {
        writeln!(text, "* {} {} and {} {}", first.rule, first.opened, second.rule, second.opened)?;
    }
    Ok(text)
}

/// Alerts of one subject that stand for themselves while another one does.
fn doubled(alerts: &[Alert]) -> Vec<(&Alert, &Alert)> {
    let alone: Vec<&Alert> = alerts.iter().filter(|alert| alert.parent.is_none()).collect();
    let mut doubled = Vec::new();
    for (place, second) in alone.iter().enumerate() {
        let overlaps = |first: &&&Alert| first.subject == second.subject && second.opened < first.until;
        if let Some(first) = alone[..place].iter().rev().find(overlaps) {
            doubled.push((*first, *second));
        }
    }
    doubled
}

impl Alert {
    fn to_be_judged(&self, number: usize) -> anyhow::Result<String> {
        let steps: Vec<&str> = self.transitions.iter().map(|step| step.transition.name()).collect();
        let mut text = format!(
            "\n{number}. {} {} {} to {}, severity {}{}\n   {}; {}\n",
            self.subject,
            self.rule,
            self.opened,
            self.until,
            self.severity,
            self.parent.map_or(String::new(), |parent| format!(", with {parent}")),
            self.numbers()?,
            steps.join(" "),
        );
        writeln!(text, "   {}", self.id)?;
        let mut texts = BTreeSet::new();
        for mention in &self.evidence_mentions {
            let short: String = mention.text.chars().take(LONGEST_TEXT).collect();
            let author = mention.author.as_ref().map_or("?", |author| &author.id);
            // Copies of one text are named once.
            let times = self.evidence_mentions.iter().filter(|other| other.text == mention.text).count();
            if texts.insert(&mention.text) {
                let line = short.replace('\n', " ");
                writeln!(text, "   - {} {author} ×{times}: {line}", mention.event_time)?;
            }
        }
        Ok(text)
    }

    /// What raised it.
    fn numbers(&self) -> anyhow::Result<String> {
        Ok(match &self.arithmetic {
            Arithmetic::Count(count) => format!(
                "{} {} in {} by {} authors, {} expected, probability {}, from {} on",
                count.observed,
                serde_json::to_value(count.measure)?.as_str().unwrap_or_default(),
                count.window,
                count.authors,
                count.expected.map_or("little data".to_owned(), |expected| format!("{expected:.1}")),
                count.probability.map_or("?".to_owned(), |probability| format!("{probability:.1e}")),
                count.threshold,
            ),
            Arithmetic::Each(each) => format!(
                "polarity {}, reach {}, {} matched",
                each.polarity,
                each.reach.map_or("unknown".to_owned(), |reach| reach.to_string()),
                each.matched
            ),
            Arithmetic::Tone(tone) => tone.to_string(),
            Arithmetic::Reach(reach) => reach.to_string(),
            Arithmetic::Absence(absence) => absence.to_string(),
            Arithmetic::Novelty(novelty) => novelty.to_string(),
            Arithmetic::Rank(rank) => rank.to_string(),
        })
    }
}

/// Those that stand for themselves, tab-separated, with a column for the verdict and one for its reason.
fn table(alerts: &[Alert]) -> anyhow::Result<String> {
    let mut text = "alert\tsubject\trule\topened\tuntil\tseverity\tnumbers\tverdict\twhy\n".to_owned();
    for alert in alerts.iter().filter(|alert| alert.parent.is_none()) {
        let Alert { id, subject, rule, opened, until, severity, .. } = alert;
        let numbers = alert.numbers()?;
        writeln!(text, "{id}\t{subject}\t{rule}\t{opened}\t{until}\t{severity}\t{numbers}\t\t")?;
    }
    Ok(text)
}

#[expect(clippy::print_stdout, reason = "the report is this program's answer")]
fn print(text: &str) {
    println!("{text}");
}
