//! What every log promises, on both back ends.
//!
//! The embedded half always runs. The Kafka half runs where `EARSHOT_TEST_KAFKA` names a broker, as
//! `EARSHOT_TEST_KAFKA=127.0.0.1:9092` after `deploy/kafka/run --port 9092 --data DIR`. With the feature `kafka-tls`
//! it can run over TLS with a login: `EARSHOT_TEST_KAFKA_SETTINGS=DIR/earshot.toml` after `deploy/kafka/run --secure`.

#![expect(clippy::unwrap_used, reason = "all of this file is tests, and a panic is how they fail")]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use bytes::Bytes;
use earshot_common::broker::{
    Advice, AppendError, Bounds, Broker, Connection, EmbeddedSettings, KafkaSettings, MAX_RECORD_BYTES,
    Member, NewRecord, OpenError, Position, ReadError, Reader, Record, partition_of,
};
use earshot_common::settings::Settings;
use earshot_common::time::Timestamp;
use earshot_common::topics::{Cleanup, Topic};
use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};

const HOUR: Duration = Duration::from_secs(60 * 60);
const FOUR: Topic = Topic { name: "four", partitions: 4, cleanup: Cleanup::Keep };
const ONE: Topic = Topic { name: "one", partitions: 1, cleanup: Cleanup::Keep };
const SHORT: Topic = Topic { name: "short", partitions: 1, cleanup: Cleanup::Delete(HOUR) };
const COMPACTED: Topic = Topic { name: "compacted", partitions: 1, cleanup: Cleanup::Compact };
const ALL: [Topic; 4] = [FOUR, ONE, SHORT, COMPACTED];

/// Defines each case as a test of both back ends.
macro_rules! contract {
    ($($case:ident,)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::patiently(super::$case(super::Log::embedded())).await;
            })*
        }
        mod kafka {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let Some(log) = super::Log::kafka() else { return };
                super::patiently(super::$case(log)).await;
            })*
        }
    };
}

contract! {
    offsets_ascend_without_gaps_in_each_partition,
    records_come_back_as_they_were,
    a_key_always_goes_to_its_partition,
    concurrent_appenders_keep_their_order,
    positions_of_a_group_survive_a_restart,
    a_waiting_reader_wakes_on_append,
    a_dropped_call_loses_nothing,
    what_waits_for_storage_is_bounded,
    positions_that_retention_deleted_are_out_of_range,
    a_position_past_the_end_is_out_of_range,
    a_topic_with_other_settings_is_refused,
    the_largest_record_is_stored_and_a_larger_one_refused,
    bounds_find_the_first_record_since_a_time,
}

/// A log to test.
struct Log {
    connection: Connection,
    /// Deleted when the test is over.
    folder: Option<tempfile::TempDir>,
}

impl Log {
    fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = EmbeddedSettings { folder: folder.path().join("log") };
        Self { connection: Connection::Embedded(settings), folder: Some(folder) }
    }

    /// Topics of its own on the given broker.
    fn kafka() -> Option<Self> {
        let connection = Connection::Kafka(KafkaSettings {
            topic_prefix: format!("contract-{:016x}.", rand::random::<u64>()),
            ..kafka_settings()?
        });
        Some(Self { connection, folder: None })
    }

    async fn open(&self) -> Broker {
        Broker::open(&self.connection, &ALL).await.unwrap()
    }

    fn is_embedded(&self) -> bool {
        self.folder.is_some()
    }

    /// Deletes the records of the one partition before an offset, as retention does.
    async fn expire(&self, broker: &Broker, topic: &Topic, before: &Record) {
        let Connection::Kafka(settings) = &self.connection else {
            let age = topic.cleanup.retention().unwrap().as_millis() as i64;
            broker.maintain(before.appended.plus_millis(age)).await.unwrap();
            return;
        };
        use rdkafka::admin::{AdminClient, AdminOptions};
        use rdkafka::{Offset, TopicPartitionList};
        let config = settings.clone().with_files_read().unwrap().client_config();
        let admin: AdminClient<_> = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        let name = format!("{}{}", settings.topic_prefix, topic.name);
        list.add_partition_offset(&name, 0, Offset::Offset(before.offset as i64)).unwrap();
        admin.delete_records(&list, &AdminOptions::new()).await.unwrap();
    }
}

/// The broker that the environment names.
fn kafka_settings() -> Option<KafkaSettings> {
    if let Some(file) = std::env::var_os("EARSHOT_TEST_KAFKA_SETTINGS") {
        return Settings::load(Path::new(&file)).unwrap().shared.kafka;
    }
    let Ok(bootstrap_servers) = std::env::var("EARSHOT_TEST_KAFKA") else {
        static SAY_ONCE: Once = Once::new();
        SAY_ONCE.call_once(|| say("the Kafka half did not run: EARSHOT_TEST_KAFKA is not set"));
        return None;
    };
    Some(KafkaSettings::new(&bootstrap_servers))
}

/// Written past the test harness, which would show it only beside a failure.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// A test that hangs must fail with its name.
async fn patiently<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), test).await.expect("ended within two minutes")
}

fn numbered(partition: u32, numbers: std::ops::Range<u64>) -> Vec<NewRecord> {
    numbers
        .map(|number| NewRecord {
            partition: Some(partition),
            value: number.to_string().into(),
            ..NewRecord::default()
        })
        .collect()
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8(record.value.to_vec()).unwrap()).collect()
}

fn number_texts(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

async fn read_count(reader: &mut Reader, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(reader.next(count - records.len()).await.unwrap());
    }
    records
}

async fn take_count(member: &mut Member, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(member.next(count - records.len()).await.unwrap());
    }
    records
}

fn assert_out_of_range<T: std::fmt::Debug>(
    outcome: Result<T, ReadError>,
    (wanted_offset, wanted_first, wanted_next, wanted_advice): (u64, u64, u64, Advice),
) {
    match outcome {
        Err(ReadError::OutOfRange { wanted, first, next, advice, .. }) => {
            assert_eq!(
                (wanted, first, next, advice),
                (wanted_offset, wanted_first, wanted_next, wanted_advice)
            );
        }
        other => panic!("not out of range: {other:?}"),
    }
}

async fn offsets_ascend_without_gaps_in_each_partition(log: Log) {
    let broker = log.open().await;
    // The batches are on their way at once: each takes its place when `append` returns.
    let mut waiting = Vec::new();
    for batch in 0..5 {
        for partition in 0..2 {
            let from = batch * 10;
            waiting.push(broker.append(&FOUR, numbered(partition, from..from + 10)).await.unwrap());
        }
    }
    let mut places = Vec::new();
    for durable in waiting {
        places.extend(durable.stored().await.unwrap());
    }
    for partition in 0..2 {
        let offsets: Vec<u64> =
            places.iter().filter(|p| p.partition == partition).map(|p| p.offset).collect();
        assert_eq!(offsets, (0..50).collect::<Vec<_>>());
    }
    let records = read_count(&mut broker.read_from_start(&FOUR).await.unwrap(), 100).await;
    for partition in 0..2 {
        let of_partition: Vec<Record> =
            records.iter().filter(|r| r.partition == partition).cloned().collect();
        assert_eq!(of_partition.iter().map(|r| r.offset).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
        assert_eq!(texts(&of_partition), number_texts(0..50));
        assert!(of_partition.is_sorted_by_key(|record| record.appended));
    }
}

async fn records_come_back_as_they_were(log: Log) {
    let broker = log.open().await;
    let binary: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let batch = vec![
        NewRecord {
            partition: Some(0),
            key: Some(binary.clone()),
            value: binary.clone(),
            headers: vec![
                ("reason".to_owned(), Bytes::from_static("not “JSON”".as_bytes())),
                ("key".to_owned(), binary.clone()),
                ("reason".to_owned(), Bytes::new()),
            ],
        },
        NewRecord::unkeyed(""),
        NewRecord { partition: Some(0), key: Some(Bytes::new()), value: "v".into(), headers: Vec::new() },
    ];
    broker.append_durably(&ONE, batch.clone()).await.unwrap();
    let records = read_count(&mut broker.read_from_start(&ONE).await.unwrap(), 3).await;
    for (record, appended) in records.iter().zip(&batch) {
        assert_eq!((&record.key, &record.value), (&appended.key, &appended.value));
        assert_eq!(record.headers, appended.headers);
    }
    let now: Timestamp = jiff::Timestamp::now().into();
    assert!((now.as_millis() - records[0].appended.as_millis()).abs() < 60_000);
    assert_eq!(broker.append_durably(&ONE, Vec::new()).await.unwrap(), []);
}

async fn a_key_always_goes_to_its_partition(log: Log) {
    let broker = log.open().await;
    let keys: Vec<String> = (0..40).map(|number| format!("hn:{number}")).collect();
    for _ in 0..2 {
        let batch = keys.iter().map(|key| NewRecord::keyed(key.clone(), "text")).collect();
        let places = broker.append_durably(&FOUR, batch).await.unwrap();
        for (key, place) in keys.iter().zip(places) {
            assert_eq!(place.partition, partition_of(key.as_bytes(), 4), "{key}");
        }
    }
    let used: BTreeSet<u32> = keys.iter().map(|key| partition_of(key.as_bytes(), 4)).collect();
    assert_eq!(used.len(), 4, "forty keys use every partition");
}

async fn concurrent_appenders_keep_their_order(log: Log) {
    const APPENDERS: u64 = 8;
    const RECORDS: u64 = 300;
    let broker = log.open().await;
    let mut appenders = tokio::task::JoinSet::new();
    for appender in 0..APPENDERS {
        let broker = broker.clone();
        appenders.spawn(async move {
            let mut waiting = Vec::new();
            for number in 0..RECORDS {
                let record = NewRecord::unkeyed(format!("{appender} {number}"));
                waiting.push(broker.append(&ONE, vec![record]).await.unwrap());
            }
            for durable in waiting {
                durable.stored().await.unwrap();
            }
        });
    }
    appenders.join_all().await;
    let count = (APPENDERS * RECORDS) as usize;
    let records = read_count(&mut broker.read_from_start(&ONE).await.unwrap(), count).await;
    let mut next = BTreeMap::new();
    for (place, (record, text)) in records.iter().zip(texts(&records)).enumerate() {
        assert_eq!(record.offset, place as u64);
        let (appender, number) = text.split_once(' ').unwrap();
        let expected = next.entry(appender.to_owned()).or_insert(0);
        assert_eq!(number.parse::<u64>().unwrap(), *expected, "of appender {appender}");
        *expected += 1;
    }
}

async fn positions_of_a_group_survive_a_restart(log: Log) {
    let broker = log.open().await;
    broker.append_durably(&FOUR, numbered(0, 0..10)).await.unwrap();
    broker.append_durably(&FOUR, numbered(3, 0..10)).await.unwrap();
    let mut member = broker.join("counters", &FOUR).await.unwrap();
    assert_eq!(take_count(&mut member, 20).await.len(), 20);
    let mut owned = member.owned();
    owned.sort();
    let position = |partition, offset| Position { partition, offset };
    assert_eq!(owned, [position(0, 10), position(1, 0), position(2, 0), position(3, 10)]);
    member.commit(&[position(0, 4)]).await.unwrap();
    member.commit(&[position(0, 7), position(3, 10)]).await.unwrap();
    drop(member);
    drop(broker);

    let broker = log.open().await;
    let mut member = broker.join("counters", &FOUR).await.unwrap();
    assert_eq!(texts(&take_count(&mut member, 3).await), number_texts(7..10));
    // A group that never committed begins with the oldest records.
    let mut other = broker.join("others", &FOUR).await.unwrap();
    assert_eq!(take_count(&mut other, 20).await.len(), 20);
    broker.append_durably(&FOUR, numbered(3, 10..11)).await.unwrap();
    assert_eq!(texts(&take_count(&mut member, 1).await), number_texts(10..11));
}

async fn a_waiting_reader_wakes_on_append(log: Log) {
    let broker = log.open().await;
    let mut reader = broker.read_from_start(&ONE).await.unwrap();
    let mut member = broker.join("waiting", &ONE).await.unwrap();
    // Both have read once, so that what follows is no start.
    broker.append_durably(&ONE, numbered(0, 0..1)).await.unwrap();
    assert_eq!(reader.next(10).await.unwrap().len(), 1);
    assert_eq!(member.next(10).await.unwrap().len(), 1);

    let mut waiting = std::pin::pin!(async { tokio::join!(reader.next(10), member.next(10)) });
    assert!((&mut waiting).now_or_never().is_none(), "nothing was appended yet");
    let appended = Instant::now();
    broker.append_durably(&ONE, numbered(0, 1..2)).await.unwrap();
    let (read, taken) = waiting.await;
    assert!(appended.elapsed() < Duration::from_secs(2), "{:?}", appended.elapsed());
    assert_eq!(texts(&read.unwrap()), number_texts(1..2));
    assert_eq!(texts(&taken.unwrap()), number_texts(1..2));
}

async fn a_dropped_call_loses_nothing(log: Log) {
    const RECORDS: u64 = 500;
    let broker = log.open().await;
    let mut reader = broker.read_from_start(&ONE).await.unwrap();
    let mut member = broker.join("impatient", &ONE).await.unwrap();
    let appending = tokio::spawn({
        let broker = broker.clone();
        async move {
            for number in 0..RECORDS {
                broker.append_durably(&ONE, numbered(0, number..number + 1)).await.unwrap();
            }
        }
    });
    let (mut read, mut taken) = (Vec::new(), Vec::new());
    let mut max = 1;
    while read.len() < RECORDS as usize || taken.len() < RECORDS as usize {
        max = max % 7 + 1;
        // Whichever comes second is dropped in the middle.
        tokio::select! {
            records = reader.next(max), if read.len() < RECORDS as usize => read.extend(records.unwrap()),
            records = member.next(max), if taken.len() < RECORDS as usize => taken.extend(records.unwrap()),
            () = tokio::time::sleep(Duration::from_micros(200)) => {}
        }
    }
    appending.await.unwrap();
    assert_eq!(texts(&read), number_texts(0..RECORDS));
    assert_eq!(texts(&taken), number_texts(0..RECORDS));
    assert_eq!(member.owned(), [Position { partition: 0, offset: RECORDS }]);
}

async fn what_waits_for_storage_is_bounded(log: Log) {
    const BATCHES: usize = 80;
    const ROOM_BYTES: usize = 32 * 1024 * 1024;
    let broker = log.open().await;
    let value: Bytes = (0..MAX_RECORD_BYTES).map(|_| rand::random::<u8>()).collect();
    let mut waiting = FuturesUnordered::new();
    let mut most = 0;
    for _ in 0..BATCHES {
        let batch = vec![NewRecord::unkeyed(value.clone())];
        waiting.push(broker.append(&ONE, batch).await.unwrap().stored());
        while let Some(Some(stored)) = waiting.next().now_or_never() {
            stored.unwrap();
        }
        most = most.max(waiting.len());
    }
    while let Some(stored) = waiting.next().await {
        stored.unwrap();
    }
    assert!(most <= ROOM_BYTES / MAX_RECORD_BYTES, "{most} batches of a megabyte waited");
    let bounds = broker.bounds(&ONE, None).await.unwrap();
    assert_eq!(bounds[0].next, BATCHES as u64);
}

async fn positions_that_retention_deleted_are_out_of_range(log: Log) {
    let broker = log.open().await;
    let mut reader = broker.read_from_start(&SHORT).await.unwrap();
    let mut member = broker.join("slow", &SHORT).await.unwrap();
    broker.append_durably(&SHORT, numbered(0, 0..5)).await.unwrap();
    assert_eq!(member.next(2).await.unwrap()[0].offset, 0);
    member.commit(&[Position { partition: 0, offset: 2 }]).await.unwrap();
    let fifth = read_count(&mut reader, 5).await.remove(4);
    let mut sixth = fifth.clone();
    while sixth.appended <= fifth.appended {
        // The clock decides what goes: the sixth must be a millisecond younger at least.
        let place = broker.append_durably(&SHORT, numbered(0, 5..6)).await.unwrap()[0];
        sixth = read_count(&mut broker.read(&SHORT, vec![place]).await.unwrap(), 1).await.remove(0);
    }
    let next = sixth.offset + 1;
    drop(member);
    log.expire(&broker, &SHORT, &sixth).await;

    let bounds = broker.bounds(&SHORT, None).await.unwrap();
    assert_eq!(bounds, [Bounds { partition: 0, first: sixth.offset, next, since: None }]);
    let gone = Position { partition: 0, offset: 2 };
    let wanted = |advice| (2, sixth.offset, next, advice);
    assert_out_of_range(broker.read(&SHORT, vec![gone]).await, wanted(Advice::Rebuild));
    let mut member = broker.join("slow", &SHORT).await.unwrap();
    assert_out_of_range(member.next(10).await, wanted(Advice::ResetGroup));
    assert_out_of_range(member.next(10).await, wanted(Advice::ResetGroup));
    // A reset on purpose goes on past the gap.
    member.commit(&[Position { partition: 0, offset: sixth.offset }]).await.unwrap();
    drop(member);
    let mut member = broker.join("slow", &SHORT).await.unwrap();
    assert_eq!(member.next(10).await.unwrap()[0], sixth);
    // Offsets are never used again.
    let places = broker.append_durably(&SHORT, numbered(0, 6..7)).await.unwrap();
    assert_eq!(places[0].offset, next);
}

async fn a_position_past_the_end_is_out_of_range(log: Log) {
    let broker = log.open().await;
    broker.append_durably(&ONE, numbered(0, 0..3)).await.unwrap();
    let read = |offset| broker.read(&ONE, vec![Position { partition: 0, offset }]);
    assert_out_of_range(read(4).await, (4, 0, 3, Advice::Rebuild));
    let mut at_end = read(3).await.unwrap();
    broker.append_durably(&ONE, numbered(0, 3..4)).await.unwrap();
    assert_eq!(at_end.next(10).await.unwrap()[0].offset, 3);
    // A group that was further than the log is: the topic was made anew.
    let mut member = broker.join("ahead", &ONE).await.unwrap();
    assert_eq!(take_count(&mut member, 4).await.len(), 4);
    member.commit(&[Position { partition: 0, offset: 900 }]).await.unwrap();
    drop(member);
    let mut member = broker.join("ahead", &ONE).await.unwrap();
    assert_out_of_range(member.next(10).await, (900, 0, 4, Advice::ResetGroup));
}

async fn a_topic_with_other_settings_is_refused(log: Log) {
    let (partitions, cleanup, kept, expired) = if log.is_embedded() {
        ("partitions", "cleanup", "kept for ever", "deleted after 1 days")
    } else {
        ("partitions", "retention.ms", "-1", "86400000")
    };
    drop(log.open().await);
    let day = Cleanup::Delete(24 * HOUR);
    for (altered, wanted_setting, wanted_found, wanted_value) in [
        (Topic { partitions: 2, ..ONE }, partitions, "1", "2"),
        (Topic { cleanup: day, ..ONE }, cleanup, kept, expired),
    ] {
        match Broker::open(&log.connection, &[altered]).await {
            Err(OpenError::TopicDiffers { topic, setting, found, wanted }) => {
                assert!(topic.ends_with("one"), "{topic}");
                assert_eq!(
                    (setting, found.as_str(), wanted.as_str()),
                    (wanted_setting, wanted_found, wanted_value)
                );
            }
            other => panic!("not refused: {other:?}"),
        }
    }
    let uncompacted = Topic { cleanup: Cleanup::Keep, ..COMPACTED };
    let error = Broker::open(&log.connection, &[uncompacted]).await.unwrap_err().to_string();
    assert!(error.contains("compact"), "{error}");
    // Nothing was altered.
    drop(log.open().await);
}

async fn the_largest_record_is_stored_and_a_larger_one_refused(log: Log) {
    let broker = log.open().await;
    let sized = |bytes: usize| {
        // Noise, so that compression does not make it small.
        let value: Bytes = (0..bytes - 4).map(|_| rand::random::<u8>()).collect();
        NewRecord { headers: vec![("k".to_owned(), "v".into())], ..NewRecord::keyed("kk", value) }
    };
    let largest = sized(MAX_RECORD_BYTES);
    broker.append_durably(&ONE, vec![largest.clone()]).await.unwrap();
    let refused = broker.append(&ONE, vec![sized(10), sized(MAX_RECORD_BYTES + 1)]).await;
    match refused {
        Err(AppendError::TooLarge { bytes, limit, .. }) => {
            assert_eq!((bytes, limit), (MAX_RECORD_BYTES + 1, MAX_RECORD_BYTES));
        }
        other => panic!("not refused: {other:?}"),
    }
    let read = broker.read_from_start(&ONE).await.unwrap().next(10).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].value, largest.value);
}

async fn bounds_find_the_first_record_since_a_time(log: Log) {
    let broker = log.open().await;
    let empty = broker.bounds(&FOUR, Some(Timestamp::from_millis(0))).await.unwrap();
    let expected = |partition, next, since| Bounds { partition, first: 0, next, since };
    assert_eq!(empty, [0, 1, 2, 3].map(|partition| expected(partition, 0, Some(0))));

    let mut place = Position { partition: 1, offset: 0 };
    let mut seen = Vec::new();
    // Until the clock has moved between two records.
    while seen.last().is_none_or(|last: &Record| last.appended <= seen[0].appended) {
        place = broker.append_durably(&FOUR, numbered(1, 0..1)).await.unwrap()[0];
        seen.extend(read_count(&mut broker.read(&FOUR, vec![place]).await.unwrap(), 1).await);
    }
    let (next, last) = (place.offset + 1, &seen[place.offset as usize]);
    for (since, wanted) in [
        (last.appended, place.offset),
        (last.appended.plus_millis(60_000), next),
        (seen[0].appended, 0),
        (Timestamp::from_millis(0), 0),
        (Timestamp::from_millis(-1), 0),
    ] {
        let bounds = broker.bounds(&FOUR, Some(since)).await.unwrap();
        assert_eq!(bounds[1], expected(1, next, Some(wanted)), "since {since}");
    }
    assert_eq!(broker.bounds(&FOUR, None).await.unwrap()[1], expected(1, next, None));
}

#[tokio::test]
async fn embedded_compaction_keeps_the_newest_record_of_each_key() {
    let log = Log::embedded();
    let broker = log.open().await;
    let keyed = |text: &str| -> Vec<NewRecord> {
        text.split(' ').map(|pair| NewRecord::keyed(pair[..1].to_owned(), pair.to_owned())).collect()
    };
    let now = jiff::Timestamp::now().into();
    broker.append_durably(&COMPACTED, keyed("a1 b1 a2 c1 a3 b2")).await.unwrap();
    broker.maintain(now).await.unwrap();
    let mut reader = broker.read_from_start(&COMPACTED).await.unwrap();
    let kept = read_count(&mut reader, 3).await;
    assert_eq!(texts(&kept), ["c1", "a3", "b2"]);
    assert_eq!(kept.iter().map(|record| record.offset).collect::<Vec<_>>(), [3, 4, 5]);

    broker.append_durably(&COMPACTED, keyed("c2 a4")).await.unwrap();
    broker.maintain(now).await.unwrap();
    assert_eq!(texts(&read_count(&mut reader, 2).await), ["c2", "a4"]);
    let in_a_gap = vec![Position { partition: 0, offset: 1 }];
    let kept = read_count(&mut broker.read(&COMPACTED, in_a_gap).await.unwrap(), 3).await;
    assert_eq!(texts(&kept), ["b2", "c2", "a4"]);
}

#[tokio::test]
async fn embedded_retention_stops_a_reader_and_may_empty_a_partition() {
    let log = Log::embedded();
    let broker = log.open().await;
    broker.append_durably(&SHORT, numbered(0, 0..20)).await.unwrap();
    let mut reader = broker.read_from_start(&SHORT).await.unwrap();
    assert_eq!(reader.next(3).await.unwrap().len(), 3);
    let now: Timestamp = jiff::Timestamp::now().into();
    broker.maintain(now).await.unwrap();
    assert_eq!(reader.next(3).await.unwrap().len(), 3, "an hour has not passed");
    broker.maintain(now.plus_millis(2 * HOUR.as_millis() as i64)).await.unwrap();
    assert_out_of_range(reader.next(3).await, (6, 20, 20, Advice::Rebuild));
    drop((broker, reader));

    let broker = log.open().await;
    let bounds = broker.bounds(&SHORT, Some(now)).await.unwrap();
    assert_eq!(bounds, [Bounds { partition: 0, first: 20, next: 20, since: Some(20) }]);
    let places = broker.append_durably(&SHORT, numbered(0, 20..21)).await.unwrap();
    assert_eq!(places[0].offset, 20);
}

#[tokio::test]
async fn embedded_group_has_one_member() {
    let log = Log::embedded();
    let broker = log.open().await;
    let first = broker.join("counters", &ONE).await.unwrap();
    let second = broker.join("counters", &ONE).await;
    assert!(matches!(&second, Err(ReadError::GroupTaken { group }) if group == "counters"), "{second:?}");
    drop(first);
    broker.join("counters", &ONE).await.unwrap();
}

#[tokio::test]
async fn embedded_folder_is_for_one_process() {
    let log = Log::embedded();
    let broker = log.open().await;
    broker.append_durably(&ONE, numbered(0, 0..1)).await.unwrap();
    let second = Broker::open(&log.connection, &ALL).await;
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    // What was appended is stored by the drop, awaited or not.
    let unawaited = broker.append(&ONE, numbered(0, 1..2)).await.unwrap();
    drop((broker, unawaited));
    let bounds = log.open().await.bounds(&ONE, None).await.unwrap();
    assert_eq!(bounds[0].next, 2);
}

#[tokio::test]
async fn nobody_at_the_address_is_said_with_the_address() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = KafkaSettings::new(&free.to_string());
    let started = Instant::now();
    let error = Broker::open(&Connection::Kafka(settings), &ALL).await.unwrap_err();
    assert!(matches!(&error, OpenError::Unreachable { at, .. } if *at == free.to_string()), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_topics_are_created_by_one_of_two_programs_that_start_at_once() {
    let Some(log) = Log::kafka() else { return };
    let (first, second) = tokio::join!(log.open(), log.open());
    for broker in [first, second] {
        broker.append_durably(&ONE, numbered(0, 0..1)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_members_share_the_partitions() {
    let Some(log) = Log::kafka() else { return };
    let broker = log.open().await;
    let (deliver, mut delivered) = tokio::sync::mpsc::unbounded_channel();
    let mut members = tokio::task::JoinSet::new();
    let mut appended = BTreeSet::new();
    let mut seen = Vec::new();
    patiently(async {
        for name in ["first", "second"] {
            let (joined, deliver) = (broker.clone(), deliver.clone());
            members.spawn(async move {
                let mut member = joined.join("sharing", &FOUR).await.unwrap();
                loop {
                    let records = member.next(10).await.unwrap();
                    let places: Vec<Position> = records
                        .iter()
                        .map(|record| Position { partition: record.partition, offset: record.offset })
                        .collect();
                    // A member may lose a partition only in `next`: what it holds now it also owns.
                    let owned: HashSet<u32> =
                        member.owned().iter().map(|position| position.partition).collect();
                    let next: Vec<Position> =
                        places.iter().map(|place| Position { offset: place.offset + 1, ..*place }).collect();
                    assert!(
                        places.iter().all(|place| owned.contains(&place.partition)),
                        "{places:?} {owned:?}"
                    );
                    for position in next {
                        member.commit(&[position]).await.unwrap();
                    }
                    if deliver.send((name, owned, places)).is_err() {
                        return;
                    }
                }
            });
            // The second joins while the first is at work.
            let mut shares = BTreeMap::new();
            while shares.len() < members.len() || seen.len() < appended.len() {
                let keys = (0..20).map(|_| NewRecord::keyed(rand::random::<[u8; 8]>().to_vec(), "text"));
                if shares.len() < members.len() {
                    appended.extend(broker.append_durably(&FOUR, keys.collect()).await.unwrap());
                }
                let (name, owned, places) = delivered.recv().await.unwrap();
                seen.extend(places);
                shares.insert(name, owned);
            }
        }
    })
    .await;
    drop(delivered);
    assert_eq!(seen.len(), appended.len(), "each record came once");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), appended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_revoke_waits_for_the_work_in_hand() {
    let Some(log) = Log::kafka() else { return };
    let broker = log.open().await;
    for partition in 0..4 {
        broker.append_durably(&FOUR, numbered(partition, 0..10)).await.unwrap();
    }
    let mut first = broker.join("handing-over", &FOUR).await.unwrap();
    assert_eq!(patiently(take_count(&mut first, 40)).await.len(), 40);

    let mut second = broker.join("handing-over", &FOUR).await.unwrap();
    let (deliver, mut delivered) = tokio::sync::mpsc::unbounded_channel();
    let taking = tokio::spawn(async move { while deliver.send(second.next(100).await.unwrap()).is_ok() {} });
    // Also a call that was dropped must not give partitions away.
    assert!(first.next(100).now_or_never().is_none());
    let early = tokio::time::timeout(Duration::from_secs(3), delivered.recv()).await;
    assert!(early.is_err(), "the first member has not committed: {early:?}");
    let owned = first.owned();
    assert_eq!(owned.iter().map(|position| position.offset).collect::<Vec<_>>(), [10, 10, 10, 10]);
    first.commit(&owned).await.unwrap();

    let waiting = tokio::spawn(async move { while first.next(100).await.is_ok() {} });
    for partition in 0..4 {
        broker.append_durably(&FOUR, numbered(partition, 10..11)).await.unwrap();
    }
    let records = patiently(delivered.recv()).await.unwrap();
    assert!(records.iter().all(|record| record.offset == 10), "{records:?}");
    waiting.abort();
    taking.abort();
}

/// The settings of a broker with TLS and a login, or of none.
fn secure_settings() -> Option<KafkaSettings> {
    let settings = kafka_settings().filter(|settings| settings.tls.is_some() && settings.sasl.is_some());
    if settings.is_none() {
        static SAY_ONCE: Once = Once::new();
        SAY_ONCE
            .call_once(|| say("NOT RUN: EARSHOT_TEST_KAFKA_SETTINGS names no broker with TLS and a login"));
    }
    settings
}

/// Why a connection is refused, which is to be said at once.
async fn refusal(settings: KafkaSettings) -> String {
    let opening = async { Broker::open(&Connection::Kafka(settings), &ALL).await.unwrap_err().to_string() };
    tokio::time::timeout(Duration::from_secs(8), opening).await.expect("refused within eight seconds")
}

#[tokio::test]
async fn kafka_says_that_a_password_is_wrong() {
    let Some(mut settings) = secure_settings() else { return };
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("password");
    std::fs::write(&wrong, "not-the-password").unwrap();
    settings.sasl.as_mut().unwrap().password_file = Some(wrong);
    let error = refusal(settings).await;
    assert!(error.contains("SASL authentication error") && error.contains("`kafka.sasl.user`"), "{error}");
    assert!(!error.contains("not-the-password") && !error.contains("kafka.tls"), "{error}");
}

#[tokio::test]
async fn kafka_says_that_a_certificate_is_not_trusted() {
    let Some(mut settings) = secure_settings() else { return };
    // The system trusts other authorities.
    settings.tls.as_mut().unwrap().ca_file = None;
    let error = refusal(settings).await;
    assert!(
        error.contains("certificate could not be verified") && error.contains("`kafka.tls.ca_file`"),
        "{error}"
    );
    assert!(!error.contains("kafka.sasl"), "{error}");
}

#[tokio::test]
async fn kafka_says_that_a_certificate_has_another_name() {
    let Some(mut settings) = secure_settings() else { return };
    settings.bootstrap_servers = another_address_of(settings.bootstrap_servers).await;
    let error = refusal(settings).await;
    assert!(error.contains("127.0.0.2") && error.contains("carry the name"), "{error}");
    assert!(!error.contains("kafka.sasl"), "{error}");
}

/// An address, in no certificate, from which connections are handed on, one after the other.
async fn another_address_of(target: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(&target).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        }
    });
    address
}

/// Where the child of [`embedded_log_keeps_what_it_answered_when_killed`] appends.
const CHILD_FOLDER: &str = "EARSHOT_CONTRACT_CHILD_FOLDER";

#[tokio::test]
async fn embedded_log_keeps_what_it_answered_when_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut answered = BTreeMap::new();
    for round in 0..5 {
        let count = rand::random_range(1..400);
        answered.extend(answers_of_killed_child(folder.path(), count));
        verify_after_kill(folder.path(), &answered, round).await;
    }
}

/// Kills a child after so many answers; answers what it was told was stored.
fn answers_of_killed_child(folder: &Path, count: usize) -> Vec<((u32, u64), String)> {
    use std::io::BufRead;
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_appends_until_it_is_killed", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut answers = Vec::new();
    let mut killed = false;
    // What was printed before the kill is read to its end.
    for line in output.lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        if let ["stored", partition, offset, value] = words[..] {
            answers.push(((partition.parse().unwrap(), offset.parse().unwrap()), value.to_owned()));
        }
        if answers.len() >= count && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended before it was killed");
    answers
}

async fn verify_after_kill(folder: &Path, answered: &BTreeMap<(u32, u64), String>, round: u32) {
    let connection = Connection::Embedded(EmbeddedSettings { folder: folder.to_owned() });
    let broker = Broker::open(&connection, &ALL).await.unwrap();
    let bounds = broker.bounds(&FOUR, None).await.unwrap();
    let count: u64 = bounds.iter().map(|bounds| bounds.next).sum();
    let records = read_count(&mut broker.read_from_start(&FOUR).await.unwrap(), count as usize).await;
    let mut next = [0; 4];
    let mut stored = BTreeMap::new();
    for (record, value) in records.iter().zip(texts(&records)) {
        assert_eq!(record.offset, next[record.partition as usize], "contiguous in round {round}");
        next[record.partition as usize] += 1;
        stored.insert((record.partition, record.offset), value);
    }
    for (place, value) in answered {
        assert_eq!(stored.get(place), Some(value), "answered in or before round {round}");
    }
    let values: HashSet<&String> = stored.values().collect();
    assert_eq!(values.len(), stored.len(), "nothing is stored twice");
}

/// Does nothing but in the child process that a test starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_appends_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let connection = Connection::Embedded(EmbeddedSettings { folder: PathBuf::from(folder) });
    let broker = Broker::open(&connection, &ALL).await.unwrap();
    let mut appenders = tokio::task::JoinSet::new();
    for partition in 0..4 {
        let broker = broker.clone();
        appenders.spawn(async move {
            loop {
                let values: Vec<String> =
                    (0..3).map(|_| format!("{:032x}", rand::random::<u128>())).collect();
                let batch = values
                    .iter()
                    .map(|value| NewRecord {
                        partition: Some(partition),
                        value: value.clone().into(),
                        ..NewRecord::default()
                    })
                    .collect();
                let places = broker.append_durably(&FOUR, batch).await.unwrap();
                for (place, value) in places.iter().zip(values) {
                    println!("stored {} {} {value}", place.partition, place.offset);
                }
            }
        });
    }
    appenders.join_all().await;
}
