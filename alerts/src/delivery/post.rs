//! Posting to an address of the web, and what its answer means: what every channel over HTTP has in common.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Serialize;

use super::Refused;
use crate::outside;
use crate::settings::AddressSettings;

/// From the first byte to the last.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Characters of an answer's text that are worth keeping.
const REASON_LENGTH: usize = 120;

/// An address to post JSON to. It is a secret with most receivers, so it is never shown.
pub(crate) struct Target {
    client: Client,
    url: String,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").finish_non_exhaustive()
    }
}

impl Target {
    /// The address of these settings, and behind it this path; `base` is the folder that relative paths start from.
    pub(crate) fn open(settings: &AddressSettings, base: &Path, path: &str) -> anyhow::Result<Self> {
        let url = format!("{}{path}", settings.read(base)?.trim_end_matches('/'));
        Ok(Self { client: outside::client_for(&url, TIMEOUT)?, url })
    }

    /// A request with this body.
    pub(crate) fn request(&self, body: &impl Serialize) -> Result<(RequestBuilder, Vec<u8>), Refused> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Refused::for_good(format!("write the body: {error}")))?;
        Ok((self.client.post(&self.url).header(CONTENT_TYPE, "application/json"), body))
    }

    /// One attempt to post.
    pub(crate) async fn post(&self, body: &impl Serialize) -> Result<(), Refused> {
        let (request, body) = self.request(body)?;
        send(request, body).await
    }
}

/// Sends a request, and says what its answer means.
pub(crate) async fn send(request: RequestBuilder, body: Vec<u8>) -> Result<(), Refused> {
    match request.body(body).send().await {
        Ok(response) => answer(response).await,
        Err(error) => Err(Refused::for_now(format!("post: {}", outside::reason(error)))),
    }
}

/// Taken; to be tried again where the receiver is busy, broken, too slow or not set up right, as in the middle of a
/// change of its own, after as long as it asks for; else refused for good, with its own words.
async fn answer(response: Response) -> Result<(), Refused> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let after =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let may_change = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::TOO_EARLY
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
        );
    let error = format!("the receiver answered {status}{}", words(response).await);
    if !may_change {
        return Err(Refused::ForGood { error });
    }
    Err(Refused::ForNow { error, after: after.map(Duration::from_secs) })
}

/// The start of an answer's text, where it is text.
async fn words(mut response: Response) -> String {
    let Ok(Some(start)) = response.chunk().await else { return String::new() };
    let start = String::from_utf8_lossy(&start);
    let line: String = start.trim().chars().take(REASON_LENGTH).filter(|c| !c.is_control()).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

/// A receiver for the tests of channels.
#[cfg(test)]
pub(crate) mod receiver {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Bytes;
    use axum::http::HeaderMap;

    use crate::settings::AddressSettings;

    /// What was posted.
    pub(crate) type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

    /// Starts one that gives these answers in turn, whatever the path.
    pub(crate) async fn start(answers: Vec<(u16, Option<&'static str>)>) -> (AddressSettings, Received) {
        let received = Received::default();
        let kept = Arc::clone(&received);
        let answers = Arc::new(Mutex::new(answers.into_iter()));
        let take = async move |headers: HeaderMap, body: Bytes| {
            kept.lock().unwrap().push((headers, body));
            let (status, after) = answers.lock().unwrap().next().unwrap();
            let mut headers = HeaderMap::new();
            if let Some(after) = after {
                headers.insert("retry-after", after.parse().unwrap());
            }
            (axum::http::StatusCode::from_u16(status).unwrap(), headers, "why\n")
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/T0KEN", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
        (AddressSettings { url: Some(url), url_file: None }, received)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn an_answer_says_whether_another_attempt_may_succeed() {
        for (status, after, wanted) in [
            (429, Some("7"), Some(Duration::from_secs(7))),
            (503, None, None),
            (500, None, None),
            (401, None, None),
            (403, None, None),
            (404, None, None),
            (408, Some("Wed, 21 Oct 2026 07:28:00 GMT"), None),
        ] {
            let (address, _) = receiver::start(vec![(status, after)]).await;
            match Target::open(&address, Path::new("/"), "").unwrap().post(&json!({})).await {
                Err(Refused::ForNow { after, .. }) => assert_eq!(after, wanted, "{status}"),
                other => panic!("{status}: {other:?}"),
            }
        }
        for status in [400, 410, 413, 302] {
            let (address, _) = receiver::start(vec![(status, None)]).await;
            match Target::open(&address, Path::new("/"), "").unwrap().post(&json!({})).await {
                Err(Refused::ForGood { error }) => {
                    assert!(error.contains(&status.to_string()) && error.ends_with(": why"), "{error}");
                }
                other => panic!("{status}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn an_address_is_never_shown() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address = AddressSettings { url: Some(format!("http://{free}/T0KEN")), url_file: None };
        let target = Target::open(&address, Path::new("/"), "").unwrap();
        let error = target.post(&json!({})).await.unwrap_err();
        let shown = format!("{target:?} {error:?} {address:?}");
        assert!(!shown.contains("T0KEN") && shown.contains("refused"), "{shown}");
    }
}
