//! Appending. Delivery reports tell what was stored; nothing here ever flushes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;

use super::{KafkaSettings, log, log_error};
use crate::broker::room::{Room, Taken};
use crate::broker::{AppendError, NewRecord, Position};
use crate::topics::Topic;

/// What Kafka takes by default, and what our topics are created with: the room around a batch included.
pub(super) const MAX_MESSAGE_BYTES: &str = "1048588";

/// How long to wait before a record is offered again to a full queue.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(5);

type Native = ThreadedProducer<Reports>;

/// An idempotent producer that is made anew when it cannot go on.
pub(super) struct Producer {
    settings: KafkaSettings,
    /// What is not stored within this is given up.
    timeout: Duration,
    native: Mutex<Arc<Native>>,
    room: Room,
}

impl Producer {
    pub(super) fn new(settings: &KafkaSettings, timeout: Duration) -> KafkaResult<Self> {
        let native = Mutex::new(Arc::new(create(settings, timeout)?));
        Ok(Self { settings: settings.clone(), timeout, native, room: Room::new() })
    }

    pub(super) async fn append(
        &self,
        topic: &Topic,
        name: &str,
        batch: Vec<NewRecord>,
    ) -> Result<Pending, AppendError> {
        let taken = self.room.take(&batch).await;
        let native = self.native().map_err(|error| AppendError::unavailable(topic, error))?;
        let (tell, outcome) = oneshot::channel();
        let underway = Arc::new(Underway::new(batch.len(), tell, taken));
        for (index, record) in batch.iter().enumerate() {
            let partition = record.partition_in(topic);
            let mut report = Box::new(Report { index, batch: Arc::clone(&underway) });
            while let Err((error, returned)) = send(&native, name, partition, record, report) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(AppendError::unavailable(topic, error));
                }
                report = returned;
                tokio::time::sleep(QUEUE_FULL_WAIT).await;
            }
        }
        Ok(Pending { topic: *topic, outcome, _native: native })
    }

    /// The producer. A fatal error, as after a topic was made anew, ends the old one for good.
    fn native(&self) -> KafkaResult<Arc<Native>> {
        let mut native = self.native.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((code, reason)) = native.client().fatal_error() {
            tracing::warn!(%code, reason, "kafka producer is made anew after a fatal error");
            *native = Arc::new(create(&self.settings, self.timeout)?);
        }
        Ok(Arc::clone(&native))
    }
}

fn create(settings: &KafkaSettings, timeout: Duration) -> KafkaResult<Native> {
    settings
        .client_config()
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("message.max.bytes", MAX_MESSAGE_BYTES)
        // The room is the limit; this one is only reached by what librdkafka counts otherwise.
        .set("queue.buffering.max.kbytes", "65536")
        .set("queue.buffering.max.messages", "0")
        .set("message.timeout.ms", timeout.as_millis().to_string())
        .create_with_context(Reports)
}

fn send(
    native: &Native,
    name: &str,
    partition: u32,
    record: &NewRecord,
    report: Box<Report>,
) -> Result<(), (KafkaError, Box<Report>)> {
    let mut message: BaseRecord<'_, [u8], [u8], Box<Report>> =
        BaseRecord::with_opaque_to(name, report).partition(partition as i32).payload(record.value.as_ref());
    if let Some(key) = &record.key {
        message = message.key(key.as_ref());
    }
    if !record.headers.is_empty() {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value.as_ref()) });
        }
        message = message.headers(headers);
    }
    native.send(message).map_err(|(error, message)| (error, message.delivery_opaque))
}

/// Travels with a record through librdkafka and back.
struct Report {
    index: usize,
    batch: Arc<Underway>,
}

/// A batch on its way. Whoever waits for it is woken once, not for each record.
struct Underway {
    reports: Mutex<Reported>,
    _room: Taken,
}

/// What is known of a batch so far.
struct Reported {
    places: Vec<Position>,
    /// Records without a report.
    missing: usize,
    /// Gone once the outcome is told.
    tell: Option<oneshot::Sender<Outcome>>,
}

/// The places of a batch, or why it is not stored.
type Outcome = Result<Vec<Position>, String>;

impl Underway {
    /// A batch of no records is stored at once.
    fn new(records: usize, tell: oneshot::Sender<Outcome>, room: Taken) -> Self {
        let places = vec![Position { partition: 0, offset: 0 }; records];
        let mut reported = Reported { places, missing: records, tell: Some(tell) };
        if records == 0 {
            reported.tell(Ok(Vec::new()));
        }
        Self { reports: Mutex::new(reported), _room: room }
    }

    fn report(&self, index: usize, place: Result<Position, String>) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        match place {
            Ok(place) => {
                reports.places[index] = place;
                reports.missing -= 1;
                if reports.missing == 0 {
                    let places = std::mem::take(&mut reports.places);
                    reports.tell(Ok(places));
                }
            }
            Err(message) => reports.tell(Err(message)),
        }
    }
}

impl Reported {
    fn tell(&mut self, outcome: Outcome) {
        if let Some(tell) = self.tell.take() {
            // Whoever does not wait for the batch has dropped the receiver.
            let _ = tell.send(outcome);
        }
    }
}

/// Answers each record's report.
struct Reports;

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Report>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Box<Report>) {
        let outcome = match result {
            Ok(message) => match u64::try_from(message.offset()) {
                Ok(offset) => Ok(Position { partition: message.partition() as u32, offset }),
                Err(_) => Err("stored, but the broker does not say where".to_owned()),
            },
            Err((error, _)) => Err(error.to_string()),
        };
        report.batch.report(report.index, outcome);
    }
}

/// A batch that waits for its delivery reports.
pub struct Pending {
    topic: Topic,
    outcome: oneshot::Receiver<Outcome>,
    /// A producer that is dropped drops what it has not sent.
    _native: Arc<Native>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Pending {
    pub(in crate::broker) async fn stored(self) -> Result<Vec<Position>, AppendError> {
        // The batch goes without a word only where the producer drops what it has not sent.
        let outcome = self.outcome.await.unwrap_or_else(|_| Err("the producer was closed".to_owned()));
        outcome.map_err(|message| AppendError::unavailable(&self.topic, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::room::Room;

    async fn underway(records: usize) -> (Underway, oneshot::Receiver<Outcome>) {
        let (tell, outcome) = oneshot::channel();
        (Underway::new(records, tell, Room::new().take(&[]).await), outcome)
    }

    fn place(offset: u64) -> Position {
        Position { partition: 1, offset }
    }

    #[tokio::test]
    async fn places_are_told_in_the_order_of_the_batch_once_the_last_is_known() {
        let (batch, mut outcome) = underway(2).await;
        batch.report(1, Ok(place(8)));
        assert!(outcome.try_recv().is_err(), "one report is missing");
        batch.report(0, Ok(place(7)));
        assert_eq!(outcome.await, Ok(Ok(vec![place(7), place(8)])));
        assert_eq!(underway(0).await.1.await, Ok(Ok(Vec::new())));
    }

    #[tokio::test]
    async fn the_first_failure_is_told_at_once_and_a_producer_that_is_gone_says_nothing() {
        let (batch, outcome) = underway(3).await;
        batch.report(1, Err("refused".to_owned()));
        batch.report(0, Ok(place(7)));
        batch.report(2, Err("late".to_owned()));
        assert_eq!(outcome.await, Ok(Err("refused".to_owned())));
        let (batch, outcome) = underway(1).await;
        drop(batch);
        assert!(outcome.await.is_err());
    }
}
