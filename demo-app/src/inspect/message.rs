//! Messages in envelopes.

use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Value, json};
use tombolo_crdt::{InspectedBody, Inspection, Limits};

use super::SOME;
use crate::failure::{Code, Failure, Result, at};
use crate::output::Output;

/// Files of our own are larger than what is taken from peers.
pub(super) const LIMITS: Limits = Limits { bytes: 4 << 30, memory: 4 << 30, replicas: 1 << 24 };

pub(super) fn inspect(output: Output, path: &Path, full: bool) -> Result<()> {
    let bytes = std::fs::read(path).map_err(at(path))?;
    let found = Inspection::of(&bytes, &LIMITS)
        .map_err(|why| Failure::new(Code::Damaged, format!("{}: {why}", path.display())))?;
    let answer = || {
        json!({
            "kind": "message",
            "message_kind": found.kind,
            "format": found.format,
            "bytes": found.bytes,
            "type": found.type_name,
            "sound": found.is_sound(),
            "problems": found.problems,
            "bodies": found.bodies.iter().map(|part| body(part, &found.type_name, full)).collect::<Vec<_>>(),
        })
    };
    let answer = if output.json { answer() } else { Value::Null };
    output.document(&answer, || if full { format!("{found:#}") } else { found.to_string() })?;
    if found.is_sound() {
        return Ok(());
    }
    let message = format!("{} is damaged; what can be read of it is shown", path.display());
    Err(Failure::new(Code::Damaged, message))
}

/// A body as JSON, with its first nodes or all.
pub(super) fn body(body: &InspectedBody, type_name: &str, full: bool) -> Value {
    let mut nodes = Vec::new();
    body.each_node(type_name, &mut |node| {
        if !full && nodes.len() == SOME {
            return ControlFlow::Break(());
        }
        nodes.push(node);
        ControlFlow::Continue(())
    });
    json!({
        "at": body.at,
        "bytes": body.bytes,
        "replicas": body.replicas,
        "columns": body.columns,
        "uncompressed": body.uncompressed,
        "flags": body.flags(),
        "events": body.events().collect::<Vec<_>>(),
        "deps": body.deps().collect::<Vec<_>>(),
        "problem": body.problem,
        "node_count": body.nodes(),
        "item_count": body.items(),
        "nodes": nodes,
    })
}
