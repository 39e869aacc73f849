//! The floor: QEMU exactly as Stead starts it, with a first program that does nothing but print a line.

use crate::error::{Context, Error, Result};
use crate::stage::Stage;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the first program prints.
const LINE: &str = "floor: up\n";

/// QEMU's command line, as it is on a machine of Stead's.
pub struct Qemu(Vec<String>);

impl Qemu {
    /// From the words of one that ran. Its sockets lead nowhere now, its network card too, its console to this program.
    pub fn like(words: &[String]) -> Self {
        let mut words = words.to_vec();
        for word in &mut words {
            if word.starts_with("socket,id=console") {
                *word = "stdio,id=console,signal=off".into();
            } else if let Some(rest) = word.strip_prefix("socket,") {
                // Only those with a descriptor; a share has a path.
                if rest.contains(",fd=") {
                    *word = format!("null,{}", rest.split(',').next().unwrap_or_default());
                }
            } else if word.starts_with("tap,") {
                *word = "hubport,id=net,hubid=0".into();
            }
        }
        Qemu(words)
    }

    /// With another value of an option.
    #[must_use]
    pub fn with(mut self, option: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        match self.0.iter().position(|word| word == option) {
            Some(at) if at + 1 < self.0.len() => self.0[at + 1] = value,
            _ => self.0.extend([option.to_owned(), value]),
        }
        self
    }

    /// Without an option and its value.
    #[must_use]
    pub fn without(mut self, option: &str) -> Self {
        while let Some(at) = self.0.iter().position(|word| word == option) {
            self.0.drain(at..(at + 2).min(self.0.len()));
        }
        self
    }

    /// One more option.
    #[must_use]
    pub fn and(mut self, option: &str, value: impl Into<String>) -> Self {
        self.0.extend([option.to_owned(), value.into()]);
        self
    }

    /// The value of an option.
    pub fn value(&self, option: &str) -> Option<&str> {
        let at = self.0.iter().position(|word| word == option)?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// Puts something else for a part of every word.
    #[must_use]
    pub fn replace(mut self, part: &str, by: &str) -> Self {
        for word in &mut self.0 {
            *word = word.replace(part, by);
        }
        self
    }

    /// Starts it. It ends with this program's interest in it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(&self, stage: &Stage) -> Result<Guest> {
        let (program, words) = self.0.split_first().ok_or_else(|| Error::new("no QEMU"))?;
        let mut command: Command = stage.command(program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped());
        let complaints = stage.path("floor.log");
        command.stderr(std::fs::File::create(&complaints)?);
        let began = Instant::now();
        let child = command.spawn().context(program)?;
        Ok(Guest { child, began, said: Vec::new(), complaints })
    }
}

/// A QEMU of this program's.
pub struct Guest {
    child: Child,
    began: Instant,
    said: Vec<u8>,
    complaints: PathBuf,
}

impl Guest {
    /// Waits until the guest says this on its console: how long that took since it was started.
    ///
    /// # Errors
    /// If it ends before.
    pub fn until(&mut self, what: &str) -> Result<Duration> {
        let console =
            self.child.stdout.as_mut().ok_or_else(|| Error::new("a guest without a console"))?;
        let mut bytes = [0; 4096];
        while memchr::memmem::find(&self.said, what.as_bytes()).is_none() {
            let count = console.read(&mut bytes)?;
            if count == 0 {
                let said = String::from_utf8_lossy(&self.said);
                let last = said.lines().last().unwrap_or_default().trim().to_owned();
                let why = std::fs::read_to_string(&self.complaints).unwrap_or_default();
                return Err(Error::new(format!(
                    "a guest ended before it said {what}: {last} {}",
                    why.trim()
                )));
            }
            self.said.extend_from_slice(&bytes[..count]);
        }
        Ok(self.began.elapsed())
    }

    /// As [`Self::until`] for the floor's line.
    ///
    /// # Errors
    /// If it ends before.
    pub fn up(&mut self) -> Result<Duration> {
        self.until(LINE.trim_end())
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// If it has not by then.
    pub fn ended(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err(Error::new("a guest that was to shut down did not"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// All that it said.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said).into_owned()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes the floor's first root to a file.
///
/// # Errors
/// If it cannot be written.
pub fn initramfs(path: &Path) -> Result<()> {
    let mut archive = Archive::default();
    archive.entry("dev", 0o04_0755, (0, 0), b"");
    archive.entry("dev/console", 0o02_0600, (5, 1), b"");
    archive.entry("init", 0o10_0755, (0, 0), &program());
    std::fs::write(path, archive.finish()).context(path.display())
}

/// A program for x86-64 that writes [`LINE`] and rests.
fn program() -> Vec<u8> {
    const AT: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let mut code = vec![0x48, 0xbe]; // mov rsi, the line
    let line_at = code.len();
    code.extend([0; 8]);
    code.extend([0xba]); // mov edx, its length
    code.extend((LINE.len() as u32).to_le_bytes());
    code.extend([0xbf, 1, 0, 0, 0]); // mov edi, 1
    code.extend([0xb8, 1, 0, 0, 0, 0x0f, 0x05]); // mov eax, write; syscall
    code.extend([0xb8, 34, 0, 0, 0, 0x0f, 0x05]); // mov eax, pause; syscall
    code.extend([0xeb, 0xf7]); // jmp, back to pause
    let line = AT + HEADERS + code.len() as u64;
    code[line_at..line_at + 8].copy_from_slice(&line.to_le_bytes());
    code.extend(LINE.as_bytes());
    let size = HEADERS + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]); // a program for x86-64
    for word in [AT + HEADERS, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]); // one part, read and executed
    for word in [0, AT, AT, size, size, 0x1000] {
        elf.extend(u64::to_le_bytes(word));
    }
    elf.extend(code);
    elf
}

/// An archive that a kernel unpacks as its first root.
#[derive(Default)]
pub struct Archive(Vec<u8>, u32);

impl Archive {
    /// One entry: mode, device, content.
    pub fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.1 += 1;
        let (size, name) = (content.len() as u32, path.len() as u32 + 1);
        let fields = [self.1, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name, 0];
        self.0.extend(b"070701");
        for field in fields {
            self.0.extend(format!("{field:08x}").as_bytes());
        }
        self.0.extend(path.as_bytes());
        self.0.push(0);
        self.pad();
        self.0.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// The whole.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), b"");
        // Whole pages: QEMU would put it over a microvm's ACPI tables.
        self.0.resize(self.0.len().next_multiple_of(4096), 0);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_floors_program_prints_its_line_and_rests() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("init");
        std::fs::write(&path, program()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = Command::new(&path).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = [0; LINE.len()];
        child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(said, *LINE.as_bytes());
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_command_line_keeps_all_but_its_ways_out() {
        let words =
            ["qemu", "-chardev", "socket,id=qmp,fd=3", "-chardev", "socket,id=console,fd=5"];
        let more = ["-netdev", "tap,id=net,fd=9", "-initrd", "/a", "-m", "1k"];
        let words: Vec<String> = words.iter().chain(&more).map(ToString::to_string).collect();
        let qemu = Qemu::like(&words).with("-initrd", "/b").without("-m");
        let expected = "qemu -chardev null,id=qmp -chardev stdio,id=console,signal=off -netdev hubport,id=net,hubid=0 -initrd /b";
        assert_eq!(qemu.0.join(" "), expected);
    }
}
