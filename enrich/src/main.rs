//! `earshot-enrich`: the service as a program of its own. Its only argument is the settings file.

use std::process::ExitCode;

use earshot_common::service;
use earshot_enrich::EnrichSettings;

#[tokio::main]
async fn main() -> ExitCode {
    service::program(
        |settings| Ok(settings.section::<EnrichSettings>("enrich")?.listen),
        earshot_enrich::start,
    )
    .await
}
