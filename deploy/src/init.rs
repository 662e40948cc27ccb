//! `earshot init`: the two files that a newcomer needs, commented.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::{print, say};

/// The settings, and the watchlist of a brand; `{…}` are filled in.
const SETTINGS: &str = include_str!("../samples/earshot.toml");
const WATCHLIST: &str = include_str!("../samples/watchlist.toml");

#[derive(Debug, Args)]
pub(crate) struct InitCommand {
    /// Name of your brand; asked for when not given
    #[arg(long, value_name = "NAME")]
    brand: Option<String>,
    /// Where its day begins, such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

/// Writes `earshot.toml` and `watchlist/BRAND.toml`; overwrites nothing.
pub(crate) fn init(command: InitCommand) -> anyhow::Result<()> {
    let brand = match command.brand {
        Some(brand) => brand,
        None => ask_for_brand()?,
    };
    let brand = brand.trim();
    let id = id_of(brand);
    if id.is_empty() {
        anyhow::bail!("`{brand}` is no name: give one with letters or digits with --brand");
    }
    let zone = command.zone.unwrap_or_else(machine_zone);
    if jiff::tz::TimeZone::get(&zone).is_err() {
        anyhow::bail!("--zone {zone}: this is not a known time zone; give one such as Europe/Berlin");
    }
    let settings = command.folder.join("earshot.toml");
    let watchlist = command.folder.join("watchlist").join(format!("{id}.toml"));
    for file in [&settings, &watchlist] {
        if file.exists() {
            anyhow::bail!("{} is there already; nothing was written", file.display());
        }
    }
    write(&settings, SETTINGS)?;
    write(&watchlist, &fill(WATCHLIST, brand, &id, &zone))?;
    print(&format!("wrote {} and {}", settings.display(), watchlist.display()));
    print("next: read them, then `earshot check`, then `earshot up`");
    Ok(())
}

fn ask_for_brand() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        say("What is your brand called?");
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("read the brand's name from the standard input")?;
    Ok(line)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let writing = || format!("write {}", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(writing)?;
    }
    std::fs::write(file, text).with_context(writing)
}

/// The template with the brand in it. Names are quoted as TOML strings.
fn fill(template: &str, brand: &str, id: &str, zone: &str) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    template
        .replace("{name}", &quoted(brand))
        .replace("{handle}", &quoted(&format!("@{}", id.replace('-', ""))))
        .replace("{id}", id)
        .replace("{zone}", &quoted(zone))
}

/// A short, stable id: letters and digits in lower case, the rest as `-`.
fn id_of(brand: &str) -> String {
    let plain = earshot_common::text::fold(brand);
    let dashed: String = plain.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let parts: Vec<&str> = dashed.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

/// The machine's zone by its name, or UTC where it has none.
fn machine_zone() -> String {
    jiff::tz::TimeZone::system().iana_name().unwrap_or("UTC").to_owned()
}

#[cfg(test)]
mod tests {
    use earshot_common::definitions::{Definition, parse_file};

    use super::*;

    #[test]
    fn the_watchlist_is_valid_whatever_the_brand_is_called() {
        for (brand, id) in [("Harbor", "harbor"), ("Müller & Söhne \"1899\"", "muller-sohne-1899")] {
            assert_eq!(id_of(brand), id);
            let definitions = parse_file("w.toml", &fill(WATCHLIST, brand, id, "Europe/Berlin")).unwrap();
            let Definition::Subject(subject) = &definitions[0] else { panic!("the first is the brand") };
            assert_eq!((subject.name.as_str(), subject.id.as_str()), (brand, id));
        }
    }

    #[test]
    fn what_init_writes_passes_the_check_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let command = || InitCommand {
            brand: Some("Harbor".to_owned()),
            zone: Some("America/New_York".to_owned()),
            folder: folder.path().to_path_buf(),
        };
        init(command()).unwrap();
        let settings = earshot_common::settings::Settings::load(&folder.path().join("earshot.toml")).unwrap();
        crate::watchlist::check(&settings).unwrap();
        let error = init(command()).unwrap_err().to_string();
        assert!(error.contains("is there already"), "{error}");
    }

    #[test]
    fn a_name_without_letters_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let command =
            InitCommand { brand: Some(" !! ".to_owned()), zone: None, folder: folder.path().to_path_buf() };
        assert!(init(command).unwrap_err().to_string().contains("is no name"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
