//! A value, its version, and who writes here.

mod beyond;
mod fingerprint;
mod held;
mod instead;
mod merge;
mod pending;
mod ring;
mod since;
mod sweep;
mod update;

pub use merge::{Merged, Refused};
pub use since::Since;
pub use sweep::Garbage;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use crate::causal::{LocalDot, ReplicaId, ReplicaIndex, ReplicaTable, Stamp, Tx, Version};
use crate::delta::{Parts, Run};
use crate::store::{Conflict, Crdt, Disputes, DotStore, Opaque, Plain, Renaming, View};
use held::Held;
use pending::Pending;
use ring::Ring;

/// One replica of a `T`: the value, the [`Version`] it has reached, and the [`ReplicaId`] under which it writes.
///
/// Reads go to the value (`Deref`). Writes go through [`update`](Self::update) and yield a [`Delta`](crate::Delta) for
/// the others; [`merge`](Self::merge) takes theirs in, in any order, any number of times.
///
/// Two live replicas must not share an id, so a replica cannot be cloned; [`fork`](Self::fork) asks for a new id.
pub struct Replica<T: Crdt> {
    id: ReplicaId,
    /// Our row in `table`, from the first write on: reading alone costs no version entry.
    me: Option<ReplicaIndex>,
    /// By row: how much is known. The version, interned.
    known: Vec<u64>,
    state: T::State,
    /// Between transactions: the clock, and the table of the replica ids that occur.
    tx: Tx,
    /// The rows raised by others since our last transaction: what our next one depends on beside our own past.
    raised: Raised,
    /// How many dots of others are known: equal for two of our transactions if nothing came in between, also where we
    /// were decoded or rebuilt between them.
    epoch: u64,
    ring: Ring,
    pending: Pending,
    held: Held,
}

impl<T: Crdt> Deref for Replica<T> {
    type Target = T::State;

    fn deref(&self) -> &T::State {
        &self.state
    }
}

impl<T: Crdt> fmt::Debug for Replica<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("id", &self.id)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

impl<T: Crdt> Replica<T> {
    /// An empty replica that writes as `id`.
    #[must_use]
    pub fn new(id: ReplicaId) -> Self {
        let (a, b) = id.as_bytes().split_at(8);
        let half = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| (number << 8) | u64::from(byte));
        Self::with_hash_seed(id, half(a) ^ half(b).rotate_left(32))
    }

    /// As [`new`](Self::new), with a seed for the hash tables of sets and maps. Nothing that can be observed depends on it.
    /// Where others choose keys, give one that they do not know, so that they cannot choose keys that collide; what
    /// `new` makes of the id they can work out.
    #[must_use]
    pub fn with_hash_seed(id: ReplicaId, seed: u64) -> Self {
        Self {
            id,
            me: None,
            known: Vec::new(),
            state: T::State::default(),
            tx: Tx::new(seed),
            raised: Raised::default(),
            epoch: 0,
            ring: Ring::new(),
            pending: Pending::default(),
            held: Held::default(),
        }
    }

    /// Another replica of the same value, at the same version and with the same wall time, that writes as `id`. Recent
    /// deltas are not copied: to peers behind this version the fork sends the whole state.
    ///
    /// # Panics
    /// If `id` is this replica's own, or that of one whose writes are known here: it may be alive.
    #[must_use]
    pub fn fork(&self, id: ReplicaId) -> Self {
        assert!(id != self.id && self.known_to(id) == 0, "two live replicas must not share an id, here {id}");
        let mut fork = Self::with_hash_seed(id, self.tx.seed);
        fork.tx.clock = self.tx.clock.at_same_time();
        fork.adopt(&self.state_parts());
        fork.ring.restart(&fork.known);
        fork
    }

    /// Another replica of the same value, which writes as `id`, as if that had written everything that `of` wrote after its event
    /// `after`: for a store that finds that another wrote under its id meanwhile. Nobody may have seen what is renamed; and where
    /// counters were not told to [keep](Self::keep_counters) what they were at that event, all that was ever added is renamed with
    /// what was added since, and counts twice once the other store's comes in.
    ///
    /// What was done with the rights of a [`BoundedCounter`](crate::BoundedCounter) was done by `id`, which had none: an overdraft,
    /// if the other store used them as well.
    ///
    /// # Panics
    /// If writes of `id` are known here, or it is `of`.
    #[must_use]
    pub fn disown(&self, of: ReplicaId, after: u64, id: ReplicaId) -> Self {
        assert!(id != of && self.known_to(id) == 0, "two live replicas must not share an id, here {id}");
        let mut state = self.state_parts();
        let table = Arc::make_mut(&mut state.table);
        let (old, new, last) = (table.intern(of), table.intern(id), self.known_to(of));
        let renamed = |dot: LocalDot| {
            let is_disowned = dot.replica() == old && dot.counter() > after;
            if is_disowned { LocalDot::new(new, dot.counter() - after) } else { dot }
        };
        state.tree.rename(renamed);
        state.events.retain(|run| run.replica != old || after > 0);
        state.events.iter_mut().filter(|run| run.replica == old).for_each(|run| run.last = last.min(after));
        if last > after {
            state.events.push(Run { replica: new, first: 1, last: last - after });
        }
        state.tree.cover_at_root(&state.event_context());
        let mut unread = Replica::<Opaque>::with_hash_seed(id, self.tx.seed);
        unread.adopt(&state);
        Renaming { of, after, id }.rename(&mut unread.state);
        let mut fork = Self::with_hash_seed(id, self.tx.seed);
        fork.tx.clock = self.tx.clock.at_same_time();
        fork.adopt(&unread.state_parts());
        fork.ring.restart(&fork.known);
        fork
    }

    /// From here on counters leave what this replica added up to its event `after` as it is and count on beside it, so that what
    /// came later can be [disowned](Self::disown). Each such event costs a counter one amount more, until it is written again after
    /// `keep_counters(0)`, which joins them.
    pub fn keep_counters(&mut self, after: u64) {
        self.tx.kept = after;
    }

    /// Under which id it writes.
    #[must_use]
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// What it knows.
    #[must_use]
    pub fn version(&self) -> Version {
        self.known.iter().enumerate().map(|(row, &n)| (self.tx.table.id(row as ReplicaIndex), n)).collect()
    }

    /// How much of what `replica` wrote is known: as [`version`](Self::version) has it, without making one.
    #[must_use]
    pub fn reached(&self, replica: ReplicaId) -> u64 {
        self.known_to(replica)
    }

    /// How many replicas' writes are known. Each costs every replica a few dozen bytes for ever.
    #[must_use]
    pub fn replicas(&self) -> usize {
        self.known.iter().filter(|&&known| known > 0).count()
    }

    /// The plain value: what serde writes of the result is fit for user interfaces and JSON.
    #[must_use]
    pub fn view(&self) -> impl serde::Serialize + '_ {
        View(&self.state)
    }

    /// The plain value, to keep beside it and to be kept up to date by [`Changes`](crate::Changes).
    #[must_use]
    pub fn plain(&self) -> Plain {
        self.state.plain()
    }

    /// Every place where concurrent writers left more than one value, with who wrote each, and when. Costs a walk of the state.
    ///
    /// ```
    /// use tombolo_crdt::{AddWinsMap, MvRegister, Replica, ReplicaId};
    ///
    /// type Titles = AddWinsMap<String, MvRegister<String>>;
    /// let mut ann = Replica::<Titles>::new(ReplicaId::from_bytes([1; 16]));
    /// let mut bob = Replica::<Titles>::new(ReplicaId::from_bytes([2; 16]));
    /// let (_, hers) = ann.update(|titles| titles.at("dig").set("Dig the bed"));
    /// let (_, his) = bob.update(|titles| titles.at("dig").set("Dig it up"));
    /// ann.merge(his)?;
    /// let [conflict] = &ann.conflicts()[..] else { panic!("one place") };
    /// assert_eq!(conflict.path, ["dig".into()]);
    /// assert_eq!(conflict.values[0].value, Some("Dig the bed".into()));
    /// assert_eq!(conflict.values[1].by, [bob.id()]);
    /// # let _ = hers;
    /// # Ok::<(), tombolo_crdt::Refused>(())
    /// ```
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict> {
        let mut disputes = Disputes::new(&self.tx.table);
        self.state.conflicts(&mut disputes);
        disputes.found
    }

    /// Hands in the wall time, in milliseconds since the Unix epoch, for last-writer-wins stamps. Without it, stamps
    /// follow causality alone.
    pub fn set_time(&mut self, millis: u64) {
        self.tx.clock.set_now(millis);
    }

    /// How many last-writer-wins stamps came in that were implausibly far ahead of our time: somebody's clock is off.
    #[must_use]
    pub fn far_stamps(&self) -> u64 {
        self.tx.clock.far_stamps()
    }

    /// How many deltas wait for what they depend on.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What the waiting deltas wait for: for each replica the counter that is needed, where it is not reached yet.
    #[must_use]
    pub fn missing(&self) -> Version {
        let mut missing = Version::new();
        for delta in self.pending.iter() {
            missing.join(&self.missing_for(delta));
        }
        missing
    }

    /// How many of the recent deltas are kept: so many bytes of heap, as they are when they come; small ones take a fifth of that a
    /// little later. With 0 every [`delta_since`](Self::delta_since) but that of an up-to-date peer is [`Since::Forgotten`].
    ///
    /// By default as much as follows from the value, between some kilobytes and 4 MiB: about twice what it weighs. Once they
    /// outweigh it, sending the [`state`](Self::state) costs no more than they do.
    pub fn set_history_bytes(&mut self, bytes: usize) {
        let table = &self.tx.table;
        self.ring.set_capacity(bytes, |delta, row| row_in(table, delta, row));
    }

    /// The row of `id`, interned if it is new.
    fn intern(&mut self, id: ReplicaId) -> ReplicaIndex {
        if let Some(row) = self.tx.table.row(id) {
            return row;
        }
        self.add_row(id)
    }

    /// The row of an id that is new.
    fn add_row(&mut self, id: ReplicaId) -> ReplicaIndex {
        self.known.push(0);
        Arc::make_mut(&mut self.tx.table).push(id)
    }

    /// How much is known of a row, which may be absent.
    fn known_in(&self, row: ReplicaIndex) -> u64 {
        self.known.get(row as usize).copied().unwrap_or(0)
    }

    fn known_to(&self, id: ReplicaId) -> u64 {
        self.tx.table.row(id).map_or(0, |row| self.known[row as usize])
    }

    /// The largest last-writer-wins stamp this replica would issue next is above this one. For the clock handshake.
    #[doc(hidden)]
    pub fn observe_stamp(&mut self, stamp: Stamp) {
        self.tx.clock.observe(stamp);
    }
}

/// How many live dots there are.
fn count(state: &impl DotStore) -> usize {
    let mut live = 0;
    state.dots(&mut |_| live += 1);
    live
}

/// A set of rows.
#[derive(Debug, Default)]
struct Raised {
    rows: Vec<ReplicaIndex>,
    /// By row: whether it is among `rows`.
    has: Vec<bool>,
}

impl Raised {
    fn insert(&mut self, row: ReplicaIndex) {
        let at = row as usize;
        if self.has.len() <= at {
            self.has.resize(at + 1, false);
        }
        if !core::mem::replace(&mut self.has[at], true) {
            self.rows.push(row);
        }
    }

    /// Takes all rows out.
    fn drain(&mut self) -> impl Iterator<Item = ReplicaIndex> {
        let has = &mut self.has;
        self.rows.drain(..).inspect(|row| has[*row as usize] = false)
    }
}

/// Where a delta's row is in `table`.
fn row_in(table: &ReplicaTable, delta: &Parts, row: ReplicaIndex) -> ReplicaIndex {
    if table.extends(&delta.table) {
        return row;
    }
    table.row(delta.table.id(row)).expect("the replica took this delta in, so it interned its ids")
}
