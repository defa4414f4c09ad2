//! Where the dots of elements and runs are.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::borrow::Borrow as _;

use smallvec::SmallVec;

use super::content::{Elements, Scratch};
use super::head::Told;
use super::{ABSENT, Ordered};
use crate::causal::{CausalContext, Dots, LocalDot, MAX_COUNTER, ReplicaId, ReplicaIndex};
use crate::delta::{Bytes, Mismatch, Node, Span, TreeWriter, leaf};
use crate::sequence::{Origin, Sequence};
use crate::store::{FADING, Join, Named, Sweep, checked_key, decode_key};

/// # Errors
/// When this names no heads, or not in the one form.
fn check_named(content: &[u8]) -> Result<(), Mismatch> {
    let named = checked_key::<Named>(content)?;
    let in_range = |counter: &u64| (1..=MAX_COUNTER).contains(counter);
    let ascend = |heads: &[u64]| heads.is_sorted_by(|a, b| a < b) && heads.iter().all(in_range);
    if named.is_sorted_by(|(a, _), (b, _)| a < b) && named.iter().all(|(_, heads)| ascend(heads)) {
        Ok(())
    } else {
        Err(Mismatch::Content { what: "content", why: "runs are not named in ascending order".into() })
    }
}

/// The heads that are named as frozen, by replica and counter, in what has passed `check_named`.
fn heads_named(content: &[u8]) -> impl Iterator<Item = (ReplicaId, u64)> + use<> {
    let named: Named = decode_key(content).unwrap_or_default();
    named.into_iter().flat_map(|(id, heads)| heads.into_iter().map(move |head| (id, head)))
}

/// Has those runs be frozen that an item names. One after the other: who names the same in many items takes no memory by that.
fn freeze<C: Elements + ?Sized>(content: &[u8], named: &mut BTreeSet<LocalDot>, sequence: &mut Sequence<C>) {
    for (id, head) in heads_named(content) {
        let head = LocalDot::new(sequence.row(id), head);
        if named.insert(head) {
            sequence.freeze(head);
        }
    }
}

impl<C: Elements + ?Sized> Ordered<C> {
    /// The dots of heads, with where their runs hang, as the sequence calls them.
    fn heads(&self) -> impl Iterator<Item = (LocalDot, Origin)> {
        self.sequence.runs()
    }

    fn told(&self, head: LocalDot, origin: Origin) -> Told {
        let told = || Told::of(head, origin, 0, |row| self.sequence.ids().id(row));
        self.odd.get(&head).cloned().unwrap_or_else(told)
    }

    /// Keeps what was told of a head if this program would tell it otherwise.
    pub(super) fn note(&mut self, head: LocalDot, origin: Origin, key: &[u8], content: &[u8]) {
        if !Told::is_usual(key, head, origin) {
            self.odd.insert(head, Told { key: Bytes::from_slice(key), content: content.into() });
        }
    }

    /// Ascending by replica, of one replica after the other.
    fn remove_heads(&mut self, heads: &[LocalDot]) {
        heads.iter().for_each(|head| _ = self.odd.remove(head));
        self.sequence.remove_runs(heads);
    }

    /// Takes in the heads that a node carries, which stand under `key`.
    fn take_in_heads(&mut self, key: &[u8], node: Node<'_>, join: &mut Join<'_>) {
        for (dot, content) in node.carried() {
            let Some(dot) = join.admit(dot) else { continue };
            if join.right(Told::check_key(key).and_then(|()| Told::check(key, content))).is_none() {
                return;
            }
            join.took(1);
            let row = self.rows.open(dot.replica(), join.table(), &mut self.sequence);
            let head = LocalDot::new(row, dot.counter());
            let origin = Told::origin(key, content, head, |id| self.sequence.row(id));
            self.note(head, origin, key, content);
            self.sequence.add_run(head, origin);
            if self.named.contains(&head) {
                self.sequence.freeze(head);
            }
        }
    }

    /// Takes in what names frozen runs.
    fn take_in_frozen(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        for (dot, content) in node.carried() {
            let Some(dot) = join.admit(dot) else { continue };
            if join.right(check_named(content)).is_none() {
                return;
            }
            join.took(1);
            freeze(content, &mut self.named, &mut self.sequence);
            self.frozen.insert(dot, Bytes::from_slice(content));
        }
    }

    /// Has those runs be frozen that are named.
    fn freeze(&mut self) {
        self.sequence.thaw();
        self.named.clear();
        for content in self.frozen.values() {
            freeze(content, &mut self.named, &mut self.sequence);
        }
    }

    /// Drops what no longer names frozen runs.
    fn retain_frozen(&mut self, mut keep: impl FnMut(LocalDot) -> bool) {
        let before = self.frozen.len();
        self.frozen.retain(|dot, _| keep(*dot));
        if self.frozen.len() < before {
            self.freeze();
        }
    }

    /// Takes in the elements that a node carries.
    fn take_in_elements(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        let mut runs = 0;
        let mut end = None;
        for span in node.spans() {
            runs += usize::from(end.replace(span.last().bits() + 1) != Some(span.first.bits()));
        }
        self.sequence.expect(runs);
        let mut spans = node.spans();
        if spans.len() <= 1 {
            let Some(span) = spans.next().and_then(|span| join.admit_span(span)) else { return };
            let Some(elements) = join.right(C::read(&span)) else { return };
            join.took(span.count as usize);
            return self.add(span.first, &elements, join);
        }
        // Elements that are not equally long are spans of their own: what goes on is put together.
        let mut all = C::none();
        let mut first = LocalDot::from_bits(0);
        let mut next = first;
        for span in spans {
            let Some(span) = join.admit_span(span) else { continue };
            if span.first != next {
                self.add(first, all.borrow(), join);
                C::clear(&mut all);
                first = span.first;
            }
            if join.right(C::append(&span, &mut all)).is_none() {
                return;
            }
            join.took(span.count as usize);
            next = LocalDot::from_bits(span.last().bits() + 1);
        }
        self.add(first, all.borrow(), join);
    }

    fn add(&mut self, first: LocalDot, elements: &C, join: &Join<'_>) {
        if !elements.items().is_empty() {
            let row = self.rows.open(first.replica(), join.table(), &mut self.sequence);
            self.sequence.add(LocalDot::new(row, first.counter()), elements);
        }
    }

    /// Removes heads that are covered below the key under which they stand, and that the delta does not carry.
    ///
    /// SUBTLE: each is looked at once. A small message may name the same dots below many keys.
    fn drop_heads<'t>(&mut self, children: impl Iterator<Item = (&'t [u8], Node<'t>)>, join: &Join<'_>) {
        let covers: BTreeMap<&[u8], Dots<'_>> = children.map(|(key, child)| (key, child.cover())).collect();
        let all = covers.values().flat_map(|cover| cover.intervals()).copied();
        let all = CausalContext::from_intervals(all);
        let is_covered = |(there, head): &(LocalDot, LocalDot)| {
            let told = self.sequence.origin_of(*head).map(|origin| self.told(*head, origin));
            told.and_then(|told| covers.get(&told.key[..])).is_some_and(|cover| cover.contains(*there))
        };
        let gone = self.heads_gone(all.as_dots(), join).filter(is_covered);
        let gone: Vec<LocalDot> = gone.map(|(_, head)| head).collect();
        self.remove_heads(&gone);
    }

    /// The runs of a cover as the sequence calls them, each with the row it has there.
    fn covered<'j>(
        &'j self,
        cover: Dots<'j>,
        join: &'j Join<'_>,
    ) -> impl Iterator<Item = (ReplicaIndex, LocalDot, LocalDot)> + 'j {
        join.runs_here(cover).filter_map(|(there, first, last)| {
            let row = *self.rows.inner.get(first.replica() as usize).filter(|row| **row != ABSENT)?;
            Some((there, LocalDot::new(row, first.counter()), LocalDot::new(row, last.counter())))
        })
    }

    /// The heads that a cover names and the delta does not carry: as it calls them, and as the sequence does.
    fn heads_gone<'j>(
        &'j self,
        cover: Dots<'j>,
        join: &'j Join<'_>,
    ) -> impl Iterator<Item = (LocalDot, LocalDot)> + 'j {
        self.covered(cover, join).flat_map(move |(there, first, last)| {
            let heads = self.sequence.heads_among(first, last);
            let heads = heads.map(move |head| (LocalDot::new(there, head.counter()), head));
            heads.filter(|(there, _)| !join.carries(*there))
        })
    }

    /// The live elements that a cover names and the delta does not carry, as runs: first and last.
    ///
    /// SUBTLE: what is here is looked for first, and then whether it is carried. A small message may name the same dots in many places, and carry many
    /// of them in one: to go by what is carried would cost the product of both.
    pub(crate) fn gone<'j>(
        &'j self,
        cover: Dots<'j>,
        join: &'j Join<'_>,
    ) -> impl Iterator<Item = (LocalDot, LocalDot)> + 'j {
        self.covered(cover, join).flat_map(move |(there, first, last)| {
            self.sequence.live_from(first, last).flat_map(move |(first, count)| {
                let gone = join.uncarried(there, first.counter(), first.counter() + count - 1);
                let here = move |counter| LocalDot::new(first.replica(), counter);
                gone.map(move |(first, last)| (here(first), here(last)))
            })
        })
    }
}

/// What a [`DotStore`](crate::store::DotStore) walks, and so does one that is nothing else beside.
impl<C: Elements + ?Sized> Ordered<C> {
    pub(crate) fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        let heads = || node.children().filter(|(key, _)| *key != FADING);
        if heads().any(|(_, child)| !child.cover().is_empty()) {
            self.drop_heads(heads(), join);
        }
        for (key, child) in heads() {
            self.take_in_heads(key, child, join);
        }
        for (_, child) in node.children().filter(|(key, _)| *key == FADING) {
            self.retain_frozen(|dot| join.stands(child.cover(), dot));
            self.take_in_frozen(child, join);
        }
        self.take_in_elements(node, join);
        if !join.is_slice() {
            self.sequence.settle();
        }
    }

    pub(crate) fn settle(&mut self) {
        self.sequence.settle();
    }

    pub(crate) fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        let mut gone: Vec<(LocalDot, LocalDot)> = Vec::new();
        for (first, elements) in self.sequence.live() {
            for counter in (first.counter()..).take(C::elements(elements.items())) {
                let dot = LocalDot::new(first.replica(), counter);
                if !keep(self.rows.outer(dot)) {
                    match gone.last_mut() {
                        Some((_, last)) if last.bits() + 1 == dot.bits() => *last = dot,
                        _ => gone.push((dot, dot)),
                    }
                }
            }
        }
        gone.into_iter().for_each(|(first, last)| self.sequence.remove(first, last));
        let heads: Vec<LocalDot> =
            self.heads().map(|(head, _)| head).filter(|head| !keep(self.rows.outer(*head))).collect();
        self.remove_heads(&heads);
        self.retain_frozen(keep);
        self.sequence.settle();
    }

    pub(crate) fn drop_covered(&mut self, cover: Dots<'_>, join: &Join<'_>) {
        self.sequence.settle();
        self.retain_frozen(|dot| join.stands(cover, dot));
        let gone: SmallVec<[(LocalDot, LocalDot); 4]> = self.gone(cover, join).collect();
        gone.iter().for_each(|&(first, last)| self.sequence.remove(first, last));
        // Afterwards, for it may be that all must be built anew then.
        let heads = self.heads_gone(cover, join).map(|(_, head)| head);
        let heads: SmallVec<[LocalDot; 4]> = heads.collect();
        self.remove_heads(&heads);
        self.sequence.settle();
    }

    pub(crate) fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        for (first, elements) in self.sequence.live() {
            let first = self.rows.outer(first);
            let counters = (first.counter()..).take(C::elements(elements.items()));
            counters.for_each(|counter| each(LocalDot::new(first.replica(), counter)));
        }
        self.sequence.unplaced().for_each(|dot| each(self.rows.outer(dot)));
        self.heads().for_each(|(head, _)| each(self.rows.outer(head)));
        self.frozen.keys().for_each(|dot| each(*dot));
    }

    pub(crate) fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        self.carry_with(wanted, writer, |_| {});
    }

    /// With what else stands below the node of items that name frozen runs.
    pub(crate) fn carry_with(
        &self,
        wanted: &dyn Fn(LocalDot) -> bool,
        writer: &mut TreeWriter<'_>,
        more: impl FnOnce(&mut TreeWriter<'_>),
    ) {
        let live = self.sequence.live().map(|(first, elements)| (self.rows.outer(first), elements));
        let mut live: Vec<(LocalDot, &C)> = live.collect();
        live.sort_unstable_by_key(|(first, _)| *first);
        let mut scratch = Scratch::default();
        for (first, elements) in live {
            let items = elements.items();
            let count = C::elements(items);
            let place = |nth: usize| if count == items.len() { nth } else { C::items_of(items, nth) };
            let dot = |nth: usize| LocalDot::from_bits(first.bits() + nth as u64);
            let mut nth = 0;
            while let Some(from) = (nth..count).find(|nth| wanted(dot(*nth))) {
                nth = (from..count).find(|nth| !wanted(dot(*nth))).unwrap_or(count);
                let mut first = dot(from);
                for (contents, count) in C::whole(&items[place(from)..place(nth)]).told(&mut scratch) {
                    writer.carry_span(&Span { first, count, contents });
                    first = LocalDot::from_bits(first.bits() + u64::from(count));
                }
            }
        }
        let heads = self.heads().map(|(head, origin)| (self.rows.outer(head), self.told(head, origin)));
        let mut heads: Vec<(LocalDot, Told)> = heads.filter(|(head, _)| wanted(*head)).collect();
        heads.sort_unstable_by(|(a, one), (b, other)| (&one.key, a).cmp(&(&other.key, b)));
        let carry_heads = |heads: &[(LocalDot, Told)], writer: &mut TreeWriter<'_>| {
            for under in heads.chunk_by(|(_, one), (_, other)| one.key == other.key) {
                let key = |out: &mut Bytes| out.extend_from_slice(&under[0].1.key);
                writer.child(key, |below| {
                    under.iter().for_each(|(head, told)| below.carry(*head, &told.content));
                });
            }
        };
        // Keys ascend.
        let (before, behind) = heads.split_at(heads.partition_point(|(_, told)| told.key[..] < *FADING));
        carry_heads(before, writer);
        writer.child(
            |key| key.extend_from_slice(FADING),
            |below| {
                let frozen = self.frozen.iter().filter(|(dot, _)| wanted(**dot));
                frozen.for_each(|(dot, content)| below.carry(*dot, content));
                more(below);
            },
        );
        carry_heads(behind, writer);
    }

    /// As if the elements that are `going`, as the sequence calls them, were gone. Runs with these heads are `needed`.
    pub(crate) fn remembered(
        &self,
        sweep: &mut Sweep<'_>,
        going: &BTreeSet<LocalDot>,
        needed: &BTreeSet<LocalDot>,
    ) {
        sweep.naming(self.frozen.keys().copied());
        let outer = |head: LocalDot| self.rows.outer(head);
        let (known, others): (Vec<LocalDot>, Vec<LocalDot>) =
            self.frozen.keys().copied().partition(|dot| sweep.is_stable(*dot));
        // Others are waited for first, so that not each look names a few more.
        if others.is_empty() {
            let faded = self.sequence.faded(|head| needed.contains(&head), going).into_iter();
            sweep.fade(faded.filter(|head| !self.sequence.is_run_frozen(*head)).map(outer));
        }
        if !known.is_empty() {
            let named: BTreeSet<(ReplicaId, u64)> =
                known.iter().flat_map(|dot| heads_named(&self.frozen[dot])).collect();
            let name = |head: LocalDot| (self.sequence.ids().id(head.replica()), head.counter());
            let is_needed = |head| needed.contains(&head) || !named.contains(&name(head));
            let gone = self.sequence.faded(is_needed, going);
            // SUBTLE: what names a run that has faded and stays is needed: another may be about to let both go, who does not
            // know of this sweep, and until then nobody may hang anything on it.
            let heads: BTreeSet<LocalDot> = gone.iter().copied().collect();
            let faded = self.sequence.faded(|head| needed.contains(&head), going).into_iter();
            let staying: BTreeSet<(ReplicaId, u64)> =
                faded.filter(|head| !heads.contains(head)).map(name).collect();
            let is_done =
                |dot: &LocalDot| !heads_named(&self.frozen[dot]).any(|head| staying.contains(&head));
            sweep.let_go(gone.into_iter().map(outer).chain(known.iter().copied().filter(is_done)));
        }
    }

    pub(crate) fn is_bottom(&self) -> bool {
        !self.shows() && self.frozen.is_empty()
    }

    pub(crate) fn shows(&self) -> bool {
        self.len() > 0 || self.sequence.unplaced().next().is_some() || self.heads().next().is_some()
    }

    pub(crate) fn check(node: Node<'_>) -> Result<(), Mismatch> {
        Self::check_with(node, |below| leaf(below).map(drop))
    }

    /// `more` checks what else stands below the node of items that name frozen runs.
    pub(crate) fn check_with(
        node: Node<'_>,
        more: impl Fn(Node<'_>) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        node.spans().try_for_each(|span| C::check(&span))?;
        for (key, child) in node.children() {
            if key == FADING {
                child.carried().try_for_each(|(_, content)| check_named(content))?;
                more(child)?;
                continue;
            }
            Told::check_key(key)?;
            leaf(child)?.try_for_each(|(_, content)| Told::check(key, content))?;
        }
        Ok(())
    }
}
