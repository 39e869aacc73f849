//! The first process inside: it makes the root, locks itself in, and from then on only takes in the dead.

use crate::binds;
use crate::devices::Devices;
use crate::failure::{Result, Tried};
use crate::net::take_fd;
use crate::place::Places;
use crate::spec::Spec;
use crate::tenant::{self, Word};
use crate::{filter, identity, kernel, program, root, sys};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, pivot_root, wait};
use rustix::thread::{CapabilitiesSecureBits, set_capabilities_secure_bits};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long everybody inside has to end after SIGTERM, if nobody outside ends it sooner and there is no main program.
const GRACE: Duration = Duration::from_secs(10);

/// What the first process says, after its notes, once all is made.
pub const READY: &str = "\0R";

/// What the launcher hands to the first process.
pub struct Given<'a> {
    /// What to make.
    pub spec: &'a Spec,
    /// Its user namespace.
    pub users: OwnedFd,
    /// The process whose network namespace is to be joined once the launcher says that it is there.
    pub net: Option<OwnedFd>,
    /// Its cgroups.
    pub places: Places,
    /// Keeps the network served for as long as this process lives.
    pub lifeline: OwnedFd,
    /// The launcher. Until it says `go`, its end is the end of this process.
    pub launcher: UnixStream,
}

/// Runs as the first process inside. Does not return.
pub fn run(mut given: Given<'_>) -> ! {
    let mut notes = Vec::new();
    let made = build(&mut given, &mut notes);
    let Given { lifeline, mut launcher, .. } = given;
    let _ = launcher.write_all(notes.join("\n").as_bytes());
    let why = match made {
        Ok(None) => {
            std::mem::forget((given.users, given.net, given.places));
            stay(lifeline, launcher)
        }
        Ok(Some(program)) => {
            let kept = launcher.try_clone().map(|launcher| (lifeline, launcher.into()));
            let why = match kept {
                Ok((lifeline, launcher)) => program::execute(&program, lifeline, launcher),
                Err(e) => e,
            };
            format!("becoming the first process: {why}")
        }
        Err(e) => e.to_string(),
    };
    let _ = launcher.write_all(format!("\0E{why}").as_bytes());
    sys::leave(1);
}

/// Goes on as the first process inside, executed by [`run`]. Does not return unless it was not.
pub fn go_on() {
    if let (Some(lifeline), Some(launcher)) = (take_fd(3), take_fd(4)) {
        stay(lifeline, launcher.into());
    }
}

/// All is made: waits for the launcher's word, starts the main program if there is one, and takes in the dead.
fn stay(lifeline: OwnedFd, mut launcher: UnixStream) -> ! {
    let _ = rustix::thread::set_name(c"stead-box");
    let said = launcher.write_all(READY.as_bytes());
    match said.ok().and_then(|()| tenant::hear(&mut launcher)) {
        None => sys::leave(1),
        Some(Word::Alone) => {
            sys::close_all_but(&[lifeline.as_fd()]);
            std::mem::forget(launcher);
            sys::trim_memory();
            live();
        }
        Some(Word::Main(main)) => {
            let mut kept = main.fds();
            kept.extend([lifeline.as_fd(), launcher.as_fd()]);
            sys::close_all_but(&kept);
            match main.start() {
                Ok(main) => {
                    let _ = launcher.write_all(b"R");
                    drop(launcher);
                    sys::trim_memory();
                    main.live();
                }
                Err(why) => {
                    let _ = launcher.write_all(format!("E{why}").as_bytes());
                    sys::leave(1);
                }
            }
        }
    }
    drop(lifeline);
    sys::leave(0)
}

/// Makes it all. The program to be executed, if it must be.
fn build(given: &mut Given<'_>, notes: &mut Vec<String>) -> Result<Option<OwnedFd>> {
    let spec = given.spec;
    rustix::process::setsid().tried(|| "setsid")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    given.places.join_first()?;
    sys::unshare(sys::CLONE_NEWCGROUP).tried(|| "a cgroup namespace")?;
    rustix::system::sethostname(spec.hostname.as_bytes())
        .tried(|| format!("the host name {}", spec.hostname))?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .tried(|| "making mounts private")?;

    let range = match spec.ids {
        crate::spec::Ids::Range { first } => Some(first),
        crate::spec::Ids::Own => None,
    };
    let program = if range.is_none() { Some(program::sealed()?) } else { None };
    let owner = range.unwrap_or(0);
    let shift = range.map(|_| &given.users);
    let own_nodes = range.is_some();
    let size = spec.limits.memory.map(|m| m / 2);
    let mut devices = Devices::take(owner, own_nodes, size)?;
    let ready = spec
        .binds
        .iter()
        .map(|bind| binds::take(bind, shift, range.unwrap_or(0)))
        .collect::<Result<Vec<_>>>()?;
    if range.is_some() {
        // Files that are made from here on belong to root inside, by the power of root outside.
        set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP)
            .tried(|| "keeping capabilities")?;
        sys::make_files_as(owner, owner).tried(|| format!("the id {owner}"))?;
    }
    root::assemble(spec, shift, owner, notes)?;
    enter_root()?;
    let root = open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .tried(|| "the root")?;
    devices.put(root.as_fd(), spec.nested)?;
    identity::write(root.as_fd(), spec)?;
    for bind in &ready {
        bind.put(root.as_fd())?;
    }
    // The network is made meanwhile; only /sys shows it.
    if let Some(net) = &given.net {
        let mut ready = [0u8; 1];
        if given.launcher.read(&mut ready).ok() != Some(1) {
            sys::leave(1);
        }
        sys::join(net.as_fd(), sys::CLONE_NEWNET).tried(|| "joining the network namespace")?;
    } else if spec.net.is_none() {
        loopback_up()?;
    }
    devices.put_sys(root.as_fd(), spec.nested, notes)?;
    if spec.nested && given.places.second().is_some() {
        devices.put_cgroups(root.as_fd(), notes)?;
    }
    drop((ready, devices, root));

    // From a user namespace below, everything mounted until now is locked.
    sys::join(given.users.as_fd(), sys::CLONE_NEWUSER).tried(|| "joining the user namespace")?;
    sys::unshare(sys::CLONE_NEWNS).tried(|| "a mount namespace inside")?;
    kernel::become_root(range.is_some())?;
    rustix::process::chdir("/").tried(|| "/ inside")?;
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .tried(|| "/dev/null inside")?;
    rustix::stdio::dup2_stdin(&null)
        .and_then(|()| rustix::stdio::dup2_stdout(&null))
        .and_then(|()| rustix::stdio::dup2_stderr(&null))
        .tried(|| "/dev/null inside")?;
    sys::block(None);
    filter::apply(spec.nested)
        .map_err(|e| crate::BoxError::refused(format!("the filter of system calls: {e}")))?;
    // An ordinary user must be able to join this process, which the kernel counts as looking into it. It has nothing
    // that everybody else inside has not, once it is executed from what nobody can change.
    if range.is_some() {
        kernel::hide_self()?;
    }
    Ok(program)
}

/// Makes `m` the root, and this host's gone.
fn enter_root() -> Result<()> {
    rustix::process::chdir("m").tried(|| "the new root")?;
    pivot_root(".", ".").tried(|| "changing the root")?;
    unmount(".", UnmountFlags::DETACH).tried(|| "letting go of this host's files")?;
    rustix::process::chdir("/").tried(|| "the new root")
}

fn loopback_up() -> Result<()> {
    sys::loopback_up().tried(|| "the loopback interface")
}

/// Takes in the dead until told to end.
fn live() {
    loop {
        match sys::next_signal(None).number {
            libc::SIGCHLD => reap(),
            libc::SIGTERM => return end(),
            _ => {}
        }
    }
}

fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

/// Tells everybody to end, and waits until they have, but not for ever: when this process ends, the kernel kills
/// whoever is left. Not everybody is a child of this process: who entered has a parent outside.
fn end() {
    let deadline = Instant::now() + GRACE;
    sys::signal_everybody(libc::SIGTERM);
    sys::signal_everybody(libc::SIGCONT);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Some(other) = other_process() else { return };
        reap();
        if left.is_zero() || !sys::signal_everybody(0) {
            return;
        }
        let left =
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut fds = [PollFd::new(&other, PollFlags::IN)];
        let _ = poll(&mut fds, Some(&left));
        reap();
    }
}

/// Some process inside other than this one.
fn other_process() -> Option<OwnedFd> {
    let entries = std::fs::read_dir("/proc").ok()?;
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid > 1)
        .find_map(|pid| pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok())
}
