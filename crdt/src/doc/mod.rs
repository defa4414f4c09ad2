//! A dynamic document: names to values of any type, nested to any depth up to [`MAX_DEPTH`](crate::MAX_DEPTH).
//!
//! *Merge rule*: an [`AddWinsMap`] from names to values, where identity is name *and* type: two sides that create the
//! same name as the same type at once get one merged value; the same name used as two types at once keeps both, in a
//! fixed order. *Metadata*: what the values cost. *Lost on conflict*: what the types lose.

mod entry;
mod scalar;

pub use entry::{DocEntry, Kind};
pub use scalar::Scalar;

use alloc::borrow::Cow;
use alloc::string::String;

use serde::Serializer;

use crate::causal::LocalDot;
use crate::delta::{Mismatch, Node, TreeWriter};
use crate::store::{Crdt, Disputes, DotStore, Gathered, Join, Look, Mut, Plain, Seen, Sweep};
use crate::{
    AddWinsMap, AddWinsSet, DisableWinsFlag, EnableWinsFlag, GCounter, GSet, List, LwwMap, LwwRegister,
    MaxRegister, MinRegister, MovableList, MvRegister, PnCounter, RemoveWinsSet, Text, Tree, TwoPhaseSet,
};

/// A dynamic document.
///
/// ```
/// use tombolo_crdt::{Doc, Replica, ReplicaId, Scalar};
///
/// let mut ann = Replica::<Doc>::new(ReplicaId::from_bytes([1; 16]));
/// let mut bob = Replica::<Doc>::new(ReplicaId::from_bytes([2; 16]));
/// // At the same time both create the map `garden`, and disagree about what `size` is.
/// let (_, hers) = ann.update(|doc| {
///     let mut garden = doc.map("garden");
///     garden.register("owner").set("Ann");
///     garden.counter("size").inc(3);
/// });
/// let (_, his) = bob.update(|doc| {
///     let mut garden = doc.map("garden");
///     garden.set("beds").add("roses");
///     garden.register("size").set("big");
/// });
/// ann.merge(his)?;
/// bob.merge(hers)?;
/// assert_eq!(ann.encode(), bob.encode());
/// let garden = ann.get("garden").and_then(|entry| entry.map()).unwrap();
/// assert_eq!(garden.len(), 3);                                   // one garden, not two
/// let size = garden.get("size").unwrap();
/// assert_eq!(size.counter().unwrap().value(), 3);                // both sizes
/// assert_eq!(size.register().unwrap().value(), Some(&Scalar::from("big")));
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Default, Debug)]
pub struct Doc {
    entries: AddWinsMap<String, DocEntry>,
}

impl Doc {
    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What stands under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&DocEntry> {
        self.entries.get(name)
    }

    /// The map reached by following `path` through maps; the document itself for an empty path.
    #[must_use]
    pub fn at_path<'s>(&self, path: impl IntoIterator<Item = &'s str>) -> Option<&Self> {
        path.into_iter().try_fold(self, |doc, name| doc.get(name)?.map())
    }

    /// The names with what stands under them, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&String, &DocEntry)> + DoubleEndedIterator {
        self.entries.iter()
    }

    /// The entries whose names start with `prefix`, ascending.
    pub fn prefix<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = (&'s String, &'s DocEntry)> {
        self.entries.prefix(prefix)
    }
}

/// Write access by name. Each method makes what it names with the first thing written to it.
impl<'a> Mut<'a, Doc> {
    fn entries(&mut self) -> Mut<'_, AddWinsMap<String, DocEntry>> {
        Mut {
            state: &mut self.state.entries,
            place: self.place,
            tx: self.tx,
            removable: self.removable,
            depth: self.depth,
        }
    }

    /// The counter called `name`.
    pub fn counter(&mut self, name: &str) -> Mut<'_, PnCounter> {
        self.entries().entry(name).into_counter()
    }

    /// The grow-only counter called `name`.
    pub fn grow_counter(&mut self, name: &str) -> Mut<'_, GCounter> {
        self.entries().entry(name).into_grow_counter()
    }

    /// The flag called `name`.
    pub fn flag(&mut self, name: &str) -> Mut<'_, EnableWinsFlag> {
        self.entries().entry(name).into_flag()
    }

    /// The multi-value register called `name`.
    pub fn register(&mut self, name: &str) -> Mut<'_, MvRegister<Scalar>> {
        self.entries().entry(name).into_register()
    }

    /// The last-writer-wins register called `name`.
    pub fn lww(&mut self, name: &str) -> Mut<'_, LwwRegister<Scalar>> {
        self.entries().entry(name).into_lww()
    }

    /// The set called `name`.
    pub fn set(&mut self, name: &str) -> Mut<'_, AddWinsSet<Scalar>> {
        self.entries().entry(name).into_set()
    }

    /// The grow-only set called `name`.
    pub fn grow_set(&mut self, name: &str) -> Mut<'_, GSet<Scalar>> {
        self.entries().entry(name).into_grow_set()
    }

    /// The flag called `name` that disabling wins.
    pub fn disable_wins_flag(&mut self, name: &str) -> Mut<'_, DisableWinsFlag> {
        self.entries().entry(name).into_disable_wins_flag()
    }

    /// The register of the largest value called `name`.
    pub fn max(&mut self, name: &str) -> Mut<'_, MaxRegister<Scalar>> {
        self.entries().entry(name).into_max()
    }

    /// The register of the smallest value called `name`.
    pub fn min(&mut self, name: &str) -> Mut<'_, MinRegister<Scalar>> {
        self.entries().entry(name).into_min()
    }

    /// The remove-wins set called `name`.
    pub fn remove_wins_set(&mut self, name: &str) -> Mut<'_, RemoveWinsSet<Scalar>> {
        self.entries().entry(name).into_remove_wins_set()
    }

    /// The two-phase set called `name`.
    pub fn two_phase_set(&mut self, name: &str) -> Mut<'_, TwoPhaseSet<Scalar>> {
        self.entries().entry(name).into_two_phase_set()
    }

    /// The last-writer-wins map of plain values called `name`.
    pub fn lww_map(&mut self, name: &str) -> Mut<'_, LwwMap<String, Scalar>> {
        self.entries().entry(name).into_lww_map()
    }

    /// The text called `name`.
    pub fn text(&mut self, name: &str) -> Mut<'_, Text> {
        self.entries().entry(name).into_text()
    }

    /// The list called `name`.
    pub fn list(&mut self, name: &str) -> Mut<'_, List<Scalar>> {
        self.entries().entry(name).into_list()
    }

    /// The list of maps called `name`, of which each can be moved.
    pub fn movable_list(&mut self, name: &str) -> Mut<'_, MovableList<Doc>> {
        self.entries().entry(name).into_movable_list()
    }

    /// The tree of maps called `name`.
    pub fn tree(&mut self, name: &str) -> Mut<'_, Tree<Doc>> {
        self.entries().entry(name).into_tree()
    }

    /// The map called `name`.
    pub fn map(&mut self, name: &str) -> Mut<'_, Doc> {
        self.entries().entry(name).into_map()
    }

    /// The map called `name`, using up this handle: for keeping a handle several maps down in a `let`.
    pub fn into_map(self, name: &str) -> Mut<'a, Doc> {
        let Mut { state, place, tx, removable, depth } = self;
        let entries: Mut<'a, AddWinsMap<String, DocEntry>> =
            Mut { state: &mut state.entries, place, tx, removable, depth };
        entries.entry(name).into_map()
    }

    /// The map reached by following `path` through maps, using up this handle.
    #[must_use]
    pub fn at_path<'s>(self, path: impl IntoIterator<Item = &'s str>) -> Mut<'a, Doc> {
        path.into_iter().fold(self, |doc, name| doc.into_map(name))
    }

    /// Removes a name, whatever stands under it; says whether it was in.
    pub fn remove(&mut self, name: &str) -> bool {
        self.entries().remove(name)
    }

    /// Removes what stands under a name as one type; says whether it was in.
    pub fn remove_kind(&mut self, name: &str, kind: Kind) -> bool {
        if self.state.get(name).is_none_or(|entry| !entry.kinds().any(|known| known == kind)) {
            return false;
        }
        self.entries().entry(name).remove(kind)
    }

    /// Removes every name that is seen here.
    pub fn clear(&mut self) {
        self.entries().clear();
    }
}

impl Crdt for Doc {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("Doc")
    }
}

impl DotStore for Doc {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        self.entries.take_in(node, join);
    }

    fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        self.entries.retain(keep);
    }

    fn settle(&mut self) {
        self.entries.settle();
    }

    fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.entries.dots(each);
    }

    fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        self.entries.carry(wanted, writer);
    }

    fn is_bottom(&self) -> bool {
        self.entries.is_bottom()
    }

    fn shows(&self) -> bool {
        self.entries.shows()
    }

    fn prune(&mut self, node: Node<'_>) {
        self.entries.prune(node);
    }

    fn check(node: Node<'_>) -> Result<(), Mismatch> {
        AddWinsMap::<String, DocEntry>::check(node)
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries.view(serializer)
    }

    fn remembered(&self, sweep: &mut Sweep<'_>) {
        self.entries.remembered(sweep);
    }

    fn conflicts(&self, disputes: &mut Disputes<'_>) {
        self.entries.conflicts(disputes);
    }

    fn plain(&self) -> Plain {
        self.entries.plain()
    }

    fn look(&self, look: Look<'_>) -> Seen {
        self.entries.look(look)
    }

    fn changed(&self, before: &Seen, gathered: &mut Gathered) {
        self.entries.changed(before, gathered);
    }
}
