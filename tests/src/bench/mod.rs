//! The benchmark: what Earshot carries on one machine, and how near that is to what the machine could do.
//!
//! `cargo run --release -p earshot-tests --bin bench -- embedded`, or `-- kafka`, measures in one go
//!
//! 1. the plain copy through `common::broker` beside the bare library underneath,
//! 2. each stage alone, and its processor time for a mention,
//! 3. the whole flow from a filled `mentions.raw` until all of it can be found,
//! 4. the delay from a door to searchable under a steady load, and
//! 5. the private memory of the programs at that load, with and without the allocator settings of our deployment files,
//!
//! prints a table and writes it, and the same as JSON, to `tests/reports/`. Kafka is started by `deploy/kafka/run`
//! unless `--address` names another. It measures on Linux.
//!
//! `cargo run --release -p earshot-tests --bin bench -- alerts` measures the decision side by itself (`decisions`).
//!
//! What belongs here: measuring and saying what was measured. What ought to be is in the issue that asked for it;
//! the goals stand beside the figures.

mod copy;
mod decisions;
mod delivery;
mod flow;
mod fold;
mod ground;
mod mentions;
mod programs;
mod report;
mod stages;
mod steady;
mod take_over;
mod usage;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use flow::Flow;
use ground::Ground;
use mentions::Mentions;
use programs::DEPLOYED;
use report::{Input, Machine, Measure, Report};
use stages::Stage;
use steady::Steady;

pub use usage::{own_cpu_s, own_memory_bytes};

/// Measures Earshot on one machine.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct CommandLine {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// On the embedded log
    Embedded(Options),
    /// On Apache Kafka
    Kafka {
        /// Bootstrap addresses of a running Kafka; by default one is started by deploy/kafka/run
        #[arg(long, value_name = "HOST:PORT")]
        address: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// The decision side: fold, state, delivery and take-over
    Alerts(decisions::Options),
    /// The fold alone, in this process; answers in JSON
    Fold(fold::Scale),
}

#[derive(Debug, Args)]
struct Options {
    /// A CSV file with a column `text`, or JSON Lines with a field `text`, instead of invented mentions
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Mentions of the copy, of each stage and of the whole flow
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    mentions: u64,
    /// Runs of each rate; the best counts and all are reported
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Seconds of the steady load
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The folder for the report
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/reports"))]
    report: PathBuf,
}

/// Runs the benchmark with its arguments, the first being its name.
pub async fn main(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<()> {
    let (report, folder) = match CommandLine::parse_from(arguments).what {
        What::Embedded(options) => (measure(&Ground::embedded()?, &options).await?, options.report),
        What::Kafka { address, options } => {
            (measure(&Ground::kafka(address).await?, &options).await?, options.report)
        }
        What::Alerts(options) => (decisions::measure(&options).await?, options.report),
        What::Fold(scale) => {
            print(&serde_json::to_string_pretty(&fold::measure(&scale)?)?);
            return Ok(());
        }
    };
    print(&report.table());
    report.write(&folder)
}

async fn measure(ground: &Ground, options: &Options) -> anyhow::Result<Report> {
    let mut mentions = Mentions::new(options.input.as_deref())?;
    let machine = Machine::this()?;
    let mut measures = copies(ground, options, &mut mentions).await?;
    let (stages, costs) = all_stages(ground, options, &mut mentions).await?;
    measures.extend(stages);
    measures.extend(flows(ground, options, &mut mentions, costs, machine.cores).await?);
    for (allocator, environment) in [("as deployed", DEPLOYED), ("with glibc's defaults", &[])] {
        say(&format!("a steady load, memory {allocator}"));
        let installation = ground.installation(&format!("steady-{}", environment.len()))?;
        let load =
            steady::measure(ground, &installation, &mut mentions, options.seconds, environment).await?;
        measures.extend(of_steady_load(&load, allocator));
    }
    let from = match &options.input {
        Some(file) => file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        None => "generated".to_owned(),
    };
    let amount = format!("{} mentions, a steady load of {} s.", options.mentions, options.seconds);
    let (name, title) =
        (format!("bench-{}", ground.name()), format!("Benchmark on the {} log", ground.name()));
    Ok(Report { name, title, machine, input: Input { from, amount }, measures })
}

async fn copies(ground: &Ground, options: &Options, mentions: &mut Mentions) -> anyhow::Result<Vec<Measure>> {
    say("the plain copy");
    let installation = ground.installation("copy")?;
    let copies = copy::measure(&installation, mentions, options.mentions, options.runs).await?;
    let rates = |seconds: &[f64]| seconds.iter().map(|s| options.mentions as f64 / s).collect();
    let bare =
        |library: &str| Measure::largest(format!("copy, bare {library}"), rates(&copies.bare_s), "records/s");
    let ours = Measure::largest("copy, `common::broker`", rates(&copies.broker_s), "records/s");
    if let Ground::Embedded(_) = ground {
        // One thread and one table: what the storage can do, and no goal.
        let bare = bare("SQLite");
        let ours = ours.of("bare SQLite", bare.value);
        return Ok(vec![bare, ours]);
    }
    let bare = bare("rdkafka");
    let ours = ours.of("bare rdkafka", bare.value);
    let met = ours.ratio() >= 0.9;
    Ok(vec![bare, ours.wanted("0.9 of bare", met)])
}

/// Processor time for a mention, the stages together: of each the least of its runs.
#[derive(Clone, Copy, Debug, Default)]
struct Costs {
    stages_us: f64,
    /// What Kafka took for them, where it was measured.
    kafka_us: f64,
}

/// The stages' measures and costs.
async fn all_stages(
    ground: &Ground,
    options: &Options,
    mentions: &mut Mentions,
) -> anyhow::Result<(Vec<Measure>, Costs)> {
    let mut runs: Vec<Vec<Stage>> = Vec::new();
    for run in 1..=options.runs {
        say(&format!("each stage alone, run {run}"));
        let installation = ground.installation(&format!("stages-{run}"))?;
        installation.fill(mentions, options.mentions).await?;
        runs.push(stages::measure(ground, &installation, options.mentions).await?);
    }
    let mut measures = Vec::new();
    let mut costs = Costs::default();
    for at in 0..runs[0].len() {
        let name = runs[0][at].name;
        let stages: Vec<&Stage> = runs.iter().map(|run| &run[at]).collect();
        let rates = stages.iter().map(|stage| stage.messages as f64 / stage.spent.seconds).collect();
        measures.push(Measure::largest(format!("{name} alone"), rates, "messages/s"));
        let cpu_us = |stage: &&Stage| stage.spent.cpu_us_each("benchmark", options.mentions);
        let cpu = least(format!("{name}: processor time"), stages.iter().map(cpu_us).collect());
        costs.stages_us += cpu.value;
        measures.push(cpu);
        if let Ground::Kafka { node: Some(_), .. } = ground {
            let kafka_us = |stage: &&Stage| stage.spent.cpu_us_each("kafka", options.mentions);
            let name = format!("Kafka for {name}: processor time");
            let kafka = least(name, stages.iter().map(kafka_us).collect());
            costs.kafka_us += kafka.value;
            measures.push(kafka);
        }
    }
    measures.push(Measure::new("all stages: processor time", costs.stages_us, "µs/mention"));
    Ok((measures, costs))
}

async fn flows(
    ground: &Ground,
    options: &Options,
    mentions: &mut Mentions,
    costs: Costs,
    cores: usize,
) -> anyhow::Result<Vec<Measure>> {
    let mut runs: Vec<Flow> = Vec::new();
    for run in 1..=options.runs {
        say(&format!("the whole flow, run {run}"));
        let installation = ground.installation(&format!("flow-{run}"))?;
        installation.fill(mentions, options.mentions).await?;
        runs.push(flow::measure(ground, &installation, options.mentions).await?);
    }
    let (start, named) = match ground {
        Ground::Embedded(_) => (8_000.0, "8000 mentions/s"),
        Ground::Kafka { .. } => (5_000.0, "5000 mentions/s, Kafka included"),
    };
    let could = |cores: f64| cores * 1e6 / costs.stages_us;
    let all_cores = could(cores as f64);
    let rate = |flow: &Flow| options.mentions as f64 / flow.spent.seconds;
    let rates = Measure::largest("whole flow", runs.iter().map(rate).collect(), "mentions/s");
    let rates = rates.of("what the cores could do for the stages", all_cores);
    let met = rates.ratio() >= 0.7 && rates.value >= start;
    let mut measures = vec![
        Measure::new("what the cores could do for the stages", all_cores, "mentions/s"),
        rates.wanted(format!("0.7, and {named}"), met),
    ];
    // Where other programs fill each of our waits the waits do not show: an upper bound.
    let share = |flow: &Flow| rate(flow) / could(cores as f64 - flow.spent.others_cores);
    let shares = runs.iter().map(share).collect();
    measures.push(Measure::largest(
        "whole flow: the ratio in the time that others left, at most",
        shares,
        "",
    ));
    if costs.kafka_us > 0.0 {
        let with_kafka = costs.stages_us / (costs.stages_us + costs.kafka_us);
        measures.push(Measure::new(
            "the most that Kafka on the same cores leaves of that ratio",
            with_kafka,
            "",
        ));
    }
    let others = runs.iter().map(|flow| flow.spent.others_cores).collect();
    measures.push(Measure { unit: "cores", ..least("whole flow: other programs' use", others) });
    for process in runs[0].spent.cpu_s.keys() {
        let cpu = runs.iter().map(|flow| flow.spent.cpu_us_each(process, options.mentions)).collect();
        measures.push(least(format!("whole flow, {process}: processor time"), cpu));
    }
    let memory: Vec<f64> = runs.iter().map(|flow| megabytes(flow.memory.most_together)).collect();
    let most = Measure::largest("whole flow, all services: private memory", memory, "MB");
    let met = most.value < 400.0;
    measures.push(most.wanted("under 400 MB", met));
    Ok(measures)
}

fn of_steady_load(load: &Steady, allocator: &str) -> Vec<Measure> {
    let rate = format!("at {} mentions/s, {allocator}", steady::RATE);
    let mut measures = vec![
        Measure::new(format!("collected to searchable {rate}: median"), load.delay_s(0.5), "s"),
        Measure::new(format!("collected to searchable {rate}: 95 of 100"), load.delay_s(0.95), "s"),
        Measure::new(format!("collected to searchable {rate}: 99 of 100"), load.delay_s(0.99), "s")
            .wanted("under 2 s", load.delay_s(0.99) < 2.0),
    ];
    for (process, cpu_s) in &load.spent.cpu_s {
        let cpu_us = cpu_s * 1e6 / load.mentions as f64;
        measures.push(Measure::new(format!("{process} {rate}: processor time"), cpu_us, "µs/mention"));
    }
    for (process, bytes) in &load.memory.most {
        measures.push(Measure::new(format!("{process} {rate}: private memory"), megabytes(*bytes), "MB"));
    }
    let together = megabytes(load.memory.most_together);
    measures.push(
        Measure::new(format!("all services {rate}: private memory"), together, "MB")
            .wanted("under 400 MB", together < 400.0),
    );
    measures
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A cost for each mention: the least of its runs.
fn least(name: impl Into<String>, runs: Vec<f64>) -> Measure {
    let least = runs.iter().copied().fold(f64::INFINITY, f64::min);
    Measure { runs, ..Measure::new(name, least, "µs/mention") }
}

impl Machine {
    /// The one that this runs on.
    fn this() -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        let described = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = described.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let processor = model.map_or("unknown processor", |(_, name)| name).to_owned();
        Ok(Self { processor, cores })
    }
}

#[expect(clippy::print_stdout, reason = "the table is this program's answer")]
fn print(text: &str) {
    println!("{text}");
}

/// Says what is measured now.
#[expect(clippy::print_stderr, reason = "a person waits for minutes and wants to know for what")]
fn say(what: &str) {
    eprintln!("bench: {what}");
}
