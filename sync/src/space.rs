//! A group of peers that share documents and a secret, and the ticket that invites to it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::PeerId;

/// What every member of a space knows and nobody else: 256 bits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret with these bytes. They must come from a cryptographic source of randomness.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key for one purpose, from which neither the secret nor the key for another purpose can be computed.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, &self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Names a space. Derived from its secret, so it tells nothing about it and cannot be paired with a wrong one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SpaceId([u8; 16]);

impl SpaceId {
    /// The space of this secret.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&secret.derive("tombolo 2026 space id")[..16]);
        Self(id)
    }
}

impl fmt::Display for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Says that a space goes on from another one under a new secret. Proved by the old secret: whoever knew that can have made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The space under the old secret.
    pub space: SpaceId,
    proof: [u8; 16],
}

impl Renewal {
    /// Says that the space of `old` goes on as `new`.
    #[must_use]
    pub fn of(old: &Secret, new: SpaceId) -> Self {
        let key = old.derive("tombolo 2026 renewal");
        let mut proof = [0; 16];
        proof.copy_from_slice(&blake3::keyed_hash(&key, &new.0).as_bytes()[..16]);
        Self { space: SpaceId::of(old), proof }
    }

    /// Whether it says, and proves, that the space of `old` goes on as `new`.
    #[must_use]
    pub fn proves(&self, old: &Secret, new: SpaceId) -> bool {
        // Who makes one up that fits has the user give it to `join`; how long comparing takes tells nobody anything.
        *self == Self::of(old, new)
    }
}

/// An invitation to a space: whoever holds it is let in.
///
/// Printed as `tombolo1` and lower-case base32. Carries the space's id and secret, and where its maker last listened.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The space.
    pub space: SpaceId,
    /// Its secret.
    pub secret: Secret,
    /// Who made the ticket.
    pub inviter: PeerId,
    /// Where it last listened, as multiaddresses.
    pub addresses: Vec<String>,
    /// Of which space this is the one to go on with, if its secret was renewed: who is in that one may join with what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<Renewal>,
}

/// Why a text is not a ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// It does not begin like one.
    #[error(
        "this is not a ticket: a ticket begins with `{PREFIX}`; copy the whole line that `invite` printed"
    )]
    NotATicket,
    /// A later version.
    #[error("this ticket was made by a newer version of this program; update this one")]
    Version,
    /// Something is missing or changed.
    #[error("the ticket is damaged or incomplete; copy the whole line that `invite` printed")]
    Damaged,
}

const SCHEME: &str = "tombolo";
const PREFIX: &str = "tombolo1";
const CHECKSUM: usize = 4;
/// No ticket is longer: room for dozens of addresses.
const MAX_TEXT: usize = 16 * 1024;
/// How many addresses a ticket carries.
pub const MAX_TICKET_ADDRESSES: usize = 16;

fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    let hash = blake3::hash(body);
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&hash.as_bytes()[..CHECKSUM]);
    sum
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = rmp_serde::to_vec(self).map_err(|_| fmt::Error)?;
        bytes.extend(checksum(&bytes));
        write!(f, "{PREFIX}{}", data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("space", &self.space)
            .field("inviter", &self.inviter)
            .finish_non_exhaustive()
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let Some(encoded) = text.strip_prefix(PREFIX) else {
            let newer =
                text.strip_prefix(SCHEME).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            return Err(if newer { TicketError::Version } else { TicketError::NotATicket });
        };
        if text.len() > MAX_TEXT {
            return Err(TicketError::Damaged);
        }
        let bytes = data_encoding::BASE32_NOPAD
            .decode(encoded.to_ascii_uppercase().as_bytes())
            .map_err(|_| TicketError::Damaged)?;
        let (body, sum) =
            bytes.split_at_checked(bytes.len().saturating_sub(CHECKSUM)).ok_or(TicketError::Damaged)?;
        if sum != checksum(body) {
            return Err(TicketError::Damaged);
        }
        let ticket: Self = rmp_serde::from_slice(body).map_err(|_| TicketError::Damaged)?;
        let sound =
            ticket.space == SpaceId::of(&ticket.secret) && ticket.addresses.len() <= MAX_TICKET_ADDRESSES;
        if sound { Ok(ticket) } else { Err(TicketError::Damaged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        let secret = Secret::from_bytes([9; 32]);
        Ticket {
            space: SpaceId::of(&secret),
            secret,
            inviter: PeerId::from_bytes([3; 32]),
            addresses: vec!["/ip4/127.0.0.1/tcp/4001".into()],
            renews: None,
        }
    }

    #[test]
    fn a_ticket_says_what_it_renews_and_only_who_knows_the_old_secret_can_say_so() {
        let (old, other) = (Secret::from_bytes([8; 32]), Secret::from_bytes([7; 32]));
        let renewal = Renewal::of(&old, ticket().space);
        let renewed = Ticket { renews: Some(renewal), ..ticket() };
        assert_eq!(renewed.to_string().parse(), Ok(renewed.clone()));
        assert!(renewal.proves(&old, renewed.space));
        assert!(!renewal.proves(&other, renewed.space) && !renewal.proves(&old, SpaceId::of(&other)));
        let forged = Renewal { space: SpaceId::of(&old), ..Renewal::of(&other, renewed.space) };
        assert!(!forged.proves(&old, renewed.space));
    }

    #[test]
    fn a_ticket_reads_back_also_with_spaces_around_and_in_capitals() {
        let text = ticket().to_string();
        assert_eq!(text.parse(), Ok(ticket()));
        assert_eq!(format!("  {text}\n").parse(), Ok(ticket()));
    }

    #[test]
    fn every_cut_and_every_changed_letter_is_noticed() {
        let text = ticket().to_string();
        for end in 0..text.len() {
            assert!(text[..end].parse::<Ticket>().is_err(), "cut at {end}");
        }
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            assert!(String::from_utf8(changed).unwrap().parse::<Ticket>().is_err(), "changed at {at}");
        }
    }

    #[test]
    fn a_newer_ticket_and_other_text_are_told_apart() {
        assert_eq!("tombolo2abc".parse::<Ticket>(), Err(TicketError::Version));
        assert_eq!("hello".parse::<Ticket>(), Err(TicketError::NotATicket));
    }

    #[test]
    fn debug_output_does_not_show_the_secret() {
        let shown = format!("{:?} {:?}", ticket(), ticket().secret);
        assert!(!shown.contains("9, 9") && !shown.contains("0909"), "{shown}");
    }
}
