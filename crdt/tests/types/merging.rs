//! What merging asks for, says and leaves alone, seen from outside.

use std::ops::ControlFlow;

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, Delta, GMap, Inspection, Limits, LwwRegister, MaxRegister, Merged, PnCounter,
    Replica, ReplicaId, Since, Version, What,
};

type Words = AddWinsSet<String>;

fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

fn version(entries: &[(u8, u64)]) -> Version {
    entries.iter().map(|&(of, counter)| (id(of), counter)).collect()
}

fn add(replica: &mut Replica<Words>, word: &str) -> Delta<Words> {
    replica.update(|words| words.add(word)).1
}

#[test]
fn a_group_depends_on_what_its_parts_depend_on_and_not_on_itself() {
    let [mut ann, mut bob, mut eve] = [1, 2, 3].map(|of| Replica::<Words>::new(id(of)));
    let first = add(&mut ann, "first");
    bob.merge(first.clone()).unwrap();
    let (mut group, more) = (add(&mut bob, "second"), add(&mut bob, "third"));
    assert!(group.append(&more));
    assert_eq!((group.deps(), group.events()), (version(&[(1, 1)]), version(&[(2, 2)])));
    let Merged::Pending(missing) = eve.merge(group).unwrap() else { panic!("it depends on the first") };
    assert_eq!(missing, version(&[(1, 1)]));
    // What is missing says what is lacking, and nothing that is known.
    eve.merge(first).unwrap();
    let _ = add(&mut bob, "lost");
    bob.merge(add(&mut ann, "known to bob")).unwrap();
    let last = add(&mut bob, "last");
    let Merged::Pending(missing) = eve.merge(last.clone()).unwrap() else { panic!("two are missing") };
    assert_eq!(missing, version(&[(1, 2), (2, 3)]));
    eve.merge(ann.state()).unwrap();
    let Merged::Pending(missing) = eve.merge(last).unwrap() else { panic!("one is missing") };
    assert_eq!(missing, version(&[(2, 3)]));
    let Merged::Pending(missing) = eve.merge(add(&mut bob, "after that")).unwrap() else {
        panic!("one is missing")
    };
    assert_eq!(missing, version(&[(2, 4)]));
}

#[test]
fn changes_of_what_is_half_known_are_those_of_the_other_half() {
    let [mut ann, mut bob, mut eve] = [1, 2, 3].map(|of| Replica::<Words>::new(id(of)));
    let (first, mut group) = (add(&mut ann, "stays"), add(&mut ann, "goes"));
    eve.merge(first).unwrap();
    eve.merge(group.clone()).unwrap();
    assert!(group.append(&ann.update(|words| words.remove("goes")).1));
    let (_, all) = eve.merge_changes(group).unwrap();
    assert_eq!(all.len(), 1);
    let [change] = &all[0].changes[..] else { panic!("{all:?}") };
    assert_eq!((&change.path[..], &change.what), (&["goes".into()][..], &What::Left));
    // Of an answer by several only who wrote what is new is named.
    bob.merge(ann.state()).unwrap();
    let _ = add(&mut bob, "news");
    let (_, all) = eve.merge_changes(bob.state()).unwrap();
    assert_eq!(all[0].by, [id(2)]);
}

#[test]
fn what_waited_and_has_come_by_another_way_changes_nothing_more() {
    let [mut ann, mut eve] = [1, 3].map(|of| Replica::<Words>::new(id(of)));
    let _ = add(&mut ann, "lost");
    assert!(matches!(eve.merge(add(&mut ann, "early")), Ok(Merged::Pending(_))));
    let (merged, all) = eve.merge_changes(ann.state()).unwrap();
    assert_eq!((merged, all.len(), eve.pending()), (Merged::Applied, 1, 0));
}

#[test]
fn an_update_that_fails_leaves_the_clock_as_it_was() {
    let [mut tried, mut never] = [1, 1].map(|of| Replica::<LwwRegister<u8>>::new(id(of)));
    for replica in [&mut tried, &mut never] {
        let _ = replica.update(|register| register.set(1));
    }
    for _ in 0..3 {
        let failed = tried.try_update(|register| {
            register.set(2);
            register.set(3);
            Err::<(), ()>(())
        });
        assert!(failed.is_err());
    }
    for replica in [&mut tried, &mut never] {
        let _ = replica.update(|register| register.set(4));
    }
    assert_eq!(tried.stamp(), never.stamp());
    assert_eq!(tried.encode(), never.encode());
}

/// Several dots of one replica in one place, and others around them.
#[test]
fn what_one_replica_wrote_to_one_place_stands_in_its_order() {
    type Scores = AddWinsMap<u8, MaxRegister<u32>>;
    let mut writers = [200, 100, 50].map(|of| Replica::<Scores>::new(id(of)));
    let mut reader = Replica::<Scores>::new(id(9));
    let mut deltas = Vec::new();
    for score in [90_u32, 70, 50, 30, 10] {
        for writer in &mut writers {
            deltas.push(writer.update(|scores| scores.at(0).set(score)).1);
        }
    }
    for delta in deltas.iter().rev().chain(&deltas) {
        reader.merge(delta.clone()).unwrap();
    }
    for writer in &mut writers {
        deltas.iter().for_each(|delta| _ = writer.merge(delta.clone()).unwrap());
        assert_eq!(writer.encode(), reader.encode());
        // Brought back by an update that fails, they stand as they stood.
        let failed = writer.try_update(|scores| {
            scores.at(0).set(95_u32);
            scores.remove(&0);
            Err::<(), ()>(())
        });
        assert!(failed.is_err());
        assert_eq!(writer.encode(), reader.encode());
    }
}

#[test]
fn maps_say_which_keys_they_have() {
    let mut stock = Replica::<AddWinsMap<String, PnCounter>>::new(id(1));
    let mut visits = Replica::<GMap<String, PnCounter>>::new(id(1));
    assert!(stock.is_empty() && visits.is_empty() && !stock.contains_key("apples"));
    let _ = stock.update(|stock| ["apples", "apricots", "pears"].map(|fruit| stock.at(fruit).inc(1)));
    let _ = visits.update(|visits| ["/a", "/a/b", "/b"].map(|page| visits.at(page).inc(1)));
    assert!(!stock.is_empty() && stock.contains_key("apples") && !stock.contains_key("ap"));
    assert!(!visits.is_empty() && visits.contains_key("/a") && !visits.contains_key("/"));
    assert_eq!(stock.prefix("ap").map(|(key, _)| &key[..]).collect::<Vec<_>>(), ["apples", "apricots"]);
    assert_eq!(visits.prefix("/a").map(|(key, _)| &key[..]).collect::<Vec<_>>(), ["/a", "/a/b"]);
    assert_eq!(stock.prefix("q").count(), 0);
}

#[test]
fn an_answer_that_joins_several_depends_on_nothing_the_asker_knows() {
    let [mut ann, mut bob] = [1, 2].map(|of| Replica::<Words>::new(id(of)));
    bob.merge(add(&mut ann, "one")).unwrap();
    let known = ann.version();
    ann.merge(add(&mut bob, "two")).unwrap();
    let _ = add(&mut ann, "three");
    let Since::Delta(answer) = ann.delta_since(&known) else { panic!("it is remembered") };
    assert!(known.dominates(&answer.deps()));
    assert_eq!(answer.events(), version(&[(1, 2), (2, 1)]));
}

#[test]
fn what_an_answer_takes_out_it_says_once() {
    let [mut ann, mut bob] = [1, 2].map(|of| Replica::<Words>::new(id(of)));
    let mut group = add(&mut ann, "comes and goes");
    let known = ann.version();
    assert!(group.append(&ann.update(|words| words.remove("comes and goes")).1));
    bob.merge(group).unwrap();
    let _ = add(&mut bob, "besides");
    let Since::Delta(answer) = bob.delta_since(&known) else { panic!("it is remembered") };
    let inspection = Inspection::of(&answer.encode(), &Limits::default()).unwrap();
    let mut covered = Vec::new();
    inspection.bodies[0].each_node(&inspection.type_name, &mut |node| {
        covered.extend(node.covers.iter().map(|run| (run.replica, run.first, run.last)));
        ControlFlow::Continue(())
    });
    assert_eq!(covered, [(id(1), 1, 1)]);
}

#[test]
fn a_state_takes_away_what_it_lacks_and_nothing_that_it_brings() {
    let mut bob = Replica::<PnCounter>::new(id(2));
    let mut eve = Replica::<PnCounter>::new(id(3));
    // Two amounts of bob's, of which one stays, among so many that they are looked up.
    let _ = bob.update(|n| n.inc(1_000));
    bob.keep_counters(1);
    let _ = bob.update(|n| n.inc(100));
    eve.merge(bob.state()).unwrap();
    for of in 10..30 {
        eve.merge(Replica::<PnCounter>::new(id(of)).update(|n| n.inc(1)).1).unwrap();
    }
    let _ = bob.update(|n| n.inc(100));
    eve.merge(bob.state()).unwrap();
    assert_eq!(eve.value(), 1_220);
    assert_eq!(eve.live_below(&bob.version()), bob.live_below(&bob.version()));
}

#[test]
fn an_amount_is_replaced_wherever_among_others_it_stands() {
    let mut writers = [1, 2, 3, 4, 5].map(|of| Replica::<PnCounter>::new(id(of)));
    let deltas = writers.each_mut().map(|writer| writer.update(|n| n.inc(1)).1);
    for writer in &mut writers {
        deltas.iter().for_each(|delta| _ = writer.merge(delta.clone()).unwrap());
        let _ = writer.update(|n| n.inc(1));
        assert_eq!(writer.live_below(&writer.version()).unwrap().len(), 5);
        assert_eq!(writer.value(), 6);
    }
}

#[test]
fn a_group_has_no_place_of_which_it_says_nothing() {
    type Stock = AddWinsMap<String, AddWinsMap<String, PnCounter>>;
    let mut stock = Replica::<Stock>::new(id(1));
    let mut group = stock.update(|stock| stock.at("fruit").at("figs").inc(1)).1;
    assert!(group.append(&stock.update(|stock| stock.remove("fruit")).1));
    let inspection = Inspection::of(&group.encode(), &Limits::default()).unwrap();
    let mut keys = Vec::new();
    inspection.bodies[0].each_node(&inspection.type_name, &mut |node| {
        keys.push(node.key.clone());
        ControlFlow::Continue(())
    });
    assert!(!keys.iter().any(|key| key.contains("figs")), "{keys:?}");
}
