//! Everything that three replicas can do with three operations, merged anywhere, for every type. Four operations, and more, are
//! gone through by `cargo run --release -p tombolo-tests --bin scopes`.

use tombolo_tests::model::catalogue;

#[test]
fn all_that_three_replicas_can_do_with_three_operations() {
    let mut sweep = Vec::new();
    for of in catalogue::all() {
        let visited = (of.explore)(3, 3, 2);
        assert!(visited.histories > 50 && visited.ways > visited.histories / 2, "{}: {visited:?}", of.name);
        if visited.sweeps > 0 {
            sweep.push(of.name);
        }
    }
    // In so few steps these have something to forget.
    let expected = ["RemoveWinsSet", "Text", "List", "MovableList", "Tree", "LwwMap"];
    assert!(expected.iter().all(|name| sweep.contains(name)), "{sweep:?}");
}
