//! `erasures`: whom to keep out. It holds no name: an author is a keyed hash.

use serde::{Deserialize, Serialize};

use super::SchemaVersion;
use crate::keys::AuthorKey;
use crate::time::Timestamp;

/// A value of `erasures`; its key is the author's key. Nothing that the author wrote may be kept or come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// Whom to keep out.
    pub author: AuthorKey,
    /// When it was asked for.
    pub at: Timestamp,
}
