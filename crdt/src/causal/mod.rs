//! Who wrote what, and what they had seen: the causal vocabulary every type is built on.

mod clock;
mod context;
mod dot;
mod replica_id;
mod table;
mod tx;
mod version;

pub use clock::{HybridClock, MAX_DRIFT_MILLIS, Stamp};
pub use context::{CausalContext, Dots};
pub(crate) use dot::BadCounter;
pub use dot::{Dot, LocalDot, MAX_COUNTER, MAX_REPLICAS, ReplicaIndex};
pub use replica_id::{ParseReplicaIdError, ReplicaId};
pub use table::ReplicaTable;
pub use tx::Tx;
pub use version::Version;
