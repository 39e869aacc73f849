//! Standard streams that are files of this host, for a command that runs inside.
//!
//! A descriptor of a file is more than what is in it: whoever has one opens the file again by `/proc/self/fd` with
//! whatever rights the file's owner has, changes its mode, or makes it longer. So the command gets a pipe, and what goes
//! through it is carried. A folder leads to everything above it and is not handed in at all.

use crate::failure::{BoxError, Result, Tried};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{FileType, OFlags, SeekFrom, Stat, fcntl_setfl, fstat, seek};
use rustix::io::{Errno, ioctl_fionread, pread, read, retry_on_intr, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};
use std::io;

/// Bytes that are carried at once: a pipe takes as many whole or not at all.
const PIECE: usize = 4096;

/// Pipes in place of the standard streams that are files.
#[derive(Default)]
pub struct Streams {
    input: Option<(OwnedFd, OwnedFd)>,
    output: Option<(OwnedFd, OwnedFd)>,
    errors: Option<(OwnedFd, OwnedFd)>,
    /// Errors go where output goes.
    one_file: bool,
}

impl Streams {
    /// What is to be carried for this process's command.
    pub fn in_place() -> Result<Self> {
        let input = file(stdin(), "input")?;
        let output = file(stdout(), "output")?;
        let errors = file(stderr(), "error")?;
        let same = |a: &Stat, b: &Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
        let one_file = matches!((&output, &errors), (Some(a), Some(b)) if same(a, b));
        let pipe = |wanted: Option<Stat>| {
            wanted.map(|_| pipe_with(PipeFlags::CLOEXEC)).transpose().tried(|| "a pipe")
        };
        Ok(Streams {
            input: pipe(input)?,
            output: pipe(output)?,
            errors: pipe(errors.filter(|_| !one_file))?,
            one_file,
        })
    }

    /// Makes the pipes the streams of this process, which is to become the command.
    pub fn take(&self) -> Result<()> {
        let say = || "the command's standard streams";
        if let Some((from, _)) = &self.input {
            dup2_stdin(from).tried(say)?;
        }
        if let Some((_, to)) = &self.output {
            dup2_stdout(to).tried(say)?;
            if self.one_file {
                dup2_stderr(to).tried(say)?;
            }
        }
        if let Some((_, to)) = &self.errors {
            dup2_stderr(to).tried(say)?;
        }
        Ok(())
    }

    /// What is to be carried from now on.
    pub fn carry(self) -> Result<Carried> {
        let mut carried = Carried { input: None, outputs: Vec::new(), failed: None };
        if let Some((from, to)) = self.input {
            fcntl_setfl(&to, OFlags::NONBLOCK).tried(|| "a pipe")?;
            let start = seek(stdin(), SeekFrom::Current(0)).ok();
            carried.input = Some(Input { from, to: Some(to), start, carried: 0 });
        }
        for (pipe, to) in [(self.output, stdout()), (self.errors, stderr())] {
            if let Some((from, _)) = pipe {
                // Somebody inside may have opened the pipe and read what was there.
                fcntl_setfl(&from, OFlags::NONBLOCK).tried(|| "a pipe")?;
                carried.outputs.push((from, to));
            }
        }
        Ok(carried)
    }
}

/// What is being carried, by whoever waits for the command.
pub struct Carried {
    input: Option<Input>,
    outputs: Vec<(OwnedFd, BorrowedFd<'static>)>,
    failed: Option<io::Error>,
}

struct Input {
    /// Kept to see how much of it the command has not read.
    from: OwnedFd,
    /// `None` once all is carried.
    to: Option<OwnedFd>,
    /// Where the file stood, if it is of a kind that stands somewhere.
    start: Option<u64>,
    carried: u64,
}

impl Carried {
    /// Whether there is nothing to carry.
    pub fn is_empty(&self) -> bool {
        self.input.is_none() && self.outputs.is_empty()
    }

    /// What to wait for.
    pub fn wanted(&self) -> Vec<PollFd<'_>> {
        let input = self.input.as_ref().and_then(|input| input.to.as_ref());
        let input = input.map(|to| PollFd::new(to, PollFlags::OUT));
        input.into_iter().chain(self.outputs.iter().map(readable)).collect()
    }

    /// Carries on after a wait; takes what became of [`Self::wanted`].
    pub fn go_on(&mut self, came: &[PollFlags]) {
        let mut came = came.iter().map(|flags| !flags.is_empty());
        if let Some(input) = self.input.as_mut().filter(|input| input.to.is_some())
            && came.next() == Some(true)
        {
            input.carry();
        }
        let failed = &mut self.failed;
        self.outputs.retain(|output| match came.next() {
            Some(true) => {
                let n = carry_out(output).unwrap_or_else(|e| {
                    *failed = Some(e);
                    Some(0)
                });
                n != Some(0)
            }
            _ => true,
        });
    }

    /// The command has ended: what it said last is carried still, what others say later is not. The input stands where
    /// the command stopped reading.
    pub fn end(mut self) -> Result<()> {
        if let Some(Input { from, start: Some(start), carried, .. }) = &self.input {
            let left = ioctl_fionread(from).unwrap_or(0);
            let _ = seek(stdin(), SeekFrom::Start(start + carried.saturating_sub(left)));
        }
        for output in &self.outputs {
            // As much as is there now: what goes on inside may write for ever.
            let mut left = ioctl_fionread(&output.0).unwrap_or(0);
            while left > 0 && self.failed.is_none() {
                match carry_out(output) {
                    Ok(Some(n)) => left = left.saturating_sub(n as u64),
                    Ok(None) => break,
                    Err(e) => self.failed = Some(e),
                }
            }
        }
        self.failed.map_or(Ok(()), Err).tried(|| "what the command printed cannot be written")
    }
}

impl Input {
    fn carry(&mut self) {
        let mut piece = [0; PIECE];
        let came = match self.start {
            Some(start) => pread(stdin(), &mut piece, start + self.carried),
            None => read(stdin(), &mut piece),
        };
        let sent = match (came, &self.to) {
            (Ok(1..), Some(to)) => write(to, &piece[..came.unwrap_or(0)]),
            (came, _) => came,
        };
        match sent {
            // The pipe has room for a piece, or it would not have been told; only this process writes to it.
            Ok(n) if n > 0 => self.carried += n as u64,
            Err(Errno::INTR) => {}
            _ => self.to = None,
        }
    }
}

fn readable<'a>((from, _): &'a (OwnedFd, BorrowedFd<'static>)) -> PollFd<'a> {
    PollFd::new(from, PollFlags::IN)
}

/// Carries what came from a pipe. `Some(0)`: nobody can write to it any more; `None`: there is nothing now.
fn carry_out((from, to): &(OwnedFd, BorrowedFd<'static>)) -> io::Result<Option<usize>> {
    let mut piece = [0; PIECE];
    let n = match retry_on_intr(|| read(from, &mut piece)) {
        Err(Errno::AGAIN) => return Ok(None),
        n => n?,
    };
    let mut rest = &piece[..n];
    while !rest.is_empty() {
        let done = retry_on_intr(|| write(to, rest))?;
        rest = &rest[done..];
    }
    Ok(Some(n))
}

/// What a standard stream is, if it is a file.
fn file(stream: BorrowedFd<'_>, name: &str) -> Result<Option<Stat>> {
    let about = fstat(stream).tried(|| format!("standard {name}"))?;
    match FileType::from_raw_mode(about.st_mode) {
        FileType::RegularFile | FileType::BlockDevice => Ok(Some(about)),
        FileType::Directory => Err(BoxError::refused(format!(
            "standard {name} is a folder of this host, which is not handed in: redirect a file"
        ))),
        _ => Ok(None),
    }
}
