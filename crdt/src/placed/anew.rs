//! What tests hold the index against: one that was made at once from all there is.

use std::collections::BTreeMap;

use super::index::Index;
use super::{Element, Name, Placed, Placing, ROOT, TRASH, Way};
use crate::store::Crdt;

/// What something stands below.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Above {
    Root,
    Trash,
    Element(Name),
}

/// Where something is.
#[derive(PartialEq, Debug)]
struct Seated {
    /// In their order.
    places: Vec<Name>,
    depth: Option<usize>,
    /// Below what, as the how-manieth there, if it is there.
    stands: Option<(Above, usize)>,
}

/// All that the index says, by names.
#[derive(PartialEq, Debug, Default)]
struct Told {
    /// Of each that has a place.
    seats: BTreeMap<Name, Seated>,
    /// What stands below one.
    below: BTreeMap<Above, Vec<Name>>,
    /// Who was in the circles in which one gave way, in each round.
    circles: BTreeMap<Name, [Vec<Name>; 2]>,
}

impl<P: Placing, V: Crdt<State: Clone>> Placed<P, V> {
    fn above(&self, under: Element) -> Above {
        match under {
            ROOT => Above::Root,
            TRASH => Above::Trash,
            under => Above::Element(self.name(under)),
        }
    }

    fn told(&mut self) -> Told {
        let mut told = Told::default();
        let all: Vec<_> = self.index.seats().map(|(element, _)| element).collect();
        for &element in &all {
            let depth = self.depth(element);
            // Also where that was looked up before.
            let way = self.way_up(element, None);
            assert_eq!(if let Way::Root(depth) = way { Some(depth) } else { None }, depth);
        }
        for element in all {
            let places = self.index.seat(element).into_iter().flat_map(|seat| seat.places());
            let places = places.map(|place| Name(self.places.dot(*place))).collect();
            let stands = self.under(element).map(|under| {
                let at = self.position(element).expect("it stands there");
                assert_eq!(self.at(under, at), Some(element));
                (self.above(under), at)
            });
            told.seats.insert(self.name(element), Seated { places, depth: self.depth(element), stands });
            if let Some((under, _)) = stands {
                let below = self.below(self.under(element).expect("it stands there"));
                told.below.insert(under, below.map(|element| self.name(element)).collect());
            }
        }
        for (latest, circles) in self.index.circles.all() {
            let circles = circles.map(|circle| {
                let mut circle: Vec<Name> = circle.iter().map(|element| self.name(*element)).collect();
                circle.sort();
                circle
            });
            told.circles.insert(self.name(latest), circles);
        }
        told
    }

    /// Holds that what has been kept up is what is made anew; says how many gave way, in each round.
    pub(crate) fn assert_kept_up(&self) -> [usize; 2] {
        self.index.assert_counted();
        let (mut kept_up, mut anew) = (self.clone(), self.clone());
        anew.index = Index::default();
        anew.follow(None);
        let (kept_up, anew) = (kept_up.told(), anew.told());
        assert_eq!(kept_up, anew);
        let ways = |round: usize| anew.circles.values().filter(|circles| !circles[round].is_empty()).count();
        [ways(0), ways(1)]
    }

    /// How often it was decided for an element where it stands, or one was passed to decide it.
    pub(crate) fn looked_at(&self) -> usize {
        self.index.looked_at
    }
}
