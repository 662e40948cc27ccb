//! Creates the topics that are missing and verifies the rest.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use super::producer::MAX_MESSAGE_BYTES;
use super::{Client, Logging, REQUEST_TIMEOUT, unreachable};
use crate::broker::OpenError;
use crate::topics::{Cleanup, Topic};

/// How long a new topic may take to show, and how often to look.
const CREATION_TIMEOUT: Duration = Duration::from_secs(30);
const CREATION_POLL: Duration = Duration::from_millis(100);

pub(super) async fn create_missing_and_verify(client: &Client, topics: &[Topic]) -> Result<(), OpenError> {
    let settings = &client.0.settings;
    let admin: AdminClient<Logging> = settings
        .client_config()
        .create_with_context(Logging)
        .map_err(|error| unreachable(settings, error))?;
    let mut missing = Vec::new();
    for topic in topics {
        if count_partitions(client, topic).await?.is_none() {
            missing.push(*topic);
        }
    }
    create(client, &admin, &missing).await?;
    for topic in &missing {
        wait_until_there(client, topic).await?;
    }
    for topic in topics {
        let found = count_partitions(client, topic).await?.unwrap_or(0);
        if found != topic.partitions {
            return Err(differs(
                client,
                topic,
                "partitions",
                &found.to_string(),
                &topic.partitions.to_string(),
            ));
        }
    }
    verify_configs(client, &admin, topics).await
}

/// Partitions that have a leader; nothing where there is no topic.
async fn count_partitions(client: &Client, topic: &Topic) -> Result<Option<u32>, OpenError> {
    let name = client.0.settings.topic_name(topic);
    let ask = move |inner: &super::Inner| {
        let metadata = inner.questions.consumer().fetch_metadata(Some(&name), REQUEST_TIMEOUT)?;
        let found = metadata.topics().iter().find(|topic| topic.name() == name);
        let led = |topic: &rdkafka::metadata::MetadataTopic| {
            topic.partitions().iter().filter(|partition| partition.leader() >= 0).count() as u32
        };
        Ok(found.filter(|topic| topic.error().is_none()).map(led))
    };
    client.blocking(ask).await.map_err(|message| unreachable(&client.0.settings, message))
}

async fn create(client: &Client, admin: &AdminClient<Logging>, topics: &[Topic]) -> Result<(), OpenError> {
    if topics.is_empty() {
        return Ok(());
    }
    let settings = &client.0.settings;
    let names: Vec<String> = topics.iter().map(|topic| settings.topic_name(topic)).collect();
    let configs: Vec<[(&str, String); 5]> = topics.iter().map(created_with).collect();
    let mut new_topics = Vec::new();
    for (topic, (name, config)) in topics.iter().zip(names.iter().zip(&configs)) {
        new_topics.push(NewTopic {
            name,
            num_partitions: topic.partitions as i32,
            replication: TopicReplication::Fixed(settings.replication_factor),
            config: config.iter().map(|(setting, value)| (*setting, value.as_str())).collect(),
        });
    }
    let options = AdminOptions::new().operation_timeout(Some(REQUEST_TIMEOUT));
    let results =
        admin.create_topics(&new_topics, &options).await.map_err(|error| unreachable(settings, error))?;
    for result in results {
        match result {
            // Another program may have opened the log at the same moment.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(OpenError::Unreachable {
                    at: settings.bootstrap_servers.clone(),
                    message: format!("create topic `{name}`: {code}"),
                });
            }
        }
    }
    Ok(())
}

async fn wait_until_there(client: &Client, topic: &Topic) -> Result<(), OpenError> {
    let started = Instant::now();
    while count_partitions(client, topic).await?.unwrap_or(0) < topic.partitions {
        if started.elapsed() > CREATION_TIMEOUT {
            let message =
                format!("topic `{}` was created and does not show", client.0.settings.topic_name(topic));
            return Err(OpenError::Unreachable { at: client.0.settings.bootstrap_servers.clone(), message });
        }
        tokio::time::sleep(CREATION_POLL).await;
    }
    Ok(())
}

async fn verify_configs(
    client: &Client,
    admin: &AdminClient<Logging>,
    topics: &[Topic],
) -> Result<(), OpenError> {
    let settings = &client.0.settings;
    let names: Vec<String> = topics.iter().map(|topic| settings.topic_name(topic)).collect();
    let resources: Vec<ResourceSpecifier<'_>> =
        names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    if resources.is_empty() {
        return Ok(());
    }
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let answers =
        admin.describe_configs(&resources, &options).await.map_err(|error| unreachable(settings, error))?;
    for (topic, answer) in topics.iter().zip(answers) {
        verify_config(client, topic, &answer.map_err(|code| unreachable(settings, code))?)?;
    }
    Ok(())
}

fn verify_config(client: &Client, topic: &Topic, found: &ConfigResource) -> Result<(), OpenError> {
    for (setting, wanted) in created_with(topic) {
        let found = found.get(setting).and_then(|entry| entry.value.as_deref()).unwrap_or("");
        if !same(setting, found, &wanted) {
            return Err(differs(client, topic, setting, found, &wanted));
        }
    }
    Ok(())
}

fn same(setting: &str, found: &str, wanted: &str) -> bool {
    match setting {
        "cleanup.policy" => found.split(',').collect::<BTreeSet<_>>() == wanted.split(',').collect(),
        // A topic that takes larger records does no harm.
        "max.message.bytes" => found.parse::<u64>().ok() >= wanted.parse().ok(),
        _ => found == wanted,
    }
}

fn differs(client: &Client, topic: &Topic, setting: &'static str, found: &str, wanted: &str) -> OpenError {
    OpenError::TopicDiffers {
        topic: client.0.settings.topic_name(topic),
        setting,
        found: found.to_owned(),
        wanted: wanted.to_owned(),
    }
}

/// The settings that a topic is created with, and must have.
fn created_with(topic: &Topic) -> [(&'static str, String); 5] {
    let policy = match topic.cleanup {
        Cleanup::Keep | Cleanup::Delete(_) => "delete",
        Cleanup::Compact => "compact",
        Cleanup::CompactAndDelete(_) => "compact,delete",
    };
    let retention = topic.cleanup.retention().map_or("-1".to_owned(), |age| age.as_millis().to_string());
    [
        ("cleanup.policy", policy.to_owned()),
        ("retention.ms", retention),
        // A limit by size would delete records that were never read.
        ("retention.bytes", "-1".to_owned()),
        // With times of their own, old mentions would be deleted as soon as they arrive.
        ("message.timestamp.type", "LogAppendTime".to_owned()),
        ("max.message.bytes", MAX_MESSAGE_BYTES.to_owned()),
    ]
}
