//! Podman, in network and mount namespaces of its own, so that nothing of it is seen outside.

use super::ground::{CPUS, MEMORY, PROCESSES};
use crate::error::{Context, Error, Result};
use crate::peers::{ask, run};
use crate::stage::{Stage, which};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const SETTINGS: &str = "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=16000:16000\"]\n\
                        [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";

/// Podman with an image in which there is a busybox.
pub struct Podman<'a> {
    stage: &'a Stage,
    /// Holds the namespaces.
    keeper: Child,
}

impl<'a> Podman<'a> {
    /// Prepares it.
    ///
    /// # Errors
    /// If it is not installed or does not work here.
    pub fn new(stage: &'a Stage) -> Result<Self> {
        for program in ["podman", "runc", "nsenter", "busybox"] {
            which(program).ok_or_else(|| {
                Error::new(format!("{program} is not installed: run bench/install-peers.sh"))
            })?;
        }
        std::fs::write(stage.path("containers.conf"), SETTINGS)?;
        let mut keeper = stage.command("unshare");
        keeper.args(["--net", "--mount", "--propagation", "private", "sleep", "1000000"]);
        let keeper = keeper.spawn().context("cannot make namespaces")?;
        let own = std::fs::read_link("/proc/self/ns/mnt")?;
        let path = PathBuf::from(format!("/proc/{}/ns/mnt", keeper.id()));
        while std::fs::read_link(&path)? == own {
            std::thread::yield_now();
        }
        let podman = Podman { stage, keeper };
        podman.import()?;
        Ok(podman)
    }

    fn import(&self) -> Result<()> {
        let root = self.stage.path("image");
        std::fs::create_dir_all(root.join("bin"))?;
        let busybox = which("busybox").ok_or_else(|| Error::new("there is no busybox"))?;
        std::fs::copy(busybox, root.join("bin/busybox"))?;
        for name in ["sh", "true", "sleep", "ip"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(name))?;
        }
        let tar = self.stage.path("image.tar");
        let mut pack = self.stage.command("tar");
        pack.arg("-C").arg(root).arg("-cf").arg(&tar).arg(".");
        run(pack)?;
        let mut import = self.command();
        import.arg("import").arg(tar).arg("bench:1");
        ask(import)?;
        let mut probe = self.one_go();
        probe.args(["ip", "-o", "-4", "addr"]);
        let addresses = ask(probe)?;
        if addresses.contains("eth0") {
            Ok(())
        } else {
            Err(Error::new(format!("it gives a container no network: {addresses}")))
        }
    }

    fn command(&self) -> Command {
        let mut command = self.stage.command("nsenter");
        command.arg("-t").arg(self.keeper.id().to_string()).args(["-n", "-m", "podman"]);
        for (flag, name) in
            [("--root", "store"), ("--runroot", "podman"), ("--network-config-dir", "networks")]
        {
            command.arg(flag).arg(self.stage.path(name));
        }
        command.args(["--runtime", "runc"]);
        command.env("CONTAINERS_CONF", self.stage.path("containers.conf"));
        command
    }

    fn limited(&self, rest: &[&str]) -> Command {
        let mut command = self.command();
        command.args(["run", "--network", "bridge", "--memory", &MEMORY.to_string()]);
        command.args([
            "--cpus",
            &(CPUS / 1000).to_string(),
            "--pids-limit",
            &PROCESSES.to_string(),
        ]);
        command.args(rest);
        command
    }

    /// The command that starts a container which rests.
    pub fn start(&self, name: &str) -> Command {
        self.limited(&["-d", "--name", name, "bench:1", "sleep", "1000000"])
    }

    /// The command that makes a container, runs what follows in it, and removes it.
    pub fn one_go(&self) -> Command {
        self.limited(&["--rm", "bench:1"])
    }

    /// A command in one that runs.
    pub fn exec(&self, name: &str, words: &[&str]) -> Command {
        let mut command = self.command();
        command.arg("exec").arg(name).args(words);
        command
    }

    /// Removes containers.
    ///
    /// # Errors
    /// If one stays.
    pub fn remove(&self, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let mut command = self.command();
        command.args(["rm", "--force", "--time", "0"]).args(names);
        command.stdout(Stdio::null());
        run(command)
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        let mut all = self.command();
        all.args(["rm", "--all", "--force", "--time", "0"]);
        if let Err(e) = run(all) {
            eprintln!("  {e}");
        }
        // Its namespaces, with every mount and interface in them, go with it.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
