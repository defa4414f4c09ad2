//! Which documents there are: a replicated document itself.
//!
//! A document is known by name and type. Its id is derived from both and from how often that pair was deleted; so two
//! peers that create the same at once mean one document, and one that is created after a deletion starts empty. The same
//! name may stand for documents of several types. Deleting wins over what is written to the document at the same time;
//! creating wins over deleting, with a new, empty document.

use std::collections::BTreeSet;

use tombolo_crdt::{AddWinsMap, Crdt, EnableWinsFlag, GSet, Replica};

use crate::DocId;

/// The directory: `(name, type)` to what is known about it.
pub(crate) type Directory = AddWinsMap<(String, String), Entry>;

#[derive(Crdt)]
#[crdt(name = "tombolo.DirectoryEntry")]
pub(crate) struct Entry {
    /// Whether there is such a document.
    created: EnableWinsFlag,
    /// The epochs that were deleted.
    deleted: GSet<u64>,
}

/// One document as the directory lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The name of its type.
    pub type_name: String,
    /// Its id.
    pub id: DocId,
}

fn epoch(entry: &EntryState) -> u64 {
    // Saturating: a hostile member may say that the very last epoch was deleted. The name is of no use then.
    entry.deleted.iter().last().map_or(0, |last| last.saturating_add(1))
}

/// The document that the pair of name and type stands for now, or would once it is created.
pub(crate) fn current(directory: &Directory, name: &str, type_name: &str) -> (DocId, bool) {
    let entry = directory.get(&(name.to_owned(), type_name.to_owned()));
    let (epoch, created) = entry.map_or((0, false), |entry| (epoch(entry), entry.created.value()));
    (DocId::derive(name, type_name, epoch), created)
}

/// All documents there are, by name, then type.
pub(crate) fn list(directory: &Directory) -> Vec<Listed> {
    let live = directory.iter().filter(|(_, entry)| entry.created.value());
    live.map(|((name, type_name), entry)| Listed {
        name: name.clone(),
        type_name: type_name.clone(),
        id: DocId::derive(name, type_name, epoch(entry)),
    })
    .collect()
}

/// How many documents there are.
pub(crate) fn count(directory: &Directory) -> usize {
    directory.iter().filter(|(_, entry)| entry.created.value()).count()
}

/// The types of the documents of this name.
pub(crate) fn types_of(directory: &Directory, name: &str) -> Vec<String> {
    let from = directory.range((name.to_owned(), String::new())..);
    let named = from.take_while(|((other, _), _)| other == name);
    named.filter(|(_, entry)| entry.created.value()).map(|((_, type_name), _)| type_name.clone()).collect()
}

/// The documents there are, and those there were or would be, with their names.
pub(crate) fn names(directory: &Directory) -> impl Iterator<Item = (DocId, &str)> {
    directory.iter().map(|((name, kind), entry)| (DocId::derive(name, kind, epoch(entry)), &**name))
}

/// The ids of deleted documents.
pub(crate) fn deleted(directory: &Directory) -> BTreeSet<DocId> {
    let epochs =
        directory.iter().flat_map(|(key, entry)| entry.deleted.iter().map(move |epoch| (key, *epoch)));
    epochs.map(|((name, type_name), epoch)| DocId::derive(name, type_name, epoch)).collect()
}

/// Notes that a document exists; yields the change.
pub(crate) fn create(
    directory: &mut Replica<Directory>,
    name: &str,
    type_name: &str,
) -> tombolo_crdt::Delta<Directory> {
    directory.update(|all| all.at((name.to_owned(), type_name.to_owned())).created().enable()).1
}

/// Notes that a document is gone; yields the change, `None` if there is no such document.
pub(crate) fn delete(
    directory: &mut Replica<Directory>,
    name: &str,
    type_name: &str,
) -> Option<tombolo_crdt::Delta<Directory>> {
    let key = (name.to_owned(), type_name.to_owned());
    let entry = directory.get(&key)?;
    if !entry.created.value() {
        return None;
    }
    let epoch = epoch(entry);
    let (_, delta) = directory.update(|all| {
        let mut entry = all.at(key);
        entry.deleted().add(epoch);
        entry.created().disable();
    });
    Some(delta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombolo_crdt::ReplicaId;

    fn two() -> (Replica<Directory>, Replica<Directory>) {
        (Replica::new(ReplicaId::from_bytes([1; 16])), Replica::new(ReplicaId::from_bytes([2; 16])))
    }

    #[test]
    fn two_sides_that_create_the_same_mean_the_same() {
        let (mut ann, mut bob) = two();
        let hers = create(&mut ann, "board", "Board");
        let _ = create(&mut bob, "board", "Board");
        let _ = bob.merge(hers);
        assert_eq!(list(&bob).len(), 1);
        assert_eq!(list(&ann), list(&bob));
    }

    #[test]
    fn created_again_after_deletion_is_another_document() {
        let (mut ann, _) = two();
        let _ = create(&mut ann, "board", "Board");
        let first = current(&ann, "board", "Board").0;
        assert!(delete(&mut ann, "board", "Board").is_some());
        assert!(delete(&mut ann, "board", "Board").is_none());
        assert!(list(&ann).is_empty());
        let _ = create(&mut ann, "board", "Board");
        assert_ne!(current(&ann, "board", "Board").0, first);
        assert_eq!(deleted(&ann), [first].into());
    }

    #[test]
    fn both_deleting_one_document_do_not_delete_what_one_creates_afterwards() {
        let (mut ann, mut bob) = two();
        let _ = bob.merge(create(&mut ann, "board", "Board"));
        let his = delete(&mut bob, "board", "Board").unwrap();
        let _ = delete(&mut ann, "board", "Board");
        let _ = create(&mut ann, "board", "Board");
        let second = current(&ann, "board", "Board");
        let _ = ann.merge(his);
        assert_eq!(current(&ann, "board", "Board"), second);
        assert!(second.1);
    }

    #[test]
    fn a_deletion_of_the_very_last_epoch_panics_nowhere() {
        let (mut eve, _) = two();
        let key = ("board".to_owned(), "Board".to_owned());
        let _ = eve.update(|all| {
            let mut entry = all.at(key);
            entry.created().enable();
            entry.deleted().add(u64::MAX);
        });
        assert_eq!(list(&eve).len(), 1);
        assert!(deleted(&eve).contains(&current(&eve, "board", "Board").0));
        assert!(delete(&mut eve, "board", "Board").is_some());
    }

    #[test]
    fn the_same_name_as_two_types_is_two_documents() {
        let (mut ann, _) = two();
        let _ = create(&mut ann, "x", "PnCounter");
        let _ = create(&mut ann, "x", "AddWinsSet");
        assert_eq!(
            list(&ann).iter().map(|listed| &listed.type_name[..]).collect::<Vec<_>>(),
            ["AddWinsSet", "PnCounter"]
        );
    }
}
