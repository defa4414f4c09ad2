use tombolo_crdt::Crdt;

struct Colour {
    red: u8,
}

#[derive(Crdt)]
struct Card {
    colour: Colour,
}

fn main() {}
