use tombolo_crdt::Crdt;

#[derive(Crdt)]
struct Card {
    #[crdt(last_writer_wins)]
    title: String,
}

fn main() {}
