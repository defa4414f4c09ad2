//! Writing the same place again and again: what stays behind.

use super::{Stop, check};
use crate::meter::Meter;
use crate::system::System;

const TIMES: usize = 1_000_000;

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    let keys = vec!["the key".to_owned()];
    let last = TIMES as i64;
    for (name, times) in [("register_once", 1), ("register", TIMES)] {
        let mut map = system.map(1)?;
        meter.section(name, || {
            for value in last - times as i64..last {
                map.set_in_one(&keys, &[value]);
            }
        });
        meter.bytes(name, [map.save().as_slice()]);
        check(name, &map.entries(), &vec![(keys[0].clone(), last - 1)])?;
    }
    for (name, times) in [("member_once", 1), ("member", TIMES)] {
        let mut set = system.set(1)?;
        meter.section(name, || {
            for _ in 0..times {
                set.add(&keys);
                set.remove(&keys);
            }
        });
        meter.bytes(name, [set.save().as_slice()]);
        check(name, &set.members(), &Vec::new())?;
    }
    Ok(())
}
