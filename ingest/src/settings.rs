//! The section `[ingest]` of the settings.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

/// The section `[ingest]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestSettings {
    /// Where the service listens when it runs alone.
    pub listen: SocketAddr,
    /// Doors for webhooks, by name: `POST /api/doors/NAME`.
    pub doors: BTreeMap<String, Door>,
    /// Whether sources may be on private, loopback and link-local addresses, such as an intranet's.
    pub allow_private_addresses: bool,
    /// How we introduce ourselves to the sites that we read. Some ask for a way to reach you.
    pub user_agent: String,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7701)),
            doors: BTreeMap::new(),
            allow_private_addresses: false,
            user_agent: concat!("earshot/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A door for webhooks that are signed as Standard Webhooks says. It has at least one secret; several let the
/// sender change from one to the next.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Door {
    /// A file of secrets (`whsec_…`), one a line. The path starts from the settings' folder.
    pub secrets_file: Option<PathBuf>,
    /// Secrets, separated by spaces; better given by the environment than written in the settings.
    pub secret: Option<String>,
    /// The network that the door's ids belong to. Without this grant they are prefixed by the door's name.
    pub network: Option<String>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("secrets_file", &self.secrets_file)
            .field("secret", &self.secret.as_ref().map(|_| "…"))
            .field("network", &self.network)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use earshot_common::settings::Settings;

    use super::*;

    #[test]
    fn a_door_is_read_and_its_secret_is_not_shown() {
        let text = "[ingest.doors.crm]\nsecret = \"whsec_abc\"\nnetwork = \"crm\"";
        let settings = Settings::from_toml(text, Path::new(".")).unwrap();
        let ingest: IngestSettings = settings.section("ingest").unwrap();
        assert_eq!(ingest.doors["crm"].secret.as_deref(), Some("whsec_abc"));
        assert_eq!(ingest.listen.to_string(), "127.0.0.1:7701");
        assert!(!format!("{ingest:?}").contains("whsec"), "{ingest:?}");
    }
}
