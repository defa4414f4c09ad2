//! Documents whose names are used as anything, and an application's own.

use tombolo_crdt::{
    AddWinsSet, BoundedCounter, DisableWinsFlag, Doc, EnableWinsFlag, GCounter, GMap, GSet, Kind, List,
    LwwMap, LwwRegister, MaxRegister, MinRegister, MovableList, MvRegister, PnCounter, RemoveWinsSet, Scalar,
    Text, Tree, TwoPhaseSet,
};

use super::subject::name;
use super::{Op, Subject};
use crate::types::Board;

impl Subject for Doc {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        if !op.depth.is_multiple_of(4) {
            let below = Op { depth: op.depth - 1, ..op.clone() };
            return Self::apply(&mut value.map(name(op.under)), &below);
        }
        let at = name(op.name);
        // What is left of both bytes makes one of 16 operations below.
        let inner = Op { what: op.what / 32 + op.depth / 4 % 2 * 8, depth: op.depth / 8, ..op.clone() };
        match op.what % 32 {
            0 => value.clear(),
            1 | 2 => {
                value.remove(at);
            }
            3 => {
                value.remove_kind(at, Kind::ALL[usize::from(op.under) % Kind::ALL.len()]);
            }
            4 => drop(value.map(at)),
            5 | 6 => PnCounter::apply(&mut value.counter(at), &inner),
            7 => GCounter::apply(&mut value.grow_counter(at), &inner),
            8 => EnableWinsFlag::apply(&mut value.flag(at), &inner),
            9 => DisableWinsFlag::apply(&mut value.disable_wins_flag(at), &inner),
            10 | 11 => MvRegister::<Scalar>::apply(&mut value.register(at), &inner),
            12 => LwwRegister::<Scalar>::apply(&mut value.lww(at), &inner),
            13 => MaxRegister::<Scalar>::apply(&mut value.max(at), &inner),
            14 => MinRegister::<Scalar>::apply(&mut value.min(at), &inner),
            15 => AddWinsSet::<Scalar>::apply(&mut value.set(at), &inner),
            16 => GSet::<Scalar>::apply(&mut value.grow_set(at), &inner),
            17 | 18 => RemoveWinsSet::<Scalar>::apply(&mut value.remove_wins_set(at), &inner),
            19 => TwoPhaseSet::<Scalar>::apply(&mut value.two_phase_set(at), &inner),
            20 | 21 => LwwMap::<String, Scalar>::apply(&mut value.lww_map(at), &inner),
            22..=24 => Text::apply(&mut value.text(at), &inner),
            25 | 26 => List::<Scalar>::apply(&mut value.list(at), &inner),
            27 | 28 => MovableList::<Self>::apply(&mut value.movable_list(at), &inner),
            _ => Tree::<Self>::apply(&mut value.tree(at), &inner),
        }
    }

    fn check(value: &Self::State) {
        for (_, entry) in value.iter() {
            entry.map().into_iter().for_each(Self::check);
            entry.text().into_iter().for_each(Text::check);
            entry.list().into_iter().for_each(List::<Scalar>::check);
            entry.movable_list().into_iter().for_each(MovableList::<Self>::check);
            entry.tree().into_iter().for_each(Tree::<Self>::check);
        }
    }

    fn marks(value: &Self::State) -> String {
        let mut marks = String::new();
        for (_, entry) in value.iter() {
            marks.extend(entry.map().map(Self::marks));
            marks.extend(entry.text().map(Text::marks));
            marks.extend(entry.movable_list().map(MovableList::<Self>::marks));
            marks.extend(entry.tree().map(Tree::<Self>::marks));
        }
        marks
    }
}

impl Subject for Board {
    fn apply(value: &mut Self::Mut<'_>, op: &Op) {
        let inner = Op { what: op.what / 16, ..op.clone() };
        let at = name(op.name);
        match op.what % 16 {
            0 => PnCounter::apply(&mut value.visits(), &inner),
            1 => GCounter::apply(&mut value.total(), &inner),
            2 => EnableWinsFlag::apply(&mut value.open(), &inner),
            3 => LwwRegister::<String>::apply(&mut value.title(), &inner),
            4 => value.owner().set(op.value.number().try_into().ok()),
            5 => match op.under % 12 {
                0 => value.shape().choose_circle().radius().set(u32::from(op.name)),
                1 => value.shape().choose_square().field_0().inc(1),
                2 => value.shape().choose_nowhere(),
                3 => value.largest().set(u32::from(op.name)),
                4 => BoundedCounter::apply(&mut value.stock(), &inner),
                5 => value.stocks().at(at).inc(u64::from(op.name)),
                6 => drop(value.stocks().at(at).dec(2)),
                7 => DisableWinsFlag::apply(&mut value.allowed(), &inner),
                8 => value.settings().set(at, u32::try_from(op.value.number()).ok()),
                9 => drop(value.settings().remove(at)),
                _ => value.seen().add(u16::from(op.under)),
            },
            6 | 7 => {
                value.cards().remove(at);
            }
            8 => value.cards().clear(),
            9 | 10 => PnCounter::apply(&mut value.cards().entry(at).votes(), &inner),
            11 | 12 => AddWinsSet::<String>::apply(&mut value.cards().entry(at).labels(), &inner),
            13 => MvRegister::<Scalar>::apply(&mut value.cards().entry(at).note(), &inner),
            14 => {
                let mut cards = value.cards();
                let mut card = cards.by_ref().entry(at);
                match op.under % 16 {
                    8 => DisableWinsFlag::apply(&mut card.locked(), &inner),
                    9 => MinRegister::<Scalar>::apply(&mut card.earliest(), &inner),
                    10 => card.latest().set(at),
                    11 => RemoveWinsSet::<Scalar>::apply(&mut card.members(), &inner),
                    12 => TwoPhaseSet::<Scalar>::apply(&mut card.tickets(), &inner),
                    13 => LwwMap::<String, Scalar>::apply(&mut card.options(), &inner),
                    14 => GMap::<String, PnCounter>::apply(&mut card.tallies(), &inner),
                    15 => card.shape().choose_square().field_0().inc(1),
                    6 | 7 => Text::apply(&mut card.body(), &inner),
                    4 | 5 => List::<Scalar>::apply(&mut card.steps(), &inner),
                    3 => MovableList::<MvRegister<Scalar>>::apply(&mut card.lanes(), &inner),
                    2 => Tree::<MvRegister<Scalar>>::apply(&mut card.outline(), &inner),
                    _ => _ = card.marks().remove(&i32::from(op.depth % 4)),
                }
            }
            _ => {
                let key = i32::from(op.under % 4);
                EnableWinsFlag::apply(&mut value.cards().entry(at).marks().entry(key), &inner);
            }
        }
    }

    fn check(value: &Self::State) {
        BoundedCounter::check(&value.stock);
        assert!(
            value.stocks.iter().all(|(_, stock)| stock.overdraft() == 0),
            "nobody spends what is another's"
        );
        for (_, card) in value.cards.iter() {
            Text::check(&card.body);
            List::<Scalar>::check(&card.steps);
            MovableList::<MvRegister<Scalar>>::check(&card.lanes);
            Tree::<MvRegister<Scalar>>::check(&card.outline);
        }
    }

    fn marks(value: &Self::State) -> String {
        value.cards.iter().map(|(_, card)| Text::marks(&card.body)).collect()
    }
}
