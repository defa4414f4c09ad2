//! A state of any type, kept without understanding it.

use alloc::collections::BTreeMap;

use alloc::borrow::Cow;
use serde::Serializer;
use serde::ser::SerializeStruct;

use super::{Crdt, DotStore, FADING, Join, Mut, Sweep};
use crate::causal::LocalDot;
use crate::delta::{Bytes, Mismatch, Node, Span, Spans, TreeWriter, join_spans, retain_spans};

/// Joins, keeps and passes on a value whose type this program does not know: a document nobody here has opened, or a
/// field that a newer version of the application writes. Contents stay byte for byte as they came.
#[derive(Clone, Default, Debug)]
pub struct Opaque {
    /// INVARIANT: in the order that is the same everywhere.
    items: Spans,
    /// INVARIANT: no child is empty.
    children: BTreeMap<Bytes, Opaque>,
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
