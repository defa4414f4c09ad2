//! A write that is visible here, and on its way to the disk.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use futures::channel::oneshot;
use tombolo_crdt::Version;

use super::concern::Replicating;
use super::driver::Shared;
use super::{Error, Result};
use crate::engine::Written;

/// When a batch is durable, or why it never will be.
pub(super) type Durability = oneshot::Receiver<Result<(), String>>;

/// Waits until something is durable; `None` if it is.
pub(super) async fn durable(durability: Option<Durability>) -> Result<()> {
    match durability {
        None => Ok(()),
        Some(durability) => match durability.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(Error::NotDurable { reason }),
            Err(oneshot::Canceled) => Err(Error::ShutDown),
        },
    }
}

/// A write of a [`Document`](super::Document): visible here at once, unless an error says otherwise.
///
/// Awaiting it waits until it is durable, and yields what the closure returned. Dropping it changes nothing: the write
/// becomes durable all the same, only nobody is told whether it did.
///
/// ```no_run
/// # use std::time::Duration;
/// # use tombolo_crdt::PnCounter;
/// # async fn example(visits: tombolo_sync::Document<PnCounter>) -> tombolo_sync::Result<()> {
/// visits.update(|counter| counter.inc(1)).await?;      // durable here
/// let commit = visits.update(|counter| counter.inc(1)); // visible here
/// let commit = commit.replicated(2).within(Duration::from_secs(5)).await?; // durable here and at two peers
/// println!("{:?} have it", commit.peers);
/// let commit = visits.update(|counter| counter.inc(1));
/// std::thread::spawn(move || commit.wait());            // from code that is not async
/// # Ok(())
/// # }
/// ```
#[must_use = "a write can fail: await it, `wait` for it, or `forget` it"]
pub struct Commit<R> {
    written: Result<(R, Option<Durability>, Place)>,
}

/// What a write is asked for by.
pub(super) struct Place {
    pub(super) shared: Arc<Shared>,
    pub(super) written: Written,
}

impl<R> fmt::Debug for Commit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = self.written.as_ref().map(|(_, _, place)| &place.written);
        f.debug_struct("Commit").field("written", &written).finish()
    }
}

impl<R> Commit<R> {
    pub(super) fn new(written: Result<(R, Option<Durability>, Place)>) -> Self {
        Self { written }
    }

    pub(super) fn into_parts(self) -> Result<(R, Option<Durability>, Place)> {
        self.written
    }

    /// What the closure returned.
    ///
    /// # Errors
    /// When the write did not happen. The error stays the commit's, so `?` cannot hand it on: awaiting the commit yields it.
    pub fn value(&self) -> Result<&R, &Error> {
        self.written.as_ref().map(|(value, ..)| value)
    }

    /// What this node knew of the document right after the write: the write, and everything that was seen when it was made. Who
    /// has this version can read what was written; hand it to another node for [`Document::read_after`](super::Document::read_after).
    ///
    /// It names the write as long as this home is the only continuation of what it holds. One that was set back or copied may find
    /// that out later ([`Node::doubt`](super::Node::doubt)) and give what it wrote alone another name;
    /// [`Replicated::version`](super::Replicated::version) and [`Document::version`](super::Document::version) have that.
    ///
    /// # Errors
    /// When the write did not happen, as [`value`](Self::value) says it.
    pub fn version(&self) -> Result<&Version, &Error> {
        self.written.as_ref().map(|(_, _, place)| &place.written.version)
    }

    /// The write concern: awaiting this waits until the write is durable here and `peers` other nodes hold it durably, as far as
    /// they have told; at most for [`within`](Replicating::within), if that is said.
    ///
    /// A peer that told so and disconnected since counts. What a peer must hold is the document up to [`version`](Self::version),
    /// which for a write that changed nothing is what there was. With 0 peers it is as awaiting the commit. Whoever does not
    /// care any more drops the future; that changes nothing but that nobody waits.
    ///
    /// *The write stays, whatever comes of it.* It was visible here before anybody waited, and goes on being sent to everybody. An
    /// error that says [`NotReplicated`](Error::NotReplicated) says how far that had come when the time was up, and it may have come
    /// further since: to repeat the write would be to make it twice.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use tombolo_crdt::PnCounter;
    /// use tombolo_sync::Error;
    ///
    /// # async fn example(visits: tombolo_sync::Document<PnCounter>) -> tombolo_sync::Result<()> {
    /// let commit = visits.update(|counter| counter.inc(1));
    /// match commit.replicated(2).within(Duration::from_secs(1)).await {
    ///     Ok(done) => println!("safe with {:?}", done.peers),
    ///     Err(Error::NotReplicated(so_far)) => {
    ///         println!("{:?} have it, {:?} not yet", so_far.peers, so_far.lacking);
    ///     }
    ///     Err(failed) => return Err(failed), // the disk refused it, for instance
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Awaiting yields an error when the write did not happen; when the disk refused it and it was undone
    /// ([`NotDurable`](Error::NotDurable)); when the document was deleted; and when the time was up.
    ///
    /// With a time, it must be awaited in a Tokio runtime.
    pub fn replicated(self, peers: usize) -> Replicating<R> {
        Replicating::new(self, peers)
    }

    /// Waits, blocking this thread, until the write is durable.
    ///
    /// # Errors
    /// When it did not happen, or the disk refused it and it was undone.
    pub fn wait(self) -> Result<R> {
        futures::executor::block_on(self.durable())
    }

    /// Does not wait.
    pub fn forget(self) {}

    async fn durable(self) -> Result<R> {
        let (value, durability, _) = self.written?;
        durable(durability).await?;
        Ok(value)
    }
}

impl<R: Send + 'static> IntoFuture for Commit<R> {
    type Output = Result<R>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<R>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.durable())
    }
}
