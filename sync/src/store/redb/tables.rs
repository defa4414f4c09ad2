//! The tables of a store, and what they hold.
//!
//! A value is *sealed*: eight bytes of a hash over table, key and value stand before it. So a value that changed, or
//! is found under another key, is damage and never an answer. The seal is against failing disks, not against people.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, RangeInclusive};

use redb::{
    Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata as _, Table,
    TableDefinition, TableHandle, Value, WriteTransaction,
};
use tombolo_crdt::{Dot, ReplicaId};

use super::refusal;
use crate::DocId;
use crate::store::{StagedDocument, StoreError, Stored, WHOLE, Write};

/// The newest format this program reads, and the one it writes. A store of an older one becomes one of this when it is opened.
pub(super) const FORMAT: u32 = 6;

/// Numbers about the store.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// In [`META`]: the format.
pub(super) const FORMAT_KEY: &str = "format";
/// In [`META`]: how many commits there were, which tells whether the last one is among them.
const COMMITS_KEY: &str = "commits";

/// A document, and the first dot of a slice.
pub(super) type SliceKey = (&'static [u8; 16], &'static [u8; 16], u64);

/// The slices of a document stand in one of these, and what is put aside for it in the other: [`SIDES`] says which.
pub(super) const SLICES: [TableDefinition<'_, SliceKey, &[u8]>; 2] =
    [TableDefinition::new("slices"), TableDefinition::new("slices_b")];
/// A document, and its [`Sides`]. Without an entry its slices are in the first table, and nothing is put aside.
pub(super) const SIDES: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("sides");
/// Of format 1: a document's state as one value.
pub(super) const SNAPSHOTS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("snapshots");
/// INVARIANT: a document's sequence numbers are `0..n`. A snapshot removes the log with it, so numbers start again.
pub(super) const LOG: TableDefinition<'_, (&[u8; 16], u64), &[u8]> = TableDefinition::new("log");
pub(super) const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");

pub(super) const SEAL_BYTES: usize = 8;

/// A table's part of the seal.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Of format 1.
    Snapshot,
    Log(u64),
    Record,
    Slice(usize, Dot),
    Sides,
}

fn seal(kind: Kind, key: &[u8], value: &[u8]) -> [u8; SEAL_BYTES] {
    let (number, sequence) = match kind {
        Kind::Snapshot => (0, 0),
        Kind::Log(sequence) => (1, sequence),
        Kind::Record => (2, 0),
        Kind::Slice(0, start) => (3, start.counter),
        Kind::Slice(_, start) => (4, start.counter),
        Kind::Sides => (5, 0),
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[number]).update(&sequence.to_be_bytes());
    if let Kind::Slice(_, start) = kind {
        hasher.update(start.replica.as_bytes());
    }
    hasher.update(&(key.len() as u64).to_be_bytes()).update(key).update(value);
    let mut seal = [0; SEAL_BYTES];
    seal.copy_from_slice(&hasher.finalize().as_bytes()[..SEAL_BYTES]);
    seal
}

/// Fills `place`, which has room for the seal and the value.
fn write_sealed(place: &mut [u8], kind: Kind, key: &[u8], value: &[u8]) {
    let (head, body) = place.split_at_mut(SEAL_BYTES);
    head.copy_from_slice(&seal(kind, key, value));
    body.copy_from_slice(value);
}

pub(super) fn open_sealed<'a>(sealed: &'a [u8], kind: Kind, key: &[u8]) -> Result<&'a [u8], StoreError> {
    match sealed.split_first_chunk::<SEAL_BYTES>() {
        Some((head, value)) if *head == seal(kind, key, value) => Ok(value),
        _ => {
            let what = match kind {
                Kind::Snapshot => format!("the snapshot of document {}", hex(key)),
                Kind::Log(sequence) => format!("record {sequence} in the log of document {}", hex(key)),
                Kind::Slice(_, start) => {
                    format!("the slice of document {} that begins at {start:?}", hex(key))
                }
                Kind::Sides => format!("where the slices of document {} stand", hex(key)),
                Kind::Record => format!("the record {:?}", String::from_utf8_lossy(key)),
            };
            Err(StoreError::Damaged(format!("{what} is not what was written")))
        }
    }
}

/// Where the slices of a document stand, and what is put aside for it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sides {
    /// In which of the two tables its slices are.
    pub(super) own: usize,
    /// The note on what is put aside for it in the other.
    pub(super) staged: Option<Vec<u8>>,
}

impl Sides {
    /// In which table stands what is put aside.
    pub(super) fn other(&self) -> usize {
        1 - self.own
    }

    fn encode(&self) -> Option<Vec<u8>> {
        match &self.staged {
            None if self.own == 0 => None,
            None => Some(vec![self.own as u8]),
            Some(note) => Some([&[self.own as u8], &note[..]].concat()),
        }
    }

    /// Reads what `encode` wrote: with what is put aside there is at least a byte of a note.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&own, note) = bytes.split_first()?;
        let staged = (!note.is_empty()).then(|| note.to_vec());
        (own < 2).then(|| Self { own: usize::from(own), staged })
    }

    fn read(
        entries: &impl ReadableTable<&'static [u8; 16], &'static [u8]>,
        doc: DocId,
    ) -> Result<Self, StoreError> {
        let key = doc.as_bytes();
        let Some(sealed) = entries.get(key).map_err(refusal)? else { return Ok(Self::default()) };
        Self::opened(sealed.value(), key)
    }

    pub(super) fn opened(sealed: &[u8], doc: &[u8; 16]) -> Result<Self, StoreError> {
        let bytes = open_sealed(sealed, Kind::Sides, doc)?;
        Self::decode(bytes).ok_or_else(|| {
            StoreError::Damaged(format!("where the slices of document {} stand is not said", hex(doc)))
        })
    }

    fn write(
        &self,
        entries: &mut Table<'_, &'static [u8; 16], &'static [u8]>,
        doc: DocId,
    ) -> Result<(), StoreError> {
        let key = doc.as_bytes();
        match self.encode() {
            None => _ = entries.remove(key).map_err(refusal)?,
            Some(value) => {
                let mut place = entries.insert_reserve(key, SEAL_BYTES + value.len()).map_err(refusal)?;
                write_sealed(place.as_mut(), Kind::Sides, key, &value);
            }
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Creates the tables in a database that has none, and checks the format of one that does.
pub(super) fn create_or_check(database: &Database) -> Result<(), StoreError> {
    let reading = database.begin_read().map_err(refusal)?;
    let names: Vec<String> =
        reading.list_tables().map_err(refusal)?.map(|table| table.name().to_owned()).collect();
    if names.is_empty() {
        // New, or killed before its first commit.
        drop(reading);
        let transaction = database.begin_write().map_err(refusal)?;
        create(&transaction)?;
        return transaction.commit().map_err(refusal);
    }
    if !names.iter().any(|name| name == META.name()) {
        return Err(StoreError::Damaged("a database, but of another program".to_owned()));
    }
    let format = format(&reading)?;
    if format < FORMAT {
        drop(reading);
        let transaction = database.begin_write().map_err(refusal)?;
        migrate(&transaction, format)?;
        return transaction.commit().map_err(refusal);
    }
    // The tables exist since the first commit.
    for side in SLICES {
        reading.open_table(side).map_err(refusal)?;
    }
    reading.open_table(SIDES).map_err(refusal)?;
    reading.open_table(LOG).map_err(refusal)?;
    reading.open_table(RECORDS).map_err(refusal)?;
    Ok(())
}

/// Makes a store of an older format one of this format. Of format 1: what was one value becomes one slice, until it is written anew.
/// Of formats 2 to 5: its slices and deltas stay as they are, which are read; those that are written from now on an older program could not
/// read, or not find.
fn migrate(transaction: &WriteTransaction, format: u32) -> Result<(), StoreError> {
    if format == 1 {
        let snapshots = transaction.open_table(SNAPSHOTS).map_err(refusal)?;
        let mut slices = transaction.open_table(SLICES[0]).map_err(refusal)?;
        for entry in snapshots.iter().map_err(refusal)? {
            let (doc, sealed) = entry.map_err(refusal)?;
            let state = open_sealed(sealed.value(), Kind::Snapshot, doc.value())?;
            insert_slice(&mut slices, 0, DocId::from_bytes(*doc.value()), WHOLE, state)?;
        }
        drop((snapshots, slices));
        transaction.delete_table(SNAPSHOTS).map_err(refusal)?;
    }
    if format < 6 {
        // Where pieces of documents stood until all were there: they are asked for again.
        let mut records = transaction.open_table(RECORDS).map_err(refusal)?;
        records.retain_in("staged/".."staged0", |_, _| false).map_err(refusal)?;
    }
    create(transaction)
}

/// The format the store is in, which is one this program reads.
fn format(transaction: &ReadTransaction) -> Result<u32, StoreError> {
    let meta = transaction.open_table(META).map_err(refusal)?;
    let format = meta.get(FORMAT_KEY).map_err(refusal)?.map(|format| format.value());
    match format.map(u32::try_from) {
        Some(Ok(found @ 1..=FORMAT)) => Ok(found),
        Some(Ok(found)) if found > FORMAT => Err(StoreError::Format { found, known: FORMAT }),
        _ => Err(StoreError::Damaged(format!("its format is {format:?}"))),
    }
}

/// Creates all tables that are not there and writes the format.
pub(super) fn create(transaction: &WriteTransaction) -> Result<(), StoreError> {
    for side in SLICES {
        transaction.open_table(side).map_err(refusal)?;
    }
    transaction.open_table(SIDES).map_err(refusal)?;
    transaction.open_table(LOG).map_err(refusal)?;
    transaction.open_table(RECORDS).map_err(refusal)?;
    let mut meta = transaction.open_table(META).map_err(refusal)?;
    meta.insert(FORMAT_KEY, u64::from(FORMAT)).map_err(refusal)?;
    Ok(())
}

/// How many commits the store has seen.
pub(super) fn commits(transaction: &ReadTransaction) -> Result<u64, StoreError> {
    let meta = transaction.open_table(META).map_err(refusal)?;
    let commits = meta.get(COMMITS_KEY).map_err(refusal)?;
    Ok(commits.map_or(0, |commits| commits.value()))
}

/// Records that `commits` commits were made, this one included.
pub(super) fn set_commits(transaction: &WriteTransaction, commits: u64) -> Result<(), StoreError> {
    let mut meta = transaction.open_table(META).map_err(refusal)?;
    meta.insert(COMMITS_KEY, commits).map_err(refusal)?;
    Ok(())
}

/// Applies `writes` in order.
pub(super) fn apply(transaction: &WriteTransaction, writes: &[Write]) -> Result<(), StoreError> {
    let [mut slices, mut others] = [
        transaction.open_table(SLICES[0]).map_err(refusal)?,
        transaction.open_table(SLICES[1]).map_err(refusal)?,
    ];
    let mut slices = [&mut slices, &mut others];
    let mut sides = transaction.open_table(SIDES).map_err(refusal)?;
    let mut log = transaction.open_table(LOG).map_err(refusal)?;
    let mut records = transaction.open_table(RECORDS).map_err(refusal)?;
    // Where each log goes on, looked up once a transaction.
    let mut next = HashMap::new();
    for write in writes {
        match write {
            Write::Append { doc, record } => {
                let sequence = match next.get(doc) {
                    Some(sequence) => *sequence,
                    None => log_length(&log, *doc)?,
                };
                next.insert(*doc, sequence + 1);
                let key = (doc.as_bytes(), sequence);
                let mut place = log.insert_reserve(key, SEAL_BYTES + record.len()).map_err(refusal)?;
                write_sealed(place.as_mut(), Kind::Log(sequence), doc.as_bytes(), record);
            }
            Write::Snapshot { doc, all, slices: changed } => {
                drop_log(&mut log, *doc)?;
                next.insert(*doc, 0);
                let side = Sides::read(&sides, *doc)?.own;
                if *all {
                    drop_slices(slices[side], *doc)?;
                }
                for (start, slice) in changed {
                    match slice {
                        Some(bytes) => insert_slice(slices[side], side, *doc, *start, bytes)?,
                        None => _ = slices[side].remove(slice_key(doc, start)).map_err(refusal)?,
                    }
                }
            }
            Write::Remove { doc } => {
                drop_log(&mut log, *doc)?;
                next.insert(*doc, 0);
                for side in &mut slices {
                    drop_slices(side, *doc)?;
                }
                Sides::default().write(&mut sides, *doc)?;
            }
            Write::Stage { doc, note, all, slices: staged } => {
                let own = Sides::read(&sides, *doc)?.own;
                let now = Sides { own, staged: Some(note.clone()) };
                if *all {
                    drop_slices(slices[now.other()], *doc)?;
                }
                for (start, bytes) in staged {
                    insert_slice(slices[now.other()], now.other(), *doc, *start, bytes)?;
                }
                now.write(&mut sides, *doc)?;
            }
            Write::Unstage { doc } => {
                let now = Sides { staged: None, ..Sides::read(&sides, *doc)? };
                drop_slices(slices[now.other()], *doc)?;
                now.write(&mut sides, *doc)?;
            }
            Write::Adopt { doc } => {
                let before = Sides::read(&sides, *doc)?;
                if before.staged.is_some() {
                    drop_log(&mut log, *doc)?;
                    next.insert(*doc, 0);
                    drop_slices(slices[before.own], *doc)?;
                    Sides { own: before.other(), staged: None }.write(&mut sides, *doc)?;
                }
            }
            Write::Put { key, value } => {
                let mut place =
                    records.insert_reserve(key.as_str(), SEAL_BYTES + value.len()).map_err(refusal)?;
                write_sealed(place.as_mut(), Kind::Record, key.as_bytes(), value);
            }
            Write::Delete { key } => {
                records.remove(key.as_str()).map_err(refusal)?;
            }
        }
    }
    Ok(())
}

type Slices<'t> = Table<'t, SliceKey, &'static [u8]>;

fn slice_key<'k>(doc: &'k DocId, start: &'k Dot) -> (&'k [u8; 16], &'k [u8; 16], u64) {
    (doc.as_bytes(), start.replica.as_bytes(), start.counter)
}

fn all_slices(doc: &DocId) -> RangeInclusive<(&[u8; 16], &[u8; 16], u64)> {
    (doc.as_bytes(), &[0; 16], 0)..=(doc.as_bytes(), &[0xff; 16], u64::MAX)
}

fn drop_slices(slices: &mut Slices<'_>, doc: DocId) -> Result<(), StoreError> {
    slices.retain_in(all_slices(&doc), |_, _| false).map_err(refusal)
}

fn insert_slice(
    slices: &mut Slices<'_>,
    side: usize,
    doc: DocId,
    start: Dot,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let length = SEAL_BYTES + bytes.len();
    let mut place = slices.insert_reserve(slice_key(&doc, &start), length).map_err(refusal)?;
    write_sealed(place.as_mut(), Kind::Slice(side, start), doc.as_bytes(), bytes);
    Ok(())
}

/// The first dot of a slice, of its key.
fn start_of((_, replica, counter): (&[u8; 16], &[u8; 16], u64)) -> Dot {
    Dot { replica: ReplicaId::from_bytes(*replica), counter }
}

type Log<'t> = Table<'t, (&'static [u8; 16], u64), &'static [u8]>;

fn log_length(log: &Log<'_>, doc: DocId) -> Result<u64, StoreError> {
    let mut range = log.range((doc.as_bytes(), 0)..=(doc.as_bytes(), u64::MAX)).map_err(refusal)?;
    let last = range.next_back().transpose().map_err(refusal)?;
    Ok(last.map_or(0, |(key, _)| key.value().1 + 1))
}

fn drop_log(log: &mut Log<'_>, doc: DocId) -> Result<(), StoreError> {
    log.retain_in((doc.as_bytes(), 0)..=(doc.as_bytes(), u64::MAX), |_, _| false).map_err(refusal)
}

fn sides(transaction: &ReadTransaction, doc: DocId) -> Result<Sides, StoreError> {
    Sides::read(&transaction.open_table(SIDES).map_err(refusal)?, doc)
}

/// What stands for a document in one of the two tables.
fn slices_of(
    transaction: &ReadTransaction,
    doc: DocId,
    side: usize,
) -> Result<Vec<(Dot, Vec<u8>)>, StoreError> {
    let mut slices = Vec::new();
    let entries = transaction.open_table(SLICES[side]).map_err(refusal)?;
    for entry in entries.range(all_slices(&doc)).map_err(refusal)? {
        let (found, sealed) = entry.map_err(refusal)?;
        let start = start_of(found.value());
        slices.push((start, open_sealed(sealed.value(), Kind::Slice(side, start), doc.as_bytes())?.to_vec()));
    }
    Ok(slices)
}

/// The documents for which something is put aside.
pub(super) fn staged(transaction: &ReadTransaction) -> Result<Vec<DocId>, StoreError> {
    let sides = all_sides(transaction)?.into_iter();
    Ok(sides.filter(|(_, sides)| sides.staged.is_some()).map(|(doc, _)| doc).collect())
}

/// Reads what is put aside for a document.
pub(super) fn staged_document(
    transaction: &ReadTransaction,
    doc: DocId,
) -> Result<Option<StagedDocument>, StoreError> {
    let sides = sides(transaction, doc)?;
    let other = sides.other();
    let Some(note) = sides.staged else { return Ok(None) };
    Ok(Some(StagedDocument { note, slices: slices_of(transaction, doc, other)? }))
}

/// The sides of all documents that have an entry.
fn all_sides(transaction: &ReadTransaction) -> Result<BTreeMap<DocId, Sides>, StoreError> {
    let mut all = BTreeMap::new();
    for entry in transaction.open_table(SIDES).map_err(refusal)?.iter().map_err(refusal)? {
        let (doc, sealed) = entry.map_err(refusal)?;
        all.insert(DocId::from_bytes(*doc.value()), Sides::opened(sealed.value(), doc.value())?);
    }
    Ok(all)
}

/// Reads a document.
pub(super) fn document(transaction: &ReadTransaction, doc: DocId) -> Result<Option<Stored>, StoreError> {
    let key = doc.as_bytes();
    let slices = slices_of(transaction, doc, sides(transaction, doc)?.own)?;
    let mut log = Vec::new();
    let entries = transaction.open_table(LOG).map_err(refusal)?;
    for (expected, entry) in (0..).zip(entries.range((key, 0)..=(key, u64::MAX)).map_err(refusal)?) {
        let (found, sealed) = entry.map_err(refusal)?;
        let sequence = found.value().1;
        if sequence != expected {
            return Err(StoreError::Damaged(format!(
                "the log of document {doc} goes on with record {sequence} where {expected} must stand"
            )));
        }
        log.push(open_sealed(sealed.value(), Kind::Log(sequence), key)?.to_vec());
    }
    Ok((!slices.is_empty() || !log.is_empty()).then_some(Stored { slices, log }))
}

/// All documents that have a snapshot or a log.
pub(super) fn documents(transaction: &ReadTransaction) -> Result<Vec<DocId>, StoreError> {
    let mut documents = BTreeSet::new();
    let sides = all_sides(transaction)?;
    // From document to document, not from value to value.
    for (side, table) in SLICES.into_iter().enumerate() {
        let slices = transaction.open_table(table).map_err(refusal)?;
        let mut from = Bound::Unbounded;
        loop {
            let start = from.as_ref().map(|doc: &DocId| *all_slices(doc).end());
            let mut range =
                slices.range::<(&[u8; 16], &[u8; 16], u64)>((start, Bound::Unbounded)).map_err(refusal)?;
            let Some((key, _)) = range.next().transpose().map_err(refusal)? else { break };
            let doc = DocId::from_bytes(*key.value().0);
            if sides.get(&doc).map_or(0, |sides| sides.own) == side {
                documents.insert(doc);
            }
            from = Bound::Excluded(doc);
        }
    }
    let log = transaction.open_table(LOG).map_err(refusal)?;
    let mut from = Bound::Unbounded;
    loop {
        let start = from.as_ref().map(|doc: &DocId| (doc.as_bytes(), u64::MAX));
        let mut range = log.range::<(&[u8; 16], u64)>((start, Bound::Unbounded)).map_err(refusal)?;
        let Some((key, _)) = range.next().transpose().map_err(refusal)? else { break };
        let doc = DocId::from_bytes(*key.value().0);
        documents.insert(doc);
        from = Bound::Excluded(doc);
    }
    Ok(documents.into_iter().collect())
}

/// Reads a named record.
pub(super) fn record(transaction: &ReadTransaction, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let records = transaction.open_table(RECORDS).map_err(refusal)?;
    match records.get(key).map_err(refusal)? {
        Some(sealed) => Ok(Some(open_sealed(sealed.value(), Kind::Record, key.as_bytes())?.to_vec())),
        None => Ok(None),
    }
}

/// The records whose name starts with `prefix`.
pub(super) fn records(
    transaction: &ReadTransaction,
    prefix: &str,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let mut found = Vec::new();
    let records = transaction.open_table(RECORDS).map_err(refusal)?;
    for entry in records.range(prefix..).map_err(refusal)? {
        let (key, sealed) = entry.map_err(refusal)?;
        let key = key.value();
        if !key.starts_with(prefix) {
            break;
        }
        found.push((key.to_owned(), open_sealed(sealed.value(), Kind::Record, key.as_bytes())?.to_vec()));
    }
    Ok(found)
}

/// Copies everything, verifying it, into a database that has the tables.
pub(super) fn copy(from: &ReadTransaction, to: &WriteTransaction) -> Result<(), StoreError> {
    for (side, table) in SLICES.into_iter().enumerate() {
        copy_table(from, to, table, |key, sealed| {
            open_sealed(sealed, Kind::Slice(side, start_of(key)), key.0).map(drop)
        })?;
    }
    copy_table(from, to, SIDES, |key, sealed| Sides::opened(sealed, key).map(drop))?;
    copy_table(from, to, LOG, |(doc, sequence), sealed| {
        open_sealed(sealed, Kind::Log(sequence), doc).map(drop)
    })?;
    copy_table(from, to, RECORDS, |key, sealed| open_sealed(sealed, Kind::Record, key.as_bytes()).map(drop))?;
    copy_table(from, to, META, |_, _| Ok(()))
}

/// Copies a table whose entries `verify` finds right, and all of which are there.
fn copy_table<K: Key, V: Value>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    which: TableDefinition<'_, K, V>,
    verify: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (from, mut to) = (from.open_table(which).map_err(refusal)?, to.open_table(which).map_err(refusal)?);
    let expected = from.len().map_err(refusal)?;
    let mut found = 0;
    for entry in from.iter().map_err(refusal)? {
        let (key, value) = entry.map_err(refusal)?;
        verify(key.value(), value.value())?;
        to.insert(key.value(), value.value()).map_err(refusal)?;
        found += 1;
    }
    if found == expected {
        return Ok(());
    }
    let name = which.name();
    Err(StoreError::Damaged(format!("of the {expected} entries of the table `{name}`, {found} were found")))
}

/// Reads everything, to find damage that nobody asked for yet.
pub(super) fn verify(transaction: &ReadTransaction) -> Result<(), StoreError> {
    documents(transaction)?.into_iter().try_for_each(|doc| document(transaction, doc).map(drop))?;
    staged(transaction)?.into_iter().try_for_each(|doc| staged_document(transaction, doc).map(drop))?;
    records(transaction, "").map(drop)
}
