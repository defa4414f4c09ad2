//! An add-wins set of strings.

use super::{Stop, check, sorted};
use crate::inputs;
use crate::meter::Meter;
use crate::system::{Set, System};

const MEMBERS: usize = 100_000;
const DIVERGED: usize = 50_000;

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    let members = inputs::members(1, MEMBERS);
    let (third, others) = inputs::every_third(&members);
    let others = sorted(others);

    let mut set = system.set(1)?;
    meter.section("add_remove", || {
        set.add(&members);
        set.remove(&third);
    });
    check("add_remove", &sorted(set.members()), &others)?;

    let saved = meter.section("save", || set.save());
    meter.bytes("save", [saved.as_slice()]);
    drop(set);
    let mut loaded = system.set(2)?;
    meter.section("load", || loaded.load(&saved));
    check("load", &sorted(loaded.members()), &others)?;
    drop(loaded);

    merge(system, meter, &members)
}

/// Both directions, through bytes: what each lacks is encoded, decoded and applied.
fn merge(system: &dyn System, meter: &mut Meter, members: &[String]) -> Result<(), Stop> {
    meter.preparing("merge");
    let news = inputs::members(2, 2 * DIVERGED);
    let (mut ann, mut bob) = (system.set(1)?, system.set(2)?);
    ann.add(members);
    let version = bob.version();
    match ann.since(&version) {
        Ok(all) => bob.apply(&all),
        Err(why) => {
            meter.na("merge", why);
            return Ok(());
        }
    }
    ann.add(&news[..DIVERGED]);
    bob.add(&news[DIVERGED..]);
    let exchange = |ann: &mut dyn Set, bob: &mut dyn Set| -> Result<[Vec<u8>; 4], &'static str> {
        let (of_ann, of_bob) = (ann.version(), bob.version());
        let (to_ann, to_bob) = (bob.since(&of_ann)?, ann.since(&of_bob)?);
        ann.apply(&to_ann);
        bob.apply(&to_bob);
        Ok([of_ann, of_bob, to_ann, to_bob])
    };
    let messages = meter.section("merge", || exchange(&mut *ann, &mut *bob))?;
    meter.bytes("merge", messages.iter().map(Vec::as_slice));
    let all = sorted([members, &news].concat());
    check("merge, first", &sorted(ann.members()), &all)?;
    check("merge, second", &sorted(bob.members()), &all)
}
