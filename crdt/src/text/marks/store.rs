//! Where the dots of marks are: below the node of items that name frozen runs, by which no key of a map is in either, under the marks' names.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::super::Body;
use super::told::Told;
use super::{Mark, Marks, Span};
use crate::Scalar;
use crate::causal::{Dots, LocalDot};
use crate::delta::{Bytes, Mismatch, Node, TreeWriter, leaf};
use crate::store::{Join, Sweep, check_key, write_key};

impl Marks {
    /// Takes in what stands below the node of items that name frozen runs.
    pub(in super::super) fn take_in(&mut self, node: Node<'_>, body: &mut Body, join: &mut Join<'_>) {
        self.drop_covered(body, node.cover(), join);
        for (key, child) in node.children() {
            let Some(name) = join.key::<String>(key) else { return };
            let name: Arc<str> = Arc::from(name);
            if !child.cover().is_empty() {
                let gone: Vec<LocalDot> =
                    self.named(&name).filter(|dot| !join.stands(child.cover(), *dot)).collect();
                gone.into_iter().for_each(|dot| _ = self.remove(body, dot));
            }
            for (dot, content) in child.carried() {
                let Some(dot) = join.admit(dot) else { continue };
                let Some(told) = join.right(Told::read(content)) else { return };
                join.took(1);
                let author = body.sequence.row(join.table().id(dot.replica()));
                let here = LocalDot::new(author, dot.counter());
                let (start, end) = told.anchors(here, |id| body.sequence.row(id));
                let (order, value) = (told.order, told.value());
                let told = Bytes::from_slice(content);
                self.insert(
                    body,
                    dot,
                    Mark { name: Arc::clone(&name), dot: here, told, order, start, end, value },
                );
            }
        }
    }

    pub(in super::super) fn retain(&mut self, body: &mut Body, keep: &mut dyn FnMut(LocalDot) -> bool) {
        let gone: Vec<LocalDot> = self.marks.keys().copied().filter(|dot| !keep(*dot)).collect();
        gone.into_iter().for_each(|dot| _ = self.remove(body, dot));
    }

    pub(in super::super) fn drop_covered(&mut self, body: &mut Body, cover: Dots<'_>, join: &Join<'_>) {
        let gone = join.runs_here(cover).flat_map(|(there, first, last)| {
            let here = self.marks.range(first..=last).map(|(dot, _)| *dot);
            here.filter(move |dot| !join.carries(LocalDot::new(there, dot.counter())))
        });
        let gone: SmallVec<[LocalDot; 4]> = gone.collect();
        gone.into_iter().for_each(|dot| _ = self.remove(body, dot));
    }

    pub(in super::super) fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.marks.keys().for_each(|dot| each(*dot));
    }

    pub(in super::super) fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        let mut names: Vec<(Bytes, &str)> = self.groups.keys().map(|name| (key_of(name), &**name)).collect();
        names.sort_unstable();
        for (key, name) in names {
            let mut marks: Vec<LocalDot> = self.named(name).filter(|dot| wanted(*dot)).collect();
            marks.sort_unstable();
            let write = |below: &mut TreeWriter<'_>| {
                marks.iter().for_each(|dot| below.carry(*dot, &self.marks[dot].told));
            };
            writer.child(|out| out.extend_from_slice(&key), write);
        }
    }

    pub(in super::super) fn check(node: Node<'_>) -> Result<(), Mismatch> {
        node.children().try_for_each(|(key, child)| {
            check_key::<String>(key)?;
            leaf(child)?.try_for_each(|(_, content)| Told::read(content).map(drop))
        })
    }

    /// The heads of the runs that it must be known of where they stand, once the marks that are `going` have gone.
    pub(in super::super) fn needed(&self, body: &Body, going: &BTreeSet<LocalDot>) -> BTreeSet<LocalDot> {
        let anchors = self.anchors.iter().filter(|(.., dot)| !going.contains(dot));
        let letters = anchors.map(|(letter, ..)| *letter);
        letters.map(|letter| LocalDot::new(letter.replica(), body.sequence.head_of(letter))).collect()
    }

    /// Names the marks of which nothing is read, once all know all that is known here, and what was deleted with it: those over nothing, and those that take
    /// away what is not there any more. Yields them.
    pub(in super::super) fn remembered(&self, sweep: &mut Sweep<'_>, body: &Body) -> BTreeSet<LocalDot> {
        let mut going = BTreeSet::new();
        sweep.naming(self.marks.keys().copied());
        // SUBTLE: a deletion leaves no dot, and where it is not known what was typed may be read with one of these.
        if !sweep.is_all_stable() {
            return going;
        }
        for name in self.groups.keys() {
            let mut marks: Vec<(&Mark, Span)> = self.spans(body, name).collect();
            marks.sort_unstable_by(|(a, _), (b, _)| Self::order(body, a, b));
            // What lies below, in parts that neither meet nor overlap: where each begins, and ends.
            let mut below: BTreeMap<usize, usize> = BTreeMap::new();
            for (mark, Span { start, end, mark: dot }) in marks {
                let is_over = below.range(..end).next_back().is_some_and(|(_, end)| *end > start);
                if start == end || mark.value == Scalar::Null && !is_over {
                    going.insert(dot);
                    continue;
                }
                let (mut low, mut high) = (start, end);
                while let Some((&start, &end)) =
                    below.range(..=high).next_back().filter(|(_, end)| **end >= low)
                {
                    below.remove(&start);
                    (low, high) = (low.min(start), high.max(end));
                }
                below.insert(low, high);
            }
        }
        sweep.let_go(going.iter().copied());
        going
    }

    /// The dots of the marks of a name.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = LocalDot> + '_ {
        self.groups.get(name).into_iter().flat_map(|group| &group.marks).map(|(_, dot)| *dot)
    }

    /// The marks of a name, with what they lie over.
    pub(super) fn spans<'m>(&'m self, body: &'m Body, name: &str) -> impl Iterator<Item = (&'m Mark, Span)> {
        self.named(name).map(|dot| (&self.marks[&dot], Self::span(body, dot, &self.marks[&dot])))
    }

    /// Which of two marks is read rather than the other, which is less.
    pub(super) fn order(body: &Body, a: &Mark, b: &Mark) -> core::cmp::Ordering {
        let ids = body.sequence.ids();
        a.order.cmp(&b.order).then_with(|| ids.compare(a.dot, b.dot))
    }
}

/// The key of the node that carries the marks of a name.
pub(super) fn key_of(name: &str) -> Bytes {
    let mut key = Bytes::new();
    write_key(&String::from(name), &mut key);
    key
}
