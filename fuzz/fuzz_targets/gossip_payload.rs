//! See `node::gossip_payload`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tombolo_fuzz::node::gossip_payload(data));
