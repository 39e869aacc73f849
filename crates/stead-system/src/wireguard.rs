//! A device that joins a system's WireGuard: what it is told, and what the stead file is.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use stead_file::declared::Overlay;

/// The port that the system listens on.
pub const PORT: u16 = 51820;

/// A device's configuration, as `wg-quick` and the apps read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its own key: whoever has it is the device.
    pub private: String,
    /// Its address there.
    pub address: IpAddr,
    /// The system's public key.
    pub server: String,
    /// Where the system is reached: `HOST:PORT`.
    pub endpoint: String,
    /// What is reached through it: `10.9.0.0/24`.
    pub network: String,
}

impl Device {
    /// The text of its configuration.
    pub fn config(&self) -> String {
        let bits = if self.address.is_ipv4() { 32 } else { 128 };
        format!(
            "[Interface]\nPrivateKey = {}\nAddress = {}/{bits}\n\n[Peer]\nPublicKey = {}\nEndpoint = {}\n\
             AllowedIPs = {}\nPersistentKeepalive = 25\n",
            self.private, self.address, self.server, self.endpoint, self.network
        )
    }
}

/// The first address of the overlay's network that nobody has, and that network. `None` if it declares no address, or has no
/// room.
pub fn next(overlay: &Overlay) -> Option<(IpAddr, String)> {
    let (own, bits) = overlay.address.as_deref()?.split_once('/')?;
    let (own, bits): (IpAddr, u32) = (own.parse().ok()?, bits.parse().ok()?);
    let of_peer = |peer: &String| peer.split_once(' ')?.1.split('/').next()?.parse().ok();
    let mut taken: BTreeSet<IpAddr> = overlay.peers.iter().filter_map(of_peer).collect();
    taken.insert(own);
    let (all, network) = match own {
        IpAddr::V4(own) => (32, u128::from(own.to_bits())),
        IpAddr::V6(own) => (128, own.to_bits()),
    };
    let host = all - bits.min(all);
    let first = if host >= 128 { 0 } else { network >> host << host };
    let address = |number: u128| match own {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
    };
    // The first names the network and the last of IPv4 means all of it. More devices than this nobody has.
    let size = if host >= 16 { 1 << 16 } else { 1u128 << host };
    let free =
        (1..size.saturating_sub(1)).map(|n| address(first + n)).find(|at| !taken.contains(at))?;
    Some((free, format!("{}/{bits}", address(first))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(address: &str, peers: &[&str]) -> Overlay {
        let peers = peers.iter().map(|peer| format!("key {peer}")).collect();
        Overlay { address: Some(address.into()), peers, ..Overlay::default() }
    }

    #[test]
    fn a_device_gets_the_first_address_that_is_free() {
        let told = |address: &str, peers: &[&str]| {
            next(&overlay(address, peers)).map(|(free, network)| format!("{free} of {network}"))
        };
        assert_eq!(told("10.9.0.1/24", &[]).as_deref(), Some("10.9.0.2 of 10.9.0.0/24"));
        let peers = ["10.9.0.2/32", "10.9.0.4/32"];
        assert_eq!(told("10.9.0.1/24", &peers).as_deref(), Some("10.9.0.3 of 10.9.0.0/24"));
        assert_eq!(told("10.9.0.9/16", &[]).as_deref(), Some("10.9.0.1 of 10.9.0.0/16"));
        assert_eq!(told("fd00::1/64", &[]).as_deref(), Some("fd00::2 of fd00::/64"));
        assert_eq!(told("10.9.0.1/30", &["10.9.0.2/32"]), None);
        assert_eq!(told("10.9.0.1/32", &[]), None);
        assert_eq!(next(&Overlay::default()), None);
    }
}
