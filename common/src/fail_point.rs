//! Points of the code at which tests kill the process, between an effect and what follows it.
//!
//! They are there only in builds with the feature `fail-points`, which the package of whole flows turns on: a
//! program that is run for its own sake has none. `EARSHOT_KILL_AT=stored:3` kills at the third passing of the
//! point `stored`, as SIGKILL does: nothing is flushed, closed or told.

/// Passes a point. In a build with `fail-points`, and where the environment says so, this is the end.
#[inline]
pub fn passed(point: &str) {
    #[cfg(feature = "fail-points")]
    armed::passed(point);
    #[cfg(not(feature = "fail-points"))]
    let _ = point;
}

#[cfg(feature = "fail-points")]
mod armed {
    use std::process::Command;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Which point, and at which passing of it.
    static KILL_AT: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let value = std::env::var("EARSHOT_KILL_AT").ok()?;
        let (point, passing) = value.split_once(':')?;
        Some((point.to_owned(), passing.parse().ok()?))
    });
    static PASSED: AtomicU64 = AtomicU64::new(0);

    pub(super) fn passed(point: &str) {
        let Some((fatal, passing)) = KILL_AT.as_ref() else { return };
        if fatal == point && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *passing {
            let killed = Command::new("kill").arg("-KILL").arg(std::process::id().to_string()).status();
            // Whatever became of the command, nothing after this point may run.
            drop(killed);
            std::process::abort();
        }
    }
}
