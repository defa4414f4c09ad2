use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Debug};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::*;
use crate::delta::Bytes;

const DEPTH: usize = 64;

fn written(value: &impl Serialize) -> Vec<u8> {
    let mut out = Bytes::from_slice(b"before");
    write_value(&mut out, value).expect("it can be written");
    out[6..].to_vec()
}

fn written_by_rmp(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(value).expect("it can be written")
}

fn read_by_rmp<T: DeserializeOwned>(mut bytes: &[u8]) -> Option<T> {
    let mut deserializer = rmp_serde::Deserializer::new(&mut bytes);
    deserializer.set_max_depth(DEPTH);
    let value = T::deserialize(&mut deserializer).ok()?;
    bytes.is_empty().then_some(value)
}

/// Bytes that serde is told are such.
#[derive(Debug, Clone, PartialEq)]
struct Binary(Vec<u8>);

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        struct BinaryVisitor;
        impl Visitor<'_> for BinaryVisitor {
            type Value = Binary;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> core::result::Result<Binary, E> {
                Ok(Binary(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(BinaryVisitor)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename = "_ExtStruct")]
struct Ext((i8, Binary));

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Marked;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Newtype(i64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair(bool, char);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Narrow {
    bytes: (u8, i8),
    words: (u16, i16, u32, i32),
    float: f32,
    word: Option<bool>,
}

/// A struct whose fields are not counted before they are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    first: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, i64>,
}

/// Everything that serde tells apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Tree {
    Unit,
    Signed(i64),
    Wide(i128, u128),
    Named { float: f64, below: Option<Box<Tree>> },
    List(Vec<Tree>),
    Map(BTreeMap<String, Tree>),
    Keyed(BTreeMap<u64, Pair>),
    Binary(Binary),
    Ext(Ext),
    Structs(Marked, Newtype, Narrow),
    Flat(Flat),
}

fn numbers() -> impl Strategy<Value = i64> {
    (any::<i64>(), 0..64_u32).prop_map(|(number, shift)| number >> shift)
}

fn trees() -> impl Strategy<Value = Tree> {
    let narrow = (any::<(u8, i8)>(), any::<(u16, i16, u32, i32)>(), any::<f32>(), any::<Option<bool>>());
    let narrow = narrow.prop_map(|(bytes, words, float, word)| Narrow { bytes, words, float, word });
    let pairs = any::<(bool, char)>().prop_map(|(bit, letter)| Pair(bit, letter));
    let binary = || vec(any::<u8>(), 0..300).prop_map(Binary);
    let leaves = prop_oneof![
        Just(Tree::Unit),
        numbers().prop_map(Tree::Signed),
        any::<(i128, u128)>().prop_map(|(signed, unsigned)| Tree::Wide(signed, unsigned)),
        btree_map(any::<u64>(), pairs, 0..20).prop_map(Tree::Keyed),
        binary().prop_map(Tree::Binary),
        (any::<i8>(), prop_oneof![binary(), vec(any::<u8>(), 0..20).prop_map(Binary)])
            .prop_map(|parts| Tree::Ext(Ext(parts))),
        (numbers(), narrow).prop_map(|(number, narrow)| Tree::Structs(Marked, Newtype(number), narrow)),
        (any::<u64>(), btree_map("[a-z]{2,9}", numbers(), 0..20))
            .prop_map(|(first, rest)| Tree::Flat(Flat { first, rest })),
    ];
    leaves.prop_recursive(4, 40, 20, |below| {
        prop_oneof![
            vec(below.clone(), 0..20).prop_map(Tree::List),
            btree_map(".{0,40}", below.clone(), 0..20).prop_map(Tree::Map),
            (any::<f64>(), proptest::option::of(below.prop_map(Box::new)))
                .prop_map(|(float, below)| Tree::Named { float, below }),
        ]
    })
}

/// Short messages that are nearly some, and what nobody would write.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let nearly = (trees(), any::<(prop::sample::Index, u8)>()).prop_map(|(tree, (at, byte))| {
        let mut bytes = written_by_rmp(&tree);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    let marker =
        prop_oneof![0x80..0x84_u8, 0x90..0x94_u8, 0xa0..0xa4_u8, 0xc0..=0xdf_u8, any::<u8>(), 0..3_u8];
    prop_oneof![nearly, vec(marker, 0..12), vec(any::<u8>(), 0..40)]
}

/// Both read the same, or both nothing. Written again, as not every number equals itself.
fn is_read_as_by_rmp<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    let (ours, theirs) = (from_slice::<T>(bytes, DEPTH), read_by_rmp::<T>(bytes));
    match (&ours, &theirs) {
        (Ok(ours), Some(theirs)) => assert_eq!(written(ours), written(theirs), "{bytes:02x?}"),
        (Err(_), None) => {}
        _ => panic!("{ours:?}, but {theirs:?}, of {bytes:02x?}"),
    }
}

proptest! {
    #![proptest_config(crate::tests::cases(256))]

    #[test]
    fn values_are_written_as_rmp_serde_writes_them_and_come_back(tree in trees()) {
        let bytes = written(&tree);
        prop_assert_eq!(&bytes, &written_by_rmp(&tree));
        prop_assert_eq!(from_slice::<Tree>(&bytes, DEPTH).unwrap(), tree);
    }

    #[test]
    fn what_rmp_serde_reads_is_read_and_nothing_else_is(bytes in messages()) {
        is_read_as_by_rmp::<Tree>(&bytes);
        is_read_as_by_rmp::<Option<Narrow>>(&bytes);
        is_read_as_by_rmp::<Flat>(&bytes);
        is_read_as_by_rmp::<Ext>(&bytes);
        is_read_as_by_rmp::<Binary>(&bytes);
        is_read_as_by_rmp::<Marked>(&bytes);
        is_read_as_by_rmp::<Vec<u8>>(&bytes);
        is_read_as_by_rmp::<[u16; 3]>(&bytes);
        is_read_as_by_rmp::<(i128, Option<u128>)>(&bytes);
        is_read_as_by_rmp::<Vec<Option<f64>>>(&bytes);
        is_read_as_by_rmp::<BTreeMap<i8, String>>(&bytes);
        is_read_as_by_rmp::<serde_json::Value>(&bytes);
        let ignored = from_slice::<IgnoredAny>(&bytes, DEPTH).is_ok();
        prop_assert_eq!(ignored, read_by_rmp::<IgnoredAny>(&bytes).is_some());
    }
}

#[test]
fn long_things_say_so_in_two_and_four_bytes() {
    for len in [31, 32, 255, 256, 65_535, 65_536] {
        let (text, list) = ("x".repeat(len), vec![1_u8; len]);
        let map: BTreeMap<usize, bool> = (0..len).map(|key| (key, true)).collect();
        assert_eq!(written(&text), written_by_rmp(&text));
        assert_eq!(written(&list), written_by_rmp(&list));
        assert_eq!(written(&map), written_by_rmp(&map));
        assert_eq!(written(&Binary(list.clone())), written_by_rmp(&Binary(list.clone())));
        let ext = Ext((-1, Binary(list)));
        assert_eq!(written(&ext), written_by_rmp(&ext));
        assert_eq!(from_slice::<Ext>(&written(&ext), DEPTH).unwrap(), ext);
        assert_eq!(from_slice::<BTreeMap<usize, bool>>(&written(&map), DEPTH).unwrap(), map);
    }
}

#[test]
fn what_nests_too_deep_is_refused_however_it_nests() {
    #[derive(Debug, Serialize, Deserialize)]
    enum Chain {
        End,
        Link(Box<Chain>),
    }

    let lists = |depth| [vec![0x91; depth], vec![1]].concat();
    assert!(from_slice::<IgnoredAny>(&lists(DEPTH - 1), DEPTH).is_ok());
    assert!(from_slice::<IgnoredAny>(&lists(DEPTH), DEPTH).is_err());
    let chain = |depth| [b"\x81\xa4Link".repeat(depth), b"\xa3End".to_vec()].concat();
    assert!(from_slice::<Chain>(&chain(DEPTH - 1), DEPTH).is_ok());
    assert!(from_slice::<Chain>(&chain(DEPTH), DEPTH).is_err());
    assert!(from_slice::<Chain>(&chain(1 << 20), DEPTH).is_err(), "it does not exhaust the stack");
}

#[test]
fn nothing_is_taken_for_what_is_only_claimed() {
    /// Takes what it is told there will be.
    #[derive(Debug)]
    struct Greedy;

    impl<'de> Deserialize<'de> for Greedy {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
            struct GreedyVisitor;
            impl<'de> Visitor<'de> for GreedyVisitor {
                type Value = Greedy;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a list or a map")
                }

                fn visit_seq<A: serde::de::SeqAccess<'de>>(
                    self,
                    seq: A,
                ) -> core::result::Result<Greedy, A::Error> {
                    panic!("{:?} were announced", seq.size_hint())
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    map: A,
                ) -> core::result::Result<Greedy, A::Error> {
                    panic!("{:?} were announced", map.size_hint())
                }
            }
            deserializer.deserialize_any(GreedyVisitor)
        }
    }

    for bytes in
        [&b"\xdd\xff\xff\xff\xff\x01"[..], b"\xdf\xff\xff\xff\xff\x01\x01", b"\x92\x01", b"\x82\x01\x01\x01"]
    {
        assert!(from_slice::<Greedy>(bytes, DEPTH).is_err());
    }
    for bytes in
        [&b"\xdb\xff\xff\xff\xff\x01"[..], b"\xc6\xff\xff\xff\xff\x01", b"\xc9\xff\xff\xff\xff\x01\x01"]
    {
        assert!(from_slice::<IgnoredAny>(bytes, DEPTH).is_err());
    }
}
