use tombolo_crdt::{BoundedCounter, Crdt};

#[derive(Crdt)]
enum Sale {
    Open(BoundedCounter),
    Closed,
}

fn main() {}
