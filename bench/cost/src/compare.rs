//! The rule: what may differ from the baseline, and by how much.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// By workload and metric.
pub type Costs = BTreeMap<String, BTreeMap<String, u64>>;

/// The metric that has a tolerance. All others are bytes.
pub const INSTRUCTIONS: &str = "instructions";

/// By how many percent instructions may differ: about what another compiler or another C library does to them. Callgrind
/// itself is steadier by orders of magnitude.
const TOLERANCE: u64 = 5;

/// What is said of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As the baseline has it, or near enough.
    Ok,
    /// Instructions, and more than may be.
    More,
    /// Instructions, and fewer by more than the tolerance.
    Fewer,
    /// Bytes, and not the same.
    Differs,
    /// Not in the baseline.
    New,
    /// In the baseline only.
    Gone,
}

impl Verdict {
    /// Of one metric, from the baseline's value and the one that was measured.
    fn of(metric: &str, baseline: Option<u64>, now: Option<u64>) -> Self {
        let (Some(baseline), Some(now)) = (baseline, now) else {
            return if baseline.is_none() { Self::New } else { Self::Gone };
        };
        if metric != INSTRUCTIONS {
            return if baseline == now { Self::Ok } else { Self::Differs };
        }
        let (hundred, now) = (u128::from(baseline) * 100, u128::from(now) * 100);
        let tolerance = u128::from(baseline) * u128::from(TOLERANCE);
        if now > hundred + tolerance {
            Self::More
        } else if now + tolerance < hundred {
            Self::Fewer
        } else {
            Self::Ok
        }
    }

    /// Whether the gate stays shut.
    ///
    /// Not for fewer instructions: nobody should have to touch a baseline in order to land what is faster, and no user is
    /// worse off. Who forgets to renew it is told so in every run. For bytes there is no better: fewer of them is another
    /// format, which others' disks and peers must be able to read, so it has to be meant. A metric that is new or gone
    /// would otherwise be one that nothing is compared with.
    fn fails(self) -> bool {
        match self {
            Self::Ok | Self::Fewer => false,
            Self::More | Self::Differs | Self::New | Self::Gone => true,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::More => "MORE",
            Self::Fewer => "fewer: renew",
            Self::Differs => "DIFFERS",
            Self::New => "NEW",
            Self::Gone => "GONE",
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Of which workload.
    pub workload: String,
    /// What was measured.
    pub metric: String,
    /// What was expected.
    pub baseline: Option<u64>,
    /// What is.
    pub now: Option<u64>,
    /// What is said of it.
    pub verdict: Verdict,
}

/// Everything that is in either, compared.
pub fn compare(baseline: &Costs, now: &Costs) -> Vec<Row> {
    let names = |costs: &Costs| -> BTreeSet<(String, String)> {
        let each =
            costs.iter().flat_map(|(workload, metrics)| metrics.keys().map(move |metric| (workload, metric)));
        each.map(|(workload, metric)| (workload.clone(), metric.clone())).collect()
    };
    let value = |costs: &Costs, workload: &str, metric: &str| costs.get(workload)?.get(metric).copied();
    let row = |(workload, metric): (String, String)| {
        let (baseline, now) = (value(baseline, &workload, &metric), value(now, &workload, &metric));
        let verdict = Verdict::of(&metric, baseline, now);
        Row { workload, metric, baseline, now, verdict }
    };
    (&names(baseline) | &names(now)).into_iter().map(row).collect()
}

/// How many rows keep the gate shut.
pub fn failed(rows: &[Row]) -> usize {
    rows.iter().filter(|row| row.verdict.fails()).count()
}

/// How many rows have become cheaper than the baseline says.
pub fn gained(rows: &[Row]) -> usize {
    rows.iter().filter(|row| row.verdict == Verdict::Fewer).count()
}

/// The rows, for people.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:16} {:14} {:>12} {:>12} {:>10}  verdict\n",
        "workload", "metric", "baseline", "now", "difference"
    );
    for row in rows {
        let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), grouped);
        let (workload, metric, verdict) = (&row.workload, &row.metric, row.verdict.name());
        let (baseline, now, difference) = (number(row.baseline), number(row.now), difference(row));
        writeln!(text, "{workload:16} {metric:14} {baseline:>12} {now:>12} {difference:>10}  {verdict}")
            .expect("a string takes it");
    }
    text
}

/// Bytes to the byte, instructions in percent.
fn difference(row: &Row) -> String {
    match (row.baseline, row.now) {
        (Some(baseline), Some(now)) if baseline == now => "0".to_owned(),
        (Some(baseline), Some(now)) if row.metric == INSTRUCTIONS => {
            format!("{:+.2} %", (now as f64 / baseline as f64 - 1.0) * 100.0)
        }
        (Some(baseline), Some(now)) => format!("{:+}", now as i64 - baseline as i64),
        _ => "-".to_owned(),
    }
}

/// A number in groups of three, as TOML and people read it.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}
