//! Searches: saved queries that stand on the stream like subjects.

use serde::{Deserialize, Serialize};

use super::{Subject, SubjectKind, utc};
use crate::query::{self, Query};

/// A saved query. Rules watch it like a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Short and stable; rules and records name the search by it.
    pub id: String,
    /// Its name for people; the id where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The query, in the language of `common/docs/query.md`.
    pub query: String,
    /// Where its day begins (IANA name); hours and days of its rules are counted there.
    #[serde(default = "utc")]
    pub zone: String,
}

impl Search {
    /// What the decision side knows a search by, where it stands among subjects: `search:ID`.
    pub fn subject_id(id: &str) -> String {
        format!("search:{id}")
    }

    /// The search as a subject of the decision side, which nothing names but its matches.
    pub(super) fn as_subject(&self) -> Subject {
        let name = self.name.clone().unwrap_or_else(|| self.id.clone());
        let subject = Subject::new(Self::subject_id(&self.id), SubjectKind::Topic, name);
        Subject { zone: self.zone.clone(), ..subject }
    }
}

/// Reads a query that is to stand on the stream; the error says what is wrong with it.
pub fn standing_query(text: &str) -> Result<Query, String> {
    let query = query::parse(text).map_err(|error| error.to_string())?;
    match query::refusal(&query) {
        Some(refusal) => Err(refusal.to_string()),
        None => Ok(query),
    }
}
