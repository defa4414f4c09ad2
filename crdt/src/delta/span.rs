//! Dots that follow on one another, told as one.

use alloc::vec::Vec;
use core::cmp::Ordering;

use smallvec::SmallVec;

use super::Bytes;
use crate::causal::{Dots, LocalDot};

/// Consecutive dots of one replica, with contents that are equally long and stand one behind the other. So what somebody typed is one
/// item, and not as many as there are letters.
///
/// INVARIANT: there is a dot; if there are several, their contents have bytes. So a message holds no more dots than bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span<C> {
    pub(crate) first: LocalDot,
    pub(crate) count: u32,
    pub(crate) contents: C,
}

/// Spans that are kept by themselves.
pub(crate) type Spans = SmallVec<[Span<Bytes>; 1]>;

impl<C: AsRef<[u8]>> Span<C> {
    pub(crate) fn last(&self) -> LocalDot {
        LocalDot::from_bits(self.first.bits() + u64::from(self.count) - 1)
    }

    /// Its dots, as an interval.
    pub(crate) fn interval(&self) -> (u64, u64) {
        (self.first.bits(), self.last().bits())
    }

    /// How long each content is, in bytes.
    pub(crate) fn each(&self) -> usize {
        each(self.contents.as_ref().len(), self.count)
    }

    /// Its dots from one to another.
    pub(crate) fn part(&self, first: LocalDot, last: LocalDot) -> Span<&[u8]> {
        Span { first: self.first, count: self.count, contents: self.contents.as_ref() }.into_part(first, last)
    }

    /// Its dots one by one.
    pub(crate) fn items(&self) -> impl Iterator<Item = (LocalDot, &[u8])> {
        let (each, contents) = (self.each(), self.contents.as_ref());
        (0..u64::from(self.count)).map(move |nth| {
            let start = nth as usize * each;
            (LocalDot::from_bits(self.first.bits() + nth), &contents[start..start + each])
        })
    }

    /// What is kept of it, in as few spans as may be.
    pub(crate) fn kept(&self, mut keep: impl FnMut(LocalDot) -> bool) -> impl Iterator<Item = Span<&[u8]>> {
        let (mut next, last) = self.interval();
        core::iter::from_fn(move || {
            while next <= last && !keep(LocalDot::from_bits(next)) {
                next += 1;
            }
            let first = LocalDot::from_bits(next);
            (next <= last).then(|| {
                while next < last && keep(LocalDot::from_bits(next + 1)) {
                    next += 1;
                }
                let part = self.part(first, LocalDot::from_bits(next));
                // The one behind it is not kept, if there is one.
                next += 2;
                part
            })
        })
    }

    pub(crate) fn to_owned(&self) -> Span<Bytes> {
        let Self { first, count, .. } = *self;
        Span { first, count, contents: Bytes::from_slice(self.contents.as_ref()) }
    }

    /// Whether `next` goes on where this ends.
    fn goes_on_with<D: AsRef<[u8]>>(&self, next: &Span<D>) -> bool {
        let each = self.each();
        self.last().bits() + 1 == next.first.bits() && each > 0 && each == next.each()
    }
}

impl Span<Bytes> {
    /// Takes in what goes on where this ends; says whether it does.
    fn grow<D: AsRef<[u8]>>(&mut self, next: &Span<D>) -> bool {
        let goes_on = self.goes_on_with(next);
        if goes_on {
            self.count += next.count;
            self.contents.extend_from_slice(next.contents.as_ref());
        }
        goes_on
    }
}

impl<'t> Span<&'t [u8]> {
    /// As [`part`](Self::part), for as long as the contents live.
    pub(crate) fn into_part(self, first: LocalDot, last: LocalDot) -> Self {
        let each = self.each();
        let start = (first.bits() - self.first.bits()) as usize * each;
        let count = (last.bits() - first.bits() + 1) as u32;
        let contents: &'t [u8] = &self.contents[start..start + count as usize * each];
        Self { first, count, contents }
    }
}

/// How long each content is of so many that have `all` bytes together.
#[inline]
pub(super) fn each(all: usize, count: u32) -> usize {
    if count == 1 { all } else { all / count as usize }
}

/// Leaves of spans what is to be kept.
pub(crate) fn retain(spans: &mut Spans, mut keep: impl FnMut(LocalDot) -> bool) {
    if spans.iter().all(|span| span.count == 1) {
        return spans.retain(|span| keep(span.first));
    }
    let old = core::mem::take(spans);
    spans.extend(old.iter().flat_map(|span| {
        let kept: SmallVec<[_; 1]> = span.kept(&mut keep).map(|part| part.to_owned()).collect();
        kept
    }));
}

/// Leaves of spans what is not among some dots.
pub(crate) fn drop_dots(spans: &mut Spans, dots: Dots<'_>) {
    if !spans.iter().any(|span| dots.overlaps(span.interval())) {
        return;
    }
    let old = core::mem::take(spans);
    for span in &old {
        let bits = LocalDot::from_bits;
        let left = dots.gaps(span.interval());
        spans.extend(left.map(|(first, last)| span.part(bits(first), bits(last)).to_owned()));
    }
}

/// Brings spans into order, and joins those that go on one another; of two contents of one dot the later stands.
pub(crate) fn join(spans: &mut Spans, compare: impl Fn(LocalDot, LocalDot) -> Ordering) {
    // One or none is in order.
    if spans.len() < 2 {
        return;
    }
    let follows = |one: &Span<Bytes>, next: &Span<Bytes>| compare(one.last(), next.first).is_lt();
    if !spans.windows(2).all(|pair| follows(&pair[0], &pair[1])) {
        let mut order: Vec<usize> = (0..spans.len()).collect();
        order.sort_by(|&a, &b| compare(spans[a].first, spans[b].first));
        if order.windows(2).all(|pair| follows(&spans[pair[0]], &spans[pair[1]])) {
            spans.sort_by(|a, b| compare(a.first, b.first));
        } else {
            return join_one_by_one(spans, &compare);
        }
    }
    spans.dedup_by(|next, kept| kept.grow(next));
}

fn join_one_by_one(spans: &mut Spans, compare: impl Fn(LocalDot, LocalDot) -> Ordering) {
    let old = core::mem::take(spans);
    // Each dot, with the number of its span: the latest first.
    let numbered = (0_u32..).zip(&old);
    let mut all: Vec<(LocalDot, u32)> = numbered
        .flat_map(|(at, span)| {
            (span.first.bits()..=span.last().bits()).map(move |dot| (LocalDot::from_bits(dot), at))
        })
        .collect();
    all.sort_unstable_by(|a, b| compare(a.0, b.0).then(b.1.cmp(&a.1)));
    all.dedup_by_key(|(dot, _)| *dot);
    for (dot, at) in all {
        let one = old[at as usize].part(dot, dot);
        if !spans.last_mut().is_some_and(|last| last.grow(&one)) {
            spans.push(one.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn span(first: u64, contents: &[u8], each: usize) -> Span<Bytes> {
        let count = (contents.len() / each) as u32;
        Span { first: LocalDot::new(0, first), count, contents: Bytes::from_slice(contents) }
    }

    fn spans() -> impl Strategy<Value = Vec<Span<Bytes>>> {
        let one = (1..30_u64, 1..6_usize, 1..3_usize, any::<u8>());
        vec(one.prop_map(|(first, count, each, fill)| span(first, &vec![fill; count * each], each)), 0..8)
    }

    fn items(spans: &[Span<Bytes>]) -> Vec<(LocalDot, Vec<u8>)> {
        spans.iter().flat_map(|span| span.items().map(|(dot, content)| (dot, content.to_vec()))).collect()
    }

    #[test]
    fn what_goes_on_is_joined_and_what_has_no_bytes_is_not() {
        let mut all = Spans::from_vec(vec![span(4, b"de", 1), span(1, b"abc", 1), span(6, b"xy", 2)]);
        join(&mut all, |a, b| a.cmp(&b));
        assert_eq!(all[..], [span(1, b"abcde", 1), span(6, b"xy", 2)]);
        let empty = |counter| Span { first: LocalDot::new(0, counter), count: 1, contents: Bytes::new() };
        let mut all = Spans::from_vec(vec![empty(2), empty(1)]);
        join(&mut all, |a, b| a.cmp(&b));
        assert_eq!(all[..], [empty(1), empty(2)]);
    }

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn spans_hold_the_last_content_of_each_dot(spans in spans()) {
            let expected: BTreeMap<LocalDot, Vec<u8>> = items(&spans).into_iter().collect();
            let mut joined = Spans::from_vec(spans);
            join(&mut joined, |a, b| a.cmp(&b));
            prop_assert_eq!(items(&joined), expected.into_iter().collect::<Vec<_>>());
            let can_be_joined = joined.windows(2).any(|pair| pair[0].goes_on_with(&pair[1]));
            prop_assert!(!can_be_joined);
        }

        #[test]
        fn what_is_kept_of_spans_is_what_is_kept_of_their_dots(spans in spans(), wanted in any::<u64>()) {
            let keep = |dot: LocalDot| wanted >> (dot.counter() % 64) & 1 == 1;
            let mut expected = items(&spans);
            expected.retain(|(dot, _)| keep(*dot));
            let mut kept = Spans::from_vec(spans);
            retain(&mut kept, keep);
            prop_assert_eq!(items(&kept), expected);
        }
    }
}
