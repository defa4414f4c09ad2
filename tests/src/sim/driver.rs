//! What engines want done, and what comes of it: sessions, dials, frames, gossip, disks.

use tombolo_crdt::{Delta, Limits, Opaque};
use tombolo_sync::PeerId;
use tombolo_sync::engine::wire::{Alive, ContentKind, Frame};
use tombolo_sync::engine::{Effect, Input, SessionId, Transport};

use super::disk::Job;
use super::network::LinkState;
use super::node::at_address;
use super::outcome::Branch;
use super::queue::Happening;
use super::world::{Sabotage, Sent, World};

/// Over which time bursts of gossip are counted.
const BURST_MILLIS: u64 = 100;
/// After so long a dial that gets no answer fails.
const DIAL_PATIENCE: u64 = 3_000;

impl World {
    pub(super) fn perform(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Send { peer, session, frame } => self.send(node, peer, session, frame),
            Effect::Publish { payload } => self.publish(node, payload),
            Effect::Store(batch) => {
                if self.sabotage == Some(Sabotage::EarlyDurability) {
                    let life = self.nodes[node].life;
                    let input = Input::Stored(batch.id);
                    self.queue.push(self.now, Happening::News { node, life, input });
                }
                self.submit(node, Job::Batch(batch));
            }
            Effect::Load { doc } => self.submit(node, Job::Load(doc)),
            Effect::Dial { peer, addresses } => self.dial(node, peer, &addresses),
            Effect::Disconnect { peer, reason } => {
                let Some(other) = self.index_of(peer) else { return };
                self.trace.note(self.now, format_args!("n{node} disconnects n{other}: {reason}"));
                self.disconnect(node, other);
            }
            Effect::Block { peers } => {
                self.nodes[node].blocking = peers.iter().copied().collect();
                for peer in peers {
                    if let Some(other) = self.index_of(peer) {
                        self.disconnect(node, other);
                    }
                }
            }
            Effect::Event(event) => self.event(node, event),
            _ => {}
        }
    }

    fn submit(&mut self, node: usize, job: Job) {
        self.nodes[node].disk.queue.push_back(job);
        self.start_disk(node);
    }

    fn start_disk(&mut self, node: usize) {
        let disk = &self.nodes[node].disk;
        if disk.busy || disk.queue.is_empty() {
            return;
        }
        let at = self.now + self.random(disk.latency);
        self.nodes[node].disk.busy = true;
        let life = self.nodes[node].life;
        self.queue.push(at, Happening::Disk { node, life });
    }

    pub(super) fn disk_done(&mut self, node: usize) {
        if self.chance(self.crashing_commits) {
            let (told, lands) = (self.chance(50), usize::from(self.chance(50)));
            return self.crash(node, told, lands);
        }
        let group = self.random((1, 7)) as usize;
        // The news may take a moment: a crash in between finds a commit that nobody was told of.
        let late = self.random((0, 1));
        let failed = self.nodes[node].disk.failed_reads;
        let life = self.nodes[node].life;
        let early = self.sabotage == Some(Sabotage::EarlyDurability);
        for input in self.nodes[node].disk.work(group) {
            if !(early && matches!(input, Input::Stored(_))) {
                self.queue.push(self.now + late, Happening::News { node, life, input });
            }
        }
        if self.nodes[node].disk.failed_reads > failed {
            self.stats.count(Branch::Unreadable);
        }
        self.nodes[node].disk.busy = false;
        self.start_disk(node);
    }

    fn dial(&mut self, node: usize, peer: Option<PeerId>, addresses: &[String]) {
        // A peer that is known is dialled at all its addresses at once; somebody unknown, at each one by one.
        let targets: Vec<(usize, String)> =
            addresses.iter().filter_map(|a| Some((at_address(a)?, a.clone()))).collect();
        for (to, address) in targets {
            let key = (peer.is_some(), address.clone());
            let is_right = peer.is_none_or(|peer| self.nodes.get(to).is_some_and(|node| node.peer == peer));
            let has_session = peer.is_some() && self.nodes[node].sessions.contains_key(&to);
            if has_session || self.nodes[node].dialling.contains(&key) {
                continue;
            }
            if to >= self.nodes.len() || to == node || !is_right {
                self.dial_failed(node, peer.is_some(), address, 1);
                continue;
            }
            self.nodes[node].dialling.insert(key);
            let at = self.now + self.random(self.network.link(node, to).latency);
            let (life, known) = (self.nodes[node].life, peer.is_some());
            self.queue.push(at, Happening::Knock { from: node, life, to, known, address });
        }
    }

    fn dial_failed(&mut self, node: usize, known: bool, address: String, after: u64) {
        let peer = at_address(&address).and_then(|to| self.nodes.get(to)).map(|node| node.peer);
        let input = Input::DialFailed { peer: peer.filter(|_| known), addresses: vec![address] };
        let life = self.nodes[node].life;
        self.queue.push(self.now + after, Happening::News { node, life, input });
    }

    pub(super) fn knock(&mut self, from: usize, life: u64, to: usize, known: bool, address: String) {
        if self.nodes[from].life != life {
            return;
        }
        self.nodes[from].dialling.remove(&(known, address.clone()));
        let (link, way_back) = (self.network.link(from, to), self.network.link(to, from));
        let back = self.random(way_back.latency);
        let (us, them) = (self.nodes[from].peer, self.nodes[to].peer);
        let blocked = self.nodes[to].blocking.contains(&us) || self.nodes[from].blocking.contains(&them);
        // It takes both directions to shake hands.
        if [link.state, way_back.state].contains(&LinkState::Silent) {
            return self.dial_failed(from, known, address, DIAL_PATIENCE);
        }
        if link.state == LinkState::Cut || !self.runs(to) || !self.nodes[to].accepts || blocked {
            return self.dial_failed(from, known, address, back);
        }
        let lives = [life, self.nodes[to].life];
        let session = self.network.open([from, to], lives, address, self.now, self.now + back);
        self.trace.note(self.now, format_args!("n{from} reaches n{to}: session {}", session.0));
        self.queue.push(self.now, Happening::Up { session, end: 1 });
        self.queue.push(self.now + back, Happening::Up { session, end: 0 });
    }

    pub(super) fn session_up(&mut self, id: SessionId, end: usize) {
        let Some(session) = self.network.sessions.get(&id).filter(|session| !session.over[end]) else {
            return;
        };
        let (node, other) = (session.ends[end], session.ends[1 - end]);
        if self.nodes[node].life != session.lives[end] || self.nodes[node].engine.is_none() {
            return self.leave(id, node, true);
        }
        let address = Some(session.address.clone()).filter(|_| end == 0);
        if let Some(old) = self.nodes[node].sessions.insert(other, id) {
            // The later of two sessions stands; the end of the earlier is told before, or not at all.
            self.leave(old, node, true);
            if self.chance(50) {
                self.input(node, Input::Down { peer: self.nodes[other].peer, session: old });
            }
        }
        let Some(session) = self.network.sessions.get_mut(&id) else { return };
        session.open[end] = true;
        let input = Input::Up {
            peer: self.nodes[other].peer,
            session: id,
            address,
            transport: Transport::Other,
            dialer: end == 0,
        };
        self.input(node, input);
    }

    pub(super) fn session_down(&mut self, id: SessionId, end: usize) {
        let Some(session) = self.network.sessions.get_mut(&id) else { return };
        let (node, other) = (session.ends[end], session.ends[1 - end]);
        let was_open = std::mem::take(&mut session.open[end]);
        session.over[end] = true;
        if session.over == [true, true] {
            self.network.sessions.remove(&id);
        }
        if self.nodes[node].sessions.get(&other) == Some(&id) {
            self.nodes[node].sessions.remove(&other);
        }
        if was_open {
            let peer = self.nodes[other].peer;
            self.trace.note(self.now, format_args!("n{node} session {} with n{other} is over", id.0));
            self.input(node, Input::Down { peer, session: id });
        }
    }

    /// One end leaves a session; the other hears of it if `told` and if the link carries.
    pub(super) fn leave(&mut self, id: SessionId, node: usize, told: bool) {
        let Some(session) = self.network.sessions.get_mut(&id) else { return };
        let end = usize::from(session.ends[1] == node);
        (session.open[end], session.over[end]) = (false, true);
        let (other, arrives) = (session.ends[1 - end], session.last[1 - end]);
        if session.over == [true, true] {
            self.network.sessions.remove(&id);
        } else if told && self.network.link(node, other).state == LinkState::Up {
            let at = (self.now + self.random(self.network.link(node, other).latency)).max(arrives);
            self.queue.push(at, Happening::Down { session: id, end: 1 - end });
        }
    }

    pub(super) fn disconnect(&mut self, node: usize, other: usize) {
        if let Some(id) = self.nodes[node].sessions.remove(&other) {
            let peer = self.nodes[other].peer;
            self.leave(id, node, true);
            // The real network reports also the end that was asked for.
            let life = self.nodes[node].life;
            let input = Input::Down { peer, session: id };
            self.queue.push(self.now, Happening::News { node, life, input });
        }
    }

    fn send(&mut self, node: usize, peer: PeerId, id: SessionId, frame: Vec<u8>) {
        let Some(other) = self.index_of(peer) else { return };
        if !self.edge.contains(&node) && !self.edge.contains(&other) {
            self.core_bytes += frame.len() as u64;
        }
        let mut frame = frame;
        let mut decoded = Frame::decode(&frame);
        if self.sabotage == Some(Sabotage::EarlyVersion)
            && let Some(Frame::Versions { entries, .. }) = &mut decoded
        {
            for (doc, version) in entries {
                version.join(&self.nodes[node].early.get(doc).cloned().unwrap_or_default());
            }
            frame = decoded.as_ref().map_or(frame, Frame::encode);
        }
        if let Some(sent) = &mut self.sent
            && let Some(frame_sent) = &decoded
        {
            let (from, to) = (node, other);
            sent.push(Sent { at: self.now, from, to, frame: frame_sent.clone(), bytes: frame.len() });
        }
        let is_content = matches!(decoded, Some(Frame::Content { .. }));
        self.check_frame(node, other, decoded);
        if self.sabotage == Some(Sabotage::NoContent) && is_content {
            return;
        }
        if self.nodes[node].sessions.get(&other) == Some(&id) {
            self.carry(id, node, other, frame);
        }
    }

    /// Puts a frame on the wire.
    pub(super) fn carry(&mut self, id: SessionId, node: usize, other: usize, frame: Vec<u8>) {
        let link = self.network.link(node, other);
        let fair = self.frames.is_fair();
        if link.state == LinkState::Cut || (!fair && link.state == LinkState::Silent) {
            return;
        }
        if self.chance(self.frames.loss) {
            self.trace.note(self.now, format_args!("n{node} to n{other}: a frame is lost"));
            return;
        }
        let frame = self.perhaps_corrupted(node, other, frame);
        let copies = 1 + usize::from(self.chance(self.frames.duplicates));
        for _ in 0..copies {
            let latency = self.random(link.latency);
            let late = if self.chance(self.frames.late) { self.random((0, 10 * latency + 20)) } else { 0 };
            let Some(session) = self.network.sessions.get_mut(&id) else { return };
            let end = usize::from(session.ends[1] == other);
            if link.state == LinkState::Silent {
                session.stalled[end].push(frame.clone());
                continue;
            }
            let sent = session.free[end].max(self.now) + frame.len() as u64 / link.bandwidth.max(1);
            session.free[end] = sent;
            let mut at = sent + latency + late;
            if late == 0 {
                at = at.max(session.last[end]);
                session.last[end] = at;
            }
            session.under_way[end] += frame.len();
            if session.under_way[end] > self.session_limit {
                self.trace.note(self.now, format_args!("n{node} to n{other}: too much under way"));
                return self.disconnect(node, other);
            }
            self.queue.push(at, Happening::Frame { session: id, end, frame: frame.clone() });
        }
    }

    /// A frame as it leaves the node, or with some of its bytes flipped.
    fn perhaps_corrupted(&mut self, node: usize, other: usize, frame: Vec<u8>) -> Vec<u8> {
        if self.corrupt == 0 || self.random((0, 999)) >= u64::from(self.corrupt) {
            return frame;
        }
        // Content has a hash. What is said around it, of versions and of who is who, has none: the transport sees to that.
        let (what, frame) = match Frame::decode(&frame) {
            None => return frame,
            Some(what) if self.tampered => (what, self.flip(frame)),
            Some(Frame::Content { doc, hash, kind, part, parts, bytes }) => {
                let bytes = self.flip(bytes);
                let what = Frame::Content { doc, hash, kind, part, parts, bytes };
                let frame = what.encode();
                (what, frame)
            }
            Some(what @ (Frame::Hello(_) | Frame::Proof(_))) => (what, self.flip(frame)),
            Some(_) => return frame,
        };
        if self.trace.is_kept() {
            self.trace.note(self.now, format_args!("n{node} to n{other}: corrupts {}", describe(&what)));
        }
        self.stats.count(Branch::Corrupted);
        frame
    }

    fn flip(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Some(last) = bytes.len().checked_sub(1) {
            for _ in 0..=self.random((0, 2)) {
                let at = self.random((0, last as u64)) as usize;
                bytes[at] ^= self.random((1, 254)) as u8;
            }
        }
        bytes
    }

    pub(super) fn frame_arrives(&mut self, id: SessionId, end: usize, frame: Vec<u8>) {
        let fair = self.frames.is_fair();
        let Some(session) = self.network.sessions.get_mut(&id) else { return };
        let (node, other) = (session.ends[end], session.ends[1 - end]);
        session.under_way[end] = session.under_way[end].saturating_sub(frame.len());
        if !session.open[end] {
            return;
        }
        match self.network.link(other, node).state {
            LinkState::Up => {}
            LinkState::Silent if fair => return self.stall(id, end, frame),
            LinkState::Silent | LinkState::Cut => return,
        }
        if self.sabotage == Some(Sabotage::EarlyVersion)
            && let Some(Frame::Content { doc, kind: ContentKind::State, part: 0, parts: 1, bytes, .. }) =
                Frame::decode(&frame)
            && let Ok(delta) = Delta::<Opaque>::decode_state(&bytes, &Limits::trusted())
        {
            self.nodes[node].early.entry(doc).or_default().join(&delta.events());
            return;
        }
        self.stats.messages += 1;
        if self.trace.is_kept() {
            let what = Frame::decode(&frame).map_or("garbage".into(), |frame| describe(&frame));
            self.trace.note(self.now, format_args!("n{other} to n{node}: {what}"));
        }
        let peer = self.nodes[other].peer;
        self.input(node, Input::Frame { peer, session: id, frame });
    }

    fn stall(&mut self, id: SessionId, end: usize, frame: Vec<u8>) {
        if let Some(session) = self.network.sessions.get_mut(&id) {
            session.stalled[end].push(frame);
        }
    }

    /// Gossip goes wherever sessions lead.
    fn publish(&mut self, node: usize, payload: Vec<u8>) {
        self.check_payload(node, &payload);
        self.published += 1;
        if self.is_swallowed(node) {
            return;
        }
        let mut reached = vec![node];
        let mut delay = 0;
        let mut at = 0;
        while let Some(&from) = reached.get(at) {
            at += 1;
            let neighbours: Vec<(usize, SessionId)> =
                self.nodes[from].sessions.iter().map(|(to, id)| (*to, *id)).collect();
            for (to, session) in neighbours {
                if reached.contains(&to)
                    || self.network.link(from, to).state != LinkState::Up
                    || self.is_stalled(session, to, payload.len())
                {
                    continue;
                }
                // Who has lost the first copy takes no other one, and passes none on.
                if self.chance(self.gossipsub.poisoned) {
                    self.stats.count(Branch::Poisoned);
                    reached.insert(at, to);
                    at += 1;
                    continue;
                }
                reached.push(to);
                delay += self.random(self.network.link(from, to).latency);
                let copies = 1 + usize::from(self.chance(self.gossip.duplicates));
                for _ in 0..copies {
                    let late = self.random((0, self.gossip.spread));
                    if self.chance(self.gossip.delivered) {
                        let (life, from) = (self.nodes[to].life, self.nodes[from].peer);
                        let what = Happening::Gossip { node: to, life, from, payload: payload.clone() };
                        self.queue.push(self.now + delay + late, what);
                    }
                }
            }
        }
    }

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
            self.stats.count(Branch::Unheard);
        } else if this.burst.1 > gossipsub.burst {
            self.stats.count(Branch::Burst);
        } else if self.chance(gossipsub.swallowed) {
            self.stats.count(Branch::Swallowed);
        } else {
            return false;
        }
        true
    }

    /// Whether gossip of so many bytes is too near to the cap, or something was that went the same way before.
    fn is_stalled(&mut self, id: SessionId, to: usize, bytes: usize) -> bool {
        let cap = self.gossipsub.cap;
        let Some(session) = self.network.sessions.get_mut(&id) else { return true };
        let end = usize::from(session.ends[1] == to);
        session.is_stalled[end] |= bytes > cap;
        let is_stalled = session.is_stalled[end];
        if is_stalled {
            self.stats.count(Branch::Stalled);
        }
        is_stalled
    }

    pub(super) fn gossip_arrives(&mut self, node: usize, from: PeerId, payload: Vec<u8>) {
        self.stats.messages += 1;
        if let Some(other) = self.index_of(from) {
            self.trace.note(self.now, format_args!("n{other} to n{node}: gossip of {} bytes", payload.len()));
        }
        self.input(node, Input::Gossip { from, payload });
    }
}

fn describe(frame: &Frame) -> String {
    match frame {
        Frame::Hello(_) => "hello".into(),
        Frame::Beat { .. } => "beat".into(),
        Frame::Echo { .. } => "echo".into(),
        Frame::Proof(_) => "proof".into(),
        Frame::Welcome(welcome) => format!("welcome from {}", welcome.name),
        Frame::Versions { entries, first, last } => {
            let kind = if *first || *last { "all versions" } else { "versions" };
            format!("{kind} {entries:?}")
        }
        Frame::Pull { doc, version, alive: None, .. } => format!("pull {doc:?} at {version:?}"),
        Frame::Pull { doc, version, alive: Some(alive), .. } => {
            let alive = match alive {
                Alive::Runs(runs) => format!("runs of {} bytes", runs.len()),
                Alive::Cells { cells, .. } => format!("cells of {} bytes", cells.len()),
                Alive::Unsaid => "too much to tell".into(),
                Alive::Staged(from) => format!("what is numbered below {from}"),
            };
            format!("pull {doc:?} beyond {version:?}, alive: {alive}")
        }
        Frame::Content { doc, kind, part, parts, bytes, .. } => {
            format!("content of {doc:?}, {kind:?} part {part} of {parts}, {} bytes", bytes.len())
        }
        Frame::Peers(contacts) => format!("{} contacts", contacts.len()),
        other => format!("{other:?}"),
    }
}
