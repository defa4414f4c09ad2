//! Gossip payloads: a delta that only members can read or make.
//!
//! ```text
//! payload = nonce (24 bytes) | XChaCha20-Poly1305( document id (16 bytes) | delta )
//! ```

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::DocId;
use crate::space::Secret;

const NONCE: usize = 24;
/// The longest payload that is published, in bytes: 48 KiB, far below what gossipsub chokes on.
pub const MAX_PAYLOAD: usize = 48 << 10;

/// Seals and opens gossip payloads of one space.
pub(crate) struct Seal(XChaCha20Poly1305);

impl Seal {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(XChaCha20Poly1305::new(&secret.derive("tombolo 2026 gossip").into()))
    }

    /// Seals a delta's body. `nonce` must never be used twice: 192 random bits.
    pub(crate) fn seal(&self, doc: DocId, delta: &[u8], nonce: [u8; NONCE]) -> Vec<u8> {
        let mut plain = doc.as_bytes().to_vec();
        plain.extend_from_slice(delta);
        let sealed = self
            .0
            .encrypt(&XNonce::from(nonce), &plain[..])
            .expect("a payload is far shorter than the cipher's limit");
        let mut payload = nonce.to_vec();
        payload.extend(sealed);
        payload
    }

    /// Opens a payload; `None` if no member made it.
    pub(crate) fn open(&self, payload: &[u8]) -> Option<(DocId, Vec<u8>)> {
        if payload.len() > MAX_PAYLOAD {
            return None;
        }
        let (nonce, sealed) = payload.split_first_chunk::<NONCE>()?;
        let mut plain = self.0.decrypt(&XNonce::from(*nonce), sealed).ok()?;
        let doc = DocId::from_bytes(plain.get(..16)?.try_into().ok()?);
        plain.drain(..16);
        Some((doc, plain))
    }
}

/// Opens a payload of the space with this secret; `None` if no member made it. For simulators and fuzzers.
#[must_use]
pub fn open_payload(secret: &Secret, payload: &[u8]) -> Option<(DocId, Vec<u8>)> {
    Seal::new(secret).open(payload)
}

/// A payload of the space with this secret. For simulators and fuzzers.
#[must_use]
pub fn seal_payload(secret: &Secret, doc: DocId, delta: &[u8], nonce: [u8; NONCE]) -> Vec<u8> {
    Seal::new(secret).seal(doc, delta, nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_members_can_read_and_a_changed_payload_is_noticed() {
        let (ours, other) =
            (Seal::new(&Secret::from_bytes([1; 32])), Seal::new(&Secret::from_bytes([2; 32])));
        let doc = DocId::from_bytes([7; 16]);
        let payload = ours.seal(doc, b"delta", [5; NONCE]);
        assert_eq!(ours.open(&payload), Some((doc, b"delta".to_vec())));
        assert_eq!(other.open(&payload), None);
        for at in 0..payload.len() {
            let mut changed = payload.clone();
            changed[at] ^= 1;
            assert_eq!(ours.open(&changed), None, "byte {at}");
        }
        assert_eq!(ours.open(&[]), None);
    }
}
