//! Inspections as text.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::ops::ControlFlow;

use super::inspect::{InspectedBody, InspectedNode, InspectedRun, Inspection};
use super::{EnvelopeKind, FORMAT};

/// How many nodes, replica ids and the like are shown of what has more.
const SOME: usize = 20;

impl fmt::Display for Inspection {
    /// With `{:#}` everything, else the first twenty nodes of each body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            kind if kind == EnvelopeKind::State as u8 => "state".to_owned(),
            kind if kind == EnvelopeKind::Delta as u8 => "delta".to_owned(),
            kind => format!("message of kind {kind}"),
        };
        let old = if self.format < FORMAT { ", an older one" } else { "" };
        writeln!(f, "a {kind} of {} bytes in format {}{old}", self.bytes, self.format)?;
        if !self.type_name.is_empty() {
            writeln!(f, "type      {}", self.type_name)?;
        }
        for problem in &self.problems {
            writeln!(f, "WRONG     {problem}")?;
        }
        let slices = self.bodies.len();
        for (nth, body) in (1..).zip(&self.bodies) {
            if self.kind == EnvelopeKind::State as u8 {
                writeln!(f, "slice {nth} of {slices}, at byte {}, {} bytes", body.at, body.bytes)?;
            }
            body.write(f, &self.type_name)?;
        }
        Ok(())
    }
}

impl InspectedBody {
    /// As text. `type_name` is the name of the type, empty if it is not known.
    pub fn shown<'b>(&'b self, type_name: &'b str) -> impl fmt::Display + 'b {
        Shown(self, type_name)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, type_name: &str) -> fmt::Result {
        let is_full = f.alternate();
        if let Some(problem) = &self.problem {
            writeln!(f, "  WRONG     {problem}")?;
        }
        if !self.replicas.is_empty() {
            let ids = self.replicas.iter().map(ToString::to_string);
            writeln!(f, "  replicas  {}", list(ids, is_full))?;
        }
        match self.uncompressed {
            Some(length) => writeln!(f, "  columns   {} bytes, compressed to {}", length, self.columns)?,
            None => writeln!(f, "  columns   {} bytes", self.columns)?,
        }
        if self.head.is_some_and(|head| head != 0) {
            writeln!(f, "  flags     {}", self.flags().join(", "))?;
        }
        if self.nodes() == 0 {
            return Ok(());
        }
        writeln!(f, "  events    {}", list(self.events().map(|run| run.to_string()), is_full))?;
        if self.deps().next().is_some() {
            writeln!(f, "  deps      {}", list(self.deps().map(|dot| format!("{dot:?}")), is_full))?;
        }
        let (nodes, items) = (self.nodes(), self.items());
        writeln!(f, "  tree      nodes: {nodes}, items: {items}")?;
        self.write_tree(f, type_name, is_full)
    }

    fn write_tree(&self, f: &mut fmt::Formatter<'_>, type_name: &str, is_full: bool) -> fmt::Result {
        let (mut shown, mut result) = (0, Ok(()));
        self.each_node(type_name, &mut |node| {
            if !is_full && shown == SOME {
                return ControlFlow::Break(());
            }
            shown += 1;
            result = write_node(f, &node, is_full);
            if result.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        result?;
        match self.nodes() - shown {
            0 => Ok(()),
            more => writeln!(f, "    … and {} more; --full shows all", more),
        }
    }
}

struct Shown<'b>(&'b InspectedBody, &'b str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, self.1)
    }
}

fn write_node(f: &mut fmt::Formatter<'_>, node: &InspectedNode, is_full: bool) -> fmt::Result {
    let indent = 4 + 2 * node.depth;
    write!(f, "{:indent$}{}", "", if node.depth == 0 { "root" } else { &node.key })?;
    if !node.covers.is_empty() {
        write!(f, "  covers {}", list(node.covers.iter().map(ToString::to_string), is_full))?;
    }
    match &node.carries[..] {
        [] => writeln!(f),
        [(dot, content)] => writeln!(f, "  {dot:?}{}", after(content)),
        items => {
            writeln!(f)?;
            let some = if is_full { items.len() } else { items.len().min(SOME) };
            for (dot, content) in &items[..some] {
                writeln!(f, "{:indent$}  {dot:?}{}", "", after(content))?;
            }
            match items.len() - some {
                0 => Ok(()),
                more => writeln!(f, "{:indent$}  … and {} more", "", more),
            }
        }
    }
}

fn after(content: &str) -> String {
    if content.is_empty() { String::new() } else { format!("  {content}") }
}

impl fmt::Display for InspectedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{}", self.replica, self.first)?;
        if self.last > self.first { write!(f, "-{}", self.last) } else { Ok(()) }
    }
}

fn list(items: impl Iterator<Item = String>, is_full: bool) -> String {
    let mut text = String::new();
    for (nth, item) in items.enumerate() {
        if nth == SOME && !is_full {
            text.push_str(", …");
            break;
        }
        text.push_str(if nth == 0 { "" } else { ", " });
        text.push_str(&item);
    }
    if text.is_empty() { "none".to_owned() } else { text }
}
