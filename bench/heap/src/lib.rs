//! The system's allocator, with a count of what is asked of it.
//!
//! A crate of its own because `GlobalAlloc` cannot be implemented without `unsafe`, and the benchmark forbids it
//! everywhere else. Counting is off until [`enable`] is called, so that timed runs pay one load and one branch a call.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

/// To be named as `#[global_allocator]`.
#[derive(Debug)]
pub struct Counting;

static ENABLED: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

fn took(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Relaxed);
    let live = LIVE.fetch_add(bytes as i64, Relaxed) + bytes as i64;
    PEAK.fetch_max(live, Relaxed);
}

fn gave(bytes: usize) {
    LIVE.fetch_sub(bytes as i64, Relaxed);
}

// SAFETY: every call goes to `System` unchanged, which keeps the contract; counting touches atomics only and allocates
// nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ENABLED.load(Relaxed) {
            took(layout.size());
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if ENABLED.load(Relaxed) {
            took(layout.size());
        }
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if ENABLED.load(Relaxed) {
            gave(layout.size());
        }
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if ENABLED.load(Relaxed) {
            gave(layout.size());
            took(size);
        }
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Counts from now on.
pub fn enable() {
    ENABLED.store(true, Relaxed);
}

/// What was counted in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// How often memory was asked for.
    pub allocations: u64,
    /// The highest level over the level at the start, in bytes.
    pub peak: u64,
    /// The level at the end less the level at the start, in bytes.
    pub live: i64,
}

/// The levels at the start of a section.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    allocations: u64,
    live: i64,
}

/// Begins a section.
#[must_use]
pub fn start() -> Start {
    let live = LIVE.load(Relaxed);
    PEAK.store(live, Relaxed);
    Start { allocations: ALLOCATIONS.load(Relaxed), live }
}

impl Start {
    /// What happened since.
    #[must_use]
    pub fn stop(self) -> Counts {
        Counts {
            allocations: ALLOCATIONS.load(Relaxed) - self.allocations,
            peak: u64::try_from(PEAK.load(Relaxed) - self.live).unwrap_or(0),
            live: LIVE.load(Relaxed) - self.live,
        }
    }
}

/// Gives the allocator's free memory back, so that a section does not tidy up after the one before.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}
