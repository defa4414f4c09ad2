//! Durable commits: each writer waits for its own.

use std::error::Error;
use std::time::{Duration, Instant};

use tombolo_crdt::PnCounter;
use tombolo_sync::{Document, Node};

use super::Figure;

const TIME: Duration = Duration::from_secs(2);

pub(super) async fn measure() -> Result<Vec<Figure>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let node = Node::builder(folder.path()).no_witness().create().offline().start().await?;
    let counter = node.open::<PnCounter>("counter")?;
    let mut figures = Vec::new();
    for writers in [1, 64] {
        let start = Instant::now();
        let tasks: Vec<_> = (0..writers).map(|_| tokio::spawn(write(counter.clone(), start))).collect();
        let mut commits = 0;
        for task in tasks {
            commits += task.await??;
        }
        let what = format!("durable commits, {writers} writer{}", if writers == 1 { "" } else { "s" });
        figures.push(Figure::rate(what, commits, start.elapsed()));
    }
    node.shutdown().await;
    Ok(figures)
}

async fn write(counter: Document<PnCounter>, start: Instant) -> tombolo_sync::Result<usize> {
    let mut commits = 0;
    while start.elapsed() < TIME {
        counter.update(|counter| counter.inc(1)).await?;
        commits += 1;
    }
    Ok(commits)
}
