//! Every way to run Earshot. This library is the `earshot` program: `up` and `demo` run all four services in
//! one process; the other commands talk to running services over HTTP, so that they work the same embedded
//! and on Kafka.
//!
//! What belongs here: the command line, what is printed for people, and the invented company of the demo.
//! What a service does belongs to its crate.

mod alerts;
mod backtest;
mod backup;
mod brief;
mod client;
mod dead_letters;
mod demo;
mod erase;
mod evaluate;
mod explain;
mod import;
mod init;
mod password;
mod query;
mod rebuild;
mod reenrich;
mod status;
mod terminal;
mod topics;
mod up;
mod volume;
mod watchlist;

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use earshot_common::settings::{DEFAULT_FILE, Settings};

/// Social listening and reputation monitoring that explains itself.
///
/// Without a command: `demo`, an invented company in a crisis that unfolds before you.
#[derive(Debug, Parser)]
#[command(name = "earshot", version)]
struct CommandLine {
    /// The settings file
    #[arg(long, global = true, default_value = DEFAULT_FILE, env = "EARSHOT_SETTINGS", value_name = "FILE")]
    settings: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run all four services in this process
    Up(Place),
    /// Show an invented company in a crisis, on a data folder of its own
    Demo(Place),
    /// Bring in mentions of the past from a CSV or JSON Lines file, plain or gzip
    Import(Box<import::ImportCommand>),
    /// Publish watchlist files to the running system: changed definitions, and the end of absent ones
    Apply(watchlist::ApplyCommand),
    /// Write a commented settings file and a watchlist for your brand
    Init(init::InitCommand),
    /// Try a query out: what it is read as, and what it matches in a file
    #[command(subcommand)]
    Query(query::QueryCommand),
    /// Validate settings, watchlist and rules without starting anything
    Check,
    /// Say how everything is: services, lag, sources, undelivered messages; fails where something is not well
    Status(status::StatusCommand),
    /// Create the topics that are missing, verify the rest, and show what they hold
    Topics,
    /// Copy to a folder what cannot be made anew, also while the system runs
    Backup(backup::BackupCommand),
    /// Verify a backup and bring it back, while the system does not run
    Restore(backup::RestoreCommand),
    /// Erase everything that an author wrote, and keep them out from now on
    Erase(erase::EraseCommand),
    /// Write everything that an author wrote as JSON Lines, newest first
    Export(erase::ExportCommand),
    /// List, show and drive again the messages that were rejected
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Judge history again with the watchlist and lexicons in force, and say what moved
    Reenrich(reenrich::ReenrichCommand),
    /// Count a subject anew from the retained mentions, by the definitions in force
    Rebuild(rebuild::RebuildCommand),
    /// Say what the judge makes of a text, about whom, and why
    Explain(explain::ExplainCommand),
    /// Say when a rule would have fired, in force or changed, and with what
    Backtest(backtest::BacktestCommand),
    /// Try out a route, say why somebody was or was not told, send messages again, verify an alert
    #[command(subcommand)]
    Alerts(alerts::AlertsCommand),
    /// Print a brief as it would read now
    Brief(brief::BriefCommand),
    /// Judge labelled texts, to measure how well the judge does
    #[command(subcommand)]
    Evaluate(evaluate::EvaluateCommand),
    /// Make the hash of a password for `login.password_hash`
    HashPassword,
}

/// Where `up` and `demo` keep their data and listen.
#[derive(Debug, Default, Args)]
struct Place {
    /// The folder for everything that is kept
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address of the console and the HTTP interface
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

/// Runs the program with its arguments, the first being its name.
pub async fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(message) => {
            // Help and version are no mistakes; clap knows which is which.
            let _ = message.print();
            return ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2));
        }
    };
    // Both TLS users of this process, the HTTP client and mail, share one provider. It is set once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(line).await {
        Ok(code) => code,
        Err(error) => {
            say(&format!("earshot: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(line: CommandLine) -> anyhow::Result<ExitCode> {
    let done = match line.command.unwrap_or(Command::Demo(Place::default())) {
        Command::Up(place) => up::up(Settings::load(&line.settings)?, place).await,
        Command::Demo(place) => demo::demo(place).await,
        Command::Import(command) => import::import(*command, &line.settings).await,
        Command::Apply(command) => watchlist::apply(command, &line.settings).await,
        Command::Init(command) => init::init(command),
        Command::Query(command) => query::query(command),
        Command::Check => watchlist::check(&Settings::load(&line.settings)?),
        Command::Topics => topics::topics(&Settings::load(&line.settings)?).await,
        Command::Backup(command) => backup::backup(command, &line.settings).await,
        Command::Restore(command) => backup::restore(command, &line.settings).await,
        Command::Erase(command) => erase::erase(command, &line.settings).await,
        Command::Export(command) => erase::export(command, &line.settings).await,
        Command::DeadLetters(command) => dead_letters::dead_letters(command, &line.settings).await,
        Command::Alerts(command) => return alerts::alerts(command, &line.settings).await,
        Command::Reenrich(command) => reenrich::reenrich(command, &line.settings).await,
        Command::Rebuild(command) => rebuild::rebuild(command, &line.settings).await,
        Command::Explain(command) => explain::explain(command, &line.settings),
        Command::Backtest(command) => backtest::backtest(command, &line.settings).await,
        Command::Brief(command) => brief::brief(command, &line.settings).await,
        Command::Evaluate(command) => evaluate::evaluate(command, &line.settings),
        Command::HashPassword => password::hash_password(),
        Command::Status(command) => return status::status(command, &line.settings).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Prints a line of the program's answer.
fn print(line: &str) {
    // A reader that has seen enough, such as `head`, is no fault.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Tells a person at the terminal something that is not the answer.
#[expect(clippy::print_stderr, reason = "notes to a person belong on the standard error")]
fn say(line: &str) {
    eprintln!("{line}");
}
