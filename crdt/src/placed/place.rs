//! What is told of a place.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use crate::causal::{BadCounter, Dot, ReplicaId, Stamp};
use crate::delta::Bytes;
use crate::store::{Renaming, Value, decode_key, decode_value, write_key, write_value};

/// The name of an element: the dot of the place at which it was made. Encoded as an array: replica id, counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "(ReplicaId, u64)", into = "(ReplicaId, u64)")]
pub(crate) struct Name(pub(crate) Dot);

impl TryFrom<(ReplicaId, u64)> for Name {
    type Error = BadCounter;

    fn try_from((replica, counter): (ReplicaId, u64)) -> Result<Self, Self::Error> {
        Dot::checked(replica, counter).map(Self)
    }
}

impl From<Name> for (ReplicaId, u64) {
    fn from(Name(dot): Name) -> Self {
        (dot.replica, dot.counter)
    }
}

/// Below what an element stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Under {
    /// Nothing.
    Root,
    /// Another one.
    Element(Name),
    /// It has been put away.
    Trash,
}

/// A place that somebody gave an element.
pub(crate) trait Placing: Value {
    /// Whether elements may stand below others.
    const NESTS: bool = true;

    /// When it was given, and to which element; `None` of the one at which an element was made.
    fn moved(&self) -> Option<(Stamp, Name)>;

    /// Below what it is.
    fn under(&self) -> Under {
        Under::Root
    }

    /// Below what the element stood before.
    fn before(&self) -> Under {
        Under::Root
    }
}

/// A place in a list. Encoded as nothing where an element was made, else as an array: time, logical count, name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ListPlace(Option<(u64, u32, Name)>);

impl ListPlace {
    pub(crate) const fn made() -> Self {
        Self(None)
    }

    pub(crate) const fn moved(at: Stamp, name: Name) -> Self {
        Self(Some((at.millis, at.logical, name)))
    }
}

impl Placing for ListPlace {
    const NESTS: bool = false;

    fn moved(&self) -> Option<(Stamp, Name)> {
        self.0.map(|(millis, logical, name)| (Stamp { millis, logical }, name))
    }
}

/// A place in a tree. Encoded as an array: the parent, and of a move what it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TreePlace(Option<Name>, Option<Box<TreeMove>>);

/// Encoded as an array: time, logical count, name, the parent before, whether it was put away.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct TreeMove(u64, u32, Name, Option<Name>, bool);

impl TreePlace {
    pub(crate) const fn made(parent: Option<Name>) -> Self {
        Self(parent, None)
    }

    pub(crate) fn moved(at: Stamp, name: Name, from: Option<Name>, to: Option<Name>) -> Self {
        Self(to, Some(Box::new(TreeMove(at.millis, at.logical, name, from, false))))
    }

    /// Put away; it goes back below `parent`.
    pub(crate) fn away(at: Stamp, name: Name, parent: Option<Name>) -> Self {
        Self(parent, Some(Box::new(TreeMove(at.millis, at.logical, name, parent, true))))
    }

    pub(crate) fn parent(&self) -> Option<Name> {
        self.0
    }
}

/// Whether this is what is told of a place.
pub(crate) fn is_place(content: &[u8]) -> bool {
    decode_value::<ListPlace>(content).is_ok() || decode_value::<TreePlace>(content).is_ok()
}

/// A place as it is told where elements have other names; `None` if it names none that has.
pub(crate) fn renamed(content: &[u8], renaming: &Renaming) -> Option<Bytes> {
    let mut is_other = false;
    let mut rename = |name: &mut Name| {
        if let Some(other) = renaming.dot(name.0) {
            (*name, is_other) = (Name(other), true);
        }
    };
    let mut out = Bytes::new();
    if let Ok(mut place) = decode_value::<ListPlace>(content) {
        place.0.iter_mut().for_each(|(_, _, name)| rename(name));
        write_value(&place, &mut out);
    } else if let Ok(TreePlace(mut parent, mut moved)) = decode_value(content) {
        parent.iter_mut().for_each(&mut rename);
        if let Some(TreeMove(_, _, name, before, _)) = moved.as_deref_mut() {
            before.iter_mut().chain([name]).for_each(&mut rename);
        }
        write_value(&TreePlace(parent, moved), &mut out);
    }
    is_other.then_some(out)
}

/// Whether this is the key under which stands what an element holds.
pub(crate) fn is_name(key: &[u8]) -> bool {
    decode_key::<Name>(key).is_ok()
}

/// The same where elements have other names; `None` if this one has not.
pub(crate) fn renamed_key(key: &[u8], renaming: &Renaming) -> Option<Bytes> {
    let Name(dot) = decode_key(key).ok()?;
    let mut out = Bytes::new();
    write_key(&Name(renaming.dot(dot)?), &mut out);
    Some(out)
}

fn below(name: Option<Name>) -> Under {
    name.map_or(Under::Root, Under::Element)
}

impl Placing for TreePlace {
    fn moved(&self) -> Option<(Stamp, Name)> {
        let TreeMove(millis, logical, name, ..) = **self.1.as_ref()?;
        Some((Stamp { millis, logical }, name))
    }

    fn under(&self) -> Under {
        if self.1.as_ref().is_some_and(|moved| moved.4) { Under::Trash } else { below(self.0) }
    }

    fn before(&self) -> Under {
        below(self.1.as_ref().and_then(|moved| moved.3))
    }
}
