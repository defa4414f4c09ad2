use tombolo_crdt::Crdt;

#[derive(Crdt)]
struct Nothing;

#[derive(Crdt)]
struct Empty {}

#[derive(Crdt)]
enum Never {}

fn main() {}
