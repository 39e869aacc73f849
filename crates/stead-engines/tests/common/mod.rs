//! What the tests of engine `sandbox` share: a place of their own, and counting what is left of it.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use stead_engines::sandbox::{Programs, Sandbox};
use stead_file::declared::Machine;
use stead_machine::engine::{Engine, Exec};
use stead_machine::model::Wanted;

/// Says where the programs are, for a test binary that was copied.
const PROGRAMS: &str = "STEAD_TEST_PROGRAMS";

/// Folders of one test's own, with numbers for its machines.
pub struct Place {
    pub dir: tempfile::TempDir,
    numbers: Mutex<BTreeMap<String, u32>>,
}

impl Place {
    pub fn new() -> Self {
        // Short: a unix socket's path must fit into 108 bytes.
        let dir = tempfile::Builder::new().prefix("so-").tempdir_in("/tmp").unwrap();
        Place { dir, numbers: Mutex::new(BTreeMap::new()) }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn run(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// The engine, as a program that is started now sees it.
    pub fn engine(&self) -> Sandbox {
        Sandbox::new(&self.data(), &self.run(), programs())
    }

    /// The engine, as a program sees it that has another runtime folder.
    pub fn engine_elsewhere(&self) -> Sandbox {
        Sandbox::new(&self.data(), &self.dir.path().join("other"), programs())
    }

    /// A machine of this name, always the same.
    pub fn wanted(&self, name: &str, declared: Machine) -> Wanted {
        let mut numbers = self.numbers.lock().unwrap();
        let next = u32::try_from(numbers.len()).unwrap() + 1;
        let number = *numbers.entry(name.into()).or_insert(next);
        Wanted {
            name: name.into(),
            id: format!("{:08x}{number:024x}", std::process::id()),
            number,
            address: [10, 90, 0, u8::try_from(number).unwrap_or(255)].into(),
            declared,
            network: None,
            state: name.into(),
            created: 0,
        }
    }

    /// What there is on this host of this place's machines, a line each.
    pub fn residue(&self) -> Vec<String> {
        let dir = self.dir.path().to_string_lossy().into_owned();
        let mut all = Vec::new();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        all.extend(mounts.lines().filter(|l| l.contains(&dir)).map(|l| format!("mount {l}")));
        all.extend(processes(&programs().sandbox).iter().map(|pid| format!("process {pid}")));
        let mine = format!("-{:08x}", std::process::id());
        all.extend(
            groups(Path::new("/sys/fs/cgroup"), 0).into_iter().filter(|g| g.ends_with(&mine)),
        );
        for entry in std::fs::read_dir("/sys/class/net").unwrap().flatten() {
            all.push(format!("interface {}", entry.file_name().display()));
        }
        for entry in std::fs::read_dir("/sys/block").into_iter().flatten().flatten() {
            let file = std::fs::read_to_string(entry.path().join("loop/backing_file"));
            all.extend(file.ok().filter(|f| f.contains(&dir)).map(|f| format!("loop {f}")));
        }
        for folder in ["data/machines", "data/layers", "data/disks", "run/machines", "data/claims"]
        {
            for entry in std::fs::read_dir(self.dir.path().join(folder)).into_iter().flatten() {
                let name = entry.unwrap().file_name();
                // The manager's, and the lock of all layers.
                let kept = ["machine.json", ".lock"].iter().any(|k| name == *k);
                let empty = std::fs::read_dir(self.dir.path().join(folder).join(&name))
                    .is_ok_and(|mut entries| entries.next().is_none());
                if !kept && (folder != "data/machines" || !empty) {
                    all.push(format!("{folder}/{}", name.display()));
                }
            }
        }
        all
    }
}

/// Where images are kept from run to run.
pub fn images() -> PathBuf {
    let cache = || {
        let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(std::env::home_dir()?.join(".cache")));
        home.expect("a home").join("stead-dev/images")
    };
    std::env::var_os("STEAD_TEST_IMAGES").map_or_else(cache, PathBuf::from)
}

/// The programs under test. The sandbox's is a copy of this test process's own, so that its processes can be told from
/// those of others.
pub fn programs() -> Programs {
    static COPY: OnceLock<tempfile::TempDir> = OnceLock::new();
    let copy = COPY.get_or_init(|| {
        let dir = tempfile::Builder::new().prefix("sp-").tempdir_in("/tmp").unwrap();
        for name in ["stead-box", "stead-hold", "stead-vm"] {
            copy(&built(name), &dir.path().join(name));
        }
        dir
    });
    Programs { sandbox: copy.path().join("stead-box"), hold: copy.path().join("stead-hold") }
}

/// Copies a program. Not in this process: a thread that starts another program meanwhile would hand it the open file, and
/// nobody could run it.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

fn built(name: &str) -> PathBuf {
    let folder = std::env::var_os(PROGRAMS).map_or_else(
        || {
            let exe = std::env::current_exe().unwrap();
            exe.parent().and_then(Path::parent).unwrap().to_owned()
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(path.exists(), "{name} is not built: run `cargo build --workspace` first");
    path
}

/// Processes that run this program, from whatever mount.
pub fn processes(program: &Path) -> Vec<i32> {
    use std::os::unix::fs::MetadataExt;
    let of = |path: &Path| path.metadata().map(|about| (about.dev(), about.ino())).ok();
    let program = of(program);
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        if program.is_some() && of(&entry.path().join("exe")) == program {
            found.push(pid);
        }
    }
    found
}

fn groups(folder: &Path, depth: u32) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        if folder.file_name().is_some_and(|name| name == "stead") {
            found.push(format!("group {}", path.display()));
        } else if depth < 6 {
            found.extend(groups(&path, depth + 1));
        }
    }
    found
}

/// Runs the other tests of this binary, but for these, as a user with few rights, with programs of its own.
pub fn again_as_nobody(but: &[&str]) {
    let but: Vec<&str> = but.iter().flat_map(|name| ["--skip", name]).collect();
    as_nobody(&but, Path::new("/dev/null"));
}

/// Runs one test of this binary as a user with few rights in a control group that can be frozen and is the user's own.
/// Whether there can be one here.
pub fn again_in_a_group(test: &str) -> bool {
    let hierarchies = ["freezer", "unified", ""].map(|name| Path::new("/sys/fs/cgroup").join(name));
    let can =
        |path: &&PathBuf| path.ends_with("freezer") || path.join("cgroup.controllers").exists();
    let Some(hierarchy) = hierarchies.iter().filter(|path| path.is_dir()).find(can) else {
        return false;
    };
    let group = Group(hierarchy.join(format!("stead-test-{}", std::process::id())));
    std::fs::create_dir(&group.0).unwrap();
    let procs = group.0.join("cgroup.procs");
    for path in [&group.0, &procs, &group.0.join("tasks")] {
        if path.exists() {
            std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
        }
    }
    as_nobody(&["--exact", test], &procs);
    true
}

/// A control group in which nobody is any more when this is dropped.
struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        for below in ["stead", "stead.self", ""] {
            let _ = std::fs::remove_dir(self.0.join(below));
        }
    }
}

/// `group`: to which the number of the first process is written.
fn as_nobody(arguments: &[&str], group: &Path) {
    let dir = tempfile::Builder::new().prefix("sn-").tempdir_in("/tmp").unwrap();
    for name in ["stead-box", "stead-hold", "stead-vm"] {
        copy(&built(name), &dir.path().join(name));
    }
    let tests = dir.path().join("tests");
    copy(&std::env::current_exe().unwrap(), &tests);
    std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).unwrap();
    let output = Command::new("sh")
        .args(["-c", "echo $$ >\"$1\" || exit 1; shift; exec \"$@\"", "sh"])
        .arg(group)
        .args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&tests)
        .args(["--test-threads=1", "--nocapture"])
        .args(arguments)
        .env(PROGRAMS, dir.path())
        .env("HOME", dir.path())
        .env("RUST_BACKTRACE", "0")
        .current_dir(dir.path())
        .output()
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success(), "as an ordinary user: {out}\n{err}");
}

/// Where there is a virtiofsd on PATH, runs a test of this binary again without, so that QEMU serves its shares. Whether that
/// was done, or cannot be.
pub fn again_without_virtiofsd(test: &str) -> bool {
    let Some(found) = stead_engines::qemu::virtiofsd() else { return false };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |folder: &PathBuf| folder.join("virtiofsd").is_file();
    if !std::env::split_paths(&path).any(|folder| found.parent() == Some(&folder)) {
        println!("skipped: {} is always found", found.display());
        return true;
    }
    let without = std::env::join_paths(std::env::split_paths(&path).filter(|dir| !has(dir)));
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("PATH", without.unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "without virtiofsd: {output:?}");
    true
}

pub fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// What a line of shell in a machine prints, with its exit status.
pub fn shell(engine: &Sandbox, name: &str, line: &str) -> (i32, String) {
    let exec = Exec { command: ["sh", "-c", line].map(String::from).to_vec(), ..Exec::default() };
    let mut command = block(engine.exec(name, &exec)).unwrap();
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}
