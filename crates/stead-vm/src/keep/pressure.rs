//! Hearing when this host is short of memory: <https://docs.kernel.org/accounting/psi.html>.

use super::console::thread;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::Write;

/// Where the kernel tells.
const MEMORY: &str = "/proc/pressure/memory";
/// Some process waited for memory a tenth of two seconds: the shortest window that everybody may ask for.
const TRIGGER: &[u8] = b"some 200000 2000000\0";

/// Has `short` told each time that memory is short. Where the kernel does not tell, it never is.
///
/// # Errors
/// If there is no thread for it.
pub fn listen(short: impl Fn() + Send + 'static) -> std::io::Result<()> {
    let Ok(mut file) = File::options().read(true).write(true).open(MEMORY) else { return Ok(()) };
    if file.write_all(TRIGGER).is_err() {
        return Ok(());
    }
    thread("pressure", move || {
        loop {
            let mut fds = [PollFd::new(&file, PollFlags::PRI)];
            match poll(&mut fds, None) {
                Ok(_) if fds[0].revents().contains(PollFlags::ERR) => return,
                Ok(_) => short(),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    })
}
