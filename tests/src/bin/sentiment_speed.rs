//! How fast sentiment is judged, explanations included, beside two other programs in the same run on one core, by its
//! time: the crate `vader-sentimental` and Python's vaderSentiment, which give a score and no words.
//!
//! `cargo run --release -p earshot-tests --bin sentiment_speed -- TEXTS.jsonl.gz`, where each row has a `text`. Python
//! is the program that `EARSHOT_PYTHON` names, or `python3`; without vaderSentiment in it the comparison is not run.

#![expect(clippy::print_stdout, reason = "the report of a program belongs on the standard output")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use earshot_enrich::sentiment::{Lexicon, Read};
use earshot_tests::core_time::CoreTime;
use earshot_tests::labelled;
use vader_sentimental::SentimentIntensityAnalyzer;

/// Each program runs so often, and its best time counts: other work on the machine only ever adds.
const RUNS: usize = 3;
/// Python gets one of so many texts, from all over the file.
const ONE_OF: usize = 20;

const PYTHON: &str = "
import sys, time
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
texts = sys.stdin.read().split('\\0')
judge = SentimentIntensityAnalyzer()
best = 1e9
for _ in range(3):
    start = time.process_time()
    for text in texts: judge.polarity_scores(text)
    best = min(best, time.process_time() - start)
print(best)
";

fn main() -> anyhow::Result<()> {
    let path = std::env::args_os().nth(1).map(PathBuf::from).context("name the texts")?;
    let texts = labelled::texts(&path)?;
    let lexicon = Lexicon::english();
    let ours = rate(&texts, |text| Read::new(&lexicon, None, text).message().words.len());
    println!("Earshot, with explanations  {ours:>9.0} texts a second");
    let analyzer = SentimentIntensityAnalyzer::new();
    let crate_ = rate(&texts, |text| usize::from(analyzer.polarity_scores(text).compound > 0.0));
    println!(
        "crate vader-sentimental     {crate_:>9.0} texts a second; Earshot is {:.2} times as fast",
        ours / crate_
    );
    let some: Vec<&str> = texts.iter().step_by(ONE_OF).map(String::as_str).collect();
    match python(&some) {
        Ok(python) => {
            println!(
                "Python's vaderSentiment     {python:>9.0} texts a second; Earshot is {:.1} times as fast",
                ours / python
            );
        }
        Err(reason) => println!("Python's vaderSentiment     NOT RUN: {reason:#}"),
    }
    Ok(())
}

/// Texts a second.
fn rate(texts: &[String], judge: impl Fn(&str) -> usize) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let time = CoreTime::start();
        let mut sum = 0;
        for text in texts {
            sum += judge(text);
        }
        std::hint::black_box(sum);
        best = best.min(time.elapsed().as_secs_f64());
    }
    texts.len() as f64 / best
}

fn python(texts: &[&str]) -> anyhow::Result<f64> {
    let python = std::env::var_os("EARSHOT_PYTHON").unwrap_or_else(|| "python3".into());
    let mut child = Command::new(&python)
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("start {}", python.display()))?;
    let mut input = child.stdin.take().context("Python takes no input")?;
    input.write_all(texts.join("\0").as_bytes()).context("send the texts")?;
    drop(input);
    let output = child.wait_with_output().context("wait for Python")?;
    anyhow::ensure!(output.status.success(), "{} has no vaderSentiment", python.display());
    let seconds: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().context("read its time")?;
    Ok(texts.len() as f64 / seconds)
}
