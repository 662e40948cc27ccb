//! The fold alone: how fast it is on one core, what its state takes, and what a snapshot of it costs.
//!
//! First weeks of ordinary days fill the baselines; then a storm of mentions comes at 2,000 a second, a tenth of them
//! about one subject. Each rule watches ten subjects: a third of the rules counts hours, a third counts days, a third
//! looks at each mention. Times are processor time of the one thread, so that other work on the machine does not show.
//! It is measured in a process of its own, so that its memory is the state's.

use std::fmt::Write as _;
use std::hint::black_box;

use anyhow::Context as _;
use clap::Args;
use earshot_alerts::State;
use earshot_common::definitions::{Watchlist, difference, parse_file};
use earshot_common::events::{
    Lane, Origin, PartitionProgress, Progress, RawPosition, SchemaVersion, Signal, SignalRecord,
    SubjectSignal, decode, encode,
};
use earshot_common::keys::{MentionKey, Secret};
use earshot_common::time::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};
use serde::{Deserialize, Serialize};

use super::programs::{DEPLOYED, own_program};
use super::{own_cpu_s, own_memory_bytes};

const HOUR_MS: i64 = 3_600_000;
/// Subjects of a rule.
const WATCHED: usize = 10;
/// The storm's mentions a second, and how often enrichment tells its progress.
const STORM_A_SECOND: i64 = 2_000;
const PROGRESS_EVERY_S: i64 = 5;
/// Records are made in pieces, so that making them takes no part in what is measured.
const PIECE: usize = 50_000;

/// What is folded.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Scale {
    /// Subjects, 10 at least
    #[arg(long, default_value_t = 1_000)]
    pub(crate) subjects: usize,
    /// Rules
    #[arg(long, default_value_t = 200)]
    pub(crate) rules: usize,
    /// Weeks of ordinary days before the storm
    #[arg(long, default_value_t = 8)]
    pub(crate) weeks: i64,
    /// Mentions an hour of the busiest subject on ordinary days; the n-th has an n-th of it. Without it each has one
    #[arg(long)]
    pub(crate) busiest: Option<f64>,
    /// Mentions of the storm
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) signals: usize,
}

/// What was found.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// The ordinary days.
    pub(crate) ordinary: Folded,
    /// What the state takes after them.
    pub(crate) state_bytes: u64,
    /// The storm, as records.
    pub(crate) storm: Folded,
    /// The storm, from the bytes of the log.
    pub(crate) storm_from_bytes: Folded,
    /// Reading these bytes without folding them.
    pub(crate) decoding: Folded,
    /// Transitions that it all caused.
    pub(crate) transitions: usize,
    /// Enrichment has nothing to do and says so.
    pub(crate) idle: Folded,
    /// A snapshot.
    pub(crate) snapshot: Snapshot,
}

/// Records, and the processor time that they took.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Folded {
    records: usize,
    took_s: f64,
}

/// The size of a snapshot, and the processor time that it takes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) bytes: usize,
    /// Of the copy, for which the fold stands still.
    pub(crate) copy_s: f64,
    pub(crate) write_s: f64,
    pub(crate) read_s: f64,
}

impl Folded {
    /// Records in a second of one core.
    pub(crate) fn rate(&self) -> f64 {
        self.records as f64 / self.took_s.max(0.01)
    }

    fn and(self, more: Self) -> Self {
        Self { records: self.records + more.records, took_s: self.took_s + more.took_s }
    }
}

/// Folds a generated log in this process.
pub(crate) fn measure(scale: &Scale) -> anyhow::Result<Figures> {
    let mut log = Log::new(scale)?;
    let empty = own_memory_bytes()?;
    let mut ordinary = Folded::default();
    for _ in 0..scale.weeks * 7 * 24 {
        let records = log.maker.ordinary_hour(scale.busiest);
        ordinary = ordinary.and(log.fold(records)?);
    }
    let state_bytes = own_memory_bytes()?.saturating_sub(empty);
    let Storm { storm, storm_from_bytes, decoding } = log.storm(scale.signals)?;
    let idle = log.idle(1_000)?;
    let transitions = log.transitions;
    let snapshot = snapshot(&log.state)?;
    Ok(Figures { ordinary, state_bytes, storm, storm_from_bytes, decoding, transitions, idle, snapshot })
}

/// The same in a process of its own, with the allocator set as in our deployment files.
pub(crate) async fn measure_apart(scale: &Scale) -> anyhow::Result<Figures> {
    let Scale { subjects, rules, weeks, busiest, signals } = scale;
    let mut command = tokio::process::Command::new(own_program()?);
    command.args(["fold", "--subjects", &subjects.to_string(), "--rules", &rules.to_string()]);
    command.args(["--weeks", &weeks.to_string(), "--signals", &signals.to_string()]);
    command.args(busiest.map(|busiest| format!("--busiest={busiest}")));
    command.envs(DEPLOYED.iter().copied()).kill_on_drop(true);
    let output = command.output().await.context("run the fold by itself")?;
    anyhow::ensure!(output.status.success(), "the fold: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("read what the fold found")
}

fn snapshot(state: &State) -> anyhow::Result<Snapshot> {
    let (copy_s, copy) = timed(|| state.clone())?;
    drop(copy);
    let (write_s, bytes) = timed(|| rmp_serde::to_vec_named(state))?;
    let bytes = bytes.context("write a snapshot")?;
    let (read_s, read) = timed(|| rmp_serde::from_slice::<State>(&bytes))?;
    black_box(read.context("read a snapshot")?);
    Ok(Snapshot { bytes: bytes.len(), copy_s, write_s, read_s })
}

fn timed<T>(work: impl FnOnce() -> T) -> anyhow::Result<(f64, T)> {
    let start = own_cpu_s()?;
    let done = work();
    Ok((own_cpu_s()? - start, done))
}

/// A storm, folded as records and, by another copy of the state, from the bytes of the log.
struct Storm {
    storm: Folded,
    storm_from_bytes: Folded,
    decoding: Folded,
}

/// A log as it is made and folded.
struct Log {
    state: State,
    maker: Maker,
    offset: u64,
    transitions: usize,
}

impl Log {
    fn new(scale: &Scale) -> anyhow::Result<Self> {
        let maker = Maker::new(scale.subjects)?;
        let mut log = Self { state: State::new(), maker, offset: 0, transitions: 0 };
        let definitions = parse_file("fold", &definitions(scale))?;
        let versions = difference(&Watchlist::default(), vec![("file:fold".to_owned(), definitions)])?;
        log.fold(versions.into_iter().map(SignalRecord::Definition).collect())?;
        Ok(log)
    }

    fn storm(&mut self, signals: usize) -> anyhow::Result<Storm> {
        let mut found = Storm {
            storm: Folded::default(),
            storm_from_bytes: Folded::default(),
            decoding: Folded::default(),
        };
        let mut from_bytes = self.state.clone();
        for piece in 0..signals.div_ceil(PIECE) {
            let records = self.maker.storm(PIECE.min(signals - piece * PIECE));
            let bytes: Vec<Vec<u8>> = records.iter().map(encode).collect();
            let (first, appended) = (self.offset, self.maker.now);
            found.storm = found.storm.and(self.fold(records)?);
            let read = |record: &[u8]| -> SignalRecord { decode(record).expect("it was written just now") };
            let (took_s, ()) = timed(|| {
                for (record, offset) in bytes.iter().zip(first..) {
                    black_box(from_bytes.apply(offset, appended, &read(record)));
                }
            })?;
            let records = bytes.len();
            found.storm_from_bytes = found.storm_from_bytes.and(Folded { records, took_s });
            let (took_s, ()) = timed(|| bytes.iter().for_each(|record| drop(black_box(read(record)))))?;
            found.decoding = found.decoding.and(Folded { records, took_s });
        }
        Ok(found)
    }

    fn idle(&mut self, times: usize) -> anyhow::Result<Folded> {
        let mut records = Vec::new();
        for _ in 0..times {
            self.maker.now = self.maker.now.plus_millis(PROGRESS_EVERY_S * 1_000);
            records.push(self.maker.progress());
        }
        self.fold(records)
    }

    fn fold(&mut self, records: Vec<SignalRecord>) -> anyhow::Result<Folded> {
        let (took_s, transitions) = timed(|| {
            let mut transitions = 0;
            for record in &records {
                transitions += self.state.apply(self.offset, self.maker.now, record).len();
                self.offset += 1;
            }
            transitions
        })?;
        self.transitions += transitions;
        Ok(Folded { records: records.len(), took_s })
    }
}

/// Makes records of `signals`, the same for the same calls.
pub(crate) struct Maker {
    subjects: usize,
    now: Timestamp,
    raw: u64,
    secret: Secret,
    random: StdRng,
}

impl Maker {
    /// With so many subjects, from a Monday on.
    pub(crate) fn new(subjects: usize) -> anyhow::Result<Self> {
        let (now, random) = ("2026-01-05T00:00:00Z".parse()?, StdRng::seed_from_u64(7));
        Ok(Self { subjects, now, raw: 0, secret: Secret::from_bytes([7; 32]), random })
    }

    /// The next hour of an ordinary day, and that enrichment is done with it.
    pub(crate) fn ordinary_hour(&mut self, busiest: Option<f64>) -> Vec<SignalRecord> {
        let mut records = vec![self.progress()];
        for subject in 0..self.subjects {
            let mean = busiest.map_or(1.0, |busiest| busiest / (subject + 1) as f64);
            let mentions = mean.floor() as u64 + u64::from(self.random.random_bool(mean.fract()));
            for _ in 0..mentions {
                let within = self.random.random_range(0..HOUR_MS);
                records.push(self.mention(subject, self.now.plus_millis(within), None));
            }
        }
        self.now = self.now.plus_millis(HOUR_MS);
        records.push(self.progress());
        records
    }

    fn storm(&mut self, mentions: usize) -> Vec<SignalRecord> {
        let mut records = Vec::new();
        for number in 0..mentions as i64 {
            if number % (STORM_A_SECOND * PROGRESS_EVERY_S) == 0 {
                records.push(self.progress());
            }
            let subject = match self.random.random_ratio(1, 10) {
                true => 0,
                false => self.random.random_range(0..self.subjects),
            };
            records.push(self.mention(subject, self.now, None));
            self.now = self.now.plus_millis(i64::from(number % 2 == 0));
        }
        records
    }

    /// A mention that every rule about single mentions reports, of each subject.
    pub(crate) fn outcry(&mut self) -> Vec<SignalRecord> {
        (0..self.subjects).map(|subject| self.mention(subject, self.now, Some((-1.0, 90_000)))).collect()
    }

    fn progress(&self) -> SignalRecord {
        let partition = PartitionProgress { partition: 0, next: self.raw, done_up_to: self.now };
        SignalRecord::Progress(Progress {
            v: SchemaVersion::default(),
            judged_with: None,
            partitions: vec![partition],
        })
    }

    /// With this polarity and reach, or any.
    fn mention(&mut self, subject: usize, at: Timestamp, said: Option<(f32, u64)>) -> SignalRecord {
        self.raw += 1;
        let author: u32 = self.random.random_range(0..100_000);
        let any = (self.random.random_range(-1.0..1.0), self.random.random_range(0..20_000));
        let (polarity, reach) = said.unwrap_or(any);
        let id = format!("subject-{subject}");
        let subject = SubjectSignal { id, polarity, risk: Vec::new(), lane: Lane::Sure, passing: false };
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
            reach: Some(reach),
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

/// The watchlist.
pub(crate) fn definitions(scale: &Scale) -> String {
    let mut text = String::new();
    for subject in 0..scale.subjects {
        let _ = writeln!(
            text,
            "[[subject]]\nid = \"subject-{subject}\"\nkind = \"brand\"\nname = \"Subject {subject}\"\nzone = \"Europe/Berlin\""
        );
    }
    for rule in 0..scale.rules {
        let first = rule * scale.subjects / scale.rules.max(1);
        let subjects: Vec<String> = (first..first + WATCHED)
            .map(|subject| format!("\"subject-{}\"", subject % scale.subjects))
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
