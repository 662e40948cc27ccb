//! A live burst through the signed door: mentions of one company and its chief after another, each sent until
//! it is taken, as a sender of webhooks does. What was taken is what must be found and counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::input::{COMPANIES, DOOR_SECRET};
use crate::watch::{PATIENCE, Watch};

/// Before a mention is sent again that was not taken.
const RETRY: Duration = Duration::from_millis(100);
/// Between two mentions, at most.
const LONGEST_PAUSE_MS: u64 = 40;

/// Mentions that were taken: by id, the subject that each is about.
pub type Taken = BTreeMap<String, String>;

/// A burst that is under way.
#[derive(Debug)]
pub struct Load {
    taken: Arc<Mutex<Vec<(String, String)>>>,
    company: Arc<AtomicUsize>,
    stop: CancellationToken,
    sending: JoinHandle<()>,
}

impl Load {
    /// Begins, at the address of ingest.
    pub fn start(ingest: &str, seed: u64) -> Self {
        let (taken, company, stop) = (Arc::default(), Arc::default(), CancellationToken::new());
        let sending = send(Watch::new(ingest), seed, Arc::clone(&taken), Arc::clone(&company), stop.clone());
        Self { taken, company, stop, sending: tokio::spawn(sending) }
    }

    /// From now on most mentions are about another company, so that new alerts open.
    pub fn next_company(&self) {
        self.company.fetch_add(1, Ordering::SeqCst);
    }

    /// The ids that were taken last, so many.
    pub fn last_taken(&self, count: usize) -> Vec<String> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.iter().rev().take(count).map(|(id, _)| id.clone()).collect()
    }

    /// Waits until so many more are taken.
    pub async fn until_more_taken(&self, count: usize) -> anyhow::Result<()> {
        let taken = || self.taken.lock().unwrap_or_else(PoisonError::into_inner).len();
        let (start, wanted) = (Instant::now(), taken() + count);
        while taken() < wanted {
            anyhow::ensure!(start.elapsed() < PATIENCE, "nothing is taken at the door");
            tokio::time::sleep(RETRY).await;
        }
        Ok(())
    }

    /// Sends what is in hand until it is taken, ends, and answers all that was taken.
    pub async fn finish(self) -> anyhow::Result<Taken> {
        self.stop.cancel();
        self.sending.await?;
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(taken.iter().cloned().collect())
    }
}

async fn send(
    ingest: Watch,
    seed: u64,
    taken: Arc<Mutex<Vec<(String, String)>>>,
    company: Arc<AtomicUsize>,
    stop: CancellationToken,
) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut n = 0;
    while !stop.is_cancelled() {
        n += 1;
        let newest = company.load(Ordering::SeqCst).min(COMPANIES.len() - 1);
        let at = if random.random_bool(0.8) { newest } else { random.random_range(0..=newest) };
        let (name, chief) = COMPANIES[at];
        let about_chief = random.random_bool(0.3);
        let text = match about_chief {
            true => format!("{chief} is a terrible, horrible, disgusting fraud, number {n}"),
            false => format!("{name} is down again, number {n}"),
        };
        let author =
            json!({"name": format!("writer{n}"), "handle": format!("writer{n}"), "followers": 20_000});
        let id = format!("live-{n}");
        let published = jiff::Timestamp::now().to_string();
        let mention = json!({"id": id, "text": text, "author": author, "published": published});
        while !ingest.post_signed("test", DOOR_SECRET, &id, &mention).await.unwrap_or(false) {
            tokio::time::sleep(RETRY).await;
        }
        let subject = if about_chief { format!("chief{at}") } else { format!("company{at}") };
        taken.lock().unwrap_or_else(PoisonError::into_inner).push((format!("test:{id}"), subject));
        tokio::time::sleep(Duration::from_millis(random.random_range(0..LONGEST_PAUSE_MS))).await;
    }
}
