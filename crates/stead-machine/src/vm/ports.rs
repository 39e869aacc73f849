//! Ports of this host that are to lead into a virtual machine: whether they are to be had, before it starts.

use crate::model::Remark;
use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use stead_file::declared::Port;

/// A process that listens at a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its program's name.
    pub program: String,
}

/// Whose a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// The machine's that is asked about: it has its port already.
    Own,
    /// Another machine's.
    Machine(String),
    /// Somebody else's.
    Other,
}

/// What is to be had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Free {
    /// The ports that can be bound.
    pub ports: Vec<Port>,
    /// What is said of the others: a port that somebody wrote is refused, one of the defaults left out.
    pub remarks: Vec<Remark>,
}

/// Looks whether the ports of a machine can be bound, by binding each for a moment. `whose` tells of a process on this host
/// which machine it works for.
pub fn free(ports: &[Port], whose: &dyn Fn(u32) -> Whose) -> Free {
    let mut found = Free::default();
    for port in ports {
        match trouble(port, whose) {
            None => found.ports.push(port.clone()),
            Some(why) => {
                let at = spoken(port);
                let (advice, inside) = (why.advice(), port.inside);
                let why = why.text(port);
                let text = if port.optional {
                    format!("ports: {at} {why}: left out; `ports` can lead another one to {inside}")
                } else {
                    format!("ports: {at} {why}{advice}")
                };
                found.remarks.push(Remark { refused: !port.optional, text });
            }
        }
    }
    found
}

/// `8080`, or with its address if that is not the loopback.
fn spoken(port: &Port) -> String {
    if port.address == Port::default().address {
        port.host.to_string()
    } else {
        std::net::SocketAddr::new(port.address, port.host).to_string()
    }
}

/// Why a port cannot be bound.
enum Trouble {
    Privileged,
    Taken(Option<(Holder, Whose)>),
    NoAddress,
    Other(std::io::Error),
}

impl Trouble {
    fn text(&self, port: &Port) -> String {
        match self {
            Trouble::Privileged => "is for root".into(),
            Trouble::Taken(None) => "is taken by another program".into(),
            Trouble::Taken(Some((_, Whose::Machine(name)))) => {
                format!("is taken by machine \"{name}\"")
            }
            Trouble::Taken(Some((Holder { pid, program }, _))) => {
                format!("is taken by {program} (process {pid})")
            }
            Trouble::NoAddress => {
                format!("cannot be had: this computer has no address {}", port.address)
            }
            Trouble::Other(e) => format!("cannot be had: {e}"),
        }
    }

    /// What to do about it.
    fn advice(&self) -> String {
        match self {
            Trouble::Privileged => format!(": take one from {} on", first_unprivileged()),
            Trouble::Taken(_) => ": take another one".into(),
            _ => String::new(),
        }
    }
}

fn trouble(port: &Port, whose: &dyn Fn(u32) -> Whose) -> Option<Trouble> {
    let error = TcpListener::bind((port.address, port.host)).err()?;
    Some(match error.kind() {
        ErrorKind::PermissionDenied => Trouble::Privileged,
        ErrorKind::AddrNotAvailable => Trouble::NoAddress,
        ErrorKind::AddrInUse => {
            let holders = holders(port).into_iter().map(|holder| {
                let whose = whose(holder.pid);
                (holder, whose)
            });
            let mut holders: Vec<_> = holders.collect();
            if holders.iter().any(|(_, whose)| *whose == Whose::Own) {
                return None;
            }
            // A machine says more than the program that carries its ports.
            holders.sort_by_key(|(_, whose)| !matches!(whose, Whose::Machine(_)));
            Trouble::Taken(holders.into_iter().next())
        }
        _ => Trouble::Other(error),
    })
}

/// The first port that an ordinary user may bind.
fn first_unprivileged() -> u16 {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
}

/// The processes that listen at a port, as far as this user may see them.
pub fn holders(port: &Port) -> Vec<Holder> {
    let mut sockets = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = fs::read_to_string(table).unwrap_or_default();
        sockets.extend(table.lines().skip(1).filter_map(|line| listens(line, port)));
    }
    if sockets.is_empty() {
        return Vec::new();
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| has_one_of(*pid, &sockets))
        .map(|pid: u32| {
            let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            Holder { pid, program: program.trim().to_owned() }
        })
        .collect()
}

/// The inode of the socket in a line of the kernel's table, if it listens there.
fn listens(line: &str, port: &Port) -> Option<u64> {
    const LISTENS: &str = "0A";
    let words: Vec<&str> = line.split_whitespace().collect();
    let (address, number) = words.get(1)?.split_once(':')?;
    let there = Port {
        address: address_of(address)?,
        host: u16::from_str_radix(number, 16).ok()?,
        ..port.clone()
    };
    (words.get(3) == Some(&LISTENS) && there.clashes(port)).then(|| words.get(9)?.parse().ok())?
}

/// An address as the kernel prints it: words of 32 bits in the order of this computer.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    if hex.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let words = [word(0)?, word(8)?, word(16)?, word(24)?];
    let bytes: [u8; 16] = words.concat().try_into().ok()?;
    Some(Ipv6Addr::from(bytes).to_canonical())
}

fn has_one_of(pid: u32, sockets: &HashSet<u64>) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.into_iter().any(|file| {
        let about = fs::metadata(file.path());
        about.is_ok_and(|about| sockets.contains(&about.ino()) && is_socket(&about))
    })
}

fn is_socket(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    about.file_type().is_socket()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(listener: &TcpListener, optional: bool) -> Port {
        let at = listener.local_addr().unwrap();
        Port { address: at.ip(), host: at.port(), inside: 80, optional }
    }

    #[test]
    fn a_taken_port_is_refused_with_who_has_it() {
        let me = std::process::id();
        for address in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            let Ok(taken) = TcpListener::bind(address) else {
                eprintln!("skipped: {address} cannot be bound here");
                continue;
            };
            let port = port(&taken, false);
            assert!(holders(&port).iter().any(|holder| holder.pid == me), "{address}");
            let found = free(std::slice::from_ref(&port), &|_| Whose::Other);
            assert_eq!(found.ports, []);
            let remark = &found.remarks[0];
            assert!(
                remark.refused && remark.text.contains(&format!("(process {me})")),
                "{remark:?}"
            );
            let found = free(std::slice::from_ref(&port), &|_| Whose::Machine("lab".into()));
            assert!(found.remarks[0].text.contains("by machine \"lab\""), "{:?}", found.remarks);
            // The machine that has it already keeps it.
            let found = free(std::slice::from_ref(&port), &|pid| {
                if pid == me { Whose::Own } else { Whose::Other }
            });
            assert_eq!(found, Free { ports: vec![port], remarks: vec![] });
        }
    }

    #[test]
    fn a_default_port_that_is_taken_is_left_out_and_the_free_ones_stay() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [port(&taken, true), port(&other, true)];
        drop(other);
        let found = free(&ports, &|_| Whose::Other);
        assert_eq!(found.ports, ports[1..]);
        assert_eq!(found.remarks.len(), 1);
        assert!(!found.remarks[0].refused);
        let said = &found.remarks[0].text;
        assert!(said.contains("left out") && said.starts_with("ports: "), "{said}");
    }

    #[test]
    fn an_address_of_another_computer_is_told() {
        let port = Port { address: "192.0.2.1".parse().unwrap(), host: 8080, ..Port::default() };
        let found = free(&[port], &|_| Whose::Other);
        assert!(found.remarks[0].text.contains("192.0.2.1:8080 cannot be had"), "{found:?}");
    }

    #[test]
    fn addresses_of_the_kernel_are_read() {
        let hex = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        assert_eq!(address_of(&hex([127, 0, 0, 1])), Some(Ipv4Addr::LOCALHOST.into()));
        let mapped: String = [[0; 4], [0; 4], [0, 0, 255, 255], [10, 0, 0, 1]].map(hex).concat();
        assert_eq!(address_of(&mapped), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(address_of("xyz"), None);
    }
}
