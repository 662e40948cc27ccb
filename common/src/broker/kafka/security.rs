//! TLS and login to Apache Kafka: the settings, what is wrong with them, and their names in librdkafka.
//!
//! What belongs here: everything that says who the brokers are and who we are. A program that was built without
//! the feature `kafka-tls` reads these settings too, and refuses to connect by them.

use std::fmt;
use std::path::{Path, PathBuf};

use rdkafka::config::ClientConfig;
use serde::{Deserialize, Deserializer};

use super::KafkaSettings;

/// TLS to the brokers, whose certificates must carry the names that they are reached by.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The authorities to trust, in PEM; without it those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, in PEM, where the brokers ask for one.
    pub certificate_file: Option<PathBuf>,
    /// The key of our certificate, in PEM without a password.
    pub key_file: Option<PathBuf>,
}

/// The login at the brokers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    /// How the password is proved.
    #[serde(default)]
    pub mechanism: Mechanism,
    /// The name to log in with.
    pub user: String,
    /// A file with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The password, for the environment: `EARSHOT__KAFKA__SASL__PASSWORD`.
    #[serde(default)]
    pub password: Option<Password>,
}

/// How a password is proved to the brokers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Mechanism {
    /// The password itself stays here.
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// The same with a shorter hash.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The password is sent, so it asks for TLS.
    #[serde(rename = "PLAIN")]
    Plain,
}

impl Mechanism {
    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        }
    }
}

/// A password that no message shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<'de> Deserialize<'de> for Password {
    /// A variable of digits alone comes as a number, which has lost its leading zeros and which serde's message
    /// would show.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom(
                "a password that looks like a number or like true and false must be in `password_file`",
            )),
        }
    }
}

impl KafkaSettings {
    /// Relative paths start from this folder. Refused with key and value where the settings cannot work together.
    pub(crate) fn in_folder(mut self, folder: &Path) -> Result<Self, String> {
        let mut files = Vec::new();
        if let Some(tls) = &mut self.tls {
            files.extend([&mut tls.ca_file, &mut tls.certificate_file, &mut tls.key_file]);
        }
        if let Some(sasl) = &mut self.sasl {
            files.push(&mut sasl.password_file);
        }
        for file in files.into_iter().flatten() {
            *file = folder.join(&file);
        }
        self.tls.as_ref().map_or(Ok(()), Tls::check)?;
        self.sasl.as_ref().map_or(Ok(()), |sasl| sasl.check(self.tls.is_some()))?;
        Ok(self)
    }

    /// Refuses what this program was not built for.
    pub(super) fn check_build(&self, has_tls: bool) -> Result<(), String> {
        let section = match (&self.tls, &self.sasl) {
            (None, None) => return Ok(()),
            (Some(_), _) => "kafka.tls",
            (None, Some(_)) => "kafka.sasl",
        };
        if has_tls {
            return Ok(());
        }
        Err(format!(
            "section `{section}`: this program was built without TLS and login to Kafka; build it with \
             `--features kafka-tls`, or leave the section out"
        ))
    }

    /// Reads the password from its file, and sees whether the other files can be read; asked for by
    /// [`KafkaSettings::client_config`].
    pub fn with_files_read(mut self) -> Result<Self, String> {
        if let Some(tls) = &self.tls {
            for (key, file) in [
                ("tls.ca_file", &tls.ca_file),
                ("tls.certificate_file", &tls.certificate_file),
                ("tls.key_file", &tls.key_file),
            ] {
                let Some(file) = file else { continue };
                std::fs::File::open(file).map_err(|error| unreadable(key, file, &error))?;
            }
        }
        if let Some(sasl) = &mut self.sasl
            && let Some(file) = sasl.password_file.take()
        {
            sasl.password = Some(Password::read(&file)?);
        }
        Ok(self)
    }

    /// Says it in librdkafka's words. A build without TLS does not know them: where nothing is set, none is used.
    pub(super) fn configure_security(&self, config: &mut ClientConfig) {
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => return,
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(tls) = &self.tls {
            for (name, file) in [
                ("ssl.ca.location", &tls.ca_file),
                ("ssl.certificate.location", &tls.certificate_file),
                ("ssl.key.location", &tls.key_file),
            ] {
                if let Some(file) = file {
                    config.set(name, file.to_string_lossy());
                }
            }
        }
        if let Some(sasl) = &self.sasl {
            config.set("sasl.mechanism", sasl.mechanism.name()).set("sasl.username", &sasl.user);
            if let Some(Password(password)) = &sasl.password {
                config.set("sasl.password", password);
            }
        }
    }
}

impl Tls {
    fn check(&self) -> Result<(), String> {
        let alone = |key: &str, file: &Path, other: &str| {
            Err(format!("{}: it needs `kafka.tls.{other}`; give both or none", key_and_file(key, file)))
        };
        match (&self.certificate_file, &self.key_file) {
            (Some(file), None) => alone("tls.certificate_file", file, "key_file"),
            (None, Some(file)) => alone("tls.key_file", file, "certificate_file"),
            _ => Ok(()),
        }
    }
}

impl Sasl {
    fn check(&self, over_tls: bool) -> Result<(), String> {
        let user = &self.user;
        if user.is_empty() {
            return Err("key `kafka.sasl.user` = \"\": it is the name to log in with".to_owned());
        }
        if self.mechanism == Mechanism::Plain && !over_tls {
            return Err(
                "key `kafka.sasl.mechanism` = \"PLAIN\": it sends the password itself, so it needs the \
                        section `kafka.tls`; without TLS use \"SCRAM-SHA-512\""
                    .to_owned(),
            );
        }
        match (&self.password, &self.password_file) {
            (None, None) => Err(format!(
                "key `kafka.sasl.user` = \"{user}\": it needs a password; name its file with \
                 `kafka.sasl.password_file`, or set EARSHOT__KAFKA__SASL__PASSWORD"
            )),
            (Some(_), Some(file)) => Err(format!(
                "{}: `kafka.sasl.password` is set too (perhaps by EARSHOT__KAFKA__SASL__PASSWORD); give one of them",
                key_and_file("sasl.password_file", file)
            )),
            _ => Ok(()),
        }
    }
}

impl Password {
    /// The text of a file but for the end of its line.
    fn read(file: &Path) -> Result<Self, String> {
        let key = "sasl.password_file";
        let text = std::fs::read_to_string(file).map_err(|error| unreadable(key, file, &error))?;
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() {
            return Err(format!("{}: the file is empty", key_and_file(key, file)));
        }
        Ok(Self(password.to_owned()))
    }
}

fn unreadable(key: &str, file: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", key_and_file(key, file))
}

fn key_and_file(key: &str, file: &Path) -> String {
    format!("key `kafka.{key}` = \"{}\"", file.display())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::settings::Settings;

    const PASSWORD: &str = "correct horse";

    fn load(sections: &str) -> Result<KafkaSettings, String> {
        let text = format!("[kafka]\nbootstrap_servers = \"k:1\"\n{sections}");
        let settings = Settings::from_toml(&text, Path::new("/base")).map_err(|error| error.to_string())?;
        Ok(settings.shared.kafka.expect("the section is there"))
    }

    #[track_caller]
    fn refused(sections: &str, wanted: &[&str]) {
        let error = load(sections).unwrap_err();
        for part in wanted {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert!(!error.contains(PASSWORD), "{error}");
    }

    #[test]
    fn combinations_that_cannot_work_are_refused_by_key_and_value() {
        refused(
            "[kafka.tls]\ncertificate_file = \"me.pem\"",
            &["`kafka.tls.certificate_file`", "me.pem", "`kafka.tls.key_file`"],
        );
        refused(
            "[kafka.tls]\nkey_file = \"me.key\"",
            &["`kafka.tls.key_file`", "me.key", "`kafka.tls.certificate_file`"],
        );
        refused(
            "[kafka.sasl]\nuser = \"earshot\"",
            &["`kafka.sasl.user`", "\"earshot\"", "`kafka.sasl.password_file`", "KAFKA__SASL__PASSWORD"],
        );
        refused("[kafka.sasl]\nuser = \"\"\npassword = \"x\"", &["`kafka.sasl.user` = \"\""]);
        refused(
            &format!("[kafka.sasl]\nuser = \"u\"\npassword = \"{PASSWORD}\"\npassword_file = \"pw\""),
            &["`kafka.sasl.password_file`", "/base/pw", "`kafka.sasl.password`"],
        );
        refused(
            &format!("[kafka.sasl]\nmechanism = \"PLAIN\"\nuser = \"u\"\npassword = \"{PASSWORD}\""),
            &["`kafka.sasl.mechanism`", "\"PLAIN\"", "`kafka.tls`"],
        );
    }

    #[test]
    fn unknown_values_are_refused_by_key_and_value_and_a_password_is_never_shown() {
        refused("[kafka.tls]\nca = \"x\"", &["kafka.tls", "unknown field `ca`"]);
        refused(
            "[kafka.sasl]\nmechanism = \"GSSAPI\"\nuser = \"u\"\npassword = \"x\"",
            &["`kafka.sasl.mechanism`", "`GSSAPI`", "`SCRAM-SHA-512`"],
        );
        let error = load("[kafka.sasl]\nuser = \"u\"\npassword = 4711").unwrap_err();
        assert!(error.contains("`kafka.sasl.password`") && error.contains("`password_file`"), "{error}");
        assert!(!error.contains("4711"), "{error}");
        let settings = load(&format!("[kafka.sasl]\nuser = \"u\"\npassword = \"{PASSWORD}\"")).unwrap();
        assert!(!format!("{settings:?}").contains(PASSWORD), "{settings:?}");
    }

    fn configured(sections: &str) -> BTreeMap<String, String> {
        let mut config = ClientConfig::new();
        load(sections).unwrap().configure_security(&mut config);
        let names = [
            "security.protocol",
            "ssl.ca.location",
            "ssl.certificate.location",
            "ssl.key.location",
            "sasl.mechanism",
            "sasl.username",
            "sasl.password",
        ];
        let found = names.iter().filter_map(|name| Some(((*name).to_owned(), config.get(name)?.to_owned())));
        found.collect()
    }

    #[track_caller]
    fn check(sections: &str, wanted: &[(&str, &str)]) {
        let wanted = wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        assert_eq!(configured(sections), wanted.collect());
    }

    #[test]
    fn each_combination_has_its_protocol() {
        check("", &[]);
        check("[kafka.tls]", &[("security.protocol", "ssl")]);
        check(
            "[kafka.tls]\nca_file = \"ca.pem\"\ncertificate_file = \"/etc/me.pem\"\nkey_file = \"me.key\"",
            &[
                ("security.protocol", "ssl"),
                ("ssl.ca.location", "/base/ca.pem"),
                ("ssl.certificate.location", "/etc/me.pem"),
                ("ssl.key.location", "/base/me.key"),
            ],
        );
        check(
            "[kafka.sasl]\nuser = \"u\"\npassword = \"p\"",
            &[
                ("security.protocol", "sasl_plaintext"),
                ("sasl.mechanism", "SCRAM-SHA-512"),
                ("sasl.username", "u"),
                ("sasl.password", "p"),
            ],
        );
        check(
            "[kafka.tls]\n[kafka.sasl]\nmechanism = \"PLAIN\"\nuser = \"u\"\npassword = \"p\"",
            &[
                ("security.protocol", "sasl_ssl"),
                ("sasl.mechanism", "PLAIN"),
                ("sasl.username", "u"),
                ("sasl.password", "p"),
            ],
        );
    }

    #[test]
    fn a_build_without_tls_names_the_section_and_the_feature() {
        let check = |sections: &str, has_tls| load(sections).unwrap().check_build(has_tls);
        for (sections, section) in
            [("[kafka.tls]", "kafka.tls"), ("[kafka.sasl]\nuser = \"u\"\npassword = \"p\"", "kafka.sasl")]
        {
            let error = check(sections, false).unwrap_err();
            assert!(error.contains(section) && error.contains("--features kafka-tls"), "{error}");
            assert_eq!(check(sections, true), Ok(()));
        }
        assert_eq!(check("", false), Ok(()));
    }

    #[test]
    fn the_password_is_the_text_of_its_file_without_the_end_of_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let sections = format!("[kafka.sasl]\nuser = \"u\"\npassword_file = {file:?}");
        let read = || load(&sections).unwrap().with_files_read();
        let missing = read().unwrap_err();
        assert!(
            missing.contains("`kafka.sasl.password_file`") && missing.contains("No such file"),
            "{missing}"
        );
        std::fs::write(&file, " 007 \r\n").unwrap();
        assert_eq!(read().unwrap().sasl.unwrap().password, Some(Password(" 007 ".to_owned())));
        std::fs::write(&file, "\n").unwrap();
        assert!(read().unwrap_err().contains("empty"));
    }

    #[test]
    fn a_file_that_is_missing_is_named_with_its_key() {
        let error = load("[kafka.tls]\nca_file = \"no-such.pem\"").unwrap().with_files_read().unwrap_err();
        assert!(error.contains("`kafka.tls.ca_file`") && error.contains("/base/no-such.pem"), "{error}");
    }
}
