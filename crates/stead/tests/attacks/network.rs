//! The network from inside: this host, other machines, the metadata address, and names that are not allowed.

use crate::common::{World, kill_and_wait};
use crate::probe::{machine, probe};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// Attempts to connect, with a word for each.
pub const CONNECT: &str = r"
PATIENCE = 20
def connect(host, port, hello=None):
    s = socket.create_connection((host, port), PATIENCE)
    s.settimeout(PATIENCE)
    if hello is not None: s.sendall(hello)
    data = s.recv(4096)
    if not data: raise OSError(errno.ECONNRESET, 'closed')
    if hello is not None and data.startswith(b'HTTP/1.1 4'): raise OSError(errno.EACCES, 'refused')
    return data
";

#[test]
fn services_of_this_host_are_out_of_reach() {
    let world = World::new();
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"word-of-the-host");
        }
    });
    world.apply(&format!("[machines.a]\n[machines.open]\nhost_ports = [{port}]\n"));
    let own = Command::new("hostname")
        .arg("-I")
        .output()
        .map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    let mut places: Vec<String> =
        own.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    places.extend(
        [
            "127.0.0.1",
            "127.1.2.3",
            "0.0.0.0",
            "localhost",
            "::1",
            "::ffff:127.0.0.1",
            "10.90.0.1",
            "2130706433",
        ]
        .map(String::from),
    );
    if let Ok(name) = std::fs::read_to_string("/etc/hostname") {
        places.push(name.trim().to_owned());
    }
    let script = format!(
        "{CONNECT}\nfor place in {places:?}: attempt(place, lambda: connect(place, {port}))\n"
    );
    // The probe works where the port is given.
    probe(&world, "open", &script).worked("127.0.0.1");
    probe(&world, "a", &script).nothing_else_worked(&[]);
}

#[test]
fn sockets_of_the_host_that_have_no_path_are_out_of_reach() {
    let world = machine("");
    let name = format!("stead-test-abstract-{}", std::process::id());
    let script = format!(
        "def listen(name):\n\
         \x20   s = socket.socket(socket.AF_UNIX); s.bind('\\0' + name); s.listen(); return s\n\
         def reach(name):\n\
         \x20   socket.socket(socket.AF_UNIX).connect('\\0' + name)\n\
         own = listen('own'); attempt('own', lambda: reach('own'))\n\
         attempt('host', lambda: reach('{name}'))\n"
    );
    let mut host = Command::new("python3")
        .args(["-c", &format!("import socket\ns = socket.socket(socket.AF_UNIX); s.bind('\\0{name}'); s.listen(); print('ready', flush=True); input()")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let seen = std::fs::read_to_string("/proc/net/unix").unwrap();
    assert!(seen.contains(&name));
    let told = probe(&world, "a", &script);
    drop(host.stdin.take());
    host.wait().unwrap();
    told.worked("own");
    assert_eq!(told.get("host"), "ECONNREFUSED");
    assert!(!world.sh_ok("a", "cat /proc/net/unix").contains(&name));
}

/// An internet in a network namespace of its own, and the world's programs in the one beside it: every address answers
/// with the name it was asked for.
pub struct Internet(Vec<Child>);

const STAND_IN: &str = r"
import socket, struct, threading, sys
def serve(port):
    s = socket.create_server(('0.0.0.0', port), backlog=64)
    def one(c):
        try:
            c.recv(65536)
            c.sendall(('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nword' if port == 80 else 'word').encode())
            c.close()
        except OSError: pass
    while True:
        threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()
for port in [22, 80, 443, 853, 8080, 5432, 9999]: threading.Thread(target=serve, args=(port,), daemon=True).start()
def names():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('9.9.9.9', 53))
    while True:
        q, who = s.recvfrom(4096)
        i, labels = 12, []
        while q[i]: labels.append(q[i+1:i+1+q[i]].decode()); i += q[i] + 1
        kind = struct.unpack('>H', q[i+1:i+3])[0]
        name = '.'.join(labels).lower()
        inner = '169.254.169.254' if name.startswith('rebind') else '203.0.113.10'
        answer = b'\xc0\x0c' + struct.pack('>HHIH', 1, 1, 60, 4) + socket.inet_aton(inner) if kind == 1 else b''
        s.sendto(q[:2] + b'\x81\x80' + b'\0\1' + struct.pack('>H', 1 if answer else 0) + b'\0\0\0\0' + q[12:i+5] + answer, who)
threading.Thread(target=names, daemon=True).start()
print('serving', flush=True); sys.stdin.read()
";

impl Internet {
    /// `None` where this user may make none, which is printed.
    pub fn new(world: &mut World) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || Command::new("ip").arg("-V").output().is_err() {
            println!("SKIPPED: only root with the program ip can make an internet");
            return None;
        }
        let here = Self::space("ip link set lo up");
        let there = Self::space("ip link set lo up");
        let inside = |child: &Child, script: &str| {
            let status = Command::new("nsenter")
                .args(["--net", "--target", &child.id().to_string(), "sh", "-ec", script])
                .status()
                .unwrap();
            assert!(status.success(), "{script}");
        };
        inside(
            &here,
            &format!(
                "ip link add host0 type veth peer name inet0; ip addr add 192.0.2.1/24 dev host0; ip link set host0 up; ip link set inet0 netns {}",
                there.id()
            ),
        );
        inside(
            &there,
            "ip addr add 192.0.2.2/24 dev inet0; ip link set inet0 up; ip route add local 0.0.0.0/0 dev lo; ip route add 192.0.2.0/24 dev inet0 table local",
        );
        inside(&here, "ip route add default via 192.0.2.2");
        let mut server = Command::new("nsenter")
            .args(["--net", "--target", &there.id().to_string(), "python3", "-c", STAND_IN])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "serving\n", "the internet's stand-in does not run");
        world.run_within(["nsenter", "--net", "--target", &here.id().to_string()]);
        Some(Internet(vec![server, there, here]))
    }

    /// A process that keeps a network namespace.
    fn space(script: &str) -> Child {
        let mut keeper = Command::new("unshare")
            .args(["--net", "sh", "-ec", &format!("{script}; echo ready; exec cat")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "no network namespace can be made");
        keeper
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        for child in &mut self.0 {
            kill_and_wait(child.id() as i32, 9);
            let _ = child.wait();
        }
    }
}

/// What is tried of names and addresses: a plain request, a TLS hello with a server name.
pub const NAMES: &str = r"
import ssl
def http(at, host): return connect(at, 80, f'GET / HTTP/1.1\r\nHost: {host}\r\n\r\n'.encode())
def hello(name):
    inc, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
    o = c.wrap_bio(inc, out, server_hostname=name)
    try: o.do_handshake()
    except ssl.SSLWantReadError: pass
    return out.read()
def tls(at, name): return connect(at, 443, hello(name))
def dns(name): socket.getaddrinfo(name, 80, socket.AF_INET)
def tell_all(good, bad, raw):
    attempt('dns ' + good, lambda: dns(good))
    attempt('http ' + good, lambda: http(good, good))
    attempt('tls ' + good, lambda: tls(good, good))
    attempt('dns ' + bad, lambda: dns(bad))
    attempt('http ' + bad, lambda: http(bad, bad))
    attempt('host header', lambda: http(raw, bad))
    attempt('host header on an allowed name', lambda: http(good, bad))
    attempt('two hosts', lambda: connect(good, 80, f'GET / HTTP/1.1\r\nHost: {good}\r\nHost: {bad}\r\n\r\n'.encode()))
    attempt('absolute', lambda: connect(good, 80, f'GET http://{bad}/ HTTP/1.1\r\nHost: {good}\r\n\r\n'.encode()))
    attempt('CONNECT', lambda: connect(good, 80, f'CONNECT {bad}:443 HTTP/1.1\r\nHost: {good}\r\n\r\n'.encode()))
    attempt('sni', lambda: tls(raw, bad))
    attempt('sni on an allowed name', lambda: tls(good, bad))
    attempt('no sni', lambda: tls(raw, None))
    attempt('raw 443', lambda: connect(raw, 443, b'hello there'))
    attempt('raw 80', lambda: connect(raw, 80, b'hello there\r\n\r\n'))
    for port in [22, 853, 8080, 5432, 9999]:
        attempt(f'raw {port}', lambda: connect(raw, port, b'x'))
    for at in ['169.254.169.254', '100.100.100.200', '168.63.129.16', '192.0.2.1', '10.90.0.7']:
        attempt('closed ' + at, lambda: http(at, at))
        attempt('closed with an allowed name ' + at, lambda: http(at, good) if False else connect(at, 8080, b'x'))
    attempt('rebind', lambda: http('rebind.allowed.test', 'rebind.allowed.test'))
def flow(at, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.connect((at, port)); s.send(b'x'); s.recv(10)
attempt('datagram', lambda: flow('203.0.113.10', 443))
";

#[test]
fn only_allowed_names_are_reached() {
    let mut world = World::new();
    let Some(internet) = Internet::new(&mut world) else { return };
    world.apply(
        "[stead.defaults]\ndns = [\"9.9.9.9\"]\n[machines.a]\negress = { allow = [\"good.test\", \"*.allowed.test\"] }\n\
         [machines.free]\n[machines.none]\negress = \"none\"\n",
    );
    let script = format!("{CONNECT}{NAMES}\ntell_all('good.test', 'bad.test', '203.0.113.10')\n");
    // Where all is open, the same attempts succeed: the internet is there and the probe works.
    let free = probe(&world, "free", &script);
    for name in [
        "dns bad.test",
        "http bad.test",
        "host header",
        "sni",
        "raw 22",
        "raw 8080",
        "raw 443",
        "two hosts",
        "CONNECT",
    ] {
        free.worked(name);
    }
    for at in ["169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.2.1", "10.90.0.7"] {
        assert_ne!(free.get(&format!("closed {at}")), "ok", "{at} is open to everybody");
    }
    assert_ne!(free.get("rebind"), "ok");
    let good = ["dns good.test", "http good.test", "tls good.test"];
    let told = probe(&world, "a", &script);
    for name in good {
        told.worked(name);
    }
    told.nothing_else_worked(&good);
    probe(&world, "none", &script).nothing_else_worked(&[]);
    // The process that serves its network dies: nothing is open then.
    kill_and_wait(world.sandbox("a")["net"].as_i64().unwrap() as i32, 9);
    // Its packets go nowhere, so that nobody need be waited for.
    let few = format!(
        "{CONNECT}{NAMES}\nPATIENCE = 1\nfor at in ['203.0.113.10', '192.0.2.1', '127.0.0.1']:\n\
         \x20   attempt('http ' + at, lambda: http(at, 'good.test'))\n\
         \x20   attempt('tls ' + at, lambda: tls(at, 'good.test'))\n"
    );
    probe(&world, "a", &few).nothing_else_worked(&[]);
    assert!(world.machine("a")["notes"].to_string().contains("network has died"));
    drop(world);
    drop(internet);
}
