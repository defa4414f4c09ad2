//! How many rows elements take, each with all that stands below it, where all are shown one row behind the other.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

use spin::Once;

use super::Placing;
use super::index::{Element, Index, Places, ROOT};
use super::siblings::Siblings;

/// Made by the first who asks where something is shown, and kept up from then on as long as that takes no more than to make them anew: of a tree of
/// which nobody is told what changes there are none. A copy has none.
///
/// Nobody waits for another's: readers that come at once each make some, and one of those is kept.
#[derive(Default, Debug)]
pub(super) struct Counts(Once<Box<Counted>>);

impl Clone for Counts {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[derive(Debug)]
pub(super) struct Counted {
    /// By number. Of what has nothing below it one, also where nothing has the number.
    rows: Vec<u32>,
    /// The sums of blocks below those that have more than one.
    blocks: BTreeMap<Element, Vec<u32>>,
    /// How many may still be passed on ways up.
    left: usize,
}

impl Counted {
    fn of(index: &Index) -> Self {
        let most = index.most();
        let mut counted = Self { rows: vec![1; most], blocks: BTreeMap::new(), left: most };
        // From those that have nothing below them upwards.
        let below = |at| index.below(Element(at)).map_or(0, Siblings::len);
        let mut left: Vec<usize> = (0..most as u32).map(below).collect();
        let mut ready: Vec<Element> =
            (0..most as u32).map(Element).filter(|element| left[element.0 as usize] == 0).collect();
        while let Some(element) = ready.pop() {
            counted.sum(index, element);
            let Some(under) = index.under(element) else { continue };
            counted.rows[under.0 as usize] += counted.rows[element.0 as usize];
            left[under.0 as usize] -= 1;
            if left[under.0 as usize] == 0 {
                ready.push(under);
            }
        }
        counted
    }

    /// Of all that stand there together.
    fn all(&self, elements: &[Element]) -> u32 {
        elements.iter().map(|element| self.rows[element.0 as usize]).sum()
    }

    /// Sums the blocks below an element anew.
    fn sum(&mut self, index: &Index, under: Element) {
        match index.below(under).filter(|among| !among.is_short()) {
            Some(among) => {
                let sums = among.blocks().iter().map(|block| self.all(block)).collect();
                self.blocks.insert(under, sums);
            }
            None => _ = self.blocks.remove(&under),
        }
    }

    /// Of the first `nth` below an element.
    fn before(&self, under: Element, among: &Siblings, nth: usize) -> usize {
        let (block, within) = among.find(nth);
        let whole: u32 = self.blocks.get(&under).map_or(0, |sums| sums[..block].iter().sum());
        let part = among.blocks().get(block).map_or(0, |block| self.all(&block[..within]));
        (whole + part) as usize
    }

    /// Which of those below an element one of their rows is of, and how many rows stand before that one.
    fn find(&self, under: Element, among: &Siblings, row: usize) -> (usize, usize) {
        let (mut nth, mut before, mut block) = (0, 0, 0);
        let sums = self.blocks.get(&under).into_iter().flatten();
        for (sum, passed) in sums.zip(among.blocks()).take(among.blocks().len() - 1) {
            if before + *sum as usize > row {
                break;
            }
            (nth, before, block) = (nth + passed.len(), before + *sum as usize, block + 1);
        }
        for element in &among.blocks()[block] {
            let rows = self.rows[element.0 as usize] as usize;
            if before + rows > row {
                break;
            }
            (nth, before) = (nth + 1, before + rows);
        }
        (nth, before)
    }
}

impl Index {
    fn counted(&self) -> &Counted {
        if let Some(counted) = self.counts.0.get() {
            return counted;
        }
        #[cfg(test)]
        super::touched::count_passed(self.most());
        let counted = Box::new(Counted::of(self));
        self.counts.0.call_once(|| counted)
    }

    /// Counts for those above it an element that has come to be the one at `at` below another, or that is about to go.
    pub(super) fn recount<P: Placing>(
        &mut self,
        places: &Places<P>,
        element: Element,
        under: Element,
        at: usize,
        comes: bool,
    ) {
        let Some(mut counted) = mem::take(&mut self.counts.0).try_into_inner() else { return };
        counted.rows.resize(self.most(), 1);
        let rows = counted.rows[element.0 as usize];
        let count = |sum: &mut u32| *sum = if comes { *sum + rows } else { *sum - rows };
        let among = self.below(under).into_iter();
        for (among, block) in among.map(|among| (among, among.find(at).0)) {
            match counted.blocks.get_mut(&under) {
                Some(sums) if !comes => {
                    count(&mut sums[block]);
                    if sums[block] == 0 {
                        sums.remove(block);
                    }
                    if sums.len() == 1 {
                        counted.blocks.remove(&under);
                    }
                }
                Some(sums) if sums.len() == among.blocks().len() => count(&mut sums[block]),
                // A block has been split.
                _ if comes => counted.sum(self, under),
                _ => {}
            }
        }
        let mut of = under;
        loop {
            count(&mut counted.rows[of.0 as usize]);
            let Some(above) = self.under(of) else { break };
            let Some(left) = counted.left.checked_sub(1) else { return };
            counted.left = left;
            if let Some(sums) = counted.blocks.get_mut(&above)
                && let (Some(at), Some(among)) = (self.position(places, of), self.below(above))
            {
                count(&mut sums[among.find(at).0]);
            }
            of = above;
        }
        self.counts.0 = counted.into();
    }

    /// How many rows there are.
    pub(super) fn rows<P: Placing>(&self) -> usize {
        match self.below(ROOT) {
            None => 0,
            Some(_) if P::NESTS => self.counted().rows[ROOT.0 as usize] as usize - 1,
            Some(among) => among.len(),
        }
    }

    /// Which rows are those of an element and of what stands below it, if it is shown. Counts those that it `passed` on the way up.
    pub(super) fn rows_of<P: Placing>(
        &self,
        places: &Places<P>,
        element: Element,
        passed: &mut usize,
    ) -> Option<Range<usize>> {
        let (mut start, mut of) = (0, element);
        loop {
            *passed += 1;
            let under = self.under(of)?;
            let (among, nth) = (self.below(under)?, self.position(places, of)?);
            start += if P::NESTS { self.counted().before(under, among, nth) } else { nth };
            if under == ROOT {
                break;
            }
            (start, of) = (start + 1, under);
        }
        let rows = if P::NESTS { self.rows_with(element) } else { 1 };
        Some(start..start + rows)
    }

    /// How many rows are those of an element that is there and of what stands below it.
    pub(super) fn rows_with(&self, element: Element) -> usize {
        self.counted().rows[element.0 as usize] as usize
    }

    /// The elements on the way down to a row: below what each stands, and as the how-manieth there. The last is that row itself; there is none if it is behind
    /// all others.
    pub(super) fn way_to<P: Placing>(&self, row: usize) -> Vec<(Element, usize)> {
        let (mut way, mut under, mut left) = (Vec::new(), ROOT, row);
        if row == 0 || !P::NESTS {
            return Vec::from([(ROOT, row)]);
        }
        while row < self.rows::<P>()
            && let Some(among) = self.below(under)
        {
            let (nth, before) = self.counted().find(under, among, left);
            way.push((under, nth));
            let Some(element) = among.get(nth).filter(|_| left > before) else { break };
            (under, left) = (element, left - before - 1);
        }
        way
    }

    /// Holds that what has been kept up is what is made anew, if there is anything.
    #[cfg(test)]
    pub(super) fn assert_counted(&self) {
        if let Some(counted) = self.counts.0.get() {
            let mut anew = Counted::of(self);
            anew.rows.truncate(counted.rows.len());
            assert_eq!((&anew.rows, &anew.blocks), (&counted.rows, &counted.blocks));
        }
    }
}
