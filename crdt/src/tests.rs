//! What this crate's own random tests share.

use proptest::prelude::ProptestConfig;

/// So many cases of a random test, or as many times more as the environment variable `TOMBOLO_CASES` says.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let times = std::env::var("TOMBOLO_CASES").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    ProptestConfig::with_cases(cases.saturating_mul(times))
}
