//! An internet in which every address answers, and remembers what reached it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Barrier, Mutex};

/// What reached the internet, or the host.
pub struct Seen {
    pub ready: Barrier,
    /// Where each connection and datagram arrived, with its first bytes.
    pub arrived: Mutex<Vec<(String, Vec<u8>)>>,
    /// What name servers were asked.
    pub asked: Mutex<Vec<String>>,
    /// What they answer.
    pub zone: Mutex<HashMap<String, Vec<Ipv4Addr>>>,
}

impl Default for Seen {
    fn default() -> Self {
        Seen {
            ready: Barrier::new(2),
            arrived: Mutex::default(),
            asked: Mutex::default(),
            zone: Mutex::default(),
        }
    }
}

impl Seen {
    pub fn name(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|a| a.parse().expect("an address")).collect();
        self.zone.lock().expect("lock").insert(name.to_owned(), addresses);
    }

    /// Whether anything arrived there: `"1.2.3.4:443"`.
    pub fn reached(&self, at: &str) -> bool {
        self.arrived.lock().expect("lock").iter().any(|(place, _)| place == at)
    }

    pub fn bytes(&self, at: &str) -> Vec<u8> {
        let all = self.arrived.lock().expect("lock");
        all.iter().filter(|(place, _)| place == at).flat_map(|(_, bytes)| bytes.clone()).collect()
    }
}

pub const PORTS: &[u16] = &[22, 80, 443, 853, 8080, 5432];
/// Whatever comes is thrown away, then counted.
pub const SINK: u16 = 9;
/// Sends so many bytes as the first eight say.
pub const SOURCE: u16 = 19;

/// Serves all addresses until the test is over.
pub fn live(seen: &Arc<Seen>) {
    let listeners: Vec<_> = PORTS
        .iter()
        .chain(&[SINK, SOURCE, 53])
        .map(|port| TcpListener::bind(("0.0.0.0", *port)).expect("bound"))
        .collect();
    let places = [
        "203.0.113.10:443",
        "203.0.113.10:123",
        "203.0.113.10:9999",
        "10.1.2.3:9999",
        "169.254.169.254:9999",
        "10.90.7.7:9999",
    ];
    let datagrams: Vec<_> = places.iter().map(|at| bound(at)).collect();
    let names = bound("9.9.9.9:53");
    seen.ready.wait();
    std::thread::scope(|scope| {
        for listener in listeners {
            let port = listener.local_addr().expect("address").port();
            scope.spawn(move || {
                for stream in listener.incoming().flatten() {
                    let seen = seen.clone();
                    std::thread::spawn(move || match port {
                        53 => answer_stream(stream, &seen),
                        SINK => sink(stream),
                        SOURCE => source(stream),
                        _ => greet(stream, &seen),
                    });
                }
            });
        }
        for socket in datagrams {
            scope.spawn(move || echo(&socket, seen));
        }
        scope.spawn(move || answer(&names, seen));
    });
}

fn bound(at: &str) -> UdpSocket {
    UdpSocket::bind(at).expect("bound")
}

/// Services of the host, on all its addresses.
pub fn host_services(seen: &Arc<Seen>) {
    for port in [80, 443, 8000] {
        let listener = TcpListener::bind(("0.0.0.0", port)).expect("bound");
        let seen = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = seen.clone();
                std::thread::spawn(move || greet(stream, &seen));
            }
        });
    }
    let socket = bound("192.0.2.1:9999");
    let seen = seen.clone();
    std::thread::spawn(move || echo(&socket, &seen));
}

/// Says where it is once something came, then sends back all that comes.
fn greet(mut stream: TcpStream, seen: &Seen) {
    let Ok(at) = stream.local_addr() else { return };
    let at = at.to_string();
    seen.arrived.lock().expect("lock").push((at.clone(), Vec::new()));
    let mut buffer = vec![0; 65536];
    let mut first = true;
    while let Ok(len) = stream.read(&mut buffer) {
        if len == 0 {
            break;
        }
        seen.arrived.lock().expect("lock").push((at.clone(), buffer[..len].to_vec()));
        if first && writeln!(stream, "I am {at}").is_err() {
            return;
        }
        first = false;
        if stream.write_all(&buffer[..len]).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

fn sink(mut stream: TcpStream) {
    let mut buffer = vec![0; 65536];
    let (mut count, mut sum) = (0u64, 0u64);
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        count += len as u64;
        sum = buffer[..len]
            .iter()
            .fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
    }
    let _ = writeln!(stream, "{count} {sum}");
}

fn source(mut stream: TcpStream) {
    let mut len = [0; 8];
    if stream.read_exact(&mut len).is_err() {
        return;
    }
    let mut left = u64::from_be_bytes(len) as usize;
    let block: Vec<u8> = (0..65536u32).map(|n| (n % 251) as u8).collect();
    while left > 0 {
        let now = left.min(block.len());
        if stream.write_all(&block[..now]).is_err() {
            return;
        }
        left -= now;
    }
}

/// Answers each datagram with itself.
fn echo(socket: &UdpSocket, seen: &Seen) {
    let mut buffer = vec![0; 65536];
    while let Ok((len, from)) = socket.recv_from(&mut buffer) {
        let at = socket.local_addr().expect("address");
        seen.arrived.lock().expect("lock").push((format!("udp {at}"), buffer[..len].to_vec()));
        let _ = socket.send_to(&buffer[..len], from);
    }
}

/// A name server, as strict as can be: one plain question, recursion desired.
fn reply(question: &[u8], seen: &Seen, datagram: bool) -> Option<Vec<u8>> {
    assert_eq!(question[4..6], [0, 1], "one question");
    assert_eq!(question[2] & 0xf9, 1, "a plain question");
    let mut name = String::new();
    let mut at = 12;
    while question[at] != 0 {
        let len = usize::from(question[at]);
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(std::str::from_utf8(&question[at + 1..at + 1 + len]).expect("a plain name"));
        at += len + 1;
    }
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let name = name.to_ascii_lowercase();
    seen.asked.lock().expect("lock").push(format!("{name} {kind}"));
    if name.starts_with("silent.") {
        return None;
    }
    let end = at + 5;
    let zone = seen.zone.lock().expect("lock");
    let found = zone.get(&name);
    let big = name.starts_with("big.") && datagram;
    let addresses: &[Ipv4Addr] = match (found, kind) {
        (Some(found), 1) if !big => found,
        _ => &[],
    };
    let mut all = question[..2].to_vec();
    let code = if found.is_some() { 0 } else { 3 };
    all.extend([0x81 | if big { 2 } else { 0 }, 0x80 | code, 0, 1]);
    all.extend((addresses.len() as u16).to_be_bytes());
    all.extend([0; 4]);
    all.extend(&question[12..end]);
    for address in addresses {
        all.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        all.extend(address.octets());
    }
    Some(all)
}

fn answer(socket: &UdpSocket, seen: &Seen) {
    let mut buffer = vec![0; 65536];
    while let Ok((len, from)) = socket.recv_from(&mut buffer) {
        if let Some(reply) = reply(&buffer[..len], seen, true) {
            let _ = socket.send_to(&reply, from);
        }
    }
}

fn answer_stream(mut stream: TcpStream, seen: &Seen) {
    let mut len = [0; 2];
    while stream.read_exact(&mut len).is_ok() {
        let mut question = vec![0; u16::from_be_bytes(len).into()];
        if stream.read_exact(&mut question).is_err() {
            return;
        }
        if let Some(reply) = reply(&question, seen, false) {
            let _ = stream.write_all(&[&(reply.len() as u16).to_be_bytes()[..], &reply].concat());
        }
    }
}
