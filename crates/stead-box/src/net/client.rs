//! Asking the process that serves a sandbox's network: one line of JSON there, one line back.

use crate::spec::Net;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest request: a list of allowed names can be long.
pub(super) const LONGEST: usize = 256 * 1024;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Request {
    /// A connection to this port inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<u16>,
    /// The machine that asks, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// How much went through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<Stats>,
    /// Other rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Net>,
}

/// What is said to it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Reply {
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Because it may not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub denied: bool,
    /// How much went through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<Stats>,
}

/// How much went through the network of a sandbox since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// TCP connections that are open.
    pub connections: usize,
    /// Flows of datagrams that are open.
    pub datagrams: usize,
    /// Bytes that were sent by TCP, seen from whoever connected.
    pub up: u64,
    /// Bytes that came back.
    pub down: u64,
    /// What was refused, connections and names.
    pub refused: u64,
}

/// A connection to a port inside a sandbox, by the `net.sock` in its run folder. The socket blocks.
///
/// # Errors
/// If the sandbox's network is not served, or nothing listens on the port.
pub fn connect(socket: &Path, port: u16) -> io::Result<OwnedFd> {
    let request = Request { connect: Some(port), ..Request::default() };
    match ask(socket, &request)? {
        (_, Some(connection)) => {
            rustix::io::ioctl_fionbio(&connection, false)?;
            Ok(connection)
        }
        (_, None) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// How much went through.
///
/// # Errors
/// If the sandbox's network is not served.
pub fn stats(socket: &Path) -> io::Result<Stats> {
    let request = Request { stats: Some(Stats::default()), ..Request::default() };
    ask(socket, &request)?.0.stats.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Puts other rules in the place of those that hold; connections that they do not allow are cut. The sandbox's own
/// address cannot change.
///
/// # Errors
/// If the sandbox's network is not served, or the rules cannot be; then those that hold stay.
pub fn set_rules(socket: &Path, rules: &Net) -> io::Result<()> {
    ask(socket, &Request { rules: Some(rules.clone()), ..Request::default() }).map(|_| ())
}

fn ask(socket: &Path, request: &Request) -> io::Result<(Reply, Option<OwnedFd>)> {
    let connection = call(socket, request, SocketFlags::empty())?;
    let (reply, passed) = take(&connection)?;
    match reply.error {
        Some(error) => Err(io::Error::other(error)),
        None => Ok((reply, passed)),
    }
}

/// Connects and sends a request.
pub(super) fn call(socket: &Path, request: &Request, flags: SocketFlags) -> io::Result<OwnedFd> {
    let connection = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | flags,
        None,
    )?;
    if !flags.contains(SocketFlags::NONBLOCK) {
        // Also for the connection itself: one that stands still answers nobody.
        for which in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&connection, which, Some(PATIENCE))?;
        }
    }
    rustix::net::connect(&connection, &SocketAddrUnix::new(socket)?)?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    let mut rest = &line[..];
    while !rest.is_empty() {
        let sent = rustix::net::send(&connection, rest, SendFlags::NOSIGNAL)?;
        rest = &rest[sent..];
    }
    Ok(connection)
}

/// Takes the reply, with a connection if one was asked for.
pub(super) fn take(connection: impl AsFd) -> io::Result<(Reply, Option<OwnedFd>)> {
    let mut line = Vec::new();
    let mut passed = None;
    let mut buffer = [0; 4096];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::net::recvmsg(
            &connection,
            &mut [IoSliceMut::new(&mut buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut sockets) = message {
                passed = sockets.next();
            }
        }
        line.extend(&buffer[..received.bytes]);
        if line.ends_with(b"\n") {
            return Ok((serde_json::from_slice(&line)?, passed));
        }
        if received.bytes == 0 || line.len() > LONGEST {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Sends a reply, with a connection if there is one.
pub(super) fn give(to: impl AsFd, reply: &Reply, connection: Option<&OwnedFd>) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let passed: Vec<_> = connection.iter().map(AsFd::as_fd).collect();
    if !passed.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&passed));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(to, &[IoSlice::new(&line)], &mut control, flags)?;
    Ok(())
}
