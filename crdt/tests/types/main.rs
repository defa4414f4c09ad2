//! What types of an application's own are made of, and how they merge.

mod conflicts;
mod derive;
mod extremes;
mod merging;
mod remembering;
mod schemas;
mod sums;
