//! The secret, the settings file and the watchlist files: small, and without them a log is of little use.

use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use earshot_common::settings::Settings;

use super::write_private;
use crate::{say, watchlist};

/// The installation's secret in a backup.
const SECRET: &str = "secret";
/// The folder of the settings file and of what lies below its folder.
const SETTINGS: &str = "settings";
/// The settings file in it, whatever its name was.
const SETTINGS_FILE: &str = "settings/earshot.toml";

/// Copies them to a backup; answers what a person should know of.
pub(super) fn copy(settings: &Settings, file: &Path, to: &Path) -> anyhow::Result<Vec<String>> {
    let secret = settings.secret_file();
    let content = std::fs::read(&secret).with_context(|| {
        format!("read the secret file {}: make the backup where the services have it", secret.display())
    })?;
    write_private(&to.join(SECRET), &content)?;
    super::create_private_folder(&to.join(SETTINGS))?;
    let content = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    write_private(&to.join(SETTINGS_FILE), &content)?;
    let mut notes = Vec::new();
    for file in watchlist::files_of(settings)? {
        let Some(below) = below(&settings.base, &file) else {
            notes.push(format!("not in the backup: {} is not below the settings' folder", file.display()));
            continue;
        };
        let target = to.join(SETTINGS).join(below);
        let content = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        create_parent(&target)?;
        write_private(&target, &content)?;
    }
    Ok(notes)
}

/// Writes a backup's settings file and watchlist files to where no settings file is; overwrites nothing.
pub(super) fn bring_back(from: &Path, file: &Path) -> anyhow::Result<()> {
    let base = file.parent().unwrap_or(Path::new(""));
    let folder = from.join(SETTINGS);
    let mut paths = Vec::new();
    super::manifest::walk(&folder, &folder, &mut paths)?;
    for path in paths {
        let source = folder.join(&path);
        let target = if source == from.join(SETTINGS_FILE) { file.to_path_buf() } else { base.join(&path) };
        if target.exists() {
            say(&format!("{} is left as it is", target.display()));
            continue;
        }
        let content = std::fs::read(&source).with_context(|| format!("read {}", source.display()))?;
        create_parent(&target)?;
        write_private(&target, &content)?;
        say(&format!("wrote {} from the backup", target.display()));
    }
    Ok(())
}

/// Whether the installation has another secret than the backup: then keys of authors mean other people.
pub(super) fn has_another_secret(from: &Path, settings: &Settings) -> anyhow::Result<bool> {
    let path = settings.secret_file();
    if !path.exists() {
        return Ok(false);
    }
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("read the secret file {}", path.display()))
    };
    Ok(read(&path)?.trim() != read(&from.join(SECRET))?.trim())
}

/// Refuses to go on where the installation has another secret.
pub(super) fn refuse_another_secret(from: &Path, settings: &Settings) -> anyhow::Result<()> {
    anyhow::ensure!(
        !has_another_secret(from, settings)?,
        "the secret file {} is another than the backup's, and keys of authors depend on it; move it away to restore \
         this backup",
        settings.secret_file().display()
    );
    Ok(())
}

/// Moves the installation's secret to a folder, which may be on another disk.
pub(super) fn set_secret_aside(settings: &Settings, aside: &Path) -> anyhow::Result<()> {
    let path = settings.secret_file();
    let content = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    write_private(&aside.join(SECRET), &content)?;
    std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))
}

/// Puts a backup's secret where the installation's belongs and none is.
pub(super) fn bring_back_secret(from: &Path, settings: &Settings) -> anyhow::Result<()> {
    let path = settings.secret_file();
    if path.exists() {
        return Ok(());
    }
    let content = std::fs::read(from.join(SECRET)).context("read the backup's secret")?;
    create_parent(&path)?;
    write_private(&path, &content)
}

/// The path of a file from a folder, where it is below it.
fn below(folder: &Path, file: &Path) -> Option<PathBuf> {
    let path = file.strip_prefix(folder).ok()?;
    let plain = path.components().all(|component| matches!(component, Component::Normal(_)));
    plain.then(|| path.to_path_buf())
}

fn create_parent(path: &Path) -> anyhow::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent).with_context(|| format!("create the folder {}", parent.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_the_folder_comes_along() {
        for (folder, file, wanted) in [
            ("/etc/earshot", "/etc/earshot/watchlist/bank.toml", Some("watchlist/bank.toml")),
            ("", "watchlist/bank.toml", Some("watchlist/bank.toml")),
            ("/etc/earshot", "/srv/bank.toml", None),
            ("/etc/earshot", "/etc/earshot/../bank.toml", None),
        ] {
            assert_eq!(below(Path::new(folder), Path::new(file)), wanted.map(PathBuf::from), "{file}");
        }
    }
}
