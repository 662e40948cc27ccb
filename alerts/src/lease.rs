//! Which instance writes. Every instance folds the same log; the one that holds the lease writes what was decided
//! and has people told, and the others stand by, warm.
//!
//! The lease is the one partition of `alerts` in the group of instances: the log gives it to one member at a time,
//! and to another when that one leaves or is silent for the session's time. What the member reads is of no use
//! here, and its position is never committed.

use std::time::{Duration, Instant};

use earshot_common::broker::{Broker, Member, ReadError};
use earshot_common::topics::ALERTS;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const GROUP: &str = "alerts-writer";
/// The member looks this often whether it still has the partition.
const LOOK: Duration = Duration::from_secs(1);
/// A look that is older says nothing: the process may have stood still for as long as it takes to be replaced, which
/// is the session's 15 seconds.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// The lease, held or not.
#[derive(Debug)]
pub(crate) struct Lease {
    /// When it was last seen to be ours.
    held: watch::Receiver<Option<Instant>>,
    release: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Lease {
    /// Joins the instances. Where nobody else can be, as without Kafka, it is ours at once.
    pub(crate) async fn join(broker: &Broker) -> Result<Self, ReadError> {
        let member = broker.join(GROUP, &ALERTS).await?;
        let (shown, held) = watch::channel(seen(&member));
        let release = CancellationToken::new();
        let keeper = tokio::spawn(keep(broker.clone(), member, shown, release.clone()));
        Ok(Self { held, release, keeper })
    }

    /// Whether this instance may write now.
    pub(crate) fn is_held(&self) -> bool {
        self.held.borrow().is_some_and(|seen| seen.elapsed() < GOOD_FOR)
    }

    /// Gives it up, so that another instance need not wait for the session's end.
    pub(crate) async fn release(self) {
        self.release.cancel();
        // A keeper that panicked holds nothing any more.
        let _ = self.keeper.await;
    }
}

async fn keep(
    broker: Broker,
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
            tracing::warn!(%error, "the lease to write `alerts` cannot be looked after; trying again");
        }
        let last = *shown.borrow();
        if last.is_some_and(|last| last.elapsed() >= GOOD_FOR) {
            // Somebody else may have it by now: what is ours is only known after joining anew.
            shown.send_replace(None);
            match broker.join(GROUP, &ALERTS).await {
                Ok(joined) => member = joined,
                Err(error) => {
                    tracing::warn!(%error, "the lease to write `alerts` cannot be asked for; trying again");
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
