//! The time of a core that a thread's work takes, where the system tells it: others may use the machine too.

use std::time::{Duration, Instant};

/// A stop-watch of this thread.
#[derive(Clone, Copy, Debug)]
pub struct CoreTime {
    start: Instant,
    on_core: Option<Duration>,
}

impl CoreTime {
    /// Starts now.
    pub fn start() -> Self {
        Self { start: Instant::now(), on_core: on_core() }
    }

    /// What the thread took of a core since the start; the time that passed, where the system does not tell.
    pub fn elapsed(&self) -> Duration {
        match self.on_core.zip(on_core()) {
            Some((before, now)) => now - before,
            None => self.start.elapsed(),
        }
    }
}

fn on_core() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(told.split(' ').next()?.parse().ok()?))
}
