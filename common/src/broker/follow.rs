//! Following a topic as one value that its records add up to, so that a change needs no restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Broker, MAX_BATCH, ReadError, Reader, Record};
use crate::topics::Topic;

const RETRY: Duration = Duration::from_secs(1);

impl Broker {
    /// Folds a topic to its end, then follows it until the stop. The receiver always has the newest value.
    pub async fn follow<V>(
        &self,
        topic: &Topic,
        stop: CancellationToken,
        take: fn(&mut V, &Record),
    ) -> Result<watch::Receiver<Arc<V>>, ReadError>
    where
        V: Clone + Default + Send + Sync + 'static,
    {
        let mut value = V::default();
        let reader = self.replay(topic, |record| take(&mut value, &record)).await?;
        let (sender, receiver) = watch::channel(Arc::new(value));
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = keep_up(reader, sender, take) => {}
            }
        });
        Ok(receiver)
    }
}

/// Ends when nobody listens any more.
async fn keep_up<V: Clone>(mut reader: Reader, sender: watch::Sender<Arc<V>>, take: fn(&mut V, &Record)) {
    while !sender.is_closed() {
        match reader.next(MAX_BATCH).await {
            Ok(records) => sender.send_modify(|value| {
                let newer = Arc::make_mut(value);
                for record in &records {
                    take(newer, record);
                }
            }),
            Err(error) => {
                tracing::warn!(%error, "a topic that is followed cannot be read; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
