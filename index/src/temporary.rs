//! An index in memory for mentions that no log holds: what a query would find among them.

use std::collections::BTreeSet;

use anyhow::Context as _;
use earshot_common::events::Enriched;
use earshot_common::query::Query;
use earshot_common::time::Timestamp;
use tantivy::collector::DocSetCollector;
use tantivy::directory::RamDirectory;

use crate::query::Filter;
use crate::schema::OFFSET;
use crate::store::Store;

/// An index in memory. Its mentions are known by the order in which they were added, from 0; their ids may
/// repeat.
pub struct TemporaryIndex {
    store: Store,
    next: u64,
}

impl TemporaryIndex {
    /// An empty one.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { store: Store::in_directory(RamDirectory::create())?, next: 0 })
    }

    /// Adds mentions, as one segment or more of their own.
    pub fn add(&mut self, mentions: impl IntoIterator<Item = Enriched>) -> anyhow::Result<()> {
        let mut writer = self.store.writer()?;
        for mut mention in mentions {
            mention.raw.offset = self.next;
            self.next += 1;
            writer.add_document(self.store.fields.mention(&mention, None)).context("index a mention")?;
        }
        writer.commit().context("commit the index")?;
        self.store.reload().context("read the index")
    }

    /// Which mentions a query finds, in the order in which they were added, where `now` is now.
    pub fn find(&self, query: &Query, now: Timestamp) -> anyhow::Result<BTreeSet<u64>> {
        let filter = Filter { query: query.clone(), now, ..Filter::default() };
        let searcher = self.store.searcher();
        let found = searcher
            .search(&filter.to_tantivy(&self.store.fields), &DocSetCollector)
            .context("search the index")?;
        let mut numbers = BTreeSet::new();
        for address in found {
            let columns = searcher.segment_reader(address.segment_ord).fast_fields();
            numbers.extend(columns.u64(OFFSET)?.first(address.doc_id));
        }
        Ok(numbers)
    }
}
