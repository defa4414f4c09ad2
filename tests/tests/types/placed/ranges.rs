//! Parts of a movable list that are moved whole, while another moves, writes and deletes there.

use std::ops::Range;

use super::*;

type Written = Result<(), BadIndex>;

/// What ann and bob do at the same time to the same cards, as all read it then; the clock of one of them is ahead.
fn at_once(
    texts: &[&str],
    is_ann_later: bool,
    hers: impl FnOnce(&mut Mut<'_, Cards>) -> Written,
    his: impl FnOnce(&mut Mut<'_, Cards>) -> Written,
) -> [Replica<Cards>; 3] {
    let mut all = board(texts);
    all[0].set_time(if is_ann_later { 2_000 } else { 1_000 });
    all[1].set_time(if is_ann_later { 1_000 } else { 2_000 });
    let _ = all[0].try_update(hers).unwrap();
    let _ = all[1].try_update(his).unwrap();
    exchange(&mut all);
    let again = Replica::<Cards>::decode(id(9), &all[0].encode(), &Limits::default()).unwrap();
    assert!(all.iter().all(|one| cards(one) == cards(&again)));
    all
}

#[test]
fn of_two_parts_that_overlap_and_are_moved_at_once_each_card_goes_where_it_was_moved_later() {
    let texts = ["a", "b", "c", "d", "e", "f"];
    for (is_ann_later, read) in
        [(false, ["c", "d", "e", "f", "a", "b"]), (true, ["d", "e", "f", "a", "b", "c"])]
    {
        let all = at_once(
            &texts,
            is_ann_later,
            // To the end, and to the beginning.
            |cards| cards.move_range(0..3, 3),
            |cards| cards.move_range(2..5, 0),
        );
        assert_eq!(cards(&all[2]), read);
        // The one that both moved.
        assert_eq!(all[2].conflicts().len(), 1);
    }
    // The same part to two places stands at one of these, whole.
    for (is_ann_later, read) in
        [(false, ["b", "c", "d", "a", "e", "f"]), (true, ["a", "e", "f", "b", "c", "d"])]
    {
        let all = at_once(
            &texts,
            is_ann_later,
            |cards| cards.move_range(1..4, 3),
            |cards| cards.move_range(1..4, 0),
        );
        assert_eq!(cards(&all[2]), read);
        assert_eq!(all[2].conflicts().len(), 3);
    }
}

/// All moves of parts that there are of so many cards.
fn moves(len: usize) -> impl Iterator<Item = (Range<usize>, usize)> + Clone {
    let parts = (0..len).flat_map(move |start| (start + 1..=len).map(move |end| start..end));
    parts.flat_map(move |part| {
        let start = part.start;
        (0..=len - part.len()).filter(move |to| *to != start).map(move |to| (part.clone(), to))
    })
}

/// Any two parts moved at once, wherever to: no card is doubled or lost, and any two stand as who moved the one last and knew where the other
/// stands had them. Only of two of which each was moved by another nobody has said it.
#[test]
fn any_two_parts_moved_at_once_leave_each_card_once_and_in_the_order_of_who_moved_it_last() {
    let texts = ["a", "b", "c", "d"];
    let moved = |(part, to): (Range<usize>, usize)| {
        let mut order = texts.to_vec();
        let moved: Vec<&str> = order.drain(part).collect();
        order.splice(to..to, moved);
        order
    };
    let mut compared = 0;
    let two = moves(texts.len()).flat_map(|hers| moves(texts.len()).map(move |his| (hers.clone(), his)));
    for ((hers, his), is_ann_later) in two.flat_map(|two| [false, true].map(|later| (two.clone(), later))) {
        let all = at_once(
            &texts,
            is_ann_later,
            |cards| cards.move_range(hers.0.clone(), hers.1),
            |cards| cards.move_range(his.0.clone(), his.1),
        );
        let read = cards(&all[2]);
        let once: BTreeSet<&str> = read.iter().copied().collect();
        assert!(read.len() == texts.len() && once.len() == texts.len(), "{hers:?} and {his:?} make {read:?}");
        let both = hers.0.start.max(his.0.start)..hers.0.end.min(his.0.end);
        assert_eq!(all[2].conflicts().len(), both.len());
        let views = [moved(hers.clone()), moved(his.clone()), texts.to_vec()];
        // Who moved a card last: ann, bob or nobody.
        let by = |card: &str| {
            let at = texts.iter().position(|text| *text == card).unwrap();
            match (hers.0.contains(&at), his.0.contains(&at)) {
                (true, true) => usize::from(!is_ann_later),
                (true, false) => 0,
                (false, true) => 1,
                (false, false) => 2,
            }
        };
        for (at, one) in read.iter().enumerate() {
            for other in &read[at + 1..] {
                let (first, second) = (by(one), by(other));
                if first != second && first < 2 && second < 2 {
                    continue;
                }
                let view = &views[first.min(second)];
                let place = |card: &&str| view.iter().position(|text| text == card);
                assert!(place(one) < place(other), "{hers:?} and {his:?} make {read:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 2_000, "{compared}");
}

#[test]
fn of_a_part_that_is_moved_a_card_that_another_writes_to_deletes_or_moves_alone_is_as_it_says() {
    let texts = ["a", "b", "c", "d", "e"];
    // To the end; the others do something to the second of them.
    let moved = |cards: &mut Mut<'_, Cards>| cards.move_range(0..3, 2);
    for is_moved_later in [false, true] {
        let all =
            at_once(&texts, is_moved_later, moved, |cards| cards.at(1).map(|mut card| card.set("written")));
        assert_eq!(cards(&all[2]), ["d", "e", "a", "written", "c"]);
        assert_eq!(all[2].conflicts().len(), 0);

        let all = at_once(&texts, is_moved_later, moved, |cards| cards.remove(1));
        assert_eq!(cards(&all[2]), ["d", "e", "a", "c"]);

        // Alone, between those that nobody moves; and within the part.
        let read = if is_moved_later { ["d", "e", "a", "b", "c"] } else { ["d", "b", "e", "a", "c"] };
        let all = at_once(&texts, is_moved_later, moved, |cards| cards.move_to(1, 3));
        assert_eq!((cards(&all[2]), all[2].conflicts().len()), (read.to_vec(), 1));

        let read = if is_moved_later { ["d", "e", "a", "b", "c"] } else { ["b", "d", "e", "a", "c"] };
        let all = at_once(&texts, is_moved_later, moved, |cards| cards.move_to(1, 0));
        assert_eq!((cards(&all[2]), all[2].conflicts().len()), (read.to_vec(), 1));
    }
}

/// A card that one moves with others, another writes to and a third deletes: what was written is left of it, where it was moved, and nothing else of the part
/// is touched.
#[test]
fn of_a_part_that_is_moved_a_card_that_is_deleted_and_written_to_is_what_was_written_in_its_place() {
    let mut all = board(&["a", "b", "c", "d", "e"]);
    let _ = all[0].try_update(|cards| cards.move_range(0..3, 2)).unwrap();
    let _ = all[1].try_update(|cards| cards.at(1).map(|mut card| card.set("written"))).unwrap();
    let _ = all[2].try_update(|cards| cards.delete(1..2)).unwrap();
    exchange(&mut all);
    assert!(all.iter().all(|one| cards(one) == ["d", "e", "a", "written", "c"]));
}
