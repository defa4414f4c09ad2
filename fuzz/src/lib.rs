//! What the fuzz targets share.
//!
//! A target reads bytes and calls one function of this crate; so the seed generator (`examples/seeds.rs`) and the
//! targets agree on what the bytes mean.

pub mod codec;
pub mod memory;
pub mod node;
pub mod program;
pub mod types;
pub mod wire;
