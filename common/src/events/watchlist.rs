//! `watchlist`: each version of each definition; the offset is the version.

use serde::{Deserialize, Serialize};

use super::SchemaVersion;
use crate::definitions::Definition;

/// A value of `watchlist`; its key is [`DefinitionVersion::id`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefinitionVersion {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// Kind and id, such as `subject/harbor`.
    pub id: String,
    /// Who may change it: `file:NAME` or `console`.
    pub owner: String,
    /// The definition, or `None` where it is retired.
    pub definition: Option<Definition>,
    /// Its offset in `watchlist`; set by readers and by the copy in `signals`.
    #[serde(default)]
    pub version: Option<u64>,
}
