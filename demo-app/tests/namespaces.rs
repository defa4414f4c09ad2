//! Five real nodes, each on a host of its own with a cable to a switch: cables are pulled, links lose what goes one way or all UDP,
//! nodes are killed, stopped for a while, set back, and have wrong clocks. What was acknowledged is at every node in the end,
//! what was removed is not, and all are equal.
//!
//! The hosts are network namespaces, for which one has to be root; elsewhere the tests are skipped, and say so. What is lost is
//! dropped by nftables or sent to a neighbour that is not there; without nftables only the latter, and they say so.
//!
//! | variable | |
//! |---|---|
//! | `TOMBOLO_CHAOS_SECONDS` | how long there is chaos, instead of 20 s; from 120 s on there are cuts of a link, of one way or between several nodes as well that nothing mends for 5 to 30 s |
//! | `TOMBOLO_CUT_SECONDS` | how long the measured cut lasts, instead of 10 s |
//! | `TOMBOLO_SEED` | repeats the choices of a run (not its timing, which is the machine's) |
#![cfg(target_os = "linux")]

#[allow(dead_code)]
mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::history::{Gate, Written, check, summary, work};
use common::system::{Network, Way, skipped, tool};
use common::{Home, Homes, Running, Saved, number, seed, tell, text_of};
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;

const NODES: usize = 5;
const CHAOS_SECONDS: u64 = 20;
/// From so many on there are long cuts as well.
const LONG_CHAOS_SECONDS: u64 = 120;
/// How long those last.
const LONG_CUT_SECONDS: std::ops::RangeInclusive<f64> = 5.0..=30.0;
const CUT_SECONDS: u64 = 10;
/// For so long others may take a home that was set back for what it was: then their session with it has ended.
const TAKEN_FOR: Duration = Duration::from_secs(5);
/// How long healing may take after chaos. What it does take is printed.
const HEALING: Duration = Duration::from_secs(30);
/// How long it may take after a cut or a kill, on a machine that does other things as well: one or two seconds as a rule.
const SOON: Duration = Duration::from_secs(10);
/// How far each node's clock is ahead, in milliseconds: an hour, a day and a bit.
const CLOCKS: [i64; NODES] = [0, 3_600_000, -86_400_000, 700, 0];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Listen {
    Tcp,
    Quic,
    Both,
}

/// The network is in use by one test at a time, for the sake of what is measured.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nodes on a network of their own. The nodes end before the network does.
struct Hosts {
    nodes: Vec<Option<Running>>,
    homes: Vec<Home>,
    listen: [Listen; NODES],
    clocks: [i64; NODES],
    network: Network,
    _folder: Homes,
}

impl Hosts {
    /// Five nodes that know each other; or why there are none.
    fn start(listen: [Listen; NODES], clocks: [i64; NODES]) -> Result<Self, String> {
        let network = Network::of(NODES)?;
        let folder = Homes::new();
        let mut hosts =
            Self { nodes: Vec::new(), homes: Vec::new(), listen, clocks, network, _folder: folder };
        for n in 0..NODES {
            let (name, folder) = (format!("n{n}"), &hosts._folder);
            let home = if n == 0 { folder.created(&name) } else { folder.joined(&name, &hosts.homes[0]) };
            hosts.homes.push(home);
            hosts.nodes.push(None);
            hosts.up(n);
        }
        hosts.all_equal(Instant::now());
        Ok(hosts)
    }

    fn up(&mut self, n: usize) {
        let at = self.network.address(n);
        let (tcp, quic) = (format!("/ip4/{at}/tcp/4001"), format!("/ip4/{at}/udp/4001/quic-v1"));
        let clock = format!("--clock-offset={}", self.clocks[n]);
        let mut arguments = vec![&clock[..]];
        for (address, other) in [(&tcp, Listen::Quic), (&quic, Listen::Tcp)] {
            if self.listen[n] != other {
                arguments.extend(["--listen", address]);
            }
        }
        let on = self.network.on(n);
        let on: Vec<&str> = on.iter().map(String::as_str).collect();
        self.nodes[n] = Some(self.homes[n].up_behind(&on, &arguments));
    }

    fn kill(&mut self, n: usize) {
        if let Some(node) = self.nodes[n].take() {
            node.kill();
        }
    }

    /// Undoes all faults.
    fn heal(&mut self) {
        self.network.heal();
        for n in 0..NODES {
            match &self.nodes[n] {
                Some(node) => node.signal(Signal::CONT),
                None => self.up(n),
            }
        }
    }

    /// Waits until every node is in sync with all others, and checks that all hold the same. Says how long that was after `since`.
    fn all_equal(&self, since: Instant) -> Duration {
        let others = (NODES - 1).to_string();
        for home in &self.homes {
            let left = HEALING.saturating_sub(since.elapsed()).as_secs_f64().to_string();
            let ended = home.run(&["wait", "--peers", &others, "--timeout", &left]);
            if ended.code != Some(0) {
                let all: Vec<String> = self.homes.iter().map(|home| home.text(&["status"])).collect();
                panic!("{}\n{}", ended.stderr, all.join("\n"));
            }
        }
        let took = since.elapsed();
        let dump = self.homes[0].text(&["dump"]);
        for home in &self.homes[1..] {
            assert_eq!(home.text(&["dump"]), dump);
        }
        took
    }

    /// By what each node reaches each other one.
    fn transports(&self) -> String {
        let of = |home: &Home| {
            let status = home.json(&["status"]);
            let peers = status["peers"].as_array().unwrap().iter();
            let by = peers.map(|peer| peer["transport"].as_str().unwrap_or("-").to_owned());
            format!("{}: {}", text_of(&status["name"]), by.collect::<Vec<_>>().join(" "))
        };
        self.homes.iter().map(of).collect::<Vec<_>>().join(", ")
    }

    fn counter(&self, n: usize) -> i64 {
        self.homes[n].json(&["counter", "get", "measured"])["value"].as_i64().unwrap()
    }

    fn add(&self, n: usize) -> i64 {
        self.homes[n].json(&["counter", "inc", "measured"])["value"].as_i64().unwrap()
    }

    /// How long after `since` a node knows what another wrote.
    fn heard(&self, at: usize, wanted: i64, since: Instant) -> Duration {
        while self.counter(at) < wanted {
            assert!(since.elapsed() < HEALING, "n{at} does not hear");
            std::thread::sleep(Duration::from_millis(10));
        }
        since.elapsed()
    }
}

/// Measures how long it takes after a cut and after a kill.
fn measure(listen: Listen) {
    let _alone = alone();
    let mut hosts = match Hosts::start([listen; NODES], [0; NODES]) {
        Ok(hosts) => hosts,
        Err(why) => {
            return skipped(&format!("nodes on hosts of their own, for no network can be made: {why}"));
        }
    };
    println!("{}", hosts.transports());
    let seconds = number("TOMBOLO_CUT_SECONDS").unwrap_or(CUT_SECONDS);
    let mut figures = Vec::new();
    // Two by themselves, each alone: the others see them fall silent.
    for n in [3, 4] {
        hosts.network.plug(n, false);
    }
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        (0..NODES).for_each(|n| _ = hosts.add(n));
        std::thread::sleep(Duration::from_millis(200));
    }
    let healed = Instant::now();
    hosts.network.heal();
    figures.push((format!("all equal after a cut of {seconds} s"), hosts.all_equal(healed)));

    hosts.kill(4);
    let killed = Instant::now();
    hosts.up(4);
    let wanted = hosts.add(4);
    figures.push(("publishes after kill -9 and restart".to_owned(), hosts.heard(0, wanted, killed)));
    let wanted = hosts.add(0);
    figures.push(("hears after kill -9 and restart".to_owned(), hosts.heard(4, wanted, killed)));
    figures.push(("all equal after kill -9 and restart".to_owned(), hosts.all_equal(killed)));
    for (what, took) in figures {
        tell(&format!("| {listen:?} | {what} | {:.2} s |", took.as_secs_f64()));
        assert!(took < SOON, "{what}");
    }
}

#[test]
fn after_a_cut_all_are_equal_and_after_a_kill_a_node_is_heard_and_hears_over_tcp() {
    measure(Listen::Tcp);
}

#[test]
fn after_a_cut_all_are_equal_and_after_a_kill_a_node_is_heard_and_hears_over_quic() {
    measure(Listen::Quic);
}

/// What goes wrong, one thing after the other.
struct Havoc<'a> {
    hosts: &'a mut Hosts,
    gates: &'a [Gate; NODES],
    /// An older state of each home.
    old: [Option<Saved>; NODES],
    /// How all UDP can be lost.
    lose_udp: Vec<Way>,
    /// Whether there are cuts that last.
    is_long: bool,
    /// How long each of those was.
    long_cuts: Vec<Duration>,
    set_back: usize,
    set_back_last: Option<Instant>,
    rng: ChaCha8Rng,
}

impl Havoc<'_> {
    fn go_on(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if self.is_long && self.rng.random_ratio(1, 40) {
                self.long_cut();
            } else {
                self.one_thing();
            }
            self.rest();
        }
    }

    fn rest(&mut self) {
        std::thread::sleep(Duration::from_millis(self.rng.random_range(0..400)));
    }

    fn one_thing(&mut self) {
        let (one, other, way) = (self.node(), self.node(), self.way());
        let network = &self.hosts.network;
        match self.rng.random_range(0..20) {
            0..3 => network.plug(one, false),
            3..6 => network.plug(one, true),
            6 => network.interface(one, false),
            7..9 => network.interface(one, true),
            9..11 if one != other => network.deafen(one, other, way),
            11 if one != other => network.hear(one, other),
            12 => self.lose_udp(one),
            13 => network.pass_udp(one),
            14 => network.heal(),
            _ => self.befall(one),
        }
    }

    /// What happens to a node, and not to the network.
    fn befall(&mut self, n: usize) {
        match self.rng.random_range(0..5) {
            0 => self.pause(n),
            1..3 => self.set_back(n),
            _ if self.hosts.nodes[n].is_some() => self.kill(n),
            _ => self.hosts.up(n),
        }
    }

    fn node(&mut self) -> usize {
        self.rng.random_range(0..NODES)
    }

    fn way(&mut self) -> Way {
        *self.hosts.network.ways().choose(&mut self.rng).unwrap()
    }

    fn lose_udp(&mut self, n: usize) {
        let Some(way) = self.lose_udp.choose(&mut self.rng) else { return };
        self.hosts.network.pass_udp(n);
        // Not while its interface is down.
        let _ = self.hosts.network.lose_udp(n, *way);
    }

    /// A cut that nothing mends for a while. Nodes are killed, stopped and set back meanwhile.
    fn long_cut(&mut self) {
        let mut nodes: Vec<usize> = (0..NODES).collect();
        nodes.shuffle(&mut self.rng);
        let way = self.way();
        // Those that are cut off from the others, which are more.
        let (few, many) = nodes.split_at(self.rng.random_range(1..=NODES / 2));
        let network = &self.hosts.network;
        network.heal();
        let each = || few.iter().flat_map(|one| many.iter().map(move |other| (*one, *other)));
        let kind = match self.rng.random_range(0..6) {
            0 => {
                few.iter().for_each(|n| network.plug(*n, false));
                "no cables here".to_owned()
            }
            1 => {
                few.iter().for_each(|n| network.interface(*n, false));
                "no interfaces here".to_owned()
            }
            2 => {
                network.deafen(few[0], many[0], way);
                format!("from the first to the first, {way:?}")
            }
            3 => {
                each().for_each(|(one, other)| network.deafen(one, other, way));
                format!("all from here to there, {way:?}")
            }
            _ => {
                each().for_each(|(one, other)| {
                    network.deafen(one, other, way);
                    network.deafen(other, one, way);
                });
                format!("all both ways, {way:?}")
            }
        };
        let time = Duration::from_secs_f64(self.rng.random_range(LONG_CUT_SECONDS));
        println!("cut for {:.1} s, here {few:?} and there {many:?}: {kind}", time.as_secs_f64());
        let end = Instant::now() + time;
        while Instant::now() < end {
            let one = self.node();
            self.befall(one);
            self.rest();
        }
        self.long_cuts.push(time);
        self.hosts.network.heal();
    }

    /// SIGSTOP, and SIGCONT a while later.
    fn pause(&mut self, n: usize) {
        let Some(node) = &self.hosts.nodes[n] else { return };
        node.signal(Signal::STOP);
        std::thread::sleep(Duration::from_millis(self.rng.random_range(100..1500)));
        node.signal(Signal::CONT);
    }

    /// SIGKILL; now and then with a copy of what is left.
    fn kill(&mut self, n: usize) {
        self.hosts.kill(n);
        if self.old[n].is_none() || self.rng.random_bool(0.2) {
            let _silent = self.gates[n].writing.lock().unwrap();
            self.old[n] = Some(Saved::of(&self.hosts.homes[n].path));
        }
    }

    /// Puts an older state in the place of a home, if somebody else holds all that was acknowledged there.
    fn set_back(&mut self, n: usize) {
        if self.set_back_last.is_some_and(|last| last.elapsed() < TAKEN_FOR) {
            return;
        }
        let _silent = self.gates[n].writing.lock().unwrap();
        let (Some(_), Some(old)) = (&self.hosts.nodes[n], &self.old[n]) else { return };
        if self.hosts.homes[n].run(&["wait", "--peers", "1", "--timeout", "3"]).code != Some(0) {
            return;
        }
        let old = old.clone();
        self.hosts.kill(n);
        old.put_back(&self.hosts.homes[n].path);
        self.gates[n].lives.fetch_add(1, Ordering::Relaxed);
        self.hosts.up(n);
        self.set_back += 1;
        self.set_back_last = Some(Instant::now());
    }
}

#[test]
fn what_was_acknowledged_survives_cut_cables_kills_pauses_and_homes_set_back_and_all_end_equal() {
    let _alone = alone();
    let seed = seed();
    let listen = [Listen::Both, Listen::Tcp, Listen::Quic, Listen::Both, Listen::Both];
    let mut hosts = match Hosts::start(listen, CLOCKS) {
        Ok(hosts) => hosts,
        Err(why) => {
            return skipped(&format!("nodes on hosts of their own, for no network can be made: {why}"));
        }
    };
    println!("at first  {}", hosts.transports());
    let mut lose_udp = hosts.network.ways().to_vec();
    lose_udp.retain(|way| match hosts.network.lose_udp(0, *way) {
        Ok(()) => true,
        Err(why) => {
            skipped(&format!("networks without UDP ({way:?}), for UDP alone cannot be lost: {why}"));
            false
        }
    });
    hosts.network.pass_udp(0);
    tell(&format!("what goes one way is lost {:?}, UDP {lose_udp:?}", hosts.network.ways()));
    let seconds = number("TOMBOLO_CHAOS_SECONDS").unwrap_or(CHAOS_SECONDS);

    let (over, gates) = (AtomicBool::new(false), [(); NODES].map(|()| Gate::default()));
    let homes = hosts.homes.clone();
    let (mut set_back, mut long_cuts) = (0, Vec::new());
    let written: Vec<Written> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..NODES)
            .map(|me| {
                let (home, gate, over) = (&homes[me], &gates[me], &over);
                scope.spawn(move || work(home, me, seed, gate, over))
            })
            .collect();
        let wrecked = catch_unwind(AssertUnwindSafe(|| {
            let mut havoc = Havoc {
                hosts: &mut hosts,
                gates: &gates,
                old: [const { None }; NODES],
                lose_udp,
                is_long: seconds >= LONG_CHAOS_SECONDS,
                long_cuts: Vec::new(),
                set_back: 0,
                set_back_last: None,
                rng: ChaCha8Rng::seed_from_u64(seed),
            };
            havoc.go_on(Duration::from_secs(seconds));
            (set_back, long_cuts) = (havoc.set_back, havoc.long_cuts);
        }));
        over.store(true, Ordering::Relaxed);
        let written = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        wrecked.unwrap();
        written
    });

    let healing = Instant::now();
    hosts.heal();
    let took = hosts.all_equal(healing);
    println!("in the end {}", hosts.transports());
    let (long_cuts, apart) = (long_cuts.len(), long_cuts.iter().sum::<Duration>().as_secs());
    println!("{}; {set_back} homes set back; {long_cuts} long cuts, {apart} s in all", summary(&written));
    tell(&format!("| mixed | all equal after chaos | {:.2} s |", took.as_secs_f64()));
    let acknowledged: u32 = written.iter().map(|written| written.acknowledged).sum();
    assert!(acknowledged > 50, "nothing much was tested");
    for home in &homes {
        check(home, &written);
    }
}

/// Puts an older state in the place of a node's home, alone or with what tells outside of it how far it had got. Yields what the node says
/// of that in the end.
fn doubt_of_a_home_set_back(with_witness: bool) -> Option<String> {
    let _alone = alone();
    let mut hosts = match Hosts::start([Listen::Both; NODES], [0; NODES]) {
        Ok(hosts) => hosts,
        Err(why) => {
            skipped(&format!("nodes on hosts of their own, for no network can be made: {why}"));
            return None;
        }
    };
    let home = hosts.homes[1].clone();
    hosts.add(1);
    hosts.kill(1);
    let old = (Saved::of(&home.path), Saved::of(&home.witnesses()));
    hosts.up(1);
    hosts.add(1);
    hosts.add(1);
    hosts.all_equal(Instant::now());
    hosts.kill(1);
    old.0.put_back(&home.path);
    if with_witness {
        // Those of the others as well; they will say what they must with the next commit.
        old.1.put_back(&home.witnesses());
    }
    hosts.up(1);
    // Written at once, before it can know better: not under a dot that others know as something else.
    hosts.add(1);
    let since = Instant::now();
    for n in 0..NODES {
        hosts.heard(n, 4, since);
    }
    hosts.all_equal(since);
    let status = home.until(&["status"], |status| !status["doubt"].is_null());
    assert!((0..NODES).all(|n| hosts.counter(n) == 4));
    Some(text_of(&status["doubt"]).to_owned())
}

#[test]
fn a_home_set_back_goes_on_under_a_new_replica_id_and_loses_nothing_that_others_hold() {
    if let Some(doubt) = doubt_of_a_home_set_back(false) {
        assert!(doubt.contains("was set back: it held"), "{doubt}");
    }
}

#[test]
fn a_home_set_back_with_its_witness_hears_of_it_from_the_others_and_loses_nothing_that_they_hold() {
    if let Some(doubt) = doubt_of_a_home_set_back(true) {
        assert!(doubt.contains("was set back") && doubt.contains("holds what it wrote"), "{doubt}");
    }
}

#[test]
fn networks_lose_what_goes_one_way_or_all_udp_and_nothing_else() {
    let _alone = alone();
    let network = match Network::of(3) {
        Ok(network) => network,
        Err(why) => return skipped(&format!("links that lose, for no network can be made: {why}")),
    };
    if let Err(why) = tool("timeout 5 bash -c :") {
        return skipped(&format!("links that lose, for nothing can be sent over them: {why}"));
    }
    let arrive = |from, to| ["tcp", "udp"].map(|by| network.passes(from, to, by).unwrap());
    let all_arrive = || {
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
            assert_eq!(arrive(from, to), [true, true], "{from} to {to}");
        }
    };
    all_arrive();
    for way in network.ways() {
        for heal in [false, true] {
            network.deafen(0, 1, *way);
            // The other way round what is sent arrives, though no answer comes back.
            let arrives = [(0, 1), (1, 0), (0, 2), (2, 1)].map(|(from, to)| arrive(from, to));
            assert_eq!(arrives, [[false; 2], [true; 2], [true; 2], [true; 2]], "{way:?}");
            if heal {
                network.heal()
            } else {
                network.hear(0, 1)
            }
            all_arrive();
            if let Err(why) = network.lose_udp(0, *way) {
                skipped(&format!("a host without UDP ({way:?}): {why}"));
            } else {
                assert_eq!([1, 2].map(|to| arrive(0, to)), [[true, false]; 2], "{way:?}");
                assert_eq!([1, 2].map(|from| arrive(from, 0)), [[true, true]; 2], "{way:?}");
            }
            if heal {
                network.heal()
            } else {
                network.pass_udp(0)
            }
            all_arrive();
        }
    }
    network.plug(0, false);
    assert_eq!((arrive(0, 1), arrive(1, 0), arrive(1, 2)), ([false; 2], [false; 2], [true; 2]));
    network.heal();
    all_arrive();
}
