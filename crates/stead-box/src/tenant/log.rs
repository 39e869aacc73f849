//! What a main program printed, bounded: when the file is full, its first half goes.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{SeekFrom, ftruncate, seek};
use rustix::io::{Errno, pread, read, write};

/// So much at most.
const MOST: u64 = 512 * 1024;
/// How much at a time.
const TURN: usize = 16 * 1024;

/// The file. Nobody else writes to it.
pub struct Log {
    file: OwnedFd,
    len: u64,
    /// The last turn took something.
    took: bool,
}

impl Log {
    /// An empty file, open to read and write.
    pub fn new(file: OwnedFd) -> Self {
        Log { file, len: 0, took: false }
    }

    /// Takes what is there of `output`, which does not block, at most one turn. `false`: it is over.
    pub fn take(&mut self, output: impl AsFd) -> bool {
        let mut buffer = [0u8; TURN];
        let taken = read(output, &mut buffer);
        self.took = matches!(taken, Ok(1..));
        match taken {
            Ok(0) => return false,
            Ok(len) => self.add(&buffer[..len]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return false,
        }
        true
    }

    /// Whether the last turn took something.
    pub fn took(&self) -> bool {
        self.took
    }

    /// Adds a line of our own.
    pub fn say(&mut self, line: &str) {
        self.add(format!("stead-box: {line}\n").as_bytes());
    }

    fn add(&mut self, mut bytes: &[u8]) {
        if self.len + bytes.len() as u64 > MOST {
            self.halve();
        }
        // What a full disk does not take is lost; the program must not wait for it.
        while let Ok(written @ 1..) = write(&self.file, bytes) {
            self.len += written as u64;
            bytes = &bytes[written..];
        }
    }

    fn halve(&mut self) {
        let mut kept = vec![0u8; (self.len / 2) as usize];
        let len = pread(&self.file, &mut kept[..], self.len - self.len / 2).unwrap_or(0);
        let _ = ftruncate(&self.file, 0);
        let _ = seek(&self.file, SeekFrom::Start(0));
        self.len = 0;
        self.add(&kept[..len]);
    }
}
