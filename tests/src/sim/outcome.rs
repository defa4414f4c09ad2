//! How a run ended.

use std::fmt;
use std::ops::AddAssign;

use tombolo_sync::testing::machinery::Tally;

use super::schedule::Mode;

/// Something rare that a run should come by, so that it is known to be played at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// A frame arrived otherwise than it was sent, and no transport could tell.
    Corrupted,
    /// Bytes changed on the way, which ended the session.
    Damaged,
    /// One direction of a link swallowed everything.
    OneWay,
    /// The network fell into more than two parts, or parts that overlap.
    Partial,
    /// A link went down and up in quick succession.
    Flap,
    /// A node was connected by a few kilobytes a second only.
    SlowPeer,
    /// What a peer lacked was so old that removals since were forgotten.
    Behind,
    /// It told as runs what it had alive.
    Runs,
    /// It told that in sums of powers.
    Sums,
    /// It told that in cells of a sketch.
    Cells,
    /// A whole state was sent.
    State,
    /// A state came in pieces.
    Pieces,
    /// Hundreds of elements were removed at once.
    Bulk,
    /// A write was pushed in a session.
    Pushed,
    /// A payload was published, and reached nobody.
    Swallowed,
    /// Nobody heard what somebody published who had been restarted.
    Unheard,
    /// A payload was lost and then taken for known.
    Poisoned,
    /// A payload was too near to the cap, or came after one that was.
    Stalled,
    /// Too much was published at once.
    Burst,
    /// A disk could not be read for a moment.
    Unreadable,
    /// A disk was set back to an older image.
    SetBack,
    /// A copy of a disk was started as another node.
    Copied,
    /// A copy of a disk was started under the key and the replica id of the original, which went on.
    Doubled,
    /// Two continuations of a store found that both had been seen, and the schedule ended there.
    Parted,
    /// What a store wrote alone after that was given to a new id.
    Renamed,
    /// A document lacked something that stood under names of events which two continuations of a store had both used.
    Reused,
    /// Removals that all knew were forgotten.
    Swept,
    /// Where something had stood in a text, list or tree.
    SweptOrdered,
    /// A document left memory.
    Evicted,
    /// A document that was on the disk only was read.
    Loaded,
    /// It could not be read.
    NotLoaded,
    /// A document was dropped that its holder did not want any more.
    Dropped,
    /// A member left the space.
    Left,
    /// A member that had left joined again.
    Rejoined,
    /// Somebody said that a member is not waited for any more.
    Released,
    /// A member was released for its silence.
    Silent,
    /// Something is there again that somebody wrote for whom nobody waited, since what removed it was forgotten.
    Late,
    /// Something was undone that is shown by somebody who is told what becomes different.
    ShownUndone,
    /// Something was renamed that is shown so.
    ShownRenamed,
    /// A document was deleted that is shown so.
    ShownDeleted,
}

/// The names of all branches, in order.
const BRANCHES: [(Branch, &str); 40] = [
    (Branch::Corrupted, "corrupted frames"),
    (Branch::Damaged, "damaged on the way"),
    (Branch::OneWay, "one-way links"),
    (Branch::Partial, "partial partitions"),
    (Branch::Flap, "flaps"),
    (Branch::SlowPeer, "slow peers"),
    (Branch::Behind, "far behind"),
    (Branch::Runs, "told in runs"),
    (Branch::Sums, "told in sums"),
    (Branch::Cells, "told in cells"),
    (Branch::State, "whole states"),
    (Branch::Pieces, "pieces"),
    (Branch::Bulk, "bulk removals"),
    (Branch::Pushed, "pushed in sessions"),
    (Branch::Swallowed, "gossip swallowed"),
    (Branch::Unheard, "unheard"),
    (Branch::Poisoned, "poisoned"),
    (Branch::Stalled, "stalled"),
    (Branch::Burst, "beyond the queue"),
    (Branch::Unreadable, "unreadable"),
    (Branch::SetBack, "set back"),
    (Branch::Copied, "copied"),
    (Branch::Doubled, "doubled"),
    (Branch::Parted, "parted"),
    (Branch::Renamed, "renamed"),
    (Branch::Reused, "lost under dots used twice"),
    (Branch::Swept, "swept"),
    (Branch::SweptOrdered, "swept of texts, lists and trees"),
    (Branch::Evicted, "evicted"),
    (Branch::Loaded, "loaded"),
    (Branch::NotLoaded, "not loaded"),
    (Branch::Dropped, "dropped"),
    (Branch::Left, "left"),
    (Branch::Rejoined, "joined again"),
    (Branch::Released, "released"),
    (Branch::Silent, "released for silence"),
    (Branch::Late, "there again"),
    (Branch::ShownUndone, "shown and undone"),
    (Branch::ShownRenamed, "shown and renamed"),
    (Branch::ShownDeleted, "shown and deleted"),
];

impl Outcome {
    /// What prints this run, event for event.
    #[must_use]
    pub fn replay(&self) -> String {
        let mode = if self.mode == Mode::default() {
            String::new()
        } else {
            format!(" --mode {}", self.mode.name())
        };
        let twins = if self.twins { " --twins" } else { "" };
        format!("cargo run --release -p tombolo-tests --bin simulate -- --seed {}{mode}{twins}", self.seed)
    }
}

/// What a run did, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Cuts, crashes, refusals of disks, jumps of clocks and the like.
    pub faults: u64,
    /// Frames and gossip payloads that arrived.
    pub messages: u64,
    /// Transactions.
    pub writes: u64,
    /// How much time passed in the simulation, in milliseconds.
    pub virtual_millis: u64,
    /// How long it took from the end of the last fault until all nodes agreed, in milliseconds of the simulation.
    pub healed_millis: u64,
    /// How many bytes of frames that took, between nodes that were to agree.
    pub healed_bytes: u64,
    /// How often each branch was taken.
    branches: [u64; BRANCHES.len()],
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            faults: 0,
            messages: 0,
            writes: 0,
            virtual_millis: 0,
            healed_millis: 0,
            healed_bytes: 0,
            branches: [0; BRANCHES.len()],
        }
    }
}

impl Stats {
    /// How often a run came by something.
    #[must_use]
    pub fn branch(&self, branch: Branch) -> u64 {
        self.branches[branch as usize]
    }

    /// The same, with what the network counted.
    pub(super) fn with(mut self, tally: &Tally) -> Self {
        self.messages = tally.arrived;
        let counted = [
            (Branch::Swallowed, tally.swallowed),
            (Branch::Unheard, tally.unheard),
            (Branch::Burst, tally.burst),
            (Branch::Poisoned, tally.poisoned),
            (Branch::Stalled, tally.stalled),
            (Branch::Unreadable, tally.unreadable),
        ];
        for (branch, times) in counted {
            self.branches[branch as usize] = times;
        }
        self
    }

    /// A run came by something.
    pub(super) fn count(&mut self, branch: Branch) {
        self.branches[branch as usize] += 1;
    }
}

impl Branch {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        BRANCHES.into_iter().map(|(branch, _)| branch)
    }

    /// Whether schedules of a mode come by it, if there are many. Disks are set back, parts of a space
    /// held, and members lost in modes of their own.
    #[must_use]
    pub fn is_of(self, mode: Mode) -> bool {
        match self {
            Self::SetBack | Self::Copied | Self::Renamed | Self::ShownRenamed => mode == Mode::Backups,
            // Only where a copy and its original run at once, which is asked for by itself.
            Self::Doubled | Self::Parted => false,
            // One of thousands does.
            Self::Reused | Self::Late => false,
            Self::Dropped => mode == Mode::Parts,
            Self::Left | Self::Rejoined | Self::Released | Self::Silent => mode == Mode::Members,
            _ => true,
        }
    }
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.faults += other.faults;
        self.messages += other.messages;
        self.writes += other.writes;
        self.virtual_millis += other.virtual_millis;
        self.healed_millis = self.healed_millis.max(other.healed_millis);
        self.healed_bytes = self.healed_bytes.max(other.healed_bytes);
        for (branch, more) in self.branches.iter_mut().zip(other.branches) {
            *branch += more;
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, messages, writes, virtual_millis, healed_millis, .. } = self;
        let seconds = virtual_millis / 1_000;
        write!(f, "{faults} faults (")?;
        for (at, (branch, name)) in BRANCHES.into_iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{} {name}", self.branch(branch))?;
        }
        write!(
            f,
            "), {messages} messages, {writes} writes, {seconds} virtual seconds, \
             slowest healing {healed_millis} virtual ms, dearest {} bytes",
            self.healed_bytes
        )
    }
}

/// How one schedule ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What replays it, with the mode.
    pub seed: u64,
    /// What it was about.
    pub mode: Mode,
    /// Whether a copy and its original ran at once.
    pub twins: bool,
    /// The rule that was broken first, if one was.
    pub violation: Option<String>,
    /// What it did.
    pub stats: Stats,
    /// What happened, if the trace was kept.
    pub trace: Vec<String>,
}
