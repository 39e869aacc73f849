//! Good files: what they declare.

mod common;

use common::{context, examples, workspace};
use std::fs;
use std::path::PathBuf;
use stead_file::declared::{
    Accel, Arch, Board, Declaration, Desktop, Egress, Format, Guest, Keep, Machine, Port, Qemu,
    Session, Share,
};
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
share_agent_auth = ["claude"]
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
        qemu: Box::default(),
        system: None,
        share_agent_auth: vec!["claude".into()],
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
    for path in examples() {
        example(path.to_str().unwrap());
    }
}

#[test]
fn every_key_of_a_virtual_machine_arrives() {
    let declared = good(
        r#"
[stead.defaults.qemu]
accel = "tcg"
warm = true

[machines.vm]
engine = "qemu"
image = "./disk.img"
memory = "1gb"
ephemeral = true
[machines.vm.qemu]
guest = "light"
machine = "q35"
accel = "kvm"
arch = "x86_64"
balloon = "256MiB"
root_memory = 4
persist_size = "20gb"
audio = true
desktop = { resolution = "3840x2160", vnc = 5901, rdp = "127.0.0.2:3390" }
format = "raw"
allow_sensitive = ["/etc/nginx", "~"]
"#,
    )
    .declaration;
    let expected = Qemu {
        guest: Guest::Light,
        machine: Some(Board::Q35),
        accel: Some(Accel::Kvm),
        arch: Some(Arch::X86_64),
        warm: true,
        balloon: Some(Size(256 << 20)),
        root_memory: Some(Size::gib(4)),
        persist_size: Some(Size(20_000_000_000)),
        audio: true,
        desktop: Some(Desktop {
            resolution: "3840x2160".into(),
            vnc: Some("127.0.0.1:5901".parse().unwrap()),
            rdp: Some("127.0.0.2:3390".parse().unwrap()),
        }),
        format: Some(Format::Raw),
        allow_sensitive: vec!["/etc/nginx".into(), "/home/ana".into()],
    };
    assert_eq!(*declared.machines["vm"].qemu, expected);
    assert_eq!(declared.machines["vm"].image, "/home/ana/farm/disk.img");
    assert_eq!(expected.desktop.unwrap().size(), (3840, 2160));
}

#[test]
fn a_virtual_machine_has_what_its_engine_decides() {
    let declared = good(
        "[stead.defaults]\nshares = [\"~/src\", \"~/ref:ro\", \"~/a:/a\"]\nqemu.audio = true\n\
         [machines.full]\nengine = \"qemu\"\n[machines.box]\n\
         [machines.light]\nengine = \"qemu\"\nqemu = { guest = \"light\", audio = false }\n\
         [machines.arm]\nengine = \"qemu\"\nports = []\nqemu = { arch = \"aarch64\", guest = \"light\" }\n",
    )
    .declaration;
    let places = |name: &str| -> Vec<String> {
        declared.machines[name].shares.iter().map(|s| s.inside.display().to_string()).collect()
    };
    assert_eq!(places("full"), ["/mnt/host-rw/src", "/mnt/host-ro/ref", "/a"]);
    assert_eq!(places("box"), ["/home/ana/src", "/home/ana/ref", "/a"]);
    let ports = |name: &str| -> Vec<String> {
        let ports = declared.machines[name].ports.iter();
        ports.map(|port| format!("{port}{}", if port.optional { "?" } else { "" })).collect()
    };
    assert_eq!(ports("full"), ["2222:22?", "3001:3001?", "9080:9080?"]);
    assert_eq!(ports("light"), ["3001:3001?", "9080:9080?"]);
    assert_eq!((ports("arm"), ports("box")), (vec![], vec![]));
    let vm = &declared.machines["full"];
    assert_eq!(vm.image, "debian/12");
    assert_eq!((vm.vm_memory(), vm.vm_disk()), (Size::gib(2), Size::gib(64)));
    assert_eq!(vm.qemu.board(Arch::X86_64), Board::Q35);
    assert_eq!(declared.machines["light"].vm_memory(), Size::mib(512));
    assert_eq!(declared.machines["light"].qemu.board(Arch::X86_64), Board::Microvm);
    assert_eq!(declared.machines["arm"].qemu.board(Arch::Aarch64), Board::Virt);
    assert!(vm.qemu.audio && declared.machines["box"].qemu.is_default());
}

/// What was recorded before there were virtual machines reads as the same, and is written as it was.
#[test]
fn a_machine_of_another_engine_is_written_without_what_it_cannot_have() {
    let machine = good("[machines.box]\nports = [80]\n").declaration.machines["box"].clone();
    let text = serde_json::to_string(&machine).unwrap();
    assert!(!text.contains("qemu") && !text.contains("share_agent_auth"), "{text}");
    assert!(!text.contains("optional"), "{text}");
    assert_eq!(serde_json::from_str::<Machine>(&text).unwrap(), machine);
}

#[test]
fn a_screen_without_a_port_has_one_of_its_machine() {
    let desktop = Desktop::default();
    assert_eq!(desktop.vnc_at(3), "127.0.0.1:5903".parse().unwrap());
    assert_eq!(desktop.rdp_port(), None);
    for resolution in Desktop::RESOLUTIONS {
        let (width, height) = Desktop { resolution: resolution.into(), ..desktop.clone() }.size();
        assert_eq!(format!("{width}x{height}"), resolution);
    }
}

#[test]
fn a_declaration_survives_json() {
    let declared = example("microvm-host/stead.toml");
    let text = serde_json::to_string(&declared).unwrap();
    assert_eq!(serde_json::from_str::<Declaration>(&text).unwrap(), declared);
}
