//! What marks of one name lie over, looked up by place.

use alloc::vec::Vec;
use core::ops::Range;

use super::Span;
use crate::causal::LocalDot;

/// Spans in the order of where they begin, each with how far it and those before it reach at most.
#[derive(Clone, Default, Debug)]
pub(super) struct Spans(Vec<(Span, usize)>);

impl Spans {
    pub(super) fn new(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable_by_key(|span| (span.start, span.mark));
        let mut reach = 0;
        let reaching = |span: Span| {
            reach = span.end.max(reach);
            (span, reach)
        };
        Self(spans.into_iter().map(reaching).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Where a span stands, or would.
    fn place(&self, span: &Span) -> usize {
        self.0.partition_point(|(other, _)| (other.start, other.mark) < (span.start, span.mark))
    }

    pub(super) fn insert(&mut self, span: Span) {
        let at = self.place(&span);
        self.0.insert(at, (span, 0));
        self.reach(at);
    }

    pub(super) fn remove(&mut self, span: &Span) {
        let at = self.place(span);
        if self.0.get(at).is_some_and(|(there, _)| there.mark == span.mark) {
            self.0.remove(at);
            self.reach(at);
        }
    }

    /// Says anew how far those from this one on reach.
    fn reach(&mut self, from: usize) {
        let mut reach = from.checked_sub(1).map_or(0, |before| self.0[before].1);
        for (span, so_far) in &mut self.0[from..] {
            reach = reach.max(span.end);
            if *so_far == reach {
                break;
            }
            *so_far = reach;
        }
    }

    /// Those marks that lie within a part, and whether another lies over some of it.
    pub(super) fn replaced(&self, part: &Range<usize>) -> (Vec<LocalDot>, bool) {
        let (from, to) = (
            self.0.partition_point(|(span, _)| span.start < part.start),
            self.0.partition_point(|(span, _)| span.start < part.end),
        );
        let spans = self.0[from..to].iter().map(|(span, _)| span);
        let (within, beyond): (Vec<&Span>, Vec<&Span>) = spans.partition(|span| span.end <= part.end);
        let is_reached = from.checked_sub(1).is_some_and(|before| self.0[before].1 > part.start);
        (within.into_iter().map(|span| span.mark).collect(), is_reached || !beyond.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn they_are_found_as_one_by_one(steps in prop::collection::vec((0..20_usize, 0..6_usize, any::<bool>()), 0..30)) {
            let (mut spans, mut all) = (Spans::new(Vec::new()), Vec::new());
            for (nth, (start, len, removes)) in steps.into_iter().enumerate() {
                if removes && !all.is_empty() {
                    spans.remove(&all.swap_remove(start % all.len()));
                } else {
                    let mark = LocalDot::new(0, nth as u64 + 1);
                    let span = Span { start, end: start + len, mark };
                    all.push(span);
                    spans.insert(span);
                }
                let part = start..start + 3;
                let (mut within, is_over) = spans.replaced(&part);
                within.sort_unstable();
                let is_within = |span: &&Span| (part.start..part.end).contains(&span.start) && span.end <= part.end;
                let mut expected: Vec<LocalDot> = all.iter().filter(is_within).map(|span| span.mark).collect();
                expected.sort_unstable();
                prop_assert_eq!(within, expected);
                let lies_over = |span: &Span| span.start < part.end && span.end > part.start;
                prop_assert_eq!(is_over, all.iter().any(|span| !is_within(&span) && lies_over(span)));
                prop_assert_eq!(format!("{:?}", Spans::new(all.clone())), format!("{spans:?}"));
            }
        }
    }
}
