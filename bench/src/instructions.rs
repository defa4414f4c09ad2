//! Counting instructions under `valgrind`, for growth: what time says on a busy machine is not enough there.
//!
//! Every section runs inside one function, `meter::measured`; callgrind collects inside it only, and writes a file each
//! time it returns. The files come in the order in which the sections began.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::meter::{Event, Unit};

/// Inside which function callgrind collects.
const COLLECTED: &str = "*meter::measured*";
/// After which function it writes a file: the same. SUBTLE: of two options with the same pattern it heeds one only.
const DUMPED: &str = "tombolo_bench::meter::measured*";

/// The instructions of each section of a workload in a system, as events.
pub fn count(workload: &str, system: &str) -> Result<Vec<Event>, String> {
    let folder = std::env::temp_dir().join(format!("tombolo-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let counted = in_folder(workload, system, &folder);
    // Whatever came of it; a folder left behind does no harm.
    let _ = std::fs::remove_dir_all(&folder);
    counted
}

fn in_folder(workload: &str, system: &str, folder: &Path) -> Result<Vec<Event>, String> {
    let this = std::env::current_exe().map_err(|why| why.to_string())?;
    let out = folder.join("out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .args([format!("--toggle-collect={COLLECTED}"), format!("--dump-after={DUMPED}")])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(this)
        .args(["child", workload, system])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|why| format!("valgrind: {why}"))?;
    let events =
        output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let sections = events.filter_map(|event| match event {
        // What is not measured has brackets around its name.
        Event::Begin { section } if !section.starts_with('(') => Some(section),
        _ => None,
    });
    sections
        .enumerate()
        .map(|(i, section)| {
            let file = folder.join(format!("out.{}", i + 1));
            let value = total(&file).ok_or_else(|| format!("callgrind counted nothing for {section}"))?;
            Ok(Event::Value { metric: format!("{section}.instructions"), value, unit: Unit::Count })
        })
        .collect()
}

/// The sum that stands in one of callgrind's files.
fn total(file: &Path) -> Option<f64> {
    let lines = BufReader::new(std::fs::File::open(file).ok()?).lines().map_while(Result::ok);
    let sums = lines.filter_map(|line| {
        let sum = line.strip_prefix("totals: ").or(line.strip_prefix("summary: "))?;
        sum.split_whitespace().next()?.parse().ok()
    });
    sums.last()
}
