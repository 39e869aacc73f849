//! Ports that lead in and out, and machines that reach each other.

use crate::common::{PATIENCE, World, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

/// A server inside that says a word to whoever comes.
const SERVER: &str = "\
import socket, sys
s = socket.create_server((sys.argv[2], int(sys.argv[1])))
print('listening', flush=True)
while True:
    c = s.accept()[0]
    c.sendall(sys.argv[3].encode()); c.close()
";

/// Has a machine serve a word on a port.
pub fn serve(world: &World, machine: &str, port: u16, address: &str, says: &str) {
    let name = format!("server-{machine}-{port}");
    let port = port.to_string();
    let command = ["python3", "-c", SERVER, &port, address, says];
    let mut run = vec!["run", "-m", machine, "-d", "-n", &name, "--"];
    run.extend(command);
    world.ok(&run);
    world.ok(&["wait", &name, "--for", "listening", "--timeout", "30s"]);
}

/// Connects from inside; prints what is said.
pub fn ask(world: &World, machine: &str, address: &str, port: u16) -> String {
    let script = "\
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
    data = s.recv(100)
    print('said', data.decode()) if data else print('closed')
except OSError as e:
    print('error', type(e).__name__)
";
    let said =
        world.stead(&["exec", machine, "--", "python3", "-c", script, address, &port.to_string()]);
    assert_eq!(said.status, 0, "{said:?}");
    said.out.trim().to_owned()
}

fn hear(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    text
}

/// A port of the loopback that nobody has. Another may take it; nobody here does so by number.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn declared_ports_and_forwards_lead_inside() {
    let world = World::new();
    let outside = free_port();
    world.apply(&format!("[machines.a]\nports = [\"{outside}:8000\"]\n"));
    serve(&world, "a", 8000, "127.0.0.1", "word-of-a");
    assert_eq!(hear(outside), "word-of-a");

    let mut forward = world
        .stead_command()
        .args(["forward", "a", "0:8000", "0:9000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(forward.stdout.take().unwrap()).lines();
    let mut port = || -> u16 {
        let line = lines.next().unwrap().unwrap();
        let at = line.split(" -> ").next().unwrap();
        at.rsplit(':').next().unwrap().parse().unwrap()
    };
    let (good, empty) = (port(), port());
    assert_eq!(hear(good), "word-of-a");
    assert_eq!(hear(empty), "");
    // The steward is not in the way.
    world.kill_steward();
    assert_eq!(hear(good), "word-of-a");
    forward.kill().unwrap();
    forward.wait().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", good)).is_err());
    world.ok(&["down", "a"]);
    assert!(TcpStream::connect(("127.0.0.1", outside)).is_err());
    let said = world.stead(&["forward", "a", "0:8000"]);
    assert!(said.status == 1 && said.err.contains("stead up a"), "{said:?}");
}

#[test]
fn host_ports_lead_out_and_no_other_does() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let closed = other.local_addr().unwrap().port();
    for listener in [listener, other] {
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.write_all(b"word-of-the-host");
            }
        });
    }
    world.apply(&format!("[machines.a]\nhost_ports = [{port}]\negress = \"none\"\n"));
    assert_eq!(ask(&world, "a", "127.0.0.1", port), "said word-of-the-host");
    assert_eq!(ask(&world, "a", "127.0.0.1", closed), "error ConnectionRefusedError");
    // The other is there, for the host.
    assert_eq!(hear(closed), "word-of-the-host");
}

#[test]
fn machines_reach_each_other_by_name_only_as_declared() {
    let world = World::new();
    world.apply(
        "[networks.lab]\npeers = true\n[networks.apart]\n\
         [machines.a]\nnetwork = \"lab\"\n[machines.b]\nnetwork = \"lab\"\n\
         [machines.c]\nnetwork = \"apart\"\n[machines.d]\nnetwork = \"apart\"\n[machines.e]\n",
    );
    for name in ["a", "b", "d", "e"] {
        serve(&world, name, 8000, "0.0.0.0", &format!("word-of-{name}"));
    }
    assert_eq!(ask(&world, "a", "b", 8000), "said word-of-b");
    assert_eq!(ask(&world, "b", "a.stead", 8000), "said word-of-a");
    let address = |name: &str| world.machine(name)["address"].as_str().unwrap().to_owned();
    assert_eq!(ask(&world, "a", &address("b"), 8000), "said word-of-b");
    for (from, to) in [("c", "d"), ("c", "a"), ("a", "d"), ("a", "e"), ("e", "a")] {
        for place in [to.to_owned(), address(to)] {
            let said = ask(&world, from, &place, 8000);
            assert!(!said.starts_with("said"), "{from} reached {to} at {place}: {said}");
        }
    }
    // A peer that is made anew is found again.
    world.ok(&["restart", "-m", "b"]);
    until("b serves again", || (ask(&world, "a", "b", 8000) == "said word-of-b").then_some(()));
}
