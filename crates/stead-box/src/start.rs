//! Making a sandbox.
//!
//! Until `run.json` is in its place, every process made here ends with the one that makes it: the first process
//! inside waits on a socket for `go`, the process that serves the network on a pipe (the lifeline) that only the
//! launcher and the first process hold open, and namespaces and mounts go with the processes that are in them. A
//! launcher that dies between writing `run.json` and saying `go` leaves a `run.json` that names nobody alive.

use crate::cgroup::{self, Group};
use crate::failure::{BoxError, Result, Tried};
use crate::init::{self, Given};
use crate::net::NetSetup;
use crate::place::Places;
use crate::process::{
    RUN_FILE, boot_id, init_of, read_record, read_run, start_time, write_record, write_run,
};
use crate::share::Share;
use crate::spec::{Ids, Running, Spec};
use crate::tenant::{self, Ready};
use crate::{descriptors, kernel, sys, userns};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{chdir, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::fs::File;
use std::io::{Read, Write, pipe};
use std::os::unix::net::UnixStream;
use std::time::{SystemTime, UNIX_EPOCH};

/// Makes a sandbox that goes on when the caller ends. The caller must be a process of one thread, of this program
/// (`/proc/self/exe net` serves the network); for an ordinary user it is in another user namespace afterwards.
///
/// # Errors
/// What could not be made, and why. Nothing is left behind then.
pub fn start(spec: &Spec) -> Result<Running> {
    if spec.main.is_none() && spec.net.as_ref().is_some_and(|net| net.tap.is_some()) {
        return Err(BoxError::refused("a tap device is for a main program, and there is none"));
    }
    if !spec.run.is_absolute() {
        return Err(BoxError::refused(format!("{}: not an absolute path", spec.run.display())));
    }
    let record = spec.record.as_deref().map_or(Ok(None), read_record)?;
    for running in [read_run(&spec.run)?, record].into_iter().flatten() {
        if init_of(&running)?.is_some() {
            return Err(BoxError::refused(format!(
                "{} runs already: process {}, in {}",
                spec.name,
                running.init,
                running.run.display()
            )));
        }
    }
    let group =
        Group::make(&spec.cgroup, &spec.limits).map_err(|e| BoxError::refused(e.to_string()))?;
    let seated = group.seat_apart().map_err(|e| BoxError::refused(e.to_string()));
    let running = seated.and_then(|()| make(spec, &group));
    if running.is_err() {
        // What is wrong already is what is told.
        let _ = group.remove();
    }
    running
}

/// The note on a machine with containers inside, on a host with version 1 alone.
const NO_CGROUPS: &str =
    "containers inside have no cgroups, since this host has no cgroup v2: run them without";

/// The note on a machine of an ordinary user that has no share of its own.
const UNLIMITED: &str = "the machine can use up the inotify instances and watches of the user who made it: the kernel \
                         takes no limits in /proc/sys/user here";

/// Processes that are killed unless they are let go.
#[derive(Default)]
struct Processes(Vec<(i32, OwnedFd)>);

impl Drop for Processes {
    fn drop(&mut self) {
        for (pid, pidfd) in &self.0 {
            let _ = sys::signal(pidfd.as_fd(), libc::SIGKILL);
            let _ = crate::process::wait_end(pidfd.as_fd(), None);
            kernel::reap(*pid);
        }
    }
}

fn make(spec: &Spec, group: &Group) -> Result<Running> {
    // With the rights of the caller, who may be somebody else in a moment.
    let opened = spec.main.as_ref().map(|main| tenant::open_all(spec, main)).transpose()?;
    let mut notes = group.notes().to_vec();
    let mut processes = Processes::default();
    let range = match spec.ids {
        Ids::Range { first } => Some(first),
        Ids::Own => None,
    };
    let share = range.map_or_else(|| Share::of_here(spec.nested), |_| Share::default());
    let (death, lifeline) = pipe().tried(|| "a pipe")?;
    let mut net = match &spec.net {
        Some(_) => {
            Some(Server::start(spec, range.is_none(), group, &death.into(), &mut processes)?)
        }
        None => None,
    };
    if range.is_none() {
        // An ordinary user has the power to mount only in a user namespace of its own.
        match &mut net {
            Some(net) => {
                notes.extend(net.wait_ready()?);
                sys::join(net.pidfd.as_fd(), sys::CLONE_NEWUSER | sys::CLONE_NEWNET)
                    .tried(|| "joining the network's namespaces")?;
            }
            None => userns::own()?,
        }
    }
    let users = if let Some(first) = range {
        userns::make(first)?
    } else {
        let (users, limited) = userns::make_alone(&share)?;
        if !limited {
            notes.push(UNLIMITED.to_owned());
        }
        users
    };
    if let (true, Some(first)) = (spec.nested, range) {
        let given = cgroup::hand_over(group.folders(), first);
        if !given.map_err(|e| BoxError::refused(e.to_string()))? {
            notes.push(NO_CGROUPS.to_owned());
        }
    }
    let places = Places::open(group.folders())?;
    let (mut ours, theirs) = UnixStream::pair().tried(|| "a pair of sockets")?;
    let mut flags = sys::CLONE_NEWPID | sys::CLONE_NEWNS | sys::CLONE_NEWUTS | sys::CLONE_NEWIPC;
    if spec.net.is_none() {
        flags |= sys::CLONE_NEWNET;
    }
    let cloned = sys::clone(flags, places.second()).tried(
        || "the first process inside (are namespaces allowed here, and is its cgroup writable?)",
    )?;
    let Some(first) = cloned else {
        std::mem::forget(processes);
        drop(ours);
        let join = net.filter(|_| range.is_some());
        init::run(Given {
            spec,
            users,
            net: join.map(|n| n.pidfd),
            places,
            lifeline: lifeline.into(),
            launcher: theirs,
        });
    };
    processes.0.push((first.pid, first.pidfd));
    drop((theirs, lifeline, users, places));
    if let (Some(net), true) = (&mut net, range.is_some()) {
        notes.extend(net.wait_ready()?);
        // If it is gone already, what it said last is read below.
        let _ = ours.write_all(b"n");
    }
    let said = hear(&mut ours)?;
    // Its notes, and what became of it.
    match said.split_once('\0').map(|(more, end)| (more, end.split_at_checked(1))) {
        Some((more, Some(("R", _)))) => notes.extend(more.lines().map(str::to_owned)),
        Some((_, Some(("E", why)))) => return Err(BoxError::refused(why)),
        _ => return Err(BoxError::refused("the first process inside ended before it was ready")),
    }
    cgroup::verify(first.pid, group).map_err(|e| BoxError::refused(e.to_string()))?;
    let running = Running {
        run: spec.run.clone(),
        init: first.pid,
        init_start: start_time(first.pid)?,
        net: net.as_ref().map(|n| n.pid),
        net_start: net.as_ref().map_or(Ok(0), |n| start_time(n.pid))?,
        boot: boot_id()?,
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64),
        cgroups: group.folders().to_vec(),
        nested: spec.nested,
        env: spec.env.clone(),
        notes,
    };
    if let Some(record) = &spec.record {
        write_record(record, &running)?;
    }
    write_run(&spec.run, &running)?;
    let gone = match (&spec.main, opened) {
        (Some(main), Some(opened)) => Ready::new(spec, main, opened, net.and_then(|net| net.tap))
            .and_then(|ready| ready.go(&mut ours)),
        _ => ours.write_all(tenant::GO).tried(|| "the first process inside"),
    };
    if let Err(e) = gone {
        let _ = std::fs::remove_file(spec.run.join(RUN_FILE));
        if let Some(record) = &spec.record {
            let _ = std::fs::remove_file(record);
        }
        return Err(e);
    }
    std::mem::forget(processes);
    Ok(running)
}

/// Everything that the first process says until all is made, or until its end.
fn hear(first: &mut UnixStream) -> Result<String> {
    let mut said = Vec::new();
    let mut buffer = [0u8; 4096];
    while !said.ends_with(init::READY.as_bytes()) {
        match first.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => said.extend(&buffer[..len]),
            // It ended without having read all that was said to it.
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e).tried(|| "listening to the first process inside"),
        }
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// The process that serves the network.
struct Server {
    pid: i32,
    pidfd: OwnedFd,
    /// What it says, and hands over.
    output: UnixStream,
    /// The tap device, once it is ready.
    tap: Option<OwnedFd>,
}

impl Server {
    fn start(
        spec: &Spec,
        rootless: bool,
        group: &Group,
        death: &OwnedFd,
        processes: &mut Processes,
    ) -> Result<Self> {
        let say = || "the process that serves the network";
        let net = spec.net.clone().expect("asked for");
        let setup = NetSetup { net, run: spec.run.clone(), rootless, name: spec.name.clone() };
        let text =
            serde_json::to_vec(&setup).map_err(std::io::Error::from).tried(|| "the network")?;
        let log = spec.run.join("net.log");
        let log = File::create(&log).tried(|| log.display())?;
        let places = Places::open_for_net(group.folders())?;
        let (asked, mut input) = pipe().tried(say)?;
        let (output, answers) = UnixStream::pair().tried(say)?;
        let Some(process) = sys::clone(0, places.second()).tried(say)? else {
            let why = dup2_stderr(&log).tried(say).and_then(|()| {
                places.join_first()?;
                setsid().and_then(|_| chdir("/")).tried(say)?;
                dup2_stdin(&asked).and_then(|()| dup2_stdout(&answers)).tried(say)?;
                sys::make_third(death.as_fd()).tried(say)?;
                let program = c"/proc/self/exe".to_owned();
                Err::<(), _>(sys::exec(&program, &[program.clone(), c"net".to_owned()], &[]))
                    .tried(say)
            });
            if let Err(e) = why {
                eprintln!("{e}");
            }
            sys::leave(1);
        };
        let pidfd = process.pidfd.try_clone().tried(say)?;
        processes.0.push((process.pid, process.pidfd));
        input.write_all(&text).tried(say)?;
        Ok(Server { pid: process.pid, pidfd, output, tap: None })
    }

    /// Waits until there is a network. What does not hold in it.
    fn wait_ready(&mut self) -> Result<Vec<String>> {
        let (mut line, mut fds) = (Vec::new(), Vec::new());
        let mut buffer = [0u8; 4096];
        while !line.ends_with(b"\n") {
            match descriptors::receive(&self.output, &mut buffer, &mut fds) {
                Ok(0) => break,
                Ok(len) => line.extend(&buffer[..len]),
                Err(e) => return Err(e).tried(|| "the process that serves the network"),
            }
        }
        self.tap = fds.pop();
        let said: serde_json::Value = serde_json::from_slice(&line).unwrap_or_default();
        if said["ready"] == true {
            let notes = said["notes"].as_array().into_iter().flatten();
            return Ok(notes.filter_map(|note| note.as_str().map(str::to_owned)).collect());
        }
        Err(BoxError::refused(match said["error"].as_str() {
            Some(why) => format!("the network: {why}"),
            None => {
                "the process that serves the network ended early; its net.log says why".to_owned()
            }
        }))
    }
}
