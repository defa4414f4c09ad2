use tombolo_crdt::Crdt;

#[derive(Crdt)]
struct Card {
    title: String,
}

fn main() {}
