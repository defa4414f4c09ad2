//! What a person reads who writes a schema that cannot be. To accept new messages: `TRYBUILD=overwrite cargo test -p tombolo-crdt --test
//! messages`.

#![cfg(feature = "derive")]

#[test]
fn a_schema_that_cannot_be_says_why() {
    trybuild::TestCases::new().compile_fail("tests/messages/*.rs");
}
