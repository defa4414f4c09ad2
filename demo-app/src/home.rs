//! Which home, and how a command that finds no running node opens it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tombolo_sync::{Doubt, Node, NodeBuilder};

use crate::failure::{Code, Failure, Result};

/// The store's file, whose presence makes a folder a home.
pub const STORE: &str = "tombolo.redb";

/// A home, and how long to wait for it while another command uses it.
#[derive(Debug, Clone)]
pub struct Home {
    /// The folder.
    pub folder: PathBuf,
    /// How long to wait.
    pub patience: Duration,
}

impl Home {
    /// The home that is asked for: by `--home`, else by `TOMBOLO_HOME`, else the platform's data folder.
    ///
    /// # Errors
    /// When the platform names no data folder.
    pub fn find(asked: Option<&Path>, patience: Duration) -> Result<Self> {
        let from_environment = || std::env::var_os("TOMBOLO_HOME").filter(|home| !home.is_empty());
        let folder = match (asked, from_environment()) {
            (Some(folder), _) => folder.to_owned(),
            (None, Some(folder)) => folder.into(),
            (None, None) => match directories::ProjectDirs::from("", "", "tombolo") {
                Some(folders) => folders.data_local_dir().to_owned(),
                None => {
                    let message = "this system names no folder for data; say --home DIR or set TOMBOLO_HOME";
                    return Err(Failure::new(Code::Io, message));
                }
            },
        };
        // One that is not there yet has no other name.
        let folder = std::fs::canonicalize(&folder).or_else(|_| std::path::absolute(&folder));
        let folder = folder.map_err(|why| Failure::io("the home cannot be found", &why))?;
        Ok(Self { folder, patience })
    }

    /// Whether there is a store.
    pub fn exists(&self) -> bool {
        self.folder.join(STORE).exists()
    }

    /// A node on the home, with its witness where `TOMBOLO_STATE` says, else in the platform's folder for state.
    pub fn builder(&self) -> NodeBuilder {
        let builder = Node::builder(&self.folder);
        match std::env::var_os("TOMBOLO_STATE").filter(|state| !state.is_empty()) {
            Some(state) => builder.witness(state),
            None => builder,
        }
    }

    /// Opens the home for one command: no network. `None` if somebody else has it open.
    ///
    /// # Errors
    /// When it has no space or cannot be read.
    pub async fn open(&self) -> Result<Option<Node>> {
        if !self.exists() {
            return Err(Failure::no_space(&self.folder));
        }
        unless_locked(self.builder().offline().start().await)
    }

    /// Starts a node on the home as `builder` says, as soon as nobody else has it open.
    ///
    /// # Errors
    /// When it cannot be started, or a node runs on it already, or somebody has it open for too long.
    pub async fn start(&self, builder: NodeBuilder) -> Result<Node> {
        let patience = Patience::start(self.patience);
        loop {
            if let Some(node) = unless_locked(builder.clone().start().await)? {
                return Ok(node);
            }
            if crate::local::Client::find(&self.folder).await?.is_some() {
                let message =
                    format!("a node runs on {} already; stop that one first", self.folder.display());
                return Err(Failure::new(Code::Running, message));
            }
            patience.pause(self).await?;
        }
    }
}

/// The node, or `None` if its home is in use.
fn unless_locked(started: tombolo_sync::Result<Node>) -> Result<Option<Node>> {
    match started.map_err(Failure::from) {
        Ok(node) => {
            if let Some(doubt) = node.doubt() {
                // Whoever closed stderr does not want to know.
                let _ = writeln!(std::io::stderr(), "note: {doubt}; {}", consequence(&doubt));
            }
            Ok(Some(node))
        }
        Err(failure) if failure.code == Code::Locked => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// What a node does about a home in doubt.
pub fn consequence(doubt: &Doubt) -> &'static str {
    match doubt {
        Doubt::Copied { .. } => "it goes on as a node of its own, with a new key and a new replica id",
        Doubt::Forked { .. } => {
            "what both wrote under it is not exchanged: keep what one of them alone has, and let it join anew as an empty home"
        }
        _ => "it goes on under a new replica id, and gets back from peers what it lacks",
    }
}

/// How long somebody still waits.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    until: Option<Instant>,
}

impl Patience {
    /// Begins to wait.
    pub fn start(patience: Duration) -> Self {
        // Past the end of time means for ever.
        Self { until: Instant::now().checked_add(patience) }
    }

    /// Whether the time is up.
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Waits a little, not in step with others who wait.
    ///
    /// # Errors
    /// When the time is up.
    pub async fn pause(&self, home: &Home) -> Result<()> {
        if self.is_over() {
            let message = format!(
                "another command has had {} open for {} s; try again, or wait longer with --wait",
                home.folder.display(),
                home.patience.as_secs_f64()
            );
            return Err(Failure::new(Code::Locked, message));
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(8..32))).await;
        Ok(())
    }
}
