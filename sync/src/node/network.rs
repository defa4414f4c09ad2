//! What an application says about the network: who may be reached where, which links are cut, and when it sleeps or changes.

use super::Node;
use crate::PeerId;
use crate::engine::Input;

impl Node {
    /// Tells the node where somebody of the space may be reached, as a multiaddress.
    pub fn add_peer(&self, address: impl Into<String>) {
        let addresses = vec![address.into()];
        let input = Input::Discovered { peer: None, addresses };
        self.shared.with_engine(|engine, now| engine.handle(now, input));
    }

    /// Cuts or restores the link to a peer on purpose; survives restarts. Says whether that changed anything.
    pub fn block(&self, peer: PeerId, blocked: bool) -> bool {
        self.shared.with_engine(|engine, now| engine.block(now, peer, blocked))
    }

    /// Cuts all links on purpose, or restores all; survives restarts. Says whether that changed anything.
    pub fn isolate(&self, isolated: bool) -> bool {
        self.shared.with_engine(|engine, now| engine.isolate(now, isolated))
    }

    /// Goes off the network until [`resume`](Self::resume), as when an application on a phone is sent to the background: ends all
    /// sessions, dials nobody, lets nobody in. When it returns, all that was written before is durable. What was written last need not
    /// have reached anybody; who wants that waits for [copies](super::Commit::replicated) first.
    ///
    /// Reading, writing and subscribing go on, and writes become durable as ever; peers get them after `resume`. A node that is
    /// started anew is not suspended. The listening sockets stay open and refuse whoever comes; discovery on the local network goes on
    /// as far as the system lets it.
    ///
    /// ```
    /// # use tombolo_crdt::PnCounter;
    /// # #[tokio::main] async fn main() -> tombolo_sync::Result<()> {
    /// # let home = tempfile::tempdir().expect("a folder");
    /// # let node = tombolo_sync::Node::builder(home.path()).no_witness().create().offline().start().await?;
    /// node.suspend().await;
    /// node.open::<PnCounter>("visits")?.update(|visits| visits.inc(1)).await?; // durable here
    /// node.resume(); // and at the others, from now on
    /// # node.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub async fn suspend(&self) {
        // First, so that what became durable by it is on its way before the links go.
        self.flush().await;
        self.shared.with_engine(|engine, now| engine.suspend(now, true));
        self.flush().await;
    }

    /// Goes on the network again after [`suspend`](Self::suspend), and dials everybody at once. Says whether it was suspended.
    pub fn resume(&self) -> bool {
        self.shared.with_engine(|engine, now| engine.suspend(now, false))
    }

    /// The network changed, or the machine woke up: dials everybody at once who is not connected, instead of after a pause that has
    /// grown to a minute. A session over a network that is gone is noticed by its silence, within four seconds. To be called
    /// when the system says so; nothing is lost by calling it too often.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> tombolo_sync::Result<()> {
    /// # let home = tempfile::tempdir().expect("a folder");
    /// # let node = tombolo_sync::Node::builder(home.path()).no_witness().create().offline().start().await?;
    /// node.network_changed();
    /// # node.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub fn network_changed(&self) {
        self.shared.with_engine(|engine, now| engine.handle(now, Input::NetworkChanged));
    }
}
