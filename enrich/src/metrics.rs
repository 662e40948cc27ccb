//! What an operator sees of enrichment. Fates, batches, delays and lag are measured by the loop in `earshot-common`.

use earshot_common::events::Enriched;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// The metrics of enrichment.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Subjects found in mentions, by lane.
    entity_tags: IntCounterVec,
    /// Judged mentions, by polarity.
    polarity: IntCounterVec,
    /// Risk categories and intents of judged mentions.
    labels: IntCounterVec,
    /// Mentions of history that were judged again, by what came of it.
    reenriched: IntCounterVec,
    /// Next offset of the watchlist in use.
    watchlist_version: IntGauge,
}

impl Metrics {
    /// Declares the metrics.
    pub fn declare(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            entity_tags: IntCounterVec::new(
                Opts::new("earshot_enrich_entity_tags_total", "Subjects found in mentions, by lane"),
                &["lane"],
            )?,
            polarity: IntCounterVec::new(
                Opts::new("earshot_enrich_mentions_total", "Judged mentions, by polarity"),
                &["polarity"],
            )?,
            labels: IntCounterVec::new(
                Opts::new("earshot_enrich_labels_total", "Risk categories and intents of judged mentions"),
                &["label"],
            )?,
            reenriched: IntCounterVec::new(
                Opts::new(
                    "earshot_enrich_reenriched_total",
                    "Mentions of history that were judged again, by what came of it",
                ),
                &["outcome"],
            )?,
            watchlist_version: IntGauge::new(
                "earshot_enrich_watchlist_version",
                "Next offset of the watchlist that mentions are judged with",
            )?,
        };
        registry.register(Box::new(metrics.entity_tags.clone()))?;
        registry.register(Box::new(metrics.polarity.clone()))?;
        registry.register(Box::new(metrics.labels.clone()))?;
        registry.register(Box::new(metrics.reenriched.clone()))?;
        registry.register(Box::new(metrics.watchlist_version.clone()))?;
        Ok(metrics)
    }

    /// Counts a judged mention.
    pub fn judged(&self, enriched: &Enriched) {
        for tag in &enriched.entities {
            self.entity_tags.with_label_values(&[tag.lane.as_str()]).inc();
        }
        for label in enriched.risk.iter().chain(&enriched.intent) {
            self.labels.with_label_values(&[label.as_str()]).inc();
        }
        self.polarity.with_label_values(&[enriched.sentiment.label.as_str()]).inc();
    }

    /// Counts mentions of history that were judged again.
    pub fn reenriched(&self, outcome: &str, mentions: usize) {
        self.reenriched.with_label_values(&[outcome]).inc_by(mentions as u64);
    }

    /// Says which watchlist is in use.
    pub fn watchlist(&self, version: u64) {
        self.watchlist_version.set(version as i64);
    }
}
