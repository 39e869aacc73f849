//! What is made on the host's side before there is a sandbox, while there still is the right to.

use super::ground::Host;
use super::log::Log;
use super::serve::Outside;
use super::{Error, NetSetup, SOCKET};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use stead_file::declared::Port;

/// Flows that no sandbox gets beyond.
const MOST: usize = 4096;

/// Makes all of it.
pub fn prepare(setup: &NetSetup, lifeline: Option<OwnedFd>) -> Result<Outside, Error> {
    let most = raise_files();
    let ports = setup
        .net
        .ports
        .iter()
        .map(|port| listen(port).map(|socket| (port.clone(), socket)))
        .collect::<Result<_, _>>()?;
    Ok(Outside {
        control: control(&setup.run.join(SOCKET))?,
        ports,
        host: Host::here().map_err(Error::start("ask for this host's addresses"))?,
        log: Log::open(&setup.run).map_err(Error::start("open egress.log in the run folder"))?,
        lifeline,
        most,
    })
}

/// As many open files as allowed; how many flows that makes.
fn raise_files() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // More than this is never needed.
    let wanted = maximum.unwrap_or(u64::MAX).min(3 * MOST as u64);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    let files = getrlimit(Resource::Nofile).current.unwrap_or(1024) as usize;
    // Two sockets a flow; datagrams and questions take theirs from the rest.
    (files.saturating_sub(files.min(640) / 2 + 64) / 2).clamp(16, MOST)
}

fn control(path: &Path) -> Result<OwnedFd, Error> {
    let start = || -> Result<OwnedFd, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        match rustix::fs::unlink(path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
        let before = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = SocketAddrUnix::new(path).and_then(|at| rustix::net::bind(&socket, &at));
        rustix::process::umask(before);
        bound?;
        rustix::net::listen(&socket, 128)?;
        Ok(socket)
    };
    start().map_err(Error::start("make net.sock in the run folder"))
}

/// Listens at a port of the host that leads in.
pub fn listen(port: &Port) -> Result<OwnedFd, Error> {
    let start = || -> Result<OwnedFd, Errno> {
        let family =
            if port.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        if port.address.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        rustix::net::bind(&socket, &SocketAddr::new(port.address, port.host))?;
        rustix::net::listen(&socket, 1024)?;
        Ok(socket)
    };
    start().map_err(|error| {
        let at = SocketAddr::new(port.address, port.host);
        let what = match error {
            Errno::ADDRINUSE => {
                "somebody else listens there; choose another port of this host".into()
            }
            Errno::ACCESS => "ports below 1024 need root; choose a higher one".into(),
            Errno::ADDRNOTAVAIL => {
                "this host does not have the address; `ip addr` shows those it has".into()
            }
            other => other.to_string(),
        };
        Error::Port { at, inside: port.inside, what }
    })
}
