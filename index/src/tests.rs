//! The service over the embedded log: from a record in a topic to an answer over HTTP.

mod commands;
mod dead_letters;
mod erasures;
mod links;

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use earshot_common::broker::{NewRecord, Record};
use earshot_common::definitions::{Definition, parse_file};
use earshot_common::events::{
    AlertEvent, Arithmetic, CausedBy, CountArithmetic, DecidedWith, Lane, Measure, SchemaVersion,
    Seasonality, SeverityRaise, Transition, encode,
};
use earshot_common::keys::{AlertKey, MentionKey};
use earshot_common::service::{self, Context};
use earshot_common::settings::Settings;
use earshot_common::topics::{ALERTS, DEAD_LETTERS, ERASURES, MENTIONS_ENRICHED, MENTIONS_RAW, Topic};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::api::App;
use crate::fixtures::{about, at, delete, feeling, mention, upsert, version};
use crate::{OwnedDefinitions, PublishAnswer, PublishRequest, assemble, routes};

/// Longer than anything takes; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running index.
struct Bench {
    context: Context,
    app: App,
    routes: Router,
    work: JoinHandle<anyhow::Result<()>>,
}

impl Bench {
    async fn start(folder: &Path) -> Self {
        let settings = "[index]\ncommit_interval_ms = 5";
        let settings = Settings::from_toml(settings, folder).unwrap();
        let context = open(settings).await;
        let (app, indexing) = assemble(context.clone()).await.unwrap();
        let first = indexing.begin().await.unwrap();
        let work = tokio::spawn(indexing.go_on(first));
        Self { context, routes: routes(app.clone()), app, work }
    }

    async fn append(&self, topic: &Topic, key: &str, value: Vec<u8>) {
        let record = NewRecord::keyed(key.to_owned(), value);
        self.context.broker.append_durably(topic, vec![record]).await.unwrap();
    }

    /// Appends mentions and waits until they can be found.
    async fn index(&self, records: Vec<(&str, Vec<u8>)>) {
        // In one batch, so that they come in few commits, and no merge of many works on after the stop.
        let records = records.into_iter().map(|(id, value)| NewRecord::keyed(id.to_owned(), value)).collect();
        self.context.broker.append_durably(&MENTIONS_ENRICHED, records).await.unwrap();
        let ends = self.context.broker.bounds(&MENTIONS_ENRICHED, None).await.unwrap();
        let mut committed = self.app.committed.clone();
        let all = |committed: &crate::stage::Committed| {
            ends.iter().filter(|end| end.next > 0).all(|end| {
                committed.positions.iter().any(|at| at.partition == end.partition && at.offset == end.next)
            })
        };
        committed.wait_for(all).await.unwrap();
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::post(path).header("content-type", "application/json");
        let (status, body) = self.send(request.body(Body::from(body.to_string())).unwrap()).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Asks until the answer is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let answer = self.json(path).await;
                if wanted(&answer) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("what is awaited comes in time")
    }

    async fn records(&self, topic: &Topic) -> Vec<Record> {
        let mut records = Vec::new();
        self.context.broker.replay(topic, |record| records.push(record)).await.unwrap();
        records
    }

    /// Appends a dead letter as the loop of a stage writes it; answers its offset.
    async fn letter(&self, kind: &str, value: Value, from: &[(&str, &str)]) -> u64 {
        let mut headers = vec![("service", "enrich"), ("kind", kind), ("reason", "it is \u{1b}[31mwrong")];
        headers.extend(from);
        let headers = headers.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned().into()));
        let record = NewRecord {
            partition: Some(0),
            key: value["id"].as_str().map(|id| id.to_owned().into()),
            value: value.to_string().into(),
            headers: headers.collect(),
        };
        self.context.broker.append_durably(&DEAD_LETTERS, vec![record]).await.unwrap()[0].offset
    }

    async fn stop(self) {
        self.context.stop.cancel();
        self.work.await.unwrap().unwrap();
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 10_000_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Publishes a watchlist file's text.
    async fn publish(&self, toml: &str) -> (StatusCode, String) {
        self.publish_definitions(parse_file("test.toml", toml).unwrap()).await
    }

    async fn publish_definitions(&self, definitions: Vec<Definition>) -> (StatusCode, String) {
        let owned = OwnedDefinitions { owner: "file:test.toml".to_owned(), definitions };
        let request = Request::post("/api/watchlist").header("content-type", "application/json");
        let body = serde_json::to_vec(&PublishRequest { owners: vec![owned] }).unwrap();
        self.send(request.body(Body::from(body)).unwrap()).await
    }
}

/// Opens a log that the followers of an index that was stopped may hold for a moment still.
async fn open(settings: Settings) -> Context {
    let opening = async {
        loop {
            match service::open(settings.clone(), CancellationToken::new()).await {
                Ok(context) => return context,
                Err(error) if error.to_string().contains("another earshot process") => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{error:#}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, opening).await.expect("the log is let go in time")
}

const HARBOR: &str =
    "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor Bank\"\nzone = \"America/New_York\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_is_found_deleted_and_gone_and_a_restart_goes_on_from_the_commit() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let first = about(mention("hn:1", "Harbor cancelled 😡 my card"), "harbor", -0.5, Lane::Sure);
    bench.index(vec![("hn:1", upsert(first)), ("a/b:2", upsert(mention("a/b:2", "fine")))]).await;
    let status = bench.json("/api/status").await;
    assert_eq!((&status["up_to_date"], &status["documents"]), (&json!(true), &json!(2)));
    let found = bench.json("/api/search?q=card&subject=harbor&sentiment=negative").await;
    assert_eq!(
        (&found["total"], &found["hits"][0]["id"], &found["next"]),
        (&json!(1), &json!("hn:1"), &json!(null))
    );
    assert_eq!(found["hits"][0]["highlights"], json!([{"from": 22, "to": 26, "field": "text"}]));
    assert_eq!(bench.json("/api/mentions/a%2Fb:2").await["text"], "fine");
    bench.stop().await;

    let bench = Bench::start(folder.path()).await;
    assert_eq!(bench.app.committed.borrow().documents, 2, "the commit is there before anything is read");
    bench.index(vec![("hn:1", delete("hn:1", 2, 7))]).await;
    assert_eq!(bench.json("/api/search?q=card").await["total"], 0);
    let (status, body) = bench.get("/api/mentions/hn:1").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_stops_the_start_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    bench.index(vec![("a", upsert(mention("a", "one")))]).await;
    bench.stop().await;

    for records in [vec!["another"], vec![]] {
        let anew = tempfile::tempdir().unwrap();
        copy(&folder.path().join("data/index"), &anew.path().join("data/index"));
        let settings = Settings::from_toml("", anew.path()).unwrap();
        let context = service::open(settings, CancellationToken::new()).await.unwrap();
        for text in records {
            let record = NewRecord::keyed("a", upsert(mention("a", text)));
            context.broker.append_durably(&MENTIONS_ENRICHED, vec![record]).await.unwrap();
        }
        let error = crate::start(context).await.err().expect("the start must be refused").to_string();
        assert!(error.contains("made anew") && error.contains("Delete the folder `index`"), "{error}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_are_refused_by_name_and_value() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    for (path, wanted) in [
        ("/api/search?page=2", "parameter `page`: there is no such parameter"),
        ("/api/search?limit=1000", "parameter `limit`: `1000`"),
        ("/api/search?q=a+b+OR+c", "parameter `q`: query, character 5"),
        ("/api/search?cursor=zzz", "parameter `cursor`: `zzz`"),
        ("/api/histogram?by=week", "parameter `by`: `week`"),
        ("/api/histogram?sort=time", "parameter `sort`: there is no such parameter"),
        ("/api/alerts?state=closed", "parameter `state`: `closed`"),
    ] {
        let (status, body) = bench.get(path).await;
        let refusal: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(refusal["error"].as_str().unwrap().contains(wanted), "{path}: {body}");
    }
    // The page says it beside the box, and stays a page.
    let (status, page) = bench.get("/?q=say+%22this").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("query, character 5: this quotation mark is not closed"), "{page}");
    assert!(page.contains("value=\"say &#34;this\""), "{page}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_stays_text_on_every_page() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let script = "<script>alert(1)</script> bad \"><img src=x onerror=alert(2)>";
    let mut hostile = feeling(mention("x:<b>&\"'/..", script), "bad", -0.6);
    hostile.mention.title = Some(script.to_owned());
    hostile.mention.url = Some("javascript:alert(3)".to_owned());
    hostile.mention.source.id = script.to_owned();
    hostile.mention.author.as_mut().unwrap().name = Some(script.to_owned());
    hostile.lang = "\"><script>".to_owned();
    bench.index(vec![("x", upsert(hostile))]).await;
    let id = "x%3A%3Cb%3E%26%22%27%2F..";
    for path in [
        "/",
        "/?q=bad+%3Cscript%3E",
        &format!("/mentions/{id}"),
        "/mentions/%3Cscript%3E",
        "/alerts/%3Cscript%3E",
    ] {
        let (_, page) = bench.get(path).await;
        for foul in ["<script>", "<img", "onerror=alert(2)>", "javascript:", "style="] {
            assert!(!page.contains(foul), "{path} holds {foul}: {page}");
        }
    }
    let (_, page) = bench.get("/?q=bad").await;
    assert!(
        page.contains(
            "<mark class=\"match tone negative\" title=\"negative: −0.60 of the score\">bad</mark>"
        ),
        "{page}"
    );
    assert!(page.contains(&format!("href=\"/mentions/{id}\"")), "{page}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_are_published_by_difference_and_name_things_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let answer = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    let (status, body) = bench.publish(HARBOR).await;
    assert_eq!((status, answer(&body)), (StatusCode::OK, json!({"published": 1, "version": 1})));
    let (_, body) = bench.publish(HARBOR).await;
    assert_eq!(answer(&body), json!({"published": 0, "version": 1}));
    let watchlist = bench.json("/api/watchlist").await;
    assert_eq!(watchlist["definitions"][0]["id"], "subject/harbor");
    let rule = "[[rule]]\nid = \"r\"\nwhen = \"each mention\"\nsubjects = [\"nobody\"]\n";
    let (status, body) = bench.publish(&format!("{HARBOR}{rule}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("`subjects` names `nobody`"), "{body}");
    // What a file could not hold is refused here too.
    let mut nameless = parse_file("test.toml", HARBOR).unwrap();
    if let Definition::Subject(subject) = &mut nameless[0] {
        subject.name.clear();
    }
    let (status, body) = bench.publish_definitions(nameless).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("subject `harbor`: `name` is empty"), "{body}");
    // What nobody would be told of is published, and said at each time.
    let rule =
        format!("{HARBOR}[[rule]]\nid = \"strong\"\nwhen = \"each mention\"\nsubjects = [\"harbor\"]\n");
    for published in [1, 0] {
        let (status, body) = bench.publish(&rule).await;
        let answer: PublishAnswer = serde_json::from_str(&body).unwrap();
        assert_eq!((status, answer.published), (StatusCode::OK, published));
        assert!(answer.doubts[0].starts_with("rule `strong`: it names no route"), "{body}");
    }
    // The page shows times in the zone of the chosen subject: noon in UTC is seven in New York.
    let noon = about(mention("a", "Harbor"), "harbor", 0.5, Lane::Sure);
    bench.index(vec![("a", upsert(noon))]).await;
    let (_, page) = bench.get("/?subject=harbor").await;
    assert!(page.contains("Thu 1 Jan 2026, 07:00 EST"), "{page}");
    assert!(page.contains("towards Harbor Bank"), "{page}");
    bench.stop().await;
}

fn alert(sequence: u32, transition: Transition, evidence: &str) -> AlertEvent {
    let opened = "2026-01-01T12:00:00Z".parse().unwrap();
    AlertEvent {
        v: SchemaVersion::default(),
        alert: AlertKey::of(&["volume", "harbor"]),
        sequence,
        signals: CausedBy { offset: sequence.into(), n: 0 },
        transition,
        rule: "volume".to_owned(),
        subject: "harbor".to_owned(),
        severity: 7,
        historic: false,
        parent: None,
        opened,
        until: "2026-01-01T13:00:00Z".parse().unwrap(),
        arithmetic: Arithmetic::Count(CountArithmetic {
            measure: Measure::Mentions,
            window: "2026-01-01T12:00:00Z/PT1H".to_owned(),
            observed: 64,
            expected: Some(11.2),
            probability: Some(3.1e-9),
            dispersion: Some(0.2),
            authors: 51,
            mentions: None,
            baseline: vec![9, 12],
            drawn_to: None,
            drawn_weight: None,
            seasonality: Seasonality::HourOfWeek,
            little_data: false,
            threshold: 30,
            variation: None,
            asked: None,
            before: None,
            highest: None,
            stretch: None,
        }),
        evidence: vec![MentionKey::of("gone"), MentionKey::of(evidence)],
        silent_sources: Vec::new(),
        definition: DecidedWith {
            watchlist: 1,
            rule: "count of mentions".to_owned(),
            filter: None,
            lexicon: "g".to_owned(),
        },
        notify: Vec::new(),
        desks: Vec::new(),
        passed_over: Vec::new(),
        unrouted: false,
        decided: opened,
        word: None,
        acknowledged: None,
        muted_until: None,
        held_until: None,
        raise: SeverityRaise::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_shown_with_its_words_its_evidence_and_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    bench.publish(HARBOR).await;
    let behind = at(version(mention("hn:7", "the evidence"), 1, 1), "2026-01-01T12:30:00Z");
    bench.index(vec![("hn:7", upsert(behind))]).await;
    let mut alerts = bench.app.alerts.clone();
    let opened = alert(1, Transition::Opened, "hn:7");
    bench.append(&ALERTS, "a", encode(&opened)).await;
    alerts.wait_for(|view| view.get(opened.alert).is_some()).await.unwrap();

    let answer = bench.json("/api/alerts?state=open&historic=false&subject=harbor").await;
    let first = &answer["alerts"][0];
    assert_eq!(
        (&first["state"], &first["transition"], &first["severity"]),
        (&json!("open"), &json!("opened"), &json!(7))
    );
    assert_eq!(first["arithmetic"]["observed"], 64);
    assert_eq!(first["evidence_mentions"].as_array().unwrap().len(), 1, "the deleted one is passed over");
    assert_eq!(first["evidence_mentions"][0]["id"], "hn:7");

    let sentence = "64 mentions between 07:00 and 08:00 EST on Thu 1 Jan 2026, where about 11 were expected.";
    let (_, page) = bench.get("/").await;
    assert!(page.contains("Open alerts") && page.contains(sentence), "{page}");
    let (_, page) = bench.get(&format!("/alerts/{}", opened.alert)).await;
    assert!(page.contains(sentence) && page.contains("the evidence"), "{page}");

    // A repetition changes nothing; the end does.
    bench.append(&ALERTS, "a", encode(&opened)).await;
    bench.append(&ALERTS, "a", encode(&alert(2, Transition::Resolved, "hn:7"))).await;
    let ended = |view: &std::sync::Arc<crate::alerts_view::AlertsView>| {
        view.get(opened.alert).is_some_and(|alert| alert.transitions().len() == 2)
    };
    alerts.wait_for(ended).await.unwrap();
    assert_eq!(bench.json("/api/alerts?state=open").await["alerts"], json!([]));
    assert_eq!(bench.json("/api/alerts?state=resolved").await["alerts"][0]["sequence"], 2);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_leads_to_the_doubtful_mentions_of_a_subject() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let sure = about(mention("sure", "Harbor Bank"), "harbor", 0.0, Lane::Sure);
    let doubtful = about(mention("doubtful", "a harbour, or Harbor"), "harbor", 0.0, Lane::Doubtful);
    let other = about(mention("other", "a vale"), "vale", 0.0, Lane::Doubtful);
    bench.index(vec![("sure", upsert(sure)), ("doubtful", upsert(doubtful)), ("other", upsert(other))]).await;
    let (_, page) = bench.get("/").await;
    assert!(
        page.contains("href=\"/?q=lane%3Adoubtful\"") && page.contains("2 doubtful mentions to review"),
        "{page}"
    );
    let (_, page) = bench.get("/?subject=harbor").await;
    assert!(
        page.contains("href=\"/?q=doubtful%3Aharbor\"") && page.contains("1 doubtful mention to review"),
        "{page}"
    );
    let (_, page) = bench.get("/?q=doubtful%3Aharbor").await;
    assert!(
        page.contains(" harbour, or Harbor<") && !page.contains("a vale") && !page.contains("Harbor Bank"),
        "{page}"
    );
    assert_eq!(bench.json("/api/search?q=lane:doubtful").await["total"], 2);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_risk_stands_on_its_mention_and_leads_to_the_others_that_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let mut sued = mention("sued", "they are sued");
    sued.risk = vec!["legal".to_owned()];
    bench.index(vec![("sued", upsert(sued)), ("calm", upsert(mention("calm", "all is calm")))]).await;
    let (_, page) = bench.get("/").await;
    assert!(page.contains("class=\"chip risk\" href=\"/?risk=legal\""), "{page}");
    let (_, page) = bench.get("/?risk=legal").await;
    assert!(page.contains("they are sued") && !page.contains("all is calm"), "{page}");
    assert!(page.contains("<option value=\"legal\" selected"), "{page}");
    let found = bench.json("/api/search?risk=legal").await;
    assert_eq!((&found["total"], &found["hits"][0]["id"]), (&json!(1), &json!("sued")));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_console_says_how_to_begin_and_the_timeline_narrows() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let (_, page) = bench.get("/").await;
    assert!(page.contains("Nothing here yet") && page.contains("earshot import"), "{page}");
    let early = at(mention("a", "x"), "2026-01-01T10:00:00Z");
    let late = at(mention("b", "x"), "2026-01-20T10:00:00Z");
    bench.index(vec![("a", upsert(early)), ("b", upsert(late))]).await;
    let (_, page) = bench.get("/?q=x").await;
    assert!(
        page.contains("Mentions by day")
            && page.contains("href=\"/?q=x&#38;from=2026-01-20&#38;to=2026-01-20\""),
        "{page}"
    );
    let (_, page) = bench.get("/?q=x&from=2026-01-20&to=2026-01-20").await;
    let hour = "href=\"/?q=x&#38;from=2026-01-20T10%3A00%3A00Z&#38;to=2026-01-20T11%3A00%3A00Z\"";
    assert!(page.contains("Mentions by hour") && page.contains(hour), "{page}");
    let (_, page) = bench.get("/?q=x&from=2026-01-20T10%3A00%3A00Z&to=2026-01-20T11%3A00%3A00Z").await;
    assert!(page.contains("1 mention<") && page.contains("Show all times"), "{page}");
    let histogram = bench.json("/api/histogram?by=day&zone=Asia/Tokyo&to=2026-01-02").await;
    assert_eq!(histogram["buckets"][0]["from"], "2026-01-01T00:00:00+09:00");
    assert_eq!(histogram["buckets"][0]["total"], 1);
    bench.stop().await;
}
