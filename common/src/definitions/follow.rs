//! Following the topic `watchlist`, so that a change needs no restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Watchlist;
use crate::broker::{Broker, MAX_BATCH, ReadError, Reader, Record};
use crate::events::{DefinitionVersion, decode};
use crate::topics::WATCHLIST;

const RETRY: Duration = Duration::from_secs(1);

/// Reads the watchlist to its end, then follows it until the stop. The receiver always has the newest.
pub async fn follow(
    broker: &Broker,
    stop: CancellationToken,
) -> Result<watch::Receiver<Arc<Watchlist>>, ReadError> {
    let mut watchlist = Watchlist::default();
    let reader = broker.replay(&WATCHLIST, |record| take(&mut watchlist, &record)).await?;
    let (sender, receiver) = watch::channel(Arc::new(watchlist));
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = keep_up(reader, sender) => {}
        }
    });
    Ok(receiver)
}

/// Ends when nobody listens any more.
async fn keep_up(mut reader: Reader, sender: watch::Sender<Arc<Watchlist>>) {
    while !sender.is_closed() {
        match reader.next(MAX_BATCH).await {
            Ok(records) => sender.send_modify(|watchlist| {
                let newer = Arc::make_mut(watchlist);
                for record in &records {
                    take(newer, record);
                }
            }),
            Err(error) => {
                tracing::warn!(%error, "the watchlist cannot be read; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

fn take(watchlist: &mut Watchlist, record: &Record) {
    match decode::<DefinitionVersion>(&record.value) {
        Ok(version) => watchlist.take(record.offset, version),
        Err(error) => {
            watchlist.pass_over(record.offset);
            tracing::error!(
                definition = record.key_lossy(), offset = record.offset, %error,
                "this version of a definition is passed over"
            );
        }
    }
}
