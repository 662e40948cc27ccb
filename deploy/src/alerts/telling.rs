//! `earshot alerts test`, `why` and `replay`: whom alerts are told to, tried out, explained and told again.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use earshot_alerts::{Fate, ReplayAnswer, ReplayRequest, RouteTest, WhyAnswer, WhyRecipient};
use earshot_common::events::Channel;

use crate::client::{Client, Server, answer};
use crate::print;
use crate::terminal::one_line;

/// A channel may take half a minute to answer.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct TestCommand {
    /// The route's id
    route: String,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct WhyCommand {
    /// The alert's id, as messages and the console's address show it
    alert: String,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayCommand {
    /// The webhook's name in the settings
    #[arg(long, value_name = "NAME")]
    webhook: String,
    /// The first offset to send: `signals.offset` in the body of the last message that came
    #[arg(long, value_name = "OFFSET")]
    from: u64,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn test(command: TestCommand, settings: &Path) -> anyhow::Result<ExitCode> {
    let client = Client::find(&command.server, settings, "alerts").await?;
    let path = format!("/api/routes/{}/test", command.route);
    let response = client.post(&path).timeout(PATIENCE).send().await;
    let tested: RouteTest = answer(response.context("ask for the test")?).await?;
    let mut failed = 0;
    for result in &tested.results {
        let said = match &result.error {
            None => "taken".to_owned(),
            Some(error) => {
                failed += 1;
                let then =
                    if result.retried { "it would be tried again" } else { "it would not be tried again" };
                format!("not taken, and {then}: {}", one_line(error))
            }
        };
        print(&format!("{}: {said}", recipient(&result.to)));
    }
    if let Some(fallback) = &tested.fallback {
        print(&format!("where one fails, the route `{fallback}` is told; test it by itself"));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) async fn why(command: WhyCommand, settings: &Path) -> anyhow::Result<ExitCode> {
    let client = Client::find(&command.server, settings, "alerts").await?;
    let path = format!("/api/alerts/{}/why", command.alert);
    let answer: WhyAnswer = client.get_json(&path, &()).await?;
    print(&format!("alert {}: rule {}, subject {}", answer.alert, answer.rule, answer.subject));
    for transition in &answer.transitions {
        let what = format!("{:?}", transition.transition).to_lowercase();
        print(&format!("{} {what}, decided at {}", transition.sequence, transition.decided));
        if let Some(nobody) = &transition.nobody {
            print(&format!("  nobody was told: {nobody}"));
        }
        for recipient in &transition.recipients {
            print(&format!("  {}", line(recipient)));
        }
        for over in &transition.passed_over {
            print(&format!("  route `{}` is not told: {}", over.route, one_line(&over.why)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What became of one message, in a line.
fn line(message: &WhyRecipient) -> String {
    let to = recipient(&message.to);
    let place = if message.instead { " in place of the one above" } else { "" };
    let attempts = match message.attempts {
        1 => "1 attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    };
    let at = message.at.map(|at| format!(" at {at}")).unwrap_or_default();
    let error = message.error.as_ref().map(|error| format!(": {}", one_line(error))).unwrap_or_default();
    let fate = match message.fate {
        Fate::Delivered => format!("delivered{at} after {attempts}"),
        Fate::Failed => format!("given up{at} after {attempts}{error}"),
        Fate::Trying => format!("being tried, {attempts} so far{error}"),
        Fate::Waiting => "not tried yet".to_owned(),
        Fate::NotNeeded => "not needed: that one has not failed".to_owned(),
    };
    format!("{to}{place} (route `{}`): {fate}", message.route)
}

pub(super) async fn replay(command: ReplayCommand, settings: &Path) -> anyhow::Result<ExitCode> {
    let client = Client::find(&command.server, settings, "alerts").await?;
    let path = format!("/api/webhooks/{}/replay", command.webhook);
    let (mut next, mut sent) = (Some(0), 0);
    while let Some(start) = next {
        let request = ReplayRequest { from: command.from, next: start };
        let response = client.post(&path).json(&request).send().await;
        let page: ReplayAnswer = answer(response.context("ask for the messages")?).await?;
        sent += page.sent;
        if let Some((offset, error)) = page.refused {
            anyhow::bail!(
                "{sent} messages were sent, and then one was refused: {error}; go on with --from {offset}"
            );
        }
        next = page.next;
    }
    print(&format!("sent {sent} messages to the webhook `{}`", command.webhook));
    Ok(ExitCode::SUCCESS)
}

fn recipient(to: &Channel) -> String {
    match to.address() {
        Some(address) => format!("{} {}", to.name(), one_line(address)),
        None => to.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_and_what_became_of_it() {
        let message = |fate, attempts, error: Option<&str>| WhyRecipient {
            route: "comms".to_owned(),
            to: Channel::Mail("ops@harbor.example".to_owned()),
            instead: false,
            fate,
            attempts,
            at: Some("2026-01-05T09:00:00Z".parse().unwrap()),
            error: error.map(str::to_owned),
        };
        for (message, wanted) in [
            (message(Fate::Delivered, 1, None), "delivered at 2026-01-05T09:00:00.000Z after 1 attempt"),
            (
                message(Fate::Failed, 3, Some("no such\nmailbox")),
                "given up at 2026-01-05T09:00:00.000Z after 3 attempts: no such\\nmailbox",
            ),
            (message(Fate::Waiting, 0, None), "not tried yet"),
        ] {
            assert_eq!(line(&message), format!("mail ops@harbor.example (route `comms`): {wanted}"));
        }
    }
}
