//! What the whole-stack tests are written with.

pub mod direct;
pub mod model;
pub mod sim;
