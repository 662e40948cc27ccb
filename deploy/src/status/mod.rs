//! `earshot status`: asks every running program how it is, and says it in a compact table.
//!
//! What belongs here: asking. What the answers mean is [`report`], how they look [`page`].

mod page;
mod report;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use earshot_alerts::DeliveryListing;
use earshot_ingest::SourceListing;
use futures::future::join_all;
use reqwest::StatusCode;
use serde::de::DeserializeOwned;

use crate::client::{Login, addresses, answer};
use crate::print;
use report::{Answer, Health, Program, Report};

/// A program that does not say how it is within this is not well.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Debug, Args)]
pub(crate) struct StatusCommand {
    /// Address of a running program; may be given several times. The settings' addresses when not given
    #[arg(long = "server", value_name = "URL", env = "EARSHOT_SERVER", value_delimiter = ',')]
    servers: Vec<String>,
    #[command(flatten)]
    login: Login,
    /// Print the whole as JSON
    #[arg(long)]
    json: bool,
}

/// Prints how everything is; success where all is well.
pub(crate) async fn status(command: StatusCommand, settings: &Path) -> anyhow::Result<ExitCode> {
    let http = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(3))
        .timeout(PATIENCE)
        .build()
        .context("make the HTTP client")?;
    let asked: Vec<(Option<&'static str>, String)> = match command.servers.is_empty() {
        true => addresses(settings)?.into_iter().map(|(service, address)| (Some(service), address)).collect(),
        false => command.servers.iter().map(|url| (None, url.trim_end_matches('/').to_owned())).collect(),
    };
    let asking = asked.into_iter().map(|(service, address)| ask(&http, &command.login, service, address));
    let report = Report::of(join_all(asking).await, jiff::Timestamp::now().into());
    print(&match command.json {
        true => serde_json::to_string_pretty(&report).context("write the report")?,
        false => page::page(&report),
    });
    Ok(if report.well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask(
    http: &reqwest::Client,
    login: &Login,
    expected: Option<&'static str>,
    address: String,
) -> Program {
    let answer = ask_all(http, login, &address).await;
    let (answer, error) = match answer {
        Ok(answer) => (Some(answer), None),
        Err(error) => (None, Some(reason(&error))),
    };
    Program { address, expected, answer, error }
}

async fn ask_all(http: &reqwest::Client, login: &Login, address: &str) -> anyhow::Result<Answer> {
    let health: Health = get(http, login, address, "/api/health").await?;
    let serves = |service: &str| health.services.iter().any(|name| name == service);
    let sources = match serves("ingest") {
        true => get::<SourceListing>(http, login, address, "/api/sources").await?.sources,
        false => Vec::new(),
    };
    let undelivered = match serves("alerts") {
        true => get::<DeliveryListing>(http, login, address, "/api/deliveries").await?.undelivered,
        false => Vec::new(),
    };
    Ok(Answer { health, sources, undelivered })
}

async fn get<T: DeserializeOwned>(
    http: &reqwest::Client,
    login: &Login,
    address: &str,
    path: &str,
) -> anyhow::Result<T> {
    let response = login.with(http.get(format!("{address}{path}"))).send().await?;
    anyhow::ensure!(
        response.status() != StatusCode::UNAUTHORIZED,
        "the login was refused: give --user, and the password as EARSHOT_PASSWORD"
    );
    answer(response).await.context(path.to_owned())
}

/// Why a program gave no answer, in few words: the address is said beside it.
fn reason(error: &anyhow::Error) -> String {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_timeout() => format!("no answer within {} s", PATIENCE.as_secs()),
        // The last cause is the system's own word, such as "Connection refused".
        Some(_) => error.root_cause().to_string(),
        None => format!("{error:#}"),
    }
}
