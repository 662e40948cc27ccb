//! The stage between `mentions.raw`, `mentions.enriched` and `signals`: bytes in, records out, and every few
//! seconds how far it is.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use earshot_common::broker::{Broker, MAX_RECORD_BYTES, NewRecord, Position, Record};
use earshot_common::definitions::Watchlist;
use earshot_common::erasures::Erased;
use earshot_common::events::{
    Deletion, DeletionReason, Enriched, EnrichedEvent, Mention, MentionEvent, Origin, RawPosition,
    SchemaVersion, SignalRecord, decode, encode,
};
use earshot_common::keys::{AuthorKey, Secret};
use earshot_common::metrics::{Hop, Metrics as PipelineMetrics};
use earshot_common::service::Context;
use earshot_common::stage::{Fate, Output, Rejection, Stage};
use earshot_common::time::{Clock, Timestamp};
use earshot_common::topics::{MENTIONS_ENRICHED, MENTIONS_RAW, SIGNALS, Topic};
use rayon::prelude::*;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::judge::{Knowledge, judge, signal};
use crate::metrics::Metrics;
use crate::progress::{Done, all_drained};
use crate::risk::Risks;
use crate::searches::Searches;
use crate::sentiment::Lexicons;

/// The stage's name in metrics, health and dead letters.
pub const NAME: &str = "enrich";

/// A longer text is no mention.
const MAX_TEXT_BYTES: usize = 100_000;

/// Fewer mentions are not worth another core.
const LEAST_SHARE: usize = 50;

/// From one word of progress to the next, idle or not.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// From the first batch of some work to the question whether it was all.
const SETTLING: Duration = Duration::from_secs(1);

/// Judges raw mentions.
#[derive(Debug)]
pub struct EnrichStage {
    broker: Broker,
    clock: Clock,
    secret: Secret,
    metrics: Metrics,
    pipeline: PipelineMetrics,
    watchlist: watch::Receiver<Arc<Watchlist>>,
    erased: watch::Receiver<Arc<Erased>>,
    lexicons: Arc<Lexicons>,
    risks: Arc<Risks>,
    knowledge: Knowledge,
    searches: Searches,
    done: Done,
    /// When progress is told in any case.
    progress_due: Instant,
    /// After some work: when progress is told if nothing waits, so that an import's end is known at once.
    settled_due: Option<Instant>,
}

impl EnrichStage {
    /// A stage that follows a watchlist, and keeps out the authors that are erased.
    pub fn new(
        context: &Context,
        metrics: Metrics,
        lexicons: Arc<Lexicons>,
        risks: Arc<Risks>,
        mut watchlist: watch::Receiver<Arc<Watchlist>>,
        erased: watch::Receiver<Arc<Erased>>,
    ) -> anyhow::Result<Self> {
        let newest = watchlist.borrow_and_update().clone();
        let knowledge =
            Knowledge::of(&newest, lexicons.clone(), risks.clone()).context("prepare the watchlist")?;
        let mut searches = Searches::default();
        searches.follow(&newest);
        metrics.watchlist(newest.next());
        Ok(Self {
            broker: context.broker.clone(),
            clock: context.clock.clone(),
            secret: context.secret.clone(),
            metrics,
            pipeline: context.metrics.clone(),
            watchlist,
            erased,
            lexicons,
            risks,
            knowledge,
            searches,
            done: Done::default(),
            progress_due: Instant::now(),
            settled_due: None,
        })
    }

    /// What becomes of a message; the fate of one does not depend on another.
    fn fate(&self, record: &Record) -> Fate {
        let raw = RawPosition { partition: record.partition, offset: record.offset };
        match decode(&record.value) {
            Ok(MentionEvent::Upsert(mention)) => {
                let author = mention.author.as_ref().map(|author| self.secret.author(&author.id));
                if author.is_some_and(|author| self.erased.borrow().contains(author)) {
                    return delete(erasure_of(&mention), raw);
                }
                self.upsert(*mention, author, raw, record.appended)
            }
            Ok(MentionEvent::Delete(deletion)) => delete(deletion, raw),
            Err(error) => Fate::Rejected(error.into()),
        }
    }

    fn upsert(
        &self,
        mention: Mention,
        author: Option<AuthorKey>,
        raw: RawPosition,
        appended: Timestamp,
    ) -> Fate {
        let bytes = mention.text.len() + mention.title.as_ref().map_or(0, String::len);
        if bytes > MAX_TEXT_BYTES {
            return Fate::Rejected(Rejection::too_large(format!(
                "fields `title` and `text` have {bytes} bytes, more than the {MAX_TEXT_BYTES} of a mention"
            )));
        }
        let mut enriched = judge(mention, raw, &self.knowledge, self.clock.now());
        let matched = self.searches.matched(&mut enriched);
        self.metrics.judged(&enriched);
        self.observe_hops(&enriched, appended);
        let signal = signal(&enriched, author, matched, appended);
        let id = enriched.mention.id.clone();
        let value = encode(&EnrichedEvent::Upsert(Box::new(enriched)));
        if id.len() + value.len() > MAX_RECORD_BYTES {
            return Fate::Rejected(Rejection::too_large(format!(
                "the mention has {} bytes with its judgement, more than the {MAX_RECORD_BYTES} of a record",
                value.len()
            )));
        }
        let mut outputs = vec![Output { topic: MENTIONS_ENRICHED, record: NewRecord::keyed(id, value) }];
        outputs.extend(signal.map(|signal| to_signals(&SignalRecord::Signal(Box::new(signal)))));
        Fate::Emitted(outputs)
    }

    /// Measures a live mention's way so far. History is late by its nature and says nothing.
    fn observe_hops(&self, enriched: &Enriched, appended: Timestamp) {
        if enriched.mention.origin == Origin::Live {
            self.pipeline.hop(Hop::CollectedRaw, enriched.mention.collected, appended);
            self.pipeline.hop(Hop::RawEnriched, appended, enriched.enriched);
        }
    }
}

impl Stage for EnrichStage {
    fn name(&self) -> &'static str {
        NAME
    }

    fn topic(&self) -> Topic {
        MENTIONS_RAW
    }

    async fn prepare(&mut self) -> anyhow::Result<()> {
        if self.watchlist.has_changed().is_ok_and(|changed| changed) {
            let newest = self.watchlist.borrow_and_update().clone();
            self.knowledge = Knowledge::of(&newest, self.lexicons.clone(), self.risks.clone())
                .context("prepare the watchlist")?;
            self.searches.follow(&newest);
            self.metrics.watchlist(newest.next());
        }
        Ok(())
    }

    fn process(&mut self, record: &Record) -> Fate {
        // Told only after the batch is stored: until then the loop asks for no progress.
        self.done.record(record.partition, record.appended);
        self.fate(record)
    }

    /// Judging is the dearest step of the whole flow: the cores share it.
    fn process_batch(&mut self, batch: &[Record]) -> Vec<Fate> {
        for record in batch {
            self.done.record(record.partition, record.appended);
        }
        batch.par_iter().with_min_len(LEAST_SHARE).map(|record| self.fate(record)).collect()
    }

    async fn settle(&mut self, _next: &[Position]) -> anyhow::Result<()> {
        self.settled_due.get_or_insert_with(|| Instant::now() + SETTLING);
        Ok(())
    }

    fn due(&self) -> Option<Instant> {
        Some(self.settled_due.map_or(self.progress_due, |settled| settled.min(self.progress_due)))
    }

    async fn tick(&mut self, owned: &[Position]) -> anyhow::Result<Vec<Output>> {
        let in_any_case = self.progress_due <= Instant::now();
        // Moved first: if the log does not answer, the next question comes in its time and not at once.
        self.settled_due = None;
        if in_any_case {
            self.progress_due = Instant::now() + PROGRESS_INTERVAL;
        }
        let asked = self.clock.now();
        let bounds = self.broker.bounds(&MENTIONS_RAW, None).await.context("tell progress")?;
        if !in_any_case && !all_drained(owned, &bounds) {
            return Ok(Vec::new());
        }
        self.progress_due = Instant::now() + PROGRESS_INTERVAL;
        let mut progress = self.done.report(owned, &bounds, asked);
        progress.judged_with = Some(self.knowledge.judges());
        if progress.partitions.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![to_signals(&SignalRecord::Progress(progress))])
    }
}

/// In place of a mention whose author is kept out, so that what stands of it under its id goes too.
fn erasure_of(mention: &Mention) -> Deletion {
    Deletion {
        v: SchemaVersion::default(),
        id: mention.id.clone(),
        revision: mention.revision,
        origin: mention.origin,
        reason: DeletionReason::Erased,
        collected: mention.collected,
    }
}

fn delete(deletion: Deletion, raw: RawPosition) -> Fate {
    let id = deletion.id.clone();
    let value = encode(&EnrichedEvent::Delete { deletion, raw });
    Fate::Emitted(vec![Output { topic: MENTIONS_ENRICHED, record: NewRecord::keyed(id, value) }])
}

fn to_signals(record: &SignalRecord) -> Output {
    Output { topic: SIGNALS, record: NewRecord::unkeyed(encode(record)) }
}
