use tombolo_crdt::{Crdt, PnCounter};

#[derive(Crdt)]
enum Known {
    Unknown,
}

#[derive(Crdt)]
enum Shape {
    State(PnCounter),
}

#[derive(Crdt)]
enum Chosen {
    X(PnCounter),
    ChooseX(PnCounter),
}

fn main() {}
