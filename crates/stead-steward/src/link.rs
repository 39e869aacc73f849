//! A connection to a hold, from the steward's side: frames over its unix socket, without blocking.

use std::io;
use std::path::Path;
use stead_wire::WireError;
use stead_wire::frame::Decoder;
use stead_wire::handshake::SPOKEN;
use stead_wire::message::{Ask, Asked, Hello, Purpose, ToClient, ToHold};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

/// Why a connection to a hold ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What came is not the protocol, or the other end is a stranger.
    #[error("{0}")]
    Wire(#[from] WireError),
}

/// An open connection.
#[derive(Debug)]
pub struct Link {
    stream: UnixStream,
    decoder: Decoder,
}

impl Link {
    /// Connects and says hello; the hold's welcome is the first message that [`Link::read`] returns.
    ///
    /// # Errors
    /// If nobody listens there, or somebody else does.
    pub async fn open(socket: &Path, purpose: Purpose) -> Result<Self, LinkError> {
        let stream = UnixStream::connect(socket).await?;
        stead_wire::peer::check(&stream)?;
        let mut link = Link { stream, decoder: Decoder::new() };
        let client = concat!("stead-steward ", env!("CARGO_PKG_VERSION")).to_owned();
        link.write(&ToHold::Hello(Hello { speaks: SPOKEN, client, purpose })).await?;
        Ok(link)
    }

    /// Asks; the answer comes with [`Link::read`].
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn ask(&mut self, id: u32, ask: Ask) -> io::Result<()> {
        self.write(&ToHold::Ask(Asked { id, ask })).await
    }

    async fn write(&mut self, message: &ToHold) -> io::Result<()> {
        let mut bytes = Vec::new();
        message.put(&mut bytes);
        self.stream.write_all(&bytes).await
    }

    /// The next message; `None` once the hold has closed. May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// If the socket fails or what comes is not the protocol.
    pub async fn read(&mut self) -> Result<Option<ToClient>, LinkError> {
        loop {
            while let Some(frame) = self.decoder.next_frame()? {
                if let Some(message) = ToClient::read(frame)? {
                    return Ok(Some(message));
                }
            }
            self.decoder.trim();
            self.stream.readable().await?;
            let mut buf = [0; 4096];
            match self.stream.try_read(&mut buf) {
                Ok(0) => return Ok(None),
                Ok(n) => self.decoder.push(&buf[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}
