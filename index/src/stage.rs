//! The index's stage: reads `mentions.enriched` without a group and keeps its positions in the index itself.
//!
//! A commit holds the documents and the positions behind them, so one cannot be there without the other: a
//! kill repeats what came since the last commit, and an upsert by mention id makes the repetition harmless.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context as _, bail};
use earshot_common::broker::{Bounds, Broker, Position, Record};
use earshot_common::events::{EnrichedEvent, Origin, decode};
use earshot_common::stage::{Fate, Input, Output, Stage};
use earshot_common::time::{Clock, Timestamp};
use earshot_common::topics::MENTIONS_ENRICHED;
use tantivy::{IndexWriter, TantivyDocument, Term};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::schema::{SCHEMA_VERSION, Version, version_of};
use crate::store::{Mark, Payload, Store};

/// So many documents are committed without waiting for the interval.
const MAX_PENDING: usize = 20_000;
/// Reading one record that is there takes longer only where the log does not answer.
const RECORD_DEADLINE: Duration = Duration::from_secs(30);

/// What readers may rely on: everything before these positions can be found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Committed {
    /// The offset to read next of each partition.
    pub(crate) positions: Vec<Position>,
    /// Mentions that can be found.
    pub(crate) documents: u64,
}

/// Writes mentions into the index.
pub(crate) struct IndexStage {
    store: Store,
    writer: IndexWriter,
    commit_interval: Duration,
    clock: Clock,
    metrics: Metrics,
    /// How far each partition is committed, or read and waiting for the commit.
    marks: BTreeMap<u32, Mark>,
    /// Behind the last record of each partition that was processed, not yet settled.
    processed: BTreeMap<u32, Mark>,
    /// Versions that are written and not yet searchable.
    pending: HashMap<String, Version>,
    /// When each live mention was judged and published that waits for the commit.
    waiting: Vec<(Timestamp, Timestamp)>,
    /// Since when something waits for a commit.
    dirty_since: Option<Instant>,
    committed: watch::Sender<Committed>,
    /// Cancelled when the writer can no longer be trusted.
    broken: CancellationToken,
}

impl IndexStage {
    /// Opens the writer and goes on from the last commit. `broken` is cancelled when a commit fails: what the
    /// writer held is lost then, and the stage must be opened anew.
    pub(crate) fn open(
        store: Store,
        commit_interval: Duration,
        clock: Clock,
        metrics: Metrics,
        committed: watch::Sender<Committed>,
        broken: CancellationToken,
    ) -> anyhow::Result<Self> {
        let writer = store.writer()?;
        store.reload().context("open the index's last commit")?;
        let marks = store.payload()?.partitions.into_iter().map(|mark| (mark.partition, mark)).collect();
        let stage = Self {
            store,
            writer,
            commit_interval,
            clock,
            metrics,
            marks,
            processed: BTreeMap::new(),
            pending: HashMap::new(),
            waiting: Vec::new(),
            dirty_since: None,
            committed,
            broken,
        };
        stage.announce()?;
        Ok(stage)
    }

    /// The reader that goes on where the index stands, once the log has shown that it is the same one.
    pub(crate) async fn input(&self, broker: &Broker) -> anyhow::Result<Input> {
        let mut positions = Vec::new();
        for bounds in broker.bounds(&MENTIONS_ENRICHED, None).await? {
            if let Some(mark) = self.marks.get(&bounds.partition) {
                recognise(broker, mark, &bounds).await?;
            }
            let offset = self.marks.get(&bounds.partition).map_or(bounds.first, |mark| mark.next);
            positions.push(Position { partition: bounds.partition, offset });
        }
        let reader = broker.read(&MENTIONS_ENRICHED, positions.clone()).await?;
        Ok(Input::Reader(reader, positions))
    }

    /// Makes everything that was settled searchable.
    pub(crate) fn commit(&mut self) -> anyhow::Result<()> {
        if self.dirty_since.is_none() {
            return Ok(());
        }
        let timer = self.metrics.commit_seconds.start_timer();
        let committed = tokio::task::block_in_place(|| self.commit_now());
        timer.observe_duration();
        if committed.is_err() {
            self.broken.cancel();
        }
        committed.context("commit the index; what came since the last commit is read again")
    }

    fn commit_now(&mut self) -> anyhow::Result<()> {
        let payload = Payload { schema: SCHEMA_VERSION, partitions: self.marks.values().cloned().collect() };
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&serde_json::to_string(&payload)?);
        prepared.commit()?;
        self.store.reload()?;
        self.dirty_since = None;
        self.pending.clear();
        let now = self.clock.now();
        for (enriched, published) in self.waiting.drain(..) {
            self.metrics.observe_searchable(enriched, published, now);
        }
        self.announce()
    }

    /// Tells readers what they may rely on now.
    fn announce(&self) -> anyhow::Result<()> {
        let documents = self.store.documents().context("count the index's documents")?;
        self.metrics.documents.set(i64::try_from(documents).unwrap_or(i64::MAX));
        let positions = self.marks.values().map(Mark::position).collect();
        self.committed.send_replace(Committed { positions, documents });
        Ok(())
    }

    /// Writes a version, unless a newer one is known.
    fn write(&mut self, id: &str, version: Version, document: TantivyDocument) -> tantivy::Result<bool> {
        let known = match self.pending.get(id) {
            Some(version) => Some(*version),
            None => version_of(&self.store.searcher(), &self.store.fields, id)?,
        };
        if known.is_some_and(|known| known > version) {
            return Ok(false);
        }
        self.writer.delete_term(Term::from_field_text(self.store.fields.id, id));
        self.writer.add_document(document)?;
        self.pending.insert(id.to_owned(), version);
        Ok(true)
    }

    fn take(&mut self, event: EnrichedEvent) -> tantivy::Result<bool> {
        let fields = self.store.fields;
        match event {
            EnrichedEvent::Upsert(enriched) => {
                let document = fields.mention(&enriched);
                let written = self.write(&enriched.mention.id, Version::of_upsert(&enriched), document)?;
                if written && enriched.mention.origin == Origin::Live {
                    self.waiting.push((enriched.enriched, enriched.mention.published));
                }
                Ok(written)
            }
            EnrichedEvent::Delete { deletion, raw } => {
                let document = fields.tombstone(&deletion, raw);
                self.write(&deletion.id, Version::of_delete(&deletion, raw), document)
            }
        }
    }
}

impl Stage for IndexStage {
    fn name(&self) -> &'static str {
        "index"
    }

    fn process(&mut self, record: &Record) -> Fate {
        let fate = match decode::<EnrichedEvent>(&record.value) {
            Ok(event) => match self.take(event) {
                Ok(true) => Fate::Emitted(Vec::new()),
                Ok(false) => Fate::Skipped("older"),
                Err(error) => {
                    // The writer's thread is gone; it says so to every further document.
                    self.broken.cancel();
                    return Fate::Failed(anyhow::Error::new(error).context("write to the index"));
                }
            },
            Err(error) => Fate::Rejected(error.to_string()),
        };
        self.processed.insert(record.partition, Mark::behind(record));
        fate
    }

    async fn settle(&mut self, _next: &[Position]) -> anyhow::Result<()> {
        self.marks.append(&mut self.processed);
        self.dirty_since.get_or_insert_with(Instant::now);
        if self.pending.len() >= MAX_PENDING {
            self.commit()?;
        }
        Ok(())
    }

    fn due(&self) -> Option<Instant> {
        self.dirty_since.map(|since| since + self.commit_interval)
    }

    async fn tick(&mut self, _owned: &[Position]) -> anyhow::Result<Vec<Output>> {
        self.commit()?;
        Ok(Vec::new())
    }
}

/// Checks that the record before a mark is still the one that the index knows.
async fn recognise(broker: &Broker, mark: &Mark, bounds: &Bounds) -> anyhow::Result<()> {
    let topic = MENTIONS_ENRICHED.name;
    let (partition, next) = (mark.partition, mark.next);
    if next < bounds.first || next > bounds.next {
        bail!(
            "the index has read `{topic}` partition {partition} up to offset {next}, and the log holds {} to {}: \
             records were deleted before they were read, or the topic was made anew. \
             Delete the folder `index` in the data folder, and start again: the index is then rebuilt",
            bounds.first,
            bounds.next
        );
    }
    // Whatever stood before the first record has left the log by its age.
    let Some(before) = next.checked_sub(1).filter(|before| *before >= bounds.first) else { return Ok(()) };
    let mut reader = broker.read(&MENTIONS_ENRICHED, vec![Position { partition, offset: before }]).await?;
    let records = tokio::time::timeout(RECORD_DEADLINE, reader.next(1))
        .await
        .with_context(|| format!("read `{topic}` partition {partition} offset {before}: no answer"))??;
    // Compaction may have taken the record itself; the one behind it says nothing.
    let same = |record: &Record| record.offset != before || Mark::behind(record) == *mark;
    if !records.iter().all(same) {
        bail!(
            "`{topic}` partition {partition} is not the one that the index was made from: the record at offset \
             {before} is another. The topic was made anew. \
             Delete the folder `index` in the data folder, and start again: the index is then rebuilt"
        );
    }
    Ok(())
}
