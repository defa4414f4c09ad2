//! What makes a folder a home: identity, space and name, as named records of its store.

use std::path::{Path, PathBuf};

use tombolo_crdt::ReplicaId;

use super::witness::{Doubt, Noted, Place, Reach, Witness, Witnessed};
use super::{Error, Result};
use crate::engine::{LEFT_RECORD as LEFT, REPLICA_RECORD as REPLICA, book};
use crate::store::{RedbStore, Store, StoreError, Write};
use crate::{PeerId, Renewal, Secret, SpaceId, Ticket};

const KEY: &str = "identity/key";
const PLACE: &str = "identity/place";
const NAME: &str = "identity/name";
const SECRET: &str = "space/secret";
/// Which space this one goes on from.
const RENEWS: &str = "space/renews";
const LISTEN: &str = "net/listen";
const ADDRESSES: &str = "net/addresses";

/// How a home comes to its space.
#[derive(Debug, Clone, Default)]
pub(super) enum Membership {
    /// It must have one.
    #[default]
    Existing,
    /// It makes one if it has none.
    Create,
    /// It joins the ticket's; if it holds documents of another space, only if `merge` says so.
    Join { ticket: Ticket, merge: bool },
    /// It must have one, which gets a new secret.
    Renew,
}

/// An opened home.
pub(super) struct Home {
    pub(super) store: Witnessed,
    /// The seed of the node's key.
    pub(super) key: [u8; 32],
    pub(super) peer: PeerId,
    pub(super) replica: ReplicaId,
    pub(super) name: String,
    pub(super) secret: Secret,
    /// Which space this one goes on from, for tickets.
    pub(super) renews: Option<Renewal>,
    /// Where to listen again: what it was asked for last, with the ports it got.
    pub(super) listen: Vec<String>,
    /// Where it could be reached last.
    pub(super) addresses: Vec<String>,
    /// Why it goes on under a new replica id, if it does.
    pub(super) doubt: Option<Doubt>,
    /// Whether it has left its space, and has not joined again.
    pub(super) has_left: bool,
}

pub(super) fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|why| Error::Randomness(why.to_string()))?;
    Ok(bytes)
}

fn record<const N: usize>(store: &RedbStore, key: &str) -> Result<Option<[u8; N]>> {
    let damaged = || crate::store::StoreError::Damaged(format!("the record `{key}` has a wrong length"));
    match store.record(key)? {
        None => Ok(None),
        Some(bytes) => Ok(Some(bytes.try_into().map_err(|_| damaged())?)),
    }
}

fn text(store: &dyn Store, key: &str) -> Result<Option<String>> {
    Ok(store.record(key)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Makes a home in `folder` of a backup.
pub(super) fn restore(file: &Path, folder: &Path) -> Result<()> {
    // Peers may hold what the store wrote after the backup, under dots that it would use again: it goes on as another
    // replica, in the same step in which it comes to be.
    let incarnation = Write::Put { key: REPLICA.to_owned(), value: ReplicaId::random().as_bytes().to_vec() };
    let place = Write::Delete { key: PLACE.to_owned() };
    Ok(RedbStore::restore(file, folder, &[incarnation, place])?)
}

impl Home {
    /// Opens the home in `folder`; `witnesses` is where it is noted how far homes have got, if it is to be noted.
    pub(super) fn open(
        folder: &Path,
        membership: &Membership,
        name: Option<&str>,
        witnesses: Option<&Path>,
    ) -> Result<Self> {
        super::leave::finish_wiping(folder);
        // Asking for what is not there leaves nothing behind.
        if matches!(membership, Membership::Existing | Membership::Renew) && !RedbStore::is_in(folder) {
            return Err(Error::NoSpace(PathBuf::from(folder)));
        }
        let store = RedbStore::open(folder)?;
        let mut writes = Vec::new();
        let put = |key: &str, value: &[u8]| Write::Put { key: key.to_owned(), value: value.to_vec() };
        let known = record::<32>(&store, SECRET)?.map(Secret::from_bytes);
        let mut renews = renewal(&store)?;
        let secret = match (membership, known) {
            (Membership::Existing | Membership::Renew, None) => {
                return Err(Error::NoSpace(PathBuf::from(folder)));
            }
            (Membership::Renew, Some(_)) if store.record(LEFT)?.is_some() => {
                return Err(Error::Left(PathBuf::from(folder)));
            }
            (Membership::Create, None) => Secret::from_bytes(random()?),
            (Membership::Existing | Membership::Create, Some(known)) => known,
            (Membership::Renew, Some(old)) => {
                let new = Secret::from_bytes(random()?);
                renews = Some(Renewal::of(&old, SpaceId::of(&new)));
                new
            }
            (Membership::Join { ticket, .. }, None) => {
                renews = ticket.renews;
                ticket.secret.clone()
            }
            (Membership::Join { ticket, .. }, Some(known)) if ticket.secret == known => known,
            (Membership::Join { ticket, merge }, Some(known)) => {
                renews = ticket.renews;
                // The same space under a new secret has the same peers.
                if !renews.is_some_and(|renewal| renewal.proves(&known, ticket.space)) {
                    if !merge && !store.documents()?.is_empty() {
                        return Err(Error::OtherSpace { ours: SpaceId::of(&known), theirs: ticket.space });
                    }
                    // Peers of one space are of no use in another.
                    for (key, _) in store.records(book::RECORDS)? {
                        writes.push(Write::Delete { key });
                    }
                }
                ticket.secret.clone()
            }
        };
        writes.push(put(SECRET, secret.as_bytes()));
        match &renews {
            Some(renewal) => {
                let renewal =
                    rmp_serde::to_vec(renewal).expect("a renewal consists of what MessagePack can say");
                writes.push(put(RENEWS, &renewal));
            }
            None if store.record(RENEWS)?.is_some() => {
                writes.push(Write::Delete { key: RENEWS.to_owned() });
            }
            None => {}
        }
        let mut has_left = store.record(LEFT)?.is_some();
        if has_left && matches!(membership, Membership::Join { .. }) {
            has_left = false;
            writes.push(Write::Delete { key: LEFT.to_owned() });
        }
        let known_key = record::<32>(&store, KEY)?;
        let (noted, doubt) = evidence(&store, folder, witnesses, known_key.as_ref())?;
        if let Some(doubt) = &doubt {
            tracing::warn!(%doubt, "going on under a new replica id");
        }
        let key = match (known_key, &doubt) {
            (Some(key), doubt) if !matches!(doubt, Some(Doubt::Copied { .. })) => key,
            // The original may be running, and two nodes of one key would be one to their peers.
            _ => random()?,
        };
        writes.push(put(KEY, &key));
        let replica = match (record::<16>(&store, REPLICA)?, &doubt) {
            (Some(replica), None) => ReplicaId::from_bytes(replica),
            _ => ReplicaId::random(),
        };
        writes.push(put(REPLICA, replica.as_bytes()));
        let witness = noted.witness.as_ref().map(|(folder, name)| Witness::in_folder(folder, *name));
        let witness = witness.filter(|_| witnesses.is_some());
        let noted = rmp_serde::to_vec(&noted).expect("a place consists of what MessagePack can say");
        writes.push(put(PLACE, &noted));
        let peer = crate::net::peer_of(&key)?;
        let default_name =
            || peer.to_string().chars().rev().take(6).collect::<Vec<_>>().into_iter().rev().collect();
        let name = match (name, text(&store, NAME)?) {
            (Some(name), _) => name.to_owned(),
            (None, Some(name)) => name,
            (None, None) => default_name(),
        };
        writes.push(put(NAME, name.as_bytes()));
        if let Membership::Join { ticket, .. } = membership
            && ticket.inviter != peer
        {
            let invitation = invitation(&store, ticket, &writes)?;
            writes.extend(invitation);
        }
        // Reading must go on when nothing can be written any more.
        let is_news = |write: &Write| match write {
            Write::Put { key, value } => store.record(key).map(|known| known.as_ref() != Some(value)),
            _ => Ok(true),
        };
        let mut news = Vec::new();
        for write in writes {
            if is_news(&write)? {
                news.push(write);
            }
        }
        let mut store = Witnessed::new(store, witness);
        if !news.is_empty() {
            let is_place = |write: &Write| matches!(write, Write::Put { key, .. } if key == PLACE);
            match store.commit(&news) {
                // It is only not noted where it is; that can wait.
                Err(why) if news.iter().all(is_place) => {
                    tracing::warn!(%why, "where this home is could not be noted in it");
                }
                committed => committed?,
            }
        }
        let (listen, addresses) = (lines(&store, LISTEN)?, lines(&store, ADDRESSES)?);
        Ok(Self { store, key, peer, replica, name, secret, renews, listen, addresses, doubt, has_left })
    }
}

/// Which space a home's space goes on from. What cannot be read is not needed.
fn renewal(store: &RedbStore) -> Result<Option<Renewal>> {
    Ok(store.record(RENEWS)?.and_then(|bytes| rmp_serde::from_slice(&bytes).ok()))
}

/// What stands outside of a home about it.
pub(super) fn witness(store: &RedbStore) -> Result<Option<Witness>> {
    let noted = store.record(PLACE)?.and_then(|bytes| rmp_serde::from_slice::<Noted>(&bytes).ok());
    Ok(noted.and_then(|noted| noted.witness).map(|(folder, name)| Witness::in_folder(&folder, name)))
}

/// What is to be noted of a home's place, and why it is not the only continuation of what it holds, if it may not be.
fn evidence(
    store: &RedbStore,
    folder: &Path,
    witnesses: Option<&Path>,
    key: Option<&[u8; 32]>,
) -> Result<(Noted, Option<Doubt>)> {
    let place = Place::of(&RedbStore::file_in(folder)).map_err(StoreError::Io)?;
    let commits = store.commits();
    let noted = store.record(PLACE)?.map(|bytes| rmp_serde::from_slice::<Noted>(&bytes));
    let doubt = match (&noted, key) {
        // A new home, one that was restored, or one of an older program.
        (None, _) | (_, None) => None,
        (Some(Ok(noted)), _) if noted.place == place => match (&noted.witness, witnesses) {
            (Some((there, name)), Some(folder)) if there == folder => {
                match Witness::in_folder(folder, *name).read() {
                    Some(reach) => reach.doubt(commits),
                    None => Some(Doubt::Unwitnessed),
                }
            }
            // Another user, or another setting: the witness here says nothing.
            _ => None,
        },
        (Some(_), Some(key)) => Some(Doubt::Copied { original: crate::net::peer_of(key)? }),
    };
    let witness = match (noted, witnesses, &doubt) {
        (Some(Ok(Noted { witness: Some(known), .. })), Some(folder), None) if known.0 == folder => {
            Some(known)
        }
        (_, Some(folder), _) => {
            let mut name = [0; 16];
            name.copy_from_slice(&random()?[..16]);
            match Witness::in_folder(folder, name).write(Reach::from(commits)) {
                Ok(()) => Some((folder.to_owned(), name)),
                Err(why) => {
                    tracing::warn!(%why, folder = %folder.display(), "nothing can be noted there of how far this home has got");
                    None
                }
            }
        }
        // What is not kept up to date any more would speak against the store later.
        _ => None,
    };
    Ok((Noted { place, witness }, doubt))
}

/// The record of the inviter; `None` if the inviter is known already, and is not forgotten by one of `writes`.
fn invitation(store: &RedbStore, ticket: &Ticket, writes: &[Write]) -> Result<Option<Write>> {
    let key = book::key(ticket.inviter);
    let is_known = store.record(&key)?.is_some() && !writes.contains(&Write::Delete { key });
    let is_needed = !is_known && !ticket.addresses.is_empty();
    Ok(is_needed.then(|| book::invitation(ticket.inviter, &ticket.addresses)))
}

fn lines(store: &dyn Store, key: &str) -> Result<Vec<String>> {
    Ok(text(store, key)?.unwrap_or_default().lines().map(str::to_owned).collect())
}

/// The records that keep where a node listens: for listening there again, and for tickets made while it is not running.
pub(super) fn listen_records(listen: &[String], addresses: &[String]) -> Vec<Write> {
    let record = |key: &str, lines: &[String]| Write::Put {
        key: key.to_owned(),
        value: lines.join("\n").into_bytes(),
    };
    vec![record(LISTEN, listen), record(ADDRESSES, addresses)]
}
