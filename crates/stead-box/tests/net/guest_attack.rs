//! What a virtual machine can send that processes cannot: frames and packets of its own making. Everything is sent twice,
//! once as it is and once where it arrives if nothing held it up.

use super::guest::Guest;
use super::world::{HOST, Sandbox, Who, World, guests, net, says, world};
use rustix::net::{AddressFamily as Family, ipproto};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::time::Duration;
use stead_box::net::{GATEWAY, GATEWAY_MAC, client};
use stead_file::declared::Egress;

const OWN: Ipv4Addr = Ipv4Addr::new(10, 90, 0, 2);
const IP: u16 = 0x0800;
const IP6: u16 = 0x86dd;
const ARP: u16 = 0x0806;

fn sum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u32 =
        bytes.chunks(2).map(|b| u32::from(b[0]) << 8 | u32::from(*b.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// An IPv4 packet with these options.
fn packet(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, options: &[u8], body: &[u8]) -> Vec<u8> {
    let head = 20 + options.len();
    let mut all = vec![0x40 | (head / 4) as u8, 0];
    all.extend(((head + body.len()) as u16).to_be_bytes());
    all.extend([0, 7, 0, 0, 64, protocol, 0, 0]);
    all.extend(from.octets());
    all.extend(to.octets());
    all.extend(options);
    let sum = sum(&all);
    all[10..12].copy_from_slice(&sum);
    all.extend(body);
    all
}

fn datagram(from: Ipv4Addr, to: Ipv4Addr, port: u16, text: &[u8]) -> Vec<u8> {
    let mut body = 4000u16.to_be_bytes().to_vec();
    body.extend(port.to_be_bytes());
    body.extend((text.len() as u16 + 8).to_be_bytes());
    body.extend([0, 0]);
    body.extend(text);
    packet(17, from, to, &[], &body)
}

/// A SYN from port 4000.
fn syn(from: Ipv4Addr, to: Ipv4Addr, port: u16) -> Vec<u8> {
    let mut body = 4000u16.to_be_bytes().to_vec();
    body.extend(port.to_be_bytes());
    body.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    let pseudo = [&from.octets()[..], &to.octets(), &[0, 6, 0, 20], &body].concat();
    let sum = sum(&pseudo);
    body[16..18].copy_from_slice(&sum);
    packet(6, from, to, &[], &body)
}

fn machine(world: &World, who: Who) -> Sandbox {
    world.seen.arrived.lock().expect("lock").clear();
    world.sandbox(who, "box", net(Egress::Open))
}

/// All that was sent before has been judged: a datagram sent after it came back.
fn settled(machine: &Sandbox) {
    machine.inside(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("bound");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        socket.connect("203.0.113.10:9999").expect("connected");
        socket.send(b"settled").expect("sent");
        assert_eq!(socket.recv(&mut [0; 9]).expect("an echo"), 7);
    });
}

fn guest(machine: &Sandbox) -> &Guest {
    machine.guest.as_ref().expect("a guest")
}

#[test]
fn what_is_sent_from_another_address_goes_nowhere() {
    let Some(world) = world() else { return };
    for who in guests() {
        let machine = machine(&world, who);
        let to: Ipv4Addr = "203.0.113.10".parse().expect("an address");
        // So that what is sent by hand is known to be well made.
        guest(&machine).packet(IP, &datagram(OWN, to, 123, b"own"));
        settled(&machine);
        assert!(world.seen.reached("udp 203.0.113.10:123"));
        world.seen.arrived.lock().expect("lock").clear();
        let before = client::stats(&machine.socket()).expect("stats");
        for from in [
            "10.90.0.3",
            "10.90.255.254",
            "10.90.255.253",
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "203.0.113.10",
            "192.0.2.1",
            "169.254.169.254",
            "255.255.255.255",
            "224.0.0.1",
            "8.8.8.8",
        ] {
            let from: Ipv4Addr = from.parse().expect("an address");
            guest(&machine).packet(IP, &datagram(from, to, 123, from.to_string().as_bytes()));
            guest(&machine).packet(IP, &syn(from, to, 22));
        }
        settled(&machine);
        assert!(
            !world.seen.reached("udp 203.0.113.10:123") && !world.seen.reached("203.0.113.10:22")
        );
        let after = client::stats(&machine.socket()).expect("stats");
        // One more of the second `settled`.
        assert_eq!((after.datagrams, after.refused), (before.datagrams + 1, before.refused));
        assert_eq!(after.connections, 0);
    }
}

#[test]
fn no_socket_of_the_namespace_is_reached_but_the_door() {
    let Some(world) = world() else { return };
    for who in guests() {
        let machine = machine(&world, who);
        // Whoever got out of the machine might listen there, and whoever asks for it by mistake.
        let (streams, datagrams) = machine.beside(|| {
            let streams = TcpListener::bind("0.0.0.0:7000").expect("bound");
            let datagrams = UdpSocket::bind("0.0.0.0:7000").expect("bound");
            streams.set_nonblocking(true).expect("set");
            datagrams.set_nonblocking(true).expect("set");
            (streams, datagrams)
        });
        let targets = [
            "127.0.0.1",
            "127.255.255.254",
            "10.90.255.254",
            "10.90.0.2",
            "10.90.255.253",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "10.90.0.255",
            "203.0.113.10",
        ];
        for to in targets {
            let to: Ipv4Addr = to.parse().expect("an address");
            for port in [7000, 1] {
                for from in [OWN, GATEWAY, Ipv4Addr::LOCALHOST] {
                    guest(&machine).packet(IP, &datagram(from, to, port, b"in"));
                    guest(&machine).packet(IP, &syn(from, to, port));
                }
            }
            // To everybody on the line, and tagged for a network within it.
            let frame = |mac: [u8; 6], tag: &[u8]| {
                [
                    &mac[..],
                    &[2, 0, 0, 0, 0, 9],
                    tag,
                    &IP.to_be_bytes(),
                    &datagram(OWN, to, 7000, b"in"),
                ]
                .concat()
            };
            for mac in [[255; 6], [1, 0, 0x5e, 0, 0, 1], [0; 6], [2, 9, 9, 9, 9, 9]] {
                guest(&machine).frame(&frame(mac, &[]));
            }
            guest(&machine).frame(&frame(GATEWAY_MAC, &[0x81, 0, 0, 0]));
            guest(&machine).frame(&frame(GATEWAY_MAC, &[0x81, 0, 0, 5]));
        }
        settled(&machine);
        assert_eq!(streams.accept().expect_err("nobody").kind(), ErrorKind::WouldBlock);
        assert_eq!(datagrams.recv(&mut [0; 9]).expect_err("nothing").kind(), ErrorKind::WouldBlock);
        // They are reached by whoever is there.
        machine.beside(|| {
            let sender = UdpSocket::bind("127.0.0.1:0").expect("bound");
            sender.send_to(b"in", "127.0.0.1:7000").expect("sent");
        });
        datagrams.set_nonblocking(false).expect("set");
        assert_eq!(datagrams.recv(&mut [0; 9]).expect("there"), 2);
    }
}

#[test]
fn nothing_but_tcp_and_udp_passes() {
    let Some(world) = world() else { return };
    for who in guests() {
        let machine = machine(&world, who);
        let heard = machine.beside(|| {
            let raw = |kind, protocol| {
                let flags = rustix::net::SocketFlags::NONBLOCK;
                rustix::net::socket_with(kind, rustix::net::SocketType::RAW, flags, Some(protocol))
                    .expect("a socket")
            };
            [
                raw(Family::INET, ipproto::ICMP),
                raw(Family::INET, ipproto::IPIP),
                raw(Family::INET, ipproto::GRE),
                raw(Family::INET6, ipproto::ICMPV6),
                raw(Family::INET6, ipproto::UDP),
            ]
        });
        let mut echo = vec![8, 0, 0, 0, 0, 1, 0, 1];
        let check = sum(&echo);
        echo[2..4].copy_from_slice(&check);
        for to in ["10.90.255.254", "203.0.113.10", HOST, "127.0.0.1", "255.255.255.255"] {
            let to: Ipv4Addr = to.parse().expect("an address");
            guest(&machine).packet(IP, &packet(1, OWN, to, &[], &echo));
            let inner = datagram(OWN, "203.0.113.10".parse().expect("one"), 123, b"inner");
            guest(&machine).packet(IP, &packet(4, OWN, to, &[], &inner));
            guest(&machine)
                .packet(IP, &packet(47, OWN, to, &[], &[&[0, 0, 8, 0][..], &inner].concat()));
        }
        // To the interface's address of its own making, to all nodes, to the loopback.
        for to in ["ff02::1", "::1", "fe80::ff:fe00:1", "::ffff:127.0.0.1", "2001:db8::1"] {
            let to: Ipv6Addr = to.parse().expect("an address");
            let mut six = vec![0x60, 0, 0, 0, 0, 10, 17, 64];
            six.extend("fe80::9".parse::<Ipv6Addr>().expect("one").octets());
            six.extend(to.octets());
            six.extend([0x0f, 0xa0, 0, 123, 0, 10, 0xff, 0xff, b'i', b'n']);
            guest(&machine).packet(IP6, &six);
            six[6] = 58;
            six.truncate(40);
            six.extend([128, 0, 0, 0, 0, 1, 0, 1, 0, 0]);
            guest(&machine).packet(IP6, &six);
        }
        settled(&machine);
        for socket in heard {
            let error =
                rustix::net::recv(&socket, &mut [0u8; 99][..], rustix::net::RecvFlags::empty());
            assert_eq!(error.expect_err("nothing"), rustix::io::Errno::AGAIN);
        }
        assert!(!world.seen.reached("udp 203.0.113.10:123"));
        let six = machine.beside(|| {
            std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default()
        });
        assert!(!six.contains("vm0"), "{six}");
    }
}

#[test]
fn routes_that_a_packet_names_itself_are_not_taken_and_pieces_are_put_together_first() {
    let Some(world) = world() else { return };
    for who in guests() {
        let machine = machine(&world, who);
        let to: Ipv4Addr = "203.0.113.10".parse().expect("an address");
        // Loose source route: by the gateway on to the host.
        let mut options = vec![131, 7, 4];
        options.extend(HOST.parse::<Ipv4Addr>().expect("one").octets());
        options.push(0);
        let body = &datagram(OWN, GATEWAY, 9999, b"routed")[20..];
        guest(&machine).packet(IP, &packet(17, OWN, GATEWAY, &options, body));
        guest(&machine).packet(IP, &packet(17, OWN, to, &options, body));
        // A first piece for an allowed port whose second one overlaps it with another port is nobody's.
        let whole = datagram(OWN, "169.254.169.254".parse().expect("one"), 9999, &[b'x'; 64]);
        for (place, more, body) in
            [(0u16, true, &whole[20..52]), (0, true, &whole[20..44]), (4, false, &whole[52..])]
        {
            let mut piece = packet(17, OWN, "169.254.169.254".parse().expect("one"), &[], body);
            piece[6..8].copy_from_slice(&(place | if more { 0x2000 } else { 0 }).to_be_bytes());
            piece[10..12].fill(0);
            let check = sum(&piece[..20]);
            piece[10..12].copy_from_slice(&check);
            guest(&machine).packet(IP, &piece);
        }
        settled(&machine);
        for place in ["udp 192.0.2.1:9999", "udp 169.254.169.254:9999"] {
            assert!(!world.seen.reached(place), "{place}");
        }
    }
}

#[test]
fn only_the_gateway_answers_for_an_address_on_the_line() {
    let Some(world) = world() else { return };
    for who in guests() {
        let machine = machine(&world, who);
        let asks = |target: &str| {
            machine.inside(|| {
                let out = std::process::Command::new("python3")
                    .args(["-c", ASK, target])
                    .output()
                    .expect("python3");
                assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
                String::from_utf8(out.stdout).expect("text").trim().to_owned()
            })
        };
        let mac = GATEWAY_MAC.map(|byte| format!("{byte:02x}")).join("");
        for other in ["203.0.113.10", "10.90.0.3", "127.0.0.1", HOST, "10.90.255.253"] {
            // The gateway is asked after it, so that an answer would have been there.
            assert_eq!(asks(other), format!("10.90.255.254 {mac}"), "{other}");
        }
        // The machine says that it is somebody else, the gateway among them: it harms nobody but itself.
        for claimed in [GATEWAY, "10.90.0.3".parse().expect("one"), Ipv4Addr::LOCALHOST] {
            let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9];
            arp.extend(claimed.octets());
            arp.extend(GATEWAY_MAC);
            arp.extend(GATEWAY.octets());
            guest(&machine).packet(ARP, &arp);
            arp[7] = 1;
            guest(&machine).packet(ARP, &arp);
        }
        settled(&machine);
        let known = machine
            .beside(|| std::fs::read_to_string("/proc/thread-self/net/arp").expect("neighbours"));
        assert!(known.lines().skip(1).all(|line| line.starts_with("10.90.0.2 ")), "{known}");
        machine.inside(|| {
            assert_eq!(says("203.0.113.10:22", b"x").expect("well"), "I am 203.0.113.10:22");
        });
    }
}

/// Asks who has an address, then who has the gateway's, and prints the first answer.
const ASK: &str = r"
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)); s.bind(('eth0', 0)); s.settimeout(20)
mac = s.getsockname()[4]
def ask(ip): s.send(b'\xff' * 6 + mac + b'\x08\x06\0\1\x08\0\6\4\0\1' + mac + socket.inet_aton('10.90.0.2') + b'\0' * 6 + socket.inet_aton(ip))
ask(sys.argv[1]); ask('10.90.255.254')
while True:
    f = s.recv(99)
    if f[20:22] == b'\0\2': print(socket.inet_ntoa(f[28:32]), f[22:28].hex()); break
";

const SETTINGS: &str = "cd /proc/sys/net/ipv4/conf; grep . vm0/forwarding vm0/proxy_arp vm0/accept_local \
    vm0/route_localnet vm0/rp_filter vm0/send_redirects vm0/accept_source_route vm0/arp_ignore all/forwarding \
    all/accept_local all/route_localnet";

#[test]
fn the_settings_of_the_host_are_not_those_of_the_line() {
    let Some(world) = world() else { return };
    // A new namespace takes over what the host's first one has, and that must stay as it is: so they are looked at.
    for who in guests() {
        let machine = machine(&world, who);
        let seen = machine.beside(|| {
            let out = std::process::Command::new("sh").args(["-c", SETTINGS]).output().expect("sh");
            String::from_utf8(out.stdout).expect("text")
        });
        assert_eq!(
            seen,
            "vm0/forwarding:0\nvm0/proxy_arp:0\nvm0/accept_local:0\nvm0/route_localnet:0\nvm0/rp_filter:1\nvm0/send_redirects:0\n\
         vm0/accept_source_route:0\nvm0/arp_ignore:1\nall/forwarding:0\nall/accept_local:0\nall/route_localnet:0\n"
        );
    }
}
