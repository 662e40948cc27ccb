//! The settings: one `earshot.toml` that every program reads, with a section for each service.
//!
//! What belongs here: the file, the environment on top of it, and what all services share. What one service
//! alone needs is a struct in its crate, read by [`Settings::section`].

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::broker::{Connection, EmbeddedSettings, KafkaSettings};

/// The file that programs look for when none is named.
pub const DEFAULT_FILE: &str = "earshot.toml";

/// Sections that belong to one service each.
const SECTIONS: [&str; 4] = ["ingest", "enrich", "index", "alerts"];

/// What all services share, and the sections of each.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What all services share.
    pub shared: Shared,
    /// The folder that relative paths in the file start from.
    pub base: PathBuf,
    source: String,
    sections: config::Config,
}

/// What all services share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shared {
    /// The folder for everything that is kept: the embedded log, the index, snapshots.
    pub data: PathBuf,
    /// Watchlist files that `earshot up` and `earshot apply` publish. The last part of a path may hold `*`.
    pub watchlist: Vec<String>,
    /// The file with the installation's secret, the same for every service; by default `secret` in `data`.
    pub secret_file: Option<PathBuf>,
    /// Apache Kafka; without it one process keeps its log in `data`.
    pub kafka: Option<KafkaSettings>,
    /// Who may open the pages and call the HTTP interface.
    pub login: Option<Login>,
    /// What is logged, and how.
    pub log: Log,
    /// Seconds that a stop may take to finish the work in hand.
    pub stop_grace_s: u64,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            data: PathBuf::from("data"),
            watchlist: Vec::new(),
            secret_file: None,
            kafka: None,
            login: None,
            log: Log::default(),
            stop_grace_s: 20,
        }
    }
}

/// The login that everything but health checks and signed doors asks for.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The name to log in with.
    pub user: String,
    /// Argon2 hash of the password, as `earshot hash-password` prints it.
    pub password_hash: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).field("password_hash", &"…").finish()
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// What is let through: a level, or targets with levels such as `info,earshot_enrich=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Human, filter: "info,tantivy=warn,librdkafka=warn".to_owned() }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not there.
    #[error(
        "read the settings file {path}: there is no such file; write one with `earshot init`, or name it with --settings"
    )]
    Missing {
        /// The file.
        path: String,
    },
    /// The file, a key or a value in it is wrong.
    #[error("read the settings {source_name}: {message}")]
    Wrong {
        /// The file.
        source_name: String,
        /// Key, value and what is wrong.
        message: String,
    },
}

impl Settings {
    /// Reads the file and, on top of it, variables such as `EARSHOT__KAFKA__BOOTSTRAP_SERVERS`.
    pub fn load(file: &Path) -> Result<Self, SettingsError> {
        if !file.is_file() {
            return Err(SettingsError::Missing { path: file.display().to_string() });
        }
        let base = file.parent().map(Path::to_path_buf).unwrap_or_default();
        let text = config::File::from(file).format(config::FileFormat::Toml);
        Self::build(config::Config::builder().add_source(text), base, file.display().to_string())
    }

    /// Settings from TOML text, for `earshot demo` and tests; the environment counts here too.
    pub fn from_toml(text: &str, base: &Path) -> Result<Self, SettingsError> {
        let source = config::File::from_str(text, config::FileFormat::Toml);
        Self::build(
            config::Config::builder().add_source(source),
            base.to_path_buf(),
            "that were given".to_owned(),
        )
    }

    fn build(
        builder: config::ConfigBuilder<config::builder::DefaultState>,
        base: PathBuf,
        source: String,
    ) -> Result<Self, SettingsError> {
        let wrong = |message: String| SettingsError::Wrong { source_name: source.clone(), message };
        let environment = config::Environment::with_prefix("EARSHOT")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true);
        let sections = builder.add_source(environment).build().map_err(|error| wrong(error.to_string()))?;

        let mut shared: serde_json::Map<String, serde_json::Value> =
            sections.clone().try_deserialize().map_err(|error| wrong(error.to_string()))?;
        for section in SECTIONS {
            shared.remove(section);
        }
        let mut shared: Shared = serde_path_to_error::deserialize(serde_json::Value::Object(shared))
            .map_err(|error| wrong(describe("", &error)))?;
        shared.data = base.join(&shared.data);
        shared.secret_file = shared.secret_file.map(|path| base.join(path));
        shared.kafka = shared.kafka.map(|kafka| kafka.in_folder(&base)).transpose().map_err(wrong)?;
        Ok(Self { shared, base, source, sections })
    }

    /// One service's section, by its defaults where the file has none.
    pub fn section<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, SettingsError> {
        let Ok(section) = self.sections.get::<serde_json::Value>(name) else { return Ok(T::default()) };
        serde_path_to_error::deserialize(section).map_err(|error| SettingsError::Wrong {
            source_name: self.source.clone(),
            message: describe(name, &error),
        })
    }

    /// The same settings with another value for a key such as `index.listen`, as a command line gives it.
    pub fn with(self, key: &str, value: &str) -> Result<Self, SettingsError> {
        let changed = config::Config::builder().add_source(self.sections.clone()).set_override(key, value);
        let sections = changed.and_then(|changed| changed.build()).map_err(|error| SettingsError::Wrong {
            source_name: self.source.clone(),
            message: error.to_string(),
        })?;
        Ok(Self { sections, ..self })
    }

    /// Which log these settings mean.
    pub fn connection(&self) -> Connection {
        match &self.shared.kafka {
            Some(kafka) => Connection::Kafka(kafka.clone()),
            None => Connection::Embedded(EmbeddedSettings { folder: self.shared.data.join("log") }),
        }
    }

    /// The file with the installation's secret.
    pub fn secret_file(&self) -> PathBuf {
        self.shared.secret_file.clone().unwrap_or_else(|| self.shared.data.join("secret"))
    }
}

/// Key and fault: serde says what and which value, the path says where.
fn describe(section: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    let key = match (section, path.as_str()) {
        ("", ".") => "at the top".to_owned(),
        ("", path) => format!("key `{path}`"),
        (section, ".") => format!("section `{section}`"),
        (section, path) => format!("key `{section}.{path}`"),
    };
    format!("{key}: {}", error.inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Section {
        name: String,
        port: u16,
    }

    fn load(text: &str) -> Result<Settings, SettingsError> {
        Settings::from_toml(text, Path::new("/base"))
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = load("dta = \"x\"").unwrap_err().to_string();
        assert!(error.contains("unknown field `dta`"), "{error}");
        let error = load("[log]\nformat = \"pretty\"").unwrap_err().to_string();
        assert!(error.contains("key `log.format`") && error.contains("`pretty`"), "{error}");
        let settings = load("[index]\nprot = 1").unwrap();
        let error = settings.section::<Section>("index").unwrap_err().to_string();
        assert!(error.contains("section `index`") || error.contains("`index.prot`"), "{error}");
        assert!(error.contains("unknown field `prot`"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_key() {
        let settings = load("[index]\nport = \"many\"").unwrap();
        let error = settings.section::<Section>("index").unwrap_err().to_string();
        assert!(error.contains("`index.port`") && error.contains("many"), "{error}");
    }

    #[test]
    fn paths_start_from_the_file_and_sections_have_defaults() {
        let settings = load("data = \"store\"").unwrap();
        assert_eq!(settings.shared.data, Path::new("/base/store"));
        assert_eq!(settings.section::<Section>("index").unwrap().port, 0);
        let changed = settings.clone().with("index.name", "harbor").unwrap();
        assert_eq!(changed.section::<Section>("index").unwrap().name, "harbor");
        assert!(matches!(settings.connection(), Connection::Embedded(_)));
    }
}
