//! The section `[alerts]` of the settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use earshot_common::definitions::{Route, Watchlist};
use serde::Deserialize;

/// The section `[alerts]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsSettings {
    /// Where health and metrics are served.
    pub listen: SocketAddr,
    /// The mail server; without it no mail is sent.
    pub mail: Option<MailSettings>,
    /// Webhooks by the names that routes use.
    pub webhooks: BTreeMap<String, WebhookSettings>,
    /// A sign of life to an outside address that raises the alarm where it stays away.
    pub heartbeat: Option<HeartbeatSettings>,
    /// Where people open the console, such as `https://earshot.harbor.example`: messages link there.
    pub console_url: Option<String>,
    /// Seconds after which another sender may take over a message that one has claimed and not finished.
    pub claim_timeout_s: u32,
    /// Seconds for which a message is tried again before it counts as failed.
    pub retry_for_s: u32,
}

impl Default for AlertsSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7703)),
            mail: None,
            webhooks: BTreeMap::new(),
            heartbeat: None,
            console_url: None,
            claim_timeout_s: 60,
            retry_for_s: 900,
        }
    }
}

/// How mail is sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// `smtp://host:port` without encryption, `smtps://…` with it, `smtp+starttls://…` with it after a greeting.
    pub server: String,
    /// The sender's address.
    pub from: String,
    /// The name to log in with.
    #[serde(default)]
    pub user: Option<String>,
    /// A file with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
}

/// A dead man's switch: an outside service that expects a request every so often.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatSettings {
    /// The address to ask for with GET.
    #[serde(default)]
    pub url: Option<String>,
    /// A file with the address, which is a secret with most receivers.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// Seconds from one request to the next.
    #[serde(default = "every_minute")]
    pub interval_s: u64,
}

fn every_minute() -> u64 {
    60
}

impl fmt::Debug for HeartbeatSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeartbeatSettings").field("interval_s", &self.interval_s).finish_non_exhaustive()
    }
}

/// A webhook in the form of <https://www.standardwebhooks.com>.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where to post.
    pub url: String,
    /// The secret that messages are signed with: `whsec_` and Base64.
    #[serde(default)]
    pub secret: Option<String>,
    /// A file with the secret.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
}

impl fmt::Debug for WebhookSettings {
    /// Without the secret, and without the path of the address, which is a secret with some receivers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings")
            .field("url", &"…")
            .field("secret", &self.secret.as_ref().map(|_| "…"))
            .field("secret_file", &self.secret_file)
            .finish()
    }
}

/// One line for each way to tell people that the watchlist asks for and the settings lack.
pub fn check(settings: &AlertsSettings, watchlist: &Watchlist) -> Vec<String> {
    let routes: Vec<&Route> = watchlist
        .rules()
        .filter_map(|(_, rule)| rule.route.as_deref())
        .collect::<BTreeSet<&str>>()
        .into_iter()
        .filter_map(|route| watchlist.route(route))
        .collect();
    let mut faults = Vec::new();
    for route in routes {
        if !route.mail.is_empty() && settings.mail.is_none() {
            faults.push(format!("route `{}` sends mail, and {NO_MAIL}", route.id));
        }
        for name in route.webhook.iter().filter(|name| !settings.webhooks.contains_key(*name)) {
            faults.push(format!("route `{}` names the webhook `{name}`, and {}", route.id, no_webhook(name)));
        }
    }
    faults
}

/// What to say where mail is asked for and not set up.
pub(crate) const NO_MAIL: &str = "the settings have no section `alerts.mail` with a server";

/// What to say where a webhook is asked for and not set up.
pub(crate) fn no_webhook(name: &str) -> String {
    format!("the settings have no section `alerts.webhooks.{name}`")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use earshot_common::definitions::parse_file;
    use earshot_common::settings::Settings;

    use super::*;

    fn settings(text: &str) -> AlertsSettings {
        Settings::from_toml(text, Path::new("/")).unwrap().section("alerts").unwrap()
    }

    #[test]
    fn a_route_without_its_channel_is_named_beforehand() {
        let text = r#"
            [[subject]]
            id = "harbor"
            kind = "brand"
            name = "Harbor"
            [[route]]
            id = "comms"
            mail = ["comms@harbor.example"]
            webhook = ["chat"]
            [[rule]]
            id = "volume"
            when = "count of mentions against expectation"
            subjects = ["harbor"]
            route = "comms"
        "#;
        let watchlist = Watchlist::of(vec![("file:f".to_owned(), parse_file("f", text).unwrap())]).unwrap();
        assert_eq!(
            check(&settings(""), &watchlist),
            [
                "route `comms` sends mail, and the settings have no section `alerts.mail` with a server",
                "route `comms` names the webhook `chat`, and the settings have no section `alerts.webhooks.chat`",
            ]
        );
        let complete = settings(
            "[alerts.mail]\nserver = \"smtp://localhost:25\"\nfrom = \"earshot@harbor.example\"\n\
             [alerts.webhooks.chat]\nurl = \"https://chat.example/hook\"\n",
        );
        assert!(check(&complete, &watchlist).is_empty());
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = settings(
            "[alerts.webhooks.chat]\nurl = \"https://chat.example/T0KEN\"\nsecret = \"whsec_YWJj\"\n",
        );
        let shown = format!("{settings:?}");
        assert!(!shown.contains("YWJj") && !shown.contains("T0KEN"), "{shown}");
    }
}
