//! Numbers that many add to at once.

mod g_counter;
mod pn_counter;

pub use g_counter::GCounter;
pub use pn_counter::PnCounter;
