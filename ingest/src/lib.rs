//! The service `ingest`: it collects public mentions and writes them to `mentions.raw`.
//!
//! Mentions come in by three kinds of door: sources that we poll ([`definitions`](earshot_common::definitions)
//! say which), signed webhooks, and imports of files. Each has a room of its own, and what a mention may look
//! like once it is ours is said once, in `cleaning`. Nothing is judged here: that is enrich's.

mod cleaning;
mod doors;
mod import;
mod metrics;
mod settings;
mod sources;

use anyhow::Context as _;
use earshot_common::service::{Context, Service};

pub use doors::Accepted;
pub use import::{BadRow, Field, Format, ImportOptions, ImportReport, Mapping};
pub use settings::{Door, IngestSettings};
pub use sources::{ListedSource, SourceListing, Standing};

use metrics::IngestMetrics;
use sources::Sources;

/// The service's name, for logs, health and dead letters.
const NAME: &str = "ingest";

/// Starts the service: opens its doors and takes up its sources where it left them.
pub async fn start(context: Context) -> anyhow::Result<Service> {
    let settings: IngestSettings = context.settings.section(NAME)?;
    let metrics = IngestMetrics::declare(&context.registry).context("declare the metrics of ingest")?;
    let signed_routes = doors::routes(&context, &settings, &metrics)?;
    let import = import::routes(&context, &metrics);
    let sources = Sources::open(context, &settings, metrics).await?;
    let routes = import.merge(sources.routes());
    Ok(Service { name: NAME, routes, signed_routes, work: Box::pin(sources.run()) })
}
