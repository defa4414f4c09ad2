//! What an application does with documents.

use std::convert::Infallible;

use tombolo_crdt::{Crdt, DecodeError, Delta, Merged, Opaque, Refused, Replica};

use super::directory::{self, Directory};
use super::document::MergeError;
use super::effect::{BatchId, Input, Now, Origin};
use super::storage::Slot;
use super::{Engine, document};
use crate::DocId;

/// Why a document was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is a document of this name, of another type.
    #[error("`{name}` is a {found}, not a {wanted}; open it as what it is, or choose another name")]
    WrongType {
        /// The name.
        name: String,
        /// The type asked for.
        wanted: String,
        /// The types there are.
        found: String,
    },
    /// What peers sent of the document is not of its type.
    #[error("the document `{name}` does not read as a {wanted}: {why}")]
    Content {
        /// The name.
        name: String,
        /// The type asked for.
        wanted: String,
        /// What is wrong.
        why: DecodeError,
    },
    /// No more documents are allowed.
    #[error("there are {limit} documents already, which is the limit")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The disk refused an earlier write, and the directory has not been read back from it yet.
    #[error("the disk refused an earlier write; documents cannot be created until it has been read back")]
    ReadOnly,
    /// The document is on the disk only, and is being read. A node waits for that by itself.
    #[error("the document {doc} is being read from the disk")]
    NotLoaded {
        /// Which.
        doc: DocId,
    },
    /// The document is on the disk only, and could not be read.
    #[error("the document `{name}` could not be read from the disk: {why}")]
    Unreadable {
        /// The name.
        name: String,
        /// What the disk said.
        why: String,
    },
    /// The name does not begin with any of the prefixes this node subscribes to.
    #[error(
        "this node holds a part of the space only, to which `{name}` does not belong; subscribe to a prefix of it, and start the node anew"
    )]
    NotSubscribed {
        /// The name.
        name: String,
    },
    /// The name is empty or too long.
    #[error("a document's name must have 1 to {MAX_NAME} bytes")]
    Name,
}

/// The longest name of a document, in bytes.
const MAX_NAME: usize = 1024;

/// Why an update did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError<E> {
    /// The closure said no; everything it had done is undone.
    #[error(transparent)]
    Rejected(E),
    /// The document was deleted, here or elsewhere.
    #[error("the document was deleted")]
    Deleted,
    /// The document is not open as this type.
    #[error("the document is not open as this type")]
    NotOpen,
    /// The disk refused an earlier write, and the document has not been read back from it yet.
    #[error("the disk refused an earlier write; the document stays read-only until it can be read back")]
    ReadOnly,
}

/// Why a state that the application has in bytes was not merged into a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotMerged {
    /// The bytes are no state of the document's type, are damaged, or exceed the limits of the codec.
    #[error("this is no state of the document's type: {0}")]
    Bytes(#[source] DecodeError),
    /// It has events under this store's replica id of which this store does not know that it wrote them: it was made by a copy of this store, or by
    /// this one before it was set back, or under an id that is not its author's. What this store has lost in truth comes back from its peers.
    #[error(
        "it has {theirs} events under the replica id of this store, of which {ours} are known to be this store's: a state to be shipped is made under an id of its own"
    )]
    Ours {
        /// How many are known to be this store's.
        ours: u64,
        /// How many the state has.
        theirs: u64,
    },
    /// It has something else than the document under one name of an event: two replicas wrote under one id.
    #[error(
        "it has something else than the document under one name of an event: another template is made under another replica id, or goes on from the bytes of the first"
    )]
    Contradicts,
    /// The document would hold more than a replica takes in.
    #[error("the document would hold more than {most} bytes: delete some of it first")]
    TooLarge {
        /// How many bytes it may hold.
        most: usize,
    },
    /// The document would name too many replicas.
    #[error("the document would have more than {limit} replica ids")]
    TooManyReplicas {
        /// The limit.
        limit: usize,
    },
}

impl NotMerged {
    fn because(why: MergeError, most: usize) -> Self {
        match why {
            MergeError::Bytes(why) => Self::Bytes(why),
            MergeError::Ours { ours, theirs } => Self::Ours { ours, theirs },
            MergeError::Contradicts => Self::Contradicts,
            MergeError::Replicas(limit) => Self::TooManyReplicas { limit },
            MergeError::Full(Refused::TooLarge { most }) => Self::TooLarge { most },
            // What waits for others in the document has ids as well. A state depends on nothing, and is in memory.
            MergeError::Full(_) | MergeError::Absent => Self::TooManyReplicas { limit: most },
        }
    }
}

/// A document cannot be written now.
struct ReadOnly;

impl Engine {
    /// Opens a document, creating it if `create` says so and it does not exist. `Ok(None)`: it does not exist. It stays in memory
    /// until it is [closed](Self::close) as often as it was opened.
    ///
    /// # Errors
    /// When the name stands for another type, or what peers sent is not of this type. [`OpenError::NotLoaded`] when it is on the disk
    /// only: it is being read then, and can be opened after [`Event::Loaded`](super::Event::Loaded).
    pub fn open<T: Crdt>(&mut self, now: Now, name: &str, create: bool) -> Result<Option<DocId>, OpenError> {
        self.now = now;
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(OpenError::Name);
        }
        if !self.config.subscription.includes(name) {
            return Err(OpenError::NotSubscribed { name: name.to_owned() });
        }
        self.perhaps_begin_anew();
        let wanted = T::type_name().into_owned();
        let (doc, exists) = directory::current(self.directory(), name, &wanted);
        if !exists {
            let found = directory::types_of(self.directory(), name);
            if !found.is_empty() {
                return Err(OpenError::WrongType {
                    name: name.to_owned(),
                    wanted,
                    found: found.join(" and a "),
                });
            }
            if !create {
                return Ok(None);
            }
            if !self.documents[&DocId::DIRECTORY].is_writable() {
                return Err(OpenError::ReadOnly);
            }
        }
        if self.is_absent(doc) {
            self.want_to_open(doc);
            return Err(OpenError::NotLoaded { doc });
        }
        self.created(doc, name);
        self.open_slot::<T>(doc).map_err(|why| match why {
            Some(why) => OpenError::Content { name: name.to_owned(), wanted: wanted.clone(), why },
            None => OpenError::TooMany { limit: self.config.max_documents },
        })?;
        if let Some(slot) = self.documents.get_mut(&doc) {
            slot.opened.get_or_insert_with(|| (name.to_owned(), wanted.clone()));
            slot.handles += 1;
            slot.wanted_until = 0;
        }
        self.touch(doc);
        if !exists {
            let delta = directory::create(self.directory_mut(), name, &wanted);
            self.enlist(doc, &delta);
            self.handle(now, Input::Tick);
        }
        Ok(Some(doc))
    }

    /// Has the document in memory as a `T`.
    pub(super) fn open_slot<T: Crdt>(&mut self, doc: DocId) -> Result<(), Option<DecodeError>> {
        let us = self.us;
        let count = self.documents.len();
        match self.documents.get_mut(&doc) {
            Some(slot) => {
                if let Some(opaque) = slot.body.as_any().downcast_ref::<Replica<Opaque>>() {
                    slot.body = Box::new(document::typed::<T>(us, opaque).map_err(Some)?);
                    // What only remembers removals can be told now.
                    slot.looked_at = None;
                    slot.unmeasured = None;
                    // What waited for what it depends on is not carried over; it can be had again.
                    self.chase(doc);
                }
                Ok(())
            }
            None if count >= self.config.max_documents && doc != DocId::MEMBERS => Err(None),
            None => {
                self.documents.insert(doc, Slot::new(Box::new(us.empty::<T>()), None));
                Ok(())
            }
        }
    }

    /// Deletes a document, here and everywhere; what others write to it at the same time goes with it. `None`: there is
    /// no such document, or the directory cannot be written; [`try_delete`](Self::try_delete) tells the two apart.
    pub fn delete(&mut self, now: Now, name: &str, type_name: &str) -> Option<BatchId> {
        self.try_delete(now, name, type_name).ok().flatten()
    }

    /// Deletes a document, here and everywhere; what others write to it at the same time goes with it. `Ok(None)`:
    /// there is no such document.
    ///
    /// # Errors
    /// [`UpdateError::ReadOnly`] when the directory cannot be written.
    pub fn try_delete(
        &mut self,
        now: Now,
        name: &str,
        type_name: &str,
    ) -> Result<Option<BatchId>, UpdateError<Infallible>> {
        self.now = now;
        if !self.documents[&DocId::DIRECTORY].is_writable() {
            return Err(UpdateError::ReadOnly);
        }
        let Some(delta) = directory::delete(self.directory_mut(), name, type_name) else { return Ok(None) };
        let batch = self.commit(DocId::DIRECTORY, &delta);
        self.directory_changed(Origin::Local);
        self.handle(now, Input::Tick);
        Ok(batch)
    }

    fn directory_mut(&mut self) -> &mut Replica<Directory> {
        let now = self.now.wall_millis;
        let slot = self.documents.get_mut(&DocId::DIRECTORY).expect("the directory is always there");
        slot.body.set_time(now);
        slot.body.as_any_mut().downcast_mut().expect("the directory is always open, as what it is")
    }

    /// The document, if it is open as a `T`.
    #[must_use]
    pub fn document<T: Crdt>(&self, doc: DocId) -> Option<&Replica<T>> {
        self.documents.get(&doc)?.body.as_any().downcast_ref()
    }

    /// One transaction on a document: visible at once; durable when [`Event::Durable`](super::Event::Durable) names
    /// the batch. A transaction that changed nothing names the last batch handed out before it.
    ///
    /// # Errors
    /// When the closure refuses, or the document cannot be written; nothing has changed then.
    pub fn update<T: Crdt, R, E>(
        &mut self,
        now: Now,
        doc: DocId,
        write: impl for<'a> FnOnce(&mut T::Mut<'a>) -> Result<R, E>,
    ) -> Result<(R, BatchId), UpdateError<E>> {
        self.now = now;
        if self.deleted.contains(&doc) {
            return Err(UpdateError::Deleted);
        }
        self.list_again(doc).map_err(|ReadOnly| UpdateError::ReadOnly)?;
        let kept = self.kept_apart(doc);
        let slot = self.documents.get_mut(&doc).ok_or(UpdateError::NotOpen)?;
        slot.body.set_time(now.wall_millis);
        slot.body.keep_counters(kept);
        let last_batch = slot.last_batch;
        let observed = slot.watch.observed();
        let replica = slot.body.as_any_mut().downcast_mut::<Replica<T>>().ok_or(UpdateError::NotOpen)?;
        let (value, delta) = match observed {
            None => replica.try_update(write).map_err(UpdateError::Rejected)?,
            Some(observed) => {
                let (value, delta, changes) =
                    replica.try_update_changes(write).map_err(UpdateError::Rejected)?;
                if !delta.is_empty() {
                    observed.push(changes);
                }
                (value, delta)
            }
        };
        let batch = self.commit(doc, &delta).or(last_batch).unwrap_or(BatchId(0));
        self.handle(now, Input::Tick);
        Ok((value, batch))
    }

    /// Merges a state that the application has in bytes, as [`Replica::encode`] wrote them: visible at once, durable when
    /// [`Event::Durable`](super::Event::Durable) names the batch. Says whether there was anything in it that was not known; one
    /// that was known names the last batch handed out before it.
    ///
    /// It is no write of ours, and takes no event: peers that have the same bytes know already what they would be sent.
    ///
    /// # Errors
    /// When the state is refused, or the document cannot be written; nothing has changed then.
    pub fn merge<T: Crdt>(
        &mut self,
        now: Now,
        doc: DocId,
        state: &[u8],
    ) -> Result<(bool, BatchId), UpdateError<NotMerged>> {
        self.now = now;
        if self.deleted.contains(&doc) {
            return Err(UpdateError::Deleted);
        }
        let (limits, ours) = (self.config.limits, self.surely_ours(doc));
        let refused = |why| UpdateError::Rejected(NotMerged::because(why, limits.replicas));
        let replica = self.document::<T>(doc).ok_or(UpdateError::NotOpen)?;
        let state = document::handed_in(replica, state, ours, &limits).map_err(refused)?;
        self.list_again(doc).map_err(|ReadOnly| UpdateError::ReadOnly)?;
        let slot = self.documents.get_mut(&doc).ok_or(UpdateError::NotOpen)?;
        slot.body.set_time(now.wall_millis);
        let last_batch = slot.last_batch;
        let replica = slot.body.as_any_mut().downcast_mut::<Replica<T>>().ok_or(UpdateError::NotOpen)?;
        let is_new =
            document::merged(replica, state, slot.watch.observed()).map_err(refused)? == Merged::Applied;
        let mut batch = last_batch;
        if is_new && let Some(new) = self.persist(doc, None) {
            self.counts.committed(new);
            self.changed(doc, Origin::Local);
            batch = Some(new);
        }
        self.handle(now, Input::Tick);
        Ok((is_new, batch.unwrap_or(BatchId(0))))
    }

    /// Checks that a document can be written, and lists it if its creation was undone.
    fn list_again(&mut self, doc: DocId) -> Result<(), ReadOnly> {
        let directory_is_writable = self.documents[&DocId::DIRECTORY].is_writable();
        let Some(slot) = self.documents.get(&doc) else { return Ok(()) };
        // SUBTLE: its creation may have been refused, and the directory has not been read back yet, which says so.
        let may_be_unlisted =
            slot.is_unlisted || slot.listed_with.is_some_and(|batch| !self.is_durable(batch));
        if !slot.is_writable() || (may_be_unlisted && !directory_is_writable) {
            return Err(ReadOnly);
        }
        let Some(slot) = self.documents.get_mut(&doc) else { return Ok(()) };
        if std::mem::take(&mut slot.is_unlisted)
            && let Some((name, type_name)) = slot.opened.clone()
            && directory::current(self.directory(), &name, &type_name) == (doc, false)
        {
            self.created(doc, &name);
            let delta = directory::create(self.directory_mut(), &name, &type_name);
            self.enlist(doc, &delta);
        }
        Ok(())
    }

    /// Stores that a document was created.
    fn enlist(&mut self, doc: DocId, delta: &Delta<Directory>) {
        let batch = self.commit(DocId::DIRECTORY, delta);
        if let Some(slot) = self.documents.get_mut(&doc) {
            slot.listed_with = batch;
        }
    }

    /// Stores a local change and has it pushed once it is durable.
    pub(super) fn commit<T: Crdt>(&mut self, doc: DocId, delta: &Delta<T>) -> Option<BatchId> {
        if delta.is_empty() {
            return None;
        }
        self.commit_as(doc, delta.encode_body(), delta.erase(), Origin::Local)
    }

    /// The same of a change of this origin, given also in bytes.
    pub(super) fn commit_as(
        &mut self,
        doc: DocId,
        record: Vec<u8>,
        delta: Delta<Opaque>,
        origin: Origin,
    ) -> Option<BatchId> {
        self.begin_to_write(doc);
        let batch = self.persist(doc, Some(record))?;
        self.counts.committed(batch);
        if let Some(slot) = self.documents.get_mut(&doc) {
            slot.fresh.push((batch, delta));
        }
        self.changed(doc, origin);
        Some(batch)
    }
}
