//! The node: what an application starts, opens documents of, and shuts down.

mod builder;
mod changes;
mod clock;
mod commit;
mod concern;
mod document;
mod driver;
mod error;
mod home;
mod leave;
mod listen;
#[cfg(feature = "metrics")]
mod metrics;
mod network;
mod watch;
mod witness;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tombolo_crdt::{Crdt, Garbage};

use crate::engine::{DocumentStatus, Engine, Listed, Status};
use crate::{DocId, MAX_TICKET_ADDRESSES, PeerId, Renewal, Secret, SpaceId, Ticket};
use driver::Shared;

pub use builder::NodeBuilder;
pub use changes::{Change, Changes};
pub use commit::Commit;
pub use concern::{ReadAfter, Replicated, Replicating};
pub use document::Document;
pub use error::{Error, Result};
pub use leave::{Left, Wipe};
pub use watch::{Lagged, Watch};
pub use witness::Doubt;

/// A running node: a home on disk, in one space, with peers. Cheap to clone; `Send` and `Sync`.
///
/// ```no_run
/// use tombolo_crdt::PnCounter;
/// use tombolo_sync::Node;
///
/// # async fn example() -> tombolo_sync::Result<()> {
/// let node = Node::builder("app-data").create().start().await?;
/// println!("invite others with {}", node.ticket());
/// let visits = node.open::<PnCounter>("visits")?;
/// visits.update(|counter| counter.inc(1)).await?;
/// println!("{} visits", visits.read(|counter| counter.value()));
/// node.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
    space: Space,
    name: Arc<str>,
    folder: Arc<Path>,
}

/// The space of a node.
#[derive(Clone)]
struct Space {
    id: SpaceId,
    secret: Secret,
    /// Which space it goes on from.
    renews: Option<Renewal>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.name)
            .field("space", &self.space.id)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// How to start a node whose home is `folder`. The folder is made if need be; one process at a time can use it.
    pub fn builder(folder: impl AsRef<Path>) -> NodeBuilder {
        NodeBuilder::new(folder.as_ref())
    }

    fn new(shared: Arc<Shared>, space: Space, name: String, folder: PathBuf) -> Self {
        Self { shared, space, name: name.into(), folder: folder.into() }
    }

    /// Makes a home in `folder` of a file that [`backup`](Self::backup) wrote. It has the key, the space and the
    /// documents of the one that was backed up, and what that one wrote later comes back from peers that have it. The
    /// old home must not run again: the two would be one peer to the others.
    ///
    /// # Errors
    /// When the folder has a store already, or the file is no backup or damaged.
    pub async fn restore(file: impl AsRef<Path>, folder: impl AsRef<Path>) -> Result<()> {
        let (file, folder) = (file.as_ref().to_owned(), folder.as_ref().to_owned());
        tokio::task::spawn_blocking(move || home::restore(&file, &folder))
            .await
            .map_err(|_| Error::ShutDown)?
    }

    /// The node's key.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        self.shared.look(Engine::peer)
    }

    /// What others see it called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The space it belongs to.
    #[must_use]
    pub fn space(&self) -> SpaceId {
        self.space.id
    }

    /// Why the home may not be the only continuation of what it holds, as far as that was found since this node was started: a
    /// copy, one that was set back, or one that cannot prove that it is neither. It goes on under a new replica id then, so that
    /// nothing is lost and nothing diverges; but for [`Doubt::Forked`], which see. An application may want to tell its user. Rights
    /// that a [`BoundedCounter`](tombolo_crdt::BoundedCounter) gave to the old id stay with that.
    #[must_use]
    pub fn doubt(&self) -> Option<Doubt> {
        self.shared.doubt()
    }

    /// Whether it has not been shut down, and has not left its space.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.shared.is_stopped()
    }

    /// Where it can be reached.
    #[must_use]
    pub fn listening(&self) -> Vec<String> {
        self.shared.listening()
    }

    /// An invitation to the space: whoever holds it is let in, for ever. It names where this node listens, or listened
    /// last.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        let mut addresses = self.shared.addresses();
        addresses.truncate(MAX_TICKET_ADDRESSES);
        let Space { id: space, secret, renews } = self.space.clone();
        Ticket { space, secret, inviter: self.peer_id(), addresses, renews }
    }

    /// Opens the document called `name`, creating it if there is none. Two nodes that create the same name with the
    /// same type mean the same document.
    ///
    /// A document that was not needed for a while may be on the disk only ([`NodeBuilder::memory`]); then this waits until it has been
    /// read. From here on it is in memory, until all that this yields is dropped.
    ///
    /// # Errors
    /// When the name stands for a document of another type, or the document cannot be read from the disk.
    pub fn open<T: Crdt>(&self, name: &str) -> Result<Document<T>> {
        Ok(self.open_or(name, true)?.expect("a document that may be created is there"))
    }

    /// Opens the document called `name` if it exists.
    ///
    /// # Errors
    /// When the name stands for a document of another type.
    pub fn find<T: Crdt>(&self, name: &str) -> Result<Option<Document<T>>> {
        self.open_or(name, false)
    }

    fn open_or<T: Crdt>(&self, name: &str, create: bool) -> Result<Option<Document<T>>> {
        self.shared.refuse_if_stopped()?;
        let id = self.shared.open::<T>(name, create)?;
        Ok(id.map(|id| Document::new(Arc::clone(&self.shared), id, name.into())))
    }

    /// Deletes the document called `name` of type `T`, everywhere; what others write to it at the same time goes with
    /// it. Says whether there was one.
    ///
    /// # Errors
    /// When the deletion could not be made durable.
    pub async fn delete<T: Crdt>(&self, name: &str) -> Result<bool> {
        self.shared.refuse_if_stopped()?;
        let deleted = self.shared.with_engine(|engine, now| {
            let batch = engine.delete(now, name, &T::type_name())?;
            Some(self.shared.durability(engine, batch))
        });
        match deleted {
            None => Ok(false),
            Some(durability) => commit::durable(durability).await.map(|()| true),
        }
    }

    /// The documents of the space, by name, then type, as far as this node has heard of them.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.shared.look(Engine::list)
    }

    /// How this node and its peers stand.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.look(Engine::status)
    }

    /// The changes of all documents from now on.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        self.shared.subscribers.subscribe(None)
    }

    /// The name and type of a document.
    #[must_use]
    pub fn describe(&self, document: DocId) -> Option<Listed> {
        self.list().into_iter().find(|listed| listed.id == document)
    }

    /// How a document stands; `None` if it is not there.
    #[must_use]
    pub fn document_status(&self, document: DocId) -> Option<DocumentStatus> {
        self.shared.look(|engine| engine.document_status(document))
    }

    /// What a document keeps beside what is read, as [`Document::garbage`]; of one that was not opened since the start it is not known
    /// what only remembers removals.
    #[must_use]
    pub fn garbage(&self, document: DocId) -> Option<Garbage> {
        self.shared.look(|engine| engine.garbage(document))
    }

    /// What the listed documents that are in memory keep beside what is read, as [`garbage`](Self::garbage), together by type.
    ///
    /// ```
    /// # use tombolo_crdt::AddWinsSet;
    /// # #[tokio::main] async fn main() -> tombolo_sync::Result<()> {
    /// # let home = tempfile::tempdir().expect("a folder");
    /// # let node = tombolo_sync::Node::builder(home.path()).no_witness().create().offline().start().await?;
    /// for name in ["labels", "guests"] {
    ///     node.open::<AddWinsSet<String>>(name)?.update(|set| set.add("late")).await?;
    /// }
    /// assert_eq!(node.garbage_by_type()["AddWinsSet"].items, 2);
    /// # node.shutdown().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn garbage_by_type(&self) -> BTreeMap<String, Garbage> {
        let mut all: BTreeMap<String, Garbage> = BTreeMap::new();
        for listed in self.list() {
            if let Some(garbage) = self.garbage(listed.id) {
                *all.entry(listed.type_name).or_default() += garbage;
            }
        }
        all
    }

    /// Says that nobody need wait for a member of the space any more: its device is lost, or will not be back for long. Says whether
    /// it was waited for; [`PeerStatus::membership`](crate::engine::PeerStatus::membership) tells who is.
    ///
    /// Removals are remembered until every member knows of them. A member that is silent is released by itself after the space's [retention](Self::set_retention); this
    /// is for who does not want to keep them so long. One word suffices, at any node: the others hear of it.
    ///
    /// It takes nobody's access away: a member that was released and is back is a member again, and what it wrote meanwhile comes
    /// in as if written at the same time as what was forgotten, so that it wins over such removals. For a device that must not
    /// come back there is [`NodeBuilder::renew_secret`].
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> tombolo_sync::Result<()> {
    /// # let home = tempfile::tempdir().expect("a folder");
    /// # let node = tombolo_sync::Node::builder(home.path()).no_witness().create().offline().start().await?;
    /// # let lost = tombolo_sync::PeerId::from_bytes([7; 32]);
    /// assert!(!node.release(lost), "nobody waits for whom nobody has met");
    /// node.flush().await; // durable here, and told from then on
    /// # node.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub fn release(&self, peer: PeerId) -> bool {
        self.shared.with_engine(|engine, now| engine.release(now, peer))
    }

    /// For how long a member of the space may be silent before nobody waits for it any more, as if it were [released](Self::release): 30 days where
    /// nobody has [said otherwise](Self::set_retention). `None`: for ever.
    #[must_use]
    pub fn retention(&self) -> Option<Duration> {
        self.shared.look(Engine::retention).map(Duration::from_millis)
    }

    /// Says for the whole space for how long a silent member is waited for; `None`: for ever. It is kept with the list of members, so that all go by
    /// the same; of two who say so at once the later decides. Says whether it is said: not while the disk refuses.
    ///
    /// Until then removals are remembered that the member may not know of. Only the time counts in which a node runs and hears more than half of
    /// the members. One that is back later is repaired and a member again; what it wrote meanwhile wins over removals that were forgotten.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> tombolo_sync::Result<()> {
    /// # use std::time::Duration;
    /// # let home = tempfile::tempdir().expect("a folder");
    /// # let node = tombolo_sync::Node::builder(home.path()).no_witness().create().offline().start().await?;
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// assert_eq!(node.retention(), Some(30 * day));
    /// assert!(node.set_retention(Some(365 * day)));
    /// assert_eq!(node.retention(), Some(365 * day));
    /// node.flush().await; // durable here, and told from then on
    /// # node.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub fn set_retention(&self, retention: Option<Duration>) -> bool {
        let millis = |retention: Duration| u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
        self.shared.with_engine(|engine, now| engine.set_retention(now, retention.map(millis)))
    }

    /// Waits until at least `peers` connected peers hold durably what this node holds durably, and nothing more; says who they are.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// use tombolo_sync::Error;
    ///
    /// # async fn example(node: tombolo_sync::Node) -> tombolo_sync::Result<()> {
    /// match node.wait_in_sync(2, Duration::from_secs(10)).await {
    ///     Ok(level) => println!("in sync with {:?}", level.peers),
    ///     Err(Error::NotInSync(so_far)) => {
    ///         for other in &so_far.others {
    ///             println!("{} lacks {}, and we {}", other.peer, other.lag, other.behind);
    ///         }
    ///         println!("{} peers too few", so_far.lacking());
    ///     }
    ///     Err(failed) => return Err(failed),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotInSync`] when that takes longer than `patience`. Nothing is undone.
    pub async fn wait_in_sync(&self, peers: usize, patience: Duration) -> Result<crate::InSync> {
        concern::in_sync(&self.shared, peers, patience).await
    }

    /// Writes a consistent copy of the home's store to a new file, while the node goes on.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub async fn backup(&self, file: impl AsRef<Path>) -> Result<()> {
        let (shared, file) = (Arc::clone(&self.shared), file.as_ref().to_owned());
        tokio::task::spawn_blocking(move || shared.backup(&file)).await.map_err(|_| Error::ShutDown)?
    }

    /// Waits until everything written so far is durable or has failed.
    pub async fn flush(&self) {
        let shared = Arc::clone(&self.shared);
        let _ = tokio::task::spawn_blocking(move || shared.with_store(|_| Ok(()))).await;
    }

    /// Ends the node: everything written becomes durable, peers are told. Clones and documents of it stop working.
    pub async fn shutdown(&self) {
        self.shared.stop().await;
    }
}
