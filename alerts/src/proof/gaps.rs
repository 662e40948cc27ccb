//! Which sources were not there: what nobody heard, no rule can have seen.

use std::collections::BTreeMap;

use earshot_common::events::{SourceHealth, SourceStatus};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A time from here to there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// When it begins.
    pub from: Timestamp,
    /// When it ended; `None` where it lasts.
    pub until: Option<Timestamp>,
}

/// A source that was missing, wholly or for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceGap {
    /// The source's id.
    pub source: String,
    /// Mentions of anybody watched that it brought in the span.
    pub mentions: u64,
    /// When it did not answer within the span.
    pub failing: Vec<Period>,
}

/// What each source brought, and when it did not answer.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    mentions: BTreeMap<String, u64>,
    failing: BTreeMap<String, Vec<Period>>,
}

impl Sources {
    /// Counts a mention.
    pub(crate) fn mention(&mut self, source: &str) {
        match self.mentions.get_mut(source) {
            Some(count) => *count += 1,
            None => drop(self.mentions.insert(source.to_owned(), 1)),
        }
    }

    /// Takes a change in.
    pub(crate) fn health(&mut self, health: &SourceHealth) {
        let periods = self.failing.entry(health.source.clone()).or_default();
        let lasting = periods.last_mut().filter(|period| period.until.is_none());
        match (health.state, lasting) {
            (SourceStatus::Failing, None) => periods.push(Period { from: health.at, until: None }),
            (SourceStatus::Failing, Some(_)) | (_, None) => {}
            (SourceStatus::Healthy | SourceStatus::Finished, Some(lasting)) => {
                lasting.until = Some(health.at);
            }
        }
    }

    /// The sources that did not answer at some time since `since`, and those of `wanted` that brought nothing.
    pub(crate) fn gaps<'a>(&self, since: Timestamp, wanted: impl Iterator<Item = &'a str>) -> Vec<SourceGap> {
        let mut gaps: BTreeMap<&str, Vec<Period>> = BTreeMap::new();
        for (source, periods) in &self.failing {
            let within = |period: &&Period| period.until.is_none_or(|until| until > since);
            let within: Vec<Period> = periods.iter().filter(within).cloned().collect();
            if !within.is_empty() {
                gaps.insert(source, within);
            }
        }
        for source in wanted.filter(|source| !self.mentions.contains_key(*source)) {
            gaps.entry(source).or_default();
        }
        let gap = |(source, failing): (&str, Vec<Period>)| SourceGap {
            source: source.to_owned(),
            mentions: self.mentions.get(source).copied().unwrap_or_default(),
            failing,
        };
        gaps.into_iter().map(gap).collect()
    }
}

#[cfg(test)]
mod tests {
    use earshot_common::events::SchemaVersion;

    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_millis(hour * 3_600_000)
    }

    #[test]
    fn a_source_is_missing_while_it_does_not_answer_or_where_it_brought_nothing() {
        let mut sources = Sources::default();
        for (source, state, hour) in [
            ("long-ago", SourceStatus::Failing, 1),
            ("long-ago", SourceStatus::Healthy, 2),
            ("blog", SourceStatus::Failing, 11),
            ("blog", SourceStatus::Failing, 12),
            ("blog", SourceStatus::Healthy, 13),
            ("blog", SourceStatus::Failing, 20),
        ] {
            sources.health(&SourceHealth {
                v: SchemaVersion::default(),
                source: source.to_owned(),
                state,
                reason: None,
                raw: Vec::new(),
                at: at(hour),
            });
        }
        sources.mention("blog");
        sources.mention("long-ago");
        let gaps = sources.gaps(at(10), ["blog", "silent", "long-ago"].into_iter());
        let period = |from, until: Option<i64>| Period { from: at(from), until: until.map(at) };
        assert_eq!(
            gaps,
            [
                SourceGap {
                    source: "blog".to_owned(),
                    mentions: 1,
                    failing: vec![period(11, Some(13)), period(20, None)]
                },
                SourceGap { source: "silent".to_owned(), mentions: 0, failing: Vec::new() },
            ]
        );
    }
}
