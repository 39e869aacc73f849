//! A machine's console in the terminal that this program was started in: bytes both ways, as they are.

use super::keys::{DetachKey, Keys, Press};
use super::tty::Tty;
use super::{AttachError, Outcome};
use crate::client::ClientError;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// Most that is kept for a machine that does not read what is typed; what is typed beyond is lost, as on a wire.
const MOST_TYPED: usize = 64 * 1024;

/// Shows the console behind `stream` until it ends or the person leaves.
///
/// # Errors
/// If there is no terminal or no console, or one of them breaks.
pub fn console(stream: UnixStream, key: DetachKey) -> Result<Outcome, AttachError> {
    let mut tty = Tty::open()?;
    stream.set_nonblocking(true).map_err(ClientError::Io)?;
    tty.enter().map_err(AttachError::Terminal)?;
    let mut wire = Wire { stream, keys: Keys::new(key), typed: Vec::new() };
    let outcome = serve(&mut tty, &mut wire);
    tty.leave();
    outcome
}

fn serve(tty: &mut Tty, wire: &mut Wire) -> Result<Outcome, AttachError> {
    let mut buf = vec![0; 64 * 1024];
    loop {
        let came = {
            let mut fds = [
                PollFd::new(&wire.stream, wire.interest()),
                PollFd::from_borrowed_fd(tty.input(), PollFlags::IN),
                PollFd::from_borrowed_fd(tty.signals(), PollFlags::IN),
            ];
            match rustix::event::poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(AttachError::Terminal(e.into())),
            }
            fds.each_ref().map(|fd| !fd.revents().is_empty())
        };
        if came[2] {
            while let Some(signal) = tty.next_signal() {
                // A console knows no size.
                if signal != libc::SIGWINCH {
                    return Ok(Outcome::Detached);
                }
            }
        }
        if came[1] {
            let n = tty.read(&mut buf).map_err(AttachError::Terminal)?;
            if n == 0 || wire.take(&buf[..n]) {
                return Ok(Outcome::Detached);
            }
        }
        if came[0] {
            match wire.exchange(&mut buf).map_err(ClientError::Io)? {
                None => return Ok(Outcome::Closed("the machine has closed its console".into())),
                Some(n) => tty.write(&buf[..n]).map_err(AttachError::Terminal)?,
            }
        }
    }
}

/// The machine's end of the console, and what is on the way to it.
struct Wire {
    stream: UnixStream,
    keys: Keys,
    typed: Vec<u8>,
}

impl Wire {
    /// What is waited for.
    fn interest(&self) -> PollFlags {
        if self.typed.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
    }

    /// Takes what was typed; `true` to leave.
    fn take(&mut self, typed: &[u8]) -> bool {
        for press in self.keys.presses(typed) {
            match press {
                Press::Input(bytes) => {
                    let room = MOST_TYPED.saturating_sub(self.typed.len());
                    self.typed.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                Press::Detach => return true,
                Press::TakeSize => {}
            }
        }
        false
    }

    /// Sends what can be sent and reads what is there; `None` once the other end is closed.
    fn exchange(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        while !self.typed.is_empty() {
            match self.stream.write(&self.typed) {
                Ok(0) => break,
                Ok(n) => drop(self.typed.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                // What it still says is read; its end shows there.
                Err(_) => self.typed.clear(),
            }
        }
        loop {
            match self.stream.read(buf) {
                Ok(0) => return Ok(None),
                Ok(n) => return Ok(Some(n)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Some(0)),
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Wire, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Wire { stream: ours, keys: Keys::new(DetachKey::default()), typed: Vec::new() }, theirs)
    }

    #[test]
    fn what_is_typed_arrives_and_the_prefix_leaves() {
        let (mut wire, mut machine) = pair();
        let mut buf = [0; 64];
        assert!(!wire.take(b"root\r"));
        machine.write_all(b"login: ").unwrap();
        let n = wire.exchange(&mut buf).unwrap().unwrap();
        assert_eq!(&buf[..n], b"login: ");
        let n = machine.read(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"root\r");
        assert_eq!(wire.exchange(&mut buf).unwrap(), Some(0));
        assert!(wire.take(b"\x1cd"));
        drop(machine);
        assert_eq!(wire.exchange(&mut buf).unwrap(), None);
    }

    #[test]
    fn a_machine_that_does_not_read_does_not_keep_anybody_from_leaving() {
        let (mut wire, _machine) = pair();
        let mut buf = [0; 64];
        for _ in 0..64 {
            assert!(!wire.take(&vec![b'x'; 32 * 1024]));
            wire.exchange(&mut buf).unwrap();
        }
        assert!(wire.typed.len() <= MOST_TYPED);
        assert!(wire.interest().contains(PollFlags::OUT));
        assert!(wire.take(b"\x1cd"));
    }
}
