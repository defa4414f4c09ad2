//! The documents of a simulation: what they are, what is written to them, and what is read.

mod ordered;

use std::collections::{BTreeMap, BTreeSet};

use tombolo_crdt::{
    AddWinsSet, Crdt, Doc, DotStore as _, List, LwwRegister, MovableList, Mut, MvRegister, Plain, PnCounter,
    RemoveWinsSet, Replica, Scalar, Stamp, Text, Tree,
};
use tombolo_sync::DocId;
use tombolo_sync::engine::{BatchId, Engine, Now, OpenError, UpdateError};

/// What an application would write: a struct of several types.
#[derive(Crdt)]
pub struct Board {
    /// What stands above it.
    #[crdt(lww)]
    pub title: String,
    /// How many are for it.
    pub votes: PnCounter,
    /// What it is about.
    pub tags: AddWinsSet<String>,
}

/// The type of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A `PnCounter`.
    Counter,
    /// An `AddWinsSet<String>`.
    Set,
    /// An `MvRegister<String>`.
    Multi,
    /// An `LwwRegister<String>`.
    Latest,
    /// A `Doc`.
    Doc,
    /// A [`Board`].
    Board,
    /// A `RemoveWinsSet<String>`.
    Guests,
    /// A `Text`, whose lines are the elements of a set; with marks.
    Page,
    /// A `List<String>`, whose items are the elements of a set.
    Queue,
    /// A `MovableList<LwwRegister<String>>`, whose items are the elements of a set; they are moved as well.
    Steps,
    /// A `Tree<LwwRegister<String>>` of folders, whose other nodes are the elements of a set; folders are moved as well.
    Outline,
}

/// One thing done within a transaction, to a field of the document; documents without fields have one that is `""`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Adds to a counter.
    Add(&'static str, i64),
    /// Adds to a set.
    Insert(&'static str, String),
    /// Removes from a set.
    Remove(&'static str, String),
    /// Removes everything from a set.
    Clear(&'static str),
    /// Writes a register.
    Set(&'static str, String),
    /// Empties a register.
    Unset(&'static str),
    /// Something that the model does not follow, by number.
    Other(u8),
}

/// What stands in a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A counter's sum.
    Sum(i64),
    /// A set's elements, or a multi-value register's values.
    Elements(BTreeSet<String>),
    /// A last-writer-wins register's value.
    Latest(Option<String>),
}

/// What a document says.
pub type Reading = BTreeMap<&'static str, Value>;

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Counter,
        Self::Set,
        Self::Multi,
        Self::Latest,
        Self::Doc,
        Self::Board,
        Self::Guests,
        Self::Page,
        Self::Queue,
        Self::Steps,
        Self::Outline,
    ];

    /// The type's name in the directory.
    #[must_use]
    pub fn type_name(self) -> String {
        match self {
            Self::Counter => PnCounter::type_name(),
            Self::Set => AddWinsSet::<String>::type_name(),
            Self::Multi => MvRegister::<String>::type_name(),
            Self::Latest => LwwRegister::<String>::type_name(),
            Self::Doc => Doc::type_name(),
            Self::Board => Board::type_name(),
            Self::Guests => RemoveWinsSet::<String>::type_name(),
            Self::Page => Text::type_name(),
            Self::Queue => List::<String>::type_name(),
            Self::Steps => MovableList::<LwwRegister<String>>::type_name(),
            Self::Outline => Tree::<LwwRegister<String>>::type_name(),
        }
        .into_owned()
    }

    /// The kind of a type's name.
    #[must_use]
    pub fn of(type_name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_name() == type_name)
    }

    /// What its fields are made of: counters, sets, multi-value registers, last-writer-wins registers, sets where removing wins.
    #[must_use]
    pub fn fields(self) -> [&'static [&'static str]; 5] {
        match self {
            Self::Counter => [&[""], &[], &[], &[], &[]],
            Self::Set => [&[], &[""], &[], &[], &[]],
            Self::Multi => [&[], &[], &[""], &[], &[]],
            Self::Latest => [&[], &[], &[], &[""], &[]],
            Self::Doc => [&["hits"], &["labels"], &["note"], &[], &[]],
            Self::Board => [&["votes"], &["tags"], &[], &["title"], &[]],
            Self::Guests => [&[], &[], &[], &[], &[""]],
            Self::Page | Self::Queue | Self::Steps | Self::Outline => [&[], &[""], &[], &[], &[]],
        }
    }

    /// Whether what stands in it has an order.
    pub(super) fn is_ordered(self) -> bool {
        matches!(self, Self::Page | Self::Queue | Self::Steps | Self::Outline)
    }

    pub(super) fn open(
        self,
        engine: &mut Engine,
        now: Now,
        name: &str,
        create: bool,
    ) -> Result<Option<DocId>, OpenError> {
        match self {
            Self::Counter => engine.open::<PnCounter>(now, name, create),
            Self::Set => engine.open::<AddWinsSet<String>>(now, name, create),
            Self::Multi => engine.open::<MvRegister<String>>(now, name, create),
            Self::Latest => engine.open::<LwwRegister<String>>(now, name, create),
            Self::Doc => engine.open::<Doc>(now, name, create),
            Self::Board => engine.open::<Board>(now, name, create),
            Self::Guests => engine.open::<RemoveWinsSet<String>>(now, name, create),
            Self::Page => engine.open::<Text>(now, name, create),
            Self::Queue => engine.open::<List<String>>(now, name, create),
            Self::Steps => engine.open::<MovableList<LwwRegister<String>>>(now, name, create),
            Self::Outline => engine.open::<Tree<LwwRegister<String>>>(now, name, create),
        }
    }

    /// Has the engine tell what becomes different in it.
    pub(super) fn watch(self, engine: &mut Engine, doc: DocId) -> bool {
        match self {
            Self::Counter => engine.watch::<PnCounter>(doc),
            Self::Set => engine.watch::<AddWinsSet<String>>(doc),
            Self::Multi => engine.watch::<MvRegister<String>>(doc),
            Self::Latest => engine.watch::<LwwRegister<String>>(doc),
            Self::Doc => engine.watch::<Doc>(doc),
            Self::Board => engine.watch::<Board>(doc),
            Self::Guests => engine.watch::<RemoveWinsSet<String>>(doc),
            Self::Page => engine.watch::<Text>(doc),
            Self::Queue => engine.watch::<List<String>>(doc),
            Self::Steps => engine.watch::<MovableList<LwwRegister<String>>>(doc),
            Self::Outline => engine.watch::<Tree<LwwRegister<String>>>(doc),
        }
    }

    /// What it reads as; empty if it is not there.
    pub(super) fn plain(self, engine: &Engine, doc: DocId) -> Plain {
        fn plain<T: Crdt>(engine: &Engine, doc: DocId) -> Plain {
            engine.document::<T>(doc).map_or_else(|| T::State::default().plain(), Replica::plain)
        }
        match self {
            Self::Counter => plain::<PnCounter>(engine, doc),
            Self::Set => plain::<AddWinsSet<String>>(engine, doc),
            Self::Multi => plain::<MvRegister<String>>(engine, doc),
            Self::Latest => plain::<LwwRegister<String>>(engine, doc),
            Self::Doc => plain::<Doc>(engine, doc),
            Self::Board => plain::<Board>(engine, doc),
            Self::Guests => plain::<RemoveWinsSet<String>>(engine, doc),
            Self::Page => plain::<Text>(engine, doc),
            Self::Queue => plain::<List<String>>(engine, doc),
            Self::Steps => plain::<MovableList<LwwRegister<String>>>(engine, doc),
            Self::Outline => plain::<Tree<LwwRegister<String>>>(engine, doc),
        }
    }

    /// One transaction. `fails` makes its closure fail in the end.
    pub(super) fn write(
        self,
        engine: &mut Engine,
        now: Now,
        doc: DocId,
        ops: &[Op],
        fails: bool,
    ) -> Result<BatchId, UpdateError<&'static str>> {
        let end = if fails { Err("told to fail") } else { Ok(()) };
        let done = match self {
            Self::Counter => engine.update::<PnCounter, _, _>(now, doc, |counter| {
                ops.iter().for_each(|op| {
                    if let Op::Add(_, by) = op {
                        counter.add(*by);
                    }
                });
                end
            }),
            Self::Set => engine.update::<AddWinsSet<String>, _, _>(now, doc, |set| {
                ops.iter().for_each(|op| write_set(set, op));
                end
            }),
            Self::Multi => engine.update::<MvRegister<String>, _, _>(now, doc, |register| {
                ops.iter().for_each(|op| match op {
                    Op::Set(_, value) => register.set(value.clone()),
                    Op::Unset(_) => register.clear(),
                    _ => {}
                });
                end
            }),
            Self::Latest => engine.update::<LwwRegister<String>, _, _>(now, doc, |register| {
                ops.iter().for_each(|op| match op {
                    Op::Set(_, value) => register.set(value.clone()),
                    Op::Unset(_) => register.clear(),
                    _ => {}
                });
                end
            }),
            Self::Doc => engine.update::<Doc, _, _>(now, doc, |doc| {
                ops.iter().for_each(|op| write_doc(doc, op));
                end
            }),
            Self::Board => engine.update::<Board, _, _>(now, doc, |board| {
                ops.iter().for_each(|op| match op {
                    Op::Add(_, by) => board.votes().add(*by),
                    Op::Set(_, value) => board.title().set(value.clone()),
                    Op::Unset(_) => board.title().clear(),
                    other => write_set(&mut board.tags(), other),
                });
                end
            }),
            Self::Guests => engine.update::<RemoveWinsSet<String>, _, _>(now, doc, |guests| {
                ops.iter().for_each(|op| match op {
                    Op::Insert(_, element) => guests.add(element.clone()),
                    Op::Remove(_, element) => _ = guests.remove(element.clone()),
                    _ => {}
                });
                end
            }),
            Self::Page => engine.update::<Text, _, _>(now, doc, |text| {
                ops.iter().for_each(|op| ordered::write_lines(text, op));
                end
            }),
            Self::Queue => engine.update::<List<String>, _, _>(now, doc, |list| {
                ops.iter().for_each(|op| ordered::write_queue(list, op));
                end
            }),
            Self::Steps => engine.update::<MovableList<LwwRegister<String>>, _, _>(now, doc, |list| {
                ops.iter().for_each(|op| ordered::write_steps(list, op));
                end
            }),
            Self::Outline => engine.update::<Tree<LwwRegister<String>>, _, _>(now, doc, |tree| {
                ops.iter().for_each(|op| ordered::write_outline(tree, op));
                end
            }),
        };
        done.map(|((), batch)| batch)
    }

    /// What the document says at a node that has it open; `None` if it has not.
    pub(super) fn read(self, engine: &Engine, doc: DocId) -> Option<Reading> {
        let texts = |scalars: &mut dyn Iterator<Item = &Scalar>| {
            Value::Elements(scalars.filter_map(Scalar::as_text).map(str::to_owned).collect())
        };
        let none = || Value::Elements(BTreeSet::new());
        let reading: Vec<(&'static str, Value)> = match self {
            Self::Counter => vec![("", Value::Sum(engine.document::<PnCounter>(doc)?.value()))],
            Self::Set => {
                let set = engine.document::<AddWinsSet<String>>(doc)?;
                vec![("", Value::Elements(set.iter().cloned().collect()))]
            }
            Self::Multi => {
                let register = engine.document::<MvRegister<String>>(doc)?;
                vec![("", Value::Elements(register.values().cloned().collect()))]
            }
            Self::Latest => {
                vec![("", Value::Latest(engine.document::<LwwRegister<String>>(doc)?.value().cloned()))]
            }
            Self::Doc => {
                let doc: &Replica<Doc> = engine.document(doc)?;
                let hits = doc.get("hits").and_then(|entry| entry.counter());
                let labels = doc.get("labels").and_then(|entry| entry.set());
                let note = doc.get("note").and_then(|entry| entry.register());
                vec![
                    ("hits", Value::Sum(hits.map_or(0, PnCounter::value))),
                    ("labels", labels.map_or_else(none, |set| texts(&mut set.iter()))),
                    ("note", note.map_or_else(none, |register| texts(&mut register.values()))),
                ]
            }
            Self::Board => {
                let board = engine.document::<Board>(doc)?;
                vec![
                    ("title", Value::Latest(board.title.value().cloned())),
                    ("votes", Value::Sum(board.votes.value())),
                    ("tags", Value::Elements(board.tags.iter().cloned().collect())),
                ]
            }
            Self::Guests => {
                let guests = engine.document::<RemoveWinsSet<String>>(doc)?;
                vec![("", Value::Elements(guests.iter().cloned().collect()))]
            }
            Self::Page => {
                let text = engine.document::<Text>(doc)?.to_string();
                vec![("", Value::Elements(text.lines().map(str::to_owned).collect()))]
            }
            Self::Queue => {
                let list = engine.document::<List<String>>(doc)?;
                vec![("", Value::Elements(list.iter().cloned().collect()))]
            }
            Self::Steps => {
                let list = engine.document::<MovableList<LwwRegister<String>>>(doc)?;
                vec![("", Value::Elements(list.iter().filter_map(|step| step.value().cloned()).collect()))]
            }
            Self::Outline => {
                let tree = engine.document::<Tree<LwwRegister<String>>>(doc)?;
                vec![("", Value::Elements(ordered::leaves(tree).map(|(_, name)| name).collect()))]
            }
        };
        Some(reading.into_iter().collect())
    }

    /// Whether a document shows what was just written to it; `None` if that cannot be told at no cost.
    pub(super) fn shows(self, engine: &Engine, doc: DocId, op: &Op) -> Option<bool> {
        Some(match (self, op) {
            (Self::Set, Op::Insert(_, element)) => {
                engine.document::<AddWinsSet<String>>(doc)?.contains(element.as_str())
            }
            (Self::Set, Op::Remove(_, element)) => {
                !engine.document::<AddWinsSet<String>>(doc)?.contains(element.as_str())
            }
            (Self::Board, Op::Insert(_, element)) => {
                engine.document::<Board>(doc)?.tags.contains(element.as_str())
            }
            (Self::Board, Op::Remove(_, element)) => {
                !engine.document::<Board>(doc)?.tags.contains(element.as_str())
            }
            (Self::Guests, Op::Insert(_, element)) => {
                engine.document::<RemoveWinsSet<String>>(doc)?.contains(element.as_str())
            }
            (Self::Guests, Op::Remove(_, element)) => {
                !engine.document::<RemoveWinsSet<String>>(doc)?.contains(element.as_str())
            }
            (Self::Multi, Op::Set(_, value)) => {
                engine.document::<MvRegister<String>>(doc)?.values().eq([value])
            }
            _ => return None,
        })
    }

    /// The stamp of what stands in the document's last-writer-wins register.
    pub(super) fn stamp(self, engine: &Engine, doc: DocId) -> Option<Stamp> {
        match self {
            Self::Latest => engine.document::<LwwRegister<String>>(doc)?.stamp(),
            Self::Board => engine.document::<Board>(doc)?.title.stamp(),
            _ => None,
        }
    }
}

fn write_set(set: &mut Mut<'_, AddWinsSet<String>>, op: &Op) {
    match op {
        Op::Insert(_, element) => set.add(element.clone()),
        Op::Remove(_, element) => {
            set.remove(element.as_str());
        }
        Op::Clear(_) => set.clear(),
        _ => {}
    }
}

fn write_doc(doc: &mut Mut<'_, Doc>, op: &Op) {
    let text = |text: &str| Scalar::Text(text.to_owned());
    match op {
        Op::Add(field, by) => doc.counter(field).add(*by),
        Op::Insert(field, element) => doc.set(field).add(text(element)),
        Op::Remove(field, element) => {
            doc.set(field).remove(&text(element));
        }
        Op::Clear(field) => doc.set(field).clear(),
        Op::Set(field, value) => doc.register(field).set(text(value)),
        Op::Unset(field) => doc.register(field).clear(),
        // Maps in maps, removed and written at once: whether all agree is enough.
        Op::Other(number) => match number % 4 {
            0 => doc.map("m").counter("n").inc(1),
            1 => doc.map("m").map("deeper").set("s").add(Scalar::Int(i64::from(*number))),
            2 => {
                doc.remove("m");
            }
            _ => doc.map("m").lww("last").set(Scalar::Int(i64::from(*number))),
        },
    }
}
