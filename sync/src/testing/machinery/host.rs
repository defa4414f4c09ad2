//! Who watches a network, and may interfere.

use std::ops::DerefMut;

use super::core::Core;
use crate::engine::Event;
use crate::engine::wire::Frame;

/// What has a network and hears what happens in it. Every method but [`broken`](Self::broken) does nothing by default.
///
/// None may call an engine: each is asked in the middle of something.
pub trait Host: DerefMut<Target = Core> {
    /// Something happened that must not: an engine that spins, or does not start.
    fn broken(&mut self, what: String);

    /// Whether nothing more is to happen.
    fn is_over(&self) -> bool {
        false
    }

    /// An engine told its application something.
    fn event(&mut self, _node: usize, _event: Event) {}

    /// An engine has started, and has not been told anything.
    fn started(&mut self, _node: usize) {}

    /// A node's process has ended.
    fn crashed(&mut self, _node: usize) {}

    /// Everything an engine wanted done has been done.
    fn handled(&mut self, _node: usize) {}

    /// A node sends a frame; yields what is put on the wire.
    fn sends(&mut self, _node: usize, _to: usize, frame: Vec<u8>) -> Option<Vec<u8>> {
        Some(frame)
    }

    /// A frame is on the wire and not lost; yields what will arrive.
    fn carried(&mut self, _node: usize, _to: usize, frame: Vec<u8>) -> Vec<u8> {
        frame
    }

    /// A frame arrives. Says whether the node is to have it.
    fn receives(&mut self, _node: usize, _from: usize, _frame: &[u8]) -> bool {
        true
    }

    /// A node publishes a gossip payload.
    fn publishes(&mut self, _node: usize, _payload: &[u8]) {}

    /// Whether a frame that arrives belongs into the trace.
    fn is_noted(&self, _frame: &Frame) -> bool {
        true
    }
}
