//! Prometheus Alertmanager, over version 2 of its interface. It forgets what it does not hear of, so that alerts are
//! posted again and again while they are open, and for a while after they are over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use earshot_common::events::{AlertEvent, Channel};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;
use serde_json::{Value, json};

use super::message::{Message, Told};

/// Where alerts are posted, below the address of the settings.
pub(crate) const PATH: &str = "/api/v2/alerts";
/// Open alerts are posted again after this.
pub(crate) const RESEND_MS: i64 = 60_000;
/// An alert that is not posted again for this long counts as over there, as Prometheus has it.
const VALID_MS: i64 = 4 * RESEND_MS;
/// The end of an alert is told for this long, so that an outage does not hide it.
const END_TOLD_MS: i64 = 15 * 60 * 1_000;

/// The open alerts, and those that are over since a short while, with the Alertmanagers that are told of them. An
/// account of `alerts`: a restart makes it anew.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    alerts: BTreeMap<AlertKey, StandingAlert>,
}

/// An alert that Alertmanagers are told of.
#[derive(Clone, Debug)]
pub(crate) struct StandingAlert {
    /// The last transition that raised it: its labels must not change at the end.
    pub(crate) event: Arc<AlertEvent>,
    /// When it ended.
    pub(crate) ended: Option<Timestamp>,
    names: BTreeSet<String>,
}

impl Standing {
    /// Takes in a transition. Answers whether an Alertmanager is to hear of it soon.
    pub(crate) fn take(&mut self, event: &AlertEvent) -> bool {
        match event.transition.leaves_open() {
            Some(true) => self.stands(event),
            Some(false) => match self.alerts.get_mut(&event.alert) {
                Some(alert) => {
                    alert.ended = Some(event.decided);
                    true
                }
                None => false,
            },
            // What people say changes nothing; but others may be called, or told when quiet hours are over.
            None => !event.notify.is_empty() && self.stands(event),
        }
    }

    fn stands(&mut self, event: &AlertEvent) -> bool {
        let mut names: BTreeSet<String> = event.notify.iter().filter_map(|n| name(&n.to)).collect();
        match self.alerts.get(&event.alert) {
            Some(known) => names.extend(known.names.iter().cloned()),
            None if names.is_empty() => return false,
            None => {}
        }
        let alert = StandingAlert { event: Arc::new(event.clone()), ended: None, names };
        self.alerts.insert(event.alert, alert);
        true
    }

    /// What to post now, by the Alertmanager's name.
    pub(crate) fn due(&mut self, now: Timestamp) -> BTreeMap<String, Vec<StandingAlert>> {
        self.alerts.retain(|_, alert| alert.ended.is_none_or(|ended| now < ended.plus_millis(END_TOLD_MS)));
        let mut due: BTreeMap<String, Vec<StandingAlert>> = BTreeMap::new();
        for alert in self.alerts.values() {
            for name in &alert.names {
                due.entry(name.clone()).or_default().push(alert.clone());
            }
        }
        due
    }
}

fn name(to: &Channel) -> Option<String> {
    match to {
        Channel::Alertmanager(name) => Some(name.clone()),
        _ => None,
    }
}

/// What is posted of a message: an alert that is over meanwhile is told as over.
pub(crate) fn body(message: &Message, now: Timestamp) -> Vec<Value> {
    if message.told.is_empty() {
        return vec![test(&message.title(), now)];
    }
    message.told.iter().map(|told| posted(told, told.over.then_some(now), now)).collect()
}

/// An alert as Alertmanager takes it. Its labels are the same at every post, so that they mean one alert there: the
/// label `severity` is that of the rule, and what the alert has become is an annotation.
pub(crate) fn posted(told: &Told, ended: Option<Timestamp>, now: Timestamp) -> Value {
    let event = &told.event;
    json!({
        "labels": {
            "alertname": event.rule, "subject": event.subject,
            "severity": band(told.rule_severity.unwrap_or(event.severity)),
            "alert": event.alert.to_string(), "service": "earshot",
        },
        "annotations": {
            "summary": told.headline,
            "description": told.sentences.join(" "),
            "earshot_severity": event.severity.to_string(),
            "earshot_severity_band": band(event.severity),
        },
        "startsAt": event.opened,
        "endsAt": ended.unwrap_or_else(|| now.plus_millis(VALID_MS)),
        "generatorURL": told.link.as_ref().map(|link| link.url.as_str()).unwrap_or_default(),
    })
}

/// A severity in the words that users of Alertmanager route by.
fn band(severity: u8) -> &'static str {
    match severity {
        7.. => "critical",
        4..=6 => "warning",
        _ => "info",
    }
}

/// An alert that says that it is a test, and is over after a minute.
fn test(title: &str, now: Timestamp) -> Value {
    json!({
        "labels": {"alertname": "EarshotTest", "severity": "info", "service": "earshot"},
        "annotations": {"summary": title},
        "startsAt": now,
        "endsAt": now.plus_millis(60_000),
    })
}

#[cfg(test)]
mod tests {
    use earshot_common::events::Transition;

    use super::*;
    use crate::delivery::tests::{event, message};

    fn opened() -> AlertEvent {
        let mut event = event();
        event.notify[0].to = Channel::Alertmanager("main".to_owned());
        event
    }

    fn later(sequence: u32, transition: Transition, minutes: i64) -> AlertEvent {
        let mut later = opened();
        later.sequence = sequence;
        later.transition = transition;
        later.notify.clear();
        later.decided = later.decided.plus_millis(minutes * 60_000);
        later
    }

    #[test]
    fn an_alert_is_told_while_it_is_open_and_its_end_for_a_quarter_of_an_hour() {
        let mut standing = Standing::default();
        let start = opened().decided;
        assert!(!standing.take(&event()), "it goes to a mail alone");
        assert!(standing.take(&opened()) && standing.take(&later(2, Transition::Rising, 3)));
        let due = standing.due(start.plus_millis(100 * 60_000)).remove("main").unwrap();
        assert_eq!((due.len(), due[0].event.sequence, due[0].ended), (1, 2, None));
        assert!(standing.take(&later(3, Transition::Resolved, 200)));
        let due = standing.due(start.plus_millis(214 * 60_000)).remove("main").unwrap();
        assert_eq!(due[0].ended, Some(start.plus_millis(200 * 60_000)));
        assert_eq!(due[0].event.sequence, 2, "with the labels that it had");
        assert!(standing.due(start.plus_millis(215 * 60_000)).is_empty());
    }

    #[test]
    fn what_is_posted_ends_by_itself_unless_it_is_posted_again() {
        let now = opened().decided;
        let message = message(Channel::Alertmanager("main".to_owned()), "Harbor");
        let alert = posted(&message.told[0], None, now);
        assert_eq!(alert["labels"]["alertname"], "harbor-volume");
        assert_eq!(alert["labels"]["severity"], "critical");
        assert_eq!(alert["startsAt"], "2026-01-05T09:41:00.000Z");
        assert_eq!(alert["endsAt"], "2026-01-05T09:45:01.000Z");
        let page = "https://earshot.harbor.example/alerts/a7000000000000000000000000000001";
        assert_eq!(alert["generatorURL"], page);
        assert_eq!(posted(&message.told[0], Some(now), now)["endsAt"], "2026-01-05T09:41:01.000Z");
    }

    #[test]
    fn an_alert_that_is_over_before_its_message_gets_through_is_never_told_as_firing() {
        let now = opened().decided;
        let mut message = message(Channel::Alertmanager("main".to_owned()), "Harbor");
        assert_eq!(body(&message, now)[0]["endsAt"], "2026-01-05T09:45:01.000Z");
        message.told[0].over = true;
        assert_eq!(body(&message, now)[0]["endsAt"], "2026-01-05T09:41:01.000Z");
    }

    #[test]
    fn an_alert_that_becomes_more_severe_stays_the_same_alert() {
        let now = opened().decided;
        let mut message = message(Channel::Alertmanager("main".to_owned()), "Harbor");
        message.told[0].rule_severity = Some(6);
        message.told[0].event.severity = 6;
        let before = body(&message, now).remove(0);
        message.told[0].event.severity = 7;
        let after = body(&message, now).remove(0);
        assert_eq!((&before["labels"], &before["labels"]["severity"]), (&after["labels"], &"warning".into()));
        let bands = [before, after].map(|alert| alert["annotations"]["earshot_severity_band"].clone());
        assert_eq!(bands, ["warning", "critical"]);
    }
}
