//! Telling people, seen from where they are: the mail with what was said and the link in it that acknowledges, a chat
//! in place of a mail that fails, a real Alertmanager.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use earshot_tests::input::{self, DOOR_SECRET, WATCHLIST, live_mention};
use earshot_tests::mail::{MailServer, free_address};
use earshot_tests::node::{self, Node};
use earshot_tests::prometheus::Alertmanager;
use earshot_tests::watch::Watch;
use reqwest::StatusCode;

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");
/// What the strong voice says: enough for an alert.
const SHAME: &str =
    "Jordan Vale is a disgrace, the worst <b>and most dishonest CEO. Horrible! https://evil.example/x";

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_quotes_what_was_said_and_its_link_acknowledges_without_the_login() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mail) = MailServer::start(folder.path()).await.unwrap() else { return };
    let watchlist = WATCHLIST.replace("log = true", "mail = [\"comms@harbor.example\"]");
    let settings = format!(
        "[login]\nuser = \"comms\"\npassword_hash = \"{}\"\n[alerts]\nconsole_url = \"https://earshot.example\"\n\
         [alerts.mail]\nserver = \"smtp://{}\"\nfrom = \"earshot@harbor.example\"\n",
        earshot_common::http::hash_password("secret").unwrap(),
        mail.address
    );
    input::write_settings(folder.path(), &watchlist, &settings).unwrap();
    let node = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    let shame = live_mention(1, SHAME, Some(50_000));
    assert!(Watch::new(&node.address).post_signed("test", DOOR_SECRET, "m1", &shame).await.unwrap());

    let letter = decoded(&mail.wait_for(1).await.unwrap()[0]);
    let (text, html) = letter.split_once("Content-Type: text/html").unwrap();
    assert!(text.contains("the worst <b>and most dishonest CEO. Horrible! [link]"), "{text}");
    assert!(html.contains("the worst &#60;b&#62;and most dishonest CEO. Horrible! [link]"), "{html}");

    let link = text.split("https://earshot.example").nth(1).unwrap().lines().next().unwrap().trim();
    let url = format!("{}{link}", node.address);
    let asked = reqwest::get(&url).await.unwrap();
    assert_eq!(asked.status(), StatusCode::OK);
    let page = asked.text().await.unwrap();
    assert!(page.contains("comms@harbor.example"), "{page}");
    assert_eq!(reqwest::get(format!("{}/", node.address)).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let client = reqwest::Client::new();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let hidden = |name: &str| {
        let value = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
        format!("{name}={}", value.split('"').next().unwrap())
    };
    let pressed = format!("note=calling+the+board&{}&{}", hidden("seen"), hidden("press"));
    let post = |url: &str| client.post(url).header(form.0, form.1).body(pressed.clone()).send();
    let acted = post(&url).await.unwrap();
    assert_eq!(acted.status(), StatusCode::OK);
    let acted = acted.text().await.unwrap();
    assert!(
        acted.contains("Acknowledged.") && acted.contains("comms@harbor.example has it in hand"),
        "{acted}"
    );
    assert_eq!(post(&url.replace("comms", "nobody")).await.unwrap().status(), StatusCode::FORBIDDEN);
    assert!(node.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_cannot_be_sent_is_told_in_the_chat_instead_once_and_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (chat, posts) = chat(1).await;
    let watchlist = WATCHLIST.replace("log = true", "mail = [\"comms@harbor.example\"]\nfallback = \"chat\"")
        + "\n[[route]]\nid = \"chat\"\nslack = [\"newsroom\"]\n";
    std::fs::write(folder.path().join("slack.url"), format!("{chat}/services/T0KEN\n")).unwrap();
    let settings = format!(
        "[alerts]\nfallback_after_s = 1\n[alerts.mail]\nserver = \"smtp://{}\"\nfrom = \"e@harbor.example\"\n\
         [alerts.slack.newsroom]\nurl_file = \"slack.url\"\n",
        free_address().await.unwrap()
    );
    input::write_settings(folder.path(), &watchlist, &settings).unwrap();
    let node = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    assert!(
        watch.post_signed("test", DOOR_SECRET, "m1", &live_mention(1, SHAME, Some(50_000))).await.unwrap()
    );
    let listed = |answer: &serde_json::Value| {
        answer["undelivered"].as_array().is_some_and(|all| all.len() == 1 && all[0]["given_up"] == true)
    };
    watch.until("/api/deliveries", listed).await.unwrap();
    let metrics = watch.text("/metrics").await.unwrap();
    assert!(metrics.contains("earshot_alerts_fallbacks_total{channel=\"mail\"} 1"), "{metrics}");
    let delivered = "earshot_alerts_deliveries_total{channel=\"slack\",result=\"delivered\"} 1";
    while !watch.text("/metrics").await.unwrap().contains(delivered) {
        tokio::task::yield_now().await;
    }
    let taken = posts.lock().unwrap().clone();
    assert_eq!(taken.len(), 2, "it was busy at first");
    assert_eq!(taken[0], taken[1], "and is told the same again");
    let said = &taken[0].body;
    assert!(said.contains("could not be delivered (mail to comms@harbor.example)"), "{said}");
    assert!(said.contains("“Jordan Vale is a disgrace, the worst <b>and"), "{said}");

    let alert = watch.get("/api/alerts").await.unwrap()["alerts"][0]["id"].as_str().unwrap().to_owned();
    let (ok, said, noted) = alerts_command(&folder, &node, &["why", &alert]).await;
    assert!(ok, "{said}{noted}");
    assert!(said.contains("mail comms@harbor.example (route `comms`): given up at "), "{said}");
    let chat = "slack newsroom in place of the one above (route `chat`): delivered at ";
    assert!(said.contains(chat) && said.contains(" after 2 attempts"), "{said}");
    let (ok, said, noted) = alerts_command(&folder, &node, &["test", "chat"]).await;
    assert!(ok && said.contains("slack newsroom: taken"), "{said}{noted}");
    assert!(posts.lock().unwrap().last().unwrap().body.contains("a test of the route `chat`"));
    let (ok, said, noted) = alerts_command(&folder, &node, &["test", "comms"]).await;
    assert!(
        !ok && said.contains("mail comms@harbor.example: not taken, and it would be tried again"),
        "{said}{noted}"
    );
    assert!(said.contains("the route `chat` is told"), "{said}");
    let (ok, _, noted) = alerts_command(&folder, &node, &["test", "nowhere"]).await;
    assert!(!ok && noted.contains("there is no route `nowhere`"), "{noted}");
    assert!(node.stop().await.unwrap());

    // The next start goes on from a snapshot, which knows what was told in place of the mail.
    let before = posts.lock().unwrap().len();
    let node = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    Watch::new(&node.address).until("/api/deliveries", listed).await.unwrap();
    assert_eq!(posts.lock().unwrap().len(), before, "nobody is told again");
    assert!(node.stop().await.unwrap());
    let log = std::fs::read_to_string(folder.path().join("node.log")).unwrap();
    assert!(log.contains("a snapshot is taken up") && !log.contains("T0KEN"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_its_messages_once_more_from_an_offset_with_the_same_ids() {
    let folder = tempfile::tempdir().unwrap();
    let (team, posts) = chat(1).await;
    let watchlist = WATCHLIST.replace("log = true", "webhook = [\"team\"]");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let settings = format!("[alerts.webhooks.team]\nurl = \"{team}/hook\"\nsecret = \"{secret}\"\n");
    input::write_settings(folder.path(), &watchlist, &settings).unwrap();
    let node = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    assert!(
        watch.post_signed("test", DOOR_SECRET, "m1", &live_mention(1, SHAME, Some(50_000))).await.unwrap()
    );
    let nothing_left = |answer: &serde_json::Value| answer["undelivered"] == serde_json::json!([]);
    watch.until("/api/alerts", |answer| answer["alerts"][0]["id"].is_string()).await.unwrap();
    watch.until("/api/deliveries", nothing_left).await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&posts.lock().unwrap()[1].body).unwrap();
    let offset = body["signals"]["offset"].as_u64().unwrap();

    for (from, sent) in [(offset, 1), (offset + 1, 0)] {
        let replay = ["replay", "--webhook", "team", "--from", &from.to_string()];
        let (ok, said, noted) = alerts_command(&folder, &node, &replay).await;
        assert!(ok && said.contains(&format!("sent {sent} messages")), "{said}{noted}");
    }
    let posts = posts.lock().unwrap().clone();
    assert_eq!(posts.len(), 3, "refused at first, taken, and sent once more");
    assert!(posts.iter().all(|post| !post.id.is_empty() && post.id == posts[0].id), "{posts:?}");
    assert!(posts.iter().all(|post| post.body == posts[0].body), "{posts:?}");
    let times: Vec<u64> = posts.iter().map(|post| post.timestamp.parse().unwrap()).collect();
    assert!(times[1] >= times[0] + 5, "the second attempt is signed anew: {times:?}");
    assert_ne!(posts[0].signature, posts[1].signature);
    assert!(node.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_is_told_again_after_a_restart_of_both_and_hears_of_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let listen = free_address().await.unwrap();
    let Some(first) = Alertmanager::start(folder.path(), &listen).await.unwrap() else { return };
    let watchlist = WATCHLIST.replace("log = true", "alertmanager = [\"main\"]");
    let settings = format!("[alerts.alertmanagers.main]\nurl = \"{}\"\n", first.address);
    input::write_settings(folder.path(), &watchlist, &settings).unwrap();
    let up = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    let shame = live_mention(1, SHAME, Some(50_000));
    assert!(Watch::new(&up.address).post_signed("test", DOOR_SECRET, "m1", &shame).await.unwrap());
    let told = first.until_active(1).await.unwrap().remove(0);
    assert_eq!(
        (&told["labels"]["alertname"], &told["labels"]["subject"]),
        (&"vale-negative".into(), &"vale".into())
    );
    let summary = told["annotations"]["summary"].as_str().unwrap();
    assert!(summary.contains("a reach of 50,000 followers"), "{summary}");

    // Both forget, and nothing new happens.
    first.kill().await.unwrap();
    assert!(up.stop().await.unwrap());
    let second = Alertmanager::start(folder.path(), &listen).await.unwrap().unwrap();
    let up = Node::up(Path::new(BINARY), folder.path()).await.unwrap();
    let again = second.until_active(1).await.unwrap().remove(0);
    assert_eq!((&again["labels"], &again["fingerprint"]), (&told["labels"], &told["fingerprint"]));

    // Without its rule the alert is over.
    std::fs::write(folder.path().join("watchlist.toml"), "").unwrap();
    let apply = ["apply", "watchlist.toml", "--server", &up.address];
    let (ok, said, noted) = node::command(Path::new(BINARY), folder.path(), &apply).await.unwrap();
    assert!(ok, "{said}{noted}");
    second.until_active(0).await.unwrap();
    assert!(up.stop().await.unwrap());
}

/// Runs `earshot alerts`; answers success, standard output and standard error.
async fn alerts_command(
    folder: &tempfile::TempDir,
    node: &Node,
    arguments: &[&str],
) -> (bool, String, String) {
    let arguments = [&["alerts"], arguments, &["--server", &node.address]].concat();
    node::command(Path::new(BINARY), folder.path(), &arguments).await.unwrap()
}

/// What was posted to a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Post {
    id: String,
    timestamp: String,
    signature: String,
    body: String,
}

/// A chat that is busy for so many posts, and keeps them all.
async fn chat(busy: usize) -> (String, Arc<Mutex<Vec<Post>>>) {
    let posts = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&posts);
    let take = async move |headers: axum::http::HeaderMap, body: String| {
        let header = |name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
        let mut kept = kept.lock().unwrap();
        kept.push(Post { id, timestamp, signature: header("webhook-signature"), body });
        if kept.len() > busy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(take)).await });
    (address, posts)
}

/// A mail whose parts are quoted-printable, decoded as far as ASCII goes.
fn decoded(letter: &str) -> String {
    letter.replace("\r\n", "\n").replace("=\n", "").replace("=3D", "=")
}
