//! The records of the topics: what the services say to each other.
//!
//! One module for each topic that carries our JSON. A value begins with its schema version `v`; a program
//! reads every version up to its own, ignores fields it does not know, and refuses a version from the future.
//! Golden examples of every version are in `common/tests/golden/`.

mod alert;
mod arithmetic;
mod enriched;
mod erasure;
mod label;
mod mention;
mod reach;
mod rebuild;
mod signal;
mod source;
mod watchlist;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use alert::*;
pub use arithmetic::*;
pub use enriched::*;
pub use erasure::*;
pub use label::*;
pub use mention::*;
pub use reach::*;
pub use rebuild::*;
pub use signal::*;
pub use source::*;
pub use watchlist::*;

/// The schema version of a value, at most `NEWEST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaVersion<const NEWEST: u32>(u32);

impl<const NEWEST: u32> Default for SchemaVersion<NEWEST> {
    fn default() -> Self {
        Self(NEWEST)
    }
}

impl<const NEWEST: u32> Serialize for SchemaVersion<NEWEST> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de, const NEWEST: u32> Deserialize<'de> for SchemaVersion<NEWEST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            version if (1..=NEWEST).contains(&version) => Ok(Self(version)),
            0 => Err(de::Error::custom("version 0 is none: versions begin with 1")),
            version => Err(de::Error::custom(format_args!(
                "{NEWER_VERSION} {version} is not one that this program reads (1 to {NEWEST})"
            ))),
        }
    }
}

/// A value that is not the record it should be.
#[derive(Debug, thiserror::Error)]
#[error("decode field `{path}`: {message}")]
pub struct DecodeError {
    /// Where in the value.
    pub path: String,
    /// What is wrong there.
    pub message: String,
    /// Whether its schema version is one that a newer Earshot writes.
    pub newer_version: bool,
}

/// How the refusal of a schema version from the future begins.
const NEWER_VERSION: &str = "schema version";

/// Reads a record from the bytes of a topic.
pub fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, DecodeError> {
    // To keep the path costs time, so it is looked for only where there is something to say.
    if let Ok(record) = T::deserialize(&mut serde_json::Deserializer::from_slice(value)) {
        return Ok(record);
    }
    let mut reader = serde_json::Deserializer::from_slice(value);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let message = error.inner().to_string();
        let newer_version = message.starts_with(NEWER_VERSION);
        DecodeError { path: error.path().to_string(), message, newer_version }
    })
}

/// Writes a record as the bytes of a topic.
pub fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record)
        .expect("records are plain structs with string keys, which JSON can always write")
}
