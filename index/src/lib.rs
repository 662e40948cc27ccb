//! The read side: the tantivy index over `mentions.enriched`, the search API and the console page.
//!
//! What belongs here: finding and showing. What does not: judging mentions (`earshot-enrich`) and deciding
//! alerts (`earshot-alerts`), whose records are only read. What people publish goes to `watchlist`.

mod alerts_view;
mod api;
#[cfg(test)]
mod fixtures;
mod highlight;
mod histogram;
mod metrics;
mod page;
mod params;
mod query;
mod schema;
mod search;
mod stage;
mod store;
mod temporary;
#[cfg(test)]
mod tests;
mod watchlist;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use earshot_common::definitions;
use earshot_common::service::{Context, Service};
use earshot_common::stage::{Surroundings, run};
use serde::Deserialize;
use tokio::sync::watch;

use crate::api::App;
use crate::metrics::Metrics;
use crate::stage::{Committed, IndexStage};
use crate::store::Store;

pub use temporary::TemporaryIndex;
pub use watchlist::{OwnedDefinitions, PublishAnswer, PublishRequest};

/// The wait before the index is opened again after a commit failed, such as on a full disk.
const REOPEN_AFTER: Duration = Duration::from_secs(5);

/// The section `index` of the settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndexSettings {
    /// The address of the console and the search API.
    pub listen: SocketAddr,
    /// Milliseconds that a mention waits for others before a commit makes them searchable.
    pub commit_interval_ms: u64,
}

impl Default for IndexSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 7700)), commit_interval_ms: 500 }
    }
}

/// Starts the index: opens it, follows `alerts` and `watchlist`, and answers its routes and its work.
pub async fn start(context: Context) -> anyhow::Result<Service> {
    let (app, indexing) = assemble(context).await?;
    // Opened before the service counts as started: a wrong topic or a second writer stops the start.
    let first = indexing.open().await?;
    Ok(Service {
        name: "index",
        routes: routes(app),
        signed_routes: Router::new(),
        work: Box::pin(indexing.go_on(first)),
    })
}

/// What the requests work with, and the work of writing.
async fn assemble(context: Context) -> anyhow::Result<(App, Indexing)> {
    let settings: IndexSettings = context.settings.section("index")?;
    let metrics = Metrics::declare(&context.registry, context.metrics.clone())
        .context("declare the metrics of the index")?;
    let store = Store::open(&context.settings.shared.data.join("index"))?;
    let watchlist = definitions::follow(&context.broker, context.stop.clone()).await?;
    let alerts = alerts_view::follow(&context.broker, context.stop.clone()).await?;
    let (sender, committed) = watch::channel(Committed::default());
    let app = App {
        store: store.clone(),
        broker: context.broker.clone(),
        publisher: watchlist::Publisher::new(context.broker.clone(), watchlist),
        alerts,
        committed,
        metrics: metrics.clone(),
    };
    let indexing = Indexing {
        store,
        commit_interval: Duration::from_millis(settings.commit_interval_ms),
        context,
        metrics,
        committed: sender,
    };
    Ok((app, indexing))
}

fn routes(app: App) -> Router {
    api::routes().merge(page::routes()).with_state(app)
}

/// The work of writing the index.
struct Indexing {
    store: Store,
    commit_interval: Duration,
    context: Context,
    metrics: Metrics,
    committed: watch::Sender<Committed>,
}

/// An opened stage with its input and its surroundings.
type Opened = (IndexStage, earshot_common::stage::Input, Surroundings);

impl Indexing {
    async fn open(&self) -> anyhow::Result<Opened> {
        let mut around = self.context.around_stage();
        around.stop = self.context.stop.child_token();
        let stage = IndexStage::open(
            self.store.clone(),
            self.commit_interval,
            self.context.clock.clone(),
            self.metrics.clone(),
            self.committed.clone(),
            around.stop.clone(),
        )?;
        let input = stage.input(&self.context.broker).await?;
        Ok((stage, input, around))
    }

    /// Indexes until the stop. After a failed commit the writer's documents are lost: it is opened again, at
    /// the positions of the last commit that did not fail.
    async fn go_on(self, first: Opened) -> anyhow::Result<()> {
        let mut opened = first;
        loop {
            let (mut stage, input, around) = opened;
            run(&mut stage, input, &around).await?;
            if self.context.stop.is_cancelled() {
                return stage.commit();
            }
            drop(stage);
            tokio::select! {
                () = self.context.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(REOPEN_AFTER) => {}
            }
            tracing::warn!("the index is opened again at its last commit");
            opened = self.open().await?;
        }
    }
}
