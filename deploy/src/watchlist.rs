//! `earshot apply` and `earshot check`: watchlist files, from disk to the running system.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use earshot_alerts::AlertsSettings;
use earshot_common::definitions::{self, Definition, Watchlist, parse_file};
use earshot_common::query;
use earshot_common::settings::Settings;
use earshot_enrich::EnrichSettings;
use earshot_index::{IndexSettings, OwnedDefinitions, PublishAnswer, PublishRequest};
use earshot_ingest::IngestSettings;

use crate::client::{Client, Server};
use crate::terminal::one_line;
use crate::{print, say};

/// Definitions by owner, `file:NAME`.
pub(crate) type Owners = Vec<(String, Vec<Definition>)>;

#[derive(Debug, Args)]
pub(crate) struct ApplyCommand {
    /// Watchlist files; those of the settings when none is named
    files: Vec<PathBuf>,
    #[command(flatten)]
    server: Server,
}

/// Publishes files through the running system.
pub(crate) async fn apply(command: ApplyCommand, settings: &Path) -> anyhow::Result<()> {
    let files = match command.files.is_empty() {
        true => files_of(&Settings::load(settings)?)?,
        false => command.files,
    };
    if files.is_empty() {
        anyhow::bail!("no watchlist file: name one, or set `watchlist` in {}", settings.display());
    }
    let owned = |(owner, definitions)| OwnedDefinitions { owner, definitions };
    let request = PublishRequest { owners: read_files(&files)?.into_iter().map(owned).collect() };
    let client = Client::find(&command.server, settings, "index").await?;
    let answer: PublishAnswer = client.post_json("/api/watchlist", &request).await?;
    print(&match answer.published {
        0 => format!("nothing changed; the watchlist stands at version {}", answer.version),
        n => format!("published {n} definitions; the watchlist stands at version {}", answer.version),
    });
    for doubt in &answer.doubts {
        say(&format!("warning: {}", one_line(doubt)));
    }
    Ok(())
}

/// Validates everything that can be validated without starting anything.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    settings.section::<IngestSettings>("ingest")?;
    let enrich = settings.section::<EnrichSettings>("enrich")?;
    enrich.lexicons(&settings.base)?;
    enrich.risks(&settings.base)?;
    settings.section::<IndexSettings>("index")?;
    let alerts = settings.section::<AlertsSettings>("alerts")?;
    let files = files_of(settings)?;
    let watchlist = watchlist_of(&files)?;
    let faults = earshot_alerts::check(&alerts, &watchlist);
    if !faults.is_empty() {
        for fault in &faults {
            say(fault);
        }
        anyhow::bail!("the settings and the watchlist do not fit together: {} faults", faults.len());
    }
    for doubt in doubts(&watchlist) {
        say(&doubt);
    }
    print(&format!(
        "ok: {} watchlist files with {} subjects, {} searches, {} rules, {} briefs and {} sources",
        files.len(),
        watchlist.subjects().count(),
        watchlist.searches().count(),
        watchlist.rules().count(),
        watchlist.briefs().count(),
        watchlist.sources().count()
    ));
    Ok(())
}

/// What is allowed in a watchlist and probably not meant.
fn doubts(watchlist: &Watchlist) -> Vec<String> {
    let mut doubts = definitions::doubts(watchlist);
    for doubt in &mut doubts {
        doubt.insert_str(0, "warning: ");
    }
    for search in watchlist.searches() {
        let Ok(reading) = query::read(&search.query) else { continue };
        for lint in query::lint(&search.query, &reading) {
            doubts.push(format!("warning: search `{}`: {}", search.id, lint.message));
        }
    }
    doubts
}

/// The watchlist that files make, without any running system.
pub(crate) fn watchlist_of(files: &[PathBuf]) -> anyhow::Result<Watchlist> {
    Ok(Watchlist::of(read_files(files)?)?)
}

/// The watchlist files that the settings name.
pub(crate) fn files_of(settings: &Settings) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for pattern in &settings.shared.watchlist {
        let path = settings.base.join(pattern);
        let wrong = || format!("settings key `watchlist`: `{pattern}`");
        let mut found = Vec::new();
        for file in glob::glob(&path.to_string_lossy()).with_context(wrong)? {
            found.push(file.with_context(wrong)?);
        }
        if found.is_empty() && !pattern.contains('*') {
            anyhow::bail!("settings key `watchlist`: there is no file {}", path.display());
        }
        files.extend(found);
    }
    Ok(files)
}

/// Reads watchlist files; each is an owner by its file name.
pub(crate) fn read_files(files: &[PathBuf]) -> anyhow::Result<Owners> {
    let mut owners = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("read the watchlist {}", file.display()))?;
        owners.push((format!("file:{name}"), parse_file(&file.display().to_string(), &text)?));
    }
    Ok(owners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_settings_file_that_is_shipped_passes_the_check() {
        for file in ["samples/earshot.toml", "samples/services.toml", "kubernetes/earshot.toml"] {
            let settings = Settings::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
            check(&settings).unwrap();
        }
    }
}
