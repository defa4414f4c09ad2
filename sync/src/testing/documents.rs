//! What nodes do with documents.

use std::convert::Infallible;

use tombolo_crdt::{Crdt, Version};

use super::commit::{Commit, Fate};
use super::document::{self, Document, Kind};
use super::machinery::Drive as _;
use super::network::{Network, NodeId};
use super::stage::Open;
use crate::DocId;
use crate::engine::{BatchId, DocumentStatus, Engine, Listed, NotMerged, OpenError, UpdateError};

impl Network {
    /// Opens the document called `name` at a node, creating it if there is none. What this yields can be used at all nodes: one
    /// that has not opened it does so with its first [`update`](Self::update).
    ///
    /// # Panics
    /// If the node refuses ([`try_open`](Self::try_open) does not), or is down.
    pub fn open<T: Crdt>(&mut self, node: NodeId, name: &str) -> Document<T> {
        self.try_open(node, name)
            .unwrap_or_else(|why| panic!("{} does not open `{name}`: {why}", self.name(node)))
    }

    /// As [`open`](Self::open), for what may be refused.
    ///
    /// # Errors
    /// As of a real node: when the name stands for a document of another type, for instance.
    ///
    /// # Panics
    /// If the node is down.
    pub fn try_open<T: Crdt>(&mut self, node: NodeId, name: &str) -> Result<Document<T>, OpenError> {
        let index = self.index(node);
        let opened = self.stage.open_with(index, |engine, now| engine.open::<T>(now, name, true));
        let opened = opened.unwrap_or_else(|| panic!("{} is down: start it first", self.name(node)))?;
        let id = opened.expect("a document that may be created is there");
        self.kinds.entry(id).or_insert_with(Kind::of::<T>);
        self.stage.names.documents.entry(id).or_insert_with(|| name.to_owned());
        self.opened.insert((self.index(node), id));
        Ok(Document::new(id, name))
    }

    /// One transaction: visible at the node at once, and everywhere once time has passed and links have carried it.
    ///
    /// # Panics
    /// If the node refuses ([`try_update`](Self::try_update) does not), or is down. If `write` does; the transaction is then
    /// undone.
    pub fn update<T: Crdt, R>(
        &mut self,
        node: NodeId,
        document: &Document<T>,
        write: impl for<'a> FnOnce(&mut T::Mut<'a>) -> R,
    ) -> Commit<R> {
        match self.try_update(node, document, |value| Ok::<R, Infallible>(write(value))) {
            Ok(commit) => commit,
            Err(why) => panic!("{} does not write to `{}`: {why}", self.name(node), document.name()),
        }
    }

    /// As [`update`](Self::update), but `write` may refuse; what it had done is then undone.
    ///
    /// # Errors
    /// [`UpdateError::Rejected`] with what `write` said; or why the node did not take the write: the document was deleted, its
    /// disk has refused an earlier one, or the node knows the name as something else.
    ///
    /// # Panics
    /// If the node is down, or `write` panics.
    pub fn try_update<T: Crdt, R, E>(
        &mut self,
        node: NodeId,
        document: &Document<T>,
        write: impl for<'a> FnOnce(&mut T::Mut<'a>) -> Result<R, E>,
    ) -> Result<Commit<R>, UpdateError<E>> {
        let id = document.id;
        self.open_to_write(node, document)?;
        let (value, batch) = self.call(node, |engine, now| engine.update::<T, R, E>(now, id, write))?;
        Ok(self.commit(node, id, batch, value))
    }

    /// Merges a state that the application has in bytes, as `Document::merge` does: a template that ships with it, for instance. The commit's
    /// value says whether there was anything in it that was not known.
    ///
    /// # Panics
    /// If the node refuses ([`try_merge`](Self::try_merge) does not), or is down.
    pub fn merge<T: Crdt>(&mut self, node: NodeId, document: &Document<T>, state: &[u8]) -> Commit<bool> {
        match self.try_merge(node, document, state) {
            Ok(commit) => commit,
            Err(why) => {
                panic!("{} does not merge the state into `{}`: {why}", self.name(node), document.name())
            }
        }
    }

    /// As [`merge`](Self::merge), for what may be refused; nothing has changed then.
    ///
    /// # Errors
    /// [`UpdateError::Rejected`] with what is wrong with the state; or why the node did not take the write, as of
    /// [`try_update`](Self::try_update).
    ///
    /// # Panics
    /// If the node is down.
    pub fn try_merge<T: Crdt>(
        &mut self,
        node: NodeId,
        document: &Document<T>,
        state: &[u8],
    ) -> Result<Commit<bool>, UpdateError<NotMerged>> {
        let id = document.id;
        self.open_to_write(node, document)?;
        let (is_new, batch) = self.call(node, |engine, now| engine.merge::<T>(now, id, state))?;
        Ok(self.commit(node, id, batch, is_new))
    }

    /// Opens a document at a node that has not.
    fn open_to_write<T: Crdt, E>(
        &mut self,
        node: NodeId,
        document: &Document<T>,
    ) -> Result<(), UpdateError<E>> {
        let engine = self.engine(node);
        if engine.document::<T>(document.id).is_none() && !engine.is_deleted(document.id) {
            self.try_open::<T>(node, document.name()).map_err(|why| match why {
                OpenError::ReadOnly => UpdateError::ReadOnly,
                _ => UpdateError::NotOpen,
            })?;
        }
        Ok(())
    }

    /// Lets `look` read the value at a node: every write made there before, durable or not, and what has arrived. A document that
    /// is not there, or was deleted, reads as empty. Changes nothing.
    ///
    /// # Panics
    /// If the node is down, or holds something that is not a `T`.
    pub fn read<T: Crdt, R>(
        &self,
        node: NodeId,
        document: &Document<T>,
        look: impl FnOnce(&T::State) -> R,
    ) -> R {
        document::read::<T, R>(&self.stage, self.running_index(node), document.id, look)
    }

    /// Deletes a document, everywhere; what others write to it at the same time goes with it. The commit's value says whether the
    /// node knew it.
    ///
    /// # Panics
    /// If the node's disk has refused an earlier write, or the node is down.
    pub fn delete<T: Crdt>(&mut self, node: NodeId, document: &Document<T>) -> Commit<bool> {
        let name = document.name();
        let deleted = self.call(node, |engine, now| engine.try_delete(now, name, &T::type_name()));
        match deleted {
            Ok(batch) => self.commit(node, DocId::DIRECTORY, batch.unwrap_or(BatchId(0)), batch.is_some()),
            Err(why) => panic!("{} does not delete `{name}`: {why}", self.name(node)),
        }
    }

    /// The documents that a node has heard of, by name, then type.
    ///
    /// # Panics
    /// If the node is down.
    #[must_use]
    pub fn list(&self, node: NodeId) -> Vec<Listed> {
        self.engine(node).list()
    }

    /// What a node knows of a document; nothing if it is not there.
    ///
    /// # Panics
    /// If the node is down.
    #[must_use]
    pub fn version<T: Crdt>(&self, node: NodeId, document: &Document<T>) -> Version {
        self.document_status(node, document).map(|status| status.version).unwrap_or_default()
    }

    /// How a document stands at a node; `None` if it is not there.
    ///
    /// # Panics
    /// If the node is down.
    #[must_use]
    pub fn document_status<T: Crdt>(&self, node: NodeId, document: &Document<T>) -> Option<DocumentStatus> {
        self.engine(node).document_status(document.id)
    }

    /// Calls the engine of a node that runs.
    pub(super) fn call<R>(
        &mut self,
        node: NodeId,
        f: impl FnOnce(&mut Engine, crate::engine::Now) -> R,
    ) -> R {
        let index = self.index(node);
        match self.stage.call(index, f) {
            Some(value) => value,
            None => panic!("{} is down: start it first", self.name(node)),
        }
    }

    /// A write that was just made.
    fn commit<R>(&mut self, node: NodeId, doc: DocId, batch: BatchId, value: R) -> Commit<R> {
        let engine = self.engine(node);
        let (written, is_durable) = (engine.written(doc, batch), engine.is_durable(batch));
        let version = written.version.clone();
        let commit = Commit::new(value, node, written);
        if is_durable {
            // It changed nothing.
            _ = commit.fate().set(Fate::Durable);
        } else {
            let (node, fate) = (self.index(node), commit.fate().clone());
            self.stage.open.push(Open { node, batch, doc, version, fate });
        }
        commit
    }
}
