//! What Stead is meant to reach, and whether it did.

use crate::results::Results;

/// What a measured value must be.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// What is compared with the bound.
#[derive(Clone, Copy)]
enum Value {
    /// Stead's own figure.
    Own(&'static str),
    /// Stead's figure divided by that of another program.
    Ratio(&'static str, &'static str),
}

/// One target.
pub struct Target {
    what: &'static str,
    who: &'static str,
    metric: &'static str,
    value: Value,
    bound: Bound,
}

const fn target(what: &'static str, metric: &'static str, value: Value, bound: Bound) -> Target {
    Target { what, who: "stead", metric, value, bound }
}

impl Target {
    /// The same, of another row than Stead's.
    const fn of(self, who: &'static str) -> Self {
        Target { who, ..self }
    }
}

use Bound::{AtLeast, AtMost};
use Value::{Own, Ratio};

/// All of them.
pub const ALL: [Target; 15] = [
    target("attach, of tmux's time", "attach", Ratio("p50 ms", "tmux"), AtMost(0.6)),
    target("key echo, of tmux's time", "echo", Ratio("p50 ms", "tmux"), AtMost(1.0)),
    target("key echo, of a bare terminal's time", "echo", Ratio("p50 ms", "bare"), AtMost(2.0)),
    target("drain attached, of tmux's rate", "drain", Ratio("attached MB/s", "tmux"), AtLeast(5.0)),
    target(
        "drain attached, of a bare terminal's rate",
        "drain",
        Ratio("attached MB/s", "bare"),
        AtLeast(0.7),
    ),
    target("drain coloured, of tmux's rate", "drain", Ratio("coloured MB/s", "tmux"), AtLeast(5.0)),
    target(
        "drain coloured, of a bare terminal's rate",
        "drain",
        Ratio("coloured MB/s", "bare"),
        AtLeast(0.7),
    ),
    target("create, of tmux's time", "create", Ratio("p50 ms", "tmux"), AtMost(1.0)),
    target("an idle session, MB", "memory", Own("per session MB"), AtMost(1.0)),
    target(
        "the hold of a session that printed 1 GB, MB",
        "history",
        Own("of it the session's process MB"),
        AtMost(4.0),
    ),
    target(
        "attach with 1 GB of history, of an empty one",
        "history",
        Own("full / empty"),
        AtMost(1.2),
    ),
    target("search, MB/s", "history", Own("search MB/s"), AtLeast(500.0)),
    target("1,000 idle sessions, % of a core", "crowd", Own("cpu % of a core"), AtMost(0.2)),
    target("1,000 sessions listed, ms", "crowd", Own("list p50 ms"), AtMost(50.0)),
    target("1,000 sessions, all listed", "crowd", Own("listed"), AtLeast(1000.0)),
];

/// Of declared systems.
pub const SYSTEMS: [Target; 3] = [
    target("100 machines rendered, ms", "systems", Own("render of 100 p50 ms"), AtMost(1000.0)),
    target("a switch with nothing to change, ms", "systems", Own("switch p50 ms"), AtMost(2000.0)),
    target("an audit, ms", "systems", Own("audit p50 ms"), AtMost(3000.0)),
];

/// Those of machines.
pub const MACHINES: [Target; 14] = [
    target(
        "create and run true, by the steward, of bwrap's time",
        "machine-create",
        Ratio("p50 ms", "bwrap"),
        AtMost(2.0),
    ),
    target(
        "create and run true, without it, of bwrap's time",
        "machine-create",
        Ratio("p50 ms", "bwrap"),
        AtMost(2.0),
    )
    .of("stead-box"),
    target(
        "create and run true, by the steward, of podman's time",
        "machine-create",
        Ratio("p50 ms", "podman"),
        AtMost(0.1),
    ),
    target(
        "run true in one that runs, of nsenter's time",
        "machine-exec",
        Ratio("p50 ms", "nsenter"),
        AtMost(1.0),
    ),
    target(
        "a sandbox beyond its programs, MB",
        "machine-memory",
        Own("per sandbox MB"),
        AtMost(1.0),
    ),
    target(
        "snapshot, stopped: 10,000 files, of 10 files' time",
        "machine-snapshot",
        Own("snapshot 10,000 ÷ 10"),
        AtMost(1.5),
    ),
    target(
        "clone, stopped: 10,000 files, of 10 files' time",
        "machine-snapshot",
        Own("clone 10,000 ÷ 10"),
        AtMost(1.5),
    ),
    target(
        "the same on btrfs: snapshot",
        "machine-snapshot",
        Own("snapshot 10,000 ÷ 10"),
        AtMost(1.5),
    )
    .of("stead on btrfs"),
    target("the same on btrfs: clone", "machine-snapshot", Own("clone 10,000 ÷ 10"), AtMost(1.5))
        .of("stead on btrfs"),
    target(
        "the same on xfs: snapshot",
        "machine-snapshot",
        Own("snapshot 10,000 ÷ 10"),
        AtMost(1.5),
    )
    .of("stead on xfs"),
    target("the same on xfs: clone", "machine-snapshot", Own("clone 10,000 ÷ 10"), AtMost(1.5))
        .of("stead on xfs"),
    target("a plan of 1,000 machines, ms", "machine-many", Own("plan, nothing ms"), AtMost(100.0)),
    target(
        "a plan that changes 1,000 machines, ms",
        "machine-many",
        Own("plan, all change ms"),
        AtMost(100.0),
    ),
    target("1,000 machines listed, ms", "machine-many", Own("ls ms"), AtMost(100.0)),
];

/// Those of virtual machines.
pub const VMS: [Target; 12] = [
    target(
        "a light guest from start to a command, of the floor's time",
        "vm-boot",
        Ratio("p50 ms", "floor"),
        AtMost(1.3),
    ),
    target(
        "a full guest from start to a command, of the untuned boot's time",
        "vm-full",
        Ratio("p50 ms", "untuned"),
        AtMost(0.5),
    ),
    target(
        "warm start of a light guest, of its boot",
        "vm-warm",
        Own("light, warm ÷ booted"),
        AtMost(0.5),
    ),
    target(
        "warm start of a full guest, of its boot",
        "vm-warm",
        Own("full, warm ÷ booted"),
        AtMost(0.2),
    ),
    target(
        "memory of an idle light guest, of the floor's",
        "vm-memory",
        Ratio("all MB", "floor"),
        AtMost(1.15),
    ),
    target("a command by the line, ms", "vm-exec", Own("p50 ms"), AtMost(15.0)).of("stead-vm"),
    target("a command by the steward, ms", "vm-exec", Own("p50 ms"), AtMost(30.0)),
    target(
        "writing to a share, of bare virtiofsd",
        "vm-share",
        Ratio("write MB/s", "bare"),
        AtLeast(0.9),
    ),
    target(
        "reading from a share, of bare virtiofsd",
        "vm-share",
        Ratio("read MB/s", "bare"),
        AtLeast(0.9),
    ),
    target(
        "snapshot, running: large, of a small one",
        "vm-states",
        Own("live, large ÷ 1 MB"),
        AtMost(1.5),
    ),
    target(
        "snapshot, stopped: large, of a small one",
        "vm-states",
        Own("snapshot, large ÷ 1 MB"),
        AtMost(1.5),
    ),
    target("clone: large, of a small one", "vm-states", Own("clone, large ÷ 1 MB"), AtMost(1.5)),
];

/// A target beside what was measured.
#[derive(serde::Serialize)]
pub struct Verdict {
    /// In words.
    pub what: &'static str,
    /// The bound, as it is printed.
    pub bound: String,
    /// What was measured.
    pub measured: f64,
    /// True if the target was met.
    pub met: bool,
}

impl Target {
    /// The verdict, if what it needs was measured.
    pub fn verdict(&self, results: &Results) -> Option<Verdict> {
        let measured = match self.value {
            Own(name) => results.get(self.metric, self.who, name)?,
            Ratio(name, peer) => {
                results.get(self.metric, self.who, name)? / results.get(self.metric, peer, name)?
            }
        };
        let (bound, met) = match self.bound {
            AtMost(bound) => (format!("≤ {bound}"), measured <= bound),
            AtLeast(bound) => (format!("≥ {bound}"), measured >= bound),
        };
        Some(Verdict { what: self.what, bound, measured, met })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_judged_against_its_bound() {
        let mut results = Results::default();
        let echo = || ALL.iter().find(|t| t.what.starts_with("key echo, of tmux")).unwrap();
        assert!(echo().verdict(&results).is_none());
        results.figure("echo", "tmux", "p50 ms", 2.0);
        results.figure("echo", "stead", "p50 ms", 2.5);
        let verdict = echo().verdict(&results).unwrap();
        assert!(!verdict.met && (verdict.measured - 1.25).abs() < 1e-9);
        let mut results = Results::default();
        results.figure("echo", "tmux", "p50 ms", 2.0);
        results.figure("echo", "stead", "p50 ms", 2.0);
        assert!(echo().verdict(&results).unwrap().met);
    }
}
