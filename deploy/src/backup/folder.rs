//! Without Kafka: the whole log, as one file. It is copied while `earshot up` runs, and brought back while it
//! does not.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use earshot_common::broker::{Broker, Connection, EmbeddedSettings, LogCopy, Record};
use earshot_common::settings::Settings;
use earshot_common::topics::ERASURES;

use super::{Extents, kept_for_ever, lines, newest, settings, topic_file, topics, write_private};
use crate::print;

/// The log in a backup.
const LOG: &str = "log.sqlite3";
/// Where a restore prepares the log that is to come, in the data folder.
const PREPARED: &str = "restoring";

/// Copies the log, and once more as JSON Lines what is kept for ever.
pub(super) fn copy(embedded: &EmbeddedSettings, to: &Path) -> anyhow::Result<Extents> {
    let file = to.join(LOG);
    // It is filled as it is, so that nobody else may read it.
    write_private(&file, b"")?;
    let copy = LogCopy::take(&embedded.folder, &file).context("copy the log")?;
    for topic in kept_for_ever() {
        let file = topic_file(to, &topic);
        let mut writer = lines::Writer::create(&file)?;
        copy.read(topic.name, |record| writer.take(record))?;
        writer.finish()?;
    }
    Ok(copy.bounds()?)
}

/// Brings a backup back: prepares all of it beside the old, and then changes places.
pub(super) async fn bring_back(
    from: &Path,
    settings: &Settings,
    replace: bool,
    more_erasures: Option<Vec<Record>>,
) -> anyhow::Result<()> {
    let data = &settings.shared.data;
    std::fs::create_dir_all(data).with_context(|| format!("create the folder {}", data.display()))?;
    let old = EmbeddedSettings { folder: data.join("log") };
    if !replace {
        anyhow::ensure!(
            !old.folder.exists(),
            "{} is there already; restore to another data folder, or replace it with --replace",
            old.folder.display()
        );
        settings::refuse_another_secret(from, settings)?;
    }
    // Nobody may open the old log from here on.
    let _held = if old.folder.exists() { Some(old.hold()?) } else { None };
    let erasures = match more_erasures {
        Some(records) => records,
        None => known_erasures(&old, from, settings)?,
    };
    let carried = prepare(from, data, erasures).await?;
    let aside = change_places(from, settings)?;
    print("the log is in its place; the index is rebuilt from it at the next start");
    if carried > 0 {
        print(&format!("carried over {carried} erasures that the backup did not know"));
    }
    if let Some(aside) = aside {
        print(&format!("what was there is in {}; remove it when all is well", aside.display()));
    }
    Ok(())
}

/// Makes the log that is to come, with the erasures that the backup lacks; answers how many those were.
async fn prepare(from: &Path, data: &Path, erasures: Vec<Record>) -> anyhow::Result<usize> {
    let prepared = data.join(PREPARED);
    if prepared.exists() {
        std::fs::remove_dir_all(&prepared)
            .with_context(|| format!("remove what a restore left in {}", prepared.display()))?;
    }
    LogCopy::open(&from.join(LOG))?.restore_to(&prepared, jiff::Timestamp::now().into())?;
    if erasures.is_empty() {
        return Ok(0);
    }
    let connection = Connection::Embedded(EmbeddedSettings { folder: prepared });
    let broker = Broker::open(&connection, &[ERASURES]).await?;
    topics::merge(&broker, &ERASURES, newest(erasures)).await
}

/// Puts the prepared log in its place; answers where the old things are, if there were any. The log goes last:
/// until then a restore that was cut short can be done again.
fn change_places(from: &Path, settings: &Settings) -> anyhow::Result<Option<PathBuf>> {
    let data = &settings.shared.data;
    let (log, index) = (data.join("log"), data.join("index"));
    let aside = data.join(format!("replaced-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%.3fZ")));
    let another_secret = settings::has_another_secret(from, settings)?;
    let in_the_way = log.exists() || index.exists() || another_secret;
    if in_the_way {
        super::create_private_folder(&aside)?;
    }
    if another_secret {
        settings::set_secret_aside(settings, &aside)?;
    }
    settings::bring_back_secret(from, settings)?;
    // It was made from another log.
    if index.exists() {
        rename(&index, &aside.join("index"))?;
    }
    if log.exists() {
        rename(&log, &aside.join("log"))?;
    }
    rename(&data.join(PREPARED), &log)?;
    Ok(in_the_way.then_some(aside))
}

fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::rename(from, to).with_context(|| format!("move {} to {}", from.display(), to.display()))
}

/// The erasures in the log that is to be replaced: a backup must not bring back who was erased since.
fn known_erasures(old: &EmbeddedSettings, from: &Path, settings: &Settings) -> anyhow::Result<Vec<Record>> {
    let mut erasures = Vec::new();
    if !old.folder.exists() {
        return Ok(erasures);
    }
    let advice = "say who was erased with --erasures FILE, such as `topics/erasures.jsonl` of a later backup";
    LogCopy::of(&old.folder)
        .and_then(|log| log.read(ERASURES.name, |record| erasures.push(record)))
        .with_context(|| format!("read the erasures of the log to be replaced; {advice}"))?;
    if !erasures.is_empty() && settings::has_another_secret(from, settings)? {
        anyhow::bail!(
            "the log to be replaced has erasures that depend on {}, which is another secret than the backup's; {advice}",
            settings.secret_file().display()
        );
    }
    Ok(erasures)
}
