//! The alerts as they stand: a fold over the topic `alerts`, kept up to date by following it.

use std::collections::BTreeMap;
use std::sync::Arc;

use earshot_common::broker::{Broker, ReadError, Record};
use earshot_common::events::{AlertEvent, decode};
use earshot_common::keys::AlertKey;
use earshot_common::topics::ALERTS;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Every alert with its transitions.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlertsView {
    alerts: BTreeMap<AlertKey, Arc<Alert>>,
}

/// An alert: all its transitions, the last of which says how it stands.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    /// In their order; at least one.
    transitions: Vec<AlertEvent>,
}

/// Whether an alert is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AlertState {
    /// It is not.
    Open,
    /// It is.
    Resolved,
}

impl AlertState {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "open" => Some(Self::Open),
            "resolved" => Some(Self::Resolved),
            _ => None,
        }
    }
}

/// Which alerts to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlertFilter {
    /// Open or resolved ones.
    pub(crate) state: Option<AlertState>,
    /// Those about the past, or the others.
    pub(crate) historic: Option<bool>,
    /// Those of one subject.
    pub(crate) subject: Option<String>,
}

impl Alert {
    /// The last transition.
    pub(crate) fn now(&self) -> &AlertEvent {
        self.transitions.last().expect("an alert begins with its first transition")
    }

    /// The last transition that raised it: its numbers say why the alert is there, while those of the last
    /// one may say why it is over.
    pub(crate) fn raised(&self) -> &AlertEvent {
        self.last(|event| event.transition.raises())
    }

    /// The last transition that says whether it is open.
    pub(crate) fn life(&self) -> &AlertEvent {
        self.last(|event| event.transition.leaves_open().is_some())
    }

    /// The transition that a person's command came to.
    pub(crate) fn answer_to(&self, command: &str) -> Option<&AlertEvent> {
        let answers = |event: &&AlertEvent| event.word.as_ref().is_some_and(|word| word.command == command);
        self.transitions.iter().rev().find(answers)
    }

    fn last(&self, wanted: impl Fn(&AlertEvent) -> bool) -> &AlertEvent {
        self.transitions.iter().rev().find(|event| wanted(event)).unwrap_or_else(|| self.now())
    }

    /// All transitions, oldest first.
    pub(crate) fn transitions(&self) -> &[AlertEvent] {
        &self.transitions
    }

    /// Whether it is over.
    pub(crate) fn state(&self) -> AlertState {
        match self.life().transition.leaves_open() {
            Some(false) => AlertState::Resolved,
            _ => AlertState::Open,
        }
    }
}

impl AlertsView {
    /// Takes a transition in. One that is not newer than what is known comes from a repetition.
    pub(crate) fn take(&mut self, event: AlertEvent) {
        match self.alerts.get_mut(&event.alert) {
            Some(alert) if alert.now().sequence >= event.sequence => {}
            Some(alert) => Arc::make_mut(alert).transitions.push(event),
            None => {
                self.alerts.insert(event.alert, Arc::new(Alert { transitions: vec![event] }));
            }
        }
    }

    /// An alert by its id.
    pub(crate) fn get(&self, key: AlertKey) -> Option<Arc<Alert>> {
        self.alerts.get(&key).cloned()
    }

    /// The alerts that a filter lets through, newest first.
    pub(crate) fn list(&self, filter: &AlertFilter) -> Vec<Arc<Alert>> {
        let wanted = |alert: &&Arc<Alert>| {
            let now = alert.now();
            filter.state.is_none_or(|state| alert.state() == state)
                && filter.historic.is_none_or(|historic| now.historic == historic)
                && filter.subject.as_ref().is_none_or(|subject| now.subject == *subject)
        };
        let mut alerts: Vec<Arc<Alert>> = self.alerts.values().filter(wanted).cloned().collect();
        alerts.sort_by_key(|alert| std::cmp::Reverse((alert.now().opened, alert.now().alert)));
        alerts
    }
}

/// Reads the alerts to their end, then follows them until the stop. The receiver always has the newest.
pub(crate) async fn follow(
    broker: &Broker,
    stop: CancellationToken,
) -> Result<watch::Receiver<Arc<AlertsView>>, ReadError> {
    broker.follow(&ALERTS, stop, take).await
}

fn take(view: &mut AlertsView, record: &Record) -> Result<(), ReadError> {
    match decode::<AlertEvent>(&record.value) {
        Ok(event) => view.take(event),
        Err(error) if error.newer_version => return Err(ReadError::newer_version(&ALERTS, record)),
        Err(error) => {
            tracing::error!(offset = record.offset, %error, "this transition of an alert is passed over");
        }
    }
    Ok(())
}
