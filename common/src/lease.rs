//! Which instance of several does what one alone must do.
//!
//! A lease is the one partition of a topic in the group of instances: the log gives it to one member at a time,
//! and to another when that one leaves or is silent for the session's 15 seconds. That a member still has it only the
//! log can say: so it is asked each second, by a commit, which a member that was replaced cannot make. What the
//! member reads is of no use here, and the position that it commits is always the same.

use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, Member, Position, ReadError};
use crate::topics::Topic;

/// The log is asked this often whether the partition is ours.
const LOOK: Duration = Duration::from_secs(1);
/// An answer is good for this long after the question. With the time that an append under the lease may take it is
/// less than the session's 15 seconds, so that nothing is written when the lease is another's.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// The lease, held or not.
#[derive(Debug)]
pub struct Lease {
    /// When the log was asked last and said that it is ours.
    held: watch::Receiver<Option<Asked>>,
    release: CancellationToken,
    keeper: JoinHandle<()>,
}

/// When a question was asked, on two clocks: the first one stands still while the machine does, and the second one may
/// be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    at: Instant,
    clock: SystemTime,
}

impl Asked {
    fn now() -> Self {
        Self { at: Instant::now(), clock: SystemTime::now() }
    }

    /// Whether the answer still counts. A clock that was set back says nothing.
    fn is_good(self, now: Self) -> bool {
        let by_clock = now.clock.duration_since(self.clock).unwrap_or_default();
        now.at.saturating_duration_since(self.at).max(by_clock) < GOOD_FOR
    }
}

impl Lease {
    /// Joins the instances. Where nobody else can be, as without Kafka, it is ours at once.
    /// The topic is one of one partition whose oldest record never goes.
    ///
    /// # Errors
    ///
    /// Where the log cannot be joined.
    pub async fn join(broker: &Broker, group: &'static str, topic: Topic) -> Result<Self, ReadError> {
        let mut member = broker.join(group, &topic).await?;
        let (shown, held) = watch::channel(ask(&mut member).await.unwrap_or_default());
        let release = CancellationToken::new();
        let keeper = tokio::spawn(keep(group, member, shown, release.clone()));
        Ok(Self { held, release, keeper })
    }

    /// Whether this instance is the one now.
    pub fn is_held(&self) -> bool {
        self.held.borrow().is_some_and(|asked| asked.is_good(Asked::now()))
    }

    /// Gives it up, so that another instance need not wait for the session's end.
    pub async fn release(self) {
        self.release.cancel();
        // A keeper that panicked holds nothing any more.
        let _ = self.keeper.await;
    }
}

async fn keep(
    group: &'static str,
    mut member: Member,
    shown: watch::Sender<Option<Asked>>,
    release: CancellationToken,
) {
    let looking_after = async {
        loop {
            let next_look = tokio::time::Instant::now() + LOOK;
            // Partitions come and go while it waits in here.
            let polled = tokio::time::timeout_at(next_look, member.next(1)).await;
            match ask(&mut member).await {
                Ok(asked) => drop(shown.send_replace(asked)),
                Err(error) => {
                    tracing::warn!(%error, group, "a lease could not be confirmed; trying again");
                }
            }
            if let Ok(Err(error)) = polled {
                tracing::warn!(%error, group, "a lease cannot be looked after; trying again");
            }
            tokio::time::sleep_until(next_look).await;
        }
    };
    tokio::select! {
        () = release.cancelled() => {}
        () = looking_after => {}
    }
}

/// Asks the log whether the partition is ours.
async fn ask(member: &mut Member) -> Result<Option<Asked>, ReadError> {
    let asked = Asked::now();
    let Some(owned) = member.owned().first().copied() else { return Ok(None) };
    member.still_owns(Position { offset: 0, ..owned }).await?;
    Ok(Some(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_runs_out_by_either_clock_and_a_clock_that_is_set_back_prolongs_nothing() {
        let asked = Asked::now();
        let later = |passed: Duration, clock: SystemTime| Asked { at: asked.at + passed, clock };
        let second = Duration::from_secs(1);
        assert!(asked.is_good(later(9 * second, asked.clock + 9 * second)));
        assert!(!asked.is_good(later(10 * second, asked.clock + 10 * second)));
        // The machine stood still, and the lease went to another.
        assert!(!asked.is_good(later(second, asked.clock + 60 * second)));
        // The clock was set back by an hour.
        let back = asked.clock - 3_600 * second;
        assert!(asked.is_good(later(9 * second, back)));
        assert!(!asked.is_good(later(10 * second, back)));
    }
}
