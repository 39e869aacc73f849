//! Bytes from one stream to another. They stay in the kernel until the other side took them, so a side that does not
//! read costs nothing here and holds up whoever sends to it.

use super::super::http::Body;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::os::fd::OwnedFd;

/// One end of a flow: the socket, and what is known of it.
pub struct End {
    /// The socket.
    pub socket: OwnedFd,
    /// There may be something to read.
    pub readable: bool,
    /// Something may be written.
    pub writable: bool,
    /// What it sends is over, and the other end knows.
    pub ended: bool,
}

impl End {
    /// An end of which nothing is known.
    pub fn new(socket: OwnedFd) -> Self {
        End { socket, readable: false, writable: false, ended: false }
    }
}

/// How a direction is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pumped {
    /// Something must happen first.
    Waits,
    /// There may be more at once; it is the others' turn.
    More,
    /// All is over there, and the other side knows.
    Ended,
    /// What came is not what belongs there.
    Garbage,
}

/// How much at a time before others have their turn.
const TURN: usize = 1 << 20;

/// Moves what can be moved. Adds to `moved` how much. An error of either socket ends the flow.
pub fn pump(
    from: &mut End,
    to: &mut End,
    mut body: Option<&mut Body>,
    buffer: &mut [u8],
    moved: &mut u64,
) -> Result<Pumped, Errno> {
    let mut turn = 0;
    while turn < TURN {
        if body.as_ref().is_some_and(|body| body.is_over()) {
            // The one request is through; what follows it is thrown away, and the answer is still to come.
            if !from.readable {
                return Ok(Pumped::Waits);
            }
            match rustix::net::recv(&from.socket, &mut *buffer, RecvFlags::TRUNC) {
                Ok((_, 0)) => {
                    let _ = rustix::net::shutdown(&to.socket, Shutdown::Write);
                    return Ok(Pumped::Ended);
                }
                Ok((_, len)) => turn += len,
                Err(Errno::AGAIN) => from.readable = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            continue;
        }
        if !from.readable || !to.writable {
            return Ok(Pumped::Waits);
        }
        let seen = match rustix::net::recv(&from.socket, &mut *buffer, RecvFlags::PEEK) {
            Ok((0, _)) => {
                // The other may be gone already; then its own event says so.
                let _ = rustix::net::shutdown(&to.socket, Shutdown::Write);
                return Ok(Pumped::Ended);
            }
            Ok((seen, _)) => seen,
            Err(Errno::AGAIN) => {
                from.readable = false;
                return Ok(Pumped::Waits);
            }
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error),
        };
        let mut fine = &buffer[..seen];
        if let Some(body) = body.as_deref() {
            let mut ahead = *body;
            match ahead.pass(fine) {
                Some(passed) => fine = &fine[..passed],
                None => return Ok(Pumped::Garbage),
            }
        }
        let sent = match rustix::net::send(&to.socket, fine, SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN) => {
                to.writable = false;
                return Ok(Pumped::Waits);
            }
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error),
        };
        if let Some(body) = body.as_deref_mut() {
            body.pass(&buffer[..sent]);
        }
        // Truncating takes the bytes off the queue without copying them again.
        rustix::net::recv(&from.socket, &mut buffer[..sent], RecvFlags::TRUNC)?;
        turn += sent;
        *moved += sent as u64;
    }
    Ok(Pumped::More)
}
