//! Wrong input gives one clear message that names the thing and what to do, and an end that is not success
//! where there is no way on.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::path::Path;

use earshot_common::broker::{Broker, Connection, EmbeddedSettings};
use earshot_common::topics::{Cleanup, SIGNALS, Topic};
use earshot_tests::input::{self, WATCHLIST, live_mention};
use earshot_tests::node::{self, Node};
use earshot_tests::watch::Watch;
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");

fn binary() -> &'static Path {
    Path::new(BINARY)
}

/// Runs a command that must fail; answers its message.
async fn refused(folder: &Path, arguments: &[&str]) -> String {
    let (ok, said, noted) = node::command(binary(), folder, arguments).await.unwrap();
    assert!(!ok, "{arguments:?} must not succeed: {said}{noted}");
    noted
}

fn assert_names(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_watchlists_are_refused_by_file_key_and_value() {
    let folder = tempfile::tempdir().unwrap();
    let message = refused(folder.path(), &["up"]).await;
    assert_names(&message, &["earshot.toml", "no such file", "earshot init"]);

    input::write_settings(folder.path(), WATCHLIST, "colour = \"red\"").unwrap();
    for command in ["up", "check"] {
        assert_names(&refused(folder.path(), &[command]).await, &["earshot.toml", "unknown field `colour`"]);
    }

    input::write_settings(folder.path(), WATCHLIST, "[index]\nlisten = \"everywhere\"").unwrap();
    for command in ["up", "check"] {
        assert_names(&refused(folder.path(), &[command]).await, &["earshot.toml", "index.listen"]);
    }

    let rule = WATCHLIST.replace("subjects = [\"vale\"]", "subjects = [\"valet\"]");
    input::write_settings(folder.path(), &rule, "[index]\nlisten = \"127.0.0.1:0\"").unwrap();
    for command in ["up", "check"] {
        let message = refused(folder.path(), &[command]).await;
        assert_names(&message, &["rule/vale-negative", "`valet`", "there are: harbor, vale"]);
    }

    let kind = WATCHLIST.replace("kind = \"executive\"", "kind = \"boss\"");
    input::write_settings(folder.path(), &kind, "").unwrap();
    assert_names(&refused(folder.path(), &["check"]).await, &["watchlist.toml:10", "`boss`", "`executive`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_and_an_address_for_everybody_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    input::write_settings(folder.path(), WATCHLIST, "").unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let message = refused(folder.path(), &["up", "--listen", &address]).await;
    assert_names(&message, &[&address, "another program using the port"]);

    let message = refused(folder.path(), &["up", "--listen", "0.0.0.0:0"]).await;
    assert_names(&message, &["0.0.0.0:0", "login.password_hash", "earshot hash-password"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_broker_and_a_wrong_topic_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    input::write_settings(folder.path(), WATCHLIST, "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"").unwrap();
    let message = refused(folder.path(), &["up", "--listen", "127.0.0.1:0"]).await;
    assert_names(&message, &["127.0.0.1:1"]);

    let folder = tempfile::tempdir().unwrap();
    input::write_settings(folder.path(), WATCHLIST, "").unwrap();
    let connection = Connection::Embedded(EmbeddedSettings { folder: folder.path().join("data/log") });
    let other = Topic { partitions: 3, cleanup: Cleanup::Keep, ..SIGNALS };
    drop(Broker::open(&connection, &[other]).await.unwrap());
    let message = refused(folder.path(), &["up", "--listen", "127.0.0.1:0"]).await;
    assert_names(&message, &["`signals`", "partitions", "3", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_unsigned_calls_and_a_feed_that_is_none_are_named_and_nothing_stops() {
    let folder = tempfile::tempdir().unwrap();
    let page = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = page.local_addr().unwrap();
    tokio::spawn(async move { serve_a_page(page).await });
    let source =
        format!("{WATCHLIST}\n[[source]]\nid = \"news\"\nkind = \"feed\"\nurl = \"http://{address}/feed\"\n");
    input::write_settings(folder.path(), &source, "[ingest]\nallow_private_addresses = true").unwrap();
    let node = Node::up(binary(), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);

    std::fs::write(folder.path().join("rows.csv"), "id,time,text\n1,2026-01-01T00:00:00Z,\n2,soon,Hello\n")
        .unwrap();
    let message = refused(folder.path(), &["import", "rows.csv", "--server", &node.address]).await;
    assert_names(&message, &["rows.csv:2: ", "text", "rows.csv:3: ", "\"soon\"", "no row became a mention"]);
    let message =
        refused(folder.path(), &["import", "rows.csv", "--text", "body", "--server", &node.address]).await;
    assert_names(&message, &["`body`", "id, time, text"]);

    // A refusal is heard although most of the file was not sent yet.
    std::fs::write(folder.path().join("long.csv"), format!("number\n{}", "0123456789\n".repeat(2_000_000)))
        .unwrap();
    let message = refused(folder.path(), &["import", "long.csv", "--server", &node.address]).await;
    assert_names(&message, &["no column looks like `text`", "number"]);

    let unsigned = reqwest::Client::new()
        .post(format!("{}/api/doors/test", node.address))
        .json(&live_mention(1, "Harbor Bank", None))
        .send()
        .await
        .unwrap();
    assert_eq!(unsigned.status(), 401);
    assert_names(&unsigned.text().await.unwrap(), &["webhook-id"]);

    let refusal = watch.get("/api/search?q=(harbor").await.unwrap_err().to_string();
    assert_names(&refusal, &["400", "character 8"]);
    let refusal = watch.get("/api/search?colour=red").await.unwrap_err().to_string();
    assert_names(&refusal, &["400", "colour"]);

    let fails = |health: &str| health.contains("news") && health.contains("not a feed");
    let log = folder.path().join("node.log");
    watch
        .until("/api/status", |_| fails(&std::fs::read_to_string(&log).unwrap_or_default()))
        .await
        .expect("the log says which source is no feed");
    assert_eq!(watch.get("/api/status").await.unwrap()["documents"], json!(0));
    assert!(node.stop().await.unwrap());
}

/// Answers every request with a page that is no feed.
async fn serve_a_page(listener: tokio::net::TcpListener) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let page = "<!doctype html><title>No feed</title>";
        let answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}", page.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}
