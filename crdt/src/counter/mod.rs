//! Numbers that many add to at once.

mod bounded;
mod g_counter;
mod pieces;
mod pn_counter;

pub(crate) use bounded::Ledger;
pub use bounded::{BoundedCounter, NoRights};
pub use g_counter::GCounter;
pub(crate) use pieces::{renamed, sum_up};
pub use pn_counter::PnCounter;
