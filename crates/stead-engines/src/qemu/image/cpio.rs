//! Archives that a kernel unpacks as its first root: the format `newc`, always the same bytes for the same parts.

use std::fmt::Write as _;
use std::io::{self, Write};

const FOLDER: u32 = 0o04_0755;
const PROGRAM: u32 = 0o10_0755;
const FILE: u32 = 0o10_0644;
const CONSOLE: u32 = 0o02_0600;
/// The device `/dev/console`, which the kernel opens for the first program.
const CONSOLE_DEVICE: (u32, u32) = (5, 1);

/// An archive that is being written.
pub struct Archive<W: Write> {
    to: W,
    entries: u32,
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub fn new(to: W) -> Self {
        Self { to, entries: 0 }
    }

    /// A folder. Parents come first.
    pub fn folder(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, FOLDER, (0, 0), &[])
    }

    /// A file that can be executed.
    pub fn program(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.entry(path, PROGRAM, (0, 0), content)
    }

    /// A file.
    pub fn file(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.entry(path, FILE, (0, 0), content)
    }

    /// `dev/console`.
    pub fn console(&mut self) -> io::Result<()> {
        self.entry("dev/console", CONSOLE, CONSOLE_DEVICE, &[])
    }

    /// The end of the archive.
    pub fn finish(mut self) -> io::Result<W> {
        self.entries = 0;
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn entry(
        &mut self,
        path: &str,
        mode: u32,
        device: (u32, u32),
        content: &[u8],
    ) -> io::Result<()> {
        let size = u32::try_from(content.len()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{path} is larger than 4 GiB"))
        })?;
        let number = if mode == 0 { 0 } else { self.entries + 1 };
        self.entries = number;
        let links = if mode == FOLDER { 2 } else { 1 };
        let name = path.len() as u32 + 1;
        // Number, mode, owner, group, links, time, size, device it is on, device it is, length of the name, checksum.
        let fields = [number, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name, 0];
        let mut head = String::from("070701");
        for field in fields {
            let _ = write!(head, "{field:08x}");
        }
        head.push_str(path);
        head.push('\0');
        self.to.write_all(head.as_bytes())?;
        self.pad(head.len())?;
        self.to.write_all(content)?;
        self.pad(content.len())
    }

    /// Everything begins at a multiple of four bytes.
    fn pad(&mut self, length: usize) -> io::Result<()> {
        self.to.write_all(&[0; 3][..length.wrapping_neg() % 4])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_its_entries_at_multiples_of_four() {
        let mut archive = Archive::new(Vec::new());
        archive.folder("dev").unwrap();
        archive.console().unwrap();
        archive.program("init", b"12345").unwrap();
        archive.file("modules", b"").unwrap();
        let bytes = archive.finish().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let starts: Vec<_> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(starts.len(), 5);
        assert!(starts.iter().all(|at| at % 4 == 0), "{starts:?}");
        assert!(text.contains("12345\0\0\u{0}070701"), "{text}");
        assert_eq!(bytes.len() % 4, 0);
    }
}
