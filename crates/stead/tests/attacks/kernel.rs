//! The kernel, by its calls and its files.

use crate::probe::{machine, probe};

#[test]
fn calls_that_change_the_computer_are_denied() {
    let world = machine("");
    // Each so that, were it allowed, nothing would come of it but another error, or what already is.
    let told = probe(
        &world,
        "a",
        r"
LIES = 0x1234
call('control', 39, 172)
call('reboot', 169, 142, 0xfee1dead, 672274793, 0, 0)
call('kexec_load', 246, 104, 0, 0, 0, 0xffff)
call('kexec_file_load', 320, 294, -1, -1, 0, 0, 0xffff)
junk = ctypes.create_string_buffer(b'no module')
call('init_module', 175, 105, junk, 9, b'')
call('delete_module', 176, 106, b'no_such', 0x800)
ts = struct.pack('qq', *divmod(__import__('time').time_ns(), 10**9))
call('clock_settime', 227, 112, 0, ts)
call('settimeofday', 164, 170, ts, None)
call('adjtimex', 159, 171, ctypes.create_string_buffer(struct.pack('I', 1) + b'\0' * 300))
call('swapon', 167, 224, b'/etc/passwd', 0)
call('acct', 163, 89, b'/etc/passwd')
call('sethostname-of-host', 302, 261, 1, 7, 0, 0) if False else None
call('iopl', 172, -1, 3)
call('ioperm', 173, -1, 0x80, 1, 1)
call('syslog', 103, 116, 3, ctypes.create_string_buffer(4096), 4096)
call('quotactl', 179, 60, 0x800001 << 8, b'/dev/vda', 0, 0)
call('perf_event_open', 298, 241, ctypes.create_string_buffer(struct.pack('IIQ', 1, 128, 0) + b'\0' * 112), 0, -1, -1, 0)
call('bpf', 321, 280, 0, ctypes.create_string_buffer(struct.pack('IIII', 2, 4, 4, 1) + b'\0' * 100), 116)
call('io_uring_setup', 425, 425, 4, ctypes.create_string_buffer(120))
call('userfaultfd', 323, 282, 0)
call('keyctl-join', 250, 219, 1, b'_ses')
call('keyctl-read', 250, 219, 11, -4, ctypes.create_string_buffer(4096), 4096)
call('add_key', 248, 217, b'user', b'x', b'y', 1, -3)
call('request_key', 249, 218, b'user', b'x', None, -3)
call('process_vm_readv-host', 310, 270, 1, 0, 0, 0, 0, LIES)
call('move_pages-host', 279, 239, 2**22 - 1, 0, 0, 0, 0, 0)
call('lookup_dcookie', 212, 18, 0, 0, 0)
call('nfsservctl', 180, 42, 0, 0, 0)
call('open_by_handle_at', 304, 265, -100, ctypes.create_string_buffer(64), 0)
call('fanotify_init', 300, 262, 4, 0)
call('pidfd_open-none', 434, 434, 2**22 - 1, 0)
call('socket-vsock', 41, 198, 40, 1, 0)
call('socket-packet', 41, 198, 17, 3, 0x300)
call('socket-alg', 41, 198, 38, 5, 0)
call('socket-netlink-audit', 41, 198, 16, 3, 9)
call('clone-newuser', 56, 220, 0x10000000 | 17, 0, 0, 0, 0)
for flag, name in [(0x10000000, 'user'), (0x20000, 'mount'), (0x40000000, 'net'), (0x20000000, 'pid'), (0x2000000, 'cgroup'), (0x80, 'time')]:
    tell('unshare-' + name, libc.unshare(flag))
",
    );
    told.worked("control");
    told.nothing_else_worked(&["control"]);
    for name in ["reboot", "kexec_load", "init_module", "bpf", "unshare-user", "clock_settime"] {
        assert!(["EPERM", "ENOSYS"].contains(&told.get(name)), "{name}: {}", told.get(name));
    }
}

#[test]
fn mounts_are_neither_made_nor_taken_away() {
    let world = machine("");
    let told = probe(
        &world,
        "a",
        r"
os.mkdir('/tmp/x')
attempt('control', lambda: os.rmdir('/tmp/x'))
os.mkdir('/tmp/x')
for kind in [b'tmpfs', b'proc', b'sysfs', b'overlay', b'debugfs', b'tracefs', b'securityfs', b'cgroup', b'cgroup2', b'bpf', b'devpts', b'binfmt_misc']:
    tell('mount-' + kind.decode(), libc.mount(b'none', b'/tmp/x', kind, 0, None))
tell('bind', libc.mount(b'/usr', b'/tmp/x', None, 4096, None))
for where in [b'/proc', b'/sys', b'/', b'/dev', b'/proc/sys']:
    tell('remount-rw ' + where.decode(), libc.mount(b'none', where, None, 32 | 4096, None))
for line in open('/proc/self/mountinfo'):
    where = line.split()[4].encode().decode('unicode_escape')
    tell('umount ' + where, libc.umount2(where.encode(), 2))
call('fsopen', 430, 430, b'tmpfs', 0)
call('open_tree', 428, 428, -100, b'/', 1)
call('move_mount', 429, 429, -100, b'/usr', -100, b'/tmp/x', 0)
call('mount_setattr', 442, 442, -100, b'/proc/sys', 0, ctypes.create_string_buffer(struct.pack('QQQQ', 0, 1, 0, 0)), 32)
call('pivot_root', 155, 41, b'/', b'/')
own = os.open('/proc/self/ns/uts', os.O_RDONLY)
tell('setns-own', libc.setns(own, 0))
attempt('setns-init', lambda: tell('setns-init ', libc.setns(os.open('/proc/1/ns/net', os.O_RDONLY), 0)) or (_ for _ in ()).throw(OSError(errno.EPERM, '')))
",
    );
    told.worked("control");
    told.nothing_else_worked(&["control"]);
    assert!(told.get("umount /proc/keys") != "ok");
}

#[test]
fn files_of_the_kernel_are_closed() {
    let world = machine("");
    let told = probe(
        &world,
        "a",
        r"
attempt('control-write', lambda: os.close(os.open('/etc/some', os.O_WRONLY | os.O_CREAT)))
for path in ['/proc/sysrq-trigger', '/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/proc/sys/vm/drop_caches',
        '/proc/sys/kernel/hostname', '/proc/sys/fs/file-max', '/proc/sys/vm/overcommit_memory', '/proc/sys/kernel/panic',
        '/proc/irq/default_smp_affinity', '/proc/acpi/wakeup', '/proc/mtrr', '/sys/kernel/uevent_helper', '/sys/power/state',
        '/sys/kernel/mm/transparent_hugepage/enabled', '/sys/module/kernel/parameters/panic', '/proc/sys/kernel/sysrq',
        '/sys/kernel/security/apparmor/.load', '/proc/fs/nfsd/threads', '/proc/scsi/scsi', '/sys/devices/system/cpu/online']:
    attempt('write ' + path, lambda: os.close(os.open(path, os.O_WRONLY)))
def read(path):
    f = os.open(path, os.O_RDONLY)
    if not os.read(f, 64): raise OSError(errno.ENODATA, 'empty')
attempt('control-read', lambda: read('/proc/self/status'))
for path in ['/proc/kcore', '/proc/kmsg', '/proc/keys', '/proc/timer_list', '/proc/sched_debug', '/proc/kpagecount',
        '/proc/kpageflags', '/dev/mem', '/dev/kmem', '/dev/port', '/dev/kmsg', '/sys/kernel/debug/sched/features',
        '/sys/kernel/tracing/trace', '/sys/firmware/dmi/tables/DMI', '/proc/vmallocinfo', '/proc/slabinfo', '/proc/pagetypeinfo']:
    attempt('read ' + path, lambda: read(path))
import glob
def release_agent():
    paths = glob.glob('/sys/fs/cgroup/**/release_agent', recursive=True)
    if not paths: raise OSError(errno.ENOENT, '')
    os.close(os.open(paths[0], os.O_WRONLY))
attempt('release_agent', release_agent)
def cgroup():
    for where in glob.glob('/sys/fs/cgroup/*') or ['/sys/fs/cgroup/x']:
        os.mkdir(where + '/made-inside')
attempt('cgroup', cgroup)
",
    );
    told.worked("control-write");
    told.worked("control-read");
    told.nothing_else_worked(&["control-write", "control-read"]);
}

#[test]
fn devices_are_neither_made_nor_found() {
    let world = machine("");
    let told = probe(
        &world,
        "a",
        r"
import stat
attempt('control-null', lambda: os.write(os.open('/dev/null', os.O_WRONLY), b'x'))
attempt('control-fifo', lambda: os.mkfifo('/tmp/fifo'))
places = ['/', '/tmp/', '/dev/', '/dev/shm/', '/root/', '/run/']
disks = [os.makedev(254, 0), os.makedev(8, 0), os.makedev(259, 0), os.makedev(7, 0), os.makedev(253, 0)]
for place in places:
    for disk in disks:
        def make():
            path = f'{place}disk-{disk}'
            os.mknod(path, stat.S_IFBLK | 0o600, disk)
            os.read(os.open(path, os.O_RDONLY), 512)
        attempt(f'{place} {disk}', make)
    def memory():
        os.mknod(place + 'mem', stat.S_IFCHR | 0o600, os.makedev(1, 1))
        os.read(os.open(place + 'mem', os.O_RDONLY), 1)
    attempt(place + 'mem', memory)
def found():
    for root, folders, files in os.walk('/dev'):
        for name in files:
            s = os.lstat(os.path.join(root, name))
            if stat.S_ISBLK(s.st_mode): return
    raise OSError(errno.ENOENT, '')
attempt('a block device in /dev', found)
",
    );
    told.worked("control-null");
    told.worked("control-fifo");
    told.nothing_else_worked(&["control-null", "control-fifo"]);
}

#[test]
fn other_processes_and_terminals_are_out_of_reach() {
    let world = machine("");
    let told = probe(
        &world,
        "a",
        r"
import time
child = os.fork()
if child == 0: time.sleep(60); os._exit(0)
tell('control-ptrace', libc.ptrace(16, child, 0, 0))
os.waitpid(child, 0); libc.ptrace(17, child, 0, 0); os.kill(child, 9)
# Whoever takes the first process over has gained nothing by it.
def rights(pid):
    lines = open(f'/proc/{pid}/status').read().splitlines()
    return [l for l in lines if l.startswith(('Uid', 'Cap', 'NoNewPrivs', 'Seccomp:'))]
say('rights-init', 'same' if rights(1) == rights('self') and len(rights(1)) > 6 else 'other')
tell('ptrace-init', libc.ptrace(16, 1, 0, 0))
attempt('memory-init', lambda: os.read(os.open('/proc/1/mem', os.O_RDONLY), 1))
attempt('environ-init', lambda: (_ for _ in ()).throw(OSError(errno.ENODATA, '')) if not open('/proc/1/environ').read().strip('\0') else None)
import pty
master, slave = pty.openpty()
attempt('control-tty', lambda: fcntl.ioctl(slave, 0x5413, b'\0' * 8))
attempt('TIOCSTI', lambda: fcntl.ioctl(slave, 0x5412, b'x'))
attempt('TIOCLINUX', lambda: fcntl.ioctl(slave, 0x541c, b'\x03'))
attempt('renice-beyond', lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))
",
    );
    for control in ["control-ptrace", "control-tty"] {
        told.worked(control);
    }
    assert_eq!(told.get("rights-init"), "same");
    let mut may = vec!["control-ptrace", "control-tty"];
    if !rustix::process::geteuid().is_root() {
        may.push("ptrace-init");
    }
    told.nothing_else_worked(&may);
}

#[test]
fn a_set_user_id_program_in_a_share_has_no_effect_inside() {
    let world = crate::common::World::new();
    world.shared_folder("shared");
    world.apply("[machines.a]\nshares = [\"shared:/shared\"]\n");
    let script = "cp /usr/bin/id /shared/id && cp /usr/bin/id /srv/id && chmod 6755 /shared/id /srv/id && chmod 755 /srv && \
                  setpriv --reuid=65534 --regid=65534 --clear-groups";
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: an ordinary user has only root inside");
        return;
    }
    // In a folder of the machine's own it has, as everywhere: inside, where root is nobody outside.
    let own = world.sh_ok("a", &format!("{script} /srv/id"));
    let shared = world.sh_ok("a", &format!("{script} /shared/id"));
    assert!(!shared.contains("euid=0"), "{shared}");
    assert!(shared.starts_with("uid=65534") && own.starts_with("uid=65534"), "{own} {shared}");
}

/// What is written through a share belongs to its owner on this host, and no mount keeps the set-user-id bit away: either
/// nobody else reaches the share, or whoever declares it is told.
#[test]
fn a_set_user_id_program_in_a_share_is_out_of_reach_or_spoken_of() {
    use crate::common::NOBODY;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root has shares that are root's");
        return;
    }
    let world = crate::common::World::new();
    let shared = world.shared_folder("shared");
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let declare = || {
        world.declare("[machines.a]\nshares = [\"shared:/shared\"]\n");
        let said = world.stead(&["plan"]);
        assert!([0, 3].contains(&said.status), "{said:?}");
        format!("{}{}", said.out, said.err).contains("set-user-id")
    };
    let run_by_nobody = || {
        let mut command = std::process::Command::new(shared.join("id"));
        let said = command.arg("-u").uid(NOBODY).gid(NOBODY).current_dir("/").output();
        said.map(|said| String::from_utf8(said.stdout).unwrap()).unwrap_or_default()
    };
    assert!(!declare(), "nobody reaches it");
    world.ok(&["apply", "--yes"]);
    world.sh_ok("a", "cp /usr/bin/id /shared/id && chmod 4755 /shared/id");
    let made = shared.join("id").metadata().unwrap();
    assert_eq!((made.uid(), made.mode() & 0o7777), (0, 0o4755));
    assert_eq!(run_by_nobody(), "", "nobody reaches it");
    for folder in [world.path(), &world.home(), &shared] {
        open(folder, 0o755);
    }
    assert_eq!(run_by_nobody(), "0\n", "a mount keeps it away: there is nothing to speak of");
    assert!(declare(), "others reach it");
    open(&shared, 0o700);
    assert!(!declare(), "nobody reaches it");
}
