//! Telling people. The fold decides whom; the sender is dumb.
//!
//! A message is never lost, and repeated at most once for each crash and channel, always with the same key: it
//! is claimed in `signals` before it is sent, and what became of it is written there after. [`ledger`] keeps
//! account of that; [`mail`], [`webhook`] and the log carry it out.

mod ledger;
mod mail;
mod message;
mod webhook;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use earshot_common::events::Channel;

pub use ledger::Undelivered;
pub(crate) use ledger::{Job, Ledger, Limits, Outcome};
pub(crate) use message::Message;

use crate::settings::{AlertsSettings, NO_MAIL, no_webhook};

/// One attempt takes no longer. It is less than a claim lasts.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a message was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Another attempt may succeed; the receiver may have said when.
    ForNow {
        /// What happened.
        error: String,
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// No attempt can succeed.
    ForGood {
        /// What happened.
        error: String,
    },
}

impl Refused {
    fn for_now(error: impl ToString) -> Self {
        Self::ForNow { error: error.to_string(), after: None }
    }

    fn for_good(error: impl ToString) -> Self {
        Self::ForGood { error: error.to_string() }
    }
}

/// The ways out.
#[derive(Debug)]
pub(crate) struct Channels {
    mail: Option<mail::Mailer>,
    webhooks: BTreeMap<String, webhook::Webhook>,
}

impl Channels {
    /// Sets up what the settings name; `base` is the folder that relative paths in them start from.
    pub(crate) fn open(settings: &AlertsSettings, base: &Path) -> anyhow::Result<Self> {
        let mail = settings.mail.as_ref().map(|mail| mail::Mailer::open(mail, base)).transpose();
        let mut webhooks = BTreeMap::new();
        for (name, webhook) in &settings.webhooks {
            let webhook = webhook::Webhook::open(webhook, base)
                .with_context(|| format!("settings section `alerts.webhooks.{name}`"))?;
            webhooks.insert(name.clone(), webhook);
        }
        Ok(Self { mail: mail.context("settings section `alerts.mail`")?, webhooks })
    }

    /// One attempt to send a message.
    pub(crate) async fn send(&self, message: &Message) -> Result<(), Refused> {
        let attempt = async {
            match &message.to {
                Channel::Mail(address) => match &self.mail {
                    Some(mailer) => mailer.send(address, message).await,
                    None => Err(Refused::for_good(format!("mail to {address}: {NO_MAIL}"))),
                },
                Channel::Webhook(name) => match self.webhooks.get(name) {
                    Some(webhook) => webhook.send(message).await,
                    None => Err(Refused::for_good(format!("webhook `{name}`: {}", no_webhook(name)))),
                },
                Channel::Log => {
                    tracing::warn!(
                        alert = %message.event.alert, rule = message.event.rule, subject = message.event.subject,
                        severity = message.event.severity, "alert: {}", message.headline
                    );
                    Ok(())
                }
            }
        };
        match tokio::time::timeout(ATTEMPT_TIMEOUT, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Refused::for_now(format!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use earshot_common::definitions::Watchlist;
    use earshot_common::events::{AlertEvent, Notification};

    use super::*;

    /// The key of the mail that [`event`] asks for.
    pub(super) const MAIL_KEY: &str = "a7000000000000000000000000000001/1/mail/comms@harbor.example";

    /// An alert as the topic holds it, asking for one mail.
    pub(super) fn event() -> AlertEvent {
        let json = format!(
            r#"{{"v":1,"alert":"a7000000000000000000000000000001","sequence":1,"signals":{{"offset":120033,"n":0}},
            "transition":"opened","rule":"harbor-volume","subject":"harbor","severity":7,"historic":false,"parent":null,
            "opened":"2026-01-05T09:41:00.000Z","until":"2026-01-05T10:00:00.000Z",
            "arithmetic":{{"primitive":"count","measure":"mentions","window":"2026-01-05T09:00:00Z/PT1H","observed":1064,
              "expected":11.2,"probability":3.1e-7,"dispersion":0.2,"authors":51,"baseline":[9,12,10,14],
              "seasonality":"hour_of_day","little_data":false,"threshold":30}},
            "evidence":["5b1e0000000000000000000000000000"],
            "definition":{{"watchlist":3,"rule":"count of mentions in an hour against expectation","lexicon":"general-1"}},
            "notify":[{{"key":"{MAIL_KEY}","route":"comms","to":{{"channel":"mail","address":"comms@harbor.example"}}}}],
            "decided":"2026-01-05T09:41:01.000Z"}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    /// The message to this address, by somebody whose subject has the given name.
    pub(super) fn message(to: Channel, name: &str) -> Message {
        let text = format!(
            "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"{name}\"\nzone = \"America/New_York\"\n"
        );
        let definitions = earshot_common::definitions::parse_file("f", &text).unwrap();
        let owners = vec![("file:f".to_owned(), definitions)];
        let watchlist = Watchlist::of(owners).unwrap();
        let event = std::sync::Arc::new(event());
        let notification = Notification { key: MAIL_KEY.to_owned(), route: "comms".to_owned(), to };
        Message::compose(Job { notification, event }, &watchlist, Some("https://earshot.harbor.example/"))
    }

    #[tokio::test]
    async fn a_channel_that_is_not_set_up_is_refused_for_good_by_name() {
        let channels = Channels::open(&AlertsSettings::default(), Path::new("/")).unwrap();
        for (to, wanted) in [
            (Channel::Mail("comms@harbor.example".to_owned()), "no section `alerts.mail`"),
            (Channel::Webhook("chat".to_owned()), "no section `alerts.webhooks.chat`"),
        ] {
            match channels.send(&message(to, "Harbor")).await {
                Err(Refused::ForGood { error }) => assert!(error.contains(wanted), "{error}"),
                other => panic!("{other:?}"),
            }
        }
        channels.send(&message(Channel::Log, "Harbor")).await.unwrap();
    }
}
