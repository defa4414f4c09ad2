//! The engine beside a plain tree written from the paper, under random concurrent executions.

mod plain;
mod world;

use proptest::collection::vec;
use proptest::prelude::*;

use super::piece::after;
use super::{Origin, START, Sequence, Side, Unit, Width};
use crate::causal::{LocalDot, ReplicaId};
use crate::tests::cases;
use plain::Plain;
use world::{Action, World, actions};

fn read(sequence: &Sequence) -> String {
    sequence.pieces().collect()
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn every_execution_reads_as_the_plain_tree_says(actions in vec(actions(3), 1..60)) {
        let mut world = World::new(3);
        for action in &actions {
            world.act(action);
        }
        world.deliver_all();
        world.assert_level();
    }

    #[test]
    fn what_is_read_from_a_state_is_the_same_and_goes_on(actions in vec(actions(3), 1..40), more in vec(actions(3), 1..25)) {
        let mut world = World::new(3);
        for action in &actions {
            world.act(action);
        }
        world.deliver_all();
        world.reload(0, false);
        world.reload(1, true);
        world.assert_found();
        for action in &more {
            world.act(action);
        }
        world.deliver_all();
        world.assert_level();
    }

    #[test]
    fn positions_are_those_of_the_text(actions in vec(actions(1), 1..40)) {
        let mut world = World::new(1);
        for action in &actions {
            world.act(action);
        }
        let sequence = world.sequence(0);
        let text = read(sequence);
        let (mut utf16, mut bytes) = (0, 0);
        for (at, scalar) in text.chars().enumerate() {
            let before = Width { scalars: at, utf16, bytes };
            prop_assert_eq!(sequence.width_before(at), before);
            prop_assert_eq!(sequence.scalars_before(utf16, Unit::Utf16), Some(at));
            prop_assert_eq!(sequence.scalars_before(bytes, Unit::Byte), Some(at));
            if scalar.len_utf16() > 1 {
                prop_assert_eq!(sequence.scalars_before(utf16 + 1, Unit::Utf16), None);
            }
            if scalar.len_utf8() > 1 {
                prop_assert_eq!(sequence.scalars_before(bytes + 1, Unit::Byte), None);
            }
            utf16 += scalar.len_utf16();
            bytes += scalar.len_utf8();
        }
        let all = Width { scalars: text.chars().count(), utf16, bytes };
        prop_assert_eq!(sequence.width(), all);
        prop_assert_eq!(sequence.scalars_before(bytes + 1, Unit::Byte), None);
        for from in 0..=all.scalars {
            for to in [from, from + 1, from + 7, all.scalars] {
                if to <= all.scalars && from <= to {
                    let expected: String = text.chars().skip(from).take(to - from).collect();
                    prop_assert_eq!(sequence.slice(from, to).collect::<String>(), expected);
                }
            }
        }
    }

    #[test]
    fn what_two_type_at_one_place_is_not_mixed(
        before in "[a-z]{0,6}",
        at in 0..7_usize,
        ways in vec(any::<bool>(), 3),
        lens in vec(1..9_usize, 3),
    ) {
        let mut world = World::new(3);
        world.act(&Action::Insert { by: 0, at: 0, text: before.clone() });
        world.deliver_all();
        let at = at.min(before.len());
        for by in 0..3 {
            for nth in 0..lens[by] {
                let text = char::from(b"ABC"[by]).to_string();
                let at = if ways[by] { at + nth } else { at };
                world.act(&Action::InsertAt { by, at, text });
            }
        }
        world.deliver_all();
        world.assert_level();
        let text = read(world.sequence(0));
        for (by, &len) in lens.iter().enumerate() {
            let run = char::from(b"ABC"[by]).to_string().repeat(len);
            prop_assert!(text.contains(&run), "{} is not whole in {}", run, text);
        }
    }

    /// Each letter says whose it is and as which it was typed. Each types at both ends of what it has there and within it, and corrects itself; before they begin
    /// some delete what another wrote around the place, and in the end so does anybody. Not at first who wrote it: it would go on behind its own deleted end,
    /// and what it then types before that stands before what others put there.
    #[test]
    fn what_several_type_and_correct_at_one_place_is_whole_letter_by_letter(
        before in "[a-z]{0,6}",
        at in 0..7_usize,
        first in vec((1..3_usize, 0..3_usize, 0..3_usize), 0..3),
        steps in vec((0..3_usize, 0..8_u8, any::<usize>()), 1..40),
        last in vec((0..3_usize, 0..9_usize, 1..4_usize), 0..3),
    ) {
        let mut world = World::new(3);
        world.act(&Action::Insert { by: 0, at: 0, text: before.clone() });
        world.deliver_all();
        // Where the place is for each of them, and what it has there.
        let mut places = [at.min(before.len()); 3];
        let mut own = [const { Vec::<char>::new() }; 3];
        for (by, left, right) in first {
            let (left, len) = (left.min(places[by]), world.sequence(by).width().scalars);
            places[by] -= left;
            let count = (left + right).min(len - places[by]);
            world.act(&Action::DeleteAt { by, at: places[by], count });
        }
        for (nth, (by, what, within)) in steps.into_iter().enumerate() {
            let (place, own) = (places[by], &mut own[by]);
            let within = match what {
                0..=2 => own.len(),
                3..=4 => 0,
                _ => within % (own.len() + 1),
            };
            if what >= 6 && within < own.len() {
                own.remove(within);
                world.act(&Action::DeleteAt { by, at: place + within, count: 1 });
            } else {
                let letter = char::from_u32(0x4e00 + (by as u32) * 0x400 + nth as u32).unwrap();
                own.insert(within, letter);
                world.act(&Action::InsertAt { by, at: place + within, text: letter.to_string() });
            }
        }
        // Of what was there, not of what they typed.
        for (by, at, count) in last {
            let text = read(world.sequence(by));
            let there = text.chars().skip(at).take(count).take_while(char::is_ascii).count();
            world.act(&Action::DeleteAt { by, at, count: there });
        }
        world.deliver_all();
        world.assert_level();
        let text = read(world.sequence(0));
        let typed: usize = own.iter().map(Vec::len).sum();
        for own in own {
            let own: String = own.into_iter().collect();
            prop_assert!(text.contains(&own), "{} is not whole in {}", own, text);
        }
        prop_assert_eq!(text.chars().filter(|letter| !letter.is_ascii()).count(), typed);
    }

    #[test]
    fn what_is_undone_leaves_no_trace(actions in vec(actions(2), 1..30), undone in vec(actions(2), 1..10)) {
        let mut world = World::new(2);
        for action in &actions {
            world.act(action);
        }
        for action in &undone {
            world.try_and_undo(action);
            world.act(action);
        }
        world.deliver_all();
        world.assert_level();
    }

    #[test]
    fn whatever_is_said_of_runs_is_one_order(
        runs in vec((0..3_u32, 1..12_u64, 0..3_u32, 0..14_u64, any::<bool>()), 0..14),
        live in vec((0..3_u32, 1..14_u64), 0..14),
    ) {
        let (one, other) = (plain::hostile(&runs, &live, false), plain::hostile(&runs, &live, true));
        prop_assert_eq!(one, other);
    }
}

#[test]
fn a_long_text_is_found_its_way_in_by_any_unit() {
    let text: String = (0..40_000_u32).map(|n| if n % 7 == 0 { '\u{1f426}' } else { 'ж' }).collect();
    let mut world = World::new(2);
    world.act(&Action::InsertAt { by: 0, at: 0, text: text.clone() });
    world.act(&Action::InsertAt { by: 0, at: 20_000, text: "x".repeat(200_000) });
    world.act(&Action::DeleteAt { by: 0, at: 19_000, count: 2_000 });
    world.deliver_all();
    world.assert_level();
    let sequence = world.sequence(1);
    let read = read(sequence);
    for at in (0..read.chars().count()).step_by(7_919) {
        let before: String = read.chars().take(at).collect();
        let width = Width { scalars: at, utf16: before.encode_utf16().count(), bytes: before.len() };
        assert_eq!(sequence.width_before(at), width);
        assert_eq!(sequence.scalars_before(width.utf16, Unit::Utf16), Some(at));
        assert_eq!(sequence.scalars_before(width.bytes, Unit::Byte), Some(at));
    }
}

#[test]
fn corrections_belong_to_the_run_that_was_being_typed() {
    let mut world = World::new(1);
    world.act(&Action::InsertAt { by: 0, at: 0, text: "hello".into() });
    for _ in 0..100 {
        let end = world.sequence(0).width().scalars;
        world.act(&Action::InsertAt { by: 0, at: end, text: "x".into() });
        world.act(&Action::DeleteAt { by: 0, at: end, count: 1 });
        world.act(&Action::InsertAt { by: 0, at: end, text: "y".into() });
    }
    assert_eq!(world.sequence(0).runs().count(), 1);
}

/// Two runs hang on one another, so both stand at the start; once one of them is gone, the other hangs on it as it was said to.
#[test]
fn what_hung_on_itself_hangs_where_it_was_said_to_once_it_no_longer_does() {
    let mut sequence = Sequence::<str>::default();
    let rows = [1, 2, 3].map(|number| sequence.row(ReplicaId::from_bytes([number; 16])));
    let behind = |row, counter| Origin { parent: LocalDot::new(row, counter), side: Side::Right };
    let [low, middle, high] = rows;
    sequence.add_run(LocalDot::new(low, 1), behind(high, 2));
    sequence.add_run(LocalDot::new(high, 1), behind(low, 2));
    sequence.add_run(LocalDot::new(middle, 1), Origin { parent: START, side: Side::Right });
    sequence.add(LocalDot::new(high, 2), "b");
    sequence.add(LocalDot::new(middle, 2), "m");
    sequence.settle();
    assert_eq!(read(&sequence), "mb");
    sequence.remove_runs(&[LocalDot::new(low, 1)]);
    sequence.settle();
    let mut anew = sequence.clone();
    anew.is_stale = true;
    anew.settle();
    assert_eq!((read(&sequence), read(&anew)), ("bm".into(), "bm".into()));
}

/// Whether one after the other or all at once: few are taken out of their list one by one, of many the list is made anew.
#[test]
fn many_runs_are_forgotten_as_one_after_the_other_is() {
    let mut all = Sequence::<str>::default();
    let [row, other] = [1, 2].map(|number| all.row(ReplicaId::from_bytes([number; 16])));
    let head = |nth: u64| LocalDot::new(row, 1 + 3 * nth);
    for nth in 0..30 {
        // Each before the one that was written last: nothing goes on.
        let parent = if nth == 0 { START } else { after(head(nth - 1), 1) };
        let side = if nth == 0 { Side::Right } else { Side::Left };
        all.add_run(head(nth), Origin { parent, side });
        all.add(after(head(nth), 1), if nth % 2 == 0 { "e" } else { "o" });
    }
    all.add_run(LocalDot::new(other, 1), Origin { parent: after(head(7), 1), side: Side::Right });
    all.add(LocalDot::new(other, 2), "x");
    all.settle();
    // Those of which nothing is left, and one on which another hangs; and dots that are no heads.
    let gone: Vec<LocalDot> = (0..30).filter(|nth| nth % 2 == 1).map(head).collect();
    gone.iter().for_each(|head| all.remove(after(*head, 1), after(*head, 1)));
    let (mut at_once, mut each) = (all.clone(), all);
    let named: Vec<LocalDot> = gone.iter().flat_map(|head| [*head, after(*head, 1)]).collect();
    at_once.remove_runs(&named);
    gone.iter().for_each(|head| each.remove_runs(&[*head]));
    at_once.settle();
    each.settle();
    assert_eq!(at_once.runs().count(), 16);
    assert_eq!(at_once.runs().collect::<Vec<_>>(), each.runs().collect::<Vec<_>>());
    let mut anew = at_once.clone();
    anew.is_stale = true;
    anew.settle();
    assert_eq!(read(&at_once), read(&each));
    assert_eq!(read(&at_once), read(&anew));
}

#[test]
fn a_text_of_many_pieces_is_that_of_a_string() {
    let mut world = World::new(2);
    let mut seed = 7_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for _ in 0..600 {
        let len = world.sequence(0).width().scalars;
        match random(5) {
            0 if len > 8 => world.act(&Action::DeleteAt { by: 0, at: random(len - 8), count: 1 + random(8) }),
            1 => world.act(&Action::Type { by: 0, text: "typed on".into() }),
            _ => world.act(&Action::InsertAt {
                by: 0,
                at: random(len + 1),
                text: "a\u{436}\u{1f426}"[..1 + 2 * random(2)].into(),
            }),
        }
    }
    world.deliver_all();
    world.assert_level();
    world.reload(1, true);
    world.act(&Action::DeleteAt { by: 1, at: 10, count: world.sequence(1).width().scalars - 20 });
    world.act(&Action::InsertAt { by: 1, at: 10, text: "what is left".into() });
    world.deliver_all();
    world.assert_level();
}

/// Keeps the plain tree in use where it is not what a test is about.
#[test]
fn the_plain_tree_reads_siblings_in_the_order_of_their_names() {
    let mut plain = Plain::default();
    plain.run((1, 1), None, true);
    plain.live((1, 2), 'b');
    plain.run((0, 1), None, true);
    plain.live((0, 2), 'a');
    assert_eq!(plain.read(), "ab");
}

/// Whoever puts much at one place, each before what is there, has not all of it pass all others.
#[test]
fn much_at_one_place_costs_no_walk_each() {
    let runs = 4_000_u64;
    let taken_in = |order: &mut dyn Iterator<Item = u64>| {
        let mut sequence = Sequence::<str>::default();
        let rows: Vec<_> = (0..4).map(|id| sequence.row(ReplicaId::from_bytes([id; 16]))).collect();
        for run in order {
            let head = LocalDot::new(rows[run as usize % 4], 2 * (run / 4) + 1);
            sequence.add_run(head, Origin { parent: START, side: Side::Right });
            sequence.add(LocalDot::new(head.replica(), head.counter() + 1), "x");
        }
        // The way that is too long is walked to its end, and no other after it.
        assert!(sequence.passed <= 20 + runs as usize, "{}", sequence.passed);
        sequence.settle();
        sequence
    };
    let (one, other) = (taken_in(&mut (0..runs)), taken_in(&mut (0..runs).rev()));
    assert_eq!(one.width().scalars, runs as usize);
    assert!(one.live().map(|(first, _)| first).eq(other.live().map(|(first, _)| first)));
}
