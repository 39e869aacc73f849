//! The way to a machine's screen: whoever connects says so in one line, as to the agent, and is let through to QEMU.

use super::console::thread;
use crate::files::VNC;
use crate::line::spoken::Answer;
use std::io::{self, BufRead, BufReader, Read};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The longest line that is read.
const LONGEST: u64 = 4096;

/// Lets viewers through for as long as the machine runs.
///
/// # Errors
/// If there is no thread for it.
pub fn serve(door: UnixListener, folder: &Path) -> io::Result<()> {
    let vnc = folder.join(VNC);
    thread("screen", move || {
        for viewer in door.incoming().flatten() {
            let vnc = vnc.clone();
            let _ = thread("viewer", move || {
                let _ = show(&viewer, &vnc);
            });
        }
    })
}

fn show(viewer: &UnixStream, vnc: &PathBuf) -> io::Result<()> {
    // The other end sends nothing more before it is answered.
    let mut asked = String::new();
    BufReader::new(viewer).take(LONGEST).read_line(&mut asked)?;
    let shown = UnixStream::connect(vnc);
    let error = shown.as_ref().err().map(|e| format!("the screen: {e}"));
    crate::control::say(viewer, &Answer { error, ..Answer::default() })?;
    let shown = shown?;
    let (mut typed, mut to_machine) = (viewer.try_clone()?, shown.try_clone()?);
    thread("viewer", move || {
        let _ = io::copy(&mut typed, &mut to_machine);
        let _ = to_machine.shutdown(Shutdown::Both);
    })?;
    let (mut seen, mut to_viewer) = (shown, viewer.try_clone()?);
    let copied = io::copy(&mut seen, &mut to_viewer);
    let _ = to_viewer.shutdown(Shutdown::Both);
    copied.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_viewer_is_let_through_after_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let machine = UnixListener::bind(folder.path().join(VNC)).unwrap();
        serve(UnixListener::bind(folder.path().join("door")).unwrap(), folder.path()).unwrap();
        let mut viewer = UnixStream::connect(folder.path().join("door")).unwrap();
        viewer.write_all(b"{\"ask\":\"connect\",\"port\":0}\n").unwrap();
        let (mut qemu, _) = machine.accept().unwrap();
        qemu.write_all(b"RFB 003.008\n").unwrap();
        let mut said = BufReader::new(viewer.try_clone().unwrap()).lines();
        assert_eq!(said.next().unwrap().unwrap(), "{}");
        assert_eq!(said.next().unwrap().unwrap(), "RFB 003.008");
        viewer.write_all(b"seen").unwrap();
        let mut got = [0; 4];
        qemu.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"seen");
        drop(qemu);
        assert!(said.next().is_none());
    }
}
