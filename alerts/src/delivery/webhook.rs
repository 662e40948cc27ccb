//! Webhooks in the form of <https://www.standardwebhooks.com>: signed, with an id that repeats at every attempt.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use earshot_common::events::{AlertEvent, Transition};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use serde::Serialize;

use super::{Message, Refused};
use crate::outside;
use crate::settings::WebhookSettings;

/// From the first byte to the last.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Posts to one address.
pub(crate) struct Webhook {
    client: Client,
    url: String,
    signature: Option<standardwebhooks::Webhook>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    #[serde(flatten)]
    event: &'a AlertEvent,
}

impl Webhook {
    /// Sets the client up; nothing is sent yet.
    pub(crate) fn open(settings: &WebhookSettings, base: &Path) -> anyhow::Result<Self> {
        let client = outside::client_for(&settings.url, TIMEOUT)?;
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
        Ok(Self { client, url: settings.url.clone(), signature })
    }

    /// One attempt.
    pub(crate) async fn send(&self, message: &Message) -> Result<(), Refused> {
        let body = Body {
            kind: kind(message.event.transition),
            headline: &message.headline,
            link: message.link.as_deref(),
            event: &message.event,
        };
        let body = serde_json::to_vec(&body)
            .map_err(|error| Refused::for_good(format!("write the body: {error}")))?;
        let timestamp = jiff::Timestamp::now().as_second();
        let mut request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(standardwebhooks::HEADER_WEBHOOK_ID, &message.key)
            .header(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, timestamp);
        if let Some(signature) = &self.signature {
            let signed = signature
                .sign(&message.key, timestamp, &body)
                .map_err(|error| Refused::for_good(format!("sign the body: {error}")))?;
            request = request.header(standardwebhooks::HEADER_WEBHOOK_SIGNATURE, signed);
        }
        match request.body(body).send().await {
            Ok(response) => answer(&response),
            Err(error) => Err(Refused::for_now(format!("post: {}", outside::reason(error)))),
        }
    }
}

fn kind(transition: Transition) -> String {
    format!("alert.{}", transition.name())
}

/// What the receiver's answer means.
fn answer(response: &Response) -> Result<(), Refused> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let error = format!("the receiver answered {status}");
    let may_change = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if !may_change {
        return Err(Refused::ForGood { error });
    }
    let after =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Err(Refused::ForNow { error, after: after.map(Duration::from_secs) })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Bytes;
    use axum::http::HeaderMap;
    use axum::routing::post;
    use earshot_common::events::Channel;

    use super::*;
    use crate::delivery::tests::{MAIL_KEY, event, message};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

    /// A receiver that gives these answers in turn.
    async fn receiver(answers: Vec<(u16, Option<&'static str>)>) -> (String, Received) {
        let received = Received::default();
        let kept = Arc::clone(&received);
        let answers = Arc::new(Mutex::new(answers.into_iter()));
        let hook = post(async move |headers: HeaderMap, body: Bytes| {
            kept.lock().unwrap().push((headers, body));
            let (status, after) = answers.lock().unwrap().next().unwrap();
            let mut headers = HeaderMap::new();
            if let Some(after) = after {
                headers.insert("retry-after", after.parse().unwrap());
            }
            (axum::http::StatusCode::from_u16(status).unwrap(), headers)
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", hook)).await });
        (url, received)
    }

    fn webhook(url: String) -> Webhook {
        let settings = WebhookSettings { url, secret: Some(SECRET.to_owned()), secret_file: None };
        Webhook::open(&settings, Path::new("/")).unwrap()
    }

    #[tokio::test]
    async fn what_is_posted_verifies_and_keeps_its_id_at_the_next_attempt() {
        let (url, received) = receiver(vec![(500, None), (200, None)]).await;
        let webhook = webhook(url);
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

    #[tokio::test]
    async fn an_answer_says_whether_another_attempt_may_succeed() {
        let cases = [
            (429, Some("7"), Some(Duration::from_secs(7))),
            (503, None, None),
            (408, Some("Wed, 21 Oct 2026 07:28:00 GMT"), None),
        ];
        for (status, after, wanted) in cases {
            let (url, _) = receiver(vec![(status, after)]).await;
            match webhook(url).send(&message(Channel::Log, "Harbor")).await {
                Err(Refused::ForNow { after, .. }) => assert_eq!(after, wanted, "{status}"),
                other => panic!("{status}: {other:?}"),
            }
        }
        for status in [400, 404, 410, 302] {
            let (url, _) = receiver(vec![(status, None)]).await;
            match webhook(url).send(&message(Channel::Log, "Harbor")).await {
                Err(Refused::ForGood { error }) => assert!(error.contains(&status.to_string()), "{error}"),
                other => panic!("{status}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_wrong_secret_or_address_is_refused_at_the_start() {
        let settings = |url: &str, secret: &str| WebhookSettings {
            url: url.to_owned(),
            secret: Some(secret.to_owned()),
            secret_file: None,
        };
        for (settings, wanted) in [
            (settings("ftp://chat.example", SECRET), "http or https"),
            (settings("https://chat.example", "no base64!"), "whsec_"),
        ] {
            let error = format!("{:#}", Webhook::open(&settings, Path::new("/")).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
    }
}
