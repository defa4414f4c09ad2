//! Between a running node and the other commands on the same home: a socket that only this user can open.
//!
//! ```text
//! command                         node
//!    │ ───── connects ─────────────▶ │
//!    │ ◀──── hello, protocol 2 ───── │   from here on the node reads requests
//!    │ ───── request ──────────────▶ │
//!    │ ◀──── item, item, … ───────── │   of a request that is answered bit by bit
//!    │ ◀──── done | failed ───────── │   and so on with the next request
//!    │ ◀──── bye ─────────────────── │   the node ends; what it has not answered it has not taken
//! ```
//!
//! *Who may connect.* The socket has mode 0600 in a folder of mode 0700 that belongs to this user, and the node asks the
//! system who connects. A folder that is somebody else's is not used, by neither side.
//!
//! *Where it is.* A socket's path may have about 100 bytes, a home's many more. So the socket's name is the hash of the
//! home's path, in the first folder that can be had of `$XDG_RUNTIME_DIR/tombolo`, `/run/user/UID/tombolo` and
//! `/tmp/tombolo-UID`; commands look in all of them.
//!
//! *A node that was killed* leaves its socket behind. Nobody answers there, so commands open the home themselves; and
//! the next node, which holds the home's lock and therefore knows that there is no other, replaces it.
//!
//! Only on Unix. Elsewhere commands work while no node runs.

#[cfg(unix)]
mod client;
#[cfg(unix)]
mod place;
#[cfg(unix)]
mod server;
#[cfg(not(unix))]
mod unsupported;
#[cfg(unix)]
mod wire;

use crate::failure::Failure;

#[cfg(unix)]
pub use client::Client;
#[cfg(unix)]
pub use server::Server;
#[cfg(not(unix))]
pub use unsupported::{Client, Server};

/// Why a request got no answer.
#[derive(Debug)]
pub enum CallError {
    /// It was answered, with this.
    Failed(Failure),
    /// The node ended and did not take it.
    NotTaken,
    /// The node ended, and took it or not.
    InDoubt,
}

impl CallError {
    /// For those who do not try again.
    pub fn into_failure(self) -> Failure {
        use crate::failure::Code;
        match self {
            Self::Failed(failure) => failure,
            Self::NotTaken => {
                Failure::new(Code::NotRunning, "the node ended before it took the request; try again")
            }
            Self::InDoubt => Failure::new(
                Code::InDoubt,
                "the node ended before it answered: the write was taken or not; look before you repeat it",
            ),
        }
    }
}
