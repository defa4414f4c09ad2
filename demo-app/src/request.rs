//! What can be asked of a home: the same whether a running node answers or the command opens the home itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tombolo_crdt::TextEdit;

use crate::args::{
    Concern, CounterVerb, FlagVerb, ListVerb, MapVerb, MovableVerb, RegisterVerb, Retention, SetVerb,
    TextVerb, TreeVerb,
};
use crate::name::Name;

/// One question or order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Who this node is.
    Identity,
    /// A ticket.
    Invite,
    /// A counter.
    Counter(CounterVerb),
    /// A flag.
    Flag(FlagVerb),
    /// A set.
    Set(SetVerb),
    /// A register.
    Register(RegisterVerb),
    /// A map.
    Map(MapVerb),
    /// A text.
    Text(TextVerb),
    /// A list.
    List(ListVerb),
    /// A movable list.
    Movable(MovableVerb),
    /// A tree.
    Tree(TreeVerb),
    /// A text as it stands, for somebody to edit.
    Snapshot {
        /// Which.
        name: Name,
    },
    /// Do to a text what somebody changed in a snapshot.
    Edited {
        /// Which.
        name: Name,
        /// What.
        edit: TextEdit,
        /// Who else must hold it.
        concern: Concern,
    },
    /// Everything.
    Dump,
    /// The names of the documents.
    Names,
    /// How the node and its peers stand.
    Status,
    /// How the documents stand.
    Documents,
    /// Wait for a member no longer.
    Release {
        /// An id, the beginning of one, or a name.
        peer: String,
    },
    /// How long who is silent is waited for.
    Retention {
        /// From now on; `None`: it is asked.
        days: Option<Retention>,
    },
    /// Wait until in sync.
    Wait {
        /// With how many peers.
        peers: usize,
        /// How long.
        timeout: Duration,
    },
    /// Cut or restore links.
    Link {
        /// To whom.
        whom: Whom,
        /// Cut.
        blocked: bool,
    },
    /// Leave the space, and end.
    Leave {
        /// Remove what the home holds.
        wipe: bool,
    },
    /// Copy the data to a file.
    Backup {
        /// Its absolute path.
        file: String,
    },
    /// Changes as they arrive: answered with one item each, without end.
    Watch {
        /// Only of this document, or at this place in it.
        name: Option<Name>,
    },
}

/// To which peers a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// All, also those yet unknown.
    All,
    /// An id, the beginning of one, or a name.
    Peer(String),
}

impl Request {
    /// Whether asking twice is the same as asking once. (A counter's increment is not.)
    pub fn is_repeatable(&self) -> bool {
        !matches!(
            self,
            Self::Counter(CounterVerb::Inc { .. } | CounterVerb::Dec { .. })
                | Self::Set(SetVerb::Remove { .. })
                | Self::Map(MapVerb::Remove { .. })
                | Self::Register(RegisterVerb::Set { .. })
                | Self::Map(MapVerb::Put { .. })
                | Self::Text(TextVerb::Insert { .. } | TextVerb::Append { .. } | TextVerb::Delete { .. })
                | Self::Edited { .. }
                | Self::List(
                    ListVerb::Insert { .. }
                        | ListVerb::Append { .. }
                        | ListVerb::Set { .. }
                        | ListVerb::Delete { .. }
                )
                | Self::Movable(
                    MovableVerb::Insert { .. }
                        | MovableVerb::Append { .. }
                        | MovableVerb::Set { .. }
                        | MovableVerb::Move { .. }
                        | MovableVerb::Delete { .. }
                )
                | Self::Tree(
                    TreeVerb::Add { .. }
                        | TreeVerb::Rename { .. }
                        | TreeVerb::Move { .. }
                        | TreeVerb::Delete { .. }
                        | TreeVerb::Restore { .. }
                        | TreeVerb::Purge { .. }
                        | TreeVerb::EmptyTrash { .. }
                )
                | Self::Link { .. }
                | Self::Backup { .. }
                | Self::Leave { .. }
                | Self::Release { .. }
                | Self::Retention { days: Some(_) }
        )
    }

    /// Of a write, who else must hold it.
    pub fn concern(&self) -> Option<&Concern> {
        match self {
            Self::Counter(CounterVerb::Inc { concern, .. } | CounterVerb::Dec { concern, .. })
            | Self::Flag(FlagVerb::Enable { concern, .. } | FlagVerb::Disable { concern, .. })
            | Self::Set(SetVerb::Add { concern, .. } | SetVerb::Remove { concern, .. })
            | Self::Register(RegisterVerb::Set { concern, .. })
            | Self::Map(MapVerb::Put { concern, .. } | MapVerb::Remove { concern, .. })
            | Self::Text(
                TextVerb::Insert { concern, .. }
                | TextVerb::Append { concern, .. }
                | TextVerb::Delete { concern, .. },
            )
            | Self::List(
                ListVerb::Insert { concern, .. }
                | ListVerb::Append { concern, .. }
                | ListVerb::Set { concern, .. }
                | ListVerb::Delete { concern, .. },
            )
            | Self::Movable(
                MovableVerb::Insert { concern, .. }
                | MovableVerb::Append { concern, .. }
                | MovableVerb::Set { concern, .. }
                | MovableVerb::Move { concern, .. }
                | MovableVerb::Delete { concern, .. },
            )
            | Self::Tree(
                TreeVerb::Add { concern, .. }
                | TreeVerb::Rename { concern, .. }
                | TreeVerb::Move { concern, .. }
                | TreeVerb::Delete { concern, .. }
                | TreeVerb::Restore { concern, .. }
                | TreeVerb::Purge { concern, .. }
                | TreeVerb::EmptyTrash { concern, .. },
            )
            | Self::Edited { concern, .. } => Some(concern),
            _ => None,
        }
    }

    /// Whether it is a write that waits for others.
    pub fn waits_for_copies(&self) -> bool {
        self.concern().is_some_and(|concern| concern.replicated > Some(0))
    }

    /// Whether it makes sense only while a node runs.
    pub fn needs_a_running_node(&self) -> bool {
        matches!(self, Self::Wait { .. } | Self::Watch { .. }) || self.waits_for_copies()
    }
}
