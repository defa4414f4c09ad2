use tombolo_crdt::Crdt;

#[derive(Crdt)]
struct Game {
    #[crdt(max)]
    high_score: f64,
}

fn main() {}
