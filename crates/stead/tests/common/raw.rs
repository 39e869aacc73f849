//! Sockets spoken to byte by byte.

use super::PATIENCE;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use stead_wire::frame::{self, Decoder};
use stead_wire::handshake::SPOKEN;
use stead_wire::message::{Answer, Bye, ToClient, kind};

/// A connection that waits no longer than a test may.
pub fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A connection that speaks frames of its own making.
pub struct Raw {
    pub stream: UnixStream,
    decoder: Decoder,
}

impl Raw {
    pub fn open(socket: &Path) -> Self {
        Raw { stream: connect(socket), decoder: Decoder::new() }
    }

    pub fn greeted(socket: &Path) -> Self {
        let mut raw = Self::open(socket);
        raw.send_json(kind::HELLO, &json!({"speaks": SPOKEN, "purpose": {"as": "control"}}));
        assert!(matches!(raw.next(), Some(ToClient::Welcome(_))));
        raw
    }

    pub fn send(&mut self, kind: u8, payload: &[u8]) {
        let mut bytes = Vec::new();
        frame::put(&mut bytes, kind, &[payload]);
        self.stream.write_all(&bytes).unwrap();
    }

    pub fn send_json(&mut self, kind: u8, value: &Value) {
        self.send(kind, &serde_json::to_vec(value).unwrap());
    }

    /// The next message; `None` once the hold has closed.
    pub fn next(&mut self) -> Option<ToClient> {
        let mut buf = [0; 16 * 1024];
        loop {
            while let Some(frame) = self.decoder.next_frame().unwrap() {
                if let Some(message) = ToClient::read(frame).unwrap() {
                    return Some(message);
                }
            }
            let n = self.stream.read(&mut buf).unwrap_or(0);
            if n == 0 {
                return None;
            }
            self.decoder.push(&buf[..n]);
        }
    }

    /// The hold's last words, after which it must close.
    pub fn bye(&mut self) -> Bye {
        loop {
            match self.next() {
                Some(ToClient::Bye(bye)) => {
                    assert_eq!(self.next(), None, "it goes on after its last words");
                    return bye;
                }
                Some(_) => {}
                None => panic!("closed without a word"),
            }
        }
    }

    pub fn answer(&mut self) -> Answer {
        match self.next() {
            Some(ToClient::Answer(answer)) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }
}

/// Numbers without pattern that are the same in every run.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn bytes(&mut self, most: u64) -> Vec<u8> {
        let len = self.next() % most;
        (0..len).map(|_| self.next() as u8).collect()
    }
}
