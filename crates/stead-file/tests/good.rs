//! Good files: what they declare.

mod common;

use common::{context, workspace};
use std::fs;
use std::path::PathBuf;
use stead_file::declared::{Declaration, Egress, Keep, Machine, Port, Session, Share};
use stead_file::{Checked, Context, Size, read};

fn good(text: &str) -> Checked {
    read(text, &context()).unwrap_or_else(|report| panic!("{}", report.plain()))
}

fn example(name: &str) -> Declaration {
    let checked = good(&fs::read_to_string(workspace("examples").join(name)).unwrap());
    assert_eq!(checked.warnings.plain(), "");
    checked.declaration
}

#[test]
fn every_key_arrives() {
    let declared = good(
        r#"
[stead]
name = "home"
[stead.defaults]
engine = "sandbox"
env = { TZ = "UTC", LANG = "C" }
keep = { count = 3 }

[machines.box]
image = "debian/12"
cpus = 1.5
memory = "8gb"
disk = 20
processes = 4096
ephemeral = true
persist = ["/var/lib/db/"]
state = "work"
network = "lab"
ports = ["8080:80", "127.0.0.1:8081:81", "3000", 4000]
host_ports = [11434]
dns = ["127.0.0.1", "::1"]
shares = [".", "~/src:/src", "~/ref:/ref:ro", "../lib:ro"]
show = ["~/.cargo"]
nested = true
env = { TZ = "CET" }
keep.age = "30d"
running = false

[networks.lab]
egress = ["GitHub.com", "github.com", "git.example.org:22"]
peers = true

[sessions.fix]
machine = "box"
agent = "claude"
command = "make 'a b'"
cwd = "/src"
restart = "always"
env = { A = "1" }

[sessions.sh]
machine = "host"
cwd = "sub"
"#,
    )
    .declaration;
    assert_eq!(declared.name, "home");
    let port = |text: &str| text.parse::<Port>().unwrap();
    let share = |host: &str, inside: &str, writable| Share {
        host: host.into(),
        inside: inside.into(),
        writable,
    };
    let expected = Machine {
        engine: "sandbox".into(),
        image: "debian/12".into(),
        cpus: Some(1500),
        memory: Some(Size(8_000_000_000)),
        disk: Some(Size::gib(20)),
        processes: Some(4096),
        ephemeral: true,
        persist: vec!["/var/lib/db".into()],
        state: Some("work".into()),
        network: Some("lab".into()),
        egress: Egress::Allow(vec!["github.com".into(), "git.example.org:22".into()]),
        ports: vec![port("8080:80"), port("8081:81"), port("3000:3000"), port("4000:4000")],
        host_ports: vec![11434],
        dns: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        shares: vec![
            share("/home/ana/farm", "/home/ana/farm", true),
            share("/home/ana/src", "/src", true),
            share("/home/ana/ref", "/ref", false),
            share("/home/ana/lib", "/home/ana/lib", false),
        ],
        show: vec!["/home/ana/.cargo".into()],
        nested: true,
        env: [("TZ", "CET"), ("LANG", "C")].map(|(k, v)| (k.into(), v.into())).into(),
        keep: Keep { count: Some(3), age: Some(30 * 86400) },
        running: false,
    };
    assert_eq!(declared.machines["box"], expected);
    assert_eq!(declared.networks["lab"].egress, expected.egress);
    assert!(declared.networks["lab"].peers);
    let session = Session {
        machine: "box".into(),
        agent: Some("claude".into()),
        command: vec!["make".into(), "a b".into()],
        cwd: Some("/src".into()),
        restart: "always".into(),
        env: [("A".into(), "1".into())].into(),
    };
    assert_eq!(declared.sessions["fix"], session);
    let shell = Session {
        machine: "host".into(),
        restart: "resume".into(),
        cwd: Some("/home/ana/farm/sub".into()),
        ..Session::default()
    };
    assert_eq!(declared.sessions["sh"], shell);
}

#[test]
fn an_empty_file_declares_nothing_and_is_called_like_its_folder() {
    let declared = good("").declaration;
    assert_eq!(declared, Declaration { name: "farm".into(), ..Declaration::default() });
    let odd = Context { folder: PathBuf::from("/srv/my farm é"), ..context() };
    assert_eq!(read("", &odd).unwrap().declaration.name, "my-farm");
    assert_eq!(read("", &Context::default()).unwrap().declaration.name, "stead");
}

#[test]
fn a_machine_without_keys_is_the_scratch_machine() {
    assert_eq!(good("[machines.box]").declaration.machines["box"], stead_file::scratch());
}

#[test]
fn what_defaults_say_gives_way_to_what_decides() {
    let declared = good(
        "[stead.defaults]\negress = \"none\"\npersist = [\"/var\"]\nephemeral = true\n\
         [networks.lab]\n[machines.one]\nnetwork = \"lab\"\n[machines.two]\nephemeral = false\n",
    )
    .declaration;
    assert_eq!(declared.machines["one"].egress, Egress::Open);
    assert_eq!(declared.machines["one"].persist, [PathBuf::from("/var")]);
    assert_eq!(declared.machines["two"].egress, Egress::None);
    assert_eq!(declared.machines["two"].persist, Vec::<PathBuf>::new());
}

#[test]
fn the_spelling_of_toml_does_not_matter() {
    let one = good("machines.box = { memory = \"1gb\", keep.count = 2 }\r\n");
    let two = good(
        "\u{feff}[machines]\n[machines.box]\nmemory = '1gb'\n[machines.box.keep]\ncount = 0x2\n",
    );
    assert_eq!(one.declaration, two.declaration);
}

#[test]
fn without_facts_nothing_is_held_against_the_host() {
    let text = "[machines.box]\nmemory = \"1tb\"\ncpus = 128\ndisk = \"10tb\"\n";
    assert!(read(text, &context()).is_err());
    let checked = read(text, &Context { host: None, ..context() }).unwrap();
    assert_eq!(checked.warnings.problems, []);
}

#[test]
fn the_examples_are_good() {
    let agents = example("agents.toml");
    assert!(matches!(&agents.machines["box"].egress, Egress::Allow(rules) if rules.len() == 7));
    let lab = example("lab.toml");
    assert!(lab.machines.values().all(|machine| machine.egress == Egress::WebOnly));
    let runner = example("runner.toml");
    assert!(runner.machines["runner"].ephemeral);
    for entry in fs::read_dir(workspace("examples")).unwrap() {
        example(entry.unwrap().file_name().to_str().unwrap());
    }
}

#[test]
fn a_declaration_survives_json() {
    let declared = example("agents.toml");
    let text = serde_json::to_string(&declared).unwrap();
    assert_eq!(serde_json::from_str::<Declaration>(&text).unwrap(), declared);
}
