//! Leaving a space: telling the others, ending, and removing what the home holds, if that is wanted.
//!
//! What is to be removed is moved to a folder of its own in one step and deleted there. Who is interrupted after that step finds
//! no home any more, and the rest is deleted when the folder is next asked for one.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Error, Node, Result, commit, home};
use crate::PeerId;
use crate::engine::{Engine, PeerStatus, Subscription};
use crate::store::{RedbStore, StoreError};

/// How long to wait for somebody to hold what this home holds.
const TELLING: Duration = Duration::from_secs(5);
/// How often to look.
const LOOK: Duration = Duration::from_millis(20);
/// Where in a home is what is being deleted.
const TRASH: &str = ".tombolo-wiped";

/// What becomes of a home that leaves its space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wipe {
    /// It stays as it is, and is read and written as before, but does not go on the network before it has joined again.
    Keep,
    /// The store is removed, with all documents, the node's key and the space's secret. What no other node holds is lost. The bytes
    /// are not overwritten: on most disks that would not remove them either.
    Everything,
}

/// How a home left its space.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// Who held durably all that this home held, and with it that it has left. Ascending. Empty if nobody did in time: then the
    /// others go on waiting for it before they forget removals, until one of them [releases](Node::release) it or it has been
    /// silent for 30 days.
    pub holders: Vec<PeerId>,
}

impl Node {
    /// Leaves the space for good: tells the others that nobody need wait for this node, and ends it. Clones and documents of it stop
    /// working.
    ///
    /// Waits up to five seconds until a connected peer holds all that this node holds, and with it that it has left; goes on after
    /// that, if nobody does. Who must not lose anything waits for that first, with [`wait_in_sync`](Self::wait_in_sync).
    ///
    /// A home that is kept can be started [`offline`](super::NodeBuilder::offline), and with a ticket of the space it
    /// [joins](super::NodeBuilder::join) it again, with what was written to it meanwhile. The secret it has known it knows, and so does
    /// any copy of it: who must be kept out from now on takes a [new secret](super::NodeBuilder::renew_secret).
    ///
    /// ```
    /// use tombolo_sync::{Error, Node, Wipe};
    ///
    /// # #[tokio::main] async fn main() -> tombolo_sync::Result<()> {
    /// # let home = tempfile::tempdir().expect("a folder");
    /// let node = Node::builder(home.path()).no_witness().create().offline().start().await?;
    /// node.leave(Wipe::Everything).await?;
    /// let gone = Node::builder(home.path()).no_witness().offline().start().await;
    /// assert!(matches!(gone, Err(Error::NoSpace(_))));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When that it has left cannot be made durable; the node goes on then. When the home cannot be removed, or another process has
    /// it by then; it has left and is otherwise as it was.
    pub async fn leave(self, wipe: Wipe) -> Result<Left> {
        self.shared.refuse_if_stopped()?;
        let durability = self.shared.with_engine(|engine, now| {
            let batch = engine.leave(now);
            self.shared.durability(engine, batch)
        });
        commit::durable(durability).await?;
        let holders = self.holders().await;
        self.shared.stop().await;
        if wipe == Wipe::Everything {
            let folder = self.folder.clone();
            tokio::task::spawn_blocking(move || wipe_home(&folder)).await.map_err(|_| Error::ShutDown)??;
        }
        Ok(Left { holders })
    }

    /// Whether this node has [left](Self::leave) the space. It is off the network then.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.shared.look(Engine::has_left)
    }

    /// Waits until a connected peer holds all that is durable here.
    async fn holders(&self) -> Vec<PeerId> {
        let until = Instant::now() + TELLING;
        loop {
            let status = self.status();
            let wants_all = |peer: &PeerStatus| {
                let covers = |theirs: &Subscription| status.kept == 0 && theirs.covers(&status.subscription);
                peer.subscription.as_ref().is_none_or(|theirs| theirs.is_everything() || covers(theirs))
            };
            let holds_all = |peer: &&PeerStatus| peer.connected && peer.lag == Some(0) && wants_all(peer);
            let holders: Vec<PeerId> = status.peers.iter().filter(holds_all).map(|peer| peer.peer).collect();
            let nobody_can = !self.shared.is_online() || !self.shared.look(Engine::knows_anybody);
            if !holders.is_empty() || nobody_can || Instant::now() >= until || self.shared.is_stopped() {
                return holders;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Removes what makes a folder a home, all of it or nothing.
fn wipe_home(folder: &Path) -> Result<()> {
    // Nobody else may have it, and nobody may get it meanwhile.
    let store = RedbStore::open(folder)?;
    let witness = home::witness(&store)?;
    // A file that is open cannot be moved everywhere.
    let store = if cfg!(windows) { None } else { Some(store) };
    throw_away(folder).map_err(StoreError::Io)?;
    drop(store);
    if let Some(witness) = witness
        && let Err(why) = witness.remove()
    {
        tracing::warn!(%why, "what was noted of this home outside of it stays");
    }
    Ok(empty_trash(folder).map_err(StoreError::Io)?)
}

/// Moves the store to where it is deleted.
fn throw_away(folder: &Path) -> io::Result<()> {
    let (file, trash) = (RedbStore::file_in(folder), folder.join(TRASH));
    fs::create_dir_all(&trash)?;
    fs::rename(&file, RedbStore::file_in(&trash))?;
    // Or a power cut may bring it back.
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Deletes what was thrown away, and nothing else.
fn empty_trash(folder: &Path) -> io::Result<()> {
    let trash = folder.join(TRASH);
    match fs::remove_file(RedbStore::file_in(&trash)) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    match fs::remove_dir(&trash) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

/// Deletes what was thrown away before somebody was interrupted.
pub(super) fn finish_wiping(folder: &Path) {
    if let Err(why) = empty_trash(folder) {
        tracing::warn!(%why, "what was removed from this home could not be deleted; trying again next time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::home::{Home, Membership};

    fn open(folder: &Path, membership: &Membership) -> Result<Home> {
        Home::open(folder, membership, None, Some(&folder.join("state")))
    }

    fn files(folder: &Path) -> Vec<String> {
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        let mut names: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_home_in_use_is_not_wiped() {
        let folder = tempfile::tempdir().unwrap();
        let home = open(folder.path(), &Membership::Create).unwrap_or_else(|why| panic!("{why}"));
        assert!(matches!(wipe_home(folder.path()), Err(Error::Store(StoreError::Locked(_)))));
        assert_eq!(files(folder.path()), ["state", "tombolo.redb"]);
        drop(home);
        wipe_home(folder.path()).unwrap();
        assert_eq!(files(folder.path()), ["state"]);
        assert_eq!(files(&folder.path().join("state")).len(), 0, "nor is anything known of it elsewhere");
    }

    #[test]
    fn wiping_that_was_interrupted_is_finished_by_whoever_asks_for_the_home() {
        let folder = tempfile::tempdir().unwrap();
        for next in [Membership::Existing, Membership::Create] {
            drop(open(folder.path(), &Membership::Create).unwrap_or_else(|why| panic!("{why}")));
            throw_away(folder.path()).unwrap();
            assert_eq!(files(folder.path()), [TRASH, "state"]);
            let again = open(folder.path(), &next);
            assert!(!folder.path().join(TRASH).exists());
            match next {
                Membership::Existing => assert!(matches!(again, Err(Error::NoSpace(_)))),
                _ => assert!(again.is_ok()),
            }
        }
    }
}
