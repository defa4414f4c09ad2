//! Counters, flags, registers, sets and maps.

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, BoundedCounter, DisableWinsFlag, EnableWinsFlag, GCounter, GMap, GSet, LwwMap,
    LwwRegister, MaxRegister, MinRegister, MvRegister, PnCounter, RemoveWinsSet, Scalar, TwoPhaseSet,
};

use super::subject::name;
use super::{Op, REPLICAS, Subject, id};

impl Subject for PnCounter {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        value.add(op.value.number());
    }
}

impl Subject for GCounter {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        value.inc(op.value.number().unsigned_abs());
    }
}

impl Subject for EnableWinsFlag {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if op.what.is_multiple_of(2) { value.enable() } else { value.disable() }
    }
}

impl Subject for LwwRegister<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if op.what.is_multiple_of(8) { value.clear() } else { value.set(&op.value) }
    }
}

impl Subject for LwwRegister<String> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if op.what.is_multiple_of(8) { value.clear() } else { value.set(name(op.name)) }
    }
}

impl Subject for MvRegister<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if op.what.is_multiple_of(8) { value.clear() } else { value.set(&op.value) }
    }
}

impl Subject for AddWinsSet<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let element = Scalar::from(&op.value);
        match op.what % 8 {
            0 => value.clear(),
            1..=3 => {
                value.remove(&element);
            }
            _ => value.add(element),
        }
    }
}

impl Subject for AddWinsSet<String> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        match op.what % 8 {
            0 => value.clear(),
            1..=3 => {
                value.remove(name(op.under));
            }
            _ => value.add(name(op.under)),
        }
    }
}

impl Subject for GSet<String> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        value.add(name(op.name));
    }
}

impl Subject for GSet<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        value.add(&op.value);
    }
}

impl Subject for AddWinsMap<String, PnCounter> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        match op.what % 8 {
            0 => value.clear(),
            1 | 2 => {
                value.remove(name(op.name));
            }
            3 => drop(value.at(name(op.name))),
            _ => value.at(name(op.name)).add(op.value.number()),
        }
    }
}

impl Subject for AddWinsMap<String, AddWinsMap<u8, AddWinsSet<String>>> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        match op.what / 8 % 8 {
            0 => value.clear(),
            1 => {
                value.remove(name(op.name));
            }
            2 => {
                value.at(name(op.name)).remove(&(op.under % 3));
            }
            _ => AddWinsSet::<String>::apply(&mut value.at(name(op.name)).at(op.under % 3), op),
        }
    }
}

impl Subject for DisableWinsFlag {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if op.what.is_multiple_of(2) { value.enable() } else { value.disable() }
    }
}

impl Subject for MaxRegister<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        value.set(&op.value);
    }
}

impl Subject for MinRegister<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        value.set(&op.value);
    }
}

impl Subject for RemoveWinsSet<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        match op.what % 8 {
            0 => value.clear(),
            1..=3 => {
                value.remove(&op.value);
            }
            _ => value.add(&op.value),
        }
    }
}

impl Subject for TwoPhaseSet<Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if op.what % 8 < 3 {
            value.remove(&Scalar::from(&op.value));
        } else {
            value.add(&op.value);
        }
    }
}

impl Subject for GMap<String, PnCounter> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        match op.what % 8 {
            0 => drop(value.at(name(op.name))),
            _ => value.at(name(op.name)).add(op.value.number()),
        }
    }
}

impl Subject for LwwMap<String, Scalar> {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        match op.what % 8 {
            0 => value.clear(),
            1..=3 => {
                value.remove(name(op.under));
            }
            _ => value.set(name(op.under), &op.value),
        }
    }
}

impl Subject for BoundedCounter {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let by = op.value.number().unsigned_abs();
        match op.what % 8 {
            0..=2 => value.inc(by),
            3..=5 => drop(value.dec(by)),
            _ => drop(value.transfer(by, id(usize::from(op.under) % (REPLICAS + 1)))),
        }
    }

    fn check(value: &Self::State) {
        assert_eq!(value.overdraft(), 0, "nobody spends what is another's");
    }
}
