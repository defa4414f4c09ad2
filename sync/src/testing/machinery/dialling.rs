//! How nodes reach each other.

use super::core::Core;
use super::links::{LinkState, Session};
use super::machine::at_address;
use super::queue::Happening;
use crate::PeerId;
use crate::engine::Input;

/// After so long a dial that gets no answer fails.
const PATIENCE: u64 = 3_000;

impl Core {
    pub(super) fn dial(&mut self, node: usize, peer: Option<PeerId>, addresses: &[String]) {
        // A peer that is known is dialled at all its addresses at once; somebody unknown, at each one by one.
        let targets: Vec<(usize, String)> =
            addresses.iter().filter_map(|a| Some((at_address(a)?, a.clone()))).collect();
        for (to, address) in targets {
            let key = (peer.is_some(), address.clone());
            let is_right = peer.is_none_or(|peer| self.nodes.get(to).is_some_and(|node| node.peer == peer));
            let has_session = peer.is_some()
                && (self.nodes[node].sessions.contains_key(&to)
                    || (to < self.nodes.len() && self.session_with_twin(node, to).is_some()));
            let is_itself = to < self.nodes.len() && self.nodes[to].peer == self.nodes[node].peer;
            if has_session || self.nodes[node].dialling.contains(&key) {
                continue;
            }
            if to >= self.nodes.len() || is_itself || !is_right {
                self.dial_failed(node, peer.is_some(), address, 1);
                continue;
            }
            self.nodes[node].dialling.insert(key);
            let latency = self.random(self.links.link(node, to).latency);
            let (life, known) = (self.nodes[node].life, peer.is_some());
            self.plan(latency, Happening::Knock { from: node, life, to, known, address });
        }
    }

    fn dial_failed(&mut self, node: usize, known: bool, address: String, after: u64) {
        let peer = at_address(&address).and_then(|to| self.nodes.get(to)).map(|node| node.peer);
        let input = Input::DialFailed { peer: peer.filter(|_| known), addresses: vec![address] };
        let life = self.nodes[node].life;
        self.plan(after, Happening::News { node, life, input });
    }

    /// A dial reaches the node that is dialled.
    pub(super) fn knock(&mut self, from: usize, life: u64, to: usize, known: bool, address: String) {
        if self.nodes[from].life != life {
            return;
        }
        self.nodes[from].dialling.remove(&(known, address.clone()));
        let (link, way_back) = (self.links.link(from, to), self.links.link(to, from));
        let back = self.random(way_back.latency);
        let (us, them) = (self.nodes[from].peer, self.nodes[to].peer);
        let blocked = self.nodes[to].blocking.contains(&us) || self.nodes[from].blocking.contains(&them);
        // It takes both directions to shake hands.
        if [link.state, way_back.state].contains(&LinkState::Silent) {
            return self.dial_failed(from, known, address, PATIENCE);
        }
        if link.state == LinkState::Cut || !self.runs(to) || !self.nodes[to].accepts || blocked {
            return self.dial_failed(from, known, address, back);
        }
        if let Some((_, old)) = self.session_with_twin(to, from)
            && self.keeps(to, old)
        {
            return self.dial_failed(from, known, address, back);
        }
        // Of two that go by one key, and were dialled at once, the first that is reached is taken.
        let is_late = |session: &Session| {
            let other = session.ends[1];
            session.ends[0] == from && other != to && !session.over[0] && self.nodes[other].peer == them
        };
        if known && self.links.sessions.values().any(is_late) {
            return;
        }
        let lives = [life, self.nodes[to].life];
        let session = self.links.open([from, to], lives, address, self.now, self.now + back);
        self.note(|core| format!("{} reaches {}: session {}", core.name(from), core.name(to), session.0));
        self.plan(0, Happening::Up { session, end: 1 });
        self.plan(back, Happening::Up { session, end: 0 });
    }
}
