//! Counters below keys: sums of what all know.

use proptest::prelude::*;
use tombolo_crdt::{
    AddWinsMap, Crdt, Delta, Doc, GCounter, Limits, Merged, PnCounter, Replica, ReplicaId, Version,
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
    let restarted = Replica::<Posts>::decode(id(9), &ann.encode(), &Limits::default()).unwrap();
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
    let mut copy = Replica::<Posts>::decode(id(1), &ann.encode(), &Limits::default()).unwrap();
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
                    for whose in 0..3 {
                        let more = heard[from][whose].clone();
                        heard[to][whose].join(&more);
                    }
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
