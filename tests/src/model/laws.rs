//! The laws that every type must obey, over what a random program left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tombolo_crdt::{
    Crdt, Decoding, Delta, Dot, Inspection, Limits, Merged, NodeId, Opaque, Plain, Replica, ReplicaId, Since,
    Version,
};

use super::program::{KEY, World, face, into, sent, taking_in};

/// The deltas of all transactions: in order, backwards, shuffled, doubled, grouped, mixed with states and answers. The
/// state is the same, to the byte.
pub fn any_order_any_duplication_any_grouping<T: Crdt, O: Clone>(world: &World<T, O>, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let whole = face(&taking_in(&world.written));
    let backwards = taking_in(world.written.iter().rev());
    assert_eq!((face(&backwards), backwards.pending()), (whole.clone(), 0));

    // Everything that ever travelled, and most of it more than once.
    let mut messages: Vec<_> = world.messages.iter().chain(&world.written).cloned().collect();
    messages.shuffle(&mut random);
    let shuffled = taking_in(&messages);
    assert_eq!((face(&shuffled), shuffled.pending()), (whole.clone(), 0));
    assert!(shuffled.missing().is_empty());

    // With two seeds of the hash tables: what is read is the same as well.
    let [one, other] = [random.random(), random.random()].map(|seed| {
        let replica = into(Replica::with_hash_seed(ReplicaId::from_bytes([0xEF; 16]), seed), &messages);
        (face(&replica), serde_json::to_string(&replica.view()).expect("a view is written"))
    });
    assert_eq!(one.0, whole);
    assert_eq!(one, other);

    // As the bytes of it.
    messages.shuffle(&mut random);
    let decoded: Vec<_> = messages.iter().map(sent).collect();
    assert_eq!(face(&taking_in(&decoded)), whole);

    // Grouped at random, by author, and the groups in any order.
    let mut groups: Vec<Delta<T>> = Vec::new();
    for delta in &world.written {
        let joined = random.random_bool(0.7) && groups.iter_mut().any(|group| group.append(delta));
        if !joined {
            groups.push(delta.clone());
        }
    }
    groups.shuffle(&mut random);
    let grouped = taking_in(&groups);
    // Every group is a run of its author's transactions with nothing between them, so none can wait for ever.
    assert_eq!((face(&grouped), grouped.pending()), (whole, 0));
}

/// Join on states: `x ⊔ y = y ⊔ x`, `(x ⊔ y) ⊔ z = x ⊔ (y ⊔ z)`, `x ⊔ x = x`; and on deltas joined to a state.
pub fn commutative_associative_idempotent<T: Crdt, O: Clone>(world: &World<T, O>, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let [x, y, z] = [0, 1, 2].map(|at| sent(&world.replicas[at].state()));
    let join = |a: &Delta<T>, b: &Delta<T>| taking_in([a, b]).state();
    let bytes = |state: &Delta<T>| state.encode_state().expect("it is a state");

    assert_eq!(bytes(&join(&x, &y)), bytes(&join(&y, &x)), "join is not commutative");
    assert_eq!(bytes(&join(&join(&x, &y), &z)), bytes(&join(&x, &join(&y, &z))), "join is not associative");
    assert_eq!(bytes(&join(&x, &x)), bytes(&x), "join is not idempotent");
    // It goes up: what is joined in is below the result.
    assert_eq!(bytes(&join(&join(&x, &y), &x)), bytes(&join(&x, &y)));

    if world.messages.is_empty() {
        return;
    }
    // Any three messages, in all orders, one of them again at the end.
    let [d, e, f] = [0; 3].map(|_| &world.messages[random.random_range(0..world.messages.len())]);
    let base = &world.replicas[random.random_range(0..world.replicas.len())].state();
    let orders = [[d, e, f], [d, f, e], [e, d, f], [e, f, d], [f, d, e], [f, e, d]];
    let [first, others @ ..] = orders.map(|[a, b, c]| {
        let joined = taking_in([base, a, b, c]);
        let before = (face(&joined), joined.pending());
        let again = taking_in([base, a, b, c, a, b]);
        assert_eq!((face(&again), again.pending()), before, "join of a delta is not idempotent");
        before
    });
    for other in others {
        assert_eq!(other, first, "join of deltas depends on their order");
    }
}

/// `decode(encode(x)) == x` in bytes, and a decoded replica goes on as the other would have.
pub fn bytes_go_there_and_back<T: Crdt, O: Clone>(world: &World<T, O>) {
    for replica in &world.replicas {
        let bytes = replica.encode();
        let back = Replica::<T>::decode(replica.id(), &bytes, &Limits::default()).expect("a state decodes");
        assert_eq!(face(&back), face(replica));
        assert_eq!(back.state().encode_state(), Some(bytes.clone()));
        let unknown =
            Replica::<Opaque>::decode(replica.id(), &bytes, &Limits::default()).expect("a state decodes");
        assert_eq!(unknown.fingerprint(&KEY), replica.fingerprint(&KEY), "who does not know the type");
        assert_eq!(sent(&replica.state()).encode_state(), Some(bytes.clone()));
        // A state under a delta's envelope does the same.
        let as_delta = Delta::<T>::decode(&replica.state().encode(), &Limits::default()).expect("it decodes");
        assert_eq!(taking_in([&as_delta]).encode(), bytes);
    }
    for message in &world.messages {
        let _ = sent(message);
    }
}

/// Whoever has everything answers any version with exactly what brings it level, or says that it has forgotten.
pub fn answers_bring_level<T: Crdt, O: Clone>(world: &World<T, O>, history: usize) {
    let mut whole = Replica::<T>::new(ReplicaId::from_bytes([0xEF; 16]));
    whole.set_history_bytes(history);
    let whole = into(whole, &world.written);
    for replica in &world.replicas {
        let mut behind = taking_in([&replica.state()]);
        match whole.delta_since(&behind.version()) {
            Since::UpToDate => assert_eq!(face(&behind), face(&whole)),
            Since::Delta(delta) => {
                assert_eq!(behind.merge(sent(&delta)), Ok(Merged::Applied));
                assert_eq!(face(&behind), face(&whole));
                assert!(matches!(whole.delta_since(&behind.version()), Since::UpToDate));
            }
            Since::Forgotten => {
                assert!(history < 1 << 20, "nothing was to be forgotten");
                assert_eq!(behind.merge(whole.state()), Ok(Merged::Applied));
                assert_eq!(face(&behind), face(&whole));
            }
        }
    }
    if history == 0 {
        // Nothing is remembered, and it is not taken for "nothing is missing".
        let fresh = Replica::<T>::new(ReplicaId::from_bytes([0xDD; 16]));
        let answer = whole.delta_since(&fresh.version());
        assert_eq!(matches!(answer, Since::Forgotten), !world.written.is_empty());
    }
}

/// A state is the join of its parts, the deltas of the transactions it has seen; and none of them can be left out on which no other
/// depends: what it alone carries is not there then, and what it alone covers is.
pub fn a_state_is_the_join_of_its_parts<T: Crdt, O: Clone>(world: &World<T, O>, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let said: Vec<Said> = world.written.iter().map(Said::of).collect();
    for replica in &world.replicas {
        let version = replica.version();
        let mut parts: Vec<usize> =
            (0..world.written.len()).filter(|&at| version.dominates(&world.written[at].events())).collect();
        parts.shuffle(&mut random);
        let join = |parts: &[usize]| taking_in(parts.iter().map(|&at| &world.written[at]));
        let whole = face(replica);
        assert_eq!(face(&join(&parts)), whole, "a state is more or less than what it has seen");
        let live = live(replica);
        let needs = |other: usize, events: &Version| {
            events.iter().any(|(id, n)| world.written[other].deps().get(id) >= n)
        };
        // Two parts of which nothing depends, of those that chance has put first: each costs a join of all the others.
        let last = parts.iter().copied().filter(|&last| {
            let events = world.written[last].events();
            !parts.iter().any(|&other| other != last && needs(other, &events))
        });
        for last in last.take(2) {
            let others: Vec<usize> = parts.iter().copied().filter(|&other| other != last).collect();
            let (events, part) = (world.written[last].events(), &said[last]);
            let mut without = join(&others);
            assert!(!without.version().dominates(&events), "a part says nothing");
            let is_covered_twice = |dot: &Dot| others.iter().any(|&other| said[other].covers.contains(dot));
            let taken = part.covers.iter().filter(|dot| !is_covered_twice(dot)).copied();
            let expected: BTreeSet<Dot> = live.difference(&part.carries).copied().chain(taken).collect();
            assert_eq!(self::live(&without), expected, "what a part does is what it says");
            assert!(part.carries.is_subset(&live), "nothing has seen it, so nothing has taken it");
            without.merge(world.written[last].clone()).expect("there is room");
            assert_eq!(face(&without), whole);
        }
    }
}

/// What a message says of dots.
struct Said {
    carries: BTreeSet<Dot>,
    covers: BTreeSet<Dot>,
}

impl Said {
    fn of<T: Crdt>(delta: &Delta<T>) -> Self {
        let mut said = Self { carries: BTreeSet::new(), covers: BTreeSet::new() };
        let inspection =
            Inspection::of(&delta.encode(), &Limits::default()).expect("it is a message of ours");
        for body in &inspection.bodies {
            body.each_node(&inspection.type_name, &mut |node| {
                said.carries.extend(node.carries.iter().map(|(dot, _)| *dot));
                for run in &node.covers {
                    let replica = run.replica;
                    said.covers.extend((run.first..=run.last).map(|counter| Dot { replica, counter }));
                }
                ControlFlow::Continue(())
            });
        }
        said
    }
}

/// The dots that are alive.
fn live<T: Crdt>(replica: &Replica<T>) -> BTreeSet<Dot> {
    Said::of(&replica.state()).carries
}

/// An answer to a version brings nothing that whoever is at it has already: no event, no content, and no removal of what is gone
/// there; but for what the answerer cannot know. A removal goes as its author wrote it. So it may name what the receiver has removed
/// as well, at the same time; and where several transactions came as one message, and the receiver knows some of them, what
/// these removed is named again, for it cannot be told which of them did. Such an answer is a message itself, which others half know.
pub fn answers_are_minimal<T: Crdt, O: Clone>(world: &World<T, O>) {
    let said: Vec<Said> = world.written.iter().map(Said::of).collect();
    for from in &world.replicas {
        for to in &world.replicas {
            let Since::Delta(delta) = from.delta_since(&to.version()) else { continue };
            let (known, live) = (to.version(), live(to));
            let news: Vec<usize> = (0..world.written.len())
                .filter(|&at| {
                    let events = world.written[at].events();
                    from.version().dominates(&events) && !known.dominates(&events)
                })
                .collect();
            // The messages of several transactions of which some are news and some are not.
            let half_known: Vec<_> = world
                .messages
                .iter()
                .filter(|message| !known.dominates(&message.events()))
                // A state names all it has ever known, and is not passed on.
                .filter(|message| message.encode_state().is_none())
                .map(|message| (message.deps(), message.events(), Said::of(message)))
                .collect();
            let came_along = |at: usize| {
                let events = world.written[at].events();
                known.dominates(&events)
                    && half_known.iter().any(|(deps, all, _)| {
                        all.dominates(&events) && events.iter().all(|(id, n)| deps.get(id) < n)
                    })
            };
            brings_only_news(&delta, &known, |dot| {
                let names = |at: usize| said[at].covers.contains(dot);
                let is_of = |at: usize| world.written[at].events().get(dot.replica) >= dot.counter;
                live.contains(dot)
                    || news.iter().any(|&at| names(at))
                    || half_known.iter().any(|(.., said)| said.covers.contains(dot))
                    || (0..world.written.len()).any(|at| came_along(at) && (names(at) || is_of(at)))
            });
            // Of one who took in transactions one by one, and remembers all of them, nothing but the first is the reason.
            let mut exact = Replica::<T>::new(ReplicaId::from_bytes([0xDD; 16]));
            exact.set_history_bytes(1 << 20);
            let seen = |delta: &&Delta<T>| from.version().dominates(&delta.events());
            let exact = into(exact, world.written.iter().filter(seen));
            if let Since::Delta(delta) = exact.delta_since(&known) {
                brings_only_news(&delta, &known, |dot| {
                    live.contains(dot) || news.iter().any(|&at| said[at].covers.contains(dot))
                });
            }
        }
    }
}

/// Who has forgotten what was removed since finds with the other what differs, and answers with exactly what is lacked; the two may
/// settle for an older base than both know.
pub fn what_was_forgotten_is_found<T: Crdt, O: Clone>(world: &World<T, O>) {
    for from in &world.replicas {
        for to in &world.replicas {
            let both = from.version().meet(&to.version());
            let bases = world.replicas.iter().map(|replica| both.meet(&replica.version()));
            for base in bases.chain([both.clone()]) {
                let (here, there) = (from.live_below(&base), to.live_below(&base));
                let (here, there) = here.zip(there).expect("both know the base");
                let gone = there.into_iter().filter(|number| here.binary_search(number).is_err());
                let gone: Vec<_> = gone.map(|number| number..number + 1).collect();
                let Some(delta) = from.delta_beyond(&base, &gone) else {
                    assert!(base.dominates(&from.version()) && gone.is_empty());
                    continue;
                };
                // What both have alive of the base is the same.
                let key = [7; 16];
                let there = to.live_below(&base).expect("it knows the base");
                let only = here.iter().filter(|number| there.binary_search(number).is_err());
                let only: Vec<_> = only.map(|&number| number..number + 1).collect();
                let common = from.fingerprint_below(&base, &only, &key);
                assert_eq!(common, Some(to.fingerprint_beneath(&sent(&delta), &key)));
                assert!(!to.is_contradicted_by(&from.state()));
                // What is named as gone is alive there, without exception.
                let alive = live(to);
                brings_only_news(&delta, &base, |dot| alive.contains(dot));
                let mut level = taking_in([&to.state()]);
                assert!(matches!(level.merge(sent(&delta)), Ok(Merged::Applied | Merged::AlreadyKnown)));
                assert_eq!(face(&level), face(&taking_in([&to.state(), &from.state()])));
            }
        }
    }
}

/// A state that is told in pieces while it is written to, and what came since, are the state.
pub fn pieces_and_what_came_since_are_the_state<T: Crdt, O: Clone>(world: &World<T, O>) {
    for now in &world.replicas {
        for before in &world.replicas {
            let base = before.version();
            let all = base.iter().map(|(_, count)| count).sum::<u64>();
            if all == 0 || !now.version().dominates(&base) {
                continue;
            }
            let empty = Replica::<T>::new(ReplicaId::from_bytes([0xEE; 16]));
            let mut decoding = Decoding::new(empty, &Limits::default());
            let mut from = 0;
            for (teller, to) in [(before, all.div_ceil(3)), (now, all * 2 / 3), (before, all)] {
                if from < to {
                    let slice = teller.slice_below(&base, from..to).expect("both know the base");
                    decoding.take(&slice[..]).expect("a piece follows on the one before");
                    from = to;
                }
            }
            let mut staged: Replica<T> = decoding.finish();
            assert_eq!(staged.version(), base);
            let (here, there) = (now.live_below(&base), staged.live_below(&base));
            let (here, there) = here.zip(there).expect("both know the base");
            let gone = there.into_iter().filter(|number| here.binary_search(number).is_err());
            let gone: Vec<_> = gone.map(|number| number..number + 1).collect();
            if let Some(delta) = now.delta_beyond(&base, &gone) {
                assert_eq!(staged.merge(sent(&delta)), Ok(Merged::Applied));
            }
            assert_eq!(face(&staged), face(&taking_in([&now.state()])));
        }
    }
}

/// Of what was known `may_go` says whether the delta may take it away. To take away what it brings itself is to say that it is gone
/// already.
fn brings_only_news<T: Crdt>(delta: &Delta<T>, known: &Version, may_go: impl Fn(&Dot) -> bool) {
    let inspection = Inspection::of(&delta.encode(), &Limits::default()).expect("it is a message of ours");
    let [body] = &inspection.bodies[..] else { panic!("a delta has one body") };
    for run in body.events() {
        assert!(run.first > known.get(run.replica), "{run} is known");
    }
    let said = Said::of(delta);
    for dot in &said.carries {
        assert!(dot.counter > known.get(dot.replica), "the content of {dot:?} is known");
    }
    for dot in &said.covers {
        assert!(
            dot.counter > known.get(dot.replica) || may_go(dot),
            "{dot:?} is taken away, and was not there"
        );
    }
}

/// What a replica disowns is as if another had written it: whatever the other continuation of the id wrote. Of counters with a
/// bound see `what_is_disowned_counts_as_it_did`.
pub fn what_is_disowned_was_written_by_another<T: Crdt, O: Clone>(
    world: &World<T, O>,
    ours: &[Vec<O>],
    theirs: &[Vec<O>],
) {
    let id = world.replicas[0].id();
    let after = world.replicas[0].reached(id);
    let [start, kept, disowned, continued] = continuations(world, ours, theirs);
    let both = [disowned.state(), continued.state()];
    assert_eq!(disowned.reached(id), after);
    // Nobody need know of which type it is.
    let unread = Replica::<Opaque>::decode(id, &kept.encode(), &Limits::default()).expect("a state decodes");
    let unread = unread.disown(id, after, disowned.id());
    let read = Replica::<T>::decode(disowned.id(), &unread.encode(), &Limits::default());
    assert_eq!(face(&read.expect("a state decodes")), face(&disowned));
    assert_eq!(face(&taking_in(&both)), face(&taking_in(both.iter().rev())));
    if T::type_name().contains("BoundedCounter") {
        return what_is_disowned_counts_as_it_did(&start, &kept, &disowned, &continued);
    }
    let mut anothers = start.fork(disowned.id());
    write_alone(world, &mut anothers, ours);
    assert_eq!(face(&disowned), face(&anothers));
    assert_eq!(face(&taking_in(&both)), face(&taking_in([&both[1], &anothers.state()])));
}

/// A replica, and two continuations of it under its id: what one wrote, what became of that when it was disowned, and the other.
fn continuations<T: Crdt, O: Clone>(
    world: &World<T, O>,
    ours: &[Vec<O>],
    theirs: &[Vec<O>],
) -> [Replica<T>; 4] {
    let (replica, id) = (&world.replicas[0], world.replicas[0].id());
    let start = || Replica::<T>::decode(id, &replica.encode(), &Limits::default()).expect("a state decodes");
    let after = replica.reached(id);
    let (mut kept, mut continued) = (start(), start());
    write_alone(world, &mut kept, ours);
    write(world, &mut continued, theirs);
    let disowned = kept.disown(id, after, ReplicaId::from_bytes([0x77; 16]));
    [start(), kept, disowned, continued]
}

/// As it is written where nobody may see it yet, by who is started anew in between.
fn write_alone<T: Crdt, O: Clone>(world: &World<T, O>, replica: &mut Replica<T>, transactions: &[Vec<O>]) {
    let (before, since) = transactions.split_at(transactions.len() / 2);
    for transactions in [before, since] {
        replica.keep_counters(replica.reached(replica.id()));
        write(world, replica, transactions);
    }
}

fn write<T: Crdt, O: Clone>(world: &World<T, O>, replica: &mut Replica<T>, transactions: &[Vec<O>]) {
    for operations in transactions {
        drop(replica.update(|value| operations.iter().for_each(|op| (world.apply)(value, op))));
    }
}

/// Rights go with the id that holds them, so another could have done less with them than was done. What was done stands: it is
/// read as before, and both continuations count in full, also where that is more than there was.
fn what_is_disowned_counts_as_it_did<T: Crdt>(
    start: &Replica<T>,
    kept: &Replica<T>,
    disowned: &Replica<T>,
    continued: &Replica<T>,
) {
    assert_eq!(disowned.plain(), kept.plain());
    let [start, kept, continued, both] =
        [start, kept, continued, &taking_in([&disowned.state(), &continued.state()])]
            .map(|replica| numbers(&replica.plain()));
    fn at(of: &BTreeMap<Vec<Plain>, i128>, path: &[Plain]) -> i128 {
        of.get(path).copied().unwrap_or(0)
    }
    let paths: BTreeSet<_> = kept.keys().chain(continued.keys()).cloned().collect();
    let expected: BTreeMap<_, _> = paths
        .into_iter()
        .map(|path| {
            let sum = at(&kept, &path) + at(&continued, &path) - at(&start, &path);
            (path, sum)
        })
        .collect();
    assert_eq!(both, expected);
}

/// All numbers of a plain value, by where they stand.
fn numbers(value: &Plain) -> BTreeMap<Vec<Plain>, i128> {
    fn gather(value: &Plain, path: &mut Vec<Plain>, numbers: &mut BTreeMap<Vec<Plain>, i128>) {
        match value {
            Plain::Int(number) => drop(numbers.insert(path.clone(), *number)),
            Plain::Map(map) => {
                for (key, below) in map {
                    path.push(key.clone());
                    gather(below, path, numbers);
                    path.pop();
                }
            }
            other => panic!("no counter: {other:?}"),
        }
    }
    let mut numbers = BTreeMap::new();
    gather(value, &mut Vec::new(), &mut numbers);
    numbers
}

/// Names of nodes by the order in which they are met: who keeps counters tells runs otherwise, and so numbers what it makes otherwise.
fn nameless(value: &Plain) -> Plain {
    fn rename(value: &Plain, met: &mut Vec<NodeId>) -> Plain {
        match value {
            Plain::Text(text) => match text.parse::<NodeId>() {
                Ok(id) => {
                    let at = met.iter().position(|other| *other == id);
                    let at = at.unwrap_or_else(|| {
                        met.push(id);
                        met.len() - 1
                    });
                    Plain::Int(at as i128)
                }
                Err(_) => value.clone(),
            },
            Plain::List(list) => Plain::List(list.iter().map(|value| rename(value, met)).collect()),
            Plain::Map(map) => {
                Plain::Map(map.iter().map(|(key, value)| (key.clone(), rename(value, met))).collect())
            }
            _ => value.clone(),
        }
    }
    rename(value, &mut Vec::new())
}

/// Keeping what counters were for a while changes nothing that can be read, and the next write joins it.
pub fn counters_that_were_kept_are_joined_again<T: Crdt, O: Clone>(world: &World<T, O>, ours: &[Vec<O>]) {
    let (replica, id) = (&world.replicas[0], world.replicas[0].id());
    let start = || Replica::<T>::decode(id, &replica.encode(), &Limits::default()).expect("a state decodes");
    let (mut kept, mut plain) = (start(), start());
    for operations in ours {
        kept.keep_counters(kept.reached(id));
        for replica in [&mut kept, &mut plain] {
            drop(replica.update(|value| operations.iter().for_each(|op| (world.apply)(value, op))));
        }
        assert_eq!(nameless(&kept.plain()), nameless(&plain.plain()));
    }
    kept.keep_counters(0);
    for operations in ours {
        for replica in [&mut kept, &mut plain] {
            drop(replica.update(|value| operations.iter().for_each(|op| (world.apply)(value, op))));
        }
        assert_eq!(nameless(&kept.plain()), nameless(&plain.plain()));
    }
}
