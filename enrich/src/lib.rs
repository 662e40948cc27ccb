//! Enrich: what a mention says, about whom, in which language and mood; `mentions.raw` in,
//! `mentions.enriched` and `signals` out.
//!
//! Everything but [`stage`], [`reenrich`] and [`start`] is pure. What does not belong here: collecting mentions (`ingest`)
//! and deciding what is worth an alert (`alerts`).

pub mod entities;
pub mod judge;
pub mod language;
pub mod metrics;
pub mod progress;
pub mod reenrich;
pub mod searches;
pub mod sentiment;
pub mod stage;
pub mod story;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use earshot_common::broker::no_longer_followed;
use earshot_common::service::{Context, Service};
use earshot_common::stage::{Input, run};
use earshot_common::topics::{ERASURES, MENTIONS_RAW, WATCHLIST};
use earshot_common::{definitions, erasures};
use serde::Deserialize;

use metrics::Metrics;
use reenrich::Reenrichment;
use sentiment::Lexicon;
use stage::EnrichStage;

/// The group that shares the raw mentions.
const GROUP: &str = "earshot-enrich";

/// The section `enrich` of the settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnrichSettings {
    /// Where health and metrics are served, when the service runs as a program of its own.
    pub listen: SocketAddr,
    /// The team's own words and their weights, laid over the shipped lexicons in this order: files with a word or
    /// phrase, a tab, and a weight from -8 to 8 on each line.
    pub lexicons: Vec<PathBuf>,
}

impl EnrichSettings {
    /// The shipped lexicons with the team's own over them; paths start from `base`.
    pub fn lexicon(&self, base: &Path) -> anyhow::Result<Lexicon> {
        let mut lexicon = Lexicon::english();
        for file in &self.lexicons {
            lexicon.overlay(&base.join(file)).context("setting `enrich.lexicons`")?;
        }
        Ok(lexicon)
    }
}

impl Default for EnrichSettings {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 7702).into(), lexicons: Vec::new() }
    }
}

/// Starts the service: the watchlist and the erasures are read to their ends before the first mention.
pub async fn start(context: Context) -> anyhow::Result<Service> {
    let settings = context.settings.section::<EnrichSettings>("enrich")?;
    let lexicon = Arc::new(settings.lexicon(&context.settings.base)?);
    let metrics = Metrics::declare(&context.registry).context("declare the metrics of enrich")?;
    let watchlist =
        definitions::follow(&context.broker, context.stop.clone()).await.context("read the watchlist")?;
    let erased =
        erasures::follow(&context.broker, context.stop.clone()).await.context("read the erasures")?;
    let member =
        context.broker.join(GROUP, &MENTIONS_RAW).await.context("join the readers of raw mentions")?;
    let around = context.around_stage();
    let reenrichment =
        Reenrichment::new(&context, metrics.clone(), lexicon.clone(), watchlist.clone(), erased.clone());
    let mut stage = EnrichStage::new(&context, metrics, lexicon, watchlist.clone(), erased.clone())?;
    let work = async move {
        tokio::select! {
            done = run(&mut stage, Input::Member(member), &around) => done,
            error = no_longer_followed(watchlist, &WATCHLIST, &context.stop) => Err(error.into()),
            error = no_longer_followed(erased, &ERASURES, &context.stop) => Err(error.into()),
        }
    };
    Ok(Service {
        name: stage::NAME,
        routes: reenrich::routes(reenrichment),
        signed_routes: Default::default(),
        work: Box::pin(work),
    })
}
