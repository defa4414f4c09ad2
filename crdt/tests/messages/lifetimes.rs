use tombolo_crdt::Crdt;

#[derive(Crdt)]
struct Card<'a> {
    #[crdt(lww)]
    title: &'a str,
}

fn main() {}
