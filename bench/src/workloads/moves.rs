//! A list whose elements are moved.

use super::{Stop, Two, both, check, sorted};
use crate::inputs;
use crate::meter::{Meter, Unit};
use crate::system::{Movable, Shift, System};

const ELEMENTS: usize = 10_000;
const MOVES: usize = 10_000;

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    let values: Vec<i64> = (0..ELEMENTS as i64).collect();
    let mut rng = inputs::rng(41);
    let mut place = || inputs::below(&mut rng, ELEMENTS);
    // None to where it stands.
    let random = std::iter::repeat_with(|| (place(), place())).filter(|(from, to)| from != to);
    let shifts: Vec<Shift> = random.take(MOVES).collect();
    each(system, meter, &values, &shifts)?;
    merge(system, meter, &values, &shifts)
}

fn moved(values: &[i64], shifts: &[Shift]) -> Vec<i64> {
    let mut list = values.to_vec();
    for &(from, to) in shifts {
        let value = list.remove(from);
        list.insert(to, value);
    }
    list
}

/// One by one, each with a delta, which a second replica takes in; what that is stored as.
fn each(system: &dyn System, meter: &mut Meter, values: &[i64], shifts: &[Shift]) -> Result<(), Stop> {
    let (mut ann, mut bob) = two(system, values)?;
    let deltas: Vec<Vec<u8>> =
        meter.section("local", || shifts.iter().map(|shift| ann.move_one(*shift)).collect());
    let expected = moved(values, shifts);
    check("local", &ann.read(), &expected)?;
    meter.value("local", "bytes", deltas.iter().map(Vec::len).sum::<usize>() as f64, Unit::Bytes);
    meter.section("apply", || deltas.iter().for_each(|delta| bob.apply(delta)));
    check("apply", &bob.read(), &expected)?;

    let (mut one, _) = two(system, values)?;
    meter.section("local_one_tx", || one.move_in_one(shifts));
    check("local_one_tx", &one.read(), &expected)?;

    let saved = meter.section("save", || ann.save());
    meter.bytes("save", [saved.as_slice()]);
    let mut loaded = system.movable(3)?;
    let read = meter.section("load", || {
        loaded.load(&saved);
        loaded.read()
    });
    check("load", &read, &expected)
}

/// Half by each of two who have not met since. Both directions, through bytes.
fn merge(system: &dyn System, meter: &mut Meter, values: &[i64], shifts: &[Shift]) -> Result<(), Stop> {
    let (mut ann, mut bob) = two(system, values)?;
    let (hers, his) = shifts.split_at(MOVES / 2);
    ann.move_in_one(hers);
    bob.move_in_one(his);
    let messages = meter.section("merge", || both(&mut *ann, &mut *bob))?;
    meter.bytes("merge", messages.iter().map(Vec::as_slice));
    let read = meter.section("read", || ann.read());
    check("merge, second", &bob.read(), &read)?;
    check("merge, each element once", &sorted(read), &values.to_vec())
}

/// Two replicas of the same list.
fn two(system: &dyn System, values: &[i64]) -> Result<Two<dyn Movable>, Stop> {
    let (mut ann, mut bob) = (system.movable(1)?, system.movable(2)?);
    ann.fill(values);
    let version = bob.version();
    bob.apply(&ann.since(&version)?);
    Ok((ann, bob))
}
