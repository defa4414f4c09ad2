//! The command line: verbs, arguments and options, and nothing of what they do.

mod ordered;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{IntErrorKind, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde::{Deserialize, Serialize};
use tombolo_sync::net::Multiaddr;

use crate::name::Name;
pub use ordered::{BlockName, ListVerb, MovableVerb, TextForm, TextVerb, TreeVerb};

const AFTER_HELP: &str = "\
Every verb works without a network. While `tombolo up` runs, the others talk to it; without it they open the home \
themselves.

Exit codes: 0 done, 1 failed, 2 wrong usage. With --json, results are one JSON document on one line on stdout, and \
errors are {\"error\":{\"code\":…,\"message\":…}} on stderr. TOMBOLO_LOG=info shows what happens, on stderr.";

/// The longest name of a node, in bytes.
const MAX_NODE_NAME: usize = 64;

/// Replicated data between your devices, without a server: each takes writes at any time, and all that can reach each
/// other end up the same.
#[derive(Debug, Parser)]
#[command(name = "tombolo", version, after_help = AFTER_HELP, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub verb: Verb,
}

/// What every verb takes, before or after it.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The folder with identity and data [default: $TOMBOLO_HOME, or the platform's data folder]
    ///
    /// How far it has got is noted in $TOMBOLO_STATE, or the platform's folder for state, so that a home that was set back finds out.
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// How long to wait for a home that another command uses
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub wait: Duration,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Create an identity and a space
    Init(InitArgs),
    /// Print a ticket that lets others into the space
    Invite,
    /// Join someone's space
    Join(JoinArgs),
    /// Make a new secret for the space, after a device or a ticket was lost, and print a ticket for the other devices
    Renew(RenewArgs),
    /// Leave the space: nobody need wait for this node any more
    Leave(LeaveArgs),
    /// Run the node: keep this home in sync with its peers
    Up(UpArgs),
    /// A counter that goes up and down
    #[command(subcommand)]
    Counter(CounterVerb),
    /// A flag; enabling wins over disabling at the same time
    #[command(subcommand)]
    Flag(FlagVerb),
    /// A set of texts; adding wins over removing at the same time
    #[command(subcommand)]
    Set(SetVerb),
    /// A text that is replaced as a whole; after a conflict, all texts written at the same time
    #[command(subcommand)]
    Register(RegisterVerb),
    /// Texts by key, in maps that may lie in each other
    #[command(subcommand)]
    Map(MapVerb),
    /// A text that many edit at the same time, and that keeps what each of them typed
    #[command(subcommand)]
    Text(TextVerb),
    /// Texts one behind the other, in an order that many write to at the same time
    #[command(subcommand)]
    List(ListVerb),
    /// Texts one behind the other that can be moved, and keep what is written to them meanwhile
    ///
    /// Inside a document each element is a map, of which the text is what its last-writer-wins register `text` says.
    #[command(subcommand)]
    Movable(MovableVerb),
    /// Texts that stand below each other and can be moved, with a trash
    ///
    /// Inside a document each node is a map, of which the text is what its last-writer-wins register `text` says.
    #[command(subcommand)]
    Tree(TreeVerb),
    /// Print everything as JSON: the same bytes on all nodes that hold the same
    Dump,
    /// Show this node, its peers, and how far they are in sync
    Status(StatusArgs),
    /// Wait until in sync with others
    Wait(WaitArgs),
    /// Cut the link to a peer, in both directions, until it is unblocked
    Block(LinkArgs),
    /// Restore the link to a peer
    Unblock(LinkArgs),
    /// Wait for a peer no longer before removals are forgotten: its device is lost, or will not be back for long
    ///
    /// Removals are remembered until every member knows of them. Who is silent for long is released by itself (`retention`). A peer that is
    /// released and comes back is let in as before: `renew` keeps it out.
    Release {
        /// The peer's id, the beginning of it, or its name
        peer: String,
    },
    /// Say for the whole space after how many days of silence nobody waits for a member any more, or print it
    ///
    /// Until then removals are remembered that it may not know of. Only the time counts in which a node runs and hears most others.
    Retention {
        /// A number of days, or `never`; 30 if nobody ever says anything
        #[arg(value_name = "DAYS", value_parser = retention)]
        days: Option<Retention>,
    },
    /// Print changes as they arrive
    Watch(WatchArgs),
    /// A prompt that takes these verbs
    Shell,
    /// Copy the home's data to a new file, while the node goes on
    Backup(BackupArgs),
    /// Make a home of a backup, where there is none; the one that was backed up must not run again
    Restore(RestoreArgs),
    /// Print what is in a file of ours, also in a damaged one: a message, a store, a backup, a ticket, a home's folder
    Inspect(InspectArgs),
    /// Print everything as indented JSON
    Export,
    /// Measure what things cost, and print it
    Figures,
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Watch a handful of nodes write through a partition and a crash, and converge
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// What others see this node called
    #[arg(long, value_parser = node_name)]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct JoinArgs {
    /// What `invite` printed
    pub ticket: String,
    /// Bring the documents that this home holds into the space
    #[arg(long)]
    pub merge: bool,
    /// What others see this node called
    #[arg(long, value_parser = node_name)]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct RenewArgs {
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct LeaveArgs {
    /// Remove the home's data, key and secret; what no other node holds is lost
    #[arg(long)]
    pub wipe: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct UpArgs {
    /// Where to listen, as /ip4/0.0.0.0/udp/4001/quic-v1 [default: where it listened last, or everywhere]
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<Multiaddr>,
    /// Where somebody of the space can be reached
    #[arg(long, value_name = "MULTIADDR")]
    pub peer: Vec<Multiaddr>,
    /// Do not look for peers on the local network
    #[arg(long)]
    pub no_mdns: bool,
    /// Hold only what has a name that begins so, from now on; an empty one is everything [default: as last time]
    ///
    /// May be given several times. What is not wanted any more is dropped when a peer that wants it is known to hold it.
    #[arg(long, value_name = "PREFIX")]
    pub only: Vec<String>,
    /// Answer scrapes of the node's numbers in Prometheus' format at http://ADDR/metrics; a port alone is one of this machine's own
    #[arg(long, value_name = "ADDR", value_parser = metrics_address)]
    pub metrics: Option<SocketAddr>,
    /// For tests of wrong clocks: how many milliseconds this node's clock is ahead of the system's
    #[arg(
        long,
        hide = true,
        value_name = "MILLISECONDS",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub clock_offset: i64,
}

/// How many others must hold a write before it is called done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
pub struct Concern {
    /// Wait until K peers hold the write on their disks, and say who; it stays also if they do not in time
    #[arg(long, value_name = "K", value_parser = whole::<usize>, allow_negative_numbers = true)]
    pub replicated: Option<usize>,
    /// How long to wait for them at most [default: 30]
    #[arg(long, value_name = "SECONDS", requires = "replicated", value_parser = seconds)]
    pub within: Option<Duration>,
}

impl Concern {
    /// Whether the node's own disk is enough.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What to do with a counter.
#[derive(Debug, Clone, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterVerb {
    /// Add N
    Inc {
        /// The counter; a/b/c is c in the map b of the document a
        name: Name,
        /// How much
        #[arg(default_value_t = 1, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true)]
        by: u64,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Subtract N
    Dec {
        /// The counter; a/b/c is c in the map b of the document a
        name: Name,
        /// How much
        #[arg(default_value_t = 1, value_name = "N", value_parser = whole::<u64>, allow_negative_numbers = true)]
        by: u64,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Print the value; 0 if there is no such counter
    Get {
        /// The counter; a/b/c is c in the map b of the document a
        name: Name,
    },
}

/// What to do with a flag.
#[derive(Debug, Clone, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagVerb {
    /// Turn it on
    Enable {
        /// The flag; a/b/c is c in the map b of the document a
        name: Name,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Turn it off
    Disable {
        /// The flag; a/b/c is c in the map b of the document a
        name: Name,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Print the value; false if there is no such flag
    Get {
        /// The flag; a/b/c is c in the map b of the document a
        name: Name,
    },
}

/// What to do with a set.
#[derive(Debug, Clone, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetVerb {
    /// Add an element
    Add {
        /// The set; a/b/c is c in the map b of the document a
        name: Name,
        /// What to add
        #[arg(value_name = "ELEM", allow_negative_numbers = true)]
        element: String,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Remove an element
    Remove {
        /// The set; a/b/c is c in the map b of the document a
        name: Name,
        /// What to remove
        #[arg(value_name = "ELEM", allow_negative_numbers = true)]
        element: String,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Print the elements, sorted
    List {
        /// The set; a/b/c is c in the map b of the document a
        name: Name,
    },
}

/// What to do with a register.
#[derive(Debug, Clone, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegisterVerb {
    /// Write a text, in place of all that are seen here
    Set {
        /// The register; a/b/c is c in the map b of the document a
        name: Name,
        /// What to write
        #[arg(allow_negative_numbers = true)]
        value: String,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Print the text; several after a conflict
    Get {
        /// The register; a/b/c is c in the map b of the document a
        name: Name,
    },
}

/// What to do with a map.
#[derive(Debug, Clone, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MapVerb {
    /// Write a text under a key
    Put {
        /// The map; a/b/c is the map c in the map b of the document a
        name: Name,
        /// The key, taken literally
        #[arg(allow_negative_numbers = true)]
        key: String,
        /// What to write
        #[arg(allow_negative_numbers = true)]
        value: String,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Print the text under a key; several after a conflict
    Get {
        /// The map; a/b/c is the map c in the map b of the document a
        name: Name,
        /// The key, taken literally
        #[arg(allow_negative_numbers = true)]
        key: String,
    },
    /// Remove a key and all that stands under it
    Remove {
        /// The map; a/b/c is the map c in the map b of the document a
        name: Name,
        /// The key, taken literally
        #[arg(allow_negative_numbers = true)]
        key: String,
        #[command(flatten)]
        #[serde(default, skip_serializing_if = "Concern::is_none")]
        concern: Concern,
    },
    /// Print all keys with their texts, and of what other kinds something stands there
    List {
        /// The map; a/b/c is the map c in the map b of the document a
        name: Name,
    },
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Go on, and print what changes
    #[arg(long, conflicts_with = "documents")]
    pub watch: bool,
    /// Show the documents instead: what they keep, and whether all members hold it
    #[arg(long)]
    pub documents: bool,
}

#[derive(Debug, Args)]
pub struct WaitArgs {
    /// With how many peers at least
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = whole::<usize>, allow_negative_numbers = true)]
    pub peers: usize,
    /// How long at most
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub timeout: Duration,
}

#[derive(Debug, Args)]
pub struct LinkArgs {
    /// A peer's id, the beginning of it, or its name
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub peer: Option<String>,
    /// All peers, also those yet unknown
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Only this document, or what is at this place in it: as it is, then what becomes different, by path
    pub name: Option<Name>,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// A file that does not exist yet
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// What `backup` wrote
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A file, the folder of a home that is not in use, or a ticket
    pub file: PathBuf,
    /// Show the content of one document of a store, by its name or the beginning of its id
    #[arg(long, value_name = "NAME-OR-ID")]
    pub document: Option<String>,
    /// Show everything, not only the beginning of what is long
    #[arg(long)]
    pub full: bool,
    /// Write what is right in a damaged store to a new file, for `restore`
    #[arg(long, value_name = "OUT")]
    pub salvage: Option<PathBuf>,
    /// Save also parts of documents that nobody else has any more; where somebody has them, the two would differ for ever
    #[arg(long, requires = "salvage")]
    pub parts: bool,
}

/// What `tombolo demo` takes.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// How many nodes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=32))]
    pub nodes: u16,
    /// How many writes in each phase
    #[arg(long, value_name = "W", default_value_t = 200, value_parser = whole::<u32>, allow_negative_numbers = true)]
    pub writes: u32,
    /// Repeats a run: the same writes, in the same order on each node
    #[arg(long, value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Whether to print JSON. Copied from [`Common`].
    #[arg(skip)]
    pub json: bool,
}

/// Reads what a node is to be called: something that can be seen, and typed after `block`.
fn node_name(text: &str) -> Result<String, String> {
    let fits = !text.trim().is_empty() && text.len() <= MAX_NODE_NAME && !text.contains(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("expected 1 to {MAX_NODE_NAME} visible bytes")) }
}

/// Reads where to answer scrapes: an address and a port, or a port of this machine's own.
fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let loopback = text.parse().map(|port: u16| (Ipv4Addr::LOCALHOST, port).into());
    loopback.or_else(|_| text.parse()).map_err(|_| "expected 9464 or 127.0.0.1:9464".to_owned())
}

/// For how long a silent member is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retention {
    /// For so many days.
    Days(u64),
    /// Until somebody releases it.
    Never,
}

/// Reads a number of days, or that it is never.
fn retention(text: &str) -> Result<Retention, String> {
    if text == "never" {
        return Ok(Retention::Never);
    }
    let days = text.parse().ok().filter(|days| (1..=36_500).contains(days));
    Ok(Retention::Days(days.ok_or("expected a number of days from 1 to 36500, or `never`")?))
}

/// Reads a number of things, or a place among them.
fn whole<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|why: ParseIntError| match why.kind() {
        IntErrorKind::PosOverflow => "expected a smaller number".to_owned(),
        _ => "expected a whole number, 0 or more".to_owned(),
    })
}

/// Reads a number of seconds, which may have a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| "expected a number of seconds, such as 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| "expected a number of seconds that is not negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn members_are_waited_for_some_days_or_for_ever() {
        let read = |days| Cli::try_parse_from(["tombolo", "retention", days]);
        for (text, wanted) in [("7", Retention::Days(7)), ("never", Retention::Never)] {
            let Verb::Retention { days } = read(text).unwrap().verb else { panic!("another verb") };
            assert_eq!(days, Some(wanted));
        }
        for wrong in ["0", "1.5", "36501", "always"] {
            let why = read(wrong).unwrap_err().to_string();
            assert!(why.contains("days from 1 to 36500, or `never`"), "{why}");
        }
    }

    #[test]
    fn common_options_stand_before_or_after_the_verb() {
        for line in [
            "tombolo --json --home h --wait 2 counter get x",
            "tombolo counter get x --json --home h --wait 2",
            "tombolo counter --json get --home=h x --wait=2",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(cli.common.json);
            assert_eq!(cli.common.home, Some("h".into()));
            assert_eq!(cli.common.wait, Duration::from_secs(2));
        }
    }

    #[test]
    fn negative_numbers_are_values_but_no_amounts() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("tombolo set add x -5").is_ok());
        assert!(parse("tombolo register set x -5").is_ok());
        assert!(parse("tombolo text append x -5").is_ok() && parse("tombolo text append x -").is_ok());
        assert!(parse("tombolo text insert x -5 y").is_err() && parse("tombolo text delete x 0 -5").is_err());
        assert!(parse("tombolo list append x -5 a -6").is_ok() && parse("tombolo list set x 0 -5").is_ok());
        assert!(parse("tombolo list insert x -5 y").is_err() && parse("tombolo list delete x 0 -5").is_err());
        assert!(parse("tombolo list append x").is_err() && parse("tombolo list insert x 0").is_err());
        assert!(parse("tombolo list append x y z --replicated 2").is_ok());
        assert!(parse("tombolo movable set x 0 -5").is_ok() && parse("tombolo movable move x 0 -5").is_err());
        assert!(parse("tombolo movable move x 0").is_err() && parse("tombolo movable move x 0 1 2").is_ok());
        assert!(parse("tombolo tree add x -5").is_ok() && parse("tombolo tree add x y --at -5").is_err());
        assert!(
            parse("tombolo tree delete x y").is_err() && parse("tombolo tree get x --replicated 2").is_err()
        );
        assert!(parse("tombolo counter inc x -5").is_err());
        assert!(parse("tombolo counter inc x 1.5").is_err());
        for line in [
            "text insert x -5 y",
            "list delete x 0 y",
            "counter inc x 1.5",
            "text block x 0 1 h1 --indent -1",
        ] {
            let why = parse(&format!("tombolo {line}")).unwrap_err().to_string();
            assert!(why.contains("expected a whole number, 0 or more"), "{line}: {why}");
        }
        let why = parse("tombolo text insert x 99999999999999999999 y").unwrap_err().to_string();
        assert!(why.contains("expected a smaller number"), "{why}");
        assert!(
            parse("tombolo text mark x 0 1 bold").is_ok()
                && parse("tombolo text mark x 0 1 link a.example").is_ok()
        );
        assert!(parse("tombolo text mark x 0 1 link").is_err(), "it must say where to");
        assert!(parse("tombolo text unmark x 0 1 link").is_ok());
        let unnamed = ["tombolo", "text", "mark", "x", "0", "1", ""];
        assert!(
            Cli::try_parse_from(unnamed).unwrap_err().to_string().contains("expected a name, such as bold")
        );
        assert!(parse("tombolo counter inc a//b").is_err());
        assert!(parse("tombolo set add x").is_err());
        assert!(parse("tombolo block").is_err());
        assert!(parse("tombolo block bob --all").is_err());
        assert!(parse("tombolo up --listen nowhere").is_err());
        assert!(parse("tombolo wait --timeout -1").is_err());
        assert!(
            parse("tombolo up --metrics 9464").is_ok() && parse("tombolo up --metrics [::1]:9464").is_ok()
        );
        assert!(
            parse("tombolo up --metrics localhost").is_err() && parse("tombolo up --metrics 99999").is_err()
        );
        assert!(parse("tombolo set add x y --replicated 2 --within 0.5").is_ok());
        assert!(parse("tombolo set add x y --within 2").is_err());
        assert!(parse("tombolo set list x --replicated 2").is_err());
    }
}
