//! The two traits behind every type.

use std::borrow::Cow;

use serde::Serializer;

use super::{Join, Mut};
use crate::causal::LocalDot;
use crate::delta::{DeltaTree, Mismatch};

/// A replicated type: what a [`Replica`](crate::Replica) can hold and an [`AddWinsMap`](crate::AddWinsMap) can nest.
///
/// Implemented by the types of this crate and by `#[derive(Crdt)]`.
pub trait Crdt: Sized + 'static {
    /// What is stored and read. The type itself for the types of this crate; for a derived `Board` the generated
    /// `BoardState`, which has the same fields.
    type State: DotStore;

    /// What a writing closure receives. [`Mut`] for the types of this crate; for a derived `Board` the generated
    /// `BoardMut`, with one method a field.
    type Mut<'a>: From<Mut<'a, Self::State>>;

    /// The name of the type, the same at every replica and in every build. Opening a document as another type is
    /// refused by this name.
    fn type_name() -> Cow<'static, str>;
}

/// A state: dots with content, at the places a type gives them.
///
/// Every method walks; none decides. What is kept and what is dropped is decided in one place,
/// [`Join`], by dots alone.
pub trait DotStore: Default + Send + Sync + 'static {
    /// Takes in the content that `tree` carries and the replica does not know yet. Covers below `tree` are applied by
    /// [`Join::below`]; the caller has applied those of `tree` itself.
    ///
    /// `tree` has passed [`check`](Self::check).
    fn take_in(&mut self, tree: &DeltaTree, join: &mut Join<'_>);

    /// Drops every live dot for which `keep` says no, here and below, and what is empty then.
    fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool);

    /// Names every live dot, here and below.
    fn dots(&self, each: &mut dyn FnMut(LocalDot));

    /// Writes every live dot that is `wanted`, with its content, into `tree`.
    fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, tree: &mut DeltaTree);

    /// Whether it holds no live dot. What is empty does not exist: a map has no entry for it.
    fn is_empty(&self) -> bool;

    /// Drops map entries along `tree` that a transaction opened and left empty.
    fn prune(&mut self, tree: &DeltaTree) {
        let _ = tree;
    }

    /// Checks that `tree` is a delta of this type: every key and content decodes, every place has the right shape.
    ///
    /// # Errors
    /// Says what does not.
    fn check(tree: &DeltaTree) -> Result<(), Mismatch>;

    /// Writes the plain value, for user interfaces and JSON.
    ///
    /// # Errors
    /// When `serializer` does.
    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}
