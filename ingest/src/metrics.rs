//! What ingest counts.

use earshot_common::events::{Mention, Origin};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

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
    /// Seconds from the publication of a live mention to its collection.
    delay_seconds: Histogram,
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
            delay_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "earshot_ingest_delay_seconds",
                    "Seconds from the publication of a live mention to its collection",
                )
                .buckets(vec![1.0, 10.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0]),
            )?,
        };
        registry.register(Box::new(metrics.mentions.clone()))?;
        registry.register(Box::new(metrics.bad_rows.clone()))?;
        registry.register(Box::new(metrics.feed_polls.clone()))?;
        registry.register(Box::new(metrics.delay_seconds.clone()))?;
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

    /// Measures how late a mention is. History is late by its nature and says nothing.
    pub(crate) fn observe_delay(&self, mention: &Mention) {
        if mention.origin == Origin::Live {
            let delay_ms = mention.collected.as_millis() - mention.published.as_millis();
            self.delay_seconds.observe(delay_ms.max(0) as f64 / 1000.0);
        }
    }
}
