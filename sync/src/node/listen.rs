//! Keeping a node's ports from one run to the next.

use crate::net::Multiaddr;
use crate::net::multiaddr::Protocol;

/// The addresses a node was asked to listen on, with the ports it got instead of 0.
pub(super) fn with_ports(asked: &[Multiaddr], listening: &[String]) -> Vec<String> {
    let listening: Vec<Multiaddr> = listening.iter().filter_map(|address| address.parse().ok()).collect();
    let got = |asked: &Multiaddr| listening.iter().find(|address| same_kind(asked, address)).and_then(port);
    asked
        .iter()
        .map(|asked| got(asked).map_or_else(|| asked.clone(), |port| with_port(asked, port)).to_string())
        .collect()
}

fn port(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    })
}

fn with_port(address: &Multiaddr, port: u16) -> Multiaddr {
    let set = |part| match part {
        Protocol::Tcp(0) => Protocol::Tcp(port),
        Protocol::Udp(0) => Protocol::Udp(port),
        other => other,
    };
    address.iter().map(set).collect()
}

/// Whether both are of the same protocols, apart from the numbers.
fn same_kind(asked: &Multiaddr, address: &Multiaddr) -> bool {
    let kinds = |address: &Multiaddr| -> Vec<&'static str> {
        address.iter().map(|part| part.tag()).filter(|tag| *tag != "p2p").collect()
    };
    kinds(asked) == kinds(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_that_the_system_chose_are_kept() {
        let asked: Vec<Multiaddr> =
            ["/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/tcp/77"]
                .map(|address| address.parse().unwrap())
                .to_vec();
        let listening = ["/ip4/127.0.0.1/tcp/4001", "/ip4/127.0.0.1/udp/4002/quic-v1"].map(str::to_owned);
        assert_eq!(
            with_ports(&asked, &listening),
            ["/ip4/0.0.0.0/udp/4002/quic-v1", "/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/tcp/77"]
        );
    }
}
