//! The steward's unix socket: one that is there whenever the steward is, and that answers its owner alone.

use axum::serve::Listener;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use stead_steward::inotify::{Folders, WatchFlags};
use tokio::net::{UnixListener, UnixStream};

/// How long to wait before trying again what the system refused for want of something.
const PAUSE: Duration = Duration::from_secs(1);

/// A listening socket. If its file is taken away it is bound again.
pub struct Socket {
    path: PathBuf,
    listener: UnixListener,
    inode: u64,
    folder: Option<Folders>,
}

/// Listens at `path`, in place of a socket that a dead steward left there. Only the holder of the steward's
/// lock may call this.
///
/// # Errors
/// If the socket cannot be made.
pub fn bind(path: &Path) -> io::Result<Socket> {
    let (listener, inode) = bind_file(path)?;
    let mut socket = Socket { path: path.to_owned(), listener, inode, folder: None };
    socket.watch();
    Ok(socket)
}

/// Binds beside the path and moves the socket there, so that no client ever meets one that it may not use or that
/// nobody listens at.
fn bind_file(path: &Path) -> io::Result<(UnixListener, u64)> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&beside)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
    let inode = fs::metadata(&beside)?.ino();
    fs::rename(&beside, path)?;
    Ok((listener, inode))
}

impl Socket {
    /// Whether the file at the path is still this socket.
    fn in_place(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode)
    }

    /// Watches the socket's folder; without that the socket serves on, it only cannot come back.
    fn watch(&mut self) {
        let Some(folder) = self.path.parent() else { return };
        let what = WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        self.folder = Folders::new().ok().filter(|folders| folders.watch(folder, what).is_ok());
    }

    /// Binds again what was taken away, however long that takes.
    async fn mend(&mut self) {
        while !self.in_place() {
            let made = self.path.parent().map_or(Ok(()), |folder| {
                use std::os::unix::fs::DirBuilderExt;
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
            });
            match made.and_then(|()| bind_file(&self.path)) {
                Ok((listener, inode)) => {
                    self.listener = listener;
                    self.inode = inode;
                    self.watch();
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

impl Listener for Socket {
    type Io = UnixStream;
    type Addr = ();

    async fn accept(&mut self) -> (UnixStream, ()) {
        loop {
            let changed = async {
                match &self.folder {
                    Some(folder) => drop(folder.next().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    // A stranger is not even told why.
                    Ok((stream, _)) => if stead_wire::peer::check(&stream).is_ok() {
                        return (stream, ());
                    },
                    // No descriptors left, most likely: some will be closed.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
                () = changed => self.mend().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}
