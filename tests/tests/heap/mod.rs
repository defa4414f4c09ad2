//! The heap of the whole process, and whose it is.

use peak_alloc::PeakAlloc;
use tombolo_tests::direct::Gauge;

#[global_allocator]
pub static MEMORY: PeakAlloc = PeakAlloc;

/// What each of three nodes has taken since it was asked for last: what is done by one of them is its own.
#[derive(Default)]
pub struct Taken {
    before: usize,
    pub now: [isize; 3],
    pub peak: [isize; 3],
}

impl Gauge for Taken {
    fn begins(&mut self, _: usize) {
        MEMORY.reset_peak_usage();
        self.before = MEMORY.current_usage();
    }

    fn ends(&mut self, node: usize) {
        let more = |usage: usize| usage.cast_signed() - self.before.cast_signed();
        let (peak, left) = (more(MEMORY.peak_usage()), more(MEMORY.current_usage()));
        self.peak[node] = self.peak[node].max(self.now[node] + peak);
        self.now[node] += left;
    }
}
