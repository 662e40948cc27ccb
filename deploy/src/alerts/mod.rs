//! `earshot alerts`: what a person asks of the alerts of the running system.

mod verify;

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Compute the numbers of an alert again and count its evidence; fails where one is another
    Verify(verify::VerifyCommand),
}

pub(crate) async fn alerts(command: AlertsCommand, settings: &Path) -> anyhow::Result<ExitCode> {
    match command {
        AlertsCommand::Verify(command) => verify::verify(command, settings).await,
    }
}
