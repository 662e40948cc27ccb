//! The searches and filters of the watchlist, standing on the stream.
//!
//! What belongs here: following the watchlist, one definition after another, so that a change costs what
//! changed. What a query means is the query language's affair.

use std::collections::BTreeMap;

use earshot_common::definitions::{FILTER_PREFIX, Watchlist, standing_query};
use earshot_common::events::Enriched;
use earshot_common::query::StandingQueries;

/// Every search, by its id, and every rule's filter, by the name that signals give it.
#[derive(Debug, Default)]
pub struct Searches {
    standing: StandingQueries,
    /// The queries as they are written, by what they are named by.
    written: BTreeMap<String, String>,
}

impl Searches {
    /// Takes over what a watchlist says now: what is new and changed is put in place, what is gone is taken
    /// away. One that this version of Earshot cannot read is left out and named in the log; the others go on.
    pub fn follow(&mut self, watchlist: &Watchlist) {
        let mut wanted: BTreeMap<String, String> = BTreeMap::new();
        for search in watchlist.searches() {
            wanted.insert(search.id.clone(), search.query.clone());
        }
        for (_, rule) in watchlist.rules() {
            if let Some(filter) = &rule.filter {
                wanted.insert(rule.filter_id(), filter.clone());
            }
        }
        for id in self.written.keys().filter(|id| !wanted.contains_key(*id)) {
            self.standing.remove(id);
        }
        for (id, query) in wanted.iter().filter(|(id, query)| self.written.get(*id) != Some(*query)) {
            let placed = standing_query(query)
                .and_then(|query| self.standing.put(id, &query).map_err(|refusal| refusal.to_string()));
            if let Err(error) = placed {
                self.standing.remove(id);
                tracing::error!(%id, %error, "this query of the watchlist cannot be read and stands nowhere");
            }
        }
        self.written = wanted;
    }

    /// What a mention matches: the searches' ids are entered into it, and all of them, filters too, are the
    /// answer.
    pub fn matched(&self, mention: &mut Enriched) -> Vec<String> {
        let matched: Vec<String> = self.standing.matches(mention).into_iter().map(str::to_owned).collect();
        mention.searches = matched.iter().filter(|id| !id.starts_with(FILTER_PREFIX)).cloned().collect();
        matched
    }
}
