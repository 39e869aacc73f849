//! What the network of a sandbox is for: bytes that arrive, whole and fast, both ways, and an end without traces.

use super::internet::{SINK, SOURCE};
use super::names::{A, ask};
use super::world::{Who, World, allow, connect, everybody, guests, net, refused, says, world};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use stead_box::net::client;
use stead_file::declared::{Egress, Port};

const WHO: [Who; 2] = [Who::Root, Who::User];

/// Of 64 KiB: a hundred megabytes.
const BLOCKS: u64 = 1600;

fn block() -> Vec<u8> {
    (0..65536u32).map(|n| (n % 251) as u8).collect()
}

fn sum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()))
}

/// The process' memory that nobody shares, in KiB.
fn private(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("its memory");
    text.lines()
        // Not of the program itself, which is shared as long as another sandbox is there.
        .filter(|line| line.starts_with("Private_Dirty"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}

#[test]
fn a_hundred_megabytes_arrive_whole_both_ways() {
    let Some(world) = world() else { return };
    for who in [Who::Root].into_iter().chain(guests()) {
        a_hundred_megabytes(&world, who);
    }
}

fn a_hundred_megabytes(world: &World, who: Who) {
    let sandbox = world.sandbox(who, "box", net(Egress::Open));
    let begun = std::time::Instant::now();
    sandbox.inside(|| {
        let mut stream = connect(&format!("203.0.113.10:{SINK}")).expect("connected");
        let mut expected = 0;
        for _ in 0..BLOCKS {
            stream.write_all(&block()).expect("sent");
            expected = sum(expected, &block());
        }
        // Half of the connection ends; the answer comes on the other.
        stream.shutdown(Shutdown::Write).expect("half closed");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("the answer");
        assert_eq!(line, format!("{} {expected}\n", BLOCKS * 65536));

        let mut stream = connect(&format!("203.0.113.10:{SOURCE}")).expect("connected");
        stream.write_all(&(BLOCKS * 65536).to_be_bytes()).expect("asked");
        let (mut found, mut buffer) = (0, block());
        for _ in 0..BLOCKS {
            stream.read_exact(&mut buffer).expect("a block");
            found = sum(found, &buffer);
        }
        assert_eq!(found, expected);
        assert_eq!(stream.read(&mut buffer).expect("the end"), 0);
    });
    println!("{who:?}: two hundred megabytes in {:?}", begun.elapsed());
    let stats = client::stats(&sandbox.socket()).expect("stats");
    assert!(stats.up >= BLOCKS * 65536 && stats.down >= BLOCKS * 65536, "{stats:?}");
}

#[test]
fn five_hundred_connections_at_once_each_get_their_own() {
    let Some(world) = world() else { return };
    world.seen.name("good.test", &["203.0.113.10"]);
    for who in everybody() {
        let sandbox = world.sandbox(who, "box", net(allow(&["good.test", "203.0.113.0/24:8080"])));
        sandbox.inside(|| {
            let mut all: Vec<TcpStream> = (0..500)
                .map(|n| connect(&format!("203.0.113.{}:8080", n % 250 + 1)).expect("connected"))
                .collect();
            for (n, stream) in all.iter_mut().enumerate() {
                writeln!(stream, "number {n}").expect("sent");
            }
            for (n, stream) in all.iter().enumerate() {
                let mut lines = BufReader::new(stream).lines();
                let mut line = || lines.next().expect("a line").expect("read");
                assert_eq!(line(), format!("I am 203.0.113.{}:8080", n % 250 + 1));
                assert_eq!(line(), format!("number {n}"));
            }
            let open = client::stats(&sandbox.socket()).expect("stats").connections;
            assert_eq!(open, 500);
        });
        sandbox.end();
    }
}

#[test]
fn a_reader_that_does_not_read_costs_nothing() {
    let Some(world) = world() else { return };
    let sandbox = world.sandbox(Who::Root, "box", net(Egress::Open));
    let pid = sandbox.child.id();
    let before = private(pid);
    sandbox.inside(|| {
        let mut all: Vec<TcpStream> = Vec::new();
        for _ in 0..50 {
            let mut stream = connect(&format!("203.0.113.10:{SOURCE}")).expect("connected");
            stream.write_all(&(1u64 << 30).to_be_bytes()).expect("asked");
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("it began");
            all.push(stream);
        }
        let after = private(pid);
        println!("private memory: {before} KiB, with 50 readers that do not read {after} KiB");
        assert!(after < before + 512, "{before} KiB grew to {after}");
        // One that reads is not held up by those that do not.
        assert_eq!(says("203.0.113.10:22", b"x").expect("served"), "I am 203.0.113.10:22");
    });
    sandbox.end();
}

/// A service inside that says where it is.
pub fn service(at: &str) {
    let listener = TcpListener::bind(at).expect("bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = writeln!(stream, "inside");
        }
    });
}

pub fn line(stream: impl Read) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

#[test]
fn ports_lead_in_and_out() {
    let Some(world) = world() else { return };
    for who in WHO {
        let mut declared = net(Egress::None);
        let port = |host, inside| Port { host, inside, ..Port::default() };
        declared.ports = vec![port(18080, 8080), port(18081, 8081), port(18082, 8082)];
        declared.host_ports = vec![8000];
        let sandbox = world.sandbox(who, "box", declared.clone());
        sandbox.inside(|| {
            service("127.0.0.1:8080");
            service("10.90.0.2:8081");
            // The host's loopback as its own, and itself by its own address.
            assert_eq!(says("127.0.0.1:8000", b"x").expect("the host's"), "I am 127.0.0.1:8000");
            assert_eq!(line(connect("10.90.0.2:8081").expect("connected")), "inside");
        });
        assert_eq!(line(connect("127.0.0.1:18080").expect("connected")), "inside");
        assert_eq!(line(connect("127.0.0.1:18081").expect("connected")), "inside");
        // Nothing listens at 8082: closed, not hanging.
        let nothing = connect("127.0.0.1:18082").and_then(|mut stream| stream.read(&mut [0]));
        assert!(matches!(nothing, Ok(0) | Err(_)));
        let connection = client::connect(&sandbox.socket(), 8080).expect("a connection");
        assert_eq!(line(TcpStream::from(connection)), "inside");
        let error = client::connect(&sandbox.socket(), 8082).expect_err("nothing there");
        assert_eq!(error.to_string(), "nothing listens on port 8082 in box");
        let mode = fs::metadata(sandbox.socket()).expect("the socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let error = world.try_sandbox(who, "other", declared).err().expect("the port is taken");
        assert_eq!(
            error,
            "port 127.0.0.1:18080 of this host cannot lead to port 8080: somebody else listens there; choose another \
             port of this host"
        );
        sandbox.end();
        assert!(connect("127.0.0.1:18080").is_err(), "the port is free again");
    }
}

#[test]
fn peers_reach_each_other_by_name_and_others_do_not() {
    let Some(world) = world() else { return };
    for who in everybody() {
        let mut first = net(Egress::None);
        first.peers = [world.peer("second", 3), world.peer("third", 4)].into();
        let mut second = net(Egress::None);
        second.address = Ipv4Addr::new(10, 90, 0, 3);
        second.peers = [world.peer("first", 2)].into();
        let mut third = net(Egress::Open);
        third.address = Ipv4Addr::new(10, 90, 0, 4);
        let first = world.sandbox(who, "first", first);
        let second = world.sandbox(who, "second", second);
        let third = world.sandbox(who, "third", third);
        second.inside(|| service("0.0.0.0:5432"));
        third.inside(|| service("0.0.0.0:5432"));
        first.inside(|| {
            let address = ask("second", A).addresses[0];
            assert_eq!(address, Ipv4Addr::new(10, 90, 0, 3));
            assert_eq!(line(connect(&format!("{address}:5432")).expect("connected")), "inside");
            // Nothing listens there.
            refused("10.90.0.3:5433", b"x");
            // The third does not have the first among its peers.
            refused("10.90.0.4:5432", b"x");
        });
        first.told("tcp", "10.90.0.4:5432", None, "among its peers");
        third.inside(|| {
            refused("10.90.0.3:5432", b"x");
            assert_eq!(ask("second.stead", A).code, 3);
        });
        third.told("tcp", "10.90.0.3:5432", None, "another machine");
        second.end();
        first.inside(|| refused("10.90.0.3:5432", b"x"));
        first.end();
    }
}

#[test]
fn rules_change_while_it_runs() {
    let Some(world) = world() else { return };
    for who in WHO {
        let sandbox = world.sandbox(who, "box", net(Egress::Open));
        let mut stands = sandbox.inside(|| {
            let mut stream = connect("203.0.113.10:22").expect("connected");
            stream.write_all(b"x").expect("sent");
            assert_eq!(line(&stream), "I am 203.0.113.10:22");
            stream
        });
        let mut kept = sandbox.inside(|| connect("203.0.113.40:5432").expect("connected"));
        let mut rules = net(allow(&["203.0.113.40:5432"]));
        rules.host_ports = vec![8000];
        rules.ports = vec![Port { host: 18090, inside: 80, ..Port::default() }];
        client::set_rules(&sandbox.socket(), &rules).expect("other rules");
        let error = stands.read_to_end(&mut Vec::new()).expect_err("it is cut");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        kept.write_all(b"x").expect("sent");
        assert_eq!(line(&kept), "I am 203.0.113.40:5432");
        sandbox.inside(|| {
            refused("203.0.113.10:22", b"x");
            assert_eq!(says("127.0.0.1:8000", b"x").expect("the host's"), "I am 127.0.0.1:8000");
            service("127.0.0.1:80");
        });
        assert_eq!(line(connect("127.0.0.1:18090").expect("connected")), "inside");
        let error =
            client::set_rules(&sandbox.socket(), &net(allow(&["a..b"]))).expect_err("not a name");
        assert!(error.to_string().contains("`a..b`"), "{error}");
        sandbox.inside(|| refused("203.0.113.10:22", b"x"));
        client::set_rules(&sandbox.socket(), &net(Egress::Open)).expect("open again");
        assert!(connect("127.0.0.1:18090").is_err(), "the port is closed");
        sandbox.inside(|| {
            assert_eq!(says("203.0.113.10:22", b"x").expect("open"), "I am 203.0.113.10:22");
            assert!(connect("127.0.0.1:8000").is_err());
        });
        sandbox.end();
    }
}

#[test]
fn it_holds_no_more_rights_than_it_needs_and_ends_with_its_lifeline() {
    let Some(world) = world() else { return };
    for who in WHO {
        let sandbox = world.sandbox(who, "box", net(Egress::Open));
        let pid = sandbox.child.id();
        let tasks: Vec<_> =
            fs::read_dir(format!("/proc/{pid}/task")).expect("threads").flatten().collect();
        assert_eq!(tasks.len(), 2);
        for task in tasks {
            let status = fs::read_to_string(task.path().join("status")).expect("status");
            let field = |name: &str| {
                let line = status.lines().find(|line| line.starts_with(name)).expect(name);
                line.split_whitespace().nth(1).expect("a value").to_owned()
            };
            for name in ["CapEff:", "CapPrm:", "CapInh:", "CapBnd:", "CapAmb:"] {
                assert_eq!(field(name), "0000000000000000", "{name} {who:?}");
            }
            assert_eq!(field("NoNewPrivs:"), "1");
        }
        // The main thread's network is the sandbox's, and has nothing but a loopback.
        let names =
            sandbox.inside(|| fs::read_to_string("/proc/thread-self/net/dev").expect("interfaces"));
        let names: Vec<_> = names
            .lines()
            .skip(2)
            .filter_map(|line| line.split(':').next())
            .map(str::trim)
            .collect();
        assert_eq!(names, ["lo"]);
        println!("{who:?}: {} KiB of private memory", private(pid));
        let mut stream = sandbox.inside(|| connect("203.0.113.10:22").expect("connected"));
        sandbox.end();
        assert!(!fs::exists(world.run_folder("box").join("net.sock")).expect("the folder"));
        let _ = stream.write_all(b"x");
        assert!(matches!(stream.read(&mut [0; 9]), Ok(0) | Err(_)));
        assert!(!fs::exists(format!("/proc/{pid}")).expect("proc"));
    }
}
