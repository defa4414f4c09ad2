use tombolo_crdt::Crdt;

#[derive(Crdt)]
union Card {
    number: u32,
}

fn main() {}
