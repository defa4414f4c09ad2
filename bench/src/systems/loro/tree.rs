//! Trees: what a node holds is in the map that belongs to it.

use loro::{LoroTree, TreeID, TreeParentId};

use super::{Document, number};
use crate::system::{Graft, Tree, forward};

const NUMBER: &str = "n";

pub struct Growing {
    document: Document,
    tree: LoroTree,
    /// By number.
    ids: Vec<TreeID>,
}

impl Growing {
    pub fn new(replica: u64) -> Self {
        let document = Document::new(replica);
        let tree = document.doc.get_tree("tree");
        Self { document, tree, ids: Vec::new() }
    }

    fn graft(&self, (node, parent): Graft) {
        let parent = TreeParentId::Node(self.ids[parent]);
        self.tree.mov_to(self.ids[node], parent, 0).expect("it is not below itself");
    }

    fn number(&self, id: TreeID) -> i64 {
        number(self.tree.get_meta(id).expect("it is there").get(NUMBER))
    }

    /// Each before those below it.
    fn walk(&self) -> Vec<(TreeID, usize)> {
        let mut all = Vec::new();
        let mut open: Vec<(TreeID, usize)> = self.tree.roots().into_iter().rev().map(|id| (id, 0)).collect();
        while let Some((id, depth)) = open.pop() {
            all.push((id, depth));
            let below = self.tree.children(TreeParentId::Node(id)).unwrap_or_default();
            open.extend(below.into_iter().rev().map(|id| (id, depth + 1)));
        }
        all
    }
}

forward!(Growing, document);

impl Tree for Growing {
    fn make(&mut self, parents: &[Option<usize>]) {
        for (number, parent) in (0_i64..).zip(parents) {
            let parent = parent.map_or(TreeParentId::Root, |parent| TreeParentId::Node(self.ids[parent]));
            let id = self.tree.create(parent).expect("there is such a node");
            self.tree.get_meta(id).and_then(|map| map.insert(NUMBER, number)).expect("it was made");
            self.ids.push(id);
        }
        self.document.doc.commit();
    }

    fn learn(&mut self) {
        let mut ids: Vec<TreeID> = self.walk().into_iter().map(|(id, _)| id).collect();
        ids.sort_by_key(|id| self.number(*id));
        self.ids = ids;
    }

    fn move_in_one(&mut self, grafts: &[Graft]) {
        grafts.iter().for_each(|graft| self.graft(*graft));
        self.document.doc.commit();
    }

    fn move_one(&mut self, graft: Graft) -> Vec<u8> {
        self.document.updates();
        self.graft(graft);
        self.document.doc.commit();
        self.document.updates().pop().expect("the commit gave an update")
    }

    fn read(&mut self) -> Vec<(i64, usize)> {
        self.walk().into_iter().map(|(id, depth)| (self.number(id), depth)).collect()
    }
}
