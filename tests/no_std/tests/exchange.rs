//! The application's bytes are these, whether the crate was built with the standard library or without.

use tombolo_no_std::{Limits, exchange};

#[test]
fn what_it_holds_is_the_same_with_and_without_the_standard_library() {
    let expected = [
        "544d424c0501ef000000b62c1c7f92a55368656c669292c41001010101010101010101010101010101c4100202020202",
        "0202020202020202020202c4c004020001050101011238060a300a180a00000a64500606240405010106050903030606",
        "050507016e616d65626f6f6b73073d5469746c65647469746c656c616e677561676573a2656ea26672706c61636573a5",
        "6269726473a46d6170736e6f746573a67669736974730193cd03e800a8557073746169727393cd03e801a65469746c65",
        "64a5426972647393cd03e80281a2417482a3726f7701a6636f6c756d6ed1fed493000181a642657369646591a74e6f77",
        "68657265cf0000010000000000",
    ];
    let held = exchange(&Limits::default()).unwrap();
    let hex: String = held.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected.concat());
}
