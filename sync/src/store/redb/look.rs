//! Reading a file that may be damaged, entry by entry, and without changing it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use redb::{Builder, ConcurrencyMode, Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase};
use redb::{ReadableTable, ReadableTableMetadata, TableDefinition};
use tombolo_crdt::{Dot, ReplicaId};

use super::overlay::Overlay;
use super::tables::{self, Kind, Sides};
use super::{CACHE_BYTES, guarded, refusal};
use crate::DocId;
use crate::store::{InspectedDocument, InspectedEntry, InspectedStore, Opened, StoreError, WHOLE};

/// All of the file that can be read.
pub(super) fn look(path: &Path) -> Result<InspectedStore, StoreError> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes == 0 {
        return Err(StoreError::Damaged(format!("{} is empty", path.display())));
    }
    let (file, mut problems) = File::open(path)?;
    let meta = file.read(|transaction| {
        let meta = transaction.open_table(tables::META).map_err(refusal)?;
        let format = meta.get(tables::FORMAT_KEY).map_err(refusal)?;
        Ok(format.map(|format| format.value()))
    });
    let format = meta.unwrap_or_else(|why| {
        problems.push(format!("its format cannot be read: {}", why.cause()));
        None
    });
    if let Some(found) = format.and_then(|format| u32::try_from(format).ok()).filter(|f| *f > tables::FORMAT)
    {
        return Err(StoreError::Format { found, known: tables::FORMAT });
    }
    let mut documents = BTreeMap::<DocId, InspectedDocument>::new();
    let log = file.walk::<Log>(&[], &mut problems);
    let known: Vec<DocId> = log.entries.keys().map(|(doc, _)| DocId::from_bytes(*doc)).collect();
    let mut staged = BTreeMap::<DocId, Vec<InspectedEntry<Dot>>>::new();
    let (mut covered, mut all_are_covered) = (BTreeSet::new(), true);
    if format == Some(1) {
        let snapshots = file.walk::<Snapshots>(&known, &mut problems);
        for (doc, sealed) in snapshots.entries {
            let document = documents.entry(DocId::from_bytes(doc)).or_default();
            document.slices.push(entry(WHOLE, &sealed, Kind::Snapshot, &doc));
        }
        (covered, all_are_covered) = (snapshots.covered, snapshots.is_whole);
    } else {
        // Before format 6 the first table was all there is.
        let has_sides = format.is_none_or(|format| format >= 6);
        let (sides, are_all) =
            if has_sides { file.sides(&known, &mut problems) } else { (BTreeMap::new(), true) };
        let mut take = |side: usize, walked: Walked<<Slices<0> as Walk>::Own>| {
            let is_own = |doc: &DocId| sides.get(doc).map_or(0, |sides| sides.own) == side;
            for ((id, replica, counter), sealed) in walked.entries {
                let start = Dot { replica: ReplicaId::from_bytes(replica), counter };
                let doc = DocId::from_bytes(id);
                let slices = if is_own(&doc) {
                    &mut documents.entry(doc).or_default().slices
                } else {
                    staged.entry(doc).or_default()
                };
                slices.push(entry(start, &sealed, Kind::Slice(side, start), &id));
            }
            covered.extend(walked.covered.into_iter().filter(is_own));
            all_are_covered &= walked.is_whole;
        };
        take(0, file.walk::<Slices<0>>(&known, &mut problems));
        if has_sides {
            take(1, file.walk::<Slices<1>>(&known, &mut problems));
            // Of these nobody knows which slices are the document; or if entries are missing or wrong, of none.
            let mut astray = staged.keys().filter(|doc| !sides.contains_key(doc)).peekable();
            all_are_covered &= are_all && astray.peek().is_none();
            astray.for_each(|doc| _ = covered.remove(doc));
            if !are_all {
                covered.clear();
            }
        }
    }
    for ((doc, sequence), sealed) in log.entries {
        let document = documents.entry(DocId::from_bytes(doc)).or_default();
        document.log.push(entry(sequence, &sealed, Kind::Log(sequence), &doc));
    }
    // Unchecked, a page may also be what stood there before: right as it is, and not of this state.
    let is_checked = file.how != Opened::Unchecked;
    for (id, document) in &mut documents {
        document.has_all_slices =
            is_checked && (covered.contains(id) || (document.slices.is_empty() && all_are_covered));
    }
    let named = file.walk::<Records>(&[], &mut problems);
    let records = named.entries.into_iter().map(|(name, sealed)| {
        let key = name.clone();
        entry(name, &sealed, Kind::Record, key.as_bytes())
    });
    let records = records.collect();
    Ok(InspectedStore {
        bytes,
        format,
        opened: file.how,
        documents,
        staged,
        records,
        records_missing: named.missing,
        problems,
    })
}

fn entry<K>(key: K, sealed: &[u8], kind: Kind, of: &[u8]) -> InspectedEntry<K> {
    let content = tables::open_sealed(sealed, kind, of).ok().map(<[u8]>::to_vec);
    InspectedEntry { key, bytes: sealed.len().saturating_sub(tables::SEAL_BYTES), content }
}

/// A file that redb has opened in one way or another.
struct File {
    database: Reading,
    how: Opened,
}

enum Reading {
    AsItIs(ReadOnlyDatabase),
    Repaired(Database),
}

impl File {
    /// Opens it in the first way that works, and says why others did not.
    fn open(path: &Path) -> Result<(Self, Vec<String>), StoreError> {
        let mut problems = Vec::new();
        for how in [Opened::AsItIs, Opened::Repaired, Opened::Unchecked] {
            let opened = guarded(|| Reading::open(path, how)).and_then(|database| {
                let file = Self { database, how };
                // That there is a table of ours in it is the least.
                file.read(|transaction| transaction.open_table(tables::META).map(drop).map_err(refusal))?;
                Ok(file)
            });
            match opened {
                // Not to have been closed is no damage.
                Ok(file) if how == Opened::Repaired => return Ok((file, Vec::new())),
                Ok(file) => return Ok((file, problems)),
                Err(StoreError::Locked(_)) => return Err(StoreError::Locked(path.to_owned())),
                Err(why) => problems.push(format!("{how}, it cannot be read: {}", why.cause())),
            }
        }
        Err(StoreError::Damaged(problems.join("; ")))
    }

    fn read<T>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        guarded(|| {
            let transaction = match &self.database {
                Reading::AsItIs(database) => database.begin_read(),
                Reading::Repaired(database) => database.begin_read(),
            };
            read(&transaction.map_err(refusal)?)
        })
    }

    /// Reads a table from the front; and where that does not go on, from the back and from in between, wherever an entry of
    /// one of the documents `known`, or of any other, may begin.
    fn walk<W: Walk>(&self, known: &[DocId], problems: &mut Vec<String>) -> Walked<W::Own> {
        let mut walked =
            Walked { entries: BTreeMap::new(), covered: BTreeSet::new(), missing: 0, is_whole: false };
        let expected = self
            .read(|transaction| transaction.open_table(W::TABLE).map_err(refusal)?.len().map_err(refusal));
        if let Err(why) = self.pass::<W>(&mut walked, None, false) {
            problems.push(format!("of the table `{}` not all can be read: {}", W::NAME, why.cause()));
            let _ = self.pass::<W>(&mut walked, None, true);
            for start in known.iter().map(|doc| *doc.as_bytes()).chain((0..=255).map(first)) {
                let _ = self.pass::<W>(&mut walked, Some(W::start(start)), false);
            }
        } else if expected.as_ref().is_ok_and(|expected| walked.entries.len() as u64 == *expected) {
            walked.is_whole = true;
        } else {
            // Something is missing and left no trace of where, so nothing is certain to be all there.
            walked.covered.clear();
        }
        if let Ok(expected) = expected {
            let found = walked.entries.len() as u64;
            walked.missing = expected.saturating_sub(found);
            if walked.missing > 0 {
                let table = W::NAME;
                problems
                    .push(format!("of the {expected} entries of the table `{table}`, {found} were found"));
            }
        }
        walked
    }

    /// Where the slices of documents stand, and whether that is all of it. What is wrong with an entry is a problem; then nobody knows
    /// which of two are the document.
    fn sides(&self, known: &[DocId], problems: &mut Vec<String>) -> (BTreeMap<DocId, Sides>, bool) {
        let (mut all, walked) = (BTreeMap::new(), self.walk::<SidesOf>(known, problems));
        let mut are_all = walked.is_whole;
        for (doc, sealed) in walked.entries {
            match Sides::opened(&sealed, &doc) {
                Ok(sides) => _ = all.insert(DocId::from_bytes(doc), sides),
                Err(why) => {
                    are_all = false;
                    problems.push(why.cause());
                }
            }
        }
        (all, are_all)
    }

    /// Reads entries one after the other until an end or something that cannot be read.
    fn pass<W: Walk>(
        &self,
        walked: &mut Walked<W::Own>,
        from: Option<W::Own>,
        backwards: bool,
    ) -> Result<(), StoreError> {
        let mut last: Option<W::Own> = None;
        self.read(|transaction| {
            let table = transaction.open_table(W::TABLE).map_err(refusal)?;
            let mut range = match &from {
                Some(from) => table.range(W::key(from)..),
                None => table.iter(),
            }
            .map_err(refusal)?;
            loop {
                let entry = if backwards { range.next_back() } else { range.next() };
                let entry = entry.transpose().map_err(refusal)?;
                let next = entry.as_ref().map(|(key, _)| W::own(key.value()));
                if let (Some(last), Some(next)) = (&last, &next)
                    && (if backwards { last <= next } else { next <= last })
                {
                    return Err(StoreError::Damaged("its keys are out of order".to_owned()));
                }
                let docs = (last.as_ref().and_then(W::doc), next.as_ref().and_then(W::doc));
                if let (Some(done), true) = (docs.0, docs.0 != docs.1) {
                    walked.covered.insert(done);
                }
                let (Some((_, sealed)), Some(next)) = (entry, next) else { return Ok(()) };
                if from.is_some() && docs.1.is_some_and(|doc| walked.covered.contains(&doc)) {
                    return Ok(());
                }
                walked.entries.insert(next.clone(), sealed.value().to_vec());
                last = Some(next);
            }
        })
    }
}

/// The first id that begins with this byte.
fn first(byte: u8) -> [u8; 16] {
    let mut id = [0; 16];
    id[0] = byte;
    id
}

impl Reading {
    fn open(path: &Path, how: Opened) -> Result<Self, StoreError> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        match how {
            Opened::AsItIs => builder.open_read_only(path).map(Self::AsItIs),
            Opened::Repaired => builder.create_with_backend(Overlay::open(path)?).map(Self::Repaired),
            Opened::Unchecked => {
                // As one that others may write at the same time: then redb reads what the header points to, and does without
                // the list of free pages.
                builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
                builder.open_read_only_with_backend(Overlay::open_as_closed(path)?).map(Self::AsItIs)
            }
        }
        .map_err(refusal)
    }
}

/// What was read of a table.
struct Walked<O> {
    /// The entries, sealed.
    entries: BTreeMap<O, Vec<u8>>,
    /// The documents of which all entries were read.
    covered: BTreeSet<DocId>,
    /// How many more there should be.
    missing: u64,
    /// Whether every entry was read.
    is_whole: bool,
}

/// A table that can be walked.
trait Walk {
    type Key: redb::Key + 'static;
    /// A key for keeping.
    type Own: Ord + Clone;
    const NAME: &'static str;
    const TABLE: TableDefinition<'static, Self::Key, &'static [u8]>;

    fn own(key: <Self::Key as redb::Value>::SelfType<'_>) -> Self::Own;
    fn key(own: &Self::Own) -> <Self::Key as redb::Value>::SelfType<'_>;
    /// The document that an entry belongs to.
    fn doc(own: &Self::Own) -> Option<DocId>;
    /// Where entries of this document begin.
    fn start(doc: [u8; 16]) -> Self::Own;
}

/// The slices in one of the two tables.
struct Slices<const SIDE: usize>;

impl<const SIDE: usize> Walk for Slices<SIDE> {
    type Key = tables::SliceKey;
    type Own = ([u8; 16], [u8; 16], u64);
    const NAME: &'static str = ["slices", "slices_b"][SIDE];
    const TABLE: TableDefinition<'static, Self::Key, &'static [u8]> = tables::SLICES[SIDE];

    fn own((doc, replica, counter): (&[u8; 16], &[u8; 16], u64)) -> Self::Own {
        (*doc, *replica, counter)
    }

    fn key((doc, replica, counter): &Self::Own) -> (&[u8; 16], &[u8; 16], u64) {
        (doc, replica, *counter)
    }

    fn doc((doc, ..): &Self::Own) -> Option<DocId> {
        Some(DocId::from_bytes(*doc))
    }

    fn start(doc: [u8; 16]) -> Self::Own {
        (doc, [0; 16], 0)
    }
}

struct Log;

impl Walk for Log {
    type Key = (&'static [u8; 16], u64);
    type Own = ([u8; 16], u64);
    const NAME: &'static str = "log";
    const TABLE: TableDefinition<'static, Self::Key, &'static [u8]> = tables::LOG;

    fn own((doc, sequence): (&[u8; 16], u64)) -> Self::Own {
        (*doc, sequence)
    }

    fn key((doc, sequence): &Self::Own) -> (&[u8; 16], u64) {
        (doc, *sequence)
    }

    fn doc((doc, _): &Self::Own) -> Option<DocId> {
        Some(DocId::from_bytes(*doc))
    }

    fn start(doc: [u8; 16]) -> Self::Own {
        (doc, 0)
    }
}

/// A table with an entry a document: the snapshots of format 1, or where slices stand.
struct OfDocument<const WHICH: usize>;

type Snapshots = OfDocument<0>;
type SidesOf = OfDocument<1>;

impl<const WHICH: usize> Walk for OfDocument<WHICH> {
    type Key = &'static [u8; 16];
    type Own = [u8; 16];
    const NAME: &'static str = ["snapshots", "sides"][WHICH];
    const TABLE: TableDefinition<'static, Self::Key, &'static [u8]> =
        [tables::SNAPSHOTS, tables::SIDES][WHICH];

    fn own(doc: &[u8; 16]) -> Self::Own {
        *doc
    }

    fn key(doc: &Self::Own) -> &[u8; 16] {
        doc
    }

    fn doc(doc: &Self::Own) -> Option<DocId> {
        Some(DocId::from_bytes(*doc))
    }

    fn start(doc: [u8; 16]) -> Self::Own {
        doc
    }
}

struct Records;

impl Walk for Records {
    type Key = &'static str;
    type Own = String;
    const NAME: &'static str = "records";
    const TABLE: TableDefinition<'static, Self::Key, &'static [u8]> = tables::RECORDS;

    fn own(name: &str) -> Self::Own {
        name.to_owned()
    }

    fn key(name: &Self::Own) -> &str {
        name
    }

    fn doc(_: &Self::Own) -> Option<DocId> {
        None
    }

    /// Records are of no document, but their names have first letters too.
    fn start(doc: [u8; 16]) -> Self::Own {
        char::from(doc[0]).to_string()
    }
}
