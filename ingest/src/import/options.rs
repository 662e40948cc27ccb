//! What an import is asked for, and what it answers: shared with the operator's command line.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::cleaning::is_plain_name;

/// The query parameters of `POST /api/import`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportOptions {
    /// The import's name; its source id is `import:NAME`.
    pub name: String,
    /// The file's format; seen from its first bytes where absent.
    pub format: Option<Format>,
    /// The network that the ids belong to: they become `NETWORK:ID`. Without this grant they are the file's own,
    /// `import:NAME:ID`, so that two files that both count from 1 do not meet.
    pub network: Option<String>,
    /// IANA name of the zone of times that have no offset; UTC where absent.
    pub zone: Option<String>,
    /// How times are written, in the conversions of `strptime`, where they are in none of the usual formats:
    /// `%m/%d/%Y %H:%M`.
    pub time_format: Option<String>,
    /// The column of the id.
    pub id: Option<String>,
    /// The column of the text.
    pub text: Option<String>,
    /// The column of the time of publication.
    pub time: Option<String>,
    /// The column of the title.
    pub title: Option<String>,
    /// The column of the address where a person can read it.
    pub url: Option<String>,
    /// The column of the author's account name.
    pub author: Option<String>,
    /// The column of the author's id.
    pub author_id: Option<String>,
    /// The column of the author's followers.
    pub followers: Option<String>,
    /// The column of the language.
    pub lang: Option<String>,
    /// The column of the likes.
    pub likes: Option<String>,
    /// The column of the replies.
    pub replies: Option<String>,
    /// The column of the reposts.
    pub reposts: Option<String>,
    /// The column that orders the versions of a mention: a number or a time.
    pub revision: Option<String>,
}

/// The network of an import that was granted none.
const OWN_NETWORK: &str = "import";

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            name: "import".to_owned(),
            format: None,
            network: None,
            zone: None,
            time_format: None,
            id: None,
            text: None,
            time: None,
            title: None,
            url: None,
            author: None,
            author_id: None,
            followers: None,
            lang: None,
            likes: None,
            replies: None,
            reposts: None,
            revision: None,
        }
    }
}

impl ImportOptions {
    /// The id of the import as a source.
    pub fn source_id(&self) -> String {
        format!("import:{}", self.name)
    }

    /// The network that authors belong to.
    pub(super) fn network(&self) -> &str {
        self.network.as_deref().unwrap_or(OWN_NETWORK)
    }

    /// What stands before the ids of mentions.
    pub(super) fn id_prefix(&self) -> String {
        self.network.clone().unwrap_or_else(|| self.source_id())
    }

    /// The zone of times without offset; says what is wrong with the options, where something is.
    pub(super) fn check(&self) -> Result<TimeZone, String> {
        for (option, value) in [("name", self.name.as_str()), ("network", self.network())] {
            if !is_plain_name(value) {
                return Err(format!(
                    "`{option} = {value:?}` must be 1 to 100 letters, digits, `-`, `_` or `.`"
                ));
            }
        }
        let zone = self.zone.as_deref().unwrap_or("UTC");
        TimeZone::get(zone).map_err(|error| format!("`zone = {zone:?}` is not a known time zone: {error}"))
    }

    /// The column that is named for a field.
    pub(super) fn column(&self, field: Field) -> Option<&str> {
        let column = match field {
            Field::Id => &self.id,
            Field::Text => &self.text,
            Field::Time => &self.time,
            Field::Title => &self.title,
            Field::Url => &self.url,
            Field::Author => &self.author,
            Field::AuthorId => &self.author_id,
            Field::Followers => &self.followers,
            Field::Lang => &self.lang,
            Field::Likes => &self.likes,
            Field::Replies => &self.replies,
            Field::Reposts => &self.reposts,
            Field::Revision => &self.revision,
        };
        column.as_deref()
    }
}

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values with a header (RFC 4180); semicolons and tabs are recognised.
    Csv,
    /// JSON Lines: one object a line.
    Jsonl,
}

/// What a column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The id.
    Id,
    /// The text.
    Text,
    /// The time of publication.
    Time,
    /// The title.
    Title,
    /// Where a person can read it.
    Url,
    /// The author's account name.
    Author,
    /// The author's id.
    AuthorId,
    /// The author's followers.
    Followers,
    /// The language.
    Lang,
    /// Likes.
    Likes,
    /// Replies.
    Replies,
    /// Reposts.
    Reposts,
    /// What orders the versions of a mention.
    Revision,
}

impl Field {
    /// The option that names its column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Text => "text",
            Self::Time => "time",
            Self::Title => "title",
            Self::Url => "url",
            Self::Author => "author",
            Self::AuthorId => "author_id",
            Self::Followers => "followers",
            Self::Lang => "lang",
            Self::Likes => "likes",
            Self::Replies => "replies",
            Self::Reposts => "reposts",
            Self::Revision => "revision",
        }
    }
}

/// Which column holds what. For JSON Lines a column is a key, or several joined by dots: `user.name`.
pub type Mapping = BTreeMap<Field, String>;

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportReport {
    /// The import's source id, `import:NAME`.
    pub source: String,
    /// The format that was read.
    pub format: Format,
    /// Rows of the file, without the header.
    pub rows: u64,
    /// Distinct mentions among them.
    pub mentions: u64,
    /// Good rows whose id had come before in the file.
    pub repeated: u64,
    /// Rows that went to the dead letters.
    pub bad: u64,
    /// The first thousand of them.
    pub bad_rows: Vec<BadRow>,
    /// The columns that were used.
    pub mapping: Mapping,
    /// The zone that was taken for times without offset, where there were such.
    pub zone_assumed: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// A row that could not be a mention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// The line of the file that it begins on, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}
