//! What is told of a text that became different or is marked otherwise, done to copies that are counted in UTF-16 units, in bytes and in scalars.

use std::collections::BTreeMap;

use tombolo_crdt::{Bias, Changes, MarkKind, Plain, Since, Version};

use super::*;

type Pages = AddWinsMap<u8, Text>;

/// A text as others show it that know nothing but what they were told.
#[derive(Default, Clone, Debug)]
struct Shown {
    utf16: Vec<u16>,
    bytes: String,
    scalars: Vec<char>,
}

impl Shown {
    fn new(text: &str) -> Self {
        Self { utf16: text.encode_utf16().collect(), bytes: text.into(), scalars: text.chars().collect() }
    }

    fn assert_shows(&self, text: &str) {
        assert_eq!(self.bytes, text);
        assert_eq!(String::from_utf16(&self.utf16).unwrap(), text);
        assert!(self.scalars.iter().copied().eq(text.chars()), "{:?} is not {text:?}", self.scalars);
    }

    /// One splice after the other, with all copies the same behind each.
    fn apply(&mut self, what: &What) {
        match what {
            What::Spliced(splices) => {
                for splice in splices {
                    let gone =
                        self.scalars.splice(splice.at..splice.at + splice.deleted, splice.inserted.chars());
                    let gone: String = gone.collect();
                    assert_eq!(self.bytes.get(splice.bytes.clone()), Some(&gone[..]));
                    self.bytes.replace_range(splice.bytes.clone(), &splice.inserted);
                    let other: Vec<u16> =
                        self.utf16.splice(splice.utf16.clone(), splice.inserted.encode_utf16()).collect();
                    assert_eq!(String::from_utf16(&other).unwrap(), gone);
                    self.assert_shows(&self.bytes);
                }
            }
            What::Marked(parts) => {
                for part in parts {
                    let marked: String = self.scalars[part.at..part.at + part.len].iter().collect();
                    assert_eq!(&self.bytes[part.bytes.clone()], marked);
                    assert_eq!(String::from_utf16(&self.utf16[part.utf16.clone()]).unwrap(), marked);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Where texts are: the whole, or below keys.
trait Place: tombolo_crdt::Crdt<State: Send> {
    fn write<R>(document: &mut Self::Mut<'_>, key: u8, write: impl FnOnce(&mut Mut<'_, Text>) -> R) -> R;
    fn remove(document: &mut Self::Mut<'_>, key: u8);
    fn texts(state: &Self::State) -> BTreeMap<Vec<Plain>, String>;
}

impl Place for Text {
    fn write<R>(text: &mut Mut<'_, Text>, _: u8, write: impl FnOnce(&mut Mut<'_, Text>) -> R) -> R {
        write(text)
    }

    fn remove(text: &mut Mut<'_, Text>, _: u8) {
        text.clear();
    }

    fn texts(text: &Text) -> BTreeMap<Vec<Plain>, String> {
        [(vec![], text.to_string())].into()
    }
}

impl Place for Pages {
    fn write<R>(pages: &mut Mut<'_, Pages>, key: u8, write: impl FnOnce(&mut Mut<'_, Text>) -> R) -> R {
        write(&mut pages.at(key))
    }

    fn remove(pages: &mut Mut<'_, Pages>, key: u8) {
        pages.remove(&key);
    }

    fn texts(pages: &Pages) -> BTreeMap<Vec<Plain>, String> {
        pages.iter().map(|(key, text)| (vec![Plain::of(key)], text.to_string())).collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// By whom, of which text, where, how much goes, and what comes; in the end it may fail.
    Write(usize, u8, Vec<(usize, usize, String)>, bool),
    /// By whom, of which text, where, how much, and as what.
    Mark(usize, u8, usize, usize, bool),
    /// What was put there last goes again.
    TakeBack(usize, u8),
    Remove(usize, u8),
    /// Who hears from whom of how many writes.
    Hear(usize, usize, usize),
    /// Who answers whose version, or sends all it has.
    Answer(usize, usize, bool),
    Sweep(usize),
}

/// Letters of one to four bytes, and such that are one to the eye.
const LETTERS: &str = "[a-c\u{e9}\u{436}\u{20ac}\u{1f426}\u{1f3f4}\u{301}\n]{0,6}";

fn step() -> impl Strategy<Value = Step> {
    let (who, key) = (|| 0..3_usize, || 0..2_u8);
    let part = (0..60_usize, prop_oneof![3 => Just(0), 2 => 1..8_usize], LETTERS);
    let parts = prop::collection::vec(part, 1..4);
    prop_oneof![
        8 => (who(), key(), parts, prop::bool::weighted(0.1)).prop_map(|(by, key, parts, fails)| Step::Write(by, key, parts, fails)),
        2 => (who(), key(), 0..60_usize, 1..9_usize, any::<bool>()).prop_map(|(by, key, at, len, on)| Step::Mark(by, key, at, len, on)),
        2 => (who(), key()).prop_map(|(by, key)| Step::TakeBack(by, key)),
        1 => (who(), key()).prop_map(|(by, key)| Step::Remove(by, key)),
        8 => (who(), who(), 1..5_usize).prop_map(|(by, of, count)| Step::Hear(by, of, count)),
        2 => (who(), who(), any::<bool>()).prop_map(|(from, to, all)| Step::Answer(from, to, all)),
        1 => who().prop_map(Step::Sweep),
    ]
}

struct World<P: Place> {
    replicas: Vec<Replica<P>>,
    shown: Vec<BTreeMap<Vec<Plain>, Shown>>,
    written: Vec<Vec<Delta<P>>>,
    heard: [[usize; 3]; 3],
}

impl<P: Place> World<P> {
    fn new() -> Self {
        let replicas: Vec<Replica<P>> = (1..4).map(|n| Replica::new(id(n))).collect();
        let shown = |replica: &Replica<P>| {
            P::texts(replica).into_iter().map(|(path, text)| (path, Shown::new(&text))).collect()
        };
        let shown = replicas.iter().map(shown).collect();
        Self { replicas, shown, written: (0..3).map(|_| vec![]).collect(), heard: [[0; 3]; 3] }
    }

    /// Does what was told to what is shown, which is then what there is.
    fn show(&mut self, at: usize, told: &[Changes]) {
        self.shown[at] = self.showing(at, at, told);
    }

    /// What is shown at `at`, with what was told done, which is then what there is with `of`.
    fn showing(&self, at: usize, of: usize, told: &[Changes]) -> BTreeMap<Vec<Plain>, Shown> {
        let mut shown = self.shown[at].clone();
        for change in told.iter().flat_map(|told| &told.changes) {
            match &change.what {
                What::Added(Plain::Text(text)) => _ = shown.insert(change.path.clone(), Shown::new(text)),
                What::Removed => _ = shown.remove(&change.path).expect("it was there"),
                what => shown.get_mut(&change.path).expect("it was there").apply(what),
            }
        }
        let texts = P::texts(&self.replicas[of]);
        assert!(shown.keys().eq(texts.keys()), "{shown:?} is not {texts:?}");
        shown.iter().for_each(|(path, shown)| shown.assert_shows(&texts[path]));
        shown
    }

    fn write(&mut self, by: usize, write: impl FnOnce(&mut P::Mut<'_>) -> Result<(), ()>) {
        let Ok(((), delta, told)) = self.replicas[by].try_update_changes(write) else {
            return self.show(by, &[]);
        };
        self.wrote(by, delta);
        self.show(by, &[told]);
    }

    fn wrote(&mut self, by: usize, delta: Delta<P>) {
        if !delta.is_empty() {
            self.written[by].push(delta);
            self.heard[by][by] += 1;
        }
    }

    fn take_in(&mut self, at: usize, delta: Delta<P>) {
        let (_, told) = self.replicas[at].merge_changes(delta).unwrap();
        self.show(at, &told);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write(by, key, ref parts, fails) => self.write(by, |document| {
                P::write(document, key, |text| {
                    for (at, len, new) in parts {
                        let at = at % (text.len() + 1);
                        text.replace(at..(at + len).min(text.len()), new).unwrap();
                    }
                });
                if fails { Err(()) } else { Ok(()) }
            }),
            Step::Mark(by, key, at, len, on) => self.write(by, |document| {
                P::write(document, key, |text| {
                    let at = at % (text.len() + 1);
                    let part = at..(at + len).min(text.len());
                    if on {
                        text.mark(part, MarkKind::BOLD, true)
                    } else {
                        text.unmark(part, MarkKind::BOLD)
                    }
                    .unwrap();
                });
                Ok(())
            }),
            // As an editor takes back what was typed last.
            Step::TakeBack(by, key) => self.write(by, |document| {
                P::write(document, key, |text| {
                    let end = text.cursor(text.len(), Bias::Before).unwrap();
                    text.push("\u{1f426}\u{436}.");
                    let start = text.find(&end).unwrap();
                    text.delete(start..start + 1).unwrap();
                });
                Ok(())
            }),
            Step::Remove(by, key) => self.write(by, |document| {
                P::remove(document, key);
                Ok(())
            }),
            Step::Hear(by, of, count) => {
                let from = self.heard[by][of];
                let news = self.written[of][from..].iter().take(count).cloned().collect::<Vec<_>>();
                self.heard[by][of] += news.len();
                // Also what must wait, and what it waited for.
                news.into_iter().for_each(|delta| self.take_in(by, delta));
            }
            Step::Answer(from, to, all) => {
                // As if the one took the place of the other, and went again.
                for (one, other) in [(from, to), (to, from)] {
                    let told = self.replicas[one].changes_from(&self.replicas[other]);
                    let back = self.replicas[other].changes_from(&self.replicas[one]);
                    self.shown[other] = self.showing(other, one, &[told]);
                    self.shown[other] = self.showing(other, other, &[back]);
                }
                let delta = match self.replicas[from].delta_since(&self.replicas[to].version()) {
                    Since::Delta(delta) if !all => delta,
                    _ => self.replicas[from].state(),
                };
                self.take_in(to, delta);
            }
            Step::Sweep(by) => {
                let versions = self.replicas.iter().map(Replica::version);
                let stable = versions.reduce(|all, one| all.meet(&one)).unwrap_or_else(Version::new);
                let delta = self.replicas[by].sweep(&stable);
                self.wrote(by, delta);
                self.show(by, &[]);
            }
        }
    }
}

fn run<P: Place>(steps: &[Step]) {
    let mut world = World::<P>::new();
    steps.iter().for_each(|step| world.step(step));
    for (at, of) in (0..9).map(|n| (n / 3, n % 3)) {
        world.step(&Step::Hear(at, of, usize::MAX));
    }
    let texts: Vec<_> = world.replicas.iter().map(|replica| P::texts(replica)).collect();
    assert!(texts.iter().all(|other| *other == texts[0]));
}

proptest! {
    #![proptest_config(cases(192))]

    #[test]
    fn splices_make_in_every_unit_what_a_text_is_of_what_it_was(steps in prop::collection::vec(step(), 1..50)) {
        run::<Text>(&steps);
    }

    #[test]
    fn splices_below_keys_make_in_every_unit_what_a_text_is_of_what_it_was(steps in prop::collection::vec(step(), 1..50)) {
        run::<Pages>(&steps);
    }
}

#[test]
fn a_splice_says_how_long_what_was_deleted_was() {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|text| text.push("a\u{1f426}\u{436}b\u{20ac}c"));
    let mut bob = ann.fork(id(2));
    let (_, delta, own) = ann.update_changes(|text| {
        text.delete(4..5).unwrap();
        text.replace(1..3, "\u{e9}").unwrap();
    });
    let state = bob.fork(id(3)).merge_changes(ann.state()).unwrap().1;
    let other = bob.merge_changes(delta).unwrap().1;
    for told in [&own, &other[0], &state[0]] {
        let [What::Spliced(splices)] =
            &told.changes.iter().map(|change| change.what.clone()).collect::<Vec<_>>()[..]
        else {
            panic!("{told:?}")
        };
        let said: Vec<_> = splices
            .iter()
            .map(|splice| (splice.at, splice.deleted, splice.utf16.clone(), splice.bytes.clone()))
            .collect();
        assert_eq!(said, [(1, 2, 1..4, 1..7), (3, 1, 3..4, 4..7)]);
    }
    // More than is looked for one by one.
    let many = "\u{1f426}\u{436}".repeat(3_000);
    let _ = ann.update(|text| text.insert(1, &many).unwrap());
    let _ = bob.merge(ann.state()).unwrap();
    let (_, _, own) = bob.update_changes(|text| text.delete(1..6_001).unwrap());
    let What::Spliced(splices) = &own.changes[0].what else { panic!("{own:?}") };
    assert_eq!((splices.len(), splices[0].utf16.clone(), splices[0].bytes.clone()), (1, 1..9_001, 1..18_001));
}
