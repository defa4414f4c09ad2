//! Runs inputs on stable, without a sanitizer, and says what they meant:
//! `FUZZ_TRACE=1 cargo run --manifest-path fuzz/Cargo.toml --example replay -- TARGET FILE...`

use tombolo_fuzz::{codec, node, program, wire};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().unwrap_or_default();
    let run = match &target[..] {
        "crdt_delta" => codec::delta,
        "crdt_state" => codec::state,
        "envelope" => codec::envelope,
        "version_serde" => codec::version_serde,
        "frames" => node::frames,
        "ticket" => node::ticket,
        "gossip_payload" => node::gossip_payload,
        "engine" => node::engine,
        "handshake" => node::handshake,
        "programs" => program::run_bytes,
        "garbage_then_sync" => wire::garbage_then_sync,
        _ => {
            eprintln!("usage: replay TARGET FILE...; `cargo fuzz list` names the targets");
            std::process::exit(2);
        }
    };
    for file in arguments {
        println!("{file}");
        run(&std::fs::read(&file)?);
    }
    Ok(())
}
