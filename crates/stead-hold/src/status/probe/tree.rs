//! Which processes stand in the foreground.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

/// Most processes of one session that a look goes through.
const MOST: usize = 256;

/// The processes of the group among the session's first process and all below it. A terminal's foreground
/// group may have no leader left (`true | less`), and `/proc` has no index by group: walking down from the first
/// process finds them without listing every process of the machine.
pub(super) fn members(proc: &Path, first: i32, group: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut queue = VecDeque::from([first]);
    let mut seen = 0;
    while let Some(pid) = queue.pop_front() {
        seen += 1;
        if seen > MOST {
            break;
        }
        if group_of(proc, pid) == Some(group) {
            found.push(pid);
        }
        queue.extend(children(proc, pid));
    }
    // A process that was orphaned is no longer below the first, but its leader bears the group's number.
    if found.is_empty() && group_of(proc, group) == Some(group) {
        found.push(group);
    }
    found
}

/// Whether a process has children.
pub(super) fn has_children(proc: &Path, pid: i32) -> bool {
    !children(proc, pid).is_empty()
}

fn children(proc: &Path, pid: i32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(proc.join(format!("{pid}/task"))) else { return Vec::new() };
    tasks
        .flatten()
        .take(MOST)
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|line| line.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The process group, field 5 of `/proc/PID/stat`.
fn group_of(proc: &Path, pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(proc.join(format!("{pid}/stat"))).ok()?;
    // The name in parentheses may contain anything, so fields are counted from its end.
    let after = &stat[stat.rfind(')')? + 1..];
    after.split_whitespace().nth(2)?.parse().ok()
}

/// The program's name.
pub(super) fn name(proc: &Path, pid: i32) -> String {
    fs::read_to_string(proc.join(format!("{pid}/comm"))).map_or_else(
        |_| "?".into(),
        |name| name.trim_end().chars().filter(|c| !c.is_control()).collect(),
    )
}

/// Its arguments.
pub(super) fn arguments(proc: &Path, pid: i32) -> Vec<String> {
    let bytes = fs::read(proc.join(format!("{pid}/cmdline"))).unwrap_or_default();
    let mut arguments: Vec<String> =
        bytes.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect();
    // The list ends with a zero byte, which leaves one empty string behind.
    arguments.pop();
    arguments
}
