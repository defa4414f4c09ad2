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

/// Two write in turns, so that each letter hangs on the one before; then all of it goes but the ends, and is forgotten.
#[test]
fn a_cursor_among_many_that_hang_on_one_another_stands_somewhere_when_all_is_forgotten() {
    for turns in [6_usize, 15, 40] {
        let mut all: Vec<Replica<Text>> = (1..3).map(|n| Replica::new(id(n))).collect();
        let _ = all[0].update(|text| text.push("<>"));
        let told = all[0].state();
        all[1].merge(told).unwrap();
        for turn in 0..turns {
            let (by, other) = (turn % 2, 1 - turn % 2);
            let typed = all[by].update(|text| text.insert(1 + turn, "x").unwrap()).1;
            all[other].merge(typed).unwrap();
        }
        let biases = [Bias::Before, Bias::After];
        let cursors =
            biases.map(|bias| [1, turns / 2, turns, turns + 1].map(|at| all[0].cursor(at, bias).unwrap()));
        let typed = all[0].update(|text| text.insert(0, "So: ").unwrap()).1;
        all[1].merge(typed).unwrap();
        // Each begins another run, so that what it wrote can go.
        let typed = all[1].update(|text| text.push("!")).1;
        all[0].merge(typed).unwrap();
        let gone = all[0].update(|text| text.delete(5..5 + turns).unwrap()).1;
        all[1].merge(gone).unwrap();
        let stand =
            |of: &Replica<Text>| cursors.each_ref().map(|all| all.each_ref().map(|cursor| of.find(cursor)));
        assert_eq!(stand(&all[0]), [[Some(5); 4]; 2]);
        let ann = &mut all[0];
        while !ann.sweep(&ann.version()).is_empty() {}
        assert_eq!((all[0].to_string(), all[0].garbage().removals), ("So: <>!".into(), 0));
        let again = Replica::<Text>::decode(id(9), &all[0].encode(), &Limits::default()).unwrap();
        assert_eq!(stand(&again), stand(&all[0]));
        // Those that say all the way up stand where they stood, and of the others one has nothing left but an end of the text.
        let exact = if turns < 16 { [[Some(5); 4]; 2] } else { stand(&all[0]) };
        assert_eq!(stand(&all[0]), exact);
        assert!(stand(&all[0]).iter().flatten().all(|at| at.is_some_and(|at| at <= all[0].len())));
    }
}
