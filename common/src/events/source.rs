//! What ingest says of its sources: to the decision side, and to itself after a restart.

use serde::{Deserialize, Serialize};

use super::SchemaVersion;
use crate::time::Timestamp;

/// A change in a source, in `signals`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceHealth {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// The source's id, or the name of the import.
    pub source: String,
    /// What changed.
    pub state: SourceStatus,
    /// Why, in words for a person.
    #[serde(default)]
    pub reason: Option<String>,
    /// Of a finished import: the next raw offset of each partition that it wrote to. Its signals are
    /// complete when [`super::Progress`] has come to these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raw: Vec<super::RawPosition>,
    /// When it changed.
    pub at: Timestamp,
}

/// The state of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceStatus {
    /// It answers.
    Healthy,
    /// It does not, and is tried again.
    Failing,
    /// An import has brought all that it had.
    Finished,
}

/// A value of `source.state`; its key is the source id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceState {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// The source's id.
    pub source: String,
    /// Where to go on: what the source's module wrote there for itself.
    pub cursor: serde_json::Value,
    /// Whether it answers.
    pub status: SourceStatus,
    /// When it last answered.
    pub last_success: Option<Timestamp>,
    /// Why it fails, in words for a person.
    #[serde(default)]
    pub reason: Option<String>,
    /// When it is to be asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
}
