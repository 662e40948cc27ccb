//! What a message needs of the index: the texts behind an alert, and the page of its link.

use earshot_common::events::{Acknowledgement, CommandKind, SignalRecord, Word, decode};
use earshot_common::keys::StoryKey;
use earshot_common::signed::AcknowledgeLink;
use earshot_common::topics::SIGNALS;

use super::commands::{commanded, decide, show};
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

    // Pressed twice it is one command.
    let form = form_of(&page, "name=Ann&note=calling+the+press+office");
    let ann = "Ann (mail:<b>@harbor.example)";
    let ((status, page), first) = tokio::join!(
        bench.open(Request::post(&good), &form),
        decide(&bench, 0, 2, Transition::Acknowledged, ann)
    );
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page.contains("Acknowledged.") && page.contains("Ann (mail:&#60;b&#62;@harbor"), "{page}");
    assert!(first.until.is_some(), "nobody's absence keeps others from being called");
    assert_eq!((first.alert, first.what, first.by.as_str()), (opened.alert, CommandKind::Acknowledge, ann));
    assert_eq!(first.note.as_deref(), Some("calling the press office"));
    assert_eq!(bench.open(Request::post(&good), &form).await.0, StatusCode::OK);
    let ids: Vec<String> = bench.commands().await.into_iter().map(|command| command.id).collect();
    assert_eq!(ids, [first.id.clone(), first.id.clone()], "the same command, which counts once");

    // Whoever opens the link now sees that it is taken, and since when.
    let (_, page) = bench.open(Request::get(&good), "").await;
    assert!(page.contains("@harbor.example) has it in hand since") && !page.contains("<form"), "{page}");

    // Its time runs out. The old page acknowledges nothing; the link does, as another command.
    show(&bench, &alert(3, Transition::Lapsed, "hn:1")).await;
    let (status, page) = bench.open(Request::post(&good), &form).await;
    assert_eq!((status, bench.commands().await.len()), (StatusCode::CONFLICT, 2), "{page}");
    assert!(page.contains("Nothing was acknowledged: the alert has changed"), "{page}");
    let form = form_of(&page, "");
    let ((status, page), second) = tokio::join!(
        bench.open(Request::post(&good), &form),
        decide(&bench, 2, 4, Transition::Declined, "Ben")
    );
    assert_eq!((status, second.by.as_str()), (StatusCode::CONFLICT, "mail:<b>@harbor.example"), "{page}");
    assert!(page.contains("Ben has it in hand since") && !page.contains("Acknowledged."), "{page}");
    assert_ne!(second.id, first.id);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_read_one_mailbox_the_second_learns_that_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let opened = alert(1, Transition::Opened, "hn:1");
    show(&bench, &opened).await;
    let expires = "2100-01-01T00:00:00Z".parse().unwrap();
    let link = AcknowledgeLink { alert: opened.alert, recipient: "slack:newsroom".to_owned(), expires };
    let path = link.path(&bench.context.secret);
    // Both open it before either presses, and neither gives a name.
    let (_, one) = bench.open(Request::get(&path), "").await;
    let (_, other) = bench.open(Request::get(&path), "").await;
    let (one, other) = (form_of(&one, ""), form_of(&other, ""));
    let mut held = alert(2, Transition::Acknowledged, "hn:1");
    let ((status, _), first) = tokio::join!(
        bench.open(Request::post(&path), &one),
        decide(&bench, 0, 2, Transition::Acknowledged, "slack:newsroom")
    );
    assert_eq!(status, StatusCode::OK);
    let second = async {
        let command = commanded(&bench, 1).await;
        (held.sequence, held.decided) = (3, held.decided.plus_millis(1_000));
        held.acknowledged = Some(Acknowledgement {
            by: "slack:newsroom".to_owned(),
            since: opened.decided,
            until: None,
            assessed_after_ms: None,
        });
        held.word = Some(Word {
            command: command.id.clone(),
            what: command.what,
            by: command.by.clone(),
            note: None,
            until: command.until,
        });
        bench.append(&ALERTS, "a", encode(&held)).await;
        command
    };
    let ((status, page), second) = tokio::join!(bench.open(Request::post(&path), &other), second);
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        page.contains("in hand already") && page.contains("slack:newsroom has it in hand since"),
        "{page}"
    );
    assert_ne!(first.id, second.id);
    bench.stop().await;
}

/// The body that the form of a page sends, with what a reader typed.
fn form_of(page: &str, typed: &str) -> String {
    let hidden = |name: &str| {
        let value = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
        format!("{name}={}", value.split('"').next().unwrap())
    };
    format!("{}&{}&{typed}", hidden("seen"), hidden("press"))
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
