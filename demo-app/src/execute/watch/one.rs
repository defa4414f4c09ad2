//! One document, or a place in it: what is there, and what becomes of it step by step.

use std::collections::VecDeque;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, select, select_all};
use serde_json::{Value, json};
use tombolo_crdt::{
    AddWinsSet, Change, Crdt, Doc, DotStore, EnableWinsFlag, List, LwwRegister, MovableList, MvRegister,
    Plain, PnCounter, Text, Tree,
};
use tombolo_sync::engine::{Listed, Step};
use tombolo_sync::{Changes, DocId, Lagged, Node, Watch};

use super::super::dump::Kind;
use super::Authors;
use crate::name::Name;

pub struct One {
    node: Node,
    only: Name,
    /// Says when there are other documents.
    changes: Changes,
    /// The documents of this name: of each type one.
    watched: Vec<Watched>,
    /// Those of types that only applications know.
    unknown: Vec<Listed>,
    ready: VecDeque<Value>,
    authors: Authors,
}

/// A document of a type that is known here.
struct Watched {
    id: DocId,
    kind: Kind,
    steps: Box<dyn Steps>,
    /// The value after all steps so far.
    shown: Plain,
}

/// What a document of some type becomes.
trait Steps: Send {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Step, Lagged>>>;
    /// A fresh view.
    fn view(&mut self) -> Plain;
}

impl<T: Crdt<State: DotStore>> Steps for Watch<T> {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Step, Lagged>>> {
        Self::next(self).boxed()
    }

    fn view(&mut self) -> Plain {
        Self::view(self, DotStore::plain)
    }
}

/// Watches a document; `None` if it cannot be read.
fn watch(node: &Node, listed: &Listed, kind: Kind) -> Option<Watched> {
    fn of<T: Crdt<State: DotStore>>(node: &Node, name: &str) -> Option<(Plain, Box<dyn Steps>)> {
        match node.find::<T>(name) {
            Ok(document) => {
                let (shown, steps) = document?.watch(DotStore::plain);
                Some((shown, Box::new(steps)))
            }
            Err(why) => {
                tracing::warn!(name, %why, "a document cannot be read");
                None
            }
        }
    }
    let (shown, steps) = match kind {
        Kind::Counter => of::<PnCounter>(node, &listed.name),
        Kind::Flag => of::<EnableWinsFlag>(node, &listed.name),
        Kind::Set => of::<AddWinsSet<String>>(node, &listed.name),
        Kind::Register => of::<MvRegister<String>>(node, &listed.name),
        Kind::Map => of::<Doc>(node, &listed.name),
        Kind::Text => of::<Text>(node, &listed.name),
        Kind::List => of::<List<String>>(node, &listed.name),
        Kind::Movable => of::<MovableList<LwwRegister<String>>>(node, &listed.name),
        Kind::Tree => of::<Tree<LwwRegister<String>>>(node, &listed.name),
    }?;
    Some(Watched { id: listed.id, kind, steps, shown })
}

/// What happens next.
enum Next {
    /// To which of the watched documents, and what.
    Step(usize, Option<Result<Step, Lagged>>),
    /// Something, to some document.
    Change(Option<tombolo_sync::Change>),
}

impl One {
    pub(super) fn new(node: &Node, only: Name) -> Self {
        let (changes, authors) = (node.subscribe(), Authors::new(node));
        let mut one = Self {
            node: node.clone(),
            only,
            changes,
            watched: Vec::new(),
            unknown: Vec::new(),
            ready: VecDeque::new(),
            authors,
        };
        one.look_for_documents();
        one
    }

    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(shown) = self.ready.pop_front() {
                return Some(shown);
            }
            match self.happens().await {
                Next::Step(at, Some(Ok(step))) => self.step(at, &step),
                Next::Step(at, Some(Err(Lagged))) => {
                    let watched = &mut self.watched[at];
                    watched.shown = watched.steps.view();
                    self.show_as_it_is(at);
                }
                // It was deleted, or the node is about to say that it has been shut down.
                Next::Step(at, None) => _ = self.watched.remove(at),
                Next::Change(change) => {
                    let change = change?;
                    if change.document == DocId::DIRECTORY {
                        self.look_for_documents();
                    } else if let Some(of) = self.unknown.iter().find(|of| of.id == change.document) {
                        let mut shown = json!({ "name": self.only, "type": of.type_name, "value": null });
                        self.authors.note(change.origin, &mut shown);
                        self.ready.push_back(shown);
                    }
                }
            }
        }
    }

    async fn happens(&mut self) -> Next {
        let changes = self.changes.next().boxed();
        let steps: Vec<_> = self.watched.iter_mut().map(|watched| watched.steps.next()).collect();
        if steps.is_empty() {
            return Next::Change(changes.await);
        }
        // Steps first: who looks for documents anew is to know which are gone.
        match select(select_all(steps), changes).await {
            Either::Left(((step, at, _), _)) => Next::Step(at, step),
            Either::Right((change, _)) => Next::Change(change),
        }
    }

    /// Watches the documents of this name that are not watched yet.
    fn look_for_documents(&mut self) {
        let is_inside = !self.only.inside().is_empty();
        for listed in self.node.list() {
            let kind = Kind::of_type(&listed.type_name);
            let is_known = self.watched.iter().any(|watched| watched.id == listed.id)
                || self.unknown.iter().any(|unknown| unknown.id == listed.id);
            if is_known || self.only.document() != listed.name || (is_inside && kind != Some(Kind::Map)) {
                continue;
            }
            match kind {
                None => self.unknown.push(listed),
                Some(kind) => {
                    if let Some(watched) = watch(&self.node, &listed, kind) {
                        self.watched.push(watched);
                        self.show_as_it_is(self.watched.len() - 1);
                    }
                }
            }
        }
    }

    fn show_as_it_is(&mut self, at: usize) {
        let mut shown = self.value(at);
        shown["origin"] = json!("view");
        self.ready.push_back(shown);
    }

    /// What is at the place that is watched, with its type.
    fn value(&self, at: usize) -> Value {
        let watched = &self.watched[at];
        let (tag, value) = match path_of(&self.only) {
            None => (watched.kind.name().to_owned(), in_json(&watched.shown)),
            Some(path) => {
                let entry = watched.shown.get(&path).map(in_json).unwrap_or_default();
                let mut types = entry.as_object().cloned().unwrap_or_default();
                match (types.len(), types.keys().next().cloned()) {
                    (1, Some(tag)) => (tag.clone(), types.remove(&tag).unwrap_or_default()),
                    (0, _) => ("nothing".to_owned(), Value::Null),
                    _ => ("several".to_owned(), Value::Object(types)),
                }
            }
        };
        json!({ "name": self.only, "type": tag, "value": value })
    }

    fn step(&mut self, at: usize, step: &Step) {
        let before = self.value(at);
        let watched = &mut self.watched[at];
        if step.apply_to(&mut watched.shown).is_err() {
            // It cannot be; but to show what is not there would be worse.
            watched.shown = watched.steps.view();
            return self.show_as_it_is(at);
        }
        let path = path_of(&self.only).unwrap_or_default();
        let changes = step.changes.iter().flat_map(|changes| &changes.changes);
        let below = changes.filter(|change| change.path.starts_with(&path));
        let different: Vec<Change> = below
            .map(|change| {
                let mut change = change.clone();
                change.path.drain(..path.len());
                change
            })
            .collect();
        let mut shown = self.value(at);
        // Something above it may have come or gone as well.
        if different.is_empty() && shown == before {
            return;
        }
        if !different.is_empty() {
            shown["different"] = serde_json::to_value(different).unwrap_or_default();
        }
        self.authors.note(step.origin, &mut shown);
        self.ready.push_back(shown);
    }
}

/// The way to a place inside a document, in its plain value; `None`: it is the document itself.
fn path_of(name: &Name) -> Option<Vec<Plain>> {
    let (last, maps) = name.inside().split_last()?;
    let map = Plain::from(Kind::Map.name());
    let above = maps.iter().flat_map(|part| [Plain::from(&part[..]), map.clone()]);
    Some(above.chain([Plain::from(&last[..])]).collect())
}

fn in_json(plain: &Plain) -> Value {
    serde_json::to_value(plain).unwrap_or_default()
}
