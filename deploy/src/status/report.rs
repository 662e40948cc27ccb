//! What the programs answered, and whether it is well. Pure.

use std::collections::BTreeSet;

use earshot_alerts::Undelivered;
use earshot_common::time::Timestamp;
use earshot_ingest::{ListedSource, Standing};
use serde::{Deserialize, Serialize};

/// A reader that is behind and has less time than this until unread records are deleted is not well.
const LEAST_RETENTION_LEFT_S: f64 = 24.0 * 60.0 * 60.0;
/// A message that waits this long is not well, whether or not it was tried.
const LONGEST_WAIT_MS: i64 = 60_000;

/// Everything that `earshot status` found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether nothing is wrong.
    pub(super) well: bool,
    /// What is wrong, a line each.
    pub(super) faults: Vec<String>,
    /// When it was asked.
    pub(super) at: Timestamp,
    /// The programs that were asked and are to answer.
    pub(super) programs: Vec<Program>,
}

/// A program that was asked.
#[derive(Debug, Serialize)]
pub(super) struct Program {
    /// Where it was asked.
    pub(super) address: String,
    /// The service that the settings promise there.
    pub(super) expected: Option<&'static str>,
    /// What it said.
    #[serde(flatten)]
    pub(super) answer: Option<Answer>,
    /// Why it said nothing.
    pub(super) error: Option<String>,
}

/// What a program said.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    #[serde(flatten)]
    pub(super) health: Health,
    /// The sources, where it collects.
    pub(super) sources: Vec<ListedSource>,
    /// The messages that nobody has taken, where it sends.
    pub(super) undelivered: Vec<Undelivered>,
}

/// The answer of `GET /api/health`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Health {
    pub(super) version: String,
    pub(super) services: Vec<String>,
    pub(super) troubles: Vec<Trouble>,
    pub(super) inputs: Vec<Input>,
}

/// A part that does not get on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trouble {
    pub(super) part: String,
    pub(super) trouble: String,
}

/// How far a stage has read a partition.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Input {
    pub(super) stage: String,
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) next: u64,
    pub(super) end: u64,
    pub(super) lag: u64,
    pub(super) retention_left_s: Option<f64>,
}

impl Report {
    /// Judges the answers. An address is left out where nobody answers and the service that the settings promise
    /// there is served at another: `earshot up` serves all four at one.
    pub(super) fn of(mut programs: Vec<Program>, at: Timestamp) -> Self {
        let served: BTreeSet<String> =
            programs.iter().flat_map(|program| program.services().to_vec()).collect();
        programs.retain(|program| {
            program.answer.is_some() || program.expected.is_none_or(|service| !served.contains(service))
        });
        let mut faults = Vec::new();
        for program in &programs {
            match &program.answer {
                Some(answer) => judge(answer, at, &mut faults),
                None => faults.push(program.silence()),
            }
        }
        // Several instances of a service may say the same.
        let mut said = BTreeSet::new();
        faults.retain(|fault| said.insert(fault.clone()));
        Self { well: faults.is_empty(), faults, at, programs }
    }
}

impl Program {
    /// The services that it serves.
    pub(super) fn services(&self) -> &[String] {
        self.answer.as_ref().map_or(&[], |answer| &answer.health.services)
    }

    fn silence(&self) -> String {
        let error = self.error.as_deref().unwrap_or("no reason was given");
        match self.expected {
            Some(service) => format!("{service} gives no answer at {}: {error}", self.address),
            None => format!("{} gives no answer: {error}", self.address),
        }
    }
}

fn judge(answer: &Answer, at: Timestamp, faults: &mut Vec<String>) {
    for Trouble { part, trouble } in &answer.health.troubles {
        faults.push(format!("{part} does not get on: {trouble}"));
    }
    for input in answer.health.inputs.iter().filter(|input| is_about_to_lose(input)) {
        faults.push(format!(
            "{} has {} records of {} partition {} to read, of which the oldest are deleted in less than a day",
            input.stage, input.lag, input.topic, input.partition
        ));
    }
    for source in answer.sources.iter().filter(|source| source.status == Standing::Failing) {
        let reason = source.reason.as_deref().unwrap_or("it gave no reason");
        faults.push(format!("source {} fails: {reason}", source.id));
    }
    for message in answer.undelivered.iter().filter(|message| is_overdue(message, at)) {
        let error = message.error.as_deref().unwrap_or("nothing was said about why");
        faults.push(format!("message {} is not delivered: {error}", message.key));
    }
}

fn is_about_to_lose(input: &Input) -> bool {
    input.lag > 0 && input.retention_left_s.is_some_and(|left| left < LEAST_RETENTION_LEFT_S)
}

fn is_overdue(message: &Undelivered, at: Timestamp) -> bool {
    message.given_up || message.error.is_some() || message.since.plus_millis(LONGEST_WAIT_MS) < at
}

/// Answers for the tests of this folder.
#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::status) fn at() -> Timestamp {
        "2026-01-05T12:00:00Z".parse().unwrap()
    }

    fn answer(services: &[&str]) -> Answer {
        let health = json!({"version": "0.1.0", "services": services, "troubles": [], "inputs": []});
        Answer {
            health: serde_json::from_value(health).unwrap(),
            sources: Vec::new(),
            undelivered: Vec::new(),
        }
    }

    fn program(port: u16, expected: Option<&'static str>, answer: Option<Answer>) -> Program {
        let error = answer.is_none().then(|| "Connection refused (os error 111)".to_owned());
        Program { address: format!("http://127.0.0.1:{port}"), expected, answer, error }
    }

    /// Four programs, of which one is silent and each other has something to say.
    pub(in crate::status) fn troubled() -> Vec<Program> {
        let mut ingest = answer(&["ingest"]);
        ingest.sources = serde_json::from_value(json!([
            {"id": "blog", "kind": "feed", "status": "healthy", "last_success": "2026-01-05T11:58:00Z", "reason": null},
            {"id": "forum", "kind": "feed", "status": "new", "last_success": null, "reason": null},
            {"id": "news", "kind": "feed", "status": "failing", "last_success": "2026-01-05T09:12:00Z",
             "reason": "HTTP 403 Forbidden"},
        ]))
        .unwrap();
        let mut index = answer(&["index"]);
        index.health.inputs = serde_json::from_value(json!([
            {"stage": "index", "topic": "mentions.enriched", "partition": 0, "next": 5, "end": 5, "lag": 0, "retention_left_s": 34_559_999.0},
            {"stage": "index", "topic": "mentions.enriched", "partition": 1, "next": 5, "end": 1_205, "lag": 1_200, "retention_left_s": 80_000.0},
        ]))
        .unwrap();
        let mut alerts = answer(&["alerts"]);
        alerts.health.troubles = vec![Trouble {
            part: "alerts".to_owned(),
            trouble: "append to `signals`: Local: Message timed out".to_owned(),
        }];
        alerts.undelivered = serde_json::from_value(json!([
            {"key": "a7000000000000000000000000000001/1/webhook/team", "alert": "a7000000000000000000000000000001",
             "route": "comms", "channel": "webhook", "since": "2026-01-05T11:56:00Z", "attempts": 4,
             "error": "webhook team: HTTP 500 Internal Server Error", "given_up": false},
            {"key": "a7000000000000000000000000000001/1/mail/c@h.example", "alert": "a7000000000000000000000000000001",
             "route": "comms", "channel": "mail", "since": "2026-01-05T11:59:58Z", "attempts": 0, "error": null,
             "given_up": false},
        ]))
        .unwrap();
        vec![
            program(7700, Some("index"), Some(index)),
            program(7701, Some("ingest"), Some(ingest)),
            program(7702, Some("enrich"), None),
            program(7703, Some("alerts"), Some(alerts)),
        ]
    }

    #[test]
    fn one_program_that_serves_everything_is_well_without_the_other_addresses() {
        let all = answer(&["ingest", "enrich", "index", "alerts"]);
        let report = Report::of(
            vec![
                program(7700, Some("index"), Some(all)),
                program(7701, Some("ingest"), None),
                program(7702, Some("enrich"), None),
                program(7703, Some("alerts"), None),
            ],
            at(),
        );
        assert!(report.well, "{:?}", report.faults);
        assert_eq!(report.programs.len(), 1);
    }

    #[test]
    fn every_fault_is_said_with_its_reason_and_a_message_that_was_just_decided_is_none() {
        let report = Report::of(troubled(), at());
        assert!(!report.well);
        assert_eq!(
            report.faults,
            [
                "index has 1200 records of mentions.enriched partition 1 to read, of which the oldest are deleted in \
                 less than a day",
                "source news fails: HTTP 403 Forbidden",
                "enrich gives no answer at http://127.0.0.1:7702: Connection refused (os error 111)",
                "alerts does not get on: append to `signals`: Local: Message timed out",
                "message a7000000000000000000000000000001/1/webhook/team is not delivered: webhook team: HTTP 500 \
                 Internal Server Error",
            ]
        );
    }

    #[test]
    fn an_address_that_was_named_must_answer() {
        let report =
            Report::of(vec![program(1, None, None), program(2, None, Some(answer(&["enrich"])))], at());
        assert_eq!(report.faults, ["http://127.0.0.1:1 gives no answer: Connection refused (os error 111)"]);
    }
}
