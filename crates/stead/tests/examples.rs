//! The examples with virtual machines: planned as they are, and started as they would be on a smaller computer.

mod common;

use common::{Said, World};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A world whose virtual machines are made on images that are there from run to run.
fn world() -> World {
    let world = World::of_vms();
    for folder in ["src", "notes", "Downloads", "vault"] {
        world.shared_folder(folder);
    }
    world
}

fn example(name: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    std::fs::read_to_string(examples.join(name).join("stead.toml")).unwrap()
}

/// The example for a smaller computer: little memory, light guests that are emulated, no sound. Its ports are free ones.
fn small(name: &str) -> String {
    let mut lines = Vec::new();
    for line in example(name).lines() {
        let indent = |key: &str| line.split_once(" = ").is_some_and(|(found, _)| found == key);
        let line = match line {
            _ if indent("memory") => "memory = \"256MiB\"".to_owned(),
            _ if indent("cpus") => "cpus = 1".to_owned(),
            _ if indent("disk") => "disk = \"4GiB\"".to_owned(),
            _ if indent("persist_size") => "persist_size = \"1GiB\"".to_owned(),
            _ if indent("root_memory") => "root_memory = \"128MiB\"".to_owned(),
            _ if indent("audio") || indent("qemu.audio") || indent("agent") => continue,
            _ if indent("guest") || indent("warm") => continue,
            // Systems are brought from the net, which tests have not.
            _ if indent("system") => continue,
            // Whoever has these ports already has nothing to do with this.
            _ if indent("ports") && line.contains("2222") => {
                format!("ports = [\"{}:22\", {}, {}]", free_port(), free_port(), free_port())
            }
            "ports = [\"6443:6443\"]" => format!("ports = [\"{}:6443\"]", free_port()),
            "ports = [\"8444:8443\"]" => format!("ports = [\"{}:8443\"]", free_port()),
            _ if indent("desktop") || indent("qemu.desktop") => {
                // The screen is as large as it was.
                let start = line.split(" vnc").next().unwrap_or(line);
                let rdp = if line.contains("rdp") { format!(", rdp = {}", free_port()) } else { String::new() };
                format!("{start} vnc = {}{rdp} }}", free_port())
            }
            _ if line.starts_with("qemu = {") => {
                "qemu = { guest = \"light\", machine = \"q35\", accel = \"tcg\", root_memory = \"128MiB\", persist_size = \"1GiB\" }".to_owned()
            }
            // Only a PC has a screen.
            "[machines.ai.qemu]" => format!("{line}\nguest = \"light\"\nmachine = \"q35\"\naccel = \"tcg\""),
            // Each table of a machine's own; the other example has it among the defaults.
            _ if line.starts_with("[machines.") && line.ends_with(".qemu]") => {
                format!("{line}\nguest = \"light\"\naccel = \"tcg\"")
            }
            "running = false" => continue,
            "[sessions.claude]" => "[sessions.shell]".to_owned(),
            line => line.to_owned(),
        };
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn fine(said: &Said) {
    assert_eq!(said.status, 0, "{said:?}");
}

#[test]
fn the_examples_are_planned_as_they_are() {
    for (name, machines) in [
        ("ai-vm", &["ai", "scratch-vm", "quick"][..]),
        ("microvm-host", &["desktop-work", "desktop-web", "desktop-vault", "k3s", "incus"]),
    ] {
        let world = world();
        // Sound is what this computer need not have.
        let file = example(name);
        let file: Vec<&str> = file.lines().filter(|line| !line.contains("audio")).collect();
        let file = file.join("\n");
        world.declare(&file);
        let said = world.stead(&["plan"]);
        for machine in machines {
            // That somebody else has a port is nothing that the example could help.
            let planned = |line: &str| {
                let taken = line.starts_with("x ") && line.contains("is taken by");
                line.split_whitespace().nth(1) == Some(machine) && (line.starts_with("+ ") || taken)
            };
            assert!(said.out.lines().any(planned), "{name}: {machine}: {said:?}");
        }
        assert!([1, 3].contains(&said.status), "{name}: {said:?}");
    }
}

#[test]
fn the_systems_of_the_examples_are_written_for_both() {
    for name in ["ai-vm", "microvm-host", "cloud-dev-server", "ec2-remote-dev", "agents-lxc"] {
        let world = world();
        world.declare(&example(name));
        for (to, file) in [("nixos", "flake.nix"), ("debian", "user-data")] {
            let said = world.stead(&["system", "render", "--all", to, "--to", to]);
            fine(&said);
            assert!(said.out.contains(file), "{name}: {said:?}");
        }
    }
}

#[test]
fn all_five_machines_of_a_computer_of_virtual_machines_run_at_once() {
    let world = world();
    let file = small("microvm-host");
    world.declare(&file);
    fine(&world.stead(&["apply", "--yes"]));
    let all = ["desktop-work", "desktop-web", "desktop-vault", "k3s", "incus"];
    for name in all {
        assert_eq!(world.sh_ok(name, "hostname"), format!("{name}\n"));
        assert_eq!(world.machine(name)["phase"], "running", "{name}");
    }
    let home = world.home();
    std::fs::write(home.join("src/here"), "mine\n").unwrap();
    world.give(&home.join("src/here"));
    assert_eq!(world.sh_ok("desktop-work", "cat /mnt/host-rw/src/here"), "mine\n");
    let said = world.sh("desktop-vault", "touch /mnt/host-ro/vault/no");
    assert_ne!(said.status, 0, "{said:?}");
    // A desktop has a screen, and what it is not to keep is in memory.
    let vnc = file.split("vnc = ").nth(1).unwrap().split(' ').next().unwrap();
    let mut screen = TcpStream::connect(format!("127.0.0.1:{vnc}")).unwrap();
    let mut greeting = [0; 12];
    screen.read_exact(&mut greeting).unwrap();
    assert!(greeting.starts_with(b"RFB 003."), "{greeting:?}");
    assert_eq!(world.sh_ok("desktop-work", "df --output=fstype / | tail -1"), "overlay\n");
    // The two servers reach each other by name; no one else does.
    let serve = "exec perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 7000, Listen => 5) or die; print \"ready\\n\"; while ($c = $s->accept) { print $c \"k3s\\n\"; close $c }'";
    world.ok(&["run", "-m", "k3s", "-d", "-n", "serve", "--", "sh", "-c", serve]);
    world.ok(&["wait", "serve", "--for", "ready"]);
    let ask = "exec 3<>/dev/tcp/k3s/7000 && cat <&3";
    let from = |name: &str| world.stead(&["exec", name, "--", "timeout", "60", "bash", "-c", ask]);
    assert_eq!(from("incus").out, "k3s\n");
    for name in ["desktop-work", "desktop-web", "desktop-vault"] {
        let said = from(name);
        assert!(said.status != 0 && said.out.is_empty(), "{name}: {said:?}");
    }
    // Its console, and a script that says how it is started without Stead.
    let log = world.ok(&["console", "k3s", "--log"]);
    assert!(log.contains("stead: ready"), "{log}");
    let socket = world.sandbox_folder("k3s").join("vm/console.sock");
    let mut console = UnixStream::connect(&socket).unwrap();
    world.sh_ok("k3s", "echo 'heard on the console' > /dev/console");
    let mut heard = String::new();
    let mut bytes = [0; 4096];
    while !heard.contains("heard on the console") {
        let count = console.read(&mut bytes).unwrap();
        assert_ne!(count, 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    console.write_all(b"x").unwrap();
    world.ok(&["start-script", "k3s", "-o", "k3s.sh"]);
    let script = std::fs::read_to_string(home.join("k3s.sh")).unwrap();
    assert!(script.contains("leads to 6443 inside"), "{script}");
}

#[test]
fn the_machine_for_agents_comes_up_and_so_do_those_beside_it() {
    let world = world();
    world.declare(&small("ai-vm"));
    fine(&world.stead(&["apply", "--yes"]));
    for name in ["ai", "scratch-vm", "quick"] {
        assert_eq!(world.sh_ok(name, "hostname"), format!("{name}\n"));
    }
    world.ok(&["wait", "shell", "--for", "idle"]);
    world.sh_ok("ai", "echo inside > /mnt/host-rw/src/there");
    assert_eq!(std::fs::read_to_string(world.home().join("src/there")).unwrap(), "inside\n");
    assert_ne!(world.sh("ai", "echo no > /mnt/host-ro/notes/no").status, 0);
    // What persists does, and nothing else.
    world.sh_ok("scratch-vm", "echo kept > /home/kept; echo gone > /root/gone; sync");
    fine(&world.stead(&["restart", "scratch-vm"]));
    assert_eq!(world.sh_ok("scratch-vm", "cat /home/kept; ls /root/gone || true"), "kept\n");
}

#[test]
fn two_machines_with_the_default_ports_start_and_each_port_leads_into_one() {
    let world = world();
    let machine = |name: &str| {
        format!(
            "[machines.{name}]\nengine = \"qemu\"\nmemory = \"256MiB\"\ncpus = 1\ndisk = \"4GiB\"\nqemu = {{ guest = \"light\", accel = \"tcg\" }}\n"
        )
    };
    world.declare(&format!("{}{}", machine("one"), machine("two")));
    let said = world.stead(&["apply", "--yes"]);
    fine(&said);
    let told = format!("{}{}", said.out, said.err);
    assert!(told.contains("left out"), "{told}");
    let served = |name: &str| {
        let run = world.sandbox_folder(name).join("run.json");
        assert!(run.exists(), "{name}");
        world.sh_ok(name, "hostname")
    };
    assert_eq!((served("one"), served("two")), ("one\n".into(), "two\n".into()));
    // Its rules change while it runs, and what leads in stays.
    let boot = world.sh_ok("one", "cat /proc/sys/kernel/random/boot_id");
    let one = machine("one").replace("qemu = {", "egress = \"none\"\nqemu = {");
    world.declare(&format!("{one}{}", machine("two")));
    fine(&world.stead(&["apply", "--yes"]));
    assert_eq!(world.sh_ok("one", "cat /proc/sys/kernel/random/boot_id"), boot);
    // A plan of what runs finds nothing taken: its ports are its own.
    let said = world.stead(&["plan"]);
    assert_eq!(said.status, 0, "{said:?}");
}

#[test]
fn a_sensitive_folder_is_shared_after_a_typed_yes_only() {
    let world = world();
    let keys = world.shared_folder("keys/.ssh");
    std::fs::write(keys.join("id"), "secret\n").unwrap();
    world.give(&keys.join("id"));
    world.declare(
        "[machines.a]\nengine = \"qemu\"\nmemory = \"256MiB\"\ncpus = 1\ndisk = \"4GiB\"\nports = []\nshares = [\"~/keys/.ssh:ro\"]\nqemu = { guest = \"light\", accel = \"tcg\" }\n",
    );
    // Nobody said it, whatever else was said.
    let said = world.stead(&["apply", "--yes"]);
    assert_ne!(said.status, 0, "{said:?}");
    assert!(said.err.contains("sensitive"), "{said:?}");
    let mut terminal = world.terminal(&["apply"]);
    terminal.wait_for("share these sensitive folders?");
    terminal.line("no");
    assert_ne!(terminal.end(), 0);
    let listed = world.ok(&["ls", "--machines", "--json"]);
    assert!(!listed.contains("\"a\""), "{listed}");
    let mut terminal = world.terminal(&["apply", "--yes"]);
    terminal.wait_for("share these sensitive folders?");
    terminal.line("yes");
    assert_eq!(terminal.end(), 0);
    assert_eq!(world.sh_ok("a", "cat /mnt/host-ro/.ssh/id"), "secret\n");
    // It was said once; it is not asked again as long as it is shared.
    fine(&world.stead(&["restart", "a"]));
    assert_eq!(world.sh_ok("a", "cat /mnt/host-ro/.ssh/id"), "secret\n");
}
