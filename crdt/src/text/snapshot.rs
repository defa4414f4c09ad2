//! A text that is edited elsewhere, in somebody's editor, while others write.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use super::diff::{Differs, splices};
use super::{Bias, Cursor, Text};
use crate::causal::{Dot, LocalDot, MAX_COUNTER};
use crate::ordered::Letter;
use crate::store::Mut;

/// A text as it stood at one moment, which can be taken elsewhere and edited there. It knows its letters by name, so that what was
/// changed in it can be done to the text as it stands by then.
///
/// ```
/// use tombolo_crdt::{Replica, ReplicaId, Text};
///
/// let mut notes = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
/// let _ = notes.update(|text| text.push("The tide falls.\n"));
/// let opened = notes.snapshot();
/// // While it is open in an editor:
/// let _ = notes.try_update(|text| text.replace(9..14, "rises")).unwrap();
/// let _ = notes.update(|text| text.push("Noon.\n"));
/// let edit = opened.edited("At dawn\nthe spring tide falls.\n");
/// let _ = notes.update(|text| text.apply(&edit));
/// assert_eq!(notes.to_string(), "At dawn\nthe spring tide rises.\nNoon.\n");
/// ```
///
/// For each piece that was typed in one go it holds some 24 bytes beside the text.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct TextSnapshot {
    text: String,
    /// INVARIANT: the names of the letters in their order: of each run the first, and how many there are.
    runs: Vec<(Dot, u64)>,
    /// Of each run the counter of its head.
    heads: Vec<u64>,
}

#[derive(Deserialize)]
struct Unchecked {
    text: String,
    runs: Vec<(Dot, u64)>,
    heads: Vec<u64>,
}

impl TryFrom<Unchecked> for TextSnapshot {
    type Error = &'static str;

    fn try_from(Unchecked { text, runs, heads }: Unchecked) -> Result<Self, &'static str> {
        let named = runs.iter().try_fold(0_u64, |named, (first, count)| {
            let is_there = first.counter.checked_add(*count).is_some_and(|end| end <= MAX_COUNTER + 1);
            named.checked_add(*count).filter(|_| is_there)
        });
        if named == Some(text.chars().count() as u64) && heads.len() == runs.len() {
            Ok(Self { text, runs, heads })
        } else {
            Err("a snapshot must name as many letters as its text has")
        }
    }
}

/// What was changed in a [`TextSnapshot`]: plain data, as long as what was changed and not as the text.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TextEdit {
    /// In the order of the text.
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Part {
    /// Where the new letters belong.
    at: Cursor,
    /// The names of the letters that go, as in a snapshot.
    deleted: Vec<(Dot, u64)>,
    inserted: String,
}

impl TextEdit {
    /// Whether nothing was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

impl TextSnapshot {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What was changed if the text reads as `content` now: as little as in [`replace_content`](Mut::replace_content).
    ///
    /// Costs time with the length of both.
    #[must_use]
    pub fn edited(&self, content: &str) -> TextEdit {
        let letters: Vec<char> = self.text.chars().collect();
        let starts: Vec<usize> = self
            .runs
            .iter()
            .scan(0, |end, (_, count)| Some(core::mem::replace(end, *end + *count as usize)))
            .collect();
        // Splices count with those before them done.
        let (mut gone, mut come) = (0, 0);
        let parts = splices(&self.text, content).into_iter().map(|Differs { at, deleted, inserted }| {
            let start = at + gone - come;
            gone += deleted;
            come += inserted.chars().count();
            // What begins a line stays before what was below it, anything else behind what it was typed behind.
            let begins_line = start.checked_sub(1).is_none_or(|before| letters[before] == '\n');
            let before = start.checked_sub(1).map(|at| self.letter(&starts, at));
            let behind = (start < letters.len()).then(|| self.letter(&starts, start));
            let at = if begins_line {
                Cursor { letter: behind, bias: Bias::After, other: before, above: Vec::new() }
            } else {
                Cursor { letter: before, bias: Bias::Before, other: behind, above: Vec::new() }
            };
            let deleted = self.names(&starts, start..start + deleted);
            Part { at, deleted, inserted }
        });
        TextEdit { parts: parts.collect() }
    }

    /// A letter; `starts` says where each run begins.
    fn letter(&self, starts: &[usize], at: usize) -> Letter {
        let run = starts.partition_point(|start| *start <= at) - 1;
        let (first, _) = self.runs[run];
        let dot = Dot { counter: first.counter + (at - starts[run]) as u64, ..first };
        Letter { dot, head: self.heads[run] }
    }

    /// The names of some letters; `starts` says where each run begins.
    fn names(&self, starts: &[usize], letters: Range<usize>) -> Vec<(Dot, u64)> {
        let mut names = Vec::new();
        let mut at = letters.start;
        let runs = starts.partition_point(|start| *start <= at).saturating_sub(1)..;
        for (start, (first, count)) in runs.map_while(|run| Some((starts.get(run)?, self.runs[run]))) {
            if at >= letters.end {
                break;
            }
            let end = letters.end.min(start + count as usize);
            let first = Dot { counter: first.counter + (at - start) as u64, ..first };
            if at < end {
                names.push((first, (end - at) as u64));
                at = end;
            }
        }
        names
    }
}

impl Text {
    /// The text as it stands now, to be edited elsewhere. Costs time with its length.
    #[must_use]
    pub fn snapshot(&self) -> TextSnapshot {
        let mut snapshot = TextSnapshot::default();
        for (first, text) in self.body.sequence.live() {
            let count = text.chars().count() as u64;
            let head = self.body.sequence.head_of(first);
            let first =
                Dot { replica: self.body.sequence.ids().id(first.replica()), counter: first.counter() };
            match snapshot.runs.last_mut() {
                Some((last, so_many))
                    if last.replica == first.replica && last.counter + *so_many == first.counter =>
                {
                    *so_many += count;
                }
                _ => {
                    snapshot.runs.push((first, count));
                    snapshot.heads.push(head);
                }
            }
            snapshot.text.push_str(text);
        }
        snapshot
    }
}

impl Mut<'_, Text> {
    /// Does what was changed in a snapshot of this text, whatever was written since: what came meanwhile stays, what went does not come
    /// back, and new letters stand beside those they were put beside. Letters whose names are unknown here count as gone.
    pub fn apply(&mut self, edit: &TextEdit) {
        let text = &*self.state;
        let mut places: Vec<(Range<usize>, &str)> = Vec::new();
        // Nobody honest names letters in another order than they stand.
        let mut reached = 0;
        let mut put = |range: Range<usize>, inserted| {
            let start = range.start.max(reached);
            reached = range.end.max(start);
            let place: (Range<usize>, &str) = (start..reached, inserted);
            if !place.0.is_empty() || !place.1.is_empty() {
                places.push(place);
            }
        };
        let mut named = Named::default();
        for part in &edit.parts {
            let at = text.find(&part.at).unwrap_or(text.len());
            put(at..at, &part.inserted[..]);
            for (first, count) in &part.deleted {
                let Some(first) = text.body.element(*first).filter(|first| named.add(*first, *count)) else {
                    continue;
                };
                let live = text.body.sequence.live_among(first, *count);
                live.into_iter().for_each(|range| put(range, ""));
            }
        }
        for (range, inserted) in places.into_iter().rev() {
            self.splice(range, inserted);
        }
    }
}

/// The letters that were named, by the first and last of each part.
///
/// SUBTLE: nobody honest names a letter twice. To look up the same ones again and again would cost a small edit all the time there is.
#[derive(Default)]
struct Named(BTreeMap<LocalDot, LocalDot>);

impl Named {
    /// Whether none of these had been named so far.
    fn add(&mut self, first: LocalDot, count: u64) -> bool {
        let Some(more) = count.checked_sub(1) else { return false };
        let last = LocalDot::new(first.replica(), first.counter().saturating_add(more).min(MAX_COUNTER));
        let before = self.0.range(..=last).next_back();
        let is_new = before.is_none_or(|(_, end)| *end < first);
        if is_new {
            self.0.insert(first, last);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;
    use crate::{Replica, ReplicaId};

    fn replica(byte: u8) -> ReplicaId {
        ReplicaId::from_bytes([byte; 16])
    }

    fn holding(content: &str) -> Replica<Text> {
        let mut text = Replica::<Text>::new(replica(1));
        let _ = text.update(|text| text.push(content));
        text
    }

    /// What comes of it if `content` is made of a copy of `old` while others make `meanwhile` of it.
    fn edited(old: &str, meanwhile: &str, content: &str) -> String {
        let mut text = holding(old);
        let opened = text.snapshot();
        assert_eq!(opened.as_str(), old);
        let _ = text.update(|text| text.replace_content(meanwhile));
        let edit = opened.edited(content);
        let _ = text.update(|text| text.apply(&edit));
        text.to_string()
    }

    #[test]
    fn what_came_meanwhile_stays_and_what_went_does_not_come_back() {
        assert_eq!(edited("one\ntwo\nsix\n", "one\ntwo\nthree\nsix\n", "one\nsix\n"), "one\nthree\nsix\n");
        assert_eq!(edited("one\ntwo\nsix\n", "one\nsix\n", "one\ntwo!\nsix\n"), "one\n!six\n");
        assert_eq!(edited("The tide falls.", "The tides fall.", "The flood falls."), "The floods fall.");
    }

    #[test]
    fn a_word_is_written_on_where_it_ends_and_a_line_comes_behind_those_that_came_meanwhile() {
        assert_eq!(edited("The tide", "The tide falls.", "The tides"), "The tides falls.");
        assert_eq!(edited("one\n", "one\ntwo\n", "one\nmine\n"), "one\ntwo\nmine\n");
        assert_eq!(edited("", "two\n", "mine\n"), "two\nmine\n");
    }

    #[test]
    fn an_edit_of_a_text_that_is_gone_is_what_was_typed() {
        assert_eq!(edited("one\ntwo\n", "", "one\nmine\ntwo\nand this\n"), "mine\nand this\n");
        let edit = holding("one").snapshot().edited("one and two");
        let mut other = Replica::<Text>::new(replica(2));
        let _ = other.update(|text| text.apply(&edit));
        assert_eq!(other.to_string(), " and two");
    }

    #[test]
    fn a_snapshot_that_names_other_than_its_letters_is_refused() {
        let snapshot = holding("one").snapshot();
        let json = serde_json::to_string(&snapshot).unwrap();
        assert_eq!(serde_json::from_str::<TextSnapshot>(&json).unwrap(), snapshot);
        assert!(serde_json::from_str::<TextSnapshot>(&json.replace("one", "four")).is_err());
    }

    #[test]
    fn an_edit_that_names_letters_twice_and_far_beyond_all_there_are_harms_nothing() {
        let mut text = holding("one two");
        let mut edit = text.snapshot().edited("two");
        edit.parts[0].deleted[0].1 = u64::MAX;
        edit.parts.push(edit.parts[0].clone());
        let _ = text.update(|text| text.apply(&edit));
        assert_eq!(text.to_string(), "");
    }

    #[test]
    fn letters_are_looked_up_once_however_often_an_edit_names_them() {
        let first = |counter| LocalDot::new(1, counter);
        let mut named = Named::default();
        assert!(named.add(first(10), 5) && named.add(first(1), 9) && named.add(first(15), u64::MAX));
        assert!(named.add(LocalDot::new(2, 10), 5));
        for (counter, count) in [(10, 5), (14, 1), (9, 2), (1, u64::MAX), (90, 1), (5, 0)] {
            assert!(!named.add(first(counter), count), "{counter} {count}");
        }
        // A letter of two in turns, all of them named a thousand times in one edit.
        let (mut ann, mut bob) = (Replica::<Text>::new(replica(1)), Replica::<Text>::new(replica(2)));
        for turn in 0..2_000 {
            let (writer, other) = if turn % 2 == 0 { (&mut ann, &mut bob) } else { (&mut bob, &mut ann) };
            other.merge(writer.update(|text| text.push("x")).1).unwrap();
        }
        let mut edit = ann.snapshot().edited("");
        let [all] = &mut edit.parts[..] else { panic!("one part is gone: all") };
        let (one, _) = all.deleted[0];
        all.deleted = alloc::vec![(one, u64::MAX); 20_000];
        let (_, delta) = ann.update(|text| text.apply(&edit));
        assert_eq!((ann.len(), delta.is_empty()), (1_000, false));
    }

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn an_edit_does_what_it_would_have_done_at_once_and_beside_others_has_all_of_both(
            old in "([ab \n\u{1f426}]|the ){0,20}",
            meanwhile in "([cd \n\u{1f427}]|the ){0,20}",
            content in "([ab \n\u{1f426}]|the ){0,20}",
        ) {
            prop_assert_eq!(edited(&old, &old, &content), content.clone());
            let mut ann = holding(&old);
            let mut bob = ann.fork(replica(2));
            let (_, his) = bob.update(|text| text.replace_content(&content));
            let _ = ann.update(|text| text.replace_content(&meanwhile));
            let _ = ann.merge(his).unwrap();
            let letters = |text: &str| { let mut all: Vec<char> = text.chars().collect(); all.sort_unstable(); all };
            prop_assert_eq!(letters(&edited(&old, &meanwhile, &content)), letters(&ann.to_string()));
        }
    }
}
