//! A host, an internet and sandboxes, each in a network namespace that is gone with the test.

use super::guest::Guest;
use super::internet::{self, Seen};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use stead_box::net::{NetSetup, log};
use stead_box::spec::{Net, Peer, Tap};
use stead_file::declared::Egress;

/// The host's address on the line to the internet.
pub const HOST: &str = "192.0.2.1";
/// Another address of the host.
pub const HOST_TOO: &str = "198.51.100.7";
/// The name server that the host asks.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 9);
const NOBODY: u32 = 65534;

/// The test's own host and internet. The thread that made it is on the host.
pub struct World {
    pub seen: Arc<Seen>,
    pub folder: tempfile::TempDir,
    _internet: OwnedFd,
}

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).output().expect("the program ip");
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Moves this thread into a network namespace of its own.
#[allow(unsafe_code)]
pub fn unshare(flags: UnshareFlags) -> Result<(), rustix::io::Errno> {
    // SAFETY: only namespaces of network and users are asked for.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// A world, or `None` if the test was done elsewhere or cannot be done here, which is printed.
pub fn world() -> Option<World> {
    if !rustix::process::geteuid().is_root() {
        again_as_root_of_own_users();
        return None;
    }
    if Command::new("ip").arg("-V").output().is_err() {
        println!("skipped: the program ip is not installed");
        return None;
    }
    if let Err(error) = unshare(UnshareFlags::NEWNET) {
        println!("skipped: no network namespace can be made: {error}");
        return None;
    }
    let seen = Arc::new(Seen::default());
    let (give, made) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let shared = seen.clone();
    std::thread::spawn(move || {
        unshare(UnshareFlags::NEWNET).expect("another namespace");
        give.send(OwnedFd::from(File::open("/proc/thread-self/ns/net").expect("it")))
            .expect("told");
        gone.recv().expect("the line");
        for command in [
            "link set lo up",
            "addr add 192.0.2.2/24 dev inet0",
            "link set inet0 up",
            "route add local 0.0.0.0/0 dev lo",
            "route add 192.0.2.0/24 dev inet0 table local",
        ] {
            ip(command);
        }
        internet::live(&shared);
    });
    let internet = made.recv().expect("the internet");
    let file = format!("/proc/{}/fd/{}", std::process::id(), internet.as_raw_fd());
    ip("link set lo up");
    ip("link add host0 type veth peer name inet0");
    ip(&format!("addr add {HOST}/24 dev host0"));
    ip(&format!("addr add {HOST_TOO}/32 dev lo"));
    ip("link set host0 up");
    ip(&format!("link set inet0 netns {file}"));
    go.send(()).expect("gone");
    ip("route add default via 192.0.2.2");
    seen.ready.wait();
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
    if others() && fs::exists("/dev/net/tun").is_ok_and(|there| there) {
        open_tun(folder.path());
    }
    internet::host_services(&seen);
    Some(World { seen, folder, _internet: internet })
}

/// An ordinary user runs the test again as root of a user namespace of its own.
#[allow(unsafe_code)]
fn again_as_root_of_own_users() {
    assert!(std::env::var_os("STEAD_NET_AGAIN").is_none(), "root of its own users is not root");
    let name = std::thread::current().name().expect("a test has a name").to_owned();
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", &name, "--nocapture"]).env("STEAD_NET_AGAIN", "1");
    // SAFETY: between fork and exec there is one thread, and files are written without a lock of anybody's.
    unsafe {
        command.pre_exec(move || {
            unshare(UnshareFlags::NEWUSER)?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
            fs::write("/proc/self/gid_map", format!("0 {group} 1"))
        });
    }
    match command.status() {
        Ok(status) => assert!(status.success(), "as root of its own users: {status}"),
        Err(error) => println!("skipped: no user namespace can be made: {error}"),
    }
}

/// Root, or an ordinary user with a user namespace; or a virtual machine of root's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Root,
    User,
    Guest,
    /// A virtual machine of an ordinary user's.
    GuestOfUser,
}

impl Who {
    fn is_guest(self) -> bool {
        matches!(self, Who::Guest | Who::GuestOfUser)
    }
}

/// All of them that there can be here.
pub fn everybody() -> Vec<Who> {
    let mut all = vec![Who::Root, Who::User];
    all.extend(guests());
    all
}

/// Virtual machines that there can be here; printed if none.
pub fn guests() -> Vec<Who> {
    if File::options().read(true).write(true).open("/dev/net/tun").is_err() {
        println!("skipped for virtual machines: /dev/net/tun cannot be opened");
        return vec![];
    }
    if others() { vec![Who::Guest, Who::GuestOfUser] } else { vec![Who::Guest] }
}

/// Whether there are other users: in a user namespace of ours there is nobody else to become.
fn others() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.contains("4294967295"))
}

/// Opens `/dev/net/tun` to ordinary users, as most hosts have it, for this thread and what it starts.
fn open_tun(folder: &std::path::Path) {
    let tun = folder.join("tun");
    let at = tun.to_str().expect("text");
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).output().expect(program);
        assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    };
    unshare(UnshareFlags::NEWNS).expect("a mount namespace");
    run("mount", &["--make-rprivate", "/"]);
    run("mknod", &["-m", "666", at, "c", "10", "200"]);
    run("mount", &["--bind", at, "/dev/net/tun"]);
}

/// A sandbox's network that is served.
pub struct Sandbox {
    pub child: Child,
    pub lifeline: Option<OwnedFd>,
    pub run: PathBuf,
    pub net: Net,
    /// Who plays the virtual machine.
    pub guest: Option<Guest>,
}

pub fn net(egress: Egress) -> Net {
    Net {
        egress,
        ports: Vec::new(),
        host_ports: Vec::new(),
        dns: vec![IpAddr::V4(RESOLVER)],
        address: Ipv4Addr::new(10, 90, 0, 2),
        peers: BTreeMap::new(),
        tap: None,
        agent: None,
        screen: None,
    }
}

pub fn allow(list: &[&str]) -> Egress {
    Egress::Allow(list.iter().map(ToString::to_string).collect())
}

impl World {
    pub fn run_folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn peer(&self, name: &str, last: u8) -> (String, Peer) {
        let socket = self.run_folder(name).join("net.sock");
        (name.to_owned(), Peer { address: Ipv4Addr::new(10, 90, 0, last), socket })
    }

    pub fn sandbox(&self, who: Who, name: &str, net: Net) -> Sandbox {
        self.try_sandbox(who, name, net).expect("a network")
    }

    #[allow(unsafe_code)]
    pub fn try_sandbox(&self, who: Who, name: &str, mut net: Net) -> Result<Sandbox, String> {
        if who.is_guest() {
            net.tap = Some(Tap::default());
        }
        let run = self.run_folder(name);
        let _ = fs::remove_dir_all(&run);
        fs::create_dir(&run).expect("a folder");
        fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).expect("its mode");
        let rootless = matches!(who, Who::User | Who::GuestOfUser);
        let setup =
            NetSetup { net: net.clone(), run: run.clone(), rootless, name: name.to_owned() };
        let (theirs, ours) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
        // By a descriptor, since others may not walk to where it was built.
        let program = File::open(env!("CARGO_BIN_EXE_stead-box")).expect("stead-box");
        let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
        let (said, says) = UnixStream::pair().expect("a pair of sockets");
        command.arg("net").stdin(Stdio::piped()).stdout(OwnedFd::from(says));
        if rootless && others() {
            command.uid(NOBODY).gid(NOBODY);
            std::os::unix::fs::chown(&run, Some(NOBODY), Some(NOBODY)).expect("its owner");
        }
        let number = theirs.as_raw_fd();
        // SAFETY: only a descriptor is copied between fork and exec.
        unsafe {
            command.pre_exec(move || {
                if number == 3 {
                    libc::fcntl(3, libc::F_SETFD, 0);
                } else {
                    libc::dup2(number, 3);
                }
                Ok(())
            });
        }
        let mut child = command.spawn().expect("stead-box");
        drop(command);
        let mut stdin = child.stdin.take().expect("its input");
        stdin.write_all(&serde_json::to_vec(&setup).expect("json")).expect("written");
        drop(stdin);
        let (line, tap) = all(&said);
        assert_eq!(line.lines().count(), 1, "{line}");
        let said: serde_json::Value = serde_json::from_str(&line).expect("json");
        if said["ready"] == true {
            assert_eq!(tap.is_some(), who.is_guest());
            let guest = tap.map(|tap| Guest::new(tap, net.address));
            return Ok(Sandbox { child, lifeline: Some(ours), run, net, guest });
        }
        assert!(!child.wait().expect("its end").success());
        Err(said["error"].as_str().expect("an error").to_owned())
    }
}

/// All that is said, and the descriptor that comes with it.
fn all(said: &UnixStream) -> (String, Option<OwnedFd>) {
    let (mut line, mut fd) = (Vec::new(), None);
    loop {
        let mut buffer = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut buffers = [IoSliceMut::new(&mut buffer)];
        let len =
            recvmsg(said, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC).expect("said").bytes;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut fds) = message {
                fd = fds.next();
            }
        }
        if len == 0 {
            return (String::from_utf8(line).expect("text"), fd);
        }
        line.extend(&buffer[..len]);
    }
}

impl Sandbox {
    /// Does something in the sandbox's network, or in the virtual machine's.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.guest {
            Some(guest) => inside(&guest.space, work),
            None => self.beside(work),
        }
    }

    /// Does something in the network namespace that is served.
    pub fn beside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let space = File::open(format!("/proc/{}/ns/net", self.child.id())).expect("its namespace");
        inside(&space, work)
    }
}

fn inside<T: Send>(space: &File, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            rustix::thread::move_into_link_name_space(
                std::os::fd::AsFd::as_fd(space),
                Some(LinkNameSpaceType::Network),
            )
            .expect("entered");
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl Sandbox {
    pub fn socket(&self) -> PathBuf {
        self.run.join("net.sock")
    }

    /// Whether the log has a refusal of this kind, place and name; the text must be in its reason.
    #[track_caller]
    pub fn told(&self, proto: &str, to: &str, name: Option<&str>, why: &str) {
        let all = log::read(&self.run).expect("the log");
        let found = all.iter().any(|line| {
            line.proto == proto
                && line.to == to
                && line.name.as_deref() == name
                && line.rule.contains(why)
        });
        assert!(found, "no {proto} to {to} ({name:?}) because {why:?} in {all:#?}");
    }

    /// Lets go of the lifeline and waits for the end.
    pub fn end(mut self) {
        self.lifeline = None;
        assert!(self.child.wait().expect("its end").success());
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.lifeline = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that does not wait for ever.
pub fn connect(to: &str) -> std::io::Result<TcpStream> {
    let to: SocketAddr = to.parse().expect("an address");
    let stream = TcpStream::connect_timeout(&to, Duration::from_secs(20))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_write_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// What a server at `to` says to `bytes`, up to the end of the first line; or how the connection failed.
pub fn says(to: &str, bytes: &[u8]) -> std::io::Result<String> {
    let mut stream = connect(to)?;
    stream.write_all(bytes)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    if line.is_empty() {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    } else {
        Ok(line.trim_end().to_owned())
    }
}

/// Asserts that a connection is refused with a reset, as a person should see it.
#[track_caller]
pub fn refused(to: &str, bytes: &[u8]) {
    match says(to, bytes) {
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe
            ) => {}
        other => panic!("{to} was not reset: {other:?}"),
    }
}
