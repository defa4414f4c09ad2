//! `tombolo demo`: five real processes write through a partition and a crash, and converge.
//!
//! Nothing is simulated: every node is a process of this program with its own store and its own libp2p swarm on
//! loopback; links are cut by `block`, which closes connections and refuses new ones; the crash is `kill -9`.

mod cluster;
mod process;
mod report;
mod work;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::DemoArgs;
use crate::failure::{Failure, Result};
use crate::output;
use cluster::Cluster;
use report::Phase;
use work::Expected;

pub(crate) use report::Report;

/// How long the killed node stays dead.
const OUTAGE: Duration = Duration::from_millis(800);

/// What to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    nodes: usize,
    /// In each phase.
    writes: u32,
    seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { nodes: 5, writes: 100, seed: 1 }
    }
}

/// Is told how the demo gets on.
pub(crate) trait Audience {
    /// What is being done.
    fn step(&self, what: &str);
    /// A phase is over.
    fn phase(&self, phase: &Phase);
}

/// Does not want to know.
pub(crate) struct Silent;

impl Audience for Silent {
    fn step(&self, _: &str) {}
    fn phase(&self, _: &Phase) {}
}

/// How many steps a demo has.
const STEPS: u64 = 7;

/// Sits in front of a terminal, a pipe, or a script.
struct Console {
    bar: ProgressBar,
    json: bool,
}

impl Audience for Console {
    fn step(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.inc(1);
    }

    fn phase(&self, phase: &Phase) {
        self.bar.suspend(|| {
            if self.json {
                let event = serde_json::json!({ "event": "phase", "phase": phase });
                output::line(&event.to_string());
            } else {
                phase.lines().iter().for_each(|line| output::line(line));
            }
        });
    }
}

/// Runs a demo from start to end.
pub(crate) async fn simulate(plan: &Plan, audience: &dyn Audience) -> Result<Report> {
    let folder = tempfile::Builder::new()
        .prefix("tombolo-demo-")
        .tempdir()
        .map_err(|why| Failure::io("making a folder for the demo", &why))?;
    let start = Instant::now();
    let mut phases = Vec::new();
    let mut done = |name, from: Instant, sides, note: String| {
        let (from_millis, millis) = ((from - start).as_millis() as u64, from.elapsed().as_millis() as u64);
        let phase = Phase { name, from_millis, millis, sides, note };
        audience.phase(&phase);
        phases.push(phase);
    };

    audience.step("starting the nodes");
    let from = Instant::now();
    let mut cluster = Cluster::start(folder.path(), plan.nodes, plan.seed).await?;
    let links = plan.nodes * (plan.nodes - 1) / 2;
    done(
        "start",
        from,
        Vec::new(),
        format!("{} nodes are up, each linked to all others: {links} links", plan.nodes),
    );

    audience.step("all write");
    let from = Instant::now();
    let all: Vec<usize> = (0..plan.nodes).collect();
    let sides = cluster.work(std::slice::from_ref(&all), plan.writes, None).await?;
    done("together", from, sides, String::new());

    audience.step("cutting the network in two");
    let from = Instant::now();
    let (left, right) = cluster.halves();
    let groups = [left.clone(), right.clone()];
    cluster.cut(&left, &right, true).await?;
    cluster.until_linked(&groups).await?;
    let cut = left.len() * right.len();
    done("cut", from, Vec::new(), format!("{cut} links are cut: two groups that cannot reach each other"));

    audience.step("both sides go on");
    let from = Instant::now();
    let sides = cluster.work(&groups, plan.writes, None).await?;
    let states = cluster.states().await?;
    done("partition", from, sides, format!("{states} different states by now"));

    audience.step("one node is killed and comes back");
    let from = Instant::now();
    let victim = plan.nodes - 1;
    let sides = cluster.work(&groups, plan.writes, Some((victim, OUTAGE))).await?;
    let name = cluster.names(&[victim]).concat();
    done("crash", from, sides, format!("{name} was killed (-9) and restarted"));

    audience.step("healing");
    let from = Instant::now();
    cluster.cut(&left, &right, false).await?;
    let dump = cluster.until_equal().await?;
    let healed = from.elapsed().as_millis() as u64;
    done("heal", from, Vec::new(), format!("all nodes are equal after {healed} ms"));

    audience.step("checking");
    let bytes_exchanged = cluster.bytes().await?;
    let expected = cluster.expected().await;
    let wrong = expected.check(&dump);
    Ok(Report {
        converged: wrong.is_empty(),
        seed: plan.seed,
        nodes: plan.nodes,
        healed_millis: Some(healed),
        bytes_exchanged,
        acknowledged_writes: expected.acknowledged,
        in_doubt_writes: expected.in_doubt,
        end: Expected::summary(&dump),
        wrong,
        phases,
    })
}

/// Runs the command.
pub(crate) async fn run(args: &DemoArgs) -> Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(rand::random);
    let plan = Plan { nodes: args.nodes.into(), writes: args.writes, seed };
    let bar = if std::io::stderr().is_terminal() && !args.json {
        ProgressBar::new(STEPS)
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:28} {elapsed_precise} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    let console = Console { bar, json: args.json };
    let report = simulate(&plan, &console).await;
    console.bar.finish_and_clear();
    let report = report?;
    if args.json {
        output::line(&serde_json::to_string(&report).unwrap_or_default());
    } else {
        report.lines().iter().for_each(|line| output::line(line));
    }
    Ok(if report.converged { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
