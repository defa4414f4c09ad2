//! Several deltas as one.
//!
//! A dot is dead in the group if one of the deltas covers it, where it stands, without carrying it; what remains is the
//! union. At its root a delta covers all its own events that it does not carry.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{DeltaTree, Parts, Run, add_dependency};
use crate::causal::{CausalContext, ReplicaIndex, ReplicaTable};

/// The group of `deltas`, with its dots in the rows of `table`; `rows[i]` says where the rows of `deltas[i]` are in it
/// (an empty or missing slice: they are the same). Beside it, the events that one of the deltas brings and does not
/// carry: what the group says of them it says by naming them as its events, and whoever takes them out of those must cover
/// them instead.
pub(crate) fn group(
    deltas: &[&Parts],
    rows: &[Vec<ReplicaIndex>],
    table: Arc<ReplicaTable>,
) -> (Parts, CausalContext) {
    let mut uncarried = Vec::with_capacity(deltas.len());
    let mut events = Vec::with_capacity(deltas.len());
    let mut tree = DeltaTree::default();
    let mut deps = SmallVec::new();
    for (at, delta) in deltas.iter().enumerate() {
        let mut own = (*delta).clone();
        if let Some(rows) = rows.get(at).filter(|rows| !rows.is_empty()) {
            own.tree.translate(rows);
            own.events.iter_mut().for_each(|run| run.replica = rows[run.replica as usize]);
            own.deps.iter_mut().for_each(|(row, _)| *row = rows[*row as usize]);
        }
        let own_events = own.event_context();
        uncarried.push(own_events.difference(&own.carried()));
        events.push(own_events);
        own.deps.iter().for_each(|&(row, counter)| add_dependency(&mut deps, row, counter));
        tree.absorb(own.tree);
    }
    tree.join_equal_keys();
    // SUBTLE: a cover counts only below its own node, as it does where the deltas come one by one. No transaction
    // covers what it carries, so a cover here and content below it are always of different deltas.
    let uncarried = CausalContext::from_contexts(&uncarried);
    tree.drop_dead(&uncarried);
    let events: SmallVec<[Run; 1]> = CausalContext::from_contexts(&events)
        .runs()
        .map(|(replica, first, last)| Run { replica, first, last })
        .collect();
    // What another delta of the group brings need not be there before.
    deps.retain(|(row, counter)| {
        *counter > 0
            && !events.iter().any(|run| run.replica == *row && run.first <= *counter && *counter <= run.last)
    });
    (Parts { table, deps, events, tree, is_state: false, author_epoch: None }, uncarried)
}
