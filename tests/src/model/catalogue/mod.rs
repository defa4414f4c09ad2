//! The small scope of every type.

mod nested;
mod ordered;
mod plain;

use std::fmt::Debug;

use tombolo_crdt::{Crdt, Replica};

pub use nested::{Draw, Jot, Record, Shape, Sheet, drawn};

use super::definitions::Place;
use super::scopes::{Scope, Visited, explore};

/// A type, to be explored with so many replicas, operations and threads.
pub struct Named {
    /// What it is called.
    pub name: &'static str,
    /// Explores it.
    pub explore: Box<dyn Fn(usize, usize, usize) -> Visited>,
}

/// A write of an element, or its removal.
type On = (u8, bool);

const ELEMENTS: &[On] = &[(0, true), (1, true), (0, false), (1, false)];
fn no_names<T: Crdt>(_: &Replica<T>) -> String {
    String::new()
}

fn at(parts: &[u8]) -> Place {
    parts.iter().map(u8::to_string).collect()
}

fn nothing_alike<O>(_: &O) -> u8 {
    0
}

fn add<T: Crdt, O: Debug + Sync + 'static>(all: &mut Vec<Named>, scope: Scope<T, O>) {
    let name = scope.name;
    let explore = Box::new(move |replicas, length, threads| explore(&scope, replicas, length, threads));
    all.push(Named { name, explore });
}

/// All types.
#[must_use]
pub fn all() -> Vec<Named> {
    let mut all = Vec::new();
    plain::add_to(&mut all);
    ordered::add_to(&mut all);
    nested::add_to(&mut all);
    all
}
