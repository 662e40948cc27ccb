//! Who may send what, and when: an account of the claims and results in `signals`.
//!
//! Pure: it is told what was read and what time it is, and answers what to write and what to send.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use earshot_common::events::{AlertEvent, Delivery, DeliveryState, Notification, SchemaVersion};
use earshot_common::time::Timestamp;

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

/// Messages that are not done with.
#[derive(Debug)]
pub(crate) struct Ledger {
    sender: String,
    limits: Limits,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    notification: Notification,
    event: Arc<AlertEvent>,
    first_claim: Option<Timestamp>,
    claim: Option<Claim>,
    attempt: u32,
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
        Self { sender, limits, entries: BTreeMap::new() }
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
                stage: Stage::due(Timestamp::default()),
            });
        }
    }

    /// Forgets what was decided before the oldest record of `signals`, at this offset and of this append time: what
    /// became of it is no longer in the log. In a topic that was made anew offsets alone do not tell.
    pub(crate) fn forget_before(&mut self, offset: u64, appended: Option<Timestamp>) {
        self.entries.retain(|_, entry| {
            entry.event.signals.offset >= offset && appended.is_some_and(|first| entry.event.decided >= first)
        });
    }

    /// Reads a record of a sender. The first claim in the order of the log owns the message, until its owner
    /// renews it or it is older than the timeout.
    pub(crate) fn take(&mut self, appended: Timestamp, delivery: &Delivery) {
        let Some(entry) = self.entries.get_mut(&delivery.key) else { return };
        if delivery.state != DeliveryState::Sending {
            self.entries.remove(&delivery.key);
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

    /// When each message was decided that is not done with.
    pub(crate) fn undelivered(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.entries.values().map(|entry| entry.event.decided)
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
            claims.push(delivery(key, DeliveryState::Sending, entry.attempt + 1, &self.sender, None));
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
                Outcome::Later
            }
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
        assert_eq!(ledger.claims(at(HOUR_S)), [claim("a", 2)]);
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
        assert_eq!(ledger.claims(at(40)), [claim("a", 2)]);
    }

    #[test]
    fn what_the_log_says_is_done_is_not_sent_after_a_restart() {
        let mut ledger = ledger("b");
        ledger.take(at(0), &claim("a", 1));
        ledger.take(at(1), &delivery(MAIL_KEY, DeliveryState::Delivered, 1, "a", None));
        assert!(ledger.claims(at(9_999)).is_empty());
    }

    #[test]
    fn a_message_from_before_the_log_begins_is_not_sent_again() {
        let (offset, decided) = (event().signals.offset, event().decided);
        let sent = |offset, first| {
            let mut ledger = ledger("a");
            ledger.forget_before(offset, first);
            ledger.claims(at(0)).len()
        };
        assert_eq!(sent(offset, Some(decided)), 1);
        assert_eq!(sent(offset + 1, Some(decided)), 0, "its time has come");
        assert_eq!(sent(0, Some(decided.plus_millis(1))), 0, "the topic was made anew");
        assert_eq!(sent(0, None), 0, "and nothing is in it yet");
    }
}
