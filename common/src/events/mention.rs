//! `mentions.raw`: what a source said, before anybody judged it.

use serde::{Deserialize, Serialize};

use super::SchemaVersion;
use crate::time::Timestamp;

/// A value of `mentions.raw`; its key is the mention id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MentionEvent {
    /// The mention as it is now.
    Upsert(Box<Mention>),
    /// The mention is gone at its source.
    Delete(Deletion),
}

impl MentionEvent {
    /// The mention's id.
    pub fn id(&self) -> &str {
        match self {
            Self::Upsert(mention) => &mention.id,
            Self::Delete(deletion) => &deletion.id,
        }
    }
}

/// A public mention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mention {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// The network and its own global id, such as `hn:41983282`.
    pub id: String,
    /// Orders the versions of one mention: the source's edit time in milliseconds, or its sequence number.
    pub revision: i64,
    /// Whether it was read forward or belongs to the past.
    pub origin: Origin,
    /// Who brought it.
    pub source: SourceRef,
    /// Where a person can read it.
    pub url: Option<String>,
    /// Headline, where the source has one.
    pub title: Option<String>,
    /// Plain text.
    pub text: String,
    /// Language as the source gave it (BCP 47).
    pub lang_given: Option<String>,
    /// Country as the source gave it (ISO 3166-1, two letters).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Who wrote it, where known.
    pub author: Option<Author>,
    /// Id of the mention that this one answers.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// Id of the mention that this one repeats.
    #[serde(default)]
    pub repost_of: Option<String>,
    /// Links in the text, expanded where the source did.
    #[serde(default)]
    pub links: Vec<String>,
    /// Addresses of pictures and films.
    #[serde(default)]
    pub media: Vec<String>,
    /// What readers did with it, when it was collected.
    #[serde(default)]
    pub engagement: Engagement,
    /// When the author published it.
    pub published: Timestamp,
    /// When we had it.
    pub collected: Timestamp,
    /// Names of the fields that a limit cut short.
    #[serde(default)]
    pub cut: Vec<String>,
}

impl Mention {
    /// A mention of which nothing is known but its text: read forward, published and collected at the same time.
    pub fn new(id: String, source: SourceRef, text: String, at: Timestamp) -> Self {
        Self {
            v: SchemaVersion::default(),
            id,
            revision: 0,
            origin: Origin::Live,
            source,
            url: None,
            title: None,
            text,
            country: None,
            lang_given: None,
            author: None,
            reply_to: None,
            repost_of: None,
            links: Vec::new(),
            media: Vec::new(),
            engagement: Engagement::default(),
            published: at,
            collected: at,
            cut: Vec::new(),
        }
    }

    /// Event time: the earlier of published and collected, so that a clock ahead of ours moves nothing
    /// into the future.
    pub fn event_time(&self) -> Timestamp {
        self.published.min(self.collected)
    }
}

/// The end of a mention. A deletion is a revision too: an older copy that arrives later stays away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deletion {
    /// Schema version.
    pub v: SchemaVersion<1>,
    /// The mention's id.
    pub id: String,
    /// Orders it among the versions of the mention.
    pub revision: i64,
    /// Whether it was read forward or belongs to the past.
    pub origin: Origin,
    /// Why it is gone.
    pub reason: DeletionReason,
    /// When we knew.
    pub collected: Timestamp,
}

/// Why a mention is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionReason {
    /// Its author or its network removed it.
    DeletedAtSource,
    /// Its author asked us to forget it.
    Erased,
}

/// How a mention came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Read forward from a cursor, however late.
    Live,
    /// A first read, an import, a back-fill: it never pages anybody.
    History,
}

/// The source that a mention came through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRef {
    /// The source's id in the settings, or the name of the import.
    pub id: String,
    /// The network, such as `hackernews`.
    pub network: String,
    /// The host it was published on.
    #[serde(default)]
    pub site: Option<String>,
}

/// The author as the source gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Network and account, such as `hackernews:someone`.
    pub id: String,
    /// Name for display.
    #[serde(default)]
    pub name: Option<String>,
    /// Account name without `@`.
    #[serde(default)]
    pub handle: Option<String>,
    /// Followers or subscribers. `None` is unknown, which is not zero.
    #[serde(default)]
    pub followers: Option<u64>,
    /// Whether the network vouches for the account.
    #[serde(default)]
    pub verified: Option<bool>,
}

/// Reactions, as counted when the mention was collected. `None` is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engagement {
    /// Likes, points or upvotes.
    #[serde(default)]
    pub likes: Option<u64>,
    /// Replies or comments.
    #[serde(default)]
    pub replies: Option<u64>,
    /// Reposts or boosts.
    #[serde(default)]
    pub reposts: Option<u64>,
}
