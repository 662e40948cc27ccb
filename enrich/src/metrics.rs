//! What an operator sees of enrichment. Fates and batches are counted by the loop in `earshot-common`.

use earshot_common::broker::{Bounds, Position};
use earshot_common::events::{Enriched, Lane, Origin};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// From ten milliseconds to a day.
const DELAY_BUCKETS_S: &[f64] =
    &[0.01, 0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0];

/// The metrics of enrichment.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Seconds to `enriched`, by the stamp they are counted `from` and the mention's origin.
    delay_seconds: HistogramVec,
    /// Subjects found in mentions, by lane.
    entity_tags: IntCounterVec,
    /// Judged mentions, by polarity.
    polarity: IntCounterVec,
    /// Raw mentions that wait, by partition that is read here.
    lag: IntGaugeVec,
    /// Next offset of the watchlist in use.
    watchlist_version: IntGauge,
}

impl Metrics {
    /// Declares the metrics.
    pub fn declare(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            delay_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "earshot_enrich_delay_seconds",
                    "Seconds from published or collected to enriched, by origin",
                )
                .buckets(DELAY_BUCKETS_S.to_vec()),
                &["from", "origin"],
            )?,
            entity_tags: IntCounterVec::new(
                Opts::new("earshot_enrich_entity_tags_total", "Subjects found in mentions, by lane"),
                &["lane"],
            )?,
            polarity: IntCounterVec::new(
                Opts::new("earshot_enrich_mentions_total", "Judged mentions, by polarity"),
                &["polarity"],
            )?,
            lag: IntGaugeVec::new(
                Opts::new(
                    "earshot_enrich_lag_records",
                    "Raw mentions that wait, by partition that is read here",
                ),
                &["partition"],
            )?,
            watchlist_version: IntGauge::new(
                "earshot_enrich_watchlist_version",
                "Next offset of the watchlist that mentions are judged with",
            )?,
        };
        registry.register(Box::new(metrics.delay_seconds.clone()))?;
        registry.register(Box::new(metrics.entity_tags.clone()))?;
        registry.register(Box::new(metrics.polarity.clone()))?;
        registry.register(Box::new(metrics.lag.clone()))?;
        registry.register(Box::new(metrics.watchlist_version.clone()))?;
        Ok(metrics)
    }

    /// Counts a judged mention.
    pub fn judged(&self, enriched: &Enriched) {
        let mention = &enriched.mention;
        let origin = match mention.origin {
            Origin::Live => "live",
            Origin::History => "history",
        };
        for (from, stamp) in [("published", mention.published), ("collected", mention.collected)] {
            let delay_ms = enriched.enriched.as_millis() - stamp.as_millis();
            self.delay_seconds.with_label_values(&[from, origin]).observe(delay_ms.max(0) as f64 / 1000.0);
        }
        for tag in &enriched.entities {
            let lane = match tag.lane {
                Lane::Sure => "sure",
                Lane::Doubtful => "doubtful",
            };
            self.entity_tags.with_label_values(&[lane]).inc();
        }
        self.polarity.with_label_values(&[enriched.sentiment.label.as_str()]).inc();
    }

    /// Says how much waits in each partition that is read here, and forgets the others.
    pub fn waiting(&self, owned: &[Position], bounds: &[Bounds]) {
        self.lag.reset();
        for at in owned {
            if let Some(extent) = bounds.iter().find(|extent| extent.partition == at.partition) {
                let waiting = extent.next.saturating_sub(at.offset);
                let partition = at.partition.to_string();
                self.lag.with_label_values(&[partition.as_str()]).set(waiting as i64);
            }
        }
    }

    /// Says which watchlist is in use.
    pub fn watchlist(&self, version: u64) {
        self.watchlist_version.set(version as i64);
    }
}
