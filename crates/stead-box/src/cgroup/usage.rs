//! What a sandbox uses.

use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// What a sandbox uses now; `None` is not counted here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Bytes of memory, file cache included.
    pub memory: Option<u64>,
    /// Microseconds of processor time since it was started.
    pub cpu_usec: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Processes that the kernel ended because the limit of memory was reached.
    pub oom_kills: Option<u64>,
}

/// What the processes in these folders use.
pub fn usage(folders: &[PathBuf]) -> Usage {
    let any = |look: &dyn Fn(&Path) -> Option<u64>| folders.iter().find_map(|folder| look(folder));
    Usage {
        memory: any(&|f| {
            number(f, "memory.current").or_else(|| number(f, "memory.usage_in_bytes"))
        }),
        cpu_usec: any(&|f| {
            field(f, "cpu.stat", "usage_usec")
                .or_else(|| number(f, "cpuacct.usage").map(|nanos| nanos / 1000))
        }),
        processes: any(&|f| number(f, "pids.current")),
        oom_kills: any(&|f| {
            field(f, "memory.events", "oom_kill")
                .or_else(|| field(f, "memory.oom_control", "oom_kill"))
        }),
    }
}

fn number(folder: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

/// The number after a word in a file of `word number` lines.
pub(super) fn field(folder: &Path, file: &str, word: &str) -> Option<u64> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok())
}
