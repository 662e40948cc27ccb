//! What ingest counts.

use earshot_common::definitions::SourceKind;
use earshot_common::events::{Mention, Origin};
use earshot_common::metrics::{Hop, Metrics};
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

/// The kind of door that a mention came in by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DoorKind {
    Import,
    Webhook,
    Feed,
}

/// Counters of ingest.
#[derive(Clone, Debug)]
pub(crate) struct IngestMetrics {
    /// Mentions written to `mentions.raw`, by the kind of door.
    mentions: IntCounterVec,
    /// Rows of imports that went to the dead letters.
    pub(crate) bad_rows: IntCounter,
    /// Polls of feeds, by result.
    pub(crate) feed_polls: IntCounterVec,
    /// Sources that are polled here, by kind and state.
    sources: IntGaugeVec,
    /// Seconds since the stalest source of each kind last answered.
    freshness_seconds: GaugeVec,
}

/// A source as the metrics see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceView {
    pub(crate) kind: SourceKind,
    pub(crate) failing: bool,
    /// Since it last answered.
    pub(crate) silent_ms: i64,
}

impl IngestMetrics {
    /// Declares the metrics.
    pub(crate) fn declare(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            mentions: IntCounterVec::new(
                Opts::new(
                    "earshot_ingest_mentions_total",
                    "Mentions written to mentions.raw, by kind of door",
                ),
                &["door"],
            )?,
            bad_rows: IntCounter::new(
                "earshot_ingest_bad_rows_total",
                "Rows of imports that went to the dead letters",
            )?,
            feed_polls: IntCounterVec::new(
                Opts::new("earshot_ingest_feed_polls_total", "Polls of feeds, by result"),
                &["result"],
            )?,
            sources: IntGaugeVec::new(
                Opts::new("earshot_sources", "Sources that are polled here, by kind and state"),
                &["kind", "state"],
            )?,
            freshness_seconds: GaugeVec::new(
                Opts::new(
                    "earshot_source_freshness_seconds",
                    "Seconds since the stalest source of each kind last answered",
                ),
                &["kind"],
            )?,
        };
        registry.register(Box::new(metrics.mentions.clone()))?;
        registry.register(Box::new(metrics.bad_rows.clone()))?;
        registry.register(Box::new(metrics.feed_polls.clone()))?;
        registry.register(Box::new(metrics.sources.clone()))?;
        registry.register(Box::new(metrics.freshness_seconds.clone()))?;
        Ok(metrics)
    }

    /// Shows how the sources are that are polled here.
    pub(crate) fn show_sources(&self, views: impl Iterator<Item = SourceView>) {
        self.sources.reset();
        self.freshness_seconds.reset();
        for view in views {
            let kind = match view.kind {
                SourceKind::Feed => "feed",
            };
            let state = if view.failing { "failing" } else { "healthy" };
            self.sources.with_label_values(&[kind, state]).inc();
            let stalest = self.freshness_seconds.with_label_values(&[kind]);
            stalest.set(stalest.get().max(view.silent_ms.max(0) as f64 / 1_000.0));
        }
    }

    /// Counts mentions that are stored.
    pub(crate) fn count_stored(&self, door: DoorKind, mentions: usize) {
        let door = match door {
            DoorKind::Import => "import",
            DoorKind::Webhook => "webhook",
            DoorKind::Feed => "feed",
        };
        self.mentions.with_label_values(&[door]).inc_by(mentions as u64);
    }
}

/// Measures how late a mention is. History is late by its nature and says nothing.
pub(crate) fn observe_delay(metrics: &Metrics, mention: &Mention) {
    if mention.origin == Origin::Live {
        metrics.hop(Hop::PublishedCollected, mention.published, mention.collected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stalest_source_of_a_kind_gives_its_freshness() {
        let registry = Registry::new();
        let metrics = IngestMetrics::declare(&registry).unwrap();
        let view = |failing, silent_ms| SourceView { kind: SourceKind::Feed, failing, silent_ms };
        metrics.show_sources([view(true, 1_000), view(false, 90_000), view(false, 500)].into_iter());
        // What went is not counted any more.
        metrics.show_sources([view(true, 4_000), view(false, 2_000)].into_iter());
        let text = earshot_common::telemetry::render(&registry).unwrap();
        for line in [
            "earshot_source_freshness_seconds{kind=\"feed\"} 4",
            "earshot_sources{kind=\"feed\",state=\"failing\"} 1",
            "earshot_sources{kind=\"feed\",state=\"healthy\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
