//! `earshot-alerts`: the service as a program of its own. Its only argument is the settings file.

use std::process::ExitCode;

use earshot_alerts::AlertsSettings;
use earshot_common::service;

#[tokio::main]
async fn main() -> ExitCode {
    service::program(
        |settings| Ok(settings.section::<AlertsSettings>("alerts")?.listen),
        earshot_alerts::start,
    )
    .await
}
