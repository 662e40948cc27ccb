//! The index's stage: reads `mentions.enriched` without a group and keeps its positions in the index itself.
//!
//! It also keeps erased authors out: whatever it meets of one is never written, and whatever stands of one is
//! removed, here and by a deletion in `mentions.raw` from the topics.
//!
//! A commit holds the documents and the positions behind them, so one cannot be there without the other: a
//! kill repeats what came since the last commit, and an upsert by mention id makes the repetition harmless.

mod erasing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use earshot_common::broker::{Bounds, Broker, MAX_BATCH, NewRecord, Position, Record};
use earshot_common::erasures::Erased;
use earshot_common::events::{
    DeletionReason, Enriched, EnrichedEvent, Mention, MentionVersion, Origin, decode, encode,
};
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
use crate::schema::{SCHEMA_VERSION, version_of};
use crate::search;
use crate::stage::erasing::{Erasing, end_of};
use crate::store::{Mark, Payload, Store};

/// So many documents are committed without waiting for the interval.
const MAX_PENDING: usize = 20_000;
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
    pending: HashMap<String, MentionVersion>,
    /// The live mentions that wait for the commit.
    waiting: Vec<LiveMention>,
    /// Mentions of which an older copy, or an older end, came after the one that stands.
    outdone: BTreeSet<String>,
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
            outdone: BTreeSet::new(),
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
        // What is to be said again is still to be done: it is due an interval later, should saying it fail.
        self.dirty_since = (!self.outdone.is_empty()).then(Instant::now);
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
                let version = MentionVersion::of_delete(deletion.revision, raw);
                let document = self.parts.store.fields.tombstone(&deletion.id, version, raw.partition);
                Ok(match self.write(&deletion.id, version, document)? {
                    Written::Newest(_) => Fate::Emitted(Vec::new()),
                    Written::Older(known) => {
                        if !known.deleted {
                            self.outdone.insert(deletion.id);
                        }
                        Fate::Skipped("older")
                    }
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
        match self.write(&mention.id, MentionVersion::of_upsert(enriched), document)? {
            Written::Newest(before) => {
                // What is judged again is not on its way from the source: its delays say nothing.
                let is_new = before.is_none_or(|before| before.raw_offset != enriched.raw.offset);
                if is_new && mention.origin == Origin::Live {
                    let (published, collected) = (mention.published, mention.collected);
                    self.waiting.push(LiveMention { published, collected, enriched: enriched.enriched });
                }
                Ok(Fate::Emitted(Vec::new()))
            }
            Written::Older(known) if known.deleted => {
                Ok(self.end_again(mention, known.revision, DeletionReason::DeletedAtSource))
            }
            Written::Older(_) => {
                self.outdone.insert(mention.id.clone());
                Ok(Fate::Skipped("older"))
            }
        }
    }

    /// Says once more what stands of the mentions that an older copy came after, behind that copy: compaction keeps
    /// what came last, and an index made from the topic anew must show what this one does. Called right behind a commit.
    async fn say_again(&mut self) -> anyhow::Result<()> {
        let mut again = Vec::new();
        for id in &self.outdone {
            // It may have been deleted since, and then its end was said.
            if let Some(newest) = search::by_id(&self.parts.store, id)? {
                let value = encode(&EnrichedEvent::Upsert(Box::new(newest)));
                again.push(NewRecord::keyed(id.clone(), value));
            }
        }
        for batch in again.chunks(MAX_BATCH) {
            self.parts.broker.append_durably(&MENTIONS_ENRICHED, batch.to_vec()).await?;
        }
        self.outdone.clear();
        self.dirty_since = None;
        Ok(())
    }

    /// Says the end of a mention once more, behind a copy that came after it. Compaction keeps what came last:
    /// without this the topic would keep the copy, and an index made from it anew would bring the text back.
    fn end_again(&self, mention: &Mention, revision: i64, reason: DeletionReason) -> Fate {
        let record = end_of(&mention.id, revision, mention.origin, reason, self.parts.clock.now());
        Fate::Emitted(vec![Output { topic: MENTIONS_RAW, record }])
    }

    /// Puts a tombstone in the place of a mention.
    fn bury(&mut self, enriched: &Enriched) -> tantivy::Result<Written> {
        let version = MentionVersion::of_delete(enriched.mention.revision, enriched.raw);
        let document =
            self.parts.store.fields.tombstone(&enriched.mention.id, version, enriched.raw.partition);
        self.write(&enriched.mention.id, version, document)
    }

    /// Writes a version, unless a newer one is known.
    fn write(
        &mut self,
        id: &str,
        version: MentionVersion,
        document: TantivyDocument,
    ) -> tantivy::Result<Written> {
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
        Ok(Written::Newest(known))
    }

    fn commit_due(&self) -> Option<Instant> {
        self.dirty_since.map(|since| since + self.parts.commit_interval)
    }
}

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// It is the one that stands, in the place of another.
    Newest(Option<MentionVersion>),
    /// This one is newer, and stands.
    Older(MentionVersion),
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
            self.say_again().await.context("say again what stands")?;
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
    // Compaction may have taken the record itself; the one behind it says nothing.
    let found = broker.first_from(&MENTIONS_ENRICHED, Position { partition, offset: before }).await?;
    if found.is_some_and(|record| record.offset == before && Mark::behind(&record) != *mark) {
        bail!(
            "`{topic}` partition {partition} is not the one that the index was made from: the record at offset \
             {before} is another. The topic was made anew. \
             Delete the folder `index` in the data folder, and start again: the index is then rebuilt"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
