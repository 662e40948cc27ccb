//! `earshot brief`: a brief as it would read now.

use std::path::Path;

use clap::Args;
use earshot_alerts::BriefAnswer;

use crate::client::{Client, Server};
use crate::print;
use crate::terminal::lines;

#[derive(Debug, Args)]
pub(crate) struct BriefCommand {
    /// The brief's id
    id: String,
    /// Print the HTML of the mail in place of its text
    #[arg(long)]
    html: bool,
    #[command(flatten)]
    server: Server,
}

pub(crate) async fn brief(command: BriefCommand, settings: &Path) -> anyhow::Result<()> {
    let client = Client::find(&command.server, settings, "alerts").await?;
    let answer: BriefAnswer = client.get_json(&format!("/api/briefs/{}", command.id), &()).await?;
    let text = if command.html { &answer.html } else { &answer.text };
    print(lines(text).trim_end());
    Ok(())
}
