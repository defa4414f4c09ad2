//! What becomes different in documents of a node, as an application is told it.

use std::time::Duration;

use tombolo_crdt::{AddWinsMap, Crdt, DotStore as _, LwwRegister, MovableList, Plain, PnCounter, Text, What};
use tombolo_sync::{Document, Lagged, Node, Origin, Step, Watch};

#[derive(Crdt)]
struct Board {
    visits: PnCounter,
    cards: AddWinsMap<String, Card>,
    notes: Text,
}

#[derive(Crdt)]
struct Card {
    #[crdt(lww)]
    title: String,
    steps: MovableList<LwwRegister<String>>,
}

const PATIENCE: Duration = Duration::from_secs(20);

const _: fn() = || {
    fn anywhere<T: Send + Sync + 'static>(_: &T) {}
    fn of(watch: &mut Watch<Board>) {
        anywhere(watch);
        anywhere(&watch.document().clone());
        fn goes<F: Future + Send>(_: F) {}
        goes(watch.next());
    }
    let _ = of;
};

async fn alone() -> (tempfile::TempDir, Node, Document<Board>) {
    let home = tempfile::tempdir().unwrap();
    let node = Node::builder(home.path()).no_witness().create().offline().start().await.unwrap();
    let board = node.open::<Board>("board").unwrap();
    (home, node, board)
}

fn plain(board: &Document<Board>) -> Plain {
    board.read(|board| board.plain())
}

/// Something of everything, that depends on what is there.
fn write(board: &mut BoardMut<'_>, writer: usize, round: usize) {
    board.visits().inc(1);
    let len = board.notes.len();
    board.notes().insert((7 * round + writer) % (len + 1), "\u{1f426}y").unwrap();
    if round % 11 == 10 {
        board.cards().remove("dig");
    }
    let mut card = board.cards().entry(["dig", "sow", "reap"][(round + writer) % 3]);
    card.title().set(format!("{writer} {round}"));
    let len = card.steps.len();
    card.steps().insert(round % (len + 1)).unwrap().set(format!("{round}"));
    if len > 1 {
        card.steps().move_to(round % len, writer % len).unwrap();
    }
}

/// All steps that wait.
fn waiting(watch: &mut Watch<Board>) -> Vec<Step> {
    std::iter::from_fn(|| watch.try_next().map(|step| step.expect("it does not lag"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_shows_what_there_is_whatever_handle_and_thread_wrote_it() {
    let (_home, node, board) = alone().await;
    board.update(|board| board.notes().push("Dig ")).forget();
    let (mut shown, mut watch) = board.watch(|board| board.plain());
    let (mut other, mut beside) = node.open::<Board>("board").unwrap().watch(|board| board.plain());
    let writers: Vec<_> = (0..4_usize)
        .map(|writer| {
            let board = node.open::<Board>("board").unwrap();
            std::thread::spawn(move || {
                for round in 0..50_usize {
                    board.update(|board| write(board, writer, round)).forget();
                }
            })
        })
        .collect();
    let shower = std::thread::spawn(move || {
        // One waits for each step, and goes when all have come.
        for _ in 0..200 {
            let step = beside.wait().expect("it goes on").expect("it does not lag");
            assert_eq!(step.origin, Origin::Local);
            step.apply_to(&mut other).expect("it fits");
        }
        (beside, other)
    });
    for writer in writers {
        writer.join().unwrap();
    }
    let (mut beside, other) = shower.join().unwrap();
    let steps = waiting(&mut watch);
    assert_eq!(steps.len(), 200);
    assert_eq!(steps.last().map(|step| &step.version), Some(&board.version()));
    steps.iter().for_each(|step| step.apply_to(&mut shown).expect("it fits"));
    assert_eq!((&shown, &other), (&plain(&board), &plain(&board)));
    // What fails and what changes nothing is told to nobody.
    assert!(
        board
            .try_update(|board| {
                board.visits().inc(1);
                Err::<(), _>("no")
            })
            .is_err()
    );
    board.update(|_| {}).await.unwrap();
    assert!(watch.try_next().is_none());
    drop(watch);
    node.shutdown().await;
    assert!(beside.wait().is_none(), "there will be none");
    assert!(board.watch(|_| ()).1.wait().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_look_is_told_so_and_goes_on_from_a_fresh_view() {
    let (_home, node, board) = alone().await;
    let (_, mut few) = board.watch(|_| ());
    let (_, mut large) = board.watch(|_| ());
    let write = |text: &str| board.update(|board| board.notes().push(text)).forget();
    // More bytes than are kept, alone, are handed on; and then nothing beside them is kept.
    write(&"x".repeat(5 << 20));
    assert_eq!(waiting(&mut few).len(), 1);
    write("y");
    assert_eq!(waiting(&mut few).len(), 1);
    assert_eq!(large.next().await, Some(Err(Lagged)));
    assert_eq!(large.try_next(), Some(Err(Lagged)), "and not only once");
    let mut shown = large.view(|board| board.plain());
    write("z");
    for step in waiting(&mut large) {
        step.apply_to(&mut shown).expect("it fits");
    }
    assert_eq!(shown, plain(&board));
    // More steps than are kept.
    for _ in 0..2_000 {
        board.update(|board| board.visits().inc(1)).forget();
    }
    assert_eq!(few.wait(), Some(Err(Lagged)));
    shown = few.view(|board| board.plain());
    assert_eq!(shown, plain(&board));
    board.update(|board| board.visits().inc(1)).forget();
    for step in waiting(&mut few) {
        step.apply_to(&mut shown).expect("it fits");
    }
    assert_eq!(shown, plain(&board));
    node.shutdown().await;
    assert_eq!(large.wait(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_deleted_is_told_to_be_empty_and_then_there_is_no_more() {
    let (_home, node, board) = alone().await;
    board.update(|board| board.notes().push("Dig.")).await.unwrap();
    let (mut shown, mut watch) = board.watch(|board| board.plain());
    node.delete::<Board>("board").await.unwrap();
    let step = watch.next().await.unwrap().unwrap();
    assert!(step.version.is_empty());
    step.apply_to(&mut shown).unwrap();
    assert_eq!(shown, plain(&board));
    assert_eq!(shown.get(&["notes".into()]).and_then(Plain::as_text), Some(""));
    let end = tokio::time::timeout(PATIENCE, watch.next()).await.expect("it comes to an end");
    assert_eq!(end, None);
    assert_eq!(board.watch(|board| board.plain()).0, shown);
    // One of the same name is another.
    let new = node.open::<Board>("board").unwrap();
    let (_, mut watch_new) = new.watch(|_| ());
    new.update(|board| board.visits().inc(1)).await.unwrap();
    assert_eq!(waiting(&mut watch_new).len(), 1);
    assert_eq!(watch.next().await, None);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_is_told_where_others_write_in_the_units_it_counts() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let on = |folder: &std::path::Path| {
        Node::builder(folder).no_witness().listen(["/ip4/127.0.0.1/tcp/0"]).mdns(false)
    };
    let ann = on(a.path()).create().start().await.unwrap();
    tokio::time::timeout(PATIENCE, async {
        while ann.listening().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it listens");
    let bob = on(b.path()).join(ann.ticket()).start().await.unwrap();
    let (hers, his) = (ann.open::<Text>("page").unwrap(), bob.open::<Text>("page").unwrap());
    hers.update(|text| text.push("\u{1f426}\u{1f426} fly.")).await.unwrap();
    tokio::time::timeout(PATIENCE, his.read_after(&hers.version())).await.expect("it comes").unwrap();
    let (mut shown, mut watch) = his.watch(|text| text.to_string().encode_utf16().collect::<Vec<u16>>());
    hers.update(|text| text.replace(1..2, "s of a feather").unwrap()).await.unwrap();
    let step = tokio::time::timeout(PATIENCE, watch.next()).await.expect("it comes").unwrap().unwrap();
    assert_eq!(step.origin, Origin::Peer(ann.peer_id()));
    for change in step.changes.iter().flat_map(|changes| &changes.changes) {
        let What::Spliced(splices) = &change.what else { panic!("{change:?}") };
        for splice in splices {
            shown.splice(splice.utf16.clone(), splice.inserted.encode_utf16());
        }
    }
    assert_eq!(String::from_utf16(&shown).unwrap(), his.read(|text| text.to_string()));
    ann.shutdown().await;
    bob.shutdown().await;
}
