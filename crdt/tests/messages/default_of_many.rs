use tombolo_crdt::{Crdt, PnCounter};

#[derive(Crdt)]
struct Card {
    #[crdt(default = 3)]
    votes: PnCounter,
}

fn main() {}
