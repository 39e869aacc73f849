//! Which name servers there are.

use std::fs;
use std::net::{IpAddr, SocketAddr};

const FILE: &str = "/etc/resolv.conf";

/// The name servers that are asked.
pub struct Servers {
    declared: Vec<IpAddr>,
    found: Vec<SocketAddr>,
    seen: Option<(u64, u64, i64, u64)>,
}

impl Servers {
    /// Those declared or, if there are none, the host's.
    pub fn new(declared: &[IpAddr]) -> Self {
        let found = declared.iter().map(|address| SocketAddr::new(*address, 53)).collect();
        Servers { declared: declared.to_vec(), found, seen: None }
    }

    /// The servers as of now: the host's file is read again when it changed.
    pub fn now(&mut self) -> &[SocketAddr] {
        if self.declared.is_empty() {
            let seen = rustix::fs::stat(FILE)
                .ok()
                .map(|stat| (stat.st_dev, stat.st_ino, stat.st_mtime, stat.st_mtime_nsec));
            if seen.is_none() || seen != self.seen {
                self.seen = seen;
                self.found = read(&fs::read_to_string(FILE).unwrap_or_default());
            }
        }
        &self.found
    }
}

fn read(text: &str) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.split_whitespace().next()?.parse::<IpAddr>().ok())
        .map(|address| SocketAddr::new(address, 53))
        .take(3)
        .collect();
    if found.is_empty() {
        // What resolvers do without the file.
        found.push(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 53));
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn servers_are_read_from_the_hosts_file() {
        let text = "# nameserver 9.9.9.9\nsearch x\nnameserver 1.1.1.1 # one\nnameserver\t::1\nnameserver fe80::1%eth0\n";
        let found: Vec<String> = super::read(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["1.1.1.1:53", "[::1]:53"]);
        assert_eq!(super::read("").len(), 1);
    }
}
