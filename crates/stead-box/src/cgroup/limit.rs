//! Sets limits in the groups of a sandbox, and reads each one back.

use super::hierarchy::{Hierarchy, Place};
use super::{CgroupError, Result, read, why_not, write};
use crate::spec::Limits;
use std::path::Path;

/// How long a turn of the processor's scheduler is, in microseconds.
const PERIOD: u64 = 100_000;
/// The longest turn that the kernel takes, for shares below its least quota of 1 ms.
const LONG_PERIOD: u64 = 1_000_000;

/// Sets what was asked for. Returns what does not hold although nobody asked for it.
pub(super) fn set(
    places: &[Place],
    refusals: &[(&Hierarchy, CgroupError)],
    limits: &Limits,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    if let Some(bytes) = limits.memory {
        let place = place(places, refusals, "memory", "memory")?;
        memory(place, bytes, &mut notes)?;
    }
    if let Some(thousandths) = limits.cpus {
        cpus(place(places, refusals, "cpu", "processors")?, thousandths)?;
    }
    if let Some(count) = limits.processes {
        if count == 0 {
            return Err(too_small("processes"));
        }
        exactly(
            &place(places, refusals, "pids", "processes")?.folder.join("pids.max"),
            &count.to_string(),
        )?;
    }
    Ok(notes)
}

fn place<'a>(
    places: &'a [Place],
    refusals: &[(&Hierarchy, CgroupError)],
    controller: &str,
    limit: &'static str,
) -> Result<&'a Place> {
    if let Some(place) =
        places.iter().find(|place| place.controllers.iter().any(|word| word == controller))
    {
        return Ok(place);
    }
    let refused = refusals.iter().find(|(hierarchy, _)| hierarchy.offers(controller));
    let (why, todo) = if let Some((_, error)) = refused {
        (
            error.to_string(),
            "run as root, or as a systemd service with `Delegate=yes` (`systemd-run --user --scope -p Delegate=yes …`)",
        )
    } else if places.iter().any(|place| place.v2) || !refusals.is_empty() {
        (
            format!("the controller `{controller}` is not handed down to our cgroup"),
            "enable it in the `cgroup.subtree_control` above (systemd: `Delegate=memory pids cpu`)",
        )
    } else {
        (why_not(refusals), "mount cgroup2 on /sys/fs/cgroup")
    };
    Err(CgroupError::Cannot { limit, why, todo })
}

fn too_small(limit: &'static str) -> CgroupError {
    CgroupError::Cannot {
        limit,
        why: "it is so small that nothing could run".into(),
        todo: "ask for more",
    }
}

fn memory(place: &Place, bytes: u64, notes: &mut Vec<String>) -> Result<()> {
    let page = rustix::param::page_size() as u64;
    // The kernel counts whole pages.
    let bytes = bytes / page * page;
    if bytes == 0 {
        return Err(too_small("memory"));
    }
    let value = bytes.to_string();
    let (limit, swap, swap_value) = if place.v2 {
        // v2 has no sum of both, so there is no swap at all rather than more than was asked for.
        ("memory.max", "memory.swap.max", "0")
    } else {
        ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", value.as_str())
    };
    exactly(&place.folder.join(limit), &value)?;
    let swap = place.folder.join(swap);
    if swap.exists() {
        exactly(&swap, swap_value)?;
    } else {
        notes.push("the limit of memory does not count swap: the kernel has no swap accounting (`swapaccount=1`)".into());
    }
    Ok(())
}

fn cpus(place: &Place, thousandths: u32) -> Result<()> {
    if thousandths == 0 {
        return Err(too_small("processors"));
    }
    let share = |period: u64| u64::from(thousandths) * period / 1000;
    let period = if share(PERIOD) < 1000 { LONG_PERIOD } else { PERIOD };
    let (quota, period) = (share(period).to_string(), period.to_string());
    if place.v2 {
        exactly(&place.folder.join("cpu.max"), &format!("{quota} {period}"))
    } else {
        exactly(&place.folder.join("cpu.cfs_period_us"), &period)?;
        exactly(&place.folder.join("cpu.cfs_quota_us"), &quota)
    }
}

/// Writes a value and compares what is read back.
fn exactly(path: &Path, asked: &str) -> Result<()> {
    write(path, asked)?;
    let found = read(path)?;
    if found.trim() == asked {
        return Ok(());
    }
    Err(CgroupError::Differs {
        path: path.to_owned(),
        asked: asked.to_owned(),
        found: found.trim().to_owned(),
    })
}
