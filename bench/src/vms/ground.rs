//! A steward on a stage with images that outlive it, and virtual machines of it.

use crate::error::{Context, Error, Result};
use crate::machines::{self, Programs};
use crate::peers::run;
use crate::processes::find;
use crate::stage::Stage;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Memory of a light guest.
pub const MEMORY: u64 = 256 << 20;
/// Memory of a full one.
pub const FULL_MEMORY: u64 = 512 << 20;

/// A stage with a steward.
pub struct Ground<'a> {
    pub inner: machines::Ground<'a>,
}

impl<'a> Ground<'a> {
    /// Starts a steward.
    ///
    /// # Errors
    /// If it does not start.
    pub fn new(stage: &'a Stage, programs: &'a Programs) -> Result<Self> {
        let images = images();
        std::fs::create_dir_all(&images).context(images.display())?;
        let data = stage.path("data").join("stead");
        std::fs::create_dir_all(&data)?;
        std::os::unix::fs::symlink(&images, data.join("images"))?;
        Ok(Ground { inner: machines::Ground::new(stage, programs, None)? })
    }

    /// The stage.
    pub fn stage(&self) -> &'a Stage {
        self.inner.stage
    }

    /// A light machine that runs.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn light(&self, name: &str, qemu: &Value, more: &Value) -> Result<()> {
        self.make(name, "light", MEMORY, qemu, more)
    }

    /// A full machine that runs.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn full(&self, name: &str, qemu: &Value) -> Result<()> {
        self.make(name, "full", FULL_MEMORY, qemu, &json!({}))
    }

    fn make(&self, name: &str, guest: &str, memory: u64, qemu: &Value, more: &Value) -> Result<()> {
        let mut machine = json!({
            "engine": "qemu", "image": "debian/12", "memory": memory, "cpus": 1000, "qemu": { "guest": guest },
        });
        for (to, from) in [("/qemu", qemu), ("", more)] {
            let to = machine.pointer_mut(to).ok_or_else(|| Error::new("no such part"))?;
            for (key, value) in from.as_object().into_iter().flatten() {
                to[key] = value.clone();
            }
        }
        let mut machines = serde_json::Map::new();
        machines.insert(name.to_owned(), machine);
        let owner = self.stage().path("stead.toml");
        let declared = json!({ "declaration": { "machines": machines }, "owner": owner });
        self.inner.request(
            "POST",
            "/v1/machines",
            &json!({ "name": name, "declared": declared }),
        )?;
        Ok(())
    }

    /// Asks the steward to start or stop a machine, and waits until that is done.
    ///
    /// # Errors
    /// If it fails.
    pub fn tell(&self, name: &str, what: &str) -> Result<()> {
        self.inner.request("POST", &format!("/v1/machines/{name}/{what}"), &Value::Null)?;
        Ok(())
    }

    /// From the request to start it until a command in it has ended.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(&self, name: &str) -> Result<Duration> {
        let start = Instant::now();
        self.tell(name, "up")?;
        run(self.inner.stead(&["exec", name, "--", "true"]))?;
        Ok(start.elapsed())
    }

    /// The folder with the sockets of a machine's keeper.
    pub fn keeper(&self, name: &str) -> PathBuf {
        self.inner.run_folder(name).join("vm")
    }

    /// What a machine that runs said on its console.
    pub fn console(&self, name: &str) -> Result<String> {
        let about = self.inner.run_folder(name).join("vm.json");
        let bytes = std::fs::read(&about).context(about.display())?;
        let vm: Value = serde_json::from_slice(&bytes).context("vm.json")?;
        let log = vm["console_log"].as_str().unwrap_or_default();
        let bytes = std::fs::read(log).context(log)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Every process of a machine that runs: those in its sandbox, and the one that serves its network.
    ///
    /// # Errors
    /// If it does not run.
    pub fn processes(&self, name: &str) -> Result<Vec<u32>> {
        let running = self.inner.running(name)?;
        let space = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = space(running.init.cast_unsigned());
        let mut all = find(|pid| own.is_some() && space(pid) == own);
        all.extend(running.net.map(i32::cast_unsigned));
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// The command line of the QEMU of a machine that runs.
    ///
    /// # Errors
    /// If there is none.
    pub fn qemu(&self, name: &str) -> Result<Vec<String>> {
        let lines = self.processes(name)?.into_iter().filter_map(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).split_terminator('\0').map(str::to_owned).collect())
        });
        lines
            .into_iter()
            .find(|words: &Vec<String>| words.first().is_some_and(|w| w.contains("qemu-system")))
            .ok_or_else(|| Error::new(format!("{name} has no QEMU")))
    }
}

/// Where images are kept from run to run: minutes of work.
fn images() -> PathBuf {
    match std::env::var_os("STEAD_TEST_IMAGES").filter(|folder| !folder.is_empty()) {
        Some(folder) => folder.into(),
        None => crate::cache().join("images"),
    }
}
