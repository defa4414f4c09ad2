//! Yes or no.

mod disable_wins;
mod enable_wins;

pub use disable_wins::DisableWinsFlag;
pub use enable_wins::EnableWinsFlag;
