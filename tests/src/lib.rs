//! What the whole-stack tests are written with.

pub mod model;
pub mod sim;
