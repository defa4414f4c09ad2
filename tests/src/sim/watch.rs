//! What a world does with what happens in it: it checks, counts, and makes mistakes if it is told to.

use tombolo_crdt::{Delta, Limits, Opaque, Replica, ReplicaId};
use tombolo_sync::DocId;
use tombolo_sync::engine::Event;
use tombolo_sync::engine::wire::{ContentKind, Frame, content_hash};
use tombolo_sync::testing::machinery::Host;

use super::mirror::Mirrors;
use super::outcome::Branch;
use super::world::{Sabotage, Sent, World};

impl Host for World {
    fn broken(&mut self, what: String) {
        self.violated(what);
    }

    fn is_over(&self) -> bool {
        self.violation.is_some()
    }

    fn event(&mut self, node: usize, event: Event) {
        self.check_event(node, event);
    }

    fn started(&mut self, node: usize) {
        self.check_restart(node);
    }

    fn crashed(&mut self, node: usize) {
        self.watched[node].sending.clear();
        self.watched[node].mirrors = Mirrors::default();
    }

    fn handled(&mut self, node: usize) {
        self.check_after(node);
    }

    fn sends(&mut self, node: usize, other: usize, mut frame: Vec<u8>) -> Option<Vec<u8>> {
        if !self.edge.contains(&node) && !self.edge.contains(&other) {
            self.core_bytes += frame.len() as u64;
        }
        let mut decoded = Frame::decode(&frame);
        if self.sabotage == Some(Sabotage::EarlyVersion)
            && let Some(Frame::Versions { entries, .. }) = &mut decoded
        {
            for (doc, version) in entries {
                version.join(&self.watched[node].early.get(doc).cloned().unwrap_or_default());
            }
            frame = decoded.as_ref().map_or(frame, Frame::encode);
        }
        let at = self.now;
        if let Some(sent) = &mut self.sent
            && let Some(frame_sent) = &decoded
        {
            let (from, to) = (node, other);
            sent.push(Sent { at, from, to, frame: frame_sent.clone(), bytes: frame.len() });
        }
        let is_content = matches!(decoded, Some(Frame::Content { .. }));
        self.check_frame(node, other, decoded);
        (self.sabotage != Some(Sabotage::NoContent) || !is_content).then_some(frame)
    }

    fn carried(&mut self, node: usize, other: usize, frame: Vec<u8>) -> Vec<u8> {
        self.perhaps_corrupted(node, other, frame)
    }

    fn receives(&mut self, node: usize, from: usize, frame: &[u8]) -> bool {
        if self.is_corrupted() {
            self.note(|_| format!("n{from} to n{node}: {} bytes are damaged on the way", frame.len()));
            self.stats.count(Branch::Damaged);
            self.disconnect(node, from);
            return false;
        }
        if self.sabotage == Some(Sabotage::OneVersion)
            && let Some(Frame::Content { doc, kind, part: 0, parts: 1, .. }) = Frame::decode(frame)
            && matches!(kind, ContentKind::State | ContentKind::Beyond | ContentKind::BeyondNamed)
            && let Some(bytes) = self.takes_news_for_removed(from, node, doc)
        {
            let (hash, kind) = (content_hash(&bytes), ContentKind::Delta);
            let frame = Frame::Content { doc, hash, kind, part: 0, parts: 1, bytes }.encode();
            self.arrives(from, node, frame);
            return false;
        }
        if self.sabotage == Some(Sabotage::EarlyVersion)
            && let Some(Frame::Content { doc, kind: ContentKind::State, part: 0, parts: 1, bytes, .. }) =
                Frame::decode(frame)
            && let Ok(delta) = Delta::<Opaque>::decode_state(&bytes, &Limits::trusted())
        {
            self.watched[node].early.entry(doc).or_default().join(&delta.events());
            return false;
        }
        true
    }

    fn publishes(&mut self, node: usize, payload: &[u8]) {
        self.check_payload(node, payload);
    }
}

impl World {
    /// What one would send another of a document that takes all for removed that only the other has.
    fn takes_news_for_removed(&self, from: usize, to: usize, doc: DocId) -> Option<Vec<u8>> {
        let held = |node| {
            let state = Delta::<Opaque>::decode_state(&self.encoded(node, doc)?, &Limits::trusted()).ok()?;
            let mut replica = Replica::<Opaque>::new(ReplicaId::from_bytes([0xff; 16]));
            replica.merge(state).ok()?;
            Some(replica)
        };
        let (mut both, theirs) = (held(from)?, held(to)?);
        let (known, base) = (both.version(), theirs.version());
        both.merge(theirs.state()).ok()?;
        let live = theirs.live_below(&base)?;
        let (mut gone, mut first) = (Vec::new(), 0);
        for (id, count) in base.iter() {
            let news = first + known.get(id)..first + count;
            gone.extend(live.iter().filter(|number| news.contains(number)).map(|&number| number..number + 1));
            first += count;
        }
        (!gone.is_empty()).then_some(both.delta_beyond(&base, &gone)?.encode_body())
    }

    fn is_corrupted(&mut self) -> bool {
        self.corrupt > 0 && self.random((0, 999)) < u64::from(self.corrupt)
    }

    /// A frame as it leaves the node, or with some of its bytes flipped before it is sealed.
    fn perhaps_corrupted(&mut self, node: usize, other: usize, frame: Vec<u8>) -> Vec<u8> {
        if !self.is_corrupted() {
            return frame;
        }
        // Content has a hash, and nobody is believed before his greeting is proven. What is said afterwards, of versions, is (decision 0052).
        let (what, frame) = match Frame::decode(&frame) {
            Some(Frame::Content { doc, hash, kind, part, parts, bytes }) => {
                let bytes = self.flip(bytes);
                let what = Frame::Content { doc, hash, kind, part, parts, bytes };
                let frame = what.encode();
                (what, frame)
            }
            Some(what @ (Frame::Hello(_) | Frame::Proof(_))) => (what, self.flip(frame)),
            _ => return frame,
        };
        self.note(|core| format!("n{node} to n{other}: corrupts {}", core.names.frame(&what)));
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
}
