//! Trees: of registers.

use tombolo_crdt::{LwwRegister, Mut, NodeId, Tree as Type};

use super::{Of, in_session};
use crate::system::{Graft, Tree, forward};

type Numbers = Type<LwwRegister<i64>>;

pub struct Growing {
    of: Of<Numbers>,
    /// By number.
    ids: Vec<NodeId>,
}

impl Growing {
    pub fn new(replica: u64) -> Self {
        Self { of: Of::new(replica), ids: Vec::new() }
    }
}

fn make(tree: &mut Mut<'_, Numbers>, ids: &[NodeId], (node, parent): Graft) {
    tree.move_to(ids[node], Some(ids[parent]), 0).expect("it is not below itself");
}

forward!(Growing, of);

impl Tree for Growing {
    fn make(&mut self, parents: &[Option<usize>]) {
        let Self { of, ids } = self;
        let _ = of.0.update(|tree| {
            for (number, parent) in (0..).zip(parents) {
                let (id, mut node) = tree.push(parent.map(|parent| ids[parent])).expect("it is not too deep");
                node.set(number);
                ids.push(id);
            }
        });
    }

    fn learn(&mut self) {
        let number = |id| self.of.0.get(id).and_then(LwwRegister::value).copied();
        self.ids = self.of.0.iter().map(|(id, _)| id).collect();
        self.ids.sort_by_key(|id| number(*id));
    }

    fn move_in_one(&mut self, grafts: &[Graft]) {
        let _ = self.of.0.update(|tree| grafts.iter().for_each(|graft| make(tree, &self.ids, *graft)));
    }

    fn move_one(&mut self, graft: Graft) -> Vec<u8> {
        in_session(&self.of.0.update(|tree| make(tree, &self.ids, graft)).1, &self.of.1)
    }

    fn read(&mut self) -> Vec<(i64, usize)> {
        let number = |id| self.of.0.get(id).and_then(LwwRegister::value).copied().unwrap_or(-1);
        self.of.0.iter().map(|(id, depth)| (number(id), depth)).collect()
    }
}
