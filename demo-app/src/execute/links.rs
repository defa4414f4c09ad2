//! Cutting links on purpose, and who is meant by what people type.

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_sync::engine::PeerStatus;
use tombolo_sync::{Node, PeerId};

use crate::args::Retention;
use crate::failure::{Code, Failure, Result};
use crate::request::Whom;

/// With what every printed id begins, so that nobody types it.
const COMMON_PREFIX: &str = "12D3KooW";

/// Cuts or restores, and answers when it is on the disk.
pub(super) async fn cut_or_restore(node: &Node, whom: &Whom, blocked: bool) -> Result<Value> {
    let answer = match whom {
        Whom::All => {
            let changed = node.isolate(blocked);
            json!({ "blocked": blocked, "all": true, "changed": changed })
        }
        Whom::Peer(text) => {
            let known = node.status().peers;
            let peer = resolve(text, &known, node.peer_id(), node.name())?;
            let changed = if blocked { node.block(peer, true) } else { restore(node, peer) };
            let name = known.iter().find(|known| known.peer == peer).map(|known| known.name.clone());
            json!({ "blocked": blocked, "peer_id": peer.to_string(), "name": name, "changed": changed })
        }
    };
    node.flush().await;
    Ok(answer)
}

/// Waits for a member no longer, and answers when that is on the disk.
pub(super) async fn release(node: &Node, text: &str) -> Result<Value> {
    let known = node.status().peers;
    let peer = resolve(text, &known, node.peer_id(), node.name())?;
    let changed = node.release(peer);
    node.flush().await;
    let name = known.iter().find(|known| known.peer == peer).map(|known| known.name.clone());
    Ok(json!({ "released": true, "peer_id": peer.to_string(), "name": name, "changed": changed }))
}

/// For how many days a silent member is waited for; answers when what is said is on the disk.
pub(super) async fn retention(node: &Node, days: Option<Retention>) -> Result<Value> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    if let Some(days) = days {
        let time = match days {
            Retention::Days(days) => Some(DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX))),
            Retention::Never => None,
        };
        if !node.set_retention(time) {
            return Err(Failure::new(
                Code::NotDurable,
                "the list of members cannot be written now: the disk refuses, or this node has left its space",
            ));
        }
        node.flush().await;
    }
    // An application may have said a part of a day.
    let days = node.retention().map(|time| match time.as_secs() % DAY.as_secs() {
        0 => json!(time.as_secs() / DAY.as_secs()),
        _ => json!(time.as_secs_f64() / DAY.as_secs_f64()),
    });
    Ok(json!({ "days": days }))
}

/// Restores the link to one peer. Where all were cut, those to the others stay cut, one by one.
fn restore(node: &Node, peer: PeerId) -> bool {
    let before = node.status();
    if !before.isolated {
        return node.block(peer, false);
    }
    node.isolate(false);
    for other in before.peers.iter().filter(|other| other.peer != peer) {
        node.block(other.peer, true);
    }
    true
}

/// Who is meant: a whole id, else a name, else the beginning of an id, with or without what all begin with.
fn resolve(text: &str, known: &[PeerStatus], us: PeerId, our_name: &str) -> Result<PeerId> {
    let named: Vec<&PeerStatus> = known.iter().filter(|peer| peer.name == text).collect();
    if let Ok(peer) = text.parse() {
        return if peer == us { Err(ourselves(text)) } else { Ok(peer) };
    }
    let begins = |peer: &&PeerStatus| {
        let id = peer.peer.to_string();
        id.starts_with(text) || id.strip_prefix(COMMON_PREFIX).is_some_and(|tail| tail.starts_with(text))
    };
    let meant =
        if named.is_empty() && !text.is_empty() { known.iter().filter(begins).collect() } else { named };
    match &meant[..] {
        [peer] => Ok(peer.peer),
        [] if text == our_name => Err(ourselves(text)),
        [] if known.is_empty() => Err(Failure::new(
            Code::UnknownPeer,
            format!("`{text}` is nobody known here: no peers are known yet"),
        )),
        [] => Err(Failure::new(
            Code::UnknownPeer,
            format!("`{text}` is nobody known here; known peers: {}", enumerate(known)),
        )),
        several => Err(Failure::new(
            Code::AmbiguousPeer,
            format!("`{text}` may be any of: {}; use more of the id", enumerate(several.iter().copied())),
        )),
    }
}

fn ourselves(text: &str) -> Failure {
    Failure::new(Code::UnknownPeer, format!("`{text}` is this node itself; name another one"))
}

fn enumerate<'p>(peers: impl IntoIterator<Item = &'p PeerStatus>) -> String {
    let all: Vec<_> = peers.into_iter().map(|peer| format!("{} ({})", peer.name, peer.peer)).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(byte: u8, name: &str) -> PeerStatus {
        PeerStatus {
            peer: PeerId::from_bytes([byte; 32]),
            name: name.into(),
            connected: false,
            blocked: false,
            transport: None,
            round_trip_millis: None,
            lag: None,
            behind: None,
            subscription: None,
            diverged: Vec::new(),
            membership: None,
            in_sync: false,
            bytes_in: 0,
            bytes_out: 0,
            last_repair_millis: None,
            clock_skew_millis: None,
            refused: None,
            addresses: Vec::new(),
        }
    }

    fn meant(text: &str) -> Result<PeerId, Code> {
        let known = [peer(2, "ann"), peer(3, "bob"), peer(4, "bob")];
        resolve(text, &known, PeerId::from_bytes([1; 32]), "me").map_err(|failure| failure.code)
    }

    #[test]
    fn a_peer_is_meant_by_name_or_by_the_beginning_of_its_id() {
        let ann = PeerId::from_bytes([2; 32]);
        let id = ann.to_string();
        for text in ["ann", &id, &id[..20], &id[8..], &id[8..14]] {
            assert_eq!(meant(text), Ok(ann), "{text}");
        }
        assert_eq!(meant(&PeerId::from_bytes([9; 32]).to_string()), Ok(PeerId::from_bytes([9; 32])));
    }

    #[test]
    fn nobody_and_several_are_refused() {
        assert_eq!(meant("bob"), Err(Code::AmbiguousPeer));
        assert_eq!(meant("12D3KooW"), Err(Code::AmbiguousPeer));
        for text in ["", "carol", "me", &PeerId::from_bytes([1; 32]).to_string()] {
            assert_eq!(meant(text), Err(Code::UnknownPeer), "{text}");
        }
    }
}
