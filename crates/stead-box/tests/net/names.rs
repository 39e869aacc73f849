//! Questions to the name server, as programs inside ask them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

pub const A: u16 = 1;
pub const AAAA: u16 = 28;
pub const HTTPS: u16 = 65;

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: u8,
    pub cut: bool,
    pub addresses: Vec<Ipv4Addr>,
    pub count: u16,
}

pub fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut all = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        all.push(label.len() as u8);
        all.extend(label.as_bytes());
    }
    all.push(0);
    all.extend(kind.to_be_bytes());
    all.extend([0, 1]);
    all
}

/// All answers of these servers are records of one shape: a pointer, then an address.
fn read(question: &[u8], bytes: &[u8]) -> Answer {
    assert_eq!(bytes[..2], question[..2], "the id");
    let count = u16::from_be_bytes([bytes[6], bytes[7]]);
    let mut addresses = Vec::new();
    let mut at = question.len();
    for _ in 0..count {
        assert_eq!(bytes[at..at + 4], [0xc0, 12, 0, 1]);
        addresses.push(Ipv4Addr::new(
            bytes[at + 12],
            bytes[at + 13],
            bytes[at + 14],
            bytes[at + 15],
        ));
        at += 16;
    }
    Answer { code: bytes[3] & 15, cut: bytes[2] & 2 != 0, addresses, count }
}

/// Asks by datagram, at any address.
pub fn ask_at(server: &str, name: &str, kind: u16) -> Answer {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    socket.connect(server).expect("connected");
    let question = question(name, kind);
    socket.send(&question).expect("sent");
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).expect("an answer");
    read(&question, &buffer[..len])
}

pub fn ask(name: &str, kind: u16) -> Answer {
    ask_at("10.90.255.253:53", name, kind)
}

/// Asks by TCP, twice on one connection.
pub fn ask_by_stream(name: &str) -> Answer {
    let mut stream = super::world::connect("8.8.4.4:53").expect("connected");
    let question = question(name, A);
    let mut answer = None;
    for _ in 0..2 {
        stream
            .write_all(&[&(question.len() as u16).to_be_bytes()[..], &question].concat())
            .expect("sent");
        let mut len = [0; 2];
        stream.read_exact(&mut len).expect("an answer");
        let mut bytes = vec![0; u16::from_be_bytes(len).into()];
        stream.read_exact(&mut bytes).expect("all of it");
        answer = Some(read(&question, &bytes));
    }
    answer.expect("two answers")
}
