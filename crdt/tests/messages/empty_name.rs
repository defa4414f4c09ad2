use tombolo_crdt::Crdt;

#[derive(Crdt)]
#[crdt(name = "")]
struct Card {
    #[crdt(lww)]
    title: String,
}

fn main() {}
