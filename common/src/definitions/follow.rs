//! Following the topic `watchlist`, so that a change needs no restart.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Watchlist;
use crate::broker::{Broker, ReadError, Record};
use crate::events::{DefinitionVersion, decode};
use crate::topics::WATCHLIST;

/// Reads the watchlist to its end, then follows it until the stop. The receiver always has the newest.
pub async fn follow(
    broker: &Broker,
    stop: CancellationToken,
) -> Result<watch::Receiver<Arc<Watchlist>>, ReadError> {
    broker.follow(&WATCHLIST, stop, take).await
}

/// Going on with an older version of a definition than a newer Earshot wrote would judge by what is no longer
/// meant, so that is not passed over.
fn take(watchlist: &mut Watchlist, record: &Record) -> Result<(), ReadError> {
    match decode::<DefinitionVersion>(&record.value) {
        Ok(version) => watchlist.take(record.offset, version),
        Err(error) if error.newer_version => return Err(ReadError::newer_version(&WATCHLIST, record)),
        Err(error) => {
            watchlist.pass_over(record.offset);
            tracing::error!(
                definition = record.key_lossy(), offset = record.offset, %error,
                "this version of a definition is passed over"
            );
        }
    }
    Ok(())
}
