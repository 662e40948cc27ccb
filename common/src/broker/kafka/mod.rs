//! The log on Apache Kafka, over `rdkafka`.
//!
//! librdkafka reconnects by itself: an error here is for what its caller must try again or cannot have at all.
//! Its blocking calls run on threads of their own, never on the runtime's.

mod consumer;
mod producer;
mod questions;
mod security;
mod topics;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::Deserialize;

use super::{Advice, AppendError, Bounds, LEASED_APPEND, NewRecord, OpenError, Position, ReadError, within};
use crate::time::Timestamp;
use crate::topics::Topic;
use producer::Producer;
use questions::Questions;

pub(super) use consumer::{Member, Reader};
pub(super) use producer::Pending;
pub use security::{Mechanism, Password, Sasl, Tls};

/// A broker may be away for minutes before an append fails.
const APPEND_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a question to the brokers may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Where Apache Kafka is, and how topics are made there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// Addresses to begin with, `host:port`, separated by commas; the brokers name the rest.
    pub bootstrap_servers: String,
    /// Stands before the name of each topic and group, so that several installations can share a cluster.
    #[serde(default)]
    pub topic_prefix: String,
    /// Copies of each partition of a topic that is created; -1 takes the cluster's default.
    #[serde(default = "cluster_default")]
    pub replication_factor: i32,
    /// TLS to the brokers; an empty section trusts the authorities that the system trusts.
    pub tls: Option<Tls>,
    /// The login at the brokers.
    pub sasl: Option<Sasl>,
}

fn cluster_default() -> i32 {
    -1
}

impl KafkaSettings {
    /// Those of a cluster that asks for nothing.
    pub fn new(bootstrap_servers: &str) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            topic_prefix: String::new(),
            replication_factor: cluster_default(),
            tls: None,
            sasl: None,
        }
    }

    fn topic_name(&self, topic: &Topic) -> String {
        format!("{}{}", self.topic_prefix, topic.name)
    }

    /// What all clients have in common, those of tests and measurements too.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", "earshot")
            // A broker that came back is found within two seconds instead of ten.
            .set("reconnect.backoff.max.ms", "2000")
            .set("log.connection.close", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        self.configure_security(&mut config);
        config
    }
}

/// A connection to Apache Kafka.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    settings: KafkaSettings,
    producer: Producer,
    /// Made where it is first needed: few write under a lease.
    leased: OnceLock<Producer>,
    questions: Questions,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.settings).finish()
    }
}

impl Client {
    pub(super) async fn open(settings: &KafkaSettings, topics: &[Topic]) -> Result<Self, OpenError> {
        let unusable =
            |message: String| OpenError::Unreachable { at: settings.bootstrap_servers.clone(), message };
        settings.check_build(cfg!(feature = "kafka-tls")).map_err(unusable)?;
        let settings = settings.clone().with_files_read().map_err(unusable)?;
        let questions = questions::connect(&settings, topics).await?;
        let producer =
            Producer::new(&settings, APPEND_TIMEOUT).map_err(|error| unusable(error.to_string()))?;
        let leased = OnceLock::new();
        let client = Self(Arc::new(Inner { settings, producer, leased, questions }));
        topics::create_missing_and_verify(&client, topics).await?;
        Ok(client)
    }

    pub(super) async fn append(&self, topic: &Topic, batch: Vec<NewRecord>) -> Result<Pending, AppendError> {
        self.0.producer.append(topic, &self.0.settings.topic_name(topic), batch).await
    }

    pub(super) async fn append_while_leased(
        &self,
        topic: &Topic,
        batch: Vec<NewRecord>,
    ) -> Result<Pending, AppendError> {
        let Inner { settings, leased, .. } = &*self.0;
        let producer = match leased.get() {
            Some(producer) => producer,
            None => {
                let made = Producer::new(settings, LEASED_APPEND);
                let made = made.map_err(|error| AppendError::unavailable(topic, error))?;
                leased.get_or_init(|| made)
            }
        };
        producer.append(topic, &settings.topic_name(topic), batch).await
    }

    pub(super) async fn read(&self, topic: &Topic, from: Vec<Position>) -> Result<Reader, ReadError> {
        let bounds = self.bounds(topic, None).await?;
        for position in &from {
            let Some(bounds) = bounds.get(position.partition as usize) else {
                return Err(ReadError::unavailable(
                    topic,
                    format!("there is no partition {}", position.partition),
                ));
            };
            within(topic, *position, bounds, Advice::Rebuild)?;
        }
        Reader::start(&self.0.settings, topic, &from)
    }

    pub(super) async fn join(&self, group: &str, topic: &Topic) -> Result<Member, ReadError> {
        Member::start(&self.0.settings, group, topic)
    }

    pub(super) async fn bounds(
        &self,
        topic: &Topic,
        since: Option<Timestamp>,
    ) -> Result<Vec<Bounds>, ReadError> {
        let topic = *topic;
        let ask = move |inner: &Inner| {
            ask_bounds(inner.questions.consumer(), &inner.settings.topic_name(&topic), &topic, since)
        };
        let answer = self.blocking(ask).await;
        answer.map_err(|message| ReadError::unavailable(&topic, message))
    }

    /// Asks on a thread for blocking calls.
    async fn blocking<T: Send + 'static>(
        &self,
        call: impl Fn(&Inner) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, String> {
        let inner = Arc::clone(&self.0);
        let asking = move || inner.questions.answer(|| call(&inner));
        match tokio::task::spawn_blocking(asking).await {
            Ok(answer) => answer,
            Err(stopped) => Err(stopped.to_string()),
        }
    }
}

fn unreachable(settings: &KafkaSettings, error: impl fmt::Display) -> OpenError {
    OpenError::Unreachable {
        at: settings.bootstrap_servers.clone(),
        message: format!(
            "{error}; start Kafka there or correct `kafka.bootstrap_servers`, or leave the section `kafka` out \
             to run on one machine without it"
        ),
    }
}

fn ask_bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    name: &str,
    topic: &Topic,
    since: Option<Timestamp>,
) -> KafkaResult<Vec<Bounds>> {
    let mut all = Vec::new();
    for partition in 0..topic.partitions {
        all.push(ask_partition_bounds(consumer, name, partition)?);
    }
    let Some(since) = since else { return Ok(all) };
    let mut times = TopicPartitionList::new();
    for bounds in &all {
        // A time before 1970 asks for the oldest record, as zero does; negative numbers have other meanings.
        let time = Offset::Offset(since.as_millis().max(0));
        times.add_partition_offset(name, bounds.partition as i32, time)?;
    }
    let found = consumer.offsets_for_times(times, REQUEST_TIMEOUT)?;
    for bounds in &mut all {
        let element = found.find_partition(name, bounds.partition as i32);
        bounds.since = match element.map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => Some(offset as u64),
            _ => Some(bounds.next),
        };
    }
    Ok(all)
}

fn ask_partition_bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    name: &str,
    partition: u32,
) -> KafkaResult<Bounds> {
    let (first, next) = consumer.fetch_watermarks(name, partition as i32, REQUEST_TIMEOUT)?;
    Ok(Bounds { partition, first: first.max(0) as u64, next: next.max(0) as u64, since: None })
}

/// Hands librdkafka's messages to the program's log.
struct Logging;

impl ClientContext for Logging {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        // What librdkafka calls an error is most often a connection that it will open again.
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(facility, message, "kafka client"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(facility, message, "kafka client"),
        RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "kafka client"),
    }
}

fn log_error(error: &KafkaError, reason: &str) {
    tracing::warn!(%error, reason, "kafka client goes on after an error");
}
