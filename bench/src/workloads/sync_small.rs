//! Two replicas that are nearly equal meet: without knowing one another, and in an established session.

use std::collections::VecDeque;

use super::{Stop, check, sorted};
use crate::inputs;
use crate::meter::{Meter, Unit};
use crate::system::{Map, Message, System};

const SHARED: usize = 100_000;
const NEW: usize = 10;

pub fn run(system: &dyn System, meter: &mut Meter) -> Result<(), Stop> {
    meter.preparing("shared keys");
    let (keys, values) = (inputs::keys(0, SHARED + 6 * NEW), inputs::values(31, SHARED + 6 * NEW));
    let (mut ann, mut bob) = (system.map(1)?, system.map(2)?);
    ann.set_in_one(&keys[..SHARED], &values[..SHARED]);
    let version = bob.version();
    let all = ann.since(&version)?;
    bob.apply(&all);
    let part = |i: usize| SHARED + i * NEW..SHARED + (i + 1) * NEW;
    ann.set_in_one(&keys[part(0)], &values[part(0)]);
    bob.set_in_one(&keys[part(1)], &values[part(1)]);

    let wire = meter.section("handshake", || {
        let mut wire = Wire::default();
        wire.send(ann.greet(), true);
        wire.send(bob.greet(), false);
        wire.deliver(&mut *ann, &mut *bob);
        wire
    });
    wire.tell("handshake", meter);
    let both = SHARED + 2 * NEW;
    check("handshake, first", &ann.entries().len(), &both)?;
    check("handshake, second", &bob.entries().len(), &both)?;

    let mut exchange = |hers: usize, his: usize| -> Result<Wire, &'static str> {
        let mut wire = Wire::default();
        wire.send(ann.push(&keys[part(hers)], &values[part(hers)])?, true);
        wire.send(bob.push(&keys[part(his)], &values[part(his)])?, false);
        wire.deliver(&mut *ann, &mut *bob);
        Ok(wire)
    };
    // An established session has carried something before.
    exchange(2, 3)?;
    let wire = meter.section("push", || exchange(4, 5))?;
    wire.tell("push", meter);
    let all = sorted(keys.into_iter().zip(values).collect());
    check("push, first", &sorted(ann.entries()), &all)?;
    check("push, second", &sorted(bob.entries()), &all)
}

/// What is under way, and what has been.
#[derive(Default)]
struct Wire {
    under_way: VecDeque<(bool, Message)>,
    bytes: usize,
    from_ann: usize,
    from_bob: usize,
}

impl Wire {
    fn send(&mut self, messages: Vec<Message>, from_ann: bool) {
        for message in messages {
            self.bytes += message.bytes().len();
            *(if from_ann { &mut self.from_ann } else { &mut self.from_bob }) += 1;
            self.under_way.push_back((from_ann, message));
        }
    }

    /// Until nobody has anything to say.
    fn deliver(&mut self, ann: &mut dyn Map, bob: &mut dyn Map) {
        while let Some((from_ann, message)) = self.under_way.pop_front() {
            let answers = if from_ann { bob.answer(&message) } else { ann.answer(&message) };
            self.send(answers, !from_ann);
        }
    }

    fn tell(&self, section: &str, meter: &Meter) {
        meter.value(section, "bytes", self.bytes as f64, Unit::Bytes);
        meter.value(section, "messages_each_way", self.from_ann.max(self.from_bob) as f64, Unit::Count);
    }
}
