//! `earshot demo`: an invented airline, a fortnight of its history, and a crisis that unfolds now.
//!
//! What belongs here: the stage management. What is said is in [`script`]. No service knows of the demo: the
//! history is imported like any file, the crisis comes through a signed door like any partner's mentions.

mod script;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use earshot_common::http::REQUEST_TIMEOUT;
use earshot_common::settings::{Log, Settings};
use earshot_common::telemetry;
use earshot_ingest::ImportOptions;
use jiff::Timestamp;
use standardwebhooks::Webhook;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Server, answer};
use crate::up::Up;
use crate::{Place, import, print};

/// The demo's own folder, where none is given.
const FOLDER: &str = "earshot-demo";
/// Marks a folder as the demo's, which it may empty, and holds the lock of a running demo.
const MARK: &str = "demo.lock";
const WATCHLIST: &str = include_str!("../../samples/demo-watchlist.toml");
/// The quiet before the crisis, in which a person finds the page.
const QUIET: Duration = Duration::from_secs(5);

/// Runs the demo until a signal comes.
pub(crate) async fn demo(place: Place) -> anyhow::Result<()> {
    telemetry::start_logging(&Log { filter: "warn".to_owned(), ..Log::default() })?;
    let folder = place.data.unwrap_or_else(|| PathBuf::from(FOLDER));
    let _lock = empty_folder(&folder)?;
    let secret = new_secret();
    let settings = write_settings(&folder, &secret)?;

    let stop = CancellationToken::new();
    earshot_common::service::stop_on_signal(stop.clone());
    let up = Up::prepare(Settings::load(&settings)?, place.listen, stop.clone()).await?;
    let address = format!("http://{}", up.address()?);
    print(&format!("Earshot is at {address}"));
    print("Tarnwick Air, its people and all that is said of them here are invented. Stop with Ctrl-C.");

    let show = perform(address, settings, folder, secret);
    let play = async {
        let played = tokio::select! {
            played = show => played,
            () = stop.cancelled() => Ok(()),
        };
        if let Err(error) = played {
            tracing::error!(error = format!("{error:#}"), "the demo's story stopped");
        }
    };
    let (ran, ()) = tokio::join!(up.run(), play);
    ran
}

/// History first, then the crisis as it happens.
async fn perform(address: String, settings: PathBuf, folder: PathBuf, secret: String) -> anyhow::Result<()> {
    let client = Client::find(&Server::at(address), &settings, "ingest").await?;
    let history = folder.join("history.csv");
    std::fs::write(&history, script::history(Timestamp::now())).context("write the demo's history")?;
    let options = ImportOptions { name: "history".to_owned(), ..ImportOptions::default() };
    let report = import::send(&client, &history, options).await?;
    print(&format!("{} mentions of the last two weeks are in. The quiet will not last …", report.mentions));

    tokio::time::sleep(QUIET).await;
    let webhook = Webhook::new(&secret).context("use the demo's secret")?;
    for (n, line) in script::crisis().enumerate() {
        tokio::time::sleep(line.after).await;
        post(&client, &webhook, n, &line).await?;
    }
    Ok(())
}

/// Sends one mention through the signed door.
async fn post(client: &Client, webhook: &Webhook, n: usize, line: &script::Line) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let id = format!("demo-{}-{n}", now.as_millisecond());
    let mention = serde_json::json!({
        "id": id,
        "text": line.text,
        "author": {"name": line.author.name, "handle": line.author.handle, "followers": line.author.followers},
        "published": now.to_string(),
    });
    let body = serde_json::to_vec(&mention).context("write a mention")?;
    let signature = webhook.sign(&id, now.as_second(), &body).context("sign a mention")?;
    let request = client
        .post("/api/doors/demo")
        .header("content-type", "application/json")
        .header("webhook-id", &id)
        .header("webhook-timestamp", now.as_second().to_string())
        .header("webhook-signature", signature)
        .timeout(REQUEST_TIMEOUT)
        .body(body);
    answer::<serde_json::Value>(request.send().await.context("send a mention")?).await?;
    Ok(())
}

/// Empties the demo's own folder, or makes it. Another folder that holds something is left alone.
fn empty_folder(folder: &Path) -> anyhow::Result<File> {
    let using = || format!("use {} for the demo", folder.display());
    std::fs::create_dir_all(folder).with_context(using)?;
    let mark = folder.join(MARK);
    let occupied = std::fs::read_dir(folder).with_context(using)?.next().is_some();
    if occupied && !mark.exists() {
        anyhow::bail!(
            "{} holds something that is not the demo's; choose another folder with --data",
            folder.display()
        );
    }
    let lock = File::create(&mark).with_context(using)?;
    if lock.try_lock().is_err() {
        anyhow::bail!(
            "another demo runs in {}; stop it, or choose another folder with --data",
            folder.display()
        );
    }
    for entry in std::fs::read_dir(folder).with_context(using)? {
        let path = entry.with_context(using)?.path();
        if path == mark {
            continue;
        }
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.with_context(using)?;
    }
    Ok(lock)
}

/// Writes the demo's settings and watchlist, so that a curious person finds them as they would their own.
fn write_settings(folder: &Path, secret: &str) -> anyhow::Result<PathBuf> {
    let settings = folder.join("earshot.toml");
    let text = format!(
        "# The demo's settings, written anew at each start.\ndata = \"data\"\nwatchlist = [\"watchlist.toml\"]\n\n\
         [log]\nfilter = \"warn\"\n\n[ingest.doors.demo]\nsecret = \"{secret}\"\nnetwork = \"demo\"\n"
    );
    std::fs::write(&settings, text).context("write the demo's settings")?;
    let zone = jiff::tz::TimeZone::system().iana_name().unwrap_or("UTC").to_owned();
    let watchlist = WATCHLIST.replace("{zone}", &zone);
    std::fs::write(folder.join("watchlist.toml"), watchlist).context("write the demo's watchlist")?;
    Ok(settings)
}

/// A secret for the demo's door, as Standard Webhooks writes it.
fn new_secret() -> String {
    use base64::Engine;
    let bytes: [u8; 24] = rand::random();
    format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_the_demos_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
        let error = empty_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("not the demo's"), "{error}");
        assert!(folder.path().join("thesis.txt").exists());
    }

    #[test]
    fn the_demos_own_folder_is_emptied_unless_a_demo_runs_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let lock = empty_folder(folder.path()).unwrap();
        std::fs::write(folder.path().join("old"), "").unwrap();
        assert!(empty_folder(folder.path()).unwrap_err().to_string().contains("another demo runs"));
        drop(lock);
        empty_folder(folder.path()).unwrap();
        assert!(!folder.path().join("old").exists());
    }

    #[test]
    fn what_the_demo_writes_passes_the_check() {
        let folder = tempfile::tempdir().unwrap();
        let settings = write_settings(folder.path(), &new_secret()).unwrap();
        crate::watchlist::check(&Settings::load(&settings).unwrap()).unwrap();
    }
}
