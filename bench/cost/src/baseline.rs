//! The committed file: one line a workload and metric, so that a change of cost reads as a change of lines.

use std::fmt::Write;

use serde::Deserialize;

use crate::callgrind;
use crate::compare::{Costs, grouped};

/// Where it lies.
pub const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.toml");

/// What the counts depend on, beside the code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    /// The compiler.
    pub rustc: String,
    /// What it compiled for.
    pub target: String,
    /// What counted.
    pub valgrind: String,
}

/// What is expected.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// With what it was measured.
    pub tools: Tools,
    /// What was measured.
    pub costs: Costs,
}

impl Tools {
    /// Those of this program and machine.
    pub fn here() -> Result<Self, String> {
        Ok(Self {
            rustc: env!("COST_RUSTC").to_owned(),
            target: env!("COST_TARGET").to_owned(),
            valgrind: callgrind::version()?,
        })
    }

    /// What to say of a comparison with what was measured with `baseline`'s tools; an error if there can be none.
    ///
    /// Another compiler seldom costs 5 %, so the comparison is made, and says something if it passes. Another instruction
    /// set makes it meaningless.
    pub fn comparable(&self, baseline: &Self) -> Result<Vec<String>, String> {
        if self.target != baseline.target {
            return Err(format!(
                "the baseline's instructions are {}'s, and this is {}; check bytes only with --bytes",
                baseline.target, self.target
            ));
        }
        let tools =
            [("rustc", &self.rustc, &baseline.rustc), ("valgrind", &self.valgrind, &baseline.valgrind)];
        let others = tools.into_iter().filter(|(_, here, there)| here != there);
        let note = |(tool, here, there)| {
            format!(
                "note: {tool} is {here}, the baseline's was {there}: some of a difference may come from that"
            )
        };
        Ok(others.map(note).collect())
    }
}

impl Baseline {
    /// The committed one.
    pub fn read() -> Result<Self, String> {
        let text = std::fs::read_to_string(PATH).map_err(|why| format!("{PATH}: {why}"))?;
        Self::parse(&text).map_err(|why| format!("{PATH}: {why}"))
    }

    /// Replaces the committed one.
    pub fn write(&self) -> Result<(), String> {
        std::fs::write(PATH, self.text()).map_err(|why| format!("{PATH}: {why}"))
    }

    /// What a file says.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|why| why.to_string())
    }

    /// The file.
    pub fn text(&self) -> String {
        let Tools { rustc, target, valgrind } = &self.tools;
        let mut text = format!(
            "# What the cost gate compares with. Written by `cost --renew`, not by hand: see bench/README.md.\n\n\
             [tools]\nrustc = \"{rustc}\"\ntarget = \"{target}\"\nvalgrind = \"{valgrind}\"\n\n[costs]\n"
        );
        for (workload, metrics) in &self.costs {
            for (metric, value) in metrics {
                writeln!(text, "{workload}.{metric} = {}", grouped(*value)).expect("a string takes it");
            }
        }
        text
    }
}
