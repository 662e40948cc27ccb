//! Many seeded runs of kills on one Apache Kafka node, and their summary.
//!
//! `cargo run -p earshot-tests --bin faults -- --runs 20 --kills 5` is a hundred kills; `--seed N` begins with
//! another seed, the following runs take the next ones. The summary goes to `tests/reports/faults.md`, or where
//! `--report FILE` says. With any other first argument it is the program under test.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use earshot_tests::cluster::KafkaNode;
use earshot_tests::faults::{Moment, Outcome, POINTS, Plan, Ran, Victim, carry_out};
use earshot_tests::node;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let first = arguments.get(1).and_then(|argument| argument.to_str()).unwrap_or("--");
    if !first.starts_with("--") {
        return node::main(arguments).await;
    }
    let running = async { run_all(Options::parse()?).await };
    let ran = tokio::select! {
        ran = running => ran,
        // What was started is dropped, and so killed.
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

struct Options {
    runs: usize,
    kills: usize,
    seed: u64,
    report: PathBuf,
}

impl Options {
    fn parse() -> anyhow::Result<Self> {
        let report = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/faults.md");
        let mut options = Self { runs: 20, kills: 5, seed: 1, report };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().with_context(|| format!("`{name}` needs a value"))?;
            let number = || value.parse::<u64>().with_context(|| format!("`{name} {value}`: give a number"));
            match name.as_str() {
                "--runs" => options.runs = number()? as usize,
                "--kills" => options.kills = number()? as usize,
                "--seed" => options.seed = number()?,
                "--report" => options.report = PathBuf::from(&value),
                _ => {
                    anyhow::bail!("unknown argument `{name}`: there are --runs, --kills, --seed and --report")
                }
            }
        }
        Ok(options)
    }
}

/// Carries out all runs; answers whether each ended well.
async fn run_all(options: Options) -> anyhow::Result<bool> {
    let binary = std::env::current_exe()?;
    let folder = tempfile::tempdir()?;
    let mut kafka = KafkaNode::run(folder.path()).await?;
    let start = Instant::now();
    let mut runs = Vec::new();
    for seed in (options.seed..).take(options.runs) {
        let plan = Plan::of(seed, options.kills);
        say(&plan.to_string());
        let own = folder.path().join(format!("run-{seed}"));
        std::fs::create_dir_all(&own)?;
        let ran = carry_out(&binary, &own, &mut kafka, &plan).await;
        match &ran {
            Ok(ran) => say(&format!("  well: {ran}")),
            Err(error) => {
                say(&format!("  FAILED: {error:#}"));
                let kept = std::env::temp_dir().join(format!("earshot-faults-{seed}"));
                let _ = std::fs::remove_dir_all(&kept);
                std::fs::rename(&own, &kept).context("keep the logs of the run")?;
                say(&format!("  its logs are kept in {}", kept.display()));
            }
        }
        runs.push((plan, ran));
        let summary = summary(&options, &runs, start)?;
        std::fs::write(&options.report, summary)
            .with_context(|| format!("write {}", options.report.display()))?;
    }
    Ok(runs.iter().all(|(_, ran)| ran.is_ok()))
}

fn summary(
    options: &Options,
    runs: &[(Plan, anyhow::Result<Ran>)],
    start: Instant,
) -> anyhow::Result<String> {
    let outcomes: Vec<&Outcome> =
        runs.iter().filter_map(|(_, ran)| ran.as_ref().ok()).flat_map(|ran| &ran.outcomes).collect();
    let mut text = String::from("# Kills on Apache Kafka\n\n");
    writeln!(
        text,
        "`cargo run -p earshot-tests --bin faults -- --runs {} --kills {} --seed {}`: {} of {} runs ended well, {} \
         kills, in {} minutes.\n\n\
         In each run the services are processes of their own on one Kafka node: two or three enrich, two index, one \
         ingest, two alerts, of which one writes and the other stands by. A burst comes through the signed door and a file is imported, while the plan of the seed \
         is carried out. *at point:n* is the n-th passing of a fail-point; *alerts* is the instance that writes, when it \
         is killed, and *stand-by* the other; `+enrich` and `-enrich` are instances that \
         come and go before the kill; *hasty* means that the next fault did not wait. The run ends well when every \
         mention that was taken is found once in both indexes, each is counted once, `alerts` holds exactly what an \
         undisturbed fold of `signals` decides, every alert verifies (arithmetic and evidence), and every message has \
         arrived, repeated at most once for each crash of the alerts that writes or of the broker. {} times another \
         instance of alerts went on, or the same one again after both were gone.\n",
        options.runs,
        options.kills,
        options.seed,
        runs.iter().filter(|(_, ran)| ran.is_ok()).count(),
        runs.len(),
        outcomes.len(),
        start.elapsed().as_secs().div_ceil(60),
        runs.iter().filter_map(|(_, ran)| ran.as_ref().ok()).map(|ran| ran.settled.take_overs).sum::<usize>()
    )?;
    text.push_str("| victim | kills | recovered after, median | longest |\n|---|---|---|---|\n");
    for victim in Victim::ALL {
        let kills: Vec<_> = outcomes.iter().filter(|outcome| outcome.fault.victim == victim).collect();
        let mut times: Vec<f64> =
            kills.iter().filter_map(|outcome| outcome.recovered).map(|time| time.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        let (median, longest) = (times.get(times.len() / 2), times.last());
        let seconds = |time: Option<&f64>| time.map_or("–".to_owned(), |time| format!("{time:.1} s"));
        let name = victim.name();
        writeln!(text, "| {name} | {} | {} | {} |", kills.len(), seconds(median), seconds(longest))?;
    }
    text.push_str("\n| fail-point | planned | reached |\n|---|---|---|\n");
    for (victim, point) in POINTS {
        let planned: Vec<_> = outcomes
            .iter()
            .filter(|outcome| {
                outcome.fault.victim == victim
                    && matches!(outcome.fault.moment, Moment::At { point: p, .. } if p == point)
            })
            .collect();
        let reached = planned.iter().filter(|outcome| outcome.reached).count();
        writeln!(text, "| {} {point} | {} | {reached} |", victim.name(), planned.len())?;
    }
    text.push_str("\n| seed | faults, and after how long all was well | result |\n|---|---|---|\n");
    for (plan, ran) in runs {
        match ran {
            Ok(ran) => writeln!(text, "| {} | {ran} |", plan.seed)?,
            Err(error) => {
                let planned: Vec<String> = plan.faults.iter().map(ToString::to_string).collect();
                let why = format!("{error:#}").replace(['\n', '|'], " ");
                writeln!(text, "| {} | {} | FAILED: {why} |", plan.seed, planned.join("; "))?;
            }
        }
    }
    Ok(text)
}

#[expect(clippy::print_stderr, reason = "a program of the tests tells how it goes")]
fn say(line: &str) {
    eprintln!("{line}");
}
