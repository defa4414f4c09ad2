//! How much a replica holds: no peer makes it hold more than it can.

/// So many bytes are held at most for others to add to, 1 GiB. A text names the places of its content by 31 bits, and keeps up to twice what is
/// read of it. Tests cannot wait for as much.
pub(super) const MOST_HELD: usize = if cfg!(test) { 1 << 22 } else { (1 << 30) - 1 };
/// It is measured anew after as much that came, for that walks everything.
const BETWEEN: u64 = MOST_HELD as u64 / 16;
/// Or after so many that were refused; fewer will do where something has gone meanwhile, as it does all the time.
const ATTEMPTS: u32 = 256;
const ATTEMPTS_SINCE_LESS: u32 = 16;

/// What has ever come into a state, with what is gone: how much it weighed, and how much it took away.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) weight: u64,
    pub(super) covered: u64,
}

/// How much was held when it was measured. With what came since that is never too low.
#[derive(Debug, Default)]
pub(super) struct Held {
    then: usize,
    came: Came,
    /// How often something was refused since.
    attempts: u32,
}

impl Held {
    /// So much is held now.
    pub(super) fn measured(then: usize, came: Came) -> Self {
        Self { then, came, attempts: 0 }
    }

    /// Whether there is no more than `limit` if so much more comes.
    pub(super) fn fits(&self, came: Came, more: usize, limit: usize) -> bool {
        let since = came.weight.saturating_sub(self.came.weight);
        (self.then as u64).saturating_add(since).saturating_add(more as u64) <= limit as u64
    }

    /// Whether there may be much less than is estimated by now; counts how often that is asked.
    pub(super) fn is_rough(&mut self, came: Came) -> bool {
        self.attempts = self.attempts.saturating_add(1);
        let attempts = if came.covered == self.came.covered { ATTEMPTS } else { ATTEMPTS_SINCE_LESS };
        came.weight.saturating_sub(self.came.weight) >= BETWEEN || self.attempts >= attempts
    }
}
