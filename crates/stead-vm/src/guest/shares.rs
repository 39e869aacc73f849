//! Folders of the host in the machine.

use crate::failure::{Result, Tried, VmError};
use crate::guest::config::{Share, ShareKind};
use crate::guest::place;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

/// Puts them all into the root `new`.
pub fn put(shares: &[Share], new: BorrowedFd<'_>) -> Result<()> {
    for share in shares {
        let at = place::folder(new, &share.at, 0o755, true)?;
        let (kind, options) = match share.kind {
            ShareKind::Virtiofs => ("virtiofs", c""),
            ShareKind::NineP => {
                ("9p", c"trans=virtio,version=9p2000.L,msize=524288,cache=mmap,access=any")
            }
        };
        let mut flags = MountFlags::NOSUID | MountFlags::NODEV;
        flags.set(MountFlags::RDONLY, !share.writable);
        match mount(share.tag.as_str(), place::by_fd(&at), kind, flags, options) {
            Err(Errno::NODEV) => {
                return Err(VmError::refused(format!(
                    "the share {} needs {kind}, which this kernel has not",
                    share.at.display()
                )));
            }
            mounted => mounted
                .tried(|| format!("the share {} ({kind}, {})", share.at.display(), share.tag))?,
        }
    }
    Ok(())
}
