//! The two traits behind every type.

use alloc::borrow::Cow;

use serde::Serializer;

use super::{Disputes, Gathered, Join, Look, Mut, Plain, Seen, Sweep, View};
use crate::causal::{Dots, LocalDot};
use crate::delta::{Mismatch, Node, TreeWriter};

/// A replicated type: what a [`Replica`](crate::Replica) can hold and an [`AddWinsMap`](crate::AddWinsMap) can nest.
///
/// Implemented by the types of this crate and by `#[derive(Crdt)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no replicated type",
    label = "does not merge by itself",
    note = "a plain field of a `#[derive(Crdt)]` type says how it merges: `#[crdt(lww)]`, `#[crdt(mv)]`, `#[crdt(max)]` or `#[crdt(min)]`",
    note = "a struct or enum of replicated types becomes one by `#[derive(Crdt)]`"
)]
pub trait Crdt: Sized + 'static {
    /// What is stored and read. The type itself for the types of this crate; for a derived `Board` the generated
    /// `BoardState`, which has the same fields.
    type State: DotStore;

    /// What a writing closure receives. [`Mut`] for the types of this crate; for a derived `Board` the generated
    /// `BoardMut`, with one method a field.
    type Mut<'a>: From<Mut<'a, Self::State>>;

    /// Whether it may stand below a map key that can be removed. Where it may not, such a map does not compile.
    const REMOVABLE: bool = true;

    /// The name of the type, the same at every replica and in every build. Opening a document as another type is
    /// refused by this name.
    fn type_name() -> Cow<'static, str>;
}

/// A state: dots with content, at the places a type gives them.
///
/// Every method walks; none decides. What is kept and what is dropped is decided in one place,
/// [`Join`], by dots alone.
pub trait DotStore: Default + Send + Sync + 'static {
    /// Takes in the content that `node` carries and the replica does not know yet. Covers below it are applied by
    /// [`Join::below`]; the caller has applied those of `node` itself.
    ///
    /// `node` has passed [`check`](Self::check).
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>);

    /// Drops every live dot for which `keep` says no, here and below, and what is empty then.
    fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool);

    /// Drops the live dots, here and below, that `cover` names and the delta does not carry, and what is empty then.
    /// [`Join::below`] calls it.
    fn drop_covered(&mut self, cover: Dots<'_>, join: &Join<'_>) {
        self.retain(&mut |dot| join.stands(cover, dot));
    }

    /// Names every live dot, here and below.
    fn dots(&self, each: &mut dyn FnMut(LocalDot));

    /// Writes every live dot that is `wanted`, with its content.
    fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>);

    /// Whether it holds no live dot: the bottom of its lattice. A map has no entry for what is.
    fn is_bottom(&self) -> bool;

    /// Whether the key of a map is in by it. Forgetting of texts and lists writes items that show nothing: who holds others asks each of them.
    fn shows(&self) -> bool {
        !self.is_bottom()
    }

    /// Brings into order what came in slices of a state, before anything is read. Until then [`take_in`](Self::take_in), [`dots`](Self::dots),
    /// [`is_bottom`](Self::is_bottom) and [`shows`](Self::shows) are all that is asked of it.
    fn settle(&mut self) {}

    /// Drops map entries below `node` that a transaction opened and left empty.
    fn prune(&mut self, node: Node<'_>) {
        let _ = node;
    }

    /// Checks that `node` is a delta of this type: every key and content decodes, every place has the right shape.
    ///
    /// # Errors
    /// Says what does not.
    fn check(node: Node<'_>) -> Result<(), Mismatch>;

    /// Writes the plain value, for user interfaces and JSON.
    ///
    /// # Errors
    /// When `serializer` does.
    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// The plain value, with sets and maps as what they are.
    fn plain(&self) -> Plain {
        Plain::of(&View(self))
    }

    /// What is read where a delta says something, before it is joined.
    fn look(&self, look: Look<'_>) -> Seen {
        let _ = look;
        Seen::value(self.plain())
    }

    /// Names the places where concurrent writers left more than one value.
    fn conflicts(&self, disputes: &mut Disputes<'_>) {
        let _ = disputes;
    }

    /// Names the removals that it remembers, here and below, as far as they grow with what was removed.
    fn remembered(&self, sweep: &mut Sweep<'_>) {
        let _ = sweep;
    }

    /// Says what became different since.
    fn changed(&self, before: &Seen, gathered: &mut Gathered) {
        gathered.value(before, || self.plain());
    }
}
