//! Keys to values of any replicated type.

mod add_wins;

pub use add_wins::AddWinsMap;
pub(crate) use add_wins::reset;
