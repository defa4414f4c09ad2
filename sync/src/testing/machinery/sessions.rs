//! Frames in sessions, and what becomes of them on the way.

use super::core::Core;
use super::drive::Drive as _;
use super::host::Host;
use super::links::LinkState;
use super::queue::Happening;
use crate::PeerId;
use crate::engine::wire::{Frame, is_push};
use crate::engine::{Input, SessionId, Transport};

/// One end of a session learns that it stands.
pub(super) fn up<H: Host>(net: &mut H, id: SessionId, end: usize) {
    let Some(session) = net.links.sessions.get(&id).filter(|session| !session.over[end]) else {
        return;
    };
    let (node, other) = (session.ends[end], session.ends[1 - end]);
    if net.nodes[node].life != session.lives[end] || net.nodes[node].engine.is_none() {
        return net.leave(id, node, true);
    }
    let address = Some(session.address.clone()).filter(|_| end == 0);
    let peer = net.nodes[other].peer;
    if let Some((twin, old)) = net.session_with_twin(node, other) {
        if end == 0 && net.keeps(node, old) {
            return net.leave(id, node, true);
        }
        net.nodes[node].sessions.remove(&twin);
        net.note(|core| {
            let names = [node, other, twin].map(|node| core.name(node));
            format!("{} has {} in place of {}", names[0], names[1], names[2])
        });
        net.leave(old, node, true);
        // SUBTLE: an engine takes the session with the lower number for one that is over, and numbers are given here when one dials.
        if old > id || net.chance(50) {
            net.input(node, Input::Down { peer, session: old });
        }
    }
    if let Some(old) = net.nodes[node].sessions.insert(other, id) {
        // The later of two sessions stands; the end of the earlier is told before, or not at all.
        net.leave(old, node, true);
        if net.chance(50) {
            net.input(node, Input::Down { peer, session: old });
        }
    }
    let Some(session) = net.links.sessions.get_mut(&id) else { return };
    session.open[end] = true;
    net.input(node, Input::Up { peer, session: id, address, transport: Transport::Other, dialer: end == 0 });
}

/// One end of a session learns that it is over.
pub(super) fn down<H: Host>(net: &mut H, id: SessionId, end: usize) {
    let Some(session) = net.links.sessions.get_mut(&id) else { return };
    let (node, other) = (session.ends[end], session.ends[1 - end]);
    let was_open = std::mem::take(&mut session.open[end]);
    session.over[end] = true;
    if session.over == [true, true] {
        net.links.sessions.remove(&id);
    }
    if net.nodes[node].sessions.get(&other) == Some(&id) {
        net.nodes[node].sessions.remove(&other);
    }
    if was_open {
        let peer = net.nodes[other].peer;
        net.note(|core| format!("{} session {} with {} is over", core.name(node), id.0, core.name(other)));
        net.input(node, Input::Down { peer, session: id });
    }
}

/// A node sends a frame in a session.
pub(super) fn send<H: Host>(net: &mut H, node: usize, peer: PeerId, id: SessionId, frame: Vec<u8>) {
    let other = net.links.sessions.get(&id).map(|session| session.ends[usize::from(session.ends[0] == node)]);
    let Some(other) = other.or_else(|| net.index_of(peer)) else { return };
    if is_push(&frame) {
        net.tally.pushed += 1;
    }
    let sent = &mut net.nodes[node].sent;
    (sent.frames, sent.frame_bytes) = (sent.frames + 1, sent.frame_bytes + frame.len() as u64);
    let Some(frame) = net.sends(node, other, frame) else { return };
    if net.nodes[node].sessions.get(&other) == Some(&id) {
        carry(net, id, node, other, frame);
    }
}

/// Puts a frame on the wire.
fn carry<H: Host>(net: &mut H, id: SessionId, node: usize, other: usize, frame: Vec<u8>) {
    let link = net.links.link(node, other);
    let weather = net.frames;
    if link.state == LinkState::Cut || (!weather.is_fair() && link.state == LinkState::Silent) {
        return;
    }
    // A hint, as what is gossiped.
    let delivered = net.gossip.delivered;
    if delivered < 100 && is_push(&frame) && !net.chance(delivered) {
        return net.note(|core| format!("{} to {}: a push is lost", core.name(node), core.name(other)));
    }
    if net.chance(weather.loss) {
        return net.note(|core| format!("{} to {}: a frame is lost", core.name(node), core.name(other)));
    }
    let frame = net.carried(node, other, frame);
    let copies = 1 + usize::from(net.chance(weather.duplicates));
    for _ in 0..copies {
        let latency = net.random(link.latency);
        let late = if net.chance(weather.late) { net.random((0, 10 * latency + 20)) } else { 0 };
        let (now, limit) = (net.now, net.session_limit);
        let Some(session) = net.links.sessions.get_mut(&id) else { return };
        let end = usize::from(session.ends[1] == other);
        if link.state == LinkState::Silent {
            session.stalled[end].push(frame.clone());
            continue;
        }
        let sent = session.free[end].max(now) + frame.len() as u64 / link.bandwidth.max(1);
        session.free[end] = sent;
        let mut at = sent + latency + late;
        if late == 0 {
            at = at.max(session.last[end]);
            session.last[end] = at;
        }
        session.under_way[end] += frame.len();
        if session.under_way[end] > limit {
            net.note(|core| format!("{} to {}: too much under way", core.name(node), core.name(other)));
            return net.disconnect(node, other);
        }
        net.queue.push(at, Happening::Frame { session: id, end, frame: frame.clone() });
    }
}

/// A frame reaches the other end.
pub(super) fn frame_arrives<H: Host>(net: &mut H, id: SessionId, end: usize, frame: Vec<u8>) {
    let fair = net.frames.is_fair();
    let Some(session) = net.links.sessions.get_mut(&id) else { return };
    let (node, other) = (session.ends[end], session.ends[1 - end]);
    session.under_way[end] = session.under_way[end].saturating_sub(frame.len());
    if !session.open[end] {
        return;
    }
    match net.links.link(other, node).state {
        LinkState::Up => {}
        LinkState::Silent if fair => return net.stall(id, end, frame),
        LinkState::Silent | LinkState::Cut => return,
    }
    if !net.receives(node, other, &frame) {
        return;
    }
    net.tally.arrived += 1;
    if net.trace.is_kept() {
        let what = Frame::decode(&frame);
        if what.as_ref().is_none_or(|what| net.is_noted(what)) {
            net.note(|core| {
                let what = what.map_or("garbage".into(), |what| core.names.frame(&what));
                format!("{} to {}: {what}", core.name(other), core.name(node))
            });
        }
    }
    let peer = net.nodes[other].peer;
    net.input(node, Input::Frame { peer, session: id, frame });
}

/// One direction of a link changes; what a silent one held back goes on.
pub(super) fn change_way<H: Host>(net: &mut H, from: usize, to: usize, state: LinkState) {
    let old = std::mem::replace(&mut net.links.link_mut(from, to).state, state);
    if old != LinkState::Silent || state != LinkState::Up {
        return;
    }
    for id in net.sessions_between(from, to) {
        let Some(session) = net.links.sessions.get_mut(&id) else { continue };
        let end = usize::from(session.ends[1] == to);
        let stalled = std::mem::take(&mut session.stalled[end]);
        for frame in stalled {
            carry(net, id, from, to, frame);
        }
    }
}

/// For so long a session is kept where the peer connects once more, in milliseconds, by the one with the smaller key. What the other has it
/// gives up for any that comes later: as `net::session` does.
const SETTLED: u64 = 2_000;

impl Core {
    /// The session of a node with another that goes by the same key as this one.
    pub(super) fn session_with_twin(&self, node: usize, other: usize) -> Option<(usize, SessionId)> {
        let peer = self.nodes[other].peer;
        let sessions = self.nodes[node].sessions.iter().map(|(twin, id)| (*twin, *id));
        sessions.into_iter().find(|(twin, _)| *twin != other && self.nodes[*twin].peer == peer)
    }

    /// Whether a node keeps a session rather than to take another with the same key.
    pub(super) fn keeps(&self, node: usize, id: SessionId) -> bool {
        let Some(session) = self.links.sessions.get(&id) else { return false };
        let other = session.ends[usize::from(session.ends[0] == node)];
        self.nodes[node].peer < self.nodes[other].peer && self.now <= session.since + SETTLED
    }

    /// One end leaves a session; the other hears of it if `told` and if the link carries.
    pub(super) fn leave(&mut self, id: SessionId, node: usize, told: bool) {
        let Some(session) = self.links.sessions.get_mut(&id) else { return };
        let end = usize::from(session.ends[1] == node);
        (session.open[end], session.over[end]) = (false, true);
        let (other, arrives) = (session.ends[1 - end], session.last[1 - end]);
        if session.over == [true, true] {
            self.links.sessions.remove(&id);
            return;
        }
        let link = self.links.link(node, other);
        if told && link.state == LinkState::Up {
            let at = (self.now + self.random(link.latency)).max(arrives);
            self.queue.push(at, Happening::Down { session: id, end: 1 - end });
        }
    }

    /// A node ends its session with another, if there is one; both are told.
    pub fn disconnect(&mut self, node: usize, other: usize) {
        if let Some(id) = self.nodes[node].sessions.remove(&other) {
            let peer = self.nodes[other].peer;
            self.leave(id, node, true);
            // The real network reports also the end that was asked for.
            let life = self.nodes[node].life;
            let input = Input::Down { peer, session: id };
            self.plan(0, Happening::News { node, life, input });
        }
    }

    fn stall(&mut self, id: SessionId, end: usize, frame: Vec<u8>) {
        if let Some(session) = self.links.sessions.get_mut(&id) {
            session.stalled[end].push(frame);
        }
    }
}
