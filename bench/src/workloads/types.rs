//! The rest of the catalogue: each type beside the nearest that the others have.

use super::{Stop, check};
use crate::inputs;
use crate::meter::Meter;
use crate::system::{System, Type};

/// How many writes in one transaction.
const IN_ONE: usize = 100_000;
/// How many with a delta each, which a second replica takes in one by one.
const EACH: usize = 10_000;

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    let keys = inputs::keys(0, IN_ONE);
    for of in Type::ALL {
        let name = of.name();
        let mut typed = match system.typed(of, 1) {
            Ok(typed) => typed,
            Err(why) => {
                meter.na(name, why);
                continue;
            }
        };
        let in_one = format!("{name}_one_tx");
        if let Err(why) = meter.section(&in_one, || typed.write_in_one(&keys)) {
            meter.na(&in_one, why);
            continue;
        }
        check(name, &typed.size(), &of.size_after(IN_ONE))?;
        let saved = meter.section(&format!("{name}_save"), || typed.save());
        meter.bytes(&format!("{name}_save"), [saved.as_slice()]);
        let mut loaded = system.typed(of, 2)?;
        meter.section(&format!("{name}_load"), || loaded.load(&saved));
        check(name, &loaded.size(), &of.size_after(IN_ONE))?;

        let (mut ann, mut bob) = (system.typed(of, 1)?, system.typed(of, 2)?);
        let each = format!("{name}_each");
        // Of the others these sections are in the workloads of their own types.
        if let Ok(deltas) = meter.section(&each, || ann.write_each(&keys[..EACH])) {
            meter.bytes(&each, deltas.iter().map(Vec::as_slice));
            meter.section(&format!("{name}_apply"), || bob.apply_all(&deltas));
            check(name, &bob.size(), &of.size_after(EACH))?;
        }
    }
    Ok(())
}
