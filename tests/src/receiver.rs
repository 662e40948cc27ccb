//! A receiver of webhooks, as the people have whom alerts are told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;

/// Takes what is posted, and remembers the ids. It ends with the test's runtime.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Where to post.
    pub url: String,
    taken: Arc<Mutex<BTreeMap<String, Vec<Instant>>>>,
}

impl Receiver {
    /// Starts one on a free port that answers each post after this long.
    pub async fn start(answer_after: Duration) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("listen for webhooks")?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let receiver = Self { url, taken: Arc::default() };
        let kept = receiver.clone();
        let hook = post(async move |headers: HeaderMap| {
            let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
            kept.times().entry(id).or_default().push(Instant::now());
            tokio::time::sleep(answer_after).await;
        });
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", hook)).await });
        Ok(receiver)
    }

    /// How often each id was posted.
    pub fn taken(&self) -> BTreeMap<String, usize> {
        self.times().iter().map(|(id, times)| (id.clone(), times.len())).collect()
    }

    fn times(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Instant>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
