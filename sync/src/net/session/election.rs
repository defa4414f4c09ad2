//! Which connection to a peer is its session.
//!
//! Two nodes that dial each other at once end up with two connections, and a peer that was killed and comes back
//! connects while we still hold its dead connection. In both cases one connection must survive, the same one on both
//! sides. Comparing ages or directions on both sides does not achieve that: the two see the connections in different
//! order and at different times, and each may close the one the other keeps. So only *one* side chooses, the one with
//! the smaller peer id, and shows its choice by opening its sync stream; the other follows.
//!
//! * The **chooser** takes the first connection. A further one replaces it if it is older than [`SETTLED`] (then the
//!   peer was restarted or cut off, and the old connection is dead), and is refused otherwise (then both dialled at
//!   once).
//! * The **follower** waits, and takes the connection on which the chooser's stream appears, whatever it held before:
//!   so a restarted chooser is heard at once.

use std::time::{Duration, Instant};

/// Age from which a connection gives way to a new one. Long enough that two sides dialling each other at once, with
/// slow handshakes, are not taken for a restart; short enough that a restarted peer is back within a second redial.
pub(super) const SETTLED: Duration = Duration::from_secs(2);

/// The state of the choice for one peer.
#[derive(Debug)]
pub(super) struct Election<C> {
    current: Option<(C, Instant)>,
}

/// What to do about a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<C> {
    /// It is the peer's session now, in place of `replaced`.
    Take { replaced: Option<C> },
    /// Keep it and wait for the other side's choice.
    Wait,
    /// Close it.
    Refuse,
}

impl<C> Default for Election<C> {
    fn default() -> Self {
        Self { current: None }
    }
}

impl<C: Copy + PartialEq> Election<C> {
    /// The connection that is the peer's session, or is about to be.
    pub(super) fn current(&self) -> Option<C> {
        self.current.map(|(connection, _)| connection)
    }

    /// A connection stands.
    pub(super) fn established(&mut self, we_choose: bool, connection: C, now: Instant) -> Verdict<C> {
        match self.current {
            _ if !we_choose => Verdict::Wait,
            Some((_, since)) if now.duration_since(since) <= SETTLED => Verdict::Refuse,
            _ => self.take(connection, now),
        }
    }

    /// The other side opened its stream on a connection.
    pub(super) fn opened_by_peer(&mut self, we_choose: bool, connection: C, now: Instant) -> Verdict<C> {
        if self.current() == Some(connection) {
            Verdict::Take { replaced: None }
        } else if we_choose {
            Verdict::Refuse
        } else {
            self.take(connection, now)
        }
    }

    /// A connection is over. Returns whether it was the current one.
    pub(super) fn ended(&mut self, connection: C) -> bool {
        let current = self.current() == Some(connection);
        if current {
            self.current = None;
        }
        current
    }

    fn take(&mut self, connection: C, now: Instant) -> Verdict<C> {
        let replaced = self.current.replace((connection, now)).map(|(old, _)| old);
        Verdict::Take { replaced }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_dialled_at_once_the_chooser_keeps_its_first_and_the_follower_keeps_the_same() {
        let now = Instant::now();
        for first in [1, 2] {
            let (mut chooser, mut follower) = (Election::default(), Election::default());
            assert_eq!(chooser.established(true, first, now), Verdict::Take { replaced: None });
            assert_eq!(chooser.established(true, 3 - first, now + SETTLED), Verdict::Refuse);
            for connection in [1, 2] {
                assert_eq!(follower.established(false, connection, now), Verdict::Wait);
            }
            assert_eq!(follower.opened_by_peer(false, first, now), Verdict::Take { replaced: None });
            assert!(!follower.ended(3 - first));
            assert_eq!((chooser.current(), follower.current()), (Some(first), Some(first)));
        }
    }

    #[test]
    fn the_dead_connection_of_a_restarted_follower_gives_way() {
        let now = Instant::now();
        let mut chooser = Election::default();
        chooser.established(true, 1, now);
        let later = now + SETTLED + Duration::from_millis(1);
        assert_eq!(chooser.established(true, 2, later), Verdict::Take { replaced: Some(1) });
        assert!(!chooser.ended(1));
        assert_eq!(chooser.current(), Some(2));
    }

    #[test]
    fn the_dead_connection_of_a_restarted_chooser_gives_way_at_once() {
        let now = Instant::now();
        let mut follower = Election::default();
        follower.opened_by_peer(false, 1, now);
        assert_eq!(follower.established(false, 2, now), Verdict::Wait);
        assert_eq!(follower.opened_by_peer(false, 2, now), Verdict::Take { replaced: Some(1) });
    }

    #[test]
    fn the_chooser_does_not_let_the_other_side_choose() {
        let now = Instant::now();
        let mut chooser = Election::default();
        chooser.established(true, 1, now);
        assert_eq!(chooser.opened_by_peer(true, 2, now), Verdict::Refuse);
        assert_eq!(chooser.opened_by_peer(true, 1, now), Verdict::Take { replaced: None });
    }

    #[test]
    fn after_the_end_of_the_current_one_the_next_is_taken() {
        let now = Instant::now();
        let mut chooser = Election::default();
        chooser.established(true, 1, now);
        assert!(chooser.ended(1));
        assert_eq!(chooser.established(true, 2, now), Verdict::Take { replaced: None });
    }
}
