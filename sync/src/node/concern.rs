//! Waiting for others, for as long as the caller likes: for copies of a write, for a version, for being in sync.
//!
//! The engine knows how a wait stands (`engine/concern`) and says when to look; here is who awaits it, and the clock.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use tombolo_crdt::{Crdt, Version};

use super::commit::Commit;
use super::document::Document;
use super::driver::Shared;
use super::{Error, Result};
use crate::PeerId;
use crate::concern::{InSync, NotInSync};
use crate::engine::{Arrival, Engine, Now, Outcome, WaitId};

type Waiting<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// Waits for copies of a write: await it. See [`Commit::replicated`].
#[must_use = "it waits when it is awaited"]
pub struct Replicating<R> {
    commit: Commit<R>,
    copies: usize,
    patience: Option<Duration>,
}

impl<R> Replicating<R> {
    pub(super) fn new(commit: Commit<R>, copies: usize) -> Self {
        Self { commit, copies, patience: None }
    }

    /// At most for so long, from when it is awaited; else as long as it takes.
    pub fn within(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }
}

impl<R> fmt::Debug for Replicating<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Replicating");
        fields.field("commit", &self.commit).field("copies", &self.copies);
        fields.field("patience", &self.patience).finish()
    }
}

/// A write that as many peers hold durably as were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicated<R> {
    /// What the closure returned.
    pub value: R,
    /// Who holds it durably, beside this node. Ascending; at least as many as were asked for.
    pub peers: Vec<PeerId>,
    /// What this node knew of the document right after the write: what to hand to another node for
    /// [`Document::read_after`]. As [`Commit::version`], but in the names that the write has now.
    pub version: Version,
}

impl<R: Send + 'static> IntoFuture for Replicating<R> {
    type Output = Result<Replicated<R>>;
    type IntoFuture = Waiting<Replicated<R>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { commit, copies: wanted, patience } = self;
            let (value, durability, place) = commit.into_parts()?;
            let written = place.written;
            let begin = move |engine: &mut Engine, now| engine.wait_for_copies(now, written, wanted);
            let wait = Wait::begin(&place.shared, begin)?;
            let wait = wait.end(patience).await?;
            let copies = place.shared.look(|engine| engine.copies(wait.id)).ok_or(Error::ShutDown)?;
            match copies.outcome {
                Outcome::Met => Ok(Replicated { value, peers: copies.holders, version: copies.version }),
                Outcome::NotDurable { reason } => {
                    // It was told the reason if it waited when that came.
                    super::commit::durable(durability).await?;
                    Err(Error::NotDurable { reason })
                }
                Outcome::Deleted => Err(Error::Deleted),
                _ => Err(Error::NotReplicated(Box::new(copies.into()))),
            }
        })
    }
}

/// Waits until a document has reached a version: await it. See [`Document::read_after`].
#[must_use = "it waits when it is awaited"]
pub struct ReadAfter<T: Crdt> {
    document: Document<T>,
    version: Version,
    patience: Option<Duration>,
}

impl<T: Crdt> ReadAfter<T> {
    pub(super) fn new(document: Document<T>, version: Version) -> Self {
        Self { document, version, patience: None }
    }

    /// At most for so long, from when it is awaited; else as long as it takes.
    pub fn within(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }
}

impl<T: Crdt> fmt::Debug for ReadAfter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("ReadAfter");
        fields.field("document", &self.document).field("version", &self.version);
        fields.field("patience", &self.patience).finish()
    }
}

impl<T: Crdt> IntoFuture for ReadAfter<T> {
    type Output = Result<Document<T>>;
    type IntoFuture = Waiting<Document<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { document, version, patience } = self;
            let (shared, doc) = (Arc::clone(document.shared()), document.id());
            let begin = move |engine: &mut Engine, now| engine.wait_for_version(now, doc, version);
            let wait = Wait::begin(&shared, begin)?;
            let wait = wait.end(patience).await?;
            let arrival = shared.look(|engine| engine.arrival(wait.id)).ok_or(Error::ShutDown)?;
            match arrival {
                Arrival { outcome: Outcome::Met, .. } => Ok(document),
                Arrival { outcome: Outcome::Deleted, .. } => Err(Error::Deleted),
                arrival => Err(Error::NotReached(Box::new(arrival.into()))),
            }
        })
    }
}

pub(super) async fn in_sync(shared: &Arc<Shared>, wanted: usize, patience: Duration) -> Result<InSync> {
    let begin = move |engine: &mut Engine, now| engine.wait_for_sync(now, wanted);
    let wait = Wait::begin(shared, begin)?.end(Some(patience)).await?;
    let (is_met, levels) =
        shared.look(|engine| (engine.outcome(wait.id) == Some(&Outcome::Met), engine.levels()));
    if is_met {
        return Ok(InSync::of(levels));
    }
    Err(Error::NotInSync(Box::new(NotInSync::of(wanted, levels))))
}

/// A wait of the engine's. Ends with this.
struct Wait {
    shared: Arc<Shared>,
    id: WaitId,
    woken: Option<oneshot::Receiver<()>>,
}

impl Wait {
    fn begin(shared: &Arc<Shared>, begin: impl FnOnce(&mut Engine, Now) -> WaitId) -> Result<Self> {
        let (id, woken) = shared.begin_wait(begin);
        let wait = Self { shared: Arc::clone(shared), id, woken: Some(woken) };
        // SUBTLE: asked for now. Who shuts the node down after this wakes those that are there.
        shared.refuse_if_stopped()?;
        Ok(wait)
    }

    /// Waits until it has come to something, or the time is up.
    async fn end(mut self, patience: Option<Duration>) -> Result<Self> {
        let Some(woken) = self.woken.take() else { return Ok(self) };
        let woken = match patience {
            Some(patience) => tokio::time::timeout(patience, woken).await.unwrap_or(Ok(())),
            None => woken.await,
        };
        woken.map_err(|oneshot::Canceled| Error::ShutDown)?;
        Ok(self)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.shared.end_wait(self.id);
    }
}
