//! Telling people, seen from where they are: the mail with what was said, and the link in it that acknowledges.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::path::Path;

use earshot_tests::input::{self, DOOR_SECRET, WATCHLIST, live_mention};
use earshot_tests::mail::MailServer;
use earshot_tests::node::Node;
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
    assert!(asked.text().await.unwrap().contains("comms@harbor.example"));
    assert_eq!(reqwest::get(format!("{}/", node.address)).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let client = reqwest::Client::new();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let post = |url: &str| client.post(url).header(form.0, form.1).body("note=calling+the+board").send();
    let acted = post(&url).await.unwrap();
    assert_eq!(acted.status(), StatusCode::OK);
    assert!(acted.text().await.unwrap().contains("Acknowledged."));
    assert_eq!(post(&url.replace("comms", "nobody")).await.unwrap().status(), StatusCode::FORBIDDEN);
    assert!(node.stop().await.unwrap());
}

/// A mail whose parts are quoted-printable, decoded as far as ASCII goes.
fn decoded(letter: &str) -> String {
    letter.replace("\r\n", "\n").replace("=\n", "").replace("=3D", "=")
}
