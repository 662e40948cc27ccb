//! What a message needs of the index: the texts behind an alert, and the page of its link.

use earshot_common::events::{Acknowledgement, CommandKind, SignalRecord, decode};
use earshot_common::keys::StoryKey;
use earshot_common::signed::AcknowledgeLink;
use earshot_common::topics::SIGNALS;

use super::*;
use crate::open_routes;

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_waited_for_and_each_story_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let of_story = |id: &str, story: &str| {
        let mut mention = mention(id, &format!("text of {id}"));
        mention.story = Some(StoryKey::of("1", story));
        upsert(mention)
    };
    bench.index(vec![("a", of_story("a", "one")), ("b", of_story("b", "one"))]).await;
    let keys =
        |ids: &[&str]| ids.iter().map(|id| MentionKey::of(id).to_string()).collect::<Vec<_>>().join(",");
    let asked = |ids: &[&str], wait_ms: u64| {
        let path = format!("/api/evidence?keys={}&limit=3&wait_ms={wait_ms}", keys(ids));
        let bench = &bench;
        async move {
            let answer = bench.json(&path).await;
            let ids = answer["mentions"].as_array().unwrap().iter().map(|hit| hit["id"].clone());
            ids.collect::<Vec<Value>>()
        }
    };
    assert_eq!(asked(&["a", "b"], 5_000).await, ["a"], "the same story, and nothing to wait for");
    assert_eq!(asked(&["a", "c"], 0).await, ["a"], "who does not wait gets what is there");
    let waiting = asked(&["c", "a"], 5_000);
    let indexing = bench.index(vec![("c", of_story("c", "two"))]);
    let (found, ()) = tokio::join!(waiting, indexing);
    assert_eq!(found, ["c", "a"]);
    let (status, body) = bench.get("/api/evidence?keys=x").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_link_shows_what_it_acknowledges_and_only_its_button_does() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    assert_eq!(bench.publish(HARBOR).await.0, StatusCode::OK);
    let opened = alert(1, Transition::Opened, "hn:1");
    bench.append(&ALERTS, &opened.alert.to_string(), encode(&opened)).await;
    bench.until("/api/alerts", |answer| answer["alerts"].as_array().unwrap().len() == 1).await;
    let link = |expires: &str| AcknowledgeLink {
        alert: opened.alert,
        recipient: "mail:<b>@harbor.example".to_owned(),
        expires: expires.parse().unwrap(),
    };
    let secret = &bench.context.secret;
    let good = link("2100-01-01T00:00:00Z").path(secret);

    let (status, page) = bench.open(Request::get(&good), "").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page.contains("Harbor Bank") && page.contains("64 mentions"), "{page}");
    assert!(page.contains("&#60;b&#62;@harbor.example") && page.contains("method=\"post\""), "{page}");
    let (status, _) = bench.open(Request::head(&good), "").await;
    assert_eq!((status, bench.commands().await.len()), (StatusCode::OK, 0), "reading acknowledges nothing");

    let past = link("2026-01-01T12:00:00Z").path(secret);
    let unknown = AcknowledgeLink { alert: AlertKey::of(&["another"]), ..link("2100-01-01T00:00:00Z") };
    for (path, wanted, says) in [
        (past, StatusCode::GONE, "has expired"),
        (good.replace("until=4", "until=5"), StatusCode::FORBIDDEN, "was changed on its way"),
        (good.split('?').next().unwrap().to_owned(), StatusCode::FORBIDDEN, "not complete"),
    ] {
        for request in [Request::get(&path), Request::post(&path)] {
            let (status, page) = bench.open(request, "note=x").await;
            assert_eq!(status, wanted, "{path}");
            assert!(page.contains("Nothing was acknowledged") && page.contains(says), "{page}");
        }
    }
    assert_eq!(bench.open(Request::get(unknown.path(secret)), "").await.0, StatusCode::NOT_FOUND);
    assert!(bench.commands().await.is_empty());

    for _ in 0..2 {
        let (status, page) = bench.open(Request::post(&good), "note=calling+the+press+office").await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("Acknowledged."), "{page}");
    }
    let commands = bench.commands().await;
    assert_eq!(commands.len(), 2);
    assert_eq!(commands[0].id, commands[1].id, "the same command, which counts once");
    assert!(commands[0].until.is_some(), "nobody's absence keeps others from being called");
    assert_eq!((commands[0].alert, commands[0].what), (opened.alert, CommandKind::Acknowledge));
    assert_eq!(commands[0].by, "mail:<b>@harbor.example");
    assert_eq!(commands[0].note.as_deref(), Some("calling the press office"));

    let mut taken = alert(2, Transition::Acknowledged, "hn:1");
    taken.acknowledged = Some(Acknowledgement {
        by: "Ben".to_owned(),
        since: taken.decided,
        until: None,
        assessed_after_ms: None,
    });
    bench.append(&ALERTS, &taken.alert.to_string(), encode(&taken)).await;
    let is_taken = |answer: &Value| answer["alerts"][0]["acknowledged"]["by"] == "Ben";
    bench.until("/api/alerts", is_taken).await;
    for request in [Request::get(&good), Request::post(&good)] {
        let (_, page) = bench.open(request, "").await;
        assert!(page.contains("Ben has it in hand already") && !page.contains("Acknowledged."), "{page}");
    }
    bench.stop().await;
}

impl Bench {
    /// Asks what needs no login.
    async fn open(&self, request: axum::http::request::Builder, form: &str) -> (StatusCode, String) {
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(Body::from(form.to_owned())).unwrap();
        let response = open_routes(self.app.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1_000_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The commands that the log holds.
    async fn commands(&self) -> Vec<earshot_common::events::Command> {
        let mut commands = Vec::new();
        let take = |record: Record| {
            if let SignalRecord::Command(command) = decode(&record.value).unwrap() {
                commands.push(command);
            }
        };
        drop(self.context.broker.replay(&SIGNALS, take).await.unwrap());
        commands
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_waits_for_what_the_log_holds_already_and_says_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    bench.append(&MENTIONS_ENRICHED, "a", upsert(about(mention("a", "x"), "harbor", -0.9, Lane::Sure))).await;
    let day = "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z";
    let digest = bench.json(&format!("/api/digest?subject=harbor&{day}&wait_ms=5000")).await;
    assert_eq!(digest["counts"], json!({"total": 1, "negative": 1, "neutral": 0, "positive": 0}));
    assert_eq!(
        (&digest["before"]["total"], &digest["stories"][0]["mention"]["id"]),
        (&json!(0), &json!("a"))
    );
    let (status, body) = bench.get("/api/digest?subject=harbor&from=2026-01-01").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    bench.stop().await;
}
