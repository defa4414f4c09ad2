//! How the documents stand: what they keep, and whether everybody holds it.

use serde_json::{Value, json};
use tombolo_sync::Node;

use super::dump::{Kind, open_as_it_is};

/// All documents. Of one of an application's own type, which cannot be looked into, what is live and what only remembers removals is `null`,
/// and of one that is on the disk only how many wrote to it as well.
pub(super) fn documents(node: &Node) -> Value {
    let peers = node.status().peers;
    let name_of = |id| {
        peers.iter().find(|peer| peer.peer == id).map_or_else(|| id.to_string(), |peer| peer.name.clone())
    };
    let all = node.list().into_iter().filter_map(|listed| {
        let kind = Kind::of_type(&listed.type_name);
        let is_open = kind.is_some_and(|kind| open_as_it_is(node, &listed.name, kind));
        let status = node.document_status(listed.id)?;
        let garbage = node.garbage(listed.id);
        let diverged: Vec<String> = status.diverged.iter().map(|peer| name_of(*peer)).collect();
        Some(json!({
            "name": listed.name,
            "type": kind.map_or(listed.type_name, |kind| kind.name().to_owned()),
            "id": listed.id.to_string(),
            "items": garbage.as_ref().filter(|_| is_open).map(|garbage| garbage.items),
            "removals": garbage.as_ref().filter(|_| is_open).map(|garbage| garbage.removals),
            "replicas": garbage.map(|garbage| garbage.replicas),
            "pending": status.pending,
            "in_sync_with": status.in_sync_with,
            "stable": status.is_stable(),
            "diverged": diverged,
        }))
    });
    all.collect()
}
