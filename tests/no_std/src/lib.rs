//! An application without the standard library: `.ci/run` builds it where there is none.
//!
//! It derives its types, and what it writes, encodes, reads and merges is what programs with the standard library do; that it
//! is the same bytes is asked by its test, which runs with either.

#![no_std]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Crdt, DecodeError, Delta, Doc, LwwMap, Merged, PnCounter, Replica, ReplicaId,
    readable,
};

pub use tombolo_crdt::Limits;

/// What stands on a shelf.
#[derive(Crdt)]
#[allow(missing_docs)]
pub struct Shelf {
    #[crdt(lww)]
    pub name: String,
    pub books: AddWinsMap<u64, Book>,
    pub places: LwwMap<String, Place>,
    pub notes: Doc,
}

/// A book: how often it was lent, or what it is called and in which languages.
#[derive(Crdt)]
#[allow(missing_docs)]
pub enum Book {
    Lent(PnCounter),
    Titled {
        #[crdt(mv)]
        title: String,
        languages: AddWinsSet<String>,
    },
}

/// Where something stands: a value of the application's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Place {
    Nowhere,
    At { row: u8, column: i16 },
    Beside(Vec<Place>),
}

/// Two replicas write at the same time and take in each other's messages. What both hold then, in bytes.
///
/// # Errors
/// If one does not take what the other wrote.
///
/// # Panics
/// If they do not hold the same, or it does not come back.
pub fn exchange(limits: &Limits) -> Result<Vec<u8>, DecodeError> {
    let mut ann = Replica::<Shelf>::new(ReplicaId::from_bytes([1; 16]));
    let mut bob = Replica::<Shelf>::new(ReplicaId::from_bytes([2; 16]));
    ann.set_time(1_000);
    let (_, from_ann) = ann.update(|shelf| {
        shelf.name().set("Upstairs");
        let mut book = shelf.books().entry(7_u64);
        let mut titles = book.choose_titled();
        titles.title().set("Birds");
        titles.languages().extend(["en", "fr"]);
        shelf.places().set("birds", Place::At { row: 1, column: -300 });
    });
    let (_, from_bob) = bob.update(|shelf| {
        shelf.places().set("maps", Place::Beside([Place::Nowhere].into()));
        shelf.notes().counter("visits").inc(1 << 40);
    });
    assert_eq!(bob.merge(Delta::decode(&from_ann.encode(), limits)?), Ok(Merged::Applied));
    assert_eq!(ann.merge(Delta::decode(&from_bob.encode(), limits)?), Ok(Merged::Applied));

    let held = ann.encode();
    assert_eq!(held, bob.encode());
    let back = Replica::<Shelf>::decode(ann.id(), &held, limits)?;
    assert!(back.books.get(&7).is_some());
    assert_eq!(back.places.get("birds"), Some(&Place::At { row: 1, column: -300 }));
    assert_eq!(readable(b"\xa3fig"), "\"fig\"");
    Ok(held)
}
