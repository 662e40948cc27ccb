//! The read side: the tantivy index over `mentions.enriched`, the search API and the console page.
//!
//! What belongs here: finding and showing. What does not: judging mentions (`earshot-enrich`) and deciding
//! alerts (`earshot-alerts`), whose records are only read. What people publish goes to `watchlist`, what they
//! say about an alert to `signals`, whom they erase to `erasures`, and a dead letter that they drive again to where it came from.

mod alerts_view;
mod api;
mod commands;
mod dead_letters;
mod digest;
mod erasures;
mod export;
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
use earshot_common::broker::no_longer_followed;
use earshot_common::service::{Context, Service};
use earshot_common::stage::{Surroundings, run};
use earshot_common::topics::{ALERTS, ERASURES, MENTIONS_ENRICHED, WATCHLIST};
use earshot_common::{definitions, disk, erasures as erased_authors};
use serde::Deserialize;
use tokio::sync::watch;

use crate::api::App;
use crate::metrics::Metrics;
use crate::stage::{Committed, IndexStage, Parts};
use crate::store::Store;

pub use commands::{CommandAnswer, CommandRequest};
pub use dead_letters::{Letter, LetterPage, LetterSummary, RedriveAnswer, RedriveRequest, RefusedLetter};
pub use erasures::{ErasureAnswer, ErasureProgress, ErasureRequest};
pub use temporary::TemporaryIndex;
pub use watchlist::{OwnedDefinitions, PublishAnswer, PublishRequest};

/// The wait before the index is opened again after a commit failed, such as on a full disk.
const REOPEN_AFTER: Duration = Duration::from_secs(5);
/// With less room than this a commit that failed has failed for want of it.
const LEAST_FREE_BYTES: u64 = 16 * 1024 * 1024;

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
    let stop = context.stop.clone();
    let (app, indexing) = assemble(context).await?;
    let (watchlist, alerts, erased) = (app.publisher.followed(), app.alerts.clone(), app.erased.clone());
    // Opened before the service counts as started: a wrong topic or a second writer stops the start.
    let first = indexing.begin().await?;
    if indexing.parts.store.has_outdated() {
        tokio::spawn(indexing.clone().remove_outdated());
    }
    let work = async move {
        tokio::select! {
            done = indexing.go_on(first) => done,
            // The console must not show, nor publish over, what it cannot read.
            error = no_longer_followed(watchlist, &WATCHLIST, &stop) => Err(error.into()),
            error = no_longer_followed(alerts, &ALERTS, &stop) => Err(error.into()),
            error = no_longer_followed(erased, &ERASURES, &stop) => Err(error.into()),
        }
    };
    let signed_routes = open_routes(app.clone());
    Ok(Service { name: "index", routes: routes(app), signed_routes, work: Box::pin(work) })
}

/// What the requests work with, and the work of writing.
async fn assemble(context: Context) -> anyhow::Result<(App, Indexing)> {
    let settings: IndexSettings = context.settings.section("index")?;
    let metrics = Metrics::declare(&context.registry, context.metrics.clone())
        .context("declare the metrics of the index")?;
    let store = Store::open(&context.settings.shared.data.join("index"))?;
    let watchlist = definitions::follow(&context.broker, context.stop.clone()).await?;
    let alerts = alerts_view::follow(&context.broker, context.stop.clone()).await?;
    let erased = erased_authors::follow(&context.broker, context.stop.clone()).await?;
    let (sender, committed) = watch::channel(Committed::default());
    let app = App {
        store: store.clone(),
        broker: context.broker.clone(),
        secret: context.secret.clone(),
        clock: context.clock.clone(),
        publisher: watchlist::Publisher::new(context.broker.clone(), watchlist),
        alerts,
        erased: erased.clone(),
        committed,
        metrics: metrics.clone(),
    };
    let parts = Parts {
        store,
        broker: context.broker.clone(),
        secret: context.secret.clone(),
        erased,
        commit_interval: Duration::from_millis(settings.commit_interval_ms),
        clock: context.clock.clone(),
        metrics,
        committed: sender,
    };
    Ok((app, Indexing { context, parts }))
}

fn routes(app: App) -> Router {
    api::routes()
        .merge(commands::routes())
        .merge(erasures::routes())
        .merge(export::routes())
        .merge(dead_letters::routes())
        .merge(page::routes())
        .with_state(app)
}

/// What needs no login: links that prove themselves, and what every page is made with.
fn open_routes(app: App) -> Router {
    page::open_routes().with_state(app)
}

/// The work of writing the index.
#[derive(Clone)]
struct Indexing {
    context: Context,
    parts: Parts,
}

/// An opened stage with its input and its surroundings.
type Opened = (IndexStage, earshot_common::stage::Input, Surroundings);

impl Indexing {
    /// Opens the stage for the first time. A restored index may hold mentions of authors who were erased since:
    /// they go before anybody can ask.
    async fn begin(&self) -> anyhow::Result<Opened> {
        let mut first = self.open().await?;
        while first.0.erase_some().await.context("carry out erasures")? {}
        Ok(first)
    }

    async fn open(&self) -> anyhow::Result<Opened> {
        let mut around = self.context.around_stage();
        around.stop = self.context.stop.child_token();
        let stage = IndexStage::open(self.parts.clone(), around.stop.clone())?;
        let input = stage.input(&self.context.broker).await?;
        Ok((stage, input, around))
    }

    /// Removes the indexes of older versions once this one holds what the log held at the start.
    async fn remove_outdated(self) {
        let caught_up = async {
            let ends = self.context.broker.bounds(&MENTIONS_ENRICHED, None).await?;
            let mut committed = self.parts.committed.subscribe();
            committed.wait_for(|now| ends.iter().all(|end| now.next(end) >= end.next)).await?;
            anyhow::Ok(())
        };
        let caught_up = tokio::select! {
            () = self.context.stop.cancelled() => return,
            caught_up = caught_up => caught_up,
        };
        match caught_up {
            Ok(()) => self.parts.store.remove_outdated(),
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "the index of an older version stays until the next start"
            ),
        }
    }

    /// Indexes until the stop. After a failed commit the writer's documents are lost: it is opened again, at
    /// the positions of the last commit that did not fail, until that succeeds.
    async fn go_on(self, first: Opened) -> anyhow::Result<()> {
        let mut opened = Some(first);
        loop {
            if let Some((mut stage, input, around)) = opened.take() {
                run(&mut stage, input, &around).await?;
                if self.context.stop.is_cancelled() {
                    return stage.commit();
                }
            }
            if let Some(trouble) = self.full_disk() {
                self.context.health.trouble("index", trouble);
            }
            tokio::select! {
                () = self.context.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(REOPEN_AFTER) => {}
            }
            tracing::warn!("the index is opened again at its last commit");
            opened = match self.open().await {
                Ok(opened) => Some(opened),
                // It opened before in this process, so what is in the way now may pass.
                Err(error) if self.full_disk().is_some() => {
                    tracing::warn!(error = format!("{error:#}"), "the index cannot be opened; trying again");
                    None
                }
                Err(error) => return Err(error),
            };
        }
    }

    /// That the disk is full, and what to do, where it is so.
    fn full_disk(&self) -> Option<String> {
        let folder = self.context.settings.shared.data.join("index");
        let free = disk::free_bytes(&folder)?;
        (free < LEAST_FREE_BYTES).then(|| {
            format!(
                "the disk under {} has {free} bytes left: make room there, and the index goes on by itself",
                folder.display()
            )
        })
    }
}
