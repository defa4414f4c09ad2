//! How costs grow with n. The sizes are powers of two times [`BASE`], so that ratios can be read off.

use super::{Stop, check};
use crate::inputs;
use crate::meter::Meter;
use crate::system::System;

/// The smallest size.
pub const BASE: usize = 12_500;
/// The sizes, as multiples of the smallest.
pub const TIMES: [usize; 4] = [1, 2, 4, 8];
const UPDATES: usize = 1_000;

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
