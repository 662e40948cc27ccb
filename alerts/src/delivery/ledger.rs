//! Who may send what, and when: an account of the claims and results in `signals`.
//!
//! Pure: it is told what was read and what time it is, and answers what to write and what to send.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use earshot_common::events::{AlertEvent, Delivery, DeliveryState, Notification, SchemaVersion};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Refused;

/// The first wait before another attempt; it doubles each time.
const FIRST_WAIT_MS: i64 = 5_000;
/// The longest wait that we choose ourselves.
const LAST_WAIT_MS: i64 = 120_000;

/// How long claims and attempts last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A claim older than this may be taken over.
    pub(crate) claim_timeout_ms: i64,
    /// From the first claim on a message is tried for this long.
    pub(crate) retry_for_ms: i64,
}

/// A message that was given up is listed for this long, so that somebody sees it.
const LISTED_FOR_MS: i64 = 24 * 60 * 60 * 1_000;

/// Messages that are not done with.
#[derive(Debug)]
pub(crate) struct Ledger {
    sender: String,
    limits: Limits,
    entries: BTreeMap<String, Entry>,
    /// What was given up, with the time of the record that says so.
    given_up: BTreeMap<String, (Timestamp, Undelivered)>,
}

/// A message that was decided and that nobody has taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undelivered {
    /// The message: alert, transition, channel and address.
    pub key: String,
    /// The alert that it tells of.
    pub alert: AlertKey,
    /// The route that asked for it.
    pub route: String,
    /// The channel: `mail`, `webhook` or `log`.
    pub channel: String,
    /// When it was decided.
    pub since: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// What the last attempt that is known came to.
    pub error: Option<String>,
    /// Whether it was given up: no further attempt follows.
    pub given_up: bool,
}

#[derive(Debug)]
struct Entry {
    notification: Notification,
    event: Arc<AlertEvent>,
    first_claim: Option<Timestamp>,
    claim: Option<Claim>,
    attempt: u32,
    /// What the last attempt came to.
    error: Option<String>,
    stage: Stage,
}

/// The claim that owns the message.
#[derive(Debug)]
struct Claim {
    sender: String,
    appended: Timestamp,
}

/// How far the message is with this sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Since one time, and not before another.
    Waiting { since: Timestamp, until: Timestamp },
    /// Our claim is on its way into the log since then.
    Claiming(Timestamp),
    /// Our claim, written then, was read back and owns the message.
    Owned(Timestamp),
    /// An attempt is under way.
    Sending,
}

impl Stage {
    /// Waiting for nothing any more.
    fn due(now: Timestamp) -> Self {
        Self::Waiting { since: now, until: now }
    }
}

/// A message to send now.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) notification: Notification,
    pub(crate) event: Arc<AlertEvent>,
}

/// What became of an attempt.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// To be written: delivered, or failed for good.
    Done(Delivery),
    /// To be tried again.
    Later,
}

impl Ledger {
    /// An empty account of the sender with this name.
    pub(crate) fn new(sender: String, limits: Limits) -> Self {
        Self { sender, limits, entries: BTreeMap::new(), given_up: BTreeMap::new() }
    }

    /// A transition was decided: its messages are to be sent.
    pub(crate) fn expect(&mut self, event: &AlertEvent) {
        if event.notify.is_empty() {
            return;
        }
        let shared = Arc::new(event.clone());
        for notification in &event.notify {
            self.entries.entry(notification.key.clone()).or_insert_with(|| Entry {
                notification: notification.clone(),
                event: Arc::clone(&shared),
                first_claim: None,
                claim: None,
                attempt: 0,
                error: None,
                stage: Stage::due(Timestamp::default()),
            });
        }
    }

    /// Reads a record of a sender. The first claim in the order of the log owns the message, until its owner
    /// renews it or it is older than the timeout.
    pub(crate) fn take(&mut self, appended: Timestamp, delivery: &Delivery) {
        let Some(entry) = self.entries.get_mut(&delivery.key) else { return };
        if delivery.state != DeliveryState::Sending {
            let done = self.entries.remove(&delivery.key);
            if let Some(entry) = done.filter(|_| delivery.state == DeliveryState::Failed) {
                let mut listed = entry.listed(&delivery.key, true);
                listed.attempts = delivery.attempt;
                listed.error.clone_from(&delivery.error);
                self.given_up.insert(delivery.key.clone(), (appended, listed));
            }
            return;
        }
        let timeout_ms = self.limits.claim_timeout_ms;
        let owned_by_another = entry.claim.as_ref().is_some_and(|claim| {
            claim.sender != delivery.sender && appended < claim.appended.plus_millis(timeout_ms)
        });
        let ours = delivery.sender == self.sender;
        if owned_by_another {
            if ours {
                entry.stage = Stage::due(appended);
            }
            return;
        }
        entry.claim = Some(Claim { sender: delivery.sender.clone(), appended });
        entry.attempt = entry.attempt.max(delivery.attempt);
        if delivery.error.is_some() {
            entry.error.clone_from(&delivery.error);
        }
        // Our own clock measures our own claim: the log's may be another.
        let claimed = match entry.stage {
            Stage::Claiming(written) if ours => written,
            _ => appended,
        };
        entry.first_claim.get_or_insert(claimed);
        if ours {
            entry.stage = Stage::Owned(claimed);
        }
    }

    /// The claims to write now.
    pub(crate) fn claims(&mut self, now: Timestamp) -> Vec<Delivery> {
        let mut claims = Vec::new();
        for (key, entry) in &mut self.entries {
            let Stage::Waiting { since, until } = entry.stage else { continue };
            // A clock that was set back must not make a wait longer.
            let waits = since <= now && now < until;
            let owned_by_another = entry.claim.as_ref().is_some_and(|claim| {
                claim.sender != self.sender && now < claim.appended.plus_millis(self.limits.claim_timeout_ms)
            });
            if waits || owned_by_another {
                continue;
            }
            entry.stage = Stage::Claiming(now);
            // With what the attempt before came to, so that it is known after a restart too.
            let error = entry.error.clone();
            claims.push(delivery(key, DeliveryState::Sending, entry.attempt + 1, &self.sender, error));
        }
        claims
    }

    /// The messages to send now, at most so many; they count as under way. A claim that was read back too late
    /// to rely on is made again.
    pub(crate) fn jobs(&mut self, most: usize, now: Timestamp) -> Vec<Job> {
        let mut jobs = Vec::new();
        for entry in self.entries.values_mut() {
            let Stage::Owned(written) = entry.stage else { continue };
            if jobs.len() == most {
                break;
            }
            if now >= written.plus_millis(self.limits.claim_timeout_ms) {
                entry.stage = Stage::due(now);
                continue;
            }
            entry.stage = Stage::Sending;
            jobs.push(Job { notification: entry.notification.clone(), event: Arc::clone(&entry.event) });
        }
        jobs
    }

    /// An attempt has ended.
    pub(crate) fn settle(&mut self, key: &str, result: Result<(), Refused>, now: Timestamp) -> Outcome {
        let Some(entry) = self.entries.get_mut(key) else { return Outcome::Later };
        let attempt = entry.attempt;
        let done = |state, error| Outcome::Done(delivery(key, state, attempt, &self.sender, error));
        match result {
            Ok(()) => done(DeliveryState::Delivered, None),
            Err(Refused::ForGood { error }) => done(DeliveryState::Failed, Some(error)),
            Err(Refused::ForNow { error, after }) => {
                let until = entry.first_claim.unwrap_or(now).plus_millis(self.limits.retry_for_ms);
                let next = now.plus_millis(wait_ms(attempt, after));
                if next >= until {
                    return done(
                        DeliveryState::Failed,
                        Some(format!("given up after {attempt} attempts: {error}")),
                    );
                }
                tracing::warn!(key, attempt, error, %next, "a message was not taken; it is tried again");
                entry.stage = Stage::Waiting { since: now, until: next };
                entry.error = Some(error);
                Outcome::Later
            }
        }
    }

    /// What nobody has taken: the messages that wait for an attempt or its end, and those that were given up
    /// within a day.
    pub(crate) fn listing(&mut self, now: Timestamp) -> Vec<Undelivered> {
        self.given_up.retain(|_, (at, _)| now < at.plus_millis(LISTED_FOR_MS));
        let waiting = self.entries.iter().map(|(key, entry)| entry.listed(key, false));
        waiting.chain(self.given_up.values().map(|(_, listed)| listed.clone())).collect()
    }
}

impl Entry {
    fn listed(&self, key: &str, given_up: bool) -> Undelivered {
        Undelivered {
            key: key.to_owned(),
            alert: self.event.alert,
            route: self.notification.route.clone(),
            channel: self.notification.to.name().to_owned(),
            since: self.event.decided,
            attempts: self.attempt,
            error: self.error.clone(),
            given_up,
        }
    }
}

/// What the receiver asks for, or doubling from the first wait.
fn wait_ms(attempt: u32, after: Option<Duration>) -> i64 {
    match after {
        Some(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        None => FIRST_WAIT_MS.saturating_mul(1 << (attempt.saturating_sub(1)).min(10)).min(LAST_WAIT_MS),
    }
}

fn delivery(key: &str, state: DeliveryState, attempt: u32, sender: &str, error: Option<String>) -> Delivery {
    Delivery {
        v: SchemaVersion::default(),
        key: key.to_owned(),
        state,
        attempt,
        sender: sender.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::tests::{MAIL_KEY, event};

    const LIMITS: Limits = Limits { claim_timeout_ms: 60_000, retry_for_ms: 900_000 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn ledger(sender: &str) -> Ledger {
        let mut ledger = Ledger::new(sender.to_owned(), LIMITS);
        ledger.expect(&event());
        ledger
    }

    fn claim(sender: &str, attempt: u32) -> Delivery {
        delivery(MAIL_KEY, DeliveryState::Sending, attempt, sender, None)
    }

    fn for_now() -> Result<(), Refused> {
        Err(Refused::for_now("busy"))
    }

    #[test]
    fn nothing_is_sent_before_the_claim_is_read_back() {
        let mut ledger = ledger("a");
        assert_eq!(ledger.claims(at(0)), [claim("a", 1)]);
        assert!(ledger.jobs(9, at(0)).is_empty() && ledger.claims(at(1)).is_empty());
        ledger.take(at(0), &claim("a", 1));
        assert_eq!(ledger.jobs(9, at(1)).len(), 1);
        assert!(ledger.jobs(9, at(1)).is_empty(), "one attempt at a time");
        let Outcome::Done(done) = ledger.settle(MAIL_KEY, Ok(()), at(2)) else { panic!("it is done") };
        assert_eq!(done.state, DeliveryState::Delivered);
        ledger.take(at(2), &done);
        assert!(ledger.claims(at(9_999)).is_empty());
        assert_eq!(ledger.listing(at(2)), []);
    }

    #[test]
    fn a_message_is_listed_until_it_is_taken_and_for_a_day_after_it_was_given_up() {
        let mut ledger = ledger("a");
        let waiting = ledger.listing(at(0)).remove(0);
        assert_eq!(
            (waiting.key.as_str(), waiting.route.as_str(), waiting.channel.as_str()),
            (MAIL_KEY, "comms", "mail")
        );
        assert_eq!((waiting.since, waiting.attempts, waiting.error), (event().decided, 0, None));

        ledger.claims(at(0));
        ledger.take(at(0), &claim("a", 1));
        ledger.jobs(9, at(0));
        ledger.settle(MAIL_KEY, for_now(), at(0));
        let tried = ledger.listing(at(1)).remove(0);
        assert_eq!((tried.attempts, tried.error.as_deref(), tried.given_up), (1, Some("busy"), false));

        // Somebody else learns it from the next claim.
        let mut standby = self::ledger("b");
        standby.take(at(5), &ledger.claims(at(5))[0]);
        let heard = standby.listing(at(6)).remove(0);
        assert_eq!((heard.attempts, heard.error.as_deref()), (2, Some("busy")));

        let failed = delivery(MAIL_KEY, DeliveryState::Failed, 7, "a", Some("no such mailbox".to_owned()));
        ledger.take(at(900), &failed);
        let given_up = ledger.listing(at(901)).remove(0);
        assert_eq!((given_up.attempts, given_up.error.as_deref()), (7, Some("no such mailbox")));
        assert!(given_up.given_up);
        assert_eq!(ledger.listing(at(900 + 24 * 60 * 60)), []);
    }

    #[test]
    fn the_first_claim_in_the_log_owns_the_message_and_an_old_one_is_taken_over() {
        let (mut a, mut b) = (ledger("a"), ledger("b"));
        let claims = [a.claims(at(0)).remove(0), b.claims(at(0)).remove(0)];
        for (second, claim) in (0..).zip(&claims) {
            a.take(at(second), claim);
            b.take(at(second), claim);
        }
        assert_eq!((a.jobs(9, at(1)).len(), b.jobs(9, at(1)).len()), (1, 0));
        // The first one dies. Its claim lasts a minute.
        assert!(b.claims(at(59)).is_empty());
        let taken_over = b.claims(at(60)).remove(0);
        b.take(at(60), &taken_over);
        assert_eq!(b.jobs(9, at(60)).len(), 1);
        // It was not dead: what it writes now no longer owns the message.
        b.take(at(61), &claim("a", 2));
        a.take(at(60), &taken_over);
        a.take(at(61), &claim("a", 2));
        assert!(a.jobs(9, at(61)).is_empty());
    }

    #[test]
    fn what_is_refused_for_now_waits_longer_each_time_until_it_is_given_up() {
        let mut ledger = ledger("a");
        let mut now = 0;
        let mut waits = Vec::new();
        loop {
            let claims = ledger.claims(at(now));
            let Some(claim) = claims.first() else {
                now += 1;
                continue;
            };
            waits.push(now);
            ledger.take(at(now), claim);
            ledger.jobs(9, at(now));
            if let Outcome::Done(done) = ledger.settle(MAIL_KEY, for_now(), at(now)) {
                assert_eq!(done.state, DeliveryState::Failed);
                assert_eq!(done.error.unwrap(), format!("given up after {} attempts: busy", waits.len()));
                break;
            }
        }
        assert_eq!(waits[..5], [0, 5, 15, 35, 75]);
        assert!(*waits.last().unwrap() < 900, "{waits:?}");
    }

    #[test]
    fn a_claim_that_is_read_back_too_late_is_made_again() {
        let mut ledger = ledger("a");
        let claims = ledger.claims(at(0));
        ledger.take(at(0), &claims[0]);
        assert!(ledger.jobs(9, at(60)).is_empty(), "somebody else may have taken it over");
        assert_eq!(ledger.claims(at(60)), [claim("a", 2)]);
    }

    #[test]
    fn a_clock_that_is_set_back_or_another_than_the_logs_stops_nothing() {
        const HOUR_S: i64 = 3_600;
        let mut ledger = ledger("a");
        let claims = ledger.claims(at(2 * HOUR_S));
        // The log's clock is an hour behind ours.
        ledger.take(at(HOUR_S), &claims[0]);
        assert_eq!(ledger.jobs(9, at(2 * HOUR_S)).len(), 1);
        assert_eq!(ledger.settle(MAIL_KEY, for_now(), at(2 * HOUR_S)), Outcome::Later);
        // Ours is set back: the message does not wait until it shows the time again that it showed.
        let again = ledger.claims(at(HOUR_S));
        assert_eq!(again.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn the_receiver_may_say_when_to_come_again() {
        let mut ledger = ledger("a");
        let claims = ledger.claims(at(0));
        ledger.take(at(0), &claims[0]);
        ledger.jobs(9, at(0));
        let refused = Refused::ForNow { error: "busy".to_owned(), after: Some(Duration::from_secs(40)) };
        assert_eq!(ledger.settle(MAIL_KEY, Err(refused), at(0)), Outcome::Later);
        assert!(ledger.claims(at(39)).is_empty());
        assert_eq!(ledger.claims(at(40)).len(), 1);
    }

    #[test]
    fn what_the_log_says_is_done_is_not_sent_after_a_restart() {
        let mut ledger = ledger("b");
        ledger.take(at(0), &claim("a", 1));
        ledger.take(at(1), &delivery(MAIL_KEY, DeliveryState::Delivered, 1, "a", None));
        assert!(ledger.claims(at(9_999)).is_empty());
    }
}
