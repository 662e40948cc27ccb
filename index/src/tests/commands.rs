//! What people say about an alert, over HTTP and on its page.

use earshot_common::events::{Acknowledgement, Command, CommandKind, SignalRecord, Word, decode};
use earshot_common::topics::SIGNALS;

use super::*;

const EVIDENCE: &str = "hn:7";

async fn with_alert(folder: &Path) -> Bench {
    let bench = Bench::start(folder).await;
    show(&bench, &alert(1, Transition::Opened, EVIDENCE)).await;
    bench
}

/// Appends a transition and waits until it is seen.
pub(super) async fn show(bench: &Bench, event: &AlertEvent) {
    bench.append(&ALERTS, "a", encode(event)).await;
    let mut alerts = bench.app.alerts.clone();
    let seen = |view: &std::sync::Arc<crate::alerts_view::AlertsView>| {
        view.get(event.alert).is_some_and(|alert| alert.now().sequence >= event.sequence)
    };
    alerts.wait_for(seen).await.unwrap();
}

/// Awaits the n-th command in `signals`.
pub(super) async fn commanded(bench: &Bench, n: usize) -> Command {
    let waiting = async {
        loop {
            let records = bench.records(&SIGNALS).await;
            let Some(record) = records.get(n) else { continue };
            let SignalRecord::Command(command) = decode(&record.value).unwrap() else { panic!("a command") };
            return command;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the command is written")
}

/// Awaits the n-th command in `signals` and writes the transition that the decision side makes of it.
pub(super) async fn decide(
    bench: &Bench,
    n: usize,
    sequence: u32,
    transition: Transition,
    holder: &str,
) -> Command {
    let command = commanded(bench, n).await;
    let mut event = alert(sequence, transition, EVIDENCE);
    event.word = Some(Word {
        command: command.id.clone(),
        what: command.what,
        by: command.by.clone(),
        note: command.note.clone(),
        until: command.until,
    });
    event.acknowledged = Some(Acknowledgement {
        by: holder.to_owned(),
        since: event.decided,
        until: None,
        assessed_after_ms: None,
    });
    bench.append(&ALERTS, "a", encode(&event)).await;
    command
}

fn path(what: &str) -> String {
    format!("/api/alerts/{}/{what}", AlertKey::of(&["volume", "harbor"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_has_the_alert_in_hand_and_the_second_is_told_who_has() {
    let folder = tempfile::tempdir().unwrap();
    let bench = with_alert(folder.path()).await;
    let acknowledge = path("acknowledge");
    let ann = json!({"id": "1", "by": " ann\u{7} ", "note": "calling the press office"});
    let ((status, answer), command) =
        tokio::join!(bench.post(&acknowledge, ann), decide(&bench, 0, 2, Transition::Acknowledged, "ann"));
    assert_eq!((status, &answer["carried_out"]), (StatusCode::OK, &json!(true)), "{answer}");
    assert_eq!(answer["acknowledged"]["by"], "ann");
    assert_eq!((command.id.as_str(), command.by.as_str()), ("1", "ann"));
    assert!(command.until.is_some(), "nobody holds it for ever by mistake");

    let ((status, answer), _) = tokio::join!(
        bench.post(&acknowledge, json!({"id": "2", "by": "bob"})),
        decide(&bench, 1, 3, Transition::Declined, "ann")
    );
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(answer["error"].as_str().unwrap().starts_with("ann has alert"), "{answer}");

    let shown = bench.json("/api/alerts").await;
    assert_eq!(shown["alerts"][0]["state"], "open", "what people say does not end it");
    assert_eq!(shown["alerts"][0]["acknowledged"]["by"], "ann");
    let (_, page) = bench.get(&format!("/alerts/{}", AlertKey::of(&["volume", "harbor"]))).await;
    assert!(page.contains("ann has it in hand since"), "{page}");
    assert!(
        page.contains("ann takes it in hand until") && page.contains("calling the press office"),
        "{page}"
    );
    let (_, home) = bench.get("/").await;
    assert!(home.contains("in hand: ann"), "{home}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_be_carried_out_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let bench = with_alert(folder.path()).await;
    let unknown = format!("/api/alerts/{}/note", AlertKey::of(&["another"]));
    for (path, body, status, wanted) in [
        (unknown.as_str(), json!({"by": "ann", "note": "x"}), StatusCode::NOT_FOUND, "there is no alert"),
        (&path("dance"), json!({"by": "ann"}), StatusCode::BAD_REQUEST, "dance"),
        (&path("useful"), json!({"by": " "}), StatusCode::BAD_REQUEST, "`by` is empty"),
        (&path("note"), json!({"by": "ann"}), StatusCode::BAD_REQUEST, "`note` is empty"),
        (
            &path("mute"),
            json!({"by": "ann", "for_hours": 9999}),
            StatusCode::BAD_REQUEST,
            "`for_hours` = 9999",
        ),
        (
            &path("mute"),
            json!({"by": "ann", "forever": 1}),
            StatusCode::BAD_REQUEST,
            "unknown field `forever`",
        ),
    ] {
        let (found, answer) = bench.post(path, body).await;
        assert_eq!(found, status, "{path}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(wanted), "{path}: {answer}");
    }
    let mut past = alert(1, Transition::Opened, EVIDENCE);
    past.alert = AlertKey::of(&["past"]);
    past.historic = true;
    show(&bench, &past).await;
    let (status, answer) =
        bench.post(&format!("/api/alerts/{}/acknowledge", past.alert), json!({"by": "ann"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["error"].as_str().unwrap().contains("is about the past"), "{answer}");
    assert!(bench.records(&SIGNALS).await.is_empty(), "nothing of it is in the log");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_is_taken_back_by_buttons_that_are_there_while_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let bench = with_alert(folder.path()).await;
    let page = format!("/alerts/{}", AlertKey::of(&["volume", "harbor"]));
    let (_, free) = bench.get(&page).await;
    let mut held = alert(2, Transition::Muted, EVIDENCE);
    let since = held.decided;
    held.acknowledged =
        Some(Acknowledgement { by: "ann".to_owned(), since, until: None, assessed_after_ms: None });
    held.muted_until = Some("2100-01-01T00:00:00Z".parse().unwrap());
    show(&bench, &held).await;
    let (_, holds) = bench.get(&page).await;
    for what in ["release", "unmute", "unmute_rule"] {
        let button = format!("formaction=\"{page}/{what}\"");
        assert!(!free.contains(&button) && holds.contains(&button), "{what}: {holds}");
    }
    let release = path("release");
    let ((status, answer), command) = tokio::join!(
        bench.post(&release, json!({"by": "bob"})),
        decide(&bench, 0, 3, Transition::Lapsed, "ann")
    );
    assert_eq!(
        (status, command.what, command.until),
        (StatusCode::OK, CommandKind::Release, None),
        "{answer}"
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_an_alert_sends_a_command_once_however_often_its_button_is_pressed() {
    let folder = tempfile::tempdir().unwrap();
    let bench = with_alert(folder.path()).await;
    let page = format!("/alerts/{}", AlertKey::of(&["volume", "harbor"]));
    let press = |what: &str, by: &str| {
        let request = Request::post(format!("{page}/{what}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(format!("id=77&by={by}&note=&for_hours=4")))
            .unwrap();
        bench.send(request)
    };
    let ((first, _), command) =
        tokio::join!(press("mute", "ann"), decide(&bench, 0, 2, Transition::Muted, "ann"));
    let ((second, _), again) =
        tokio::join!(press("mute", "ann"), decide(&bench, 1, 3, Transition::Muted, "ann"));
    assert_eq!((first, second), (StatusCode::SEE_OTHER, StatusCode::SEE_OTHER));
    assert_eq!(command.id, again.id, "the decision side knows it for the same");
    let (_, page) = press("acknowledge", "").await;
    assert!(page.contains("`by` is empty: say who you are"), "{page}");
    bench.stop().await;
}
