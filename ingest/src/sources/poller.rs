//! The life of one source: ask, store, say how it goes, wait.

use std::time::Duration;

use earshot_common::broker::{AppendError, MAX_BATCH, NewRecord};
use earshot_common::definitions::Source;
use earshot_common::events::{
    Mention, MentionEvent, SchemaVersion, SignalRecord, SourceHealth, SourceState, SourceStatus, encode,
};
use earshot_common::topics::{MENTIONS_RAW, SIGNALS};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Around, PollError, Polled, poll};
use crate::cleaning::raw_record;
use crate::metrics::{DoorKind, observe_delay};

/// A source that fails is asked at least this often, unless its own interval is longer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60 * 60);
/// No source makes us wait longer, whatever it asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// While nothing changes, the state says at least this often that the source answers.
const STATE_REFRESH_MS: i64 = 10 * 60 * 1000;
/// Pause after the log did not take what a poll brought.
const LOG_RETRY: Duration = Duration::from_secs(5);

/// Polls one source.
pub(super) struct Poller {
    around: Around,
    source: Source,
    state: Option<SourceState>,
    failures: u32,
}

impl Poller {
    /// Takes the source up where it was left.
    pub(super) fn new(around: Around, source: Source) -> Self {
        let state = around.states.get(&source);
        Self { around, source, state, failures: 0 }
    }

    /// Polls until the stop. What a poll brought is stored before it ends.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let polled = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                polled = self.ask() => polled,
            };
            let wait = match self.settle(polled).await {
                Ok(wait) => jittered(wait),
                Err(error) => {
                    tracing::warn!(source = self.source.id, %error, "a poll is not stored; asking again");
                    LOG_RETRY
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn ask(&self) -> Result<Polled, PollError> {
        let _permit = self.around.permits.acquire().await.expect("the semaphore is never closed");
        let cursor = self.state.as_ref().map(|state| &state.cursor).filter(|cursor| !cursor.is_null());
        poll(&self.around.client, &self.source, cursor, self.around.context.clock.now()).await
    }

    /// Stores what a poll brought; answers when to ask again.
    async fn settle(&mut self, polled: Result<Polled, PollError>) -> Result<Duration, AppendError> {
        let interval = Duration::from_secs(self.source.poll_interval_s);
        let polls = &self.around.metrics.feed_polls;
        match polled {
            Ok(polled) => {
                polls.with_label_values(&[polled.result]).inc();
                self.failures = 0;
                self.store(polled.mentions).await?;
                self.note(SourceStatus::Healthy, None, Some(polled.cursor)).await?;
                Ok(interval.max(polled.wait.min(LONGEST_WAIT)))
            }
            Err(error) => {
                polls.with_label_values(&[error.result]).inc();
                self.failures += 1;
                self.note(SourceStatus::Failing, Some(error.reason), None).await?;
                Ok(backoff(interval, self.failures).max(error.wait.min(LONGEST_WAIT)))
            }
        }
    }

    async fn store(&self, mentions: Vec<Mention>) -> Result<(), AppendError> {
        let count = mentions.len();
        for mention in &mentions {
            observe_delay(&self.around.context.metrics, mention);
        }
        let mut records: Vec<NewRecord> = mentions
            .into_iter()
            .map(|mention| raw_record(&MentionEvent::Upsert(Box::new(mention))))
            .collect();
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(MAX_BATCH));
            self.around.context.broker.append_durably(&MENTIONS_RAW, records).await?;
            records = rest;
        }
        self.around.metrics.count_stored(DoorKind::Feed, count);
        Ok(())
    }

    /// Keeps the new state, and tells people and the decision side where the status changed. The cursor of a
    /// failed poll stays the one before.
    async fn note(
        &mut self,
        status: SourceStatus,
        reason: Option<String>,
        cursor: Option<Value>,
    ) -> Result<(), AppendError> {
        let now = self.around.context.clock.now();
        let before = self.state.as_ref();
        let last_success = before.and_then(|state| state.last_success);
        let new = SourceState {
            v: SchemaVersion::default(),
            source: self.source.id.clone(),
            cursor: cursor.or_else(|| before.map(|state| state.cursor.clone())).unwrap_or(Value::Null),
            status,
            last_success: if status == SourceStatus::Healthy { Some(now) } else { last_success },
            reason,
        };
        let status_changed = before.is_none_or(|state| state.status != new.status);
        if status_changed {
            self.tell(&new).await?;
        }
        let changed = before.is_none_or(|state| state.cursor != new.cursor || state.reason != new.reason);
        let stale = new
            .last_success
            .zip(last_success)
            .is_some_and(|(new, old)| new.as_millis() - old.as_millis() >= STATE_REFRESH_MS);
        self.around.states.remember(&self.source, new.clone());
        if status_changed || changed || stale {
            self.around.states.put(&self.source, new.clone()).await?;
            self.state = Some(new);
        }
        Ok(())
    }

    async fn tell(&self, state: &SourceState) -> Result<(), AppendError> {
        let health = SourceHealth {
            v: SchemaVersion::default(),
            source: state.source.clone(),
            state: state.status,
            reason: state.reason.clone(),
            raw: Vec::new(),
            at: self.around.context.clock.now(),
        };
        let record = NewRecord::unkeyed(encode(&SignalRecord::SourceHealth(health)));
        self.around.context.broker.append_durably(&SIGNALS, vec![record]).await?;
        match &state.reason {
            None => tracing::info!(source = state.source, "the source answers"),
            Some(reason) => tracing::warn!(source = state.source, reason, "the source fails"),
        }
        Ok(())
    }
}

/// Twice as long after each failure, up to an hour.
fn backoff(interval: Duration, failures: u32) -> Duration {
    let doubled = interval.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LONGEST_BACKOFF).max(interval)
}

/// A little later than asked for, so that many sources do not stay in step.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(1.0 + rand::random_range(0.0..0.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_fails_is_asked_less_and_less_but_every_hour() {
        let waits = [1, 2, 3, 10, 100].map(|failures| backoff(Duration::from_secs(300), failures).as_secs());
        assert_eq!(waits, [300, 600, 1_200, 3_600, 3_600]);
        assert_eq!(backoff(Duration::from_secs(86_400), 3).as_secs(), 86_400);
    }

    #[test]
    fn jitter_never_asks_early() {
        let wait = jittered(Duration::from_secs(100)).as_secs_f64();
        assert!((100.0..=110.0).contains(&wait), "{wait}");
    }
}
