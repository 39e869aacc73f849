//! Every way out that is closed, tried from inside. What is refused must not have arrived anywhere.

use super::names::{A, AAAA, HTTPS, ask, ask_at, ask_by_stream};
use super::world::{
    HOST, HOST_TOO, Who, World, allow, connect, everybody, net, refused, says, world,
};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto};
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;
use stead_file::declared::Egress;

fn http(host: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// A TLS hello for `name`, in records of at most `record` bytes.
fn hello(name: Option<&str>, padding: usize, record: usize, hidden: bool) -> Vec<u8> {
    let extension = |kind: u16, data: &[u8]| {
        [&kind.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
    };
    let mut extensions = extension(51, &vec![7; padding]);
    if let Some(name) = name {
        let len = name.len() as u16;
        let data =
            [&(len + 3).to_be_bytes()[..], &[0], &len.to_be_bytes(), name.as_bytes()].concat();
        extensions.extend(extension(0, &data));
    }
    if hidden {
        extensions.extend(extension(0xfe0d, &[0; 64]));
    }
    let mut body = [&[3, 3][..], &[9; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let handshake = [&[1][..], &(body.len() as u32).to_be_bytes()[1..], &body].concat();
    handshake
        .chunks(record)
        .flat_map(|part| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat())
        .collect()
}

fn tls(name: &str) -> Vec<u8> {
    hello(Some(name), 0, 16384, false)
}

fn echo(to: &str) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    socket.connect(to)?;
    socket.send(b"hello")?;
    let mut buffer = [0; 100];
    let len = socket.recv(&mut buffer)?;
    Ok(buffer[..len].to_vec())
}

#[track_caller]
fn refused_datagram(to: &str) {
    let error = echo(to).expect_err(to);
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "{to}");
}

/// What no mode lets through.
fn closed(world: &World, egress: &Egress) {
    for who in everybody() {
        let sandbox = world.sandbox(who, "box", net(egress.clone()));
        let places = [
            (format!("{HOST}:443"), "the host itself"),
            (format!("{HOST}:8000"), "the host itself"),
            (format!("{HOST_TOO}:443"), "the host itself"),
            ("0.1.2.3:80".into(), "the host itself"),
            ("169.254.169.254:80".into(), "metadata"),
            ("169.254.7.7:443".into(), "metadata"),
            ("100.100.100.200:80".into(), "metadata"),
            ("10.90.7.7:443".into(), "another machine"),
        ];
        sandbox.inside(|| {
            for (place, _) in &places {
                let bytes =
                    if place.ends_with("443") { tls("good.test") } else { http("good.test") };
                refused(place, &bytes);
            }
            for place in ["169.254.169.254:9999", "10.90.7.7:9999", &format!("{HOST}:9999")] {
                refused_datagram(place);
            }
            // The sandbox's own loopback, not the host's.
            for place in ["127.0.0.1:80", "127.0.0.1:8000", "127.3.2.1:443"] {
                let error = connect(place).expect_err(place);
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
            }
            for place in ["[2001:db8::1]:443", "[fd00:ec2::254]:80"] {
                let error = connect(place).expect_err(place);
                assert_eq!(error.raw_os_error(), Some(libc::ENETUNREACH), "{place}");
            }
            assert!(connect("[::1]:8000").is_err());
        });
        for (place, _) in &places {
            assert!(!world.seen.reached(place), "{place} was reached under {egress:?} as {who:?}");
        }
        if *egress == Egress::Open {
            for (place, why) in &places {
                sandbox.told("tcp", place, None, why);
            }
            sandbox.told("udp", "169.254.169.254:9999", None, "metadata");
        }
        for place in ["169.254.169.254:9999", "10.90.7.7:9999", &format!("{HOST}:9999")] {
            assert!(!world.seen.reached(&format!("udp {place}")), "{place}");
        }
        sandbox.end();
    }
}

#[test]
fn some_places_are_closed_whatever_is_declared() {
    let Some(world) = world() else { return };
    world.seen.name("good.test", &["203.0.113.10"]);
    for egress in [Egress::Open, Egress::WebOnly, allow(&["good.test", "0.0.0.0/0"]), Egress::None]
    {
        closed(&world, &egress);
    }
}

/// Sends an ICMP echo request.
fn ping(socket: &OwnedFd, to: [u8; 4]) {
    let message = [8, 0, 0xf7, 0xfe, 0, 1, 0, 0];
    let to = SocketAddr::from((to, 0));
    rustix::net::sendto(socket, &message, SendFlags::empty(), &to).expect("sent");
}

#[test]
fn an_address_that_is_not_there_does_not_answer_pings() {
    let Some(world) = world() else { return };
    let sandbox = world.sandbox(Who::Root, "box", net(Egress::Open));
    sandbox.inside(|| {
        let raw = rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))
            .expect("a socket");
        // Every address is local there, so the kernel would answer in order. The sandbox's own does.
        ping(&raw, [203, 0, 113, 10]);
        ping(&raw, [10, 90, 0, 2]);
        let mut buffer = [0; 256];
        loop {
            let (len, _) =
                rustix::net::recv(&raw, &mut buffer[..], RecvFlags::empty()).expect("an answer");
            // Requests pass by here as well.
            if buffer[..len].get(20) == Some(&0) {
                assert_eq!(buffer[12..16], [10, 90, 0, 2]);
                break;
            }
        }
    });
}

#[test]
fn open_is_open() {
    let Some(world) = world() else { return };
    world.seen.name("good.test", &["203.0.113.10", "203.0.113.11"]);
    world.seen.name("big.test", &["203.0.113.12"]);
    for who in everybody() {
        let sandbox = world.sandbox(who, "box", net(Egress::Open));
        sandbox.inside(|| {
            for place in ["203.0.113.10:22", "203.0.113.10:443", "10.1.2.3:5432", "1.1.1.1:853"] {
                assert_eq!(says(place, b"x").expect(place), format!("I am {place}"));
            }
            assert_eq!(echo("203.0.113.10:9999").expect("an echo"), b"hello");
            assert_eq!(echo("203.0.113.10:443").expect("QUIC"), b"hello");
            assert_eq!(echo("10.1.2.3:9999").expect("an echo"), b"hello");
            // Nobody is there: the sandbox hears what the host hears.
            refused_datagram("203.0.113.10:7777");
            let answer = ask("Good.Test", A);
            assert_eq!((answer.code, answer.count), (0, 2));
            assert_eq!(ask_at("1.2.3.4:53", "good.test", A), answer);
            assert_eq!(ask_by_stream("good.test"), answer);
            assert_eq!(ask("good.test", AAAA).count, 0);
            assert_eq!(ask("nothing.test", A).code, 3);
            assert_eq!(
                ask("big.test", A).addresses,
                ["203.0.113.12".parse::<std::net::Ipv4Addr>().expect("one")]
            );
            assert_eq!(ask("box.stead", A).addresses, [sandbox.net.address]);
            assert_eq!(ask("silent.test", A).code, 2);
        });
        sandbox.end();
    }
}

#[test]
fn web_only_is_the_web_with_names() {
    let Some(world) = world() else { return };
    world.seen.name("good.test", &["203.0.113.10"]);
    for who in everybody() {
        let sandbox = world.sandbox(who, "box", net(Egress::WebOnly));
        sandbox.inside(|| {
            assert_eq!(
                says("203.0.113.10:443", &tls("good.test")).expect("TLS"),
                "I am 203.0.113.10:443"
            );
            assert_eq!(
                says("203.0.113.10:80", &http("good.test")).expect("HTTP"),
                "I am 203.0.113.10:80"
            );
            assert_eq!(ask("good.test", A).count, 1);
            assert_eq!(ask("good.test", HTTPS).count, 0);
            assert_eq!(ask("good.test", AAAA).count, 0);
            refused("203.0.113.20:443", b"SSH-2.0-x\r\n");
            refused("203.0.113.20:443", &hello(None, 0, 16384, false));
            refused("203.0.113.20:443", &tls("203.0.113.20"));
            refused("203.0.113.20:80", &http("203.0.113.20"));
            refused("203.0.113.20:80", b"GET / HTTP/1.0\r\n\r\n");
            refused("203.0.113.20:80", &tls("good.test"));
            refused("203.0.113.20:22", b"x");
            refused("203.0.113.20:853", &tls("good.test"));
            refused("10.1.2.3:443", &tls("good.test"));
            refused("192.168.1.1:80", &http("good.test"));
            refused_datagram("203.0.113.10:443");
            refused_datagram("203.0.113.10:123");
        });
        for place in [
            "203.0.113.20:443",
            "203.0.113.20:80",
            "203.0.113.20:22",
            "203.0.113.20:853",
            "10.1.2.3:443",
        ] {
            assert!(!world.seen.reached(place), "{place} was reached");
        }
        assert!(
            !world.seen.reached("udp 203.0.113.10:443")
                && !world.seen.reached("udp 203.0.113.10:123")
        );
        // Nobody even asked for keys that would hide names, nor for addresses that nothing inside could use.
        let asked = std::mem::take(&mut *world.seen.asked.lock().expect("lock"));
        assert_eq!(asked, ["good.test 1"]);
        sandbox.told("udp", "203.0.113.10:443", None, "QUIC");
        sandbox.told("tcp", "203.0.113.20:443", None, "no name");
        sandbox.told("tcp", "10.1.2.3:443", None, "private");
        sandbox.told("tcp", "203.0.113.20:853", None, "ports 80 and 443");
        sandbox.end();
    }
}

#[test]
fn a_list_is_kept_by_dns_hello_host_and_address() {
    let Some(world) = world() else { return };
    let seen = &world.seen;
    seen.name("good.test", &["203.0.113.10"]);
    seen.name("a.wild.test", &["203.0.113.11"]);
    seen.name("wild.test", &["203.0.113.12"]);
    seen.name("git.test", &["203.0.113.13"]);
    seen.name("evil.test", &["203.0.113.66"]);
    seen.name("rebound.test", &["127.0.0.1", "169.254.169.254", HOST, "10.1.2.3"]);
    seen.name("inner.test", &["10.1.2.3"]);
    let list = [
        "good.test",
        "*.wild.test",
        "git.test:22",
        "rebound.test",
        "rebound.test:8080",
        "inner.test",
        "10.1.2.4",
        "203.0.113.40:5432",
        "203.0.113.10:9999",
    ];
    for who in everybody() {
        let sandbox = world.sandbox(who, "box", net(allow(&list)));
        sandbox.inside(|| {
            assert_eq!(ask("good.test", A).count, 1);
            assert_eq!(ask("a.wild.test", A).count, 1);
            for name in
                ["evil.test", "wild.test", "x.good.test", "good.test.evil.test", "xwild.test"]
            {
                assert_eq!(ask(name, A).code, 3, "{name}");
                assert_eq!(ask(name, 16).code, 3, "{name}");
            }
            assert_eq!(ask_by_stream("evil.test").code, 3);
            assert_eq!(
                says("203.0.113.10:443", &tls("GOOD.test")).expect("TLS"),
                "I am 203.0.113.10:443"
            );
            assert_eq!(
                says("203.0.113.10:80", &http("Good.Test.:80")).expect("HTTP"),
                "I am 203.0.113.10:80"
            );
            // Fronting: the name is fine, the address is another's. It arrives where the name is.
            assert_eq!(
                says("203.0.113.66:443", &tls("good.test")).expect("TLS"),
                "I am 203.0.113.10:443"
            );
            assert_eq!(
                says("203.0.113.66:80", &http("good.test")).expect("HTTP"),
                "I am 203.0.113.10:80"
            );
            refused("203.0.113.10:443", &tls("evil.test"));
            refused("203.0.113.10:80", &http("evil.test"));
            refused(
                "203.0.113.10:80",
                b"GET http://evil.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
            );
            refused(
                "203.0.113.10:80",
                b"GET / HTTP/1.1\r\nHost: good.test\r\nHost: evil.test\r\n\r\n",
            );
            refused(
                "203.0.113.10:80",
                b"CONNECT evil.test:443 HTTP/1.1\r\nHost: good.test\r\n\r\n",
            );
            refused("203.0.113.12:443", &tls("wild.test"));
            refused("203.0.113.10:443", &hello(Some("good.test"), 0, 16384, true));
            refused("203.0.113.10:443", &hello(None, 0, 16384, false));
            refused("203.0.113.66:80", b"\x01\x02\x03\r\n\r\n");
            // A port of a listed name, at the address that DNS answered, and no other.
            refused("203.0.113.13:22", b"x");
            assert_eq!(ask("git.test", A).count, 1);
            assert_eq!(says("203.0.113.13:22", b"x").expect("git"), "I am 203.0.113.13:22");
            refused("203.0.113.66:22", b"x");
            refused("203.0.113.10:22", b"x");
            refused("203.0.113.13:443", &tls("git.test"));
            // Listed names that lead where nothing may go.
            refused("203.0.113.10:443", &tls("rebound.test"));
            assert_eq!(ask("rebound.test", A).count, 4);
            refused("10.1.2.3:8080", b"x");
            refused("169.254.169.254:8080", b"x");
            refused(&format!("{HOST}:8080"), b"x");
            refused("203.0.113.10:80", &http("inner.test"));
            // Addresses that are listed.
            assert_eq!(says("10.1.2.4:443", b"x").expect("listed"), "I am 10.1.2.4:443");
            refused("10.1.2.4:22", b"x");
            assert_eq!(says("203.0.113.40:5432", b"x").expect("listed"), "I am 203.0.113.40:5432");
            refused("203.0.113.40:8080", b"x");
            assert_eq!(echo("203.0.113.10:9999").expect("listed"), b"hello");
            refused_datagram("203.0.113.10:443");
            refused_datagram("203.0.113.10:123");
            refused("1.1.1.1:853", &tls("good.test"));
        });
        for place in [
            "203.0.113.66:443",
            "203.0.113.66:80",
            "203.0.113.66:22",
            "10.1.2.3:443",
            "10.1.2.3:80",
            "10.1.2.3:8080",
            "169.254.169.254:443",
            "169.254.169.254:8080",
            "1.1.1.1:853",
            "203.0.113.12:443",
        ] {
            assert!(!seen.reached(place), "{place} was reached as {who:?}");
        }
        assert!(!seen.asked.lock().expect("lock").iter().any(|name| name.contains("evil")));
        assert!(!String::from_utf8_lossy(&seen.bytes("203.0.113.10:80")).contains("evil"));
        sandbox.told("dns", "", Some("evil.test"), "not in allow");
        sandbox.told("tcp", "203.0.113.10:443", Some("evil.test"), "not in allow");
        sandbox.told("tcp", "203.0.113.10:443", Some("good.test"), "ECH");
        sandbox.told("tcp", "203.0.113.10:443", Some("rebound.test"), "");
        sandbox.told("tcp", "203.0.113.10:80", Some("inner.test"), "private");
        sandbox.end();
    }
}

#[test]
fn none_is_nothing() {
    let Some(world) = world() else { return };
    world.seen.name("good.test", &["203.0.113.30"]);
    for who in everybody() {
        let sandbox = world.sandbox(who, "box", net(Egress::None));
        sandbox.inside(|| {
            assert_eq!(ask("good.test", A).code, 3);
            refused("203.0.113.30:443", &tls("good.test"));
            refused("203.0.113.30:80", &http("good.test"));
            refused("203.0.113.30:22", b"x");
            refused_datagram("203.0.113.10:123");
        });
        assert!(world.seen.arrived.lock().expect("lock").is_empty());
        assert!(world.seen.asked.lock().expect("lock").is_empty());
        sandbox.told("tcp", "203.0.113.30:22", None, "egress is none");
        sandbox.told("dns", "", Some("good.test"), "egress is none");
        sandbox.end();
    }
}

#[test]
fn a_second_request_on_a_connection_goes_nowhere() {
    let Some(world) = world() else { return };
    world.seen.name("good.test", &["203.0.113.10"]);
    world.seen.name("evil.test", &["203.0.113.66"]);
    let sandbox = world.sandbox(Who::Root, "box", net(allow(&["good.test"])));
    sandbox.inside(|| {
        let at = "203.0.113.10:80";
        // Together with the first, after it, behind a body, behind chunks.
        let firsts = [
            "GET / HTTP/1.1\r\nHost: good.test\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 4\r\n\r\nabcd",
            "POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        ];
        let second = "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n";
        // Both at once; the second after the first was answered; the first's head, then all the rest.
        let head_end = |first: &str| first.find("\r\n\r\n").expect("a head") + 4;
        let cuts: [&dyn Fn(&str) -> usize; 3] = [&|_| 0, &|first| first.len(), &head_end];
        for first in firsts {
            for cut in cuts {
                let all = format!("{first}{second}");
                let (now, later) = all.split_at(cut(first));
                let mut stream = connect(at).expect("connected");
                if !now.is_empty() {
                    stream.write_all(now.as_bytes()).expect("sent");
                    stream.read_exact(&mut [0; 10]).expect("an answer");
                }
                stream.write_all(later.as_bytes()).expect("sent");
                stream.shutdown(std::net::Shutdown::Write).expect("shut");
                let mut all = Vec::new();
                stream.read_to_end(&mut all).expect("the answer, whole");
                assert!(!String::from_utf8_lossy(&all).contains("evil"));
            }
        }
        let arrived = String::from_utf8(world.seen.bytes(at)).expect("text");
        assert_eq!(arrived.matches("abcd").count(), 6);
        assert_eq!(arrived.matches("Connection: close").count(), 9);
        assert!(!arrived.contains("evil"), "{arrived}");
    });
}

#[test]
fn a_hello_may_come_in_pieces_and_garbage_may_not() {
    let Some(world) = world() else { return };
    world.seen.name("good.test", &["203.0.113.10"]);
    let sandbox = world.sandbox(Who::Root, "box", net(allow(&["good.test"])));
    let in_pieces = |bytes: &[u8], piece: usize| -> std::io::Result<Vec<u8>> {
        let mut stream = connect("203.0.113.10:443")?;
        for part in bytes.chunks(piece) {
            stream.write_all(part)?;
        }
        let mut back = vec![0; b"I am 203.0.113.10:443\n".len() + bytes.len()];
        stream.read_exact(&mut back)?;
        Ok(back)
    };
    sandbox.inside(|| {
        for (padding, record, piece) in
            [(0, 16384, 1), (1800, 16384, 1400), (40_000, 16384, 1448), (3000, 100, 33)]
        {
            let bytes = hello(Some("good.test"), padding, record, false);
            let back = in_pieces(&bytes, piece)
                .unwrap_or_else(|error| panic!("{padding} {piece}: {error}"));
            assert!(back.ends_with(&bytes), "what was said is what arrived");
        }
        // A head that never ends, of either kind.
        let endless = |to: &str, start: &[u8], with: &[u8]| {
            let mut stream = connect(to).expect("connected");
            stream.write_all(start).expect("sent");
            let mut sent = 0usize;
            let error = loop {
                match stream.write_all(with) {
                    Ok(()) => sent += with.len(),
                    Err(error) => break error,
                }
                assert!(sent < 50_000_000, "{to} takes it all");
            };
            assert!(matches!(
                error.kind(),
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe
            ));
        };
        endless("203.0.113.10:80", b"GET / HTTP/1.1\r\nHost: good.test\r\n", b"X-Long: yes\r\n");
        endless("203.0.113.10:80", b"GET /", &[b'a'; 1000]);
        let mut record = vec![22, 3, 1, 0x3f, 0xff];
        record.extend([1, 0xff, 0xff, 0xff]);
        endless("203.0.113.10:443", &record, &[0; 1000]);
    });
    assert!(!world.seen.reached("203.0.113.10:80"));
}
