//! What the fuzz targets share.
//!
//! A target reads bytes and calls one function of this crate; so the seed generator (`examples/seeds.rs`) and the
//! targets agree on what the bytes mean.

pub mod codec;
pub mod memory;
#[path = "../../tests/src/model/wire.rs"]
pub mod message;
pub mod node;
pub mod program;
pub mod types;
pub mod wire;

/// Whether a target should say what it does: `FUZZ_TRACE` is set.
#[must_use]
pub fn is_traced() -> bool {
    static TRACED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *TRACED.get_or_init(|| std::env::var_os("FUZZ_TRACE").is_some())
}

/// Says what a target does, where that is wanted.
#[macro_export]
macro_rules! trace {
    ($($part:tt)*) => {
        if $crate::is_traced() {
            eprintln!($($part)*);
        }
    };
}
