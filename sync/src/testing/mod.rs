//! A network in one process.

#[doc(hidden)]
pub mod machinery;
