//! Cursors among writes and forgetting: they stand between what stood on both sides of them, and at the same place for all who know the same.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use tombolo_crdt::Cursor;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    Do(Step),
    /// By whom, where, and to which side it keeps.
    Take(usize, usize, Bias),
}

fn act() -> impl Strategy<Value = Act> {
    let bias = prop::sample::select(vec![Bias::Before, Bias::After]);
    prop_oneof![
        6 => step().prop_map(Act::Do),
        // Much is deleted and forgotten.
        1 => (0..3_usize, 0..40_usize, 3..12_usize).prop_map(|(by, at, count)| Act::Do(Step::Delete(by, at, count))),
        1 => (0..3_usize).prop_map(|by| Act::Do(Step::Sweep(by))),
        1 => (0..3_usize, 0..40_usize, bias).prop_map(|(by, at, bias)| Act::Take(by, at, bias)),
    ]
}

/// A cursor as it was sent to all, with the letters it was put between.
struct Taken {
    cursor: Cursor,
    bias: Bias,
    before: Option<char>,
    behind: Option<char>,
    /// All letters before it, and all behind it.
    sides: [HashSet<char>; 2],
}

impl Taken {
    /// The letter it keeps to, and that on its other side.
    fn letters(&self) -> (Option<char>, Option<char>) {
        match self.bias {
            Bias::Before => (self.before, self.behind),
            Bias::After => (self.behind, self.before),
        }
    }

    /// Where it stands by a letter that is there.
    fn beside(&self, letter: char, at: usize) -> usize {
        at + usize::from(self.before == Some(letter))
    }
}

struct Watched {
    world: World<Text>,
    taken: Vec<Taken>,
    /// Who wrote a letter, and with which of its dots at the latest.
    born: HashMap<char, (usize, u64)>,
    /// Where all cursors stood that there were, for who knew so much.
    stood: HashMap<Version, Vec<Option<usize>>>,
    /// How many cursors stood by a letter that was gone, and how many by letters that both were gone after somebody had forgotten.
    beside_gone: usize,
    between_gone: usize,
}

impl Watched {
    fn new() -> Self {
        Self {
            world: World::new(),
            taken: Vec::new(),
            born: HashMap::new(),
            stood: HashMap::new(),
            beside_gone: 0,
            between_gone: 0,
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Do(step) => {
                let first = self.world.letters;
                let stand = |watched: &Self, by: usize| -> Vec<Option<usize>> {
                    let replica = &watched.world.replicas[by];
                    watched.taken.iter().map(|taken| replica.find(&taken.cursor)).collect()
                };
                let before = if let Step::Sweep(by) = step { stand(self, *by) } else { vec![] };
                self.world.step(step);
                if let Step::Sweep(by) = step {
                    assert_eq!(stand(self, *by), before, "a cursor moves as something is forgotten");
                }
                if let Step::Insert(by, ..) = step {
                    let reached = self.world.replicas[*by].version().get(id(*by as u8 + 1));
                    for letter in first..self.world.letters {
                        self.born.insert(char::from_u32(0x4e00 + letter).unwrap(), (*by, reached));
                    }
                }
            }
            Act::Take(by, at, bias) => self.take(*by, *at, *bias),
        }
        (0..3).for_each(|at| self.look(at));
    }

    fn take(&mut self, by: usize, at: usize, bias: Bias) {
        let replica = &self.world.replicas[by];
        let at = at % (replica.len() + 1);
        let cursor = replica.cursor(at, bias).unwrap();
        assert_eq!(replica.find(&cursor), Some(at));
        // It is kept as bytes, and by others than took it.
        let sent = rmp_serde::to_vec(&cursor).unwrap();
        let cursor: Cursor = rmp_serde::from_slice(&sent).unwrap();
        let text: Vec<char> = replica.to_string().chars().collect();
        let before = at.checked_sub(1).map(|at| text[at]);
        let sides = [&text[..at], &text[at..]].map(|side| side.iter().copied().collect());
        self.taken.push(Taken { cursor, bias, before, behind: text.get(at).copied(), sides });
        // Who stood somewhere before has one more to find.
        self.stood.clear();
    }

    /// Where cursors stand at one of the three, and at who has it from bytes.
    fn look(&mut self, at: usize) {
        let replica = &self.world.replicas[at];
        let stand: Vec<Option<usize>> = self.taken.iter().map(|taken| replica.find(&taken.cursor)).collect();
        if let Some(stood) = self.stood.get(&replica.version()) {
            assert_eq!(*stood, stand, "who knows the same finds them elsewhere");
            return;
        }
        let again = Replica::<Text>::decode(id(9), &replica.encode(), &Limits::default()).unwrap();
        let found: Vec<_> = self.taken.iter().map(|taken| again.find(&taken.cursor)).collect();
        assert_eq!(found, stand, "who has it from bytes finds them elsewhere");
        self.stood.insert(replica.version(), stand.clone());
        let text: Vec<char> = replica.to_string().chars().collect();
        for (taken, stands) in self.taken.iter().zip(stand) {
            match self.is_where_it_should_be(at, &text, taken, stands) {
                Stands::ByWhatIsThere => {}
                Stands::ByWhatIsGone => self.beside_gone += 1,
                Stands::BetweenGone => self.between_gone += 1,
            }
        }
    }

    fn is_where_it_should_be(
        &self,
        at: usize,
        text: &[char],
        taken: &Taken,
        stands: Option<usize>,
    ) -> Stands {
        let replica = &self.world.replicas[at];
        let (Some(letter), other) = taken.letters() else {
            let border = if taken.bias == Bias::Before { 0 } else { text.len() };
            assert_eq!(stands, Some(border), "a border of the text stays where it is");
            return Stands::ByWhatIsThere;
        };
        let there = |letter: char| text.iter().position(|other| *other == letter);
        if let Some(here) = there(letter) {
            assert_eq!(stands, Some(taken.beside(letter, here)), "it does not stand by its letter");
            return Stands::ByWhatIsThere;
        }
        let has_arrived = |letter: char| {
            let (by, counter) = self.born[&letter];
            replica.version().get(id(by as u8 + 1)) >= counter
        };
        // Where it stands that keeps to what has not arrived is not said but roughly.
        if !has_arrived(letter) || other.is_some_and(|other| !has_arrived(other)) {
            assert!(stands.is_none_or(|stands| stands <= text.len()));
            return Stands::ByWhatIsThere;
        }
        let stands = stands.expect("it stands nowhere");
        // Between the nearest that are left of those that stood on both sides of it as it was made.
        let [left, right] = &taken.sides;
        let low = text.iter().rposition(|letter| left.contains(letter)).map_or(0, |at| at + 1);
        let high = text.iter().position(|letter| right.contains(letter)).unwrap_or(text.len());
        assert!((low..=high).contains(&stands), "{stands} is not within {low} and {high} in {text:?}");
        // And not otherwise than by where its letter stood, whether that is forgotten or not.
        assert!(self.fits(letter, text, stands), "{stands} is not where {letter} stood in {text:?}");
        let has_swept = (0..3).any(|of| self.world.is_sweep[of][..self.world.heard[at][of]].contains(&true));
        if has_swept && other.is_none_or(|other| there(other).is_none()) {
            Stands::BetweenGone
        } else {
            Stands::ByWhatIsGone
        }
    }

    /// Whether a letter that is gone may have stood at a place: behind all that ever was read before it, and before all that was read
    /// behind it, directly or by what stood between.
    fn fits(&self, letter: char, text: &[char], stands: usize) -> bool {
        let order = &self.world.order;
        let backwards = order.iter().map(|(one, next)| (*next, *one)).collect();
        let (behind, before) = (all_behind(letter, order), all_behind(letter, &backwards));
        text[..stands].iter().all(|one| !behind.contains(one))
            && text[stands..].iter().all(|one| !before.contains(one))
    }
}

/// What stands behind a letter, if each stood right before the next.
fn all_behind(letter: char, order: &BTreeSet<(char, char)>) -> BTreeSet<char> {
    let (mut all, mut way) = (BTreeSet::new(), vec![letter]);
    while let Some(one) = way.pop() {
        for (_, next) in order.range((one, '\0')..=(one, char::MAX)) {
            if all.insert(*next) {
                way.push(*next);
            }
        }
    }
    all
}

enum Stands {
    ByWhatIsThere,
    ByWhatIsGone,
    BetweenGone,
}

#[test]
fn cursors_stand_between_what_stood_on_both_sides_of_them_and_so_at_all_who_know_the_same() {
    let (beside_gone, between_gone) = (Cell::new(0), Cell::new(0));
    proptest!(cases(96), |(acts in prop::collection::vec(act(), 1..120))| {
        let mut watched = Watched::new();
        acts.iter().for_each(|act| watched.act(act));
        watched.world.meet();
        (0..3).for_each(|at| watched.look(at));
        // All know all: what can be forgotten is.
        for by in [0, 0, 0, 1, 1] {
            watched.act(&Act::Do(Step::Sweep(by)));
            watched.world.meet();
            (0..3).for_each(|at| watched.look(at));
        }
        prop_assert!(watched.world.is_in_order());
        beside_gone.set(beside_gone.get() + watched.beside_gone);
        between_gone.set(between_gone.get() + watched.between_gone);
    });
    let (beside_gone, between_gone) = (beside_gone.get(), between_gone.get());
    assert!(beside_gone > 0 && between_gone > 0, "{beside_gone} and {between_gone} stood by what was gone");
}

/// What two wrote in turns, each letter of it hanging on the one before, with a cursor to either side at every place of it; then all of it went but the ends
/// and at most one letter, and was forgotten.
struct Turns {
    /// Who wrote the even turns, who wrote the odd ones, and who has it all from bytes.
    all: [Replica<Text>; 3],
    /// Who has heard of nothing but the ends.
    early: Replica<Text>,
    /// Before each letter, and behind the last.
    cursors: Vec<[Cursor; 2]>,
    turns: usize,
    /// The letter that stayed. What it hangs on is known as well.
    kept: Option<usize>,
}

/// Where the first letter stood, once `So: <` stands before it.
const AT: usize = 5;
/// So many above a letter its cursor says where they hung.
const ABOVE: usize = 16;

impl Turns {
    fn new(turns: usize, kept: Option<usize>) -> Self {
        let mut ann = Replica::<Text>::new(id(1));
        let _ = ann.update(|text| text.push("<>"));
        let (mut bob, early) = (ann.fork(id(2)), ann.fork(id(3)));
        for turn in 0..turns {
            let (by, other) = if turn % 2 == 0 { (&mut ann, &mut bob) } else { (&mut bob, &mut ann) };
            let typed = by.update(|text| text.insert(1 + turn, "x").unwrap()).1;
            other.merge(typed).unwrap();
        }
        let cursors = (1..turns + 2).map(|at| {
            [Bias::Before, Bias::After].map(|bias| {
                let sent = rmp_serde::to_vec(&ann.cursor(at, bias).unwrap()).unwrap();
                rmp_serde::from_slice(&sent).unwrap()
            })
        });
        let cursors = cursors.collect();
        // Each begins another run, so that what it wrote can go.
        let _ = ann.update(|text| text.insert(0, "So: ").unwrap());
        let _ = bob.update(|text| text.push("!"));
        ann.merge(bob.state()).unwrap();
        let _ = ann.update(|text| {
            text.delete(AT + kept.map_or(0, |kept| kept + 1)..AT + turns).unwrap();
            text.delete(AT..AT + kept.unwrap_or(0)).unwrap();
        });
        bob.merge(ann.state()).unwrap();
        let again = Replica::decode(id(9), &ann.encode(), &Limits::default()).unwrap();
        Self { all: [ann, bob, again], early, cursors, turns, kept }
    }

    fn forget(&mut self) {
        let [ann, bob, again] = &mut self.all;
        loop {
            let swept = ann.sweep(&ann.version());
            if swept.is_empty() {
                break;
            }
            bob.merge(swept).unwrap();
        }
        *again = Replica::decode(id(9), &ann.encode(), &Limits::default()).unwrap();
        let read = if self.kept.is_some() { "So: <x>!" } else { "So: <>!" };
        for one in &self.all {
            assert_eq!((one.to_string(), one.garbage().removals), (read.to_owned(), 0));
        }
    }

    /// Where the cursors stand, the same for all.
    fn stand(&self) -> Vec<[Option<usize>; 2]> {
        let stand = |of: &Replica<Text>| -> Vec<[Option<usize>; 2]> {
            self.cursors.iter().map(|both| both.each_ref().map(|cursor| of.find(cursor))).collect()
        };
        let [ann, bob, again] = self.all.each_ref().map(stand);
        assert_eq!((&bob, &again), (&ann, &ann), "who holds the same finds another place");
        ann
    }

    /// How many of what is left of the turns stand before this one.
    fn before(&self, turn: usize) -> usize {
        usize::from(self.kept.is_some_and(|kept| kept < turn))
    }

    fn is_known(&self, turn: usize) -> bool {
        self.kept.is_some_and(|kept| turn <= kept)
    }

    /// Where a cursor between the turns before and from `gap` on belongs, as 0050 has it, and whether that is where it stood. It keeps to the letter before if
    /// it `is_before`.
    fn belongs(&self, gap: usize, is_before: bool) -> (usize, bool) {
        let exact = (AT + self.before(gap), true);
        // The ends are there.
        let turn = |is_before: bool| {
            let turn = if is_before { gap.checked_sub(1) } else { Some(gap) };
            turn.filter(|turn| *turn < self.turns)
        };
        let Some(letter) = turn(is_before) else { return exact };
        // What the first hangs on is an end.
        if letter < ABOVE || self.is_known(letter - ABOVE) || self.is_known(letter) {
            return exact;
        }
        if turn(!is_before).is_none_or(|other| self.is_known(other)) {
            return exact;
        }
        // Behind the last that is known of what the author of the last of the sixteen wrote before that: every other turn, and one of both the ends. Beside it
        // stands what another hung there, in the order of ids.
        let last = letter - ABOVE;
        let is_hers = last.is_multiple_of(2);
        let before = (0..last).rev().filter(|turn| turn % 2 == last % 2).find(|turn| self.is_known(*turn));
        let rough = match before {
            Some(before) if is_hers => AT + self.before(before + 1),
            Some(_) => AT + self.before(self.turns),
            None if is_hers => AT + self.before(self.turns) + 1,
            // Nothing: it hangs at the start, behind all that she began there.
            None => self.all[0].len(),
        };
        (rough, false)
    }
}

/// It stands exactly while its letter or one of the sixteen above it is known, then by the letter on its other side, and then about there.
#[test]
fn a_cursor_among_many_that_hang_on_one_another_stands_somewhere_when_all_is_forgotten() {
    for (turns, kept, rough) in [
        (6, None, 0),
        (15, None, 0),
        (16, None, 0),
        (17, None, 1),
        (40, None, 47),
        (40, Some(19), 7),
        (40, Some(20), 5),
    ] {
        let mut written = Turns::new(turns, kept);
        let exact: Vec<_> = (0..=turns).map(|gap| [Some(AT + written.before(gap)); 2]).collect();
        assert_eq!(written.stand(), exact, "of {turns} turns");
        written.forget();
        let mut not_exact = 0;
        for (gap, stand) in written.stand().into_iter().enumerate() {
            for (is_before, stands) in [true, false].into_iter().zip(stand) {
                let (expected, is_exact) = written.belongs(gap, is_before);
                assert_eq!(stands, Some(expected), "at {gap} of {turns} turns, of which {kept:?} is left");
                assert!(!is_exact || stands == exact[gap][0]);
                not_exact += usize::from(!is_exact);
            }
        }
        assert_eq!(not_exact, rough, "of {turns} turns");
        // What has not arrived stands nowhere, unless what it says of it leads to what has.
        for (gap, both) in written.cursors.iter().enumerate() {
            let leads = |letter: Option<usize>| letter.is_none_or(|letter| letter < ABOVE || letter >= turns);
            let has_end = gap == 0 || gap == turns;
            let expected =
                [gap.checked_sub(1), Some(gap)].map(|letter| (has_end || leads(letter)).then_some(1));
            assert_eq!(both.each_ref().map(|cursor| written.early.find(cursor)), expected, "at {gap}");
        }
    }
}
