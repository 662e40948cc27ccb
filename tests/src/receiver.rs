//! A receiver of webhooks, as the people have whom alerts are told to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

use crate::watch::PATIENCE;

const PAUSE: Duration = Duration::from_millis(50);

/// Takes what is posted, and remembers the ids. It ends with the test's runtime.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Where to post.
    pub url: String,
    taken: Arc<Mutex<BTreeMap<String, usize>>>,
    posts: Arc<AtomicUsize>,
}

impl Receiver {
    /// Starts one on a free port that answers each post after this long, and is busy at first: so many posts it
    /// does not take.
    pub async fn start(answer_after: Duration, busy: usize) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("listen for webhooks")?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let receiver = Self { url, taken: Arc::default(), posts: Arc::default() };
        let kept = receiver.clone();
        let posts = Arc::clone(&receiver.posts);
        let hook = post(async move |headers: HeaderMap| {
            if posts.fetch_add(1, Ordering::SeqCst) < busy {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
            *kept.counts().entry(id).or_default() += 1;
            tokio::time::sleep(answer_after).await;
            StatusCode::NO_CONTENT
        });
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", hook)).await });
        Ok(receiver)
    }

    /// How often each id was taken.
    pub fn taken(&self) -> BTreeMap<String, usize> {
        self.counts().clone()
    }

    /// Posts so far, those that were not taken too.
    pub fn posts(&self) -> usize {
        self.posts.load(Ordering::SeqCst)
    }

    /// Waits until so many different ids were taken.
    pub async fn until_taken(&self, ids: usize) -> anyhow::Result<()> {
        let start = Instant::now();
        while self.counts().len() < ids {
            let taken = self.taken();
            anyhow::ensure!(start.elapsed() < PATIENCE, "waited for {ids} messages, and {taken:?} came");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
