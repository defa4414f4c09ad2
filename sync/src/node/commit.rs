//! A write that is visible here, and on its way to the disk.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use futures::channel::oneshot;

use super::{Error, Result};

/// When a batch is durable, or why it never will be.
pub(super) type Durability = oneshot::Receiver<Result<(), String>>;

/// A write of a [`Document`](super::Document): visible here at once, unless an error says otherwise.
///
/// Awaiting it waits until it is durable, and yields what the closure returned. Dropping it changes nothing: the write
/// becomes durable all the same, only nobody is told whether it did.
///
/// ```no_run
/// # use tombolo_crdt::PnCounter;
/// # async fn example(visits: tombolo_sync::Document<PnCounter>) -> tombolo_sync::Result<()> {
/// visits.update(|counter| counter.inc(1)).await?;      // durable here
/// let commit = visits.update(|counter| counter.inc(1)); // visible here
/// std::thread::spawn(move || commit.wait());            // from code that is not async
/// # Ok(())
/// # }
/// ```
#[must_use = "a write can fail: await it, `wait` for it, or `forget` it"]
pub struct Commit<R> {
    written: Result<(R, Option<Durability>)>,
}

impl<R> fmt::Debug for Commit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit").field("written", &self.written.as_ref().map(|_| ())).finish()
    }
}

impl<R> Commit<R> {
    pub(super) fn new(written: Result<(R, Option<Durability>)>) -> Self {
        Self { written }
    }

    /// What the closure returned.
    ///
    /// # Errors
    /// When the write did not happen.
    pub fn value(&self) -> Result<&R, &Error> {
        self.written.as_ref().map(|(value, _)| value)
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
        let (value, durability) = self.written?;
        if let Some(durability) = durability {
            match durability.await {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => return Err(Error::NotDurable { reason }),
                Err(oneshot::Canceled) => return Err(Error::ShutDown),
            }
        }
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
