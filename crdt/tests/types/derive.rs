//! `#[derive(Crdt)]` as an application uses it.

#![cfg(feature = "derive")]

use tombolo_crdt::{AddWinsMap, AddWinsSet, Crdt, MvRegister, PnCounter, Replica, ReplicaId};

#[derive(Crdt)]
struct Board {
    name: MvRegister<String>,
    visits: PnCounter,
    cards: AddWinsMap<String, Card>,
}

#[derive(Crdt)]
struct Card {
    #[crdt(lww)]
    title: String,
    votes: PnCounter,
    labels: AddWinsSet<String>,
}

fn two() -> (Replica<Board>, Replica<Board>) {
    (Replica::new(ReplicaId::from_bytes([1; 16])), Replica::new(ReplicaId::from_bytes([2; 16])))
}

#[test]
fn a_label_added_while_the_card_is_removed_survives_and_nothing_else_does() {
    let (mut ann, mut bob) = two();
    let (_, delta) = ann.update(|b| {
        b.name().set("Garden");
        let mut card = b.cards().entry("dig"); // a handle can be kept
        card.title().set("Dig the bed");
        card.votes().inc(1);
        assert_eq!(card.votes.value(), 1); // reads see this transaction's writes
    });
    bob.merge(delta).unwrap();
    let (was_in, removed) = ann.update(|b| b.cards().remove("dig"));
    let (_, labelled) = bob.update(|b| b.cards().entry("dig").labels().add("late"));
    assert!(was_in);
    ann.merge(labelled).unwrap();
    bob.merge(removed).unwrap();
    assert_eq!(ann.encode(), bob.encode());
    let card = ann.cards.get("dig").unwrap();
    assert!(card.labels.contains("late"));
    assert_eq!((card.title.value(), card.votes.value()), (None, 0));
}

#[test]
fn the_view_is_plain_json() {
    let (mut ann, _) = two();
    let _ = ann.update(|b| {
        b.name().set("Garden");
        b.visits().inc(2);
        b.cards().entry("dig").title().set("Dig");
    });
    let json = serde_json::to_string(&ann.view()).unwrap();
    assert_eq!(
        json,
        r#"{"name":["Garden"],"visits":2,"cards":{"dig":{"title":"Dig","votes":0,"labels":[]}}}"#
    );
}

#[test]
fn a_failed_update_leaves_no_trace() {
    let (mut ann, _) = two();
    let _ = ann.update(|b| {
        b.visits().inc(2);
        b.cards().entry("dig").title().set("Dig");
    });
    let before = (ann.encode(), ann.version());
    let failed = ann.try_update(|b| {
        b.visits().inc(5);
        b.cards().entry("dig").title().set("Sow");
        b.cards().remove("dig");
        b.cards().entry("dig").votes().inc(9);
        b.cards().entry("new").labels().add("x");
        b.cards().entry("opened");
        Err::<(), _>("no")
    });
    assert_eq!(failed.unwrap_err(), "no");
    assert_eq!((ann.encode(), ann.version()), before);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ann.update(|b| {
            b.cards().remove("dig");
            panic!("in the middle");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!((ann.encode(), ann.version()), before);
}
