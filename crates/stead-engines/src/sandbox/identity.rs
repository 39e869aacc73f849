//! Who a machine is, written into its state: always into an empty topmost layer, in which nobody inside has planted anything.

use crate::common::files::failed;
use crate::common::place::Place;
use crate::common::state::Layer;
use rustix::fs::{FileType, Mode, XattrFlags, makedev, mknodat, setxattr};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use stead_machine::EngineError;
use stead_machine::model::Wanted;

/// Gives the state whose empty topmost layer this is the identity of a machine.
///
/// # Errors
/// If the layer cannot be written.
pub fn seed(place: &Place, top: &Layer, wanted: &Wanted) -> Result<(), EngineError> {
    let root = place.layer(top).join("fs");
    folder(&root.join("etc"))?;
    let path = root.join("etc/machine-id");
    std::fs::write(&path, format!("{}\n", wanted.id))
        .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)))
        .map_err(failed(format!("write {}", path.display())))
}

/// Takes out of a state what only its first machine may have: ssh host keys, and the sessions that ran there. `frozen` are
/// the layers under the empty `top`. Whether there were host keys.
///
/// # Errors
/// If the layer cannot be written.
pub fn strip(
    place: &Place,
    top: &Layer,
    frozen: &[Layer],
    root_user: bool,
) -> Result<bool, EngineError> {
    let root = place.layer(top).join("fs");
    let mut keys = false;
    for layer in frozen {
        let ssh = place.layer(layer).join("fs/etc/ssh");
        if !ssh.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            continue;
        }
        for entry in std::fs::read_dir(&ssh).map_err(failed(ssh.display()))?.flatten() {
            let name = entry.file_name();
            if !name.to_string_lossy().starts_with("ssh_host_") {
                continue;
            }
            keys = true;
            folder(&root.join("etc"))?;
            folder(&root.join("etc/ssh"))?;
            white_out(&root.join("etc/ssh").join(name))?;
        }
    }
    let sessions = root.join("var/lib/stead");
    for part in ["var", "var/lib", "var/lib/stead"] {
        folder(&root.join(part))?;
    }
    std::fs::set_permissions(&sessions, std::fs::Permissions::from_mode(0o700))
        .map_err(failed(sessions.display()))?;
    let name = if root_user { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
    setxattr(&sessions, name, b"y", XattrFlags::empty())
        .map_err(|e| failed(format!("mark {}", sessions.display()))(e.into()))?;
    Ok(keys)
}

/// Whether this is how an overlay says that a file of a lower layer is not there.
pub fn is_white_out(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    meta.file_type().is_char_device() && meta.rdev() == 0
}

fn white_out(path: &Path) -> Result<(), EngineError> {
    let made =
        mknodat(rustix::fs::CWD, path, FileType::CharacterDevice, Mode::empty(), makedev(0, 0));
    match made {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(e) => Err(failed(format!("hide {}", path.display()))(e.into())),
    }
}

/// A folder that everybody may read, as those of the base are.
fn folder(path: &Path) -> Result<(), EngineError> {
    match std::fs::create_dir(path) {
        Ok(()) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
            .map_err(failed(path.display())),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(failed(format!("make {}", path.display()))(e)),
    }
}
