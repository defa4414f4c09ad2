//! Sessions: which connection to a peer carries its frames, and the stream on it.
//!
//! * [`election`] decides which one connection to a peer is its session.
//! * [`handler`] moves frames on one connection.
//! * [`behaviour`] joins the two: it lives in the swarm, hears of every connection, and reports `Up` and `Down`.
//!
//! ```text
//!   smaller peer id (chooses)                  larger peer id (follows)
//!        | <------------- connection(s) ------------> |
//!        |  chooses one, closes the others            |
//!        | ---- opens its stream on the chosen -----> |  takes this connection as chosen,
//!        |                                            |  replaces an older one if it has one
//!        | <--- opens its stream on the same one ---- |
//!     Up |                                            | Up
//! ```

mod behaviour;
mod election;
mod handler;

pub(super) use behaviour::{Behaviour, Event};
