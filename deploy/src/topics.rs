//! `earshot topics`: what the log holds.

use anyhow::Context as _;
use earshot_common::broker::Broker;
use earshot_common::settings::Settings;
use earshot_common::topics;

use crate::print;

/// Creates what is missing, verifies the rest, prints a line for each topic.
pub(crate) async fn topics(settings: &Settings) -> anyhow::Result<()> {
    let broker = Broker::open(&settings.connection(), &topics::ALL).await?;
    print(&format!("{:<20} {:>10} {:>12}  records are", "topic", "partitions", "records"));
    for topic in topics::ALL {
        let bounds =
            broker.bounds(&topic, None).await.with_context(|| format!("look at `{}`", topic.name))?;
        // Of a compacted topic this counts places, of which some are empty.
        let records: u64 = bounds.iter().map(|bound| bound.next - bound.first).sum();
        print(&format!("{:<20} {:>10} {records:>12}  {}", topic.name, topic.partitions, topic.cleanup));
    }
    Ok(())
}
