//! The program, as a person or a script uses it.
#![cfg(unix)]

mod cli;
#[allow(dead_code)]
#[path = "../common/mod.rs"]
mod common;
mod documents;
mod full_disk;
mod inspect;
mod leave;
mod list;
mod metrics;
mod movable;
mod renew;
mod restart;
mod text;
mod tree;
mod watch;
