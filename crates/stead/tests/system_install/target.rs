//! A stand-in for a machine that NixOS is installed on: a real sshd in a mount namespace, whose programs that would change
//! a machine only say so, and which is away while it would start anew.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

pub const SSHD: &str = "/usr/sbin/sshd";

/// A machine that is up, and will fail in one stage.
pub struct Target {
    pub port: u16,
    folder: tempfile::TempDir,
    namespace: Child,
    watcher: Option<JoinHandle<()>>,
}

impl Target {
    pub fn new(fail: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("stead-").tempdir_in("/tmp").unwrap();
        let at = folder.path();
        for sub in ["bin", "here", "store"] {
            fs::create_dir(at.join(sub)).unwrap();
        }
        for key in ["host", "user"] {
            run(Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at.join(key)));
        }
        fs::write(at.join("os-release"), "ID=debian\n").unwrap();
        run(Command::new("mkfifo").arg(at.join("events")));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        programs(at, fail);
        fs::write(
            at.join("sshd_config"),
            format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {0}/host\nPidFile none\nUsePAM no\nStrictModes no\n\
                 PermitRootLogin yes\nPasswordAuthentication no\nSetEnv PATH={0}/bin:/usr/bin:/bin\n",
                at.display()
            ),
        )
        .unwrap();
        let script = format!(
            "mount --make-rprivate / && mount -t tmpfs none /root && mount -t tmpfs none /run && mount -t tmpfs none /mnt \
             && mkdir -p /root/.ssh /run/sshd && cp {0}/user.pub /root/.ssh/authorized_keys && chmod 700 /root/.ssh \
             && mount --bind {0}/os-release \"$(readlink -f /etc/os-release)\" && echo ready && exec cat",
            at.display()
        );
        let mut namespace = Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(namespace.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let mut target = Target { port, folder, namespace, watcher: None };
        if fail != "connect" {
            target.watch();
        }
        target
    }

    /// Has sshd up, and away for one attempt whenever the machine would start anew.
    fn watch(&mut self) {
        let (at, pid, port) = (self.folder.path().to_owned(), self.namespace.id(), self.port);
        let mut sshd = Sshd::start(&at, pid, port);
        self.watcher = Some(std::thread::spawn(move || {
            let events = fs::OpenOptions::new().read(true).write(true).open(at.join("events"));
            for line in BufReader::new(events.unwrap()).lines() {
                match line.unwrap().as_str() {
                    "kexec" => {
                        fs::write(at.join("os-release"), "ID=nixos\nVARIANT_ID=installer\n")
                            .unwrap();
                        drop(sshd);
                        // Somebody has seen that it is away.
                        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
                        drop(listener.accept().unwrap());
                        drop(listener);
                        sshd = Sshd::start(&at, pid, port);
                    }
                    "away" | "end" => return,
                    _ => {}
                }
            }
        }));
    }

    /// The key that lets in.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("user")
    }

    /// `PATH` here: a stand-in for nix before the rest.
    pub fn path_here(&self) -> String {
        format!("{}:{}", self.folder.path().join("here").display(), std::env::var("PATH").unwrap())
    }

    /// What was done to it, a word a line.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            // For both, since nobody reads once it is away.
            let events = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(self.folder.path().join("events"));
            let mut events = events.unwrap();
            let _ = std::io::Write::write_all(&mut events, b"end\n");
            let _ = watcher.join();
        }
        let _ = self.namespace.kill();
        let _ = self.namespace.wait();
    }
}

/// A server that ends with its value, and with it every connection.
struct Sshd(Child);

impl Sshd {
    fn start(at: &Path, namespace: u32, port: u16) -> Self {
        use std::os::unix::process::CommandExt;
        let child = Command::new("nsenter")
            .args(["-m", "-t", &namespace.to_string(), "--", SSHD, "-D", "-e", "-f"])
            .arg(at.join("sshd_config"))
            .stderr(
                fs::OpenOptions::new().create(true).append(true).open(at.join("sshd.log")).unwrap(),
            )
            .process_group(0)
            .spawn()
            .unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Sshd(child)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// The programs there, and nix here. Each refuses what it does not expect.
fn programs(at: &Path, fail: &str) {
    let t = at.display();
    let ends = |stage: &str| if fail == stage { "echo it broke >&2; exit 1" } else { ":" };
    let write = |path: PathBuf, text: String| {
        fs::write(&path, format!("#!/bin/bash\nset -eu\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    // The tarball of the installer: a program that says that the machine will be another.
    let kexec = at.join("kexec");
    fs::create_dir(&kexec).unwrap();
    write(
        kexec.join("run"),
        format!(
            "{}\necho kexec >>{t}/log\necho 'machine will boot into nixos'\necho kexec >{t}/events",
            ends("kexec")
        ),
    );
    run(Command::new("tar")
        .arg("-C")
        .arg(at)
        .args(["-czf"])
        .arg(at.join("kexec.tar.gz"))
        .arg("kexec"));
    let download = |name: &str| {
        write(
            at.join("bin").join(name),
            format!(
                "case \"$*\" in *nixos-kexec-installer-noninteractive-*.tar.gz*) cat {t}/kexec.tar.gz ;; *) exit 64 ;; esac"
            ),
        );
    };
    download("wget");
    download("curl");
    write(at.join("bin/systemd-detect-virt"), "echo none".into());
    let gone = if fail == "reboot" { format!("echo away >{t}/events") } else { ":".into() };
    write(
        at.join("bin/nixos-install"),
        format!(
            "[ \"$1 $2 $3 $4\" = \"--no-root-passwd --no-channel-copy --system {t}/store/system\" ]\n{}\n\
             echo nixos-install >>{t}/log\n{gone}",
            ends("install")
        ),
    );
    write(at.join("bin/reboot"), format!("echo reboot >>{t}/log\necho away >{t}/events"));
    // It presses the button a little later, so that the connection can end: here at once.
    write(at.join("bin/sleep"), "exit 0".into());
    write(at.join("store/disko"), format!("{}\necho disko >>{t}/log", ends("disko")));
    write(at.join("store/system"), "exit 1".into());
    write(
        at.join("here/nix"),
        format!(
            r##"case "$*" in
*"config show system"*) echo x86_64-linux ;;
*"config show extra-platforms"*) ;;
*" eval --raw "*"#nixosConfigurations.\"box\".config.pkgs.system"*) echo x86_64-linux ;;
*"build --print-out-paths"*"#nixosConfigurations.\"box\".config.system.build.diskoScript"*) {} ; echo {t}/store/disko ;;
*"build --print-out-paths"*"#nixosConfigurations.\"box\".config.system.build.toplevel"*) echo {t}/store/system ;;
"copy "*"ssh://root@127.0.0.1"*) ;;
"eval "*".nix.settings."*) echo '""' ;;
*) echo "nix-stand-in: $*" >&2; exit 64 ;;
esac"##,
            ends("build")
        ),
    );
}
