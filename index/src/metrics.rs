//! What the index measures about itself.

use earshot_common::metrics::{Hop, Metrics as PipelineMetrics};
use earshot_common::time::Timestamp;
use prometheus::{Histogram, HistogramOpts, IntGauge, Registry};

/// The metrics of the index.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Mentions that can be found.
    pub(crate) documents: IntGauge,
    /// Bytes of the index on disk.
    pub(crate) size_bytes: IntGauge,
    /// Seconds that a commit takes.
    pub(crate) commit_seconds: Histogram,
    /// Seconds that a search or a timeline takes.
    pub(crate) search_seconds: Histogram,
    pipeline: PipelineMetrics,
}

impl Metrics {
    /// Declares the metrics.
    pub(crate) fn declare(registry: &Registry, pipeline: PipelineMetrics) -> prometheus::Result<Self> {
        let documents = IntGauge::new("earshot_index_documents", "Mentions that can be found")?;
        let size_bytes = IntGauge::new("earshot_index_size_bytes", "Bytes of the index on disk")?;
        let commit_seconds = Histogram::with_opts(
            HistogramOpts::new("earshot_index_commit_seconds", "Seconds that a commit takes")
                .buckets(vec![0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0]),
        )?;
        let search_seconds = Histogram::with_opts(
            HistogramOpts::new("earshot_index_search_seconds", "Seconds that a search or a timeline takes")
                .buckets(vec![0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0]),
        )?;
        registry.register(Box::new(documents.clone()))?;
        registry.register(Box::new(size_bytes.clone()))?;
        registry.register(Box::new(commit_seconds.clone()))?;
        registry.register(Box::new(search_seconds.clone()))?;
        Ok(Self { documents, size_bytes, commit_seconds, search_seconds, pipeline })
    }

    /// A live mention can be found from now on.
    pub(crate) fn observe_searchable(&self, live: &LiveMention, now: Timestamp) {
        self.pipeline.hop(Hop::EnrichedSearchable, live.enriched, now);
        self.pipeline.hop(Hop::CollectedSearchable, live.collected, now);
        self.pipeline.hop(Hop::PublishedSearchable, live.published, now);
    }
}

/// The stamps of a live mention that waits for a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveMention {
    pub(crate) published: Timestamp,
    pub(crate) collected: Timestamp,
    pub(crate) enriched: Timestamp,
}
