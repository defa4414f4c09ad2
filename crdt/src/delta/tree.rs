//! The tree of a delta: what every type's changes and states look like on the way.

use smallvec::SmallVec;

use super::Mismatch;
use crate::causal::{CausalContext, LocalDot, ReplicaIndex, Tx};
use crate::store::DotStore;

/// Encoded content or an encoded key; up to 24 bytes without allocation.
pub type Bytes = SmallVec<[u8; 24]>;

/// One node of a delta: what it carries and covers here, and the same for what lies below.
///
/// A leaf type uses `carried`, a container `children`. The cover of a node speaks for everything under it.
#[derive(Clone, Default, Debug)]
pub struct DeltaTree {
    pub(crate) cover: CausalContext,
    pub(crate) carried: SmallVec<[(LocalDot, Bytes); 1]>,
    /// SUBTLE: while a transaction is under way keys may occur more than once, in order of writing; `seal` joins them.
    pub(crate) children: Vec<(Bytes, DeltaTree)>,
    /// While a transaction is under way: what it took out of the state here, for undoing.
    pub(crate) taken: Option<Box<DeltaTree>>,
}

/// Below this many children a linear search for a key is the fastest.
const LINEAR: usize = 8;

impl DeltaTree {
    /// Whether it carries and covers nothing, here and below.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cover.is_empty()
            && self.carried.is_empty()
            && self.children.iter().all(|(_, child)| child.is_empty())
    }

    /// The node under `key`, made if there is none.
    pub(crate) fn child(&mut self, key: &[u8]) -> &mut Self {
        let at = match self.children.last() {
            Some((last, _)) if &last[..] == key => self.children.len() - 1,
            _ => {
                let known = match self.children.len() {
                    n if n <= LINEAR => self.children.iter().position(|(known, _)| &known[..] == key),
                    // A second node for the same key is joined with the first in `seal`.
                    _ => None,
                };
                known.unwrap_or_else(|| {
                    self.children.push((Bytes::from_slice(key), Self::default()));
                    self.children.len() - 1
                })
            }
        };
        &mut self.children[at].1
    }

    /// The nodes below, by key.
    pub fn children(&self) -> impl Iterator<Item = (&[u8], &Self)> {
        self.children.iter().map(|(key, child)| (&key[..], child))
    }

    /// Adds a node whose key is known to be new, unless it says nothing.
    pub(crate) fn push_child(&mut self, key: Bytes, child: Self) {
        if !child.is_empty() {
            self.children.push((key, child));
        }
    }

    /// Writes what is `wanted` of `state` under `key`.
    pub(crate) fn carry_child<S: DotStore>(
        &mut self,
        key: &[u8],
        state: &S,
        wanted: &dyn Fn(LocalDot) -> bool,
    ) {
        let mut below = Self::default();
        state.carry(wanted, &mut below);
        self.push_child(Bytes::from_slice(key), below);
    }

    /// Writes what is `wanted` of a struct's field. What `#[derive(Crdt)]` calls.
    pub fn carry_field<S: DotStore>(&mut self, name: &str, state: &S, wanted: &dyn Fn(LocalDot) -> bool) {
        self.carry_child(name.as_bytes(), state, wanted);
    }

    /// Checks that this is the node of a container and what is below each key.
    ///
    /// # Errors
    /// The first that `field` finds, or that there is content here.
    pub fn check_fields(
        &self,
        mut field: impl FnMut(&[u8], &Self) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        if !self.carried.is_empty() {
            return Err(Mismatch::Shape("a value where a container stands"));
        }
        self.children().try_for_each(|(key, child)| field(key, child))
    }

    /// Records content minted in this transaction; a second content for the same dot replaces the first.
    pub(crate) fn put(&mut self, dot: LocalDot, content: Bytes) {
        match self.carried.last_mut() {
            Some((last, old)) if *last == dot => *old = content,
            _ => self.carried.push((dot, content)),
        }
    }

    /// Records that the live `dot` leaves the state here, and its content if undoing must bring it back.
    pub(crate) fn take(&mut self, dot: LocalDot, content: impl FnOnce() -> Bytes, tx: &mut Tx) {
        self.cover.insert(dot);
        tx.covered = true;
        if tx.minted(dot) {
            self.carried.retain(|(carried, _)| *carried != dot);
        } else {
            self.taken.get_or_insert_default().carried.push((dot, content()));
        }
    }

    /// Ends a transaction: joins nodes of the same key, drops what the transaction itself overwrote and what was kept
    /// for undoing.
    pub(crate) fn seal(&mut self) {
        self.taken = None;
        self.join_equal_keys();
        self.drop_dead(&CausalContext::default());
    }

    /// Sorts children by key and joins those of equal keys, here and below; of two contents of one dot the later stands.
    pub(crate) fn join_equal_keys(&mut self) {
        if self.carried.len() > 1 {
            // Stable, so the last of equal dots is the latest.
            self.carried.sort_by_key(|(dot, _)| std::cmp::Reverse(*dot));
            self.carried.reverse();
            self.carried.dedup_by_key(|(dot, _)| *dot);
        }
        if self.children.len() > 1 {
            self.children.sort_by(|(a, _), (b, _)| a.cmp(b));
            self.children.dedup_by(|(key, later), (kept, earlier)| {
                let same = key == kept;
                if same {
                    earlier.absorb(std::mem::take(later));
                }
                same
            });
        }
        for (_, child) in &mut self.children {
            child.taken = None;
            child.join_equal_keys();
        }
    }

    /// Puts everything of `later` behind what this node has; `join_equal_keys` then joins what occurs twice.
    pub(crate) fn absorb(&mut self, later: Self) {
        self.cover.union(&later.cover);
        self.carried.extend(later.carried);
        self.children.extend(later.children);
    }

    pub(crate) fn each_carried(&self, each: &mut dyn FnMut(LocalDot)) {
        self.carried.iter().for_each(|(dot, _)| each(*dot));
        self.children.iter().for_each(|(_, child)| child.each_carried(each));
    }

    pub(crate) fn each_cover(&self, each: &mut dyn FnMut(&CausalContext)) {
        if !self.cover.is_empty() {
            each(&self.cover);
        }
        self.children.iter().for_each(|(_, child)| child.each_cover(each));
    }

    pub(crate) fn collect_covers<'t>(&'t self, covers: &mut Vec<&'t CausalContext>) {
        if !self.cover.is_empty() {
            covers.push(&self.cover);
        }
        self.children.iter().for_each(|(_, child)| child.collect_covers(covers));
    }

    /// Drops carried dots that are `dead` or covered by a node above or around them, and nodes that say nothing: a
    /// handle that was opened and not written to leaves one.
    pub(crate) fn drop_dead(&mut self, dead: &CausalContext) {
        self.drop_dead_below(dead, &mut Vec::new());
    }

    fn drop_dead_below(&mut self, dead: &CausalContext, above: &mut Vec<CausalContext>) {
        let covers = !self.cover.is_empty();
        if covers {
            above.push(std::mem::take(&mut self.cover));
        }
        self.carried
            .retain(|(dot, _)| !dead.contains(*dot) && !above.iter().any(|cover| cover.contains(*dot)));
        self.children.retain_mut(|(_, child)| {
            child.drop_dead_below(dead, above);
            !child.is_empty()
        });
        if covers {
            self.cover = above.pop().expect("pushed above");
        }
    }

    /// Drops carried dots for which `dead` holds, and nodes left empty.
    pub(crate) fn drop_carried(&mut self, dead: &mut dyn FnMut(LocalDot) -> bool) {
        self.carried.retain(|(dot, _)| !dead(*dot));
        self.children.retain_mut(|(_, child)| {
            child.drop_carried(dead);
            !child.is_empty()
        });
    }

    pub(crate) fn translate(&mut self, rows: &[ReplicaIndex]) {
        self.cover = self.cover.translated(rows);
        for (dot, _) in &mut self.carried {
            *dot = super::translate(*dot, rows);
        }
        self.children.iter_mut().for_each(|(_, child)| child.translate(rows));
    }

    /// The delta that undoes this one: covers what it carries, carries what it took.
    pub(crate) fn inverse(&self) -> Self {
        let mut inverse = self.taken.as_deref().cloned().unwrap_or_default();
        for (dot, _) in &self.carried {
            inverse.cover.insert(*dot);
        }
        for (key, child) in &self.children {
            inverse.children.push((key.clone(), child.inverse()));
        }
        inverse.join_equal_keys();
        inverse
    }

    /// An estimate of the heap it takes.
    pub(crate) fn weight(&self) -> usize {
        let spilled = |bytes: &Bytes| if bytes.spilled() { bytes.len() } else { 0 };
        let carried: usize =
            self.carried.iter().map(|(_, content)| size_of::<(LocalDot, Bytes)>() + spilled(content)).sum();
        let children: usize = self
            .children
            .iter()
            .map(|(key, child)| size_of::<(Bytes, Self)>() + spilled(key) + child.weight())
            .sum();
        self.cover.weight() + carried + children
    }

    /// How many runs it covers and dots it carries, here and below: it names at most as many replicas.
    pub(crate) fn names(&self) -> usize {
        let below: usize = self.children.iter().map(|(_, child)| child.names()).sum();
        self.cover.intervals() + self.carried.len() + below
    }
}
