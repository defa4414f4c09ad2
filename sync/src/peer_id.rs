//! Who a peer is on the network: an Ed25519 public key.
//!
//! Printed the way libp2p prints it (`12D3KooW…`), so that logs, multiaddresses and our own output agree, but
//! without libp2p in the build: the text is the base58 of the key's identity multihash.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Multihash code `identity`, length 36, protobuf field 1 = key type Ed25519, field 2 = 32 bytes.
const IDENTITY_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// A peer's public key: its address in handshakes, block lists and reports.
///
/// Not to be confused with [`ReplicaId`](tombolo_crdt::ReplicaId): that names one incarnation of one store, this the
/// key of one node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PeerId([u8; 32]);

/// The text is not a peer id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a peer id: expected the base58 text of an Ed25519 identity, such as 12D3KooW…")]
pub struct ParsePeerIdError(String);

impl PeerId {
    /// The peer whose Ed25519 public key is `bytes`.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The Ed25519 public key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The identity multihash: what libp2p calls the bytes of a peer id.
    #[must_use]
    pub fn to_multihash(&self) -> [u8; 38] {
        let mut bytes = [0; 38];
        bytes[..6].copy_from_slice(&IDENTITY_PREFIX);
        bytes[6..].copy_from_slice(&self.0);
        bytes
    }

    /// Reads an identity multihash of an Ed25519 key; `None` for any other kind of key.
    #[must_use]
    pub fn from_multihash(bytes: &[u8]) -> Option<Self> {
        let key = bytes.strip_prefix(&IDENTITY_PREFIX)?;
        Some(Self(key.try_into().ok()?))
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.to_multihash()).into_string())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        write!(f, "…{}", &text[text.len() - 6..])
    }
}

impl FromStr for PeerId {
    type Err = ParsePeerIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParsePeerIdError(text.chars().take(80).collect());
        if text.len() > 80 {
            return Err(wrong());
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| wrong())?;
        Self::from_multihash(&bytes).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_peer_id_reads_back() {
        let id = PeerId::from_bytes([7; 32]);
        let text = id.to_string();
        assert!(text.starts_with("12D3KooW"), "{text}");
        assert_eq!(text.parse(), Ok(id));
    }

    #[test]
    fn other_text_is_refused_with_the_text_in_the_message() {
        for text in ["", "x", "12D3KooW", "0OIl", &"1".repeat(500)] {
            assert!(text.parse::<PeerId>().is_err());
        }
    }
}
