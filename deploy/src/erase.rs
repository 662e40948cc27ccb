//! `earshot erase` and `earshot export`: what an author may ask of us.
//!
//! Neither prints the name: whatever keeps the output of commands must not keep whom it was about.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use earshot_common::topics::{DEAD_LETTERS, MENTIONS_ENRICHED, MENTIONS_RAW, Topic};
use earshot_index::{ErasureAnswer, ErasureProgress, ErasureRequest};
use futures::TryStreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::client::{Client, Server, answer};
use crate::{print, say};

/// Between two questions how far the erasure is.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
pub(crate) struct EraseCommand {
    /// The author exactly as mentions give them in `author.id`, such as hackernews:someone
    #[arg(long, value_name = "NETWORK:NAME")]
    author: String,
    /// Return as soon as the erasure is recorded, without waiting until the index has carried it out
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct ExportCommand {
    /// The author exactly as mentions give them in `author.id`, such as hackernews:someone
    #[arg(long, value_name = "NETWORK:NAME")]
    author: String,
    /// The file to write; the standard output when not given
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

/// Records the erasure, waits until the index has carried it out, and says what stays where.
pub(crate) async fn erase(command: EraseCommand, settings: &Path) -> anyhow::Result<()> {
    let client = Client::find(&command.server, settings, "index").await?;
    let request = ErasureRequest { author: command.author };
    let asked: ErasureAnswer = client.post_json("/api/erasures", &request).await?;
    if command.no_wait {
        print(&format!(
            "the erasure is recorded; {} is being removed, and nothing of the author is taken in from now on",
            mentions(asked.found)
        ));
        return Ok(());
    }
    wait(&client, &asked).await.context(
        "the erasure is recorded and goes on by itself; the same command again says when it is carried out",
    )?;
    print(&match asked.found {
        0 => "no mention of the author was found (is the name exactly as a mention's `author.id` has it?); \
              whatever comes of them from now on is kept out"
            .to_owned(),
        found => format!(
            "erased: {} can no longer be found, and nothing of the author is taken in from now on",
            mentions(found)
        ),
    });
    print(&what_stays());
    Ok(())
}

async fn wait(client: &Client, asked: &ErasureAnswer) -> anyhow::Result<()> {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{spinner} {msg}").expect("the template is a constant");
    let line = ProgressBar::with_draw_target(None, target).with_style(style);
    let path = format!("/api/erasures/{}", asked.author_key);
    loop {
        let progress: ErasureProgress = client.get_json(&path, &()).await?;
        if progress.done {
            line.finish_and_clear();
            return Ok(());
        }
        line.set_message(format!("{} left", mentions(progress.left)));
        line.tick();
        tokio::time::sleep(PAUSE).await;
    }
}

fn what_stays() -> String {
    format!(
        "what stays, and for how long:\n  \
         {}: what sources sent, for {}\n  \
         {}: what was rejected, for {}; of an erased author it is neither shown nor driven again\n  \
         {} and the index's files: the text, until they are next compacted and merged\n  \
         backups of before: until you delete them; `earshot restore` carries the erasures made since over\n  \
         counts and alerts: they hold no text and no name",
        MENTIONS_RAW.name,
        days(MENTIONS_RAW),
        DEAD_LETTERS.name,
        days(DEAD_LETTERS),
        MENTIONS_ENRICHED.name
    )
}

fn days(topic: Topic) -> String {
    topic.cleanup.retention().map_or("ever".to_owned(), |age| format!("{} days", age.as_secs() / 86_400))
}

fn mentions(count: u64) -> String {
    match count {
        1 => "1 mention".to_owned(),
        count => format!("{count} mentions"),
    }
}

/// Writes every mention of an author, one JSON object a line, newest first.
pub(crate) async fn export(command: ExportCommand, settings: &Path) -> anyhow::Result<()> {
    let client = Client::find(&command.server, settings, "index").await?;
    let request = client.get("/api/export").query(&[("author", &command.author)]);
    let response = request.send().await.context("ask for the export")?;
    if !response.status().is_success() {
        return answer(response).await;
    }
    let mut output: Box<dyn Write + Send> = match &command.output {
        Some(file) => {
            let created = File::create(file);
            Box::new(created.with_context(|| format!("create {}", file.display()))?)
        }
        None => Box::new(std::io::stdout()),
    };
    let mut lines = 0;
    let mut body = response.bytes_stream();
    while let Some(chunk) = body.try_next().await.context("read the export: it broke off and is not whole")? {
        lines += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        output.write_all(&chunk).context("write the export")?;
    }
    output.flush().context("write the export")?;
    say(&match &command.output {
        Some(file) => format!("{} written to {}", mentions(lines), file.display()),
        None => mentions(lines),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_what_stays_and_for_how_long_as_the_topics_are_made() {
        let said = what_stays();
        for part in ["mentions.raw: what sources sent, for 7 days", "rejected, for 28 days", "backups"] {
            assert!(said.contains(part), "{said}");
        }
    }
}
