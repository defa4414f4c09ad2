//! Gossip, which goes wherever sessions lead, and how it fails.

use super::core::Core;
use super::drive::Drive as _;
use super::host::Host;
use super::links::LinkState;
use super::queue::Happening;
use crate::PeerId;
use crate::engine::{Input, SessionId};

/// Over which time bursts are counted.
const BURST_MILLIS: u64 = 100;

/// A node publishes.
pub(super) fn publish(core: &mut Core, node: usize, payload: &[u8]) {
    core.tally.published += 1;
    let sent = &mut core.nodes[node].sent;
    (sent.payloads, sent.payload_bytes) = (sent.payloads + 1, sent.payload_bytes + payload.len() as u64);
    if core.is_swallowed(node) {
        return;
    }
    let (gossip, gossipsub) = (core.gossip, core.gossipsub);
    let mut reached = vec![node];
    // When it gets to who is reached, and to who was reached last.
    let (mut delays, mut last) = (vec![0; core.nodes.len()], 0);
    let mut at = 0;
    while let Some(&from) = reached.get(at) {
        at += 1;
        let neighbours: Vec<(usize, SessionId)> =
            core.nodes[from].sessions.iter().map(|(to, id)| (*to, *id)).collect();
        for (to, session) in neighbours {
            if reached.contains(&to)
                || core.links.link(from, to).state != LinkState::Up
                || core.is_stalled(session, to, payload.len())
            {
                continue;
            }
            // Who has lost the first copy takes no other one, and passes none on.
            if core.chance(gossipsub.poisoned) {
                core.tally.poisoned += 1;
                reached.insert(at, to);
                at += 1;
                continue;
            }
            reached.push(to);
            let latency = core.random(core.links.link(from, to).latency);
            let delay = latency + if core.gossip_in_turn { last } else { delays[from] };
            (delays[to], last) = (delay, delay);
            let copies = 1 + usize::from(core.chance(gossip.duplicates));
            for _ in 0..copies {
                let late = core.random((0, gossip.spread));
                if core.chance(gossip.delivered) {
                    let (life, from) = (core.nodes[to].life, core.nodes[from].peer);
                    let what = Happening::Gossip { node: to, life, from, payload: payload.to_vec() };
                    core.plan(delay + late, what);
                }
            }
        }
    }
}

/// A payload reaches a node.
pub(super) fn arrives<H: Host>(net: &mut H, node: usize, from: PeerId, payload: Vec<u8>) {
    net.tally.arrived += 1;
    if let Some(other) = net.whom(node, from) {
        let bytes = payload.len();
        net.note(|core| format!("{} to {}: gossip of {bytes} bytes", core.name(other), core.name(node)));
    }
    net.input(node, Input::Gossip { from, payload });
}

impl Core {
    /// Whether nobody gets what a node publishes, which is told that all is well.
    fn is_swallowed(&mut self, node: usize) -> bool {
        let gossipsub = self.gossipsub;
        let now = self.now;
        let this = &mut self.nodes[node];
        if now >= this.burst.0 + BURST_MILLIS {
            this.burst = (now, 0);
        }
        this.burst.1 += 1;
        // Others believe that it is subscribed as it was before.
        if this.life > 1 && now < this.started + gossipsub.deaf_millis {
            self.tally.unheard += 1;
        } else if this.burst.1 > gossipsub.burst {
            self.tally.burst += 1;
        } else if self.chance(gossipsub.swallowed) {
            self.tally.swallowed += 1;
        } else {
            return false;
        }
        true
    }

    /// Whether gossip of so many bytes is too near to the cap, or something was that went the same way before.
    fn is_stalled(&mut self, id: SessionId, to: usize, bytes: usize) -> bool {
        let cap = self.gossipsub.cap;
        let Some(session) = self.links.sessions.get_mut(&id) else { return true };
        let end = usize::from(session.ends[1] == to);
        session.is_stalled[end] |= bytes > cap;
        let is_stalled = session.is_stalled[end];
        self.tally.stalled += u64::from(is_stalled);
        is_stalled
    }
}
