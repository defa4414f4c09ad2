//! Stores: what they promise, what they survive and what they refuse.

#[allow(dead_code)]
#[path = "../common/mod.rs"]
mod common;
mod conformance;
mod flips;
mod group;
mod redb;
mod salvage;
