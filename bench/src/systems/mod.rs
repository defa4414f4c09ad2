//! The systems: one file each, each used as its documentation advises.

mod automerge;
mod cola;
mod crdts;
mod diamond_types;
mod dson;
mod loro;
mod std_maps;
mod tombolo;
mod yrs;

use crate::system::System;

/// All of them, in the order of the report.
pub const ALL: &[&dyn System] = &[
    &tombolo::Tombolo,
    &tombolo::TomboloDoc,
    &crdts::Crdts,
    &automerge::Automerge,
    &yrs::Yrs,
    &loro::Loro,
    &dson::Dson,
    &diamond_types::DiamondTypes,
    &cola::Cola,
    &std_maps::BTree,
    &std_maps::Hash,
];

/// The system of this name.
pub fn named(name: &str) -> Option<&'static dyn System> {
    ALL.iter().copied().find(|system| system.name() == name)
}

/// Whether it is ours.
pub fn is_ours(name: &str) -> bool {
    name.starts_with("tombolo")
}

/// Whether it is what the hardware allows rather than a peer.
pub fn is_reference(name: &str) -> bool {
    named(name).is_some_and(|system| system.package().is_none())
}

/// The version of a package in the lock file this was built from.
pub fn version_of(package: &str) -> Option<&'static str> {
    const LOCK: &str = include_str!("../../Cargo.lock");
    let mut lines = LOCK.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    lines.next()?;
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}
