//! The hold's socket: bound, and bound again when it is found missing.

use crate::folder::create_private;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A listening socket that puts itself back.
pub struct Listener {
    path: PathBuf,
    socket: Option<UnixListener>,
    /// Whether the path is this socket's.
    published: bool,
}

impl Listener {
    /// Binds the socket beside its place: nobody sees it before [`Listener::publish`].
    ///
    /// # Errors
    /// If it cannot be bound.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            create_private(dir).map_err(io::Error::other)?;
        }
        let beside = beside(path);
        let _ = std::fs::remove_file(&beside);
        let socket = UnixListener::bind(&beside)?;
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        Ok(Listener { path: path.to_owned(), socket: Some(socket), published: false })
    }

    /// Moves the socket into its place; one that a dead hold left behind is replaced. Who sees it can connect.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn publish(&mut self) -> io::Result<()> {
        std::fs::rename(beside(&self.path), &self.path)?;
        self.published = true;
        Ok(())
    }

    /// The descriptor that becomes readable when a client connects; `None` while there is no socket.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Binds again if the file is gone. `false`: it could not be put back; to be tried again later.
    pub fn mend(&mut self) -> bool {
        if self.path.exists() && self.socket.is_some() {
            return true;
        }
        self.socket = None;
        let path = std::mem::take(&mut self.path);
        let bound = Self::bind(&path).and_then(|mut new| new.publish().map(|()| new));
        self.path = path;
        match bound {
            Ok(mut listener) => {
                self.socket = listener.socket.take();
                true
            }
            Err(_) => false,
        }
    }

    /// The next client that waits to be let in.
    ///
    /// # Errors
    /// If there is none, or no descriptor is left for it.
    pub fn accept(&self) -> io::Result<UnixStream> {
        let socket = self.socket.as_ref().ok_or(io::ErrorKind::WouldBlock)?;
        let (stream, _) = socket.accept()?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.socket.is_some() {
            let mine = if self.published { self.path.clone() } else { beside(&self.path) };
            let _ = std::fs::remove_file(mine);
        }
    }
}

/// Where the socket is bound before it is moved into place.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("new")
}
