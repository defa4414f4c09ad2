//! What can go wrong for an application.

use std::path::PathBuf;

use crate::concern::{NotInSync, NotReached, NotReplicated};
use crate::engine::{NotMerged, OpenError, StartError, SubscriptionError};
use crate::net::NetError;
use crate::store::StoreError;
use crate::{SpaceId, TicketError};

/// Why a [`Node`](super::Node) did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The home has no space yet.
    #[error("{0} belongs to no space yet; create one or join one first")]
    NoSpace(PathBuf),
    /// The home has left its space, and goes on the network again only when it has joined one.
    #[error("{0} has left its space; join again with a ticket from somebody who is in it")]
    Left(PathBuf),
    /// The home belongs to another space, and holds documents of it.
    #[error(
        "this home belongs to space {ours} and already holds documents; joining {theirs} would merge them into it: say so explicitly, or use another home"
    )]
    OtherSpace {
        /// The space it belongs to.
        ours: SpaceId,
        /// The space of the ticket.
        theirs: SpaceId,
    },
    /// The ticket cannot be read.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds cannot be read.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The network cannot be used.
    #[error(transparent)]
    Net(#[from] NetError),
    /// An address that cannot be read.
    #[error("`{address}` is not a multiaddress such as /ip4/0.0.0.0/udp/4001/quic-v1: {why}")]
    Address {
        /// The text.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// What was to be subscribed to is no subscription.
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    /// The document was not opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The state was not merged.
    #[error(transparent)]
    NotMerged(#[from] NotMerged),
    /// The document was deleted, here or elsewhere.
    #[error("the document was deleted; open it again to begin anew")]
    Deleted,
    /// The document is not open as this type, or not at all.
    #[error("the document is not open as this type any more; open it again")]
    NotOpen,
    /// The disk refused the write. It has been undone; the document stands at its last durable state.
    #[error("the write could not be made durable, and is undone: {reason}")]
    NotDurable {
        /// What the disk said.
        reason: String,
    },
    /// The disk refused an earlier write and the document has not been read back yet.
    #[error("the disk refused an earlier write; the document stays read-only until it can be read back")]
    ReadOnly,
    /// The node has been shut down.
    #[error("the node has been shut down")]
    ShutDown,
    /// The operating system gave no randomness for keys.
    #[error("the operating system gave no random bytes for keys: {0}")]
    Randomness(String),
    /// Not enough peers were in sync in time. Nothing is undone.
    #[error(transparent)]
    NotInSync(Box<NotInSync>),
    /// Not enough peers held a write in time. The write stays, and goes on being sent.
    #[error(transparent)]
    NotReplicated(Box<NotReplicated>),
    /// A document did not reach a version in time.
    #[error(transparent)]
    NotReached(Box<NotReached>),
}

/// The result of what a [`Node`](super::Node) does.
pub type Result<T, E = Error> = std::result::Result<T, E>;
