//! Talking to a hold, one question or message at a time, on a blocking socket.

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use stead_wire::WireError;
use stead_wire::frame::Decoder;
use stead_wire::handshake::SPOKEN;
use stead_wire::message::{Ask, Asked, Bye, Hello, Purpose, ToClient, ToHold, Welcome};

/// Why a hold could not be talked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens on its socket.
    #[error("the hold cannot be reached: {0}")]
    Unreachable(#[source] io::Error),
    /// The connection broke.
    #[error("the connection to the hold broke: {0}")]
    Io(#[from] io::Error),
    /// What it said makes no sense.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It refused.
    #[error("{0}")]
    Refused(String),
    /// It closed the connection.
    #[error("{}", .0.text)]
    Bye(Bye),
    /// It answered something else than was asked.
    #[error("the hold's answer cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
}

/// A connection to a hold.
pub struct Connection {
    socket: UnixStream,
    decoder: Decoder,
    asked: u32,
}

impl Connection {
    /// Connects and greets.
    ///
    /// # Errors
    /// If nobody listens, the socket belongs to somebody else, or the versions do not fit.
    pub fn open(path: &Path, purpose: Purpose) -> Result<(Self, Welcome), ClientError> {
        let mut connection = Self::greet(path, purpose)?;
        loop {
            match connection.next_message()? {
                ToClient::Welcome(welcome) => return Ok((connection, welcome)),
                ToClient::Bye(bye) => return Err(ClientError::Bye(bye)),
                _ => {}
            }
        }
    }

    /// Connects and greets without waiting for the welcome.
    fn greet(path: &Path, purpose: Purpose) -> Result<Self, ClientError> {
        let socket = UnixStream::connect(path).map_err(ClientError::Unreachable)?;
        stead_wire::peer::check(&socket)?;
        let mut connection = Connection { socket, decoder: Decoder::new(), asked: 0 };
        connection.send(&ToHold::Hello(Hello {
            speaks: SPOKEN,
            client: concat!("stead ", env!("CARGO_PKG_VERSION")).into(),
            purpose,
        }))?;
        Ok(connection)
    }

    /// Lets no read or write take longer than this.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(Some(timeout))?;
        self.socket.set_write_timeout(Some(timeout))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn send(&mut self, message: &ToHold) -> io::Result<()> {
        let mut bytes = Vec::new();
        message.put(&mut bytes);
        self.socket.write_all(&bytes)
    }

    /// Waits for the next message; kinds of a later version are skipped.
    ///
    /// # Errors
    /// If the connection breaks or what comes cannot be read.
    pub fn next_message(&mut self) -> Result<ToClient, ClientError> {
        let mut buf = [0; 16 * 1024];
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(message);
            }
            let n = self.socket.read(&mut buf)?;
            if n == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.decoder.push(&buf[..n]);
        }
    }

    /// A message that has already arrived.
    ///
    /// # Errors
    /// If what came cannot be read.
    pub fn buffered(&mut self) -> Result<Option<ToClient>, WireError> {
        while let Some(frame) = self.decoder.next_frame()? {
            if let Some(message) = ToClient::read(frame)? {
                return Ok(Some(message));
            }
        }
        self.decoder.trim();
        Ok(None)
    }

    /// Takes in what has arrived without waiting. `false`: the other end has closed.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn receive(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        match self.socket.read(buf) {
            Ok(0) => Ok(false),
            Ok(n) => {
                self.decoder.push(&buf[..n]);
                Ok(true)
            }
            Err(e)
                if e.kind() == io::ErrorKind::WouldBlock
                    || e.kind() == io::ErrorKind::Interrupted =>
            {
                Ok(true)
            }
            Err(e) => Err(e),
        }
    }

    /// Asks, and waits for the answer; other messages on the way are dropped.
    ///
    /// # Errors
    /// If the connection breaks, or the hold refuses.
    pub fn ask<T: DeserializeOwned>(&mut self, ask: Ask) -> Result<T, ClientError> {
        self.asked += 1;
        let id = self.asked;
        self.send(&ToHold::Ask(Asked { id, ask }))?;
        loop {
            match self.next_message()? {
                ToClient::Answer(answer) if answer.id == id => {
                    if let Some(why) = answer.error {
                        return Err(ClientError::Refused(why));
                    }
                    return Ok(serde_json::from_value(answer.ok.unwrap_or(Value::Null))?);
                }
                ToClient::Bye(bye) => return Err(ClientError::Bye(bye)),
                _ => {}
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Asks a hold one question and leaves.
///
/// # Errors
/// As [`Connection::open`] and [`Connection::ask`]; also if the hold takes longer than `timeout`.
pub fn ask<T: DeserializeOwned>(
    path: &Path,
    ask: Ask,
    timeout: Duration,
) -> Result<T, ClientError> {
    let mut connection = Connection::greet(path, Purpose::Control)?;
    connection.set_timeout(timeout)?;
    connection.ask(ask)
}
