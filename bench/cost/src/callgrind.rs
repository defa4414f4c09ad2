//! Counting the instructions of one function, and of what it calls, under `valgrind`.
//!
//! Valgrind answers for the processor: which `memcpy` the C library picks depends on valgrind's version and on whether
//! there is AVX2, not on the model.

use std::hint::black_box;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

/// The function inside which callgrind collects: [`collected_here`], however its name is mangled.
const COLLECTED: &str = "*collected_here*";

/// Runs the part of a workload that counts. Once a workload: what comes before and after is not counted.
pub fn counted<R>(work: impl FnOnce() -> R) -> R {
    let (mut work, mut result) = (Some(work), None);
    collected_here(&mut || result = work.take().map(|work| black_box(work())));
    result.expect("it has run")
}

/// SUBTLE: not generic, so that there is one of it, and its name holds no other name that callgrind could take for it:
/// entering a second function of that name would end the collecting.
#[inline(never)]
fn collected_here(work: &mut dyn FnMut()) {
    work();
    // Not a tail call: callgrind must see the function return.
    black_box(());
}

/// Which valgrind there is.
pub fn version() -> Result<String, String> {
    let output = run(Command::new("valgrind").arg("--version"))?;
    let version = output.trim();
    Ok(version.strip_prefix("valgrind-").unwrap_or(version).to_owned())
}

/// The instructions of a workload.
pub fn count(workload: &str) -> Result<u64, String> {
    let this = std::env::current_exe().map_err(|why| why.to_string())?;
    let out = std::env::temp_dir().join(format!("tombolo-cost-{}-{workload}", std::process::id()));
    let ran = run(Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={COLLECTED}"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(this)
        .args(["child", workload])
        // What is in the environment lies on the stack and shifts it.
        .env_clear());
    let text =
        ran.and_then(|_| std::fs::read_to_string(&out).map_err(|why| format!("{}: {why}", out.display())));
    // Whatever came of it; a file left behind does no harm.
    let _ = std::fs::remove_file(&out);
    match total(&text?) {
        Some(count) if count > 0 => Ok(count),
        _ => Err(format!("callgrind counted nothing in {workload}: does it still see `{COLLECTED}`?")),
    }
}

/// The sum that stands in callgrind's file.
pub fn total(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

/// Runs valgrind and gives what it wrote to its standard output.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|why| match why.kind() {
        ErrorKind::NotFound => {
            "there is no valgrind; instructions are counted with it. Install the package `valgrind` \
             (apt-get install valgrind), or check bytes only with --bytes"
                .to_owned()
        }
        _ => format!("valgrind: {why}"),
    })?;
    if !output.status.success() {
        return Err(format!("valgrind: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
