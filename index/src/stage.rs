//! The index's stage: reads `mentions.enriched` without a group and keeps its positions in the index itself.
//!
//! It also keeps erased authors out: whatever it meets of one is never written, and whatever stands of one is
//! removed, here and by a deletion in `mentions.raw` from the topics.
//!
//! A commit holds the documents and the positions behind them, so one cannot be there without the other: a
//! kill repeats what came since the last commit, and an upsert by mention id makes the repetition harmless.

mod erasing;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use earshot_common::broker::{Bounds, Broker, MAX_BATCH, Position, Record};
use earshot_common::erasures::Erased;
use earshot_common::events::{DeletionReason, Enriched, EnrichedEvent, Mention, Origin, decode};
use earshot_common::fail_point;
use earshot_common::keys::Secret;
use earshot_common::stage::{Fate, Input, Output, Stage};
use earshot_common::time::Clock;
use earshot_common::topics::{MENTIONS_ENRICHED, MENTIONS_RAW, Topic};
use tantivy::{IndexWriter, TantivyDocument, Term};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::{LiveMention, Metrics};
use crate::schema::{SCHEMA_VERSION, Version, version_of};
use crate::search;
use crate::stage::erasing::{Erasing, end_of};
use crate::store::{Mark, Payload, Store};

/// So many documents are committed without waiting for the interval.
const MAX_PENDING: usize = 20_000;
/// Reading one record that is there takes longer only where the log does not answer.
const RECORD_DEADLINE: Duration = Duration::from_secs(30);
/// From one look at the erasures to the next, where no mention comes.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What readers may rely on: everything before these positions can be found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Committed {
    /// The offset to read next of each partition.
    pub(crate) positions: Vec<Position>,
    /// Mentions that can be found.
    pub(crate) documents: u64,
    /// The erasures that are carried out: nothing of these authors can be found, nor will be.
    pub(crate) erased: Arc<Erased>,
}

impl Committed {
    /// The offset to read next of a partition.
    pub(crate) fn next(&self, bounds: &Bounds) -> u64 {
        let position = self.positions.iter().find(|position| position.partition == bounds.partition);
        position.map_or(bounds.first, |position| position.offset)
    }
}

/// What the stage works with.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) secret: Secret,
    pub(crate) erased: watch::Receiver<Arc<Erased>>,
    pub(crate) commit_interval: Duration,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) committed: watch::Sender<Committed>,
}

/// Writes mentions into the index.
pub(crate) struct IndexStage {
    parts: Parts,
    writer: IndexWriter,
    erasing: Erasing,
    /// The erasures that are carried out in what is committed.
    erased: Arc<Erased>,
    /// When to look for mentions of erased authors.
    look_due: Instant,
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
    /// Cancelled when the writer can no longer be trusted.
    broken: CancellationToken,
}

impl IndexStage {
    /// Opens the writer and goes on from the last commit. `broken` is cancelled when a commit fails: what the
    /// writer held is lost then, and the stage must be opened anew.
    pub(crate) fn open(parts: Parts, broken: CancellationToken) -> anyhow::Result<Self> {
        let writer = parts.store.writer()?;
        parts.store.reload().context("open the index's last commit")?;
        let marks =
            parts.store.payload()?.partitions.into_iter().map(|mark| (mark.partition, mark)).collect();
        let stage = Self {
            writer,
            erasing: Erasing::new(parts.secret.clone(), parts.erased.clone()),
            erased: Arc::default(),
            look_due: Instant::now(),
            marks,
            processed: BTreeMap::new(),
            pending: HashMap::new(),
            waiting: Vec::new(),
            dirty_since: None,
            broken,
            parts,
        };
        stage.announce()?;
        Ok(stage)
    }

    /// Removes what stands of erased authors, a batch at a time; answers whether more may stand.
    pub(crate) async fn erase_some(&mut self) -> anyhow::Result<bool> {
        self.erasing.refresh();
        if self.erasing.pending().is_empty() {
            return Ok(false);
        }
        // What was written before the erasure was known is searchable from here on, so that none escapes.
        self.commit()?;
        let standing = tokio::task::block_in_place(|| {
            search::by_authors(&self.parts.store, self.erasing.pending(), MAX_BATCH)
        })?;
        if standing.is_empty() {
            self.erased = self.erasing.is_done();
            self.announce()?;
            return Ok(false);
        }
        let now = self.parts.clock.now();
        let end = |Enriched { mention, .. }: &Enriched| {
            end_of(&mention.id, mention.revision, mention.origin, DeletionReason::Erased, now)
        };
        // The topics first: after a kill between the two, the documents stand still and are found again.
        self.parts.broker.append_durably(&MENTIONS_RAW, standing.iter().map(end).collect()).await?;
        for enriched in &standing {
            self.bury(enriched).inspect_err(|_| self.broken.cancel())?;
        }
        self.dirty_since.get_or_insert_with(Instant::now);
        tracing::info!(mentions = standing.len(), "removed mentions of erased authors");
        Ok(true)
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
        let timer = self.parts.metrics.commit_seconds.start_timer();
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
        self.parts.store.reload()?;
        self.dirty_since = None;
        self.pending.clear();
        let now = self.parts.clock.now();
        for live in self.waiting.drain(..) {
            self.parts.metrics.observe_searchable(&live, now);
        }
        self.announce()
    }

    /// Tells readers what they may rely on now.
    fn announce(&self) -> anyhow::Result<()> {
        let Parts { store, metrics, committed, .. } = &self.parts;
        let documents = store.documents().context("count the index's documents")?;
        metrics.documents.set(i64::try_from(documents).unwrap_or(i64::MAX));
        let bytes = store.size_bytes().context("measure the index")?;
        metrics.size_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let positions = self.marks.values().map(Mark::position).collect();
        committed.send_replace(Committed { positions, documents, erased: self.erased.clone() });
        Ok(())
    }

    fn take(&mut self, event: EnrichedEvent) -> tantivy::Result<Fate> {
        match event {
            EnrichedEvent::Upsert(enriched) => self.upsert(&enriched),
            EnrichedEvent::Delete { deletion, raw } => {
                let version = Version::of_delete(deletion.revision, raw);
                let document = self.parts.store.fields.tombstone(&deletion.id, version, raw.partition);
                Ok(match self.write(&deletion.id, version, document)? {
                    Written::Newest => Fate::Emitted(Vec::new()),
                    Written::Older(_) => Fate::Skipped("older"),
                })
            }
        }
    }

    fn upsert(&mut self, enriched: &Enriched) -> tantivy::Result<Fate> {
        let mention = &enriched.mention;
        let author = self.erasing.author_of(mention);
        if author.is_some_and(|author| self.erasing.keeps_out(author)) {
            self.bury(enriched)?;
            return Ok(self.end_again(mention, mention.revision, DeletionReason::Erased));
        }
        let document = self.parts.store.fields.mention(enriched, author);
        match self.write(&mention.id, Version::of_upsert(enriched), document)? {
            Written::Newest => {
                if mention.origin == Origin::Live {
                    let (published, collected) = (mention.published, mention.collected);
                    self.waiting.push(LiveMention { published, collected, enriched: enriched.enriched });
                }
                Ok(Fate::Emitted(Vec::new()))
            }
            Written::Older(known) if known.deleted => {
                Ok(self.end_again(mention, known.revision, DeletionReason::DeletedAtSource))
            }
            Written::Older(_) => Ok(Fate::Skipped("older")),
        }
    }

    /// Says the end of a mention once more, behind a copy that came after it. Compaction keeps what came last:
    /// without this the topic would keep the copy, and an index made from it anew would bring the text back.
    fn end_again(&self, mention: &Mention, revision: i64, reason: DeletionReason) -> Fate {
        let record = end_of(&mention.id, revision, mention.origin, reason, self.parts.clock.now());
        Fate::Emitted(vec![Output { topic: MENTIONS_RAW, record }])
    }

    /// Puts a tombstone in the place of a mention.
    fn bury(&mut self, enriched: &Enriched) -> tantivy::Result<Written> {
        let version = Version::of_delete(enriched.mention.revision, enriched.raw);
        let document =
            self.parts.store.fields.tombstone(&enriched.mention.id, version, enriched.raw.partition);
        self.write(&enriched.mention.id, version, document)
    }

    /// Writes a version, unless a newer one is known.
    fn write(&mut self, id: &str, version: Version, document: TantivyDocument) -> tantivy::Result<Written> {
        let Parts { store, .. } = &self.parts;
        let known = match self.pending.get(id) {
            Some(version) => Some(*version),
            None => version_of(&store.searcher(), &store.fields, id)?,
        };
        if let Some(known) = known.filter(|known| *known > version) {
            return Ok(Written::Older(known));
        }
        self.writer.delete_term(Term::from_field_text(store.fields.id, id));
        self.writer.add_document(document)?;
        self.pending.insert(id.to_owned(), version);
        Ok(Written::Newest)
    }

    fn commit_due(&self) -> Option<Instant> {
        self.dirty_since.map(|since| since + self.parts.commit_interval)
    }
}

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// It is the one that stands.
    Newest,
    /// This one is newer, and stands.
    Older(Version),
}

impl Stage for IndexStage {
    fn name(&self) -> &'static str {
        "index"
    }

    fn topic(&self) -> Topic {
        MENTIONS_ENRICHED
    }

    async fn prepare(&mut self) -> anyhow::Result<()> {
        self.erasing.refresh();
        if !self.erasing.pending().is_empty() {
            self.look_due = self.look_due.min(Instant::now());
        }
        Ok(())
    }

    fn process(&mut self, record: &Record) -> Fate {
        let fate = match decode::<EnrichedEvent>(&record.value) {
            Ok(event) => match self.take(event) {
                Ok(fate) => fate,
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
        Some(self.commit_due().map_or(self.look_due, |commit| commit.min(self.look_due)))
    }

    async fn tick(&mut self, _owned: &[Position]) -> anyhow::Result<Vec<Output>> {
        let now = Instant::now();
        if self.commit_due().is_some_and(|due| due <= now) {
            self.commit()?;
        }
        if self.look_due <= now {
            // Moved first: if the log does not answer, the next attempt comes in its time and not at once.
            self.look_due = now + LOOK_INTERVAL;
            if self.erase_some().await.context("carry out erasures")? {
                self.look_due = now;
            }
        }
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
