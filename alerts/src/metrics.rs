//! The metrics of this service.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    register_gauge_with_registry,
};

use crate::fold::State;

/// Declared once; the help texts say what each is.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) signals: IntCounter,
    pub(crate) undecodable: IntCounter,
    pub(crate) lag_seconds: prometheus::Gauge,
    pub(crate) transitions: IntCounterVec,
    pub(crate) deliveries: IntCounterVec,
    pub(crate) delay_seconds: Histogram,
    open: IntGaugeVec,
}

impl Metrics {
    /// Declares the metrics.
    pub(crate) fn declare(registry: &Registry) -> prometheus::Result<Self> {
        let signals =
            IntCounter::new("earshot_alerts_signals_total", "Records of `signals` that were folded")?;
        let undecodable = IntCounter::new(
            "earshot_alerts_undecodable_total",
            "Records of `signals` that this program cannot read",
        )?;
        let transitions = IntCounterVec::new(
            Opts::new("earshot_alerts_transitions_total", "Transitions of alerts that were written"),
            &["transition", "historic"],
        )?;
        let deliveries = IntCounterVec::new(
            Opts::new("earshot_alerts_deliveries_total", "Attempts to tell people, by channel and result"),
            &["channel", "result"],
        )?;
        let delay_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "earshot_alerts_delay_seconds",
                "Seconds from the publication of the mention that opened an alert to the alert's record",
            )
            .buckets(vec![0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0]),
        )?;
        let open = IntGaugeVec::new(
            Opts::new("earshot_alerts_open", "Alerts that are open, by whom their severity reaches"),
            &["band"],
        )?;
        registry.register(Box::new(signals.clone()))?;
        registry.register(Box::new(undecodable.clone()))?;
        registry.register(Box::new(transitions.clone()))?;
        registry.register(Box::new(deliveries.clone()))?;
        registry.register(Box::new(delay_seconds.clone()))?;
        registry.register(Box::new(open.clone()))?;
        let lag_seconds = register_gauge_with_registry!(
            "earshot_alerts_lag_seconds",
            "Age of the newest record of `signals` when it was folded",
            registry
        )?;
        Ok(Self { signals, undecodable, lag_seconds, transitions, deliveries, delay_seconds, open })
    }

    /// Counts the alerts that are open.
    pub(crate) fn show_open(&self, state: &State) {
        let (mut executive, mut team, mut brief) = (0, 0, 0);
        for severity in state.open_severities() {
            match severity {
                7.. => executive += 1,
                4..=6 => team += 1,
                _ => brief += 1,
            }
        }
        for (band, count) in [("executive", executive), ("team", team), ("brief", brief)] {
            self.open.with_label_values(&[band]).set(count);
        }
    }
}
