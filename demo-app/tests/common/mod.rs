//! Homes in temporary folders, and real processes of the program on them.

pub mod history;
#[cfg(target_os = "linux")]
pub mod system;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take that should happen soon.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const LOOPBACK: &str = "/ip4/127.0.0.1/tcp/0";

/// Says what was measured. Not by `println!`, which is shown only where a test fails.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A number that is set from outside.
pub fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().expect("a number"))
}

/// The seed of a run: that of `TOMBOLO_SEED`, or any. It is printed.
pub fn seed() -> u64 {
    let seed = number("TOMBOLO_SEED").unwrap_or_else(rand::random);
    println!("TOMBOLO_SEED={seed}");
    seed
}

/// A text in an answer.
#[track_caller]
pub fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// What works without a node, and says the same with one.
pub fn without_a_node_and_with_one(every_verb: impl Fn(&Home)) {
    let homes = Homes::new();
    every_verb(&homes.created("ann"));
    let bob = homes.created("bob");
    let _node = bob.up();
    every_verb(&bob);
}

/// Some homes, with one folder for their sockets.
pub struct Homes {
    folder: tempfile::TempDir,
}

/// One home.
#[derive(Clone)]
pub struct Home {
    pub path: PathBuf,
    sockets: PathBuf,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A node: `up`. Killed when dropped.
pub struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
    pub ready: Value,
}

impl Homes {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("tombolo-").tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        Self { folder }
    }

    /// A home without a space.
    pub fn empty(&self, name: &str) -> Home {
        Home { path: self.folder.path().join(name), sockets: self.folder.path().join("run") }
    }

    /// A home with a space of its own.
    pub fn created(&self, name: &str) -> Home {
        let home = self.empty(name);
        home.json(&["init", "--name", name.rsplit('/').next().unwrap()]);
        home
    }

    /// A home that has joined the space of another.
    pub fn joined(&self, name: &str, other: &Home) -> Home {
        let home = self.empty(name);
        home.json(&["join", &other.ticket(), "--name", name]);
        home
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The sockets of running nodes.
    pub fn sockets(&self) -> Vec<PathBuf> {
        let folder = self.folder.path().join("run").join("tombolo");
        std::fs::read_dir(folder)
            .map(|files| files.map(|file| file.unwrap().path()).collect())
            .unwrap_or_default()
    }
}

/// The files of a folder as they were.
#[derive(Clone)]
pub struct Saved(BTreeMap<PathBuf, Vec<u8>>);

impl Saved {
    /// All of them, those in its folders as well; what is no file, such as a socket, is not saved.
    pub fn of(folder: &Path) -> Self {
        let files = files(folder).into_iter();
        Self(
            files
                .map(|file| (file.strip_prefix(folder).unwrap().into(), std::fs::read(&file).unwrap()))
                .collect(),
        )
    }

    /// Puts them back. A file that is there stays the one it is, as with a restored disk: a copy would be told by being another one.
    pub fn put_back(&self, folder: &Path) {
        for (name, content) in &self.0 {
            let file = folder.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        for file in files(folder) {
            if !self.0.contains_key(file.strip_prefix(folder).unwrap()) {
                std::fs::remove_file(file).unwrap();
            }
        }
    }
}

/// All files in a folder and in its folders.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

impl Home {
    /// Where it is noted, for all homes of one test, how far they have got.
    pub fn witnesses(&self) -> PathBuf {
        self.sockets.join("state")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let program = std::env::var("TOMBOLO_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_tombolo").into());
        let mut command = Command::new(program);
        for variable in ["TOMBOLO_HOME", "TOMBOLO_LOG", "RUST_LOG"] {
            command.env_remove(variable);
        }
        command
            .env("XDG_RUNTIME_DIR", &self.sockets)
            .env("TOMBOLO_STATE", self.witnesses())
            .arg("--home")
            .arg(&self.path)
            .args(arguments);
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What a command prints for people.
    #[track_caller]
    pub fn text(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// What a command prints for scripts: one document on one line, and nothing else.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[&["--json"], arguments].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stderr, "", "{arguments:?}");
        assert_eq!(ended.stdout.matches('\n').count(), 1, "{arguments:?}: {}", ended.stdout);
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// The code of the error with which a command fails.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str], exit: i32) -> String {
        let ended = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code, Some(exit), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        let error: Value = serde_json::from_str(&ended.stderr).unwrap_or_else(|_| panic!("{ended:?}"));
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
        error["error"]["code"].as_str().unwrap().to_owned()
    }

    pub fn ticket(&self) -> String {
        self.json(&["invite"])["ticket"].as_str().unwrap().to_owned()
    }

    pub fn peer_id(&self) -> String {
        self.json(&["status"])["peer_id"].as_str().unwrap().to_owned()
    }

    /// Starts the node, on loopback; at the ports of last time if there was one.
    #[track_caller]
    pub fn up(&self) -> Running {
        let first = self.json(&["invite"])["addresses"].as_array().unwrap().is_empty();
        if first { self.up_with(&["--listen", LOOPBACK]) } else { self.up_with(&[]) }
    }

    #[track_caller]
    pub fn up_with(&self, arguments: &[&str]) -> Running {
        Self::started(self.command(&[&["--json", "up", "--no-mdns"], arguments].concat()))
    }

    /// Starts the node, on loopback, with what `from` makes of its command.
    #[track_caller]
    pub fn up_from(&self, from: impl FnOnce(Command) -> Command) -> Running {
        Self::started(from(self.command(&["--json", "up", "--no-mdns", "--listen", LOOPBACK])))
    }

    /// Starts the node behind another program, which becomes it: `ip netns exec …`.
    #[track_caller]
    pub fn up_behind(&self, program: &[&str], arguments: &[&str]) -> Running {
        let own = self.command(&[&["--json", "up", "--no-mdns"], arguments].concat());
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(own.get_program()).args(own.get_args()).stdin(Stdio::null());
        for (variable, value) in own.get_envs() {
            match value {
                Some(value) => command.env(variable, value),
                None => command.env_remove(variable),
            };
        }
        Self::started(command)
    }

    #[track_caller]
    fn started(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut why = String::new();
            child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
            panic!("no node: {why}");
        }
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["event"], "ready");
        Running { child, lines, ready }
    }

    /// Asks again and again until the answer is right.
    #[track_caller]
    pub fn until(&self, arguments: &[&str], is_right: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let answer = self.json(arguments);
            if is_right(&answer) {
                return answer;
            }
            assert!(start.elapsed() < PATIENCE, "{arguments:?} still says {answer}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Running {
    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// SIGTERM; how the node ends, and what it says.
    pub fn stop(self) -> Ended {
        self.signal(rustix::process::Signal::TERM);
        self.ended()
    }

    /// How the node ends by itself, and what it says.
    pub fn ended(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.lines.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Ended { code: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
