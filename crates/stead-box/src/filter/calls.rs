//! Which system calls are denied, and why each.

/// The newest call that is known here; later ones do not exist for a sandbox. Whoever raises it has read what the new
/// ones do.
pub const NEWEST: u32 = 469;

/// `CLONE_NEW*` of clone and unshare: mount, cgroup, host name, IPC, user, process and network namespaces.
pub const NEW_ANY: u32 = 0x7e02_0000;
/// `CLONE_NEWTIME`, which in clone is a part of a signal's number.
pub const NEW_TIME: u32 = 0x80;

const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
/// Harmless personalities: 32-bit names of the machine, old version numbers, and addresses that do not change (gdb).
const PERSONALITIES: u32 = 0x0008 | 0x0002_0000 | 0x0004_0000;

const SOCKETS: Deny = Deny::OtherSockets {
    families: &[libc::AF_UNIX as u32, libc::AF_INET as u32, libc::AF_INET6 as u32],
    netlink: &[
        libc::NETLINK_ROUTE as u32,
        libc::NETLINK_SOCK_DIAG as u32,
        libc::NETLINK_KOBJECT_UEVENT as u32,
    ],
    netlink_nested: &[libc::NETLINK_NETFILTER as u32, libc::NETLINK_GENERIC as u32],
};
const EPERM: Deny = Deny::Always(libc::EPERM);
const ENOSYS: Deny = Deny::Always(libc::ENOSYS);

/// When a call is denied.
#[derive(Debug, Clone, Copy)]
pub enum Deny {
    /// With this error, whatever its arguments.
    Always(i32),
    /// When its first argument asks for a namespace.
    NewNamespaces,
    /// The same, a time namespace included.
    UnshareNamespaces,
    /// When an argument is one of these.
    Values {
        /// Which argument.
        index: u32,
        /// The values.
        values: &'static [u32],
        /// The error.
        errno: i32,
    },
    /// When an argument has other bits than these, and is not the value that only asks.
    OtherBits {
        /// Which argument.
        index: u32,
        /// The bits.
        bits: u32,
        /// The value that only asks.
        query: u32,
    },
    /// When it is for a socket of a family, or of a netlink protocol, that is not listed.
    OtherSockets {
        /// Families.
        families: &'static [u32],
        /// Protocols of netlink.
        netlink: &'static [u32],
        /// More of them, where containers may be made.
        netlink_nested: &'static [u32],
    },
}

/// A call that is denied.
#[derive(Debug, Clone, Copy)]
pub struct Denied {
    /// Its name.
    pub name: &'static str,
    /// Its number on `x86_64`, if it exists there.
    pub x86_64: Option<u32>,
    /// Its number on `aarch64`, if it exists there.
    pub aarch64: Option<u32>,
    /// When.
    pub deny: Deny,
    /// Whether it is allowed where containers may be made.
    pub nested: bool,
    /// Why.
    pub reason: &'static str,
}

const fn row(
    name: &'static str,
    x86_64: Option<u32>,
    aarch64: Option<u32>,
    deny: Deny,
    nested: bool,
    reason: &'static str,
) -> Denied {
    Denied { name, x86_64, aarch64, deny, nested, reason }
}

/// Every call that is denied.
#[rustfmt::skip]
pub const DENIED: &[Denied] = &[
    row("clone3", Some(435), Some(435), ENOSYS, false,
        "its flags are in memory, where a filter cannot look; libraries fall back on clone"),
    row("clone", Some(56), Some(220), Deny::NewNamespaces, true,
        "a new user namespace opens most of the kernel's code to whoever is in it"),
    row("unshare", Some(272), Some(97), Deny::UnshareNamespaces, true,
        "as clone"),
    row("setns", Some(308), Some(268), EPERM, true,
        "entering the namespaces of others"),
    row("mount", Some(165), Some(40), EPERM, true,
        "file systems are parsers in the kernel, and mounts could uncover what is covered"),
    row("umount2", Some(166), Some(39), EPERM, true,
        "uncovers what a mount covers"),
    row("pivot_root", Some(155), Some(41), EPERM, true,
        "changes the root"),
    row("open_tree", Some(428), Some(428), EPERM, true,
        "mounts, the newer way"),
    row("move_mount", Some(429), Some(429), EPERM, true,
        "mounts, the newer way"),
    row("fsopen", Some(430), Some(430), EPERM, true,
        "mounts, the newer way"),
    row("fsconfig", Some(431), Some(431), EPERM, true,
        "mounts, the newer way"),
    row("fsmount", Some(432), Some(432), EPERM, true,
        "mounts, the newer way"),
    row("fspick", Some(433), Some(433), EPERM, true,
        "mounts, the newer way"),
    row("mount_setattr", Some(442), Some(442), EPERM, true,
        "makes read-only mounts writable"),
    row("open_tree_attr", Some(467), Some(467), EPERM, true,
        "mounts, the newer way"),
    row("ioctl", Some(16), Some(29), Deny::Values { index: 1, values: &[TIOCSTI, TIOCLINUX], errno: libc::EPERM }, false,
        "typing into the terminal of whoever entered, or of the console"),
    row("socket", Some(41), Some(198), SOCKETS, false,
        "kinds of sockets that no agent needs: vsock reaches the hypervisor, alg and packet the kernel's rarely used code"),
    row("socketpair", Some(53), Some(199), SOCKETS, false,
        "as socket"),
    row("personality", Some(135), Some(92), Deny::OtherBits { index: 0, bits: PERSONALITIES, query: u32::MAX }, false,
        "other systems' ways, among them memory that is always executable"),
    row("kexec_load", Some(246), Some(104), EPERM, false,
        "replaces the kernel"),
    row("kexec_file_load", Some(320), Some(294), EPERM, false,
        "replaces the kernel"),
    row("init_module", Some(175), Some(105), EPERM, false,
        "code in the kernel"),
    row("finit_module", Some(313), Some(273), EPERM, false,
        "code in the kernel"),
    row("delete_module", Some(176), Some(106), EPERM, false,
        "code in the kernel"),
    row("create_module", Some(174), None, EPERM, false,
        "code in the kernel, as it once was"),
    row("get_kernel_syms", Some(177), None, EPERM, false,
        "code in the kernel, as it once was"),
    row("query_module", Some(178), None, EPERM, false,
        "code in the kernel, as it once was"),
    row("bpf", Some(321), Some(280), EPERM, false,
        "programs in the kernel"),
    row("perf_event_open", Some(298), Some(241), EPERM, false,
        "measures other processes; a long row of holes"),
    row("userfaultfd", Some(323), Some(282), EPERM, false,
        "stops the kernel in the middle of a copy, which exploits build on"),
    row("add_key", Some(248), Some(217), ENOSYS, false,
        "the kernel's keys are not kept apart; runtimes take `ENOSYS` for a kernel without them"),
    row("request_key", Some(249), Some(218), ENOSYS, false,
        "as add_key"),
    row("keyctl", Some(250), Some(219), ENOSYS, false,
        "as add_key"),
    row("open_by_handle_at", Some(304), Some(265), EPERM, false,
        "opens files by number, around every folder"),
    row("swapon", Some(167), Some(224), EPERM, false,
        "the host's memory"),
    row("swapoff", Some(168), Some(225), EPERM, false,
        "the host's memory"),
    row("reboot", Some(169), Some(142), EPERM, false,
        "the host's life"),
    row("settimeofday", Some(164), Some(170), EPERM, false,
        "the host's clock"),
    row("clock_settime", Some(227), Some(112), EPERM, false,
        "the host's clock"),
    row("clock_adjtime", Some(305), Some(266), EPERM, false,
        "the host's clock"),
    row("adjtimex", Some(159), Some(171), EPERM, false,
        "the host's clock"),
    row("acct", Some(163), Some(89), EPERM, false,
        "the host's accounting"),
    row("quotactl", Some(179), Some(60), EPERM, false,
        "the host's quotas"),
    row("quotactl_fd", Some(443), Some(443), EPERM, false,
        "the host's quotas"),
    row("nfsservctl", Some(180), Some(42), EPERM, false,
        "a server in the kernel, as it once was"),
    row("lookup_dcookie", Some(212), Some(18), EPERM, false,
        "the profiler's names of files"),
    row("syslog", Some(103), Some(116), EPERM, false,
        "the kernel's log has the host's addresses and devices"),
    row("io_uring_setup", Some(425), Some(425), ENOSYS, false,
        "does what it is asked outside of this filter; a long row of holes; programs fall back"),
    row("io_uring_enter", Some(426), Some(426), ENOSYS, false,
        "as io_uring_setup"),
    row("io_uring_register", Some(427), Some(427), ENOSYS, false,
        "as io_uring_setup"),
    row("iopl", Some(172), None, EPERM, false,
        "the machine's ports"),
    row("ioperm", Some(173), None, EPERM, false,
        "the machine's ports"),
    row("modify_ldt", Some(154), None, EPERM, false,
        "segments for 16-bit programs"),
    row("uselib", Some(134), None, EPERM, false,
        "libraries, as they once were"),
    row("sysfs", Some(139), None, EPERM, false,
        "a list that /proc has too; from another age"),
    row("_sysctl", Some(156), None, EPERM, false,
        "settings of the kernel, as they once were"),
];
