//! Several deltas as one.
//!
//! A dot is dead in the group if one of the deltas covers it, where it stands, without carrying it; what remains is the
//! union. At its root a delta covers all its own events that it does not carry.

use alloc::sync::Arc;
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::{Branch, Parts, Run};
use crate::causal::{CausalContext, ReplicaIndex, ReplicaTable};

/// Several deltas, joined. What it depends on is up to who joins them: these may know more of one another than they say.
pub(crate) struct Group {
    pub(crate) events: SmallVec<[Run; 1]>,
    pub(crate) tree: Branch,
    /// The events that one of the deltas brings and does not carry: what the group says of them it says by naming them as
    /// its events, and whoever takes them out of those must cover them instead.
    pub(crate) uncarried: CausalContext,
}

impl Group {
    /// The group as a delta, with its dots in the rows of `table`.
    pub(crate) fn into_parts(self, table: Arc<ReplicaTable>) -> Parts {
        let Self { events, tree, .. } = self;
        let deps = SmallVec::new();
        Parts { table, deps, events, tree: tree.into_tree(), is_state: false, author_epoch: None }
    }
}

/// The group of `deltas`, in the rows of one table; `rows[i]` says where the rows of `deltas[i]` are in it (an empty or
/// missing slice: they are the same).
pub(crate) fn group(deltas: &[&Parts], rows: &[Vec<ReplicaIndex>]) -> Group {
    let mut uncarried = Vec::with_capacity(deltas.len());
    let mut events = Vec::with_capacity(deltas.len());
    let mut tree = Branch::default();
    for (at, delta) in deltas.iter().enumerate() {
        let rows = rows.get(at).map_or(&[][..], |rows| rows);
        let mut own = Branch::from_node(delta.tree.root());
        let mut carried = delta.carried();
        let mut own_events = delta.event_context();
        if !rows.is_empty() {
            own.translate(rows);
            carried = carried.translated(rows);
            own_events = own_events.translated(rows);
        }
        uncarried.push(own_events.difference(&carried));
        events.push(own_events);
        tree.absorb(own);
    }
    tree.join_equal_keys();
    // SUBTLE: a cover counts only below its own node, as it does where the deltas come one by one. No transaction
    // covers what it carries, so a cover here and content below it are always of different deltas.
    let uncarried = CausalContext::from_contexts(&uncarried);
    tree.drop_dead(&uncarried);
    let events = CausalContext::from_contexts(&events);
    let events = events.runs().map(|(replica, first, last)| Run { replica, first, last }).collect();
    Group { events, tree, uncarried }
}
