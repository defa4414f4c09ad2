//! What is said of places that are none in a text, a list or a movable list.

use crate::failure::{Code, Failure};
use crate::name::Name;

/// How long something is.
pub(super) struct Long<'a> {
    /// What.
    pub(super) name: &'a Name,
    /// Of how many units.
    pub(super) length: usize,
    /// What one of them is called, and what several.
    pub(super) units: (&'static str, &'static str),
}

impl Long<'_> {
    /// There is no place `at` to insert at.
    pub(super) fn no_place(&self, at: usize) -> Failure {
        let length = self.length;
        self.so(&format!("there is no place {at} in it: places go from 0 to {length}"))
    }

    /// There is no unit `at`.
    pub(super) fn no_unit(&self, at: usize) -> Failure {
        let (one, many) = self.units;
        let which = match self.length.checked_sub(1) {
            Some(last) => format!(": {many} go from 0 to {last}"),
            None => String::new(),
        };
        self.so(&format!("there is no {one} {at} in it{which}"))
    }

    /// There are no `count` units from `at` on to be `done` something with.
    pub(super) fn no_part(&self, at: usize, count: usize, done: &str) -> Failure {
        self.so(&format!("{count} from place {at} on cannot be {done}"))
    }

    /// There is no place `to` for `count` of the units, of which there are as many.
    pub(super) fn no_room(&self, to: usize, count: usize) -> Failure {
        let last = self.length.saturating_sub(count);
        self.so(&format!("there is no place {to} to move to: places go from 0 to {last}"))
    }

    fn so(&self, what: &str) -> Failure {
        let Self { name, length, units: (one, many) } = *self;
        let unit = if length == 1 { one } else { many };
        Failure::new(Code::OutOfRange, format!("`{name}` is {length} {unit} long, so {what}"))
    }
}
