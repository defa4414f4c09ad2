//! A text with marks.

use super::{Stop, check};
use crate::inputs;
use crate::meter::{Meter, Unit};
use crate::system::{BOLD, Edit, LINK, Marking, Na, Says, System, Text};
use crate::traces;

const MARKS: usize = 10_000;
const LETTERS: usize = 10_000;
/// Over so many letters at most.
const LONGEST: usize = 100;
/// The marks that say yes.
const PLAIN: [&str; 3] = [BOLD, "italic", "underline"];

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    let mut model = Model::of(&traces::alone().end);
    let (mut ann, mut bob): (Box<dyn Text>, Box<dyn Text>) = (system.text(1)?, system.text(2)?);
    ann.write_in_one(&[Edit { at: 0, delete: 0, insert: model.read().0 }])?;
    let version = bob.version();
    bob.apply(&ann.since(&version)?);

    let mut random = inputs::rng(55);
    let markings: Vec<Marking> = (0..MARKS).map(|nth| model.marking(&mut random, nth)).collect();
    let marked = model.read();
    let deltas: Na<Vec<Vec<u8>>> =
        meter.section("each", || markings.iter().map(|marking| ann.mark(marking)).collect());
    let mut deltas = deltas?;
    meter.value("each", "bytes", total(&deltas), Unit::Bytes);
    check("each", &read(&mut *ann)?, &marked)?;

    let edits: Vec<Edit> = (0..LETTERS).map(|_| model.typing(&mut random)).collect();
    let expected = model.read();
    let typed: Vec<Vec<u8>> = meter.section("typing", || edits.iter().map(|edit| ann.write(edit)).collect());
    meter.value("typing", "bytes", total(&typed), Unit::Bytes);
    let runs = meter.section("read", || ann.runs())?;
    check("typing", &joined(&runs), &expected)?;

    let saved = meter.section("save", || ann.save());
    meter.bytes("save", [saved.as_slice()]);
    drop(ann);
    let mut loaded = system.text(3)?;
    let runs = meter.section("load", || {
        loaded.load(&saved);
        loaded.runs()
    })?;
    check("load", &joined(&runs), &expected)?;
    drop(loaded);

    deltas.extend(typed);
    if let Err(why) = bob.takes_in(deltas.len()) {
        meter.na("apply", why);
        return Ok(());
    }
    meter.section("apply", || deltas.iter().for_each(|delta| bob.apply(delta)));
    check("apply", &read(&mut *bob)?, &expected)
}

/// What a text reads, and how many letters of it are bold.
type Read = (String, usize);

fn joined(runs: &[(String, bool)]) -> Read {
    let bold = runs.iter().filter(|(_, is_bold)| *is_bold).map(|(text, _)| text.len());
    (runs.iter().map(|(text, _)| &text[..]).collect(), bold.sum())
}

/// As its runs and as its plain text say, which must be the same.
fn read(text: &mut dyn Text) -> Result<Read, Stop> {
    let read = joined(&text.runs()?);
    check("plain text", &text.read(), &read.0)?;
    Ok(read)
}

/// The letters of a text, and which of the plain marks each has.
struct Model(Vec<(u8, [bool; PLAIN.len()])>);

impl Model {
    fn of(text: &str) -> Self {
        Self(text.bytes().map(|letter| (letter, [false; PLAIN.len()])).collect())
    }

    fn read(&self) -> Read {
        let letters = self.0.iter().map(|(letter, _)| char::from(*letter));
        (letters.collect(), self.0.iter().filter(|(_, marks)| marks[0]).count())
    }

    /// A mark somewhere; one in eight is taken away, where there is any.
    fn marking(&mut self, random: &mut impl rand::Rng, nth: usize) -> Marking {
        let start = inputs::below(random, self.0.len());
        let part = start..(start + 1 + inputs::below(random, LONGEST)).min(self.0.len());
        let (which, is_removal) = (inputs::below(random, PLAIN.len() + 1), inputs::below(random, 8) == 0);
        let Some(name) = PLAIN.get(which) else {
            return Marking { part, name: LINK, says: Some(Says::To(format!("https://example.org/{nth}"))) };
        };
        let letters = &mut self.0[part.clone()];
        let is_removal = is_removal && letters.iter().any(|(_, marks)| marks[which]);
        letters.iter_mut().for_each(|(_, marks)| marks[which] = !is_removal);
        Marking { part, name, says: (!is_removal).then_some(Says::Yes) }
    }

    /// A letter somewhere. It has the marks of the one before it: they go on at their ends, and not at their beginnings.
    fn typing(&mut self, random: &mut impl rand::Rng) -> Edit {
        let at = inputs::below(random, self.0.len() + 1);
        let letter = b'a' + inputs::below(random, 26) as u8;
        let marks = at.checked_sub(1).map_or([false; PLAIN.len()], |before| self.0[before].1);
        self.0.insert(at, (letter, marks));
        Edit { at, delete: 0, insert: char::from(letter).to_string() }
    }
}

fn total(messages: &[Vec<u8>]) -> f64 {
    messages.iter().map(Vec::len).sum::<usize>() as f64
}
