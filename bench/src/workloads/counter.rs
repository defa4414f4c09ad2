//! A counter: what an increment costs, and what it costs to take in many replicas.

use super::{Stop, check};
use crate::meter::Meter;
use crate::system::System;

const INCREMENTS: u64 = 1_000_000;
const REPLICAS: u64 = 1_000;
/// Saving and loading a counter is done so often in a section: once would be shorter than the clock's tick.
const REPEATS: usize = 100;

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    let mut counter = system.counter(1)?;
    match meter.section("one_tx", || counter.add_in_one(INCREMENTS)) {
        Ok(()) => check("one_tx", &counter.value(), &(INCREMENTS as i64))?,
        Err(why) => meter.na("one_tx", why),
    }
    drop(counter);

    let mut counter = system.counter(1)?;
    match meter.section("each", || counter.add_each(INCREMENTS)) {
        Ok(()) => check("each", &counter.value(), &(INCREMENTS as i64))?,
        Err(why) => meter.na("each", why),
    }
    drop(counter);

    meter.preparing("replicas");
    let mut target = system.counter(REPLICAS + 1)?;
    let fresh = target.version();
    let mut messages = Vec::new();
    for replica in 1..=REPLICAS {
        let mut counter = system.counter(replica)?;
        counter.add_in_one(1)?;
        match counter.since(&fresh) {
            Ok(message) => messages.push(message),
            Err(why) => {
                meter.na("merge_1000", why);
                return Ok(());
            }
        }
    }
    meter.section("merge_1000", || target.apply_all(&messages));
    check("merge_1000", &target.value(), &(REPLICAS as i64))?;
    meter.bytes("merge_1000", messages.iter().map(Vec::as_slice));

    let saved = meter.section("save_x100", || {
        (1..REPEATS).for_each(|_| drop(std::hint::black_box(target.save())));
        target.save()
    });
    meter.bytes("save_x100", [saved.as_slice()]);
    let mut loaded =
        (0..REPEATS as u64).map(|i| system.counter(REPLICAS + 2 + i)).collect::<Result<Vec<_>, _>>()?;
    meter.section("load_x100", || loaded.iter_mut().for_each(|counter| counter.load(&saved)));
    check("load_x100", &loaded[0].value(), &(REPLICAS as i64))
}
