//! Counting a subject anew: the retained mentions are judged again by the definitions in force, and the sums are
//! handed to the decision side.
//!
//! What is to be done stands in `rebuilds`, and so does that it is done: a kill at any moment loses nothing, since what
//! is not said to be done is done again, and the decision side takes one answer to each question. Of several instances
//! one works, which has the lease. Nothing is kept on the disk; a run costs about 200 bytes for each mention of its
//! subjects in one partition.
//!
//! What belongs here: reading `rebuilds` and `mentions.enriched`, judging, writing. What is counted how is
//! `sums`'. Never a signal: what is judged again pages nobody.

mod sums;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use earshot_common::broker::{Bounds, Broker, NewRecord, Position, ReadError, Record};
use earshot_common::calendar::DAY_MS;
use earshot_common::definitions::Watchlist;
use earshot_common::erasures::Erased;
use earshot_common::events::{
    EnrichedEvent, MentionVersion, RebuildRequest, Rebuilt, Signal, SignalRecord, decode, encode,
};
use earshot_common::fail_point;
use earshot_common::keys::{MentionKey, Secret};
use earshot_common::lease::Lease;
use earshot_common::service::{Context, Health};
use earshot_common::time::Timestamp;
use earshot_common::topics::{MENTIONS_ENRICHED, REBUILDS, SIGNALS, WATCHLIST};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::judge::{Knowledge, judge, signal};
use crate::risk::Risks;
use crate::searches::Searches;
use crate::sentiment::Lexicons;
use sums::Sums;

/// The group of instances: who holds its lease rebuilds.
const LEASE: &str = "enrich-rebuilds";
/// The name in health.
const PART: &str = "rebuild";
/// A run that gets on says so within this time.
const DEADLINE: Duration = Duration::from_secs(60);
/// Without a change of `rebuilds` it is looked this often whether there is work and the lease.
const LOOK: Duration = Duration::from_secs(1);
/// After a failure.
const RETRY: Duration = Duration::from_secs(5);
/// Mentions that are judged at one go, on one core: what comes live has the others, and its turn in between.
const BATCH: usize = 200;
/// Subjects of one run: each pass over the mentions serves all of them.
const MOST_AT_ONCE: usize = 500;
/// Records of one append.
const CHUNK: usize = 50;
/// How far back baselines look, and a day or two more, so that the first bucket is whole.
const LOOK_BACK_MS: i64 = 58 * DAY_MS;

/// What is asked for, by subject.
#[derive(Clone, Debug, Default)]
struct Requests(BTreeMap<String, RebuildRequest>);

impl Requests {
    fn take(&mut self, record: &Record) -> Result<(), ReadError> {
        match decode::<RebuildRequest>(&record.value) {
            Ok(request) if request.done => drop(self.0.remove(&request.subject)),
            Ok(request) => drop(self.0.insert(request.subject.clone(), request)),
            Err(error) if error.newer_version => return Err(ReadError::newer_version(&REBUILDS, record)),
            Err(error) => {
                tracing::error!(offset = record.offset, %error, "this record of `rebuilds` is passed over");
            }
        }
        Ok(())
    }
}

/// Carries rebuilds out.
#[derive(Debug)]
pub struct Rebuilds {
    broker: Broker,
    secret: Secret,
    health: Health,
    stop: CancellationToken,
    lexicons: Arc<Lexicons>,
    risks: Arc<Risks>,
    watchlist: watch::Receiver<Arc<Watchlist>>,
    erased: watch::Receiver<Arc<Erased>>,
    requests: watch::Receiver<Arc<Requests>>,
    lease: Lease,
}

/// A mention of a partition, as its newest version is judged; no signal where it is gone.
type Judged = HashMap<MentionKey, (MentionVersion, Option<Box<Signal>>)>;

impl Rebuilds {
    /// Reads what is asked for, and joins those who may do it.
    pub async fn open(
        context: &Context,
        lexicons: Arc<Lexicons>,
        risks: Arc<Risks>,
        watchlist: watch::Receiver<Arc<Watchlist>>,
        erased: watch::Receiver<Arc<Erased>>,
    ) -> anyhow::Result<Self> {
        let broker = context.broker.clone();
        let requests = broker.follow(&REBUILDS, context.stop.clone(), Requests::take).await;
        let requests = requests.context("read what is to be rebuilt")?;
        // `watchlist` never loses its oldest record.
        let lease = Lease::join(&broker, LEASE, WATCHLIST).await.context("join those who rebuild")?;
        Ok(Self {
            broker,
            secret: context.secret.clone(),
            health: context.health.clone(),
            stop: context.stop.clone(),
            lexicons,
            risks,
            watchlist,
            erased,
            requests,
            lease,
        })
    }

    /// Does what is asked for until the stop.
    pub async fn work(mut self) -> anyhow::Result<()> {
        let stop = self.stop.clone();
        // What is done is read back a little later.
        let mut done_here: Vec<RebuildRequest> = Vec::new();
        loop {
            let asked = self.requests.borrow_and_update().0.clone();
            done_here.retain(|done| asked.get(&done.subject) == Some(done));
            let is_due = |request: &RebuildRequest| !done_here.contains(request);
            let due: Vec<RebuildRequest> = asked.into_values().filter(is_due).take(MOST_AT_ONCE).collect();
            if !due.is_empty() && self.lease.is_held() {
                let done = tokio::select! {
                    done = self.rebuild(&due) => done,
                    () = stop.cancelled() => break,
                };
                // However it ended, it is over and nothing to wait for.
                self.health.well(PART, Duration::MAX);
                match done {
                    Ok(()) => {
                        done_here.extend(due);
                        continue;
                    }
                    Err(error) => self.fail(&error).await,
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                changed = self.requests.changed() => {
                    changed.context("`rebuilds` can be followed no more: a newer Earshot wrote it; upgrade enrich")?;
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        self.lease.release().await;
        Ok(())
    }

    async fn fail(&self, error: &anyhow::Error) {
        let error = format!("{error:#}");
        tracing::warn!(error, "subjects could not be counted anew; trying again");
        self.health.trouble(PART, error);
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(RETRY) => {}
        }
    }

    /// Counts anew what is due, in one pass.
    async fn rebuild(&self, due: &[RebuildRequest]) -> anyhow::Result<()> {
        let names: Vec<String> = due.iter().map(RebuildRequest::name).collect();
        tracing::info!(rebuilds = ?names, "counting anew");
        let watchlist = self.watchlist_with(due).await?;
        let mut sums = Sums::of(&watchlist, due);
        if !sums.is_empty() {
            self.count(&watchlist, &mut sums).await?;
        }
        fail_point::passed("recounted");
        let rebuilt: Vec<Rebuilt> = sums.into_records();
        for records in rebuilt.chunks(CHUNK) {
            let records = records.iter().map(|rebuilt| SignalRecord::Rebuilt(Box::new(rebuilt.clone())));
            let records = records.map(|record| NewRecord::unkeyed(encode(&record))).collect();
            self.broker.append_durably(&SIGNALS, records).await?;
        }
        fail_point::passed("rebuilt");
        let done = due.iter().map(|request| {
            let done = RebuildRequest { done: true, ..request.clone() };
            NewRecord::keyed(request.subject.clone(), encode(&done))
        });
        self.broker.append_durably(&REBUILDS, done.collect()).await?;
        tracing::info!(rebuilds = ?names, records = rebuilt.len(), "counted anew");
        Ok(())
    }

    /// The watchlist, which must hold the versions that are asked for.
    async fn watchlist_with(&self, due: &[RebuildRequest]) -> anyhow::Result<Arc<Watchlist>> {
        let newest = due.iter().map(|request| request.version).max().unwrap_or_default();
        let mut watchlist = self.watchlist.clone();
        let known = watchlist.wait_for(|watchlist| watchlist.next() > newest).await;
        Ok(known.context("the program is about to stop")?.clone())
    }

    async fn count(&self, watchlist: &Watchlist, sums: &mut Sums) -> anyhow::Result<()> {
        let (lexicons, risks) = (self.lexicons.clone(), self.risks.clone());
        let knowledge = tokio::task::block_in_place(|| Knowledge::of(watchlist, lexicons, risks))
            .context("prepare the watchlist")?;
        let mut searches = Searches::default();
        searches.follow(watchlist);
        let judge = Judge { of: self, knowledge, searches };
        let since = sums.since(LOOK_BACK_MS);
        for bounds in self.broker.bounds(&MENTIONS_ENRICHED, Some(since)).await? {
            let judged = self.partition(&judge, bounds, since, sums).await.with_context(|| {
                format!("read partition {} of `{}`", bounds.partition, MENTIONS_ENRICHED.name)
            })?;
            for (_, signal) in judged.into_values() {
                if let Some(signal) = signal {
                    sums.add(&signal);
                }
            }
        }
        Ok(())
    }

    /// The newest version of each mention in a partition that concerns a subject which is counted anew. What happened
    /// since a time was stored since then: a mention is collected before it is stored.
    async fn partition(
        &self,
        judge: &Judge<'_>,
        bounds: Bounds,
        since: Timestamp,
        sums: &mut Sums,
    ) -> anyhow::Result<Judged> {
        let from = bounds.since.unwrap_or(bounds.next).max(bounds.first);
        let mut judged = Judged::new();
        // Where older records have left the log by their age, it does not know what was before.
        let is_cut = bounds.first > 0 && from == bounds.first;
        if from >= bounds.next {
            return Ok(judged);
        }
        let start = Position { partition: bounds.partition, offset: from };
        let mut reader = self.broker.read(&MENTIONS_ENRICHED, vec![start]).await?;
        let mut next = from;
        while next < bounds.next {
            let batch = reader.next(BATCH).await?;
            if next == from
                && is_cut
                && let Some(first) = batch.first().filter(|first| first.appended > since)
            {
                sums.begin_at(first.appended);
            }
            next = batch.last().map_or(next, |record| record.offset + 1);
            tokio::task::block_in_place(|| {
                for record in &batch {
                    judge.take(record, since, sums, &mut judged);
                }
            });
            self.health.well(PART, DEADLINE);
            tokio::task::yield_now().await;
        }
        Ok(judged)
    }
}

/// What mentions are judged by.
struct Judge<'r> {
    of: &'r Rebuilds,
    knowledge: Knowledge,
    searches: Searches,
}

impl Judge<'_> {
    /// Takes a record in, where it is of a mention that counts.
    fn take(&self, record: &Record, since: Timestamp, sums: &Sums, judged: &mut Judged) {
        // What cannot be read counts nowhere; search and `reenrich` say so.
        let Ok(event) = decode::<EnrichedEvent>(&record.value) else { return };
        let key = MentionKey::of(&record.key_lossy());
        let version = event.version();
        let known = judged.get(&key).map(|(known, _)| *known);
        if known.is_some_and(|known| known > version) {
            return;
        }
        let signal = match event {
            EnrichedEvent::Upsert(enriched) if enriched.mention.event_time() >= since => {
                let enriched = *enriched;
                let author = enriched.mention.author.as_ref().map(|author| self.of.secret.author(&author.id));
                let is_erased = author.is_some_and(|author| self.of.erased.borrow().contains(author));
                let mut again = judge(enriched.mention, enriched.raw, &self.knowledge, enriched.enriched);
                let matched = self.searches.matched(&mut again);
                let signal = signal(&again, author, matched, record.appended);
                signal.filter(|signal| !is_erased && sums.concerns(signal))
            }
            _ => None,
        };
        if signal.is_some() || known.is_some() {
            judged.insert(key, (version, signal.map(Box::new)));
        }
    }
}

#[cfg(test)]
mod tests;
