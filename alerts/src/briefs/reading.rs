//! What the index counted of each subject of a brief.

use std::ops::Range;
use std::time::Duration;

use earshot_common::definitions::Brief;
use earshot_common::events::ReachUnit;
use earshot_common::time::Timestamp;
use serde::Deserialize;

use crate::delivery::quotes::QuotedMention;
use crate::fold::Facts;
use crate::index_client::IndexClient;

/// Nobody waits for a brief, and the index may have much to count.
const PATIENCE: Duration = Duration::from_secs(10);
/// The index may wait so long for mentions that it has not read yet.
const INDEX_WAITS_MS: u64 = 5_000;

/// Asks the index.
#[derive(Clone, Debug)]
pub(crate) struct DigestReader(pub(crate) IndexClient);

/// What was said of a subject in a time.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Digest {
    pub(crate) counts: ToneCounts,
    /// The same of the time before, which is as long.
    pub(crate) before: ToneCounts,
    pub(crate) risks: Vec<RiskCount>,
    /// The loudest first.
    pub(crate) stories: Vec<Story>,
}

/// Mentions by their tone towards the subject.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct ToneCounts {
    pub(crate) total: u64,
    pub(crate) negative: u64,
    pub(crate) positive: u64,
}

/// Mentions that speak of a risk.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RiskCount {
    pub(crate) risk: String,
    pub(crate) mentions: u64,
}

/// Copies of one text or link.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Story {
    pub(crate) story: Option<String>,
    pub(crate) mentions: u64,
    pub(crate) mention: StoryMention,
}

/// The copy that stands for a story.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StoryMention {
    pub(crate) id: String,
    pub(crate) reach: Option<u64>,
    pub(crate) reach_unit: Option<ReachUnit>,
    #[serde(flatten)]
    pub(crate) said: QuotedMention,
}

impl DigestReader {
    /// What was said of each subject, in their order.
    pub(crate) async fn read(
        &self,
        brief: &Brief,
        facts: &Facts,
        period: &Range<Timestamp>,
    ) -> Result<Vec<Digest>, String> {
        let mut digests = Vec::new();
        for subject in &facts.subjects {
            let query = [
                ("subject", subject.id.clone()),
                ("from", period.start.to_string()),
                ("to", period.end.to_string()),
                ("zone", brief.zone.clone()),
                ("wait_ms", INDEX_WAITS_MS.to_string()),
            ];
            digests.push(self.0.get("/api/digest", &query, PATIENCE).await?);
        }
        Ok(digests)
    }
}
