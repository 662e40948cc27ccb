//! What the index measures about itself.

use earshot_common::time::Timestamp;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntGauge, Registry};

/// The metrics of the index.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Mentions that can be found.
    pub(crate) documents: IntGauge,
    /// Seconds that a commit takes.
    pub(crate) commit_seconds: Histogram,
    /// Seconds from publication, and from the judgement, until a live mention can be found.
    searchable_delay_seconds: HistogramVec,
    /// Seconds that a search or a timeline takes.
    pub(crate) search_seconds: Histogram,
}

impl Metrics {
    /// Declares the metrics.
    pub(crate) fn declare(registry: &Registry) -> prometheus::Result<Self> {
        let documents = IntGauge::new("earshot_index_documents", "Mentions that can be found")?;
        let commit_seconds = Histogram::with_opts(
            HistogramOpts::new("earshot_index_commit_seconds", "Seconds that a commit takes")
                .buckets(vec![0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0]),
        )?;
        let searchable_delay_seconds = HistogramVec::new(
            HistogramOpts::new(
                "earshot_index_searchable_delay_seconds",
                "Seconds from publication, and from the judgement, until a live mention can be found",
            )
            .buckets(vec![0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3_600.0]),
            &["since"],
        )?;
        let search_seconds = Histogram::with_opts(
            HistogramOpts::new("earshot_index_search_seconds", "Seconds that a search or a timeline takes")
                .buckets(vec![0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0]),
        )?;
        registry.register(Box::new(documents.clone()))?;
        registry.register(Box::new(commit_seconds.clone()))?;
        registry.register(Box::new(searchable_delay_seconds.clone()))?;
        registry.register(Box::new(search_seconds.clone()))?;
        Ok(Self { documents, commit_seconds, searchable_delay_seconds, search_seconds })
    }

    /// A live mention can be found from now on.
    pub(crate) fn observe_searchable(&self, enriched: Timestamp, published: Timestamp, now: Timestamp) {
        let seconds = |since: Timestamp| (now.as_millis() - since.as_millis()).max(0) as f64 / 1_000.0;
        self.searchable_delay_seconds.with_label_values(&["enriched"]).observe(seconds(enriched));
        self.searchable_delay_seconds.with_label_values(&["published"]).observe(seconds(published));
    }
}
