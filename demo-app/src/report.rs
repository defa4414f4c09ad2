//! What `status` says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tombolo_sync::{DocId, Node};

use crate::home::consequence;

/// How a node stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whether a node runs on the home.
    pub running: bool,
    /// Its key.
    pub peer_id: String,
    /// What others see it called.
    pub name: String,
    /// The space it belongs to.
    pub space: String,
    /// How many documents there are.
    pub documents: usize,
    /// Whether every connected peer has acknowledged our version of every document and we theirs; `None` with none.
    pub in_sync: Option<bool>,
    /// Whether all links are cut on purpose.
    pub isolated: bool,
    /// With what the names of the documents begin that it holds; nothing: it holds all of them.
    #[serde(default)]
    pub only: Option<Vec<String>>,
    /// How many others it holds until a peer that wants them is known to hold them.
    #[serde(default)]
    pub kept: usize,
    /// Whether it has left the space.
    #[serde(default)]
    pub left: bool,
    /// Why the home goes on under a new replica id since the node was started, if it does.
    #[serde(default)]
    pub doubt: Option<String>,
    /// Where it can be reached.
    pub listen: Vec<String>,
    /// Everybody it knows.
    pub peers: Vec<PeerReport>,
}

/// How one peer stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerReport {
    /// Its key.
    pub peer_id: String,
    /// What it calls itself; empty before the first contact.
    pub name: String,
    /// Whether there is a session with it.
    pub connected: bool,
    /// `tcp` or `quic`.
    pub transport: Option<String>,
    /// The last measured round trip.
    pub rtt_ms: Option<u64>,
    /// How many of our items it has not acknowledged; unknown while it is not connected.
    pub lag: Option<u64>,
    /// How many of its items we lack; unknown while it is not connected.
    pub behind: Option<u64>,
    /// The documents of which it holds something else under the same names of events: nothing of them is exchanged with it.
    #[serde(default)]
    pub diverged: Vec<String>,
    /// Whether both hold the same, durably.
    pub in_sync: bool,
    /// Whether the link to it is cut on purpose.
    pub blocked: bool,
    /// Bytes from it in this session.
    pub bytes_in: u64,
    /// Bytes to it in this session.
    pub bytes_out: u64,
    /// How long ago content was last pulled from it.
    pub last_repair_ms: Option<u64>,
    /// `member`, `known` (met, and not heard of being there) or `released`: nobody waits for it before removals are forgotten.
    #[serde(default)]
    pub membership: Option<String>,
    /// Why the last session with it was refused, by it or by this node, if it was.
    #[serde(default)]
    pub refused: Option<String>,
    /// Where it can be reached.
    pub addresses: Vec<String>,
}

impl Report {
    /// How `node` stands.
    pub fn of(node: &Node, running: bool) -> Self {
        let status = node.status();
        let isolated = status.isolated;
        let names = node.list().into_iter().map(|listed| (listed.id, listed.name));
        let names: BTreeMap<DocId, String> = names.collect();
        let name = |doc: DocId| names.get(&doc).cloned().unwrap_or_else(|| doc.to_string());
        let peers = status.peers.into_iter().map(|peer| PeerReport {
            peer_id: peer.peer.to_string(),
            connected: peer.connected,
            transport: peer.transport.map(|transport| transport.name().to_owned()),
            rtt_ms: peer.round_trip_millis,
            lag: peer.lag,
            behind: peer.behind,
            diverged: peer.diverged.into_iter().map(name).collect(),
            in_sync: peer.in_sync,
            blocked: peer.blocked || isolated,
            bytes_in: peer.bytes_in,
            bytes_out: peer.bytes_out,
            last_repair_ms: peer.last_repair_millis,
            name: peer.name,
            membership: peer.membership.map(|membership| membership.name().to_owned()),
            refused: peer.refused,
            addresses: peer.addresses,
        });
        Self {
            running,
            peer_id: status.peer.to_string(),
            name: status.name,
            space: node.space().to_string(),
            documents: status.documents,
            only: Some(status.subscription)
                .filter(|subscription| !subscription.is_everything())
                .map(|subscription| subscription.prefixes().to_vec()),
            kept: status.kept,
            in_sync: status.in_sync,
            isolated,
            left: status.left,
            doubt: node.doubt().map(|doubt| format!("{doubt}; {}", consequence(&doubt))),
            listen: node.listening(),
            peers: peers.collect(),
        }
    }
}
