//! A large state, in pieces: for who knows nothing of a document, or next to nothing.
//!
//! Who is asked answers with a piece ([`Piece`]): what it has alive of the first dots below a base, its version when the first piece was asked for. The asker puts
//! it aside, durably, and asks for what follows; each question names the base and the number from which on dots are wanted, so nothing is
//! remembered by who answers, who may write on meanwhile. When all pieces are there the asker is a peer that was at the base, but for what
//! was removed since, and asks for what it lacks like any other. With that the document becomes what it is, in one step.
//!
//! What is put aside has no version, is seen by nobody and given to nobody. It survives the end of the session and of the process; another
//! than who gave it cannot go on with it, since it may not know of all that was removed.
//!
//! A piece is a slice as the store has them, and is written as it came. That the document becomes what was put aside is a change of a few
//! bytes on the disk: neither the engine nor the store has all of it in hand at a time, so writes to others are not kept waiting.

use serde::{Deserialize, Serialize};
use tombolo_crdt::{Dot, Limits, Merged, ReplicaId, Version};

use super::behind::events;
use super::document::{Content, Document, MergeError, Since, Staged, Taken};
use super::effect::Origin;
use super::frame::{Alive, ContentKind, Frame, Hash, bytes, content_hash};
use super::storage::place;
use super::{Engine, StartError};
use crate::store::{StagedDocument, Store, Write};
use crate::{DocId, PeerId};

/// What weighs more than this on disk is sent in pieces of about this many bytes: 512 KiB. Each costs a round trip; and whoever takes
/// a piece has it for good.
const PIECE: usize = 512 << 10;
/// In about how many pieces a document is sent at most: each costs walks over it, so what is larger than that many goes in longer ones,
/// and what it costs to send it follows its size.
const PIECES: usize = 64;
/// The longest have one of so many parts of what a message may have.
const OF_MESSAGE: usize = 8;
/// How many times as long the content of a piece may be before it is compressed.
const MOST_PACKED: usize = 16;
/// In how many parts a document that came in pieces is encoded at most, if it must be: of each takes memory what is encoded, and walks
/// over all of it.
const MOST_PARTS: usize = 16;
/// How many documents arrive in pieces at a time.
const MOST: usize = 64;

/// A piece of a state. It stands where content stands ([`ContentKind::Piece`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Below it dots have numbers, as in [`Behind`](super::behind::Behind).
    pub base: Version,
    /// The number of the first dot that the piece tells of.
    pub from: u64,
    /// The number with which the next piece begins; `None`: that was the last.
    pub next: Option<u64>,
    /// What is alive of them, as a slice of a state. Empty, and the last: nothing came since.
    #[serde(with = "bytes")]
    pub slice: Vec<u8>,
}

impl Piece {
    /// In bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        super::frame::written(self)
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` if it is not that.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }

    /// After the last piece: nothing came since.
    pub(super) fn end(base: &Version, from: u64) -> (ContentKind, Vec<u8>) {
        let end = Self { base: base.clone(), from, next: None, slice: Vec::new() };
        (ContentKind::Piece, end.encode())
    }

    /// The piece from this number on of a document that takes about so many bytes on disk, where messages have at most so many.
    pub(super) fn of(
        document: &dyn Document,
        base: &Version,
        from: u64,
        weight: usize,
        message: usize,
    ) -> Option<Self> {
        let length = (weight / PIECES).min(message / OF_MESSAGE).max(PIECE);
        let mut parts = weight.div_ceil(length);
        let mut last = None;
        loop {
            let end = document.cut_below(base, from, parts, MOST_PACKED * length)?;
            let slice = document.slice_below(base, from..end)?;
            // Some parts may compress much less than others, and one value be longer than a piece.
            if slice.len() <= 2 * length || last == Some(end) {
                let next = Some(end).filter(|&end| end < events(base));
                return Some(Self { base: base.clone(), from, next, slice });
            }
            last = Some(end);
            parts = parts.saturating_mul(4);
        }
    }
}

/// A document that is arriving in pieces.
pub(crate) struct Staging {
    /// Who sends them.
    peer: PeerId,
    base: Version,
    arrived: Arrived,
    /// The pieces as slices on the disk: where each begins, and what its hash is.
    slices: Vec<(Dot, Hash)>,
    /// How many bytes these are.
    bytes: usize,
}

enum Arrived {
    /// What follows begins with this number.
    Some(Box<dyn Staged>, u64),
    All(Box<dyn Document>),
}

/// What came of a piece.
pub(super) enum Progress {
    /// What follows has been asked for.
    More,
    /// It was the last, or of no use.
    Over(Taken),
}

/// What is known of the pieces on disk: the note beside them.
#[derive(Serialize, Deserialize)]
struct Note {
    peer: PeerId,
    base: Version,
    /// The number with which the next piece begins; `None`: all are there.
    next: Option<u64>,
}

/// The dot that has this number below a base.
fn dot_at(base: &Version, number: u64) -> Option<Dot> {
    let mut before = 0_u64;
    base.iter().find_map(|(replica, count)| {
        let counter = number.checked_sub(before)?.checked_add(1)?;
        before = before.checked_add(count)?;
        (counter <= count).then_some(Dot { replica, counter })
    })
}

/// An id of which nothing is known.
fn unknown_to(version: &Version) -> Option<ReplicaId> {
    (0..=u8::MAX).map(|byte| ReplicaId::from_bytes([byte; 16])).find(|id| version.get(*id) == 0)
}

/// What is to be appended to the pieces of a document, to be all that is here; `None`: that cannot be said.
type Log = Option<Vec<Vec<u8>>>;

fn append(log: &mut Log, more: Since) {
    match (more, log.as_mut()) {
        (Since::UpToDate, _) | (_, None) => {}
        (Since::Content(ContentKind::Delta, more), Some(log)) => log.push(more),
        _ => *log = None,
    }
}

/// Whether of what `us` wrote and others told nothing is alive that is dead here. What is alive on both sides and different is found where
/// they are joined.
fn as_written(us: ReplicaId, told: &dyn Document, here: &dyn Document) -> bool {
    let ours: Version = told.version().iter().filter(|(replica, _)| *replica == us).collect();
    match (told.live_below(&ours), here.live_below(&ours)) {
        (Some(told), Some(here)) => told.iter().all(|number| here.binary_search(number).is_ok()),
        _ => false,
    }
}

impl Staging {
    /// What is asked for next: below which base, and what of it is here.
    pub(crate) fn question(&self) -> (Version, Alive) {
        let from = match self.arrived {
            Arrived::Some(_, next) => next,
            Arrived::All(_) => events(&self.base),
        };
        (self.base.clone(), Alive::Staged(from))
    }

    /// Takes in a piece; `None` if it is not the one that was asked for, or damaged.
    fn take(self, piece: &Piece) -> Option<Self> {
        let Arrived::Some(_, next) = self.arrived else { return None };
        let goes_on = |next| next > piece.from && next < events(&self.base);
        if piece.base != self.base || piece.from != next || !piece.next.is_none_or(goes_on) {
            return None;
        }
        let start = dot_at(&self.base, piece.from)?;
        self.take_slice(start, &piece.slice)?.reach(piece.next)
    }

    fn take_slice(mut self, start: Dot, slice: &[u8]) -> Option<Self> {
        let Arrived::Some(staged, _) = &mut self.arrived else { return None };
        staged.take(slice).ok()?;
        self.slices.push((start, content_hash(slice)));
        self.bytes += slice.len();
        Some(self)
    }

    /// What follows begins with this number; `None`: nothing does, and what is there must be all of the base.
    fn reach(self, next: Option<u64>) -> Option<Self> {
        let Arrived::Some(staged, _) = self.arrived else { return None };
        let arrived = match next {
            Some(next) => Arrived::Some(staged, next),
            None => Arrived::All(Some(staged.finish()).filter(|all| all.version() == self.base)?),
        };
        Some(Self { arrived, ..self })
    }
}

impl Engine {
    /// Reads what the disk has put aside.
    pub(super) fn load_staging(&mut self, store: &dyn Store) -> Result<(), StartError> {
        let mut broken = Vec::new();
        for doc in store.staged()? {
            // The list of members may just have been found unreadable, and goes with what is put aside for it.
            let stored = store.staged_document(doc)?.filter(|_| doc != DocId::MEMBERS);
            let staged = stored.and_then(|StagedDocument { note, slices }| {
                let note: Note = rmp_serde::from_slice(&note).ok()?;
                let mut staging = self.begin_staging(doc, note.peer, &note.base)?;
                for (start, slice) in slices {
                    staging = staging.take_slice(start, &slice)?;
                }
                staging.reach(note.next)
            });
            if !self.keep_staging(doc, staged) {
                broken.push(Write::Unstage { doc });
            }
        }
        if !broken.is_empty() {
            self.submit_others(broken);
        }
        Ok(())
    }

    /// A document begins to arrive, if there may be one.
    fn begin_staging(&mut self, doc: DocId, peer: PeerId, base: &Version) -> Option<Staging> {
        if self.deleted.contains(&doc) || self.staging.len() >= MOST {
            return None;
        }
        let (us, limits) = (self.us, self.config.limits);
        let staged = self.place(doc)?.body.staged(us, &limits);
        let arrived = Arrived::Some(staged, 0);
        Some(Staging { peer, base: base.clone(), arrived, slices: Vec::new(), bytes: 0 })
    }

    /// Keeps what has been put aside of a document. If nothing has, there is no trace of that either. Says whether something has.
    fn keep_staging(&mut self, doc: DocId, staging: Option<Staging>) -> bool {
        let is_something = staging.is_some();
        if let Some(staging) = staging {
            self.staging.insert(doc, staging);
        } else if doc != DocId::DIRECTORY
            && self.documents.get(&doc).is_some_and(|slot| {
                slot.body.version().is_empty() && slot.opened.is_none() && slot.body.waiting() == 0
            })
        {
            self.documents.remove(&doc);
        }
        is_something
    }

    /// Puts a piece aside. Says whether it is the one that was to come.
    fn stage(&mut self, doc: DocId, peer: PeerId, piece: &Piece) -> bool {
        let staging = match self.staging.remove(&doc) {
            _ if self.deleted.contains(&doc) => None,
            Some(staging) if staging.peer == peer && staging.base == piece.base && piece.from > 0 => {
                Some(staging)
            }
            _ if piece.from == 0 => self.begin_staging(doc, peer, &piece.base),
            _ => None,
        };
        let staging = staging.and_then(|staging| staging.take(piece));
        self.keep_staging(doc, staging)
    }

    /// A piece has come from whom we asked for it: asks for what follows.
    pub(super) fn staged(&mut self, peer: PeerId, doc: DocId, bytes: &[u8]) -> Progress {
        let Some(piece) = Piece::decode(bytes) else { return Progress::Over(Taken::Nothing) };
        if piece.next.is_none() && piece.slice.is_empty() {
            let is_due = self.staging.get(&doc).is_some_and(|staging| staging.base == piece.base);
            let adopted = if is_due { self.adopt(doc, None, peer) } else { None };
            return Progress::Over(adopted.unwrap_or(Taken::Nothing));
        }
        let had_some = self.staging.contains_key(&doc);
        if !self.stage(doc, peer, &piece) {
            if had_some {
                self.submit_others(vec![Write::Unstage { doc }]);
            }
            return Progress::Over(Taken::Nothing);
        }
        let Piece { base, from, next, slice } = piece;
        let note = Note { peer, base, next };
        let note = rmp_serde::to_vec(&note).expect("it consists of what MessagePack can say");
        let Some((start, _)) = self.staging.get(&doc).and_then(|staging| staging.slices.last().copied())
        else {
            return Progress::Over(Taken::Nothing);
        };
        let write = Write::Stage { doc, note, all: from == 0, slices: vec![(start, slice)] };
        self.submit_others(vec![write]);
        self.pulls.progress(peer, self.now.millis);
        self.ask_further(peer, doc);
        Progress::More
    }

    /// Asks for what follows on what is there already.
    fn ask_further(&mut self, peer: PeerId, doc: DocId) {
        let Some(staging) = self.staging.get(&doc) else { return };
        let ((version, alive), kept) = (staging.question(), self.pulls.kept(doc));
        self.send(peer, &Frame::Pull { doc, version, kept, alive: Some(alive) });
    }

    /// The disk refused a piece of a document, or that it becomes what was put aside. What is put aside must have no gap: all of it goes,
    /// and is asked for again, a while later.
    pub(super) fn lose_staging(&mut self, doc: DocId) {
        if self.staging.remove(&doc).is_some() {
            self.keep_staging(doc, None);
            self.pulls.refused(doc, self.now.millis);
        }
        let write = Write::Unstage { doc };
        self.unsaved.insert(place(&write), write);
    }

    /// What is asked of a peer for a document of which pieces are here; they go if they are another's.
    pub(super) fn question_of(&mut self, peer: PeerId, doc: DocId) -> Option<(Version, Alive)> {
        let staging = self.staging.get(&doc)?;
        if staging.peer == peer {
            return Some(staging.question());
        }
        self.forget_staging(doc);
        None
    }

    /// Who sends this document in pieces.
    pub(super) fn staged_by(&self, doc: DocId) -> Option<PeerId> {
        self.staging.get(&doc).map(|staging| staging.peer)
    }

    /// What of a document is alive here of what a peer and we know: of what is put aside, if that is all there.
    pub(super) fn live_below(&self, doc: DocId, base: &Version) -> Option<Vec<u64>> {
        match self.staging.get(&doc) {
            Some(Staging { arrived: Arrived::All(all), .. }) => all.live_below(base),
            _ => self.documents.get(&doc).filter(|slot| slot.is_writable())?.body.live_below(base),
        }
    }

    /// All pieces of a document are there, and `peer` told what came since; `None` if nothing did. The document becomes that. Says
    /// what came of it; `None` if no pieces wait for this.
    pub(super) fn adopt(&mut self, doc: DocId, rest: Option<Content<'_>>, peer: PeerId) -> Option<Taken> {
        let is_all = |staging: &Staging| staging.peer == peer && matches!(staging.arrived, Arrived::All(_));
        self.staging.get(&doc).filter(|staging| is_all(staging))?;
        let limits = self.config.limits;
        let (us, ours) = (self.us.replica, self.surely_ours(doc));
        let Some(Staging { arrived: Arrived::All(mut all), base, slices, bytes, .. }) =
            self.staging.remove(&doc)
        else {
            return None;
        };
        let mut log = Some(Vec::new());
        let mut came_back = false;
        let whole = rest.is_none_or(|rest| {
            let mut merged = all.merge(rest, &limits, None);
            if matches!(merged, Err(MergeError::Ours { theirs, .. }) if theirs <= ours)
                && let Some(nobody) = unknown_to(&base)
            {
                // What was written here meanwhile has been there. Read by nobody, it is as any other's.
                came_back = true;
                all.write_as(nobody);
                merged = all.merge(rest, &limits, None);
            }
            let Ok((Merged::Applied, record)) = merged else { return false };
            log = record.map(|record| vec![record]);
            true
        });
        let mut adopted = Taken::Nothing;
        if whole && let Some(slot) = self.place(doc).filter(|slot| slot.is_writable()) {
            let mut told = all.version();
            // To be found out before all of it is joined: that is a state, and nothing is remembered beyond it.
            append(&mut log, slot.body.since(&told, None));
            if came_back && !as_written(us, &*all, &*slot.body) {
                // It would be read from the disk as it came, and is here as it was written.
                log = None;
            }
            told.join(&slot.body.version());
            let refused = if slot.body.as_any().type_id() == all.as_any().type_id() {
                slot.adopt(all, &limits)
            } else {
                // It was opened meanwhile. These bytes are ours, however many.
                let limits = Limits { bytes: usize::MAX, ..limits };
                slot.merge(Content::State(&all.state()), &limits).map(|_| ())
            };
            match refused {
                Ok(()) => {
                    adopted = Taken::New;
                    // And what has waited here for what has come.
                    append(&mut log, slot.body.since(&told, None));
                    if let Some(log) = log {
                        self.persist_staged(doc, slices, bytes, log);
                    } else {
                        self.persist_in(doc, None, (slices.len() / 2).min(MOST_PARTS));
                        self.submit_others(vec![Write::Unstage { doc }]);
                    }
                    self.changed(doc, Origin::Peer(peer));
                    return Some(adopted);
                }
                Err(MergeError::Ours { .. }) => {
                    let forked = self.lines.may_have_forked();
                    self.overtaken(peer, forked);
                }
                Err(MergeError::Contradicts) => adopted = Taken::Contradicts,
                Err(why) => tracing::warn!(%doc, %peer, %why, "a state refused"),
            }
        }
        self.submit_others(vec![Write::Unstage { doc }]);
        Some(adopted)
    }

    /// Pieces are of no use any more.
    pub(super) fn forget_staging(&mut self, doc: DocId) {
        if self.staging.remove(&doc).is_some() {
            self.submit_others(vec![Write::Unstage { doc }]);
        }
    }

    /// The first or a later piece, for an answer.
    pub(super) fn piece(&self, doc: DocId, base: &Version, from: u64) -> Option<(ContentKind, Vec<u8>)> {
        let slot = self.documents.get(&doc)?;
        let message = self.config.limits.bytes;
        Some((ContentKind::Piece, Piece::of(&*slot.body, base, from, slot.weight(), message)?.encode()))
    }

    /// Whether a document is so large that it is sent in pieces.
    pub(super) fn is_large(&self, doc: DocId) -> bool {
        self.documents.get(&doc).is_some_and(|slot| slot.weight() > PIECE)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::cell::Cell;

    use tombolo_crdt::serde::Serializer;
    use tombolo_crdt::{
        AddWinsSet, Crdt, Decoding, DotStore, Join, LocalDot, Mismatch, Mut, Node, Replica, TreeWriter,
    };

    use super::*;

    const MESSAGE: usize = 64 << 20;

    thread_local! {
        /// How many live dots have been looked at.
        static VISITED: Cell<u64> = const { Cell::new(0) };
    }

    fn visit() {
        VISITED.set(VISITED.get() + 1);
    }

    type Words = AddWinsSet<String>;

    /// A set of which it is counted how often its dots are looked at.
    #[derive(Default)]
    struct Counted(Words);

    impl Crdt for Counted {
        type State = Self;
        type Mut<'a> = Mut<'a, Self>;

        fn type_name() -> Cow<'static, str> {
            Words::type_name()
        }
    }

    impl DotStore for Counted {
        fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
            self.0.take_in(node, join);
        }

        fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
            self.0.retain(keep);
        }

        fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
            self.0.dots(&mut |dot| {
                visit();
                each(dot);
            });
        }

        fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
            let counted = |dot| {
                visit();
                wanted(dot)
            };
            self.0.carry(&counted, writer);
        }

        fn is_bottom(&self) -> bool {
            self.0.is_bottom()
        }

        fn check(node: Node<'_>) -> Result<(), Mismatch> {
            Words::check(node)
        }

        fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.view(serializer)
        }
    }

    fn id(byte: u8) -> ReplicaId {
        ReplicaId::from_bytes([byte; 16])
    }

    /// What it takes to send these words in pieces, if they took so many bytes on disk: how long the pieces are, and how often a live dot was
    /// looked at for them. Of each a third is removed before.
    fn sent(words: impl Iterator<Item = String>, weight: usize) -> (Vec<usize>, u64) {
        let mut all = Replica::<Words>::new(id(1));
        let _ = all.update(|set| set.extend(words));
        let gone: Vec<String> = all.iter().step_by(3).cloned().collect();
        let _ = all.update(|set| gone.iter().for_each(|word| _ = set.remove(word)));
        let counted = Replica::<Counted>::decode(id(2), &all.encode(), &Limits::trusted()).unwrap();
        let base = all.version();
        let (mut from, mut pieces) = (0, Vec::new());
        let mut staged = Decoding::new(Replica::<Words>::new(id(3)), &Limits::default());
        VISITED.set(0);
        loop {
            let piece = Piece::of(&counted, &base, from, weight, MESSAGE).expect("there is more");
            pieces.push(piece.slice.len());
            staged.take(&piece.slice[..]).unwrap();
            let Some(next) = piece.next else { break };
            assert!(next > from);
            from = next;
        }
        let visited = VISITED.get();
        assert!(staged.finish().encode() == all.encode());
        (pieces, visited)
    }

    /// What a peer says is the number of the next piece may be any.
    #[test]
    fn a_number_beyond_the_base_is_no_dot() {
        let base: Version = [(id(1), 2), (id(2), 1)].into_iter().collect();
        let dot = |of, counter| Some(Dot { replica: id(of), counter });
        let found: Vec<_> = (0..4).map(|number| dot_at(&base, number)).collect();
        assert_eq!(found, [dot(1, 1), dot(1, 2), dot(2, 1), None]);
        assert_eq!(dot_at(&base, u64::MAX), None);
        assert!(unknown_to(&base).is_some_and(|nobody| base.get(nobody) == 0));
    }

    /// What it costs to send a document follows its size: twice as much of it costs twice, not four times.
    #[test]
    fn what_it_costs_to_send_a_document_follows_its_size() {
        let words = |count: u64| (0..count).map(|n| format!("{:x}", n * 7_919));
        let mut before = 0;
        for (count, megabytes) in [(6_000, 64), (12_000, 128), (24_000, 256)] {
            let (pieces, visited) = sent(words(count), megabytes << 20);
            let live = count * 2 / 3;
            println!("{live} words: {} pieces, {visited} dots", pieces.len());
            assert!(pieces.len().abs_diff(PIECES) < PIECES / 4, "{}", pieces.len());
            // It is weighed what belongs to a piece, and then written.
            assert!(visited < 3 * live * PIECES as u64, "{visited} for {live}");
            if before > 0 {
                assert!((19 * before..21 * before).contains(&(10 * visited)), "{before}, {visited}");
            }
            before = visited;
        }
    }

    /// Of many words that are short and few that are long as many pieces are about as long as a piece is to be.
    #[test]
    fn pieces_are_about_as_long_where_some_values_are_much_longer() {
        let noise = |seed: u64, length: usize| -> String {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let mut letter = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'!' + (state >> 33) as u8 % 90)
            };
            (0..length).map(|_| letter()).collect()
        };
        let words = (0..9_000).map(|n| noise(n, if n >= 6_000 && n % 50 == 0 { 100_000 } else { 10 }));
        let (pieces, visited) = sent(words, 4 << 20);
        println!("{pieces:?}, {visited} dots");
        assert!(pieces.iter().all(|&piece| piece < 2 * PIECE), "{pieces:?}");
        assert!((6..14).contains(&pieces.len()), "{pieces:?}");
        assert!(visited < 4 * 6_000 * pieces.len() as u64, "{visited}");
    }
}
