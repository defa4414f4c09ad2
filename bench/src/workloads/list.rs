//! A list of numbers.

use super::{Stop, check};
use crate::inputs;
use crate::meter::{Meter, Unit};
use crate::system::{Insertion, List, System};

const ELEMENTS: usize = 100_000;
const EACH: usize = 10_000;

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    let values = inputs::values(31, ELEMENTS);
    let mut rng = inputs::rng(32);
    let random: Vec<Insertion> =
        values.iter().enumerate().map(|(len, value)| (inputs::below(&mut rng, len + 1), *value)).collect();
    let expected = inserted(&random);
    in_one(system, meter, "random", &random, &expected)?;
    let appends: Vec<Insertion> = values.iter().copied().enumerate().collect();
    in_one(system, meter, "append", &appends, &values)?;
    each(system, meter, &random[..EACH])
}

fn inserted(insertions: &[Insertion]) -> Vec<i64> {
    let mut list = Vec::new();
    insertions.iter().for_each(|(at, value)| list.insert(*at, *value));
    list
}

/// All in one transaction; what that is stored as.
fn in_one(
    system: &dyn System,
    meter: &mut Meter,
    name: &str,
    insertions: &[Insertion],
    expected: &Vec<i64>,
) -> Result<(), Stop> {
    let [read, save, load] = ["read", "save", "load"].map(|what| format!("{name}_{what}"));
    let mut list = system.list(1)?;
    if let Err(why) = meter.section(name, || list.insert_in_one(insertions)) {
        [name, &read, &save, &load].iter().for_each(|section| meter.na(section, why));
        return Ok(());
    }
    check(name, &meter.section(&read, || list.read()), expected)?;
    let saved = meter.section(&save, || list.save());
    meter.bytes(&save, [saved.as_slice()]);
    drop(list);
    let mut loaded = system.list(2)?;
    // With a first reading: some read what they loaded when it is asked for.
    let read = meter.section(&load, || {
        loaded.load(&saved);
        loaded.read()
    });
    check(&load, &read, expected)
}

/// At random places, each with a delta, which a second replica takes in.
fn each(system: &dyn System, meter: &mut Meter, insertions: &[Insertion]) -> Result<(), Stop> {
    let (mut ann, mut bob): (Box<dyn List>, Box<dyn List>) = (system.list(1)?, system.list(2)?);
    let deltas: Vec<Vec<u8>> =
        meter.section("each", || insertions.iter().map(|insertion| ann.insert(*insertion)).collect());
    let expected = inserted(insertions);
    check("each", &ann.read(), &expected)?;
    let bytes = deltas.iter().map(Vec::len).sum::<usize>() as f64;
    meter.value("each", "bytes", bytes, Unit::Bytes);
    if let Err(why) = bob.takes_in(deltas.len()) {
        meter.na("apply", why);
        return Ok(());
    }
    meter.section("apply", || deltas.iter().for_each(|delta| bob.apply(delta)));
    check("apply", &bob.read(), &expected)
}
