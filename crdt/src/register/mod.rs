//! One value that is replaced as a whole.

mod extreme;
mod lww;
mod max;
mod min;
mod mv;

pub use lww::LwwRegister;
pub(crate) use lww::Stamped;
pub use max::MaxRegister;
pub use min::MinRegister;
pub use mv::MvRegister;
