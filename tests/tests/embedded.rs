//! The whole flow in one process: from a file to searchable and to alerts of the past, and from a signed door
//! to an alert and a mail.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use earshot_tests::input::{self, DOOR_SECRET, WATCHLIST, live_mention};
use earshot_tests::mail::MailServer;
use earshot_tests::node::{self, Node};
use earshot_tests::watch::Watch;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_earshot-node");

fn binary() -> &'static Path {
    Path::new(BINARY)
}

/// Alerts as (rule, subject), for comparison.
fn alerts_of(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    answer["alerts"].as_array().unwrap().iter().map(|a| (text(&a["rule"]), text(&a["subject"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_searchable_once_and_its_crisis_an_alert_of_the_past() {
    let folder = tempfile::tempdir().unwrap();
    input::write_settings(folder.path(), WATCHLIST, "").unwrap();
    let past = input::past();
    std::fs::write(folder.path().join("past.csv"), &past.csv).unwrap();
    let node = Node::up(binary(), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);

    let import = ["import", "past.csv", "--server", &node.address];
    let (ok, said, noted) = node::command(binary(), folder.path(), &import).await.unwrap();
    assert!(ok, "{said}{noted}");
    let counts =
        format!("{} mentions, {} repeated, {} bad", past.ids.len(), past.repeated, past.bad_lines.len());
    assert!(said.contains(&counts), "wanted {counts}: {said}");
    for line in &past.bad_lines {
        assert!(noted.contains(&format!("past.csv:{line}: ")), "line {line} is not reported: {noted}");
    }

    watch.until_searchable(past.ids.len() as u64).await.unwrap();
    let found = watch.all_ids("subject=harbor").await.unwrap();
    assert_eq!(found.len(), past.ids.len(), "each once");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), past.ids);

    let day = |a: &Value| a["rule"] == "harbor-day";
    let answer = watch
        .until("/api/alerts", |a| a["alerts"].as_array().is_some_and(|a| a.iter().any(day)))
        .await
        .unwrap();
    let alerts = answer["alerts"].as_array().unwrap();
    let crisis: Vec<&Value> = alerts.iter().filter(|a| day(a)).collect();
    assert_eq!(crisis.len(), 1, "one day stood out: {answer:#}");
    assert_eq!(crisis[0]["historic"], json!(true));
    assert!(crisis[0]["opened"].as_str().unwrap().starts_with("2026-03-10"), "{:#}", crisis[0]);
    let arithmetic = &crisis[0]["arithmetic"];
    assert!(arithmetic["observed"].as_f64().unwrap() > arithmetic["expected"].as_f64().unwrap());
    assert!(arithmetic["probability"].as_f64().unwrap() < 0.001);

    // A second time: nothing is added, nothing is opened.
    let (ok, said, _) = node::command(binary(), folder.path(), &import).await.unwrap();
    assert!(ok, "{said}");
    watch.until_searchable(past.ids.len() as u64).await.unwrap();
    watch.until_decided().await.unwrap();
    let again = watch.get("/api/alerts").await.unwrap();
    assert_eq!(alerts_of(&again), alerts_of(&answer));
    assert!(node.stop().await.unwrap(), "a stop ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_at_a_signed_door_raises_one_alert_and_one_mail_within_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let mail = MailServer::start(folder.path()).await.unwrap();
    let (watchlist, more) = match &mail {
        Some(mail) => (
            WATCHLIST.replace("log = true", "log = true\nmail = [\"comms@harbor.example\"]"),
            format!(
                "[alerts.mail]\nserver = \"smtp://{}\"\nfrom = \"earshot@harbor.example\"\n",
                mail.address
            ),
        ),
        None => (WATCHLIST.to_owned(), String::new()),
    };
    input::write_settings(folder.path(), &watchlist, &more).unwrap();
    let past = input::past();
    std::fs::write(folder.path().join("past.csv"), &past.csv).unwrap();
    let node = Node::up(binary(), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    let import = ["import", "past.csv", "--server", &node.address];
    assert!(node::command(binary(), folder.path(), &import).await.unwrap().0);
    watch.until("/api/alerts?historic=true", |a| !a["alerts"].as_array().unwrap().is_empty()).await.unwrap();
    if let Some(mail) = &mail {
        assert_eq!(mail.received().unwrap(), Vec::<String>::new(), "history never pages anybody");
    }

    let refused = watch
        .post_signed("test", "whsec_d3Jvbmc=", "m0", &live_mention(0, "Harbor Bank", None))
        .await
        .unwrap();
    assert!(!refused, "a wrong signature is refused");

    // An unknown reach is not some reach; a single strong voice with a known one is enough.
    let shame = "Jordan Vale is a disgrace, the worst and most dishonest CEO. Horrible!";
    assert!(watch.post_signed("test", DOOR_SECRET, "m1", &live_mention(1, shame, None)).await.unwrap());
    let sent = Instant::now();
    assert!(
        watch.post_signed("test", DOOR_SECRET, "m2", &live_mention(2, shame, Some(50_000))).await.unwrap()
    );
    let is_live_vale = |a: &Value| a["rule"] == "vale-negative" && a["historic"] == false;
    let answer = watch
        .until("/api/alerts", |a| a["alerts"].as_array().is_some_and(|a| a.iter().any(is_live_vale)))
        .await
        .unwrap();
    let took = sent.elapsed();
    let alert = answer["alerts"].as_array().unwrap().iter().find(|a| is_live_vale(a)).unwrap();
    assert_eq!(alert["arithmetic"]["reach"], json!(50_000), "{alert:#}");
    assert_eq!(alert["arithmetic"]["matched"], json!(1), "the unknown reach did not count: {alert:#}");
    assert!(took < Duration::from_secs(60), "{took:?}");

    // A burst about the brand: with no history near it, little data is said.
    let burst: Vec<Value> =
        (10..70).map(|n| live_mention(n, "Harbor Bank app is down again, terrible", None)).collect();
    assert!(watch.post_signed("test", DOOR_SECRET, "burst", &json!({"mentions": burst})).await.unwrap());
    let is_live_hour = |a: &Value| a["rule"] == "harbor-hour" && a["historic"] == false;
    let answer = watch
        .until("/api/alerts", |a| a["alerts"].as_array().is_some_and(|a| a.iter().any(is_live_hour)))
        .await
        .unwrap();
    let alert = answer["alerts"].as_array().unwrap().iter().find(|a| is_live_hour(a)).unwrap();
    assert_eq!(alert["arithmetic"]["little_data"], json!(true), "{alert:#}");
    watch.until("/api/search?q=terrible", |found| found["total"] == json!(60)).await.unwrap();

    if let Some(mail) = &mail {
        let letters = mail.wait_for(2).await.unwrap();
        assert!(letters.iter().all(|letter| letter.contains("comms@harbor.example")));
        let quoting = letters.iter().filter(|letter| letter.contains("disgrace")).count();
        assert_eq!(quoting, 1, "the mail of the strong voice quotes it");
    }
    assert!(node.stop().await.unwrap());
    if let Some(mail) = &mail {
        assert_eq!(mail.received().unwrap().len(), 2, "one mail for each alert, also after the stop");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_takes_the_text_away_and_an_older_copy_does_not_bring_it_back() {
    let folder = tempfile::tempdir().unwrap();
    input::write_settings(folder.path(), WATCHLIST, "").unwrap();
    let node = Node::up(binary(), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    let mut mention = live_mention(1, "Harbor Bank lost my card", None);
    mention["revision"] = json!(1);
    assert!(watch.post_signed("test", DOOR_SECRET, "a", &mention).await.unwrap());
    watch.until_searchable(1).await.unwrap();
    assert!(
        watch
            .post_signed("test", DOOR_SECRET, "b", &json!({"id": "live-1", "deleted": true, "revision": 2}))
            .await
            .unwrap()
    );
    watch.until_searchable(0).await.unwrap();
    assert!(watch.post_signed("test", DOOR_SECRET, "c", &mention).await.unwrap());
    let marker = live_mention(2, "Harbor Bank, a later word", None);
    assert!(watch.post_signed("test", DOOR_SECRET, "d", &marker).await.unwrap());
    watch.until("/api/search?q=later", |found| found["total"] == json!(1)).await.unwrap();
    watch.until_searchable(1).await.unwrap();
    assert_eq!(watch.all_ids("q=card").await.unwrap(), Vec::<String>::new());
}

const SEARCHES: &str = r#"
[[search]]
id = "cards"
name = "Blocked cards"
query = "card NEAR/3 (blocked OR frozen)"

[[rule]]
id = "cards-strong"
when = "each mention"
searches = ["cards"]
filter = "author:live*"
sentiment_at_most = -0.3
reach_at_least = 1000
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_search_finds_on_the_stream_what_it_finds_in_the_index_and_raises_an_alert() {
    let folder = tempfile::tempdir().unwrap();
    input::write_settings(folder.path(), SEARCHES, "").unwrap();
    let node = Node::up(binary(), folder.path()).await.unwrap();
    let watch = Watch::new(&node.address);
    let post = async |n: u32, text: &str| {
        let mention = live_mention(n, text, Some(5_000));
        assert!(watch.post_signed("test", DOOR_SECRET, &format!("s{n}"), &mention).await.unwrap());
    };
    post(1, "Horrible: my card was blocked again, the worst bank").await;
    post(2, "Horrible: my card is fine, and the street was blocked, the worst day").await;
    let is_alert = |a: &Value| {
        a["alerts"].as_array().is_some_and(|alerts| alerts.iter().any(|a| a["rule"] == "cards-strong"))
    };
    let answer = watch.until("/api/alerts", is_alert).await.unwrap();
    assert_eq!(alerts_of(&answer), [("cards-strong".to_owned(), "search:cards".to_owned())]);
    watch.until_searchable(2).await.unwrap();
    let in_index = watch.all_ids("q=card%20NEAR/3%20(blocked%20OR%20frozen)").await.unwrap();
    assert_eq!(in_index, ["test:live-1"]);
    assert_eq!(watch.all_ids("subject=search:cards").await.unwrap(), in_index);

    // The search changes while mentions flow: what comes behind is judged by the new one.
    let changed = SEARCHES.replace("NEAR/3 (blocked OR frozen)", "AND fine");
    std::fs::write(folder.path().join("watchlist.toml"), changed).unwrap();
    let apply = ["apply", "--server", &node.address];
    assert!(node::command(binary(), folder.path(), &apply).await.unwrap().0);
    for n in 3.. {
        post(n, "my card is fine").await;
        watch.until_searchable(u64::from(n)).await.unwrap();
        if watch.all_ids("subject=search:cards").await.unwrap().len() == 2 {
            break;
        }
    }
    let (ok, _, said) =
        node::command(binary(), folder.path(), &["query", "check", "a OR b c"]).await.unwrap();
    assert!(!ok && said.contains("query, character 8"), "{said}");
    assert!(node.stop().await.unwrap());
}
