//! Telling people. The fold decides whom; the sender is dumb.
//!
//! A message is never lost, and repeated at most once for each crash and channel, always with the same key: it
//! is claimed in `signals` before it is sent, and what became of it is written there after. [`ledger`] keeps
//! account of that; [`message`] says what is sent, in [`words`] and with [`quotes`]; [`mail`], [`slack`], [`teams`],
//! [`webhook`], [`alertmanager`] and the log carry it out. What a brief says is [`crate::briefs`]'s.

mod alertmanager;
pub(crate) mod colours;
mod ledger;
mod mail;
mod message;
mod post;
pub(crate) mod quotes;
mod slack;
mod teams;
mod webhook;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use earshot_common::definitions::Watchlist;
use earshot_common::events::{AlertEvent, Channel, Notification};
use earshot_common::service::Context;
use earshot_common::time::Timestamp;
use serde_json::Value;

pub(crate) use alertmanager::{RESEND_MS, Standing, StandingAlert};
pub use ledger::Undelivered;
pub(crate) use ledger::{Content, Part};
pub(crate) use ledger::{Job, Ledger, Limits, Outcome};
use message::Told;
pub(crate) use message::{Links, Message};
use post::Target;
use quotes::QuoteReader;

use crate::briefs::{BriefDraft, DigestReader};
use crate::fold::State;
use crate::index_client::IndexClient;
use crate::settings::{AddressSettings, AlertsSettings, in_words};

/// One attempt takes no longer. It is less than a claim lasts.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a message was not taken.
#[derive(Clone, Debug)]
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

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ForNow { error, .. } | Self::ForGood { error } => f.write_str(error),
        }
    }
}

impl Refused {
    pub(crate) fn for_now(error: impl ToString) -> Self {
        Self::ForNow { error: error.to_string(), after: None }
    }

    fn for_good(error: impl ToString) -> Self {
        Self::ForGood { error: error.to_string() }
    }
}

/// What makes messages and sends them.
#[derive(Debug)]
pub(crate) struct Outbox {
    channels: Channels,
    quotes: QuoteReader,
    digests: DigestReader,
    links: Links,
}

/// A message that is to be written out as it is sent.
#[derive(Debug)]
pub(crate) enum Draft {
    /// Of alerts; what people say comes to it.
    Alerts(Box<Message>),
    /// A brief; what the index counts comes to it.
    Brief(Box<BriefDraft>),
}

impl Outbox {
    /// Sets up what the settings name.
    pub(crate) fn open(settings: &AlertsSettings, context: &Context) -> anyhow::Result<Self> {
        let console_url = settings.console_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        let valid_ms = i64::from(settings.link_valid_hours) * 60 * 60 * 1_000;
        let index = IndexClient::open(settings, context)?;
        Ok(Self {
            channels: Channels::open(settings, &context.settings.base)?,
            quotes: QuoteReader(index.clone()),
            digests: DigestReader(index),
            links: Links { console_url, secret: context.secret.clone(), valid_ms },
        })
    }

    /// The message to send, as the definitions stand.
    pub(crate) fn compose(&self, job: Job, watchlist: &Watchlist) -> Message {
        Message::compose(job, watchlist, &self.links)
    }

    /// The message of a job, as the decisions stand.
    pub(crate) fn draft(&self, job: Job, state: &State) -> Draft {
        match job.brief() {
            Some(due) => {
                let facts = state.facts(&due.brief, &due.period(&job.key()));
                Draft::Brief(Box::new(BriefDraft { job, due, facts }))
            }
            None => Draft::Alerts(Box::new(self.compose(job, state.watchlist()))),
        }
    }

    /// One attempt to send a message, with what people say where the channel shows it.
    pub(crate) async fn send(&self, draft: Draft, now: Timestamp) -> Result<(), Refused> {
        match draft {
            Draft::Alerts(mut message) => {
                message.quote(&self.quotes).await;
                self.channels.send(&message).await
            }
            Draft::Brief(draft) => {
                let message = draft.written(&self.digests, &self.links, now).await?;
                self.channels.send(&message).await
            }
        }
    }

    /// Reads what briefs say of mentions.
    pub(crate) fn digests(&self) -> &DigestReader {
        &self.digests
    }

    /// What links are made with.
    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// One attempt to send a message that says that it is a test.
    pub(crate) async fn send_test(&self, route: &str, to: Channel, now: Timestamp) -> Result<(), Refused> {
        self.channels.send(&Message::test(route, to, now)).await
    }

    /// One attempt to send once more what was decided before.
    pub(crate) async fn send_again(
        &self,
        notification: Notification,
        event: AlertEvent,
        watchlist: &Watchlist,
    ) -> Result<(), Refused> {
        let to = notification.to.clone();
        let content = Content::Alert(Arc::new(event));
        let part = Part { notification, content, instead_of: None, over: false, in_hand: None };
        self.channels.send(&self.compose(Job { to, parts: vec![part], late: false }, watchlist)).await
    }

    /// The alerts that an Alertmanager is told of again, as it takes them.
    pub(crate) fn refresh(
        &self,
        name: &str,
        alerts: Vec<StandingAlert>,
        watchlist: &Watchlist,
        now: Timestamp,
    ) -> Value {
        let to = Channel::Alertmanager(name.to_owned());
        let mut posted = Vec::new();
        for alert in alerts {
            let event = AlertEvent::clone(&alert.event);
            let told = Told::of(event, alert.ended.is_some(), &to, watchlist, &self.links);
            posted.push(alertmanager::posted(&told, alert.ended, now));
        }
        Value::Array(posted)
    }

    /// Posts what [`Outbox::refresh`] made.
    pub(crate) async fn post(&self, name: &str, alerts: &Value) -> Result<(), Refused> {
        self.channels.target(&Channel::Alertmanager(name.to_owned()))?.post(alerts).await
    }
}

/// The ways out.
#[derive(Debug)]
struct Channels {
    settings: AlertsSettings,
    mail: Option<mail::Mailer>,
    webhooks: BTreeMap<String, webhook::Webhook>,
    /// Slack, Teams and Alertmanager: an address each.
    targets: BTreeMap<Channel, Target>,
}

impl Channels {
    /// Sets up what the settings name; `base` is the folder that relative paths in them start from.
    fn open(settings: &AlertsSettings, base: &Path) -> anyhow::Result<Self> {
        let mail = settings.mail.as_ref().map(|mail| mail::Mailer::open(mail, base)).transpose();
        let mut webhooks = BTreeMap::new();
        for (name, webhook) in &settings.webhooks {
            let webhook = webhook::Webhook::open(webhook, base)
                .with_context(|| format!("settings section `alerts.webhooks.{name}`"))?;
            webhooks.insert(name.clone(), webhook);
        }
        let mut targets = BTreeMap::new();
        let mut open = |to: Channel, section: &str, address: &AddressSettings, path: &str| {
            let target = Target::open(address, base, path);
            let target = target.with_context(|| format!("settings section `alerts.{section}`"))?;
            targets.insert(to, target);
            anyhow::Ok(())
        };
        for (name, address) in &settings.slack {
            open(Channel::Slack(name.clone()), &format!("slack.{name}"), address, "")?;
        }
        for (name, address) in &settings.teams {
            open(Channel::Teams(name.clone()), &format!("teams.{name}"), address, "")?;
        }
        for (name, address) in &settings.alertmanagers {
            let to = Channel::Alertmanager(name.clone());
            open(to, &format!("alertmanagers.{name}"), address, alertmanager::PATH)?;
        }
        let mail = mail.context("settings section `alerts.mail`")?;
        Ok(Self { settings: settings.clone(), mail, webhooks, targets })
    }

    /// One attempt to send a message.
    async fn send(&self, message: &Message) -> Result<(), Refused> {
        match tokio::time::timeout(ATTEMPT_TIMEOUT, self.attempt(message)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Refused::for_now(format!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs()))),
        }
    }

    async fn attempt(&self, message: &Message) -> Result<(), Refused> {
        let to = &message.to;
        match to {
            Channel::Mail(address) => match &self.mail {
                Some(mailer) => mailer.send(address, message).await,
                None => Err(self.lacking(to)),
            },
            Channel::Webhook(name) => match self.webhooks.get(name) {
                Some(webhook) => webhook.send(message).await,
                None => Err(self.lacking(to)),
            },
            Channel::Slack(_) => self.target(to)?.post(&slack::body(message)).await,
            Channel::Teams(_) => self.target(to)?.post(&teams::body(message)).await,
            Channel::Alertmanager(_) => {
                let alerts = alertmanager::body(message, jiff::Timestamp::now().into());
                self.target(to)?.post(&alerts).await
            }
            Channel::Log => {
                log(message);
                Ok(())
            }
        }
    }

    fn target(&self, to: &Channel) -> Result<&Target, Refused> {
        self.targets.get(to).ok_or_else(|| self.lacking(to))
    }

    fn lacking(&self, to: &Channel) -> Refused {
        let lack = self.settings.lack(to).unwrap_or_else(|| "it is not set up".to_owned());
        Refused::for_good(format!("{}: {lack}", in_words(to)))
    }
}

fn log(message: &Message) {
    if let Some(letter) = &message.letter {
        tracing::info!(route = message.route, "{}", letter.subject_line);
    }
    for note in &message.notes {
        tracing::warn!(route = message.route, "{note}");
    }
    for told in &message.told {
        tracing::warn!(
            alert = %told.event.alert, rule = told.event.rule, subject = told.event.subject,
            severity = told.event.severity, "alert: {}", told.headline
        );
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use earshot_common::definitions::Watchlist;

    use super::*;

    /// The key of the mail that [`event`] asks for.
    pub(super) const MAIL_KEY: &str = "a7000000000000000000000000000001/1/mail/comms@harbor.example";

    /// An alert as the topic holds it, asking for one mail.
    pub(crate) fn event() -> AlertEvent {
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
        let watchlist = Watchlist::of(vec![("file:f".to_owned(), definitions)]).unwrap();
        Message::compose(Job { parts: vec![part(event(), &to)], to, late: false }, &watchlist, &links())
    }

    /// The mail that tells this transition.
    pub(super) fn told_by_mail(event: AlertEvent) -> Message {
        let to = Channel::Mail("comms@harbor.example".to_owned());
        Message::compose(
            Job { parts: vec![part(event, &to)], to, late: false },
            &Watchlist::default(),
            &links(),
        )
    }

    /// The message to this address that tells so many alerts.
    pub(super) fn many(to: Channel, alerts: usize) -> Message {
        let mut parts = Vec::new();
        for n in 0..alerts {
            let mut event = event();
            event.alert = earshot_common::keys::AlertKey::of(&[&n.to_string()]);
            parts.push(part(event, &to));
        }
        Message::compose(Job { parts, to, late: false }, &Watchlist::default(), &links())
    }

    /// A brief about so many subjects.
    pub(super) fn brief(to: Channel, subjects: usize) -> Message {
        let letter = crate::briefs::Letter::for_test(subjects);
        let (key, route) = ("brief/daily/now".to_owned(), "board".to_owned());
        Message { key, route, to, notes: Vec::new(), told: Vec::new(), letter: Some(letter) }
    }

    fn part(event: AlertEvent, to: &Channel) -> ledger::Part {
        let notification = Notification { to: to.clone(), ..event.notify[0].clone() };
        let content = Content::Alert(std::sync::Arc::new(event));
        ledger::Part { notification, content, instead_of: None, over: false, in_hand: None }
    }

    /// The message with three times this quote, where it quotes at all.
    pub(super) fn quoting(mut message: Message, text: &str) -> Message {
        let quote = quotes::Quote {
            text: text.to_owned(),
            by: "ann on hackernews".to_owned(),
            at: "5 Jan, 04:31".to_owned(),
            tone: "negative",
        };
        if !message.is_overview() {
            for told in &mut message.told {
                told.quotes = quotes::Quotes::Read(vec![quote.clone(); 3]);
            }
        }
        message
    }

    /// Links that are good for three days.
    pub(crate) fn links() -> Links {
        Links {
            console_url: Some("https://earshot.harbor.example".to_owned()),
            secret: earshot_common::keys::Secret::from_bytes([7; 32]),
            valid_ms: 3 * 24 * 60 * 60 * 1_000,
        }
    }

    #[tokio::test]
    async fn a_channel_that_is_not_set_up_is_refused_for_good_by_name() {
        let channels = Channels::open(&AlertsSettings::default(), Path::new("/")).unwrap();
        for (to, wanted) in [
            (Channel::Mail("comms@harbor.example".to_owned()), "no section `alerts.mail`"),
            (Channel::Webhook("chat".to_owned()), "no section `alerts.webhooks.chat`"),
            (Channel::Slack("chat".to_owned()), "no section `alerts.slack.chat`"),
            (Channel::Alertmanager("main".to_owned()), "no section `alerts.alertmanagers.main`"),
        ] {
            match channels.send(&message(to, "Harbor")).await {
                Err(Refused::ForGood { error }) => assert!(error.contains(wanted), "{error}"),
                other => panic!("{other:?}"),
            }
        }
        channels.send(&message(Channel::Log, "Harbor")).await.unwrap();
    }
}
