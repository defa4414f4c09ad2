//! Forgetting where deleted text stood: it moves nothing that is read, and leaves little.

mod cursors;
mod released;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tombolo_crdt::{
    AddWinsMap, Bias, Crdt, Delta, Doc, Expand, Kind, Limits, MarkKind, Merged, Mut, MvRegister, Replica,
    ReplicaId, Scalar, Text, Version,
};
use tombolo_tests::model::cases;

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

/// Writes and hearings of three, of whom some forget now and then.
#[derive(Debug, Clone)]
enum Step {
    /// By whom, where, and how many letters.
    Insert(usize, usize, usize),
    Delete(usize, usize, usize),
    /// By whom, where, how many letters, of which kind and with what it says.
    Mark(usize, usize, usize, usize, Scalar),
    /// Who hears from whom, and of how many of its writes.
    Hear(usize, usize, usize),
    Sweep(usize),
    /// Of the key above the text, if there is one.
    Remove(usize),
}

/// Where a text is.
trait Place: Crdt<State: Send> {
    fn write(document: &mut Self::Mut<'_>, write: impl FnOnce(&mut Mut<'_, Text>));
    fn text(state: &Self::State) -> Option<&Text>;
    fn remove(document: &mut Self::Mut<'_>);
}

impl Place for Text {
    fn write(text: &mut Mut<'_, Text>, write: impl FnOnce(&mut Mut<'_, Text>)) {
        write(text);
    }

    fn text(text: &Text) -> Option<&Text> {
        Some(text)
    }

    fn remove(_: &mut Mut<'_, Text>) {}
}

/// Below a key of a map, and two names of documents.
type Pages = AddWinsMap<String, Doc>;

impl Place for Pages {
    fn write(pages: &mut Mut<'_, Pages>, write: impl FnOnce(&mut Mut<'_, Text>)) {
        write(&mut pages.at("guide").map("tides").text("text"));
    }

    fn text(pages: &Pages) -> Option<&Text> {
        pages.get("guide")?.get("tides")?.map()?.get("text")?.text()
    }

    fn remove(pages: &mut Mut<'_, Pages>) {
        pages.remove("guide");
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, 0..40_usize, 1..4_usize).prop_map(|(by, at, count)| Step::Insert(by, at, count)),
        4 => (0..3_usize, 0..40_usize, 1..9_usize).prop_map(|(by, at, count)| Step::Delete(by, at, count)),
        8 => (0..3_usize, 0..3_usize, 1..5_usize).prop_map(|(by, of, count)| Step::Hear(by, of, count)),
        3 => (0..3_usize).prop_map(Step::Sweep),
    ]
}

/// Kinds of marks that go on at each of their ends or at none.
const KINDS: [MarkKind; 4] = [
    MarkKind::BOLD,
    MarkKind::LINK,
    MarkKind::new("before", Expand::Before),
    MarkKind::new("both", Expand::Both),
];

/// As `step`, with marks.
fn step_with_marks() -> impl Strategy<Value = Step> {
    let value = prop_oneof![2 => Just(Scalar::Null), 3 => (1..4_i64).prop_map(Scalar::Int)];
    let mark = (0..3_usize, 0..40_usize, 1..9_usize, 0..KINDS.len(), value);
    prop_oneof![
        2 => step(),
        1 => mark.prop_map(|(by, at, count, kind, value)| Step::Mark(by, at, count, kind, value)),
    ]
}

struct World<P: Place> {
    replicas: Vec<Replica<P>>,
    written: Vec<Vec<Delta<P>>>,
    /// Which of the writes were somebody's forgetting.
    is_sweep: Vec<Vec<bool>>,
    /// How much of each one's writes each has heard of.
    heard: [[usize; 3]; 3],
    /// How many letters there have been, no two alike.
    letters: u32,
    /// What was read right before what, anywhere at any time.
    order: BTreeSet<(char, char)>,
    /// The versions that each has had.
    past: Vec<Vec<Version>>,
}

/// The text with what is marked.
fn read<P: Place>(replica: &Replica<P>) -> Option<String> {
    let run = |run: tombolo_crdt::TextRun<'_>| {
        let marks: String = run.marks.iter().map(|(name, value)| format!("{name} {value} ")).collect();
        format!("{marks}{}|", run.text)
    };
    P::text(replica).map(|text| text.runs().map(run).collect())
}

/// What is read right before what.
fn pairs<P: Place>(replica: &Replica<P>) -> Vec<(char, char)> {
    let text: Vec<char> =
        P::text(replica).iter().flat_map(|text| text.chunks()).flat_map(str::chars).collect();
    text.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

impl<P: Place> World<P> {
    fn new() -> Self {
        Self {
            replicas: (1..4).map(|n| Replica::new(id(n))).collect(),
            written: (0..3).map(|_| vec![]).collect(),
            is_sweep: vec![vec![]; 3],
            heard: [[0; 3]; 3],
            letters: 0,
            order: BTreeSet::new(),
            past: vec![vec![]; 3],
        }
    }

    fn write(&mut self, by: usize, write: impl FnOnce(&mut Mut<'_, Text>)) {
        let delta = self.replicas[by].update(|document| P::write(document, write)).1;
        self.wrote(by, delta, false);
    }

    fn wrote(&mut self, by: usize, delta: Delta<P>, is_sweep: bool) {
        if !delta.is_empty() {
            self.written[by].push(delta);
            self.is_sweep[by].push(is_sweep);
            self.heard[by][by] += 1;
            self.note(by);
        }
    }

    fn note(&mut self, by: usize) {
        let replica = &self.replicas[by];
        if self.past[by].len().is_multiple_of(4) {
            let again = Replica::<P>::decode(id(9), &replica.encode(), &Limits::default()).unwrap();
            assert_eq!(read(&again), read(replica), "who has it from bytes reads it otherwise");
        }
        self.order.extend(pairs(&self.replicas[by]));
        self.past[by].push(self.replicas[by].version());
    }

    /// Hears of more of somebody's writes, as far as what they build on is known.
    fn hear(&mut self, by: usize, of: usize, count: usize) {
        let from = self.heard[by][of];
        let to = from.saturating_add(count).min(self.written[of].len());
        let news = self.written[of][from..to].to_vec();
        for (at, delta) in (from..).zip(news) {
            if !self.replicas[by].version().dominates(&delta.deps()) {
                return;
            }
            let before = read(&self.replicas[by]);
            assert_eq!(self.replicas[by].merge(delta).unwrap(), Merged::Applied);
            assert!(!self.is_sweep[of][at] || read(&self.replicas[by]) == before, "forgetting is seen");
            self.heard[by][of] += 1;
            self.note(by);
        }
    }

    /// What all know, as `at` may say it: of each the latest version of which it has all.
    fn stable(&self, at: usize) -> Version {
        let here = self.replicas[at].version();
        let told = |past: &Vec<Version>| past.iter().rev().find(|version| here.dominates(version)).cloned();
        let told = self.past.iter().map(|past| told(past).unwrap_or_default());
        told.reduce(|all, one| all.meet(&one)).unwrap()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Insert(by, at, count) => {
                let first = self.letters;
                self.letters += count as u32;
                let new: String =
                    (first..self.letters).map(|letter| char::from_u32(0x4e00 + letter).unwrap()).collect();
                self.write(by, |text| text.insert(at % (text.len() + 1), &new).unwrap());
            }
            Step::Delete(by, at, count) => self.write(by, |text| {
                let at = at % (text.len() + 1);
                text.delete(at..(at + count).min(text.len())).unwrap();
            }),
            Step::Mark(by, at, count, kind, ref value) => self.write(by, |text| {
                let at = at % (text.len() + 1);
                text.mark(at..(at + count).min(text.len()), KINDS[kind].clone(), value.clone()).unwrap();
            }),
            Step::Hear(by, of, count) => self.hear(by, of, count),
            Step::Sweep(by) => {
                let before = read(&self.replicas[by]);
                let stable = self.stable(by);
                let delta = self.replicas[by].sweep(&stable);
                assert_eq!(read(&self.replicas[by]), before);
                self.wrote(by, delta, true);
            }
            Step::Remove(by) => {
                let delta = self.replicas[by].update(|document| P::remove(document)).1;
                self.wrote(by, delta, false);
            }
        }
    }

    fn meet(&mut self) {
        while (0..9).any(|n| self.heard[n / 3][n % 3] < self.written[n % 3].len()) {
            (0..9).for_each(|n| self.hear(n / 3, n % 3, usize::MAX));
        }
        let bytes: Vec<_> = self.replicas.iter().map(Replica::encode).collect();
        assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]));
    }

    fn is_in_order(&self) -> bool {
        is_in_order(&self.order)
    }
}

/// Whether letters stood in one order, always and everywhere: as they were put, and never moved.
fn is_in_order(order: &BTreeSet<(char, char)>) -> bool {
    let mut before: BTreeMap<char, usize> = BTreeMap::new();
    let mut behind: BTreeMap<char, Vec<char>> = BTreeMap::new();
    for &(one, next) in order {
        before.entry(one).or_default();
        *before.entry(next).or_default() += 1;
        behind.entry(one).or_default().push(next);
    }
    let mut free: Vec<char> = before.iter().filter(|(_, count)| **count == 0).map(|(one, _)| *one).collect();
    let mut placed = 0;
    while let Some(one) = free.pop() {
        placed += 1;
        for next in behind.remove(&one).unwrap_or_default() {
            let count = before.get_mut(&next).unwrap();
            *count -= 1;
            free.extend((*count == 0).then_some(next));
        }
    }
    placed == before.len()
}

/// Runs a program, has all meet, and forgets what can be forgotten.
fn run<P: Place>(steps: &[Step]) -> World<P> {
    let mut world = World::<P>::new();
    steps.iter().for_each(|step| world.step(step));
    world.meet();
    // All know all: one looks, and again, and nothing is left to forget. What marks stand by goes once they have gone.
    for by in [0, 0, 0, 1, 1] {
        world.step(&Step::Sweep(by));
        world.meet();
    }
    assert_eq!(world.replicas[2].garbage().removals, 0);
    world
}

proptest! {
    #![proptest_config(cases(256))]

    /// Forgetting where deleted text stood moves nothing, whatever is written at the same time: what is frozen is hung on by nobody who knows
    /// it, and goes once all know.
    #[test]
    fn scenario_12_what_is_forgotten_of_deleted_text_moves_nothing(steps in prop::collection::vec(step(), 1..120)) {
        prop_assert!(run::<Text>(&steps).is_in_order());
    }

    /// So it is below keys, and a removed one is not back by it.
    #[test]
    fn scenario_12_what_is_forgotten_below_a_key_brings_no_removed_key_back(
        mut steps in prop::collection::vec(step(), 1..80),
        removals in prop::collection::vec((0..80_usize, 0..3_usize), 0..4),
    ) {
        let is_whole = removals.is_empty();
        for (at, by) in removals {
            steps.insert(at.min(steps.len()), Step::Remove(by));
        }
        let world = run::<Pages>(&steps);
        prop_assert!(!is_whole || world.is_in_order());
        let replica = &world.replicas[2];
        // Nothing is left of what was removed, and no empty map above it.
        prop_assert!(!replica.is_empty() || replica.garbage().items == 0);
        prop_assert!(replica.is_empty() || read(replica).is_some());
    }

    /// Marks stand by letters, also by some that were deleted: so these are known as long as the marks are read.
    #[test]
    fn what_is_forgotten_of_deleted_text_moves_no_mark(steps in prop::collection::vec(step_with_marks(), 1..120)) {
        prop_assert!(run::<Text>(&steps).is_in_order());
    }

    #[test]
    fn what_is_forgotten_of_marked_text_below_a_key_brings_no_removed_key_back(
        mut steps in prop::collection::vec(step_with_marks(), 1..80),
        removals in prop::collection::vec((0..80_usize, 0..3_usize), 0..4),
    ) {
        for (at, by) in removals {
            steps.insert(at.min(steps.len()), Step::Remove(by));
        }
        let world = run::<Pages>(&steps);
        let replica = &world.replicas[2];
        prop_assert!(!replica.is_empty() || replica.garbage().items == 0);
        prop_assert!(replica.is_empty() || read(replica).is_some());
    }
}

#[test]
fn what_was_typed_and_deleted_again_is_forgotten() {
    let mut world = World::<Text>::new();
    for round in 0..60 {
        let by = round % 3;
        world.step(&Step::Insert(by, round * 7, 3));
        world.step(&Step::Insert(by, round * 11, 2));
        world.step(&Step::Delete(by, round * 5, 5));
        (0..9).for_each(|n| world.hear(n / 3, n % 3, usize::MAX));
        world.step(&Step::Sweep(by));
        world.meet();
    }
    world.write(0, |text| text.clear());
    world.meet();
    let before = world.replicas[2].garbage();
    for _ in 0..2 {
        world.step(&Step::Sweep(1));
        world.meet();
    }
    // What is left are the last runs, and those they hang on.
    let left = world.replicas[2].garbage();
    assert_eq!(left.removals, 0);
    assert!(left.items < before.items * 2 / 3, "of {before:?} {left:?} is left");
    assert!(world.is_in_order());
}

#[test]
fn scenario_13_what_who_was_released_hung_on_what_is_gone_is_there_and_the_same_everywhere() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| text.push("The tide falls slowly."));
    let _ = ann.update(|text| text.insert(9, "turns and ").unwrap());
    let mut bob = ann.fork(id(2));
    let mut cem = ann.fork(id(3));
    // Bob is away, and types within what the others delete and forget, and behind that.
    let _ = bob.update(|text| text.insert(14, "(as ever) ").unwrap());
    let _ = bob.update(|text| text.insert(text.len(), " Noon.").unwrap());
    let _ = ann.update(|text| text.delete(9..19).unwrap());
    let _ = ann.update(|text| text.insert(4, "spring ").unwrap());
    cem.merge(ann.state()).unwrap();
    // As if bob had been released.
    for _ in 0..2 {
        assert!(!ann.sweep(&cem.version()).is_empty());
        cem.merge(ann.state()).unwrap();
    }
    assert_eq!(cem.garbage().removals, 0);
    // He returns: nothing that he wrote is lost, nothing that was deleted is back, and all read the same.
    let (theirs, his) = (ann.state(), bob.state());
    bob.merge(theirs).unwrap();
    ann.merge(his.clone()).unwrap();
    cem.merge(his).unwrap();
    // Nobody is left who could say where "turns and " stood but bob, and he is not asked: what hung on it stands behind what its
    // author wrote before that.
    for replica in [&ann, &bob, &cem] {
        let (text, again) =
            (replica.to_string(), Replica::<Text>::decode(id(9), &replica.encode(), &Limits::default()));
        assert_eq!(text, "The spring tide falls slowly.(as ever)  Noon.");
        assert_eq!((replica.encode(), text), (ann.encode(), again.unwrap().to_string()));
    }
}

#[test]
fn a_cursor_stays_where_it_is_when_the_letter_under_it_is_forgotten() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| text.push("The tide falls."));
    let _ = ann.update(|text| text.insert(4, "spring ").unwrap());
    let _ = ann.update(|text| text.push(" Noon."));
    let cursors = [Bias::Before, Bias::After].map(|bias| [4, 7, 11].map(|at| ann.cursor(at, bias).unwrap()));
    let _ = ann.update(|text| text.delete(4..11).unwrap());
    let _ = ann.update(|text| text.insert(0, "So: ").unwrap());
    let stand = |ann: &Replica<Text>| {
        cursors.each_ref().map(|cursors| cursors.each_ref().map(|cursor| ann.find(cursor)))
    };
    assert_eq!(stand(&ann), [[Some(8); 3]; 2]);
    while !ann.sweep(&ann.version()).is_empty() {}
    // Also the one in the middle, of which all is gone that it kept to.
    assert_eq!(stand(&ann), [[Some(8); 3]; 2]);
}

/// Two who forget at once, one of whom knows less: what one has named is not let go of while it stands and the other may be about to.
#[test]
fn scenario_12_two_who_forget_at_once_move_nothing() {
    let mut all: Vec<Replica<Text>> = (1..4).map(|n| Replica::new(id(n))).collect();
    let take = |all: &mut Vec<Replica<Text>>, from: usize, to: &[usize]| {
        let state = all[from].state();
        to.iter().for_each(|&to| _ = all[to].merge(state.clone()).unwrap());
    };
    let _ = all[0].update(|text| text.push("ab"));
    let _ = all[0].update(|text| text.insert(1, "H").unwrap());
    take(&mut all, 0, &[1, 2]);
    let hidden = [
        all[1].update(|text| text.insert(2, "G").unwrap()).1,
        all[1].update(|text| text.insert(0, "?").unwrap()).1,
    ];
    let mut known = vec![all[0].update(|text| text.push("!")).1];
    known.push(all[0].update(|text| text.delete(1..2).unwrap()).1);
    known.push(all[0].sweep(&Version::new()));
    let named = all[0].version();
    let mut his = hidden.to_vec();
    his.push(all[1].update(|text| text.delete(3..4).unwrap()).1);
    his.push(all[1].sweep(&Version::new()));
    for delta in known {
        let _ = (all[1].merge(delta.clone()).unwrap(), all[2].merge(delta).unwrap());
    }
    his.iter().for_each(|delta| _ = all[0].merge(delta.clone()).unwrap());
    // Ann knows that all know what she named; bob a little later that all know what both named.
    let hers = all[0].sweep(&named);
    his.iter().for_each(|delta| _ = all[2].merge(delta.clone()).unwrap());
    let both: Version =
        [(id(1), named.get(id(1))), (id(2), all[1].version().get(id(2)))].into_iter().collect();
    let his = all[1].sweep(&both);
    assert!(!his.is_empty());
    assert_eq!(all[0].to_string(), "?ab!");
    let typed = all[0].update(|text| text.insert(2, "w").unwrap()).1;
    assert_eq!(all[0].to_string(), "?awb!");
    let _ = (
        all[0].merge(his.clone()).unwrap(),
        all[1].merge(hers.clone()).unwrap(),
        all[1].merge(typed.clone()).unwrap(),
    );
    for delta in [hers, his, typed] {
        let _ = all[2].merge(delta).unwrap();
    }
    for replica in &all {
        assert_eq!((replica.to_string(), replica.encode()), ("?awb!".into(), all[0].encode()));
    }
}

#[test]
fn an_edit_of_a_copy_stands_where_it_was_made_when_the_letter_before_it_is_forgotten() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| text.push("Hello"));
    let _ = ann.update(|text| text.insert(0, "X").unwrap());
    let _ = ann.update(|text| text.push("!"));
    let edit = ann.snapshot().edited("XYHello!");
    let _ = ann.update(|text| text.delete(0..1).unwrap());
    while !ann.sweep(&ann.version()).is_empty() {}
    let _ = ann.update(|text| text.apply(&edit));
    assert_eq!(ann.to_string(), "YHello!");
}

/// What names runs does not keep a key that somebody removes at the same time.
#[test]
fn forgetting_brings_no_removed_key_back() {
    let mut ann = Replica::<Pages>::new(id(1));
    let write = |ann: &mut Replica<Pages>, write: &dyn Fn(&mut Mut<'_, Text>)| {
        ann.update(|pages| Pages::write(pages, write)).1
    };
    let _ = write(&mut ann, &|text| text.push("The tide falls."));
    let _ = write(&mut ann, &|text| text.insert(4, "spring ").unwrap());
    let _ = write(&mut ann, &|text| text.push(" Noon."));
    let _ = write(&mut ann, &|text| text.delete(4..11).unwrap());
    let mut bob = ann.fork(id(2));
    let removed = ann.update(|pages| pages.remove("guide")).1;
    let named = bob.sweep(&bob.version());
    assert!(!named.is_empty() && bob.contains_key("guide"));
    bob.merge(removed).unwrap();
    ann.merge(named).unwrap();
    for replica in [&mut ann, &mut bob] {
        assert!(
            replica.is_empty()
                && replica.iter().next().is_none()
                && replica.plain() == Replica::<Pages>::new(id(3)).plain()
        );
        assert_eq!((replica.garbage().items, replica.update(|pages| pages.remove("guide")).0), (1, false));
        // Opening it for nothing does not bring it back either.
        let (_, nothing) = replica.update(|pages| _ = pages.at("guide").map("tides").text("text"));
        assert!(nothing.is_empty() && replica.is_empty());
    }
    assert_eq!(ann.encode(), bob.encode());
    // It is as good as new, with what was left, and then without.
    let (_, typed, changes) = ann.update_changes(|pages| Pages::write(pages, |text| text.push("Ebb.")));
    assert_eq!(read(&ann).as_deref(), Some("Ebb.|"));
    assert_eq!(format!("{changes:?}").matches("Added").count(), 1, "{changes:?}");
    bob.merge(typed).unwrap();
    bob.merge(ann.sweep(&bob.version())).unwrap();
    assert_eq!((ann.garbage().items, ann.encode()), (5, bob.encode()));
}

#[derive(Crdt)]
#[crdt(name = "forget.Page")]
struct Page {
    title: MvRegister<String>,
    body: Text,
}

/// As an older program knows it.
#[derive(Crdt)]
#[crdt(name = "forget.Page")]
struct OldPage {
    title: MvRegister<String>,
}

#[test]
fn who_does_not_know_a_text_has_no_removed_key_back_either() {
    let mut ann = Replica::<AddWinsMap<u8, Page>>::new(id(1));
    let _ = ann.update(|pages| pages.at(1).body().push("The tide falls."));
    let _ = ann.update(|pages| pages.at(1).body().insert(4, "spring ").unwrap());
    let _ = ann.update(|pages| pages.at(1).body().push(" Noon."));
    let _ = ann.update(|pages| pages.at(1).body().delete(4..11).unwrap());
    let mut bob = ann.fork(id(2));
    let mut old =
        Replica::<AddWinsMap<u8, OldPage>>::decode(id(3), &ann.encode(), &Limits::default()).unwrap();
    assert!(old.contains_key(&1));
    let as_old = |delta: &Delta<AddWinsMap<u8, Page>>| {
        Delta::<AddWinsMap<u8, OldPage>>::decode(&delta.encode(), &Limits::default()).unwrap()
    };
    let removed = ann.update(|pages| pages.remove(&1)).1;
    let named = bob.sweep(&bob.version());
    old.merge(as_old(&removed)).unwrap();
    old.merge(as_old(&named)).unwrap();
    assert!(old.is_empty() && old.garbage().items == 1);
    ann.merge(named).unwrap();
    assert_eq!(ann.encode(), old.encode());
}

#[test]
fn who_forgets_is_no_author_and_what_shows_nothing_cannot_be_removed() {
    let mut ann = Replica::<Doc>::new(id(1));
    let mut bob = Replica::<Doc>::new(id(2));
    let _ = ann.update(|doc| doc.text("x").push("The tide falls."));
    let _ = ann.update(|doc| doc.text("x").insert(4, "spring ").unwrap());
    let _ = ann.update(|doc| doc.text("x").push(" Noon."));
    let _ = ann.update(|doc| doc.text("x").delete(4..11).unwrap());
    let _ = bob.update(|doc| doc.counter("x").inc(1));
    let mut cem = ann.fork(id(3));
    cem.merge(bob.state()).unwrap();
    let before = cem.conflicts();
    assert!(!cem.sweep(&Version::new()).is_empty());
    assert_eq!((before.len(), cem.conflicts()), (1, before));
    let _ = ann.update(|doc| doc.remove("x"));
    ann.merge(cem.state()).unwrap();
    assert_eq!(ann.get("x").unwrap().kinds().count(), 1);
    let (was_in, delta) = ann.update(|doc| doc.remove_kind("x", Kind::Text));
    assert!(!was_in && delta.is_empty());
}
