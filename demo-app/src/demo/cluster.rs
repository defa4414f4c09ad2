//! The nodes of the demo together: starting, cutting, healing, comparing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tokio::sync::Mutex;

use super::process::{Process, ask};
use super::report::Side;
use super::work::{Expected, Write, random_read};
use crate::failure::{Code, Failure, Result};
use crate::request::{Request, Whom};

/// How long the nodes may take to find each other, and to be cut off.
const LINKS: Duration = Duration::from_secs(15);
/// How long they may take to be equal after healing.
const CONVERGENCE: Duration = Duration::from_secs(30);
/// How often to look.
const LOOK: Duration = Duration::from_millis(25);
/// A writer pauses this long after a request that failed: its node is coming back.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The nodes, and what was written through them.
pub(super) struct Cluster {
    nodes: Vec<Process>,
    expected: Arc<Mutex<Expected>>,
    writers: Vec<Writer>,
}

/// Who writes through one node: one request after the other.
struct Writer {
    node: usize,
    home: PathBuf,
    rng: ChaCha8Rng,
    serial: u32,
    /// The set's elements that this node added, acknowledged, and nobody removed.
    own: BTreeSet<String>,
}

impl Cluster {
    /// Starts `count` nodes in one space and waits until each is linked to all others.
    pub(super) async fn start(folder: &std::path::Path, count: usize, seed: u64) -> Result<Self> {
        let mut nodes: Vec<Process> = (1..=count).map(|n| Process::new(folder, format!("n{n}"))).collect();
        let name = nodes[0].name.clone();
        nodes[0].run(&["init", "--name", &name]).await?;
        nodes[0].up().await?;
        let ticket = nodes[0].run(&["invite"]).await?;
        let ticket = match &ticket {
            Value::String(ticket) => ticket.clone(),
            object => object["ticket"].as_str().unwrap_or_default().to_owned(),
        };
        try_join_all(nodes[1..].iter_mut().map(|node| {
            let ticket = ticket.clone();
            async move {
                let name = node.name.clone();
                node.run(&["join", &ticket, "--name", &name]).await?;
                node.up().await
            }
        }))
        .await?;
        let writers = nodes.iter().enumerate().map(|(node, process)| Writer {
            node: node + 1,
            home: process.home().to_owned(),
            rng: ChaCha8Rng::seed_from_u64(seed ^ (node as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            serial: 0,
            own: BTreeSet::new(),
        });
        let cluster = Self { writers: writers.collect(), nodes, expected: Arc::default() };
        let all: Vec<usize> = (0..count).collect();
        cluster.until_linked(std::slice::from_ref(&all)).await?;
        Ok(cluster)
    }

    pub(super) fn names(&self, group: &[usize]) -> Vec<String> {
        group.iter().map(|&node| self.nodes[node].name.clone()).collect()
    }

    /// Waits until each node is linked to all others of its group and to nobody else.
    pub(super) async fn until_linked(&self, groups: &[Vec<usize>]) -> Result<()> {
        let until = Instant::now() + LINKS;
        loop {
            let mut wrong = None;
            for group in groups {
                for &node in group {
                    let status = self.nodes[node].status().await?;
                    let connected: BTreeSet<&str> = status
                        .peers
                        .iter()
                        .filter(|peer| peer.connected)
                        .map(|peer| peer.peer_id.as_str())
                        .collect();
                    let wanted: BTreeSet<&str> = group
                        .iter()
                        .filter(|&&other| other != node)
                        .map(|&other| self.nodes[other].peer_id.as_str())
                        .collect();
                    if connected != wanted {
                        wrong = Some(format!(
                            "{} is linked to {} nodes and should be to {}",
                            self.nodes[node].name,
                            connected.len(),
                            wanted.len()
                        ));
                    }
                }
            }
            match wrong {
                None => return Ok(()),
                Some(wrong) if Instant::now() > until => return Err(Failure::new(Code::Timeout, wrong)),
                Some(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Cuts or restores every link between two groups, at the nodes of the first: one side's word cuts both directions.
    pub(super) async fn cut(&self, left: &[usize], right: &[usize], blocked: bool) -> Result<()> {
        try_join_all(left.iter().map(|&node| async move {
            for &other in right {
                let whom = Whom::Peer(self.nodes[other].peer_id.clone());
                ask(self.nodes[node].home(), Request::Link { whom, blocked }).await?;
            }
            Ok::<_, Failure>(())
        }))
        .await?;
        Ok(())
    }

    /// Writes and reads through all nodes at once, `writes` in all; yields the counts a group. `victim` is killed
    /// after a third of its own requests, and comes back after `outage`.
    pub(super) async fn work(
        &mut self,
        groups: &[Vec<usize>],
        writes: u32,
        victim: Option<(usize, Duration)>,
    ) -> Result<Vec<Side>> {
        let count = self.writers.len() as u32;
        let each = writes.div_ceil(count);
        let (strike, struck) = tokio::sync::oneshot::channel();
        let mut strike = Some(strike);
        let mut tasks = Vec::new();
        for (node, mut writer) in std::mem::take(&mut self.writers).into_iter().enumerate() {
            let expected = Arc::clone(&self.expected);
            let signal = victim.filter(|(victim, _)| *victim == node).and_then(|_| strike.take());
            tasks.push(tokio::spawn(async move {
                let side = writer.work(each, &expected, signal).await;
                (writer, side)
            }));
        }
        if let Some((victim, outage)) = victim {
            // An error means that the writer ended first.
            let _ = struck.await;
            self.nodes[victim].kill().await;
            tokio::time::sleep(outage).await;
            self.nodes[victim].up().await?;
        }
        let mut counts = Vec::new();
        for done in join_all(tasks).await {
            let (writer, side) = done.map_err(|why| Failure::new(Code::Failed, why.to_string()))?;
            self.writers.push(writer);
            counts.push(side);
        }
        let side = |group: &Vec<usize>| {
            let mut side = Side { nodes: self.names(group), ..Side::default() };
            for &node in group {
                side.reads.answered += counts[node].reads.answered;
                side.reads.failed += counts[node].reads.failed;
                side.writes.answered += counts[node].writes.answered;
                side.writes.failed += counts[node].writes.failed;
            }
            side
        };
        Ok(groups.iter().map(side).collect())
    }

    async fn dumps(&self) -> Result<Vec<Value>> {
        try_join_all(self.nodes.iter().map(|node| ask(node.home(), Request::Dump))).await
    }

    /// How many different states the nodes are in.
    pub(super) async fn states(&self) -> Result<usize> {
        let dumps: BTreeSet<String> = self.dumps().await?.iter().map(Value::to_string).collect();
        Ok(dumps.len())
    }

    /// Waits until all nodes hold the same, and yields it.
    pub(super) async fn until_equal(&self) -> Result<Value> {
        let until = Instant::now() + CONVERGENCE;
        loop {
            let mut dumps = self.dumps().await?;
            if dumps.windows(2).all(|pair| pair[0] == pair[1]) {
                return Ok(dumps.swap_remove(0));
            }
            if Instant::now() > until {
                return Err(Failure::new(
                    Code::Timeout,
                    format!("the nodes are not equal {CONVERGENCE:?} after healing"),
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Bytes of frames the nodes sent in the sessions that are open now.
    pub(super) async fn bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for node in &self.nodes {
            bytes += node.status().await?.peers.iter().map(|peer| peer.bytes_out).sum::<u64>();
        }
        Ok(bytes)
    }

    pub(super) async fn expected(&self) -> tokio::sync::MutexGuard<'_, Expected> {
        self.expected.lock().await
    }

    /// Which of several groups a node is in is decided by its number: the first group is the larger half.
    pub(super) fn halves(&self) -> (Vec<usize>, Vec<usize>) {
        let count = self.nodes.len();
        ((0..count.div_ceil(2)).collect(), (count.div_ceil(2)..count).collect())
    }
}

impl Writer {
    /// Sends `writes` writes and as many reads. `strike` is told when a third is through.
    async fn work(
        &mut self,
        writes: u32,
        expected: &Mutex<Expected>,
        mut strike: Option<tokio::sync::oneshot::Sender<()>>,
    ) -> Side {
        let mut side = Side::default();
        for done in 0..writes {
            if done >= writes / 3
                && let Some(strike) = strike.take()
            {
                // An error means that nobody waits to strike.
                let _ = strike.send(());
            }
            self.serial += 1;
            let write = Write::random(self.node, self.serial, &self.own, &mut self.rng);
            let answer = ask(&self.home, write.request()).await;
            side.writes.count(answer.is_ok());
            match answer {
                Ok(_) => {
                    expected.lock().await.acknowledge(&write);
                    match &write {
                        Write::Add(element) => drop(self.own.insert(element.clone())),
                        Write::Remove(element) => drop(self.own.remove(element)),
                        _ => {}
                    }
                }
                Err(_) => {
                    expected.lock().await.doubt(&write);
                    if let Write::Remove(element) = &write {
                        self.own.remove(element);
                    }
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
            let read = ask(&self.home, random_read(&mut self.rng)).await;
            side.reads.count(read.is_ok());
        }
        side
    }
}
