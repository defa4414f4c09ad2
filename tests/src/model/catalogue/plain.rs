//! Counters, flags, registers and sets.

use std::collections::BTreeSet;

use tombolo_crdt::{
    AddWinsSet, BoundedCounter, DisableWinsFlag, EnableWinsFlag, GCounter, GSet, LwwRegister, MaxRegister,
    MinRegister, MvRegister, PnCounter, RemoveWinsSet, ReplicaId, TwoPhaseSet,
};

use super::super::definitions::{
    Deed, added, agreed, counted, escrowed, latest, never_banned, offered, values,
};
use super::super::scopes::Scope;
use super::{ELEMENTS, Named, On, add, at, no_names, nothing_alike};

const SWITCH: &[bool] = &[true, false];

#[derive(Debug, Clone, Copy)]
enum Escrow {
    Add(u64),
    Take(u64),
    Pass(u64, u8),
}

fn receiver(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([[0x20, 0x90][usize::from(number)]; 16])
}

pub(super) fn add_to(all: &mut Vec<Named>) {
    add(
        all,
        Scope::<GCounter, u64> {
            name: "GCounter",
            sweeps: 1,
            operations: &[1, 2],
            element: nothing_alike,
            apply: |counter, by| counter.inc(*by),
            deed: |by, _| Deed::Count(at(&[]), *by as i64),
            names: no_names,
            check: |history, visible, counter| {
                let sum = counted(history, visible).remove(&at(&[])).unwrap_or(0);
                assert_eq!(counter.value(), sum as u64);
            },
        },
    );
    add(
        all,
        Scope::<PnCounter, i64> {
            name: "PnCounter",
            sweeps: 1,
            operations: &[1, -2],
            element: nothing_alike,
            apply: |counter, by| counter.add(*by),
            deed: |by, _| Deed::Count(at(&[]), *by),
            names: no_names,
            check: |history, visible, counter| {
                assert_eq!(counter.value(), counted(history, visible).remove(&at(&[])).unwrap_or(0));
            },
        },
    );
    add(
        all,
        Scope::<BoundedCounter, Escrow> {
            name: "BoundedCounter",
            sweeps: 1,
            operations: &[Escrow::Add(2), Escrow::Take(1), Escrow::Pass(1, 0), Escrow::Pass(1, 1)],
            element: nothing_alike,
            apply: |counter, op| match *op {
                Escrow::Add(by) => counter.inc(by),
                Escrow::Take(by) => drop(counter.dec(by)),
                Escrow::Pass(by, to) => drop(counter.transfer(by, receiver(to))),
            },
            deed: |op, _| match *op {
                Escrow::Add(by) => Deed::Count(at(&[]), by as i64),
                Escrow::Take(by) => Deed::Take(by),
                Escrow::Pass(by, to) => Deed::Pass(by, receiver(to)),
            },
            names: no_names,
            check: |history, visible, counter| {
                assert_eq!(counter.value(), escrowed(history, visible));
                assert!(counter.value() >= 0);
            },
        },
    );
    add(
        all,
        Scope::<EnableWinsFlag, bool> {
            name: "EnableWinsFlag",
            sweeps: 1,
            operations: SWITCH,
            element: nothing_alike,
            apply: |flag, on| if *on { flag.enable() } else { flag.disable() },
            deed: |on, _| if *on { Deed::Add(at(&[])) } else { Deed::Remove(at(&[])) },
            names: no_names,
            check: |history, visible, flag| assert_eq!(flag.value(), !added(history, visible).is_empty()),
        },
    );
    add(
        all,
        Scope::<DisableWinsFlag, bool> {
            name: "DisableWinsFlag",
            sweeps: 1,
            operations: SWITCH,
            element: nothing_alike,
            apply: |flag, on| if *on { flag.enable() } else { flag.disable() },
            deed: |on, _| if *on { Deed::Add(at(&[])) } else { Deed::Ban(at(&[])) },
            names: no_names,
            check: |history, visible, flag| assert_eq!(flag.value(), !agreed(history, visible).is_empty()),
        },
    );
    add(
        all,
        Scope::<LwwRegister<u8>, Option<u8>> {
            name: "LwwRegister",
            sweeps: 1,
            operations: &[Some(0), Some(1), None],
            element: |op| op.unwrap_or(0),
            apply: |register, op| match op {
                Some(value) => register.set(*value),
                None => register.clear(),
            },
            deed: |op, author| match op {
                Some(value) => Deed::Stamp(at(&[]), author.stamp().unwrap(), value.to_string()),
                None => Deed::Remove(at(&[])),
            },
            names: no_names,
            check: |history, visible, register| {
                let read = register.value().map(|value| (register.stamp().unwrap(), value.to_string()));
                assert_eq!(read, latest(history, visible).remove(&at(&[])));
            },
        },
    );
    add(
        all,
        Scope::<MvRegister<u8>, Option<u8>> {
            name: "MvRegister",
            sweeps: 1,
            operations: &[Some(0), Some(1), None],
            element: |op| op.unwrap_or(0),
            apply: |register, op| match op {
                Some(value) => register.set(*value),
                None => register.clear(),
            },
            deed: |op, _| match op {
                Some(value) => Deed::Set(at(&[]), value.to_string()),
                None => Deed::Remove(at(&[])),
            },
            names: no_names,
            check: |history, visible, register| {
                let mut read: Vec<_> = register.values().map(u8::to_string).collect();
                read.sort_unstable();
                assert_eq!(read, values(history, visible).remove(&at(&[])).unwrap_or_default());
            },
        },
    );
    add(
        all,
        Scope::<MaxRegister<u8>, u8> {
            name: "MaxRegister",
            sweeps: 1,
            operations: &[1, 2, 3],
            element: nothing_alike,
            apply: |register, value| register.set(*value),
            deed: |value, _| Deed::Offer(at(&[]), (*value).into()),
            names: no_names,
            check: |history, visible, register| {
                let offered = offered(history, visible).remove(&at(&[])).unwrap_or_default();
                assert_eq!(register.value().map(|value| i64::from(*value)), offered.last().copied());
            },
        },
    );
    add(
        all,
        Scope::<MinRegister<u8>, u8> {
            name: "MinRegister",
            sweeps: 1,
            operations: &[1, 2, 3],
            element: nothing_alike,
            apply: |register, value| register.set(*value),
            deed: |value, _| Deed::Offer(at(&[]), (*value).into()),
            names: no_names,
            check: |history, visible, register| {
                let offered = offered(history, visible).remove(&at(&[])).unwrap_or_default();
                assert_eq!(register.value().map(|value| i64::from(*value)), offered.first().copied());
            },
        },
    );
    add(
        all,
        Scope::<GSet<u8>, u8> {
            name: "GSet",
            sweeps: 1,
            operations: &[0, 1],
            element: |element| *element,
            apply: |set, element| set.add(*element),
            deed: |element, _| Deed::Add(at(&[*element])),
            names: no_names,
            check: |history, visible, set| {
                let read: BTreeSet<_> = set.iter().map(|element| at(&[*element])).collect();
                assert_eq!(read, added(history, visible));
            },
        },
    );
    add(
        all,
        Scope::<TwoPhaseSet<u8>, On> {
            name: "TwoPhaseSet",
            sweeps: 1,
            operations: ELEMENTS,
            element: |(element, _)| *element,
            apply: |set, (element, on)| {
                if *on {
                    set.add(*element);
                } else {
                    set.remove(element);
                }
            },
            deed: |(element, on), _| {
                if *on { Deed::Add(at(&[*element])) } else { Deed::Ban(at(&[*element])) }
            },
            names: no_names,
            check: |history, visible, set| {
                let read: BTreeSet<_> = set.iter().map(|element| at(&[*element])).collect();
                assert_eq!(read, never_banned(history, visible));
            },
        },
    );
    add(
        all,
        Scope::<AddWinsSet<u8>, On> {
            name: "AddWinsSet",
            sweeps: 1,
            operations: ELEMENTS,
            element: |(element, _)| *element,
            apply: |set, (element, on)| {
                if *on {
                    set.add(*element);
                } else {
                    set.remove(element);
                }
            },
            deed: |(element, on), _| {
                if *on { Deed::Add(at(&[*element])) } else { Deed::Remove(at(&[*element])) }
            },
            names: no_names,
            check: |history, visible, set| {
                let read: BTreeSet<_> = set.iter().map(|element| at(&[*element])).collect();
                assert_eq!(read, added(history, visible));
            },
        },
    );
    add(
        all,
        Scope::<RemoveWinsSet<u8>, On> {
            name: "RemoveWinsSet",
            sweeps: 1,
            operations: ELEMENTS,
            element: |(element, _)| *element,
            apply: |set, (element, on)| {
                if *on {
                    set.add(*element);
                } else {
                    set.remove(*element);
                }
            },
            deed: |(element, on), _| {
                if *on { Deed::Add(at(&[*element])) } else { Deed::Ban(at(&[*element])) }
            },
            names: no_names,
            check: |history, visible, set| {
                let read: BTreeSet<_> = set.iter().map(|element| at(&[*element])).collect();
                assert_eq!(read, agreed(history, visible));
            },
        },
    );
}
