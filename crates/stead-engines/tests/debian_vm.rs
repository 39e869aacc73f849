//! A declared Debian, brought onto a real one: a full guest with systemd, booted once. It has no internet; packages come
//! from a repository of files that is made of what this host's apt fetches.

#[path = "common/bench.rs"]
mod bench;
mod common;

use bench::QemuBench;
use common::images;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use stead_engines::debian::Tools;
use stead_file::declared::{Board, Guest, Service, Sudo, System, Transport, User};
use stead_file::size::Size;
use stead_machine::conformance::Bench;
use stead_machine::engine::Exec;
use stead_machine::{Engine, Steps};
use stead_system::apply::Input;
use stead_system::{Whole, debian};
use tokio::runtime::Runtime;

/// Whether all is here that it takes; says what is not.
fn able() -> bool {
    let tools = ["qemu-system-x86_64", "qemu-img", "mmdebstrap", "apt-get", "dpkg-deb"];
    if let Some(program) = tools.into_iter().find(|name| Tools::of_host().find(name).is_none()) {
        eprintln!("SKIPPED: there is no {program}");
    } else if !fs::read_to_string("/etc/os-release").is_ok_and(|text| text.contains("bookworm")) {
        eprintln!("SKIPPED: the packages of Debian 12 are fetched by the apt of one");
    } else if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root makes images");
    } else {
        return true;
    }
    false
}

/// A running Debian.
struct Debian {
    runtime: Runtime,
    bench: QemuBench,
}

/// What was said of a pass.
struct Said {
    status: i32,
    text: String,
}

impl Said {
    fn number(&self, key: &str) -> u64 {
        let last = self.text.lines().last().unwrap_or_default();
        let value: serde_json::Value = serde_json::from_str(last).unwrap();
        value["summary"][key].as_u64().unwrap_or_else(|| panic!("{}", self.text))
    }

    fn well(self) -> Self {
        assert_eq!((self.status, self.number("failed")), (0, 0), "{}", self.text);
        self
    }
}

impl Debian {
    fn booted() -> Self {
        let runtime = Runtime::new().unwrap();
        let bench = QemuBench::new(Guest::Full, Board::Q35);
        let mut wanted = bench.wanted("box");
        wanted.declared.memory = Some(Size(768 << 20));
        runtime.block_on(bench.engine.create(&wanted, &Steps::none())).unwrap();
        runtime.block_on(bench.engine.start(&wanted, &Steps::none())).unwrap();
        let debian = Debian { runtime, bench };
        debian.ok("systemctl is-system-running --wait || true");
        debian
    }

    fn command(&self, words: &[&str], input: Option<&[u8]>) -> (i32, String) {
        let command = words.iter().map(|word| (*word).to_owned()).collect();
        let exec = Exec { command, ..Exec::default() };
        let mut command = self.runtime.block_on(self.bench.engine.exec("box", &exec)).unwrap();
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
            pipe.write_all(input).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code().unwrap_or(-1), text + &String::from_utf8_lossy(&output.stderr))
    }

    fn shell(&self, line: &str) -> (i32, String) {
        self.command(&["bash", "-c", line], None)
    }

    fn ok(&self, line: &str) -> String {
        let (status, text) = self.shell(line);
        assert_eq!(status, 0, "{line}: {text}");
        text
    }

    fn fails(&self, line: &str) -> String {
        let (status, text) = self.shell(line);
        assert_ne!(status, 0, "{line}: {text}");
        text
    }

    /// A line that succeeds sooner or later: something else is at work on it.
    fn soon(&self, line: &str) -> String {
        self.ok(&format!(
            "for _ in $(seq 600); do if {line}; then exit 0; fi; sleep 0.2; done; exit 1"
        ))
    }

    fn bring(&self, path: &str, content: &[u8]) {
        let put = "cat > \"$0\" && chmod 755 \"$0\"";
        let (status, text) = self.command(&["sh", "-c", put, path], Some(content));
        assert_eq!(status, 0, "{text}");
    }

    /// A repository of files inside with these packages and all that they need.
    fn repository(&self, packages: &[String]) {
        let cache = images().with_file_name("debs");
        fs::create_dir_all(cache.join("partial")).unwrap();
        let status = cache.join("status");
        fs::write(&status, self.ok("cat /var/lib/dpkg/status")).unwrap();
        let option = |name: &str, path: &PathBuf| format!("-o{name}={}", path.display());
        let apt = |more: &[&str]| {
            let output = Command::new("apt-get")
                .args([
                    option("Dir::State::status", &status),
                    option("Dir::Cache::archives", &cache),
                ])
                .args(["-oDebug::NoLocking=1", "-y", "-q", "--no-install-recommends", "install"])
                .args(more)
                .args(packages)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        apt(&["--download-only"]);
        // Of what was ever fetched, only what this guest lacks.
        let planned = apt(&["-s"]);
        let mut files = Vec::new();
        let mut index = String::new();
        for line in planned.lines().filter_map(|line| line.strip_prefix("Inst ")) {
            let name = line.split_whitespace().next().unwrap();
            let version = line.split_once('(').unwrap().1.split_whitespace().next().unwrap();
            let begin = format!("{name}_{}_", version.replace(':', "%3a"));
            let file = fs::read_dir(&cache).unwrap().flatten().map(|entry| entry.file_name());
            let file =
                file.map(|name| name.into_string().unwrap()).find(|file| file.starts_with(&begin));
            let file = file.unwrap_or_else(|| panic!("no {begin}"));
            let path = cache.join(&file);
            let about = Command::new("dpkg-deb").arg("-f").arg(&path).output().unwrap();
            let sum = Command::new("sha256sum").arg(&path).output().unwrap();
            let sum = String::from_utf8(sum.stdout).unwrap();
            index += String::from_utf8(about.stdout).unwrap().trim_end();
            let more = format!(
                "\nFilename: ./{file}\nSize: {}\nSHA256: {}\n\n",
                path.metadata().unwrap().len(),
                sum.split_whitespace().next().unwrap()
            );
            index += &more;
            files.push(file);
        }
        let tar =
            Command::new("tar").arg("-c").arg("-C").arg(&cache).args(&files).output().unwrap();
        let (status, text) = self
            .command(&["sh", "-c", "mkdir -p /srv/debs && tar -x -C /srv/debs"], Some(&tar.stdout));
        assert_eq!(status, 0, "{text}");
        self.bring("/srv/debs/Packages", index.as_bytes());
        self.ok("rm -f /etc/apt/sources.list.d/* && echo 'deb [trusted=yes] file:/srv/debs ./' > /etc/apt/sources.list");
    }

    fn apply(&self, system: &System, arguments: &str) -> Said {
        self.apply_by(system, &format!("exec /run/stead-system apply {arguments}"))
    }

    /// The same where systemd is not seen, as in a sandbox.
    fn apply_without_systemd(&self, system: &System) -> Said {
        let hidden = "mount -t tmpfs tmpfs /run/systemd && exec /run/stead-system apply";
        self.apply_by(system, &format!("exec unshare --mount sh -c '{hidden}'"))
    }

    fn apply_by(&self, system: &System, line: &str) -> Said {
        let whole = Whole {
            machine: "box".into(),
            name: "dev".into(),
            system: system.clone(),
            outside: false,
        };
        let secrets = [("api", "top"), ("ntfy", "tk_secret")];
        let secrets = secrets.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let input =
            serde_json::to_vec(&Input { desired: debian::render(&whole), secrets }).unwrap();
        let (status, text) = self.command(&["sh", "-c", line], Some(&input));
        println!("{text}");
        Said { status, text }
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(self.bench.engine.destroy("box", &Steps::none()));
    }
}

/// An ntfy server's way of taking messages: it writes down what is posted, with the authorization.
const NTFY: &str = r#"
import http.server
class Ntfy(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open("/run/ntfy.log", "a") as log:
            log.write(f'{self.path} {self.headers["Authorization"]} {body}\n')
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", 2586), Ntfy).serve_forever()
"#;

/// A neighbour of the machine: a network of its own, with three addresses.
const FAR: &str = "
ip netns add far
ip link add near type veth peer name eth0 netns far
ip addr add 10.77.0.1/24 dev near && ip link set near up
for last in 2 3 4; do ip -n far addr add 10.77.0.$last/24 dev eth0; done
ip -n far link set eth0 up && ip -n far link set lo up
ssh-keygen -q -t ed25519 -N '' -f /root/key && ssh-keygen -q -t ed25519 -N '' -f /root/other
mkdir -p /root/.ssh && cp /root/key.pub /root/.ssh/authorized_keys
";

/// A real ssh client at the neighbour's.
fn ssh(from: &str, options: &str, user: &str) -> String {
    format!(
        "ip netns exec far ssh -b {from} -i /root/key -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=60 \
         -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null {options} {user}@10.77.0.1 id -un 2>&1"
    )
}

/// Whether the neighbour gets a connection to a port.
fn connects(port: u16) -> String {
    format!("ip netns exec far timeout 10 bash -c 'exec 3<>/dev/tcp/10.77.0.1/{port}' 2>/dev/null")
}

fn declared(key: &str) -> System {
    let user = |sudo| User { keys: vec![key.into()], sudo, ..User::default() };
    let mut system = System { packages: vec!["tree".into()], ..System::default() };
    system.timezone = "Europe/Berlin".into();
    system.users.insert("ada".into(), user(Sudo::Passwordless));
    system.users.get_mut("ada").unwrap().git_name = Some("Ada \"L\" Lovelace".into());
    system.users.insert("bob".into(), user(Sudo::None));
    system.ssh.allow_users = vec!["ada".into()];
    system.alerts.ntfy = Some("http://127.0.0.1:2586/box".into());
    system.alerts.token = Some("ntfy".into());
    let service = |words: &[&str]| Service {
        command: words.iter().map(|word| (*word).to_owned()).collect(),
        ..Service::default()
    };
    let mut tick = service(&[
        "/bin/sh",
        "-c",
        "cp \"$CREDENTIALS_DIRECTORY/api\" got; echo \"$WHO\" > who; exec sleep infinity",
    ]);
    tick.secrets = vec!["api".into()];
    tick.env.insert("WHO".into(), "100% \"me\" $HOME".into());
    system.services.insert("tick".into(), tick);
    let mut alone = service(&["/bin/sleep", "infinity"]);
    alone.network = false;
    alone.user = Some("ada".into());
    system.services.insert("alone".into(), alone);
    let mut nightly = service(&["/bin/true"]);
    nightly.calendar = Some("*-*-* 03:30".into());
    system.services.insert("nightly".into(), nightly);
    system
}

#[test]
fn a_real_debian_becomes_what_is_declared_and_stays_reachable_whatever_fails() {
    if !able() {
        return;
    }
    let debian = Debian::booted();
    let program = std::env::current_exe().unwrap();
    let program = program.parent().unwrap().parent().unwrap().join("stead-system");
    assert!(program.exists(), "stead-system is not built: run `cargo build --workspace` first");
    debian.bring("/run/stead-system", &fs::read(program).unwrap());
    debian.ok(FAR);
    let mut system = declared(debian.ok("cat /root/key.pub").trim());
    let whole =
        Whole { machine: "box".into(), name: "dev".into(), system: system.clone(), outside: false };
    let packages: Vec<String> = debian::render(&whole).packages.into_iter().collect();
    debian.repository(&packages);

    cloud_init_takes_the_user_data(&debian, &whole);
    it_is_done_once(&debian, &system);
    ssh_lets_in_who_is_named_and_has_a_key(&debian);
    units_run_and_may_do_little(&debian);
    without_systemd_units_are_written_and_wait(&debian, &system);
    a_failure_is_told(&debian, &mut system);
    ports_are_dropped_until_they_are_declared(&debian, &mut system);
    what_cannot_hold_is_put_back(&debian, &mut system);
    what_is_declared_no_more_is_gone(&debian, &mut system);
    who_tries_too_often_is_banned(&debian);
}

fn cloud_init_takes_the_user_data(debian: &Debian, whole: &Whole) {
    debian.bring("/run/user-data", debian::user_data(&debian::render(whole)).as_bytes());
    debian.ok("cloud-init schema --config-file /run/user-data");
}

fn it_is_done_once(debian: &Debian, system: &System) {
    let before = debian.ok("cat /etc/passwd");
    let would = debian.apply(system, "--check").well();
    assert!(would.number("changed") > 20, "{}", would.text);
    assert_eq!(debian.ok("cat /etc/passwd; ls /var/lib/stead-system 2>/dev/null || true"), before);
    debian.apply(system, "").well();
    let again = debian.apply(system, "").well();
    assert_eq!(again.number("changed"), 0, "{}", again.text);
    debian.ok("tree --version && test \"$(date +%Z)\" != UTC && runuser -u ada -- sudo -n true");
    debian.fails("runuser -u bob -- sudo -n true");
    assert_eq!(
        debian.ok("runuser -u ada -- git config --global user.name").trim(),
        "Ada \"L\" Lovelace"
    );
    assert_eq!(
        debian.ok("stat -c '%U %a' /home/ada/.config/git/config /run/secrets/api").trim(),
        "ada 644\nroot 400"
    );
    // What was done to it by hand is mended, and nothing else is touched.
    debian.ok("echo 'MaxAuthTries 99' >> /etc/ssh/sshd_config.d/00-stead.conf; systemctl stop tick; gpasswd -d ada sudo 2>/dev/null || true");
    let mended = debian.apply(system, "").well();
    assert_eq!(mended.number("changed"), 2, "{}", mended.text);
}

fn ssh_lets_in_who_is_named_and_has_a_key(debian: &Debian) {
    assert_eq!(debian.ok(&ssh("10.77.0.3", "-q", "ada")).trim(), "ada");
    debian.ok(
        "echo 'bob:secret' | chpasswd; echo 'ada:secret' | chpasswd; echo 'root:secret' | chpasswd",
    );
    for (options, user) in [
        ("", "root"),
        ("", "bob"),
        ("-o PreferredAuthentications=password,keyboard-interactive", "ada"),
    ] {
        let refused = debian.fails(&ssh("10.77.0.4", options, user));
        assert!(refused.contains("Permission denied (publickey)"), "{user}: {refused}");
    }
    let effective = debian.ok("sshd -T");
    for line in [
        "permitrootlogin no",
        "passwordauthentication no",
        "x11forwarding no",
        "maxauthtries 3",
        "allowusers ada",
    ] {
        assert!(effective.lines().any(|is| is == line), "{line}: {effective}");
    }
}

fn units_run_and_may_do_little(debian: &Debian) {
    debian.ok("systemctl is-active tick alone nightly.timer stead-firewall");
    debian.soon("test -s /var/lib/private/tick/who");
    assert_eq!(debian.ok("cat /var/lib/private/tick/got"), "top");
    assert_eq!(debian.ok("cat /var/lib/private/tick/who").trim(), "100% \"me\" $HOME");
    for unit in ["tick", "alone", "nightly", "stead-alert@x"] {
        debian.ok(&format!("systemd-analyze verify --man=no {unit}.service"));
        let line =
            debian.ok(&format!("systemd-analyze security --no-pager {unit}.service | tail -n 1"));
        let number = line
            .split("level for")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().find_map(|word| word.parse::<f64>().ok()));
        let number = number.unwrap_or_else(|| panic!("{line}"));
        println!("{unit}: {number}");
        assert!(number <= 4.0, "{unit}: {line}");
    }
}

fn without_systemd_units_are_written_and_wait(debian: &Debian, system: &System) {
    let same = debian.apply_without_systemd(system).well();
    assert_eq!(same.number("changed"), 0, "{}", same.text);
    let mut more = system.clone();
    let command = vec!["/bin/sleep".into(), "infinity".into()];
    more.services.insert("later".into(), Service { command, ..Service::default() });
    let said = debian.apply_without_systemd(&more).well();
    assert_eq!(said.number("changed"), 2, "{}", said.text);
    debian.fails("systemctl is-active later");
    debian.apply(&more, "").well();
    debian.ok("systemctl is-active later");
    debian.apply(system, "").well();
    debian.fails("systemctl is-active later || systemctl cat later");
}

fn a_failure_is_told(debian: &Debian, system: &mut System) {
    debian.bring("/run/ntfy.py", NTFY.as_bytes());
    debian.ok("systemd-run --quiet --unit=ntfy python3 /run/ntfy.py");
    debian.soon("(exec 3<>/dev/tcp/127.0.0.1/2586) 2>/dev/null");
    let command = vec!["/bin/sh".into(), "-c".into(), "exit 7".into()];
    let failing = Service { command, restart: "no".into(), ..Service::default() };
    system.services.insert("failing".into(), failing);
    debian.apply(system, "");
    debian.soon("grep -q failing /run/ntfy.log");
    let told = debian.ok("cat /run/ntfy.log");
    assert!(told.starts_with("/box Bearer tk_secret failing.service failed on box"), "{told}");
    // It is not made to fail again.
    let again = debian.apply(system, "").well();
    assert_eq!(again.number("changed"), 0, "{}", again.text);
}

fn ports_are_dropped_until_they_are_declared(debian: &Debian, system: &mut System) {
    debian.ok("systemd-run --quiet --unit=web python3 -m http.server 8080");
    debian.soon("(exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null");
    debian.fails(&connects(8080));
    system.firewall.open = vec![Transport::tcp(8080)];
    let said = debian.apply(system, "").well();
    assert_eq!(said.number("changed"), 1, "{}", said.text);
    debian.ok(&connects(8080));
    // The address of credentials is root's.
    debian.ok("ip addr add 169.254.169.254/32 dev lo && systemd-run --quiet --unit=meta python3 -m http.server -b 169.254.169.254 80");
    debian.soon("(exec 3<>/dev/tcp/169.254.169.254/80) 2>/dev/null");
    debian.fails("runuser -u ada -- bash -c 'exec 3<>/dev/tcp/169.254.169.254/80' 2>/dev/null");
}

fn what_cannot_hold_is_put_back(debian: &Debian, system: &mut System) {
    let before = system.clone();
    // A rule of the user's own that nft cannot read.
    debian.ok("mkdir -p /etc/nftables.d/stead.d && echo 'add rule inet nonsense' > /etc/nftables.d/stead.d/bad.nft");
    system.firewall.open = vec![Transport::tcp(9090)];
    let said = debian.apply(system, "");
    assert_eq!((said.status, said.number("failed")), (1, 1), "{}", said.text);
    assert!(said.text.contains("nft: ") && said.text.contains("bad.nft"), "{}", said.text);
    debian.ok(&connects(8080));
    assert_eq!(debian.ok(&ssh("10.77.0.3", "-q", "ada")).trim(), "ada");
    // A drop-in of the user's own that sshd cannot read.
    debian.ok("rm /etc/nftables.d/stead.d/bad.nft; echo 'Nonsense yes' > /etc/ssh/sshd_config.d/90-user.conf");
    *system = before.clone();
    system.ssh.max_auth_tries = 2;
    let said = debian.apply(system, "");
    assert_eq!((said.status, said.number("failed")), (1, 1), "{}", said.text);
    assert!(said.text.contains("90-user.conf"), "{}", said.text);
    assert_eq!(debian.ok(&ssh("10.77.0.3", "-q", "ada")).trim(), "ada");
    debian.ok("grep -q 'MaxAuthTries 3' /etc/ssh/sshd_config.d/00-stead.conf");
    debian.ok("rm /etc/ssh/sshd_config.d/90-user.conf");
    // Nobody would come in any more.
    system.ssh.allow_users = vec!["zoe".into()];
    let said = debian.apply(system, "");
    assert_eq!((said.status, said.number("failed")), (1, 1), "{}", said.text);
    assert!(said.text.contains("nobody could come in by ssh"), "{}", said.text);
    assert_eq!(debian.ok(&ssh("10.77.0.3", "-q", "ada")).trim(), "ada");
    *system = before.clone();
    // A unit that systemd refuses, beside one that it does not.
    let nothing = Service { command: vec!["/usr/bin/nothing-there".into()], ..Service::default() };
    system.services.insert("nothing".into(), nothing);
    let said = debian.apply(system, "");
    assert_eq!(said.status, 1, "{}", said.text);
    assert!(said.text.contains("nothing-there"), "{}", said.text);
    debian.ok("systemctl is-active tick && test ! -e /etc/systemd/system/nothing.service");
    *system = before;
    debian.apply(system, "").well();
    let again = debian.apply(system, "").well();
    assert_eq!(again.number("changed"), 0, "{}", again.text);
}

fn what_is_declared_no_more_is_gone(debian: &Debian, system: &mut System) {
    debian.ok("echo mine > /home/bob/mine");
    system.packages.clear();
    system.users.remove("bob");
    system.services.remove("tick");
    system.services.remove("failing");
    system.timezone = "UTC".into();
    system.audit_log = false;
    system.users.get_mut("ada").unwrap().git_name = None;
    debian.apply(system, "").well();
    debian.fails("command -v tree");
    debian.fails("systemctl is-active tick");
    debian.ok(
        "! test -e /etc/systemd/system/tick.service && ! test -L /etc/systemd/system/multi-user.target.wants/tick.service \
         && ! test -e /run/secrets/api && ! test -e /etc/audit/rules.d/10-stead.rules && ! test -e /home/ada/.config/git/config \
         && ! test -e /etc/ssh/authorized_keys.d/bob && test -s /home/bob/mine && systemctl is-active alone",
    );
    assert!(debian.ok("passwd -S bob").starts_with("bob L"));
    assert_eq!(debian.ok("getent shadow bob | cut -d: -f8").trim(), "1");
    let again = debian.apply(system, "").well();
    assert_eq!(again.number("changed"), 0, "{}", again.text);
}

fn who_tries_too_often_is_banned(debian: &Debian) {
    debian.soon("fail2ban-client status sshd >/dev/null 2>&1");
    debian.ok(&connects(22));
    let attempt = ssh("10.77.0.2", "-o ConnectTimeout=5", "nobody-here");
    debian.soon(&format!(
        "{{ {attempt}; fail2ban-client status sshd | grep -q 10.77.0.2; }} >/dev/null 2>&1"
    ));
    let refused = debian.fails(&ssh("10.77.0.2", "-o ConnectTimeout=5", "ada"));
    assert!(!refused.contains("Permission denied"), "{refused}");
    assert_eq!(debian.ok(&ssh("10.77.0.3", "-q", "ada")).trim(), "ada");
}
