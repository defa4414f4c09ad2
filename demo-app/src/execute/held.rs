//! Who holds a write beside this node.

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_sync::{Commit, Error, Node, PeerId};

use crate::args::Concern;
use crate::failure::{Code, Failure, Result};

/// How long to wait for others, unless something else is said.
const WITHIN: Duration = Duration::from_secs(30);

/// Who holds a write, if that was asked for.
#[derive(Debug, Default)]
pub(super) struct Held(Option<Value>);

impl Held {
    /// The answer to a write, with who holds it.
    pub(super) fn in_answer(self, mut answer: Value) -> Value {
        if let Some(peers) = self.0 {
            answer["held_by"] = peers;
        }
        answer
    }
}

/// Waits until a write is held as `concern` wants.
pub(super) async fn settle<R: Send + 'static>(
    node: &Node,
    commit: Commit<R>,
    concern: Concern,
) -> Result<(R, Held)> {
    let Some(copies) = concern.replicated else { return Ok((commit.await?, Held::default())) };
    match commit.replicated(copies).within(concern.within.unwrap_or(WITHIN)).await {
        Ok(done) => Ok((done.value, Held(Some(named(node, &done.peers))))),
        Err(Error::NotReplicated(so_far)) => {
            let mut message = format!(
                "{} of {} peers held the write when the time was up",
                so_far.peers.len(),
                so_far.wanted
            );
            if !so_far.peers.is_empty() {
                message.push_str(&format!(": {}", enumerate(node, &so_far.peers)));
            }
            if so_far.connected == 0 {
                message.push_str("; nobody is connected");
            } else if !so_far.lacking.is_empty() {
                message.push_str(&format!("; not yet {}", enumerate(node, &so_far.lacking)));
            }
            message.push_str("; the write stays, and goes on being sent: do not repeat it");
            Err(Failure::new(Code::NotReplicated, message))
        }
        Err(failed) => Err(failed.into()),
    }
}

/// Peers for scripts.
pub(super) fn named(node: &Node, peers: &[PeerId]) -> Value {
    let names = names(node);
    let peers = peers.iter().map(|peer| json!({ "peer_id": peer.to_string(), "name": names(peer) }));
    peers.collect()
}

/// Peers for people.
fn enumerate(node: &Node, peers: &[PeerId]) -> String {
    let names = names(node);
    let called = |peer: &PeerId| names(peer).unwrap_or_else(|| peer.to_string());
    peers.iter().map(called).collect::<Vec<_>>().join(", ")
}

fn names(node: &Node) -> impl Fn(&PeerId) -> Option<String> + use<> {
    let known = node.status().peers;
    move |peer| {
        let known = known.iter().find(|known| known.peer == *peer)?;
        Some(known.name.clone()).filter(|name| !name.is_empty())
    }
}
