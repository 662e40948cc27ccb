//! Imports: `POST /api/import` with a file as its body, CSV or JSON Lines, plain or gzip.
//!
//! A file is read as a stream, so that it may be larger than memory: a thread of its own decodes and parses,
//! a short queue hands batches over, and the log pushes back on the file's sender.

mod adapter;
mod cells;
mod file;
mod mapping;
mod options;
mod records;
mod times;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read as _};
use std::time::Instant;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use earshot_common::broker::{AppendError, Broker, Durable, NewRecord};
use earshot_common::events::{
    MentionEvent, RawPosition, SchemaVersion, SignalRecord, SourceHealth, SourceStatus, encode,
};
use earshot_common::http::Refusal;
use earshot_common::keys::Secret;
use earshot_common::metrics::Metrics;
use earshot_common::service::Context;
use earshot_common::stage::{self, Rejection, RejectionReason};
use earshot_common::topics::{DEAD_LETTERS, MENTIONS_RAW, SIGNALS};
use futures::TryStreamExt as _;
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};

pub use options::{BadRow, Field, Format, ImportOptions, ImportReport, Mapping};

use crate::NAME;
use crate::cleaning::raw_record;
use crate::metrics::{DoorKind, IngestMetrics};
use file::{Batch, FileError};

/// Batches that may wait between the reading thread and the log.
const QUEUED_BATCHES: usize = 2;
/// Batches that may be on their way to storage.
const BATCHES_ON_THEIR_WAY: usize = 8;
/// Of a file that is refused, so many bytes are taken before the answer.
const REFUSED_BYTES_TAKEN: u64 = 16 * 1024 * 1024 * 1024;

/// The route of imports.
pub(crate) fn routes(context: &Context, metrics: &IngestMetrics) -> Router {
    let importer = Importer { context: context.clone(), metrics: metrics.clone() };
    Router::new().route("/api/import", post(import)).with_state(importer)
}

#[derive(Clone)]
struct Importer {
    context: Context,
    metrics: IngestMetrics,
}

async fn import(
    State(importer): State<Importer>,
    options: Result<Query<ImportOptions>, QueryRejection>,
    body: Body,
) -> Result<Json<ImportReport>, Refusal> {
    let Query(options) = options.map_err(|rejection| Refusal::bad_request(rejection.body_text()))?;
    let stop = importer.context.stop.clone();
    tokio::select! {
        report = importer.run(options, body) => Ok(Json(report?)),
        () = stop.cancelled() => Err(Refusal::unavailable(
            "the service stops; import the file again: rows that were taken count once",
        )),
    }
}

impl Importer {
    async fn run(&self, options: ImportOptions, body: Body) -> Result<ImportReport, ImportError> {
        let started = Instant::now();
        let collected = self.context.clock.now();
        let (sender, mut batches) = mpsc::channel::<Batch>(QUEUED_BATCHES);
        let bytes = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
        let source = options.source_id();
        let reading = tokio::task::spawn_blocking(move || {
            let mut input = SyncIoBridge::new(Box::pin(bytes));
            let read =
                file::read(&mut input, &options, collected, |batch| sender.blocking_send(batch).is_ok());
            if read.is_err() {
                // A client hears a refusal only when all that it sends is taken. Where that fails, it has gone.
                let _ = io::copy(&mut input.take(REFUSED_BYTES_TAKEN), &mut io::sink());
            }
            read
        });

        let mut writer = Writer::new(&self.context);
        while let Some(batch) = batches.recv().await {
            self.metrics.bad_rows.inc_by(batch.rejected.len() as u64);
            let mentions = batch.mentions.len();
            writer.write(&source, batch).await?;
            self.metrics.count_stored(DoorKind::Import, mentions);
        }
        let mut report = reading.await.map_err(|panic| ImportError::Broken(panic.into()))??;
        let raw = writer.finish().await?;
        self.say_finished(&report.source, raw).await?;
        report.seconds = started.elapsed().as_secs_f64();
        tracing::info!(
            source = report.source,
            rows = report.rows,
            mentions = report.mentions,
            bad = report.bad,
            seconds = report.seconds,
            "imported"
        );
        Ok(report)
    }

    /// Tells the decision side up to where the import's mentions reach.
    async fn say_finished(&self, source: &str, raw: Vec<RawPosition>) -> Result<(), AppendError> {
        let health = SourceHealth {
            v: SchemaVersion::default(),
            source: source.to_owned(),
            state: SourceStatus::Finished,
            reason: None,
            raw,
            at: self.context.clock.now(),
        };
        let record = NewRecord::unkeyed(encode(&SignalRecord::SourceHealth(health)));
        self.context.broker.append_durably(&SIGNALS, vec![record]).await.map(drop)
    }
}

/// Writes batches in order; several may be on their way to storage.
struct Writer {
    broker: Broker,
    metrics: Metrics,
    secret: Secret,
    on_their_way: VecDeque<Durable>,
    /// The next raw offset of each partition that was written to.
    next: BTreeMap<u32, u64>,
}

impl Writer {
    fn new(context: &Context) -> Self {
        let (broker, metrics) = (context.broker.clone(), context.metrics.clone());
        let secret = context.secret.clone();
        Self { broker, metrics, secret, on_their_way: VecDeque::new(), next: BTreeMap::new() }
    }

    async fn write(&mut self, source: &str, batch: Batch) -> Result<(), AppendError> {
        let records: Vec<NewRecord> = batch
            .mentions
            .into_iter()
            .map(|mention| raw_record(&MentionEvent::Upsert(Box::new(mention))))
            .collect();
        if !records.is_empty() {
            self.on_their_way.push_back(self.broker.append(&MENTIONS_RAW, records).await?);
        }
        let mut letters = Vec::new();
        for bad in batch.rejected {
            let mut from = vec![("import", source.to_owned()), ("line", bad.line.to_string())];
            // So that an erasure covers the letter: of a row alone nobody can tell its author later.
            from.extend(bad.author.map(|author| ("author", self.secret.author(&author).to_string())));
            let rejection = Rejection { reason: RejectionReason::BadRow, message: bad.reason };
            letters.push(stage::letter(NAME, &rejection, None, Bytes::from(bad.bytes), &from).record);
        }
        if !letters.is_empty() {
            self.metrics.dead_letters(NAME, RejectionReason::BadRow, letters.len());
            self.broker.append_durably(&DEAD_LETTERS, letters).await?;
        }
        while self.on_their_way.len() > BATCHES_ON_THEIR_WAY {
            self.settle_first().await?;
        }
        Ok(())
    }

    /// Waits until all is stored.
    async fn finish(mut self) -> Result<Vec<RawPosition>, AppendError> {
        while !self.on_their_way.is_empty() {
            self.settle_first().await?;
        }
        Ok(self.next.into_iter().map(|(partition, offset)| RawPosition { partition, offset }).collect())
    }

    async fn settle_first(&mut self) -> Result<(), AppendError> {
        let Some(durable) = self.on_their_way.pop_front() else { return Ok(()) };
        for stored in durable.stored().await? {
            let next = self.next.entry(stored.partition).or_default();
            *next = (*next).max(stored.offset + 1);
        }
        Ok(())
    }
}

/// Why an import did not come to its end.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Log(#[from] AppendError),
    #[error(transparent)]
    Broken(anyhow::Error),
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::File(error) => Self::bad_request(error),
            ImportError::Log(error) => Self::unavailable(format!("{error}; import the file again later")),
            ImportError::Broken(error) => Self::internal(&error),
        }
    }
}
