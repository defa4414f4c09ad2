//! See `wire::garbage_then_sync`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tombolo_fuzz::wire::garbage_then_sync(data));
