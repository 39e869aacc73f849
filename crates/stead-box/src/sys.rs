//! The few calls for which there is no safe wrapper: making processes, attributes of mounts, signals, exec.
#![allow(unsafe_code)]

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ffi::CString;
use std::io;

pub use libc::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER,
    CLONE_NEWUTS,
};

/// `CLONE_INTO_CGROUP`; it does not fit into the type that libc gives flags.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// The other side of [`clone`], as its parent sees it.
pub struct Cloned {
    /// Its number.
    pub pid: i32,
    /// A handle that is never somebody else.
    pub pidfd: OwnedFd,
}

/// Makes a process in the namespaces `flags`, in the version 2 cgroup `group` if given. `None` in the new process.
///
/// The caller must have one thread: others would vanish from the child with their locks held.
pub fn clone(flags: i32, group: Option<BorrowedFd<'_>>) -> io::Result<Option<Cloned>> {
    debug_assert_eq!(std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count), 1);
    let mut pidfd: libc::c_int = -1;
    let mut flags = u64::from(flags as u32) | libc::CLONE_PIDFD as u64;
    // SAFETY: a clone_args of zeroes is valid.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    if let Some(group) = group {
        flags |= INTO_CGROUP;
        args.cgroup = group.as_raw_fd() as u64;
    }
    args.flags = flags;
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: without CLONE_VM this is a fork: the child runs on its own copy of this stack.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        // SAFETY: the kernel wrote a descriptor that is ours alone.
        pid => Ok(Some(Cloned { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })),
    }
}

/// Makes `fd` descriptor 3, which stays open at exec. Whoever owns the present one uses it no more.
pub fn make_third(fd: BorrowedFd<'_>) -> io::Result<()> {
    let fd = fd.as_raw_fd();
    // SAFETY: plain system calls; the caller gives descriptor 3 up.
    let done =
        unsafe { if fd == 3 { libc::fcntl(3, libc::F_SETFD, 0) } else { libc::dup2(fd, 3) } };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Leaves for new namespaces.
pub fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: the descriptor table is never unshared here.
    match unsafe { libc::unshare(flags) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Joins the namespaces `flags` of a process, all in one step.
pub fn join(pidfd: BorrowedFd<'_>, flags: i32) -> io::Result<()> {
    // SAFETY: a plain system call.
    match unsafe { libc::setns(pidfd.as_raw_fd(), flags) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Sets attributes of the mount behind `fd` (with everything below it if `recursive`), and the shift of its ids.
pub fn mount_attributes(
    fd: BorrowedFd<'_>,
    set: u64,
    shift: Option<BorrowedFd<'_>>,
    recursive: bool,
) -> io::Result<()> {
    let mut set = set;
    if shift.is_some() {
        set |= libc::MOUNT_ATTR_IDMAP;
    }
    let attr = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation: 0,
        userns_fd: shift.map_or(0, |s| s.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string and the attributes live until the call returns.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of_val(&attr),
        )
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whose files this process makes from now on.
pub fn make_files_as(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: plain system calls; an invalid id only asks for the present one.
    let now = unsafe {
        libc::syscall(libc::SYS_setfsgid, gid);
        libc::syscall(libc::SYS_setfsuid, uid);
        (libc::syscall(libc::SYS_setfsuid, u32::MAX), libc::syscall(libc::SYS_setfsgid, u32::MAX))
    };
    if now == (i64::from(uid), i64::from(gid)) {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EPERM))
    }
}

/// Closes every descriptor from 3 on but `kept`. Whoever owned the others must forget them.
pub fn close_all_but(kept: &[BorrowedFd<'_>]) {
    let mut kept: Vec<u32> = kept.iter().map(|fd| fd.as_raw_fd() as u32).collect();
    kept.sort_unstable();
    let mut from = 3;
    for number in kept.into_iter().filter(|number| *number >= 3) {
        if number > from {
            // SAFETY: callers use none of them again.
            unsafe { libc::syscall(libc::SYS_close_range, from, number - 1, 0) };
        }
        from = number + 1;
    }
    close_from(from);
}

/// Makes a child with nothing but a copy of this process. `None` in the child. For where the filter of system calls is in
/// force; the caller must have one thread.
pub fn fork() -> io::Result<Option<i32>> {
    // SAFETY: with one thread a child may do all that its parent could.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// Makes `fds` the descriptors from 3 on, open at exec, and `last` the one after them, closed at exec, which is returned;
/// all others from 3 on are closed. Whoever owns what was there uses it no more.
pub fn place_from_third(fds: &[OwnedFd], last: &OwnedFd) -> io::Result<OwnedFd> {
    let beyond = 8 + fds.len() as i32;
    // SAFETY: plain system calls; the caller gives up all descriptors from 3 on.
    unsafe {
        // Out of the way first, so that none is overwritten.
        let away = |fd: &OwnedFd| libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, beyond);
        let copies: Vec<i32> = fds.iter().map(away).collect();
        let last = away(last);
        let end = 3 + fds.len() as i32;
        let placed = copies.iter().zip(3..).all(|(fd, number)| libc::dup2(*fd, number) != -1);
        if !placed || libc::dup3(last, end, libc::O_CLOEXEC) == -1 {
            return Err(io::Error::last_os_error());
        }
        close_from(end as u32 + 1);
        Ok(OwnedFd::from_raw_fd(end))
    }
}

/// Makes every descriptor from `first` on go away at exec.
pub fn close_at_exec(first: u32) {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: closes nothing now.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) };
}

fn set_of(signals: Option<&[i32]>) -> libc::sigset_t {
    // SAFETY: the set is initialised before use.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        match signals {
            None => {
                libc::sigfillset(&raw mut set);
            }
            Some(signals) => {
                libc::sigemptyset(&raw mut set);
                for signal in signals {
                    libc::sigaddset(&raw mut set, *signal);
                }
            }
        }
        set
    }
}

/// Blocks `signals`, or all, so that [`next_signal`] takes them.
pub fn block(signals: Option<&[i32]>) {
    let set = set_of(signals);
    // SAFETY: the set is initialised.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Unblocks everything, and gives SIGPIPE its default back, which the standard library takes away.
pub fn unblock_all() {
    let set = set_of(Some(&[]));
    // SAFETY: the set is initialised; no handler of ours is installed.
    unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// A signal that arrived.
pub struct Arrived {
    /// Its number.
    pub number: i32,
    /// Whether the kernel sent it by itself, as a terminal does to everybody in front of it.
    pub by_kernel: bool,
}

/// A descriptor that becomes readable when one of `signals`, which must be blocked, arrives.
pub fn signal_fd(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = set_of(Some(signals));
    // SAFETY: the set is initialised, and the descriptor that the kernel returns is ours alone.
    unsafe {
        match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// The signal that has arrived at such a descriptor.
pub fn read_signal(arrivals: &OwnedFd) -> Option<Arrived> {
    let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
    let read = rustix::io::read(arrivals, &mut record).ok()?;
    // The record's first fields are the number, an error, and the sender's code.
    let field = |at: usize| record[at..].first_chunk::<4>().copied().map(i32::from_ne_bytes);
    let (number, code) = (field(0)?, field(8)?);
    (read == record.len()).then_some(Arrived { number, by_kernel: code > 0 })
}

/// Closes every descriptor from `first` on, at once.
pub fn close_from(first: u32) {
    // SAFETY: the caller uses none of them any more.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// Waits for one of `signals` (or any), which must be blocked.
pub fn next_signal(signals: Option<&[i32]>) -> Arrived {
    let set = set_of(signals);
    loop {
        // SAFETY: every pointer is to something initialised. It fails only if interrupted.
        let (number, code) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            (libc::sigwaitinfo(&raw const set, &raw mut info), info.si_code)
        };
        if number > 0 {
            return Arrived { number, by_kernel: code > 0 };
        }
    }
}

/// Sends `signal` (0: only asks) to every process in this process namespace but this one. `false` if there is none.
pub fn signal_everybody(signal: i32) -> bool {
    // SAFETY: a plain system call; the caller is the first process of its namespace.
    unsafe { libc::kill(-1, signal) == 0 }
}

/// Sends a signal to the process behind `pidfd`.
pub fn signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a plain system call with no pointer to anything.
    let done = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Becomes another program. Returns only the reason why not.
pub fn exec(path: &CString, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| {
        list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both lists end with a null pointer and their strings outlive the call.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Becomes the program in an open file, with nothing in its environment and `fds` as its descriptors from 3 on. Returns
/// only the reason why not.
pub fn exec_file(file: &OwnedFd, fds: [OwnedFd; 2], args: &[CString]) -> io::Error {
    let args: Vec<_> = args.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
    let env = [std::ptr::null::<libc::c_char>()];
    // SAFETY: the list ends with a null pointer and its strings outlive the call. Descriptors are copied out of the way
    // first; the ones at 3 and 4, whoever they belong to, are used no more: if this fails, the process ends.
    unsafe {
        let away = |fd: i32| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 16);
        let (file, fds) = (away(file.as_raw_fd()), fds.map(|fd| away(fd.as_raw_fd())));
        if fds.iter().zip(3..).all(|(fd, number)| libc::dup2(*fd, number) != -1) {
            libc::syscall(
                libc::SYS_execveat,
                file,
                c"".as_ptr(),
                args.as_ptr(),
                env.as_ptr(),
                libc::AT_EMPTY_PATH,
            );
        }
    }
    io::Error::last_os_error()
}

/// Ends this process at once, without running anything that its parent left in memory.
pub fn leave(code: i32) -> ! {
    // SAFETY: never returns.
    unsafe { libc::_exit(code) }
}

/// Gives memory that was freed back to the kernel.
pub fn trim_memory() {
    // SAFETY: malloc_trim touches only the allocator's own free lists.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Brings up the loopback interface of the present network namespace.
pub fn loopback_up() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: an ifreq of zeroes is valid; its name is shorter than its place and ends with a zero.
    let done = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
