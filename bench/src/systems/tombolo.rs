//! Tombolo, through its public interface, with default settings.
//!
//! A difference is what `delta_since` gives; where it answers that too much has been forgotten, the state is sent, as the
//! documentation says. Differences travel as bodies: the peers' carry no checksum either. What is sent in an established
//! session, edits and pushes, calls by number the one replica id that the receiver has met before.

mod list;
mod moves;
mod records;
mod text;
mod tree;

use tombolo_crdt::{
    AddWinsMap, AddWinsSet, BoundedCounter, Crdt, Delta, DisableWinsFlag, Doc, Envelope, EnvelopeKind,
    GCounter, GMap, GSet, Limits, LwwMap, LwwRegister, MaxRegister, MinRegister, MovableList, MvRegister,
    PnCounter, RemoveWinsSet, Replica, ReplicaId, SessionNames, Since, TwoPhaseSet, Version, plain,
};

use crate::system::{
    Counter, List, Map, Message, Movable, Na, Records, Remark, Replicated, Set, System, Text, Tree, Type,
    Typed, ordered_sum,
};
use records::Record;

/// Tombolo with typed data.
pub struct Tombolo;

impl System for Tombolo {
    fn name(&self) -> &'static str {
        "tombolo"
    }

    fn package(&self) -> Option<&'static str> {
        Some("tombolo-crdt")
    }

    fn plain_len(&self) -> fn(&[u8]) -> usize {
        plain_len
    }

    fn remarks(&self) -> &'static [Remark] {
        &[Remark { place: "nested", same_promise: true, text: "a map of derived structs" }]
    }

    fn counter(&self, replica: u64) -> Na<Box<dyn Counter>> {
        Ok(Box::new(Of::<PnCounter>::new(replica)))
    }

    fn set(&self, replica: u64) -> Na<Box<dyn Set>> {
        Ok(Box::new(Of::<AddWinsSet<String>>::new(replica)))
    }

    fn map(&self, replica: u64) -> Na<Box<dyn Map>> {
        Ok(Box::new(Of::<Registers>::new(replica)))
    }

    fn typed(&self, of: Type, replica: u64) -> Na<Box<dyn Typed>> {
        fn boxed<T: Crdt>(replica: u64, write: Write<T>, size: fn(&T::State) -> usize) -> Na<Box<dyn Typed>> {
            Ok(Box::new(One { of: Of::<T>::new(replica), write, size }))
        }
        match of {
            Type::GCounter => boxed::<GCounter>(replica, |it, _, _| it.inc(1), |it| it.value() as usize),
            Type::BoundedCounter => boxed::<BoundedCounter>(
                replica,
                |it, _, at| match at % 3 {
                    2 => it.dec(1).expect("it holds rights"),
                    _ => it.inc(1),
                },
                |it| it.value() as usize,
            ),
            Type::DisableWinsFlag => {
                boxed::<DisableWinsFlag>(replica, |it, _, _| it.enable(), |it| usize::from(it.value()))
            }
            Type::LwwRegister => boxed::<LwwRegister<i64>>(
                replica,
                |it, _, at| it.set(at as i64),
                |it| usize::from(it.value().is_some()),
            ),
            Type::MaxRegister => boxed::<MaxRegister<i64>>(
                replica,
                |it, _, at| it.set(at as i64),
                |it| usize::from(it.value().is_some()),
            ),
            Type::MinRegister => boxed::<MinRegister<i64>>(
                replica,
                |it, _, at| it.set(-(at as i64)),
                |it| usize::from(it.value().is_some()),
            ),
            Type::GSet => boxed::<GSet<String>>(replica, |it, key, _| it.add(key), GSet::len),
            Type::RemoveWinsSet => {
                boxed::<RemoveWinsSet<String>>(replica, |it, key, _| it.add(key), RemoveWinsSet::len)
            }
            Type::TwoPhaseSet => boxed::<TwoPhaseSet<String>>(
                replica,
                |it, key, _| assert!(it.add(key), "nothing was removed"),
                TwoPhaseSet::len,
            ),
            Type::GMap => boxed::<GMap<String, PnCounter>>(
                replica,
                |it, key, at| it.at(key).add(at as i64 + 1),
                GMap::len,
            ),
            Type::LwwMap => {
                boxed::<LwwMap<String, i64>>(replica, |it, key, at| it.set(key, at as i64), LwwMap::len)
            }
        }
    }

    fn text(&self, replica: u64) -> Na<Box<dyn Text>> {
        Ok(Box::new(Of::<tombolo_crdt::Text>::new(replica)))
    }

    fn list(&self, replica: u64) -> Na<Box<dyn List>> {
        Ok(Box::new(Of::<tombolo_crdt::List<i64>>::new(replica)))
    }

    fn movable(&self, replica: u64) -> Na<Box<dyn Movable>> {
        Ok(Box::new(Of::<MovableList<LwwRegister<i64>>>::new(replica)))
    }

    fn tree(&self, replica: u64) -> Na<Box<dyn Tree>> {
        Ok(Box::new(tree::Growing::new(replica)))
    }

    fn records(&self, replica: u64) -> Na<Box<dyn Records>> {
        Ok(Box::new(Of::<AddWinsMap<String, Record>>::new(replica)))
    }
}

/// Tombolo's dynamic document, for the nested workload.
pub struct TomboloDoc;

impl System for TomboloDoc {
    fn name(&self) -> &'static str {
        "tombolo-doc"
    }

    fn package(&self) -> Option<&'static str> {
        Some("tombolo-crdt")
    }

    fn plain_len(&self) -> fn(&[u8]) -> usize {
        plain_len
    }

    fn remarks(&self) -> &'static [Remark] {
        &[Remark { place: "nested", same_promise: true, text: "a `Doc`: no schema" }]
    }

    fn takes_part(&self, workload: &str) -> bool {
        workload == "nested"
    }

    fn records(&self, replica: u64) -> Na<Box<dyn Records>> {
        Ok(Box::new(Of::<Doc>::new(replica)))
    }
}

type Registers = AddWinsMap<String, MvRegister<i64>>;

/// A replica of one of the types above.
struct Of<T: Crdt>(Replica<T>, SessionNames);

/// One write, of a key and its place.
type Write<T> = for<'a, 'b> fn(&'b mut <T as Crdt>::Mut<'a>, &str, usize);

/// One of the types that are measured together.
struct One<T: Crdt> {
    of: Of<T>,
    write: Write<T>,
    size: fn(&T::State) -> usize,
}

impl<T: Crdt> Replicated for One<T> {
    fn save(&mut self) -> Vec<u8> {
        self.of.save()
    }

    fn load(&mut self, bytes: &[u8]) {
        self.of.load(bytes);
    }

    fn version(&mut self) -> Vec<u8> {
        self.of.version()
    }

    fn since(&mut self, version: &[u8]) -> Na<Vec<u8>> {
        self.of.since(version)
    }

    fn apply(&mut self, bytes: &[u8]) {
        self.of.apply(bytes);
    }
}

impl<T: Crdt> Typed for One<T> {
    fn write_in_one(&mut self, keys: &[String]) -> Na<()> {
        let write = self.write;
        let _ = self.of.0.update(|it| keys.iter().enumerate().for_each(|(at, key)| write(it, key, at)));
        Ok(())
    }

    fn write_each(&mut self, keys: &[String]) -> Na<Vec<Vec<u8>>> {
        let write = self.write;
        let each = keys.iter().enumerate();
        Ok(each
            .map(|(at, key)| in_session(&self.of.0.update(|it| write(it, key, at)).1, &self.of.1))
            .collect())
    }

    fn size(&mut self) -> usize {
        (self.size)(&self.of.0)
    }
}

/// A full-width id.
fn id(replica: u64) -> ReplicaId {
    let mut bytes = [0x5a; 16];
    bytes[8..].copy_from_slice(&replica.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    ReplicaId::from_bytes(bytes)
}

/// The first byte of a difference: what follows.
const DELTA: u8 = 0;
const STATE: u8 = 1;
const NAMED: u8 = 2;

impl<T: Crdt> Of<T> {
    fn new(replica: u64) -> Self {
        Self(Replica::new(id(replica)), session())
    }
}

fn message<T: Crdt>(delta: &Delta<T>) -> Vec<u8> {
    let mut bytes = vec![DELTA];
    bytes.extend(delta.encode_body());
    bytes
}

/// What both ends of a session know: who writes.
fn session() -> SessionNames {
    SessionNames::new([1, 2].map(id))
}

fn in_session<T: Crdt>(delta: &Delta<T>, names: &SessionNames) -> Vec<u8> {
    let body = delta.encode_in(names);
    let mut bytes = Vec::with_capacity(1 + body.len());
    bytes.push(NAMED);
    bytes.extend(body);
    bytes
}

/// How long a message would be without compression.
fn plain_len(message: &[u8]) -> usize {
    let all = Limits::trusted();
    let plain = match message.split_first() {
        Some((&DELTA, body)) => plain(&Envelope::seal(EnvelopeKind::Delta, body), &all),
        Some((&STATE, state)) => plain(state, &all),
        Some((b'T', _)) => plain(message, &all).map(|plain| [&[0; 14], &plain[..]].concat()),
        _ => None,
    };
    plain.map_or(message.len(), |plain| plain.len())
}

impl<T: Crdt> Replicated for Of<T> {
    fn save(&mut self) -> Vec<u8> {
        self.0.encode()
    }

    fn load(&mut self, bytes: &[u8]) {
        self.0 = Replica::decode(self.0.id(), bytes, &Limits::trusted()).expect("it was saved");
    }

    fn version(&mut self) -> Vec<u8> {
        rmp_serde::to_vec(&self.0.version()).expect("a version is plain data")
    }

    fn since(&mut self, version: &[u8]) -> Na<Vec<u8>> {
        let version: Version = rmp_serde::from_slice(version).expect("it is a version");
        Ok(match self.0.delta_since(&version) {
            Since::UpToDate => Vec::new(),
            Since::Delta(delta) => message(&delta),
            Since::Forgotten => {
                let mut bytes = vec![STATE];
                bytes.extend(self.0.encode());
                bytes
            }
        })
    }

    fn apply(&mut self, bytes: &[u8]) {
        let limits = Limits::default();
        let delta = match bytes.split_first() {
            None => return,
            Some((&STATE, state)) => Delta::decode_state(state, &limits),
            Some((&NAMED, body)) => Delta::decode_in(body, &self.1, &limits),
            Some((_, body)) => Delta::decode_body(body, &limits),
        };
        self.0.merge(delta.expect("it is a difference")).expect("nothing is missing");
    }
}

impl Counter for Of<PnCounter> {
    fn add_in_one(&mut self, n: u64) -> Na<()> {
        let _ = self.0.update(|counter| (0..n).for_each(|_| counter.inc(1)));
        Ok(())
    }

    fn add_each(&mut self, n: u64) -> Na<()> {
        for _ in 0..n {
            let _ = std::hint::black_box(self.0.update(|counter| counter.inc(1)));
        }
        Ok(())
    }

    fn value(&mut self) -> i64 {
        self.0.value()
    }
}

impl Set for Of<AddWinsSet<String>> {
    fn add(&mut self, members: &[String]) {
        let _ = self.0.update(|set| set.extend(members.iter().cloned()));
    }

    fn remove(&mut self, members: &[String]) {
        let _ = self.0.update(|set| {
            for member in members {
                set.remove(member);
            }
        });
    }

    fn members(&mut self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }
}

impl Map for Of<Registers> {
    fn set_in_one(&mut self, keys: &[String], values: &[i64]) {
        let _ = self.0.update(|map| {
            for (key, value) in keys.iter().zip(values) {
                map.at(key.clone()).set(*value);
            }
        });
    }

    fn set_each(&mut self, keys: &[String], values: &[i64]) -> Na<()> {
        for (key, value) in keys.iter().zip(values) {
            let _ = std::hint::black_box(self.0.update(|map| map.at(key.clone()).set(*value)));
        }
        Ok(())
    }

    fn get_all(&mut self, keys: &[String]) -> i64 {
        let get = |key: &String| *self.0.get(key).and_then(|register| register.value()).expect("it was set");
        keys.iter().map(get).fold(0, i64::wrapping_add)
    }

    fn in_order(&mut self) -> i64 {
        ordered_sum(self.0.iter().map(|(_, register)| *register.value().expect("it was set")))
    }

    fn entries(&mut self) -> Vec<(String, i64)> {
        self.0.iter().map(|(key, register)| (key.clone(), *register.value().expect("it was set"))).collect()
    }

    /// Ten transactions, joined to one message by `append`.
    fn push(&mut self, keys: &[String], values: &[i64]) -> Na<Vec<Message>> {
        let mut joined: Option<Delta<Registers>> = None;
        for (key, value) in keys.iter().zip(values) {
            let (_, delta) = self.0.update(|map| map.at(key.clone()).set(*value));
            match &mut joined {
                None => joined = Some(delta),
                Some(joined) => assert!(joined.append(&delta), "they follow one another"),
            }
        }
        Ok(joined.iter().map(|delta| Message::Difference(in_session(delta, &self.1))).collect())
    }
}
