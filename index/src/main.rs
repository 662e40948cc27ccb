//! `earshot-index`: the service as a program of its own. Its only argument is the settings file.

use std::process::ExitCode;

use earshot_common::service;
use earshot_index::IndexSettings;

#[tokio::main]
async fn main() -> ExitCode {
    service::program(|settings| Ok(settings.section::<IndexSettings>("index")?.listen), earshot_index::start)
        .await
}
