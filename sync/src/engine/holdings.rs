//! What we hold durably; and of that, for each subscription somebody has, what belongs to it.
//!
//! A view of a subscription is kept up with every change, so that its digest costs nothing: each change of a document costs a look at
//! each view, of which there are as many as peers have different subscriptions that are not of everything.

use std::collections::BTreeMap;
use std::ops::Deref;

use tombolo_crdt::Version;

use super::memory::is_own;
use super::past::{Name, Past};
use super::subscription::Subscription;
use super::versions::Versions;
use crate::{DocId, PeerId};

/// What we hold durably, whole and by subscription. Read as the whole.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    all: Versions,
    /// What documents are called, as far as the directory says so. A name once known stays true: the id follows from it.
    names: BTreeMap<DocId, String>,
    views: BTreeMap<Subscription, Versions>,
    past: Past,
}

impl Deref for Holdings {
    type Target = Versions;

    fn deref(&self) -> &Versions {
        &self.all
    }
}

/// Whether a document belongs to a subscription. One of which we do not know the name belongs to that of everything only.
fn belongs(subscription: &Subscription, doc: DocId, names: &BTreeMap<DocId, String>) -> bool {
    is_own(doc)
        || subscription.is_everything()
        || names.get(&doc).is_some_and(|name| subscription.includes(name))
}

impl Holdings {
    /// Sets a document's version; an empty one removes it.
    pub(crate) fn set(&mut self, doc: DocId, version: Version) {
        self.note(doc, &version);
        self.all.set(doc, version);
        self.look(doc);
    }

    /// Raises a document's version.
    pub(crate) fn raise(&mut self, doc: DocId, version: &Version) {
        if self.all.get(doc).is_none_or(|held| !held.dominates(version)) {
            self.note(doc, version);
        }
        self.all.raise(doc, version);
        self.look(doc);
    }

    /// Removes a document.
    pub(crate) fn remove(&mut self, doc: DocId) {
        self.note(doc, &Version::new());
        self.all.remove(doc);
        self.look(doc);
    }

    /// A document is about to become `next`, or more than that.
    fn note(&mut self, doc: DocId, next: &Version) {
        let none = Version::new();
        let before = self.all.get(doc).unwrap_or(&none);
        if before != next {
            self.past.note(doc, before);
        }
    }

    /// A peer holds all that we hold, and nothing else.
    pub(crate) fn agreed(&mut self, peer: PeerId) {
        self.past.agreed(peer, self.all.digest());
    }

    /// All that we held when that had this name, if a peer held the same then.
    pub(crate) fn held(&self, of: Name) -> Option<Versions> {
        self.past.held(of, &self.all)
    }

    /// Which documents are otherwise now than they were then.
    pub(crate) fn changed_since(&self, of: Name) -> Option<Vec<DocId>> {
        Some(self.past.since(of)?.into_keys().collect())
    }

    fn look(&mut self, doc: DocId) {
        for (subscription, held) in &mut self.views {
            if belongs(subscription, doc, &self.names) {
                held.set(doc, self.all.get(doc).cloned().unwrap_or_default());
            }
        }
    }

    /// What a document is called, if we know.
    pub(crate) fn name(&self, doc: DocId) -> Option<&str> {
        self.names.get(&doc).map(String::as_str)
    }

    /// A document is called so. Says whether that is news.
    pub(crate) fn named(&mut self, doc: DocId, name: &str) -> bool {
        let is_news = !self.names.contains_key(&doc);
        if is_news {
            self.names.insert(doc, name.to_owned());
            self.look(doc);
        }
        is_news
    }

    /// A document is gone for good.
    pub(crate) fn forget_name(&mut self, doc: DocId) {
        self.names.remove(&doc);
    }

    /// Whether a document belongs to a subscription.
    pub(crate) fn belongs(&self, doc: DocId, subscription: &Subscription) -> bool {
        belongs(subscription, doc, &self.names)
    }

    /// Whether anybody there wants a part only.
    pub(crate) fn has_views(&self) -> bool {
        !self.views.is_empty()
    }

    /// What belongs to a subscription. It has to be [kept](Self::keep) up, if it is not that of everything.
    pub(crate) fn of(&self, subscription: &Subscription) -> Option<&Versions> {
        if subscription.is_everything() { Some(&self.all) } else { self.views.get(subscription) }
    }

    /// From now on what belongs to these subscriptions is kept up, and to no others.
    pub(crate) fn keep(&mut self, subscriptions: impl IntoIterator<Item = Subscription>) {
        let mut old = std::mem::take(&mut self.views);
        for subscription in subscriptions.into_iter().filter(|of| !of.is_everything()) {
            let held = old.remove(&subscription);
            self.views.entry(subscription).or_insert_with_key(|of| {
                held.unwrap_or_else(|| {
                    let mut held = Versions::default();
                    let all = self.all.iter().filter(|(doc, _)| belongs(of, *doc, &self.names));
                    all.for_each(|(doc, version)| held.set(doc, version.clone()));
                    held
                })
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tombolo_crdt::ReplicaId;

    use super::*;

    #[test]
    fn a_view_follows_what_becomes_durable_and_what_becomes_known() {
        let doc = |n: u8| DocId::from_bytes([n; 16]);
        let version = |n| [(ReplicaId::from_bytes([1; 16]), n)].into_iter().collect::<Version>();
        let work = Subscription::new(["work/"]).unwrap();
        let mut held = Holdings::default();
        (1..=4).for_each(|n| held.set(doc(n), version(1)));
        held.named(doc(1), "work/a");
        held.named(doc(2), "home/a");
        assert!(held.of(&work).is_none());
        held.keep([work.clone(), Subscription::everything()]);
        let docs = |held: &Holdings| held.of(&work).unwrap().iter().map(|(doc, _)| doc).collect::<Vec<_>>();
        assert_eq!(docs(&held), [doc(1)]);
        assert!(held.named(doc(3), "work/b") && !held.named(doc(3), "work/b"));
        held.raise(doc(1), &version(7));
        held.raise(doc(2), &version(7));
        assert_eq!(docs(&held), [doc(1), doc(3)]);
        assert_eq!(held.of(&work).unwrap().get(doc(1)), Some(&version(7)));
        held.remove(doc(1));
        assert_eq!(docs(&held), [doc(3)]);
        let mut anew = Versions::default();
        anew.set(doc(3), version(1));
        assert_eq!(held.of(&work).unwrap().digest(), anew.digest());
        held.keep([]);
        assert!(held.of(&work).is_none());
    }
}
