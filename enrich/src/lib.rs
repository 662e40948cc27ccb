//! Enrich: what a mention says, about whom, in which language and mood; `mentions.raw` in,
//! `mentions.enriched` and `signals` out.
//!
//! Everything but [`stage`], [`reenrich`], [`rebuild`] and [`start`] is pure. What does not belong here: collecting mentions (`ingest`)
//! and deciding what is worth an alert (`alerts`).

pub mod entities;
pub mod judge;
pub mod language;
mod lines;
pub mod metrics;
pub mod progress;
pub mod reach;
pub mod rebuild;
pub mod reenrich;
pub mod risk;
pub mod searches;
pub mod sentiment;
pub mod stage;
pub mod story;

use std::collections::BTreeMap;
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
use rebuild::Rebuilds;
use reenrich::Reenrichment;
use risk::{Desks, Risks};
use sentiment::Lexicons;
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
    /// phrase, a tab, and a weight from -8 to 8 on each line. Those of `NAME.fr.tsv` count in French only, those of
    /// `NAME.tsv` in every language.
    pub lexicons: Vec<PathBuf>,
    /// The team's own patterns of risk and intent, beside the shipped ones: see `enrich/lexicons/risk-en/README.md`.
    pub risk_patterns: Vec<PathBuf>,
    /// A secret file with confidential code names, one a line; `#` begins a comment. A mention of one is a `leak`. One
    /// that names no subject raises an alert where a rule names a search for `risk:leak`.
    pub code_names_file: Option<PathBuf>,
    /// Which desks a risk category or an intent is for, where it is not the usual ones.
    pub desks: BTreeMap<String, Vec<String>>,
}

impl EnrichSettings {
    /// The shipped lexicons with the team's own over them; paths start from `base`.
    pub fn lexicons(&self, base: &Path) -> anyhow::Result<Lexicons> {
        let mut lexicons = Lexicons::shipped();
        for file in &self.lexicons {
            lexicons.overlay(&base.join(file)).context("setting `enrich.lexicons`")?;
        }
        Ok(lexicons)
    }

    /// The shipped patterns of risk and intent with the team's own and its code names; paths start from `base`.
    pub fn risks(&self, base: &Path) -> anyhow::Result<Risks> {
        let mut risks = Risks::english();
        for file in &self.risk_patterns {
            risks.overlay(&base.join(file)).context("setting `enrich.risk_patterns`")?;
        }
        if let Some(file) = &self.code_names_file {
            risks.add_code_names(&base.join(file)).context("setting `enrich.code_names_file`")?;
        }
        risks.set_desks(Desks::with(&self.desks)?);
        Ok(risks)
    }
}

impl Default for EnrichSettings {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 7702).into(),
            lexicons: Vec::new(),
            risk_patterns: Vec::new(),
            code_names_file: None,
            desks: BTreeMap::new(),
        }
    }
}

/// Starts the service: the watchlist and the erasures are read to their ends before the first mention.
pub async fn start(context: Context) -> anyhow::Result<Service> {
    let settings = context.settings.section::<EnrichSettings>("enrich")?;
    let lexicons = Arc::new(settings.lexicons(&context.settings.base)?);
    let risks = Arc::new(settings.risks(&context.settings.base)?);
    let metrics = Metrics::declare(&context.registry).context("declare the metrics of enrich")?;
    let watchlist =
        definitions::follow(&context.broker, context.stop.clone()).await.context("read the watchlist")?;
    let erased =
        erasures::follow(&context.broker, context.stop.clone()).await.context("read the erasures")?;
    let member =
        context.broker.join(GROUP, &MENTIONS_RAW).await.context("join the readers of raw mentions")?;
    let around = context.around_stage();
    let reenrichment = Reenrichment::new(
        &context,
        metrics.clone(),
        lexicons.clone(),
        risks.clone(),
        watchlist.clone(),
        erased.clone(),
    );
    let rebuilds =
        Rebuilds::open(&context, lexicons.clone(), risks.clone(), watchlist.clone(), erased.clone()).await?;
    let mut stage = EnrichStage::new(&context, metrics, lexicons, risks, watchlist.clone(), erased.clone())?;
    let work = async move {
        let stream = run(&mut stage, Input::Member(member), &around);
        tokio::select! {
            done = async { tokio::try_join!(stream, rebuilds.work()) } => done.map(drop),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_desks_and_code_names_that_cannot_be_used_are_refused_with_field_and_value() {
        let refused = |settings: &str| {
            let settings: EnrichSettings = serde_json::from_str(settings).unwrap();
            format!("{:#}", settings.risks(Path::new("/nowhere")).unwrap_err())
        };
        let error = refused(r#"{"desks": {"legal": ["lawyers"]}}"#);
        assert!(error.starts_with("setting `enrich.desks.legal`: `lawyers` is no desk"), "{error}");
        let error = refused(r#"{"code_names_file": "names.txt"}"#);
        assert!(
            error.starts_with("setting `enrich.code_names_file`: read /nowhere/names.txt: No such file"),
            "{error}"
        );
        let error = refused(r#"{"risk_patterns": ["ours.tsv"]}"#);
        assert!(error.starts_with("setting `enrich.risk_patterns`: read /nowhere/ours.tsv"), "{error}");
    }
}
