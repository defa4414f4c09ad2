//! What an application holds of a document.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use tombolo_crdt::{Crdt, Garbage, Version};

use super::changes::Changes;
use super::commit::{Commit, Place};
use super::concern::ReadAfter;
use super::driver::Shared;
use super::watch::Watch;
use super::{Error, Result};
use crate::DocId;
use crate::engine::{BatchId, DocumentStatus, Engine, NotMerged, Now, UpdateError};

/// An open document of type `T`. Cheap to clone; can be used from any thread, async or not.
///
/// As long as there is one, the document is in memory.
pub struct Document<T: Crdt> {
    held: Arc<Held>,
    name: Arc<str>,
    marker: PhantomData<fn() -> T>,
}

/// Holds a document open, for all clones of what was opened once.
struct Held {
    shared: Arc<Shared>,
    id: DocId,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.closed(self.id);
    }
}

impl<T: Crdt> Clone for Document<T> {
    fn clone(&self) -> Self {
        Self { held: Arc::clone(&self.held), name: Arc::clone(&self.name), marker: PhantomData }
    }
}

impl<T: Crdt> fmt::Debug for Document<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("name", &self.name)
            .field("id", &self.held.id)
            .finish_non_exhaustive()
    }
}

impl<T: Crdt> Document<T> {
    /// What the engine has just opened.
    pub(super) fn new(shared: Arc<Shared>, id: DocId, name: Arc<str>) -> Self {
        Self { held: Arc::new(Held { shared, id }), name, marker: PhantomData }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.held.shared
    }

    /// Its id, the same at all nodes.
    #[must_use]
    pub fn id(&self) -> DocId {
        self.held.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lets `look` read the value. Sees every write made here before, durable or not. A deleted document reads as empty.
    ///
    /// # Panics
    /// If `look` calls the node or a document again.
    pub fn read<R>(&self, look: impl FnOnce(&T::State) -> R) -> R {
        self.held.shared.look(|engine| match engine.document::<T>(self.held.id) {
            Some(replica) => look(replica),
            None => look(&T::State::default()),
        })
    }

    /// Waits until this node knows what `version` names, at most for [`within`](ReadAfter::within), if that is said; yields this
    /// document, to be read. So whoever goes from one node to another reads there what they wrote or saw here: hand over
    /// [`Commit::version`] of the last write, or [`version`](Self::version) of the last read.
    ///
    /// What has been reached is visible, and may not be durable here yet. What others wrote meanwhile is seen as well.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use tombolo_crdt::PnCounter;
    /// # use tombolo_sync::Document;
    /// # async fn example(here: Document<PnCounter>, there: Document<PnCounter>) -> tombolo_sync::Result<()> {
    /// let commit = here.update(|counter| counter.inc(1));
    /// // A version is plain data, which the application's messages carry.
    /// if let Ok(version) = commit.version() {
    ///     let visits = there.read_after(version).within(Duration::from_secs(5)).await?;
    ///     println!("{} visits", visits.read(|counter| counter.value()));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Awaiting yields [`NotReached`](Error::NotReached), which names the events that are missing, when the time was up;
    /// and an error when the document was deleted. With a time, it must be awaited in a Tokio runtime.
    pub fn read_after(&self, version: &Version) -> ReadAfter<T> {
        ReadAfter::new(self.clone(), version.clone())
    }

    /// One transaction: visible here at once, and whole or not at all everywhere. It is sent to others once it is
    /// durable here, for which the [`Commit`] can be awaited.
    ///
    /// What `write` returns is the commit's value, an error as well: it undoes nothing that was written before it. Where it should, as for a
    /// position that may be too far, take [`try_update`](Self::try_update).
    ///
    /// # Panics
    /// If `write` does; the transaction is then undone. If `write` calls the node or a document again.
    pub fn update<R>(&self, write: impl for<'a> FnOnce(&mut T::Mut<'a>) -> R) -> Commit<R> {
        match self.try_update(|value| Ok::<R, Infallible>(write(value))) {
            Ok(commit) => commit,
            Err(never) => match never {},
        }
    }

    /// As [`update`](Self::update), but `write` may refuse; what it had done is then undone.
    ///
    /// # Errors
    /// That of `write`.
    ///
    /// # Panics
    /// As [`update`](Self::update).
    pub fn try_update<R, E>(
        &self,
        write: impl for<'a> FnOnce(&mut T::Mut<'a>) -> Result<R, E>,
    ) -> Result<Commit<R>, E> {
        self.written(|engine, now| engine.update::<T, R, E>(now, self.held.id, write))
    }

    /// Merges a state that the application has in bytes, as [`Replica::encode`](tombolo_crdt::Replica::encode) wrote them: visible here at once, and
    /// sent to others once it is durable here, like a write. The commit's value says whether there was anything in it that was not known.
    ///
    /// So a document is begun with what ships with the application. What two begin alike, each by writing it, is there twice once they hear of one
    /// another. What both merge from the same bytes is there once, however often they do so and whatever has become of it since: what was
    /// deleted of it does not come back.
    ///
    /// ```
    /// use tombolo_crdt::{Replica, ReplicaId, Text};
    ///
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Once, while the application is built, under an id that writes nothing else; kept beside it as a file.
    /// let mut template = Replica::<Text>::new(ReplicaId::from_bytes([9; 16]));
    /// let _ = template.update(|text| text.push("Agenda\nNotes\n"));
    /// let shipped: Vec<u8> = template.encode();
    ///
    /// // On each device, as it begins.
    /// # let home = tempfile::tempdir()?;
    /// # let node = tombolo_sync::Node::builder(home.path()).no_witness().create().offline().start().await?;
    /// let page = node.open::<Text>("page")?;
    /// assert!(page.merge(&shipped)?.await?, "there was something new in it");
    /// page.update(|text| text.replace_content("Agenda\n1. Tides\n")).await?;
    /// // At the next start as well: it costs a look at both, and changes nothing.
    /// assert!(!page.merge(&shipped)?.await?);
    /// assert_eq!(page.read(|text| text.to_string()), "Agenda\n1. Tides\n");
    /// # node.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// A later template goes on from the bytes of the one before ([`Replica::decode`](tombolo_crdt::Replica::decode)), or is made under another id.
    ///
    /// # Errors
    /// When the bytes are no state of a `T`, or exceed the limits of the codec; when they have events under this store's own replica id
    /// that are not known to be its own, or contradict what is here. Nothing has changed then.
    pub fn merge(&self, state: &[u8]) -> Result<Commit<bool>, NotMerged> {
        self.written(|engine, now| engine.merge::<T>(now, self.held.id, state))
    }

    /// Does something that the engine makes durable.
    fn written<R, E>(
        &self,
        write: impl FnOnce(&mut Engine, Now) -> Result<(R, BatchId), UpdateError<E>>,
    ) -> Result<Commit<R>, E> {
        if let Err(stopped) = self.held.shared.refuse_if_stopped() {
            return Ok(Commit::new(Err(stopped)));
        }
        let written = self.held.shared.with_engine(|engine, now| {
            write(engine, now).map(|(value, batch)| {
                let durability = self.held.shared.durability(engine, batch);
                let written = engine.written(self.held.id, batch);
                (value, durability, Place { shared: Arc::clone(&self.held.shared), written })
            })
        });
        Ok(Commit::new(match written {
            Ok(written) => Ok(written),
            Err(UpdateError::Rejected(error)) => return Err(error),
            Err(UpdateError::Deleted) => Err(Error::Deleted),
            Err(UpdateError::NotOpen) => Err(Error::NotOpen),
            Err(UpdateError::ReadOnly) => Err(Error::ReadOnly),
        }))
    }

    /// What this node knows of the document.
    #[must_use]
    pub fn version(&self) -> Version {
        self.status().map(|status| status.version).unwrap_or_default()
    }

    /// How the document stands; `None` if it was deleted.
    #[must_use]
    pub fn status(&self) -> Option<DocumentStatus> {
        self.held.shared.look(|engine| engine.document_status(self.held.id))
    }

    /// What the document keeps here beside what is read: items that only remember removals, recent deltas for peers a little behind.
    /// `None` if it was deleted. Costs two walks over it.
    ///
    /// ```
    /// # use tombolo_crdt::AddWinsSet;
    /// # #[tokio::main] async fn main() -> tombolo_sync::Result<()> {
    /// # let home = tempfile::tempdir().expect("a folder");
    /// # let node = tombolo_sync::Node::builder(home.path()).no_witness().create().offline().start().await?;
    /// let labels = node.open::<AddWinsSet<String>>("labels")?;
    /// labels.update(|labels| labels.add("late")).await?;
    /// let garbage = labels.garbage().expect("it is there");
    /// assert_eq!((garbage.items, garbage.removals), (1, 0));
    /// # node.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn garbage(&self) -> Option<Garbage> {
        self.shared().look(|engine| engine.garbage(self.id()))
    }

    /// Takes a view of the document, and yields from there on what becomes different in it, by path: whatever it comes of, each change once, and
    /// in order. Applied to the view, the steps keep it what [`read`](Self::read) would show.
    ///
    /// ```
    /// # use tombolo_crdt::{AddWinsSet, DotStore as _, What};
    /// use tombolo_sync::{Lagged, Origin};
    ///
    /// # #[tokio::main] async fn main() -> tombolo_sync::Result<()> {
    /// # let home = tempfile::tempdir().expect("a folder");
    /// # let node = tombolo_sync::Node::builder(home.path()).no_witness().create().offline().start().await?;
    /// let birds = node.open::<AddWinsSet<String>>("birds")?;
    /// let (mut shown, mut watch) = birds.watch(|birds| birds.plain());
    /// birds.update(|birds| birds.add("heron")).await?;
    /// # let mut steps = 0;
    /// while let Some(next) = watch.next().await {
    ///     match next {
    ///         Ok(step) => {
    ///             assert_eq!(step.origin, Origin::Local);
    ///             assert_eq!(step.changes[0].changes[0].what, What::Entered);
    ///             step.apply_to(&mut shown).expect("it fits what was there before");
    ///         }
    ///         // Who does not look for long begins anew.
    ///         Err(Lagged) => shown = watch.view(|birds| birds.plain()),
    ///     }
    ///     assert_eq!(shown, birds.read(|birds| birds.plain()));
    /// #   node.shutdown().await;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// So are told: what any handle of the document writes here; what comes from peers; what the disk refused and is undone
    /// ([`Origin::Undone`](crate::Origin::Undone)); and that the document was deleted, which then reads as empty. Steps wait for who does not take
    /// them, up to a bound ([`Lagged`](crate::Lagged)); nobody who writes waits for that.
    ///
    /// What `look` takes need not be the plain value: an editor of marked text reads [`runs`](tombolo_crdt::Text::runs) there, for instance.
    ///
    /// # Panics
    /// If `look` calls the node or a document again.
    pub fn watch<R>(&self, look: impl FnOnce(&T::State) -> R) -> (R, Watch<T>) {
        Watch::new(self.clone(), look)
    }

    /// The changes from now on, by whomever. They say that the document is another, and by whom, not what became different in it
    /// ([`watch`](Self::watch) does): read it at each. Whoever subscribes before the first reading misses nothing.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        self.held.shared.subscribers.subscribe(Some(self.held.id))
    }
}
