//! Reading. Each reader and member has a thread that polls librdkafka only while somebody waits in `next`, so
//! that partitions come and go only there: a revoke waits until the work in hand is done.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::mpsc as blocking;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::mpsc;

use super::questions::patiently;
use super::{KafkaSettings, REQUEST_TIMEOUT, ask_partition_bounds, log, log_error};
use crate::broker::{Advice, Bounds, MAX_BATCH, MAX_READ_BYTES, Position, ReadError, Record, within};
use crate::time::Timestamp;
use crate::topics::Topic;

/// How long one poll waits; a message ends it at once. It is also how late a thread sees that nobody waits.
const POLL_WAIT: Duration = Duration::from_millis(200);
/// How long to wait before a question is asked again that no broker answered.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// How long a commit is tried while the group gives out its partitions anew.
const COMMIT_PATIENCE: Duration = Duration::from_secs(10);
const COMMIT_RETRY_WAIT: Duration = Duration::from_millis(20);
/// How long a drop waits for the member to leave its group.
const LEAVE_PATIENCE: Duration = Duration::from_secs(5);

type Consumer = BaseConsumer<Assignment>;

/// Follows a topic without a group.
#[derive(Debug)]
pub struct Reader(Follower);

impl Reader {
    pub(super) fn start(
        settings: &KafkaSettings,
        topic: &Topic,
        from: &[Position],
    ) -> Result<Self, ReadError> {
        let unavailable = |error: KafkaError| ReadError::unavailable(topic, error);
        // librdkafka wants the name of a group even where it joins none and commits nothing.
        let consumer = create(settings, "reader", topic, Advice::Rebuild).map_err(unavailable)?;
        let name = settings.topic_name(topic);
        consumer
            .context()
            .positions()
            .extend(from.iter().map(|position| (position.partition, position.offset)));
        consumer.assign(&list(&name, from).map_err(unavailable)?).map_err(unavailable)?;
        Follower::start(consumer).map(Self)
    }

    pub(in crate::broker) async fn next(&mut self, max: usize) -> Result<Vec<Record>, ReadError> {
        self.0.next(max).await
    }
}

/// A member of a group.
#[derive(Debug)]
pub struct Member(Follower);

impl Member {
    pub(super) fn start(settings: &KafkaSettings, group: &str, topic: &Topic) -> Result<Self, ReadError> {
        let unavailable = |error: KafkaError| ReadError::unavailable(topic, error);
        let consumer = create(settings, group, topic, Advice::ResetGroup).map_err(unavailable)?;
        consumer.subscribe(&[&settings.topic_name(topic)]).map_err(unavailable)?;
        Follower::start(consumer).map(Self)
    }

    pub(in crate::broker) async fn next(&mut self, max: usize) -> Result<Vec<Record>, ReadError> {
        self.0.next(max).await
    }

    pub(in crate::broker) async fn commit(&mut self, next: &[Position]) -> Result<(), ReadError> {
        if next.is_empty() {
            return Ok(());
        }
        let consumer = Arc::clone(&self.0.consumer);
        let topic = consumer.context().topic;
        let positions =
            list(&consumer.context().name, next).map_err(|error| ReadError::unavailable(&topic, error))?;
        let committing = tokio::task::spawn_blocking(move || commit(&consumer, &positions));
        match committing.await {
            Ok(outcome) => outcome.map_err(|error| ReadError::unavailable(&topic, error)),
            Err(stopped) => Err(ReadError::unavailable(&topic, stopped)),
        }
    }

    /// One commit, whose answer tells whether the group still knows this member: while it gives out its partitions anew
    /// it refuses the commit and knows the member all the same. Cooperatively no other member has a partition before
    /// the one that had it has given it up or is gone.
    pub(in crate::broker) async fn still_owns(&mut self, committing: Position) -> Result<(), ReadError> {
        let consumer = Arc::clone(&self.0.consumer);
        let topic = consumer.context().topic;
        let positions = list(&consumer.context().name, &[committing])
            .map_err(|error| ReadError::unavailable(&topic, error))?;
        let asking =
            tokio::task::spawn_blocking(move || match consumer.commit(&positions, CommitMode::Sync) {
                Err(error) if !is_given_out_anew(&error) || consumer.assignment_lost() => Err(error),
                _ => Ok(()),
            });
        match asking.await {
            Ok(outcome) => outcome.map_err(|error| ReadError::unavailable(&topic, error)),
            Err(stopped) => Err(ReadError::unavailable(&topic, stopped)),
        }
    }

    pub(in crate::broker) fn owned(&self) -> Vec<Position> {
        let positions = self.0.consumer.context().positions();
        positions.iter().map(|(&partition, &offset)| Position { partition, offset }).collect()
    }
}

fn create(settings: &KafkaSettings, group: &str, topic: &Topic, advice: Advice) -> KafkaResult<Consumer> {
    let mut config: ClientConfig = settings.client_config();
    config
        .set("group.id", format!("{}{group}", settings.topic_prefix))
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Each position is explicit; one that is gone must be said and never skipped.
        .set("auto.offset.reset", "error")
        // A member that died is replaced after this; the default is 45 seconds.
        .set("session.timeout.ms", "15000")
        // Memory: a queue, and beside it one answer, whose limits are before decompression.
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.message.max.bytes", "262144")
        .set("fetch.max.bytes", "1048588")
        // With a queue this small, the default of a second would make a pause after each filling.
        .set("fetch.queue.backoff.ms", "20");
    config.create_with_context(Assignment {
        topic: *topic,
        name: settings.topic_name(topic),
        settings: settings.clone(),
        advice,
        positions: Mutex::default(),
        revoked: Mutex::default(),
        attention: Mutex::new(Attention::Elsewhere),
        attention_changed: Condvar::new(),
    })
}

fn list(name: &str, positions: &[Position]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for position in positions {
        list.add_partition_offset(name, position.partition as i32, Offset::Offset(position.offset as i64))?;
    }
    Ok(list)
}

/// While the group gives out its partitions anew, the broker may know of it before this member does: the next
/// attempt, a moment later, carries the new generation. The partitions stay ours until the next poll.
fn commit(consumer: &Consumer, positions: &TopicPartitionList) -> KafkaResult<()> {
    let started = Instant::now();
    loop {
        let Err(error) = consumer.commit(positions, CommitMode::Sync) else { return Ok(()) };
        if !is_given_out_anew(&error) || consumer.assignment_lost() || started.elapsed() > COMMIT_PATIENCE {
            return Err(error);
        }
        std::thread::sleep(COMMIT_RETRY_WAIT);
    }
}

/// Whether a commit was refused because the group's partitions are being given out anew.
fn is_given_out_anew(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::RebalanceInProgress | RDKafkaErrorCode::IllegalGeneration)
    )
}

/// The async side of a reader's or member's thread.
struct Follower {
    consumer: Arc<Consumer>,
    requests: Option<blocking::Sender<usize>>,
    answers: Option<mpsc::Receiver<Result<Vec<Record>, ReadError>>>,
    /// Whether a request has no answer yet; so after a call that was dropped.
    waiting: bool,
    /// Records of an answer that was larger than the call that takes it.
    left_over: VecDeque<Record>,
    stopped: blocking::Receiver<()>,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("assignment", self.consumer.context()).finish_non_exhaustive()
    }
}

impl Follower {
    fn start(consumer: Consumer) -> Result<Self, ReadError> {
        let consumer = Arc::new(consumer);
        let topic = consumer.context().topic;
        let (requests, next_request) = blocking::channel();
        let (answer, answers) = mpsc::channel(1);
        let (stop, stopped) = blocking::sync_channel(1);
        let polled = Arc::clone(&consumer);
        std::thread::Builder::new()
            .name("kafka-reader".to_owned())
            .spawn(move || {
                serve(&polled, &next_request, &answer);
                // The last one to drop the consumer leaves the group.
                drop(polled);
                let _ = stop.send(());
            })
            .map_err(|error| ReadError::unavailable(&topic, error))?;
        Ok(Self {
            consumer,
            requests: Some(requests),
            answers: Some(answers),
            waiting: false,
            left_over: VecDeque::new(),
            stopped,
        })
    }

    async fn next(&mut self, max: usize) -> Result<Vec<Record>, ReadError> {
        let max = max.clamp(1, MAX_BATCH);
        if self.left_over.is_empty() {
            self.left_over = self.fetch(max).await?.into();
        }
        let count = max.min(self.left_over.len());
        let batch: Vec<Record> = self.left_over.drain(..count).collect();
        let mut positions = self.consumer.context().positions();
        for record in &batch {
            positions.insert(record.partition, record.offset + 1);
        }
        Ok(batch)
    }

    /// A call that is dropped leaves its answer to the next one.
    async fn fetch(&mut self, max: usize) -> Result<Vec<Record>, ReadError> {
        let stopped =
            || ReadError::unavailable(&self.consumer.context().topic, "the reading thread has stopped");
        let (Some(requests), Some(answers)) = (&self.requests, &mut self.answers) else {
            return Err(stopped());
        };
        if !self.waiting {
            requests.send(max).map_err(|_| stopped())?;
            self.waiting = true;
        }
        let attending = Attending::new(self.consumer.context());
        let answer = answers.recv().await.ok_or_else(stopped)?;
        drop(attending);
        self.waiting = false;
        answer
    }
}

impl Drop for Follower {
    /// Leaves the group, so that others need not wait for the session to time out.
    fn drop(&mut self) {
        self.consumer.context().turn_attention(Attention::Closing);
        self.requests = None;
        self.answers = None;
        let _ = self.stopped.recv_timeout(LEAVE_PATIENCE);
    }
}

/// Answers requests until nobody asks any more.
fn serve(
    consumer: &Consumer,
    requests: &blocking::Receiver<usize>,
    answers: &mpsc::Sender<Result<Vec<Record>, ReadError>>,
) {
    let mut failure = None;
    while let Ok(max) = requests.recv() {
        let Some(answer) = gather(consumer, max, answers, &mut failure) else { return };
        if answers.blocking_send(answer).is_err() {
            return;
        }
    }
}

/// Polls until there are records and answers what has come by then; nothing when nobody waits any more.
fn gather(
    consumer: &Consumer,
    max: usize,
    answers: &mpsc::Sender<Result<Vec<Record>, ReadError>>,
    failure: &mut Option<KafkaError>,
) -> Option<Result<Vec<Record>, ReadError>> {
    let assignment = consumer.context();
    let mut batch: Vec<Record> = Vec::new();
    let mut bytes = 0;
    loop {
        if batch.is_empty()
            && let Some(error) = failure.take()
            && let Err(unrecovered) = assignment.recover(consumer, &error)
        {
            // A partition that was stopped is not polled again: the next call must say the same.
            *failure = Some(error).filter(stops_a_partition);
            return Some(Err(unrecovered));
        }
        let wait = if batch.is_empty() { POLL_WAIT } else { Duration::ZERO };
        let polled = consumer.poll(wait);
        let revoked = std::mem::take(&mut *lock(&assignment.revoked));
        // A partition may go while records of it are being gathered: they are its next owner's.
        batch.retain(|record| !revoked.contains(&record.partition));
        match polled {
            Some(Ok(message)) => {
                let record = to_record(&message);
                bytes += record.value.len();
                batch.push(record);
                if batch.len() >= max || bytes >= MAX_READ_BYTES {
                    return Some(Ok(batch));
                }
            }
            Some(Err(error)) if passes_by_itself(&error) => {
                log_error(&error, "");
            }
            Some(Err(error)) => {
                *failure = Some(error);
                if !batch.is_empty() {
                    return Some(Ok(batch));
                }
            }
            None if !batch.is_empty() => return Some(Ok(batch)),
            None if answers.is_closed() => return None,
            None => {}
        }
    }
}

/// Whether librdkafka goes on by itself after an error.
fn passes_by_itself(error: &KafkaError) -> bool {
    match error {
        KafkaError::MessageConsumption(code) => !matches!(
            code,
            RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
        ),
        _ => false,
    }
}

/// Whether librdkafka reads no more from a partition after an error, because its position is gone.
fn stops_a_partition(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset)
}

fn to_record(message: &BorrowedMessage<'_>) -> Record {
    let mut headers = Vec::new();
    for header in message.headers().iter().flat_map(|headers| headers.iter()) {
        headers.push((header.key.to_owned(), Bytes::copy_from_slice(header.value.unwrap_or_default())));
    }
    Record {
        partition: message.partition() as u32,
        offset: message.offset() as u64,
        appended: Timestamp::from_millis(message.timestamp().to_millis().unwrap_or_default()),
        key: message.key().map(Bytes::copy_from_slice),
        value: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        headers,
    }
}

/// The partitions that are read, shared between a thread and its async side.
#[derive(Debug)]
struct Assignment {
    topic: Topic,
    name: String,
    settings: KafkaSettings,
    advice: Advice,
    /// For each partition the offset that the async side reads next.
    positions: Mutex<BTreeMap<u32, u64>>,
    /// Partitions that went since the thread last looked.
    revoked: Mutex<Vec<u32>>,
    attention: Mutex<Attention>,
    attention_changed: Condvar,
}

/// What the async side is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attention {
    /// It waits in `next`.
    Waiting,
    /// It has work in hand, or a call of `next` was dropped.
    Elsewhere,
    /// It is about to go.
    Closing,
}

/// Says that the async side waits, as long as it does.
struct Attending<'a>(&'a Assignment);

impl<'a> Attending<'a> {
    fn new(assignment: &'a Assignment) -> Self {
        assignment.turn_attention(Attention::Waiting);
        Self(assignment)
    }
}

impl Drop for Attending<'_> {
    fn drop(&mut self) {
        self.0.turn_attention(Attention::Elsewhere);
    }
}

impl Assignment {
    fn positions(&self) -> MutexGuard<'_, BTreeMap<u32, u64>> {
        lock(&self.positions)
    }

    fn assign(&self, consumer: &Consumer, partitions: &mut TopicPartitionList) -> KafkaResult<()> {
        while let Err(error) = self.place(consumer, partitions) {
            if *lock(&self.attention) == Attention::Closing {
                break;
            }
            tracing::warn!(topic = self.name, %error, "kafka member could not load the group's positions, trying again");
            std::thread::sleep(RETRY_WAIT);
        }
        consumer.incremental_assign(partitions)
    }

    /// Makes each new partition's position explicit: the committed one, or the oldest.
    fn place(&self, consumer: &Consumer, partitions: &mut TopicPartitionList) -> KafkaResult<()> {
        if partitions.count() == 0 {
            return Ok(());
        }
        let committed = consumer.committed_offsets(partitions.clone(), REQUEST_TIMEOUT)?;
        let mut placed = Vec::new();
        for element in committed.elements() {
            element.error()?;
            let partition = element.partition() as u32;
            let offset = match element.offset() {
                Offset::Offset(offset) => offset as u64,
                _ => self.ask_bounds(partition)?.first,
            };
            placed.push((partition, offset));
        }
        for (partition, offset) in &placed {
            partitions.set_partition_offset(&self.name, *partition as i32, Offset::Offset(*offset as i64))?;
        }
        self.positions().extend(placed);
        Ok(())
    }

    /// Asks by a client of its own: one that knew a broker which is no more goes on asking it, and in the midst of
    /// an assignment nothing else would make it look for another.
    fn ask_bounds(&self, partition: u32) -> KafkaResult<Bounds> {
        let asking: BaseConsumer = self.settings.client_config().create()?;
        patiently(|| ask_partition_bounds(&asking, &self.name, partition))
    }

    fn turn_attention(&self, attention: Attention) {
        *lock(&self.attention) = attention;
        self.attention_changed.notify_all();
    }

    /// After a call of `next` that was dropped the thread still polls: what it must not do then is give away
    /// partitions, whose positions the async side may be about to commit.
    fn revoke(&self, consumer: &Consumer, partitions: &TopicPartitionList) -> KafkaResult<()> {
        let _attention = self
            .attention_changed
            .wait_while(lock(&self.attention), |attention| *attention == Attention::Elsewhere)
            .unwrap_or_else(PoisonError::into_inner);
        for element in partitions.elements() {
            let partition = element.partition() as u32;
            self.positions().remove(&partition);
            lock(&self.revoked).push(partition);
        }
        consumer.incremental_unassign(partitions)
    }

    /// After an error: where it stopped a partition, says what is gone or goes on where the reading was.
    fn recover(&self, consumer: &Consumer, error: &KafkaError) -> Result<(), ReadError> {
        if !stops_a_partition(error) {
            return Err(ReadError::unavailable(&self.topic, error));
        }
        let unavailable = |error: KafkaError| ReadError::unavailable(&self.topic, error);
        let positions: Vec<Position> =
            self.positions().iter().map(|(&partition, &offset)| Position { partition, offset }).collect();
        for position in &positions {
            let bounds = self.ask_bounds(position.partition).map_err(unavailable)?;
            within(&self.topic, *position, &bounds, self.advice)?;
        }
        let list = list(&self.name, &positions).map_err(unavailable)?;
        consumer.seek_partitions(list, REQUEST_TIMEOUT).map_err(unavailable)?;
        Ok(())
    }
}

impl ClientContext for Assignment {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ConsumerContext for Assignment {
    fn rebalance(&self, consumer: &Consumer, code: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let outcome = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, partitions),
            _ => self.revoke(consumer, partitions),
        };
        if let Err(error) = outcome {
            tracing::error!(topic = self.name, %error, "kafka member could not take its new partitions");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
