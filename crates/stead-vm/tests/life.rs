//! What a guest is made of, how it begins and ends.

mod common;

use common::{Boot, Guest, Kernel, MACHINES, Word, have};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use stead_vm::guest::config::{self, Config, Net, Persist, Share, ShareKind};
use stead_vm::line::spoken::Request;

fn down(mut guest: Guest) {
    guest.ask(&Request::Down);
    assert!(guest.wait_end(), "QEMU ends well");
}

/// A disk of `megabytes` with an empty file system.
fn disk(path: &Path, megabytes: u32) {
    let mut make = Command::new("/sbin/mke2fs");
    make.args(["-q", "-t", "ext4"]).arg(path).arg(format!("{megabytes}M"));
    assert!(make.status().expect("mke2fs").success(), "mke2fs");
}

#[test]
fn a_guest_shuts_down_and_its_disk_is_whole_and_keeps_what_was_written() {
    if !have(&[Kernel::Cloud]) {
        return;
    }
    for machine in MACHINES {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = folder.path().join("root.raw");
        fs::copy(common::root_image(), &disk).expect("a copy");
        let boot = || {
            let mut boot = Boot::new(machine);
            boot.disk = Some(disk.clone());
            boot.ready()
        };
        let guest = boot();
        // Somebody does not end when asked to, and has a file open.
        guest.sh("echo kept > /root/file; (trap '' TERM; exec sleep 1000 > /root/open 2>&1) & :");
        down(guest);
        let check = Command::new("/sbin/e2fsck").arg("-fn").arg(&disk).output().expect("e2fsck");
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(check.status.success(), "{said}");
        let guest = boot();
        assert_eq!(guest.sh("cat /root/file"), "kept\n");
    }
}

#[test]
fn a_guest_with_an_init_of_its_own_runs_it_and_finds_the_agent() {
    if !have(&[Kernel::Cloud]) {
        return;
    }
    let mut boot = Boot::new(MACHINES[1]);
    boot.config.guest = config::Guest::Full;
    let guest = boot.ready();
    assert_eq!(guest.sh("readlink /proc/1/exe; hostname"), "/bin/busybox\nguest\n");
    // There is no systemd to be asked: the agent does it.
    down(guest);
}

#[test]
fn a_guest_is_who_it_is_told_to_be() {
    if !have(&[Kernel::Cloud]) {
        return;
    }
    let mut boot = Boot::new(MACHINES[0]);
    boot.config.strip = true;
    boot.config.root.grow = true;
    boot.config.root.device = "serial:root".into();
    boot.config.authorized_keys =
        vec!["ssh-ed25519 AAAA one".into(), "ssh-ed25519 BBBB two".into()];
    boot.config.clock_ms = Some(2_000_000_000_000);
    boot.config.seed = Some("5a".repeat(64));
    let guest = boot.ready();
    assert_eq!(guest.sh("cat /etc/machine-id"), "0123456789abcdef0123456789abcdef\n");
    assert_eq!(guest.sh("cat /etc/hostname; hostname"), "guest\nguest\n");
    // A link in its place was not followed.
    assert!(guest.sh("cat /etc/passwd").starts_with("root:"));
    assert!(guest.sh("grep guest /etc/hosts").starts_with("127.0.1.1"));
    assert_eq!(guest.sh("ls /etc/ssh /var/lib"), "/etc/ssh:\n\n/var/lib:\n");
    assert_eq!(
        guest.sh("cat /root/.ssh/authorized_keys | wc -l; stat -c %a /root/.ssh/authorized_keys"),
        "2\n600\n"
    );
    let megabytes: u64 =
        guest.sh("df -m / | tail -n 1 | awk '{print $2}'").trim().parse().expect("a number");
    assert!(megabytes > 70, "{megabytes}");
    assert!(guest.sh("date +%s").trim().parse::<u64>().expect("a number") >= 2_000_000_000);
    assert_eq!(guest.sh("ls /run/stead/bin; stat -c %a /run/stead/config.json"), "stead-vm\n600\n");
    guest.sh("test -d /proc/1 -a -c /dev/pts/ptmx -a -w /dev/shm -a -w /tmp -a -f /sys/fs/cgroup/cgroup.procs");
    // The first root is gone, with its memory.
    assert_eq!(
        guest.sh("readlink /proc/1/exe; ls /init 2>/dev/null | wc -l"),
        "/run/stead/bin/stead-vm\n0\n"
    );

    let other = Config {
        hostname: "other".into(),
        machine_id: "f".repeat(32),
        clock_ms: Some(2_100_000_000_000),
        seed: Some("a5".repeat(64)),
        ..Config::default()
    };
    guest.ask(&Request::Identity { config: Box::new(other) });
    assert_eq!(
        guest.sh("hostname; cat /etc/hostname /etc/machine-id"),
        format!("other\nother\n{}\n", "f".repeat(32))
    );
    assert!(guest.sh("date +%s").trim().parse::<u64>().expect("a number") >= 2_100_000_000);
    down(guest);
}

#[test]
fn a_root_that_is_the_machines_own_already_keeps_its_sessions_keys_and_name() {
    if !have(&[Kernel::Cloud]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let disk = folder.path().join("root.raw");
    fs::copy(common::root_image(), &disk).expect("a copy");
    let boot = |id: &str| {
        let mut boot = Boot::new(MACHINES[0]);
        boot.disk = Some(disk.clone());
        boot.config.machine_id = id.into();
        boot.config.strip = true;
        boot.ready()
    };
    let (own, others) = ("1".repeat(32), "2".repeat(32));
    let guest = boot(&own);
    guest.sh("mkdir -p /var/lib/stead/sessions/one; echo key > /etc/ssh/ssh_host_rsa_key");
    guest.sh("echo named > /etc/hostname");
    down(guest);
    // Whoever starts it did not learn that it was started before.
    let guest = boot(&own);
    let look = "ls /etc/ssh /var/lib; hostname; cat /etc/hostname; grep -c named /etc/hosts";
    assert_eq!(
        guest.sh(look),
        "/etc/ssh:\nssh_host_rsa_key\n\n/var/lib:\nstead\nnamed\nnamed\n1\n"
    );
    down(guest);
    let guest = boot(&others);
    assert_eq!(guest.sh("ls /etc/ssh /var/lib; hostname"), "/etc/ssh:\n\n/var/lib:\nguest\n");
    // A name that the kernel would not take, or that would be two, is no name.
    guest.sh("echo 'two names' > /etc/hostname");
    down(guest);
    assert_eq!(boot(&others).sh("hostname; cat /etc/hostname"), "guest\nguest\n");
}

#[test]
fn a_root_in_memory_leaves_its_disk_as_it_was_but_folders_that_are_kept() {
    if !have(&[Kernel::Cloud]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (root, kept) = (folder.path().join("root.raw"), folder.path().join("kept.raw"));
    fs::copy(common::root_image(), &root).expect("a copy");
    disk(&kept, 32);
    let boot = || {
        let mut boot = Boot::new(MACHINES[1]);
        boot.disk = Some(root.clone());
        boot.config.root.memory = Some(64 << 20);
        let folders = vec!["/root".into(), "/var/log/deep".into()];
        boot.config.persist = Some(Persist { device: "serial:kept".into(), folders, grow: true });
        boot.extra = vec![
            "-drive".into(),
            format!("if=none,id=kept,format=raw,cache=unsafe,file={}", kept.display()),
            "-device".into(),
            "virtio-blk-DEV,drive=kept,serial=kept".into(),
        ];
        boot.ready()
    };
    let guest = boot();
    guest.sh("echo forgotten > /etc/new; echo kept > /root/new; echo kept > /var/log/deep/new");
    assert_eq!(guest.sh("stat -c %a /root; df -m / | tail -n 1 | awk '{print $2}'"), "700\n64\n");
    down(guest);
    assert!(
        fs::read(&root).expect("the disk") == fs::read(common::root_image()).expect("the disk")
    );
    let guest = boot();
    assert_eq!(
        guest.sh("cat /root/new /var/log/deep/new; ls /etc/new 2>/dev/null | wc -l"),
        "kept\nkept\n0\n"
    );
}

#[test]
fn shares_are_there_and_one_that_is_read_only_stays_so_after_a_remount() {
    if !have(&[Kernel::Generic]) {
        return;
    }
    for machine in MACHINES {
        let folder = tempfile::tempdir().expect("a folder");
        let mut boot = Boot::new(machine);
        boot.kernel = Kernel::Generic;
        for (name, writable) in [("ro", false), ("rw", true)] {
            let path = folder.path().join(name);
            fs::create_dir(&path).expect("a folder");
            fs::write(path.join("file"), name).expect("a file");
            let read_only = if writable { "off" } else { "on" };
            boot.extra.extend([
                "-fsdev".into(),
                format!(
                    "local,id={name},path={},security_model=none,readonly={read_only}",
                    path.display()
                ),
                "-device".into(),
                format!("virtio-9p-DEV,fsdev={name},mount_tag=tag-{name}"),
            ]);
            boot.config.shares.push(Share {
                tag: format!("tag-{name}"),
                at: format!("/mnt/host-{name}/deep").into(),
                kind: ShareKind::NineP,
                writable,
            });
        }
        let guest = boot.ready();
        assert_eq!(guest.sh("cat /mnt/host-ro/deep/file /mnt/host-rw/deep/file"), "rorw");
        guest.sh("echo new > /mnt/host-rw/deep/new");
        assert_eq!(fs::read(folder.path().join("rw/new")).expect("a file"), b"new\n");
        assert!(!guest.try_sh("echo x > /mnt/host-ro/deep/x").status.success());
        guest.try_sh("mount -o remount,rw /mnt/host-ro/deep");
        assert!(!guest.try_sh("echo x > /mnt/host-ro/deep/x").status.success());
        assert!(!folder.path().join("ro/x").exists());
    }
}

#[test]
fn a_guest_has_its_address_its_way_out_and_ports_of_its_host() {
    if !have(&[Kernel::Cloud]) {
        return;
    }
    for machine in MACHINES {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mut boot = Boot::new(machine);
        boot.extra = vec![
            "-netdev".into(),
            "user,id=net".into(),
            "-device".into(),
            "virtio-net-DEV,netdev=net,mac=52:54:00:12:34:9A".into(),
        ];
        let mac = Some("52:54:00:12:34:9a".into());
        boot.config.net = Some(Net {
            mac,
            interface: None,
            address: [10, 0, 2, 15].into(),
            prefix: 32,
            gateway: Some([10, 0, 2, 2].into()),
            name_servers: vec![[10, 0, 2, 3].into()],
        });
        boot.config.host_ports = vec![port];
        let guest = boot.ready();
        assert!(guest.sh("ip -o -4 addr show").contains("10.0.2.15/32"));
        assert_eq!(guest.sh("ip route | sort").lines().count(), 2);
        assert_eq!(guest.sh("cat /etc/resolv.conf"), "nameserver 10.0.2.3\n");
        guest.sh("ping -c 1 10.0.2.2");
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            client.write_all(b"of the host\n").expect("it reads");
            client.shutdown(std::net::Shutdown::Write).expect("the end");
            let mut said = String::new();
            client.read_to_string(&mut said).expect("what it says");
            said
        });
        assert_eq!(guest.sh(&format!("echo of the guest | nc 127.0.0.1 {port}")), "of the host\n");
        assert_eq!(server.join().expect("a server"), "of the guest\n");
    }
}

#[test]
fn a_guest_that_cannot_begin_says_why_and_ends() {
    if !have(&[Kernel::Cloud]) {
        return;
    }
    for machine in MACHINES {
        let mut boot = Boot::new(machine);
        boot.config.root.fstype = "nothing".into();
        let mut guest = boot.start();
        guest.until("the reason", |word| {
            matches!(word, Word::Console(line) if line.starts_with("stead: mounting /dev/vda (nothing)"))
        });
        guest.wait_end();
    }
}

#[test]
fn a_guest_that_is_restored_from_its_memory_becomes_another_while_it_runs() {
    if !have(&[Kernel::Cloud]) {
        return;
    }
    for machine in MACHINES {
        let folder = tempfile::tempdir().expect("a folder");
        let (disk, memory) = (folder.path().join("root.raw"), folder.path().join("memory"));
        fs::copy(common::root_image(), &disk).expect("a copy");
        let mut boot = Boot::new(machine);
        boot.disk = Some(disk.clone());
        let guest = boot.ready();
        guest.sh("setsid sleep 1000 >/dev/null 2>&1 & echo $! > /tmp/pid");
        // What is under way is cut short.
        let mut flood = guest.exec(&["cat", "/dev/zero"]).spawn().expect("stead-vm exec");
        flood.stdout.as_mut().expect("its output").read_exact(&mut [0]).expect("it floods");
        let file = format!("file:{}", memory.display());
        let out = format!("\"migrate\", \"arguments\": {{\"uri\": \"{file}\"}}");
        let events = "\"migrate-set-capabilities\", \"arguments\": {\"capabilities\": [{\"capability\": \"events\", \"state\": true}]}";
        guest.order(&[(events, None), ("\"stop\"", None), (&out, Some("completed"))]);
        drop(guest);
        // It may be waiting for somebody to read.
        drop(flood.stdout.take());
        flood.wait().expect("its end");

        let mut boot = Boot::new(machine);
        boot.disk = Some(disk);
        boot.extra = vec!["-incoming".into(), "defer".into()];
        let guest = boot.start();
        let back = format!("\"migrate-incoming\", \"arguments\": {{\"uri\": \"{file}\"}}");
        guest.order(&[(events, None), (&back, Some("completed")), ("\"cont\"", Some("RESUME"))]);
        guest.expect(&Word::Ready);
        let id = "e".repeat(32);
        let config = Config {
            hostname: "clone".into(),
            machine_id: id.clone(),
            clock_ms: Some(2_100_000_000_000),
            ..Config::default()
        };
        guest.ask(&Request::Identity { config: Box::new(config) });
        assert_eq!(guest.sh("hostname; cat /etc/machine-id"), format!("clone\n{id}\n"));
        guest.sh("kill -0 $(cat /tmp/pid)");
    }
}
