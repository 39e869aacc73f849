//! Memory of virtual machines: kept, gone on from, and templates for warm starts.

#[path = "common/bench.rs"]
mod bench;
mod common;

use bench::QemuBench;
use common::block;
use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use stead_file::declared::{Board, Guest, Share};
use stead_file::size::Size;
use stead_machine::conformance::Bench;
use stead_machine::engine::{Engine, Exec};
use stead_machine::model::{Consistency, NewSnapshot, Wanted};
use stead_machine::steps::Journal;
use stead_machine::{EngineError, Steps};

/// What was said of some work.
#[derive(Default)]
struct Said(Mutex<Vec<String>>);

impl Journal for Said {
    fn step(&self, what: &str) {
        self.0.lock().unwrap().push(format!("step: {what}"));
    }
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
    fn progress(&self, _: u64, _: u64) {}
}

impl Said {
    fn steps() -> (Arc<Self>, Steps) {
        let said = Arc::new(Said::default());
        (said.clone(), Steps::new(said))
    }

    fn count(&self, what: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(what)).count()
    }

    fn all(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

struct World {
    bench: QemuBench,
}

impl World {
    fn warm() -> Self {
        World { bench: block(QemuBench::warm(Guest::Light, Board::Microvm)) }
    }

    fn engine(&self) -> &dyn Engine {
        &self.bench.engine
    }

    /// A machine that runs.
    fn running(&self, name: &str) -> Wanted {
        let wanted = self.bench.wanted(name);
        block(self.engine().create(&wanted, &Steps::none())).unwrap();
        block(self.engine().start(&wanted, &Steps::none())).unwrap();
        wanted
    }

    /// Starts it and says what was said.
    fn start(&self, wanted: &Wanted) -> Arc<Said> {
        let (said, steps) = Said::steps();
        block(self.engine().start(wanted, &steps)).unwrap();
        said
    }

    fn stop(&self, name: &str) {
        block(self.engine().stop(name, &Steps::none())).unwrap();
    }

    fn run(&self, name: &str, line: &str) -> Output {
        let exec =
            Exec { command: ["sh", "-c", line].map(String::from).to_vec(), ..Exec::default() };
        block(self.engine().exec(name, &exec)).unwrap().output().unwrap()
    }

    fn ask(&self, name: &str, line: &str) -> String {
        let output = self.run(name, line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn keep(&self, name: &str, snapshot: &str) -> Result<Consistency, EngineError> {
        let asked = NewSnapshot { memory: true, ..NewSnapshot::named(snapshot) };
        let made = block(self.engine().snapshot(name, &asked, &Steps::none()))?;
        Ok(made.consistency)
    }

    fn restore(&self, name: &str, snapshot: &str) {
        block(self.engine().restore(name, snapshot, &Steps::none())).unwrap();
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.bench.place.data().join("machines").join(name)
    }

    /// The file that says what the memory is that a machine goes on from.
    fn about(&self, name: &str) -> PathBuf {
        self.folder(name).join("qemu/resume/vm.json")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for seen in block(self.engine().observe()).unwrap_or_default() {
            let _ = block(self.engine().destroy(&seen.name, &Steps::none()));
        }
    }
}

/// Something that has a number and a mark in its memory only, and says both when it is told to.
const COUNTER: &str = "cat >/run/counter <<'E'
mark=$1 n=0
trap 'echo $mark $n >/run/said.new; mv /run/said.new /run/said' USR1
: >/run/counts
while :; do n=$((n + 1)); sleep 0.05; done
E
setsid sh /run/counter $(tr -dc a-z </dev/urandom | head -c 12) >/dev/null 2>&1 </dev/null & echo $!
while ! [ -e /run/counts ]; do sleep 0.02; done";

/// What it says.
fn hear(world: &World, name: &str, counter: &str) -> (String, u64) {
    let line = format!(
        "rm -f /run/said; kill -USR1 {counter}; while ! cat /run/said 2>/dev/null; do sleep 0.02; kill -0 {counter} || exit; done"
    );
    let said = world.ask(name, &line);
    let (mark, n) = said.split_once(' ').unwrap();
    (mark.to_owned(), n.parse().unwrap())
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn what_runs_goes_on_after_a_restore_with_memory_and_the_clock_is_right() {
    let world = World::warm();
    let wanted = world.running("box");
    let counter = world.ask("box", COUNTER);
    let (mark, before) = hear(&world, "box", &counter);
    world.ask("box", "echo before >/root/file; date -s @1000000000");
    assert_eq!(world.keep("box", "then").unwrap(), Consistency::Memory);
    assert_eq!(block(world.engine().snapshots("box")).unwrap()[0].consistency, Consistency::Memory);
    // It went on by itself.
    assert_eq!(hear(&world, "box", &counter).0, mark);
    world.ask("box", &format!("kill -9 {counter}; echo after >/root/file; sync"));
    for _ in 0..2 {
        world.stop("box");
        world.restore("box", "then");
        let said = world.start(&wanted);
        assert_eq!(said.count("boots"), 0, "{}", said.all());
        let (again, after) = hear(&world, "box", &counter);
        assert_eq!(again, mark);
        assert!(after >= before);
        assert_eq!(world.ask("box", "cat /root/file"), "before");
        let (least, now, most) =
            (seconds(), world.ask("box", "date +%s").parse::<u64>().unwrap(), seconds());
        assert!((least - 1..=most + 1).contains(&now), "{least} {now} {most}");
        assert!(!world.about("box").exists());
    }
    // It can be removed while a machine runs that went on from it, and what is written lasts.
    block(world.engine().remove_snapshot("box", "then", &Steps::none())).unwrap();
    world.ask("box", "echo later >/root/file");
    world.stop("box");
    world.start(&wanted);
    assert_eq!(world.ask("box", "cat /root/file"), "later");
    assert!(!world.run("box", "cat /run/counter").status.success());
}

#[test]
fn a_clone_from_memory_goes_on_as_another_machine_beside_the_first() {
    let world = World::warm();
    let one = world.running("one");
    let counter = world.ask("one", COUNTER);
    let (mark, _) = hear(&world, "one", &counter);
    world.keep("one", "then").unwrap();
    let mut two = world.bench.wanted("two");
    two.id = "a1b2c3d4".repeat(4);
    block(world.engine().clone_machine("one", Some("then"), &two, &Steps::none())).unwrap();
    // It depends on nothing of the other's.
    block(world.engine().remove_snapshot("one", "then", &Steps::none())).unwrap();
    let said = world.start(&two);
    assert_eq!(said.count("boots"), 0, "{}", said.all());
    for wanted in [&one, &two] {
        let name = wanted.name.as_str();
        assert_eq!(hear(&world, name, &counter).0, mark, "{name}");
        let is = world.ask(name, "hostname; cat /etc/hostname /etc/machine-id");
        assert_eq!(is, format!("{name}\n{name}\n{}", wanted.id));
        let hosts = world.ask(name, "cat /etc/hosts");
        assert!(hosts.contains(&wanted.address.to_string()), "{hosts}");
        let local = world.ask(name, "cat /proc/net/fib_trie");
        assert!(local.contains(&wanted.address.to_string()), "{local}");
    }
    let local = world.ask("two", "cat /proc/net/fib_trie");
    assert!(!local.contains(&one.address.to_string()), "{local}");
    let card = "cat /sys/class/net/[!l]*/address";
    assert_eq!(world.ask("two", card), "52:54:00:a1:b2:c3");
    assert_ne!(world.ask("one", card), world.ask("two", card));
    let drawn = "head -c 16 /dev/urandom | od -An -tx1";
    assert_ne!(world.ask("one", drawn), world.ask("two", drawn));
    world.ask("two", "echo two >/root/file; sync");
    assert!(!world.run("one", "cat /root/file").status.success());
}

#[test]
fn memory_that_does_not_fit_is_told_and_the_machine_boots_with_all_that_was_kept() {
    let world = World::warm();
    let mut wanted = world.running("box");
    world.ask("box", "echo kept >/root/file; echo only in memory >/run/file");
    world.keep("box", "then").unwrap();
    world.stop("box");
    let edit = |change: &dyn Fn(&mut serde_json::Value)| {
        let text = std::fs::read(world.about("box")).unwrap();
        let mut about = serde_json::from_slice(&text).unwrap();
        change(&mut about);
        std::fs::write(world.about("box"), serde_json::to_vec(&about).unwrap()).unwrap();
    };
    let boots = |wanted: &Wanted, why: &str| {
        let said = world.start(wanted);
        assert_eq!(said.count(why), 1, "{}", said.all());
        assert_eq!(world.ask("box", "cat /root/file"), "kept");
        assert!(!world.run("box", "cat /run/file").status.success());
        world.stop("box");
    };

    world.restore("box", "then");
    edit(&|about| about["shape"]["qemu"] = "9.1.0".into());
    boots(&wanted, "QEMU was 9.1.0 and is");

    world.restore("box", "then");
    std::fs::write(world.about("box"), "{").unwrap();
    boots(&wanted, "is damaged");

    world.restore("box", "then");
    let memory = world.about("box").with_file_name("memory");
    std::fs::remove_file(&memory).unwrap();
    boots(&wanted, "is not as it was written");

    // QEMU itself finds out.
    world.restore("box", "then");
    std::fs::remove_file(&memory).unwrap();
    std::fs::write(&memory, [7; 4096]).unwrap();
    let written = memory.metadata().unwrap().modified().unwrap();
    let written = written.duration_since(UNIX_EPOCH).unwrap().as_nanos();
    edit(&|about| {
        about["bytes"] = 4096.into();
        about["written"] = u64::try_from(written).unwrap().into();
    });
    boots(&wanted, "it cannot go on from its memory, and boots");

    world.restore("box", "then");
    wanted.declared.memory = Some(Size(320 << 20));
    boots(&wanted, "another amount of memory");
    wanted.declared.memory = Some(Size(256 << 20));

    // And whole it is, all the while.
    world.restore("box", "then");
    world.start(&wanted);
    assert_eq!(world.ask("box", "cat /root/file /run/file"), "kept\nonly in memory");
}

#[test]
fn memory_is_kept_only_of_what_runs_and_has_no_shares_of_qemu() {
    if common::again_without_virtiofsd("memory_is_kept_only_of_what_runs_and_has_no_shares_of_qemu")
    {
        return;
    }
    let world = World::warm();
    let wanted = world.bench.wanted("box");
    block(world.engine().create(&wanted, &Steps::none())).unwrap();
    let why = world.keep("box", "then").unwrap_err().to_string();
    assert!(why.contains("does not run"), "{why}");

    let mut shares = world.bench.wanted("shares");
    let host = world.bench.place.dir.path().join("shared");
    std::fs::create_dir(&host).unwrap();
    let host = host.canonicalize().unwrap();
    shares.declared.shares = vec![Share { host, inside: "/mnt/it".into(), writable: true }];
    let (said, steps) = Said::steps();
    block(world.engine().create(&shares, &steps)).unwrap();
    assert_eq!(said.count("does not start warm: it has shares"), 1, "{}", said.all());
    world.start(&shares);
    let why = world.keep("shares", "then").unwrap_err().to_string();
    assert!(why.contains("its shares are served"), "{why}");
    assert!(!world.folder("shares").join("qemu/snapshots/then").exists());
    // Without it, it is kept.
    let asked = NewSnapshot::named("then");
    block(world.engine().snapshot("shares", &asked, &Steps::none())).unwrap();
}

#[test]
fn memory_is_kept_with_what_is_open_on_shares_of_virtiofs() {
    if stead_engines::qemu::virtiofsd().is_none() {
        println!("skipped: there is no virtiofsd on PATH");
        return;
    }
    let world = World::warm();
    let folder = world.bench.place.dir.path().canonicalize().unwrap();
    let (rw, ro) = (folder.join("rw"), folder.join("ro"));
    let mut wanted = world.bench.wanted("box");
    for (host, inside, writable) in [(&rw, "/mnt/rw", true), (&ro, "/mnt/ro", false)] {
        std::fs::create_dir(host).unwrap();
        std::fs::write(host.join("file"), "before").unwrap();
        wanted.declared.shares.push(Share { host: host.clone(), inside: inside.into(), writable });
    }
    block(world.engine().create(&wanted, &Steps::none())).unwrap();
    world.start(&wanted);
    // Whoever writes has its file open all the while; it is told when by a file in memory.
    world.ask(
        "box",
        "setsid sh -c 'exec 3>>/mnt/rw/log; n=0; while :; do until [ -e /run/go ]; do sleep 0.05; done; \
         rm /run/go; n=$((n + 1)); echo $n >&3; done' </dev/null >/dev/null 2>&1 &\n\
         touch /run/go; until [ -s /mnt/rw/log ]; do sleep 0.05; done",
    );
    assert_eq!(
        world.ask("box", "mkdir /mnt/rw/deep; echo kept > /mnt/rw/deep/x; cat /mnt/ro/file"),
        "before"
    );
    world.keep("box", "then").unwrap();
    // It goes on where it is, shares and all.
    world.ask("box", "touch /run/go; until [ $(wc -l < /mnt/rw/log) = 2 ]; do sleep 0.05; done");

    world.stop("box");
    std::fs::write(ro.join("file"), "meanwhile").unwrap();
    world.restore("box", "then");
    let said = world.start(&wanted);
    assert_eq!(said.count("read its memory"), 1, "{}", said.all());
    assert_eq!(world.ask("box", "cat /mnt/ro/file /mnt/rw/deep/x"), "meanwhilekept");
    // What ran goes on, with the file that it has open: its second line is the third one there.
    world.ask("box", "touch /run/go; until [ $(wc -l < /mnt/rw/log) = 3 ]; do sleep 0.05; done");
    assert_eq!(std::fs::read_to_string(rw.join("log")).unwrap(), "1\n2\n2\n");
    let tried =
        world.run("box", "mount -o remount,rw /mnt/ro; echo x > /mnt/ro/file; touch /mnt/ro/new");
    assert!(!tried.status.success());
    assert_eq!(std::fs::read_to_string(ro.join("file")).unwrap(), "meanwhile");
    assert_eq!(std::fs::read_dir(&ro).unwrap().count(), 1);

    // What was open is not there any more: it boots, and says why.
    world.stop("box");
    std::fs::remove_file(rw.join("log")).unwrap();
    world.restore("box", "then");
    let said = world.start(&wanted);
    assert_eq!(said.count("boots: its memory"), 1, "{}", said.all());
    assert_eq!(world.ask("box", "cat /mnt/ro/file /mnt/rw/deep/x"), "meanwhilekept");
}

#[test]
fn two_machines_at_once_make_one_template_that_nobody_sees() {
    let mut bench = QemuBench::new(Guest::Light, Board::Microvm);
    bench.warm = true;
    let world = World { bench };
    let (said, steps) = Said::steps();
    let engine = world.bench.engine.clone();
    std::thread::scope(|scope| {
        for name in ["one", "two"] {
            let (engine, steps, wanted) = (&engine, &steps, world.bench.wanted(name));
            scope.spawn(move || {
                block(engine.create(&wanted, steps)).unwrap();
                block(engine.start(&wanted, steps)).unwrap();
            });
        }
    });
    assert_eq!(said.count("step: boot a template"), 1, "{}", said.all());
    assert_eq!(said.count("step: read its memory"), 2, "{}", said.all());
    let seen = block(world.engine().observe()).unwrap();
    assert_eq!(seen.iter().map(|seen| seen.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    for name in ["one", "two"] {
        assert_eq!(world.ask(name, "hostname"), name);
        assert_eq!(world.ask(name, "cat /etc/machine-id"), world.bench.wanted(name).id);
    }
    let hidden = || {
        let names = std::fs::read_dir(world.folder("")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".warm-")).collect::<Vec<_>>()
    };
    let sweep = || block(world.engine().sweep(&Steps::none())).unwrap();
    assert!(sweep().is_empty());
    let [name] = &hidden()[..] else { panic!("{:?}", hidden()) };
    assert!(block(world.engine().look(name)).unwrap().is_none());
    for name in ["one", "two"] {
        block(world.engine().destroy(name, &Steps::none())).unwrap();
    }
    // Its image counts as one that is in use.
    assert_eq!(world.bench.engine.bases().unwrap().len(), 1);
    assert!(sweep().is_empty());
    // Nobody used it for long.
    let used = world.folder(name).join("used.json");
    let old = SystemTime::now() - std::time::Duration::from_hours(31 * 24);
    std::fs::File::options().write(true).open(&used).unwrap().set_modified(old).unwrap();
    let swept = sweep();
    assert!(swept.iter().any(|line| line.contains("30 days")), "{swept:?}");
    assert!(hidden().is_empty());
    let disks = std::fs::read_dir(world.bench.place.data().join("disks")).unwrap();
    let left: Vec<_> = disks.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".lock"]);
}
