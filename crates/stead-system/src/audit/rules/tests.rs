use super::*;

fn rules(text: &str) -> Ruleset {
    Ruleset::parse(text.as_bytes()).unwrap()
}

fn inet(chain: &str, rules: &[&str]) -> Ruleset {
    let table = r#""family":"inet","table":"t""#;
    let mut all = vec![
        format!(
            r#"{{"chain":{{{table},"name":"in","type":"filter","hook":"input","prio":0,{chain}}}}}"#
        ),
        format!(r#"{{"chain":{{{table},"name":"more"}}}}"#),
        format!(
            r#"{{"set":{{{table},"name":"open","type":"inet_service","elem":[80,{{"range":[8000,8010]}}]}}}}"#
        ),
    ];
    for rule in rules {
        let (name, expr) = rule.split_once(' ').unwrap();
        all.push(format!(r#"{{"rule":{{{table},"chain":"{name}","expr":[{expr}]}}}}"#));
    }
    self::rules(&format!(r#"{{"nftables":[{{"metainfo":{{}}}},{}]}}"#, all.join(",")))
}

fn packet(port: u16, udp: bool) -> Packet<'static> {
    Packet {
        interface: "eth0",
        from: [198, 51, 100, 7].into(),
        to: [192, 0, 2, 1].into(),
        udp,
        port,
        sender: None,
    }
}

fn fate(ruleset: &Ruleset, port: u16) -> Fate {
    ruleset.fate("input", &packet(port, false))
}

const DROP: &str = r#""policy":"drop""#;
const ESTABLISHED: &str = r#"in {"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established","related"]}},{"accept":null}"#;
const LOOP: &str =
    r#"in {"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"lo"}},{"accept":null}"#;

fn dport(chain: &str, right: &str, rest: &str) -> String {
    format!(
        r#"{chain} {{"match":{{"op":"==","left":{{"payload":{{"protocol":"tcp","field":"dport"}}}},"right":{right}}}}},{rest}"#
    )
}

#[test]
fn without_rules_everything_goes_through() {
    let none = rules(r#"{"nftables":[]}"#);
    assert_eq!(fate(&none, 22), Fate::Through);
    assert!(!none.filters("input"));
}

#[test]
fn what_no_rule_accepts_is_stopped_by_the_policy() {
    let open = dport("in", "22", r#"{"counter":{}},{"accept":null}"#);
    let ruleset = inet(DROP, &[ESTABLISHED, LOOP, &open]);
    assert_eq!(fate(&ruleset, 22), Fate::Through);
    assert_eq!(fate(&ruleset, 23), Fate::Stopped);
    assert_eq!(ruleset.fate("input", &packet(22, true)), Fate::Stopped);
    let six = Packet {
        from: "2001:db8::1".parse().unwrap(),
        to: "2001:db8::2".parse().unwrap(),
        ..packet(22, false)
    };
    assert_eq!(ruleset.fate("input", &six), Fate::Through);
    let lo = Packet { interface: "lo", ..packet(23, false) };
    assert_eq!(ruleset.fate("input", &lo), Fate::Through);
    assert!(ruleset.ports().contains(&23) && ruleset.ports().contains(&21));
}

#[test]
fn sets_ranges_and_chains_are_followed() {
    let by_set = dport("more", r#""@open""#, r#"{"accept":null}"#);
    let by_list = dport("more", r#"{"set":[443,{"range":[9000,9001]}]}"#, r#"{"accept":null}"#);
    let state = r#"in {"vmap":{"key":{"ct":{"key":"state"}},"data":{"set":[["invalid",{"drop":null}],["established",{"accept":null}],["new",{"jump":{"target":"more"}}]]}}}"#;
    let ruleset = inet(DROP, &[state, &by_set, &by_list]);
    for (port, is) in
        [(80, true), (8005, true), (443, true), (9001, true), (9002, false), (81, false)]
    {
        let expected = if is { Fate::Through } else { Fate::Stopped };
        assert_eq!(fate(&ruleset, port), expected, "{port}");
    }
    let back = r#"more {"return":null}"#;
    let ruleset = inet(DROP, &[state, back, &by_set, &dport("in", "22", r#"{"accept":null}"#)]);
    assert_eq!([fate(&ruleset, 80), fate(&ruleset, 22)], [Fate::Stopped, Fate::Through]);
}

#[test]
fn what_is_not_understood_is_unclear_and_never_closed() {
    let strange = r#"in {"xt":{"type":"match","name":"owner"}},{"accept":null}"#;
    assert_eq!(fate(&inet(DROP, &[strange]), 5), Fate::Unclear);
    let rate = r#"in {"limit":{"rate":10,"per":"second"}},{"accept":null}"#;
    assert_eq!(fate(&inet(DROP, &[rate]), 5), Fate::Unclear);
    let own =
        r#"in {"match":{"op":"==","left":{"osf":{"key":"name"}},"right":"Linux"}},{"accept":null}"#;
    assert_eq!(fate(&inet(DROP, &[own]), 5), Fate::Unclear);
    assert_eq!(fate(&inet(r#""policy":"accept""#, &[own]), 5), Fate::Through);
    assert!(Ruleset::parse(b"\x1b[31mno json").is_err());
}

#[test]
fn chains_that_call_each_other_for_ever_end() {
    let there = r#"in {"jump":{"target":"more"}}"#;
    let back = r#"more {"jump":{"target":"more"}}"#;
    assert_eq!(fate(&inet(DROP, &[there, back, back]), 5), Fate::Unclear);
}

#[test]
fn every_chain_at_a_hook_must_let_it_through() {
    let text = r#"{"nftables":[
        {"chain":{"family":"inet","table":"a","name":"i","type":"filter","hook":"input","policy":"accept"}},
        {"chain":{"family":"ip","table":"b","name":"i","type":"filter","hook":"input","policy":"drop"}},
        {"chain":{"family":"inet","table":"c","name":"o","type":"filter","hook":"output","policy":"accept"}},
        {"rule":{"family":"inet","table":"c","chain":"o","expr":[
            {"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":{"prefix":{"addr":"169.254.169.0","len":24}}}},
            {"match":{"op":"!=","left":{"meta":{"key":"skuid"}},"right":"root"}},{"reject":{"type":"icmp"}}]}}]}"#;
    let ruleset = rules(text);
    assert_eq!(fate(&ruleset, 5), Fate::Stopped);
    let six =
        Packet { from: "::2".parse().unwrap(), to: "::3".parse().unwrap(), ..packet(5, false) };
    assert_eq!(ruleset.fate("input", &six), Fate::Through);
    let by = |sender| Packet {
        to: [169, 254, 169, 254].into(),
        sender: Some(sender),
        ..packet(80, false)
    };
    assert_eq!(ruleset.fate("output", &by(1000)), Fate::Stopped);
    assert_eq!(ruleset.fate("output", &by(0)), Fate::Through);
}
