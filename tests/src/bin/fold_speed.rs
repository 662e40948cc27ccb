//! How fast the decision side folds on one core, what its state takes, and what a snapshot of it costs.
//!
//! `cargo run --release -p earshot-tests --bin fold_speed -- --subjects 1000 --rules 200 --weeks 8 --signals 1000000`
//!
//! First weeks of ordinary days, a mention of each subject in each hour, fill the baselines; then a storm of mentions
//! comes at 2,000 a second, a tenth of them about one subject. Each rule watches ten subjects: a third of the rules
//! counts hours, a third counts days, a third looks at each mention. Times are processor time of the one thread, so that
//! other work on the machine does not show; it measures on Linux.

#![expect(clippy::print_stdout, reason = "the report of a program belongs on the standard output")]

use std::fmt::Write as _;
use std::hint::black_box;

use anyhow::Context as _;
use clap::Parser;
use earshot_alerts::State;
use earshot_common::definitions::{Watchlist, difference, parse_file};
use earshot_common::events::{
    Lane, Origin, PartitionProgress, Progress, RawPosition, SchemaVersion, Signal, SignalRecord,
    SubjectSignal, decode, encode,
};
use earshot_common::keys::{MentionKey, Secret};
use earshot_common::time::Timestamp;
use earshot_tests::bench::{own_cpu_s, own_memory_bytes};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};

const HOUR_MS: i64 = 3_600_000;
/// Subjects of a rule.
const WATCHED: usize = 10;
/// The storm's mentions a second, and how often enrichment tells its progress.
const STORM_A_SECOND: i64 = 2_000;
const PROGRESS_EVERY_S: i64 = 5;
/// Records are made in pieces, so that making them takes no part in what is measured.
const PIECE: usize = 50_000;

/// Folds a generated log and says how long it took.
#[derive(Debug, Parser)]
struct Arguments {
    /// Subjects, 10 at least
    #[arg(long, default_value_t = 1_000)]
    subjects: usize,
    /// Rules
    #[arg(long, default_value_t = 200)]
    rules: usize,
    /// Weeks of ordinary days before the storm
    #[arg(long, default_value_t = 8)]
    weeks: i64,
    /// Mentions of the storm
    #[arg(long, default_value_t = 1_000_000)]
    signals: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut log = Log::new(&arguments)?;
    let empty = own_memory_bytes()?;
    let ordinary = log.ordinary(arguments.weeks)?;
    let state = own_memory_bytes()?.saturating_sub(empty);
    println!("{} subjects, {} rules, {} weeks", arguments.subjects, arguments.rules, arguments.weeks);
    println!("ordinary days     {}", ordinary.told());
    println!("state             {:.0} MB", state as f64 / 1e6);

    let (storm, decoded) = log.storm(arguments.signals)?;
    println!("storm             {}", storm.told());
    println!("storm from bytes  {}", decoded.told());
    println!("transitions       {}", log.transitions);

    let idle = log.idle(1_000)?;
    println!("idle progress     {}", idle.told());
    snapshot(&log.state)
}

fn snapshot(state: &State) -> anyhow::Result<()> {
    let (cloning, copy) = timed(|| state.clone())?;
    drop(copy);
    let (writing, bytes) = timed(|| rmp_serde::to_vec_named(state))?;
    let bytes = bytes.context("write a snapshot")?;
    let (reading, read) = timed(|| rmp_serde::from_slice::<State>(&bytes))?;
    black_box(read.context("read a snapshot")?);
    println!(
        "snapshot          {:.0} MB; the copy takes {:.2} s, writing {:.2} s, reading {:.2} s",
        bytes.len() as f64 / 1e6,
        cloning,
        writing,
        reading
    );
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> anyhow::Result<(f64, T)> {
    let start = own_cpu_s()?;
    let done = work();
    Ok((own_cpu_s()? - start, done))
}

/// Records folded, and the time it took.
#[derive(Clone, Copy, Debug, Default)]
struct Folded {
    records: usize,
    took_s: f64,
}

impl Folded {
    fn told(&self) -> String {
        let Self { records, took_s } = self;
        format!("{records} records in {took_s:.2} s: {:.0} a second", *records as f64 / took_s.max(0.01))
    }
}

/// A log as it is made and folded.
struct Log {
    state: State,
    subjects: usize,
    now: Timestamp,
    offset: u64,
    raw: u64,
    secret: Secret,
    random: StdRng,
    transitions: usize,
}

impl Log {
    fn new(arguments: &Arguments) -> anyhow::Result<Self> {
        let mut log = Self {
            state: State::new(),
            subjects: arguments.subjects,
            now: "2026-01-05T00:00:00Z".parse()?,
            offset: 0,
            raw: 0,
            secret: Secret::from_bytes([7; 32]),
            random: StdRng::seed_from_u64(7),
            transitions: 0,
        };
        let definitions = parse_file("fold_speed", &definitions(arguments))?;
        let versions = difference(&Watchlist::default(), vec![("file:fold_speed".to_owned(), definitions)])?;
        let records = versions.into_iter().map(SignalRecord::Definition).collect();
        log.fold(records)?;
        Ok(log)
    }

    /// Weeks in which each subject is mentioned once in each hour.
    fn ordinary(&mut self, weeks: i64) -> anyhow::Result<Folded> {
        let mut folded = Folded::default();
        for _ in 0..weeks * 7 * 24 {
            let mut records = vec![self.progress()];
            for subject in 0..self.subjects {
                let within = self.random.random_range(0..HOUR_MS);
                records.push(self.mention(subject, self.now.plus_millis(within)));
            }
            folded = folded.and(self.fold(records)?);
            self.now = self.now.plus_millis(HOUR_MS);
        }
        let last = self.progress();
        Ok(folded.and(self.fold(vec![last])?))
    }

    /// A storm, folded as records and, by another copy of the state, from the bytes of the log.
    fn storm(&mut self, signals: usize) -> anyhow::Result<(Folded, Folded)> {
        let (mut folded, mut decoded) = (Folded::default(), Folded::default());
        let mut from_bytes = self.state.clone();
        for piece in 0..signals.div_ceil(PIECE) {
            let mut records = Vec::new();
            for number in 0..PIECE.min(signals - piece * PIECE) as i64 {
                if number % (STORM_A_SECOND * PROGRESS_EVERY_S) == 0 {
                    records.push(self.progress());
                }
                let subject = if self.random.random_ratio(1, 10) {
                    0
                } else {
                    self.random.random_range(0..self.subjects)
                };
                records.push(self.mention(subject, self.now));
                self.now = self.now.plus_millis(i64::from(number % 2 == 0));
            }
            let bytes: Vec<Vec<u8>> = records.iter().map(encode).collect();
            let (first, appended) = (self.offset, self.now);
            folded = folded.and(self.fold(records)?);
            let (took_s, ()) = timed(|| {
                for (record, offset) in bytes.iter().zip(first..) {
                    let record: SignalRecord = decode(record).expect("it was written just now");
                    black_box(from_bytes.apply(offset, appended, &record));
                }
            })?;
            decoded = decoded.and(Folded { records: bytes.len(), took_s });
        }
        Ok((folded, decoded))
    }

    /// Enrichment has nothing to do and says so.
    fn idle(&mut self, times: usize) -> anyhow::Result<Folded> {
        let mut records = Vec::new();
        for _ in 0..times {
            self.now = self.now.plus_millis(PROGRESS_EVERY_S * 1_000);
            records.push(self.progress());
        }
        self.fold(records)
    }

    fn fold(&mut self, records: Vec<SignalRecord>) -> anyhow::Result<Folded> {
        let (took_s, transitions) = timed(|| {
            let mut transitions = 0;
            for record in &records {
                transitions += self.state.apply(self.offset, self.now, record).len();
                self.offset += 1;
            }
            transitions
        })?;
        self.transitions += transitions;
        Ok(Folded { records: records.len(), took_s })
    }

    fn progress(&self) -> SignalRecord {
        let partition = PartitionProgress { partition: 0, next: self.raw, done_up_to: self.now };
        SignalRecord::Progress(Progress { v: SchemaVersion::default(), partitions: vec![partition] })
    }

    fn mention(&mut self, subject: usize, at: Timestamp) -> SignalRecord {
        self.raw += 1;
        let author: u32 = self.random.random_range(0..100_000);
        let subject = SubjectSignal {
            id: format!("subject-{subject}"),
            polarity: self.random.random_range(-1.0..1.0),
            risk: Vec::new(),
            lane: Lane::Sure,
        };
        SignalRecord::Signal(Box::new(Signal {
            v: SchemaVersion::default(),
            mention: MentionKey::of(&format!("mention-{}", self.raw)),
            revision: 1,
            author: Some(self.secret.author(&format!("author-{author}"))),
            origin: Origin::Live,
            story: None,
            event_time: at,
            subjects: vec![subject],
            polarity: Some(0.0),
            risk: Vec::new(),
            desks: Vec::new(),
            reach: Some(self.random.random_range(0..20_000)),
            reach_unit: None,
            matched: Vec::new(),
            source: "door".to_owned(),
            raw: RawPosition { partition: 0, offset: self.raw },
            raw_appended: None,
            watchlist: 1,
            lexicon: "general-1".to_owned(),
        }))
    }
}

impl Folded {
    fn and(self, more: Self) -> Self {
        Self { records: self.records + more.records, took_s: self.took_s + more.took_s }
    }
}

fn definitions(arguments: &Arguments) -> String {
    let mut text = String::new();
    for subject in 0..arguments.subjects {
        let _ = writeln!(
            text,
            "[[subject]]\nid = \"subject-{subject}\"\nkind = \"brand\"\nname = \"Subject {subject}\"\nzone = \"Europe/Berlin\""
        );
    }
    for rule in 0..arguments.rules {
        let first = rule * arguments.subjects / arguments.rules.max(1);
        let subjects: Vec<String> = (first..first + WATCHED)
            .map(|subject| format!("\"subject-{}\"", subject % arguments.subjects))
            .collect();
        let condition = match rule % 3 {
            0 => "when = \"count of mentions against expectation\"\nwindow = \"1h\"",
            1 => "when = \"count of mentions against expectation\"\nwindow = \"1d\"",
            _ => "when = \"each mention\"\nsentiment_at_most = -0.9\nreach_at_least = 15000",
        };
        let _ = writeln!(
            text,
            "[[rule]]\nid = \"rule-{rule}\"\nsubjects = [{}]\n{condition}",
            subjects.join(", ")
        );
    }
    text
}
