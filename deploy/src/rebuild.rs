//! `earshot rebuild`: the counts of a subject made anew from the retained mentions.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use earshot_alerts::{RebuildAsked, RebuildListing, TakenRebuild};

use crate::client::{Client, Server};
use crate::{print, say};

/// Between two questions whether it is done.
const PAUSE: Duration = Duration::from_millis(200);
/// After so long somebody wants to know why it is not.
const LONG: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct RebuildCommand {
    /// Id of the subject, or `search:ID`
    subject: String,
    #[command(flatten)]
    server: Server,
}

/// Asks for it, waits until the decision side has the new counts, and says what they are.
pub(crate) async fn rebuild(command: RebuildCommand, settings: &Path) -> anyhow::Result<()> {
    let client = Client::find(&command.server, settings, "alerts").await?;
    let path = format!("/api/subjects/{}/rebuild", command.subject);
    let asked: RebuildAsked = client.post_json(&path, &()).await?;
    let taken = wait(&client, &command.subject, asked.asked)
        .await
        .context("the rebuild goes on by itself; `GET /api/rebuilds` says how far it is")?;
    print(&format!(
        "{}: {} retained mentions from before {} are counted anew",
        taken.name, taken.mentions, taken.until
    ));
    Ok(())
}

async fn wait(client: &Client, subject: &str, asked: u64) -> anyhow::Result<TakenRebuild> {
    let (start, mut is_told) = (Instant::now(), false);
    loop {
        let listing: RebuildListing = client.get_json("/api/rebuilds", &()).await?;
        let name = format!("rebuild:{subject}@");
        let is_it = |taken: &TakenRebuild| taken.asked >= asked && taken.name.starts_with(&name);
        if let Some(taken) = listing.taken.into_iter().find(is_it) {
            return Ok(taken);
        }
        let waits = listing.waiting.iter().any(|request| request.subject == subject);
        if listing.next > asked && !waits {
            bail!("`{subject}` is not in force at the decision side yet; ask again in a moment");
        }
        if start.elapsed() > LONG && !is_told {
            say("still waiting: enrich reads the retained mentions; is it running?");
            is_told = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
