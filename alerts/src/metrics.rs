//! The metrics of this service.

use earshot_common::definitions::{TOLD_AT_ANY_HOUR, TOLD_TO_A_TEAM};
use earshot_common::time::Timestamp;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::delivery::Undelivered;
use crate::fold::State;

/// Declared once; the help texts say what each is.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) signals: IntCounter,
    pub(crate) undecodable: IntCounter,
    pub(crate) transitions: IntCounterVec,
    pub(crate) unrouted: IntCounterVec,
    pub(crate) deliveries: IntCounterVec,
    pub(crate) fallbacks: IntCounterVec,
    pub(crate) heartbeats: IntCounterVec,
    pub(crate) snapshots: IntCounterVec,
    pub(crate) active: IntGauge,
    pub(crate) warming: IntGauge,
    undelivered: IntGauge,
    oldest_undelivered_seconds: Gauge,
    open: IntGaugeVec,
    pub(crate) assessment_seconds: Histogram,
    feedback: IntGaugeVec,
}

/// From a minute to a day: people answer, not machines.
const ASSESSMENT_BUCKETS: [f64; 9] =
    [60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0, 43_200.0, 86_400.0];

/// Whom severities reach.
const BANDS: [&str; 3] = ["executive", "team", "brief"];

/// Whom a severity reaches.
pub(crate) fn band(severity: u8) -> &'static str {
    match severity {
        TOLD_AT_ANY_HOUR.. => BANDS[0],
        TOLD_TO_A_TEAM.. => BANDS[1],
        _ => BANDS[2],
    }
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
        let unrouted = IntCounterVec::new(
            Opts::new(
                "earshot_alerts_unrouted_total",
                "Transitions that were to be told and that no route takes, by whom their severity reaches",
            ),
            &["band"],
        )?;
        let deliveries = IntCounterVec::new(
            Opts::new("earshot_alerts_deliveries_total", "Attempts to tell people, by channel and result"),
            &["channel", "result"],
        )?;
        let fallbacks = IntCounterVec::new(
            Opts::new(
                "earshot_alerts_fallbacks_total",
                "Messages that were given up and are told over the fallback of their route, by the channel that failed",
            ),
            &["channel"],
        )?;
        let heartbeats = IntCounterVec::new(
            Opts::new("earshot_heartbeats_total", "Signs of life to the outside address, by result"),
            &["result"],
        )?;
        let snapshots = IntCounterVec::new(
            Opts::new("earshot_alerts_snapshots_total", "Snapshots of the decisions, by result"),
            &["result"],
        )?;
        let active = IntGauge::new(
            "earshot_alerts_active",
            "1 where this instance writes and sends, 0 where it stands by",
        )?;
        let warming = IntGauge::new(
            "earshot_alerts_warming",
            "Subjects whose rules that compare with a baseline wait until their counts are made anew",
        )?;
        let undelivered = IntGauge::new(
            "earshot_alerts_undelivered",
            "Messages that were decided and are not delivered yet",
        )?;
        let oldest_undelivered_seconds = Gauge::new(
            "earshot_alerts_oldest_undelivered_seconds",
            "Age of the oldest message that is not delivered yet; 0 where there is none",
        )?;
        let open = IntGaugeVec::new(
            Opts::new("earshot_alerts_open", "Alerts that are open, by whom their severity reaches"),
            &["band"],
        )?;
        let assessment_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "earshot_alerts_assessment_seconds",
                "Time to first assessment: from the opening of an alert until somebody had it in hand",
            )
            .buckets(ASSESSMENT_BUCKETS.to_vec()),
        )?;
        let feedback = IntGaugeVec::new(
            Opts::new(
                "earshot_alerts_feedback",
                "What people said of the alerts of each rule, as far as the log reaches",
            ),
            &["rule", "verdict"],
        )?;
        registry.register(Box::new(signals.clone()))?;
        registry.register(Box::new(undecodable.clone()))?;
        registry.register(Box::new(transitions.clone()))?;
        registry.register(Box::new(unrouted.clone()))?;
        registry.register(Box::new(deliveries.clone()))?;
        registry.register(Box::new(fallbacks.clone()))?;
        registry.register(Box::new(heartbeats.clone()))?;
        registry.register(Box::new(snapshots.clone()))?;
        registry.register(Box::new(active.clone()))?;
        registry.register(Box::new(warming.clone()))?;
        registry.register(Box::new(undelivered.clone()))?;
        registry.register(Box::new(oldest_undelivered_seconds.clone()))?;
        registry.register(Box::new(open.clone()))?;
        registry.register(Box::new(assessment_seconds.clone()))?;
        registry.register(Box::new(feedback.clone()))?;
        Ok(Self {
            signals,
            undecodable,
            transitions,
            unrouted,
            deliveries,
            fallbacks,
            heartbeats,
            snapshots,
            active,
            warming,
            undelivered,
            oldest_undelivered_seconds,
            open,
            assessment_seconds,
            feedback,
        })
    }

    /// Shows what waits to be delivered.
    pub(crate) fn show_undelivered(&self, undelivered: &[Undelivered], now: Timestamp) {
        let mut oldest_ms = 0;
        let mut count = 0;
        for message in undelivered.iter().filter(|message| !message.given_up) {
            count += 1;
            oldest_ms = oldest_ms.max(now.as_millis() - message.since.as_millis());
        }
        self.undelivered.set(count);
        self.oldest_undelivered_seconds.set(oldest_ms as f64 / 1_000.0);
    }

    /// Counts the alerts that are open.
    pub(crate) fn show_open(&self, state: &State) {
        let mut open = BANDS.map(|band| (band, 0));
        for severity in state.open_severities() {
            for (_, count) in open.iter_mut().filter(|(of, _)| *of == band(severity)) {
                *count += 1;
            }
        }
        for (band, count) in open {
            self.open.with_label_values(&[band]).set(count);
        }
    }

    /// Shows what people said of the alerts of each rule.
    pub(crate) fn show_feedback(&self, state: &State) {
        for (rule, feedback) in state.feedback() {
            self.feedback.with_label_values(&[rule.as_str(), "useful"]).set(feedback.useful.into());
            self.feedback.with_label_values(&[rule.as_str(), "noise"]).set(feedback.noise.into());
        }
    }
}
