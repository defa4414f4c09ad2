//! Where concurrent writers left more than one value.

use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::{DotStore, Plain, Sweep};
use crate::causal::{LocalDot, ReplicaId, ReplicaTable, Stamp};

/// A place where concurrent writers left more than one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conflict {
    /// Where: keys of maps and names of fields, from the outside in.
    pub path: Vec<Plain>,
    /// What they left. Of a place that shows one value that one first, otherwise in the order that is the same everywhere.
    pub values: Vec<Claim>,
}

/// What somebody left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The value; `None` where it is a removal.
    pub value: Option<Plain>,
    /// Who wrote it: one replica, but for what several wrote together. Of where a node of a tree stands whose move is not followed: who put there what is in
    /// the way of that.
    pub by: Vec<ReplicaId>,
    /// When, by its author's clock, where the type keeps that.
    pub at: Option<Stamp>,
}

/// Where conflicts are gathered.
#[derive(Debug)]
pub struct Disputes<'t> {
    table: &'t ReplicaTable,
    path: Vec<Plain>,
    pub(crate) found: Vec<Conflict>,
}

impl<'t> Disputes<'t> {
    pub(crate) fn new(table: &'t ReplicaTable) -> Self {
        Self { table, path: Vec::new(), found: Vec::new() }
    }

    /// What lies below a key or a field.
    pub fn below(&mut self, key: Plain, say: impl FnOnce(&mut Self)) {
        self.path.push(key);
        say(self);
        self.path.pop();
    }

    /// What several wrote of one place, if it is several.
    pub(crate) fn claims<V>(
        &mut self,
        items: impl Iterator<Item = (LocalDot, V)>,
        claim: impl Fn(&V) -> (Option<Plain>, Option<Stamp>),
    ) {
        let mut values: Vec<Claim> = items
            .map(|(dot, item)| {
                let (value, at) = claim(&item);
                Claim { value, by: vec![self.table.id(dot.replica())], at }
            })
            .collect();
        // The last stamp is shown, and of equals that of the largest id, which comes last.
        values.reverse();
        values.sort_by_key(|claim| core::cmp::Reverse(claim.at));
        if values.first().is_some_and(|first| first.at.is_none()) {
            values.reverse();
        }
        self.settle(values);
    }

    pub(crate) fn authors<S: DotStore>(&self, of: &S) -> Vec<ReplicaId> {
        let mut all = Sweep::new(&[], self.table);
        of.remembered(&mut all);
        // Who forgets something has written nothing that is read.
        let naming = all.into_naming();
        let mut authors = Vec::new();
        of.dots(&mut |dot| authors.extend((!naming.contains(&dot)).then(|| self.table.id(dot.replica()))));
        authors.sort_unstable();
        authors.dedup();
        authors
    }

    pub(crate) fn settle(&mut self, values: Vec<Claim>) {
        if values.len() > 1 {
            self.found.push(Conflict { path: self.path.clone(), values });
        }
    }
}
