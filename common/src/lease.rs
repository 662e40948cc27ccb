//! Which instance of several does what one alone must do.
//!
//! A lease is the one partition of a topic in the group of instances: the log gives it to one member at a time,
//! and to another when that one leaves or is silent for the session's time. What the member reads is of no use
//! here, and its position is never committed.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, Member, ReadError};
use crate::topics::Topic;

/// The member looks this often whether it still has the partition.
const LOOK: Duration = Duration::from_secs(1);
/// A look that is older says nothing: the process may have stood still for as long as it takes to be replaced, which
/// is the session's 15 seconds.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// The lease, held or not.
#[derive(Debug)]
pub struct Lease {
    /// When it was last seen to be ours.
    held: watch::Receiver<Option<Instant>>,
    release: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Lease {
    /// Joins the instances. Where nobody else can be, as without Kafka, it is ours at once.
    pub async fn join(broker: &Broker, group: &'static str, topic: Topic) -> Result<Self, ReadError> {
        let member = broker.join(group, &topic).await?;
        let (shown, held) = watch::channel(seen(&member));
        let release = CancellationToken::new();
        let keeper = tokio::spawn(keep(broker.clone(), (group, topic), member, shown, release.clone()));
        Ok(Self { held, release, keeper })
    }

    /// Whether this instance is the one now.
    pub fn is_held(&self) -> bool {
        self.held.borrow().is_some_and(|seen| seen.elapsed() < GOOD_FOR)
    }

    /// Gives it up, so that another instance need not wait for the session's end.
    pub async fn release(self) {
        self.release.cancel();
        // A keeper that panicked holds nothing any more.
        let _ = self.keeper.await;
    }
}

async fn keep(
    broker: Broker,
    (group, topic): (&'static str, Topic),
    mut member: Member,
    shown: watch::Sender<Option<Instant>>,
    release: CancellationToken,
) {
    loop {
        let next_look = tokio::time::Instant::now() + LOOK;
        let polled = tokio::select! {
            () = release.cancelled() => return,
            polled = tokio::time::timeout_at(next_look, member.next(1)) => polled,
        };
        if let Ok(Err(error)) = polled {
            tracing::warn!(%error, group, "a lease cannot be looked after; trying again");
        }
        let last = *shown.borrow();
        if last.is_some_and(|last| last.elapsed() >= GOOD_FOR) {
            // Somebody else may have it by now: what is ours is only known after joining anew.
            shown.send_replace(None);
            match broker.join(group, &topic).await {
                Ok(joined) => member = joined,
                Err(error) => {
                    tracing::warn!(%error, group, "a lease cannot be asked for; trying again");
                }
            }
        } else {
            shown.send_replace(seen(&member));
        }
        tokio::select! {
            () = release.cancelled() => return,
            () = tokio::time::sleep_until(next_look) => {}
        }
    }
}

fn seen(member: &Member) -> Option<Instant> {
    (!member.owned().is_empty()).then(Instant::now)
}
