//! The benchmark of the decision side: the fold's speed, its state, from the door to a person, and taking over.
//!
//! `cargo run --release -p earshot-tests --bin bench -- alerts` writes `tests/reports/alerts.md`.

use std::path::PathBuf;

use clap::Args;

use super::delivery::{self, Delays};
use super::fold::{self, Figures, Scale};
use super::ground::Ground;
use super::report::{Input, Machine, Measure, Report};
use super::take_over::{self, TakeOver};
use super::{megabytes, say};

/// The state of the design: many subjects, most of them with few mentions.
const LARGE: Scale =
    Scale { subjects: 10_000, rules: 2_000, weeks: 8, busiest: Some(100.0), signals: 100_000 };

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Bootstrap addresses of a running Kafka; by default one is started by deploy/kafka/run
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// Seconds of the steady load
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The folder for the report
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/reports"))]
    pub(crate) report: PathBuf,
}

/// Measures all of it.
pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    say("the fold, 1,000 subjects and 200 rules");
    let speed = Scale { subjects: 1_000, rules: 200, weeks: 8, busiest: None, signals: 1_000_000 };
    let mut measures = told(of_speed(&fold::measure_apart(&speed).await?));
    say("the state of 10,000 subjects");
    measures.extend(told(of_state(&fold::measure_apart(&LARGE).await?)));
    for on_kafka in [false, true] {
        let ground = match on_kafka {
            false => Ground::embedded()?,
            true => Ground::kafka(options.address.clone()).await?,
        };
        say(&format!("from the door to a person, {}", ground.name()));
        let delays = delivery::measure(&ground, options.seconds).await?;
        measures.extend(told(of_delivery(ground.name(), &delays)));
        if on_kafka {
            say("taking over");
            measures.extend(told(of_take_over(&take_over::measure(&ground, &LARGE).await?)));
        }
    }
    let amount = format!(
        "speed with a million mentions in a storm after eight weeks, one core's time; a steady load of {} s in which \
         each tenth of a second has an alert of its own; the state and the take-over with 10,000 subjects and 2,000 \
         rules of ten of them each, where the n-th subject has an n-th of a hundred mentions an hour.",
        options.seconds
    );
    Ok(Report {
        name: "alerts".to_owned(),
        title: "The decision side: speed, memory, delivery, take-over".to_owned(),
        machine: Machine::this()?,
        input: Input { from: "generated".to_owned(), amount },
        measures,
    })
}

/// Says what was found so far: the rest takes minutes.
fn told(measures: Vec<Measure>) -> Vec<Measure> {
    for Measure { name, value, unit, .. } in &measures {
        say(&format!("  {name}: {value:.3} {unit}"));
    }
    measures
}

fn of_speed(figures: &Figures) -> Vec<Measure> {
    let rate = |name: &str, rate: f64| Measure::new(name, rate, "signals/s");
    let decoding = figures.decoding.rate();
    let (storm, from_bytes) = (figures.storm.rate(), figures.storm_from_bytes.rate());
    vec![
        rate("reading signals from bytes, no fold", decoding),
        rate("fold, ordinary days", figures.ordinary.rate()),
        rate("fold, a storm", storm).of("reading alone", decoding).wanted("100,000", storm >= 100_000.0),
        rate("fold, a storm, from bytes", from_bytes)
            .of("reading alone", decoding)
            .wanted("100,000", from_bytes >= 100_000.0),
        rate("fold, a quiet progress of 1,000 subjects", figures.idle.rate()),
        Measure::new("transitions of all", figures.transitions as f64, ""),
    ]
}

fn of_state(figures: &Figures) -> Vec<Measure> {
    let state = megabytes(figures.state_bytes);
    let snapshot = &figures.snapshot;
    vec![
        Measure::new("state of 10,000 subjects", state, "MB").wanted("under 500 MB", state < 500.0),
        Measure::new("snapshot of it", megabytes(snapshot.bytes as u64), "MB"),
        Measure::new("snapshot: the copy", snapshot.copy_s, "s"),
        Measure::new("snapshot: writing", snapshot.write_s, "s"),
        Measure::new("snapshot: reading", snapshot.read_s, "s"),
        Measure::new("fold of it, a storm", figures.storm.rate(), "signals/s"),
    ]
}

fn of_delivery(back_end: &str, delays: &Delays) -> Vec<Measure> {
    let at = format!("at {} mentions/s, {back_end}", delivery::RATE);
    let measure = |share: &str, value: f64| Measure::new(format!("door to person {at}: {share}"), value, "s");
    let (median, most) = (delays.delay_s(0.5), delays.delay_s(0.99));
    vec![
        Measure::new(format!("alerts delivered {at}"), delays.count() as f64, ""),
        measure("median", median).wanted("under 1 s", median < 1.0),
        measure("95 of 100", delays.delay_s(0.95)),
        measure("99 of 100", most).wanted("under 3 s", most < 3.0),
        measure("longest", delays.delay_s(1.0)),
        Measure::new(format!("other programs' use {at}"), delays.spent.others_cores, "cores"),
    ]
}

fn of_take_over(found: &TakeOver) -> Vec<Measure> {
    let log = format!("{} records", found.records);
    let seconds = |name: String, value: f64| Measure::new(name, value, "s");
    vec![
        seconds(format!("start, {log} folded"), found.start_from_log_s),
        seconds("start from a snapshot".to_owned(), found.start_from_snapshot_s)
            .of("a start from the log", found.start_from_log_s),
        Measure::new("an instance with all of it: private memory", megabytes(found.memory_bytes), "MB")
            .wanted("under 500 MB", megabytes(found.memory_bytes) < 500.0),
        seconds(
            "take-over: from the kill to the first transition of the other".to_owned(),
            found.first_write_s,
        )
        .wanted("under 30 s", found.first_write_s < 30.0),
    ]
}
