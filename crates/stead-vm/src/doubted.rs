//! Sockets and files in folders that are writable where QEMU runs.
//!
//! What breaks out of QEMU can put anything into their places: a link to another socket or file of this host, a pipe that
//! never ends. So nothing there is followed, and all of it is looked at before it is used. The folders themselves cannot be
//! replaced from there, and nobody else may write to them.

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect as connect_to, socket_with,
};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Connects to the socket at `path`.
///
/// # Errors
/// If something else is there, or nobody listens.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let there = place(path, FileType::Socket, "a socket")?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    connect_to(&socket, &SocketAddrUnix::new(by_descriptor(&there))?)?;
    Ok(socket.into())
}

/// Opens the file at `path` to be read.
///
/// # Errors
/// If something else is there, or it cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    let there = place(path, FileType::RegularFile, "a file")?;
    File::open(by_descriptor(&there))
}

/// What is in the file at `path`, which has at most `most` bytes.
///
/// # Errors
/// If something else is there, it cannot be read, or has more.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("{}: it has more than {most} bytes", path.display())));
    }
    Ok(bytes)
}

/// At most the last `most` bytes of the file at `path`.
///
/// # Errors
/// If something else is there, or it cannot be read.
pub fn end_of(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    // Somebody may be writing to it.
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What is at `path`, if it is of this kind.
fn place(path: &Path, kind: FileType, what: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let there = openat(CWD, path, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&there)?.st_mode) != kind {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{}: this is not {what}: somebody has put another thing there", path.display()),
        ));
    }
    Ok(there)
}

/// The very thing that was looked at, whatever has its name by now.
fn by_descriptor(there: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", there.as_raw_fd()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_what_is_meant_to_be_there_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let listener = UnixListener::bind(at("socket")).unwrap();
        std::fs::write(at("file"), "0123456789").unwrap();
        for (name, to) in [("to-socket", "socket"), ("to-file", "file"), ("to-nothing", "none")] {
            symlink(at(to), at(name)).unwrap();
        }
        let pipe = std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(pipe.success());
        for name in ["to-socket", "file", "pipe", "none", "to-nothing", "."] {
            assert!(connect(&at(name)).is_err(), "{name}");
        }
        for name in ["to-file", "socket", "pipe", "none", "to-nothing", "."] {
            assert!(open(&at(name)).is_err() && end_of(&at(name), 9).is_err(), "{name}");
        }
        connect(&at("socket")).unwrap().write_all(b"word").unwrap();
        let mut word = [0; 4];
        listener.accept().unwrap().0.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"word");
        assert_eq!(read(&at("file"), 10).unwrap(), b"0123456789");
        assert!(read(&at("file"), 9).is_err());
        assert_eq!(end_of(&at("file"), 3).unwrap(), b"789");
        assert_eq!(end_of(&at("file"), 30).unwrap(), b"0123456789");
    }
}
