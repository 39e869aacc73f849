//! The main program of a sandbox: what the launcher hands to the first process for it, and how.
//!
//! It comes with the word `go`: until then nothing of it runs. The first process answers whether it could be executed.

pub mod inside;
mod log;

use crate::descriptors;
use crate::enter::{plain_environment, set};
use crate::failure::{BoxError, Result, Tried};
use crate::spec::{MAIN_LOG, Main, Spec};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The word that lets a sandbox without a main program go.
pub const GO: &[u8] = b"g";
/// The word that lets one go whose main program follows, as [`Told`].
const GO_WITH_MAIN: &[u8] = b"m";
/// More devices than anybody wants.
const MOST_DEVICES: usize = 32;

/// The main program, as it is told to the first process.
#[derive(Serialize, Deserialize)]
struct Told {
    /// The program and its arguments.
    command: Vec<Vec<u8>>,
    /// All its variables.
    env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Seconds.
    grace: u32,
}

/// A main program that is ready to be handed over.
pub struct Ready {
    told: Vec<u8>,
    fds: Vec<OwnedFd>,
}

/// Opens the devices and the log of the main program of `spec`.
pub fn open_all(spec: &Spec, main: &Main) -> Result<Vec<OwnedFd>> {
    if main.command.is_empty() {
        return Err(BoxError::refused("the main program has no command"));
    }
    if main.devices.len() > MOST_DEVICES {
        return Err(BoxError::refused(format!(
            "the main program may have {MOST_DEVICES} devices, not {}",
            main.devices.len()
        )));
    }
    let log = spec.run.join(MAIN_LOG);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let log = open(&log, flags, Mode::from_raw_mode(0o600)).tried(|| log.display())?;
    let devices = main.devices.iter().map(|path| device(path));
    std::iter::once(Ok(log)).chain(devices).collect()
}

fn device(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let device =
        open(path, flags, Mode::empty()).tried(|| format!("the device {}", path.display()))?;
    let about = fstat(&device).tried(|| path.display())?;
    if FileType::from_raw_mode(about.st_mode) != FileType::CharacterDevice {
        return Err(BoxError::refused(format!("{}: not a character device", path.display())));
    }
    rustix::io::ioctl_fionbio(&device, false)
        .or_else(|e| {
            // Not every device knows the request; then its flag says it.
            rustix::fs::fcntl_setfl(&device, OFlags::empty()).map_err(|_| e)
        })
        .tried(|| path.display())?;
    Ok(device)
}

impl Ready {
    /// Puts together what is told. `opened`: what [`open_all`] gave.
    pub fn new(
        spec: &Spec,
        main: &Main,
        mut opened: Vec<OwnedFd>,
        tap: Option<OwnedFd>,
    ) -> Result<Self> {
        let mut env = plain_environment("dumb".into(), "C.UTF-8".into());
        for (name, value) in spec.env.iter().chain(&main.env) {
            set(&mut env, name.as_ref(), value.as_ref());
        }
        let mut next = 3;
        if let Some(tap) = tap {
            opened.insert(1, tap);
            set(&mut env, "STEAD_TAP_FD".as_ref(), "3".as_ref());
            next += 1;
        }
        let devices: Vec<String> =
            (next..).take(main.devices.len()).map(|n: usize| n.to_string()).collect();
        if !devices.is_empty() {
            set(&mut env, "STEAD_DEVICE_FDS".as_ref(), devices.join(",").as_ref());
        }
        let told = Told {
            command: main.command.iter().map(|word| word.clone().into_bytes()).collect(),
            env: env.into_iter().map(|(n, v)| (n.into_vec(), v.into_vec())).collect(),
            grace: main.grace,
        };
        let told =
            serde_json::to_vec(&told).map_err(io::Error::from).tried(|| "the main program")?;
        Ok(Ready { told, fds: opened })
    }

    /// Lets the first process go, and waits until it has executed the main program.
    pub fn go(self, first: &mut UnixStream) -> Result<()> {
        let say = || "the first process inside";
        let fds: Vec<_> = self.fds.iter().map(AsFd::as_fd).collect();
        descriptors::send(&*first, GO_WITH_MAIN, &fds).tried(say)?;
        first.write_all(&self.told).and_then(|()| first.shutdown(Shutdown::Write)).tried(say)?;
        let mut said = String::new();
        match (first.read_to_string(&mut said), said.split_at_checked(1)) {
            (Ok(_), Some(("R", _))) => Ok(()),
            (Ok(_), Some(("E", why))) => Err(BoxError::refused(why)),
            _ => Err(BoxError::refused(
                "the first process inside ended before the main program began",
            )),
        }
    }
}

/// What lets the first process go.
pub enum Word {
    /// There is no main program.
    Alone,
    /// There is one.
    Main(inside::Handed),
}

/// Waits for the word. `None`: it never comes.
pub fn hear(launcher: &mut UnixStream) -> Option<Word> {
    let mut word = [0u8; 1];
    let mut fds = Vec::new();
    let len = descriptors::receive(&*launcher, &mut word, &mut fds).ok()?;
    match &word[..len] {
        GO => Some(Word::Alone),
        GO_WITH_MAIN => {
            let mut told = Vec::new();
            launcher.read_to_end(&mut told).ok()?;
            let told: Told = serde_json::from_slice(&told).ok()?;
            (!fds.is_empty()).then(|| Word::Main(inside::Handed::new(told, fds)))
        }
        _ => None,
    }
}
