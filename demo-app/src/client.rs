//! What those use who drive running nodes: the connection to a node's socket.

pub use crate::local::Client;
