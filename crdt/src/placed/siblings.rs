//! What stands below one place, in its order.

use alloc::vec::Vec;

use super::index::Element;

/// So many stand in a block at most.
const MOST: usize = if cfg!(test) { 4 } else { 512 };

/// Elements in an order that its callers know. In blocks, so that to put one between takes no longer than to pass all blocks.
#[derive(Clone, Default, Debug)]
pub(super) struct Siblings {
    /// None is empty.
    blocks: Vec<Vec<Element>>,
    len: usize,
}

impl Siblings {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether it takes no longer to look at all than to compare with a few.
    pub(super) fn is_short(&self) -> bool {
        self.blocks.len() == 1
    }

    pub(super) fn blocks(&self) -> &[Vec<Element>] {
        &self.blocks
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Element> {
        self.blocks.iter().flatten().copied()
    }

    /// Those from a place on.
    pub(super) fn iter_from(&self, at: usize) -> impl Iterator<Item = Element> {
        let (block, within) = self.find(at);
        self.blocks[block.min(self.blocks.len())..].iter().flatten().skip(within).copied()
    }

    pub(super) fn get(&self, at: usize) -> Option<Element> {
        let (block, within) = self.find(at);
        self.blocks.get(block)?.get(within).copied()
    }

    /// How many of the first ones hold; behind them none does.
    pub(super) fn partition(&self, mut holds: impl FnMut(Element) -> bool) -> usize {
        let block = self.blocks.partition_point(|block| holds(block[0])).saturating_sub(1);
        let before: usize = self.blocks[..block].iter().map(Vec::len).sum();
        before + self.blocks.get(block).map_or(0, |block| block.partition_point(|element| holds(*element)))
    }

    /// Where one stands, by looking at all.
    pub(super) fn position(&self, element: Element) -> Option<usize> {
        self.iter().position(|other| other == element)
    }

    pub(super) fn push(&mut self, element: Element) {
        self.len += 1;
        match self.blocks.last_mut() {
            Some(block) if block.len() < MOST => block.push(element),
            _ => self.blocks.push(Vec::from([element])),
        }
    }

    pub(super) fn insert(&mut self, at: usize, element: Element) {
        if at == self.len {
            return self.push(element);
        }
        self.len += 1;
        let (at, within) = self.find(at);
        let block = &mut self.blocks[at];
        block.insert(within, element);
        if block.len() > MOST {
            let more = block.split_off(MOST / 2);
            self.blocks.insert(at + 1, more);
        }
    }

    pub(super) fn remove(&mut self, at: usize) {
        let (at, within) = self.find(at);
        self.blocks[at].remove(within);
        self.len -= 1;
        if self.blocks[at].is_empty() {
            self.blocks.remove(at);
        }
    }

    /// In which block, and where in it.
    pub(super) fn find(&self, at: usize) -> (usize, usize) {
        let mut left = at;
        for (nth, block) in self.blocks.iter().enumerate() {
            if left < block.len() {
                return (nth, left);
            }
            left -= block.len();
        }
        (self.blocks.len(), left)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn it_is_a_vector(ops in proptest::collection::vec((any::<bool>(), any::<usize>()), 0..80)) {
            let (mut siblings, mut plain) = (Siblings::default(), Vec::new());
            for (nth, (inserts, at)) in ops.into_iter().enumerate() {
                if inserts || plain.is_empty() {
                    let (at, name) = (at % (plain.len() + 1), Element(nth as u32));
                    siblings.insert(at, name);
                    plain.insert(at, name);
                } else {
                    siblings.remove(at % plain.len());
                    plain.remove(at % plain.len());
                }
                prop_assert!(siblings.iter().eq(plain.iter().copied()));
                prop_assert_eq!(siblings.len(), plain.len());
                for at in 0..=plain.len() {
                    prop_assert_eq!(siblings.get(at), plain.get(at).copied());
                    prop_assert!(siblings.iter_from(at).eq(plain[at..].iter().copied()));
                    let place = |name| plain.iter().position(|other| *other == name).unwrap();
                    prop_assert_eq!(siblings.partition(|name| place(name) < at), at);
                }
                prop_assert!(plain.iter().enumerate().all(|(at, name)| siblings.position(*name) == Some(at)));
            }
        }
    }
}
