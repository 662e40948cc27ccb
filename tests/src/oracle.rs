//! What must hold in the log when all is done, computed from the input and from an undisturbed fold.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use earshot_alerts::{Check, Finding, HistoryDue, Past, State, Verification};
use earshot_common::broker::{Broker, Record};
use earshot_common::events::{AlertEvent, Channel, SignalRecord, decode, encode};
use earshot_common::topics::{ALERTS, SIGNALS};
use serde_json::{Value, json};

use crate::watch::Watch;

/// What an undisturbed fold of `signals` decides.
#[derive(Debug, Default)]
pub struct Undisturbed {
    /// Its state at the end.
    pub state: State,
    /// Its live transitions, in order.
    pub live: Vec<AlertEvent>,
    /// The historic transitions, by alert and sequence.
    pub historic: BTreeMap<(String, u32), AlertEvent>,
}

impl Undisturbed {
    /// Folds what the log holds.
    pub async fn fold(broker: &Broker) -> anyhow::Result<Self> {
        let mut records = Vec::new();
        broker.replay(&SIGNALS, |record| records.push(record)).await.context("replay `signals`")?;
        let mut folded = Self::default();
        let mut past = Past::default();
        let mut asked = None;
        for record in &records {
            let signal: SignalRecord = readable(record)?;
            if let SignalRecord::Signal(signal) = &signal {
                past.take(signal);
            }
            for event in folded.state.apply(record.offset, record.appended, &signal) {
                folded.live.push(as_written(&event)?);
            }
            if let Some(due) = folded.state.history_due().filter(|due| asked != Some(due.offset)) {
                asked = Some(due.offset);
                folded.take_past(&past, &due)?;
            }
        }
        Ok(folded)
    }

    fn take_past(&mut self, past: &Past, due: &HistoryDue) -> anyhow::Result<()> {
        for event in past.fold(self.state.watchlist(), due).events {
            self.historic.entry((event.alert.to_string(), event.sequence)).or_insert(as_written(&event)?);
        }
        Ok(())
    }
}

/// A transition as it is read back: the last digit of a number may differ from what was computed.
fn as_written(event: &AlertEvent) -> anyhow::Result<AlertEvent> {
    Ok(decode(&encode(event))?)
}

/// The transitions in the topic `alerts`, as every reader takes them: one that stands there again, word for word, counts
/// once. So it is where a write was stored whose answer was lost.
pub async fn alerts(broker: &Broker) -> anyhow::Result<Vec<AlertEvent>> {
    let (mut known, mut alerts) = (BTreeMap::new(), Vec::new());
    for event in written(broker).await? {
        match known.get(&(event.alert, event.sequence)) {
            None => {
                known.insert((event.alert, event.sequence), event.clone());
                alerts.push(event);
            }
            Some(first) => ensure!(
                *first == event,
                "{} transition {} stands twice, and differs",
                event.alert,
                event.sequence
            ),
        }
    }
    Ok(alerts)
}

/// Every transition in the topic `alerts`.
pub async fn written(broker: &Broker) -> anyhow::Result<Vec<AlertEvent>> {
    let mut records = Vec::new();
    broker.replay(&ALERTS, |record| records.push(record)).await.context("replay `alerts`")?;
    records.iter().map(readable).collect()
}

fn readable<T: serde::de::DeserializeOwned>(record: &Record) -> anyhow::Result<T> {
    decode(&record.value).with_context(|| format!("partition {} offset {}", record.partition, record.offset))
}

/// The topic holds what the undisturbed fold decides: the live transitions are the same and in the same order,
/// the historic ones are the same but for the import that asked for them.
pub fn same_decisions(written: &[AlertEvent], folded: &Undisturbed) -> anyhow::Result<()> {
    let live: Vec<&AlertEvent> = written.iter().filter(|event| !event.historic).collect();
    for (at, (written, folded)) in live.iter().zip(&folded.live).enumerate() {
        ensure!(
            *written == folded,
            "live transition {at} is {}, and the fold decides {}",
            about(written),
            about(folded)
        );
    }
    let (written_live, folded_live) = (live.len(), folded.live.len());
    ensure!(
        written_live == folded_live,
        "{written_live} live transitions, and the fold decides {folded_live}"
    );
    let mut past = BTreeMap::new();
    for event in written.iter().filter(|event| event.historic) {
        let known = past.insert((event.alert.to_string(), event.sequence), about(event));
        ensure!(known.is_none(), "historic transition {} of {} stands twice", event.sequence, event.alert);
    }
    let wanted: BTreeMap<_, _> =
        folded.historic.iter().map(|(key, event)| (key.clone(), about(event))).collect();
    for (key, wanted) in &wanted {
        let found = past.remove(key).unwrap_or(Value::Null);
        ensure!(found == *wanted, "historic transition {key:?} is {found}, and the fold decides {wanted}");
    }
    ensure!(past.is_empty(), "these historic transitions are not the fold's: {past:?}");
    Ok(())
}

/// A transition without what asked for it.
fn about(event: &AlertEvent) -> Value {
    json!([event.transition, event.rule, event.subject, event.opened, event.until, event.arithmetic])
}

/// Of each alert the transitions are 1, 2, 3 …, and of each rule and subject there is one live alert.
pub fn numbered_and_single(written: &[AlertEvent]) -> anyhow::Result<()> {
    let mut next: BTreeMap<String, u32> = BTreeMap::new();
    let mut single: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for event in written {
        let wanted = next.entry(event.alert.to_string()).or_insert(1);
        ensure!(
            event.sequence == *wanted,
            "{}: transition {} where {wanted} is next",
            event.alert,
            event.sequence
        );
        *wanted += 1;
        if !event.historic {
            let key = (event.rule.as_str(), event.subject.as_str());
            let alert = single.entry(key).or_insert_with(|| event.alert.to_string());
            ensure!(*alert == event.alert.to_string(), "{key:?} has the alerts {alert} and {}", event.alert);
        }
    }
    Ok(())
}

/// The running system verifies each of these alerts, and every number could be found again, but for what the past was
/// compared with: that is folded in another order. Answers how many alerts they are.
pub async fn every_alert_verifies(alerts: &Watch, written: &[AlertEvent]) -> anyhow::Result<usize> {
    let alerts_of: BTreeMap<String, bool> =
        written.iter().map(|event| (event.alert.to_string(), event.historic)).collect();
    for (id, historic) in &alerts_of {
        let answer = alerts.until(&format!("/api/alerts/{id}/verify"), |_| true).await?;
        let verified: Verification = serde_json::from_value(answer).context("read a verification")?;
        for transition in &verified.transitions {
            let checks = transition.arithmetic.iter().chain(&transition.evidence);
            let is_well = |check: &Check| match check.found {
                Finding::Agrees(_) => true,
                Finding::NotPossible(_) => *historic && check.what == "baseline counts",
                Finding::Differs(_) => false,
            };
            let fault = checks.into_iter().find(|check| !is_well(check));
            ensure!(fault.is_none(), "{id}, transition {}: {fault:?}", transition.sequence);
        }
    }
    Ok(alerts_of.len())
}

/// Each message that was decided has arrived, and was repeated at most once for each crash; nothing else came.
pub fn delivered(
    written: &[AlertEvent],
    arrived: &BTreeMap<String, usize>,
    crashes: usize,
) -> anyhow::Result<()> {
    let decided = webhooks(written);
    for key in &decided {
        let times = arrived.get(key).copied().unwrap_or(0);
        ensure!(times >= 1, "{key} was decided and has not arrived");
        ensure!(times <= 1 + crashes, "{key} has arrived {times} times after {crashes} crashes");
    }
    for key in arrived.keys() {
        ensure!(decided.contains(key), "{key} has arrived and was never decided");
    }
    Ok(())
}

/// The keys of messages to webhooks.
pub fn webhooks(written: &[AlertEvent]) -> Vec<String> {
    let mut keys = Vec::new();
    for event in written {
        let to_webhooks = event.notify.iter().filter(|message| matches!(message.to, Channel::Webhook(_)));
        keys.extend(to_webhooks.map(|message| message.key.clone()));
    }
    keys
}
