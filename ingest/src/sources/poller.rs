//! The life of one source: ask, store, say how it goes, wait.

use std::time::Duration;

use earshot_common::broker::{AppendError, MAX_BATCH, NewRecord};
use earshot_common::definitions::Source;
use earshot_common::events::{
    Mention, MentionEvent, SchemaVersion, SignalRecord, SourceHealth, SourceState, SourceStatus, encode,
};
use earshot_common::time::Timestamp;
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
/// While nothing changes, the state says at least this often that the source answers: well within what follows.
const STATE_REFRESH_MS: i64 = 5 * 60 * 1000;
/// A source that was not asked so long after it was due, and for twice its interval, may have said what nobody heard.
const UNASKED_MS: i64 = 15 * 60 * 1000;
/// Why nothing was heard of it.
const UNASKED: &str = "Earshot did not ask it";
/// Pause after the log did not take what a poll brought.
const LOG_RETRY: Duration = Duration::from_secs(5);

/// Polls one source.
pub(super) struct Poller {
    around: Around,
    source: Source,
    state: Option<SourceState>,
    failures: u32,
    /// Since when nobody has asked it, where that is to be told.
    unasked: Option<Timestamp>,
}

impl Poller {
    /// Takes the source up where it was left.
    pub(super) fn new(around: Around, source: Source) -> Self {
        let state = around.states.get(&source);
        let now = around.context.clock.now();
        let unasked = state.as_ref().and_then(|state| unasked_since(state, source.poll_interval_s, now));
        Self { around, source, state, failures: 0, unasked }
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
                let wait = interval.max(polled.wait.min(LONGEST_WAIT));
                self.note(SourceStatus::Healthy, None, Some(polled.cursor), wait).await?;
                Ok(wait)
            }
            Err(error) => {
                polls.with_label_values(&[error.result]).inc();
                self.failures += 1;
                let wait = backoff(interval, self.failures).max(error.wait.min(LONGEST_WAIT));
                self.note(SourceStatus::Failing, Some(error.reason), None, wait).await?;
                Ok(wait)
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

    /// Keeps the new state, and tells people and the decision side where the status changed, or the source was not asked
    /// for long. The cursor of a failed poll stays the one before.
    async fn note(
        &mut self,
        status: SourceStatus,
        reason: Option<String>,
        cursor: Option<Value>,
        wait: Duration,
    ) -> Result<(), AppendError> {
        let now = self.around.context.clock.now();
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        let before = self.state.as_ref();
        let last_success = before.and_then(|state| state.last_success);
        let new = SourceState {
            v: SchemaVersion::default(),
            source: self.source.id.clone(),
            cursor: cursor.or_else(|| before.map(|state| state.cursor.clone())).unwrap_or(Value::Null),
            status,
            last_success: if status == SourceStatus::Healthy { Some(now) } else { last_success },
            reason,
            next: Some(now.plus_millis(wait_ms)),
        };
        let status_changed = before.is_none_or(|state| state.status != new.status);
        if status_changed || self.unasked.is_some() {
            self.tell(&new, now).await?;
            self.unasked = None;
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

    async fn tell(&self, state: &SourceState, now: Timestamp) -> Result<(), AppendError> {
        let told: Vec<NewRecord> = changes(state, self.unasked, now)
            .into_iter()
            .map(|health| NewRecord::unkeyed(encode(&SignalRecord::SourceHealth(health))))
            .collect();
        self.around.context.broker.append_durably(&SIGNALS, told).await?;
        if let Some(since) = self.unasked {
            tracing::warn!(source = state.source, %since, "the source was not asked");
        }
        match &state.reason {
            None => tracing::info!(source = state.source, "the source answers"),
            Some(reason) => tracing::warn!(source = state.source, reason, "the source fails"),
        }
        Ok(())
    }
}

/// Since when nobody has asked a source that answered, where that is longer than the usual pause between two polls, and
/// than the source asked for.
fn unasked_since(state: &SourceState, interval_s: u64, now: Timestamp) -> Option<Timestamp> {
    let twice_ms = i64::try_from(interval_s.saturating_mul(2_000)).unwrap_or(i64::MAX);
    let last = state.last_success.filter(|_| state.status == SourceStatus::Healthy)?;
    let due = state.next.unwrap_or(last).plus_millis(UNASKED_MS).max(last.plus_millis(twice_ms));
    (now >= due).then_some(last)
}

/// What to tell of a source: how it is, and before that since when it was not asked.
fn changes(state: &SourceState, unasked: Option<Timestamp>, now: Timestamp) -> Vec<SourceHealth> {
    let health = |status, reason, at| SourceHealth {
        v: SchemaVersion::default(),
        source: state.source.clone(),
        state: status,
        reason,
        raw: Vec::new(),
        at,
    };
    let fails = state.status == SourceStatus::Failing;
    let is = health(state.status, state.reason.clone(), unasked.filter(|_| fails).unwrap_or(now));
    let was = unasked.filter(|_| !fails);
    let was = was.map(|since| health(SourceStatus::Failing, Some(UNASKED.to_owned()), since));
    was.into_iter().chain([is]).collect()
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
    fn a_source_was_not_asked_after_a_quarter_of_an_hour_and_twice_its_interval() {
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        let state = |status, last_success| SourceState {
            v: SchemaVersion::default(),
            source: "times".to_owned(),
            cursor: Value::Null,
            status,
            last_success,
            reason: None,
            next: None,
        };
        let healthy = state(SourceStatus::Healthy, Some(at(100)));
        for (interval_s, minutes, wanted) in [
            (60, 114, None),
            (60, 115, Some(at(100))),
            (1_800, 159, None),
            (1_800, 160, Some(at(100))),
            (u64::MAX, 9_999, None),
        ] {
            assert_eq!(unasked_since(&healthy, interval_s, at(minutes)), wanted, "{interval_s} {minutes}");
        }
        // One that wants to be left alone for an hour is not missed before a quarter past.
        let patient = SourceState { next: Some(at(160)), ..healthy.clone() };
        assert_eq!([174, 175].map(|minutes| unasked_since(&patient, 60, at(minutes))), [None, Some(at(100))]);
        // One that failed fails still; one that never answered was never heard.
        for state in [state(SourceStatus::Failing, Some(at(100))), state(SourceStatus::Healthy, None)] {
            assert_eq!(unasked_since(&state, 60, at(999)), None);
        }
        // One that does not answer at the start has not been heard since it last did.
        let failing = SourceState { reason: Some("404".to_owned()), ..state(SourceStatus::Failing, None) };
        let told = changes(&failing, Some(at(100)), at(900));
        assert_eq!((told.len(), told[0].state, told[0].at), (1, SourceStatus::Failing, at(100)));
    }

    #[test]
    fn jitter_never_asks_early() {
        let wait = jittered(Duration::from_secs(100)).as_secs_f64();
        assert!((100.0..=110.0).contains(&wait), "{wait}");
    }
}
