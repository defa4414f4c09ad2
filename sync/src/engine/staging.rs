//! A large state, in pieces: for who knows nothing of a document, or next to nothing.
//!
//! Who is asked answers with a piece ([`Piece`]): what it has alive of the first dots below a base, its version when the first piece was asked for. The asker puts
//! it aside, durably, and asks for what follows; each question names the base and the number from which on dots are wanted, so nothing is
//! remembered by who answers, who may write on meanwhile. When all pieces are there the asker is a peer that was at the base, but for what
//! was removed since, and asks for what it lacks like any other. With that the document becomes what it is, in one step.
//!
//! What is put aside has no version, is seen by nobody and given to nobody. It survives the end of the session and of the process; another
//! than who gave it cannot go on with it, since it may not know of all that was removed.

use serde::{Deserialize, Serialize};
use tombolo_crdt::{Merged, Version};

use super::behind::events;
use super::document::{Content, Document, MergeError, Staged, Taken};
use super::effect::Origin;
use super::frame::{Alive, ContentKind, Frame, bytes};
use super::{Engine, StartError};
use crate::store::{Store, Write};
use crate::{DocId, PeerId};

/// What weighs more than this on disk is sent in pieces of about this many bytes: 512 KiB. Each costs a round trip; and whoever takes
/// a piece has it for good.
const PIECE: usize = 512 << 10;
/// Pieces stand under these names, with the document's id and the number of the piece.
const STAGED: &str = "staged/";
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

    /// The piece from this number on of a document that takes about so many bytes on disk.
    pub(super) fn of(document: &dyn Document, base: &Version, from: u64, weight: usize) -> Option<Self> {
        let live = document.live_below(base)?;
        let all = events(base);
        if from >= all {
            return None;
        }
        let begin = live.partition_point(|&number| number < from);
        let mut count = (live.len().saturating_mul(PIECE) / weight.max(1)).max(1);
        loop {
            let next = live.get(begin.saturating_add(count)).copied();
            let slice = document.slice_below(base, from..next.unwrap_or(all))?;
            // Some values may be much larger than others.
            if slice.len() <= 2 * PIECE || count == 1 {
                return Some(Self { base: base.clone(), from, next, slice });
            }
            count = (count / 4).max(1);
        }
    }
}

/// A document that is arriving in pieces.
pub(crate) struct Staging {
    /// Who sends them.
    peer: PeerId,
    base: Version,
    arrived: Arrived,
    /// With which numbers the pieces begin that are on disk.
    pieces: Vec<u64>,
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

/// As it is on disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    peer: PeerId,
    piece: Piece,
}

fn key(doc: DocId, from: u64) -> String {
    format!("{STAGED}{doc}/{from:016x}")
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
        let Arrived::Some(mut staged, next) = self.arrived else { return None };
        if piece.base != self.base || piece.from != next || piece.next.is_some_and(|next| next <= piece.from)
        {
            return None;
        }
        staged.take(&piece.slice).ok()?;
        let arrived = match piece.next {
            Some(next) => Arrived::Some(staged, next),
            None => Arrived::All(Some(staged.finish()).filter(|all| all.version() == self.base)?),
        };
        let pieces = self.pieces.into_iter().chain([piece.from]).collect();
        Some(Self { arrived, pieces, ..self })
    }
}

impl Engine {
    /// Reads the pieces on disk.
    pub(super) fn load_staging(&mut self, store: &dyn Store) -> Result<(), StartError> {
        let mut broken = Vec::new();
        // In order of document and number.
        for (key, value) in store.records(STAGED)? {
            let id = key[STAGED.len()..].split('/').next().and_then(|id| u128::from_str_radix(id, 16).ok());
            let kept = rmp_serde::from_slice::<Kept>(&value).ok();
            let taken = id.zip(kept).is_some_and(|(id, kept)| {
                let doc = DocId::from_bytes(id.to_be_bytes());
                self.stage(doc, kept.peer, &kept.piece)
            });
            if !taken {
                broken.push(Write::Delete { key });
            }
        }
        if !broken.is_empty() {
            self.submit_others(broken);
        }
        Ok(())
    }

    /// Puts a piece aside. Says whether it is the one that was to come.
    fn stage(&mut self, doc: DocId, peer: PeerId, piece: &Piece) -> bool {
        if self.deleted.contains(&doc) || self.place(doc).is_none() {
            return false;
        }
        let slot = &self.documents[&doc];
        let traceless = slot.body.version().is_empty() && slot.opened.is_none() && slot.body.waiting() == 0;
        let fresh = || slot.body.staged(self.us, &self.config.limits);
        let staging = match self.staging.remove(&doc) {
            Some(staging) if staging.peer == peer && staging.base == piece.base && piece.from > 0 => {
                Some(staging)
            }
            _ if piece.from == 0 && self.staging.len() < MOST => {
                let (base, arrived) = (piece.base.clone(), Arrived::Some(fresh(), 0));
                Some(Staging { peer, base, arrived, pieces: Vec::new() })
            }
            _ => None,
        };
        let staging = staging.and_then(|staging| staging.take(piece));
        let taken = staging.is_some();
        if let Some(staging) = staging {
            self.staging.insert(doc, staging);
        } else if traceless {
            // Nothing came of it.
            self.documents.remove(&doc);
        }
        taken
    }

    /// A piece has come from whom we asked for it: asks for what follows.
    pub(super) fn staged(&mut self, peer: PeerId, doc: DocId, bytes: &[u8]) -> Progress {
        let Some(piece) = Piece::decode(bytes) else { return Progress::Over(Taken::Nothing) };
        if piece.next.is_none() && piece.slice.is_empty() {
            let is_due = self.staging.get(&doc).is_some_and(|staging| staging.base == piece.base);
            let adopted = if is_due { self.adopt(doc, None, peer) } else { None };
            return Progress::Over(adopted.unwrap_or(Taken::Nothing));
        }
        let old = self.staging.get(&doc).map(|staging| staging.pieces.clone()).unwrap_or_default();
        let taken = self.stage(doc, peer, &piece);
        if !taken || piece.from == 0 {
            self.forget_pieces(doc, old);
        }
        if !taken {
            return Progress::Over(Taken::Nothing);
        }
        let from = piece.from;
        let value =
            rmp_serde::to_vec(&Kept { peer, piece }).expect("it consists of what MessagePack can say");
        self.submit_others(vec![Write::Put { key: key(doc, from), value }]);
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
        let Some(Staging { arrived: Arrived::All(mut all), pieces, .. }) = self.staging.remove(&doc) else {
            return None;
        };
        let whole =
            rest.is_none_or(|rest| matches!(all.merge(rest, &limits, None), Ok((Merged::Applied, _))));
        let mut adopted = Taken::Nothing;
        if whole && let Some(slot) = self.place(doc).filter(|slot| slot.is_writable()) {
            let refused = if slot.body.as_any().type_id() == all.as_any().type_id() {
                slot.adopt(all, &limits)
            } else {
                // It was opened meanwhile.
                slot.merge(Content::State(&all.state()), &limits).map(|_| ())
            };
            match refused {
                Ok(()) => {
                    adopted = Taken::New;
                    self.persist(doc, None);
                    self.changed(doc, Origin::Peer(peer));
                }
                Err(MergeError::Ours { .. }) => {
                    let forked = self.lines.may_have_forked();
                    self.overtaken(peer, forked);
                }
                Err(MergeError::Contradicts) => adopted = Taken::Contradicts,
                Err(why) => tracing::warn!(%doc, %peer, %why, "a state refused"),
            }
        }
        // SUBTLE: in a batch after the one with which the document is durable.
        self.forget_pieces(doc, pieces);
        Some(adopted)
    }

    /// Pieces are of no use any more.
    pub(super) fn forget_staging(&mut self, doc: DocId) {
        if let Some(staging) = self.staging.remove(&doc) {
            self.forget_pieces(doc, staging.pieces);
        }
    }

    fn forget_pieces(&mut self, doc: DocId, pieces: Vec<u64>) {
        if !pieces.is_empty() {
            let gone = pieces.into_iter().map(|from| Write::Delete { key: key(doc, from) });
            self.submit_others(gone.collect());
        }
    }

    /// The first or a later piece, for an answer.
    pub(super) fn piece(&self, doc: DocId, base: &Version, from: u64) -> Option<(ContentKind, Vec<u8>)> {
        let slot = self.documents.get(&doc)?;
        Some((ContentKind::Piece, Piece::of(&*slot.body, base, from, slot.weight())?.encode()))
    }

    /// Whether a document is so large that it is sent in pieces.
    pub(super) fn is_large(&self, doc: DocId) -> bool {
        self.documents.get(&doc).is_some_and(|slot| slot.weight() > PIECE)
    }
}
