//! Typed, delta-state, tombstone-free replicated data types.

mod causal;
mod codec;
mod counter;
mod delta;
mod doc;
mod flag;
mod map;
mod register;
mod replica;
mod set;
mod store;

pub use causal::{
    CausalContext, Dot, HybridClock, LocalDot, MAX_COUNTER, MAX_DRIFT_MILLIS, MAX_REPLICAS,
    ParseReplicaIdError, ReplicaId, ReplicaIndex, ReplicaTable, Stamp, Version,
};
pub use codec::{DecodeError, Envelope, EnvelopeKind, FORMAT, Limits};
pub use counter::{GCounter, PnCounter};
pub use delta::{Delta, DeltaTree, Mismatch};
pub use doc::{Doc, DocEntry, Kind, Scalar};
pub use flag::EnableWinsFlag;
pub use map::AddWinsMap;
pub use register::{LwwRegister, MvRegister};
pub use replica::{Merged, Refused, Replica, Since};
pub use set::{AddWinsSet, GSet};
pub use store::{Crdt, DotStore, Join, Key, MAX_DEPTH, Mut, Opaque, UnknownFields, Value, View};
#[cfg(feature = "derive")]
pub use tombolo_crdt_derive::Crdt;

#[doc(hidden)]
pub use serde;

// So that the derive's paths resolve inside this crate's own tests and doctests.
extern crate self as tombolo_crdt;
