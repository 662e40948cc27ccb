//! Why each recipient of an alert did or did not get its messages: an account of what `alerts` decided and what
//! `signals` says became of it. Pure.

use std::collections::BTreeMap;

use earshot_common::events::{
    AlertEvent, Channel, Delivery, DeliveryState, Notification, PassedOver, Transition,
};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer of `GET /api/alerts/{id}/why`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyAnswer {
    /// The alert.
    pub alert: AlertKey,
    /// The rule that raised it.
    pub rule: String,
    /// The subject.
    pub subject: String,
    /// Its transitions, oldest first.
    pub transitions: Vec<WhyTransition>,
}

/// Whom a transition was told to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyTransition {
    /// Its number.
    pub sequence: u32,
    /// What happened.
    pub transition: Transition,
    /// When it was decided.
    pub decided: Timestamp,
    /// Why nobody was told, where that is so.
    pub nobody: Option<String>,
    /// Everybody who was to be told, and those in their place.
    pub recipients: Vec<WhyRecipient>,
    /// The routes that were not told, and why.
    #[serde(default)]
    pub passed_over: Vec<PassedOver>,
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyRecipient {
    /// The route that asked for it.
    pub route: String,
    /// The channel and the address on it.
    pub to: Channel,
    /// Whether it takes the place of another.
    pub instead: bool,
    /// What became of it.
    pub fate: Fate,
    /// Attempts so far.
    pub attempts: u32,
    /// When the last record about it was written.
    pub at: Option<Timestamp>,
    /// What the last attempt that failed came to.
    pub error: Option<String>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The channel took it.
    Delivered,
    /// It was given up.
    Failed,
    /// It is being sent, or is tried again.
    Trying,
    /// Nobody has tried it yet.
    Waiting,
    /// It takes the place of another, which has not failed.
    NotNeeded,
}

/// What the log says of one message: the last record, and when it was written.
pub(crate) type Told = BTreeMap<String, (Timestamp, Delivery)>;

/// Explains the transitions of one alert.
pub(crate) fn explain(events: &[AlertEvent], told: &Told) -> Option<WhyAnswer> {
    let first = events.first()?;
    let mut transitions = Vec::new();
    for event in events {
        let mut recipients = Vec::new();
        for notification in &event.notify {
            let recipient = recipient(notification, told, false);
            let failed = recipient.fate == Fate::Failed;
            recipients.push(recipient);
            for instead in &notification.fallback {
                let mut recipient = self::recipient(instead, told, true);
                if !failed && recipient.fate == Fate::Waiting {
                    recipient.fate = Fate::NotNeeded;
                }
                recipients.push(recipient);
            }
        }
        transitions.push(WhyTransition {
            sequence: event.sequence,
            transition: event.transition,
            decided: event.decided,
            nobody: recipients.is_empty().then(|| nobody(event)),
            recipients,
            passed_over: event.passed_over.clone(),
        });
    }
    let (rule, subject) = (first.rule.clone(), first.subject.clone());
    Some(WhyAnswer { alert: first.alert, rule, subject, transitions })
}

fn recipient(notification: &Notification, told: &Told, instead: bool) -> WhyRecipient {
    let last = told.get(&notification.key);
    WhyRecipient {
        route: notification.route.clone(),
        to: notification.to.clone(),
        instead,
        fate: match last.map(|(_, delivery)| delivery.state) {
            Some(DeliveryState::Delivered) => Fate::Delivered,
            Some(DeliveryState::Failed) => Fate::Failed,
            Some(DeliveryState::Sending) => Fate::Trying,
            None => Fate::Waiting,
        },
        attempts: last.map_or(0, |(_, delivery)| delivery.attempt),
        at: last.map(|(at, _)| *at),
        error: last.and_then(|(_, delivery)| delivery.error.clone()),
    }
}

/// Why a transition is told to nobody.
fn nobody(event: &AlertEvent) -> String {
    if event.historic {
        return "it is about the past: such alerts are shown, and never sent".to_owned();
    }
    if event.transition == Transition::Resolved {
        return "of the end hear the webhooks that were told of the alert, and from severity 7 on the people, unless it is \
                muted or its rule was changed"
            .to_owned();
    }
    if let Some(until) = event.held_until {
        return format!("it waits for the end of quiet hours, until {until}");
    }
    if let Some(until) = event.muted_until {
        return format!("a person muted it until {until}");
    }
    if let Some(held) = event.acknowledged.as_ref().filter(|_| event.transition != Transition::Rising) {
        return format!("{} has it in hand, so that nobody else is called", held.by);
    }
    if event.unrouted {
        return unrouted(event);
    }
    if !event.passed_over.is_empty() {
        return "none of the routes that it could go to is told now, each for its reason".to_owned();
    }
    match (event.transition, event.parent) {
        (Transition::Opened | Transition::Reopened, Some(parent)) => {
            format!("alert {parent} of the same situation was told to the same people, and speaks for it")
        }
        (Transition::Opened | Transition::Reopened, None) => {
            "its rule is muted for this subject, or told of another alert so short a time before that it cools down"
                .to_owned()
        }
        (Transition::Escalated, _) => {
            "the route of this step of the escalation is not in force, so that nobody is called".to_owned()
        }
        _ => "nobody is told of this step: the people who were told of the alert see it in the console, and \
              where its rule escalates the next are called if nobody takes it in hand"
            .to_owned(),
    }
}

fn unrouted(event: &AlertEvent) -> String {
    match (event.transition, event.passed_over.is_empty()) {
        (Transition::Escalated, _) => "the route of this step of the escalation does not take it".to_owned(),
        (_, true) => {
            "its rule names no route, and no route states which alerts it takes, so that it is shown alone"
                .to_owned()
        }
        (_, false) => "no route takes it, each for its reason".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use earshot_common::events::{Acknowledgement, SchemaVersion};

    use super::*;

    fn event(notify: &str, historic: bool, parent: &str) -> AlertEvent {
        let json = format!(
            r#"{{"v":1,"alert":"a7000000000000000000000000000001","sequence":1,"signals":{{"offset":1,"n":0}},
            "transition":"opened","rule":"r","subject":"s","severity":5,"historic":{historic},"parent":{parent},
            "opened":"2026-01-05T09:00:00.000Z","until":"2026-01-05T10:00:00.000Z",
            "arithmetic":{{"primitive":"each","polarity":-0.9,"polarity_at_most":-0.5,"reach":5,"reach_at_least":1,"matched":1}},
            "evidence":[],"definition":{{"watchlist":3,"rule":"r","lexicon":"l"}},"notify":[{notify}],
            "decided":"2026-01-05T09:00:00.000Z"}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    const NOTIFY: &str = r#"{"key":"a/1/mail/x@y","route":"comms","to":{"channel":"mail","address":"x@y"},
        "fallback":[{"key":"a/1/mail/x@y/instead/log","route":"night","to":{"channel":"log"}}]}"#;

    fn told(records: &[(&str, DeliveryState, Option<&str>)]) -> Told {
        let mut told = Told::new();
        for (n, (key, state, error)) in (1u32..).zip(records) {
            let delivery = Delivery {
                v: SchemaVersion::default(),
                key: (*key).to_owned(),
                state: *state,
                attempt: n,
                sender: "a".to_owned(),
                error: error.map(str::to_owned),
                out_of_time: false,
            };
            told.insert((*key).to_owned(), (Timestamp::from_millis(i64::from(n)), delivery));
        }
        told
    }

    #[test]
    fn each_recipient_has_a_fate() {
        use DeliveryState::{Delivered, Failed, Sending};
        let fates = |records: &[(&str, DeliveryState, Option<&str>)]| {
            let answer = explain(&[event(NOTIFY, false, "null")], &told(records)).unwrap();
            answer.transitions[0].recipients.iter().map(|r| (r.fate, r.instead)).collect::<Vec<_>>()
        };
        let (mail, log) = ("a/1/mail/x@y", "a/1/mail/x@y/instead/log");
        assert_eq!(fates(&[]), [(Fate::Waiting, false), (Fate::NotNeeded, true)]);
        assert_eq!(fates(&[(mail, Sending, Some("busy"))]), [(Fate::Trying, false), (Fate::NotNeeded, true)]);
        assert_eq!(fates(&[(mail, Delivered, None)]), [(Fate::Delivered, false), (Fate::NotNeeded, true)]);
        assert_eq!(fates(&[(mail, Failed, Some("gone"))]), [(Fate::Failed, false), (Fate::Waiting, true)]);
        let both = [(mail, Failed, Some("gone")), (log, Delivered, None)];
        assert_eq!(fates(&both), [(Fate::Failed, false), (Fate::Delivered, true)]);
        let answer = explain(&[event(NOTIFY, false, "null")], &told(&both)).unwrap();
        assert_eq!(answer.transitions[0].recipients[0].error.as_deref(), Some("gone"));
    }

    #[test]
    fn where_nobody_is_told_it_is_said_why() {
        let parent = r#""a7000000000000000000000000000002""#;
        for (historic, parent, wanted) in [
            (true, "null", "about the past"),
            (false, parent, "alert a7000000000000000000000000000002 of the same situation"),
            (false, "null", "it cools down"),
        ] {
            let answer = explain(&[event("", historic, parent)], &Told::new()).unwrap();
            let nobody = answer.transitions[0].nobody.clone().unwrap();
            assert!(nobody.contains(wanted), "{nobody}");
        }
    }

    #[test]
    fn each_route_that_was_passed_over_says_why() {
        let over = |route: &str, why: &str| PassedOver { route: route.to_owned(), why: why.to_owned() };
        let mut event = event(NOTIFY, false, "null");
        event.passed_over = vec![over("executive", "severity 5 is under its 7")];
        let answer = explain(std::slice::from_ref(&event), &Told::new()).unwrap();
        assert_eq!(
            (&answer.transitions[0].passed_over, &answer.transitions[0].nobody),
            (&event.passed_over, &None)
        );
        event.notify.clear();
        let nobody = |event: &AlertEvent| {
            explain(std::slice::from_ref(event), &Told::new()).unwrap().transitions[0].nobody.clone().unwrap()
        };
        assert!(nobody(&event).starts_with("none of the routes"), "one may wait for its schedule");
        event.unrouted = true;
        assert_eq!(nobody(&event), "no route takes it, each for its reason");
        event.passed_over.clear();
        assert!(nobody(&event).starts_with("its rule names no route, and no route states"));
    }

    #[test]
    fn what_people_said_and_quiet_hours_are_said_to_keep_others_from_being_told() {
        let nobody = |change: fn(&mut AlertEvent)| {
            let mut event = event("", false, "null");
            change(&mut event);
            explain(&[event], &Told::new()).unwrap().transitions[0].nobody.clone().unwrap()
        };
        let held = nobody(|event| event.held_until = Some(Timestamp::from_millis(0)));
        assert!(held.contains("the end of quiet hours, until 1970"), "{held}");
        let muted = nobody(|event| event.muted_until = Some(Timestamp::from_millis(0)));
        assert!(muted.contains("muted it until 1970"), "{muted}");
        let in_hand = nobody(|event| {
            let (by, since) = ("Ann".to_owned(), event.decided);
            event.transition = Transition::Reopened;
            event.acknowledged = Some(Acknowledgement { by, since, until: None, assessed_after_ms: None });
        });
        assert!(in_hand.starts_with("Ann has it in hand"), "{in_hand}");
        let escalated = nobody(|event| event.transition = Transition::Escalated);
        assert!(escalated.contains("this step of the escalation is not in force"), "{escalated}");
    }
}
