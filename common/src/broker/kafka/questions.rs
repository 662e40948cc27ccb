//! The client that asks and reads nothing, and why it gets no answer.
//!
//! librdkafka answers a question that nobody took with no more than "timed out". What went wrong, such as a
//! refused login, it says beside it, to whoever polls.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::{KafkaSettings, REQUEST_TIMEOUT, unreachable};
use crate::broker::OpenError;
use crate::topics::Topic;

/// How long one attempt at the first question waits before the reasons are looked at.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How long to wait before a question is asked again.
const RETRY_WAIT: Duration = Duration::from_millis(200);
/// How long to listen for more reasons after the last.
const LISTEN_WAIT: Duration = Duration::from_millis(1);

/// Asks the brokers.
pub(super) struct Questions(BaseConsumer<Reasons>);

/// Waits for the first answer. A refusal ends the wait at once: waiting changes neither a password nor a certificate.
pub(super) async fn connect(settings: &KafkaSettings, topics: &[Topic]) -> Result<Questions, OpenError> {
    let refused =
        |message: String| OpenError::Unreachable { at: settings.bootstrap_servers.clone(), message };
    let consumer = settings
        .client_config()
        // A broker that wants TLS closes the connection; librdkafka only logs it.
        .set("log.connection.close", "true")
        .set_log_level(RDKafkaLogLevel::Info)
        .create_with_context(Reasons::default())
        .map_err(|error| refused(error.to_string()))?;
    let questions = Questions(consumer);
    let Some(topic) = topics.first() else { return Ok(questions) };
    let name = settings.topic_name(topic);
    let asking = tokio::task::spawn_blocking(move || {
        let answer = first_answer(&questions, &name);
        (questions, answer)
    });
    match asking.await.map_err(|stopped| refused(stopped.to_string()))? {
        (questions, Ok(())) => Ok(questions),
        (_, Err(NoAnswer { code, reason })) => Err(match code {
            Some(RDKafkaErrorCode::Authentication) => refused(format!(
                "{reason}; Kafka refuses the login: correct `kafka.sasl.user`, its password or `kafka.sasl.mechanism`"
            )),
            Some(RDKafkaErrorCode::SSL) => refused(format!(
                "{reason}; TLS fails: the broker's certificate must come from an authority in `kafka.tls.ca_file` and \
                 carry the name that `kafka.bootstrap_servers` has for it"
            )),
            _ if reason.contains("closed by peer") => refused(format!(
                "{reason}; Kafka closes the connection: see whether it wants TLS (section `kafka.tls`) and a login \
                 (section `kafka.sasl`)"
            )),
            _ => unreachable(settings, reason),
        }),
    }
}

fn first_answer(questions: &Questions, topic_name: &str) -> Result<(), NoAnswer> {
    let started = Instant::now();
    let mut last = None;
    loop {
        let Err(error) = questions.0.fetch_metadata(Some(topic_name), FIRST_WAIT) else { return Ok(()) };
        last = questions.heard().or(last);
        let refused = last.as_ref().is_some_and(NoAnswer::is_refusal);
        if refused || started.elapsed() >= REQUEST_TIMEOUT {
            let code = error.rdkafka_error_code();
            return Err(last.unwrap_or_else(|| NoAnswer { code, reason: error.to_string() }));
        }
        std::thread::sleep(RETRY_WAIT);
    }
}

impl Questions {
    /// For a question that [`Questions::answer`] asks.
    pub(super) fn consumer(&self) -> &BaseConsumer<Reasons> {
        &self.0
    }

    /// Asks, patiently. An error has the reason beside it.
    pub(super) fn answer<T>(&self, ask: impl Fn() -> KafkaResult<T>) -> Result<T, String> {
        let answer = patiently(ask);
        // Reasons of answered questions are forgotten here too.
        let heard = self.heard();
        answer.map_err(|error| {
            let timed_out = error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut);
            match heard {
                Some(heard) if timed_out || broker_went(&error) => format!("{error}: {}", heard.reason),
                _ => error.to_string(),
            }
        })
    }

    /// The last reason since the last call.
    fn heard(&self) -> Option<NoAnswer> {
        while self.0.poll(LISTEN_WAIT).is_some() {}
        self.0.context().0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Asks, and asks again while a broker goes and another takes its place, or a partition has no leader yet, as just
/// after its topic was created.
pub(super) fn patiently<T>(ask: impl Fn() -> KafkaResult<T>) -> KafkaResult<T> {
    let started = Instant::now();
    loop {
        match ask() {
            Err(error) if broker_went(&error) && started.elapsed() < REQUEST_TIMEOUT => {
                std::thread::sleep(RETRY_WAIT);
            }
            answer => return answer,
        }
    }
}

/// Whether a broker went while it was asked, or is no longer the one to ask.
fn broker_went(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::DestroyBroker
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
        )
    )
}

/// Why the brokers do not answer.
struct NoAnswer {
    code: Option<RDKafkaErrorCode>,
    reason: String,
}

impl NoAnswer {
    /// Whether one side does not trust the other.
    fn is_refusal(&self) -> bool {
        matches!(self.code, Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL))
    }
}

/// Keeps the last reason for whoever asked, and a refusal before any other.
#[derive(Default)]
pub(super) struct Reasons(Mutex<Option<NoAnswer>>);

impl Reasons {
    fn keep(&self, reason: NoAnswer) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !last.as_ref().is_some_and(NoAnswer::is_refusal) {
            *last = Some(reason);
        }
    }
}

impl ClientContext for Reasons {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "FAIL" {
            let reason = message.split_once("]: ").map_or(message, |(_thread, reason)| reason);
            self.keep(NoAnswer { code: None, reason: reason.to_owned() });
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        // That all brokers are down follows on the reason, and is none.
        if code != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.keep(NoAnswer { code, reason: reason.to_owned() });
        }
    }
}

impl ConsumerContext for Reasons {}
