//! The one loop that turns the fates of messages into append, commit and dead letter.
//!
//! Effect first, commit after: outputs and dead letters of a batch are stored before its positions are. A stop
//! comes between two batches, so it loses nothing; a kill repeats at most one batch, and every effect is
//! repeatable. One batch is in hand at a time, which bounds memory and pushes back on the input.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::broker::{
    Broker, MAX_BATCH, MAX_RECORD_BYTES, Member, NewRecord, Position, ReadError, Reader, Record,
};
use crate::events::DecodeError;
use crate::fail_point;
use crate::lag::Inputs;
use crate::metrics::Metrics;
use crate::service::Health;
use crate::topics::{DEAD_LETTERS, Topic};

/// Room for names and numbers beside a dead letter's value.
const DEAD_LETTER_ROOM: usize = 20_000;
/// A reason is cut here.
const MAX_REASON_BYTES: usize = 2_000;
/// A stage that makes no progress for this long is not well.
const PROGRESS_DEADLINE: Duration = Duration::from_secs(60);
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// What becomes of a message.
#[derive(Debug)]
pub enum Fate {
    /// It becomes these records; none where its effect is elsewhere.
    Emitted(Vec<Output>),
    /// It concerns nobody; why, from a small set, for the metrics.
    Skipped(&'static str),
    /// It cannot succeed as it is: to the dead letters, with the reason.
    Rejected(Rejection),
    /// It may succeed later: the same batch again, in order.
    Failed(anyhow::Error),
}

/// Why a message cannot succeed as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The kind of fault, for the metrics.
    pub reason: RejectionReason,
    /// The fault in words: the field, the value, and what is wrong.
    pub message: String,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionReason {
    /// It is not the record that it should be.
    Unreadable,
    /// A newer Earshot wrote it: it can be driven again after the upgrade.
    NewerVersion,
    /// It, or what becomes of it, is larger than the log takes.
    TooLarge,
    /// A row of an import is no mention.
    BadRow,
}

impl RejectionReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Unreadable, Self::NewerVersion, Self::TooLarge, Self::BadRow];

    /// The word as it stands in labels and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NewerVersion => "newer_version",
            Self::TooLarge => "too_large",
            Self::BadRow => "bad_row",
        }
    }
}

impl From<DecodeError> for Rejection {
    fn from(error: DecodeError) -> Self {
        let reason =
            if error.newer_version { RejectionReason::NewerVersion } else { RejectionReason::Unreadable };
        Self { reason, message: error.to_string() }
    }
}

impl Rejection {
    /// Of something that is larger than the log takes.
    pub fn too_large(message: String) -> Self {
        Self { reason: RejectionReason::TooLarge, message }
    }
}

/// A record and where it goes.
#[derive(Debug)]
pub struct Output {
    /// The topic.
    pub topic: Topic,
    /// The record.
    pub record: NewRecord,
}

/// What one stage of the pipeline does with its messages.
pub trait Stage: Send {
    /// The service and stage, for metrics, health and dead letters.
    fn name(&self) -> &'static str;

    /// The topic that its messages come from.
    fn topic(&self) -> Topic;

    /// Before each batch: takes in what must be known for it.
    fn prepare(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// Decides the fate of one message. May be asked again about the same message.
    fn process(&mut self, record: &Record) -> Fate;

    /// Decides the fates of a batch, in its order, up to one that failed. A stage whose messages do not depend on
    /// each other may decide several at a time.
    fn process_batch(&mut self, batch: &[Record]) -> Vec<Fate> {
        let mut fates = Vec::with_capacity(batch.len());
        for record in batch {
            let fate = self.process(record);
            let failed = matches!(fate, Fate::Failed(_));
            fates.push(fate);
            if failed {
                break;
            }
        }
        fates
    }

    /// After each batch, its outputs being stored: `next` is the offset to read next of each partition in it.
    fn settle(&mut self, next: &[Position]) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = next;
        async { Ok(()) }
    }

    /// When [`Stage::tick`] must come even if no message does.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Work that time asks for. `owned` is the offset to read next of each partition that is read here.
    fn tick(&mut self, owned: &[Position]) -> impl Future<Output = anyhow::Result<Vec<Output>>> + Send {
        let _ = owned;
        async { Ok(Vec::new()) }
    }
}

/// Where a stage's messages come from.
#[derive(Debug)]
pub enum Input {
    /// A group's member: its positions are committed to the log.
    Member(Member),
    /// A reader whose stage keeps the positions itself, and where it stands.
    Reader(Reader, Vec<Position>),
}

impl Input {
    async fn next(&mut self) -> Result<Vec<Record>, ReadError> {
        match self {
            Self::Member(member) => member.next(MAX_BATCH).await,
            Self::Reader(reader, _) => reader.next(MAX_BATCH).await,
        }
    }

    async fn done(&mut self, next: &[Position]) -> Result<(), ReadError> {
        match self {
            Self::Member(member) => member.commit(next).await,
            Self::Reader(_, positions) => {
                for done in next {
                    match positions.iter_mut().find(|position| position.partition == done.partition) {
                        Some(position) => position.offset = done.offset,
                        None => positions.push(*done),
                    }
                }
                Ok(())
            }
        }
    }

    fn owned(&self) -> Vec<Position> {
        match self {
            Self::Member(member) => member.owned(),
            Self::Reader(_, positions) => positions.clone(),
        }
    }
}

/// What the loop needs beside its stage and input.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where outputs and dead letters go.
    pub broker: Broker,
    /// When to stop.
    pub stop: CancellationToken,
    /// Where to say that the stage gets on.
    pub health: Health,
    /// Where to say how far the input is read.
    pub inputs: Inputs,
    /// Where to count.
    pub metrics: Metrics,
}

/// Runs a stage until the stop, or until its input cannot be read any more.
pub async fn run<S: Stage>(stage: &mut S, mut input: Input, around: &Surroundings) -> anyhow::Result<()> {
    around.inputs.stands(stage.name(), stage.topic(), &input.owned(), &[]);
    loop {
        around.health.well(stage.name(), PROGRESS_DEADLINE);
        // An idle stage wakes to say that it lives.
        let alive = Instant::now() + PROGRESS_DEADLINE / 2;
        let wake = stage.due().map_or(alive, |due| due.min(alive));
        let batch = tokio::select! {
            biased;
            () = around.stop.cancelled() => return Ok(()),
            batch = input.next() => Some(batch),
            () = tokio::time::sleep_until(wake) => None,
        };
        match batch {
            Some(Ok(batch)) => {
                let done = work_until_done(stage, &mut input, &batch, around).await;
                if !done {
                    return Ok(());
                }
                around.inputs.stands(stage.name(), stage.topic(), &input.owned(), &batch);
            }
            Some(Err(ReadError::Unavailable { topic, message })) => {
                around.health.trouble(stage.name(), format!("read `{topic}`: {message}"));
                tracing::warn!(
                    stage = stage.name(),
                    topic,
                    error = message,
                    "the input cannot be read; trying again"
                );
                tokio::select! {
                    () = around.stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(FIRST_RETRY) => {}
                }
            }
            Some(Err(lost)) => return Err(lost.into()),
            // An idle member may have won or lost partitions meanwhile.
            None => around.inputs.stands(stage.name(), stage.topic(), &input.owned(), &[]),
        }
        if stage.due().is_some_and(|due| due <= Instant::now()) {
            let ticked = match stage.tick(&input.owned()).await {
                Ok(outputs) => store(&around.broker, outputs).await,
                Err(error) => Err(error),
            };
            if let Err(error) = ticked {
                trouble(stage.name(), &error, around);
            }
        }
    }
}

/// Does a batch, again and again until it is done; false where the stop came first.
async fn work_until_done<S: Stage>(
    stage: &mut S,
    input: &mut Input,
    batch: &[Record],
    around: &Surroundings,
) -> bool {
    let mut wait = FIRST_RETRY;
    let timer = around.metrics.batch_seconds.with_label_values(&[stage.name()]).start_timer();
    loop {
        match work(stage, input, batch, around).await {
            Ok(()) => {
                timer.observe_duration();
                return true;
            }
            Err(error) => trouble(stage.name(), &error, around),
        }
        tokio::select! {
            () = around.stop.cancelled() => return false,
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(LAST_RETRY);
    }
}

fn trouble(stage: &str, error: &anyhow::Error, around: &Surroundings) {
    let error = format!("{error:#}");
    tracing::warn!(stage, error, "a batch failed; it is tried again");
    around.metrics.count(stage, "failed");
    around.health.trouble(stage, error);
}

async fn work<S: Stage>(
    stage: &mut S,
    input: &mut Input,
    batch: &[Record],
    around: &Surroundings,
) -> anyhow::Result<()> {
    stage.prepare().await?;
    let name = stage.name();
    let mut outputs = Vec::new();
    let mut next: BTreeMap<u32, u64> = BTreeMap::new();
    // Judging a batch is work for a processor: other tasks go on meanwhile.
    tokio::task::block_in_place(|| {
        for (record, fate) in batch.iter().zip(stage.process_batch(batch)) {
            match fate {
                Fate::Emitted(records) => {
                    around.metrics.count(name, "emitted");
                    outputs.extend(records);
                }
                Fate::Skipped(reason) => around.metrics.count(name, reason),
                Fate::Rejected(rejection) => {
                    around.metrics.count(name, "rejected");
                    around.metrics.dead_letters(name, rejection.reason, 1);
                    tracing::warn!(
                        stage = name,
                        partition = record.partition,
                        offset = record.offset,
                        reason = rejection.message,
                        "rejected"
                    );
                    outputs.push(dead_letter(name, stage.topic(), record, &rejection));
                }
                Fate::Failed(error) => return Err(error),
            }
            next.insert(record.partition, record.offset + 1);
        }
        Ok(())
    })?;
    fail_point::passed("processed");
    store(&around.broker, outputs).await?;
    fail_point::passed("stored");
    let next: Vec<Position> =
        next.into_iter().map(|(partition, offset)| Position { partition, offset }).collect();
    stage.settle(&next).await?;
    fail_point::passed("settled");
    if let Err(error) = input.done(&next).await {
        // The next commit covers this one. Where the group has moved on without us, only reading on brings us
        // back into it, and what is read again is repeatable.
        tracing::warn!(stage = name, %error, "positions were not committed; reading on");
    }
    fail_point::passed("committed");
    Ok(())
}

/// Appends outputs, each topic's in their order, and waits until all are stored.
pub async fn store(broker: &Broker, outputs: Vec<Output>) -> anyhow::Result<()> {
    let mut by_topic: Vec<(Topic, Vec<NewRecord>)> = Vec::new();
    for output in outputs {
        match by_topic.iter_mut().find(|(topic, _)| *topic == output.topic) {
            Some((_, records)) => records.push(output.record),
            None => by_topic.push((output.topic, vec![output.record])),
        }
    }
    let mut waiting = Vec::new();
    for (topic, records) in by_topic {
        waiting.push(broker.append(&topic, records).await?);
    }
    for durable in waiting {
        durable.stored().await?;
    }
    Ok(())
}

/// A message as a dead letter: the original bytes, with why and where from in the headers.
fn dead_letter(stage: &'static str, topic: Topic, record: &Record, rejection: &Rejection) -> Output {
    let from = [
        ("topic", topic.name.to_owned()),
        ("partition", record.partition.to_string()),
        ("offset", record.offset.to_string()),
    ];
    letter(stage, rejection, record.key.clone(), record.value.clone(), &from)
}

/// A dead letter of something that never was a message, such as a row of an import.
pub fn letter(
    service: &str,
    rejection: &Rejection,
    key: Option<Bytes>,
    mut value: Bytes,
    from: &[(&str, String)],
) -> Output {
    let header = |name: &str, text: &str| {
        (name.to_owned(), Bytes::copy_from_slice(cut(text, MAX_REASON_BYTES).as_bytes()))
    };
    let mut headers = vec![
        header("service", service),
        header("kind", rejection.reason.as_str()),
        header("reason", &rejection.message),
    ];
    for (name, text) in from {
        headers.push(header(name, text));
    }
    if value.len() > MAX_RECORD_BYTES - DEAD_LETTER_ROOM {
        headers.push(("cut_from_bytes".to_owned(), Bytes::from(value.len().to_string())));
        value.truncate(MAX_RECORD_BYTES - DEAD_LETTER_ROOM);
    }
    Output { topic: DEAD_LETTERS, record: NewRecord { partition: Some(0), key, value, headers } }
}

/// The longest start of a text that has at most so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}
