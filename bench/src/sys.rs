//! What the standard library offers no safe call for: a controlling terminal, and waiting for a signal.
#![allow(unsafe_code)] // pre_exec and the signal mask have no safe interface.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Lets every signal reach the command, whatever this program has blocked for itself.
pub fn with_all_signals(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and calls two functions that are safe there on
    // a set of its own.
    unsafe {
        command.pre_exec(|| {
            let mut none = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut none);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            Ok(())
        });
    }
}

/// Makes the command lead a session of its own whose controlling terminal is its standard input.
pub fn on_own_terminal(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and makes two system calls, nothing else.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(io::stdin())?;
            Ok(())
        });
    }
}

/// Makes the command lead a session of its own, so that no signal from our terminal reaches it.
pub fn in_own_session(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and makes one system call.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            Ok(())
        });
    }
}

/// Calls `act` once when the user interrupts or ends this program, instead of dying at once.
///
/// To be called before any other thread exists. Children inherit the mask that this needs:
/// [`with_all_signals`] is for them.
pub fn on_interrupt(act: impl FnOnce() + Send + 'static) {
    // SAFETY: the set is initialised by sigemptyset before any other use and lives on this stack
    // or is copied into the thread; sigwait writes only to the integer it is given.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGINT);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        libc::sigaddset(&raw mut set, libc::SIGHUP);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        std::thread::spawn(move || {
            let mut signal = 0;
            libc::sigwait(&raw const set, &raw mut signal);
            act();
        });
    }
}
