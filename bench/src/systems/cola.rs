//! `cola`: a text without letters, which are in a rope of the crate `crop` beside it.
//!
//! It knows no transactions and no differences: edits are sent one by one, and whoever joins is sent all there is. What its
//! documentation leaves to its users is done here: the letters travel behind what it encodes itself.

use std::ops::Range;

use cola::{Deletion, EncodedReplica, Insertion, Replica};
use crop::Rope;

use crate::system::{Edit, Na, Remark, Replicated, System, Text};

/// The crate.
pub struct Cola;

impl System for Cola {
    fn name(&self) -> &'static str {
        "cola"
    }

    fn takes_part(&self, workload: &str) -> bool {
        workload == "text"
    }

    fn remarks(&self) -> &'static [Remark] {
        &[
            Remark {
                place: "text",
                same_promise: true,
                text: "the letters in a rope of crop, 0.4, beside it",
            },
            Remark { place: "text/one_tx", same_promise: true, text: "has no transactions: edit by edit" },
            Remark { place: "text/catch_up", same_promise: true, text: "the whole state" },
        ]
    }

    fn text(&self, replica: u64) -> Na<Box<dyn Text>> {
        Ok(Box::new(Writing::new(replica)))
    }
}

/// Who begins the session, from whom all fork.
const FIRST: u64 = 1;

/// The first byte of a message: what follows.
const STATE: u8 = 0;
const INSERTION: u8 = 1;
const DELETION: u8 = 2;

struct Writing {
    replica: Replica,
    rope: Rope,
}

impl Writing {
    fn new(replica: u64) -> Self {
        // As wide as ids are here.
        let replica = Replica::new(FIRST, 0).fork(replica.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { replica, rope: Rope::new() }
    }

    fn delete(&mut self, range: Range<usize>) -> Deletion {
        self.rope.delete(range.clone());
        self.replica.deleted(range)
    }

    fn insert(&mut self, at: usize, text: &str) -> Insertion {
        self.rope.insert(at, text);
        self.replica.inserted(at, text.len())
    }
}

impl Replicated for Writing {
    fn save(&mut self) -> Vec<u8> {
        let state = self.replica.encode();
        let mut bytes = vec![STATE];
        bytes.extend((state.as_bytes().len() as u64).to_le_bytes());
        bytes.extend(state.as_bytes());
        self.rope.chunks().for_each(|chunk| bytes.extend(chunk.as_bytes()));
        bytes
    }

    fn load(&mut self, bytes: &[u8]) {
        self.apply(bytes);
    }

    /// Whether anything is known.
    fn version(&mut self) -> Vec<u8> {
        vec![u8::from(self.replica.len() > 0)]
    }

    fn since(&mut self, version: &[u8]) -> Na<Vec<u8>> {
        if version == [0] {
            Ok(self.save())
        } else {
            Err("keeps no edits that could be sent to others later")
        }
    }

    fn apply(&mut self, bytes: &[u8]) {
        let (&kind, mut rest) = bytes.split_first().expect("a message is not empty");
        if kind == STATE {
            let (len, state) = rest.split_first_chunk().expect("a state has a length");
            let (state, text) = state.split_at(u64::from_le_bytes(*len) as usize);
            let state = EncodedReplica::from_bytes(state);
            self.replica = Replica::decode(self.replica.id(), &state).expect("it was encoded");
            self.rope = Rope::from(std::str::from_utf8(text).expect("it was text"));
            return;
        }
        let mut kind = kind;
        loop {
            if kind == DELETION {
                let deletion: Deletion = rmp_serde::from_read(&mut rest).expect("it is a deletion");
                let ranges = self.replica.integrate_deletion(&deletion);
                ranges.into_iter().rev().for_each(|range| self.rope.delete(range));
            } else {
                let insertion: Insertion = rmp_serde::from_read(&mut rest).expect("it is an insertion");
                let (text, more) = rest.split_at(insertion.text().temporal_range().len());
                rest = more;
                let at = self.replica.integrate_insertion(&insertion).expect("nothing is missing");
                self.rope.insert(at, std::str::from_utf8(text).expect("it was text"));
            }
            let Some((&next, more)) = rest.split_first() else { break };
            (kind, rest) = (next, more);
        }
    }
}

impl Text for Writing {
    fn write_in_one(&mut self, edits: &[Edit]) -> Na<()> {
        for Edit { at, delete, insert } in edits {
            if *delete > 0 {
                let _ = self.delete(*at..at + delete);
            }
            if !insert.is_empty() {
                let _ = self.insert(*at, insert);
            }
        }
        Ok(())
    }

    fn write(&mut self, edit: &Edit) -> Vec<u8> {
        let mut bytes = Vec::new();
        if edit.delete > 0 {
            let deletion = self.delete(edit.at..edit.at + edit.delete);
            bytes.push(DELETION);
            rmp_serde::encode::write(&mut bytes, &deletion).expect("memory suffices");
        }
        if !edit.insert.is_empty() {
            let insertion = self.insert(edit.at, &edit.insert);
            bytes.push(INSERTION);
            rmp_serde::encode::write(&mut bytes, &insertion).expect("memory suffices");
            bytes.extend(edit.insert.as_bytes());
        }
        bytes
    }

    fn read(&mut self) -> String {
        self.rope.to_string()
    }
}
