use tombolo_crdt::Crdt;

#[derive(Crdt)]
struct Card {
    #[crdt(lww)]
    title: String,
    #[crdt(lww, rename = "heading", alias = "title")]
    name: String,
}

fn main() {}
