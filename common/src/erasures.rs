//! Following the topic `erasures`: who is kept out, known to every service that could let them in.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, ReadError, Record};
use crate::events::{Erasure, decode};
use crate::keys::AuthorKey;
use crate::time::Timestamp;
use crate::topics::ERASURES;

/// The authors who are kept out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    authors: BTreeMap<AuthorKey, Timestamp>,
    next: u64,
}

impl Erased {
    /// Whether nothing of this author may be kept.
    pub fn contains(&self, author: AuthorKey) -> bool {
        self.authors.contains_key(&author)
    }

    /// Each author with the time of the last request.
    pub fn authors(&self) -> impl Iterator<Item = (AuthorKey, Timestamp)> + '_ {
        self.authors.iter().map(|(author, at)| (*author, *at))
    }

    /// The offset behind the last record that was taken in.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes in a record of the topic. What a newer Earshot wrote must not be passed over: somebody would be let in
    /// who is to be kept out.
    pub fn take(&mut self, record: &Record) -> Result<(), ReadError> {
        match decode::<Erasure>(&record.value) {
            Ok(erasure) => drop(self.authors.insert(erasure.author, erasure.at)),
            Err(error) if error.newer_version => return Err(ReadError::newer_version(&ERASURES, record)),
            Err(error) => {
                tracing::error!(offset = record.offset, %error, "this record of `erasures` is passed over");
            }
        }
        self.next = record.offset + 1;
        Ok(())
    }
}

/// Reads the erasures to their end, then follows them until the stop. The receiver always has the newest.
pub async fn follow(
    broker: &Broker,
    stop: CancellationToken,
) -> Result<watch::Receiver<Arc<Erased>>, ReadError> {
    broker.follow(&ERASURES, stop, Erased::take).await
}
