//! Who is kept out of the index, and whose mentions still stand in it.
//!
//! What belongs here: what the stage knows of the erasures, and the deletion that takes a mention out of the
//! topics too. Asking for an erasure is a request's affair (`crate::erasures`).

use std::collections::BTreeSet;
use std::sync::Arc;

use earshot_common::broker::NewRecord;
use earshot_common::erasures::Erased;
use earshot_common::events::{
    Deletion, DeletionReason, Mention, MentionEvent, Origin, SchemaVersion, encode,
};
use earshot_common::keys::{AuthorKey, Secret};
use earshot_common::time::Timestamp;
use tokio::sync::watch;

/// The erasures as one stage knows them.
pub(super) struct Erasing {
    secret: Secret,
    newest: watch::Receiver<Arc<Erased>>,
    known: Arc<Erased>,
    /// Authors of whom mentions may stand here still. All of them at first: a restored index may hold any.
    pending: BTreeSet<AuthorKey>,
}

impl Erasing {
    pub(super) fn new(secret: Secret, newest: watch::Receiver<Arc<Erased>>) -> Self {
        let mut erasing = Self { secret, newest, known: Arc::default(), pending: BTreeSet::new() };
        erasing.refresh();
        erasing
    }

    /// Takes in what was asked for since.
    pub(super) fn refresh(&mut self) {
        let newest = self.newest.borrow_and_update().clone();
        if newest.next() == self.known.next() {
            return;
        }
        let before: BTreeSet<(AuthorKey, Timestamp)> = self.known.authors().collect();
        let asked_since = newest.authors().filter(|asked| !before.contains(asked));
        self.pending.extend(asked_since.map(|(author, _)| author));
        self.known = newest;
    }

    /// Authors of whom mentions may stand here still.
    pub(super) fn pending(&self) -> &BTreeSet<AuthorKey> {
        &self.pending
    }

    /// No mention of these authors stands here any more; answers which erasures are carried out.
    pub(super) fn is_done(&mut self) -> Arc<Erased> {
        self.pending.clear();
        self.known.clone()
    }

    pub(super) fn author_of(&self, mention: &Mention) -> Option<AuthorKey> {
        mention.author.as_ref().map(|author| self.secret.author(&author.id))
    }

    pub(super) fn keeps_out(&self, author: AuthorKey) -> bool {
        self.known.contains(author)
    }
}

/// The end of a mention, for `mentions.raw`: from there it reaches every topic that holds the mention.
pub(super) fn end_of(
    id: &str,
    revision: i64,
    origin: Origin,
    reason: DeletionReason,
    now: Timestamp,
) -> NewRecord {
    let v = SchemaVersion::default();
    let deletion = Deletion { v, id: id.to_owned(), revision, origin, reason, collected: now };
    NewRecord::keyed(id.to_owned(), encode(&MentionEvent::Delete(deletion)))
}
