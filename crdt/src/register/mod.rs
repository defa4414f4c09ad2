//! One value that is replaced as a whole.

mod lww;
mod mv;

pub use lww::LwwRegister;
pub use mv::MvRegister;
