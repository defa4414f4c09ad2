use tombolo_crdt::{Crdt, Value};

#[derive(Crdt)]
enum Either<V: Value> {
    This(#[crdt(lww)] V),
    That(#[crdt(lww)] V),
}

fn main() {}
