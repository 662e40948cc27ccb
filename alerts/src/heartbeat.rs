//! A sign of life to an outside address, which raises the alarm where it stays away: Earshot's own silence must not
//! look like a quiet day.
//!
//! It is sent only while this program is well and enrichment tells its progress, so it says that somebody listens,
//! not merely that a process runs.

use std::path::Path;
use std::time::Duration;

use earshot_common::service::Context;
use earshot_common::time::Timestamp;
use prometheus::IntCounterVec;
use reqwest::Client;
use tokio::sync::watch;

use crate::outside;
use crate::service::Standing;
use crate::settings::{AddressSettings, HeartbeatSettings};

/// The answer must come within this.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Enrichment tells its progress every five seconds, busy or not. Silent for this long, it does not listen.
const SILENT_AFTER_MS: i64 = 2 * 60 * 1_000;

/// Sends the sign of life.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    client: Client,
    url: String,
    interval: Duration,
}

impl Heartbeat {
    /// Sets the client up; `base` is the folder that relative paths in the settings start from.
    pub(crate) fn open(settings: &HeartbeatSettings, base: &Path) -> anyhow::Result<Self> {
        let address = AddressSettings { url: settings.url.clone(), url_file: settings.url_file.clone() };
        let url = address.read(base)?;
        anyhow::ensure!(settings.interval_s > 0, "`interval_s` must be at least 1");
        let client = outside::client_for(&url, TIMEOUT)?;
        Ok(Self { client, url, interval: Duration::from_secs(settings.interval_s) })
    }

    /// Beats until the stop.
    pub(crate) async fn run(
        self,
        context: Context,
        standing: watch::Receiver<Standing>,
        results: IntCounterVec,
    ) {
        let mut beats = tokio::time::interval(self.interval);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = context.stop.cancelled() => return,
                _ = beats.tick() => {}
            }
            let progress = standing.borrow().progress;
            let sent = match reason_to_be_silent(&context, progress) {
                Some(reason) => Err(reason),
                None => self.send().await,
            };
            match sent {
                Ok(()) => results.with_label_values(&["ok"]).inc(),
                Err(error) => {
                    results.with_label_values(&["failed"]).inc();
                    tracing::warn!(error, "no heartbeat was sent");
                }
            }
        }
    }

    async fn send(&self) -> Result<(), String> {
        let answer = self.client.get(&self.url).send().await;
        answer.and_then(reqwest::Response::error_for_status).map(drop).map_err(outside::reason)
    }
}

fn reason_to_be_silent(context: &Context, progress: Option<Timestamp>) -> Option<String> {
    for part in context.health.parts() {
        if let Some(trouble) = part.trouble {
            return Some(format!("{}: {trouble}", part.part));
        }
    }
    let listening = progress.is_some_and(|at| context.clock.now() < at.plus_millis(SILENT_AFTER_MS));
    (!listening).then(|| "enrich tells no progress: nobody listens".to_owned())
}
