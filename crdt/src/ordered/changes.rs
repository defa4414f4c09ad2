//! What became different: by the names of elements, not by what they are.

use alloc::vec::Vec;
use core::ops::Range;

use smallvec::SmallVec;

use super::head::Told;
use super::{ABSENT, Elements, Ordered};
use crate::causal::LocalDot;
use crate::delta::Node;
use crate::store::{FADING, Look, Seen, Sight};

/// Of how many elements a delta speaks at most that are looked for one by one.
const MOST: u64 = 4_096;

/// What was there before a delta was joined.
#[derive(Debug)]
pub(crate) enum Order {
    All(Vec<Stretch>),
    Touched(Touched),
}

impl Order {
    /// Whether nothing else can change than what is looked for.
    pub(crate) fn is_touched(&self) -> bool {
        matches!(self, Self::Touched(_))
    }
}

/// What a delta takes and brings, where nothing else can change.
#[derive(Debug)]
pub(crate) struct Touched {
    /// How many elements there were.
    len: usize,
    /// Where those were that go.
    gone: Vec<Range<usize>>,
    /// The dots of those that come, as the replica calls them.
    came: SmallVec<[(LocalDot, u64); 2]>,
}

impl Touched {
    /// Where those were that go, in their order.
    pub(crate) fn gone(&self) -> &[Range<usize>] {
        &self.gone
    }
}

/// Elements that stand one behind the other under consecutive dots, and where the first is. The dots are the replica's: below a key there may be
/// another sequence by now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    first: LocalDot,
    at: usize,
    len: usize,
}

impl<C: Elements + ?Sized> Ordered<C> {
    pub(crate) fn stretches(&self) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut at = 0;
        for (first, elements) in self.sequence.live() {
            let (first, len) = (self.rows.outer(first), C::elements(elements.items()));
            match stretches.last_mut() {
                Some(last) if last.first.bits() + last.len as u64 == first.bits() => last.len += len,
                _ => stretches.push(Stretch { first, at, len }),
            }
            at += len;
        }
        stretches
    }

    /// Which elements there are, and where; or, for less, those that a delta speaks of.
    pub(crate) fn order(&self, look: Look<'_>) -> Order {
        match self.touched(look) {
            Some(touched) => Order::Touched(touched),
            None => Order::All(self.stretches()),
        }
    }

    /// As [`order`](Self::order).
    pub(crate) fn look(&self, look: Look<'_>) -> Seen {
        Seen(Sight::Order(self.order(look)))
    }

    /// What a delta says of elements, if those that stay keep their order.
    ///
    /// SUBTLE: they do as long as no run of what is there comes to hang elsewhere. A run that hangs on what is known hangs on nothing that hangs on it.
    fn orderly<'l>(&self, look: Look<'l>) -> Option<Node<'l>> {
        let node = look.told().filter(|_| self.sequence.is_orderly())?;
        for (key, child) in node.children() {
            let is_known = |content| match Told::parent(key, content) {
                Some((id, counter)) => self.sequence.ids().last_of(id) >= counter,
                None => true,
            };
            let hang_well = key == FADING || child.carried().all(|(_, content)| is_known(content));
            if look.takes_something(child.cover()) || !hang_well {
                return None;
            }
        }
        Some(node)
    }

    /// The elements that a delta takes, as the sequence calls them; `None` if more may change than that they go and others come, or they are much.
    pub(crate) fn taken(&self, look: Look<'_>) -> Option<Vec<LocalDot>> {
        let mut taken = Vec::new();
        for (row, first, last) in self.orderly(look)?.cover().runs() {
            let Some((there, known)) = look.known(row, first, last) else { continue };
            let Some(first) = self.here(there) else { continue };
            let after = |dot: LocalDot, by: u64| LocalDot::new(dot.replica(), dot.counter() + by);
            let last = after(first, known - 1);
            // It may be a head, or what names some.
            let is_named = self.frozen.range(there..=after(there, known - 1)).next().is_some();
            if is_named || self.sequence.heads_among(first, last).next().is_some() {
                return None;
            }
            for (first, count) in self.sequence.live_from(first, last) {
                if taken.len() as u64 + count > MOST {
                    return None;
                }
                taken.extend((0..count).map(|by| after(first, by)));
            }
        }
        Some(taken)
    }

    /// What a delta takes and brings; `None` if more may change, or it is much.
    fn touched(&self, look: Look<'_>) -> Option<Touched> {
        let node = self.orderly(look)?;
        let mut touched = Touched { len: self.len(), gone: Vec::new(), came: SmallVec::new() };
        let mut count = 0;
        for (row, first, last) in node.cover().runs() {
            let Some((first, known)) = look.known(row, first, last) else { continue };
            let row = *self.rows.inner.get(first.replica() as usize).filter(|row| **row != ABSENT)?;
            count += known;
            if count > MOST {
                return None;
            }
            let gone = self.sequence.live_among(LocalDot::new(row, first.counter()), known);
            // It may be a head, or a mark.
            if gone.iter().map(Range::len).sum::<usize>() as u64 != known {
                return None;
            }
            touched.gone.extend(gone);
        }
        for span in node.spans() {
            count += u64::from(span.count);
            touched.came.push((look.here(span.first)?, span.count.into()));
        }
        touched.gone.sort_unstable_by_key(|gone| gone.start);
        (count <= MOST).then_some(touched)
    }

    /// As [`spliced`](Self::spliced), from what a delta took and brought.
    fn touches(&self, touched: &Touched) -> Vec<(usize, usize, Range<usize>)> {
        let came = touched.came.iter().filter_map(|&(first, count)| {
            let row = self.rows.inner.get(first.replica() as usize).filter(|row| **row != ABSENT)?;
            Some(self.sequence.live_among(LocalDot::new(*row, first.counter()), count))
        });
        let mut came: Vec<Range<usize>> = came.flatten().collect();
        came.sort_unstable_by_key(|came| came.start);
        let sum = |ranges: &[Range<usize>]| ranges.iter().map(Range::len).sum::<usize>();
        let is_all = touched.len + sum(&came) == self.len() + sum(&touched.gone);
        if !is_all || !self.sequence.is_orderly() {
            // Nobody honest comes here. It is true, if rough.
            return Vec::from([(0, touched.len, 0..self.len())]);
        }
        let mut splices: Vec<(usize, usize, Range<usize>)> = Vec::new();
        let (mut gone, mut came) = (touched.gone.iter().peekable(), came.iter().peekable());
        // Up to where all is said, as it was and as it is.
        let (mut was, mut is) = (0, 0);
        while gone.peek().is_some() || came.peek().is_some() {
            let stay =
                |next: Option<&&Range<usize>>, from: usize| next.map_or(usize::MAX, |next| next.start - from);
            let kept = stay(gone.peek(), was).min(stay(came.peek(), is));
            (was, is) = (was + kept, is + kept);
            let (old, new) = (was, is);
            loop {
                if let Some(next) = gone.next_if(|gone| gone.start == was) {
                    was = next.end;
                } else if let Some(next) = came.next_if(|came| came.start == is) {
                    is = next.end;
                } else {
                    break;
                }
            }
            splices.push((new, was - old, new..is));
        }
        splices
    }

    /// What makes of the elements as they were the ones there are: where, how many went, and which came in their place; with those
    /// before done. An element that stands elsewhere among the others than it did counts as another.
    pub(crate) fn changed(&self, before: &Seen) -> Vec<(usize, usize, Range<usize>)> {
        let Sight::Order(old) = &before.0 else { return Vec::new() };
        self.spliced(old)
    }

    /// As [`changed`](Self::changed).
    pub(crate) fn spliced(&self, old: &Order) -> Vec<(usize, usize, Range<usize>)> {
        let old = match old {
            Order::All(old) => old,
            Order::Touched(touched) => return self.touches(touched),
        };
        let mut by_dot = old.clone();
        by_dot.sort_unstable_by_key(|stretch| stretch.first);
        let (mut splices, mut old_end, mut new_end) = (Vec::new(), 0, 0);
        let mut splice = |old_end: usize, old: usize, new_end: usize, new: usize| {
            if old > old_end || new > new_end {
                splices.push((new_end, old - old_end, new_end..new));
            }
        };
        for new in self.stretches() {
            let end = new.first.bits() + new.len as u64;
            let from = by_dot.partition_point(|old| old.first.bits() + old.len as u64 <= new.first.bits());
            for old in by_dot[from..].iter().take_while(|old| old.first.bits() < end) {
                let low = old.first.bits().max(new.first.bits());
                let len = ((old.first.bits() + old.len as u64).min(end) - low) as usize;
                let was = old.at + (low - old.first.bits()) as usize;
                let is = new.at + (low - new.first.bits()) as usize;
                if was >= old_end {
                    splice(old_end, was, new_end, is);
                    (old_end, new_end) = (was + len, is + len);
                }
            }
        }
        let all_old = old.last().map_or(0, |last| last.at + last.len);
        splice(old_end, all_old, new_end, self.len());
        splices
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Delta, Replica, ReplicaId, Text, What};

    /// Types, or deletes, at one of three; or tells another one delta after the other of what it has written.
    #[derive(Debug, Clone)]
    enum Step {
        Type(usize, usize, String),
        Delete(usize, usize, usize),
        Replace(usize, usize, usize, String),
        Tell(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let who = || 0..3_usize;
        prop_oneof![
            4 => (who(), 0..99_usize, "[a-c]{1,4}").prop_map(|(who, at, typed)| Step::Type(who, at, typed)),
            2 => (who(), 0..99_usize, 1..5_usize).prop_map(|(who, at, len)| Step::Delete(who, at, len)),
            1 => (who(), 0..99_usize, 0..3_usize, "[d-f]{0,3}")
                .prop_map(|(who, at, len, typed)| Step::Replace(who, at, len, typed)),
            4 => (who(), who()).prop_map(|(from, to)| Step::Tell(from, to)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..crate::tests::cases(256) })]

        #[test]
        fn what_a_delta_touches_is_what_became_different(steps in proptest::collection::vec(step(), 1..60)) {
            let mut all = [3, 1, 2].map(|byte| Replica::<Text>::new(ReplicaId::from_bytes([byte; 16])));
            let mut written: [Vec<Delta<Text>>; 3] = Default::default();
            let mut told = [[0; 3]; 3];
            for step in steps {
                let (who, at, len, typed) = match step {
                    Step::Type(who, at, typed) => (who, at, 0, typed),
                    Step::Delete(who, at, len) => (who, at, len, String::new()),
                    Step::Replace(who, at, len, typed) => (who, at, len, typed),
                    Step::Tell(from, to) => {
                        for delta in written[from][told[from][to]..].iter().cloned() {
                            let before = Order::All(all[to].body().stretches());
                            let (merged, changes) = all[to].merge_changes(delta).unwrap();
                            // What one waits for came by nobody: the rest is told another time.
                            if matches!(merged, crate::Merged::Pending(_)) {
                                continue;
                            }
                            if changes.len() == 1 {
                                let body = all[to].body();
                                let expected = body.spliced(&before).into_iter();
                                let expected: Vec<_> = expected
                                    .map(|(at, deleted, new)| (at, deleted, body.sequence.slice(new.start, new.end).collect::<String>()))
                                    .collect();
                                let said = changes[0].changes.iter().flat_map(|change| match &change.what {
                                    What::Spliced(splices) => splices.clone(),
                                    other => panic!("{other:?}"),
                                });
                                let said: Vec<_> = said.map(|splice| (splice.at, splice.deleted, splice.inserted)).collect();
                                prop_assert_eq!(said, expected);
                            }
                        }
                        told[from][to] = written[from].len();
                        continue;
                    }
                };
                let before = Order::All(all[who].body().stretches());
                let (_, delta, changes) = all[who].update_changes(|text| {
                    let (at, end) = (at % (text.len() + 1), (at % (text.len() + 1) + len).min(text.len()));
                    text.replace(at..end, &typed).unwrap();
                });
                let body = all[who].body();
                let expected: Vec<_> =
                    body.spliced(&before).into_iter().map(|(at, deleted, new)| (at, deleted, new.len())).collect();
                let said = changes.changes.iter().flat_map(|change| match &change.what {
                    What::Spliced(splices) => splices.clone(),
                    other => panic!("{other:?}"),
                });
                let said: Vec<_> =
                    said.map(|splice| (splice.at, splice.deleted, splice.inserted.chars().count())).collect();
                prop_assert_eq!(said, expected);
                if !delta.is_empty() {
                    written[who].push(delta);
                }
            }
        }
    }
}
