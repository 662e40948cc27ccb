//! `earshot alerts`: what a person asks of the alerts of the running system.

mod telling;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Send a test over each channel of a route, and print what each answered; fails where one did not take it
    Test(telling::TestCommand),
    /// Say why each recipient of an alert did or did not get it
    Why(telling::WhyCommand),
    /// Send once more what was meant for a webhook, with the ids that it had
    Replay(telling::ReplayCommand),
    /// Compute the numbers of an alert again and count its evidence; fails where one is another
    Verify(verify::VerifyCommand),
}

pub(crate) async fn alerts(command: AlertsCommand, settings: &Path) -> anyhow::Result<ExitCode> {
    match command {
        AlertsCommand::Test(command) => telling::test(command, settings).await,
        AlertsCommand::Why(command) => telling::why(command, settings).await,
        AlertsCommand::Replay(command) => telling::replay(command, settings).await,
        AlertsCommand::Verify(command) => verify::verify(command, settings).await,
    }
}
