//! Documents that leave memory, as an application sees it: not at all.

use tombolo_crdt::AddWinsSet;
use tombolo_sync::Node;

type Words = AddWinsSet<String>;

const DOCUMENTS: usize = 30;

async fn start(folder: &tempfile::TempDir) -> Node {
    Node::builder(folder.path()).no_witness().create().offline().memory(0).start().await.unwrap()
}

fn name(number: usize) -> String {
    format!("words {number}")
}

/// Opens a document, lets it go, and opens it again, while others do.
fn add(node: &Node, number: usize, word: &str) {
    let words = node.open::<Words>(&name(number)).unwrap();
    let seen = words.read(AddWinsSet::len);
    let copy = words.clone();
    drop(words);
    copy.update(|words| words.add(word)).forget();
    assert_eq!(copy.read(AddWinsSet::len), seen + 1);
}

fn check(node: &Node, count: usize) {
    for number in 0..DOCUMENTS {
        let words = node.find::<Words>(&name(number)).unwrap().expect("it is there");
        assert_eq!(words.read(AddWinsSet::len), count);
        assert_eq!(words.version().iter().map(|(_, events)| events).sum::<u64>(), count as u64);
    }
}

/// On the one thread that the runtime has: to open waits for the disk and for nothing else.
#[tokio::test]
async fn documents_that_nobody_holds_open_leave_memory_and_nobody_notices() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).await;
    for round in 0..4 {
        for number in 0..DOCUMENTS {
            add(&node, number, &format!("round {round}"));
        }
        node.flush().await;
        // What is not held any more goes with the next thing that happens.
        tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    }
    check(&node, 4);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let node = &node;
            scope.spawn(move || {
                (0..DOCUMENTS).for_each(|at| add(node, (at + 7 * thread) % DOCUMENTS, &thread.to_string()))
            });
        }
    });
    check(&node, 8);
    node.shutdown().await;
    assert!(node.open::<Words>(&name(0)).is_err());
    drop(node);
    let node = start(&folder).await;
    check(&node, 8);
    let held: Vec<_> = (0..DOCUMENTS).map(|number| node.open::<Words>(&name(number)).unwrap()).collect();
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert!(held.iter().all(|words| words.read(AddWinsSet::len) == 8), "what is held stays");
    node.shutdown().await;
}
