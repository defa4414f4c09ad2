//! Disks and networks of a test's own, as far as the system lets us make some: for that one has to be root.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Says that a test, or a part of it, is skipped, past what captures the output of tests that succeed.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Runs a program of the system; what it said if it failed.
pub fn tool(line: &str) -> Result<(), String> {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output();
    let output = output.map_err(|why| format!("`{line}` cannot be run: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`{line}`: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// A small disk in memory; gone when dropped.
pub struct Disk {
    pub path: PathBuf,
}

impl Disk {
    /// Makes one of so many KiB at `path`; or says why it cannot.
    pub fn mounted(path: &Path, kib: u32) -> Result<Self, String> {
        std::fs::create_dir_all(path).unwrap();
        tool(&format!("mount -t tmpfs -o size={kib}k,mode=700 tmpfs {}", path.display()))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Makes it so large.
    pub fn resize(&self, kib: u32) {
        tool(&format!("mount -o remount,size={kib}k {}", self.path.display())).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(why) = tool(&format!("umount --lazy {}", self.path.display())) {
            eprintln!("a disk is left behind: {why}");
        }
    }
}

/// A network of a test's own: a switch, and hosts that are network namespaces with one cable to it each. All is gone when dropped.
///
/// Nothing of it has an address outside of the namespaces, so that two networks do not meet.
pub struct Network {
    name: String,
    hosts: usize,
    ways: Vec<Way>,
}

/// How what is sent is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Who receives it drops it, by nftables.
    Dropped,
    /// Who sends it sends it to an address that no interface has, by entries for neighbours and routes.
    Misdirected,
}

/// To where frames are sent that nobody is to get.
const NOBODY: &str = "02:00:00:00:00:ff";

impl Network {
    /// Makes one of so many hosts; or says why it cannot. Where there are no nftables, nothing is dropped, and it says so.
    pub fn of(hosts: usize) -> Result<Self, String> {
        static NETWORKS: AtomicU32 = AtomicU32::new(0);
        // The system takes no more than 15 bytes for an interface.
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let name = format!("tb{}x{number}", std::process::id());
        let mut network = Self { name, hosts, ways: vec![Way::Misdirected] };
        let name = &network.name;
        tool(&format!("ip link add {name} type bridge"))?;
        tool(&format!("ip link set {name} up"))?;
        for host in 0..hosts {
            let (inside, cable, at) = (network.host(host), network.cable(host), network.address(host));
            tool(&format!("ip netns add {inside}"))?;
            tool(&format!("ip link add {cable} type veth peer name eth0 netns {inside}"))?;
            tool(&format!("ip link set {cable} master {name} up"))?;
            tool(&format!("ip -n {inside} link set eth0 address 02:00:00:00:00:{:02x}", host + 1))?;
            tool(&format!("ip -n {inside} address add {at}/24 dev eth0"))?;
            tool(&format!("ip -n {inside} link set lo up"))?;
            tool(&format!("ip -n {inside} link set eth0 up"))?;
        }
        match (0..hosts).try_for_each(|host| network.firewall(host)) {
            Ok(()) => network.ways.insert(0, Way::Dropped),
            Err(why) => skipped(&format!("drops by nftables, and neighbours take their place: {why}")),
        }
        Ok(network)
    }

    /// Has a host drop what comes from addresses that are in one of two sets, which are empty at first.
    fn firewall(&self, host: usize) -> Result<(), String> {
        self.nft(host, "add table ip faults")?;
        self.nft(host, "add set ip faults unheard { type ipv4_addr ; }")?;
        self.nft(host, "add set ip faults no_udp { type ipv4_addr ; }")?;
        self.nft(host, "add chain ip faults input { type filter hook input priority 0 ; }")?;
        self.nft(host, "add rule ip faults input ip saddr @unheard drop")?;
        self.nft(host, "add rule ip faults input ip protocol udp ip saddr @no_udp drop")
    }

    fn nft(&self, host: usize, line: &str) -> Result<(), String> {
        tool(&format!("ip netns exec {} nft {line}", self.host(host)))
    }

    /// How this network can lose what is sent; the best way first.
    pub fn ways(&self) -> &[Way] {
        &self.ways
    }

    fn drops(&self) -> bool {
        self.ways.contains(&Way::Dropped)
    }

    fn host(&self, host: usize) -> String {
        format!("{}h{host}", self.name)
    }

    /// The switch's end of a host's cable.
    fn cable(&self, host: usize) -> String {
        format!("{}c{host}", self.name)
    }

    pub fn address(&self, host: usize) -> String {
        format!("10.77.0.{}", host + 1)
    }

    /// What runs a program on a host.
    pub fn on(&self, host: usize) -> Vec<String> {
        ["ip", "netns", "exec", &self.host(host)].map(str::to_owned).to_vec()
    }

    /// Pulls a host's cable, or plugs it in.
    pub fn plug(&self, host: usize, plugged: bool) {
        let state = if plugged { "up" } else { "down" };
        tool(&format!("ip link set {} {state}", self.cable(host))).unwrap();
    }

    /// Takes a host's interface down, or up again.
    pub fn interface(&self, host: usize, up: bool) {
        let state = if up { "up" } else { "down" };
        tool(&format!("ip -n {} link set eth0 {state}", self.host(host))).unwrap();
    }

    /// Loses what `from` sends to `to`, and not what comes back.
    pub fn deafen(&self, from: usize, to: usize, way: Way) {
        let at = |host| self.address(host);
        match way {
            Way::Dropped => {
                self.nft(to, &format!("add element ip faults unheard {{ {} }}", at(from))).unwrap()
            }
            Way::Misdirected => {
                let inside = self.host(from);
                // An interface that is down takes none; what is lost then is lost anyway.
                let _ = tool(&format!(
                    "ip -n {inside} neigh replace {} lladdr {NOBODY} dev eth0 nud permanent",
                    at(to)
                ));
            }
        }
    }

    /// Undoes [`deafen`](Self::deafen).
    pub fn hear(&self, from: usize, to: usize) {
        self.direct(from, to);
        if self.drops() {
            let _ = self.nft(to, &format!("delete element ip faults unheard {{ {} }}", self.address(from)));
        }
    }

    // What is not there cannot be deleted, here and where it was dropped.
    fn direct(&self, from: usize, to: usize) {
        let _ = tool(&format!("ip -n {} neigh del {} dev eth0", self.host(from), self.address(to)));
    }

    /// Loses all UDP that a host sends, as some networks do; or says why it cannot. What is misdirected goes by a table of its own to
    /// a router that is not there.
    pub fn lose_udp(&self, host: usize, way: Way) -> Result<(), String> {
        let inside = self.host(host);
        match way {
            Way::Dropped => {
                let line = format!("add element ip faults no_udp {{ {} }}", self.address(host));
                (0..self.hosts).try_for_each(|other| self.nft(other, &line))
            }
            Way::Misdirected => {
                tool(&format!("ip -n {inside} rule add ipproto udp priority 100 lookup 77"))?;
                tool(&format!(
                    "ip -n {inside} neigh replace 10.77.0.254 lladdr {NOBODY} dev eth0 nud permanent"
                ))?;
                tool(&format!("ip -n {inside} route replace default via 10.77.0.254 dev eth0 table 77"))
            }
        }
    }

    /// Undoes [`lose_udp`](Self::lose_udp).
    pub fn pass_udp(&self, host: usize) {
        self.direct_udp(host);
        if self.drops() {
            let line = format!("delete element ip faults no_udp {{ {} }}", self.address(host));
            for other in 0..self.hosts {
                let _ = self.nft(other, &line);
            }
        }
    }

    fn direct_udp(&self, host: usize) {
        let _ = tool(&format!("ip -n {} rule del priority 100", self.host(host)));
    }

    /// Whether what `from` sends comes to `to`, over `tcp` or `udp`, where nobody listens; or why that cannot be found out.
    pub fn passes(&self, from: usize, to: usize, by: &str) -> Result<bool, String> {
        let before = self.received(to, by)?;
        let send = format!("echo >/dev/{by}/{}/9", self.address(to));
        let sender =
            [&self.on(from)[..], &["timeout", "0.3", "bash", "-c", &send].map(str::to_owned)].concat();
        // Nobody takes it, so it need not end well.
        let sent = Command::new(&sender[0]).args(&sender[1..]).output();
        sent.map_err(|why| format!("{sender:?} cannot be run: {why}"))?;
        Ok(self.received(to, by)? > before)
    }

    /// How many segments or datagrams have come to a host, by what its system counts.
    fn received(&self, host: usize, by: &str) -> Result<u64, String> {
        let reader = [&self.on(host)[..], &["cat", "/proc/net/snmp"].map(str::to_owned)].concat();
        let output = Command::new(&reader[0]).args(&reader[1..]).output().map_err(|why| why.to_string())?;
        let counts = String::from_utf8_lossy(&output.stdout).into_owned();
        // A line of names, and one of numbers.
        let mut lines = counts.lines().filter(|line| line.to_lowercase().starts_with(&format!("{by}:")));
        let (names, numbers) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let counted = names.split(' ').zip(numbers.split(' '));
        let counted = counted.filter(|(name, _)| ["InSegs", "InDatagrams", "NoPorts"].contains(name));
        counted.map(|(_, number)| number.parse::<u64>().map_err(|why| why.to_string())).sum()
    }

    /// Undoes all that was done to the network.
    pub fn heal(&self) {
        for host in 0..self.hosts {
            self.interface(host, true);
            self.plug(host, true);
            self.direct_udp(host);
            (0..self.hosts).filter(|other| *other != host).for_each(|other| self.direct(host, other));
            if self.drops() {
                self.nft(host, "flush set ip faults unheard ; flush set ip faults no_udp").unwrap();
            }
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // What was not made cannot be removed, and a cable goes with either of its ends.
        for host in 0..self.hosts {
            let _ = tool(&format!("ip link del {}", self.cable(host)));
            let _ = tool(&format!("ip netns del {}", self.host(host)));
        }
        let _ = tool(&format!("ip link del {}", self.name));
    }
}
