//! Virtual machines attacked by root in their guests: the network as from a sandbox, and with frames of one's own making;
//! folders that are shared; the machine's line.
//!
//! Hosts that hand bridged frames to their packet filter (`bridge-nf-call-iptables`) make other programs' isolation look
//! better than it is. Here that makes no difference: there is no bridge, and whatever a guest sends ends in a process.

use crate::common::World;
use crate::common::vms::{Served, light};
use crate::network::{CONNECT, Internet, NAMES};
use crate::probe::probe;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::{Child, Stdio};

/// Answers on one port, wherever it is run.
const WORD: &str = r"
import socket, sys
s = socket.create_server(('0.0.0.0', int(sys.argv[1])))
print('listens', flush=True)
while True:
    c, _ = s.accept()
    c.sendall(b'word')
    c.close()
";

/// The first segment of a TCP connection in a frame of one's own, and whether anybody answers it.
const FRAMES: &str = r"
own = socket.inet_aton(ADDRESS)
def checksum(data):
    data += b'\0' * (len(data) % 2)
    total = sum(struct.unpack('>%dH' % (len(data) // 2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def hardware(): return bytes.fromhex(open('/sys/class/net/eth0/address').read().strip().replace(':', ''))
def gateway():
    # Whoever answers for the gateway is asked by a packet that need not arrive.
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
    try: s.connect(('203.0.113.10', 9)); s.send(b'x')
    except OSError: pass
    import time
    for _ in range(50):
        for line in open('/proc/net/arp').readlines()[1:]:
            mac = line.split()[3]
            if mac != '00:00:00:00:00:00': return bytes.fromhex(mac.replace(':', ''))
        time.sleep(0.1)
    return b'\xff' * 6
GATEWAY = gateway()
def syn(source, target, port, ours):
    here, there = socket.inet_aton(source), socket.inet_aton(target)
    tcp = struct.pack('>HHIIBBHHH', ours, port, 1000, 0, 5 << 4, 2, 64240, 0, 0)
    pseudo = here + there + struct.pack('>BBH', 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack('>H', checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + here + there
    return ip[:10] + struct.pack('>H', checksum(ip)) + ip[12:] + tcp
def asked(source, target, port, ours, patience=3, mac=None):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); s.bind(('eth0', 0)); s.settimeout(patience)
    s.send(GATEWAY + (mac or hardware()) + b'\x08\x00' + syn(source, target, port, ours))
    while True:
        frame, about = s.recvfrom(2000)
        if about[2] == 4 or len(frame) < 54 or frame[12:14] != b'\x08\x00': continue
        ip = frame[14:]; tcp = ip[(ip[0] & 15) * 4:]
        if struct.unpack('>H', tcp[2:4])[0] == ours and tcp[13] & 18 == 18: return
";

/// What begins a TLS connection, where Python has no TLS of its own.
const HELLO: &str = r"
def hello(name):
    inner = b''
    if name is not None:
        entry = b'\0' + struct.pack('>H', len(name)) + name.encode()
        listed = struct.pack('>H', len(entry)) + entry
        inner = struct.pack('>HH', 0, len(listed)) + listed
    body = b'\x03\x03' + bytes(32) + b'\0' + b'\0\x02\x13\x01' + b'\x01\0' + struct.pack('>H', len(inner)) + inner
    message = b'\x01' + struct.pack('>I', len(body))[1:] + body
    return b'\x16\x03\x01' + struct.pack('>H', len(message)) + message
";

fn python(world: &World, within: &[&str], port: u16) -> Child {
    let mut command = world.program(within[0]);
    command.args(&within[1..]).args(["-c", WORD, &port.to_string()]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "listens\n", "{within:?}");
    child
}

#[test]
fn root_in_a_guest_reaches_what_its_machine_may_and_nothing_else() {
    let mut world = World::of_vms();
    let Some(internet) = Internet::new(&mut world) else { return };
    world.apply(&format!(
        "[stead.defaults]\ndns = [\"9.9.9.9\"]\n{}{}[machines.s]\n[machines.p]\nnetwork = \"together\"\n\
         [networks.together]\npeers = true\negress = {{ allow = [\"good.test\", \"*.allowed.test\"] }}\n",
        light("a", "network = \"together\""),
        light("free", "host_ports = [7001]"),
    ));
    // On this host, in a sandbox that is a stranger, and in one that is a peer of `a`.
    let host = python(&world, &["python3"], 7001);
    let stead = world.programs().join("stead").to_str().unwrap().to_owned();
    let inside = |machine: &'static str| {
        [stead.clone(), "exec".into(), machine.into(), "--".into(), "python3".into()]
    };
    let listens = |machine| {
        let words = inside(machine);
        python(&world, &words.each_ref().map(String::as_str), 7002)
    };
    let others = [listens("s"), listens("p"), listens("free")];
    let address = |machine: &str| world.machine(machine)["address"].as_str().unwrap().to_owned();
    let (own, free, stranger, peer) = (address("a"), address("free"), address("s"), address("p"));

    let names = NAMES.replace("import ssl\n", "");
    let names =
        format!("{CONNECT}{names}{HELLO}\ntell_all('good.test', 'bad.test', '203.0.113.10')\n");
    let told = probe(&world, "free", &names);
    for name in ["dns bad.test", "http bad.test", "host header", "sni", "raw 22", "raw 8080"] {
        told.worked(name);
    }
    for at in ["169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.2.1", "10.90.0.7"] {
        assert_ne!(told.get(&format!("closed {at}")), "ok", "{at} is open to everybody");
    }
    let good = ["dns good.test", "http good.test", "tls good.test"];
    let told = probe(&world, "a", &names);
    for name in good {
        told.worked(name);
    }
    told.nothing_else_worked(&good);

    // This host by each of its addresses, the gateway, others' machines.
    let places = [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "localhost",
        "::1",
        "192.0.2.1",
        "10.90.255.254",
        "::ffff:192.0.2.1",
        "fe80::1%eth0",
        "2001:db8::1",
        "ff02::1%eth0",
    ];
    let script = format!(
        "{CONNECT}\nPATIENCE = 5\nfor place in {places:?}:\n\
         \x20   for port in [7001, 22, 53, 80]: attempt(f'{{place}} {{port}}', lambda: connect(place, port, b'x'))\n\
         for place in ['{stranger}', '{free}', '{own}', '{peer}']: attempt(place, lambda: connect(place, 7002))\n\
         attempt('stranger', lambda: connect('s', 7002))\nattempt('peer', lambda: connect('p', 7002))\n"
    );
    let told = probe(&world, "a", &script);
    told.worked("peer");
    told.nothing_else_worked(&["peer", &peer]);
    let told = probe(&world, "free", &script);
    told.worked("127.0.0.1 7001");
    // What was given to it: on its loopback, and so at the gateway, which leads there.
    told.nothing_else_worked(&[
        &free,
        "127.0.0.1 7001",
        "localhost 7001",
        "127.1.2.3 7001",
        "0.0.0.0 7001",
        "10.90.255.254 7001",
    ]);

    // Frames of its own making: its own address is answered, another's is not, whatever its card says.
    for (machine, own) in [("a", &own), ("free", &free)] {
        let script = format!(
            "ADDRESS = '{own}'\n{FRAMES}\n\
             attempt('own', lambda: asked('{own}', '203.0.113.10', 443, 40001, 20))\n\
             for n, source in enumerate(['{peer}', '{stranger}', '192.0.2.1', '127.0.0.1', '203.0.113.10', '0.0.0.0', '10.90.255.254']):\n\
             \x20   attempt('spoofed ' + source, lambda: asked(source, '203.0.113.10', 443, 41000 + n))\n"
        );
        let told = probe(&world, machine, &script);
        told.worked("own");
        told.nothing_else_worked(&["own"]);
    }
    for mut child in [host].into_iter().chain(others) {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    drop(world);
    drop(internet);
}

#[test]
fn shares_are_what_they_were_given_as_whatever_root_in_a_guest_does() {
    hold(Served::NineP);
}

#[test]
fn shares_by_virtiofs_are_what_they_were_given_as_whatever_root_in_a_guest_does() {
    hold(Served::Virtiofs);
}

fn hold(served: Served) {
    let Some(path) = served.path() else { return };
    let mut world = World::of_vms();
    world.set_variable("PATH", path);
    let (ro, rw) = (world.shared_folder("papers"), world.shared_folder("work"));
    let secret = world.path().join("secret");
    std::fs::write(&secret, "secret-of-the-host").unwrap();
    for folder in [&ro, &rw] {
        std::fs::write(folder.join("file"), "as it was").unwrap();
        std::os::unix::fs::symlink(&secret, folder.join("out")).unwrap();
        std::os::unix::fs::symlink("../../secret", folder.join("up")).unwrap();
        std::os::unix::fs::symlink("/proc/1/root", folder.join("root")).unwrap();
    }
    world.apply(&light("a", "shares = [\"work\", \"papers:ro\"]"));
    // What may be done, and where it is.
    world.sh_ok("a", "cd /mnt/host-rw/work && test \"$(cat file)\" = 'as it was' && echo new > made && mkdir d && mv made d/x && ln -s x d/l && sync");
    assert_eq!(std::fs::read_to_string(rw.join("d/x")).unwrap(), "new\n");
    std::fs::write(rw.join("from-here"), "seen").unwrap();
    assert_eq!(
        world.sh_ok("a", "cat /mnt/host-rw/work/from-here /mnt/host-ro/papers/file"),
        "seenas it was"
    );

    let kind = world.sh_ok("a", "grep -c ' /mnt/host-.* ' /proc/mounts; awk '$2 ~ \"^/mnt/host-\" { print $3 }' /proc/mounts | uniq");
    assert!(kind.ends_with(&format!("2\n{}\n", served.mounted())), "{kind}");
    let tag = world.sh_ok("a", "awk '$2 == \"/mnt/host-ro/papers\" { print $1 }' /proc/mounts");
    let tag = tag.trim();
    let writes = "echo x > $1/file; echo x > $1/new; rm -f $1/file; mv $1/file $1/other; chmod 4777 $1/file; \
        chown 65534 $1/file; mkdir $1/d; ln -s x $1/l; mknod $1/n p; truncate -s 0 $1/file; touch -d 2000-01-01 $1/file; \
        setfattr -n user.x -v y $1/file; python3 -c 'import sys, os; os.link(sys.argv[1]+\"/file\", sys.argv[1]+\"/hard\")' $1";
    let script = format!(
        "set -- /mnt/host-ro/papers; ({writes}) 2>/dev/null; mount -o remount,rw $1; ({writes}) 2>/dev/null\n\
         umount $1; mkdir -p /again && {{ mount -t 9p -o rw,trans=virtio,version=9p2000.L {tag} /again || mount -t virtiofs -o rw {tag} /again; }}\n\
         set -- /again; ({writes}) 2>/dev/null; mount --bind -o rw /again /srv; set -- /srv; ({writes}) 2>/dev/null\n\
         grep -c '^{tag} .* rw,' /proc/mounts"
    );
    let said = world.sh("a", &script);
    // It could be mounted so, and it is of no use.
    assert!(said.out.trim().parse::<u32>().is_ok_and(|mounts| mounts >= 1), "{said:?}");
    assert_eq!(std::fs::read_to_string(ro.join("file")).unwrap(), "as it was");
    assert_eq!(std::fs::read_dir(&ro).unwrap().count(), 4);
    let about = std::fs::metadata(ro.join("file")).unwrap();
    assert_eq!((about.mode() & 0o7777, about.nlink()), (0o644, 1));
    assert!(about.mtime() > 1_000_000_000);

    // No link leads to this host, neither one that was there nor one that is made inside.
    let told = world.sh("a", &format!(
        "cd /mnt/host-rw/work; ln -s {0} made; ln -s ../../../../../../../../..{0} far; \
         for f in out up made far root{0} ../secret ../../secret ../../../../../../..{0}; do cat ./$f; done; \
         cd /again; cat out up root{0} ../../secret", secret.display()));
    assert!(!told.out.contains("secret-of"), "{told:?}");
    assert!(world.sh("a", "ls /mnt/host-rw/work/..").out.trim() == "work");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret-of-the-host");

    // Programs that change who one is, and devices, are no such things for anybody outside.
    world.sh("a", "cp /usr/bin/id /mnt/host-rw/work/id; chmod 4755 /mnt/host-rw/work/id; mknod /mnt/host-rw/work/disk b 254 0; mknod /mnt/host-rw/work/mem c 1 1");
    for name in ["disk", "mem"] {
        let there = std::fs::symlink_metadata(rw.join(name));
        assert!(
            there.is_ok_and(|there| {
                !there.file_type().is_block_device() && !there.file_type().is_char_device()
            }) || !rw.join(name).exists()
        );
    }
    // Whoever writes to such a program takes that away from it.
    world.sh_ok("a", "cd /mnt/host-rw/work; chmod 4777 id; setpriv --reuid=65534 --clear-groups sh -c 'echo x >> id'");
    let mode = std::fs::metadata(rw.join("id")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o777, "{mode:o}");
    let owner = std::fs::metadata(&rw).unwrap().uid();
    assert_eq!(
        std::fs::metadata(rw.join("id")).unwrap().uid(),
        owner,
        "it is another's than the folder"
    );

    // The machine's line and its console are root's.
    let closed = "for f in /dev/vport*p* /dev/ttyS0; do setpriv --reuid=65534 --clear-groups sh -c \"exec 3<>$f\" 2>/dev/null && echo open $f; done; \
        ls /dev/vport*p* | wc -l";
    assert_eq!(world.sh_ok("a", closed), "1\n");
    // Root may try: the line is taken, and what else it does to its own agent harms nobody but itself.
    let said =
        world.sh("a", "for f in /dev/vport*p*; do (echo '{\"garbage\": true}' > $f) 2>&1; done");
    assert!(said.out.contains("busy"), "{said:?}");
    assert_eq!(world.sh_ok("a", "echo well"), "well\n");
}
