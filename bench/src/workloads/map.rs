//! A map from strings to registers.

use super::{Stop, check, sorted};
use crate::inputs;
use crate::meter::Meter;
use crate::system::{Map, System, ordered_sum};

const KEYS: usize = 100_000;

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    let (keys, values) = (inputs::keys(0, KEYS), inputs::values(11, KEYS));
    let entries =
        |values: &[i64]| sorted(keys.iter().cloned().zip(values.iter().copied()).collect::<Vec<_>>());

    each(system, meter, &keys, &values)?;

    let mut map = system.map(1)?;
    meter.section("set", || map.set_in_one(&keys, &values));
    check("set", &sorted(map.entries()), &entries(&values))?;

    let in_any_order = inputs::shuffled(12, &keys);
    let sum = meter.section("get", || map.get_all(&in_any_order));
    check("get", &sum, &values.iter().fold(0i64, |sum, value| sum.wrapping_add(*value)))?;
    let sum = meter.section("iterate", || map.in_order());
    check("iterate", &sum, &ordered_sum(entries(&values).into_iter().map(|(_, value)| value)))?;

    let newer = inputs::values(13, KEYS);
    meter.section("overwrite", || map.set_in_one(&keys, &newer));
    check("overwrite", &sorted(map.entries()), &entries(&newer))?;

    let saved = meter.section("save", || map.save());
    meter.bytes("save", [saved.as_slice()]);
    drop(map);
    let mut loaded = system.map(2)?;
    meter.section("load", || loaded.load(&saved));
    check("load", &sorted(loaded.entries()), &entries(&newer))?;
    drop(loaded);

    merge(system, meter, &keys, &values)
}

/// Every key a transaction of its own.
fn each(system: &dyn System, meter: &mut Meter, keys: &[String], values: &[i64]) -> Result<(), Stop> {
    let mut map = system.map(1)?;
    match meter.section("set_each", || map.set_each(keys, values)) {
        Ok(()) => check("set_each", &map.entries().len(), &keys.len()),
        Err(why) => {
            meter.na("set_each", why);
            Ok(())
        }
    }
}

/// Both directions, through bytes: what each lacks is encoded, decoded and applied.
fn merge(system: &dyn System, meter: &mut Meter, keys: &[String], values: &[i64]) -> Result<(), Stop> {
    meter.preparing("merge");
    let newer = inputs::values(14, KEYS);
    let half = KEYS / 2;
    let (mut ann, mut bob) = (system.map(1)?, system.map(2)?);
    ann.set_in_one(keys, values);
    let version = bob.version();
    match ann.since(&version) {
        Ok(all) => bob.apply(&all),
        Err(why) => {
            meter.na("merge", why);
            return Ok(());
        }
    }
    ann.set_in_one(&keys[..half], &newer[..half]);
    bob.set_in_one(&keys[half..], &newer[half..]);
    let exchange = |ann: &mut dyn Map, bob: &mut dyn Map| -> Result<[Vec<u8>; 4], &'static str> {
        let (of_ann, of_bob) = (ann.version(), bob.version());
        let (to_ann, to_bob) = (bob.since(&of_ann)?, ann.since(&of_bob)?);
        ann.apply(&to_ann);
        bob.apply(&to_bob);
        Ok([of_ann, of_bob, to_ann, to_bob])
    };
    let messages = meter.section("merge", || exchange(&mut *ann, &mut *bob))?;
    meter.bytes("merge", messages.iter().map(Vec::as_slice));
    let all = sorted(keys.iter().cloned().zip(newer).collect());
    check("merge, first", &sorted(ann.entries()), &all)?;
    check("merge, second", &sorted(bob.entries()), &all)
}
