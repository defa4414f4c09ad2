//! Processes that are killed: a test runs its own executable again as a child, in which a `child_*` test does its work. Such a
//! test does nothing unless [`FOLDER`] tells it where.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

const FOLDER: &str = "TOMBOLO_STORE_TEST_FOLDER";

/// Starts the test `test` as a child, and hears what it says.
pub fn child(test: &str, folder: &Path) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = said(child.stdout.take().unwrap());
    (child, said)
}

/// What the child said by [`say`], amid what the test harness says, which may begin the same line. A line cut short is none.
fn said(output: ChildStdout) -> impl Iterator<Item = String> {
    let mut output = BufReader::new(output);
    let lines = std::iter::from_fn(move || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line.strip_suffix('\n').map(str::to_owned)
    });
    lines.filter_map(|line| line.split_once("said ").map(|(_, what)| what.to_owned()))
}

/// Tells the parent.
pub fn say(what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "said {what}").unwrap();
    out.flush().unwrap();
}

/// Where a child is to work; `None` in the parent.
pub fn folder_of_child() -> Option<PathBuf> {
    env::var_os(FOLDER).map(PathBuf::from)
}

/// SIGKILL.
pub fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A folder in memory where there is one: for what survives a process and need not survive the machine.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// A number that is set from outside.
pub fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|number| number.parse().expect("a number"))
}

/// The seed of a run: that of `TOMBOLO_SEED`, or any. It is printed.
pub fn seed() -> u64 {
    let seed = number("TOMBOLO_SEED").unwrap_or_else(by_the_clock);
    println!("TOMBOLO_SEED={seed}");
    seed
}

fn by_the_clock() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64)
}
