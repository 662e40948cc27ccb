//! Searching: pages of mentions, single mentions, and the values that filters can take.

use std::collections::BTreeSet;

use anyhow::Context as _;
use earshot_common::events::{Enriched, Polarity, decode};
use earshot_common::keys::AuthorKey;
use earshot_common::time::Timestamp;
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{Query as TantivyQuery, TermQuery, TermSetQuery};
use tantivy::schema::{Field, IndexRecordOption, Value};
use tantivy::{DocAddress, DocId, Score, Searcher, SegmentReader, TantivyDocument, Term};

use crate::query::Filter;
use crate::schema::{TIE, TIME};
use crate::store::Store;

/// Values of a filter that are offered, at most.
const MAX_VALUES: usize = 200;

/// In which order mentions come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Newest first.
    #[default]
    Time,
    /// What says most about the query first, then newest first.
    Relevance,
}

/// A mention's place in an order: what the next page begins behind. Written as text for addresses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cursor {
    /// By event time; mentions of one instant are told apart by a part of their key.
    Time(i64, u64),
    /// By relevance, then as by time.
    Relevance(Score, i64, u64),
}

impl Cursor {
    fn sort(self) -> Sort {
        match self {
            Self::Time(..) => Sort::Time,
            Self::Relevance(..) => Sort::Relevance,
        }
    }

    /// Reads a cursor of the given order; `None` where it is none.
    pub(crate) fn parse(text: &str, sort: Sort) -> Option<Self> {
        let parts: Vec<&str> = text.split('_').collect();
        let cursor = match parts.as_slice() {
            ["t", time, tie] => Self::Time(time.parse().ok()?, u64::from_str_radix(tie, 16).ok()?),
            ["r", score, time, tie] => Self::Relevance(
                f32::from_bits(u32::from_str_radix(score, 16).ok()?),
                time.parse().ok()?,
                u64::from_str_radix(tie, 16).ok()?,
            ),
            _ => return None,
        };
        (cursor.sort() == sort).then_some(cursor)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Time(time, tie) => write!(f, "t_{time}_{tie:016x}"),
            Self::Relevance(score, time, tie) => write!(f, "r_{:08x}_{time}_{tie:016x}", score.to_bits()),
        }
    }
}

/// One page of mentions.
#[derive(Debug)]
pub(crate) struct Page {
    /// All that match, on every page.
    pub(crate) total: u64,
    /// The page's mentions, in order.
    pub(crate) mentions: Vec<Enriched>,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<Cursor>,
}

/// Finds mentions. A cursor names a place in the order and not a number of results, so that mentions which
/// arrive meanwhile move nothing: by time no page repeats or skips any. (By relevance a new mention changes
/// every score a little, which no place can withstand.)
pub(crate) fn search(
    store: &Store,
    filter: &Filter,
    sort: Sort,
    after: Option<Cursor>,
    limit: usize,
) -> anyhow::Result<Page> {
    let searcher = store.searcher();
    let query = filter.to_tantivy(&store.fields);
    // One more than asked for says whether there is a next page.
    let top = TopDocs::with_limit(limit + 1);
    let (total, mut found) = match sort {
        Sort::Time => {
            let collector = top.order_by(move |segment: &SegmentReader| {
                let place = place(segment);
                move |document: DocId| {
                    let (time, tie) = place(document);
                    let rest = !matches!(after, Some(Cursor::Time(t, k)) if (time, tie) >= (t, k));
                    (rest, time, tie)
                }
            });
            let (total, found) = searcher.search(&query, &(Count, collector))?;
            let cursors = found.into_iter().filter(|((rest, ..), _)| *rest);
            (total, cursors.map(|((_, time, tie), at)| (Cursor::Time(time, tie), at)).collect::<Vec<_>>())
        }
        Sort::Relevance => {
            let collector = top.tweak_score(move |segment: &SegmentReader| {
                let place = place(segment);
                move |document: DocId, score: Score| {
                    let (time, tie) = place(document);
                    let rest =
                        !matches!(after, Some(Cursor::Relevance(s, t, k)) if (score, time, tie) >= (s, t, k));
                    (rest, score, time, tie)
                }
            });
            let (total, found) = searcher.search(&query, &(Count, collector))?;
            let rest = found.into_iter().filter(|((rest, ..), _)| *rest);
            let cursor = |((_, score, time, tie), at)| (Cursor::Relevance(score, time, tie), at);
            (total, rest.map(cursor).collect())
        }
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(cursor, _)| *cursor);
    let mut mentions = Vec::with_capacity(found.len());
    for (_, at) in found {
        mentions.push(read(store, &searcher, at)?);
    }
    Ok(Page { total: total as u64, mentions, next })
}

/// Event time and tie-breaker of a segment's documents.
fn place(segment: &SegmentReader) -> impl Fn(DocId) -> (i64, u64) + use<> {
    let columns = segment.fast_fields();
    let times = columns.i64(TIME).expect("the schema has `time` as a column");
    let ties = columns.u64(TIE).expect("the schema has `tie` as a column");
    move |document| (times.first(document).unwrap_or_default(), ties.first(document).unwrap_or_default())
}

/// The mention of an id.
pub(crate) fn by_id(store: &Store, id: &str) -> anyhow::Result<Option<Enriched>> {
    by_term(store, Term::from_field_text(store.fields.id, id))
}

/// The mention of a key; none where it was deleted or is not indexed yet.
pub(crate) fn by_key(store: &Store, key: &str) -> anyhow::Result<Option<Enriched>> {
    by_term(store, Term::from_field_text(store.fields.key, key))
}

fn by_term(store: &Store, term: Term) -> anyhow::Result<Option<Enriched>> {
    let searcher = store.searcher();
    let exact: Box<dyn TantivyQuery> = Box::new(TermQuery::new(term, IndexRecordOption::Basic));
    let found = searcher.search(&exact, &TopDocs::with_limit(1).order_by_score())?;
    let Some((_, at)) = found.first() else { return Ok(None) };
    if is_deleted(store, &searcher, *at)? {
        return Ok(None);
    }
    read(store, &searcher, *at).map(Some)
}

/// Mentions of any of these authors, at most so many.
pub(crate) fn by_authors(
    store: &Store,
    authors: &BTreeSet<AuthorKey>,
    limit: usize,
) -> anyhow::Result<Vec<Enriched>> {
    let searcher = store.searcher();
    let terms = authors.iter().map(|author| Term::from_field_text(store.fields.author, &author.to_string()));
    let found = searcher.search(&TermSetQuery::new(terms), &TopDocs::with_limit(limit).order_by_score())?;
    found.into_iter().map(|(_, at)| read(store, &searcher, at)).collect()
}

/// So many of the mentions that match at most, drawn evenly over all of them: the same at every call.
pub(crate) fn sample(store: &Store, filter: &Filter, most: usize) -> anyhow::Result<Vec<Enriched>> {
    let searcher = store.searcher();
    // The tie-breaker is a part of the mention's key, which is a hash: it has no order that means anything.
    let drawn = TopDocs::with_limit(most).order_by(|segment: &SegmentReader| {
        let place = place(segment);
        move |document: DocId| place(document).1
    });
    let found = searcher.search(&filter.to_tantivy(&store.fields), &drawn)?;
    found.into_iter().map(|(_, at)| read(store, &searcher, at)).collect()
}

/// How many mentions match.
pub(crate) fn count(store: &Store, filter: &Filter) -> anyhow::Result<u64> {
    let count = store.searcher().search(&filter.to_tantivy(&store.fields), &Count)?;
    Ok(count as u64)
}

/// A tombstone holds no record.
fn is_deleted(store: &Store, searcher: &Searcher, at: DocAddress) -> anyhow::Result<bool> {
    let document: TantivyDocument = searcher.doc(at)?;
    Ok(document.get_first(store.fields.record).is_none())
}

fn read(store: &Store, searcher: &Searcher, at: DocAddress) -> anyhow::Result<Enriched> {
    let document: TantivyDocument = searcher.doc(at).context("read a document of the index")?;
    let record = document.get_first(store.fields.record);
    let record = record.as_ref().and_then(|value| value.as_bytes()).context("a document holds no record")?;
    decode(record).context("read a record of the index")
}

/// What the filters can be set to.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    /// Sources that mentions came through.
    pub(crate) sources: Vec<String>,
    /// Languages of mentions.
    pub(crate) langs: Vec<String>,
}

/// The sources and languages of the index, in alphabetical order.
pub(crate) fn choices(store: &Store) -> anyhow::Result<Choices> {
    let searcher = store.searcher();
    Ok(Choices {
        sources: values(&searcher, store.fields.source)?,
        langs: values(&searcher, store.fields.lang)?,
    })
}

fn values(searcher: &Searcher, field: Field) -> anyhow::Result<Vec<String>> {
    let mut values = BTreeSet::new();
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(field)?;
        let mut terms = index.terms().stream()?;
        while values.len() < MAX_VALUES && terms.advance() {
            values.insert(String::from_utf8_lossy(terms.key()).into_owned());
        }
    }
    Ok(values.into_iter().collect())
}

/// Event times of the matches with one polarity, counted by quarter of an hour: the largest span that
/// lies within one hour, and one day, of every zone in use.
pub(crate) fn quarter_hours(
    store: &Store,
    filter: &Filter,
    sentiment: Polarity,
) -> anyhow::Result<std::collections::BTreeMap<Timestamp, u64>> {
    // A filter that asks for another polarity leaves nothing of this one.
    if filter.sentiment.is_some_and(|asked| asked != sentiment) {
        return Ok(std::collections::BTreeMap::new());
    }
    let filter = Filter { sentiment: Some(sentiment), ..filter.clone() };
    let counts = store.searcher().search(&filter.to_tantivy(&store.fields), &QuarterHours)?;
    let start = |quarter: i64| Timestamp::from_millis(quarter * QUARTER_HOUR_MS);
    Ok(counts.into_iter().map(|(quarter, count)| (start(quarter), count)).collect())
}

const QUARTER_HOUR_MS: i64 = 15 * 60 * 1_000;

struct QuarterHours;

struct SegmentQuarterHours {
    times: tantivy::columnar::Column<i64>,
    counts: std::collections::HashMap<i64, u64>,
}

impl tantivy::collector::Collector for QuarterHours {
    type Fruit = std::collections::HashMap<i64, u64>;
    type Child = SegmentQuarterHours;

    fn for_segment(&self, _: u32, segment: &SegmentReader) -> tantivy::Result<SegmentQuarterHours> {
        Ok(SegmentQuarterHours { times: segment.fast_fields().i64(TIME)?, counts: Self::Fruit::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<Self::Fruit>) -> tantivy::Result<Self::Fruit> {
        let mut all = Self::Fruit::new();
        for (quarter, count) in segments.into_iter().flatten() {
            *all.entry(quarter).or_default() += count;
        }
        Ok(all)
    }
}

impl tantivy::collector::SegmentCollector for SegmentQuarterHours {
    type Fruit = std::collections::HashMap<i64, u64>;

    fn collect(&mut self, document: DocId, _: Score) {
        let time = self.times.first(document).unwrap_or_default();
        *self.counts.entry(time.div_euclid(QUARTER_HOUR_MS)).or_default() += 1;
    }

    fn harvest(self) -> Self::Fruit {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use earshot_common::query::parse;

    use super::*;
    use crate::fixtures::{add, at, index_of, mention};

    fn ids(page: &Page) -> Vec<&str> {
        page.mentions.iter().map(|mention| mention.mention.id.as_str()).collect()
    }

    #[test]
    fn pages_by_time_repeat_and_skip_nothing_while_mentions_arrive() {
        // Pairs share an instant: only the tie-breaker tells them apart.
        let early: Vec<Enriched> = (0..10)
            .map(|n| at(mention(&format!("m{n}"), "x"), &format!("2026-01-01T00:00:{:02}Z", n / 2)))
            .collect();
        let store = index_of(&early);
        let filter = Filter::default();
        let mut seen: Vec<String> = Vec::new();
        let mut cursor = None;
        for n in 0.. {
            let page = search(&store, &filter, Sort::Time, cursor, 3).unwrap();
            assert_eq!(page.total, 10 + 2 * n, "the total counts every page");
            seen.extend(ids(&page).into_iter().map(str::to_owned));
            let Some(next) = page.next else { break };
            cursor = Cursor::parse(&next.to_string(), Sort::Time);
            assert_eq!(cursor, Some(next));
            // One arrives that is newer than the place, and one exactly beside the first page.
            let newer = at(mention(&format!("newer{n}"), "x"), "2026-01-02T00:00:00Z");
            let beside = at(mention(&format!("beside{n}"), "x"), "2026-01-01T00:00:04.500Z");
            add(&store, &[newer, beside]);
        }
        let mut first_ten = seen.clone();
        first_ten.sort();
        assert_eq!(first_ten, (0..10).map(|n| format!("m{n}")).collect::<Vec<_>>());
        assert!(seen[0].ends_with(['8', '9']), "newest first: {seen:?}");
    }

    #[test]
    fn the_most_relevant_comes_first_and_its_pages_are_whole() {
        let mut mentions: Vec<Enriched> =
            (0..5).map(|n| mention(&format!("m{n}"), "a long text that names the outage once")).collect();
        mentions.push(mention("best", "outage outage"));
        let store = index_of(&mentions);
        let filter = Filter { query: parse("outage").unwrap(), ..Filter::default() };
        let first = search(&store, &filter, Sort::Relevance, None, 3).unwrap();
        assert_eq!(ids(&first)[0], "best");
        let cursor = Cursor::parse(&first.next.unwrap().to_string(), Sort::Relevance);
        let second = search(&store, &filter, Sort::Relevance, cursor, 3).unwrap();
        assert_eq!(second.next, None);
        let mut all: Vec<&str> = ids(&first).into_iter().chain(ids(&second)).collect();
        all.sort_unstable();
        assert_eq!(all, ["best", "m0", "m1", "m2", "m3", "m4"]);
    }
}
