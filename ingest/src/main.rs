//! `earshot-ingest`: the service as a program of its own.

use earshot_ingest::IngestSettings;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    earshot_common::service::run_alone(
        &earshot_common::service::settings_file(),
        |settings| Ok(settings.section::<IngestSettings>("ingest")?.listen),
        earshot_ingest::start,
    )
    .await
}
