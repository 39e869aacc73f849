//! When the disk refuses.

use super::tests::{noise, read_all};
use super::*;
use std::fs;
use std::path::Path;
use std::process::Command;

const DIR: &str = "STEAD_TEST_FULL_DIR";
const LIMIT: &str = "STEAD_TEST_FULL_LIMIT";

/// Runs in a process of its own, in a place where little can be written: the file system at `DIR` is small, or no
/// file may exceed `LIMIT`. `make_room` is what ends that.
fn write_where_little_fits(dir: &Path, make_room: impl FnOnce()) {
    let started = Event::Started { life: 1, size: stead_wire::session::Size::default() };
    let bytes = noise(12_000_000);
    let mut writer = Writer::open(dir).unwrap();
    writer.event(1, &started);
    for piece in bytes[..2_000_000].chunks(5000) {
        writer.output(2, piece);
    }
    assert!(!writer.flush(), "two megabytes should not have fitted");
    let problem = writer.problem().unwrap();
    assert!(problem.starts_with("history is not being written: "), "{problem}");
    assert!(writer.due().is_some());
    // What is on disk is whole, and the rest is in memory.
    let report = Reader::open(dir).unwrap().check().unwrap();
    assert!(report.is_whole() && report.torn == 0 && report.end < 2_000_000, "{report:?}");
    assert!(report.end > 100_000, "{report:?}");

    let exit = Event::Exited { code: Some(0), signal: None };
    writer.event(3, &exit);
    for piece in bytes[2_000_000..].chunks(5000) {
        writer.output(4, piece);
    }
    assert!(!writer.flush());
    assert!(writer.memory() < 5 << 20, "{} bytes held", writer.memory());
    assert_eq!(writer.offset(), 12_000_000);

    make_room();
    assert!(writer.flush(), "{:?}", writer.problem());
    assert_eq!(writer.problem(), None);
    assert_eq!(writer.due(), None);
    assert!(writer.memory() < 16 << 10, "{} bytes held", writer.memory());
    writer.output(5, b"and on");
    assert!(writer.flush());

    let all = read_all(dir);
    let [(from, to)] = all.missing[..] else { panic!("{:?}", all.missing) };
    assert_eq!(from, report.end);
    let want = [&bytes[..from as usize], &bytes[to as usize..], b"and on"].concat();
    assert!(all.bytes == want);
    assert!(12_000_000 - to > 3 << 20, "less than 3 MiB were kept: {}", 12_000_000 - to);
    let events: Vec<_> = all.events.into_iter().map(|e| e.2).collect();
    let gap = Event::Gap { bytes: to - from, reason: problem };
    assert_eq!(events, [started, exit, gap]);
    let report = Reader::open(dir).unwrap().check().unwrap();
    assert!(report.damage.is_empty(), "{report:?}");
    assert!(report.missing[0].reason.is_some());
}

/// The process that the next test starts.
#[test]
fn child_on_a_full_file_system() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let dir = Path::new(&dir);
    write_where_little_fits(&dir.join("history"), || fs::remove_file(dir.join("ballast")).unwrap());
}

/// A real file system without room, in a mount namespace of its own. Needs root.
#[test]
fn a_full_file_system_costs_the_oldest_of_what_waits() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root, so no file system can be mounted: only the limited file is tested");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=20m tmpfs {0} && head -c 20000000 /dev/zero >{0}/ballast && exec \"$@\"",
        dir.path().display()
    );
    let status = Command::new("unshare")
        .args(["-m", "sh", "-ec", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "history::refused_tests::child_on_a_full_file_system", "--nocapture"])
        .env(DIR, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
}

/// The process that the next test starts.
#[test]
fn child_with_a_limited_file() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Some(dir) = std::env::var_os(LIMIT) else { return };
    let all = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(1_000_000), maximum: all.maximum }).unwrap();
    write_where_little_fits(Path::new(&dir), || setrlimit(Resource::Fsize, all).unwrap());
}

/// The same for those who are not root: a limit on the size of files.
#[test]
fn a_limited_file_costs_the_oldest_of_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "history::refused_tests::child_with_a_limited_file", "--nocapture"])
        .env(LIMIT, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_removed_folder_is_a_problem_until_it_is_back() {
    let above = tempfile::tempdir().unwrap();
    let session = above.path().join("session");
    let dir = session.join("history");
    fs::create_dir(&session).unwrap();
    let mut writer = Writer::open(&dir).unwrap();
    writer.output(1, b"one");
    assert!(writer.flush());
    fs::remove_dir_all(&session).unwrap();
    writer.output(2, b"two");
    assert!(!writer.flush());
    assert!(writer.problem().unwrap().contains("folder has been removed"));
    assert!(!session.exists(), "a removed session must not come back by itself");
    writer.output(3, b"three");
    fs::create_dir(&session).unwrap();
    assert!(writer.flush());
    let all = read_all(&dir);
    assert_eq!((all.bytes, all.first), (b"twothree".to_vec(), Some(3)));
    assert_eq!(writer.problem(), None);
}

#[test]
fn a_clock_that_is_set_back_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    for (now, text) in [(9000, "a"), (5000, "b"), (u64::MAX, "c"), (0, "d")] {
        writer.output(now, text.as_bytes());
    }
    assert!(writer.flush());
    writer.output(100, b"e");
    assert!(writer.flush());
    let all = read_all(dir.path());
    assert_eq!(all.bytes, b"abcde");
    assert_eq!(all.times[..2], [9000, 9000]);
    assert_eq!(all.times[4], 100);
    assert!(Reader::open(dir.path()).unwrap().check().unwrap().is_whole());
}
