//! What of a feed was seen, so that a restart emits nothing twice and an edit is told from a copy.

use std::collections::{HashMap, HashSet};

use earshot_common::events::{Mention, Origin};
use earshot_common::keys::MentionKey;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// So many entries are remembered: those of the document, then the newest of before.
const REMEMBERED: usize = 2_000;

/// Where a feed was left. Belongs to one address: at another the feed is read for the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Cursor {
    url: String,
    /// What the server calls the version that we have.
    pub(super) etag: Option<String>,
    /// When the server says that version is from.
    pub(super) last_modified: Option<String>,
    /// Whether the feed was read before.
    known: bool,
    /// Newest first.
    seen: Vec<Seen>,
}

/// An entry as it was seen; hashes tell enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    entry: u64,
    content: u64,
    revision: i64,
}

impl Cursor {
    /// What was kept, where it is of this address.
    pub(super) fn read(kept: Option<&Value>, url: &str) -> Self {
        let kept: Option<Self> = kept.and_then(|kept| Self::deserialize(kept).ok());
        let kept = kept.filter(|cursor| cursor.url == url);
        kept.unwrap_or_else(|| Self { url: url.to_owned(), ..Self::default() })
    }

    /// As it is kept.
    pub(super) fn write(&self) -> Value {
        serde_json::to_value(self).expect("a cursor is a plain struct with string keys")
    }

    /// The mentions of the entries that are new or changed, in the order given; remembers all.
    ///
    /// What a feed has when it is read for the first time is history; what comes later is live. An entry that
    /// changed without a newer date of its own is a revision of now.
    pub(super) fn take(&mut self, entries: Vec<Mention>, now: Timestamp) -> Vec<Mention> {
        let origin = if self.known { Origin::Live } else { Origin::History };
        self.known = true;
        let before: HashMap<u64, Seen> = self.seen.iter().map(|seen| (seen.entry, *seen)).collect();
        let mut in_document = HashSet::new();
        let mut newly_seen = Vec::new();
        let mut mentions = Vec::new();
        for mut mention in entries {
            let entry = MentionKey::of(&mention.id).short();
            if !in_document.insert(entry) {
                continue;
            }
            let content = content_of(&mention);
            let seen = match before.get(&entry) {
                Some(seen) if seen.content == content => *seen,
                earlier => {
                    if earlier.is_some_and(|seen| mention.revision <= seen.revision) {
                        mention.revision = now.as_millis();
                    }
                    mention.origin = origin;
                    let revision = mention.revision;
                    mentions.push(mention);
                    Seen { entry, content, revision }
                }
            };
            newly_seen.push(seen);
        }
        newly_seen.reverse();
        newly_seen.extend(self.seen.iter().filter(|seen| !in_document.contains(&seen.entry)));
        newly_seen.truncate(REMEMBERED);
        self.seen = newly_seen;
        mentions
    }
}

/// What a reader would notice.
fn content_of(mention: &Mention) -> u64 {
    MentionKey::of(&format!("{}\0{}", mention.title.as_deref().unwrap_or_default(), mention.text)).short()
}

#[cfg(test)]
mod tests {
    use super::super::adapter::tests::entry;
    use super::*;

    const URL: &str = "https://news.example/feed";

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn listed(mentions: &[Mention]) -> Vec<(&str, Origin, i64)> {
        mentions.iter().map(|m| (m.text.as_str(), m.origin, m.revision)).collect()
    }

    #[test]
    fn the_first_reading_is_history_and_later_ones_are_live() {
        let mut cursor = Cursor::read(None, URL);
        let first = cursor.take(vec![entry("1", "one", Some(10))], at(1_000));
        assert_eq!(listed(&first), [("one", Origin::History, 10)]);
        let second = cursor.take(vec![entry("1", "one", Some(10)), entry("2", "two", Some(20))], at(2_000));
        assert_eq!(listed(&second), [("two", Origin::Live, 20)]);
    }

    #[test]
    fn a_restart_emits_nothing_again() {
        let mut cursor = Cursor::read(None, URL);
        cursor.take(vec![entry("1", "one", None)], at(1_000));
        let mut restarted = Cursor::read(Some(&cursor.write()), URL);
        assert_eq!(restarted, cursor);
        assert_eq!(restarted.take(vec![entry("1", "one", None)], at(2_000)), []);
        // At another address nothing is known.
        let moved = Cursor::read(Some(&cursor.write()), "https://other.example/feed")
            .take(vec![entry("1", "one", None)], at(3_000));
        assert_eq!(moved[0].origin, Origin::History);
    }

    #[test]
    fn a_first_reading_of_an_empty_feed_counts_as_one() {
        let mut cursor = Cursor::read(None, URL);
        cursor.take(Vec::new(), at(1_000));
        assert_eq!(cursor.take(vec![entry("1", "one", Some(10))], at(2_000))[0].origin, Origin::Live);
    }

    #[test]
    fn an_edit_is_a_later_revision_with_or_without_a_date() {
        let mut cursor = Cursor::read(None, URL);
        cursor.take(vec![entry("1", "one", Some(10))], at(1_000));
        let dated = cursor.take(vec![entry("1", "one!", Some(30))], at(2_000));
        assert_eq!(listed(&dated), [("one!", Origin::Live, 30)]);
        let silent = cursor.take(vec![entry("1", "one?", Some(30))], at(3_000));
        assert_eq!(listed(&silent), [("one?", Origin::Live, 3_000)]);
    }

    #[test]
    fn entries_of_the_document_are_never_forgotten() {
        let mut cursor = Cursor::read(None, URL);
        let kept: Vec<String> = (0..1_000).map(|n| format!("kept {n}")).collect();
        for round in 0..5 {
            let entries = kept.iter().map(|id| entry(id, id, Some(1)));
            let others = (0..500).map(|n| entry(&format!("{round}/{n}"), "x", Some(1)));
            let mentions = cursor.take(entries.chain(others).collect(), at(round));
            assert_eq!(mentions.len(), if round == 0 { 1_500 } else { 500 });
        }
        assert_eq!(cursor.seen.len(), REMEMBERED);
    }
}
