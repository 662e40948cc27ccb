//! Where each source was left, kept in `source.state`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use earshot_common::broker::{AppendError, Broker, NewRecord, ReadError, partition_of};
use earshot_common::definitions::Source;
use earshot_common::events::{SourceState, decode, encode};
use earshot_common::text::url_host;
use earshot_common::topics::SOURCE_STATE;

/// The newest state of each source. All clones share it.
#[derive(Clone, Debug)]
pub(super) struct States {
    broker: Broker,
    newest: Arc<Mutex<HashMap<Place, SourceState>>>,
}

/// A source that moves to another host begins anew in that host's partition, so both belong to the key.
type Place = (u32, String);

impl States {
    /// Reads all states that are kept. One that cannot be read is as good as none: its source begins anew.
    pub(super) async fn load(broker: &Broker) -> Result<Self, ReadError> {
        let mut newest = HashMap::new();
        broker
            .replay(&SOURCE_STATE, |record| match decode::<SourceState>(&record.value) {
                Ok(state) => {
                    newest.insert((record.partition, state.source.clone()), state);
                }
                Err(error) => {
                    tracing::warn!(source = record.key_lossy(), %error, "a source's state is passed over");
                }
            })
            .await?;
        Ok(Self { broker: broker.clone(), newest: Arc::new(Mutex::new(newest)) })
    }

    /// The state of a source, where it has one.
    pub(super) fn get(&self, source: &Source) -> Option<SourceState> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.get(&place(source)).cloned()
    }

    /// Keeps in mind what a source's state is, until a newer one comes; the log need not hold every answer.
    pub(super) fn remember(&self, source: &Source, state: SourceState) {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).insert(place(source), state);
    }

    /// Stores a source's state.
    pub(super) async fn put(&self, source: &Source, state: SourceState) -> Result<(), AppendError> {
        let (partition, id) = place(source);
        let record = NewRecord { partition: Some(partition), ..NewRecord::keyed(id.clone(), encode(&state)) };
        self.broker.append_durably(&SOURCE_STATE, vec![record]).await?;
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).insert((partition, id), state);
        Ok(())
    }
}

/// The sources of one host are in one partition.
fn place(source: &Source) -> Place {
    let host = url_host(&source.url).unwrap_or_default();
    (partition_of(host.as_bytes(), SOURCE_STATE.partitions), source.id.clone())
}
