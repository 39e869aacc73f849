//! A machine that is started without Stead, by the script that says how.

mod common;

use common::{Place, images};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use stead_engines::qemu::{Guests, Programs, Qemu};
use stead_file::declared::{self, Accel, Board, Guest, Machine, Port, Share};
use stead_machine::model::{NewSnapshot, Wanted};
use stead_machine::{Engine, Steps};

fn engine(place: &Place) -> Qemu {
    let stead_engines::sandbox::Programs { sandbox, hold } = common::programs();
    let vm = sandbox.with_file_name("stead-vm");
    let programs = Programs { sandbox, hold, vm };
    let guests = Arc::new(Guests::new(&images(), &programs));
    Qemu::new(&place.data(), &place.run(), programs, guests)
}

/// A script that runs, and what it said.
struct Running {
    child: Child,
    typed: ChildStdin,
    /// What was not waited for yet, and what was waited for last.
    said: String,
    passed: String,
    more: Receiver<Vec<u8>>,
}

impl Running {
    fn start(script: &Path) -> Self {
        let mut child = Command::new("sh")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (typed, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, more) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut bytes) {
                let _ = tell.send(bytes[..count].to_vec());
            }
        });
        Running { child, typed, said: String::new(), passed: String::new(), more }
    }

    /// Waits for a text, and is past it then.
    fn wait_for(&mut self, text: &str) {
        loop {
            if let Some(at) = self.said.find(text) {
                self.passed = self.said.drain(..at + text.len()).collect();
                return;
            }
            let Ok(more) = self.more.recv() else { panic!("no {text:?} in:\n{}", self.said) };
            self.said.push_str(&String::from_utf8_lossy(&more));
        }
    }

    fn line(&mut self, line: &str) {
        writeln!(self.typed, "{line}").unwrap();
    }

    fn ends(&mut self) {
        while let Ok(more) = self.more.recv() {
            self.said.push_str(&String::from_utf8_lossy(&more));
        }
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.said);
    }
}

fn small(place: &Place, guest: Guest, board: Board, share: &Path, ports: Vec<Port>) -> Wanted {
    let share = |writable: bool, inside: &str| Share {
        host: share.to_owned(),
        inside: inside.into(),
        writable,
    };
    let machine = Machine {
        engine: "qemu".into(),
        image: "debian/12".into(),
        memory: Some(stead_file::size::Size(256 << 20)),
        cpus: Some(1000),
        shares: vec![share(false, "/mnt/host-ro/it's"), share(true, "/mnt/host-rw/it")],
        ports,
        qemu: declared::Qemu {
            guest,
            machine: Some(board),
            accel: Some(Accel::Tcg),
            ..declared::Qemu::default()
        }
        .into(),
        ..Machine::default()
    };
    place.wanted("alone", machine)
}

async fn boots_by_hand(guest: Guest, board: Board) {
    let off = if guest == Guest::Light { "kill -USR2 1" } else { "poweroff" };
    let place = Place::new();
    let engine = engine(&place);
    let shared = place.dir.path().join("it's, shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("here"), "from the host\n").unwrap();
    let own = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let (own_port, port) = (own.local_addr().unwrap().port(), free.local_addr().unwrap().port());
    drop(free);
    let wanted = small(
        &place,
        guest,
        board,
        &shared,
        vec![
            Port { host: port, inside: 8000, ..Port::default() },
            Port { host: own_port, inside: 3001, optional: true, ..Port::default() },
        ],
    );
    let remarks = engine.check(&wanted).await.unwrap();
    let ours = |text: &str| text.starts_with("ports") || text.starts_with("shares");
    assert!(!remarks.iter().any(|remark| remark.refused && ours(&remark.text)), "{remarks:?}");
    assert!(remarks.iter().any(|remark| remark.text.contains("left out")), "{remarks:?}");
    engine.create(&wanted, &Steps::none()).await.unwrap();
    let text = engine.start_script("alone").await.unwrap();
    for part in [
        "it's, shared is /mnt/host-ro/it's inside, only read",
        "it's, shared is /mnt/host-rw/it inside, read and written",
        &format!("127.0.0.1:{port} leads to 8000 inside"),
        &format!("{own_port} is taken by"),
        &format!("`{off}` inside ends it"),
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    let script = place.dir.path().join("start-alone.sh");
    std::fs::write(&script, &text).unwrap();
    let checked = Command::new("shellcheck").arg("-s").arg("sh").arg(&script).output();
    match checked {
        Ok(checked) => {
            let said = String::from_utf8_lossy(&checked.stdout);
            assert!(checked.status.success(), "{said}\n{text}");
        }
        Err(_) => println!("skipped: shellcheck is not there"),
    }

    let mut machine = Running::start(&script);
    machine.wait_for("root@alone");
    machine.line("echo $((6 * 7)) $(hostname) $(tty) $(cat /mnt/host-ro/*/here)");
    let terminal = "/dev/ttyS0";
    machine.wait_for(&format!("42 alone {terminal} from the host"));
    machine.line("echo inside > /mnt/host-rw/it/there; cd /mnt/host-ro/*; mount -o remount,rw .; touch no; echo done$?; cd /");
    machine.wait_for("done1");
    assert_eq!(std::fs::read_to_string(shared.join("there")).unwrap(), "inside\n");
    assert!(!shared.join("no").exists());
    // What listens on this computer's loopback is not reached.
    machine.line(&format!("(exec 3<>/dev/tcp/10.0.2.2/{own_port}); printf 'way%s\\n' =$?"));
    machine.wait_for("way=");
    machine.wait_for("\r\n");
    assert_eq!(machine.passed, "1\r\n");
    // What leads in does.
    machine.line("perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 8000, Listen => 1) or die; print \"li\".\"stens\\n\"; $c = $s->accept; print $c \"hello\\n\"'");
    machine.wait_for("listens");
    let mut heard = String::new();
    TcpStream::connect(("127.0.0.1", port)).unwrap().read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello\n");
    // Who leaves the shell gets another one.
    machine.line("echo kept > /root/kept; echo le''aves; exit");
    machine.wait_for("leaves");
    machine.wait_for("root@alone");
    machine.line("echo again $((7 * 9))");
    machine.wait_for("again 63");
    machine.line(off);
    machine.ends();
    assert_eq!(std::fs::read_dir(&shared).unwrap().count(), 2);

    if guest == Guest::Full {
        // What follows is the same for all.
        engine.destroy("alone", &Steps::none()).await.unwrap();
        return;
    }
    engine.snapshot("alone", &NewSnapshot::named("one"), &Steps::none()).await.unwrap();
    let late = Command::new("sh").arg(&script).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&late.stderr);
    assert!(!late.status.success() && said.contains("belongs to a snapshot"), "{said}");
    let text = engine.start_script("alone").await.unwrap();
    std::fs::write(&script, text).unwrap();
    let mut machine = Running::start(&script);
    machine.wait_for("root@alone");
    machine.line("cat /root/ke*");
    machine.wait_for("kept\r\n");
    machine.line(off);
    machine.ends();
    engine.destroy("alone", &Steps::none()).await.unwrap();
}

#[tokio::test]
async fn a_script_starts_a_microvm_without_stead() {
    boots_by_hand(Guest::Light, Board::Microvm).await;
}

#[tokio::test]
async fn a_script_starts_a_pc_without_stead() {
    boots_by_hand(Guest::Light, Board::Q35).await;
}

#[tokio::test]
async fn a_script_starts_a_full_guest_without_stead() {
    boots_by_hand(Guest::Full, Board::Q35).await;
}
