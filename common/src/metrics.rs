//! What an operator sees of every program: the loop of the stages, the delay of each hop, lag, health and disk.
//!
//! Declared once in a process, whichever services run in it. What one service alone measures is declared in its
//! crate. Labels come from bounded sets: never a source's id, a subject or an author.

use std::path::Path;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::disk;
use crate::lag::InputLag;
use crate::service::PartReport;
use crate::stage::RejectionReason;
use crate::time::Timestamp;

/// From ten milliseconds to a day.
const DELAY_BUCKETS_S: &[f64] =
    &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];

/// A part of a live mention's way, between two stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// From the author's publishing to our having it.
    PublishedCollected,
    /// From our having it to its place in `mentions.raw`.
    CollectedRaw,
    /// From its place in `mentions.raw` to its judgement.
    RawEnriched,
    /// From its judgement until it can be found.
    EnrichedSearchable,
    /// From the place in `signals` that decided an alert to the alert's record.
    SignalAlerted,
    /// From the record that decided a message to its delivery.
    AlertedDelivered,
    /// The whole way to the search.
    PublishedSearchable,
    /// Our own part of the way to the search.
    CollectedSearchable,
    /// The whole way to an alert.
    PublishedAlerted,
}

impl Hop {
    /// All of them, each at its own number.
    const ALL: [Self; 9] = [
        Self::PublishedCollected,
        Self::CollectedRaw,
        Self::RawEnriched,
        Self::EnrichedSearchable,
        Self::SignalAlerted,
        Self::AlertedDelivered,
        Self::PublishedSearchable,
        Self::CollectedSearchable,
        Self::PublishedAlerted,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::PublishedCollected => "published_collected",
            Self::CollectedRaw => "collected_raw",
            Self::RawEnriched => "raw_enriched",
            Self::EnrichedSearchable => "enriched_searchable",
            Self::SignalAlerted => "signal_alerted",
            Self::AlertedDelivered => "alerted_delivered",
            Self::PublishedSearchable => "published_searchable",
            Self::CollectedSearchable => "collected_searchable",
            Self::PublishedAlerted => "published_alerted",
        }
    }
}

/// The metrics of every program.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Messages by stage and fate.
    fates: IntCounterVec,
    /// Seconds from reading a batch to having it done, by stage.
    pub(crate) batch_seconds: HistogramVec,
    /// Messages that went to the dead letters, by service and reason.
    dead_letters: IntCounterVec,
    /// Seconds that a live mention takes from one stamp to the next, in the order of [`Hop::ALL`].
    hop_delay_seconds: [Histogram; Hop::ALL.len()],
    /// Records that wait, by partition that is read here.
    lag_records: IntGaugeVec,
    /// Seconds until the oldest record that waits is deleted, at least.
    retention_left_seconds: GaugeVec,
    /// Whether each part of the program gets on.
    part_healthy: IntGaugeVec,
    /// Bytes that are free for the data folder.
    data_disk_free_bytes: Gauge,
    /// Bytes of the data folder's file system.
    data_disk_size_bytes: Gauge,
}

impl Metrics {
    /// Declares the metrics.
    pub fn declare(registry: &Registry) -> prometheus::Result<Self> {
        let hops = histograms(
            "earshot_hop_delay_seconds",
            "Seconds that a live mention takes from one stamp to the next",
            DELAY_BUCKETS_S,
            "hop",
        )?;
        let metrics = Self {
            fates: counters(
                "earshot_stage_messages_total",
                "Messages by stage and fate",
                &["stage", "fate"],
            )?,
            batch_seconds: histograms(
                "earshot_stage_batch_seconds",
                "Seconds from reading a batch to having it done",
                &[0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0],
                "stage",
            )?,
            dead_letters: counters(
                "earshot_dead_letters_total",
                "Messages that went to the dead letters, by service and reason",
                &["service", "reason"],
            )?,
            hop_delay_seconds: Hop::ALL.map(|hop| hops.with_label_values(&[hop.label()])),
            lag_records: IntGaugeVec::new(
                Opts::new("earshot_lag_records", "Records that wait, by partition that is read here"),
                &["stage", "topic", "partition"],
            )?,
            retention_left_seconds: GaugeVec::new(
                Opts::new(
                    "earshot_retention_left_seconds",
                    "Seconds until the oldest record that waits is deleted, at least",
                ),
                &["stage", "topic", "partition"],
            )?,
            part_healthy: IntGaugeVec::new(
                Opts::new("earshot_part_healthy", "Whether each part of the program gets on"),
                &["part"],
            )?,
            data_disk_free_bytes: Gauge::new(
                "earshot_data_disk_free_bytes",
                "Bytes that are free for the data folder",
            )?,
            data_disk_size_bytes: Gauge::new(
                "earshot_data_disk_size_bytes",
                "Bytes of the data folder's file system",
            )?,
        };
        registry.register(Box::new(metrics.fates.clone()))?;
        registry.register(Box::new(metrics.batch_seconds.clone()))?;
        registry.register(Box::new(metrics.dead_letters.clone()))?;
        registry.register(Box::new(hops))?;
        registry.register(Box::new(metrics.lag_records.clone()))?;
        registry.register(Box::new(metrics.retention_left_seconds.clone()))?;
        registry.register(Box::new(metrics.part_healthy.clone()))?;
        registry.register(Box::new(metrics.data_disk_free_bytes.clone()))?;
        registry.register(Box::new(metrics.data_disk_size_bytes.clone()))?;
        register_program(registry)?;
        Ok(metrics)
    }

    pub(crate) fn count(&self, stage: &str, fate: &str) {
        self.fates.with_label_values(&[stage, fate]).inc();
    }

    /// Counts messages that a service sent to the dead letters.
    pub fn dead_letters(&self, service: &str, reason: RejectionReason, count: usize) {
        self.dead_letters.with_label_values(&[service, reason.as_str()]).inc_by(count as u64);
    }

    /// Measures a live mention's hop. A clock that is ahead makes no time negative.
    pub fn hop(&self, hop: Hop, from: Timestamp, to: Timestamp) {
        let delay_ms = (to.as_millis() - from.as_millis()).max(0);
        self.hop_delay_seconds[hop as usize].observe(delay_ms as f64 / 1_000.0);
    }

    /// Shows how far the inputs are read. Partitions that are no longer read here are forgotten.
    pub(crate) fn show_lags(&self, lags: &[InputLag]) {
        self.lag_records.reset();
        self.retention_left_seconds.reset();
        for lag in lags {
            let partition = lag.partition.to_string();
            let labels = [lag.stage, lag.topic, partition.as_str()];
            self.lag_records.with_label_values(&labels).set(lag.lag as i64);
            if let Some(left_s) = lag.retention_left_s {
                self.retention_left_seconds.with_label_values(&labels).set(left_s);
            }
        }
    }

    /// Shows how the parts are.
    pub(crate) fn show_parts(&self, parts: &[PartReport]) {
        for part in parts {
            self.part_healthy.with_label_values(&[&part.part]).set(i64::from(part.trouble.is_none()));
        }
    }

    /// Shows how much room the data folder has.
    pub(crate) fn show_disk(&self, folder: &Path) {
        if let Some((free, size)) = disk::free_bytes(folder).zip(disk::size_bytes(folder)) {
            self.data_disk_free_bytes.set(free as f64);
            self.data_disk_size_bytes.set(size as f64);
        }
    }
}

/// What is known of the program itself: its version, and what it takes of the machine.
fn register_program(registry: &Registry) -> prometheus::Result<()> {
    let build = IntGauge::with_opts(
        Opts::new("earshot_build_info", "Always 1; the version is in the label")
            .const_label("version", env!("CARGO_PKG_VERSION")),
    )?;
    build.set(1);
    registry.register(Box::new(build))?;
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    Ok(())
}

fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

fn histograms(name: &str, help: &str, buckets: &[f64], label: &str) -> prometheus::Result<HistogramVec> {
    HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), &[label])
}
