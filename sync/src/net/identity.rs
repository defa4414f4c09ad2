//! Our peer ids and libp2p's: the same key, two types.

use libp2p::identity::Keypair;
use libp2p::multihash::Multihash;

use super::error::NetError;
use crate::PeerId;

/// The multihash code `identity`: the digest is the key itself.
const IDENTITY: u64 = 0;

/// The peer's key is not an Ed25519 key, the only kind this network knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("peer {0} is not named by an Ed25519 key")]
pub struct ForeignKey(libp2p::PeerId);

impl From<PeerId> for libp2p::PeerId {
    fn from(peer: PeerId) -> Self {
        let multihash = peer.to_multihash();
        // The first two bytes are the code and the length, which `wrap` writes itself.
        Multihash::wrap(IDENTITY, &multihash[2..])
            .ok()
            .and_then(|multihash| Self::from_multihash(multihash).ok())
            .expect("the identity multihash of a 32-byte key is a libp2p peer id")
    }
}

impl TryFrom<libp2p::PeerId> for PeerId {
    type Error = ForeignKey;

    fn try_from(peer: libp2p::PeerId) -> Result<Self, ForeignKey> {
        Self::from_multihash(&peer.to_bytes()).ok_or(ForeignKey(peer))
    }
}

/// The key pair of a secret seed.
pub(super) fn keypair(mut seed: [u8; 32]) -> Result<Keypair, NetError> {
    Keypair::ed25519_from_bytes(&mut seed).map_err(|error| NetError::Key(error.to_string()))
}

/// The peer that owns `keypair`.
pub(super) fn peer_of(keypair: &Keypair) -> Result<PeerId, NetError> {
    PeerId::try_from(keypair.public().to_peer_id()).map_err(|error| NetError::Key(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_survives_the_way_to_libp2p_and_back() {
        let keypair = keypair([9; 32]).expect("any 32 bytes are a seed");
        let ours = peer_of(&keypair).expect("an Ed25519 key");
        let theirs = libp2p::PeerId::from(ours);
        assert_eq!(theirs, keypair.public().to_peer_id());
        assert_eq!(theirs.to_string(), ours.to_string());
        assert_eq!(PeerId::try_from(theirs), Ok(ours));
    }

    #[test]
    fn any_32_bytes_convert_even_when_they_are_no_key() {
        for byte in [0, 1, 0x7f, 0xff] {
            let peer = PeerId::from_bytes([byte; 32]);
            assert_eq!(PeerId::try_from(libp2p::PeerId::from(peer)), Ok(peer));
        }
    }

    #[test]
    fn a_hashed_key_of_another_kind_is_refused() {
        let other = Multihash::wrap(0x12, &[5; 32]).expect("a SHA-256 digest");
        let other = libp2p::PeerId::from_multihash(other).expect("libp2p takes hashed keys");
        assert_eq!(PeerId::try_from(other), Err(ForeignKey(other)));
    }
}
