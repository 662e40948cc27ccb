//! What a careless administrator does to Apache Kafka: deletes a topic, or records that nobody has read.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use earshot_common::broker::{Broker, KafkaSettings};
use earshot_common::topics::Topic;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::watch::PATIENCE;

const PAUSE: Duration = Duration::from_millis(50);

fn client(kafka: &KafkaSettings) -> anyhow::Result<AdminClient<DefaultClientContext>> {
    kafka.client_config().create().context("connect to Apache Kafka")
}

fn name(kafka: &KafkaSettings, topic: &Topic) -> String {
    format!("{}{}", kafka.topic_prefix, topic.name)
}

/// Deletes a topic, and waits until it is gone.
pub async fn delete_topic(kafka: &KafkaSettings, topic: &Topic) -> anyhow::Result<()> {
    let name = name(kafka, topic);
    let results = client(kafka)?.delete_topics(&[&name], &AdminOptions::new()).await?;
    for result in results {
        result.map_err(|(name, code)| anyhow::anyhow!("delete topic `{name}`: {code}"))?;
    }
    let asking: BaseConsumer = kafka.client_config().create()?;
    let start = Instant::now();
    loop {
        let metadata = asking.fetch_metadata(None, PATIENCE)?;
        if metadata.topics().iter().all(|topic| topic.name() != name) {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "topic `{name}` is still there");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Deletes every record that a topic holds now, as retention does.
pub async fn delete_records(kafka: &KafkaSettings, broker: &Broker, topic: &Topic) -> anyhow::Result<()> {
    let mut before = TopicPartitionList::new();
    for bounds in broker.bounds(topic, None).await? {
        let end = Offset::Offset(i64::try_from(bounds.next)?);
        before.add_partition_offset(&name(kafka, topic), i32::try_from(bounds.partition)?, end)?;
    }
    client(kafka)?.delete_records(&before, &AdminOptions::new()).await.context("delete records").map(drop)
}

/// Waits until each partition of all topics has so many copies that are up to date.
pub async fn until_replicated(kafka: &KafkaSettings, copies: usize) -> anyhow::Result<()> {
    let asking: BaseConsumer = kafka.client_config().create()?;
    let start = Instant::now();
    loop {
        let metadata = asking.fetch_metadata(None, PATIENCE)?;
        let mut partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        if partitions.all(|partition| partition.isr().len() >= copies) {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "there are not {copies} copies of everything");
        tokio::time::sleep(PAUSE).await;
    }
}
