//! What was said in a time, in short: how many mentions of which tone, beside the time before; risks; the loudest
//! stories. Briefs are written from it.

use std::collections::BTreeMap;

use earshot_common::events::{Enriched, Polarity, RISKS, ReachUnit};
use earshot_common::keys::{MentionKey, StoryKey};
use earshot_common::query::{Field, Query};
use earshot_common::time::Timestamp;
use serde::Serialize;

use crate::api::Hit;
use crate::query::Filter;
use crate::search::{count, sample};
use crate::store::Store;

/// Stories that are told, at most.
const MOST_STORIES: usize = 3;
/// Of so many mentions at most the stories are looked up. A story that is loud among all is loud among these, which are
/// drawn evenly; how many mentions it has is then counted among all.
const MOST_SAMPLED: usize = 1_000;
/// Stories of the sample that are counted among all.
const MOST_CANDIDATES: usize = 10;

/// What was said from one time to another.
#[derive(Debug, PartialEq)]
pub(crate) struct Digest {
    /// Mentions in the time.
    pub(crate) counts: ToneCounts,
    /// Mentions in the time before, which is as long.
    pub(crate) before: ToneCounts,
    /// Risks that were spoken of, the most frequent first.
    pub(crate) risks: Vec<RiskCount>,
    /// The loudest stories, the loudest first.
    pub(crate) stories: Vec<Story<Enriched>>,
}

/// Mentions by tone: towards the subject where one is asked for, else of the whole message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ToneCounts {
    total: u64,
    negative: u64,
    neutral: u64,
    positive: u64,
}

/// Mentions that speak of a risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RiskCount {
    risk: &'static str,
    mentions: u64,
}

/// Copies of one text or link; a mention without a story is its own.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Story<M> {
    story: Option<StoryKey>,
    mentions: u64,
    /// The copy that most could have seen, of those that were looked at.
    mention: M,
}

/// The answer of `GET /api/digest`.
#[derive(Debug, Serialize)]
pub(crate) struct DigestAnswer {
    counts: ToneCounts,
    before: ToneCounts,
    risks: Vec<RiskCount>,
    stories: Vec<Story<Hit>>,
}

impl From<Digest> for DigestAnswer {
    fn from(digest: Digest) -> Self {
        let Digest { counts, before, risks, stories } = digest;
        let hit = |story: Story<Enriched>| Story {
            story: story.story,
            mentions: story.mentions,
            mention: Hit::of(story.mention, &Query::All),
        };
        Self { counts, before, risks, stories: stories.into_iter().map(hit).collect() }
    }
}

impl Digest {
    /// Of what a filter finds from one time to another.
    pub(crate) fn of(store: &Store, filter: &Filter, from: Timestamp, to: Timestamp) -> anyhow::Result<Self> {
        let length_ms = to.as_millis() - from.as_millis();
        let filter = Filter { from: Some(from), to: Some(to), ..filter.clone() };
        let before = Filter { from: Some(from.plus_millis(-length_ms)), to: Some(from), ..filter.clone() };
        let counts = ToneCounts::of(store, &filter)?;
        Ok(Self {
            before: ToneCounts::of(store, &before)?,
            risks: risks(store, &filter)?,
            stories: stories(store, &filter, counts.total)?,
            counts,
        })
    }
}

impl ToneCounts {
    fn of(store: &Store, filter: &Filter) -> anyhow::Result<Self> {
        let of = |sentiment| match filter.sentiment {
            // A filter that asks for another polarity leaves nothing of this one.
            Some(asked) if asked != sentiment => Ok(0),
            _ => count(store, &Filter { sentiment: Some(sentiment), ..filter.clone() }),
        };
        let (negative, neutral, positive) =
            (of(Polarity::Negative)?, of(Polarity::Neutral)?, of(Polarity::Positive)?);
        Ok(Self { total: negative + neutral + positive, negative, neutral, positive })
    }
}

fn risks(store: &Store, filter: &Filter) -> anyhow::Result<Vec<RiskCount>> {
    let mut risks = Vec::new();
    for risk in RISKS {
        let mentions = count(store, &filter.with(Field::Risk, risk))?;
        if mentions > 0 {
            risks.push(RiskCount { risk, mentions });
        }
    }
    risks.sort_by_key(|risk| std::cmp::Reverse(risk.mentions));
    Ok(risks)
}

fn stories(store: &Store, filter: &Filter, total: u64) -> anyhow::Result<Vec<Story<Enriched>>> {
    let mut found: BTreeMap<String, Story<Enriched>> = BTreeMap::new();
    for mention in
        sample(store, filter, MOST_SAMPLED)?.into_iter().filter(|mention| !is_in_passing(mention, filter))
    {
        let identity = match mention.story {
            Some(story) => story.to_string(),
            None => MentionKey::of(&mention.mention.id).to_string(),
        };
        match found.get_mut(&identity) {
            Some(known) => {
                known.mentions += 1;
                if loudness(&mention) > loudness(&known.mention) {
                    known.mention = mention;
                }
            }
            None => {
                let story = Story { story: mention.story, mentions: 1, mention };
                found.insert(identity, story);
            }
        }
    }
    let mut stories: Vec<Story<Enriched>> = found.into_values().collect();
    sort(&mut stories);
    stories.truncate(MOST_CANDIDATES);
    if total > MOST_SAMPLED as u64 {
        for story in &mut stories {
            if let Some(key) = story.story {
                story.mentions = count(store, &filter.with(Field::Story, &key.to_string()))?;
            }
        }
        sort(&mut stories);
    }
    stories.truncate(MOST_STORIES);
    Ok(stories)
}

/// Whether it names the subject that is asked for in passing only: that is no story about it.
fn is_in_passing(mention: &Enriched, filter: &Filter) -> bool {
    let is_asked_for = |id: &str| filter.subject.as_deref() == Some(id);
    mention.entities.iter().any(|tag| tag.passing && is_asked_for(&tag.subject))
}

/// The loudest first; of equals the one that most could have seen, then the earliest.
fn sort(stories: &mut [Story<Enriched>]) {
    stories.sort_by_key(|story| std::cmp::Reverse((story.mentions, loudness(&story.mention))));
}

/// How many could have seen a mention; of equals the earlier one counts more. Visits of a month are not the readers of
/// one article.
fn loudness(mention: &Enriched) -> (u64, std::cmp::Reverse<Timestamp>) {
    let audience = mention.audience().filter(|(_, unit)| *unit != ReachUnit::MonthlyVisits);
    (audience.map_or(0, |(reach, _)| reach), std::cmp::Reverse(mention.mention.event_time()))
}

#[cfg(test)]
mod tests {
    use earshot_common::events::Lane;

    use super::*;
    use crate::fixtures::{about, at, index_of, mention};

    fn copy(id: &str, time: &str, story: &str, reach: Option<u64>) -> Enriched {
        let mut mention = at(about(mention(id, id), "harbor", -0.8, Lane::Sure), time);
        mention.story = Some(StoryKey::of("1", story));
        mention.reach = reach;
        mention
    }

    fn of_harbor() -> Filter {
        Filter { subject: Some("harbor".to_owned()), ..Filter::default() }
    }

    #[test]
    fn it_counts_the_time_and_the_one_before_and_tells_the_loudest_story_by_its_widest_copy() {
        let mut legal = about(mention("legal", "they sue"), "harbor", 0.8, Lane::Sure);
        legal.risk = vec!["legal".to_owned()];
        let mut other = at(about(mention("other", "x"), "port", -0.8, Lane::Sure), "2026-01-05T10:00:00Z");
        other.risk = vec!["legal".to_owned()];
        let mut listed = about(mention("listed", "$HRB and others"), "harbor", 0.0, Lane::Sure);
        listed.entities[0].passing = true;
        let store = index_of(&[
            copy("old", "2026-01-04T09:00:00Z", "outage", None),
            copy("one", "2026-01-05T09:00:00Z", "outage", Some(10)),
            copy("two", "2026-01-05T10:00:00Z", "outage", Some(900)),
            copy("edge", "2026-01-06T00:00:00Z", "outage", None),
            at(legal, "2026-01-05T11:00:00Z"),
            at(listed, "2026-01-05T12:00:00Z"),
            other,
        ]);
        let (from, to) = ("2026-01-05T00:00:00Z".parse().unwrap(), "2026-01-06T00:00:00Z".parse().unwrap());
        let digest = Digest::of(&store, &of_harbor(), from, to).unwrap();
        assert_eq!(digest.counts, ToneCounts { total: 4, negative: 2, neutral: 1, positive: 1 });
        assert_eq!(digest.before, ToneCounts { total: 1, negative: 1, neutral: 0, positive: 0 });
        assert_eq!(digest.risks, [RiskCount { risk: "legal", mentions: 1 }]);
        let told: Vec<(&str, u64)> =
            digest.stories.iter().map(|story| (story.mention.mention.id.as_str(), story.mentions)).collect();
        assert_eq!(told, [("two", 2), ("legal", 1)]);
    }

    #[test]
    fn of_more_mentions_than_are_looked_at_the_loudest_story_is_counted_whole() {
        let mut mentions = Vec::new();
        for n in 0..MOST_SAMPLED + 500 {
            let story = if n % 4 == 0 { "loud".to_owned() } else { format!("quiet {n}") };
            mentions.push(copy(&format!("m{n}"), "2026-01-05T09:00:00Z", &story, None));
        }
        let store = index_of(&mentions);
        let (from, to) = ("2026-01-05T00:00:00Z".parse().unwrap(), "2026-01-06T00:00:00Z".parse().unwrap());
        let digest = Digest::of(&store, &of_harbor(), from, to).unwrap();
        assert_eq!(digest.counts.total, 1_500);
        let loudest = digest.stories.first().unwrap();
        assert_eq!((loudest.story, loudest.mentions), (Some(StoryKey::of("1", "loud")), 375));
    }
}
