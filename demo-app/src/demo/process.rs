//! One node of the demo: a real process of this very program, with its own home, asked over its own socket.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use crate::client::Client;
use crate::failure::{Code, Failure, Result};
use crate::report::Report;
use crate::request::Request;

/// How long a node may take to come up.
const COMING_UP: Duration = Duration::from_secs(15);
/// How long one request may take before it counts as failed.
const REQUEST: Duration = Duration::from_secs(5);

/// A node and its home.
pub(super) struct Process {
    pub(super) name: String,
    home: PathBuf,
    child: Option<Child>,
    pub(super) peer_id: String,
    pub(super) started: u32,
}

impl Process {
    /// A node that does not run yet.
    pub(super) fn new(folder: &Path, name: String) -> Self {
        Self { home: folder.join(&name), name, child: None, peer_id: String::new(), started: 0 }
    }

    fn command(&self) -> Result<Command> {
        let program =
            std::env::current_exe().map_err(|why| Failure::io("finding this program's file", &why))?;
        let mut command = Command::new(program);
        command.arg("--json").arg("--home").arg(&self.home).env_remove("TOMBOLO_HOME").kill_on_drop(true);
        command.env("TOMBOLO_STATE", self.home.with_extension("state"));
        command.stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a verb to its end and yields what it printed.
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<Value> {
        let output = self
            .command()?
            .args(arguments)
            .output()
            .await
            .map_err(|why| Failure::io("starting a node", &why))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure::new(
                Code::Failed,
                format!("{}: `{}` failed: {said}", self.name, arguments[0]),
            ));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(serde_json::from_str(text.trim()).unwrap_or_else(|_| Value::String(text.trim().to_owned())))
    }

    /// Starts the node and waits until it is ready.
    pub(super) async fn up(&mut self) -> Result<()> {
        let mut command = self.command()?;
        command.args(["up", "--no-mdns"]);
        if self.started == 0 {
            command.args(["--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--listen", "/ip4/127.0.0.1/tcp/0"]);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|why| Failure::io("starting a node", &why))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let until = Instant::now() + COMING_UP;
        let mut lines = BufReader::new(stdout.ok_or_else(|| self.lost("has no output"))?).lines();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, lines.next_line()).await {
                Ok(Ok(Some(line))) => {
                    let event: Value = serde_json::from_str(&line).unwrap_or_default();
                    if event["event"] == "ready" {
                        self.peer_id = event["peer_id"].as_str().unwrap_or_default().to_owned();
                        break;
                    }
                }
                Ok(_) => return Err(self.lost(&format!("ended before it was ready: {}", rest(stderr).await))),
                Err(_) => return Err(self.lost("did not get ready in time")),
            }
        }
        // What it says from now on is read and dropped, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        tokio::spawn(async move { rest(stderr).await });
        self.child = Some(child);
        self.started += 1;
        Ok(())
    }

    fn lost(&self, what: &str) -> Failure {
        Failure::new(Code::Failed, format!("node {} {what}", self.name))
    }

    /// Kills the process without a warning: `kill -9`.
    pub(super) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An error means that it is dead already.
            let _ = child.kill().await;
        }
    }

    /// Where its socket is found.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) async fn status(&self) -> Result<Report> {
        let value = ask(&self.home, Request::Status).await?;
        serde_json::from_value(value).map_err(|why| self.lost(&format!("answers what cannot be read: {why}")))
    }
}

async fn rest(stderr: Option<ChildStderr>) -> String {
    let Some(stderr) = stderr else { return String::new() };
    let (mut lines, mut said) = (BufReader::new(stderr).lines(), String::new());
    while let Ok(Some(line)) = lines.next_line().await {
        said.push_str(&line);
        said.truncate(2_000);
    }
    said
}

/// Asks the node of a home, over its socket.
pub(super) async fn ask(home: &Path, request: Request) -> Result<Value> {
    let asking = async {
        let mut client = Client::connect(home).await?;
        client.ask(request).await
    };
    match tokio::time::timeout(REQUEST, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::new(Code::Timeout, "the node did not answer in time")),
    }
}
