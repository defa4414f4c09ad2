//! A state of any type, kept without understanding it.

use alloc::collections::BTreeMap;

use alloc::borrow::Cow;
use core::cmp::Ordering;

use serde::Serializer;
use serde::ser::SerializeStruct;

use super::renaming::Renaming;
use super::{Crdt, DotStore, FADING, Join, Mut, Sweep};
use crate::causal::LocalDot;
use crate::delta::{Bytes, Mismatch, Node, Span, Spans, TreeWriter, join_spans, retain_spans};
use crate::{counter, ordered, placed, text};

/// Joins, keeps and passes on a value whose type this program does not know: a document nobody here has opened, or a
/// field that a newer version of the application writes. Contents stay byte for byte as they came.
#[derive(Clone, Default, Debug)]
pub struct Opaque {
    /// INVARIANT: in the order that is the same everywhere.
    items: Spans,
    /// INVARIANT: no child is empty.
    children: BTreeMap<Bytes, Opaque>,
}

/// Where a node stands.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// Its contents are those of an application.
    Value,
    /// They are places of elements that can be moved.
    Places,
    /// What these hold stands below it, by their names.
    Named,
    /// Below [`FADING`]: they are sums of what was counted.
    Fading,
    /// Below a key there: they are marks of a text.
    Marks,
}

impl Opaque {
    /// Has what is named by dots have other names, here and below.
    pub(super) fn rename(&mut self, renaming: &Renaming, place: Place) {
        rename_contents(&mut self.items, |content| match place {
            Place::Value | Place::Named => None,
            Place::Places => placed::renamed(content, renaming),
            Place::Fading => counter::renamed(content, renaming),
            Place::Marks => text::renamed(content, renaming),
        });
        self.rename_heads(renaming);
        let holds_placed = self.holds_placed();
        for (key, mut child) in core::mem::take(&mut self.children) {
            let below = match (place, &key[..]) {
                (Place::Fading | Place::Marks, _) => Place::Marks,
                (_, FADING) => Place::Fading,
                (_, placed::PLACES) if holds_placed => Place::Places,
                (_, placed::VALUES) if holds_placed => Place::Named,
                _ => Place::Value,
            };
            child.rename(renaming, below);
            let other =
                if matches!(place, Place::Named) { placed::renamed_key(&key, renaming) } else { None };
            self.children.insert(other.unwrap_or(key), child);
        }
    }

    /// Whether it is what elements that can be moved are kept in.
    fn holds_placed(&self) -> bool {
        let is_one_of_both = |(key, child): (&Bytes, &Self)| match &key[..] {
            placed::PLACES => {
                child.items.iter().flat_map(Span::items).all(|(_, content)| placed::is_place(content))
            }
            placed::VALUES => {
                child.items.is_empty()
                    && child.children.keys().all(|key| key[..] == *FADING || placed::is_name(key))
            }
            _ => false,
        };
        self.items.is_empty() && self.children.iter().all(is_one_of_both)
    }

    /// What hangs on elements of a replica stands under its id.
    fn rename_heads(&mut self, renaming: &Renaming) {
        let Some(mut heads) = self.children.remove(&renaming.of.as_bytes()[..]) else { return };
        let mut others = Spans::new();
        let mut left = Spans::new();
        for (dot, content) in heads.items.iter().flat_map(Span::items) {
            let other = ordered::renamed(content, renaming);
            let spans = if other.is_some() { &mut others } else { &mut left };
            let contents = other.unwrap_or_else(|| Bytes::from_slice(content));
            spans.push(Span { first: dot, count: 1, contents });
        }
        for (id, mut spans) in [(renaming.of, left), (renaming.id, others)] {
            // They are in order.
            join_spans(&mut spans, |_, _| Ordering::Less);
            heads.items = spans;
            if !heads.is_bottom() {
                self.children.insert(Bytes::from_slice(id.as_bytes()), core::mem::take(&mut heads));
            }
        }
    }
}

/// Puts others for contents that are to be others.
fn rename_contents(spans: &mut Spans, other: impl Fn(&[u8]) -> Option<Bytes>) {
    let is_other = |span: &Span<Bytes>| span.items().any(|(_, content)| other(content).is_some());
    if !spans.iter().any(is_other) {
        return;
    }
    let old = core::mem::take(spans);
    for (dot, content) in old.iter().flat_map(Span::items) {
        let contents = other(content).unwrap_or_else(|| Bytes::from_slice(content));
        spans.push(Span { first: dot, count: 1, contents });
    }
    // They are in order.
    join_spans(spans, |_, _| Ordering::Less);
}

impl Crdt for Opaque {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("")
    }
}

impl DotStore for Opaque {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        let before = self.items.len();
        for span in node.spans() {
            if let Some(span) = join.admit_span(span) {
                join.took(span.count as usize);
                self.items.push(span.to_owned());
            }
        }
        if self.items.len() > before {
            join_spans(&mut self.items, |a, b| join.compare(a, b));
        }
        for (key, child) in node.children() {
            let known = self.children.entry(Bytes::from_slice(key)).or_default();
            join.below(known, child);
            if known.is_bottom() {
                self.children.remove(key);
            }
        }
    }

    fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        retain_spans(&mut self.items, &mut *keep);
        self.children.retain(|_, child| {
            child.retain(keep);
            !child.is_bottom()
        });
    }

    fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.items.iter().flat_map(Span::items).for_each(|(dot, _)| each(dot));
        self.children.values().for_each(|child| child.dots(each));
    }

    fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        for part in self.items.iter().flat_map(|span| span.kept(wanted)) {
            writer.carry_span(&part);
        }
        for (key, child) in &self.children {
            writer.child(|out| out.extend_from_slice(key), |below| child.carry(wanted, below));
        }
    }

    fn is_bottom(&self) -> bool {
        self.items.is_empty() && self.children.is_empty()
    }

    fn shows(&self) -> bool {
        !self.items.is_empty() || self.children.iter().any(|(key, child)| key[..] != *FADING && child.shows())
    }

    fn remembered(&self, sweep: &mut Sweep<'_>) {
        for (key, child) in &self.children {
            if key[..] == *FADING {
                child.dots(&mut |dot| sweep.naming([dot].into_iter()));
            } else {
                child.remembered(sweep);
            }
        }
    }

    fn check(_: Node<'_>) -> Result<(), Mismatch> {
        Ok(())
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut items = 0_usize;
        self.dots(&mut |_| items += 1);
        let mut view = serializer.serialize_struct("Opaque", 1)?;
        view.serialize_field("items", &items)?;
        view.end()
    }
}
