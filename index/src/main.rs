//! The program `earshot-index`: the read side as a service of its own.

use earshot_common::service::{run_alone, settings_file};
use earshot_index::IndexSettings;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run_alone(
        &settings_file(),
        |settings| Ok(settings.section::<IndexSettings>("index")?.listen),
        earshot_index::start,
    )
    .await
}
