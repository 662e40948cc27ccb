//! What people say about an alert, through real services: over HTTP into the log, through the fold, and back.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::path::Path;

use earshot_tests::input::{self, DOOR_SECRET, WATCHLIST, live_mention};
use earshot_tests::node::Node;
use earshot_tests::watch::Watch;
use reqwest::StatusCode;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");
/// What the strong voice says: enough for an alert.
const SHAME: &str = "Jordan Vale is a disgrace, the worst and most dishonest CEO. Horrible!";

async fn say(node: &Node, alert: &str, what: &str, body: Value) -> (StatusCode, Value) {
    let request = reqwest::Client::new()
        .post(format!("{}/api/alerts/{alert}/{what}", node.address))
        .header("content-type", "application/json")
        .body(body.to_string());
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_acknowledge_at_once_one_has_it_and_the_other_is_told_who_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    input::write_settings(folder.path(), WATCHLIST, "").unwrap();
    let node = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    let shame = live_mention(1, SHAME, Some(50_000));
    assert!(watch.post_signed("test", DOOR_SECRET, "m1", &shame).await.unwrap());
    let is_there = |a: &Value| a["alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
    let answer = watch.until("/api/alerts", is_there).await.unwrap();
    let alert = answer["alerts"][0]["id"].as_str().unwrap().to_owned();

    let (ann, bob) = tokio::join!(
        say(&node, &alert, "acknowledge", json!({"id": "ann-1", "by": "ann", "note": "calling the board"})),
        say(&node, &alert, "acknowledge", json!({"id": "bob-1", "by": "bob"}))
    );
    let (first, second, winner, loser) =
        if ann.0 == StatusCode::OK { (ann, bob, "ann", "bob") } else { (bob, ann, "bob", "ann") };
    assert_eq!((first.0, second.0), (StatusCode::OK, StatusCode::CONFLICT), "{first:?} {second:?}");
    assert_eq!(first.1["acknowledged"]["by"], winner);
    let refusal = second.1["error"].as_str().unwrap();
    assert!(refusal.starts_with(&format!("{winner} has alert {alert} in hand since")), "{refusal}");

    // A repetition of the request is the same command: it answers the same and adds nothing.
    let again = json!({"id": format!("{winner}-1"), "by": winner});
    assert_eq!(say(&node, &alert, "acknowledge", again).await.0, StatusCode::OK);
    assert_eq!(say(&node, &alert, "noise", json!({"by": loser})).await.0, StatusCode::OK);
    watch.until_decided().await.unwrap();
    let metrics = watch.text("/metrics").await.unwrap();
    assert!(
        metrics.contains("earshot_alerts_feedback{rule=\"vale-negative\",verdict=\"noise\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("earshot_alerts_assessment_seconds_count 1"), "{metrics}");
    assert!(node.stop().await.unwrap());

    let node = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    let answer = Watch::new(&node.address).until("/api/alerts", is_there).await.unwrap();
    let alert = &answer["alerts"][0];
    assert_eq!((&alert["state"], &alert["acknowledged"]["by"]), (&json!("open"), &json!(winner)));
    let steps: Vec<&str> = alert["transitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["transition"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["opened", "acknowledged", "declined", "rated"]);
    let (status, refusal) =
        say(&node, alert["id"].as_str().unwrap(), "acknowledge", json!({"by": loser})).await;
    assert_eq!(status, StatusCode::CONFLICT, "the replay knows who has it: {refusal}");
    assert!(node.stop().await.unwrap());
}
