//! The bounded room for batches that are on their way to storage; the same on both back ends.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::NewRecord;

/// Bytes that may be on their way at once, by [`cost`].
const ROOM_BYTES: usize = 32 * 1024 * 1024;
/// What a record takes in memory beside its own bytes, roughly.
const OVERHEAD_BYTES: usize = 200;

/// Room for batches. An append waits for its part in the order of the calls.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

/// A batch's part of the room, given back when it is dropped.
pub(super) type Taken = OwnedSemaphorePermit;

impl Room {
    /// An empty room.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_BYTES)))
    }

    /// Waits until there is room for the batch. One that is larger than the room waits for all of it.
    pub(super) async fn take(&self, batch: &[NewRecord]) -> Taken {
        let bytes = cost(batch).min(ROOM_BYTES) as u32;
        Arc::clone(&self.0).acquire_many_owned(bytes).await.expect("the room is never closed")
    }
}

fn cost(batch: &[NewRecord]) -> usize {
    batch.iter().map(|record| record.bytes() + OVERHEAD_BYTES).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_full_room_makes_the_next_batch_wait_until_one_is_stored() {
        let room = Room::new();
        let half = vec![NewRecord::unkeyed(vec![0; ROOM_BYTES / 2 - OVERHEAD_BYTES])];
        let first = room.take(&half).await;
        let _second = room.take(&half).await;
        let mut third = Box::pin(room.take(&half));
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        assert!(third.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_batch_larger_than_the_room_gets_all_of_it() {
        let room = Room::new();
        let all = room.take(&[NewRecord::unkeyed(vec![0; ROOM_BYTES * 2])]).await;
        assert!(room.take(&[NewRecord::unkeyed("small")]).now_or_never().is_none());
        drop(all);
        assert!(room.take(&[NewRecord::unkeyed("small")]).now_or_never().is_some());
    }
}
