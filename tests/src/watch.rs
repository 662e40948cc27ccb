//! What the tests see: the HTTP interface, asked until it says what is awaited or time is up.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use reqwest::StatusCode;
use serde_json::Value;
use standardwebhooks::Webhook;

/// What an awaited state may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until an address answers well.
pub async fn until_answering(url: &str) -> anyhow::Result<()> {
    // The provider is set once in a process; a second time it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let start = Instant::now();
    loop {
        let answer = reqwest::get(url).await.and_then(reqwest::Response::error_for_status);
        if answer.is_ok() {
            return Ok(());
        }
        anyhow::ensure!(start.elapsed() < PATIENCE, "{url} does not answer after {PATIENCE:?}: {answer:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks one system.
#[derive(Clone, Debug)]
pub struct Watch {
    base: String,
    http: reqwest::Client,
}

impl Watch {
    /// Of the system at an address.
    pub fn new(base: &str) -> Self {
        // The provider is set once in a process; a second time it is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { base: base.to_owned(), http: reqwest::Client::new() }
    }

    /// The JSON at a path.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let response = self.http.get(format!("{}{path}", self.base)).send().await?;
        let status = response.status();
        let text = response.text().await?;
        anyhow::ensure!(status.is_success(), "GET {path}: {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("GET {path}: {text}"))
    }

    /// The text at a path.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        Ok(self.http.get(format!("{}{path}", self.base)).send().await?.error_for_status()?.text().await?)
    }

    /// Asks until the answer is as wanted; the last answer is in the error.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let start = Instant::now();
        loop {
            let answer = self.get(path).await;
            if let Ok(value) = &answer
                && wanted(value)
            {
                return answer;
            }
            if start.elapsed() > PATIENCE {
                anyhow::bail!("{path} is not as wanted after {PATIENCE:?}; last: {answer:?}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until everything that the log held is searchable, and there are this many documents.
    pub async fn until_searchable(&self, documents: u64) -> anyhow::Result<()> {
        self.until("/api/status", |status| {
            status["up_to_date"] == Value::Bool(true) && status["documents"].as_u64() == Some(documents)
        })
        .await
        .map(drop)
    }

    /// Waits until the decision side has folded every record that the log held at the call, and has answered.
    pub async fn until_decided(&self) -> anyhow::Result<()> {
        self.until("/api/decisions", |status| status["up_to_date"] == Value::Bool(true)).await.map(drop)
    }

    /// The ids of all mentions that a search finds, page by page, in its order.
    pub async fn all_ids(&self, query: &str) -> anyhow::Result<Vec<String>> {
        let mut ids = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/api/search?limit=100&sort=time&{query}{cursor}")).await?;
            for hit in page["hits"].as_array().context("hits")? {
                ids.push(hit["id"].as_str().context("id")?.to_owned());
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(ids),
            }
        }
    }

    /// Posts mentions through a signed door; answers whether they were taken.
    pub async fn post_signed(
        &self,
        door: &str,
        secret: &str,
        id: &str,
        mentions: &Value,
    ) -> anyhow::Result<bool> {
        let now = jiff::Timestamp::now().as_second();
        Ok(self.post_signed_at(now, door, secret, id, mentions).await?.is_success())
    }

    /// The same at a time of the sender's clock, in seconds since 1970; answers the status.
    pub async fn post_signed_at(
        &self,
        now: i64,
        door: &str,
        secret: &str,
        id: &str,
        mentions: &Value,
    ) -> anyhow::Result<StatusCode> {
        let body = serde_json::to_vec(mentions)?;
        let signature = Webhook::new(secret)?.sign(id, now, &body)?;
        let response = self
            .http
            .post(format!("{}/api/doors/{door}", self.base))
            .header("webhook-id", id)
            .header("webhook-timestamp", now.to_string())
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await?;
        Ok(response.status())
    }
}
