//! The types whose decoders are fuzzed.

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Crdt, EnableWinsFlag, GCounter, GSet, MvRegister, PnCounter, Scalar,
};

/// An application's document: every attribute of the derive, maps in maps, and fields of each kind.
#[derive(Crdt)]
#[crdt(name = "fuzz.Board")]
pub struct Board {
    /// A leaf.
    pub visits: PnCounter,
    /// Another leaf.
    pub total: GCounter,
    /// A leaf without content.
    pub open: EnableWinsFlag,
    /// A register by attribute.
    #[crdt(lww)]
    pub title: String,
    /// The other one.
    #[crdt(mv)]
    pub owner: Option<u32>,
    /// A set at the top level.
    pub seen: GSet<u16>,
    /// A register by attribute that was called otherwise once.
    #[crdt(max, rename = "top", alias = "highest", default)]
    pub largest: u32,
    /// One of several.
    pub shape: Shape,
    /// Maps of structs of maps.
    pub cards: AddWinsMap<String, Card>,
}

/// An enum of all kinds of variants.
#[derive(Crdt)]
#[crdt(name = "fuzz.Shape")]
pub enum Shape {
    /// Named fields.
    Circle {
        /// A register.
        #[crdt(lww)]
        radius: u32,
    },
    /// A field without a name.
    Square(PnCounter),
    /// None.
    Nowhere,
}

/// What stands under a key of a [`Board`].
#[derive(Crdt)]
#[crdt(name = "fuzz.Card")]
pub struct Card {
    /// A counter that can be removed.
    pub votes: PnCounter,
    /// A set that can be removed.
    pub labels: AddWinsSet<String>,
    /// A register that can be removed.
    pub note: MvRegister<Scalar>,
    /// A map again, with keys of another kind.
    pub marks: AddWinsMap<i32, EnableWinsFlag>,
}
