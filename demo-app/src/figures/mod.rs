//! `tombolo figures`: what this machine does, measured now.
//!
//! Every figure comes from real work through the public API; nothing is compared with a stored value.

mod disk;
mod memory;
mod network;
mod outage;
mod replication;

use std::error::Error;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// One measured figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// What was done.
    pub(crate) what: String,
    /// How much.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: &'static str,
    /// How much it may be.
    pub(crate) at_most: Option<f64>,
    /// What others took for the same, as last measured (`docs/performance.md`).
    pub(crate) others: Option<&'static str>,
}

impl Figure {
    fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, at_most: None, others: None }
    }

    /// What it may be at most, and what others took for the same.
    fn beside(self, at_most: f64, others: &'static str) -> Self {
        Self { at_most: Some(at_most), others: Some(others).filter(|others| !others.is_empty()), ..self }
    }

    /// What stands behind the value.
    fn verdict(&self) -> String {
        let bound = self.at_most.map(|at_most| {
            let verdict = if self.value <= at_most { "ok" } else { "MISSED" };
            format!("at most {at_most}: {verdict}")
        });
        let others = self.others.map(|others| format!("({others})"));
        [bound, others].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn rate(what: impl Into<String>, count: usize, took: Duration) -> Self {
        Self::new(what, count as f64 / took.as_secs_f64(), "per second")
    }
}

/// The value below which `share` of the sorted samples lie.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let at = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

/// Measures everything; `step` is told what comes next.
async fn measure(step: impl Fn(&str)) -> Result<Vec<Figure>, Box<dyn Error>> {
    let mut figures = Vec::new();
    step("counters and sets in memory");
    figures.extend(memory::measure());
    step("durable commits");
    figures.extend(disk::measure().await?);
    step("write on one node to visible on another");
    figures.extend(network::measure().await?);
    figures.extend(replication::measure(&step).await?);
    step("an outage of 45 s between two nodes");
    figures.extend(outage::measure().await?);
    Ok(figures)
}

/// Measures everything and prints it: one line a figure, or one JSON document. A bound that is missed is printed as such, and is no
/// failure: it holds on a machine that does nothing else.
pub(crate) async fn run(json: bool) -> Result<(), Box<dyn Error>> {
    let bar =
        if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}")?);
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut figures = measure(|step| bar.set_message(step.to_owned())).await?;
    bar.set_message("healing in the demo");
    figures.extend(healing().await?);
    bar.finish_and_clear();
    if json {
        crate::output::line(&serde_json::to_string(&serde_json::json!({ "figures": figures }))?);
        return Ok(());
    }
    let width = figures.iter().map(|figure| figure.what.chars().count()).max().unwrap_or(0);
    for figure in &figures {
        let Figure { what, value, unit, .. } = figure;
        let value = if *value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        let line = format!("{what:<width$}  {value:>12} {unit:<12}  {}", figure.verdict());
        crate::output::line(line.trim_end());
    }
    Ok(())
}

async fn healing() -> Result<Option<Figure>, Box<dyn Error>> {
    let report = crate::demo::simulate(&crate::demo::Plan::default(), &crate::demo::Silent).await?;
    Ok(report.healed_millis.map(|millis| {
        Figure::new("demo: from healing the partition to equality, 5 nodes", millis as f64, "ms")
    }))
}
