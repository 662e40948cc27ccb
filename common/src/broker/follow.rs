//! Following a topic as one value that its records add up to, so that a change needs no restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Broker, MAX_BATCH, ReadError, Reader, Record};
use crate::topics::Topic;

const RETRY: Duration = Duration::from_secs(1);

/// Takes a record into a value. An error says that the record must not be passed over.
pub type Take<V> = fn(&mut V, &Record) -> Result<(), ReadError>;

/// Ends when a value can be followed no more and there was no stop: whoever works with it must not go on.
pub async fn no_longer_followed<V>(
    mut value: watch::Receiver<Arc<V>>,
    topic: &Topic,
    stop: &CancellationToken,
) -> ReadError {
    while value.changed().await.is_ok() {}
    if stop.is_cancelled() {
        std::future::pending::<()>().await;
    }
    ReadError::NewerVersion { topic: topic.name.to_owned(), place: String::new() }
}

impl Broker {
    /// Folds a topic to its end, then follows it until the stop. The receiver always has the newest value; it
    /// closes before the stop where a record came that must not be passed over.
    pub async fn follow<V>(
        &self,
        topic: &Topic,
        stop: CancellationToken,
        take: Take<V>,
    ) -> Result<watch::Receiver<Arc<V>>, ReadError>
    where
        V: Clone + Default + Send + Sync + 'static,
    {
        let mut value = V::default();
        let mut taken = Ok(());
        let reader = self
            .replay(topic, |record| {
                if taken.is_ok() {
                    taken = take(&mut value, &record);
                }
            })
            .await?;
        taken?;
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

/// Ends when nobody listens any more, or a record must not be passed over.
async fn keep_up<V: Clone>(mut reader: Reader, sender: watch::Sender<Arc<V>>, take: Take<V>) {
    while !sender.is_closed() {
        match reader.next(MAX_BATCH).await {
            Ok(records) => {
                let mut taken = Ok(());
                sender.send_modify(|value| {
                    let newer = Arc::make_mut(value);
                    taken = records.iter().try_for_each(|record| take(newer, record));
                });
                if let Err(error) = taken {
                    tracing::error!(%error, "a topic is followed no more");
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a topic that is followed cannot be read; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
