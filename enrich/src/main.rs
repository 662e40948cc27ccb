//! `earshot-enrich`: the service as a program of its own.

use earshot_enrich::EnrichSettings;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    earshot_common::service::run_alone(
        &earshot_common::service::settings_file(),
        |settings| Ok(settings.section::<EnrichSettings>("enrich")?.listen),
        earshot_enrich::start,
    )
    .await
}
