//! Repair of who is so far behind that nobody remembers what was removed since.
//!
//! What was added is seen from the versions alone. What was removed is what only the other still has alive of the dots that both
//! know. So who is asked for a document from a version that is forgotten answers with what it takes to guess how many those are
//! ([`Behind`]); the asker, which sees by that what is shorter, tells what it has alive ([`Alive`]), as runs, in sums or in cells; and the
//! answer is exactly what it lacks. Two round trips, and bytes that follow the difference, for any type.
//!
//! Where what is alive is told in few bytes there is nothing to guess: the asker is told to tell that. And who lacks so much that nobody is likely to
//! remember it tells it with its first question, and is answered with what it lacks.
//!
//! Nobody remembers anything in between: each question says all it takes to answer it, from whatever the state is then. Both
//! questions name the dots by numbers below a base that both know and keep knowing. What either learns meanwhile lies beyond the base, and
//! is told as if the other lacked it.
//!
//! With the answer goes the fingerprint of what both have alive of the base: who finds another under the same dots has met a second
//! continuation of one store, and joins nothing (`compare`).

use std::ops::Range;

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use tombolo_crdt::Version;

use super::document::{self, Document, Since};
use super::frame::{Alive, ContentKind, Frame, MAX_FRAME, bytes};
use super::powers::Field;
use super::sketch::{self, Differences, Key};
use super::{Engine, Mistake, frame, powers, runs};
use crate::{DocId, PeerId};

/// Who has fewer dots alive below the base is sent the state: it is not longer than finding out what differs.
const WORTH_IT: usize = 64;
/// How often one asks another for the same document in vain before it asks for the whole state.
const MOST_ROUNDS: u32 = 4;
/// How many cells of a sketch it takes for each difference, in hundredths: 1.36 where there are many, and the estimate may be short
/// of the truth. One in about twenty sketches is too short, and made again.
const CELLS_PERCENT: usize = 160;
/// Where runs take fewer bytes than this they are told, or asked for, without an estimate: where few differ it takes about half of that to
/// estimate and then to tell them, where a hundred do half as much again.
const SHORT_RUNS: usize = 2 * sketch::COUNTERS;
/// Who lacks so many events lacks what hardly anybody remembers: some 40 000 small changes are remembered at most.
const HARDLY_REMEMBERED: u64 = 1 << 15;
/// How many cells it takes besides, where differences are few.
const CELLS_MORE: usize = 12;
/// How much of a frame is kept for what is not what is alive.
const FRAME_REST: usize = 4 << 10;

/// What was removed since is forgotten. It stands where content stands ([`ContentKind::Behind`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// What both know. Dots have numbers below it ([`live_below`](tombolo_crdt::Replica::live_below)).
    pub base: Version,
    /// From what it is estimated in how many of them the two differ. `None`: their runs are wanted, which are short.
    pub estimate: Option<Estimate>,
    /// So many cells, or sums, did not tell.
    pub tried: u32,
}

/// What it takes to estimate in how many dots two differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// How many of them are alive.
    pub live: u64,
    /// The key of the counters.
    pub key: [u64; 2],
    /// What they are counted in (`sketch`).
    #[serde(with = "bytes")]
    pub counters: Vec<u8>,
}

impl Behind {
    /// In bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        frame::written(self)
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` if it is not that.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }

    /// Says so of a document; `None` if its state is the shorter answer. Runs of fewer bytes than `short` need no estimate.
    fn of(document: &dyn Document, base: Version, key: Key, tried: usize, short: usize) -> Option<Self> {
        let live = document.live_below(&base).filter(|live| live.len() >= WORTH_IT)?;
        let runs = runs::write(&runs::ranges(live.iter().copied()));
        let estimate = (runs.len() >= short).then(|| {
            let counters = sketch::counters(live.iter().copied(), key);
            Estimate { live: live.len() as u64, key, counters }
        });
        Some(Self { base, estimate, tried: u32::try_from(tried).ok()? })
    }

    /// Tells what is alive of `live`, in the shortest way, perhaps in `sums`; the whole state is wanted if that is too long for a frame.
    fn answered(&self, live: &[u64], key: Key, sums: bool) -> Alive {
        let runs = runs::write(&runs::ranges(live.iter().copied()));
        let most = (MAX_FRAME - FRAME_REST).saturating_sub(self.base.len() * 32);
        let Some(Estimate { live: theirs, key: of, counters }) = &self.estimate else {
            return if runs.len() <= most { Alive::Runs(runs) } else { Alive::Unsaid };
        };
        let least = usize::try_from(theirs.abs_diff(live.len() as u64)).unwrap_or(usize::MAX);
        let differences = sketch::estimate(&sketch::counters(live.iter().copied(), *of), counters).max(least);
        let sums = Field::of(events(&self.base)).filter(|_| sums && self.tried == 0).and_then(|field| {
            let count = powers::sums_for(differences, live.len().max(*theirs as usize), field)?;
            (powers::bytes_of(count, field) < runs.len()).then_some((count, field))
        });
        if let Some((count, field)) = sums {
            let sums = powers::sums(live.iter().copied(), count, field);
            return Alive::Sums(powers::write(&sums, field));
        }
        let cells = differences.saturating_mul(CELLS_PERCENT) / 100 + CELLS_MORE;
        let cells = cells.max((self.tried as usize).saturating_mul(2));
        let bits = bits_of(&self.base);
        if sketch::bytes_of(cells, bits) < runs.len().min(most) {
            let cells = sketch::write(&sketch::cells(live.iter().copied(), key, cells), bits);
            Alive::Cells { key, cells }
        } else if runs.len() <= most {
            Alive::Runs(runs)
        } else {
            Alive::Unsaid
        }
    }
}

/// How many events are below a base; none have numbers if they are too many.
pub(super) fn events(base: &Version) -> u64 {
    base.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(count))
}

/// How many bits a dot's number below the base has.
fn bits_of(base: &Version) -> u32 {
    u64::BITS - events(base).saturating_sub(1).leading_zeros()
}

/// What comes of what another says it has alive.
enum Apart {
    /// What is alive there only, and what is alive here only.
    Found { theirs: Vec<Range<u64>>, ours: Vec<Range<u64>> },
    /// So many cells, or sums, do not tell.
    Unclear(usize),
    /// It says nothing, or nothing that makes sense.
    Untold,
}

impl Apart {
    /// What comes of so many cells or sums.
    fn of(differences: Differences, count: usize) -> Self {
        match differences {
            Differences::Found { theirs, ours } => {
                Self::Found { theirs: runs::ranges(theirs), ours: runs::ranges(ours) }
            }
            Differences::More => Self::Unclear(count),
            Differences::Nonsense => Self::Untold,
        }
    }
}

/// In what the other's differs from what is alive here of what both know, `live`.
fn apart(live: &[u64], base: &Version, alive: &Alive) -> Apart {
    match alive {
        Alive::Unsaid | Alive::Staged(_) => Apart::Untold,
        Alive::Runs(runs) => match runs::read(runs, events(base)) {
            Some(all) => Apart::Found { theirs: runs::without(&all, live), ours: runs::outside(live, &all) },
            None => Apart::Untold,
        },
        Alive::Sums(sums) => {
            let events = events(base);
            let told = Field::of(events).and_then(|field| Some((powers::read(sums, field)?, field)));
            let told = told.filter(|(sums, field)| powers::are_worth_it(sums.len(), live.len(), *field));
            let Some((sums, field)) = told else { return Apart::Untold };
            Apart::of(powers::differences(live, &sums, events, field), sums.len())
        }
        Alive::Cells { key, cells } => {
            let bits = bits_of(base);
            let Some(cells) = sketch::read(cells, bits) else { return Apart::Untold };
            let count = cells.len();
            Apart::of(sketch::differences(live, cells, *key, bits), count)
        }
    }
}

impl Engine {
    /// What answers a pull: what who knows `version` lacks, and, if it has said so, has `alive`. `None`: nothing.
    pub(crate) fn answer_to(
        &mut self,
        peer: PeerId,
        doc: DocId,
        version: &Version,
        alive: Option<&Alive>,
    ) -> Option<(ContentKind, Vec<u8>)> {
        let key = self.rng.random();
        let slot =
            self.documents.get(&doc).filter(|slot| slot.is_writable() && !self.deleted.contains(&doc))?;
        if slot.is_absent() {
            return None;
        }
        let names = self.peers.get(&peer).and_then(|peer| peer.ready()?.told.as_deref());
        let compares = self.peers.get(&peer).is_some_and(super::Peer::compares);
        let known = slot.body.version();
        let mut tried = 0;
        match alive {
            Some(&Alive::Staged(from)) if known.dominates(version) => {
                if let Some(piece) = self.piece(doc, version, from) {
                    return Some(piece);
                }
                match slot.body.since(version, names) {
                    Since::UpToDate => return Some(super::staging::Piece::end(version, from)),
                    Since::Content(kind, bytes) => return Some((kind, bytes)),
                    Since::Forgotten => {}
                }
            }
            // What both know may be less than it was, if the other was set back: then from the beginning.
            Some(alive) if known.dominates(version) => {
                // It has told so at once, and what it lacks is remembered.
                if let Since::Content(kind, bytes) = slot.body.since(version, names) {
                    return Some((kind, bytes));
                }
                let live = slot.body.live_below(version)?;
                match apart(&live, version, alive) {
                    Apart::Found { .. } if self.config.mistake == Some(Mistake::RemovalsUntold) => {
                        return slot.body.beyond(version, &[], names);
                    }
                    Apart::Found { theirs, ours } => {
                        let (kind, delta) = slot.body.beyond(version, &theirs, names)?;
                        if !compares {
                            return Some((kind, delta));
                        }
                        let common = slot.body.fingerprint_below(version, &ours, self.fingerprints.key())?;
                        return Some(document::checked(kind, &delta, alive.question(version), common));
                    }
                    Apart::Unclear(cells) => tried = cells,
                    Apart::Untold => return self.whole(doc),
                }
            }
            _ => match slot.body.since(version, names) {
                Since::UpToDate => return None,
                Since::Content(kind, bytes) => return Some((kind, bytes)),
                Since::Forgotten => {}
            },
        }
        if self.config.mistake == Some(Mistake::RemovalsUntold) {
            return slot.body.beyond(&version.meet(&known), &[], names);
        }
        let is_older = self.config.mistake == Some(Mistake::KnowsNoSums);
        let short = if is_older { sketch::COUNTERS } else { SHORT_RUNS };
        match Behind::of(&*slot.body, version.meet(&known), key, tried, short) {
            Some(behind) => Some((ContentKind::Behind, behind.encode())),
            None => self.whole(doc),
        }
    }

    /// All there is of a document, or the first piece of that.
    fn whole(&self, doc: DocId) -> Option<(ContentKind, Vec<u8>)> {
        let slot = self.documents.get(&doc)?;
        let piece = if self.is_large(doc) { self.piece(doc, &slot.body.version(), 0) } else { None };
        piece.or_else(|| Some((ContentKind::State, slot.body.state())))
    }

    /// What to ask a peer for a document with that has so much more of it than we do that it has probably forgotten what was removed: what is alive
    /// here of what both know, if that is short.
    pub(crate) fn told_at_once(&self, peer: PeerId, doc: DocId) -> Option<(Version, Alive)> {
        let theirs = self.peers.get(&peer)?.ready()?.have.get(doc)?;
        let ours = self.documents.get(&doc)?.body.version();
        if theirs.ahead_of(&ours) < HARDLY_REMEMBERED {
            return None;
        }
        let base = ours.meet(theirs);
        let live = self.live_below(doc, &base).filter(|live| live.len() >= WORTH_IT)?;
        let runs = runs::write(&runs::ranges(live));
        (runs.len() < SHORT_RUNS).then_some((base, Alive::Runs(runs)))
    }

    /// Whom we asked for a document has forgotten what was removed since the version we named: asks again, telling what is alive
    /// here. Says whether it could.
    pub(crate) fn behind(&mut self, peer: PeerId, doc: DocId, bytes: &[u8]) -> bool {
        let Some(behind) = Behind::decode(bytes) else { return false };
        let key = self.rng.random();
        let rounds = self.pulls.another_round(doc, self.now.millis);
        let Some(live) = self.live_below(doc, &behind.base) else { return false };
        let sums = self.config.mistake != Some(Mistake::KnowsNoSums);
        let alive = if rounds < MOST_ROUNDS { behind.answered(&live, key, sums) } else { Alive::Unsaid };
        let kept = self.pulls.kept(doc);
        let version = self.documents.get(&doc).map(|slot| slot.body.version()).unwrap_or_default();
        self.pulls.asked(doc, alive.question(&behind.base), version);
        self.send(peer, &Frame::Pull { doc, version: behind.base, kept, alive: Some(alive) });
        true
    }
}
