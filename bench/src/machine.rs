//! What a reader must know of the machine to judge the numbers.

use crate::error::Result;
use serde::Serialize;
use std::fs;
use std::process::Command;

/// The machine and the moment.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Year, month, day and time, UTC.
    pub date: String,
    /// Processors that this program may use.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// Memory in MB.
    pub memory_mb: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The distribution.
    pub system: String,
    /// Load average over one minute, at the start.
    pub load_before: String,
    /// Load average over one minute, at the end.
    pub load_after: String,
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn field(path: &str, key: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.trim_start_matches([' ', '\t', ':', '=']).trim_matches('"').to_owned()
}

impl Machine {
    /// Looks at the machine.
    ///
    /// # Errors
    /// If there is no `date`.
    pub fn look() -> Result<Self> {
        let date = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output()?;
        let kib: u64 =
            field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
        Ok(Machine {
            date: String::from_utf8_lossy(&date.stdout).trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            processor: field("/proc/cpuinfo", "model name"),
            memory_mb: kib / 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            system: field("/etc/os-release", "PRETTY_NAME"),
            load_before: load(),
            load_after: String::new(),
        })
    }

    /// Looks again at the end.
    pub fn at_end(&mut self) {
        self.load_after = load();
    }
}
