//! Tells the program what it is built with and for: its instruction counts depend on both.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var("RUSTC").expect("cargo says which compiler it uses");
    let output = Command::new(rustc).arg("--version").output().expect("the compiler runs");
    let version = String::from_utf8(output.stdout).expect("a version is text");
    println!("cargo::rustc-env=COST_RUSTC={}", version.trim().trim_start_matches("rustc "));
    println!("cargo::rustc-env=COST_TARGET={}", std::env::var("TARGET").expect("cargo says what for"));
}
