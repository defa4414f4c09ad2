//! What is done to a document, in the words of the program and of the definitions, and what is read of it.

use super::*;

/// One operation, at a path of names.
#[derive(Debug, Clone)]
pub struct DocOp {
    maps: Vec<u8>,
    name: u8,
    what: DocWrite,
}

#[derive(Debug, Clone)]
enum DocWrite {
    Counter(i8),
    GrowCounter(u8),
    Enable,
    Disable,
    Register(u8),
    Lww(u8),
    Set(u8),
    Unset(u8),
    GrowSet(u8),
    DisableWinsFlag(bool),
    Max(u8),
    Min(u8),
    /// An element is added, or removed.
    RemoveWinsSet(u8, bool),
    TwoPhaseSet(u8, bool),
    LwwMap(u8, Option<u8>),
    /// A letter, value, element or node is put in front, or those are deleted that are alike.
    Text(u8, bool),
    List(u8, bool),
    MovableList(u8, bool),
    Tree(u8, bool),
    Remove,
    RemoveKind(Kind),
    /// Of the map that the name would stand in.
    Clear,
}

const KINDS: [Kind; 18] = [
    Kind::Counter,
    Kind::GrowCounter,
    Kind::Flag,
    Kind::Register,
    Kind::Lww,
    Kind::Set,
    Kind::GrowSet,
    Kind::Map,
    Kind::DisableWinsFlag,
    Kind::Max,
    Kind::Min,
    Kind::RemoveWinsSet,
    Kind::TwoPhaseSet,
    Kind::LwwMap,
    Kind::Text,
    Kind::List,
    Kind::MovableList,
    Kind::Tree,
];

/// Any operation.
pub fn doc_op() -> impl Strategy<Value = DocOp> + Clone {
    let of_most = prop_oneof![
        2 => (1..9_i8).prop_map(DocWrite::Counter),
        2 => any::<u8>().prop_map(DocWrite::Register),
        2 => (0..3_u8).prop_map(DocWrite::Set),
        1 => (0..3_u8).prop_map(DocWrite::Unset),
        1 => Just(DocWrite::Enable),
        1 => Just(DocWrite::Disable),
        3 => Just(DocWrite::Remove),
        1 => prop::sample::select(KINDS.to_vec()).prop_map(DocWrite::RemoveKind),
    ];
    let of_others = prop_oneof![
        1 => (1..9_u8).prop_map(DocWrite::GrowCounter),
        2 => any::<u8>().prop_map(DocWrite::Lww),
        1 => (0..3_u8).prop_map(DocWrite::GrowSet),
        2 => any::<bool>().prop_map(DocWrite::DisableWinsFlag),
        1 => (0..9_u8).prop_map(DocWrite::Max),
        1 => (0..9_u8).prop_map(DocWrite::Min),
        2 => (0..3_u8, any::<bool>()).prop_map(|(element, adds)| DocWrite::RemoveWinsSet(element, adds)),
        2 => (0..3_u8, any::<bool>()).prop_map(|(element, adds)| DocWrite::TwoPhaseSet(element, adds)),
        2 => (0..3_u8, prop::option::of(any::<u8>())).prop_map(|(key, value)| DocWrite::LwwMap(key, value)),
        1 => Just(DocWrite::Clear),
    ];
    let item = || (0..3_u8, prop::bool::weighted(0.7));
    let of_ordered = prop_oneof![
        item().prop_map(|(item, adds)| DocWrite::Text(item, adds)),
        item().prop_map(|(item, adds)| DocWrite::List(item, adds)),
        item().prop_map(|(item, adds)| DocWrite::MovableList(item, adds)),
        item().prop_map(|(item, adds)| DocWrite::Tree(item, adds)),
    ];
    let what = prop_oneof![2 => of_most, 2 => of_others, 1 => of_ordered];
    (proptest::collection::vec(0..2_u8, 0..3), 0..2_u8, what).prop_map(|(maps, name, what)| DocOp {
        maps,
        name,
        what,
    })
}

/// Does it.
pub fn write_doc(doc: &mut <Doc as Crdt>::Mut<'_>, op: &DocOp) {
    let names: Vec<_> = op.maps.iter().map(u8::to_string).collect();
    let mut doc = doc.by_ref().at_path(names.iter().map(String::as_str));
    let name = &op.name.to_string();
    let int = |value: &u8| i64::from(*value);
    match &op.what {
        DocWrite::Counter(by) => doc.counter(name).add(i64::from(*by)),
        DocWrite::GrowCounter(by) => doc.grow_counter(name).inc(u64::from(*by)),
        DocWrite::Enable => doc.flag(name).enable(),
        DocWrite::Disable => doc.flag(name).disable(),
        DocWrite::Register(value) => doc.register(name).set(int(value)),
        DocWrite::Lww(value) => doc.lww(name).set(int(value)),
        DocWrite::Set(element) => doc.set(name).add(int(element)),
        DocWrite::Unset(element) => drop(doc.set(name).remove(&Scalar::from(int(element)))),
        DocWrite::GrowSet(element) => doc.grow_set(name).add(int(element)),
        DocWrite::DisableWinsFlag(true) => doc.disable_wins_flag(name).enable(),
        DocWrite::DisableWinsFlag(false) => doc.disable_wins_flag(name).disable(),
        DocWrite::Max(value) => doc.max(name).set(int(value)),
        DocWrite::Min(value) => doc.min(name).set(int(value)),
        DocWrite::RemoveWinsSet(element, true) => doc.remove_wins_set(name).add(int(element)),
        DocWrite::RemoveWinsSet(element, false) => drop(doc.remove_wins_set(name).remove(int(element))),
        DocWrite::TwoPhaseSet(element, true) => drop(doc.two_phase_set(name).add(int(element))),
        DocWrite::TwoPhaseSet(element, false) => {
            _ = doc.two_phase_set(name).remove(&Scalar::from(int(element)));
        }
        DocWrite::LwwMap(key, Some(value)) => doc.lww_map(name).set(key.to_string(), int(value)),
        DocWrite::LwwMap(key, None) => drop(doc.lww_map(name).remove(&key.to_string()[..])),
        DocWrite::Text(item, true) => doc.text(name).insert(0, &item.to_string()).expect("there is a start"),
        DocWrite::Text(item, false) => {
            let mut text = doc.text(name);
            while let Some(at) = text.to_string().find(&item.to_string()) {
                text.delete(at..at + 1).expect("it is there");
            }
        }
        DocWrite::List(item, true) => doc.list(name).insert(0, int(item)).expect("there is a start"),
        DocWrite::List(item, false) => {
            let mut list = doc.list(name);
            let alike = |value: &Scalar| *value == Scalar::from(int(item));
            for at in (0..list.len()).rev().filter(|at| list.get(*at).is_some_and(alike)).collect::<Vec<_>>()
            {
                list.remove(at).expect("it is there");
            }
        }
        DocWrite::MovableList(item, true) => {
            doc.movable_list(name).insert(0).expect("there is a start").lww(ITEM).set(int(item));
        }
        DocWrite::MovableList(item, false) => {
            let mut list = doc.movable_list(name);
            let alike = |element: &Doc| item_of(element) == item.to_string();
            for at in (0..list.len()).rev().filter(|at| list.get(*at).is_some_and(alike)).collect::<Vec<_>>()
            {
                list.remove(at).expect("it is there");
            }
        }
        DocWrite::Tree(item, true) => {
            doc.tree(name).insert(None, 0).expect("there is a start").1.lww(ITEM).set(int(item));
        }
        DocWrite::Tree(item, false) => {
            let mut tree = doc.tree(name);
            let alike = |id: &NodeId| tree.get(*id).is_some_and(|node| item_of(node) == item.to_string());
            let alike: Vec<NodeId> = tree.roots().filter(alike).collect();
            alike.into_iter().for_each(|id| tree.purge(id).expect("it is there"));
        }
        DocWrite::Remove => drop(doc.remove(name)),
        DocWrite::RemoveKind(kind) => drop(doc.remove_kind(name, *kind)),
        DocWrite::Clear => doc.clear(),
    }
}

/// Under which name an element or node says which it is.
const ITEM: &str = "item";

/// Which element or node it is.
fn item_of(doc: &Doc) -> String {
    doc.get(ITEM)
        .and_then(|entry| entry.lww()?.value())
        .map(Scalar::to_string)
        .expect("it was made with that")
}

/// The same name as different types is at different places: names and types take turns, and an element or key may follow.
pub fn doc_deed(op: &DocOp, author: &Replica<Doc>) -> Deed {
    let maps: Vec<_> = op.maps.iter().map(u8::to_string).collect();
    let entry = author.at_path(maps.iter().map(String::as_str)).and_then(|doc| doc.get(&op.name.to_string()));
    let mut at: Place = maps.iter().flat_map(|name| [name.clone(), Kind::Map.name().into()]).collect();
    if let DocWrite::Clear = op.what {
        return Deed::Remove(at);
    }
    at.push(op.name.to_string());
    let mut of = |parts: &[&dyn ToString]| {
        at.extend(parts.iter().map(|part| part.to_string()));
        std::mem::take(&mut at)
    };
    match &op.what {
        DocWrite::Counter(by) => Deed::Count(of(&[&Kind::Counter.name()]), i64::from(*by)),
        DocWrite::GrowCounter(by) => Deed::Count(of(&[&Kind::GrowCounter.name()]), i64::from(*by)),
        DocWrite::Enable => Deed::Add(of(&[&Kind::Flag.name()])),
        DocWrite::Disable => Deed::Remove(of(&[&Kind::Flag.name()])),
        DocWrite::Register(value) => Deed::Set(of(&[&Kind::Register.name()]), value.to_string()),
        DocWrite::Lww(value) => {
            let stamp = entry.and_then(|entry| entry.lww()?.stamp()).unwrap_or_default();
            Deed::Stamp(of(&[&Kind::Lww.name()]), stamp, value.to_string())
        }
        DocWrite::Set(element) => Deed::Add(of(&[&Kind::Set.name(), element])),
        DocWrite::Unset(element) => Deed::Remove(of(&[&Kind::Set.name(), element])),
        DocWrite::GrowSet(element) => Deed::Add(of(&[&Kind::GrowSet.name(), element])),
        DocWrite::DisableWinsFlag(true) => Deed::Add(of(&[&Kind::DisableWinsFlag.name()])),
        DocWrite::DisableWinsFlag(false) => Deed::Ban(of(&[&Kind::DisableWinsFlag.name()])),
        DocWrite::Max(value) => Deed::Offer(of(&[&Kind::Max.name()]), i64::from(*value)),
        DocWrite::Min(value) => Deed::Offer(of(&[&Kind::Min.name()]), i64::from(*value)),
        DocWrite::RemoveWinsSet(element, true) => Deed::Add(of(&[&Kind::RemoveWinsSet.name(), element])),
        DocWrite::RemoveWinsSet(element, false) => Deed::Ban(of(&[&Kind::RemoveWinsSet.name(), element])),
        DocWrite::TwoPhaseSet(element, true) => Deed::Add(of(&[&Kind::TwoPhaseSet.name(), element])),
        DocWrite::TwoPhaseSet(element, false) => Deed::Ban(of(&[&Kind::TwoPhaseSet.name(), element])),
        DocWrite::LwwMap(key, Some(value)) => {
            let stamp = entry.and_then(|entry| entry.lww_map()?.stamp(&key.to_string()[..]));
            Deed::Stamp(of(&[&Kind::LwwMap.name(), key]), stamp.unwrap_or_default(), value.to_string())
        }
        DocWrite::LwwMap(key, None) => {
            let stamp = entry.and_then(|entry| entry.lww_map()?.removed_at(&key.to_string()[..]));
            Deed::Unset(of(&[&Kind::LwwMap.name(), key]), stamp.unwrap_or_default())
        }
        DocWrite::Text(item, true) => Deed::Add(of(&[&Kind::Text.name(), item])),
        DocWrite::Text(item, false) => Deed::Remove(of(&[&Kind::Text.name(), item])),
        DocWrite::List(item, true) => Deed::Add(of(&[&Kind::List.name(), item])),
        DocWrite::List(item, false) => Deed::Remove(of(&[&Kind::List.name(), item])),
        DocWrite::MovableList(item, true) => Deed::Add(of(&[&Kind::MovableList.name(), item])),
        DocWrite::MovableList(item, false) => Deed::Remove(of(&[&Kind::MovableList.name(), item])),
        DocWrite::Tree(item, true) => Deed::Add(of(&[&Kind::Tree.name(), item])),
        DocWrite::Tree(item, false) => Deed::Remove(of(&[&Kind::Tree.name(), item])),
        DocWrite::Remove => Deed::Remove(of(&[])),
        DocWrite::RemoveKind(kind) => Deed::Remove(of(&[&kind.name()])),
        DocWrite::Clear => unreachable!("it is done above"),
    }
}

/// Of these there is what was added and not removed.
const ADDED: [Kind; 7] =
    [Kind::Set, Kind::GrowSet, Kind::Flag, Kind::Text, Kind::List, Kind::MovableList, Kind::Tree];

/// A document as its reader finds it: of each type what there is of it, by place.
#[derive(Default, Debug, PartialEq)]
pub struct Read {
    added: BTreeSet<Place>,
    agreed: BTreeSet<Place>,
    never_banned: BTreeSet<Place>,
    counted: BTreeMap<Place, i64>,
    values: BTreeMap<Place, Vec<String>>,
    latest: BTreeMap<Place, (Stamp, String)>,
    latest_kept: BTreeMap<Place, String>,
    offered: BTreeMap<Place, i64>,
}

impl Read {
    /// Each definition says something of the places of some types.
    pub fn by_definition(history: &History<Deed>, visible: &[usize]) -> Self {
        /// Which type what stands at a place is of.
        fn of_one(at: &Place, kinds: &[Kind]) -> bool {
            let kind = &at[at.len() / 2 * 2 - 1];
            kinds.iter().any(|one| one.name() == kind)
        }
        let sets = |mut set: BTreeSet<Place>, kinds: &[Kind]| {
            set.retain(|at| of_one(at, kinds));
            set
        };
        let mut latest = latest(history, visible);
        latest.retain(|at, _| of_one(at, &[Kind::Lww]));
        let mut latest_kept = latest_kept(history, visible);
        latest_kept.retain(|at, _| of_one(at, &[Kind::LwwMap]));
        let best = |(at, offered): (Place, BTreeSet<i64>)| {
            let best = if of_one(&at, &[Kind::Max]) { offered.last() } else { offered.first() };
            best.map(|best| (at, *best))
        };
        Self {
            added: sets(added(history, visible), &ADDED),
            agreed: sets(agreed(history, visible), &[Kind::DisableWinsFlag, Kind::RemoveWinsSet]),
            never_banned: sets(never_banned(history, visible), &[Kind::TwoPhaseSet]),
            counted: counted(history, visible),
            values: values(history, visible),
            latest,
            latest_kept,
            offered: offered(history, visible).into_iter().filter_map(best).collect(),
        }
    }

    /// Reads a document that stands at a place.
    pub fn doc(&mut self, doc: &Doc, above: &Place) {
        for (name, entry) in doc.iter() {
            for kind in entry.kinds() {
                let mut at = above.clone();
                at.extend([name.clone(), kind.name().into()]);
                self.entry(entry, kind, at);
            }
        }
    }

    fn entry(&mut self, entry: &DocEntry, kind: Kind, at: Place) {
        fn number(value: &Scalar) -> i64 {
            value.to_string().parse().expect("a number was written")
        }
        let below = |part: &dyn ToString| [&at[..], &[part.to_string()]].concat();
        match kind {
            Kind::Counter => drop(self.counted.insert(at, entry.counter().unwrap().value())),
            Kind::GrowCounter => {
                let sum = entry.grow_counter().unwrap().value();
                self.counted.insert(at, i64::try_from(sum).unwrap());
            }
            Kind::Flag => {
                assert!(entry.flag().unwrap().value(), "a flag that is listed and not enabled");
                self.added.insert(at);
            }
            Kind::Register => {
                let mut shown: Vec<_> = entry.register().unwrap().values().map(Scalar::to_string).collect();
                shown.sort_unstable();
                self.values.insert(at, shown);
            }
            Kind::Lww => {
                let register = entry.lww().unwrap();
                self.latest.insert(at, (register.stamp().unwrap(), register.value().unwrap().to_string()));
            }
            Kind::Set => self.added.extend(entry.set().unwrap().iter().map(|element| below(element))),
            Kind::GrowSet => {
                self.added.extend(entry.grow_set().unwrap().iter().map(|element| below(element)));
            }
            Kind::Map => self.doc(entry.map().unwrap(), &at),
            Kind::DisableWinsFlag => {
                if entry.disable_wins_flag().unwrap().value() {
                    self.agreed.insert(at);
                }
            }
            Kind::Max => drop(self.offered.insert(at, number(entry.max().unwrap().value().unwrap()))),
            Kind::Min => drop(self.offered.insert(at, number(entry.min().unwrap().value().unwrap()))),
            Kind::RemoveWinsSet => {
                self.agreed.extend(entry.remove_wins_set().unwrap().iter().map(|element| below(element)));
            }
            Kind::TwoPhaseSet => {
                self.never_banned.extend(entry.two_phase_set().unwrap().iter().map(|element| below(element)));
            }
            Kind::LwwMap => {
                let entries = entry.lww_map().unwrap().iter();
                self.latest_kept.extend(entries.map(|(key, value)| (below(key), value.to_string())));
            }
            Kind::Text => {
                let letters = entry.text().unwrap().to_string();
                self.added.extend(letters.chars().map(|letter| below(&letter)));
            }
            Kind::List => self.added.extend(entry.list().unwrap().iter().map(|value| below(value))),
            Kind::MovableList => {
                self.added
                    .extend(entry.movable_list().unwrap().iter().map(|element| below(&item_of(element))));
            }
            Kind::Tree => {
                let tree = entry.tree().unwrap();
                let nodes = tree.iter().map(|(id, _)| item_of(tree.get(id).expect("it is listed")));
                self.added.extend(nodes.map(|item| below(&item)));
            }
            kind => panic!("nobody wrote a {kind:?}"),
        }
    }
}
