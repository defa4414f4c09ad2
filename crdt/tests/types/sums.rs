//! Counters below keys: sums of what all know.

use proptest::prelude::*;
use tombolo_crdt::{
    AddWinsMap, Crdt, Decoding, Delta, Doc, GCounter, GMap, Limits, Merged, PnCounter, Replica, ReplicaId,
    Version,
};

type Posts = AddWinsMap<String, PnCounter>;

fn id(byte: u8) -> ReplicaId {
    ReplicaId::from_bytes([byte; 16])
}

fn posts(byte: u8) -> Replica<Posts> {
    Replica::new(id(byte))
}

fn like(replica: &mut Replica<Posts>, by: i64) -> Delta<Posts> {
    replica.update(|posts| posts.at("post").add(by)).1
}

fn likes(replica: &Replica<Posts>) -> Option<i64> {
    replica.get("post").map(PnCounter::value)
}

fn read_again<T: Crdt>(replica: &Replica<T>, id: ReplicaId) -> Replica<T> {
    Replica::decode(id, &replica.encode(), &Limits::default()).unwrap()
}

fn level<T: Crdt>(a: &mut Replica<T>, b: &mut Replica<T>) {
    let _ = a.merge(b.state()).unwrap();
    let _ = b.merge(a.state()).unwrap();
    assert_eq!(a.encode(), b.encode());
    assert_eq!(a.plain(), b.plain());
}

#[test]
fn what_all_know_takes_one_amount_a_replica_and_its_sum() {
    let (mut ann, mut bob) = (posts(1), posts(2));
    for n in 0..100 {
        let _ = (like(&mut ann, 1), like(&mut bob, 1 - 2 * (n % 2)));
    }
    level(&mut ann, &mut bob);
    assert_eq!((ann.garbage().items, ann.garbage().removals), (200, 198));
    let delta = ann.sweep(&bob.version());
    assert_eq!(bob.merge(delta), Ok(Merged::Applied));
    assert_eq!(ann.encode(), bob.encode());
    assert_eq!((likes(&ann), ann.garbage().items, ann.garbage().removals), (Some(100), 4, 0));
    assert!(ann.sweep(&bob.version()).is_empty(), "there is nothing to do twice");
    // And again, with what comes later.
    for _ in 0..10 {
        let _ = (like(&mut ann, 2), like(&mut bob, 3));
    }
    level(&mut ann, &mut bob);
    assert_eq!(bob.merge(ann.sweep(&bob.version())), Ok(Merged::Applied));
    assert_eq!((likes(&bob), bob.garbage().items), (Some(150), 4));
    // After a restart as well.
    let restarted = read_again(&ann, id(9));
    assert_eq!((likes(&restarted), restarted.encode()), (Some(150), ann.encode()));
}

#[test]
fn a_removal_that_saw_the_amounts_takes_their_sum_with_them() {
    for later in [false, true] {
        let (mut ann, mut bob) = (posts(1), posts(2));
        for _ in 0..20 {
            let _ = like(&mut ann, 1);
        }
        level(&mut ann, &mut bob);
        let stable = bob.version();
        // At the same time.
        let removed = bob.update(|posts| posts.remove("post")).1;
        let swept = ann.sweep(&stable);
        let late = later.then(|| like(&mut ann, 5));
        assert_eq!(ann.merge(removed), Ok(Merged::Applied));
        assert_eq!(bob.merge(swept), Ok(Merged::Applied));
        late.into_iter().for_each(|late| _ = bob.merge(late).unwrap());
        assert_eq!(likes(&ann), later.then_some(5));
        level(&mut ann, &mut bob);
        // The sum is there and counts for nothing; the next sweep takes it.
        assert_eq!((ann.garbage().items, ann.garbage().removals), (1 + usize::from(later), 1));
        assert_eq!(bob.merge(ann.sweep(&bob.version())), Ok(Merged::Applied));
        assert_eq!((likes(&bob), bob.garbage().items), (later.then_some(5), usize::from(later)));
        level(&mut ann, &mut bob);
    }
}

#[test]
fn of_two_that_sum_up_at_once_one_counts() {
    for (ahead, more) in [(0, 0), (3, 0), (3, 7)] {
        let (mut ann, mut bob, mut cem) = (posts(1), posts(2), posts(3));
        for _ in 0..20 {
            let _ = like(&mut cem, 1);
        }
        let _ = ann.merge(cem.state()).unwrap();
        for _ in 0..ahead {
            let _ = like(&mut cem, 1);
        }
        let _ = bob.merge(cem.state()).unwrap();
        let (hers, his) = (ann.sweep(&ann.version()), bob.sweep(&bob.version()));
        let _ = (ann.merge(cem.state()).unwrap(), cem.merge(hers).unwrap(), cem.merge(his).unwrap());
        level(&mut ann, &mut bob);
        level(&mut bob, &mut cem);
        assert_eq!(likes(&cem), Some(20 + ahead));
        for _ in 0..more {
            let _ = like(&mut cem, 1);
        }
        let _ = bob.merge(cem.state()).unwrap();
        let _ = cem.merge(bob.sweep(&cem.version())).unwrap();
        level(&mut bob, &mut cem);
        level(&mut ann, &mut bob);
        assert_eq!(likes(&ann), Some(20 + ahead + more));
    }
}

#[test]
fn who_removes_what_it_half_knew_takes_nothing_of_the_sum() {
    let (mut ann, mut bob) = (posts(1), posts(2));
    let deltas: Vec<_> = (0..20).map(|_| like(&mut ann, 1)).collect();
    // Bob is nobody's member, and has heard of some.
    deltas.into_iter().take(15).for_each(|delta| _ = bob.merge(delta).unwrap());
    let removed = bob.update(|posts| posts.remove("post")).1;
    let swept = ann.sweep(&ann.version());
    let _ = (ann.merge(removed).unwrap(), bob.merge(ann.state()).unwrap(), swept);
    level(&mut ann, &mut bob);
    assert_eq!(likes(&ann), Some(20));
}

#[test]
fn a_removal_that_fails_leaves_the_sum_where_it_was() {
    let mut ann = posts(1);
    for _ in 0..20 {
        let _ = like(&mut ann, 1);
    }
    let _ = ann.sweep(&ann.version());
    let before = (ann.encode(), ann.plain());
    for again in [false, true] {
        let failed = ann.try_update(|posts| {
            posts.remove("post");
            if again {
                posts.at("post").inc(5);
            }
            Err::<(), _>(())
        });
        assert!(failed.is_err());
        assert_eq!((ann.encode(), ann.plain()), before);
    }
    assert!(ann.update(|posts| posts.remove("post")).0);
    assert_eq!((ann.garbage().items, likes(&ann)), (0, None));
}

#[test]
fn sums_are_exact_or_are_not_made() {
    let mut ann = posts(1);
    for by in [i64::MAX, i64::MAX, 1, 1, 1, 1, 1, i64::MIN, i64::MIN, -7] {
        let _ = like(&mut ann, by);
    }
    let sum = likes(&ann);
    // All but the last come to one above the least of an `i64`.
    let _ = ann.sweep(&ann.version());
    assert_eq!((likes(&ann), ann.garbage().items), (sum, 2));
    for by in [i64::MAX, i64::MAX, i64::MAX, i64::MAX] {
        let _ = like(&mut ann, by);
    }
    let _ = ann.sweep(&ann.version());
    assert_eq!((likes(&ann), ann.garbage().items), (Some(i64::MAX), 6), "it would not fit");

    let mut bob = Replica::<AddWinsMap<u8, GCounter>>::new(id(2));
    for by in [u64::MAX, 1, 1, 1, 1, 1] {
        let _ = bob.update(|counts| counts.at(1).inc(by));
    }
    let _ = bob.sweep(&bob.version());
    assert_eq!(bob.get(&1).map(GCounter::value), Some(u64::MAX));
}

#[test]
fn what_is_disowned_takes_its_sums_along() {
    // Alone, with nobody who must know it.
    let mut ann = posts(1);
    for _ in 0..10 {
        let _ = like(&mut ann, 1);
    }
    let _ = ann.sweep(&ann.version());
    let copied = ann.version().get(id(1));
    let mut copy = read_again(&ann, id(1));
    // As a store does that may have been copied.
    let _ = (ann.keep_counters(copied), copy.keep_counters(copied));
    for _ in 0..10 {
        let _ = (like(&mut ann, 1), like(&mut copy, 100));
    }
    let _ = (ann.sweep(&ann.version()), copy.sweep(&copy.version()));
    let mut copy = copy.disown(id(1), copied, id(7));
    level(&mut ann, &mut copy);
    assert_eq!(likes(&ann), Some(10 + 10 + 1_000));
}

#[test]
fn what_a_restarted_store_may_disown_is_not_summed_up_with_what_others_have() {
    let (mut ann, mut bob) = (posts(1), posts(2));
    for _ in 0..10 {
        let _ = like(&mut ann, 1);
    }
    let copied = ann.reached(id(1));
    let mut copy = read_again(&ann, id(1));
    ann.keep_counters(copied);
    copy.keep_counters(copied);
    for _ in 0..10 {
        let _ = (like(&mut ann, 1), like(&mut copy, 100));
    }
    copy = read_again(&copy, id(1));
    copy.keep_counters(copied);
    let _ = copy.sweep(&copy.version());
    level(&mut ann, &mut bob);
    let _ = ann.merge(bob.sweep(&ann.version())).unwrap();
    let mut copy = copy.disown(id(1), copied, id(7));
    level(&mut ann, &mut copy);
    assert_eq!(likes(&ann), Some(10 + 10 + 1_000));
}

#[test]
fn a_sum_whose_anchor_alone_is_disowned_can_be_told() {
    let (mut ann, mut bob) = (posts(1), posts(2));
    for _ in 0..10 {
        let _ = like(&mut ann, 1);
    }
    let _ = ann.sweep(&ann.version());
    // Nobody told it to keep anything apart: what was added before goes along with its anchor.
    let mut fork = ann.disown(id(1), 9, id(7));
    assert_eq!((likes(&fork), fork.encode()), (Some(10), read_again(&fork, id(8)).encode()));
    level(&mut fork, &mut bob);
    assert_eq!(likes(&bob), Some(10));
}

#[test]
fn of_two_sums_with_one_anchor_that_one_counts_which_goes_back_farther() {
    let (mut ann, mut bob) = (posts(1), posts(2));
    for _ in 0..5 {
        let _ = like(&mut ann, -1);
    }
    // Ann leaves apart what she may have to disown, and nobody else knows that.
    ann.keep_counters(ann.reached(id(1)));
    for _ in 0..5 {
        let _ = like(&mut ann, 1);
    }
    level(&mut ann, &mut bob);
    let stable = ann.version();
    let (hers, his) = (ann.sweep(&stable), bob.sweep(&stable));
    let _ = (ann.merge(his).unwrap(), bob.merge(hers).unwrap());
    level(&mut ann, &mut bob);
    assert_eq!(likes(&ann), Some(0));
    // Those that do not count are let go.
    let _ = bob.merge(ann.sweep(&bob.version())).unwrap();
    level(&mut ann, &mut bob);
    assert_eq!((likes(&bob), bob.garbage().items), (Some(0), 2));
}

#[test]
fn where_nothing_can_be_removed_nothing_is_summed_up() {
    let mut ann = Replica::<PnCounter>::new(id(1));
    let mut bob = Replica::<GMap<u8, PnCounter>>::new(id(2));
    for _ in 0..6 {
        let _ = (ann.update(|count| count.inc(1)), bob.update(|counts| counts.at(1).inc(1)));
        // As a store does that nobody has seen yet.
        ann.keep_counters(ann.reached(id(1)));
        bob.keep_counters(bob.reached(id(2)));
    }
    assert!(ann.sweep(&ann.version()).is_empty() && bob.sweep(&bob.version()).is_empty());
    ann.keep_counters(0);
    bob.keep_counters(0);
    let _ = (ann.update(|count| count.inc(1)), bob.update(|counts| counts.at(1).inc(1)));
    assert_eq!((ann.value(), bob.get(&1).map(PnCounter::value)), (7, Some(7)));
    assert_eq!((ann.garbage().items, bob.garbage().items), (1, 1));
}

#[test]
fn a_sum_may_be_read_before_it_is_known_whose_it_is() {
    type Counts = AddWinsMap<u32, PnCounter>;
    let (mut ann, mut bob) = (Replica::<Counts>::new(id(1)), Replica::<Counts>::new(id(2)));
    for by in 1..=10 {
        let _ = bob.update(|counts| (0..3_u32).for_each(|count| counts.at(count).add(by)));
    }
    level(&mut ann, &mut bob);
    let _ = bob.merge(ann.sweep(&bob.version())).unwrap();
    // An event at a time: the sums first, for they are of the lower id.
    let known = ann.version();
    let events: u64 = known.iter().map(|(_, last)| last).sum();
    let mut decoding = Decoding::new(Replica::<Counts>::new(id(3)), &Limits::default());
    for event in 0..events {
        decoding.take(&ann.slice_below(&known, event..event + 1).unwrap()[..]).unwrap();
    }
    let read = decoding.finish();
    assert_eq!((read.get(&0).map(PnCounter::value), read.encode()), (Some(55), ann.encode()));
}

#[cfg(feature = "derive")]
mod named_before {
    #[derive(tombolo_crdt::Crdt)]
    #[crdt(name = "Post")]
    pub struct Post {
        pub likes: tombolo_crdt::PnCounter,
    }
}

#[cfg(feature = "derive")]
mod renamed {
    #[derive(tombolo_crdt::Crdt)]
    #[crdt(name = "Post")]
    pub struct Post {
        #[crdt(alias = "likes")]
        pub votes: tombolo_crdt::PnCounter,
    }
}

#[cfg(feature = "derive")]
mod named_since {
    #[derive(tombolo_crdt::Crdt)]
    #[crdt(name = "Post")]
    pub struct Post {
        pub votes: tombolo_crdt::PnCounter,
    }
}

#[cfg(feature = "derive")]
#[test]
fn what_stands_under_different_names_is_not_summed_up_to_one() {
    type Before = AddWinsMap<u8, named_before::Post>;
    type Renamed = AddWinsMap<u8, renamed::Post>;
    type Since = AddWinsMap<u8, named_since::Post>;
    fn told<T: Crdt>(delta: &[u8]) -> Delta<T> {
        Delta::decode(delta, &Limits::default()).unwrap()
    }

    let mut before = Replica::<Before>::new(id(1));
    for _ in 0..6 {
        let _ = before.update(|posts| posts.at(1).likes().add(-1));
    }
    // The program is updated, and goes on under the same id.
    let mut ann = Replica::<Renamed>::decode(id(1), &before.encode(), &Limits::default()).unwrap();
    for _ in 0..6 {
        let _ = ann.update(|posts| posts.at(1).votes().add(2));
    }
    let stable = ann.version();
    let mut since = Replica::<Since>::decode(id(2), &ann.encode(), &Limits::default()).unwrap();
    let mut before = Replica::<Before>::decode(id(3), &ann.encode(), &Limits::default()).unwrap();
    // Those who know one name only, and the one that knows both, at the same time.
    let (hers, its, theirs) = (ann.sweep(&stable), since.sweep(&stable), before.sweep(&stable));
    let _ = (ann.merge(told(&its.encode())).unwrap(), ann.merge(told(&theirs.encode())).unwrap());
    let _ = (since.merge(told(&hers.encode())).unwrap(), before.merge(told(&hers.encode())).unwrap());
    assert_eq!(ann.get(&1).unwrap().votes.value(), 6);
    assert_eq!(since.get(&1).unwrap().votes.value(), 12);
    assert_eq!(before.get(&1).unwrap().likes.value(), -6);
}

#[test]
fn in_a_document_too() {
    let (mut ann, mut bob) = (Replica::<Doc>::new(id(1)), Replica::<Doc>::new(id(2)));
    for n in 0..30 {
        let _ = ann.update(|doc| doc.counter("likes").add(n));
    }
    level(&mut ann, &mut bob);
    let stable = bob.version();
    let removed = bob.update(|doc| doc.remove("likes")).1;
    let _ = bob.merge(ann.sweep(&stable)).unwrap();
    assert_eq!(ann.garbage().items, 2);
    let _ = ann.merge(removed).unwrap();
    level(&mut ann, &mut bob);
    assert!(ann.get("likes").is_none());
}

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Add(usize, u8, i64),
    Remove(usize, u8),
    /// What the first has that the second lacks.
    Tell(usize, usize),
    Sweep(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..3_usize;
    prop_oneof![
        6 => (who.clone(), 0..2_u8, -3..9_i64).prop_map(|(who, key, by)| Step::Add(who, key, by)),
        1 => (who.clone(), 0..2_u8).prop_map(|(who, key)| Step::Remove(who, key)),
        5 => (who.clone(), who.clone()).prop_map(|(from, to)| Step::Tell(from, to)),
        2 => who.prop_map(Step::Sweep),
    ]
}

proptest! {
    /// With a `stable` that keeps its promise nothing that is read depends on who sweeps, and when.
    #[test]
    fn nobody_reads_that_anything_was_summed_up(steps in prop::collection::vec(step(), 1..200)) {
        type Counts = AddWinsMap<u8, PnCounter>;
        let new = || [1, 2, 3].map(|byte| Replica::<Counts>::new(id(byte)));
        // The same without sweeps.
        let (mut swept, mut plain) = (new(), new());
        // What each has heard that each has: all that was written by whom up to there, it has as well.
        let mut heard = [0; 3].map(|_| [0; 3].map(|_| Version::new()));
        for step in steps {
            match step {
                Step::Add(who, key, by) => {
                    let _ = swept[who].update(|counts| counts.at(key).add(by));
                    let _ = plain[who].update(|counts| counts.at(key).add(by));
                }
                Step::Remove(who, key) => {
                    let _ = swept[who].update(|counts| counts.remove(&key));
                    let _ = plain[who].update(|counts| counts.remove(&key));
                }
                Step::Tell(from, to) => {
                    heard[from][from] = swept[from].version();
                    let more = heard[from].clone();
                    heard[to].iter_mut().zip(&more).for_each(|(heard, more)| heard.join(more));
                    let state = swept[from].state();
                    let _ = swept[to].merge(state).unwrap();
                    let state = plain[from].state();
                    let _ = plain[to].merge(state).unwrap();
                }
                Step::Sweep(who) => {
                    heard[who][who] = swept[who].version();
                    let stable = heard[who][0].meet(&heard[who][1]).meet(&heard[who][2]);
                    let _ = swept[who].sweep(&stable);
                }
            }
            for (one, other) in swept.iter().zip(&plain) {
                prop_assert_eq!(one.plain(), other.plain());
            }
        }
        let states = swept.each_ref().map(Replica::state);
        for replica in &mut swept {
            states.iter().for_each(|state| _ = replica.merge(state.clone()).unwrap());
        }
        prop_assert_eq!(swept[0].encode(), swept[1].encode());
        prop_assert_eq!(swept[1].encode(), swept[2].encode());
        let stable = swept[0].version();
        let _ = swept[0].sweep(&stable);
        let _ = swept[0].sweep(&swept[0].version());
        for counter in 0..2_u8 {
            prop_assert_eq!(swept[0].get(&counter).is_some(), swept[1].get(&counter).is_some());
        }
        // Four amounts and a sum for each of three replicas, of two counters.
        prop_assert!(swept[0].garbage().items <= 2 * 3 * 5);
    }
}
