//! A command whose streams go through the bridge. It ends with the bridge: what is to stay is a session.

use super::channel::Channel;
use super::{Options, inside};
use crate::pty::Pty;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Stdio};
use std::sync::Arc;
use stead_wire::bridge::Exec;
use stead_wire::session::{Size, Spec};

pub struct Command {
    channel: u32,
    errors: Option<u32>,
    process: Process,
    status: Option<(Option<i32>, Option<i32>)>,
}

enum Process {
    Plain { child: Child, ends: OwnedFd },
    Terminal(Pty),
}

impl Command {
    /// Starts a command; returns it with the channels of its streams.
    pub fn start(options: &Options, exec: &Exec) -> Result<(Self, Vec<(u32, Channel)>), String> {
        let program = exec.command.first().ok_or("the command is empty")?;
        let cannot = |e: std::io::Error| format!("cannot run \"{}\": {e}", program.escape_debug());
        let here = inside::look(options);
        let mut env = here.env;
        env.extend(exec.env.clone());
        let cwd = exec.cwd.clone().unwrap_or(here.home);
        if let Some(size) = exec.terminal {
            env.entry("TERM".into()).or_insert_with(|| "xterm-256color".into());
            return Self::on_terminal(exec, env, cwd, size).map_err(cannot);
        }
        let mut child = std::process::Command::new(program)
            .args(&exec.command[1..])
            .env_clear()
            .envs(&env)
            .current_dir(&cwd)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(cannot)?;
        let stream = |fd: OwnedFd| {
            rustix::io::ioctl_fionbio(&fd, true).map_err(|e| cannot(e.into()))?;
            Ok::<_, String>(Some(Arc::new(fd)))
        };
        let input = stream(child.stdin.take().expect("piped").into())?;
        let output = stream(child.stdout.take().expect("piped").into())?;
        let errors = stream(child.stderr.take().expect("piped").into())?;
        let ends = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
            .map_err(|e| cannot(e.into()))?;
        let command = Command {
            channel: exec.channel,
            errors: Some(exec.errors),
            process: Process::Plain { child, ends },
            status: None,
        };
        let channels = vec![
            (exec.channel, Channel::of(output, input)),
            (exec.errors, Channel::of(errors, None)),
        ];
        Ok((command, channels))
    }

    fn on_terminal(
        exec: &Exec,
        env: std::collections::BTreeMap<String, String>,
        cwd: std::path::PathBuf,
        size: Size,
    ) -> std::io::Result<(Self, Vec<(u32, Channel)>)> {
        let pty = Pty::spawn(&Spec {
            id: String::new(),
            name: String::new(),
            machine: String::new(),
            command: exec.command.clone(),
            cwd,
            env,
            size: size.clamped(),
            restart: stead_wire::session::Restart::Never,
            linger: stead_wire::session::Linger::None,
            agent: None,
            created: 0,
            asked: Vec::new(),
        })?;
        let master = Arc::new(pty.master().try_clone_to_owned()?);
        let channel = Channel::of(Some(master.clone()), Some(master));
        let process = Process::Terminal(pty);
        let command = Command { channel: exec.channel, errors: None, process, status: None };
        Ok((command, vec![(exec.channel, channel)]))
    }

    /// The channel of its standard input and output.
    pub fn channel(&self) -> u32 {
        self.channel
    }

    /// The channel of its standard error.
    pub fn errors(&self) -> Option<u32> {
        self.errors
    }

    /// A descriptor that becomes readable when it ends.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.process {
            Process::Plain { ends, .. } => ends.as_fd(),
            Process::Terminal(pty) => pty.child(),
        }
    }

    /// Sees whether it has ended.
    pub fn look(&mut self) {
        if self.status.is_some() {
            return;
        }
        self.status = match &mut self.process {
            Process::Plain { child, .. } => match child.try_wait() {
                Ok(Some(status)) => Some((status.code(), status.signal())),
                Ok(None) => None,
                Err(_) => Some((None, None)),
            },
            Process::Terminal(pty) => pty.ended(),
        };
    }

    /// How it ended, once it has.
    pub fn status(&self) -> Option<(Option<i32>, Option<i32>)> {
        self.status
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.status.is_some()
    }

    /// Changes the size of its terminal.
    pub fn resize(&self, size: Size) {
        if let Process::Terminal(pty) = &self.process {
            let _ = pty.resize(size.clamped());
        }
    }

    /// Nobody is there any more who wants it.
    pub fn hang_up(&self) {
        if self.is_over() {
            return;
        }
        match &self.process {
            Process::Plain { child, .. } => {
                let group = Pid::from_child(child);
                let _ = kill_process_group(group, Signal::HUP);
                let _ = kill_process_group(group, Signal::CONT);
            }
            Process::Terminal(pty) => pty.signal_all(libc::SIGHUP),
        }
    }
}
