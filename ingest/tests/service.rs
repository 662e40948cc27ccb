//! The service on an embedded log, watched from outside: HTTP in, topics out.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use earshot_common::broker::{NewRecord, Reader, Record};
use earshot_common::definitions::{Definition, Source, SourceKind};
use earshot_common::events::{
    DefinitionVersion, Mention, MentionEvent, Origin, SchemaVersion, SignalRecord, SourceHealth,
    SourceStatus, decode, encode,
};
use earshot_common::service::{self, Context};
use earshot_common::settings::Settings;
use earshot_common::time::Clock;
use earshot_common::topics::{DEAD_LETTERS, MENTIONS_RAW, SIGNALS, Topic, WATCHLIST};
use earshot_ingest::{Accepted, ImportReport, ListedSource, SourceListing, Standing};
use prometheus::Registry;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The service in this process.
struct Running {
    context: Context,
    address: SocketAddr,
    task: JoinHandle<anyhow::Result<()>>,
    http: reqwest::Client,
}

impl Running {
    async fn start(folder: &Path) -> Self {
        let text = format!(
            "[ingest]\nallow_private_addresses = true\n[ingest.doors.crm]\nsecret = \"{SECRET}\"\n\
             [ingest.doors.partner]\nsecret = \"{SECRET}\"\nnetwork = \"forum\"\n"
        );
        let settings = Settings::from_toml(&text, folder).unwrap();
        Self::start_on(service::open(settings, CancellationToken::new()).await.unwrap()).await
    }

    async fn start_on(context: Context) -> Self {
        let started = earshot_ingest::start(context.clone()).await.unwrap();
        let listener = service::listen("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
        let address = listener.local_addr().unwrap();
        let running = context.clone();
        let task = tokio::spawn(async move { service::run(&running, listener, vec![started]).await });
        Self { context, address, task, http: reqwest::Client::new() }
    }

    async fn stop(self) {
        self.context.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Stops, and starts anew on the same log.
    async fn restart(self) -> Self {
        let context = self.context.clone();
        self.stop().await;
        let fresh = Context { stop: CancellationToken::new(), registry: Registry::new(), ..context };
        Self::start_on(fresh).await
    }

    async fn import(&self, query: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let url = format!("http://{}/api/import?{query}", self.address);
        let response = self.http.post(url).body(body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// The one source that there is, as operators see it, once it stands so.
    async fn listed_as(&self, wanted: Standing) -> ListedSource {
        let asking = async {
            loop {
                let url = format!("http://{}/api/sources", self.address);
                let mut listing: SourceListing =
                    self.http.get(url).send().await.unwrap().json().await.unwrap();
                if listing.sources.len() == 1 && listing.sources[0].status == wanted {
                    return listing.sources.remove(0);
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("the source stands as wanted in time")
    }

    async fn knock(&self, door: &str, body: &str, signed: bool) -> (u16, Value) {
        let mut request = self.http.post(format!("http://{}/api/doors/{door}", self.address));
        if signed {
            let now = jiff::Timestamp::now().as_second();
            let signature = Webhook::new(SECRET).unwrap().sign("msg_1", now, body.as_bytes()).unwrap();
            request = request
                .header("webhook-id", "msg_1")
                .header("webhook-timestamp", now.to_string())
                .header("webhook-signature", signature);
        }
        let response = request.body(body.to_owned()).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn follow(&self, topic: Topic) -> Follower {
        Follower { reader: self.context.broker.read_from_start(&topic).await.unwrap() }
    }

    async fn records(&self, topic: Topic) -> Vec<Record> {
        let mut records = Vec::new();
        self.context.broker.replay(&topic, |record| records.push(record)).await.unwrap();
        records
    }

    /// What was told of sources.
    async fn told(&self) -> usize {
        let of_source =
            |record: &Record| matches!(decode(&record.value).unwrap(), SignalRecord::SourceHealth(_));
        self.records(SIGNALS).await.iter().filter(|record| of_source(record)).count()
    }

    async fn publish(&self, source: Source) {
        let definition = Definition::Source(source);
        let version = DefinitionVersion {
            v: SchemaVersion::default(),
            id: definition.key(),
            owner: "file:test".to_owned(),
            definition: Some(definition),
            version: None,
        };
        let record = NewRecord::keyed(version.id.clone(), encode(&version));
        self.context.broker.append_durably(&WATCHLIST, vec![record]).await.unwrap();
    }
}

/// Waits for records.
struct Follower {
    reader: Reader,
}

impl Follower {
    async fn record(&mut self) -> Record {
        let waiting = tokio::time::timeout(PATIENCE, self.reader.next(1));
        waiting.await.expect("a record in time").unwrap().remove(0)
    }

    async fn mention(&mut self) -> Mention {
        match decode(&self.record().await.value).unwrap() {
            MentionEvent::Upsert(mention) => *mention,
            MentionEvent::Delete(deletion) => panic!("an upsert is wanted, not {deletion:?}"),
        }
    }

    async fn health(&mut self) -> SourceHealth {
        loop {
            match decode(&self.record().await.value).unwrap() {
                SignalRecord::SourceHealth(health) => return health,
                SignalRecord::Collecting(_) => {}
                other => panic!("the health of a source is wanted, not {other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_stored_reported_and_signalled() {
    let folder = tempfile::tempdir().unwrap();
    let service = Running::start(folder.path()).await;
    let csv = "id,text,created_at,user\n1,one,2015-02-24,ann\n2,,2015-02-24,bob\n1,again,2015-02-24,ann\n\
               3,three,2015-02-25T00:00:00Z,cy\n";
    let (status, report) = service.import("name=february&zone=Europe/Paris", csv).await;
    assert_eq!(status, 200, "{report}");
    let report: ImportReport = serde_json::from_value(report).unwrap();
    assert_eq!((report.rows, report.mentions, report.repeated, report.bad), (4, 2, 1, 1));
    assert_eq!(report.zone_assumed.as_deref(), Some("Europe/Paris"));

    let raw = service.records(MENTIONS_RAW).await;
    let mut ids: Vec<String> = raw.iter().map(Record::key_lossy).collect();
    ids.sort();
    assert_eq!(ids, ["import:february:1", "import:february:3"]);

    let letters = service.records(DEAD_LETTERS).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value, "2,,2015-02-24,bob");
    for (name, value) in [("reason", "the text is empty"), ("import", "import:february"), ("line", "3")] {
        assert_eq!(letters[0].header(name), Some(value.as_bytes()), "{name}");
    }

    let health = service.follow(SIGNALS).await.health().await;
    assert_eq!((health.source.as_str(), health.state), ("import:february", SourceStatus::Finished));
    for bounds in service.context.broker.bounds(&MENTIONS_RAW, None).await.unwrap() {
        let said = health.raw.iter().find(|said| said.partition == bounds.partition);
        assert_eq!(said.map_or(0, |said| said.offset), bounds.next, "partition {}", bounds.partition);
    }

    // The same file again brings the same revisions, which change nothing.
    service.import("name=february&zone=Europe/Paris", csv).await;
    let again = service.records(MENTIONS_RAW).await;
    assert_eq!(again.len(), 4);
    let revisions = |records: &[Record]| {
        let mut all: Vec<(String, i64)> = records
            .iter()
            .map(|record| match decode(&record.value).unwrap() {
                MentionEvent::Upsert(mention) => (mention.id.clone(), mention.revision),
                MentionEvent::Delete(deletion) => (deletion.id, deletion.revision),
            })
            .collect();
        all.sort();
        all.dedup();
        all
    };
    assert_eq!(revisions(&again), revisions(&raw));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_cannot_be_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let service = Running::start(folder.path()).await;
    for (query, body, wanted) in [
        ("", "", "the file is empty"),
        (
            "text=words",
            "id,text,time\n",
            "there is no column `words` for `text`; the columns are: id, text, time",
        ),
        ("colour=red", "id,text,time\n", "unknown field `colour`"),
        ("format=xml", "id,text,time\n", "unknown variant `xml`"),
    ] {
        let (status, refusal) = service.import(query, body).await;
        assert_eq!(status, 400);
        assert!(refusal["error"].as_str().unwrap().contains(wanted), "{refusal}");
    }
    assert_eq!(service.told().await, 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_takes_all_of_a_signed_request_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let service = Running::start(folder.path()).await;
    let two = json!({"mentions": [{"id": "1", "text": "one"}, {"id": "2", "text": "two"}]}).to_string();
    let half = json!({"mentions": [{"id": "3", "text": "three"}, {"id": "4"}]}).to_string();

    assert_eq!(service.knock("crm", &two, false).await.0, 401);
    assert_eq!(service.knock("nowhere", &two, true).await.0, 404);
    let (status, refusal) = service.knock("crm", &half, true).await;
    assert_eq!(status, 400);
    assert!(refusal["error"].as_str().unwrap().starts_with("mentions[1]: `text`"), "{refusal}");
    assert!(service.records(MENTIONS_RAW).await.is_empty());

    let (status, accepted) = service.knock("crm", &two, true).await;
    assert_eq!((status, serde_json::from_value(accepted).unwrap()), (200, Accepted { accepted: 2 }));
    service.knock("partner", r#"{"id":"5","deleted":true}"#, true).await;
    let mut ids: Vec<String> = service.records(MENTIONS_RAW).await.iter().map(Record::key_lossy).collect();
    ids.sort();
    assert_eq!(ids, ["crm:1", "crm:2", "forum:5"]);
    service.stop().await;
}

/// A site with one feed, whose document a test changes.
#[derive(Clone, Default)]
struct Site {
    document: Arc<Mutex<String>>,
    not_modified: Arc<watch::Sender<usize>>,
}

impl Site {
    async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/feed", get(Self::feed)).with_state(self.clone());
        tokio::spawn(axum::serve(listener, routes).into_future());
        address
    }

    fn show(&self, document: String) {
        *self.document.lock().unwrap() = document;
    }

    async fn feed(State(site): State<Self>, headers: HeaderMap) -> Response {
        let document = site.document.lock().unwrap().clone();
        let etag = format!("\"{}\"", document.len());
        if document.is_empty() {
            return StatusCode::NOT_FOUND.into_response();
        }
        if headers.get("if-none-match").is_some_and(|given| given == etag.as_str()) {
            site.not_modified.send_modify(|count| *count += 1);
            return StatusCode::NOT_MODIFIED.into_response();
        }
        ([("etag", etag)], document).into_response()
    }
}

fn rss(ids: &[&str]) -> String {
    let items: String = ids
        .iter()
        .map(|id| format!("<item><guid>{id}</guid><title>about {id}</title><pubDate>Thu, 01 Jan 2026 00:00:00 GMT</pubDate></item>"))
        .collect();
    format!("<rss version=\"2.0\"><channel><title>n</title>{items}</channel></rss>")
}

fn source(site: SocketAddr) -> Source {
    Source {
        id: "news".to_owned(),
        kind: SourceKind::Feed,
        url: format!("http://{site}/feed"),
        poll_interval_s: 1,
        subjects: Vec::new(),
        outlet: None,
        audience: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_followed_through_changes_failures_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::default();
    let address = site.serve().await;
    site.show(rss(&["a"]));

    let service = Running::start(folder.path()).await;
    let mut mentions = service.follow(MENTIONS_RAW).await;
    let mut signals = service.follow(SIGNALS).await;
    service.publish(source(address)).await;
    let first = mentions.mention().await;
    assert_eq!((first.id.as_str(), first.origin), ("feed:news:a", Origin::History));
    assert_eq!(signals.health().await.state, SourceStatus::Healthy);

    site.show(rss(&["b", "a"]));
    let second = mentions.mention().await;
    assert_eq!((second.id.as_str(), second.origin), ("feed:news:b", Origin::Live));

    site.show("<html>under construction</html>".to_owned());
    let health = signals.health().await;
    assert_eq!(health.state, SourceStatus::Failing);
    assert!(health.reason.unwrap().starts_with("not a feed: "));
    site.show(rss(&["b", "a"]));
    assert_eq!(signals.health().await.state, SourceStatus::Healthy);

    // After a restart only what is new comes, as live.
    let healthy = service.listed_as(Standing::Healthy).await;
    assert!(healthy.last_success.is_some() && healthy.reason.is_none(), "{healthy:?}");
    let service = service.restart().await;
    let asked_before = *site.not_modified.borrow();
    let mut not_modified = site.not_modified.subscribe();
    let asked = tokio::time::timeout(PATIENCE, not_modified.wait_for(|count| *count > asked_before));
    asked.await.expect("the feed is asked conditionally").unwrap();
    site.show(rss(&["c", "b", "a"]));
    let third = mentions.mention().await;
    assert_eq!((third.id.as_str(), third.origin), ("feed:news:c", Origin::Live));
    assert_eq!(service.told().await, 3, "a restart is no change of health");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_which_source_fails_and_why_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::default();
    let service = Running::start(folder.path()).await;
    service.publish(Source { poll_interval_s: 3_600, ..source(site.serve().await) }).await;
    let failing = service.listed_as(Standing::Failing).await;
    assert_eq!((failing.id.as_str(), failing.kind, failing.last_success), ("news", SourceKind::Feed, None));
    assert!(failing.reason.as_deref().is_some_and(|reason| reason.contains("404")), "{failing:?}");

    let service = service.restart().await;
    assert_eq!(service.listed_as(Standing::Failing).await, failing);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_says_that_ingest_is_at_work_and_since_when_a_source_was_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::default();
    let address = site.serve().await;
    site.show(rss(&["a"]));
    let service = Running::start(folder.path()).await;
    service.publish(source(address)).await;
    let last_success = service.listed_as(Standing::Healthy).await.last_success.unwrap();
    let context = service.context.clone();
    service.stop().await;

    let later = last_success.plus_millis(60 * 60 * 1_000);
    let (stop, registry) = (CancellationToken::new(), Registry::new());
    let service = Running::start_on(Context { stop, registry, clock: Clock::manual(later), ..context }).await;
    let mut signals = service.follow(SIGNALS).await;
    let first = signals.record().await;
    assert!(matches!(decode(&first.value).unwrap(), SignalRecord::Collecting(_)), "{first:?}");
    let before = signals.health().await;
    let (missed, again) = (signals.health().await, signals.health().await);
    assert_eq!((missed.state, again.state), (SourceStatus::Failing, SourceStatus::Healthy));
    assert!((before.at..=last_success).contains(&missed.at), "{before:?} {missed:?}");
    assert_eq!((missed.reason.as_deref(), again.at), (Some("Earshot did not ask it"), later));
    service.stop().await;
}
