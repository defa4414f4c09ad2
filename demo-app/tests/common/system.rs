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
}

/// To where frames are sent that nobody is to get.
const NOBODY: &str = "02:00:00:00:00:ff";

impl Network {
    /// Makes one of so many hosts; or says why it cannot.
    pub fn of(hosts: usize) -> Result<Self, String> {
        static NETWORKS: AtomicU32 = AtomicU32::new(0);
        // The system takes no more than 15 bytes for an interface.
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let network = Self { name: format!("tb{}x{number}", std::process::id()), hosts };
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
        Ok(network)
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

    /// Loses what `from` sends to `to`, and not what comes back: it goes to an address that no interface has.
    pub fn deafen(&self, from: usize, to: usize) {
        let (inside, at) = (self.host(from), self.address(to));
        // An interface that is down takes none; what is lost then is lost anyway.
        let _ = tool(&format!("ip -n {inside} neigh replace {at} lladdr {NOBODY} dev eth0 nud permanent"));
    }

    /// Undoes [`deafen`](Self::deafen).
    pub fn hear(&self, from: usize, to: usize) {
        let (inside, at) = (self.host(from), self.address(to));
        let _ = tool(&format!("ip -n {inside} neigh del {at} dev eth0"));
    }

    /// Loses all UDP that a host sends, as some networks do; or says why it cannot. What is sent goes by a table of its own to a
    /// router that is not there.
    pub fn lose_udp(&self, host: usize) -> Result<(), String> {
        let inside = self.host(host);
        tool(&format!("ip -n {inside} rule add ipproto udp priority 100 lookup 77"))?;
        tool(&format!("ip -n {inside} neigh replace 10.77.0.254 lladdr {NOBODY} dev eth0 nud permanent"))?;
        tool(&format!("ip -n {inside} route replace default via 10.77.0.254 dev eth0 table 77"))
    }

    /// Undoes [`lose_udp`](Self::lose_udp).
    pub fn pass_udp(&self, host: usize) {
        let _ = tool(&format!("ip -n {} rule del priority 100", self.host(host)));
    }

    /// Undoes all that was done to the network.
    pub fn heal(&self) {
        for host in 0..self.hosts {
            self.interface(host, true);
            self.plug(host, true);
            self.pass_udp(host);
            (0..self.hosts).filter(|other| *other != host).for_each(|other| self.hear(host, other));
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
