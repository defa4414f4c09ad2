//! Proving that both sides know the secret of the same space, without telling it.
//!
//! The transport has authenticated both keys already, so a proof is bound to them: it cannot be passed on to or used by
//! anybody else. Each side proves with a keyed hash over its own and the other's key and hello, in this order; so a
//! proof cannot be reflected either.

use super::frame::{COMPARES, Hello, MAX_FRAME, PASSES_ON, PROTOCOL, PUSHES, Refusal, TELLS};
use crate::PeerId;
use crate::space::Secret;

/// What one side brings into every handshake.
#[derive(Debug)]
pub(crate) struct Credentials {
    peer: PeerId,
    application: [u8; 16],
    key: [u8; 32],
}

impl Credentials {
    pub(crate) fn new(peer: PeerId, application: &str, secret: &Secret) -> Self {
        let mut hash = [0; 16];
        hash.copy_from_slice(&blake3::hash(application.as_bytes()).as_bytes()[..16]);
        Self { peer, application: hash, key: secret.derive("tombolo 2026 handshake") }
    }

    pub(crate) fn hello(&self, nonce: [u8; 32]) -> Hello {
        Hello {
            protocols: (PROTOCOL, PROTOCOL),
            features: TELLS | COMPARES | PASSES_ON | PUSHES,
            application: self.application,
            nonce,
            max_frame: MAX_FRAME as u32,
        }
    }

    /// Whether a session with the sender of this hello makes sense.
    pub(crate) fn judge(&self, hello: &Hello) -> Result<(), Refusal> {
        let (oldest, newest) = hello.protocols;
        if oldest > PROTOCOL || newest < PROTOCOL {
            return Err(Refusal::Protocol);
        }
        if hello.application != self.application { Err(Refusal::Application) } else { Ok(()) }
    }

    /// Our proof towards `peer`.
    pub(crate) fn proof(&self, ours: &Hello, peer: PeerId, theirs: &Hello) -> [u8; 16] {
        self.mac(self.peer, ours, peer, theirs)
    }

    /// Whether `proof` is the one that `peer` must give.
    pub(crate) fn verify(&self, proof: &[u8; 16], ours: &Hello, peer: PeerId, theirs: &Hello) -> bool {
        let whole = |half: &[u8; 16]| {
            let mut whole = [0; 32];
            whole[..16].copy_from_slice(half);
            blake3::Hash::from_bytes(whole)
        };
        // Comparing `blake3::Hash`es takes the same time wherever they differ.
        whole(&self.mac(peer, theirs, self.peer, ours)) == whole(proof)
    }

    fn mac(&self, prover: PeerId, proving: &Hello, verifier: PeerId, verifying: &Hello) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for (peer, hello) in [(prover, proving), (verifier, verifying)] {
            hasher.update(peer.as_bytes());
            let hello = rmp_serde::to_vec(hello).expect("a hello consists of what MessagePack can say");
            hasher.update(&(hello.len() as u64).to_be_bytes());
            hasher.update(&hello);
        }
        let mut half = [0; 16];
        half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        half
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(peer: u8, application: &str, secret: u8) -> Credentials {
        Credentials::new(PeerId::from_bytes([peer; 32]), application, &Secret::from_bytes([secret; 32]))
    }

    #[test]
    fn members_of_one_space_believe_each_other() {
        let (ann, bob) = (side(1, "app", 7), side(2, "app", 7));
        let (hers, his) = (ann.hello([1; 32]), bob.hello([2; 32]));
        assert_eq!(bob.judge(&hers), Ok(()));
        assert!(bob.verify(&ann.proof(&hers, bob.peer, &his), &his, ann.peer, &hers));
    }

    #[test]
    fn another_secret_a_reflected_and_a_replayed_proof_are_refused() {
        let (ann, bob, eve) = (side(1, "app", 7), side(2, "app", 7), side(3, "app", 8));
        let (hers, his, evil) = (ann.hello([1; 32]), bob.hello([2; 32]), eve.hello([3; 32]));
        assert!(!bob.verify(&eve.proof(&evil, bob.peer, &his), &his, eve.peer, &evil));
        // Eve sends Bob's own proof back to him.
        assert!(!bob.verify(&bob.proof(&his, eve.peer, &evil), &his, eve.peer, &evil));
        // Eve sends what Ann proved to Bob, also in a session with another nonce.
        let anns = ann.proof(&hers, bob.peer, &his);
        assert!(!bob.verify(&anns, &his, eve.peer, &hers));
        assert!(!bob.verify(&anns, &bob.hello([9; 32]), ann.peer, &hers));
    }

    #[test]
    fn another_application_and_another_protocol_are_refused_by_name() {
        let (ann, bob) = (side(1, "app", 7), side(2, "other", 7));
        assert_eq!(bob.judge(&ann.hello([1; 32])), Err(Refusal::Application));
        let newer = Hello { protocols: (PROTOCOL + 1, PROTOCOL + 3), ..ann.hello([1; 32]) };
        assert_eq!(ann.judge(&newer), Err(Refusal::Protocol));
        let wide = Hello { protocols: (0, PROTOCOL + 3), features: u64::MAX, ..ann.hello([1; 32]) };
        assert_eq!(ann.judge(&wide), Ok(()));
    }
}
