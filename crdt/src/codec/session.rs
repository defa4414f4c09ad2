//! Deltas inside a session, whose two ends have agreed on numbers for replica ids.
//!
//! ```text
//! delta = who columns | who length compressed
//! who   = 4n                                one replica, whose number is n
//!       | 4n + 1 name …                     n replicas; a name is a number, or how many numbers there are and an id
//! ```
//! Where the columns are compressed, `who` is 2 more.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::DecodeError;
use super::compress::{LEAST, compress};
use super::packed::number;
use super::reader::{Children, Reader};
use super::writer::{Rows, delta_columns, write_columns_of_one};
use super::{FORMAT, Limits};
use crate::causal::{ReplicaId, ReplicaTable};
use crate::delta::{Delta, check_tree};
use crate::store::{Crdt, DotStore};

/// Replica ids that two ends of a session call by their places in this list.
///
/// One end draws it up and tells it the other before anything that uses it; it does not change from then on.
///
/// ```
/// use tombolo_crdt::{Delta, GCounter, Limits, Replica, ReplicaId, SessionNames};
///
/// let mut ann = Replica::<GCounter>::new(ReplicaId::from_bytes([1; 16]));
/// let names = SessionNames::new([ann.id()]);
/// ann.update(|counter| counter.inc(1));
/// let (_, delta) = ann.update(|counter| counter.inc(1));
/// let bytes = delta.encode_in(&names);
/// assert!(bytes.len() <= 12);
///
/// let delta = Delta::decode_in(&bytes, &names, &Limits::default())?;
/// # let _: Delta<GCounter> = delta;
/// # Ok::<(), tombolo_crdt::DecodeError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct SessionNames {
    ids: Vec<ReplicaId>,
    numbers: BTreeMap<ReplicaId, u64>,
    /// Of the first ids: what a delta that is about one of them alone has for a table.
    tables: Vec<Arc<ReplicaTable>>,
}

/// Of so many ids a table is kept: their numbers take one byte.
const TABLES: usize = 32;

impl SessionNames {
    /// These ids, in this order. One that stands twice counts where it stands first.
    #[must_use]
    pub fn new(ids: impl IntoIterator<Item = ReplicaId>) -> Self {
        let mut names = Self::default();
        for id in ids {
            names.numbers.entry(id).or_insert_with(|| {
                if names.ids.len() < TABLES {
                    names.tables.push(Arc::new(table_of(id)));
                }
                names.ids.push(id);
                names.ids.len() as u64 - 1
            });
        }
        names
    }

    /// The ids, in their order.
    #[must_use]
    pub fn ids(&self) -> &[ReplicaId] {
        &self.ids
    }

    pub(super) fn has(&self, id: ReplicaId) -> bool {
        self.numbers.contains_key(&id)
    }

    /// The table of one id alone.
    pub(super) fn table(&self, number: u64) -> Option<Arc<ReplicaTable>> {
        let known = usize::try_from(number).ok().and_then(|number| self.tables.get(number));
        known.cloned().or_else(|| Some(Arc::new(table_of(self.get(number)?))))
    }

    pub(super) fn get(&self, number: u64) -> Option<ReplicaId> {
        usize::try_from(number).ok().and_then(|number| self.ids().get(number)).copied()
    }
}

fn table_of(id: ReplicaId) -> ReplicaTable {
    let mut table = ReplicaTable::default();
    table.intern(id);
    table
}

impl<T: Crdt> Delta<T> {
    /// The delta in bytes for a session whose other end has `names`: a byte or two instead of 20 for each id among them.
    ///
    /// Not checked against damage, and of no meaning outside the session.
    #[must_use]
    pub fn encode_in(&self, names: &SessionNames) -> Vec<u8> {
        let rows = Rows::of(&self.parts);
        let told = |row| {
            let id = self.parts.table.id(row);
            names.numbers.get(&id).copied().ok_or(id)
        };
        // A key pressed has room in it, and is written where it stays.
        let mut out = Vec::with_capacity(24);
        if let &[row] = &rows.used[..]
            && let Ok(known) = told(row)
        {
            number(&mut out, known << 2);
            if write_columns_of_one(&rows, &self.parts, &mut out) && out.len() < LEAST {
                return out;
            }
            out.clear();
        }
        let columns = delta_columns(&rows, &self.parts);
        let packed = compress(&columns);
        out.reserve(8 + packed.as_ref().unwrap_or(&columns).len());
        let compressed = u64::from(packed.is_some()) << 1;
        match rows.used[..] {
            [row] if told(row).is_ok() => number(&mut out, told(row).unwrap_or(0) << 2 | compressed),
            _ => {
                number(&mut out, (rows.used.len() as u64) << 2 | compressed | 1);
                for &row in &rows.used {
                    number(&mut out, told(row).unwrap_or(names.ids().len() as u64));
                    if let Err(id) = told(row) {
                        out.extend_from_slice(id.as_bytes());
                    }
                }
            }
        }
        if packed.is_some() {
            number(&mut out, columns.len() as u64);
        }
        out.extend(packed.unwrap_or(columns));
        out
    }

    /// Reads what [`encode_in`](Self::encode_in) wrote for the same names.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_in(bytes: &[u8], names: &SessionNames, limits: &Limits) -> Result<Self, DecodeError> {
        limits.check_bytes(bytes.len())?;
        let mut reader = Reader::new(bytes, limits).of_format(Some(FORMAT));
        let parts = reader.session_body(names, Children::Any)?;
        reader.finish()?;
        check_tree(&parts)?;
        T::State::check(parts.tree.root())?;
        Ok(Self::from_parts(parts))
    }
}
