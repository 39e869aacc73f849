//! Limits on the real hierarchies of this host, and on made-up ones of other layouts.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use stead_box::cgroup::{self, CgroupError, Group, Hierarchies};
use stead_box::spec::Limits;

const MIB: u64 = 1 << 20;

/// Removes the group also when the test fails.
struct Removed(Group);

impl Drop for Removed {
    fn drop(&mut self) {
        if let Err(error) = self.0.remove() {
            eprintln!("left behind: {error}");
        }
    }
}

/// A group on this host, or nothing when this user may make none.
fn group(name: &str, limits: Limits) -> Option<Removed> {
    let may = Group::make(&format!("test-{}-{name}-may", std::process::id()), &Limits::default())
        .unwrap();
    may.remove().unwrap();
    if may.folders().is_empty() {
        eprintln!("SKIPPED: {:?}", may.notes());
        return None;
    }
    Some(Removed(Group::make(&format!("test-{}-{name}", std::process::id()), &limits).unwrap()))
}

/// A shell in the group, which runs `script` when it gets a line.
fn inside(group: &Group, script: &str) -> Child {
    let script = format!("read line; {script}");
    let child = Command::new("bash")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for folder in group.folders() {
        fs::write(folder.join("cgroup.procs"), child.id().to_string()).unwrap();
    }
    cgroup::verify(child.id().cast_signed(), group).unwrap();
    child
}

fn go(child: &mut Child) -> ExitStatus {
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    child.wait().unwrap()
}

fn field(group: &Group, file: &str, word: &str) -> Option<u64> {
    group.folders().iter().find_map(|folder| {
        let text = fs::read_to_string(folder.join(file)).ok()?;
        text.lines().find_map(|line| line.strip_prefix(word)?.trim().parse().ok())
    })
}

#[test]
fn a_memory_bomb_is_ended() {
    let limits = Limits { memory: Some(64 * MIB), ..Limits::default() };
    let Some(group) = group("memory", limits) else { return };
    // `tail` keeps the last line, and this one never ends.
    let status = go(&mut inside(&group.0, "exec tail -n 1 /dev/zero"));
    assert_eq!(status.signal(), Some(9), "{status}");
    let usage = cgroup::usage(group.0.folders());
    assert!(usage.oom_kills.unwrap() >= 1, "{usage:?}");
    assert!(usage.memory.unwrap() <= 64 * MIB, "{usage:?}");
}

#[test]
fn a_fork_bomb_stays_small_and_is_ended() {
    let limits = Limits { processes: Some(20), memory: Some(256 * MIB), ..Limits::default() };
    let Some(group) = group("processes", limits) else { return };
    // Children that refuse to die of anything mild.
    let bomb = "trap '' TERM INT HUP; for i in $(seq 40); do sleep 1000 & done; echo full; wait";
    let mut child = inside(
        &group.0,
        &format!("exec 2>/dev/null; bomb() {{ bomb | bomb & bomb; }}; (bomb) & {bomb}"),
    );
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    // Bash retries a refused fork and gives up; either way the limit was met.
    let folder =
        group.0.folders().iter().find(|folder| folder.join("pids.max").exists()).unwrap().clone();
    while field(&group.0, "pids.events", "max ").unwrap() == 0 {
        std::thread::yield_now();
    }
    let count: u64 =
        fs::read_to_string(folder.join("pids.current")).unwrap().trim().parse().unwrap();
    assert!(count <= 20, "{count} processes");
    group.0.remove().unwrap();
    assert!(group.0.folders().iter().all(|folder| !folder.exists()));
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    cgroup::remove(group.0.folders()).unwrap();
}

#[test]
fn a_share_of_the_processor_holds() {
    let limits = Limits { cpus: Some(100), ..Limits::default() };
    let Some(group) = group("cpus", limits) else { return };
    assert!(go(&mut inside(&group.0, "for ((i = 0; i < 100000; i++)); do :; done")).success());
    assert!(field(&group.0, "cpu.stat", "nr_throttled ").unwrap() >= 1);
    let used = cgroup::usage(group.0.folders()).cpu_usec.unwrap();
    assert!(used >= 20_000, "{used} microseconds counted");
}

#[test]
fn values_are_what_was_asked_for() {
    let limits = Limits { memory: Some(100 * MIB + 5), cpus: Some(5), processes: Some(9) };
    let Some(group) = group("values", limits) else { return };
    let any = |names: &[&str]| {
        let mut files =
            group.0.folders().iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
        files.find_map(|file| fs::read_to_string(file).ok()).map(|text| text.trim().to_owned())
    };
    assert_eq!(any(&["memory.max", "memory.limit_in_bytes"]).unwrap(), (100 * MIB).to_string());
    assert_eq!(any(&["pids.max"]).unwrap(), "9");
    let share = any(&["cpu.max"]).or_else(|| any(&["cpu.cfs_quota_us"]));
    assert!(share.unwrap().starts_with("5000"), "5 thousandths need a turn of a second");
}

#[test]
fn frozen_is_frozen_until_thawed() {
    let Some(group) = group("freeze", Limits::default()) else { return };
    let mut child = inside(&group.0, "exec cat");
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdin.write_all(b"go\none\n").unwrap();
    answers.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    cgroup::freeze(group.0.folders()).unwrap();
    stdin.write_all(b"two\n").unwrap();
    let mut ready = [rustix::event::PollFd::new(answers.get_ref(), rustix::event::PollFlags::IN)];
    let moment = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    assert_eq!(rustix::event::poll(&mut ready, Some(&moment)).unwrap(), 0, "it ran");
    cgroup::thaw(group.0.folders()).unwrap();
    line.clear();
    answers.read_line(&mut line).unwrap();
    assert_eq!(line, "two\n");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn frozen_processes_and_groups_inside_end_too() {
    let Some(group) = group("deep", Limits::default()) else { return };
    let mut child = inside(&group.0, "sleep 1000");
    for folder in group.0.folders() {
        fs::create_dir(folder.join("inner")).unwrap();
        // v2 refuses processes beside a group that is limited; this one is not.
        fs::write(folder.join("inner/cgroup.procs"), child.id().to_string()).unwrap();
    }
    cgroup::freeze(group.0.folders()).unwrap();
    group.0.remove().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(group.0.folders().iter().all(|folder| !folder.exists()));
}

#[test]
fn a_process_outside_is_reported() {
    let Some(group) = group("outside", Limits::default()) else { return };
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let found = cgroup::verify(child.id().cast_signed(), &group.0);
    assert!(matches!(found, Err(CgroupError::Outside { .. })), "{found:?}");
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// Not a test of its own: what other tests run in a process of its own.
#[test]
fn child() {
    let Ok(job) = std::env::var("STEAD_TEST_JOB") else { return };
    match job.split_once(' ') {
        Some(("join", folders)) => {
            let folders: Vec<PathBuf> = folders.split(' ').map(PathBuf::from).collect();
            cgroup::join(&folders).unwrap();
            for task in fs::read_dir("/proc/self/task").unwrap() {
                println!(
                    "<{}>",
                    fs::read_to_string(task.unwrap().path().join("cgroup"))
                        .unwrap()
                        .replace('\n', " ")
                );
            }
        }
        Some(("make", memory)) => {
            let memory = memory.parse().ok();
            match Group::make("test-user", &Limits { memory, ..Limits::default() }) {
                Ok(group) => {
                    println!("<folders {} notes {:?}>", group.folders().len(), group.notes());
                }
                Err(error) => println!("<error {error}>"),
            }
        }
        _ => panic!("{job}"),
    }
}

fn run_child(command: &mut Command, job: String) -> String {
    command.args(["--exact", "child", "--nocapture"]).env("STEAD_TEST_JOB", job);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn joining_moves_all_threads() {
    let Some(group) = group("join", Limits::default()) else { return };
    let folders: Vec<&str> =
        group.0.folders().iter().map(|folder| folder.to_str().unwrap()).collect();
    let job = format!("join {}", folders.join(" "));
    let output = run_child(&mut Command::new(std::env::current_exe().unwrap()), job);
    let threads: Vec<&str> = output.lines().filter(|line| line.starts_with('<')).collect();
    assert!(threads.len() >= 2, "the test harness runs a test in a thread: {output}");
    let name = format!("/stead/test-{}-join ", std::process::id());
    for thread in threads {
        assert_eq!(thread.matches(&name).count(), folders.len(), "{thread}");
    }
}

#[test]
fn an_ordinary_user_without_delegation_is_told_what_to_do() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: needs root to become an ordinary user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let user = |job: &str| {
        run_child(Command::new(&program).uid(65534).gid(65534).current_dir("/"), job.to_owned())
    };
    let free = user("make none");
    assert!(free.contains("<folders 0 notes") && free.contains("no limits"), "{free}");
    let limited = user("make 1000000");
    assert!(
        limited.contains("<error a limit of memory") && limited.contains("Delegate=yes"),
        "{limited}"
    );
}

#[test]
fn limits_run_into_on_this_host_hold() {
    if group("probe", Limits::default()).is_none() {
        return;
    }
    let probe = cgroup::probe();
    let all = Limits { memory: Some(1), cpus: Some(1), processes: Some(1) };
    probe.covers(&all).unwrap();
    let text = serde_json::to_string(&probe).unwrap();
    assert_eq!(serde_json::from_str::<cgroup::Probe>(&text).unwrap(), probe);
    let prefix = format!("probe-{}-", std::process::id());
    assert!(cgroup::leftovers(&prefix).is_empty());
}

#[test]
fn a_group_without_processes_is_a_leftover() {
    let Some(group) = group("left", Limits::default()) else { return };
    let prefix = format!("test-{}-left", std::process::id());
    assert_eq!(cgroup::leftovers(&prefix).len(), group.0.folders().len());
    let mut child = inside(&group.0, "true");
    assert!(cgroup::leftovers(&prefix).is_empty());
    go(&mut child);
}

/// A made-up hierarchy with the files that the kernel would make.
struct Fake(tempfile::TempDir);

impl Fake {
    fn new(files: &[(&str, &str)]) -> Self {
        let fake = Self(tempfile::tempdir().unwrap());
        for (path, content) in files {
            let path = fake.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        fake
    }

    fn v2() -> Self {
        let mut files =
            vec![("cgroup.controllers", "cpu memory pids\n"), ("cgroup.subtree_control", "")];
        files.extend([
            ("stead/cgroup.controllers", "cpu memory pids\n"),
            ("stead/cgroup.subtree_control", ""),
        ]);
        files.extend([
            ("stead/x/cgroup.controllers", "cpu memory pids\n"),
            ("stead/x/cgroup.procs", ""),
        ]);
        files.extend([("stead/x/memory.max", "max\n"), ("stead/x/memory.swap.max", "max\n")]);
        files.extend([("stead/x/cpu.max", "max 100000\n"), ("stead/x/pids.max", "max\n")]);
        Self::new(&files)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn make(&self, limits: &Limits) -> cgroup::Result<Group> {
        Group::make_in(&Hierarchies::at(self.0.path()), "x", limits)
    }
}

const ALL: Limits = Limits { memory: Some(8 << 20), cpus: Some(1500), processes: Some(10) };

#[test]
fn a_host_with_v2_only() {
    let fake = Fake::v2();
    let group = fake.make(&ALL).unwrap();
    assert_eq!(group.folders(), [fake.path("stead/x")]);
    assert_eq!(group.notes(), [""; 0]);
    let got = ["memory.max", "memory.swap.max", "cpu.max", "pids.max"]
        .map(|file| fake.text(&format!("stead/x/{file}")));
    assert_eq!(got, ["8388608", "0", "150000 100000", "10"]);
    assert!(fake.text("cgroup.subtree_control").starts_with('+'), "controllers are handed down");
    assert!(fake.text("stead/cgroup.subtree_control").starts_with('+'));
}

#[test]
fn a_host_with_v1_only() {
    let fake = Fake::new(&[
        ("memory/stead/x/memory.limit_in_bytes", "9223372036854771712\n"),
        ("cpu,cpuacct/stead/x/cpu.cfs_quota_us", "-1\n"),
        ("cpu,cpuacct/stead/x/cpu.cfs_period_us", "100000\n"),
        ("pids/stead/x/pids.max", "max\n"),
        ("systemd/stead/x/tasks", ""),
    ]);
    symlink("cpu,cpuacct", fake.path("cpu")).unwrap();
    let group = fake.make(&ALL).unwrap();
    assert_eq!(group.folders().len(), 3, "{:?}", group.folders());
    assert_eq!(fake.text("memory/stead/x/memory.limit_in_bytes"), "8388608");
    assert_eq!(fake.text("cpu/stead/x/cpu.cfs_quota_us"), "150000");
    assert!(group.notes()[0].contains("swap"), "{:?}", group.notes());
}

#[test]
fn a_value_that_does_not_read_back_is_an_error() {
    for (file, limits) in [
        ("memory.max", Limits { memory: ALL.memory, ..Limits::default() }),
        ("memory.swap.max", Limits { memory: ALL.memory, ..Limits::default() }),
        ("cpu.max", Limits { cpus: ALL.cpus, ..Limits::default() }),
        ("pids.max", Limits { processes: ALL.processes, ..Limits::default() }),
    ] {
        let fake = Fake::v2();
        let path = fake.path("stead/x").join(file);
        fs::remove_file(&path).unwrap();
        symlink("/dev/null", &path).unwrap();
        let error = fake.make(&limits).unwrap_err();
        assert!(matches!(&error, CgroupError::Differs { path: p, .. } if *p == path), "{error}");
        assert!(error.to_string().contains("does not hold"), "{error}");
        fake.make(&Limits::default()).unwrap();
    }
}

#[test]
fn a_limit_without_its_controller_is_an_error() {
    let fake = Fake::v2();
    fs::write(fake.path("stead/x/cgroup.controllers"), "cpu memory\n").unwrap();
    let error = fake.make(&ALL).unwrap_err().to_string();
    assert!(error.contains("a limit of processes") && error.contains("subtree_control"), "{error}");
    let nothing = Fake::new(&[("unrelated/file", "")]);
    let error = nothing.make(&ALL).unwrap_err().to_string();
    assert!(error.contains("no cgroups") && error.contains("mount cgroup2"), "{error}");
    let group = nothing.make(&Limits::default()).unwrap();
    assert!(group.folders().is_empty());
    assert!(group.notes()[0].contains("there are no limits"), "{:?}", group.notes());
}

#[test]
fn limits_of_nothing_and_names_that_climb_are_refused() {
    let fake = Fake::v2();
    for limits in [
        Limits { memory: Some(100), ..Limits::default() },
        Limits { cpus: Some(0), ..Limits::default() },
        Limits { processes: Some(0), ..Limits::default() },
    ] {
        assert!(matches!(fake.make(&limits), Err(CgroupError::Cannot { .. })));
    }
    for name in ["", ".", "..", "a/b", ".hidden", "a b"] {
        let made = Group::make_in(&Hierarchies::at(fake.0.path()), name, &ALL);
        assert!(matches!(made, Err(CgroupError::Name(_))), "{name}");
    }
    let elsewhere = [Path::new("/sys/fs/cgroup/memory").to_owned()];
    assert!(matches!(cgroup::remove(&elsewhere), Err(CgroupError::NotOurs(_))));
}
