//! What stands under one name of a dynamic document: at most one value of each type.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use smallvec::SmallVec;

use super::{Doc, Scalar};
use crate::causal::LocalDot;
use crate::delta::{Bytes, Mismatch, Node, TreeWriter};
use crate::map::reset;
use crate::store::{
    Claim, Crdt, Disputes, DotStore, FADING, Gathered, Join, Look, Mut, Opaque, Plain, Seen, Sight, Sweep,
    View, What, deeper,
};
use crate::{
    AddWinsSet, DisableWinsFlag, EnableWinsFlag, GCounter, GSet, List, LwwMap, LwwRegister, MaxRegister,
    MinRegister, MovableList, MvRegister, PnCounter, RemoveWinsSet, Text, Tree, TwoPhaseSet,
};

/// Writes the entry's types out once, for everything that must name each of them. No code is 0xc1, the key of what shows nothing.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:literal, $name:literal, $read:ident, $write:ident: $type:ty;)*) => {
        /// The types a name of a [`Doc`] can be used as, in the order in which they are shown.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $kind = $code,)*
        }

        impl Kind {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The name it goes by in views, and in what serde writes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$kind),)*
                    _ => None,
                }
            }

            /// The kind with this code in keys.
            pub(crate) fn with_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$kind),)*
                    _ => None,
                }
            }

            /// The name of its type.
            pub(crate) fn type_name(self) -> Cow<'static, str> {
                match self { $(Self::$kind => <$type as Crdt>::type_name(),)* }
            }
        }

        #[derive(Clone, Debug)]
        enum Typed {
            $($kind(Box<$type>),)*
            /// Of a type that a newer version of this library knows.
            Unknown(u8, Box<Opaque>),
        }

        impl Typed {
            fn new(code: u8) -> Self {
                match code {
                    $($code => Self::$kind(Box::default()),)*
                    code => Self::Unknown(code, Box::default()),
                }
            }

            fn code(&self) -> u8 {
                match self {
                    $(Self::$kind(_) => $code,)*
                    Self::Unknown(code, _) => *code,
                }
            }

            fn kind(&self) -> Option<Kind> {
                match self {
                    $(Self::$kind(_) => Some(Kind::$kind),)*
                    Self::Unknown(..) => None,
                }
            }

            fn check(code: u8, node: Node<'_>) -> Result<(), Mismatch> {
                match code {
                    $($code => <$type as DotStore>::check(node),)*
                    _ => Ok(()),
                }
            }

            /// The name it goes by in views.
            fn name(&self) -> Plain {
                match self {
                    $(Self::$kind(_) => $name.into(),)*
                    Self::Unknown(code, _) => Plain::Text(format!("unknown-{code}")),
                }
            }

            fn view_in<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                match self {
                    $(Self::$kind(value) => map.serialize_entry($name, &View(&**value)),)*
                    Self::Unknown(code, value) => map.serialize_entry(&format!("unknown-{code}"), &View(&**value)),
                }
            }
        }

        /// Runs `$body` on the value, whatever its type.
        macro_rules! each {
            ($typed:expr, $value:ident => $body:expr) => {
                match $typed {
                    $(Typed::$kind($value) => $body,)*
                    Typed::Unknown(_, $value) => $body,
                }
            };
        }

        impl DocEntry {
            $(
                #[doc = concat!("The value as a `", stringify!($type), "`, if the name is used as one.")]
                #[must_use]
                pub fn $read(&self) -> Option<&$type> {
                    self.typed.iter().find_map(|typed| match typed {
                        Typed::$kind(value) if value.shows() => Some(&**value),
                        _ => None,
                    })
                }
            )*
        }

        impl<'a> Mut<'a, DocEntry> {
            $(
                pub(super) fn $write(self) -> Mut<'a, $type> {
                    let at = self.state.place($code);
                    let place = self.tx.draft.child(self.place, |key| key.push($code));
                    let Typed::$kind(value) = &mut self.state.typed[at] else {
                        unreachable!("`place` answers with the value of the code it was asked for")
                    };
                    Mut { state: value, place, tx: self.tx, removable: true, depth: deeper(self.depth) }
                }
            )*
        }
    };
}

kinds! {
    /// A [`PnCounter`].
    Counter = 1, "counter", counter, into_counter: PnCounter;
    /// A [`GCounter`].
    GrowCounter = 2, "grow_counter", grow_counter, into_grow_counter: GCounter;
    /// An [`EnableWinsFlag`].
    Flag = 3, "flag", flag, into_flag: EnableWinsFlag;
    /// An [`MvRegister`] of [`Scalar`]s.
    Register = 4, "register", register, into_register: MvRegister<Scalar>;
    /// An [`LwwRegister`] of [`Scalar`]s.
    Lww = 5, "lww", lww, into_lww: LwwRegister<Scalar>;
    /// An [`AddWinsSet`] of [`Scalar`]s.
    Set = 6, "set", set, into_set: AddWinsSet<Scalar>;
    /// A [`GSet`] of [`Scalar`]s.
    GrowSet = 7, "grow_set", grow_set, into_grow_set: GSet<Scalar>;
    /// A [`Doc`] again.
    Map = 8, "map", map, into_map: Doc;
    /// A [`DisableWinsFlag`].
    DisableWinsFlag = 9, "disable_wins_flag", disable_wins_flag, into_disable_wins_flag: DisableWinsFlag;
    /// A [`MaxRegister`] of [`Scalar`]s.
    Max = 10, "max", max, into_max: MaxRegister<Scalar>;
    /// A [`MinRegister`] of [`Scalar`]s.
    Min = 11, "min", min, into_min: MinRegister<Scalar>;
    /// A [`RemoveWinsSet`] of [`Scalar`]s.
    RemoveWinsSet = 12, "remove_wins_set", remove_wins_set, into_remove_wins_set: RemoveWinsSet<Scalar>;
    /// A [`TwoPhaseSet`] of [`Scalar`]s.
    TwoPhaseSet = 13, "two_phase_set", two_phase_set, into_two_phase_set: TwoPhaseSet<Scalar>;
    /// An [`LwwMap`] from names to [`Scalar`]s.
    LwwMap = 14, "lww_map", lww_map, into_lww_map: LwwMap<String, Scalar>;
    /// A [`Text`].
    Text = 15, "text", text, into_text: Text;
    /// A [`List`] of [`Scalar`]s.
    List = 16, "list", list, into_list: List<Scalar>;
    /// A [`MovableList`] of maps.
    MovableList = 17, "movable_list", movable_list, into_movable_list: MovableList<Doc>;
    /// A [`Tree`] of maps.
    Tree = 18, "tree", tree, into_tree: Tree<Doc>;
}

/// A type's name that this program does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no type of a document's values is called `{0}`")]
pub struct UnknownKind(String);

impl TryFrom<String> for Kind {
    type Error = UnknownKind;

    fn try_from(name: String) -> Result<Self, UnknownKind> {
        Self::from_name(&name).ok_or(UnknownKind(name))
    }
}

impl From<Kind> for &'static str {
    fn from(kind: Kind) -> Self {
        kind.name()
    }
}

/// What stands under one name: usually one value; one of each type that concurrent writers used the name as.
#[derive(Clone, Default)]
pub struct DocEntry {
    /// INVARIANT: ascending by code, no code twice; outside a transaction no value is empty.
    typed: SmallVec<[Typed; 1]>,
}

impl fmt::Debug for DocEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shown()).finish()
    }
}

impl DocEntry {
    /// The types the name is used as, in a fixed order: one, unless concurrent writers disagreed.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.shown().filter_map(Typed::kind)
    }

    /// What is read, without what remembers how a text is being forgotten that has been removed.
    fn shown(&self) -> impl Iterator<Item = &Typed> + '_ {
        self.typed.iter().filter(|typed| each!(typed, value => value.shows()))
    }

    /// The place of the value of this code, made if there is none.
    fn place(&mut self, code: u8) -> usize {
        match self.typed.binary_search_by_key(&code, Typed::code) {
            Ok(at) => at,
            Err(at) => {
                self.typed.insert(at, Typed::new(code));
                at
            }
        }
    }

    fn drop_empty(&mut self) {
        self.typed.retain(|typed| each!(typed, value => !value.is_bottom()));
    }
}

impl Mut<'_, DocEntry> {
    /// Removes the value of one type; says whether it was in.
    pub fn remove(&mut self, kind: Kind) -> bool {
        let code = kind as u8;
        let Ok(at) = self.state.typed.binary_search_by_key(&code, Typed::code) else { return false };
        if !each!(&self.state.typed[at], value => value.shows()) {
            return false;
        }
        let typed = self.state.typed.remove(at);
        let below = self.tx.draft.child_of_removed(self.place, |key| key.push(code));
        each!(&typed, value => reset(&**value, below, self.tx))
    }
}

/// The code in a child's key.
fn code_of(key: &[u8]) -> Result<u8, Mismatch> {
    match key {
        [code] if key != FADING => Ok(*code),
        _ => Err(Mismatch::Content { what: "key", why: "the type of a document's value is one byte".into() }),
    }
}

impl Crdt for DocEntry {
    type State = Self;
    type Mut<'a> = Mut<'a, Self>;

    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("DocEntry")
    }
}

impl DotStore for DocEntry {
    fn take_in(&mut self, node: Node<'_>, join: &mut Join<'_>) {
        for (key, child) in node.children() {
            let Some(code) = join.right(code_of(key)) else { return };
            let at = self.place(code);
            each!(&mut self.typed[at], value => {
                join.below(&mut **value, child);
                if value.is_bottom() {
                    self.typed.remove(at);
                }
            });
        }
    }

    fn retain(&mut self, keep: &mut dyn FnMut(LocalDot) -> bool) {
        self.typed.iter_mut().for_each(|typed| each!(typed, value => value.retain(keep)));
        self.drop_empty();
    }

    fn settle(&mut self) {
        self.typed.iter_mut().for_each(|typed| each!(typed, value => value.settle()));
    }

    fn dots(&self, each: &mut dyn FnMut(LocalDot)) {
        self.typed.iter().for_each(|typed| each!(typed, value => value.dots(each)));
    }

    fn carry(&self, wanted: &dyn Fn(LocalDot) -> bool, writer: &mut TreeWriter<'_>) {
        for typed in &self.typed {
            let write = |below: &mut TreeWriter<'_>| each!(typed, value => value.carry(wanted, below));
            writer.child(|key| key.push(typed.code()), write);
        }
    }

    fn is_bottom(&self) -> bool {
        self.typed.is_empty()
    }

    fn shows(&self) -> bool {
        self.shown().next().is_some()
    }

    fn prune(&mut self, node: Node<'_>) {
        for (key, child) in node.children() {
            if let Some(typed) = self.typed.iter_mut().find(|typed| key == [typed.code()]) {
                each!(typed, value => value.prune(child));
            }
        }
        self.drop_empty();
    }

    fn check(node: Node<'_>) -> Result<(), Mismatch> {
        node.check_fields(|key, child| Typed::check(code_of(key)?, child))
    }

    fn view<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.shown().count()))?;
        self.shown().try_for_each(|typed| typed.view_in(&mut map))?;
        map.end()
    }

    fn remembered(&self, sweep: &mut Sweep<'_>) {
        for typed in &self.typed {
            sweep.entry(|sweep| each!(typed, value => value.remembered(sweep)));
        }
    }

    fn conflicts(&self, disputes: &mut Disputes<'_>) {
        let claim = |typed: &Typed| Claim {
            value: Some(Plain::Map([(typed.name(), each!(typed, value => value.plain()))].into())),
            by: each!(typed, value => disputes.authors(&**value)),
            at: None,
        };
        let claims = self.shown().map(claim).collect();
        disputes.settle(claims);
        for typed in self.shown() {
            disputes.below(typed.name(), |disputes| each!(typed, value => value.conflicts(disputes)));
        }
    }

    fn plain(&self) -> Plain {
        let value = |typed: &Typed| (typed.name(), each!(typed, value => value.plain()));
        Plain::Map(self.shown().map(value).collect())
    }

    fn look(&self, look: Look<'_>) -> Seen {
        let see = |typed: &Typed, look| each!(typed, value => value.look(look));
        match look.children() {
            Some(children) => {
                let named = children.map(|(key, below)| {
                    let there = self.shown().find(|typed| key == [typed.code()]);
                    (Bytes::from_slice(key), there.map(|there| see(there, below)))
                });
                Seen(Sight::Entries(named.collect(), false))
            }
            None => {
                let all = self.shown();
                let all = all.map(|typed| (Bytes::from_slice(&[typed.code()]), Some(see(typed, look.all()))));
                Seen(Sight::Entries(all.collect(), true))
            }
        }
    }

    fn changed(&self, before: &Seen, gathered: &mut Gathered) {
        let Seen(Sight::Entries(seen, are_all)) = before else { return };
        let was = |code: u8| seen.iter().find(|(key, _)| key[..] == [code]);
        for typed in self.shown() {
            match was(typed.code()) {
                Some((_, Some(seen))) => gathered.below(typed.name(), |gathered| {
                    each!(typed, value => value.changed(seen, gathered));
                }),
                None if !are_all => {}
                _ => gathered.below(typed.name(), |gathered| {
                    gathered.say(What::Added(each!(typed, value => value.plain())));
                }),
            }
        }
        for (key, was) in seen {
            let [code] = key[..] else { continue };
            if was.is_some() && self.shown().all(|typed| typed.code() != code) {
                gathered.below(Typed::new(code).name(), |gathered| gathered.say(What::Removed));
            }
        }
    }
}
