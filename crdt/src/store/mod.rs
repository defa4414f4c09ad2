//! What every type is built from: a dot store, the one join, and the handle that writes state and delta at once.
//!
//! Applications meet [`Crdt`] and [`Mut`] here; the rest is for implementing types (`#[derive(Crdt)]` writes it).

mod alias;
mod changes;
mod conflicts;
mod content;
mod index;
mod join;
mod keyed;
mod leaf;
mod mark;
mod mutate;
mod opaque;
mod order;
mod plain;
mod renaming;
mod sweep;
mod traits;
mod unknown;
mod value;
mod view;
mod votes;
mod walk;

pub use alias::Alias;
pub use changes::{
    Change, Changes, Gathered, ItemSplice, Look, Marked, Seen, Splice, What, look_at_fields, look_at_variant,
};
pub(crate) use changes::{Sight, compare};
pub use conflicts::{Claim, Conflict, Disputes};
pub(crate) use content::{Amount, Content, Written};
pub use join::Join;
pub(crate) use join::{Rows, rows_in};
pub(crate) use keyed::{Gap, Keyed, Slot};
pub use leaf::Leaf;
pub(crate) use leaf::leaf_store;
pub(crate) use mark::Mark;
pub(crate) use mutate::deeper;
pub use mutate::{MAX_DEPTH, Mut};
pub use opaque::Opaque;
pub use plain::Plain;
pub(crate) use renaming::Renaming;
pub use sweep::Sweep;
pub(crate) use sweep::{FADING, Named, SumUp, Swept};
pub use traits::{Crdt, DotStore};
pub use unknown::UnknownFields;
use value::try_encode_value;
pub use value::{Key, Value};
pub(crate) use value::{check_key, checked_key, decode_key, decode_value, view_seq, write_key, write_value};
pub use view::View;
pub(crate) use votes::{Vote, Votes, votes_store};
