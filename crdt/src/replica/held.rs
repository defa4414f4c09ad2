//! How much a replica holds: no peer makes it hold more than it can.

/// So many bytes are held at most for others to add to, 1 GiB. A text names the places of its content by 31 bits, and keeps up to twice what is
/// read of it. Tests cannot wait for as much.
pub(super) const MOST_HELD: usize = if cfg!(test) { 1 << 22 } else { (1 << 30) - 1 };
/// It is measured anew after as much that came, for that walks everything.
const BETWEEN: usize = MOST_HELD / 16;

/// How much was held when it was measured. With what came since that is never too low.
#[derive(Debug, Default)]
pub(super) struct Held {
    then: usize,
    /// How much had come by then, and how many events of our own there were.
    came: usize,
    ours: u64,
}

impl Held {
    /// So much is held now.
    pub(super) fn measured(then: usize, came: usize, ours: u64) -> Self {
        Self { then, came, ours }
    }

    /// Whether there is no more than `limit` if so much more comes.
    pub(super) fn fits(&self, came: usize, more: usize, limit: usize) -> bool {
        (self.then + (came - self.came)).saturating_add(more) <= limit
    }

    /// Whether there may be much less than that by now: much came, or who writes here may have deleted something.
    pub(super) fn is_rough(&self, came: usize, ours: u64) -> bool {
        came - self.came >= BETWEEN || ours != self.ours
    }
}
