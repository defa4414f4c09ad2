//! For fuzzing: what it takes to be a hostile *member*, who knows the secret. No part of the public interface.

use super::frame::{Frame, Hello};
use super::handshake::Credentials;
use crate::PeerId;
use crate::space::Secret;

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
