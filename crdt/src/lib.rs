//! Typed, delta-state replicated data types, without tombstones where the merge rule can do without.
//!
//! Several devices hold the same data. Each always reads and writes its own copy, also while it cannot reach the others;
//! what they write is exchanged whenever that is possible, in any order, any number of times; and all copies of the same
//! writes are the same, to the byte. This crate is the data: it does no I/O, reads no clock and draws no randomness.
//! `tombolo-sync` carries it between peers.
//!
//! # A replica
//!
//! A [`Replica`] is a value, the [`Version`] it has reached, and the [`ReplicaId`] under which it writes. Reads go to the
//! value. Writes go through [`update`](Replica::update), which yields a [`Delta`] for the others, and
//! [`merge`](Replica::merge) takes theirs in:
//!
//! ```
//! use tombolo_crdt::{AddWinsSet, Replica, ReplicaId};
//!
//! let mut ann = Replica::<AddWinsSet<String>>::new(ReplicaId::from_bytes([1; 16]));
//! let mut bob = Replica::<AddWinsSet<String>>::new(ReplicaId::from_bytes([2; 16]));
//!
//! let (_, delta) = ann.update(|seen| seen.extend(["heron", "avocet"]));
//! bob.merge(delta)?;
//! assert!(bob.contains("heron"));
//! assert_eq!(ann.version(), bob.version());
//! # Ok::<(), tombolo_crdt::Refused>(())
//! ```
//!
//! An id names one *incarnation* of one store. Two live replicas must never share one: what one writes the other would
//! take for known. So a replica cannot be cloned; [`fork`](Replica::fork) asks for a new id.
//!
//! An update is a transaction: all of it becomes visible at once, here and everywhere. One that fails, or panics, leaves
//! no trace:
//!
//! ```
//! # use tombolo_crdt::{PnCounter, Replica, ReplicaId};
//! # let mut stock = Replica::<PnCounter>::new(ReplicaId::from_bytes([1; 16]));
//! let _ = stock.update(|apples| apples.inc(3));
//! let taken = stock.try_update(|apples| {
//!     apples.dec(5);
//!     if apples.value() < 0 { Err("not that many") } else { Ok(()) }
//! });
//! assert_eq!(taken.unwrap_err(), "not that many");
//! assert_eq!(stock.value(), 3);
//! ```
//!
//! # Writing at the same time
//!
//! Two writes are *concurrent* when neither author had seen the other's. What becomes of them is what tells the types
//! apart, and each type's page shows it. Everything is either kept or replaced by somebody who had seen it: removing takes
//! what was seen, and nothing that was not.
//!
//! | for | use | of two concurrent writes |
//! |---|---|---|
//! | numbers that many add to | [`PnCounter`], [`GCounter`] | both count |
//! | numbers that must not fall below a bound | [`BoundedCounter`] | both count, from rights of their own |
//! | yes or no | [`EnableWinsFlag`], [`DisableWinsFlag`] | enabling wins; disabling wins |
//! | one value | [`LwwRegister`] | the later one is shown |
//! | one value, where none may be lost | [`MvRegister`] | both are shown |
//! | the largest or smallest value | [`MaxRegister`], [`MinRegister`] | the larger; the smaller |
//! | elements that are in or not | [`AddWinsSet`], [`GSet`] | adding wins over removing |
//! | elements where it is worse to be in | [`RemoveWinsSet`], [`TwoPhaseSet`] | removing wins over adding |
//! | text | [`Text`] | both are there, one whole behind the other |
//! | a list of plain values | [`List`] | both are there, one whole behind the other |
//! | a list whose elements are moved and written to | [`MovableList`] of any type | of two moves of one element the later; a move and a write both |
//! | what stands below each other and is moved | [`Tree`] of any type | of two moves of one node the later; never in a circle |
//! | keys with values of any type | [`AddWinsMap`], [`GMap`] | writing below a key wins over removing it |
//! | keys with plain values | [`LwwMap`] | the later write or removal counts |
//! | whatever an application finds at run time | [`Doc`] | as those |
//!
//! # Your own types
//!
//! `#[derive(Crdt)]` makes a struct a replicated type. Its fields are replicated types, or plain ones with a word on how
//! they merge. The struct is the schema: reading goes to a `BoardState` with the same fields, and a closure that writes
//! gets a `BoardMut` with a method for each:
//!
#![cfg_attr(feature = "derive", doc = "```")]
#![cfg_attr(not(feature = "derive"), doc = "```ignore")]
//! use tombolo_crdt::{AddWinsMap, AddWinsSet, Crdt, PnCounter, Replica, ReplicaId};
//!
//! #[derive(Crdt)]
//! struct Board {
//!     #[crdt(lww)]
//!     name: String,
//!     cards: AddWinsMap<String, Card>,
//! }
//!
//! #[derive(Crdt)]
//! struct Card {
//!     #[crdt(mv)]
//!     title: String,
//!     votes: PnCounter,
//!     labels: AddWinsSet<String>,
//! }
//!
//! let mut ann = Replica::<Board>::new(ReplicaId::from_bytes([1; 16]));
//! let mut bob = Replica::<Board>::new(ReplicaId::from_bytes([2; 16]));
//! let (_, delta) = ann.update(|board| {
//!     board.name().set("Garden");
//!     let mut card = board.cards().entry("dig"); // a handle can be kept
//!     card.title().set("Dig the bed");
//!     card.votes().inc(1);
//!     assert_eq!(card.votes.value(), 1); // reads see what this transaction wrote
//! });
//! bob.merge(delta)?;
//!
//! // At the same time: Ann removes the card, Bob labels it.
//! let (_, removed) = ann.update(|board| board.cards().remove("dig"));
//! let (_, labelled) = bob.update(|board| board.cards().entry("dig").labels().add("late"));
//! ann.merge(labelled)?;
//! bob.merge(removed)?;
//!
//! // What Ann had seen is gone; the label, which she had not, is there. And both have the same.
//! let card = ann.cards.get("dig").unwrap();
//! assert!(card.labels.contains("late"));
//! assert_eq!((card.title.value(), card.votes.value()), (None, 0));
//! assert_eq!(ann.encode(), bob.encode());
//! # Ok::<(), tombolo_crdt::Refused>(())
//! ```
//!
//! Maps nest any type, maps included, up to [`MAX_DEPTH`]. An entry that holds nothing does not exist, so two sides may
//! create the same key at the same time and mean the same thing. Fields travel by name, and what a program does not know,
//! a field or a whole document, it keeps and passes on.
//!
//! An enum is the variant that was chosen last, `#[derive(Crdt)]` takes tuples and type parameters as well, and fields can be
//! renamed, have older names and defaults: see [the derive](macro@Crdt).
//!
//! A [`Doc`] needs no schema: names lead to values of any type, and a name that two sides use as different types at the
//! same time keeps both.
//!
//! ```
//! use tombolo_crdt::{Doc, Replica, ReplicaId, Scalar};
//!
//! let mut settings = Replica::<Doc>::new(ReplicaId::from_bytes([1; 16]));
//! let _ = settings.update(|doc| {
//!     doc.map("view").map("window").lww("width").set(800);
//!     doc.map("view").set("columns").extend(["name", "size"]);
//! });
//! let window = settings.at_path(["view", "window"]).unwrap();
//! assert_eq!(window.get("width").unwrap().lww().unwrap().value(), Some(&Scalar::Int(800)));
//! ```
//!
//! # Drawing it
//!
//! [`merge_changes`](Replica::merge_changes) and [`update_changes`](Replica::update_changes) say what became different, by path:
//! keys added and removed, values replaced, counters incremented, where texts and lists were spliced, with who wrote it. Applied to a [`Plain`]
//! value they keep it up to date. [`changes_from`](Replica::changes_from) says so of two replicas of which one takes the place of the other. Of a
//! document of a node of `tombolo-sync` all that is `Document::watch`: a view, and every change after it. [`conflicts`](Replica::conflicts) lists every place where concurrent writers left more than one value.
//!
//! # Over the wire and onto the disk
//!
//! [`Delta::encode`] and [`Replica::encode`] give bytes that stand alone; what they are read by takes [`Limits`], for every
//! byte from outside is taken for hostile. A delta may be lost, doubled, delayed and overtaken:
//!
//! ```
//! use tombolo_crdt::{Delta, Limits, Merged, PnCounter, Refused, Replica, ReplicaId, Since};
//!
//! let mut ann = Replica::<PnCounter>::new(ReplicaId::from_bytes([1; 16]));
//! let mut bob = Replica::<PnCounter>::new(ReplicaId::from_bytes([2; 16]));
//! let (_, first) = ann.update(|visits| visits.inc(1));
//! let (_, second) = ann.update(|visits| visits.inc(1));
//! let second = Delta::decode(&second.encode(), &Limits::default())?;
//!
//! // The first is lost. The second waits for it: nobody sees half of what came before.
//! let Merged::Pending(missing) = bob.merge(second.clone())? else { panic!("it cannot be applied yet") };
//! assert_eq!(missing, first.events());
//! assert_eq!((bob.value(), bob.pending()), (0, 1));
//!
//! // So Bob asks with his version, and is told what he lacks.
//! match ann.delta_since(&bob.version()) {
//!     Since::Delta(delta) => assert_eq!(bob.merge(delta)?, Merged::Applied),
//!     Since::UpToDate | Since::Forgotten => unreachable!("Ann has news, and remembers them"),
//! }
//! assert_eq!((bob.value(), bob.pending()), (2, 0));
//! assert_eq!(bob.merge(second)?, Merged::AlreadyKnown);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What waits is bounded, and where there is no more room [`merge`](Replica::merge) says so, with what is missing, and drops
//! nothing that waits. What is remembered for [`delta_since`](Replica::delta_since) is bounded as well
//! ([`set_history_bytes`](Replica::set_history_bytes)): additions can always be read off the state, removals cannot. To one
//! who is further behind the answer is [`Since::Forgotten`], and the whole [`state`](Replica::state) is sent. It is merged
//! like any delta, and what the receiver wrote meanwhile stays:
//!
//! ```
//! use tombolo_crdt::{AddWinsSet, Delta, Limits, Replica, ReplicaId, Since};
//!
//! let mut ann = Replica::<AddWinsSet<String>>::new(ReplicaId::from_bytes([1; 16]));
//! let mut bob = Replica::<AddWinsSet<String>>::new(ReplicaId::from_bytes([2; 16]));
//! bob.merge(ann.update(|set| set.extend(["old", "older"])).1)?;
//! // Bob goes away, and writes there; Ann removes something and is restarted.
//! let _ = bob.update(|set| set.add("written on the way"));
//! let _ = ann.update(|set| set.remove("older"));
//! let ann = Replica::<AddWinsSet<String>>::decode(ann.id(), &ann.encode(), &Limits::default())?;
//!
//! assert!(matches!(ann.delta_since(&bob.version()), Since::Forgotten));
//! bob.merge(Delta::decode_state(&ann.encode(), &Limits::default())?)?;
//! assert_eq!(bob.iter().collect::<Vec<_>>(), ["old", "written on the way"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Delta::append`] joins an author's next transaction onto its last, so that many small ones travel as one. Values are
//! read as JSON and the like through [`Replica::view`]; deltas, replicas and versions are [serde] types themselves.
//!
//! # Time
//!
//! [`LwwRegister`], [`LwwMap`] and the choice of an enum's variant know of time, and nothing else does. Hand the wall time in with [`set_time`](Replica::set_time) before writing; without it
//! stamps follow causality alone. A wrong clock wins over concurrent writes only: who has seen a value replaces it, whatever
//! its stamp.
//!
//! # What it costs
//!
//! A dot, eight bytes, for every value, element and increment that is there; nothing for what was removed, but in the four types
//! where a removal must win over what it has not seen ([`DisableWinsFlag`], [`RemoveWinsSet`], [`TwoPhaseSet`], [`LwwMap`]); a
//! version entry for every replica that ever wrote. `docs/semantics.md` in the repository has the figures for each type, what each loses
//! on conflict, and the test that shows it.
//!
//! # Features
//!
//! - `derive` (on by default): `#[derive(Crdt)]`.
//! - `std` (on by default): without it the crate needs `alloc` alone, and does and writes the same.
//! - `zstd` (on by default, needs `std`): compresses what is large, and reads what others compressed. A program without it is told
//!   so when it meets what is compressed.
//! - `markdown` (needs `std`): `Text::to_markdown` and `insert_markdown`.
//! - `random`: `ReplicaId::random()`.
//! - `proptest`: `testing`, with random executions of types of your own.

#![cfg_attr(not(test), no_std)]

#[doc(hidden)]
pub extern crate alloc;

mod causal;
mod codec;
mod counter;
mod delta;
mod doc;
mod flag;
mod list;
mod map;
mod movable;
mod ordered;
mod placed;
mod register;
mod replica;
mod sequence;
mod set;
mod store;
#[cfg(feature = "proptest")]
pub mod testing;
#[cfg(test)]
mod tests;
mod text;
mod tree;

pub use causal::{
    CausalContext, Dot, Dots, HybridClock, LocalDot, MAX_COUNTER, MAX_DRIFT_MILLIS, MAX_REPLICAS,
    ParseReplicaIdError, ReplicaId, ReplicaIndex, ReplicaTable, Stamp, Version,
};
#[doc(hidden)]
pub use codec::plain;
pub use codec::{
    DecodeError, Decoding, EncodedSlices, EncodedState, Envelope, EnvelopeKind, FORMAT, InspectedBody,
    InspectedNode, InspectedRun, Inspection, Limits, SessionNames, Slice, readable,
};
pub use counter::{BoundedCounter, GCounter, NoRights, PnCounter};
pub use delta::{Delta, Mismatch, Node, TreeWriter};
pub use doc::{Doc, DocEntry, Kind, Scalar};
pub use flag::{DisableWinsFlag, EnableWinsFlag};
pub use list::{BadIndex, ElementId, List, ParseElementIdError};
pub use map::{AddWinsMap, GMap, LwwMap};
pub use movable::MovableList;
pub use ordered::{Bias, Cursor};
pub use register::{LwwRegister, MaxRegister, MinRegister, MvRegister};
pub use replica::{Garbage, Merged, Refused, Replica, Since};
pub use set::{AddWinsSet, GSet, RemoveWinsSet, TwoPhaseSet};
pub use store::{
    Alias, Change, Changes, Claim, Conflict, Crdt, Disputes, DotStore, Gathered, ItemSplice, Join, Key, Look,
    MAX_DEPTH, Marked, Mut, Opaque, Plain, Seen, Splice, Sweep, UnknownFields, Value, View, What,
    look_at_fields, look_at_variant,
};
pub use text::{
    BadPosition, BadQuill, BlockKind, Expand, MarkKind, Position, QuillAttributes, QuillDelta, QuillOp, Text,
    TextBlock, TextEdit, TextMarks, TextRun, TextSnapshot,
};
/// Makes a struct or an enum a replicated type. Of this enum two variants are chosen at once:
///
/// ```
/// use tombolo_crdt::{Crdt, PnCounter, Replica, ReplicaId};
///
/// #[derive(Crdt)]
/// enum Shape {
///     Circle {
///         #[crdt(lww)]
///         radius: u32,
///     },
///     Square(PnCounter),
/// }
///
/// let mut ann = Replica::<Shape>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<Shape>::new(ReplicaId::from_bytes([2; 16]));
/// ann.set_time(1_000);
/// bob.set_time(2_000);
/// // At the same time:
/// let (_, hers) = ann.update(|shape| shape.choose_circle().radius().set(5_u32));
/// let (_, his) = bob.update(|shape| shape.choose_square().field_0().inc(7));
/// ann.merge(his)?;
/// bob.merge(hers)?;
/// // The later choice is shown, and that there were two can be found out.
/// for replica in [&ann, &bob] {
///     assert!(matches!(replica.get(), Some(ShapeRef::Square(side)) if side.0.value() == 7));
///     assert_eq!(replica.conflicts()[0].values.len(), 2);
/// }
/// // Who has seen both chooses: what stood below the other variant is gone.
/// let (_, settled) = ann.update(|shape| _ = shape.choose_square());
/// bob.merge(settled)?;
/// assert!(bob.conflicts().is_empty());
/// assert!(matches!(bob.get(), Some(ShapeRef::Square(side)) if side.0.value() == 7));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[cfg(feature = "derive")]
pub use tombolo_crdt_derive::Crdt;
pub use tree::{BadNode, MAX_TREE_DEPTH, NodeId, ParseNodeIdError, Tree};

#[doc(hidden)]
pub use serde;

// So that the derive's paths resolve inside this crate's own tests and doctests.
extern crate self as tombolo_crdt;
