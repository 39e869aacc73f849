use super::*;
use crate::spec::Peer;
use proptest::prelude::*;

fn rules(egress: Egress) -> Rules {
    let peer = Peer { address: Ipv4Addr::new(10, 90, 0, 3), socket: "/run/db/net.sock".into() };
    let net = Net {
        egress,
        ports: Vec::new(),
        host_ports: Vec::new(),
        dns: Vec::new(),
        address: Ipv4Addr::new(10, 90, 0, 2),
        peers: [("db".to_owned(), peer)].into(),
        tap: None,
        agent: None,
        screen: None,
    };
    Rules::read("box", &net).expect("rules")
}

fn allow(list: &[&str]) -> Rules {
    rules(Egress::Allow(list.iter().map(ToString::to_string).collect()))
}

fn to(text: &str) -> SocketAddrV4 {
    text.parse().expect("an address")
}

fn name(text: &str) -> HostName {
    HostName::parse(text).expect("a name")
}

const CLOSED_TO_ALL: &[(&str, Refusal)] = &[
    ("127.0.0.1:80", Refusal::ThisHost),
    ("127.9.9.9:443", Refusal::ThisHost),
    ("0.0.0.0:80", Refusal::ThisHost),
    ("169.254.169.254:80", Refusal::Metadata),
    ("169.254.1.1:443", Refusal::Metadata),
    ("100.100.100.200:80", Refusal::Metadata),
    ("10.90.7.7:443", Refusal::Machine),
    ("224.0.0.251:443", Refusal::Many),
    ("255.255.255.255:80", Refusal::Many),
];

#[test]
fn some_addresses_are_closed_in_every_mode() {
    let all = [
        rules(Egress::Open),
        rules(Egress::WebOnly),
        allow(&["0.0.0.0/0", "a.org"]),
        rules(Egress::None),
    ];
    for (address, refusal) in CLOSED_TO_ALL {
        for rules in &all {
            assert_eq!(rules.tcp(to(address)), Way::Refused(*refusal), "{address} {rules:?}");
            let Way::Refused(_) = rules.udp(to(address)) else {
                panic!("{address} by UDP {rules:?}")
            };
            assert!(rules.address_of_name(to(address)).is_err(), "{address} {rules:?}");
        }
    }
}

#[test]
fn a_closed_address_opens_only_when_it_is_listed_itself() {
    let listed = allow(&["169.254.169.254", "10.90.7.0/24:5432", "192.168.1.5"]);
    assert_eq!(listed.tcp(to("169.254.169.254:80")), Way::Direct);
    assert_eq!(listed.tcp(to("169.254.169.253:80")), Way::Refused(Refusal::Metadata));
    assert_eq!(listed.tcp(to("10.90.7.7:5432")), Way::Direct);
    assert_eq!(listed.tcp(to("10.90.7.7:5433")), Way::Refused(Refusal::Machine));
    assert!(listed.opens_host(to("192.168.1.5:443")));
    assert!(!allow(&["192.168.0.0/16"]).opens_host(to("192.168.1.5:443")));
    assert!(!rules(Egress::Open).opens_host(to("192.168.1.5:443")));
}

#[test]
fn open_is_open() {
    let rules = rules(Egress::Open);
    for address in ["1.1.1.1:443", "8.8.8.8:853", "10.0.0.5:5432", "192.168.1.1:22"] {
        assert_eq!(rules.tcp(to(address)), Way::Direct, "{address}");
        assert_eq!(rules.udp(to(address)), Way::Direct, "{address}");
    }
    assert_eq!(rules.tcp(to("1.1.1.1:53")), Way::Dns);
    assert_eq!(rules.udp(to("1.1.1.1:53")), Way::Dns);
    assert_eq!(rules.tcp(to("10.90.0.3:5432")), Way::Peer(0));
    assert_eq!(rules.udp(to("10.90.0.3:5432")), Way::Refused(Refusal::PeerDatagram));
}

#[test]
fn web_only_is_the_public_web() {
    let rules = rules(Egress::WebOnly);
    assert_eq!(rules.tcp(to("1.1.1.1:443")), Way::Tls);
    assert_eq!(rules.tcp(to("1.1.1.1:80")), Way::Http);
    assert_eq!(rules.tcp(to("1.1.1.1:853")), Way::Refused(Refusal::Port));
    assert_eq!(rules.tcp(to("1.1.1.1:22")), Way::Refused(Refusal::Port));
    assert_eq!(rules.udp(to("1.1.1.1:443")), Way::Refused(Refusal::Quic));
    assert_eq!(rules.udp(to("1.1.1.1:123")), Way::Refused(Refusal::Port));
    for private in ["10.0.0.5:443", "172.20.0.1:443", "192.168.1.1:80", "100.64.1.1:443"] {
        assert_eq!(rules.tcp(to(private)), Way::Refused(Refusal::Private), "{private}");
    }
    assert_eq!(rules.dns(&name("a.org"), kind::HTTPS), Answer::Nothing);
    assert_eq!(rules.dns(&name("a.org"), kind::A), Answer::Ask);
}

#[test]
fn a_list_is_the_list() {
    let rules = allow(&[
        "GitHub.com",
        "*.example.org",
        "git.example.net:22",
        "10.1.0.0/16",
        "9.9.9.9:8080",
    ]);
    assert_eq!(rules.name(&name("github.com"), 443), Ok(()));
    assert_eq!(rules.name(&name("github.com"), 80), Ok(()));
    assert_eq!(rules.name(&name("github.com"), 22), Err(Refusal::NotListed));
    assert_eq!(rules.name(&name("api.github.com"), 443), Err(Refusal::NotListed));
    assert_eq!(rules.name(&name("github.com.evil.org"), 443), Err(Refusal::NotListed));
    assert_eq!(rules.name(&name("notgithub.com"), 443), Err(Refusal::NotListed));
    assert_eq!(rules.name(&name("a.b.example.org"), 443), Ok(()));
    assert_eq!(rules.name(&name("example.org"), 443), Err(Refusal::NotListed));
    assert_eq!(rules.name(&name("git.example.net"), 22), Ok(()));
    assert_eq!(rules.name(&name("git.example.net"), 443), Err(Refusal::NotListed));
    assert_eq!(rules.tcp(to("1.1.1.1:443")), Way::Tls);
    assert_eq!(rules.tcp(to("1.1.1.1:80")), Way::Http);
    assert_eq!(rules.tcp(to("1.1.1.1:22")), Way::Answered);
    assert_eq!(rules.tcp(to("1.1.1.1:23")), Way::Refused(Refusal::NotListed));
    assert_eq!(rules.tcp(to("10.1.2.3:443")), Way::Direct);
    assert_eq!(rules.tcp(to("10.1.2.3:22")), Way::Answered);
    assert_eq!(rules.tcp(to("9.9.9.9:8080")), Way::Direct);
    assert_eq!(rules.udp(to("9.9.9.9:8080")), Way::Direct);
    assert_eq!(rules.udp(to("10.1.2.3:443")), Way::Refused(Refusal::Quic));
    assert_eq!(rules.udp(to("1.1.1.1:443")), Way::Refused(Refusal::Quic));
    assert_eq!(rules.address_of_name(to("10.2.0.1:443")), Err(Refusal::Private));
    assert_eq!(rules.address_of_name(to("10.1.0.1:443")), Ok(()));
    assert_eq!(rules.address_of_name(to("192.168.0.1:22")), Err(Refusal::Private));
    assert_eq!(rules.dns(&name("github.com"), kind::A), Answer::Ask);
    assert_eq!(rules.dns(&name("github.com"), kind::AAAA), Answer::Nothing);
    assert_eq!(rules.dns(&name("github.com"), kind::HTTPS), Answer::Nothing);
    assert_eq!(rules.dns(&name("evil.org"), kind::A), Answer::Refused(Refusal::NotListed));
    assert_eq!(rules.dns(&name("evil.org"), kind::AAAA), Answer::Refused(Refusal::NotListed));
}

#[test]
fn none_is_nothing_but_machines() {
    let rules = rules(Egress::None);
    assert_eq!(rules.tcp(to("1.1.1.1:443")), Way::Refused(Refusal::Nowhere));
    assert_eq!(rules.udp(to("1.1.1.1:123")), Way::Refused(Refusal::Nowhere));
    assert_eq!(rules.tcp(to("10.90.0.3:80")), Way::Peer(0));
    assert_eq!(rules.dns(&name("a.org"), kind::A), Answer::Refused(Refusal::Nowhere));
    for text in ["db", "db.stead", "DB.stead."] {
        assert_eq!(
            rules.dns(&name(text), kind::A),
            Answer::Address(Ipv4Addr::new(10, 90, 0, 3)),
            "{text}"
        );
    }
    assert_eq!(rules.dns(&name("box"), kind::A), Answer::Address(Ipv4Addr::new(10, 90, 0, 2)));
    assert_eq!(rules.dns(&name("box"), kind::AAAA), Answer::Nothing);
    assert_eq!(rules.dns(&name("x.localhost"), kind::A), Answer::Address(Ipv4Addr::LOCALHOST));
    assert_eq!(rules.dns(&name("other.stead"), kind::A), Answer::NoName);
}

#[test]
fn an_entry_that_cannot_be_read_is_named() {
    for bad in [
        "",
        "*",
        "a..b",
        "a.org:0",
        "a.org:x",
        "10.0.0.0/33",
        "https://a.org",
        "a.*.org",
        "a.org/x",
    ] {
        let net = Net {
            egress: Egress::Allow(vec![bad.into()]),
            ports: Vec::new(),
            host_ports: Vec::new(),
            dns: Vec::new(),
            address: Ipv4Addr::new(10, 90, 0, 2),
            peers: [].into(),
            tap: None,
            agent: None,
            screen: None,
        };
        let error = Rules::read("box", &net).expect_err(bad);
        assert!(error.contains(&format!("`{bad}`")), "{error}");
    }
    assert_eq!(allow(&["::1", "fe80::/10", "[2001:db8::1]:443"]).tcp(to("1.1.1.1:443")), Way::Tls);
}

proptest! {
    #[test]
    fn what_is_closed_stays_closed(text in "[a-z0-9.*:/\\[\\]]{0,20}", n in 0..CLOSED_TO_ALL.len()) {
        let Some(entry) = Entry::read(&text) else { return Ok(()) };
        let names = !matches!(entry.target, Target::Block(_));
        let mut rules = allow(&[]);
        rules.mode = Mode::Allow(vec![entry]);
        if names {
            prop_assert_eq!(rules.tcp(to(CLOSED_TO_ALL[n].0)), Way::Refused(CLOSED_TO_ALL[n].1));
        }
    }
}
