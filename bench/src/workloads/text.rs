//! A text that people typed, alone and together.

use super::{Stop, both, check};
use crate::meter::{Meter, Unit};
use crate::system::{Edit, System, Text};
use crate::traces::{self, Trace};

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    let trace = traces::alone();
    in_one(system, meter, &trace)?;
    each(system, meter, &trace)?;
    together(system, meter)?;
    merge(system, meter, &trace)
}

/// The session of one, as one transaction.
fn in_one(system: &dyn System, meter: &mut Meter, trace: &Trace) -> Result<(), Stop> {
    let mut text = system.text(1)?;
    match meter.section("one_tx", || text.write_in_one(&trace.edits)) {
        Ok(()) => check("one_tx", &text.read(), &trace.end),
        Err(why) => {
            meter.na("one_tx", why);
            Ok(())
        }
    }
}

/// The same, each edit with a delta, which a second replica takes in; what that is stored as.
fn each(system: &dyn System, meter: &mut Meter, trace: &Trace) -> Result<(), Stop> {
    let (mut ann, mut bob) = (system.text(1)?, system.text(2)?);
    let deltas: Vec<Vec<u8>> =
        meter.section("each", || trace.edits.iter().map(|edit| ann.write(edit)).collect());
    check("each", &ann.read(), &trace.end)?;
    let bytes = total(&deltas);
    meter.value("each", "bytes", bytes, Unit::Bytes);
    meter.value("keystroke", "bytes", bytes / deltas.len() as f64, Unit::Bytes);

    let saved = meter.section("save", || ann.save());
    meter.bytes("save", [saved.as_slice()]);
    drop(ann);
    let mut loaded = system.text(3)?;
    let read = meter.section("load", || {
        loaded.load(&saved);
        loaded.read()
    });
    check("load", &read, &trace.end)?;
    trimmed(system, meter, trace, loaded)?;

    if let Err(why) = bob.takes_in(deltas.len()) {
        meter.na("apply", why);
        return Ok(());
    }
    meter.section("apply", || deltas.iter().for_each(|delta| bob.apply(delta)));
    check("apply", &bob.read(), &trace.end)
}

/// What is left to store of it once everybody knows all, and history is forgotten.
fn trimmed(
    system: &dyn System,
    meter: &mut Meter,
    trace: &Trace,
    mut whole: Box<dyn Text>,
) -> Result<(), Stop> {
    match meter.section("trimmed", || whole.trimmed()) {
        Ok(bytes) => {
            meter.bytes("trimmed", [bytes.as_slice()]);
            let mut loaded = system.text(4)?;
            loaded.load(&bytes);
            check("trimmed", &loaded.read(), &trace.end)
        }
        Err(why) => {
            meter.na("trimmed", why);
            Ok(())
        }
    }
}

/// The session of two, each edit sent before the next that was made on it; then somebody joins.
fn together(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    meter.preparing("the session of two");
    let trace = traces::together();
    let lacking = trace.lacking();
    // SUBTLE: once in the recording both insert where one of them has just deleted a letter. To some systems that is one place, and
    // it ends as it did only if what the first typed comes first there: of these two ids it does, in all of them.
    let mut agents = [system.text(2)?, system.text(1)?];
    if let Err(why) = agents[0].takes_in(trace.edits.len()) {
        ["exchange", "catch_up", "catch_up_each"].iter().for_each(|section| meter.na(section, why));
        return Ok(());
    }
    let deltas: Vec<Vec<u8>> = meter.section("exchange", || {
        let mut deltas: Vec<Vec<u8>> = Vec::with_capacity(trace.edits.len());
        for ((edit, agent), lacking) in trace.edits.iter().zip(&trace.agents).zip(&lacking) {
            let text = &mut agents[*agent];
            lacking.iter().for_each(|nth| text.apply(&deltas[*nth]));
            deltas.push(text.write(edit));
        }
        deltas
    });
    meter.value("exchange", "bytes", total(&deltas), Unit::Bytes);
    // Whoever made the last edit has seen everything.
    let [first, second] = agents;
    let mut whole = if trace.agents.last() == Some(&0) { first } else { second };
    check("exchange", &whole.read(), &trace.end)?;

    let mut new = system.text(3)?;
    let caught_up = meter.section("catch_up", || -> Result<(Vec<u8>, String), &'static str> {
        let version = new.version();
        let all = whole.since(&version)?;
        new.apply(&all);
        Ok((all, new.read()))
    });
    match caught_up {
        Ok((all, read)) => {
            meter.bytes("catch_up", [all.as_slice()]);
            check("catch_up", &read, &trace.end)?;
        }
        Err(why) => meter.na("catch_up", why),
    }

    let mut new = system.text(3)?;
    let read = meter.section("catch_up_each", || {
        deltas.iter().for_each(|delta| new.apply(delta));
        new.read()
    });
    check("catch_up_each", &read, &trace.end)
}

/// Two who never met: one typed the first half of the session of one, the other pasted what came of it and typed the second. Both
/// directions, through bytes.
fn merge(system: &dyn System, meter: &mut Meter, trace: &Trace) -> Result<(), Stop> {
    meter.preparing("merge");
    let (before, after) = trace.edits.split_at(trace.edits.len() / 2);
    let (mut ann, mut bob) = (system.text(1)?, system.text(2)?);
    all(&mut *ann, before);
    let middle = ann.read();
    bob.write(&Edit { at: 0, delete: 0, insert: middle.clone() });
    meter.preparing("merge, the second half");
    all(&mut *bob, after);
    match meter.section("merge", || both(&mut *ann, &mut *bob)) {
        Ok(messages) => meter.bytes("merge", messages.iter().map(Vec::as_slice)),
        Err(why) => {
            meter.na("merge", why);
            return Ok(());
        }
    }
    let read = ann.read();
    check("merge, second", &bob.read(), &read)?;
    // Whose comes first is for each system to say.
    let (hers, his) = (&middle, &trace.end);
    let is_whole = read == format!("{hers}{his}") || read == format!("{his}{hers}");
    check("merge, each one's text whole", &is_whole, &true)
}

/// In one transaction, or where that cannot be, in one each.
fn all(text: &mut dyn Text, edits: &[Edit]) {
    if text.write_in_one(edits).is_err() {
        edits.iter().for_each(|edit| drop(text.write(edit)));
    }
}

fn total(messages: &[Vec<u8>]) -> f64 {
    messages.iter().map(Vec::len).sum::<usize>() as f64
}
