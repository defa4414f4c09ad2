//! Keys to values of any replicated type.

mod add_wins;
mod entries;
mod grow_only;
mod lww;

pub use add_wins::AddWinsMap;
pub(crate) use add_wins::reset;
pub use grow_only::GMap;
pub(crate) use lww::Entry;
pub use lww::LwwMap;
