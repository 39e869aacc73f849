//! What the network of a virtual machine is for: ports that lead in, by its address or its agent, and out.

use super::service::{line, service};
use super::world::{HOST, Who, World, connect, guests, net, refused, says, world};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;
use stead_box::net::client;
use stead_box::spec::Tap;
use stead_file::declared::{Egress, Port};

/// An agent that finds port 8081 only, and says so along with its answer.
fn agent(world: &World) -> PathBuf {
    let path = world.folder.path().join("agent");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("bound");
    // An ordinary user's machine has an agent of that user's.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).expect("its mode");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = String::new();
            let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
            reader.read_line(&mut asked).expect("asked");
            if asked == "{\"ask\":\"connect\",\"port\":8081}\n" {
                let _ = stream.write_all(b"{}\nby the agent\n");
                let mut heard = [0; 4];
                if reader.read_exact(&mut heard).is_ok() {
                    let _ = stream.write_all(&heard);
                }
            } else {
                let _ = stream.write_all(b"{\"error\":\"nothing listens there\"}\n");
            }
        }
    });
    path
}

#[test]
fn ports_lead_to_the_machines_address_or_to_its_agent() {
    let Some(world) = world() else { return };
    for who in guests() {
        let mut declared = net(Egress::None);
        let port = |host, inside| Port { host, inside, ..Port::default() };
        declared.ports = vec![port(18080, 8080), port(18081, 8081), port(18082, 8082)];
        declared.host_ports = vec![8000];
        declared.agent = Some(agent(&world));
        let machine = world.sandbox(who, "box", declared.clone());
        machine.inside(|| {
            service("10.90.0.2:8080");
            // What only the agent can see.
            service("127.0.0.1:8081");
            assert_eq!(
                says("10.90.255.254:8000", b"x").expect("the host's"),
                "I am 127.0.0.1:8000"
            );
            // A port that it may not use, and one of the host that nobody shares.
            refused("10.90.255.254:80", b"x");
            refused("10.90.255.254:443", b"x");
            refused(&format!("{HOST}:8000"), b"x");
        });
        assert!(!world.seen.reached("127.0.0.1:80") && !world.seen.reached("127.0.0.1:443"));
        assert_eq!(line(connect("127.0.0.1:18080").expect("connected")), "inside");
        let mut by_agent = connect("127.0.0.1:18081").expect("connected");
        by_agent.write_all(b"well").expect("sent");
        let mut said = [0; 17];
        by_agent.read_exact(&mut said).expect("said");
        assert_eq!(&said, b"by the agent\nwell");
        let nothing = connect("127.0.0.1:18082").and_then(|mut stream| stream.read(&mut [0]));
        assert!(matches!(nothing, Ok(0) | Err(_)));
        let connection = client::connect(&machine.socket(), 8080).expect("a connection");
        assert_eq!(line(TcpStream::from(connection)), "inside");
        let connection = client::connect(&machine.socket(), 8081).expect("a connection");
        let mut connection = std::os::unix::net::UnixStream::from(connection);
        connection.write_all(b"well").expect("sent");
        connection.read_exact(&mut said).expect("said");
        assert_eq!(&said, b"by the agent\nwell");
        let error = client::connect(&machine.socket(), 8082).expect_err("nothing there");
        assert_eq!(error.to_string(), "nothing listens on port 8082 in box");

        // Other rules: the host's port goes. What it was started with stays, whatever they say.
        declared.host_ports = vec![];
        declared.agent = None;
        declared.tap = Some(Tap::default());
        client::set_rules(&machine.socket(), &declared).expect("other rules");
        machine.inside(|| refused("10.90.255.254:8000", b"x"));
        client::connect(&machine.socket(), 8081).expect("its agent");
        declared.host_ports = vec![8000];
        client::set_rules(&machine.socket(), &declared).expect("other rules");
        machine.inside(|| {
            assert_eq!(
                says("10.90.255.254:8000", b"x").expect("the host's"),
                "I am 127.0.0.1:8000"
            );
        });
        declared.tap = None;
        client::set_rules(&machine.socket(), &declared).expect("other rules");
        client::connect(&machine.socket(), 8081).expect("it is a machine as before");
        machine.end();
    }
}

/// A guest whose own rules throw away what comes must not hide what its agent reaches.
#[test]
fn an_address_that_is_silent_leaves_time_for_the_agent() {
    let Some(world) = world() else { return };
    for who in guests() {
        let mut declared = net(Egress::None);
        declared.ports = vec![Port { host: 18081, inside: 8081, ..Port::default() }];
        declared.agent = Some(agent(&world));
        let machine = world.sandbox(who, "box", declared);
        machine.inside(|| {
            let done = std::process::Command::new("ip")
                .args([
                    "route",
                    "add",
                    "blackhole",
                    "10.90.255.254/32",
                    "metric",
                    "0",
                    "table",
                    "local",
                ])
                .status();
            assert!(done.is_ok_and(|status| status.success()));
        });
        assert_eq!(line(connect("127.0.0.1:18081").expect("connected")), "by the agent");
        let connection = client::connect(&machine.socket(), 8081).expect("a connection");
        assert_eq!(line(std::os::unix::net::UnixStream::from(connection)), "by the agent");
        machine.end();
    }
}

#[test]
fn big_datagrams_arrive_whole_both_ways() {
    let Some(world) = world() else { return };
    for who in guests() {
        let machine = world.sandbox(who, "box", net(Egress::Open));
        machine.inside(|| {
            for len in [0usize, 1, 1471, 1472, 1473, 1480, 1481, 4000, 30_000, 65_000] {
                let socket = UdpSocket::bind("0.0.0.0:0").expect("bound");
                socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
                socket.connect("203.0.113.10:9999").expect("connected");
                let sent: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
                socket.send(&sent).expect("sent");
                let mut buffer = vec![0; 70_000];
                let came = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("{len}: {e}"));
                assert!(buffer[..came] == sent, "{len} bytes came back as {came}");
            }
        });
        machine.end();
    }
}

#[test]
fn a_machine_and_a_sandbox_are_peers_of_each_other() {
    let Some(world) = world() else { return };
    for who in guests() {
        let mut first = net(Egress::None);
        first.peers = [world.peer("second", 3)].into();
        let mut second = net(Egress::None);
        second.address = Ipv4Addr::new(10, 90, 0, 3);
        second.peers = [world.peer("first", 2)].into();
        let mut third = net(Egress::Open);
        third.address = Ipv4Addr::new(10, 90, 0, 4);
        let user = if who == Who::Guest { Who::Root } else { Who::User };
        let machine = world.sandbox(who, "first", first);
        let second = world.sandbox(user, "second", second);
        let third = world.sandbox(who, "third", third);
        machine.inside(|| service("0.0.0.0:5432"));
        second.inside(|| service("0.0.0.0:5432"));
        third.inside(|| service("0.0.0.0:5432"));
        let reaches = |to: &str| line(connect(to).expect("connected"));
        machine.inside(|| assert_eq!(reaches("10.90.0.3:5432"), "inside"));
        second.inside(|| assert_eq!(reaches("10.90.0.2:5432"), "inside"));
        machine.inside(|| refused("10.90.0.4:5432", b"x"));
        third.inside(|| {
            refused("10.90.0.2:5432", b"x");
            refused("10.90.0.3:5432", b"x");
        });
        second.end();
        machine.inside(|| {
            let error = connect("10.90.0.3:5432").and_then(|mut s| s.read(&mut [0]));
            assert!(
                !matches!(error, Ok(1..))
                    || error.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset)
            );
        });
    }
}
