//! `earshot-ingest`: the service as a program of its own. Its only argument is the settings file.

use std::process::ExitCode;

use earshot_common::service;
use earshot_ingest::IngestSettings;

#[tokio::main]
async fn main() -> ExitCode {
    service::program(
        |settings| Ok(settings.section::<IngestSettings>("ingest")?.listen),
        earshot_ingest::start,
    )
    .await
}
