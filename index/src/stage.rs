//! The index's stage: reads `mentions.enriched` without a group and keeps its positions in the index itself.
//!
//! A commit holds the documents and the positions behind them, so one cannot be there without the other: a
//! kill repeats what came since the last commit, and an upsert by mention id makes the repetition harmless.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context as _, bail};
use earshot_common::broker::{Bounds, Broker, Position, Record};
use earshot_common::events::{EnrichedEvent, Origin, decode};
use earshot_common::fail_point;
use earshot_common::stage::{Fate, Input, Output, Stage};
use earshot_common::time::Clock;
use earshot_common::topics::{MENTIONS_ENRICHED, Topic};
use tantivy::{IndexWriter, TantivyDocument, Term};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::{LiveMention, Metrics};
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
    /// The live mentions that wait for the commit.
    waiting: Vec<LiveMention>,
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
        fail_point::passed("prepared");
        prepared.commit()?;
        fail_point::passed("indexed");
        self.store.reload()?;
        self.dirty_since = None;
        self.pending.clear();
        let now = self.clock.now();
        for live in self.waiting.drain(..) {
            self.metrics.observe_searchable(&live, now);
        }
        self.announce()
    }

    /// Tells readers what they may rely on now.
    fn announce(&self) -> anyhow::Result<()> {
        let documents = self.store.documents().context("count the index's documents")?;
        self.metrics.documents.set(i64::try_from(documents).unwrap_or(i64::MAX));
        let bytes = self.store.size_bytes().context("measure the index")?;
        self.metrics.size_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
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
                    let (published, collected) = (enriched.mention.published, enriched.mention.collected);
                    self.waiting.push(LiveMention { published, collected, enriched: enriched.enriched });
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

    fn topic(&self) -> Topic {
        MENTIONS_ENRICHED
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
            Err(error) => Fate::Rejected(error.into()),
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

#[cfg(test)]
mod tests {
    use earshot_common::events::Enriched;
    use prometheus::Registry;
    use tantivy::directory::RamDirectory;

    use earshot_common::time::Timestamp;

    use super::*;
    use crate::fixtures::{delete, mention, upsert, version};
    use crate::search::by_id;

    fn stage_in(directory: &RamDirectory) -> (IndexStage, watch::Receiver<Committed>) {
        let store = Store::in_directory(directory.clone()).unwrap();
        let (sender, committed) = watch::channel(Committed::default());
        let registry = Registry::new();
        let pipeline = earshot_common::metrics::Metrics::declare(&registry).unwrap();
        let metrics = Metrics::declare(&registry, pipeline).unwrap();
        let interval = Duration::from_millis(500);
        let stage =
            IndexStage::open(store, interval, Clock::system(), metrics, sender, CancellationToken::new());
        (stage.unwrap(), committed)
    }

    fn record(offset: u64, value: Vec<u8>) -> Record {
        Record {
            partition: 0,
            offset,
            appended: Timestamp::from_millis(offset as i64),
            key: None,
            value: value.into(),
            headers: Vec::new(),
        }
    }

    async fn take(stage: &mut IndexStage, from: u64, values: &[Vec<u8>]) {
        for (value, offset) in values.iter().zip(from..) {
            let fate = stage.process(&record(offset, value.clone()));
            assert!(!matches!(fate, Fate::Failed(_) | Fate::Rejected(_)), "{fate:?}");
        }
        stage.settle(&[]).await.unwrap();
    }

    fn text(stage: &IndexStage, id: &str) -> Option<String> {
        by_id(&stage.store, id).unwrap().map(|found: Enriched| found.mention.text)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_newest_version_stands_whatever_the_order_and_the_commits_between() {
        let old = upsert(version(mention("a", "old"), 1, 1));
        let edited = upsert(version(mention("a", "edited"), 2, 2));
        let collected_again = upsert(version(mention("a", "again"), 2, 3));
        for commit_between in [false, true] {
            let (mut stage, committed) = stage_in(&RamDirectory::create());
            for (offset, value) in [&edited, &old, &collected_again, &edited].into_iter().enumerate() {
                take(&mut stage, offset as u64, std::slice::from_ref(value)).await;
                if commit_between {
                    stage.commit().unwrap();
                }
            }
            stage.commit().unwrap();
            assert_eq!(text(&stage, "a").as_deref(), Some("again"), "commits between: {commit_between}");
            assert_eq!(committed.borrow().documents, 1);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_deleted_text_never_comes_back_with_an_older_copy() {
        let (mut stage, committed) = stage_in(&RamDirectory::create());
        take(&mut stage, 0, &[upsert(version(mention("a", "secret"), 1, 1)), delete("a", 5, 2)]).await;
        stage.commit().unwrap();
        assert_eq!((text(&stage, "a"), committed.borrow().documents), (None, 0));
        take(&mut stage, 2, &[upsert(version(mention("a", "secret"), 4, 9))]).await;
        stage.commit().unwrap();
        assert_eq!(text(&stage, "a"), None);
        // A delete may come before all: its copy stays away too, and a later edit is a mention again.
        take(&mut stage, 3, &[delete("b", 5, 3), upsert(version(mention("b", "late"), 1, 1))]).await;
        take(&mut stage, 5, &[upsert(version(mention("a", "restored"), 6, 10))]).await;
        stage.commit().unwrap();
        assert_eq!((text(&stage, "b"), text(&stage, "a").as_deref()), (None, Some("restored")));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_kill_between_commits_repeats_harmlessly() {
        let directory = RamDirectory::create();
        let values: Vec<Vec<u8>> = (0..4).map(|n| upsert(mention(&format!("m{n}"), "x"))).collect();
        let (mut stage, _) = stage_in(&directory);
        take(&mut stage, 0, &values[..2]).await;
        stage.commit().unwrap();
        take(&mut stage, 2, &values[2..]).await;
        // The kill: what was settled and not committed is gone with the writer.
        drop(stage);

        let (mut stage, committed) = stage_in(&directory);
        assert_eq!(committed.borrow().positions, [Position { partition: 0, offset: 2 }]);
        assert_eq!(committed.borrow().documents, 2);
        // The last committed record is delivered again too.
        take(&mut stage, 1, &values[1..]).await;
        stage.commit().unwrap();
        assert_eq!(committed.borrow().positions, [Position { partition: 0, offset: 4 }]);
        assert_eq!(committed.borrow().documents, 4);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_idle_stage_asks_for_nothing_and_a_record_that_is_none_moves_on() {
        let (mut stage, committed) = stage_in(&RamDirectory::create());
        assert_eq!(stage.due(), None);
        let fate = stage.process(&record(7, b"{\"kind\":\"upsert\",\"v\":99}".to_vec()));
        assert!(matches!(fate, Fate::Rejected(_)), "{fate:?}");
        stage.settle(&[]).await.unwrap();
        assert!(stage.due().is_some(), "its position must be committed too");
        stage.tick(&[]).await.unwrap();
        assert_eq!(committed.borrow().positions, [Position { partition: 0, offset: 8 }]);
        assert_eq!(stage.due(), None);
    }
}
