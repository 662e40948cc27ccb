//! The section `[alerts]` of the settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use earshot_common::definitions::{Route, Watchlist};
use earshot_common::events::Channel;
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
    /// Incoming webhooks of Slack by the names that routes use.
    pub slack: BTreeMap<String, AddressSettings>,
    /// Workflows of Microsoft Teams, started by a webhook request, by the names that routes use.
    pub teams: BTreeMap<String, AddressSettings>,
    /// Prometheus Alertmanagers by the names that routes use: the address that its own pages have.
    pub alertmanagers: BTreeMap<String, AddressSettings>,
    /// A sign of life to an outside address that raises the alarm where it stays away.
    pub heartbeat: Option<HeartbeatSettings>,
    /// Where people open the console, such as `https://earshot.harbor.example`: messages link there.
    pub console_url: Option<String>,
    /// Where the index answers, which knows the texts that messages quote; without it where `index.listen` says.
    pub index_url: Option<String>,
    /// Hours for which the link of a message acknowledges without a login.
    pub link_valid_hours: u32,
    /// Seconds after which another sender may take over a message that one has claimed and not finished.
    pub claim_timeout_s: u32,
    /// Seconds for which a message is tried again before it is given up: a day, which outlasts most outages. What is
    /// late by then comes as one digest.
    pub retry_for_s: u32,
    /// The same for a message whose route has a fallback, which is told then.
    pub fallback_after_s: u32,
    /// Seconds from one snapshot of the decisions to the next: a start folds what came since the last one.
    pub snapshot_interval_s: u32,
}

impl Default for AlertsSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7703)),
            mail: None,
            webhooks: BTreeMap::new(),
            slack: BTreeMap::new(),
            teams: BTreeMap::new(),
            alertmanagers: BTreeMap::new(),
            heartbeat: None,
            console_url: None,
            index_url: None,
            link_valid_hours: 72,
            claim_timeout_s: 60,
            retry_for_s: 24 * 60 * 60,
            fallback_after_s: 120,
            snapshot_interval_s: 600,
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

/// An address that is a secret with most receivers.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressSettings {
    /// The address.
    #[serde(default)]
    pub url: Option<String>,
    /// A file with the address.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
}

impl AddressSettings {
    /// The address; `base` is the folder that a relative path starts from.
    pub(crate) fn read(&self, base: &Path) -> anyhow::Result<String> {
        match (&self.url, &self.url_file) {
            (Some(url), None) => Ok(url.clone()),
            (None, Some(file)) => {
                let path = base.join(file);
                let text = std::fs::read_to_string(&path);
                Ok(text.with_context(|| format!("read `url_file` {}", path.display()))?.trim().to_owned())
            }
            _ => anyhow::bail!("give either `url` or `url_file`"),
        }
    }
}

impl fmt::Debug for AddressSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressSettings").field("url_file", &self.url_file).finish_non_exhaustive()
    }
}

/// A webhook in the form of <https://www.standardwebhooks.com>.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where to post.
    #[serde(default)]
    pub url: Option<String>,
    /// A file with the address, where that is a secret.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
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
    let asked = watchlist.rules().flat_map(|(_, rule)| {
        let open_to_it = watchlist.routes_of(rule).into_iter().map(|route| route.id.as_str());
        rule.named_routes().chain(open_to_it)
    });
    let asked: BTreeSet<&str> = asked.collect();
    let mut routes: Vec<&Route> = asked.iter().filter_map(|route| watchlist.route(route)).collect();
    let instead = routes.iter().filter_map(|route| route.fallback.as_deref());
    let instead: BTreeSet<&str> = instead.filter(|route| !asked.contains(route)).collect();
    routes.extend(instead.into_iter().filter_map(|route| watchlist.route(route)));
    let mut faults = Vec::new();
    for route in routes {
        for to in route.channels() {
            if let Some(lack) = settings.lack(&to) {
                let fault = format!("route `{}` tells {}, and {lack}", route.id, in_words(&to));
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
        }
    }
    faults
}

impl AlertsSettings {
    /// What the settings lack to tell anybody there.
    pub(crate) fn lack(&self, to: &Channel) -> Option<String> {
        let (there, section) = match to {
            Channel::Mail(_) => (self.mail.is_some(), "mail".to_owned()),
            Channel::Webhook(name) => (self.webhooks.contains_key(name), format!("webhooks.{name}")),
            Channel::Slack(name) => (self.slack.contains_key(name), format!("slack.{name}")),
            Channel::Teams(name) => (self.teams.contains_key(name), format!("teams.{name}")),
            Channel::Alertmanager(name) => {
                (self.alertmanagers.contains_key(name), format!("alertmanagers.{name}"))
            }
            Channel::Log => return None,
        };
        (!there).then(|| format!("the settings have no section `alerts.{section}`"))
    }
}

/// A channel for people: its name, and which one where there are several.
pub(crate) fn in_words(to: &Channel) -> String {
    match to {
        Channel::Mail(address) => format!("mail to {address}"),
        Channel::Log => "the log".to_owned(),
        Channel::Webhook(name)
        | Channel::Slack(name)
        | Channel::Teams(name)
        | Channel::Alertmanager(name) => {
            format!("{} `{name}`", to.name())
        }
    }
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
            fallback = "night"
            [[route]]
            id = "night"
            teams = ["desk"]
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
                "route `comms` tells mail to comms@harbor.example, and the settings have no section `alerts.mail`",
                "route `comms` tells webhook `chat`, and the settings have no section `alerts.webhooks.chat`",
                "route `night` tells teams `desk`, and the settings have no section `alerts.teams.desk`",
            ]
        );
        let complete = settings(
            "[alerts.mail]\nserver = \"smtp://localhost:25\"\nfrom = \"earshot@harbor.example\"\n\
             [alerts.webhooks.chat]\nurl = \"https://chat.example/hook\"\n\
             [alerts.teams.desk]\nurl_file = \"desk.url\"\n",
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
