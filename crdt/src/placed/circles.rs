//! Why elements do not stand where they were put last.
//!
//! Circles come in two rounds. Those of the first are all there at once, where each element stands below what was meant: in each the latest move gives way.
//! Those of the second are what is there then. Each of them has an element in it whose move has given way, for without one it would have been
//! there before; the latest of these gives way again, and stands below nothing. That makes no circle. In each round two circles have no element in
//! common: so an element is in two at most, and what is remembered of them is no more than there are elements.
//!
//! INVARIANT: what was decided in a circle holds as long as nothing becomes of those in it: of what they were meant to stand below and when that was said,
//! whether they are there, and which of them had given way before. For then the circle is there whatever became of others; as circles are decided in any order,
//! it can be decided before all else, and so it was. Who looks at an element again looks at those that gave way in a circle with it, and at those
//! that did in a circle with these: at most three.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::index::Element;

/// Which time an element gives way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Round {
    First,
    Second,
}

/// What is remembered of circles: who gave way in them.
#[derive(Clone, Default, Debug)]
pub(super) struct Circles {
    /// By element that gave way, who was in the circles in which it did, in each round.
    circles: BTreeMap<Element, [Box<[Element]>; 2]>,
    /// By element, who gave way in the circles that it was in, in each round. INVARIANT: the same, and of no element nothing.
    latest: BTreeMap<Element, [Option<Element>; 2]>,
}

impl Circles {
    /// Those that gave way.
    pub(super) fn moved_back(&self) -> impl Iterator<Item = Element> {
        self.circles.keys().copied()
    }

    /// Whether an element gave way.
    pub(super) fn gave_way(&self, element: Element) -> bool {
        self.circles.contains_key(&element)
    }

    /// Whether an element was in a circle in which one gave way.
    pub(super) fn has(&self, element: Element) -> bool {
        self.latest.contains_key(&element)
    }

    /// Those that were in a circle in which an element gave way, but for itself.
    pub(super) fn beside(&self, latest: Element) -> impl Iterator<Item = Element> {
        let circles = self.circles.get(&latest).into_iter().flatten();
        circles.flat_map(|circle| circle.iter().copied()).filter(move |element| *element != latest)
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (Element, [&[Element]; 2])> {
        self.circles.iter().map(|(latest, [first, second])| (*latest, [&**first, &**second]))
    }

    /// An element gave way in this circle.
    pub(super) fn close(&mut self, round: Round, latest: Element, circle: &[Element]) {
        let round = round as usize;
        for element in circle {
            let was = self.latest.entry(*element).or_default()[round].replace(latest);
            debug_assert_eq!(was, None, "circles of one round have no element in common");
        }
        self.circles.entry(latest).or_default()[round] = circle.into();
    }

    /// Of these elements something became, or may have. Adds those for which it is to be decided again, of which nothing is remembered any more.
    pub(super) fn open(&mut self, touched: &mut Vec<Element>) {
        let mut next = 0;
        while let Some(element) = touched.get(next) {
            next += 1;
            let Some(latest) = self.latest.get(element).copied() else { continue };
            for latest in latest.into_iter().flatten() {
                // In the circle of the second round there may be another that had given way in the first.
                if self.forget(latest) {
                    touched.push(latest);
                }
            }
        }
        touched.sort_unstable();
        touched.dedup();
    }

    /// That an element gave way is not remembered any more; says whether it was.
    pub(super) fn forget(&mut self, latest: Element) -> bool {
        let Some(circles) = self.circles.remove(&latest) else { return false };
        for (round, circle) in circles.iter().enumerate() {
            for element in circle {
                if let Some(of) = self.latest.get_mut(element) {
                    of[round] = None;
                    if of.iter().all(Option::is_none) {
                        self.latest.remove(element);
                    }
                }
            }
        }
        true
    }
}
