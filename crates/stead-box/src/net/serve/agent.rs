//! Where connections into the sandbox lead: to an address inside or, in a virtual machine, through its agent.
//!
//! The agent is asked on the unix socket of the machine's keeper: one line of JSON there, one back, and then the
//! connection is the stream. The keeper is inside, so nothing that it puts in the socket's place is trusted: no symbolic link
//! leads elsewhere, and what is there must be a socket.

use super::Server;
use crate::binds;
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// No answer is longer.
const LONGEST: usize = 4096;

/// How long one place has before another one is tried.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// Where a service inside may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At this address.
    Address(SocketAddrV4),
    /// Where the agent finds this port.
    Agent(u16),
    /// The machine's screen.
    Screen,
}

/// The port inside that is the screen.
const SCREEN: u16 = 0;

/// All places of a port, the last to be tried first. `guest`: it is a virtual machine.
pub fn places(own: Ipv4Addr, port: u16, guest: bool, agent: bool) -> Vec<Place> {
    if port == SCREEN {
        return vec![Place::Screen];
    }
    let at = |address| Place::Address(SocketAddrV4::new(address, port));
    match (guest, agent) {
        // On the loopback, or on the sandbox's own address only.
        (false, _) => vec![at(own), at(Ipv4Addr::LOCALHOST)],
        (true, true) => vec![Place::Agent(port), at(own)],
        (true, false) => vec![at(own)],
    }
}

impl Server {
    /// A connection to a place inside, made or being made; an agent has yet to answer.
    pub(super) fn reach(&self, place: Place) -> io::Result<OwnedFd> {
        let net = &self.setup.net;
        let (socket, port) = match place {
            Place::Address(there) => return self.inside.connect(there),
            Place::Agent(port) => (&net.agent, port),
            Place::Screen => (&net.screen, SCREEN),
        };
        call(socket.as_deref().ok_or(io::ErrorKind::NotFound)?, port)
    }
}

/// Asks the agent behind `socket` for a connection to `port`.
pub fn call(socket: &Path, port: u16) -> io::Result<OwnedFd> {
    let place = binds::real(socket).map_err(io::Error::other)?;
    if FileType::from_raw_mode(fstat(&place)?.st_mode) != FileType::Socket {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let connection =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The very file that was looked at, not whatever has its name by now.
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", place.as_raw_fd()))?;
    rustix::net::connect(&connection, &address)?;
    let line = format!("{}\n", serde_json::json!({ "ask": "connect", "port": port }));
    let sent = rustix::net::send(&connection, line.as_bytes(), SendFlags::NOSIGNAL)?;
    if sent == line.len() { Ok(connection) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// What the agent said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    Waits,
    /// What follows is the stream.
    Connected,
    /// There is no connection.
    Refused,
}

/// Takes the agent's answer off the connection, and nothing that follows it.
pub fn answer(connection: impl AsFd) -> Answer {
    let mut buffer = [0u8; LONGEST];
    let seen = loop {
        match rustix::net::recv(&connection, &mut buffer[..], RecvFlags::PEEK) {
            Ok((seen, _)) => break seen,
            Err(Errno::AGAIN) => return Answer::Waits,
            Err(Errno::INTR) => {}
            Err(_) => return Answer::Refused,
        }
    };
    let Some(end) = buffer[..seen].iter().position(|byte| *byte == b'\n') else {
        let over = seen == 0 || seen == LONGEST;
        return if over { Answer::Refused } else { Answer::Waits };
    };
    let line = &mut buffer[..=end];
    let taken = rustix::net::recv(&connection, &mut *line, RecvFlags::empty());
    let said: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    match taken {
        Ok((len, _)) if len == end + 1 && said.is_object() && said.get("error").is_none() => {
            Answer::Connected
        }
        _ => Answer::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn an_answer_ends_with_its_line_and_not_before() {
        let (mut agent, mut asked) = UnixStream::pair().unwrap();
        asked.set_nonblocking(true).unwrap();
        assert_eq!(answer(&asked), Answer::Waits);
        agent.write_all(b"{}").unwrap();
        assert_eq!(answer(&asked), Answer::Waits);
        agent.write_all(b"\nfirst").unwrap();
        assert_eq!(answer(&asked), Answer::Connected);
        let mut rest = [0; 5];
        asked.read_exact(&mut rest).unwrap();
        assert_eq!(&rest, b"first");
        for said in ["{\"error\":\"nobody\"}\n", "true\n", "\n", "{\n", &"x".repeat(LONGEST)] {
            let (mut agent, asked) = UnixStream::pair().unwrap();
            asked.set_nonblocking(true).unwrap();
            agent.write_all(said.as_bytes()).unwrap();
            assert_eq!(answer(&asked), Answer::Refused, "{said}");
        }
    }

    #[test]
    fn what_is_in_the_place_of_the_agents_socket_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let listener = UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink(at("socket"), at("link")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        assert!(call(&at("link"), 80).is_err() && call(&at("file"), 80).is_err());
        assert!(call(&at("none"), 80).is_err());
        let _asked = call(&at("socket"), 80).unwrap();
        let mut line = [0; 28];
        listener.accept().unwrap().0.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"{\"ask\":\"connect\",\"port\":80}\n");
    }
}
