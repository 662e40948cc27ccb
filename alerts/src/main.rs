//! `earshot-alerts`: the service as a program of its own.

use earshot_alerts::AlertsSettings;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    earshot_common::service::run_alone(
        &earshot_common::service::settings_file(),
        |settings| Ok(settings.section::<AlertsSettings>("alerts")?.listen),
        earshot_alerts::start,
    )
    .await
}
