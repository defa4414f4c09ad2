//! See `codec::version_serde`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tombolo_fuzz::codec::version_serde(data));
