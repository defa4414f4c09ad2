//! For fuzzing: what it takes to be a hostile *member*, who knows the secret. No part of the public interface.

use super::frame::{Frame, Hash, Hello};
use super::handshake::Credentials;
use super::{Engine, compare};
use crate::space::Secret;
use crate::{DocId, PeerId};

/// The hello of a member.
#[must_use]
pub fn hello(secret: &Secret, application: &str, peer: PeerId, nonce: [u8; 32]) -> Hello {
    Credentials::new(peer, application, secret).hello(nonce)
}

/// The frame by which `prover` proves to `verifier` that it knows the secret, given both hellos.
#[must_use]
pub fn proof(
    secret: &Secret,
    application: &str,
    (prover, proving): (PeerId, &Hello),
    (verifier, verifying): (PeerId, &Hello),
) -> Frame {
    Frame::Proof(Credentials::new(prover, application, secret).proof(proving, verifier, verifying))
}

/// What a node would tell of a document to have it compared, but with another state.
#[must_use]
pub fn another_state(engine: &Engine, doc: DocId) -> (DocId, Hash, Hash) {
    let version = engine.document_status(doc).map(|status| compare::version_hash_of(doc, &status.durable));
    (doc, version.unwrap_or_default(), [9; 16])
}
