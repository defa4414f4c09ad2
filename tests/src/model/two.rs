//! Two who hold the same text, and write to it at the same time.

use tombolo_crdt::{Limits, Mut, Replica, ReplicaId, Text};

/// An id that consists of one byte.
pub fn id(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

/// Two who hold the same text.
pub fn two(text: &str) -> [Replica<Text>; 2] {
    let mut ann = Replica::<Text>::new(id(1));
    let _ = ann.update(|all| all.push(text));
    let bob = ann.fork(id(2));
    [ann, bob]
}

/// The same text, read from bytes.
pub fn again(text: &Replica<Text>, number: u8) -> Replica<Text> {
    Replica::decode(id(number), &text.encode(), &Limits::default()).expect("it is a text")
}

/// What both write at the same time, merged; both must `read` the same, and so must who has it from bytes.
///
/// # Panics
/// If they do not.
pub fn at_once<R: PartialEq + std::fmt::Debug>(
    [ann, bob]: &mut [Replica<Text>; 2],
    read: impl Fn(&Text) -> R,
    hers: impl FnOnce(&mut Mut<'_, Text>),
    his: impl FnOnce(&mut Mut<'_, Text>),
) {
    let (_, hers) = ann.update(hers);
    let (_, his) = bob.update(his);
    ann.merge(his).expect("nothing is missing");
    bob.merge(hers).expect("nothing is missing");
    assert_eq!(ann.encode(), bob.encode());
    assert_eq!(read(ann), read(bob));
    assert_eq!(read(&again(ann, 9)), read(ann));
}
