//! What ingest counts.

use earshot_common::events::{Mention, Origin};
use earshot_common::metrics::{Hop, Metrics};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

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
        };
        registry.register(Box::new(metrics.mentions.clone()))?;
        registry.register(Box::new(metrics.bad_rows.clone()))?;
        registry.register(Box::new(metrics.feed_polls.clone()))?;
        Ok(metrics)
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
