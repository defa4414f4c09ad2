//! How long is waited for what nodes do, and how.

use std::time::{Duration, Instant};

/// Whatever is to happen does so within this, on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until it is so; yields how long that took.
pub async fn eventually(what: &str, check: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}
