//! An SVG for each workload: a panel for every section, a bar of CPU time for every system.

use std::error::Error;
use std::path::Path;

use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::element::{Rectangle, Text};
use plotters::style::{Color, IntoFont, RGBColor, WHITE};

use crate::meter::Unit;
use crate::report::{Report, Row, readable};
use crate::{systems, workloads};

const COLUMNS: usize = 3;
const PANEL: (u32, u32) = (340, 190);
const HEAD: i32 = 40;
const BAR: i32 = 14;
const LABEL: i32 = 84;
const VALUE: i32 = 70;

const OURS: RGBColor = RGBColor(0xd1, 0x49, 0x2e);
const PEER: RGBColor = RGBColor(0x5b, 0x7d, 0x9c);
const REFERENCE: RGBColor = RGBColor(0xb8, 0xb8, 0xb8);
const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);

/// Writes `WORKLOAD.svg` for every workload that was measured.
pub fn write_all(report: &Report<'_>, folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    for workload in workloads::ALL {
        let panels = panels(report, workload.name);
        if !panels.is_empty() {
            let file = folder.join(format!("{}.svg", workload.name));
            let title = format!("{}: {}", workload.name, workload.about);
            draw(&file, &title, &panels).map_err(|why| format!("{}: {why}", file.display()))?;
        }
    }
    Ok(())
}

/// A section and its bars.
type Panel<'r> = (&'r str, Vec<(&'static str, f64)>);

fn panels<'r>(report: &'r Report<'_>, workload: &str) -> Vec<Panel<'r>> {
    let mut panels: Vec<Panel<'r>> = Vec::new();
    for Row { workload: of, system, metric, value, .. } in &report.rows {
        let (Some(section), Ok((value, Unit::Ns))) = (metric.strip_suffix(".cpu"), value) else { continue };
        if *of != workload || section.ends_with(".zstd") {
            continue;
        }
        match panels.iter_mut().find(|(name, _)| *name == section) {
            Some((_, bars)) => {
                if !bars.iter().any(|(name, _)| name == system) {
                    bars.push((system, *value));
                }
            }
            None => panels.push((section, vec![(system, *value)])),
        }
    }
    panels
}

fn draw(file: &Path, title: &str, panels: &[Panel<'_>]) -> Result<(), Box<dyn Error>> {
    let rows = panels.len().div_ceil(COLUMNS) as u32;
    let size = (PANEL.0 * COLUMNS as u32, HEAD as u32 + PANEL.1 * rows);
    let root = SVGBackend::new(file, size).into_drawing_area();
    root.fill(&WHITE)?;
    let font = |size: i32| ("sans-serif", size).into_font().color(&INK);
    root.draw(&Text::new(format!("{title} (CPU time)"), (12, 12), font(15)))?;
    for (i, (section, bars)) in panels.iter().enumerate() {
        let (column, row) = ((i % COLUMNS) as i32, (i / COLUMNS) as i32);
        let (left, top) = (column * PANEL.0 as i32 + 12, HEAD + row * PANEL.1 as i32);
        root.draw(&Text::new((*section).to_owned(), (left, top), font(13)))?;
        let longest = bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        let room = f64::from(PANEL.0 as i32 - 24 - LABEL - VALUE);
        for (j, (system, value)) in bars.iter().enumerate() {
            let y = top + 20 + j as i32 * (BAR + 3);
            let x = left + LABEL;
            let end = x + ((value / longest * room).round() as i32).max(1);
            let colour = if systems::is_ours(system) {
                OURS
            } else if systems::is_reference(system) {
                REFERENCE
            } else {
                PEER
            };
            let (number, unit) = readable(*value, Unit::Ns);
            root.draw(&Text::new((*system).to_owned(), (left, y + 1), font(11)))?;
            root.draw(&Rectangle::new([(x, y), (end, y + BAR)], colour.filled()))?;
            root.draw(&Text::new(format!("{number} {unit}"), (end + 4, y + 1), font(11)))?;
        }
    }
    root.present()?;
    Ok(())
}
