//! Measuring, inside a child process: sections, bytes, and what is told to the parent as JSON lines.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use serde::{Deserialize, Serialize};
use tombolo_bench_heap as heap;

/// The level at which bytes are compressed, in all systems alike.
pub const ZSTD_LEVEL: i32 = 1;

/// What a value is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Bytes.
    Bytes,
    /// A plain number.
    Count,
    /// Instructions.
    Instructions,
}

/// One line from a child to its parent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A section begins; if nothing follows for too long, it is stopped.
    Begin {
        /// Its name.
        section: String,
    },
    /// A value was measured.
    Value {
        /// `section.what`.
        metric: String,
        /// How much.
        value: f64,
        /// Of what.
        unit: Unit,
    },
    /// A system cannot do a section.
    Na {
        /// The section, or `all`.
        section: String,
        /// Why not.
        why: String,
    },
    /// A section gave a wrong result.
    Wrong {
        /// What is wrong.
        what: String,
    },
    /// The work is done.
    Done,
}

impl Event {
    /// Tells the parent.
    pub fn tell(&self) {
        println!("{}", serde_json::to_string(self).expect("an event is plain data"));
    }
}

/// Which metrics of a section are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Times; the allocator does not count.
    Timed,
    /// Allocations and heap; times would include the counting and are not told.
    Counted,
}

/// The frame in which instructions are counted: `instructions` finds it by its name.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}

/// Measures sections.
#[derive(Debug)]
pub struct Meter {
    mode: Mode,
    times: HashMap<String, Duration>,
    plain_len: fn(&[u8]) -> usize,
}

impl Meter {
    /// A meter that tells what `mode` says; `plain_len` says how long bytes would be if they were not compressed.
    pub fn new(mode: Mode, plain_len: fn(&[u8]) -> usize) -> Self {
        if mode == Mode::Counted {
            heap::enable();
        }
        Self { mode, times: HashMap::new(), plain_len }
    }

    /// Announces work that is not measured, so that the parent's patience starts anew.
    pub fn preparing(&self, what: &str) {
        Event::Begin { section: format!("({what})") }.tell();
    }

    /// Runs and measures `work`.
    pub fn section<R>(&mut self, name: &str, work: impl FnOnce() -> R) -> R {
        Event::Begin { section: name.to_owned() }.tell();
        heap::trim();
        let counts = heap::start();
        let (cpu, wall) = (ProcessTime::now(), Instant::now());
        let result = measured(work);
        let (cpu, wall) = (cpu.elapsed(), wall.elapsed());
        let counts = counts.stop();
        match self.mode {
            Mode::Timed => {
                self.value(name, "cpu", cpu.as_nanos() as f64, Unit::Ns);
                self.value(name, "wall", wall.as_nanos() as f64, Unit::Ns);
                self.times.insert(name.to_owned(), cpu);
            }
            Mode::Counted => {
                self.value(name, "peak", counts.peak as f64, Unit::Bytes);
                self.value(name, "live", counts.live as f64, Unit::Bytes);
                self.value(name, "allocs", counts.allocations as f64, Unit::Count);
            }
        }
        result
    }

    /// Tells the bytes a section gave: as they are, raw if they are compressed, and compressed (again) by us. The time of the section with compressing and
    /// decompressing added is told as `section.zstd.cpu`.
    pub fn bytes<'b>(&mut self, name: &str, messages: impl IntoIterator<Item = &'b [u8]>) {
        let messages: Vec<&[u8]> = messages.into_iter().collect();
        let shipped: usize = messages.iter().map(|bytes| bytes.len()).sum();
        let plain: usize = messages.iter().map(|bytes| (self.plain_len)(bytes)).sum();
        let cpu = ProcessTime::now();
        let packed: Vec<Vec<u8>> = messages
            .iter()
            .map(|bytes| zstd::bulk::compress(bytes, ZSTD_LEVEL).expect("memory suffices"))
            .collect();
        for (packed, bytes) in packed.iter().zip(&messages) {
            black_box(zstd::bulk::decompress(packed, bytes.len()).expect("it was just compressed"));
        }
        let cpu = cpu.elapsed();
        self.value(name, "bytes", shipped as f64, Unit::Bytes);
        if plain > shipped {
            self.value(name, "raw.bytes", plain as f64, Unit::Bytes);
        }
        self.value(name, "zstd.bytes", packed.iter().map(Vec::len).sum::<usize>() as f64, Unit::Bytes);
        if let Some(&section) = self.times.get(name) {
            self.value(name, "zstd.cpu", (section + cpu).as_nanos() as f64, Unit::Ns);
        }
    }

    /// Tells a value of a section.
    pub fn value(&self, section: &str, what: &str, value: f64, unit: Unit) {
        Event::Value { metric: format!("{section}.{what}"), value, unit }.tell();
    }

    /// Tells that a section cannot be done.
    pub fn na(&self, section: &str, why: &str) {
        Event::Na { section: section.to_owned(), why: why.to_owned() }.tell();
    }
}
