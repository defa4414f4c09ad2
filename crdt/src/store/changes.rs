//! What became different: for user interfaces, which do not want to draw everything anew.
//!
//! A value is looked at twice, before a delta is joined and after it, at the places that the delta names and no others.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use super::{DotStore, Key, Plain, Rows, decode_key, write_key};
use crate::causal::{Dots, LocalDot, ReplicaId, ReplicaIndex};
use crate::delta::{Bytes, Node};
use crate::ordered::Order;
use crate::placed::Shown;
use crate::text::{Laid, Lengths};

/// What one delta changed. How serde writes the values see [`Plain`]: to be applied elsewhere they go by a binary format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[must_use = "what is not applied to what is shown is not shown"]
pub struct Changes {
    /// Who wrote what was new in it: one replica as a rule, several for an answer to a version or a state. Which of several wrote
    /// which change it does not say.
    pub by: Vec<ReplicaId>,
    /// What became different, in no particular order; no two say something of the same place, but for marks, which come behind what became of their text.
    pub changes: Vec<Change>,
}

/// Something that became different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// Where: keys of maps and names of fields, from the outside in; of an element of a set the element last.
    pub path: Vec<Plain>,
    /// What.
    pub what: What,
}

/// What became different at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum What {
    /// A key of a map is there that was not, with this value. Marks of texts in it are to be read there ([`Text::runs`](crate::Text::runs)).
    Added(Plain),
    /// A key of a map is no longer there.
    Removed,
    /// An element of a set is in that was not.
    Entered,
    /// An element of a set is no longer in.
    Left,
    /// A value was replaced.
    Replaced {
        /// What was read before.
        old: Plain,
        /// What is read now.
        new: Plain,
    },
    /// A counter has gone up by so much, or down if that is negative.
    Incremented(i128),
    /// Parts of a text were replaced, one after the other.
    Spliced(Vec<Splice>),
    /// Parts of a text are marked otherwise: of what came in the change before this one all that marks say, of other parts what became different.
    Marked(Vec<Marked>),
    /// Parts of a list were replaced, one after the other.
    ItemsSpliced(Vec<ItemSplice>),
}

/// A part of a text that is marked otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Marked {
    /// Where it is now, in scalars.
    pub at: usize,
    /// How long it is, in scalars.
    pub len: usize,
    /// The same in UTF-16 units.
    pub utf16: Range<usize>,
    /// The same in bytes of UTF-8.
    pub bytes: Range<usize>,
    /// The name of the mark.
    pub name: String,
    /// What it says; null: it is there no more.
    pub value: Plain,
}

/// A part of a list that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ItemSplice {
    /// Where, with all splices before it done.
    pub at: usize,
    /// How many elements went.
    pub deleted: usize,
    /// Which came.
    pub inserted: Vec<Plain>,
}

impl ItemSplice {
    fn apply_to(&self, list: &mut Vec<Plain>) -> Option<()> {
        let end = self.at.checked_add(self.deleted).filter(|end| *end <= list.len())?;
        list.splice(self.at..end, self.inserted.iter().cloned());
        Some(())
    }
}

/// A part of a text that was replaced. Of those of one change each is counted in the text in which those before it are done, and they come in the order of the text.
///
/// What was deleted is not there any more to be measured. So it is told where it stood in each unit that a user interface may count in, to be
/// replaced there as it is:
///
/// ```
/// use tombolo_crdt::{Replica, ReplicaId, Text, What};
///
/// let mut ann = Replica::<Text>::new(ReplicaId::from_bytes([1; 16]));
/// let _ = ann.update(|text| text.push("\u{1f426}\u{1f426} fly over the sea."));
/// let mut bob = ann.fork(ReplicaId::from_bytes([2; 16]));
/// // Bob's text is shown by something that counts UTF-16 units.
/// let mut shown: Vec<u16> = bob.to_string().encode_utf16().collect();
/// // At the same time:
/// let (_, delta) = ann.try_update(|text| text.replace(1..6, "\u{1f41f} swims")).unwrap();
/// let (_, _, own) = bob.try_update_changes(|text| text.delete(10..18)).unwrap();
/// let (_, others) = bob.merge_changes(delta)?;
/// for change in [own].iter().chain(&others).flat_map(|changes| &changes.changes) {
///     let What::Spliced(splices) = &change.what else { continue };
///     for splice in splices {
///         shown.splice(splice.utf16.clone(), splice.inserted.encode_utf16());
///     }
/// }
/// assert_eq!(String::from_utf16(&shown).unwrap(), bob.to_string());
/// # Ok::<(), tombolo_crdt::Refused>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Splice {
    /// Where, in scalars, with all splices before it done.
    pub at: usize,
    /// How many scalars went.
    pub deleted: usize,
    /// What came.
    pub inserted: String,
    /// What went, from `at` on, in UTF-16 units; empty where nothing did.
    pub utf16: Range<usize>,
    /// What went, from `at` on, in bytes of UTF-8.
    pub bytes: Range<usize>,
}

impl Splice {
    fn apply_to(&self, text: &mut String) -> Option<()> {
        let gone = text.get(self.bytes.clone())?;
        if gone.chars().count() != self.deleted {
            return None;
        }
        text.replace_range(self.bytes.clone(), &self.inserted);
        Some(())
    }
}

impl Changes {
    /// Whether nothing became different that a plain value shows, or a mark.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// About how many bytes of memory they take.
    #[must_use]
    pub fn size_hint(&self) -> usize {
        let changes: usize = self.changes.iter().map(Change::size_hint).sum();
        size_of::<Self>() + self.by.len() * size_of::<ReplicaId>() + changes
    }

    /// Makes of a plain value as it was one as it is.
    ///
    /// # Errors
    /// With the first change that does not fit the value, which was another one then. Those before it are done.
    pub fn apply_to(&self, value: &mut Plain) -> Result<(), Change> {
        self.changes.iter().try_for_each(|change| change.apply_to(value).ok_or_else(|| change.clone()))
    }
}

impl Change {
    fn size_hint(&self) -> usize {
        let held = match &self.what {
            What::Added(plain) => plain.size_hint(),
            What::Replaced { old, new } => old.size_hint() + new.size_hint(),
            What::Spliced(splices) => {
                splices.iter().map(|splice| size_of::<Splice>() + splice.inserted.len()).sum()
            }
            What::Marked(marked) => {
                marked.iter().map(|part| size_of::<Marked>() + part.name.len() + part.value.size_hint()).sum()
            }
            What::ItemsSpliced(splices) => splices
                .iter()
                .map(|splice| {
                    size_of::<ItemSplice>() + splice.inserted.iter().map(Plain::size_hint).sum::<usize>()
                })
                .sum(),
            What::Removed | What::Entered | What::Left | What::Incremented(_) => 0,
        };
        size_of::<Self>() + self.path.iter().map(Plain::size_hint).sum::<usize>() + held
    }

    fn apply_to(&self, value: &mut Plain) -> Option<()> {
        match (&self.what, self.path.split_last()) {
            (What::Added(added), Some((key, above))) => match value.get_mut(above)? {
                Plain::Map(map) => map.insert(key.clone(), added.clone()).is_none().then_some(()),
                _ => None,
            },
            (What::Removed, Some((key, above))) => match value.get_mut(above)? {
                Plain::Map(map) => map.remove(key).map(drop),
                _ => None,
            },
            (What::Entered, Some((element, above))) => match value.get_mut(above)? {
                Plain::Set(set) => set.insert(element.clone()).then_some(()),
                _ => None,
            },
            (What::Left, Some((element, above))) => match value.get_mut(above)? {
                Plain::Set(set) => set.remove(element).then_some(()),
                _ => None,
            },
            (What::Replaced { old, new }, _) => {
                let there = value.get_mut(&self.path)?;
                (there == old).then(|| there.clone_from(new))
            }
            (What::Incremented(by), _) => match value.get_mut(&self.path)? {
                Plain::Int(number) => {
                    *number += by;
                    Some(())
                }
                _ => None,
            },
            (What::Spliced(splices), _) => match value.get_mut(&self.path)? {
                Plain::Text(text) => splices.iter().try_for_each(|splice| splice.apply_to(text)),
                _ => None,
            },
            // Plain text has no marks.
            (What::Marked(_), _) => matches!(value.get_mut(&self.path)?, Plain::Text(_)).then_some(()),
            (What::ItemsSpliced(splices), _) => match value.get_mut(&self.path)? {
                Plain::List(list) => splices.iter().try_for_each(|splice| splice.apply_to(list)),
                _ => None,
            },
            (_, None) => None,
        }
    }
}

/// Where to look.
#[derive(Clone, Copy)]
pub struct Look<'l> {
    /// What a delta says of the place; `None` if anything may change.
    node: Option<Node<'l>>,
    /// The same, also where what is there goes by a cover of the place itself.
    told: Option<Node<'l>>,
    /// What is known, by our rows; from the delta's rows to ours.
    known: &'l [u64],
    rows: &'l Rows,
}

impl<'l> Look<'l> {
    pub(crate) fn new(node: Option<Node<'l>>, known: &'l [u64], rows: &'l Rows) -> Self {
        Self { node, told: node, known, rows }.narrowed(node)
    }

    /// Where a child of the place stands.
    fn narrowed(self, node: Option<Node<'l>>) -> Self {
        Self { node: node.filter(|node| !self.takes_something(node.cover())), told: node, ..self }
    }

    /// What a delta says of the place itself; `None` if anything may change by what it says elsewhere.
    pub(crate) fn told(self) -> Option<Node<'l>> {
        self.told
    }

    /// A run of dots of the delta, as far as it is known here.
    pub(crate) fn known(self, row: ReplicaIndex, first: u64, last: u64) -> Option<(LocalDot, u64)> {
        let row = self.rows.present(row)?;
        // What one's own transaction covers was there.
        let known =
            if self.known.is_empty() { u64::MAX } else { self.known.get(row as usize).copied().unwrap_or(0) };
        let last = last.min(known);
        (first <= last).then(|| (LocalDot::new(row, first), last - first + 1))
    }

    /// A dot of the delta as it is called here; `None` if nothing of its replica is known.
    pub(crate) fn here(self, dot: LocalDot) -> Option<LocalDot> {
        let row = self.rows.present(dot.replica())?;
        let is_here = self.known.is_empty() || (row as usize) < self.known.len();
        is_here.then(|| LocalDot::new(row, dot.counter()))
    }

    /// Whether a cover names what may be there.
    pub(crate) fn takes_something(self, cover: Dots<'_>) -> bool {
        cover.runs().any(|(row, first, _)| {
            self.known.is_empty()
                || self.known.get(self.rows.row(row) as usize).is_some_and(|known| *known >= first)
        })
    }

    /// The children that a delta names, with where to look; `None` if all there are must be looked at.
    pub fn children(self) -> Option<impl Iterator<Item = (&'l [u8], Look<'l>)>> {
        let node = self.node?;
        Some(node.children().map(move |(key, child)| (key, self.narrowed(Some(child)))))
    }

    /// Everything at a place.
    #[must_use]
    pub fn all(self) -> Self {
        Self { node: None, told: None, ..self }
    }
}

/// What was seen, before anything changed.
#[derive(Debug)]
pub struct Seen(pub(crate) Sight);

#[derive(Debug)]
pub(crate) enum Sight {
    /// A value that is replaced as a whole.
    Value(Plain),
    Count(i128),
    /// Elements by their encoding, and whether they were in; and whether these are all there were.
    Elements(Vec<(Bytes, bool)>, bool),
    /// Keys by their encoding, with what was under them.
    Entries(Vec<(Bytes, Option<Seen>)>, bool),
    /// Fields by name.
    Fields(Vec<(&'static str, Seen)>),
    /// Elements in their order, by their names.
    Order(Order),
    /// Letters in their order, by their names, how long those were that go, and the parts that had marks, if letters that stay may come to have others.
    Text(Order, Lengths, Option<Laid>),
    /// Elements that can be moved, with what they held.
    Rows(Shown, Box<Seen>),
    /// What the variant that is shown holds, with the variant's name, if nothing else can change; with nothing if that cannot either.
    Variant(&'static str, Option<Box<Seen>>),
}

/// Where changes are gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    path: Vec<Plain>,
    pub(crate) changes: Vec<Change>,
}

impl Gathered {
    pub(crate) fn say(&mut self, what: What) {
        self.changes.push(Change { path: self.path.clone(), what });
    }

    pub(crate) fn below(&mut self, key: Plain, say: impl FnOnce(&mut Self)) {
        self.path.push(key);
        say(self);
        self.path.pop();
    }

    /// A value that is replaced as a whole.
    pub fn value(&mut self, before: &Seen, now: impl FnOnce() -> Plain) {
        if let Sight::Value(old) = &before.0 {
            let new = now();
            if *old != new {
                self.say(What::Replaced { old: old.clone(), new });
            }
        }
    }

    pub(crate) fn count(&mut self, before: &Seen, now: i128) {
        if let Sight::Count(old) = before.0
            && old != now
        {
            self.say(What::Incremented(now - old));
        }
    }

    /// What an enum's variant holds, if that is all that can have changed. What `#[derive(Crdt)]` calls.
    pub fn variant(
        &mut self,
        before: &Seen,
        now: impl FnOnce() -> Plain,
        held: impl FnOnce(&Seen, &mut Self),
    ) {
        match &before.0 {
            Sight::Variant(name, Some(seen)) => self.below((*name).into(), |gathered| held(seen, gathered)),
            Sight::Variant(_, None) => {}
            _ => self.value(before, now),
        }
    }

    /// Fields of a struct. What `#[derive(Crdt)]` calls.
    pub fn fields(&mut self, before: &Seen, mut field: impl FnMut(&str, &Seen, &mut Self)) {
        if let Sight::Fields(fields) = &before.0 {
            for (name, seen) in fields {
                self.below((*name).into(), |gathered| field(name, seen, gathered));
            }
        }
    }

    /// Elements of a set: `is_in` says which are, `all` names those that are.
    pub(crate) fn elements<'k, K: Key>(
        &mut self,
        before: &Seen,
        is_in: impl Fn(&K) -> bool,
        all: impl Iterator<Item = &'k K>,
    ) {
        let Sight::Elements(seen, are_all) = &before.0 else { return };
        for (bytes, was_in) in seen {
            let Ok(element) = decode_key::<K>(bytes) else { continue };
            match (was_in, is_in(&element)) {
                (true, false) => self.below(Plain::of_key(&element), |gathered| gathered.say(What::Left)),
                (false, true) => self.below(Plain::of_key(&element), |gathered| gathered.say(What::Entered)),
                _ => {}
            }
        }
        if *are_all {
            let seen: BTreeSet<&[u8]> = seen.iter().map(|(bytes, _)| &bytes[..]).collect();
            for element in all {
                if !seen.contains(&key_bytes(element)[..]) {
                    self.below(Plain::of_key(element), |gathered| gathered.say(What::Entered));
                }
            }
        }
    }

    /// Entries of a map. `get` finds a key, `all` names those that are there; `plain` is what stands there, `changed` what became of
    /// what was seen.
    pub(crate) fn entries<'s, K: Key, S: 's>(
        &mut self,
        before: &Seen,
        get: impl Fn(&K) -> Option<&'s S>,
        all: impl Iterator<Item = (&'s K, &'s S)>,
        plain: impl Fn(&S) -> Plain,
        mut changed: impl FnMut(&S, &Seen, &mut Self),
    ) {
        let Sight::Entries(seen, are_all) = &before.0 else { return };
        for (bytes, was) in seen {
            let Ok(key) = decode_key::<K>(bytes) else { continue };
            match (was, get(&key)) {
                (Some(seen), Some(now)) => {
                    self.below(Plain::of_key(&key), |gathered| changed(now, seen, gathered));
                }
                (Some(_), None) => self.below(Plain::of_key(&key), |gathered| gathered.say(What::Removed)),
                (None, Some(now)) => {
                    self.below(Plain::of_key(&key), |gathered| gathered.say(What::Added(plain(now))));
                }
                (None, None) => {}
            }
        }
        if *are_all {
            let seen: BTreeSet<&[u8]> = seen.iter().map(|(bytes, _)| &bytes[..]).collect();
            for (key, now) in all {
                if !seen.contains(&key_bytes(key)[..]) {
                    self.below(Plain::of_key(key), |gathered| gathered.say(What::Added(plain(now))));
                }
            }
        }
    }
}

fn key_bytes<K: Key>(key: &K) -> Bytes {
    let mut bytes = Bytes::new();
    write_key(key, &mut bytes);
    bytes
}

impl Seen {
    /// A value that is replaced as a whole.
    #[must_use]
    pub fn value(value: Plain) -> Self {
        Self(Sight::Value(value))
    }

    pub(crate) fn count(count: impl Into<i128>) -> Self {
        Self(Sight::Count(count.into()))
    }

    /// Fields of a struct, by name. What `#[derive(Crdt)]` calls.
    #[must_use]
    pub fn fields(fields: Vec<(&'static str, Seen)>) -> Self {
        Self(Sight::Fields(fields))
    }

    pub(crate) fn elements<'k, K: Key>(
        look: Look<'_>,
        is_in: impl Fn(&K) -> bool,
        all: impl Iterator<Item = &'k K>,
    ) -> Self {
        match look.children() {
            Some(children) => {
                let named = children.map(|(bytes, _)| {
                    let was_in = decode_key::<K>(bytes).is_ok_and(|element| is_in(&element));
                    (Bytes::from_slice(bytes), was_in)
                });
                Self(Sight::Elements(named.collect(), false))
            }
            None => Self(Sight::Elements(all.map(|element| (key_bytes(element), true)).collect(), true)),
        }
    }

    pub(crate) fn entries<'s, K: Key + 's, S: 's>(
        look: Look<'_>,
        get: impl Fn(&K) -> Option<&'s S>,
        all: impl Iterator<Item = (&'s K, &'s S)>,
        see: impl Fn(&S, Look<'_>) -> Seen,
    ) -> Self {
        match look.children() {
            Some(children) => {
                let named = children.map(|(bytes, below)| {
                    let there = decode_key::<K>(bytes).ok().and_then(|key| get(&key));
                    (Bytes::from_slice(bytes), there.map(|there| see(there, below)))
                });
                Self(Sight::Entries(named.collect(), false))
            }
            None => {
                let all = all.map(|(key, there)| (key_bytes(key), Some(see(there, look.all()))));
                Self(Sight::Entries(all.collect(), true))
            }
        }
    }
}

/// The fields that a delta names, with where to look. What `#[derive(Crdt)]` calls.
pub fn look_at_fields(
    look: Look<'_>,
    names: &[(&'static str, &'static [&'static str])],
    mut see: impl FnMut(&'static str, Look<'_>) -> Seen,
) -> Seen {
    let mut fields: Vec<(&'static str, Seen)> = Vec::new();
    match look.children() {
        None => fields.extend(names.iter().map(|(name, _)| (*name, see(name, look.all())))),
        Some(children) => {
            for (bytes, below) in children {
                let is_it = |(name, olds): &&(&'static str, &'static [&'static str])| {
                    name.as_bytes() == bytes || olds.iter().any(|old| old.as_bytes() == bytes)
                };
                let Some((name, olds)) = names.iter().find(is_it) else { continue };
                if fields.iter().all(|(known, _)| known != name) {
                    // What stands under several names may be named by several nodes.
                    let below = if olds.is_empty() { below } else { look.all() };
                    fields.push((name, see(name, below)));
                }
            }
        }
    }
    Seen::fields(fields)
}

/// What an enum shows, of a variant that holds something. What `#[derive(Crdt)]` calls.
pub fn look_at_variant(
    look: Look<'_>,
    chosen: &[u8],
    name: &'static str,
    see: impl FnOnce(Look<'_>) -> Seen,
    all: impl FnOnce() -> Plain,
) -> Seen {
    let Some(children) = look.children() else { return Seen::value(all()) };
    let mut held = None;
    for (bytes, below) in children {
        if bytes == chosen {
            return Seen::value(all());
        }
        if bytes == name.as_bytes() {
            held = Some(below);
        }
    }
    Seen(Sight::Variant(name, held.map(|below| Box::new(see(below)))))
}

/// What was seen of a whole value, and what became of it.
pub(crate) fn compare<S: DotStore>(state: &S, before: &Seen, by: Vec<ReplicaId>) -> Changes {
    let mut gathered = Gathered::default();
    state.changed(before, &mut gathered);
    Changes { by, changes: gathered.changes }
}
