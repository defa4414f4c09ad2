//! Gossip: gossipsub, set up for few peers and encrypted payloads, and kept in step with the sessions.
//!
//! Payloads are encrypted and authenticated one layer up and carry a nonce, so gossipsub signs and checks nothing
//! (that alone makes it four times faster), and the hash of a payload names it.
//!
//! Gossipsub announces what it subscribes to once, on the *first* connection to a peer, and forgets it when the last
//! one closes. A peer that was restarted while we still hold its dead connection would stay unheard. Therefore
//! gossipsub does not see connections here but sessions: see [`gate`].

mod gate;
mod handler;

use std::collections::HashSet;
use std::time::Duration;

use libp2p::gossipsub::{
    ConfigBuilder, IdentTopic, IdentityTransform, Message, MessageAuthenticity, MessageId, ValidationMode,
    WhitelistSubscriptionFilter,
};

pub(super) use gate::Gate;

use super::error::NetError;

/// The largest payload. Well under what gossipsub transmits, so that a message never comes near its limits.
pub const MAX_GOSSIP: usize = 48 * 1024;

/// What gossipsub may transmit at once. Not the payload's limit: gossipsub 0.50 compares it with its whole receive
/// buffer, and closes the stream for good on messages a few KiB below it.
const MAX_TRANSMIT: usize = 1024 * 1024;

/// What a message may be longer than its payload and the name of its topic. Longer ones are not even passed on.
const ENVELOPE: usize = 1024;

/// Messages that may wait for one peer. The default of 5000 loses half of a burst of 10 000.
const QUEUE: usize = 20_000;

/// How long a message may wait for one peer before it is dropped. The default of 1 s for messages passed on loses them
/// whenever a machine is busy.
const QUEUE_FOR: Duration = Duration::from_secs(30);

/// Neighbours wanted in the mesh, with the least and most accepted, and how many of them we should have dialled. With
/// the defaults (6, 5, 12, 2) fewer than five peers never stop asking each other for more.
const MESH: usize = 4;
const MESH_LOW: usize = 2;
const MESH_HIGH: usize = 6;
const MESH_OUTBOUND: usize = 1;

/// How often the mesh is looked after. Faster was measured to gain no latency.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Bytes of the payload's hash that name a message: no two of 2^64 messages are taken for one by accident.
const ID_LENGTH: usize = 16;

type Gossipsub = libp2p::gossipsub::Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

/// Gossipsub, subscribed to `topic` and deaf for any other.
fn gossipsub(topic: &IdentTopic) -> Result<Gossipsub, NetError> {
    let config = ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(message_id)
        .max_transmit_size(MAX_TRANSMIT)
        .max_transmit_size_for_topic(MAX_GOSSIP + topic.hash().as_str().len() + ENVELOPE, topic.hash())
        .connection_handler_queue_len(QUEUE)
        .publish_queue_duration(QUEUE_FOR)
        .forward_queue_duration(QUEUE_FOR)
        .mesh_n(MESH)
        .mesh_n_low(MESH_LOW)
        .mesh_n_high(MESH_HIGH)
        .mesh_outbound_min(MESH_OUTBOUND)
        .flood_publish(true)
        .heartbeat_interval(HEARTBEAT)
        .build()
        .map_err(|error| NetError::Gossip(error.to_string()))?;
    let filter = WhitelistSubscriptionFilter(HashSet::from([topic.hash()]));
    let mut gossipsub =
        Gossipsub::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
            .map_err(|error| NetError::Gossip(error.into()))?;
    gossipsub.subscribe(topic).map_err(|error| NetError::Gossip(error.to_string()))?;
    Ok(gossipsub)
}

fn message_id(message: &Message) -> MessageId {
    MessageId::new(&blake3::hash(&message.data).as_bytes()[..ID_LENGTH])
}
