//! For fuzzing: what it takes to be a hostile *member*, who knows the secret. No part of the public interface.

use super::frame::{Frame, Hello};
use super::gossip::Seal;
use super::handshake::Credentials;
use crate::{DocId, PeerId, Secret};

/// The frame by which `prover`, whose hello is the frame `proving`, proves to the sender of the frame `verifying` that
/// it knows the secret; `None` if one of them is no hello.
#[must_use]
pub fn proof(
    secret: &Secret,
    application: &str,
    prover: PeerId,
    proving: &[u8],
    verifier: PeerId,
    verifying: &[u8],
) -> Option<Vec<u8>> {
    let hello = |frame: &[u8]| -> Option<Hello> {
        match Frame::decode(frame)? {
            Frame::Hello(hello) => Some(hello),
            _ => None,
        }
    };
    let credentials = Credentials::new(prover, application, secret);
    let proof = credentials.proof(&hello(proving)?, verifier, &hello(verifying)?);
    Some(Frame::Proof(proof).encode())
}

/// A hello like that of a member.
#[must_use]
pub fn hello(secret: &Secret, application: &str, peer: PeerId, nonce: [u8; 32]) -> Vec<u8> {
    Frame::Hello(Credentials::new(peer, application, secret).hello(nonce)).encode()
}

/// A gossip payload as a member would seal it.
#[must_use]
pub fn seal(secret: &Secret, doc: DocId, delta: &[u8], nonce: [u8; 24]) -> Vec<u8> {
    Seal::new(secret).seal(doc, delta, nonce)
}

/// What a member reads from a gossip payload.
#[must_use]
pub fn open(secret: &Secret, payload: &[u8]) -> Option<(DocId, Vec<u8>)> {
    Seal::new(secret).open(payload)
}

/// Reads any bytes as a frame and writes it again.
#[must_use]
pub fn reencode(frame: &[u8]) -> Option<Vec<u8>> {
    Frame::decode(frame).map(|frame| frame.encode())
}
