//! What a large document takes of memory at who sends it and at who receives it. By itself, for memory is that of the whole process.

mod heap;

use heap::Taken;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::AddWinsSet;
use tombolo_sync::engine::wire::{ContentKind, Frame};
use tombolo_tests::direct::Direct;

type Words = AddWinsSet<String>;

/// What a node may take beside a document that it sends or receives: pieces and parts that are under way, and what they are made of.
const WINDOW: isize = 4 << 20;

/// A document of so many megabytes goes to who has nothing of it.
fn transferred(megabytes: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(80);
    let mut word = || (0..2_000).map(|_| char::from(rng.random_range(b'!'..b'~'))).collect::<String>();
    let mut net = Direct::new(3, Taken::default());
    let doc = net.open::<Words>(0, "words");
    // With another who knows all of it, so that nothing is remembered of how it came to be, and no memory becomes free later.
    net.connect(0, 1);
    for _ in 0..megabytes {
        let words: Vec<String> = (0..500).map(|_| word()).collect();
        net.update::<Words>(0, doc, |set| set.extend(words));
        net.run_for(100);
    }
    net.run_for(10_000);
    net.cut(0, 1);
    net.run_for(1_000);
    let snapshot = net.engine(0).encoded(doc).expect("it is there").len().cast_signed();

    net.gauge = Taken::default();
    net.record();
    net.connect(0, 2);
    let has_nothing = |net: &Direct<Taken>| {
        net.engine(2).document_status(doc).is_none_or(|status| status.version.is_empty())
    };
    let mut sent = net.gauge.peak;
    while has_nothing(&net) {
        assert!(net.millis() < 120_000, "it arrives");
        sent = net.gauge.peak;
        net.run_for(1);
    }
    net.run_for(10_000);
    let version = |node: usize| net.engine(node).document_status(doc).map(|status| status.durable);
    assert_eq!(version(2), version(0));
    let is_piece = |frame: &Frame| matches!(frame, Frame::Content { kind: ContentKind::Piece, .. });
    let pieces = net.sent().iter().filter(|sent| is_piece(&sent.frame)).count();
    let (document, peak) = (net.gauge.now[2], net.gauge.peak);
    println!(
        "{megabytes} MB, {snapshot} bytes in {pieces} parts of pieces, {document} in memory: while it is sent {} and {}, in the end {} and {}",
        sent[0], sent[2], peak[0], peak[2]
    );
    assert!(pieces > megabytes, "{pieces}");
    assert!(document > snapshot, "it is counted: {document} of {snapshot}");
    // Who sends it has it in memory already.
    assert!(peak[0] < WINDOW, "{peak:?}");
    assert!(sent[2] < document + WINDOW, "{sent:?}, {document}");
    // All pieces are there, and become the document, which is written to the disk in one step: so all that is written is there beside it,
    // and a part of what that is made of. What the disk holds is not counted.
    assert!(peak[2] < document + snapshot + WINDOW, "{peak:?}, {document}");
}

#[test]
fn a_large_document_is_sent_and_received_in_bounded_memory() {
    for megabytes in [8, 16] {
        transferred(megabytes);
    }
}
