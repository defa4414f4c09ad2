//! What a library is asked to do. One implementation a library, in `systems/`; nothing here is measured.
//!
//! Every call does a whole section's work, so that calling through a trait object costs nothing that could be measured.
//! What a library cannot do it answers with the reason.

use std::ops::Range;

/// A result, or why there is none.
pub type Na<T> = Result<T, &'static str>;

/// How a system does a section where that differs from what the section says.
#[derive(Debug, Clone, Copy)]
pub struct Remark {
    /// `workload/section`, or `workload` for all of it.
    pub place: &'static str,
    /// Whether it keeps the same promise nevertheless. If not, it is never the best of a line.
    pub same_promise: bool,
    /// In what it differs.
    pub text: &'static str,
}

/// Of the types that are measured together, what a peer does that has another.
pub const NEAREST: Remark = Remark {
    place: "types",
    same_promise: false,
    text: "the nearest type it has: a counter, an add-wins set, a map",
};

/// A library under measurement.
pub trait System: Sync {
    /// How it is called in every line.
    fn name(&self) -> &'static str;

    /// Its package, for looking up its version.
    fn package(&self) -> Option<&'static str> {
        Some(self.name())
    }

    /// How long a message or file of its would be if it did not compress: for those that do.
    fn plain_len(&self) -> fn(&[u8]) -> usize {
        <[u8]>::len
    }

    /// Whether it has anything to do with a workload. A peer that cannot do it takes part and says why.
    fn takes_part(&self, _workload: &str) -> bool {
        true
    }

    /// In what it differs.
    fn remarks(&self) -> &'static [Remark] {
        &[]
    }

    /// An empty counter.
    fn counter(&self, _replica: u64) -> Na<Box<dyn Counter>> {
        Err("has no counter type")
    }

    /// An empty set.
    fn set(&self, _replica: u64) -> Na<Box<dyn Set>> {
        Err("has no set")
    }

    /// An empty map.
    fn map(&self, _replica: u64) -> Na<Box<dyn Map>> {
        Err("has no map")
    }

    /// An empty value of one of the types that are measured together, or the nearest the library has: a set for the sets, a map of
    /// registers for the maps, a counter for the counters.
    fn typed(&self, of: Type, replica: u64) -> Na<Box<dyn Typed>> {
        match of {
            Type::GSet | Type::RemoveWinsSet | Type::TwoPhaseSet => Ok(Box::new(self.set(replica)?)),
            Type::GMap | Type::LwwMap => Ok(Box::new(self.map(replica)?)),
            Type::GCounter => Ok(Box::new(self.counter(replica)?)),
            _ => Err("has nothing like it"),
        }
    }

    /// An empty text.
    fn text(&self, _replica: u64) -> Na<Box<dyn Text>> {
        Err("has no text")
    }

    /// An empty list.
    fn list(&self, _replica: u64) -> Na<Box<dyn List>> {
        Err("has no list")
    }

    /// An empty list whose elements can be moved.
    fn movable(&self, _replica: u64) -> Na<Box<dyn Movable>> {
        Err("has no list whose elements can be moved")
    }

    /// An empty tree.
    fn tree(&self, _replica: u64) -> Na<Box<dyn Tree>> {
        Err("has no tree")
    }

    /// Records with fields.
    fn records(&self, _replica: u64) -> Na<Box<dyn Records>> {
        Err("is measured in the flat workloads only")
    }
}

/// A message of a conversation between two replicas.
#[derive(Debug, Clone)]
pub enum Message {
    /// What the sender knows.
    Version(Vec<u8>),
    /// What the receiver lacks.
    Difference(Vec<u8>),
}

impl Message {
    /// Its bytes. The word which of the two it is is not counted: a transport has that anyway.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Version(bytes) | Self::Difference(bytes) => bytes,
        }
    }
}

/// What all replicas can do.
pub trait Replicated {
    /// The bytes that the library's documentation advises to store.
    fn save(&mut self) -> Vec<u8>;

    /// Takes over what [`save`](Self::save) gave. Called on a fresh replica, which keeps its id.
    fn load(&mut self, bytes: &[u8]);

    /// What the other side needs to know for [`since`](Self::since).
    fn version(&mut self) -> Vec<u8>;

    /// What a replica at `version` lacks.
    fn since(&mut self, version: &[u8]) -> Na<Vec<u8>>;

    /// Takes in a difference or a message of [`push`](Map::push).
    fn apply(&mut self, bytes: &[u8]);

    /// Takes in many differences.
    fn apply_all(&mut self, many: &[Vec<u8>]) {
        many.iter().for_each(|bytes| self.apply(bytes));
    }

    /// The first messages to a replica of which nothing is known.
    fn greet(&mut self) -> Vec<Message> {
        vec![Message::Version(self.version())]
    }

    /// The answers to a message.
    fn answer(&mut self, message: &Message) -> Vec<Message> {
        match message {
            Message::Version(version) => {
                vec![Message::Difference(self.since(version).expect("a system without is not asked"))]
            }
            Message::Difference(bytes) => {
                self.apply(bytes);
                Vec::new()
            }
        }
    }
}

/// A counter.
pub trait Counter: Replicated {
    /// Adds one, `n` times, in one transaction.
    fn add_in_one(&mut self, n: u64) -> Na<()>;

    /// Adds one, `n` times, each with a delta.
    fn add_each(&mut self, n: u64) -> Na<()>;

    /// Where it stands.
    fn value(&mut self) -> i64;
}

/// An add-wins set.
pub trait Set: Replicated {
    /// Adds, as one transaction where there are any.
    fn add(&mut self, members: &[String]);

    /// Removes, as one transaction where there are any.
    fn remove(&mut self, members: &[String]);

    /// The members, in any order.
    fn members(&mut self) -> Vec<String>;
}

/// A map of registers.
pub trait Map: Replicated {
    /// Sets all keys, as one transaction.
    fn set_in_one(&mut self, keys: &[String], values: &[i64]);

    /// Sets all keys, each a transaction with a delta.
    fn set_each(&mut self, keys: &[String], values: &[i64]) -> Na<()>;

    /// The wrapping sum of the values under `keys`, looked up one by one.
    fn get_all(&mut self, keys: &[String]) -> i64;

    /// Visits every entry in ascending order of key; a wrapping sum of place and value proves it.
    fn in_order(&mut self) -> i64;

    /// All entries, in any order.
    fn entries(&mut self) -> Vec<(String, i64)>;

    /// Sets keys, each a transaction of its own, and gives what goes to a replica in an established session.
    fn push(&mut self, keys: &[String], values: &[i64]) -> Na<Vec<Message>>;
}

/// The types that are measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Type {
    GCounter,
    BoundedCounter,
    DisableWinsFlag,
    LwwRegister,
    MaxRegister,
    MinRegister,
    GSet,
    RemoveWinsSet,
    TwoPhaseSet,
    GMap,
    LwwMap,
}

impl Type {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::GCounter,
        Self::BoundedCounter,
        Self::DisableWinsFlag,
        Self::LwwRegister,
        Self::MaxRegister,
        Self::MinRegister,
        Self::GSet,
        Self::RemoveWinsSet,
        Self::TwoPhaseSet,
        Self::GMap,
        Self::LwwMap,
    ];

    /// Its name in every line.
    pub fn name(self) -> &'static str {
        match self {
            Self::GCounter => "g_counter",
            Self::BoundedCounter => "bounded_counter",
            Self::DisableWinsFlag => "disable_wins_flag",
            Self::LwwRegister => "lww_register",
            Self::MaxRegister => "max_register",
            Self::MinRegister => "min_register",
            Self::GSet => "g_set",
            Self::RemoveWinsSet => "remove_wins_set",
            Self::TwoPhaseSet => "two_phase_set",
            Self::GMap => "g_map",
            Self::LwwMap => "lww_map",
        }
    }

    /// What [`Typed::size`] says after so many writes.
    pub fn size_after(self, writes: usize) -> usize {
        match self {
            Self::DisableWinsFlag | Self::LwwRegister | Self::MaxRegister | Self::MinRegister => 1,
            // Two of three add one, the third takes one.
            Self::BoundedCounter => writes - 2 * (writes / 3),
            _ => writes,
        }
    }
}

/// One of [`Type`].
pub trait Typed: Replicated {
    /// One write for each key, all in one transaction.
    fn write_in_one(&mut self, keys: &[String]) -> Na<()>;

    /// The same, each a transaction, with its delta in bytes.
    fn write_each(&mut self, keys: &[String]) -> Na<Vec<Vec<u8>>>;

    /// How many elements or keys there are, where a counter stands, whether a register or flag says anything.
    fn size(&mut self) -> usize;
}

/// A change of a text: at a place, so many letters are deleted and others inserted.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Before which letter.
    pub at: usize,
    /// How many letters are deleted there.
    pub delete: usize,
    /// What is inserted there.
    pub insert: String,
}

/// The name of the mark that is counted.
pub const BOLD: &str = "bold";

/// The name of a link. Alone of the marks it does not go on where somebody types at its end.
pub const LINK: &str = "link";

/// What a mark says.
#[derive(Debug, Clone)]
pub enum Says {
    /// That what it lies over is bold, or whatever its name is.
    Yes,
    /// Where a link leads to.
    To(String),
}

/// A mark that is laid over a part of a text.
#[derive(Debug, Clone)]
pub struct Marking {
    /// Over which letters.
    pub part: Range<usize>,
    /// Its name.
    pub name: &'static str,
    /// What it says; `None` takes away what marks of its name say there.
    pub says: Option<Says>,
}

/// A text.
pub trait Text: Replicated {
    /// Makes all edits, as one transaction where there are any.
    fn write_in_one(&mut self, edits: &[Edit]) -> Na<()>;

    /// Makes one edit, as a transaction where there are any, and gives the delta in bytes.
    fn write(&mut self, edit: &Edit) -> Vec<u8>;

    /// Whether it can take in so many deltas one by one in a time that somebody waits.
    fn takes_in(&self, _deltas: usize) -> Na<()> {
        Ok(())
    }

    /// What it reads.
    fn read(&mut self) -> String;

    /// The bytes to store of what is left once everybody is known to know all, and history is forgotten.
    fn trimmed(&mut self) -> Na<Vec<u8>> {
        Err("keeps what was deleted, or its ids, for ever")
    }

    /// Lays one mark, as a transaction, and gives the delta in bytes: none where that changes nothing.
    fn mark(&mut self, _marking: &Marking) -> Na<Vec<u8>> {
        Err(NO_MARKS)
    }

    /// What it reads in runs of which all letters have the same marks, and of each whether it is [`BOLD`].
    fn runs(&mut self) -> Na<Vec<(String, bool)>> {
        Err(NO_MARKS)
    }
}

/// A value that is inserted before the element at a place, or at the end.
pub type Insertion = (usize, i64);

/// A list of numbers.
pub trait List: Replicated {
    /// Makes all insertions, as one transaction where there are any.
    fn insert_in_one(&mut self, insertions: &[Insertion]) -> Na<()>;

    /// Makes one insertion, as a transaction where there are any, and gives the delta in bytes.
    fn insert(&mut self, insertion: Insertion) -> Vec<u8>;

    /// Whether it can take in so many deltas one by one in a time that somebody waits.
    fn takes_in(&self, _deltas: usize) -> Na<()> {
        Ok(())
    }

    /// What it reads.
    fn read(&mut self) -> Vec<i64>;
}

/// From where an element is moved, and where it is then.
pub type Shift = (usize, usize);

/// A list of numbers that can be moved.
pub trait Movable: Replicated {
    /// Appends all, as one transaction.
    fn fill(&mut self, values: &[i64]);

    /// Makes all moves, as one transaction.
    fn move_in_one(&mut self, shifts: &[Shift]);

    /// Makes one move, as a transaction, and gives the delta in bytes.
    fn move_one(&mut self, shift: Shift) -> Vec<u8>;

    /// What it reads.
    fn read(&mut self) -> Vec<i64>;
}

/// Which node is moved, and below which, as the first there.
pub type Graft = (usize, usize);

/// A tree of nodes that hold their numbers.
pub trait Tree: Replicated {
    /// Makes nodes numbered from 0, each the last below an earlier one or below nothing, as one transaction.
    fn make(&mut self, parents: &[Option<usize>]);

    /// Learns what the nodes are called that another made.
    fn learn(&mut self);

    /// Makes all moves, as one transaction.
    fn move_in_one(&mut self, grafts: &[Graft]);

    /// Makes one move, as a transaction, and gives the delta in bytes.
    fn move_one(&mut self, graft: Graft) -> Vec<u8>;

    /// The numbers of all nodes, each before those below it, with how many stand above it.
    fn read(&mut self) -> Vec<(i64, usize)>;
}

const NO_MARKS: &str = "has no marks";
const IN_ONE: &str = "is measured in one transaction";

/// A replica that does what its field does, or what it points to.
macro_rules! forward {
    ($of:ty $(, $field:ident)?) => {
        impl $crate::system::Replicated for $of {
            fn save(&mut self) -> Vec<u8> {
                $crate::system::inner!(self $(, $field)?).save()
            }

            fn load(&mut self, bytes: &[u8]) {
                $crate::system::inner!(self $(, $field)?).load(bytes);
            }

            fn version(&mut self) -> Vec<u8> {
                $crate::system::inner!(self $(, $field)?).version()
            }

            fn since(&mut self, version: &[u8]) -> $crate::system::Na<Vec<u8>> {
                $crate::system::inner!(self $(, $field)?).since(version)
            }

            fn apply(&mut self, bytes: &[u8]) {
                $crate::system::inner!(self $(, $field)?).apply(bytes);
            }
        }
    };
}
macro_rules! inner {
    ($of:expr) => {
        (**$of)
    };
    ($of:expr, $field:ident) => {
        $of.$field
    };
}
pub(crate) use {forward, inner};

forward!(Box<dyn Counter>);
forward!(Box<dyn Set>);
forward!(Box<dyn Map>);

impl Typed for Box<dyn Counter> {
    fn write_in_one(&mut self, keys: &[String]) -> Na<()> {
        self.add_in_one(keys.len() as u64)
    }

    fn write_each(&mut self, _: &[String]) -> Na<Vec<Vec<u8>>> {
        Err(IN_ONE)
    }

    fn size(&mut self) -> usize {
        self.value() as usize
    }
}

impl Typed for Box<dyn Set> {
    fn write_in_one(&mut self, keys: &[String]) -> Na<()> {
        self.add(keys);
        Ok(())
    }

    fn write_each(&mut self, _: &[String]) -> Na<Vec<Vec<u8>>> {
        Err(IN_ONE)
    }

    fn size(&mut self) -> usize {
        self.members().len()
    }
}

impl Typed for Box<dyn Map> {
    fn write_in_one(&mut self, keys: &[String]) -> Na<()> {
        let values: Vec<i64> = (0..keys.len() as i64).collect();
        self.set_in_one(keys, &values);
        Ok(())
    }

    fn write_each(&mut self, _: &[String]) -> Na<Vec<Vec<u8>>> {
        Err(IN_ONE)
    }

    fn size(&mut self) -> usize {
        self.entries().len()
    }
}

/// Records of ten fields each.
pub trait Records: Replicated {
    /// Makes all records, in one transaction: `values[record][field]`.
    fn create(&mut self, values: &[[i64; 10]]);

    /// Sets one field, as a transaction, and gives the delta in bytes.
    fn edit(&mut self, record: usize, field: usize, value: i64) -> Vec<u8>;

    /// All fields of one record.
    fn record(&mut self, record: usize) -> [i64; 10];
}

/// What [`Map::in_order`] sums up: place and value, so that a wrong order shows.
pub fn ordered_sum(values: impl Iterator<Item = i64>) -> i64 {
    values.zip(1i64..).fold(0, |sum, (value, place)| sum.wrapping_add(value.wrapping_mul(place)))
}

/// The names of the fields of a record.
pub const FIELDS: [&str; 10] =
    ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"];

/// The key of a record.
pub fn record_key(record: usize) -> String {
    format!("record{record:05}")
}
