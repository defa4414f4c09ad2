//! Starting a node.

use std::path::{Path, PathBuf};

use super::clock::Clock;
use super::driver::Shared;
use super::home::{self, Home, Membership};
use super::witness::Witness;
use super::{Error, Node, Result, Space, listen};
use crate::engine::{
    Config, DEFAULT_DIRECT, DEFAULT_MEMORY, Engine, Forgetting, Input, Subscription, last_subscription,
};
use crate::net::{Multiaddr, Net, NetConfig};
use crate::store::Store;
use crate::{SpaceId, Ticket};
use tombolo_crdt::Limits;

/// Where a node listens if nothing else is said: on all interfaces, on ports of the system's choice.
const DEFAULT_LISTEN: [&str; 2] = ["/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"];
/// How many documents a node holds if nothing else is said.
const DEFAULT_DOCUMENTS: usize = 100_000;
/// The application id if none is given.
const DEFAULT_APPLICATION: &str = "tombolo";

/// How to start a [`Node`]. Made by [`Node::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing happens before `start`"]
pub struct NodeBuilder {
    folder: PathBuf,
    membership: Membership,
    name: Option<String>,
    application: String,
    listen: Option<Vec<String>>,
    announce: Option<Vec<String>>,
    peers: Vec<String>,
    mdns: bool,
    offline: bool,
    limits: Limits,
    subscription: Option<Vec<String>>,
    max_documents: usize,
    memory: usize,
    witnesses: Option<PathBuf>,
    clock_offset: i64,
}

impl NodeBuilder {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            membership: Membership::Existing,
            name: None,
            application: DEFAULT_APPLICATION.to_owned(),
            listen: None,
            announce: None,
            peers: Vec::new(),
            mdns: true,
            offline: false,
            limits: Limits::default(),
            subscription: None,
            max_documents: DEFAULT_DOCUMENTS,
            memory: DEFAULT_MEMORY,
            witnesses: Witness::default_folder(),
            clock_offset: 0,
        }
    }

    /// Makes a space, with a random secret, if the home belongs to none yet.
    pub fn create(mut self) -> Self {
        self.membership = Membership::Create;
        self
    }

    /// Joins the space of a ticket. A home that holds documents of another space is refused.
    pub fn join(mut self, ticket: Ticket) -> Self {
        self.membership = Membership::Join { ticket, merge: false };
        self
    }

    /// Joins the space of a ticket, and brings the documents of the home into it.
    pub fn join_merging(mut self, ticket: Ticket) -> Self {
        self.membership = Membership::Join { ticket, merge: true };
        self
    }

    /// Makes a new secret for the space of the home, after a device or a ticket was lost: once, and not at every start.
    ///
    /// From then on who has only the old secret is refused by this node, reads nothing of what is sent, and cannot join. The others
    /// have the old one too: each is given the new [`ticket`](Node::ticket) by hand and [joins](Self::join) with it, which keeps its
    /// documents, its peers and its replica id. Until then they and this node refuse each other, and go on by themselves. One
    /// that missed a renewal in between joins [merging](Self::join_merging), which keeps all but its peers.
    ///
    /// What the lost device has read it has, and what it writes comes in again as soon as it has a new ticket.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> tombolo_sync::Result<()> {
    /// # use tombolo_sync::Node;
    /// # let home = tempfile::tempdir().expect("a folder");
    /// # Node::builder(home.path()).no_witness().create().offline().start().await?.shutdown().await;
    /// let node = Node::builder(home.path()).renew_secret().no_witness().offline().start().await?;
    /// println!("give the other devices {}", node.ticket());
    /// node.shutdown().await; // and start it as usual from then on
    /// # Ok(()) }
    /// ```
    pub fn renew_secret(mut self) -> Self {
        self.membership = Membership::Renew;
        self
    }

    /// What others see this node called.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Keeps different applications apart: nodes of another id are refused. The default is `tombolo`.
    pub fn application(mut self, id: impl Into<String>) -> Self {
        self.application = id.into();
        self
    }

    /// Where to listen, instead of where it listened last or, the first time, on all interfaces. With no address the
    /// node dials only.
    pub fn listen(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.listen = Some(addresses.into_iter().map(Into::into).collect());
        self
    }

    /// What to tell others about where this node can be reached, instead of where it listens: behind a forwarded port,
    /// for instance.
    pub fn announce(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.announce = Some(addresses.into_iter().map(Into::into).collect());
        self
    }

    /// Where somebody of the space can be reached. May be given several times.
    pub fn peer(mut self, address: impl Into<String>) -> Self {
        self.peers.push(address.into());
        self
    }

    /// Whether to look for peers on the local network, and to be found there. The default is yes.
    pub fn mdns(mut self, mdns: bool) -> Self {
        self.mdns = mdns;
        self
    }

    /// Stays off the network: reads and writes only.
    pub fn offline(mut self) -> Self {
        self.offline = true;
        self
    }

    /// What decoding content from peers may cost.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where to note how far the home has got, outside of it: by this a home is known that an older state was put in the place of,
    /// and goes on under a new replica id ([`Node::doubt`]). It must not be where a backup of the home is restored to. The default is
    /// the platform's folder for an application's state (`~/.local/state/tombolo` or the like).
    pub fn witness(mut self, folder: impl Into<PathBuf>) -> Self {
        self.witnesses = Some(folder.into());
        self
    }

    /// Notes nothing outside of the home: for one that does not outlive the process, as in tests. That an older state was put in
    /// its place shows then only when it meets a peer.
    pub fn no_witness(mut self) -> Self {
        self.witnesses = None;
        self
    }

    /// Adds so many milliseconds to what the system says the time of day is: for tests of what wrong clocks do.
    pub fn clock_offset(mut self, millis: i64) -> Self {
        self.clock_offset = millis;
        self
    }

    /// About how many bytes of memory documents take at most that nobody has open; what is more is on the disk only, and read when it is
    /// needed. Documents that are open stay in memory, and count. The default is 256 MiB.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Holds a part of the space only: the documents whose names begin with one of these prefixes, and the directory, which lists the
    /// others too. The default is what it was last, and everything the first time. Others cannot be opened ([`OpenError::NotSubscribed`](crate::engine::OpenError)), nothing
    /// of them is asked for, and nothing sent here by those who know of this.
    ///
    /// The home remembers it, so it is said when it is to be another; one empty prefix is everything again. What is wanted no more is dropped when somebody who wants it is known
    /// to hold it durably, and kept until then ([`Status::kept`](crate::engine::Status)); what is wanted again is fetched. Two nodes
    /// exchange what both want when they are connected with each other; one between them that wants less does not pass it on.
    pub fn only(mut self, prefixes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.subscription = Some(prefixes.into_iter().map(Into::into).collect());
        self
    }

    /// How many documents the node holds at most. The default is 100 000.
    pub fn max_documents(mut self, max: usize) -> Self {
        self.max_documents = max;
        self
    }

    /// Starts the node. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the home is in use or damaged, belongs to no space or another one, or the network cannot be used; or when too many prefixes
    /// are subscribed to, or they are too long.
    #[tracing::instrument(skip_all, fields(home = %self.folder.display()))]
    pub async fn start(self) -> Result<Node> {
        let subscription = self.subscription.map(Subscription::new).transpose()?;
        let explicit = self.listen.as_deref().map(parse_all).transpose()?;
        parse_all(&self.peers)?;
        let (folder, membership, name) = (self.folder.clone(), self.membership.clone(), self.name.clone());
        let witnesses = self.witnesses.clone();
        let opening = move || Home::open(&folder, &membership, name.as_deref(), witnesses.as_deref());
        let home = tokio::task::spawn_blocking(opening).await.map_err(|_| Error::ShutDown)??;
        let Home {
            store,
            key,
            peer,
            replica,
            name,
            secret,
            renews,
            listen: last,
            addresses,
            doubt,
            has_left,
        } = home;
        if has_left && !self.offline {
            return Err(Error::Left(self.folder));
        }
        let subscription = match subscription {
            Some(subscription) => subscription,
            None => last_subscription(&store)?,
        };
        let config = Config {
            peer,
            replica,
            name: name.clone(),
            application: self.application.clone(),
            secret: secret.clone(),
            limits: self.limits,
            subscription,
            max_documents: self.max_documents,
            memory: self.memory,
            forgetting: Forgetting::default(),
            direct: DEFAULT_DIRECT,
            mistake: None,
            seed: home::random()?,
        };
        parse_all(self.announce.as_deref().unwrap_or_default())?;
        let clock = Clock::start(self.clock_offset);
        let shared = Shared::start(
            store,
            clock,
            addresses,
            self.announce.clone(),
            doubt,
            move |store: &dyn Store, now| Ok(Engine::start(config, store, now)?),
        )?;
        let space = SpaceId::of(&secret);
        shared.with_engine(|engine, now| {
            if let Membership::Join { ticket, .. } = &self.membership {
                let addresses = ticket.addresses.clone();
                engine.handle(now, Input::Discovered { peer: Some(ticket.inviter), addresses });
            }
            engine.handle(now, Input::Discovered { peer: None, addresses: self.peers.clone() });
        });
        let net = if self.offline {
            None
        } else {
            let topic = blake3::derive_key("tombolo 2026 gossip topic", secret.as_bytes());
            let topic = data_encoding::HEXLOWER.encode(&topic[..16]);
            let again =
                Some(parse_known(&last)).filter(|last| !last.is_empty()).unwrap_or_else(default_listen);
            let wanted = explicit.clone().unwrap_or(again);
            Some(start_net(key, &topic, wanted, explicit.is_none(), self.mdns).await?)
        };
        let asked: Vec<Multiaddr> = explicit.unwrap_or_else(default_listen);
        shared.run(net, move |addresses| {
            home::listen_records(&listen::with_ports(&asked, addresses), addresses)
        });
        Ok(Node::new(shared, Space { id: space, secret, renews }, name, self.folder))
    }
}

/// Puts the node on the network. Where the ports are only those of last time, others will do.
async fn start_net(
    key: [u8; 32],
    topic: &str,
    listen: Vec<Multiaddr>,
    any_port: bool,
    mdns: bool,
) -> Result<(Net, crate::net::NetEvents)> {
    let mut config = NetConfig::new(key, topic);
    config.mdns = mdns;
    config.listen = listen;
    match Net::start(config.clone()).await {
        Err(why) if any_port => {
            tracing::info!(%why, "the ports of last time are taken; listening on others");
            config.listen = default_listen();
            Ok(Net::start(config).await?)
        }
        started => Ok(started?),
    }
}

fn default_listen() -> Vec<Multiaddr> {
    DEFAULT_LISTEN.iter().filter_map(|address| address.parse().ok()).collect()
}

fn parse_known(addresses: &[String]) -> Vec<Multiaddr> {
    addresses.iter().filter_map(|address| address.parse().ok()).collect()
}

fn parse_all(addresses: &[String]) -> Result<Vec<Multiaddr>> {
    let parse = |address: &String| {
        address.parse().map_err(|why: crate::net::multiaddr::Error| Error::Address {
            address: address.clone(),
            why: why.to_string(),
        })
    };
    addresses.iter().map(parse).collect()
}
