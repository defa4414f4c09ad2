//! `kill -9` and restart with the same identity, measured from outside with real processes over real libp2p: within five
//! seconds the node is heard again and hears.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How soon after its restart a node must be heard and hear.
const BACK: Duration = Duration::from_secs(5);

/// The program under test: the one CI has built, if it says so.
fn tombolo(home: &Path) -> Command {
    let program = std::env::var("TOMBOLO_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_tombolo").to_owned());
    let mut command = Command::new(program);
    command.arg("--json").arg("--home").arg(home).env_remove("TOMBOLO_HOME");
    command.env("TOMBOLO_STATE", home.with_extension("state"));
    command
}

fn run(home: &Path, arguments: &[&str]) -> Value {
    let output = tombolo(home).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.trim()).unwrap_or_else(|_| Value::String(text.trim().to_owned()))
}

fn ticket(home: &Path) -> String {
    match run(home, &["invite"]) {
        Value::String(ticket) => ticket,
        object => object["ticket"].as_str().unwrap().to_owned(),
    }
}

/// A running node; killed when dropped.
struct Up(Child);

impl Up {
    fn start(home: &Path, listen: &[&str]) -> Self {
        let mut command = tombolo(home);
        command.args(["up", "--no-mdns"]).stdout(Stdio::piped()).stderr(Stdio::null());
        for address in listen {
            command.args(["--listen", address]);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line.contains("\"ready\"")));
        assert!(ready, "the node ended before it was ready");
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn value(home: &Path) -> i64 {
    run(home, &["counter", "get", "n"])["value"].as_i64().unwrap()
}

fn until(home: &Path, wanted: i64, since: Instant, what: &str) -> Duration {
    while value(home) != wanted {
        assert!(
            since.elapsed() < BACK,
            "{what}: not within {BACK:?}; it is {} and not {wanted}",
            value(home)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    since.elapsed()
}

fn a_killed_node_is_back_within_five_seconds(listen: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    run(&a, &["init"]);
    let _ann = Up::start(&a, &[listen]);
    run(&b, &["join", &ticket(&a)]);
    let mut bob = Up::start(&b, &[listen]);
    run(&b, &["counter", "inc", "n", "1"]);
    // To wait at `a` is to wait for what it has been told of, and that may have been before this write.
    until(&a, 1, Instant::now(), "heard at first");

    // At once, so that the survivor still believes in the dead connection.
    bob.kill();
    let _bob = Up::start(&b, &[]);
    let since = Instant::now();
    run(&b, &["counter", "inc", "n", "10"]);
    let heard = until(&a, 11, since, "heard again");
    run(&a, &["counter", "inc", "n", "100"]);
    let hears = until(&b, 111, since, "hears again");
    println!("{listen}: heard {heard:?} and hears {hears:?} after the restart");
}

#[test]
fn a_node_that_was_killed_is_heard_and_hears_within_five_seconds_over_tcp() {
    a_killed_node_is_back_within_five_seconds("/ip4/127.0.0.1/tcp/0");
}

#[test]
fn a_node_that_was_killed_is_heard_and_hears_within_five_seconds_over_quic() {
    a_killed_node_is_back_within_five_seconds("/ip4/127.0.0.1/udp/0/quic-v1");
}
