//! Records of fields: as a derived struct, as a dynamic document, and as what the others have for it.

use super::{Stop, check};
use crate::inputs;
use crate::meter::Meter;
use crate::system::System;

const RECORDS: usize = 10_000;
const EDITS: usize = 10_000;

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    let flat = inputs::values(21, RECORDS * 10);
    let mut values: Vec<[i64; 10]> =
        flat.chunks_exact(10).map(|chunk| chunk.try_into().expect("chunks of ten")).collect();

    let mut ann = system.records(1)?;
    meter.section("create", || ann.create(&values));
    let saved = meter.section("save", || ann.save());
    meter.bytes("save", [saved.as_slice()]);
    let mut loaded = system.records(3)?;
    meter.section("load", || loaded.load(&saved));
    same(&mut *loaded, "load", &values)?;
    drop(loaded);

    meter.preparing("second replica");
    let mut bob = system.records(2)?;
    let version = bob.version();
    let all = ann.since(&version)?;
    bob.apply(&all);

    let mut rng = inputs::rng(22);
    let edits: Vec<(usize, usize, i64)> = inputs::values(23, EDITS)
        .into_iter()
        .map(|value| (inputs::below(&mut rng, RECORDS), inputs::below(&mut rng, 10), value))
        .collect();
    let deltas: Vec<Vec<u8>> = meter.section("edit", || {
        edits.iter().map(|&(record, field, value)| ann.edit(record, field, value)).collect()
    });
    meter.bytes("edit", deltas.iter().map(Vec::as_slice));
    meter.section("apply", || bob.apply_all(&deltas));
    for &(record, field, value) in &edits {
        values[record][field] = value;
    }
    same(&mut *ann, "edit", &values)?;
    same(&mut *bob, "apply", &values)
}

fn same(records: &mut dyn crate::system::Records, what: &str, values: &[[i64; 10]]) -> Result<(), Stop> {
    values.iter().enumerate().try_for_each(|(i, values)| check(what, &records.record(i), values))
}
