//! What ten thousand documents take of memory: an allocator that counts stands under this program, so it has one test.

use std::collections::VecDeque;

use peak_alloc::PeakAlloc;
use tombolo_crdt::{AddWinsMap, AddWinsSet, Crdt, Doc, Limits, MvRegister, PnCounter, ReplicaId, Scalar};
use tombolo_sync::engine::{
    Config, DEFAULT_DIRECT, Effect, Engine, Forgetting, Input, Now, OpenError, Subscription,
};
use tombolo_sync::store::{MemoryStore, Store as _, Write};
use tombolo_sync::{DocId, PeerId, Secret};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

type Pages = AddWinsMap<u32, MvRegister<String>>;

const DOCUMENTS: usize = 10_000;
/// How many bytes of text a document has.
const TEXT: usize = 20_000;
/// What documents may take that nobody has open.
const BUDGET: usize = 1 << 20;
/// What a document takes of which nothing but its version is in memory, with what the directory says of it.
const EACH: usize = 5 << 10;

/// One node, and a disk that does at once what it is told.
struct Node {
    engine: Engine,
    store: MemoryStore,
    now: Now,
    read: usize,
}

impl Node {
    fn start(store: MemoryStore, memory: usize) -> Self {
        let config = Config {
            peer: PeerId::from_bytes([1; 32]),
            replica: ReplicaId::from_bytes([1; 16]),
            name: "alone".into(),
            application: "test".into(),
            secret: Secret::from_bytes([7; 32]),
            limits: Limits::default(),
            subscription: Subscription::everything(),
            max_documents: 100_000,
            memory,
            forgetting: Forgetting::default(),
            direct: DEFAULT_DIRECT,
            mistake: None,
            seed: [0; 32],
        };
        let now = Now { millis: 1, wall_millis: 1 };
        let engine = Engine::start(config, &store, now).expect("the store is read");
        let mut node = Self { engine, store, now, read: 0 };
        node.settle();
        node
    }

    fn settle(&mut self) {
        let mut news = VecDeque::new();
        loop {
            while let Some(effect) = self.engine.next_effect() {
                match effect {
                    Effect::Store(batch) => {
                        self.store.commit(&batch.writes).expect("there is room");
                        news.push_back(Input::Stored(batch.id));
                    }
                    Effect::Load { doc } => {
                        self.read += 1;
                        let stored = Ok(self.store.document(doc).expect("it is read"));
                        news.push_back(Input::Loaded { doc, stored });
                    }
                    _ => {}
                }
            }
            let Some(input) = news.pop_front() else { return };
            self.engine.handle(self.now, input);
        }
    }

    fn open<T: Crdt>(&mut self, name: &str) -> DocId {
        loop {
            let opened = self.engine.open::<T>(self.now, name, true);
            self.settle();
            match opened {
                Err(OpenError::NotLoaded { .. }) => {}
                opened => return opened.expect("it opens").expect("it is created"),
            }
        }
    }

    fn close(&mut self, doc: DocId) {
        self.engine.close(doc);
        self.engine.handle(self.now, Input::Tick);
        self.settle();
    }
}

fn name(number: usize) -> String {
    format!("notes {number}")
}

/// Text that cannot be compressed much.
fn text(random: &mut u64) -> String {
    let letter = |random: &mut u64| {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(32 + (*random >> 33) as u8 % 90)
    };
    (0..TEXT / 10).map(|_| letter(random)).collect()
}

fn written() -> MemoryStore {
    let mut node = Node::start(MemoryStore::new(), 0);
    let mut random = 1;
    for number in 0..DOCUMENTS {
        let doc = node.open::<Pages>(&name(number));
        let write = node.engine.update::<Pages, _, std::convert::Infallible>(node.now, doc, |pages| {
            for page in 0..10_u32 {
                pages.at(page).set(text(&mut random));
            }
            Ok(())
        });
        write.expect("it is written");
        node.settle();
        node.close(doc);
    }
    node.store
}

/// What is counted for documents is about what they take, whatever they consist of and whether their type is known or not.
fn what_is_counted_is_about_what_is_taken() {
    fn check<T: Crdt>(what: &str, write: impl for<'a> Fn(&mut T::Mut<'a>)) {
        const COUNT: usize = 100;
        let mut node = Node::start(MemoryStore::new(), usize::MAX);
        for number in 0..COUNT {
            let doc = node.open::<T>(&name(number));
            let written = node.engine.update::<T, _, std::convert::Infallible>(node.now, doc, |value| {
                write(value);
                Ok(())
            });
            written.expect("it is written");
            node.settle();
        }
        let mut store = node.store;
        drop(node.engine);
        // As if an earlier version had written it: everything is read at the start, of whatever type.
        let heads: Vec<Write> = store
            .records("head/")
            .expect("it is read")
            .into_iter()
            .map(|(key, _)| Write::Delete { key })
            .collect();
        store.commit(&heads).expect("there is room");
        let before = MEMORY.current_usage();
        let mut node = Node::start(store, usize::MAX);
        let opaque = (MEMORY.current_usage() - before, node.engine.memory_in_use());
        (0..COUNT).for_each(|number| _ = node.open::<T>(&name(number)));
        let typed = (MEMORY.current_usage() - before, node.engine.memory_in_use());
        for (how, (taken, counted)) in [("unopened", opaque), ("open", typed)] {
            println!("{what}, {how}: {} bytes, counted {}", taken / COUNT, counted / COUNT);
            assert!(
                2 * taken < 5 * counted + 2 * COUNT * EACH,
                "{what}, {how}: {taken} bytes, counted {counted}"
            );
            assert!(counted < 4 * taken, "{what}, {how}: {taken} bytes, counted {counted}");
        }
    }
    check::<PnCounter>("a counter", |counter| counter.inc(1));
    check::<AddWinsSet<u32>>("1 000 numbers", |set| set.extend(0..1_000_u32));
    check::<AddWinsSet<String>>("1 000 words", |set| {
        set.extend((0..1_000).map(|word| format!("word {word}")))
    });
    check::<Pages>("1 000 entries", |pages| {
        (0..1_000_u32).for_each(|page| pages.at(page).set(format!("value {page}")))
    });
    check::<Pages>("20 pages of one letter", |pages| {
        (0..20_u32).for_each(|page| pages.at(page).set("x".repeat(5_000)));
    });
    check::<Doc>("a thousand counters by name", |doc| {
        (0..1_000).for_each(|counter| doc.counter(&format!("counter {counter}")).inc(1));
        doc.set("labels").add(Scalar::Int(1));
    });
}

#[test]
fn ten_thousand_documents_take_the_budget_and_a_constant_for_each() {
    let store = written();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let mut node = Node::start(store, BUDGET);
    let peak = MEMORY.peak_usage() - before;
    let started = MEMORY.current_usage() - before;
    assert_eq!(node.read, 0);
    assert_eq!(node.engine.memory_in_use(), 0, "nothing is in memory but the directory");
    println!("started: {} bytes for each document, {} at the peak", started / DOCUMENTS, peak / DOCUMENTS);
    assert!(started < DOCUMENTS * EACH, "{started} bytes after the start");

    // A hundred of them are read, one after the other.
    let mut most = 0;
    for number in 0..100 {
        let doc = node.open::<Pages>(&name(number * 97));
        let held = node.engine.document::<Pages>(doc).expect("it is open");
        assert_eq!(
            held.iter().map(|(_, page)| page.values().map(String::len).sum::<usize>()).sum::<usize>(),
            TEXT
        );
        node.close(doc);
        most = most.max(MEMORY.current_usage().saturating_sub(before + started));
    }
    println!("a hundred read: {most} bytes more, counted {}", node.engine.memory_in_use());
    assert_eq!(node.read, 100);
    assert!(node.engine.memory_in_use() <= BUDGET);
    assert!(most < BUDGET + BUDGET / 4, "{most} bytes more for documents that nobody has open");

    // What is open stays, and takes about what it is counted for.
    let docs: Vec<DocId> = (0..100).map(|number| node.open::<Pages>(&name(number))).collect();
    let open = MEMORY.current_usage().saturating_sub(before + started);
    println!("a hundred open: {open} bytes more, counted {}", node.engine.memory_in_use());
    assert!(open < node.engine.memory_in_use());
    for doc in docs {
        node.close(doc);
    }
    let left = MEMORY.current_usage().saturating_sub(before + started);
    assert!(left < BUDGET + BUDGET / 4, "{left} bytes are left");
    drop(node);
    what_is_counted_is_about_what_is_taken();
}
