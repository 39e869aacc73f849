//! The engine `sandbox` when things go wrong around it, with the real programs.

mod common;

use common::{Place, block, processes, programs, shell};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use stead_engines::sandbox::Sandbox;
use stead_file::declared::Machine;
use stead_file::size::Size;
use stead_machine::engine::Engine;
use stead_machine::model::{Ability, Consistency, NewSnapshot, Phase, Wanted};
use stead_machine::steps::Journal;
use stead_machine::{EngineError, Steps};

/// One at a time: each counts the processes of all of them.
static ONE: Mutex<()> = Mutex::new(());

fn one() -> std::sync::MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: it needs control groups or mounts, which only root has here");
    }
    root
}

fn up(engine: &Sandbox, wanted: &Wanted) {
    block(engine.create(wanted, &Steps::none())).unwrap();
    block(engine.start(wanted, &Steps::none())).unwrap();
}

fn phase(engine: &Sandbox, name: &str) -> Phase {
    block(engine.look(name)).unwrap().unwrap().phase
}

/// What its run folder says of a running machine.
fn run_json(place: &Place, name: &str) -> serde_json::Value {
    let path = place.run().join("machines").join(name).join("run.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn kill(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).unwrap();
    let handle = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    kill_process(pid, signal).unwrap();
    if signal == Signal::KILL {
        wait_end(&handle);
    }
}

/// Waits for the end of a process, for a while.
fn wait_end(process: &OwnedFd) {
    let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
    let mut fds = [rustix::event::PollFd::new(process, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut fds, Some(&limit)).unwrap();
}

fn pid(value: &serde_json::Value) -> i32 {
    i32::try_from(value.as_i64().unwrap()).unwrap()
}

fn no_residue(place: &Place, before: &[String]) {
    let mut left = place.residue();
    left.retain(|line| !before.contains(line));
    assert_eq!(left, [""; 0]);
}

/// Nothing of a machine is left but what it is made of on disk. What was made by one that was killed ends by itself, and
/// not at once.
fn nothing_runs(place: &Place, before: &[String]) {
    for pid in processes(&programs().sandbox).into_iter().filter_map(Pid::from_raw) {
        if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) {
            wait_end(&handle);
        }
    }
    let on_disk = place.residue().into_iter().filter(|line| line.starts_with("data/"));
    no_residue(place, &before.iter().cloned().chain(on_disk).collect::<Vec<_>>());
}

#[test]
fn its_parts_are_killed() {
    let _one = one();
    let place = Place::new();
    let before = place.residue();
    let engine = place.engine();
    let wanted = place.wanted("box", Machine::default());
    up(&engine, &wanted);
    shell(&engine, "box", "mkdir -p /root; echo kept >/root/data");
    kill(pid(&run_json(&place, "box")["net"]), Signal::KILL);
    let seen = block(engine.look("box")).unwrap().unwrap();
    assert_eq!(seen.phase, Phase::Running);
    assert!(seen.notes.iter().any(|note| note.contains("network has died")), "{:?}", seen.notes);
    let groups = run_json(&place, "box")["cgroups"].clone();
    kill(pid(&run_json(&place, "box")["init"]), Signal::KILL);
    assert_eq!(phase(&engine, "box"), Phase::Stopped);
    block(engine.start(&wanted, &Steps::none())).unwrap();
    assert_eq!(run_json(&place, "box")["cgroups"], groups);
    assert_eq!(shell(&engine, "box", "cat /root/data"), (0, "kept\n".into()));
    block(engine.destroy("box", &Steps::none())).unwrap();
    no_residue(&place, &before);
}

#[test]
fn a_machine_whose_first_process_stands_still_is_stopped() {
    let _one = one();
    let place = Place::new();
    let before = place.residue();
    let engine = place.engine();
    let wanted = place.wanted("box", Machine::default());
    up(&engine, &wanted);
    kill(pid(&run_json(&place, "box")["init"]), Signal::STOP);
    block(engine.stop("box", &Steps::none())).unwrap();
    assert_eq!(phase(&engine, "box"), Phase::Stopped);
    block(engine.destroy("box", &Steps::none())).unwrap();
    no_residue(&place, &before);
}

/// Kills each `stead-box` at the moment that it is first seen.
#[test]
fn a_start_is_killed() {
    let _one = one();
    let place = Place::new();
    let before = place.residue();
    let engine = place.engine();
    let wanted = place.wanted("box", Machine::default());
    block(engine.create(&wanted, &Steps::none())).unwrap();
    let mut failed = 0;
    for nth in 0..12 {
        let going = std::sync::atomic::AtomicBool::new(true);
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut seen = 0;
                while going.load(std::sync::atomic::Ordering::SeqCst) {
                    for pid in processes(&programs().sandbox) {
                        seen += 1;
                        if seen == 1 + nth * 3 {
                            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
                        }
                    }
                }
            });
            let result = block(engine.start(&wanted, &Steps::none()));
            going.store(false, std::sync::atomic::Ordering::SeqCst);
            result
        });
        failed += u32::from(result.is_err());
        // What was killed may have been a part of a machine that runs.
        block(engine.stop("box", &Steps::none())).unwrap();
        nothing_runs(&place, &before);
        block(engine.start(&wanted, &Steps::none())).unwrap();
        assert_eq!(shell(&engine, "box", "echo yes"), (0, "yes\n".into()));
        block(engine.stop("box", &Steps::none())).unwrap();
    }
    println!("{failed} of 12 starts failed");
    assert!(failed > 0, "none was killed in time");
    block(engine.destroy("box", &Steps::none())).unwrap();
    no_residue(&place, &before);
}

/// A program that is killed while it stops a machine: that is told to end, and not taken for one that runs.
#[test]
fn a_stop_that_was_cut_short_is_finished_before_the_next_start() {
    let _one = one();
    let place = Place::new();
    let before = place.residue();
    let engine = place.engine();
    let wanted = place.wanted("box", Machine::default());
    up(&engine, &wanted);
    let init = run_json(&place, "box")["init"].clone();
    // No process has the number of its owner and its start.
    let mark = place.run().join("machines/box/stopping.json");
    std::fs::write(mark, r#"{"owner":1,"owner_start":1}"#).unwrap();
    assert!(matches!(phase(&engine, "box"), Phase::Partial(_)));
    block(engine.start(&wanted, &Steps::none())).unwrap();
    assert_ne!(run_json(&place, "box")["init"], init);
    assert_eq!(phase(&engine, "box"), Phase::Running);
    block(engine.destroy("box", &Steps::none())).unwrap();
    no_residue(&place, &before);
}

/// A journal that leaves a machine standing still, as a program that is killed does.
#[test]
fn one_left_standing_still_goes_on() {
    let _one = one();
    if !root() {
        return;
    }
    let place = Place::new();
    let engine = place.engine();
    let wanted = place.wanted("box", Machine::default());
    up(&engine, &wanted);
    let groups: Vec<std::path::PathBuf> =
        serde_json::from_value(run_json(&place, "box")["cgroups"].clone()).unwrap();
    let mark = place.run().join("machines/box/still");
    let freeze = || {
        std::fs::write(&mark, "").unwrap();
        stead_box::cgroup::freeze(&groups).unwrap();
    };
    freeze();
    // As the next steward begins.
    let swept = block(place.engine().sweep(&Steps::none())).unwrap();
    assert!(swept.iter().any(|line| line.contains("goes on")), "{swept:?}");
    assert_eq!(shell(&engine, "box", "echo yes"), (0, "yes\n".into()));
    freeze();
    block(engine.start(&wanted, &Steps::none())).unwrap();
    assert_eq!(shell(&engine, "box", "echo yes"), (0, "yes\n".into()));
    freeze();
    block(engine.stop("box", &Steps::none())).unwrap();
    assert_eq!(phase(&engine, "box"), Phase::Stopped);
    block(engine.destroy("box", &Steps::none())).unwrap();
}

#[test]
fn a_copy_that_fails_leaves_nothing_standing_still() {
    let _one = one();
    if !root() {
        return;
    }
    let place = Place::new();
    let engine = place.engine();
    let declared = Machine { disk: Some(Size(64 << 20)), ..Machine::default() };
    let wanted = place.wanted("box", declared);
    up(&engine, &wanted);
    // More than half of its disk: the copy does not fit.
    let (_, said) =
        shell(&engine, "box", "head -c 45000000 /dev/urandom >/root/big; sync; ls -l /root/big");
    let error =
        block(engine.snapshot("box", &NewSnapshot::named("s"), &Steps::none())).unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error} {said}");
    assert_eq!(block(engine.snapshots("box")).unwrap(), []);
    assert_eq!(shell(&engine, "box", "wc -c </root/big"), (0, "45000000\n".into()));
    let layers = place.data().join("machines/box/disk/layers");
    assert_eq!(std::fs::read_dir(layers).unwrap().count(), 1, "what was copied is left");
    // Grown, it fits.
    let grown = Machine { disk: Some(Size(192 << 20)), ..wanted.declared.clone() };
    let larger = Wanted { declared: grown, ..wanted.clone() };
    block(engine.change(&wanted, &larger, &Steps::none())).unwrap();
    let kept = block(engine.snapshot("box", &NewSnapshot::named("s"), &Steps::none())).unwrap();
    assert_eq!(kept.consistency, Consistency::Crash);
    block(engine.stop("box", &Steps::none())).unwrap();
    assert!(!place.residue().iter().any(|line| line.starts_with("loop")), "{:?}", place.residue());
    block(engine.destroy("box", &Steps::none())).unwrap();
}

#[test]
fn a_full_disk_does_not_stay_mounted() {
    let _one = one();
    if !root() {
        return;
    }
    let place = Place::new();
    let before = place.residue();
    let engine = place.engine();
    let size = |mib: u64| Machine { disk: Some(Size(mib << 20)), ..Machine::default() };
    let wanted = place.wanted("box", size(32));
    up(&engine, &wanted);
    // No room for another name: a snapshot needs a folder.
    assert_ne!(shell(&engine, "box", "mkdir -p /root; cd /root; seq 100000 | xargs touch").0, 0);
    block(engine.stop("box", &Steps::none())).unwrap();
    let error =
        block(engine.snapshot("box", &NewSnapshot::named("s"), &Steps::none())).unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    nothing_runs(&place, &before);
    let error = block(engine.start(&wanted, &Steps::none())).unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    nothing_runs(&place, &before);
    let larger = Wanted { declared: size(64), ..wanted.clone() };
    block(engine.change(&wanted, &larger, &Steps::none())).unwrap();
    nothing_runs(&place, &before);
    block(engine.snapshot("box", &NewSnapshot::named("s"), &Steps::none())).unwrap();
    nothing_runs(&place, &before);
    block(engine.destroy("box", &Steps::none())).unwrap();
    no_residue(&place, &before);
}

#[test]
fn a_growth_that_was_cut_short_is_finished() {
    let _one = one();
    if !root() {
        return;
    }
    let place = Place::new();
    let engine = place.engine();
    let size = |mib: u64| Machine { disk: Some(Size(mib << 20)), ..Machine::default() };
    let wanted = place.wanted("box", size(32));
    block(engine.create(&wanted, &Steps::none())).unwrap();
    block(engine.stop("box", &Steps::none())).unwrap();
    // Killed after the file was made larger and before the file system in it was.
    let folder = place.data().join("machines/box");
    std::fs::write(folder.join("disk.growing"), "").unwrap();
    let image = std::fs::OpenOptions::new().write(true).open(folder.join("disk.img")).unwrap();
    image.set_len(128 << 20).unwrap();
    let larger = Wanted { declared: size(128), ..wanted.clone() };
    block(engine.change(&wanted, &larger, &Steps::none())).unwrap();
    block(engine.start(&larger, &Steps::none())).unwrap();
    let (_, free) = shell(&engine, "box", "df -k --output=size / | tail -1");
    assert!(free.trim().parse::<u64>().unwrap() > 90 << 10, "{free}");
    block(engine.destroy("box", &Steps::none())).unwrap();
}

#[test]
fn a_limit_that_comes_later_holds_and_may_go_again() {
    let _one = one();
    if !root() {
        return;
    }
    let place = Place::new();
    let engine = place.engine();
    let free = place.wanted("box", Machine::default());
    up(&engine, &free);
    shell(&engine, "box", "echo kept >/root/data");
    let limited = Machine { disk: Some(Size(32 << 20)), ..Machine::default() };
    let limited = Wanted { declared: limited, ..free.clone() };
    block(engine.change(&free, &limited, &Steps::none())).unwrap();
    assert_eq!(shell(&engine, "box", "cat /root/data").1, "kept\n");
    let (status, said) = shell(&engine, "box", "head -c 60000000 /dev/zero >/root/big");
    assert!(status != 0 && said.contains("No space"), "{said}");
    shell(&engine, "box", "rm /root/big; echo limited >/root/data");
    block(engine.change(&limited, &free, &Steps::none())).unwrap();
    assert_eq!(shell(&engine, "box", "cat /root/data").1, "limited\n");
    assert_eq!(shell(&engine, "box", "head -c 60000000 /dev/zero >/root/big").0, 0);
    block(engine.stop("box", &Steps::none())).unwrap();
    block(engine.start(&free, &Steps::none())).unwrap();
    assert_eq!(shell(&engine, "box", "cat /root/data").1, "limited\n");
    block(engine.destroy("box", &Steps::none())).unwrap();
}

#[test]
fn after_a_reboot_nothing_is_taken_for_running() {
    let _one = one();
    let place = Place::new();
    let engine = place.engine();
    let wanted = place.wanted("box", Machine::default());
    up(&engine, &wanted);
    let boot = run_json(&place, "box")["boot"].as_str().unwrap().to_owned();
    let paths =
        [place.run().join("machines/box/run.json"), place.data().join("machines/box/started.json")];
    let told = paths.each_ref().map(|path| std::fs::read_to_string(path).unwrap());
    for (path, told) in paths.iter().zip(&told) {
        std::fs::write(path, told.replace(&boot, "00000000-0000-0000-0000-000000000000")).unwrap();
    }
    assert_eq!(phase(&engine, "box"), Phase::Stopped);
    assert!(block(engine.exec("box", &stead_machine::engine::Exec::default())).is_err());
    // As a host leaves it that lost power in the middle of writing.
    std::fs::write(&paths[1], "").unwrap();
    assert_eq!(phase(&engine, "box"), Phase::Stopped);
    for (path, told) in paths.iter().zip(&told) {
        std::fs::write(path, told).unwrap();
    }
    assert_eq!(phase(&engine, "box"), Phase::Running);
    block(engine.destroy("box", &Steps::none())).unwrap();
}

/// Two sandboxes over one state would damage it.
#[test]
fn a_machine_is_found_by_a_program_with_another_runtime_folder() {
    let _one = one();
    let place = Place::new();
    let before = place.residue();
    let (engine, elsewhere) = (place.engine(), place.engine_elsewhere());
    let wanted = place.wanted("box", Machine::default());
    up(&engine, &wanted);
    let init = pid(&run_json(&place, "box")["init"]);
    assert_eq!(phase(&elsewhere, "box"), Phase::Running);
    block(elsewhere.start(&wanted, &Steps::none())).unwrap();
    assert_eq!(shell(&elsewhere, "box", "mkdir -p /root; echo one >/root/data").0, 0);
    block(elsewhere.sweep(&Steps::none())).unwrap();
    assert_eq!(shell(&engine, "box", "cat /root/data"), (0, "one\n".into()));
    assert_eq!(pid(&run_json(&place, "box")["init"]), init);
    block(elsewhere.stop("box", &Steps::none())).unwrap();
    assert_eq!(processes(&programs().sandbox), [0; 0]);
    assert_eq!(phase(&engine, "box"), Phase::Stopped);
    // And the other way round.
    block(elsewhere.start(&wanted, &Steps::none())).unwrap();
    assert_eq!(phase(&engine, "box"), Phase::Running);
    assert_eq!(shell(&engine, "box", "cat /root/data"), (0, "one\n".into()));
    block(engine.destroy("box", &Steps::none())).unwrap();
    assert_eq!(entries(&place.dir.path().join("other/machines")), 0);
    no_residue(&place, &before);
}

/// As when whoever cleans up temporary folders, or ends a login, empties the runtime folder.
#[test]
fn a_machine_whose_run_folder_was_removed_still_runs_and_is_stopped() {
    let _one = one();
    let place = Place::new();
    let before = place.residue();
    let engine = place.engine();
    let wanted = place.wanted("box", Machine::default());
    up(&engine, &wanted);
    std::fs::remove_dir_all(place.run()).unwrap();
    let seen = block(engine.look("box")).unwrap().unwrap();
    assert_eq!(seen.phase, Phase::Running);
    assert!(seen.notes.iter().any(|note| note.contains("was removed: restart it")), "{seen:?}");
    block(engine.start(&wanted, &Steps::none())).unwrap();
    assert!(!place.run().join("machines/box").exists(), "no second one");
    let mut changed = wanted.clone();
    changed.declared.env.insert("A".into(), "b".into());
    let refused = block(engine.change(&wanted, &changed, &Steps::none())).unwrap_err();
    assert!(refused.to_string().contains("was removed: restart it"), "{refused}");
    block(engine.stop("box", &Steps::none())).unwrap();
    assert_eq!(processes(&programs().sandbox), [0; 0]);
    up(&engine, &wanted);
    assert_eq!(shell(&engine, "box", "echo yes"), (0, "yes\n".into()));
    block(engine.destroy("box", &Steps::none())).unwrap();
    no_residue(&place, &before);
}

/// Also for an ordinary user, whose files of the base belong to others.
#[test]
fn what_is_added_is_told() {
    let _one = one();
    let place = Place::new();
    let engine = place.engine();
    up(&engine, &place.wanted("box", Machine::default()));
    let of_ours = |engine: &Sandbox| {
        let mut all = block(engine.diff("box")).unwrap();
        all.retain(|change| change.path.to_string_lossy().contains("mine"));
        all.into_iter().map(|c| (c.path.display().to_string(), c.kind)).collect::<Vec<_>>()
    };
    assert_eq!(of_ours(&engine), []);
    assert_eq!(shell(&engine, "box", "mkdir -p /root/mine && echo x >/root/mine/a").0, 0);
    let added = ["/root/mine", "/root/mine/a"];
    let added = added.map(|path| (path.to_owned(), stead_machine::model::ChangeKind::Added));
    assert_eq!(of_ours(&engine), added);
    block(engine.destroy("box", &Steps::none())).unwrap();
}

#[test]
fn an_image_that_nobody_can_make_is_refused_before_anything_is_made() {
    let place = Place::new();
    let engine = place.engine();
    for image in ["debian/99", "fedora/40"] {
        let machine = Machine { image: image.into(), ..Machine::default() };
        let remarks = block(engine.check(&place.wanted("box", machine))).unwrap();
        let [remark] = &remarks[..] else { panic!("{remarks:?}") };
        assert!(remark.refused, "{remark:?}");
        let why = format!(
            "image: there is no image {image}; there are host, debian/11, debian/12, debian/13 and debian/sid"
        );
        assert_eq!(remark.text, why);
    }
    assert_eq!(block(engine.check(&place.wanted("box", Machine::default()))).unwrap(), []);
}

#[test]
fn long_names_and_too_many_machines() {
    let _one = one();
    let place = Place::new();
    let engine = place.engine();
    let name = "n".repeat(63);
    let wanted = place.wanted(&name, Machine::default());
    up(&engine, &wanted);
    assert_eq!(shell(&engine, &name, "uname -n"), (0, format!("{name}\n")));
    block(engine.destroy(&name, &Steps::none())).unwrap();
    let last = Wanted { number: 4095, ..place.wanted("last", Machine::default()) };
    up(&engine, &last);
    block(engine.destroy("last", &Steps::none())).unwrap();
    let over = Wanted { number: 4096, ..place.wanted("over", Machine::default()) };
    assert!(block(engine.check(&over)).unwrap()[0].refused);
    let error = block(engine.create(&over, &Steps::none())).unwrap_err();
    assert!(matches!(error, EngineError::NotNow(_)), "{error}");
}

#[test]
fn what_belongs_to_nobody_is_swept() {
    let _one = one();
    let place = Place::new();
    let before = place.residue();
    let engine = place.engine();
    let wanted = place.wanted("box", Machine::default());
    up(&engine, &wanted);
    let cover: std::path::PathBuf = serde_json::from_slice(
        &std::fs::read(place.run().join("machines/box/cover.json")).unwrap(),
    )
    .unwrap();
    // Not handed out for a long time.
    let stamp = std::fs::File::open(cover.parent().unwrap().join("used")).unwrap();
    stamp.set_modified(std::time::UNIX_EPOCH).unwrap();
    std::fs::create_dir_all(place.data().join("layers/0123456789abcdef/fs")).unwrap();
    std::fs::create_dir_all(place.run().join("machines/gone")).unwrap();
    std::fs::write(place.data().join("claims/gone"), "").unwrap();
    block(engine.sweep(&Steps::none())).unwrap();
    assert!(cover.is_dir(), "the cover of a machine that runs");
    assert_eq!(shell(&engine, "box", "echo yes"), (0, "yes\n".into()));
    block(engine.stop("box", &Steps::none())).unwrap();
    block(engine.sweep(&Steps::none())).unwrap();
    assert!(!cover.exists(), "a cover that nobody uses");
    block(engine.destroy("box", &Steps::none())).unwrap();
    no_residue(&place, &before);
}

/// Fails to begin any step.
struct Nothing;

impl Journal for Nothing {
    fn step(&self, _: &str) {}
    fn note(&self, _: &str) {}
    fn progress(&self, _: u64, _: u64) {}
    fn cancelled(&self) -> bool {
        true
    }
}

/// What a program that is gone ran, and still works on a machine, does not keep others from it.
#[test]
fn an_orphan_that_holds_a_machine_is_ended() {
    let _one = one();
    let place = Place::new();
    let engine = place.engine();
    let wanted = place.wanted("box", Machine::default());
    block(engine.create(&wanted, &Steps::none())).unwrap();
    let claim = place.data().join("claims/box");
    std::fs::create_dir_all(claim.parent().unwrap()).unwrap();
    let file = std::fs::File::create(&claim).unwrap();
    file.lock().unwrap();
    let mut orphan = Command::new("sleep").arg("1000").stdin(Stdio::from(file)).spawn().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", orphan.id())).unwrap();
    let since = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap();
    // No process has the number of its owner and its start.
    let note = format!(
        r#"{{"owner":1,"owner_start":1,"program":"sleep","pid":{},"start":{since},"killable":true}}"#,
        orphan.id()
    );
    std::fs::write(&claim, note + "\n").unwrap();
    block(engine.start(&wanted, &Steps::none())).unwrap();
    assert!(!orphan.wait().unwrap().success());
    assert!(!claim.exists());
    assert!(block(engine.stop("box", &Steps::new(std::sync::Arc::new(Nothing)))).is_err());
    assert_eq!(phase(&engine, "box"), Phase::Running);
    block(engine.destroy("box", &Steps::none())).unwrap();
}

#[test]
fn ten_thousand_files_are_kept_without_being_copied() {
    let _one = one();
    let place = Place::new();
    let engine = place.engine();
    let wanted = place.wanted("box", Machine::default());
    up(&engine, &wanted);
    let line = "mkdir -p /root/f && cd /root/f && seq 10000 | xargs touch && ls | wc -l";
    assert_eq!(shell(&engine, "box", line), (0, "10000\n".into()));
    block(engine.stop("box", &Steps::none())).unwrap();
    let count = || entries(&place.data());
    let before = count();
    let kept = block(engine.snapshot("box", &NewSnapshot::named("s"), &Steps::none())).unwrap();
    assert_eq!(kept.consistency, Consistency::Quiesced);
    assert!(count() - before < 20, "{} entries more", count() - before);
    block(engine.start(&wanted, &Steps::none())).unwrap();
    assert_eq!(shell(&engine, "box", "rm -r /root/f; ls /root").0, 0);
    block(engine.stop("box", &Steps::none())).unwrap();
    block(engine.restore("box", "s", &Steps::none())).unwrap();
    block(engine.start(&wanted, &Steps::none())).unwrap();
    assert_eq!(shell(&engine, "box", "ls /root/f | wc -l"), (0, "10000\n".into()));
    block(engine.destroy("box", &Steps::none())).unwrap();
}

fn entries(folder: &Path) -> usize {
    let there = std::fs::read_dir(folder).into_iter().flatten().flatten();
    there
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => 1 + entries(&entry.path()),
            _ => 1,
        })
        .sum()
}

/// An ordinary user's machine that runs is copied, or it is told what is missing, which is no limit.
#[test]
fn files_that_are_closed_to_everybody_are_kept() {
    let _one = one();
    let place = Place::new();
    let engine = place.engine();
    let wanted = place.wanted("box", Machine::default());
    up(&engine, &wanted);
    let made = "mkdir -p /root/d && echo deep >/root/d/f && echo plain >/root/g && chmod 0 /root/g /root/d/f /root/d";
    assert_eq!(shell(&engine, "box", made), (0, String::new()));
    let told = block(engine.diff("box")).unwrap();
    assert!(told.iter().any(|change| change.path == Path::new("/root/d")), "{told:?}");
    let live = engine.abilities().live_snapshots;
    let kept = block(engine.snapshot("box", &NewSnapshot::named("s"), &Steps::none()));
    if let Ability::No(why) = live {
        let why_not = kept.unwrap_err().to_string();
        for why in [why, why_not] {
            assert!(why.contains("stop it first") && !why.contains("limit"), "{why}");
        }
        println!("no copy of a machine that runs here");
        block(engine.stop("box", &Steps::none())).unwrap();
        block(engine.snapshot("box", &NewSnapshot::named("s"), &Steps::none())).unwrap();
    } else {
        assert_eq!(kept.unwrap().consistency, Consistency::Crash);
        let twin = place.wanted("twin", Machine::default());
        block(engine.clone_machine("box", None, &twin, &Steps::none())).unwrap();
        block(engine.start(&twin, &Steps::none())).unwrap();
        assert_eq!(shell(&engine, "twin", "cat /root/d/f /root/g"), (0, "deep\nplain\n".into()));
        block(engine.destroy("twin", &Steps::none())).unwrap();
        assert_eq!(shell(&engine, "box", "rm -r /root/d /root/g"), (0, String::new()));
        block(engine.stop("box", &Steps::none())).unwrap();
    }
    block(engine.restore("box", "s", &Steps::none())).unwrap();
    block(engine.start(&wanted, &Steps::none())).unwrap();
    let there = "cat /root/d/f /root/g; stat -c %a /root/d /root/d/f /root/g";
    assert_eq!(shell(&engine, "box", there), (0, "deep\nplain\n0\n0\n0\n".into()));
    block(engine.destroy("box", &Steps::none())).unwrap();
}

#[test]
fn as_an_ordinary_user_with_a_control_group() {
    let _one = one();
    if !root() {
        return;
    }
    if !common::again_in_a_group("files_that_are_closed_to_everybody_are_kept") {
        println!("skipped: nothing here can freeze");
    }
}

#[test]
fn as_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: this is an ordinary user already");
        return;
    }
    common::again_as_nobody(&["as_an_ordinary_user"]);
}
