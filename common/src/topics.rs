//! The topics: names, partitions, policies. Every program creates what is missing and verifies the rest.

use std::fmt;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Thirteen months: as far as search reaches.
const SEARCH_REACH: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// A topic as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name, without the installation's prefix.
    pub name: &'static str,
    /// Number of partitions, fixed at creation.
    pub partitions: u32,
    /// What becomes of old records.
    pub cleanup: Cleanup,
}

/// What becomes of old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// All are kept.
    Keep,
    /// Records older than this go.
    Delete(Duration),
    /// Of each key the newest record stays.
    Compact,
    /// Of each key the newest record stays, until it is older than this.
    CompactAndDelete(Duration),
}

impl Cleanup {
    /// Whether older records of a key go.
    pub fn compacts(self) -> bool {
        matches!(self, Self::Compact | Self::CompactAndDelete(_))
    }

    /// How long records are kept; `None` for ever.
    pub fn retention(self) -> Option<Duration> {
        match self {
            Self::Delete(age) | Self::CompactAndDelete(age) => Some(age),
            Self::Keep | Self::Compact => None,
        }
    }
}

impl fmt::Display for Cleanup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = |age: &Duration| age.as_secs_f64() / DAY.as_secs_f64();
        match self {
            Self::Keep => f.write_str("kept for ever"),
            Self::Delete(age) => write!(f, "deleted after {} days", days(age)),
            Self::Compact => f.write_str("compacted"),
            Self::CompactAndDelete(age) => write!(f, "compacted, deleted after {} days", days(age)),
        }
    }
}

/// What sources said, before anybody judged it.
pub const MENTIONS_RAW: Topic =
    Topic { name: "mentions.raw", partitions: 4, cleanup: Cleanup::Delete(DAY.saturating_mul(7)) };
/// Mentions with our judgement: the index can always be rebuilt from it.
pub const MENTIONS_ENRICHED: Topic =
    Topic { name: "mentions.enriched", partitions: 4, cleanup: Cleanup::CompactAndDelete(SEARCH_REACH) };
/// The one ordered input log of the decision side; kept longer than the longest baseline.
pub const SIGNALS: Topic =
    Topic { name: "signals", partitions: 1, cleanup: Cleanup::Delete(DAY.saturating_mul(120)) };
/// Every transition of every alert: the audit log.
pub const ALERTS: Topic = Topic { name: "alerts", partitions: 1, cleanup: Cleanup::Keep };
/// Each version of each definition; an offset is a version.
pub const WATCHLIST: Topic = Topic { name: "watchlist", partitions: 1, cleanup: Cleanup::Keep };
/// Cursor and health of each source.
pub const SOURCE_STATE: Topic = Topic { name: "source.state", partitions: 4, cleanup: Cleanup::Compact };
/// Authors whom to keep out, by a keyed hash.
pub const ERASURES: Topic = Topic { name: "erasures", partitions: 1, cleanup: Cleanup::Compact };
/// Subjects whose counts must be made anew, and whether they were; written by alerts and enrich.
pub const REBUILDS: Topic =
    Topic { name: "rebuilds", partitions: 1, cleanup: Cleanup::CompactAndDelete(DAY.saturating_mul(28)) };
/// Messages that can never succeed, with the reason.
pub const DEAD_LETTERS: Topic =
    Topic { name: "dead-letters", partitions: 1, cleanup: Cleanup::Delete(DAY.saturating_mul(28)) };

/// All of them, in the order of a mention's journey.
pub const ALL: [Topic; 9] = [
    MENTIONS_RAW,
    MENTIONS_ENRICHED,
    SIGNALS,
    ALERTS,
    WATCHLIST,
    SOURCE_STATE,
    ERASURES,
    REBUILDS,
    DEAD_LETTERS,
];
