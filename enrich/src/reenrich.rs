//! Judging history again: a change of the watchlist or the lexicons is carried over what was judged before it, and
//! a report says what moved.
//!
//! What belongs here: reading `mentions.enriched`, and writing to it the judgements that differ. Never a signal: what is
//! judged again pages nobody and changes no count. A mention that is judged again keeps its revision and its place in
//! `mentions.raw`, so that every later edit and every end comes after it, in whatever order they arrive.
//!
//! A run keeps nothing on the disk. After a kill it is asked for once more: what was written by then no longer differs.

mod api;
mod newest;
mod report;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use earshot_common::broker::{Bounds, Broker, MAX_RECORD_BYTES, NewRecord, Position, Record};
use earshot_common::definitions::Watchlist;
use earshot_common::erasures::Erased;
use earshot_common::events::{Enriched, EnrichedEvent, decode, encode};
use earshot_common::keys::{MentionKey, Secret};
use earshot_common::service::{Context, Health};
use earshot_common::time::{Clock, Timestamp};
use earshot_common::topics::{MENTIONS_ENRICHED, WATCHLIST};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use report::{Changes, Count, Labels, LargestChange, Left, Report, State, SubjectChanges};

use crate::judge::{Knowledge, judge};
use crate::metrics::Metrics;
use crate::risk::Risks;
use crate::searches::Searches;
use crate::sentiment::Lexicons;
pub(crate) use api::routes;
use newest::Newest;

/// Mentions that are judged at one go, on one core: what comes live has the others, and its turn in between.
const BATCH: usize = 200;
/// The name in health.
const PART: &str = "reenrich";
/// Following the end of the watchlist takes longer only where the log does not answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// A run that gets on says so within this time.
const PROGRESS_DEADLINE: Duration = Duration::from_secs(60);

/// What `POST /api/reenrich` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReenrichRequest {
    /// Mentions of this time and later are judged again.
    pub since: Timestamp,
    /// Only the report is made, and nothing is written.
    #[serde(default)]
    pub dry_run: bool,
}

/// Carries runs out, one at a time. Clones share the newest one.
#[derive(Clone, Debug)]
pub struct Reenrichment {
    parts: Arc<Parts>,
    newest: Arc<Mutex<Option<Report>>>,
}

/// What a run works with.
#[derive(Debug)]
struct Parts {
    broker: Broker,
    clock: Clock,
    secret: Secret,
    health: Health,
    stop: CancellationToken,
    metrics: Metrics,
    lexicons: Arc<Lexicons>,
    risks: Arc<Risks>,
    watchlist: watch::Receiver<Arc<Watchlist>>,
    erased: watch::Receiver<Arc<Erased>>,
}

impl Reenrichment {
    /// Runs with the newest watchlist at their start, and with these lexicons and patterns of risk.
    pub fn new(
        context: &Context,
        metrics: Metrics,
        lexicons: Arc<Lexicons>,
        risks: Arc<Risks>,
        watchlist: watch::Receiver<Arc<Watchlist>>,
        erased: watch::Receiver<Arc<Erased>>,
    ) -> Self {
        let parts = Parts {
            broker: context.broker.clone(),
            clock: context.clock.clone(),
            secret: context.secret.clone(),
            health: context.health.clone(),
            stop: context.stop.clone(),
            metrics,
            lexicons,
            risks,
            watchlist,
            erased,
        };
        Self { parts: Arc::new(parts), newest: Arc::default() }
    }

    /// The newest run as far as it is; none since the program started.
    pub fn report(&self) -> Option<Report> {
        self.newest().clone()
    }

    /// Takes the place of the one run at a time; `None` while another has it.
    pub async fn begin(&self, request: ReenrichRequest) -> anyhow::Result<Option<Run>> {
        let watchlist = self.watchlist_now().await?;
        let (lexicons, risks) = (self.parts.lexicons.clone(), self.parts.risks.clone());
        let knowledge = tokio::task::block_in_place(|| Knowledge::of(&watchlist, lexicons, risks))
            .context("prepare the watchlist")?;
        let mut searches = Searches::default();
        searches.follow(&watchlist);
        let mut newest = self.newest();
        if newest.as_ref().is_some_and(|report| report.state == State::Running) {
            return Ok(None);
        }
        *newest = Some(Report::new(request, knowledge.versions(), self.parts.clock.now()));
        drop(newest);
        Ok(Some(Run { of: self.clone(), request, knowledge, searches }))
    }

    /// The watchlist as the log has it now: what was published just before the request must be in it.
    async fn watchlist_now(&self) -> anyhow::Result<Arc<Watchlist>> {
        let bounds = self.parts.broker.bounds(&WATCHLIST, None).await?;
        let end = bounds.iter().map(|bounds| bounds.next).max().unwrap_or_default();
        let mut watchlist = self.parts.watchlist.clone();
        let followed =
            tokio::time::timeout(DEADLINE, watchlist.wait_for(|watchlist| watchlist.next() >= end));
        let newest =
            followed.await.context("the watchlist cannot be read to its end now; the log says why")?;
        Ok(newest.context("the program is about to stop")?.clone())
    }

    fn newest(&self) -> MutexGuard<'_, Option<Report>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One run, with the knowledge in force at its start.
#[derive(Debug)]
pub struct Run {
    of: Reenrichment,
    request: ReenrichRequest,
    knowledge: Knowledge,
    searches: Searches,
}

/// A mention before and after.
#[derive(Debug)]
struct Judged {
    key: MentionKey,
    /// Where the one before stands in `mentions.enriched`.
    offset: u64,
    before: Enriched,
    after: Enriched,
}

impl Run {
    /// Judges everything, and says in the report how it ended.
    pub async fn carry_out(self) {
        let since = self.request.since;
        tracing::info!(%since, dry_run = self.request.dry_run, "judging history again");
        let stopped = self.parts().stop.clone();
        let done = tokio::select! {
            done = self.all() => done,
            () = stopped.cancelled() => Err(anyhow::anyhow!("the program was told to stop")),
        };
        // However it ended, it is over and nothing to wait for.
        self.parts().health.well(PART, Duration::MAX);
        let newer_watchlist = self.parts().watchlist.borrow().next() != self.knowledge.versions().watchlist;
        let now = self.parts().clock.now();
        let mut report = self.of.newest();
        let Some(report) = report.as_mut() else { return };
        report.end(done.err().map(|error| format!("{error:#}")), newer_watchlist, now);
        match &report.error {
            None => {
                tracing::info!(%since, judged = report.judged, changed = report.changed, "history is judged again");
            }
            Some(error) => tracing::warn!(%since, error, "judging history again ended before its end"),
        }
    }

    /// One partition after the other, which bounds the memory for what is newest in each.
    async fn all(&self) -> anyhow::Result<()> {
        let all = self.parts().broker.bounds(&MENTIONS_ENRICHED, Some(self.request.since)).await?;
        // What happened since then was stored since then: a mention is collected before it is stored.
        let extents: Vec<(Bounds, u64)> = all
            .into_iter()
            .map(|bounds| (bounds, bounds.since.unwrap_or(bounds.next).max(bounds.first)))
            .collect();
        self.note(|report| report.records = extents.iter().map(|(bounds, from)| bounds.next - from).sum());
        for (bounds, from) in extents.into_iter().filter(|(bounds, from)| *from < bounds.next) {
            let partition = bounds.partition;
            self.partition(bounds, from).await.with_context(|| {
                format!("judge partition {partition} of `{}` again", MENTIONS_ENRICHED.name)
            })?;
        }
        Ok(())
    }

    async fn partition(&self, bounds: Bounds, from: u64) -> anyhow::Result<()> {
        let broker = &self.parts().broker;
        let start = Position { partition: bounds.partition, offset: from };
        let mut newest = Newest::follow(broker, start).await?;
        newest.catch_up(broker, &self.parts().health).await?;
        let mut reader = broker.read(&MENTIONS_ENRICHED, vec![start]).await?;
        let mut next = from;
        while next < bounds.next {
            let batch = reader.next(BATCH).await?;
            let before = next;
            next = batch.last().map_or(next, |record| record.offset + 1).min(bounds.next);
            let judged = tokio::task::block_in_place(|| self.judge_batch(&batch, bounds.next, &newest));
            // What came meanwhile counts: no edit and no end may find an older copy behind it.
            newest.catch_up(broker, &self.parts().health).await?;
            let records = self.settle(judged, &newest);
            if !self.request.dry_run {
                broker.append_durably(&MENTIONS_ENRICHED, records).await?;
            }
            let unreadable = newest.take_unreadable();
            self.note(|report| {
                report.records_read += next - before;
                report.left.unreadable += unreadable;
            });
        }
        Ok(())
    }

    /// Judges what is the newest of its mention in a batch, up to an offset.
    fn judge_batch(&self, batch: &[Record], end: u64, newest: &Newest) -> Vec<Judged> {
        let mut judged = Vec::new();
        for record in batch.iter().filter(|record| record.offset < end) {
            // What cannot be read is counted by `newest` and left as it is; an end has nothing to judge.
            let Ok(EnrichedEvent::Upsert(before)) = decode(&record.value) else { continue };
            let key = MentionKey::of(&before.mention.id);
            if before.mention.event_time() < self.request.since || !newest.is_at(key, record.offset) {
                continue;
            }
            let after = self.judge_again(&before);
            judged.push(Judged { key, offset: record.offset, before: *before, after });
        }
        judged
    }

    fn judge_again(&self, before: &Enriched) -> Enriched {
        // Later than the one before, whatever the clock says: of one watchlist the later judgement stands.
        let now = self.parts().clock.now().max(before.enriched.plus_millis(1));
        let mut after = judge(before.mention.clone(), before.raw, &self.knowledge, now);
        self.searches.matched(&mut after);
        after
    }

    /// Notes what moved; answers what to write.
    fn settle(&self, judged: Vec<Judged>, newest: &Newest) -> Vec<NewRecord> {
        let mut records = Vec::new();
        if let Some(report) = self.of.newest().as_mut() {
            for judged in judged {
                records.extend(self.settle_one(judged, newest, report));
            }
        }
        self.parts().metrics.reenriched("changed", records.len());
        records
    }

    /// Notes what moved of one mention; answers the record to write, where there is one.
    fn settle_one(&self, judged: Judged, newest: &Newest, report: &mut Report) -> Option<NewRecord> {
        let Judged { key, offset, before, after } = judged;
        let is_newer = before.enrichment.watchlist > after.enrichment.watchlist;
        if is_newer || !newest.is_at(key, offset) {
            report.left.newer += 1;
            return None;
        }
        let author = before.mention.author.as_ref().map(|author| self.parts().secret.author(&author.id));
        if author.is_some_and(|author| self.parts().erased.borrow().contains(author)) {
            report.left.erased += 1;
            return None;
        }
        report.judged += 1;
        report.changes.note(&before, &after);
        if !differs(&before, &after) {
            self.parts().metrics.reenriched("unchanged", 1);
            return None;
        }
        let id = after.mention.id.clone();
        let value = encode(&EnrichedEvent::Upsert(Box::new(after)));
        if id.len() + value.len() > MAX_RECORD_BYTES {
            report.left.too_large += 1;
            return None;
        }
        report.changed += 1;
        Some(NewRecord::keyed(id, value))
    }

    fn note(&self, change: impl FnOnce(&mut Report)) {
        if let Some(report) = self.of.newest().as_mut() {
            change(report);
        }
    }

    fn parts(&self) -> &Parts {
        &self.of.parts
    }
}

/// Whether two judgements say different things, whenever and with whatever they were made.
fn differs(before: &Enriched, after: &Enriched) -> bool {
    let mut before = before.clone();
    before.enriched = after.enriched;
    before.enrichment = after.enrichment.clone();
    before != *after
}

#[cfg(test)]
mod tests;
