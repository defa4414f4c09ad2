use tombolo_crdt::Crdt;

#[derive(Crdt)]
struct Card {
    #[crdt(lww, mv)]
    title: String,
}

fn main() {}
