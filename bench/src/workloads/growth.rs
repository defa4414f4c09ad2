//! How costs grow with n. The sizes are powers of two times [`BASE`], so that ratios can be read off.

use std::hint::black_box;

use super::{Stop, check};
use crate::meter::Meter;
use crate::system::{Edit, System};
use crate::{inputs, traces};

/// The smallest size.
pub const BASE: usize = 12_500;
/// The sizes, as multiples of the smallest.
pub const TIMES: [usize; 4] = [1, 2, 4, 8];
const UPDATES: usize = 1_000;
/// A hundred letters.
const LINE: &str =
    "Of a line of a hundred letters nobody reads more than what is at its start, and here that is this. \n";

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    let (members, keys) = (inputs::members(41, 8 * BASE), inputs::keys(0, 8 * BASE));
    let values = inputs::values(42, 8 * BASE);
    for times in TIMES {
        let n = times * BASE;
        let mut set = system.set(1)?;
        meter.section(&format!("set_{times}n"), || set.add(&members[..n]));
        meter.bytes(&format!("set_{times}n"), [set.save().as_slice()]);
        check("set", &set.members().len(), &n)?;
        drop(set);

        let mut map = system.map(1)?;
        meter.section(&format!("map_{times}n"), || map.set_in_one(&keys[..n], &values[..n]));
        meter.bytes(&format!("map_{times}n"), [map.save().as_slice()]);
        check("map", &map.entries().len(), &n)?;

        let some = &inputs::shuffled(43, &keys[..n])[..UPDATES];
        let name = format!("update_{times}n");
        if let Err(why) = meter.section(&name, || map.set_each(some, &values[..UPDATES])) {
            meter.na(&name, why);
        }
        delta(system, meter, times, &keys, &values)?;
    }
    text(system, meter)
}

/// A text of n edits; then edits all over one of 100 kB and one of 10 MB, each with a delta.
fn text(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    meter.preparing("text");
    if let Err(why) = system.text(1) {
        meter.na("text", why);
        return Ok(());
    }
    let trace = traces::made_up_alone(8 * BASE);
    for times in TIMES {
        let (name, mut text) = (format!("text_{times}n"), system.text(1)?);
        let edits = &trace.edits[..times * BASE];
        if let Err(why) = meter.section(&name, || text.write_in_one(edits)) {
            meter.na(&name, why);
            continue;
        }
        meter.bytes(&name, [text.save().as_slice()]);
        if times == TIMES[3] {
            check("text", &text.read(), &trace.end)?;
        }
    }
    for (name, lines) in [("text_edit_100kb", 1_000), ("text_edit_10mb", 100_000)] {
        let mut text = system.text(1)?;
        meter.preparing("lines");
        if let Err(why) = text.write_in_one(&all_over(0, lines, LINE)) {
            meter.na(name, why);
            continue;
        }
        let edits = all_over(lines * LINE.len(), UPDATES, "x");
        meter.section(name, || edits.iter().for_each(|edit| drop(black_box(text.write(edit)))));
        check(name, &text.read().len(), &(lines * LINE.len() + UPDATES))?;
    }
    Ok(())
}

/// Ten new keys, a hundred times: asked for, encoded, decoded and applied.
fn delta(
    system: &dyn System,
    meter: &mut Meter,
    times: usize,
    keys: &[String],
    values: &[i64],
) -> Result<(), Stop> {
    let (n, name) = (times * BASE, format!("delta_{times}n"));
    let (mut ann, mut bob) = (system.map(1)?, system.map(2)?);
    ann.set_in_one(&keys[..n], &values[..n]);
    let version = bob.version();
    match ann.since(&version) {
        Ok(all) => bob.apply(&all),
        Err(why) => {
            meter.na(&name, why);
            return Ok(());
        }
    }
    let news = inputs::keys(8 * BASE, UPDATES);
    let sent = meter.section(&name, || -> Result<Vec<Vec<u8>>, &'static str> {
        let mut sent = Vec::new();
        for ten in news.chunks(10) {
            ann.set_in_one(ten, &values[..ten.len()]);
            let version = bob.version();
            let delta = ann.since(&version)?;
            bob.apply(&delta);
            sent.push(delta);
        }
        Ok(sent)
    })?;
    meter.bytes(&name, sent.iter().map(Vec::as_slice));
    check("delta", &bob.entries().len(), &(n + UPDATES))
}

/// Insertions at random places of a text that has so many letters before them.
fn all_over(len: usize, times: usize, insert: &str) -> Vec<Edit> {
    let mut rng = inputs::rng(44);
    let edit = |nth| {
        let at = inputs::below(&mut rng, len + nth * insert.len() + 1);
        Edit { at, delete: 0, insert: insert.to_owned() }
    };
    (0..times).map(edit).collect()
}
