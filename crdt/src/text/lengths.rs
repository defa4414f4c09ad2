//! How long letters were that are gone, in every unit: what must be known of that is looked up while they are still there.

use alloc::string::String;
use alloc::vec::Vec;
use core::str::Chars;

use super::Body;
use crate::ordered::Order;
use crate::sequence::Width;

/// How long the parts of a text were.
#[derive(Debug)]
pub(crate) enum Lengths {
    /// Each letter was one unit of all.
    Ascii,
    /// Only these could go, in their order; and how long everything was.
    Few(Vec<Width>, Width),
    /// Anything could go: the text.
    Text(String),
}

/// Says how long parts of a text were, from its start to its end.
pub(super) enum Measure<'l> {
    Ascii,
    Few(&'l [Width], Width),
    Text(Chars<'l>),
}

impl Lengths {
    /// Of a text in which this is looked for.
    pub(super) fn of(body: &Body, order: &Order) -> Self {
        let sequence = &body.sequence;
        let all = sequence.width();
        if all.bytes == all.scalars {
            return Self::Ascii;
        }
        match order {
            Order::All(_) => Self::Text(sequence.pieces().collect()),
            Order::Touched(touched) => {
                let width = |start: usize, end: usize| {
                    let mut width = sequence.width_before(end);
                    width -= sequence.width_before(start);
                    width
                };
                Self::Few(touched.gone().iter().map(|gone| width(gone.start, gone.end)).collect(), all)
            }
        }
    }

    pub(super) fn measure(&self) -> Measure<'_> {
        match self {
            Self::Ascii => Measure::Ascii,
            Self::Few(parts, all) => Measure::Few(parts, *all),
            Self::Text(text) => Measure::Text(text.chars()),
        }
    }
}

impl Measure<'_> {
    /// How long the next part is that went, which was so many scalars, behind so many that stayed.
    pub(super) fn next(&mut self, kept: usize, gone: usize) -> Width {
        let mut sum = Width::default();
        match self {
            Self::Ascii => sum = Width { scalars: gone, utf16: gone, bytes: gone },
            Self::Few(parts, all) => {
                while sum.scalars < gone {
                    // If more went than could go, everything is said to have gone.
                    let Some((next, rest)) = parts.split_first() else { return *all };
                    sum += *next;
                    *parts = rest;
                }
            }
            Self::Text(text) => {
                if let Some(last) = kept.checked_sub(1) {
                    text.nth(last);
                }
                for scalar in text.take(gone) {
                    sum += Width { scalars: 1, utf16: scalar.len_utf16(), bytes: scalar.len_utf8() };
                }
            }
        }
        sum
    }
}
