//! Publishing definitions: by difference, one publication at a time.

use std::sync::Arc;
use std::time::Duration;

use earshot_common::broker::{Broker, NewRecord};
use earshot_common::definitions::{Definition, Watchlist, check, difference, doubts};
use earshot_common::events::encode;
use earshot_common::http::Refusal;
use earshot_common::topics::WATCHLIST;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

/// Following the end of the watchlist takes longer only where the log does not answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// What `POST /api/watchlist` takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishRequest {
    /// Each owner with all the definitions that it has from now on.
    pub owners: Vec<OwnedDefinitions>,
}

/// All the definitions of one owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedDefinitions {
    /// Who owns them, such as `file:harbor.toml`.
    pub owner: String,
    /// The definitions.
    pub definitions: Vec<Definition>,
}

/// What `POST /api/watchlist` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishAnswer {
    /// New versions, retired definitions among them.
    pub published: usize,
    /// The watchlist's version: the next offset of its topic.
    pub version: u64,
    /// What is allowed in what is now in force, and probably not meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
}

/// The one door to the topic `watchlist`.
#[derive(Clone)]
pub(crate) struct Publisher {
    broker: Broker,
    followed: watch::Receiver<Arc<Watchlist>>,
    turn: Arc<Mutex<()>>,
}

impl Publisher {
    /// The watchlist as it is followed.
    pub(crate) fn followed(&self) -> watch::Receiver<Arc<Watchlist>> {
        self.followed.clone()
    }

    pub(crate) fn new(broker: Broker, followed: watch::Receiver<Arc<Watchlist>>) -> Self {
        Self { broker, followed, turn: Arc::default() }
    }

    /// The definitions in force.
    pub(crate) fn current(&self) -> Arc<Watchlist> {
        self.followed.borrow().clone()
    }

    /// Publishes what differs, and answers when it is in force here.
    pub(crate) async fn publish(&self, request: PublishRequest) -> Result<PublishAnswer, Refusal> {
        for definition in request.owners.iter().flat_map(|owned| &owned.definitions) {
            check(definition).map_err(Refusal::bad_request)?;
        }
        let _turn = self.turn.lock().await;
        let bounds = self.broker.bounds(&WATCHLIST, None).await.map_err(Refusal::unavailable)?;
        let end = bounds.iter().map(|bounds| bounds.next).max().unwrap_or_default();
        let published = self.up_to(end).await?;
        let owners = request.owners.into_iter().map(|owned| (owned.owner, owned.definitions)).collect();
        let changes = difference(&published, owners).map_err(Refusal::bad_request)?;
        if changes.is_empty() {
            return Ok(PublishAnswer { published: 0, version: end, doubts: doubts(&published) });
        }
        let records =
            changes.iter().map(|change| NewRecord::keyed(change.id.clone(), encode(change))).collect();
        let stored = self.broker.append_durably(&WATCHLIST, records).await.map_err(Refusal::unavailable)?;
        let version = stored.iter().map(|position| position.offset + 1).max().unwrap_or(end);
        let published = self.up_to(version).await?;
        Ok(PublishAnswer { published: changes.len(), version, doubts: doubts(&published) })
    }

    /// The watchlist, once it is read up to an offset.
    async fn up_to(&self, offset: u64) -> Result<Arc<Watchlist>, Refusal> {
        let mut followed = self.followed.clone();
        let read = followed.wait_for(|watchlist| watchlist.next() >= offset);
        match tokio::time::timeout(DEADLINE, read).await {
            Ok(Ok(watchlist)) => Ok(watchlist.clone()),
            _ => Err(Refusal::unavailable(format!(
                "the watchlist cannot be read up to its end, offset {offset}; the log says why"
            ))),
        }
    }
}
