//! Appending. Delivery reports tell what was stored; nothing here ever flushes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::mpsc;

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
    native: Mutex<Arc<Native>>,
    room: Room,
}

impl Producer {
    pub(super) fn new(settings: &KafkaSettings) -> KafkaResult<Self> {
        let native = Mutex::new(Arc::new(create(settings)?));
        Ok(Self { settings: settings.clone(), native, room: Room::new() })
    }

    pub(super) async fn append(
        &self,
        topic: &Topic,
        name: &str,
        batch: Vec<NewRecord>,
    ) -> Result<Pending, AppendError> {
        let taken = Arc::new(self.room.take(&batch).await);
        let native = self.native().map_err(|error| AppendError::unavailable(topic, error))?;
        let (reports, outcomes) = mpsc::unbounded_channel();
        for (index, record) in batch.iter().enumerate() {
            let partition = record.partition_in(topic);
            let mut report = Box::new(Report { index, reports: reports.clone(), _taken: Arc::clone(&taken) });
            while let Err((error, returned)) = send(&native, name, partition, record, report) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(AppendError::unavailable(topic, error));
                }
                report = returned;
                tokio::time::sleep(QUEUE_FULL_WAIT).await;
            }
        }
        Ok(Pending { topic: *topic, count: batch.len(), outcomes, _native: native })
    }

    /// The producer. A fatal error, as after a topic was made anew, ends the old one for good.
    fn native(&self) -> KafkaResult<Arc<Native>> {
        let mut native = self.native.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((code, reason)) = native.client().fatal_error() {
            tracing::warn!(%code, reason, "kafka producer is made anew after a fatal error");
            *native = Arc::new(create(&self.settings)?);
        }
        Ok(Arc::clone(&native))
    }
}

fn create(settings: &KafkaSettings) -> KafkaResult<Native> {
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
        // A broker may be away for minutes before an append fails.
        .set("message.timeout.ms", "300000")
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
    reports: mpsc::UnboundedSender<(usize, Result<Position, String>)>,
    _taken: Arc<Taken>,
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
        // Whoever does not wait for the batch has dropped the receiver.
        let _ = report.reports.send((report.index, outcome));
    }
}

/// A batch that waits for its delivery reports.
pub struct Pending {
    topic: Topic,
    count: usize,
    outcomes: mpsc::UnboundedReceiver<(usize, Result<Position, String>)>,
    /// A producer that is dropped drops what it has not sent.
    _native: Arc<Native>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("topic", &self.topic)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl Pending {
    pub(in crate::broker) async fn stored(mut self) -> Result<Vec<Position>, AppendError> {
        let mut places = vec![Position { partition: 0, offset: 0 }; self.count];
        for _ in 0..self.count {
            let (index, outcome) = match self.outcomes.recv().await {
                Some(report) => report,
                None => return Err(AppendError::unavailable(&self.topic, "the producer was closed")),
            };
            places[index] = outcome.map_err(|message| AppendError::unavailable(&self.topic, message))?;
        }
        Ok(places)
    }
}
