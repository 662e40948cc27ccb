//! Webhooks in the form of <https://www.standardwebhooks.com>: signed, with an id that repeats at every attempt.

use std::path::Path;

use anyhow::Context as _;
use earshot_common::events::{AlertEvent, Transition};
use serde::Serialize;

use super::post::{Target, send};
use super::{Message, Refused};
use crate::settings::{AddressSettings, WebhookSettings};

/// Posts to one address.
pub(crate) struct Webhook {
    target: Target,
    signature: Option<standardwebhooks::Webhook>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("signed", &self.signature.is_some()).finish_non_exhaustive()
    }
}

/// What is posted: the transition as the topic `alerts` holds it, and what it is about in words.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    headline: &'a str,
    link: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<&'a str>,
    #[serde(flatten)]
    event: Option<&'a AlertEvent>,
}

impl Webhook {
    /// Sets the client up; nothing is sent yet.
    pub(crate) fn open(settings: &WebhookSettings, base: &Path) -> anyhow::Result<Self> {
        let address = AddressSettings { url: settings.url.clone(), url_file: settings.url_file.clone() };
        let target = Target::open(&address, base, "")?;
        let secret = match (&settings.secret, &settings.secret_file) {
            (Some(_), Some(_)) => anyhow::bail!("give `secret` or `secret_file`, not both"),
            (Some(secret), None) => Some(secret.clone()),
            (None, Some(file)) => {
                let path = base.join(file);
                Some(
                    std::fs::read_to_string(&path)
                        .with_context(|| format!("read `secret_file` {}", path.display()))?,
                )
            }
            (None, None) => None,
        };
        let signature = secret
            .map(|secret| standardwebhooks::Webhook::new(secret.trim()))
            .transpose()
            .context("the secret must be `whsec_` and Base64")?;
        Ok(Self { target, signature })
    }

    /// One attempt. The id is that of the notification, at every attempt; time and signature are new.
    pub(crate) async fn send(&self, message: &Message) -> Result<(), Refused> {
        let told = message.told.first();
        let headline = message.title();
        let body = Body {
            kind: told.map_or_else(|| "test".to_owned(), |told| kind(told.event.transition)),
            headline: &headline,
            link: told.and_then(|told| told.link.as_ref()).map(|link| link.url.as_str()),
            notes: message.notes.iter().map(String::as_str).collect(),
            event: told.map(|told| &told.event),
        };
        let (request, body) = self.target.request(&body)?;
        let timestamp = jiff::Timestamp::now().as_second();
        let mut request = request
            .header(standardwebhooks::HEADER_WEBHOOK_ID, &message.key)
            .header(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, timestamp);
        if let Some(signature) = &self.signature {
            let signed = signature
                .sign(&message.key, timestamp, &body)
                .map_err(|error| Refused::for_good(format!("sign the body: {error}")))?;
            request = request.header(standardwebhooks::HEADER_WEBHOOK_SIGNATURE, signed);
        }
        send(request, body).await
    }
}

fn kind(transition: Transition) -> String {
    format!("alert.{}", transition.name())
}

#[cfg(test)]
mod tests {
    use earshot_common::events::Channel;

    use super::*;
    use crate::delivery::post::receiver;
    use crate::delivery::tests::{MAIL_KEY, event, message};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn settings(url: Option<String>, secret: &str) -> WebhookSettings {
        WebhookSettings { url, url_file: None, secret: Some(secret.to_owned()), secret_file: None }
    }

    #[tokio::test]
    async fn what_is_posted_verifies_and_keeps_its_id_at_the_next_attempt() {
        let (address, received) = receiver::start(vec![(500, None), (200, None)]).await;
        let webhook = Webhook::open(&settings(address.url, SECRET), Path::new("/")).unwrap();
        let message = message(Channel::Webhook("chat".to_owned()), "Harbor");
        assert!(matches!(webhook.send(&message).await, Err(Refused::ForNow { .. })));
        webhook.send(&message).await.unwrap();

        let received = received.lock().unwrap();
        assert_eq!(received.len(), 2);
        for (headers, body) in received.iter() {
            standardwebhooks::Webhook::new(SECRET).unwrap().verify(body, headers).unwrap();
            assert_eq!(headers["webhook-id"], MAIL_KEY);
            let json: serde_json::Value = serde_json::from_slice(body).unwrap();
            assert_eq!(json["type"], "alert.opened");
            assert_eq!(json["alert"], event().alert.to_string());
            assert_eq!(json["arithmetic"]["observed"], 1064);
        }
    }

    #[test]
    fn a_wrong_secret_or_address_is_refused_at_the_start() {
        for (settings, wanted) in [
            (settings(Some("ftp://chat.example".to_owned()), SECRET), "http or https"),
            (settings(Some("https://chat.example".to_owned()), "no base64!"), "whsec_"),
        ] {
            let error = format!("{:#}", Webhook::open(&settings, Path::new("/")).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
    }
}
