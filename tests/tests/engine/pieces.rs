//! Large documents on their way to who has nothing of them.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{AddWinsSet, PnCounter};
use tombolo_sync::DocId;
use tombolo_sync::engine::wire::{ContentKind, Frame, PART, Piece};
use tombolo_sync::store::{MemoryStore, Store as _};
use tombolo_tests::sim::{Branch, GossipWeather, Kind, LinkState, Sent, World};

type Words = AddWinsSet<String>;

const ELEMENTS: usize = 1_500;
/// About how long a piece is, with its frames.
const PIECE: usize = (512 << 10) + FRAMES;
/// How much of a piece is under way at a time over a link that takes longer than a moment for a part.
const WINDOW: usize = 3 * PART;
/// What all frames of a piece take beside what they carry.
const FRAMES: usize = 1 << 10;

/// A word of two kilobytes that nothing makes shorter.
fn word(rng: &mut ChaCha8Rng) -> String {
    noise(rng, 2_000)
}

/// So many letters that nothing makes fewer.
fn noise(rng: &mut ChaCha8Rng, letters: usize) -> String {
    (0..letters).map(|_| char::from(rng.random_range(b'!'..b'~'))).collect()
}

/// The first node has a document of some three megabytes, and remembers nothing of how it came to be.
fn large(nodes: usize, seed: u64) -> (World, DocId, ChaCha8Rng) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let words: Vec<String> = (0..ELEMENTS).map(|_| word(&mut rng)).collect();
    let (world, doc) = holding(nodes, seed, words);
    (world, doc, rng)
}

/// The first node has a document of these words, and remembers nothing of how it came to be. The others know nothing, and where it is.
fn holding(nodes: usize, seed: u64, words: Vec<String>) -> (World, DocId) {
    let mut world = World::new(nodes, seed);
    let doc = world.open::<Words>(0, "words");
    world.update::<Words, _>(0, doc, |set| set.extend(words));
    world.run_for(1_000);
    world.crash(0, true, 0);
    world.start(0);
    world.open::<Words>(0, "words");
    world.record();
    for node in 1..nodes {
        world.set_bandwidth(0, node, 2_000);
        world.befriend(node, 0);
    }
    (world, doc)
}

fn pieces(world: &World, to: usize) -> impl Iterator<Item = (&Sent, Piece)> {
    world.sent().iter().filter(move |sent| sent.to == to).filter_map(|sent| match &sent.frame {
        Frame::Content { kind: ContentKind::Piece, part: 0, parts: 1, bytes, .. } => {
            Some((sent, Piece::decode(bytes)?))
        }
        _ => None,
    })
}

fn content_bytes(world: &World, to: usize) -> usize {
    let content =
        world.sent().iter().filter(|sent| sent.to == to && matches!(sent.frame, Frame::Content { .. }));
    content.map(|sent| sent.bytes).sum()
}

fn has_nothing(world: &World, node: usize, doc: DocId) -> bool {
    world.engine(node).document_status(doc).is_none_or(|status| status.version.is_empty())
}

fn equal(world: &mut World, doc: DocId) {
    world.run_until_agreed(30_000);
    for node in 1..world.len() {
        assert!(world.canonical(node, doc) == world.canonical(0, doc), "n{node}");
        assert!(!world.disk(node).version(doc).is_empty());
    }
}

/// What was sent to a node, but for the greeting, which costs the same whatever there is: frames of any kind.
fn bytes_after_greeting(world: &World, to: usize) -> usize {
    let greets = |frame: &Frame| matches!(frame, Frame::Hello(_) | Frame::Proof(_) | Frame::Welcome(_));
    world.sent().iter().filter(|sent| sent.to == to && !greets(&sent.frame)).map(|sent| sent.bytes).sum()
}

#[test]
fn a_large_document_comes_in_pieces_in_as_many_bytes_as_it_has() {
    let (mut world, doc, _) = large(2, 1);
    let snapshot = world.engine(0).encoded(doc).unwrap().len();
    equal(&mut world, doc);
    let bytes = bytes_after_greeting(&world, 1);
    println!("{bytes} bytes for a snapshot of {snapshot}");
    assert!(bytes <= snapshot * 105 / 100, "{bytes} bytes for a snapshot of {snapshot}");
    let pulls =
        world.sent().iter().filter(|sent| matches!(&sent.frame, Frame::Pull { doc: of, .. } if *of == doc));
    assert!(pulls.count() >= 4, "in pieces");
}

/// What one that joins a space is sent by one that knows all of it.
#[derive(Debug)]
struct Joined {
    /// The states of all documents, and that of the directory, which names them.
    snapshot: usize,
    /// Of these, the documents.
    documents: usize,
    /// All that was sent after the greeting: frames and payloads.
    wire: usize,
    /// Of that, pieces of documents.
    pieces: usize,
}

impl Joined {
    /// Whether it was at most so many hundredths of the snapshot.
    fn is_within(&self, hundredths: usize) -> bool {
        self.wire * 100 <= self.snapshot * hundredths
    }
}

/// So many documents at a node that remembers nothing of how they came to be, and another that joins it.
fn joined(documents: usize, mut write: impl FnMut(&mut ChaCha8Rng) -> Vec<String>) -> Joined {
    let mut rng = ChaCha8Rng::seed_from_u64(70);
    let mut world = World::new(2, 70);
    let docs: Vec<DocId> = (0..documents)
        .map(|number| {
            let doc = world.open::<Words>(0, &format!("document {number}"));
            let words = write(&mut rng);
            world.update::<Words, _>(0, doc, |set| set.extend(words));
            doc
        })
        .collect();
    world.run_for(1_000);
    world.crash(0, true, 0);
    world.start(0);
    world.run_for(1_000);
    world.record();
    let payloads = world.nodes[0].sent.payload_bytes;
    world.befriend(1, 0);
    let level = |world: &World| docs.iter().all(|doc| !has_nothing(world, 1, *doc)) && world.agrees();
    world.run_until(60_000, level).expect("it arrives");
    let wire = bytes_after_greeting(&world, 1) + (world.nodes[0].sent.payload_bytes - payloads) as usize;
    let state = |doc: DocId| world.encoded(0, doc).unwrap().len();
    let documents = docs.iter().map(|doc| state(*doc)).sum();
    let snapshot = documents + state(DocId::DIRECTORY);
    let pieces = world
        .sent()
        .iter()
        .filter(|sent| matches!(sent.frame, Frame::Content { kind: ContentKind::Piece, .. }))
        .count();
    let joined = Joined { snapshot, documents, wire, pieces };
    println!("{docs} documents: {joined:?}, {:.3}", wire as f64 / snapshot as f64, docs = docs.len());
    joined
}

/// Lines of about a hundred letters, of few different words: what a compressor makes three times shorter.
fn prose(rng: &mut ChaCha8Rng, lines: usize) -> Vec<String> {
    let words: Vec<String> = (0..400).map(|at| noise(rng, 3 + at % 9)).collect();
    let mut word = || words[rng.random_range(0..words.len())].as_str();
    (0..lines).map(|_| (0..12).map(|_| word()).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn who_joins_is_sent_hardly_more_than_there_is() {
    // Two kilobytes.
    let small = joined(1, |rng| vec![noise(rng, 2_400)]);
    assert!((2_000..2_200).contains(&small.documents) && small.is_within(105), "{small:?}");
    // A megabyte, before it is compressed.
    let prosaic = joined(1, |rng| prose(rng, 10_000));
    assert!(prosaic.documents < 400_000 && prosaic.is_within(105), "{prosaic:?}");
    // A thousand of a kilobyte.
    let many = joined(1_000, |rng| vec![noise(rng, 1_000)]);
    assert!(many.is_within(105), "{many:?}");
}

/// Where a document is so small that what says which it is weighs: its id of 16 bytes and its version, once, and what its content stands
/// in.
#[test]
fn of_small_documents_each_costs_who_joins_its_name_beside_what_it_is() {
    const EACH: usize = 33;
    let many = joined(1_000, |rng| vec![noise(rng, 100)]);
    assert!(many.documents < 150_000, "{many:?}");
    assert!(many.wire <= many.snapshot + 1_000 * EACH, "{many:?}");
}

/// A piece of what is compressed is one slice, and longer than those of a snapshot.
#[test]
fn compressed_pieces_are_hardly_longer_than_a_snapshot() {
    let prosaic = joined(1, |rng| prose(rng, 30_000));
    assert!(prosaic.pieces > 0 && prosaic.is_within(105), "{prosaic:?}");
}

/// The simulator checks that what is shown is what there is.
#[test]
fn what_comes_in_pieces_is_told_to_who_shows_it() {
    for (seed, meanwhile) in [(7, None), (8, Some(0)), (9, Some(400))] {
        let (mut world, doc, _) = large(2, seed);
        if let Some(after) = meanwhile {
            // There is something there already, or some pieces are before it is opened.
            world.run_for(after);
            world.open::<Words>(1, "words");
            world.update::<Words, _>(1, doc, |words| words.add("meanwhile"));
        } else {
            world.open::<Words>(1, "words");
        }
        world.show(1, Kind::Set, doc);
        equal(&mut world, doc);
        assert!(world.stats().branch(Branch::Pieces) >= 4, "{meanwhile:?}: {}", world.stats());
        let shown = world.read::<Words, _>(1, doc, |words| words.iter().count());
        assert_eq!(shown, ELEMENTS + usize::from(meanwhile.is_some()));
    }
}

#[test]
fn nothing_of_it_is_seen_before_it_is_all_there_and_what_is_written_meanwhile_is_there_too() {
    for seed in 0..2 {
        let (mut world, doc, mut rng) = large(2, 10 + seed);
        let mut seen_nothing = 0;
        let mut last = None;
        while !world.agrees() || world.ready(0).is_empty() {
            world.run_for(20);
            if has_nothing(&world, 1, doc) {
                seen_nothing += 1;
                // Adds, and takes away what may have been sent already or not.
                let gone =
                    world.read::<Words, _>(0, doc, |set| set.iter().nth(rng.random_range(0..1_000)).cloned());
                world.update::<Words, _>(0, doc, |set| {
                    set.remove(&*gone.unwrap());
                    set.add(word(&mut rng));
                });
                last = Some(world.engine(0).document_status(doc).unwrap().version);
            }
            assert!(world.now() < 60_000);
        }
        assert!(seen_nothing > 20, "{seen_nothing}");
        equal(&mut world, doc);
        assert_eq!(world.engine(1).document_status(doc).unwrap().version, last.unwrap());
    }
}

#[test]
fn it_goes_on_where_it_was_cut_off_also_after_a_crash_of_either_side() {
    for (seed, crash) in [(20, None), (21, Some(1)), (22, Some(0))] {
        let (mut world, doc, _) = large(2, seed);
        world.set_bandwidth(0, 1, 800);
        let mut cuts = 0;
        while world.run_until(1_300, |world| !world.ready(0).is_empty() && world.agrees()).is_none() {
            match crash {
                Some(node) => {
                    world.crash(node, true, 0);
                    world.start(node);
                }
                None => {
                    world.set_link(0, 1, LinkState::Cut);
                    world.run_for(300);
                    world.set_link(0, 1, LinkState::Up);
                }
            }
            cuts += 1;
            assert!(cuts < 12, "it begins anew every time");
        }
        assert!(cuts >= 2);
        equal(&mut world, doc);
        let (bytes, snapshot) = (content_bytes(&world, 1), world.engine(0).encoded(doc).unwrap().len());
        println!("{crash:?}: {bytes} for {snapshot}, {cuts} cuts");
        // Of each cut is sent again what was under way, and if who receives it loses its memory, what of a piece had come. The link
        // carries a megabyte between two cuts.
        let most = if crash == Some(1) { PIECE + WINDOW } else { WINDOW };
        assert!(bytes < snapshot * 105 / 100 + cuts * most, "{bytes} for {snapshot}, {cuts} cuts");
    }
}

/// How a transfer is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Link,
    Receiver,
    Sender,
}

/// A document on its way, at a megabyte a second.
struct Under {
    way: World,
    doc: DocId,
    /// When it was begun.
    begun: u64,
}

impl Under {
    fn way(disk: &MemoryStore) -> Self {
        let mut way = World::new(2, 60);
        way.crash(0, true, 0);
        way.disk(0).replace(disk.image());
        way.start(0);
        let doc = way.open::<Words>(0, "words");
        way.set_bandwidth(0, 1, 1_000);
        way.record();
        way.befriend(1, 0);
        Self { begun: way.now(), way, doc }
    }

    fn content(&self) -> impl Iterator<Item = &Sent> {
        let is_content = |sent: &&Sent| matches!(&sent.frame, Frame::Content { doc, .. } if *doc == self.doc);
        self.way.sent().iter().filter(|sent| sent.to == 1).filter(is_content)
    }

    /// How many bytes of content have been sent.
    fn sent(&self) -> usize {
        self.content().map(|sent| sent.bytes).sum()
    }

    /// How many of them the receiver has: all, or the pieces that are on its disk, and parts of the next one.
    fn held(&mut self) -> usize {
        if !self.way.disk(1).version(self.doc).is_empty() {
            return self.sent();
        }
        let staged = self.way.disk(1).store.staged_document(self.doc).unwrap().unwrap_or_default();
        let parts = if self.way.runs(1) { self.way.engine(1).transfer_bytes() } else { 0 };
        staged.slices.iter().map(|(_, slice)| slice.len()).sum::<usize>() + parts
    }

    /// After how long which piece was asked for.
    fn asked(&self) -> Vec<u64> {
        let pulls = |sent: &&Sent| matches!(&sent.frame, Frame::Pull { doc, .. } if *doc == self.doc);
        self.way.sent().iter().filter(pulls).map(|sent| sent.at - self.begun).collect()
    }
}

#[test]
fn wherever_it_is_cut_off_it_goes_on_from_there() {
    let mut rng = ChaCha8Rng::seed_from_u64(60);
    let words = (0..110).map(|_| noise(&mut rng, 10_000)).collect();
    let (mut world, doc) = holding(1, 60, words);
    let (disk, expected) = (world.disk(0).store.image(), world.canonical(0, doc).unwrap());
    let mut whole = Under::way(&disk);
    let took = whole.way.run_until_agreed(30_000);
    let (all, asked) = (whole.sent(), whole.asked());
    println!("{all} bytes in {took} ms; asked after {asked:?} ms");
    assert_eq!(asked.len(), 3, "two pieces, and whether anything came since");

    // All through the pieces, and every millisecond at their borders.
    let border = |at: u64, wide: u64| asked.iter().any(|asked| at.abs_diff(*asked) < wide);
    let mut points: Vec<(u64, Cut)> =
        (0..took).filter(|at| at % 16 == 0 || border(*at, 4)).map(|at| (at, Cut::Link)).collect();
    for cut in [Cut::Receiver, Cut::Sender] {
        points.extend((0..took).filter(|at| at % 60 == 7 || border(*at, 3)).map(|at| (at, cut)));
    }
    let mut dearest = [0; 3];
    for &(at, cut) in &points {
        let mut under = Under::way(&disk);
        under.way.run_for(at);
        let down = match cut {
            Cut::Link => None,
            Cut::Receiver => Some(1),
            Cut::Sender => Some(0),
        };
        match down {
            Some(node) => under.way.crash(node, true, 0),
            None => under.way.set_link(0, 1, LinkState::Cut),
        }
        under.way.run_for(100);
        let (sent, held) = (under.sent(), under.held());
        match down {
            Some(node) => under.way.start(node),
            None => under.way.set_link(0, 1, LinkState::Up),
        }
        under.way.run_until_agreed(30_000);
        assert!(under.way.canonical(1, doc).as_ref() == Some(&expected), "{cut:?} after {at} ms");
        // Lost is what was under way; for who loses its memory, what of a piece had come as well.
        let most = if cut == Cut::Receiver { PIECE + WINDOW } else { WINDOW };
        let context = format!("{cut:?} after {at} ms: {sent} of {all} bytes sent, {held} held");
        assert!(sent <= held + most, "{context}");
        // What is held does not come again.
        let after = under.sent() - sent;
        assert!(after + held <= all + FRAMES, "{context}, and {after} afterwards");
        dearest[cut as usize] = dearest[cut as usize].max(sent - held.min(sent));
    }
    println!("{} points; lost at most {dearest:?}", points.len());
    assert!(points.len() > 120 && dearest.iter().all(|lost| *lost > 0), "{dearest:?}");
}

/// Who waits for the disk waits for no more than a piece: the document is not written again when it is all there, whether it is open
/// there or not, and whatever was written to it before or came to it meanwhile.
#[test]
fn a_large_document_is_written_piece_by_piece_and_once() {
    for (opened, written, meanwhile) in
        [(false, false, false), (true, false, false), (true, true, false), (false, false, true)]
    {
        let (mut world, doc, mut rng) = large(2, 80);
        if opened {
            world.open::<Words>(1, "words");
        }
        if written {
            world.update::<Words, _>(1, doc, |set| set.add("written before"));
        }
        while has_nothing(&world, 1, doc)
            || world.engine(1).document_status(doc).unwrap().version.iter().count() < 1 + usize::from(written)
        {
            if meanwhile {
                world.update::<Words, _>(0, doc, |set| set.add(word(&mut rng)));
            }
            world.run_for(50);
            assert!(world.now() < 60_000);
        }
        equal(&mut world, doc);
        let (largest, all) = (world.disk(1).largest_batch, world.engine(0).encoded(doc).unwrap().len());
        println!("{opened} {written} {meanwhile}: {largest} of {all} at a time");
        assert!(largest < 2 * PIECE && all > 4 * PIECE, "{largest} of {all}");
        // What is on the disk is all of it.
        let before = world.canonical(1, doc);
        world.crash(1, true, 0);
        world.start(1);
        assert!(world.canonical(1, doc) == before);
        assert_eq!(world.disk(1).store.staged().unwrap(), []);
    }
}

/// What is written here goes to the others while their document comes, and comes back with what they have written meanwhile.
#[test]
fn whoever_writes_all_the_while_gets_it_all_the_same_and_piece_by_piece() {
    for seed in 0..3 {
        let (mut world, doc, mut rng) = large(2, 90 + seed);
        world.open::<Words>(1, "words");
        let mut written = 0;
        while world.read::<Words, _>(1, doc, |set| set.len()) <= ELEMENTS {
            world.update::<Words, _>(1, doc, |set| set.add(word(&mut rng)));
            written += 1;
            if seed == 2 {
                world.update::<Words, _>(0, doc, |set| set.add(word(&mut rng)));
            }
            world.run_for(40);
            assert!(world.now() < 60_000, "it does not come, after {written}");
        }
        assert!(written > 10, "{written}");
        equal(&mut world, doc);
        let (largest, all) = (world.disk(1).largest_batch, world.engine(0).encoded(doc).unwrap().len());
        println!("{written} written meanwhile; {largest} of {all} at a time");
        assert!(largest < 2 * PIECE, "{largest} of {all}");
    }
}

/// Any piece of it, or that what was put aside becomes the document.
#[test]
fn what_the_disk_refuses_of_it_is_asked_for_again() {
    let staged = |world: &mut World, doc| {
        let held = world.disk(1).store.staged_document(doc).unwrap();
        held.map_or(0, |held| held.slices.len())
    };
    let (mut world, doc, _) = large(2, 100);
    let mut pieces = 0;
    while world.disk(1).version(doc).is_empty() {
        world.run_for(1);
        pieces = pieces.max(staged(&mut world, doc));
    }
    println!("{pieces} slices");
    let mut failed = (0, 0);
    for refused in 0..=pieces {
        let (mut world, doc, _) = large(2, 100);
        world.open::<Words>(1, "words");
        while staged(&mut world, doc) < refused {
            world.run_for(1);
        }
        world.disk(1).store.fail_next(3);
        equal(&mut world, doc);
        world.run_for(5_000);
        assert_eq!(world.disk(1).store.staged().unwrap(), [], "{refused}");
        let (aside, adopted) = world.disk(1).failed_staging;
        failed = (failed.0 + aside, failed.1 + adopted);
        let before = world.canonical(1, doc);
        world.crash(1, true, 0);
        world.start(1);
        assert!(world.canonical(1, doc) == before && before == world.canonical(0, doc), "{refused}");
    }
    println!("refused: {failed:?}");
    assert!(failed.0 > 0 && failed.1 > 0, "{failed:?}");
}

#[test]
fn it_may_be_opened_and_written_before_it_is_there() {
    let (mut world, doc, _) = large(2, 30);
    world.run_for(1_000);
    assert!(has_nothing(&world, 1, doc));
    world.open::<Words>(1, "words");
    world.update::<Words, _>(1, doc, |set| set.add("written meanwhile"));
    equal(&mut world, doc);
    assert!(
        world.read::<Words, _>(1, doc, |set| set.contains("written meanwhile") && set.len() == ELEMENTS + 1)
    );
}

#[test]
fn if_who_sends_it_is_gone_another_does() {
    let (mut world, doc, _) = large(3, 40);
    world.set_link(0, 2, LinkState::Cut);
    world.run_for(8_000);
    assert!(world.canonical(1, doc) == world.canonical(0, doc));
    // The third gets it of one of the two, then of the other.
    world.set_bandwidth(0, 2, 1_000);
    world.set_bandwidth(1, 2, 1_000);
    world.befriend(2, 1);
    world.set_link(0, 2, LinkState::Up);
    world.run_for(2_000);
    assert!(has_nothing(&world, 2, doc));
    let from = world
        .sent()
        .iter()
        .rev()
        .find(|sent| sent.to == 2 && matches!(sent.frame, Frame::Content { .. }))
        .unwrap()
        .from;
    world.crash(from, true, 0);
    world.run_until_agreed(30_000);
    world.start(from);
    equal(&mut world, doc);
}

#[test]
fn what_is_written_elsewhere_does_not_wait_for_it() {
    let (mut world, doc, _) = large(2, 50);
    // Without gossip, so that all goes by the session in which the document comes.
    world.gossip = GossipWeather { delivered: 0, ..GossipWeather::default() };
    world.set_bandwidth(0, 1, 500);
    world.run_until(5_000, |world| !world.ready(0).is_empty());
    let likes = world.open::<PnCounter>(0, "likes");
    world.run_for(1_000);
    world.open::<PnCounter>(1, "likes");
    let mut slowest = 0;
    for _ in 0..5 {
        assert!(has_nothing(&world, 1, doc), "it is still on its way");
        world.update::<PnCounter, _>(0, likes, |likes| likes.inc(1));
        let target = world.read::<PnCounter, _>(0, likes, |likes| likes.value());
        let waited = world
            .run_until(5_000, |world| world.read::<PnCounter, _>(1, likes, |likes| likes.value()) == target);
        slowest = slowest.max(waited.unwrap());
    }
    // 50 ms until it is announced, and twice behind what of the document is under way, at half a megabyte a second.
    println!("{slowest} ms at the slowest");
    assert!(slowest < 800, "{slowest} ms");
    equal(&mut world, doc);
    assert!(pieces(&world, 1).count() < 20);
}
