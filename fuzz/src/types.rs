//! The types whose decoders are fuzzed.

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, BoundedCounter, Crdt, DisableWinsFlag, EnableWinsFlag, GCounter, GMap, GSet,
    List, LwwMap, MinRegister, MovableList, MvRegister, PnCounter, RemoveWinsSet, Scalar, Text, Tree,
    TwoPhaseSet,
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
    /// A leaf that nothing may remove.
    pub stock: BoundedCounter,
    /// Such ones below keys that stay.
    pub stocks: GMap<String, BoundedCounter<-3>>,
    /// A leaf whose content is nothing, or says that it is out.
    pub allowed: DisableWinsFlag,
    /// A map of values with stamps, some of which say that they are removed.
    pub settings: LwwMap<String, Option<u32>>,
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
    /// A flag that can be removed, and remembers that it is disabled.
    pub locked: DisableWinsFlag,
    /// A register that can be removed, and keeps what is not the smallest.
    pub earliest: MinRegister<Scalar>,
    /// Another one, by attribute.
    #[crdt(max)]
    pub latest: String,
    /// Sets that can be removed, with what they remember.
    pub members: RemoveWinsSet<Scalar>,
    /// The other one.
    pub tickets: TwoPhaseSet<Scalar>,
    /// A map of values that can be removed as a whole.
    pub options: LwwMap<String, Scalar>,
    /// A map whose keys stay as long as it is not removed itself.
    pub tallies: GMap<String, PnCounter>,
    /// An enum below a key.
    pub shape: Shape,
    /// Text that can be removed.
    pub body: Text,
    /// A list that can be removed.
    pub steps: List<Scalar>,
    /// One whose elements can be written to and moved.
    pub lanes: MovableList<MvRegister<Scalar>>,
    /// A tree that can be removed.
    pub outline: Tree<MvRegister<Scalar>>,
}
