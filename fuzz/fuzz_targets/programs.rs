//! See `program::run`.

#![no_main]

use tombolo_fuzz::program::{Program, run};

libfuzzer_sys::fuzz_target!(|program: Program| run(&program));
