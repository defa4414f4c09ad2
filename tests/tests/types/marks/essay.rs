//! Random executions against the rules of the essay: letters are typed and deleted, marks of all kinds are laid and taken away, comments over one
//! another and the kinds of lines among them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use proptest::prelude::*;
use tombolo_crdt::{
    BlockKind, Delta, Expand, Limits, MarkKind, Merged, Mut, Replica, ReplicaId, Scalar, Text, What,
};
use tombolo_tests::model::cases;
use tombolo_tests::model::marks::{Essay, Page};
use tombolo_tests::model::two::id;
use tombolo_tests::model::wire::Message;

use super::read;

/// Kinds of marks that are laid over any part of the text, and then those of lines.
static KINDS: LazyLock<Vec<MarkKind>> = LazyLock::new(|| {
    let on_letters = [
        MarkKind::BOLD,
        MarkKind::LINK,
        MarkKind::new("before", Expand::Before),
        MarkKind::new("both", Expand::Both),
    ];
    let comments = ["1", "2", "3"].map(MarkKind::comment);
    on_letters.into_iter().chain(comments).chain([MarkKind::BLOCK, MarkKind::INDENT]).collect()
});

/// How many of them are not of lines.
const ON_LETTERS: usize = 7;

/// What lines can be, with what a mark says of it.
const LINES: [(BlockKind, Option<&str>); 4] = [
    (BlockKind::Paragraph, None),
    (BlockKind::Heading(2), Some("h2")),
    (BlockKind::Task { done: false }, Some("task")),
    (BlockKind::Bullet, Some("bullet")),
];

#[derive(Clone, Debug)]
enum Step {
    /// By whom, where, how many letters, and whether the last is a line feed.
    Insert(usize, usize, usize, bool),
    Delete(usize, usize, usize),
    /// By whom, where, how many letters, of which kind, and what it says.
    Mark(usize, usize, usize, usize, Scalar),
    /// By whom, the lines of which letters, and what they are to be.
    Block(usize, usize, usize, usize),
    Indent(usize, usize, usize, u8),
    /// All of the second's writes come to the first.
    Hear(usize, usize),
    /// It goes on from bytes.
    Reload(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![2 => Just(Scalar::Null), 3 => (1..4_i64).prop_map(Scalar::Int)];
    let part = || (0..3_usize, 0..40_usize, 1..9_usize);
    let few = (0..3_usize, 0..40_usize, 1..4_usize);
    prop_oneof![
        5 => (few, prop::bool::weighted(0.3)).prop_map(|((by, at, len), ends)| Step::Insert(by, at, len, ends)),
        4 => part().prop_map(|(by, at, len)| Step::Delete(by, at, len)),
        8 => (part(), 0..ON_LETTERS, value)
            .prop_map(|((by, at, len), kind, value)| Step::Mark(by, at, len, kind, value)),
        2 => (part(), 0..LINES.len()).prop_map(|((by, at, len), kind)| Step::Block(by, at, len, kind)),
        1 => (part(), 0..3_u8).prop_map(|((by, at, len), indent)| Step::Indent(by, at, len, indent)),
        6 => (0..3_usize, 0..3_usize).prop_map(|(by, of)| Step::Hear(by, of)),
        1 => (0..3_usize).prop_map(Step::Reload),
    ]
}

/// What one of three has written or heard of: letters that were typed, letters that were deleted, and marks.
#[derive(Clone, Default)]
struct Known {
    typed: BTreeSet<usize>,
    deleted: BTreeSet<usize>,
    marks: BTreeSet<usize>,
}

struct World {
    all: Vec<Replica<Text>>,
    known: [Known; 3],
    /// Where each letter stands that ever was says one who hears of all that is typed, in whichever order it is, and of no deletion and no mark.
    witness: Replica<Text>,
    /// The letters as the witness has them, by numbers, and what they are.
    order: Vec<usize>,
    letters: Vec<char>,
    essay: Essay<usize>,
}

impl World {
    fn new() -> Self {
        Self {
            all: (1..4).map(|n| Replica::new(id(n))).collect(),
            known: Default::default(),
            witness: Replica::new(id(9)),
            order: Vec::new(),
            letters: Vec::new(),
            essay: Essay::new(&KINDS),
        }
    }

    fn page(&self, by: usize) -> Page<usize> {
        let Known { typed, deleted, .. } = &self.known[by];
        Page::new(&self.order, |letter| typed.contains(&letter) && !deleted.contains(&letter))
    }

    /// The part that begins here, as far as there is so much.
    fn part(&self, by: usize, at: usize, len: usize) -> Range<usize> {
        let all = self.all[by].len();
        let start = at % (all + 1);
        start..(start + len).min(all)
    }

    fn insert(&mut self, by: usize, at: usize, new: &str) {
        let first = self.letters.len();
        self.letters.extend(new.chars());
        self.known[by].typed.extend(first..self.letters.len());
        let delta = self.all[by].update(|text| text.insert(at, new).unwrap()).1;
        let told = self.witness.merge_changes(delta).unwrap().1;
        let mut typed = first..self.letters.len();
        for change in told.into_iter().flat_map(|told| told.changes) {
            let What::Spliced(splices) = change.what else { panic!("{change:?}") };
            for splice in splices {
                assert_eq!(splice.deleted, 0);
                let new = typed.by_ref().take(splice.inserted.chars().count());
                self.order.splice(splice.at..splice.at, new);
            }
        }
        assert!(typed.is_empty());
    }

    /// To the witness, as if nothing had been done.
    fn conceal(&mut self, delta: &Delta<Text>) {
        if delta.is_empty() {
            return;
        }
        let (replica, last) = delta.events().iter().next().unwrap();
        let deps: Vec<_> = delta.deps().iter().filter(|(of, _)| *of != replica).collect();
        let named: BTreeSet<ReplicaId> = deps.iter().map(|(of, _)| *of).chain([replica]).collect();
        let row = |id: ReplicaId| named.iter().position(|named| *named == id).unwrap() as u64;
        let message = Message {
            replicas: named.iter().map(|id| *id.as_bytes()).collect(),
            deps: deps.into_iter().map(|(of, last)| (row(of), last)).collect(),
            events: vec![(row(replica), last + 1 - delta.len(), delta.len())],
            ..Message::default()
        };
        let concealed = Delta::decode(&message.delta(), &Limits::default()).unwrap();
        assert_eq!(self.witness.merge(concealed).unwrap(), Merged::Applied);
    }

    fn mark(&mut self, by: usize, parts: &[Range<usize>], kind: usize, value: &Scalar) {
        let page = self.page(by);
        let replica = self.all[by].id();
        for part in parts {
            let known = &mut self.known[by].marks;
            self.essay.mark(replica, known, (part.start, part.end), kind, value, &page);
        }
    }

    /// The line feeds of the lines that a part touches. The last line gets one if it has none.
    fn lines(&mut self, by: usize, part: &Range<usize>) -> Vec<Range<usize>> {
        let text = self.all[by].to_string();
        let last = part.end.max(part.start + 1) - 1;
        if !text.chars().skip(last).any(|letter| letter == '\n') {
            self.insert(by, self.all[by].len(), "\n");
        }
        let text = self.all[by].to_string();
        let ends = text.chars().enumerate().filter(|(_, letter)| *letter == '\n').map(|(at, _)| at);
        let mut start = 0;
        let lines = ends.map(|end| std::mem::replace(&mut start, end + 1)..end);
        let touched = lines.filter(|line| line.start <= last && part.start <= line.end);
        touched.map(|line| line.end..line.end + 1).collect()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Insert(by, at, len, ends) => {
                let at = at % (self.all[by].len() + 1);
                let letter = |nth: usize| char::from_u32(0x4e00 + (self.letters.len() + nth) as u32).unwrap();
                let new: String = (1..len).map(letter).chain([if ends { '\n' } else { letter(0) }]).collect();
                self.insert(by, at, &new);
            }
            Step::Delete(by, at, len) => {
                let part = self.part(by, at, len);
                let page = self.page(by);
                self.known[by].deleted.extend(&page.text()[part.clone()]);
                let delta = self.all[by].update(|text| text.delete(part).unwrap()).1;
                self.conceal(&delta);
            }
            Step::Mark(by, at, len, kind, ref value) => {
                let part = self.part(by, at, len);
                self.mark(by, std::slice::from_ref(&part), kind, value);
                let write = |text: &mut Mut<'_, Text>| text.mark(part, KINDS[kind].clone(), value.clone());
                let delta = self.all[by].update(|text| write(text).unwrap()).1;
                self.conceal(&delta);
            }
            Step::Block(by, at, len, kind) => {
                let part = self.part(by, at, len);
                let (kind, says) = LINES[kind];
                let lines = self.lines(by, &part);
                self.mark(by, &lines, ON_LETTERS, &says.map_or(Scalar::Null, Scalar::from));
                let delta = self.all[by].update(|text| text.set_block(part, kind).unwrap()).1;
                self.conceal(&delta);
            }
            Step::Indent(by, at, len, indent) => {
                let part = self.part(by, at, len);
                let lines = self.lines(by, &part);
                let says = if indent == 0 { Scalar::Null } else { Scalar::Int(indent.into()) };
                self.mark(by, &lines, ON_LETTERS + 1, &says);
                let delta = self.all[by].update(|text| text.set_indent(part, indent).unwrap()).1;
                self.conceal(&delta);
            }
            Step::Hear(by, of) => {
                let Known { typed, deleted, marks } = self.known[of].clone();
                self.known[by].typed.extend(typed);
                self.known[by].deleted.extend(deleted);
                self.known[by].marks.extend(marks);
                let news = self.all[of].state();
                let _ = self.all[by].merge(news).unwrap();
            }
            Step::Reload(by) => {
                let bytes = self.all[by].encode();
                self.all[by] = Replica::decode(self.all[by].id(), &bytes, &Limits::default()).unwrap();
            }
        }
    }

    fn check(&self, by: usize) -> Result<(), TestCaseError> {
        let (page, text) = (self.page(by), &self.all[by]);
        let letters: String = page.text().iter().map(|letter| self.letters[*letter]).collect();
        prop_assert_eq!(letters, text.to_string());
        prop_assert_eq!(self.essay.read(&self.known[by].marks, &page), read(text));
        Ok(())
    }
}

proptest! {
    #![proptest_config(cases(if cfg!(debug_assertions) { 400 } else { 4000 }))]

    #[test]
    fn marks_are_read_as_the_essay_has_them(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            for by in 0..3 {
                world.check(by).map_err(|error| TestCaseError::fail(format!("after {step:?}: {error}")))?;
            }
        }
        // All hear of all.
        for (by, of) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
            world.step(&Step::Hear(by, of));
            world.check(by)?;
        }
    }
}
