//! `earshot import`: a file of past mentions, through the running system.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use earshot_ingest::{Format, ImportOptions, ImportReport};
use futures::TryStreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::io::ReaderStream;

use crate::client::{Client, Server, answer};
use crate::{print, say};

/// Bad rows that are printed; all of them are in the dead letters.
const BAD_ROWS_SHOWN: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct ImportCommand {
    /// CSV or JSON Lines, plain or gzip
    file: PathBuf,
    #[command(flatten)]
    options: ColumnOptions,
    #[command(flatten)]
    server: Server,
}

/// How the file's columns are read. What is not given is guessed from well-known column names, and the
/// answer says what was used.
#[derive(Debug, Default, Args)]
struct ColumnOptions {
    /// Name of the import, by which its mentions are found; the file's name when not given
    #[arg(long)]
    name: Option<String>,
    /// `csv` or `jsonl`, where the file does not show it
    #[arg(long, value_parser = format_named)]
    format: Option<Format>,
    /// Zone of times that carry none, such as America/New_York
    #[arg(long)]
    zone: Option<String>,
    /// How times are written, where they are in none of the usual formats, such as "%m/%d/%Y %H:%M"
    #[arg(long, value_name = "FORMAT")]
    time_format: Option<String>,
    /// Network that the ids belong to; without one they are the import's own
    #[arg(long)]
    network: Option<String>,
    /// Column of the mention's id
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// Column of the text
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// Column of the time of publication
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// Column of the headline
    #[arg(long, value_name = "COLUMN")]
    title: Option<String>,
    /// Column of the address
    #[arg(long, value_name = "COLUMN")]
    url: Option<String>,
    /// Column of the author's name or account
    #[arg(long, value_name = "COLUMN")]
    author: Option<String>,
    /// Column of the author's id
    #[arg(long, value_name = "COLUMN")]
    author_id: Option<String>,
    /// Column of the author's followers
    #[arg(long, value_name = "COLUMN")]
    followers: Option<String>,
    /// Column of the language
    #[arg(long, value_name = "COLUMN")]
    lang: Option<String>,
    /// Column of likes or points
    #[arg(long, value_name = "COLUMN")]
    likes: Option<String>,
    /// Column of the number of replies
    #[arg(long, value_name = "COLUMN")]
    replies: Option<String>,
    /// Column of the number of reposts
    #[arg(long, value_name = "COLUMN")]
    reposts: Option<String>,
    /// Column that orders versions of one mention: an edit time or a number
    #[arg(long, value_name = "COLUMN")]
    revision: Option<String>,
}

/// Sends the file and reports what became of its rows.
pub(crate) async fn import(command: ImportCommand, settings: &Path) -> anyhow::Result<()> {
    let client = Client::find(&command.server, settings, "ingest").await?;
    let report = send(&client, &command.file, options(command.options, &command.file)).await?;
    for bad in report.bad_rows.iter().take(BAD_ROWS_SHOWN) {
        say(&format!("{}:{}: {}", command.file.display(), bad.line, bad.reason));
    }
    if report.bad > BAD_ROWS_SHOWN as u64 {
        say(&format!(
            "… {} bad rows in all; each is in the dead letters with its line and reason",
            report.bad
        ));
    }
    if let Some(zone) = &report.zone_assumed {
        say(&format!("times without a zone were read as {zone}; say another with --zone"));
    }
    print(&summary(&report));
    if report.mentions == 0 {
        anyhow::bail!("import {}: no row became a mention", command.file.display());
    }
    Ok(())
}

/// Sends a file with a progress bar.
pub(crate) async fn send(
    client: &Client,
    file: &Path,
    options: ImportOptions,
) -> anyhow::Result<ImportReport> {
    let reading = || format!("read {}", file.display());
    let source = tokio::fs::File::open(file).await.with_context(reading)?;
    let bar = progress_bar(source.metadata().await.with_context(reading)?.len());
    let sent = bar.clone();
    let body = ReaderStream::new(source).inspect_ok(move |chunk| sent.inc(chunk.len() as u64));
    let response = client
        .post("/api/import")
        .query(&options)
        .body(reqwest::Body::wrap_stream(body))
        .send()
        .await
        .with_context(|| {
            format!(
                "import {}: the running system broke off; import the file again when it runs, what is in stays in once",
                file.display()
            )
        })?;
    bar.finish_and_clear();
    answer(response).await.with_context(|| format!("import {}", file.display()))
}

/// Bytes sent, rate and time left. The other side reads no faster than it stores, so bytes sent are progress.
fn progress_bar(bytes: u64) -> ProgressBar {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template(
        "{bar:30} {percent}%  {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    )
    .expect("the template is a constant");
    ProgressBar::with_draw_target(Some(bytes), target).with_style(style)
}

fn summary(report: &ImportReport) -> String {
    let rate = report.rows as f64 / report.seconds.max(0.001);
    let columns: Vec<String> =
        report.mapping.iter().map(|(field, column)| format!("{} from `{column}`", field.name())).collect();
    format!(
        "columns: {}\n{} rows in {:.1} s ({rate:.0} a second): {} mentions, {} repeated, {} bad",
        columns.join(", "),
        report.rows,
        report.seconds,
        report.mentions,
        report.repeated,
        report.bad
    )
}

fn options(columns: ColumnOptions, file: &Path) -> ImportOptions {
    ImportOptions {
        name: columns.name.unwrap_or_else(|| name_of(file)),
        format: columns.format,
        zone: columns.zone,
        time_format: columns.time_format,
        network: columns.network,
        id: columns.id,
        text: columns.text,
        time: columns.time,
        title: columns.title,
        url: columns.url,
        author: columns.author,
        author_id: columns.author_id,
        followers: columns.followers,
        lang: columns.lang,
        likes: columns.likes,
        replies: columns.replies,
        reposts: columns.reposts,
        revision: columns.revision,
    }
}

/// The file's name as an import's name, which stands in ids: what is not plain becomes `-`.
fn name_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.chars().take(100).map(|c| if plain(c) { c } else { '-' }).collect()
}

fn format_named(name: &str) -> Result<Format, String> {
    match name {
        "csv" => Ok(Format::Csv),
        "jsonl" => Ok(Format::Jsonl),
        _ => Err("it is `csv` or `jsonl`".to_owned()),
    }
}
