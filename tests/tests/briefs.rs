//! A brief through real services and a real mail server, on a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::path::Path;

use earshot_tests::clock::FakeClock;
use earshot_tests::input::{self, DOOR_SECRET, WATCHLIST, live_mention};
use earshot_tests::mail::{MailServer, free_address};
use earshot_tests::node::{self, Node};
use earshot_tests::watch::Watch;
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");
const DAY_S: i64 = 24 * 60 * 60;
/// What the strong voice says: enough for an alert, which nobody is sent.
const SHAME: &str = "Jordan Vale is a disgrace, the worst and most dishonest CEO. Horrible!";

#[tokio::test(flavor = "multi_thread")]
async fn a_brief_comes_once_a_day_also_after_a_kill_and_names_what_was_not_heard() {
    let folder = tempfile::tempdir().unwrap();
    let Some(clock) = FakeClock::find(folder.path()).unwrap() else { return };
    let Some(mail) = MailServer::start(folder.path()).await.unwrap() else { return };
    let watchlist = format!(
        "{WATCHLIST}\n[[route]]\nid = \"board\"\nmail = [\"board@harbor.example\"]\n\
         [[brief]]\nid = \"morning\"\nto = \"board\"\nsubjects = [\"harbor\", \"vale\"]\nevery = \"day\"\nat = \"07:30\"\n\
         [[source]]\nid = \"times\"\nkind = \"feed\"\nurl = \"http://{}/feed\"\noutlet = \"The Harbor Times\"\n",
        free_address().await.unwrap()
    )
    .replacen("severity = 8\nroute = \"comms\"", "severity = 2", 1);
    let settings = format!(
        "[alerts]\nconsole_url = \"https://earshot.example\"\n[alerts.mail]\nserver = \"smtp://{}\"\n\
         from = \"earshot@harbor.example\"\n",
        mail.address
    );
    input::write_settings(folder.path(), &watchlist, &settings).unwrap();

    // Tomorrow at seven something happens, and a source is silent.
    let machine = jiff::Timestamp::now().as_second();
    let seven = (machine / DAY_S + 1) * DAY_S + 7 * 60 * 60;
    clock.set_ahead(seven - machine).unwrap();
    let up = clock.up(BINARY, folder.path()).await.unwrap();
    let watch = Watch::new(&up.address);
    let now = seven + jiff::Timestamp::now().as_second() - machine;
    let mut shame = live_mention(1, SHAME, Some(50_000));
    shame["published"] = json!(jiff::Timestamp::from_second(now).unwrap().to_string());
    assert!(watch.post_signed_at(now, "test", DOOR_SECRET, "m1", &shame).await.unwrap().is_success());
    watch.until("/api/sources", |answer| answer["sources"][0]["status"] == "failing").await.unwrap();
    watch.until("/api/alerts", |answer| answer["alerts"][0]["id"].is_string()).await.unwrap();
    watch.until_searchable(1).await.unwrap();

    let (ok, said, noted) = brief(&folder, &up, "morning").await;
    assert!(ok && said.contains("Daily brief on Harbor Bank and Jordan Vale"), "{said}{noted}");
    assert!(said.contains("New: a negative mention, with a reach of 50,000 followers."), "{said}");
    let (ok, _, noted) = brief(&folder, &up, "evening").await;
    assert!(!ok && noted.contains("there is no brief `evening`; there are: morning"), "{noted}");
    assert_eq!(mail.received().unwrap().len(), 0, "it is not half past seven");

    clock.set_ahead(seven + 30 * 60 - machine).unwrap();
    let first = plain(&mail.wait_for(1).await.unwrap()[0]);
    for wanted in [
        "Subject: Daily brief: 1 alert, open",
        "To: board@harbor.example",
        "* New: a negative mention, with a reach of 50,000 followers.",
        "nobody was sent it",
        "https://earshot.example/alerts/",
        "* 1 mention: 0 in the day before.",
        "https://earshot.example/?subject=vale&from=",
        "https://earshot.example/mentions/test%3Alive-1",
        "* The Harbor Times has not answered since",
        "https://earshot.example/?source=times&from=",
    ] {
        assert!(first.contains(wanted), "{wanted} is missing in\n{first}");
    }

    // Killed as soon as it was sent, it is not sent again; and a day without a mention has one too.
    up.kill().await.unwrap();
    let up = clock.up(BINARY, folder.path()).await.unwrap();
    Watch::new(&up.address).until_decided().await.unwrap();
    // The alert was open at half past seven, and ended with the first progress after it.
    let mut letters = Vec::new();
    for day in 1..4 {
        clock.set_ahead(seven + 30 * 60 + i64::from(day) * DAY_S - machine).unwrap();
        letters = mail.wait_for(1 + day as usize).await.unwrap();
    }
    let letters: Vec<String> = letters.iter().map(|letter| plain(letter)).collect();
    for told in ["* New: a negative", "* Still open: a negative", "* Over: a negative"] {
        let times = letters.iter().filter(|letter| letter.contains(told)).count();
        assert_eq!(times, 1, "{told} is told once: {letters:#?}");
    }
    let quiet: Vec<&String> = letters.iter().filter(|letter| letter.contains("No alert was open.")).collect();
    assert_eq!(quiet.len(), 1, "{letters:#?}");
    for wanted in [
        "Subject: Daily brief: No alert, but not everything was heard",
        "No alert was open. Read: none of Harbor Bank and none of Jordan Vale.",
        "* The Harbor Times has not answered since",
    ] {
        assert!(quiet[0].contains(wanted), "{wanted} is missing in\n{}", quiet[0]);
    }
    let id =
        |letter: &String| letter.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned();
    let ids: std::collections::BTreeSet<String> = letters.iter().map(id).collect();
    assert_eq!((ids.len(), letters.len()), (4, 4), "one for each day");
    assert!(up.stop().await.unwrap());
}

/// Runs `earshot brief`; answers success, standard output and standard error.
async fn brief(folder: &tempfile::TempDir, node: &Node, id: &str) -> (bool, String, String) {
    let arguments = ["brief", id, "--server", &node.address];
    node::command(Path::new(BINARY), folder.path(), &arguments).await.unwrap()
}

/// A mail whose parts are quoted-printable, decoded as far as ASCII goes.
fn plain(letter: &str) -> String {
    letter.replace("\r\n", "\n").replace("=\n", "").replace("=3D", "=")
}
