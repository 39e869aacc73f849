//! The machine's root: found, grown, laid over with memory, and entered.

use crate::failure::{Result, Tried, VmError};
use crate::guest::arrivals::Arrivals;
use crate::guest::config::{Persist, Root};
use crate::guest::{ENCLOSED, PERSIST, gpt, place};
use crate::sys;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{MountFlags, mount, mount_bind, mount_bind_recursive, mount_move};
use std::ffi::CString;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where the root is while it is made.
pub const NEW: &str = "/root.new";
/// Files that are written at each boot, always the same: they need not be kept.
const ALWAYS: [&str; 4] = ["/etc/machine-id", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
/// Where its parts are, if it is one in memory.
const LOWER: &str = "/root.lower";
const UPPER: &str = "/root.upper";

/// Mounts the root at [`NEW`].
pub fn put(root: &Root, arrivals: &Arrivals) -> Result<()> {
    place::make(NEW)?;
    let device = find(&root.device, arrivals)?;
    let Some(memory) = root.memory else {
        if root.grow {
            gpt::grow(&device)?;
        }
        mount_device(&device, NEW, &root.fstype, MountFlags::NOATIME, "")?;
        return if root.grow { grow(&device, NEW) } else { Ok(()) };
    };
    place::make(LOWER)?;
    place::make(UPPER)?;
    let read_only = MountFlags::RDONLY | MountFlags::NOATIME;
    // A journal that was not finished cannot be on a disk that nobody may write to.
    mount_device(&device, LOWER, &root.fstype, read_only, "").or_else(|e| {
        let options = if root.fstype == "ext4" { "noload" } else { return Err(e) };
        mount_device(&device, LOWER, &root.fstype, read_only, options)
    })?;
    let size = CString::new(format!("mode=755,size={memory}")).expect("no zero byte");
    mount("tmpfs", UPPER, "tmpfs", MountFlags::NOATIME, &*size).tried(|| "memory for the root")?;
    for part in ["upper", "work"] {
        place::make(&format!("{UPPER}/{part}"))?;
    }
    let options = format!("lowerdir={LOWER},upperdir={UPPER}/upper,workdir={UPPER}/work");
    let options = CString::new(options).expect("no zero byte");
    mount("overlay", NEW, "overlay", MountFlags::NOATIME, &*options)
        .tried(|| "the root in memory (overlay)")
}

/// Mounts the disk whose folders outlive the root, and puts them into `new`.
pub fn put_persist(persist: &Persist, new: BorrowedFd<'_>, arrivals: &Arrivals) -> Result<()> {
    let device = find(&persist.device, arrivals)?;
    std::fs::create_dir_all(PERSIST).tried(|| PERSIST)?;
    mount_device(&device, PERSIST, "ext4", MountFlags::NOATIME, "")?;
    if persist.grow {
        grow(&device, PERSIST)?;
    }
    let disk = place::root(PERSIST)?;
    for path in &persist.folders {
        if ALWAYS.iter().any(|always| path == Path::new(always)) {
            continue;
        }
        if let Some(target) = place::file(new, path) {
            put_file(path, &target, disk.as_fd())?;
            continue;
        }
        let target = place::folder(new, path, 0o755, true)?;
        let kept = path.strip_prefix("/").unwrap_or(path);
        let fresh = !Path::new(PERSIST).join(kept).exists();
        let source = place::folder(disk.as_fd(), path, 0o755, false)?;
        let tried = || format!("{} on the disk that is kept", path.display());
        if fresh {
            // Whose it is, and for whom, is as the root has it.
            let about = std::fs::metadata(place::by_fd(&target)).tried(tried)?;
            let source = place::by_fd(&source);
            std::os::unix::fs::chown(&source, Some(about.uid()), Some(about.gid())).tried(tried)?;
            std::fs::set_permissions(&source, about.permissions()).tried(tried)?;
        }
        mount_bind_recursive(place::by_fd(&source), place::by_fd(&target)).tried(tried)?;
    }
    Ok(())
}

/// Puts a file of the disk that is kept into the place of the root's, which it is a copy of at first.
fn put_file(path: &Path, target: &OwnedFd, disk: BorrowedFd<'_>) -> Result<()> {
    let tried = || format!("{} on the disk that is kept", path.display());
    let source = if let Some(source) = place::file(disk, path) {
        source
    } else {
        let parent = place::folder(disk, path.parent().unwrap_or(Path::new("/")), 0o755, false)?;
        let copy = Path::new(&place::by_fd(&parent)).join(path.file_name().unwrap_or_default());
        let about = std::fs::metadata(place::by_fd(target)).tried(tried)?;
        std::fs::copy(place::by_fd(target), &copy).tried(tried)?;
        std::os::unix::fs::chown(&copy, Some(about.uid()), Some(about.gid())).tried(tried)?;
        place::file(disk, path)
            .ok_or_else(|| VmError::refused(format!("{}: it is no file", tried())))?
    };
    mount_bind(place::by_fd(&source), place::by_fd(target)).tried(tried)
}

fn mount_device(
    device: &Path,
    at: &str,
    kind: &str,
    flags: MountFlags,
    options: &str,
) -> Result<()> {
    let options = CString::new(options).expect("no zero byte");
    mount(device, at, kind, flags, &*options)
        .tried(|| format!("mounting {} ({kind})", device.display()))
}

/// The device that `name` means, as soon as it is there.
fn find(name: &str, arrivals: &Arrivals) -> Result<PathBuf> {
    let is_there = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|about| about.file_type().is_block_device())
    };
    arrivals.wait_for(&format!("the disk {name}"), || {
        let path = match name.strip_prefix("serial:") {
            Some(serial) => Path::new("/dev").join(by_serial(serial)?),
            None => PathBuf::from(name),
        };
        is_there(&path).then_some(path)
    })
}

fn by_serial(serial: &str) -> Option<std::ffi::OsString> {
    let disks = std::fs::read_dir("/sys/block").ok()?;
    disks
        .filter_map(std::result::Result::ok)
        .find(|disk| {
            let found = std::fs::read_to_string(disk.path().join("serial"));
            found.is_ok_and(|found| found.trim_end() == serial)
        })
        .map(|disk| disk.file_name())
}

/// Makes the ext4 on `device`, mounted at `at`, as large as the device.
fn grow(device: &Path, at: &str) -> Result<()> {
    let tried = || format!("making the file system on {} larger", device.display());
    let file = std::fs::File::open(device).tried(tried)?;
    let mut block = [0; 1024];
    file.read_exact_at(&mut block, 1024).tried(tried)?;
    let number =
        |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    if block[0x38..0x3a] != [0x53, 0xef] {
        return Err(VmError::refused(format!(
            "{}: no ext4 is there to be grown",
            device.display()
        )));
    }
    let size = 1024_u64 << number(0x18).min(6);
    // Numbers of blocks have 64 bits where the file system says so.
    let high = if number(0x60) & 0x80 == 0 { 0 } else { number(0x150) };
    let has = u64::from(number(0x4)) | u64::from(high) << 32;
    let name = device.file_name().unwrap_or_default();
    let sectors = std::fs::read_to_string(Path::new("/sys/class/block").join(name).join("size"));
    let sectors: u64 = sectors.tried(tried)?.trim_end().parse().unwrap_or(0);
    let fits = sectors * 512 / size;
    if fits <= has {
        return Ok(());
    }
    let folder = open(at, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).tried(tried)?;
    sys::resize_ext4(folder.as_fd(), fits).tried(tried)
}

/// Makes [`NEW`] the root, with the kernel's file systems, and gives the memory of the first root back.
pub fn enter(new: BorrowedFd<'_>) -> Result<()> {
    for name in ["dev", "proc", "sys", "run"] {
        place::folder(new, Path::new(name), 0o755, false)?;
        let (from, to) = (format!("/{name}"), format!("{NEW}/{name}"));
        mount_move(&from, &to).tried(|| format!("moving {from}"))?;
    }
    for path in ["/modules", ENCLOSED] {
        let _ = std::fs::remove_file(path);
    }
    let _ = std::fs::remove_dir_all("/lib/modules");
    rustix::process::chdir(NEW).tried(|| NEW)?;
    mount_move(".", "/").tried(|| "moving the root")?;
    rustix::process::chroot(".").tried(|| "entering the root")?;
    rustix::process::chdir("/").tried(|| "/")
}

/// Makes the root of a machine that shuts down, and all that is mounted in it, unchangeable, so that the disks are whole.
pub fn leave() {
    sync();
    // What was mounted last goes first; what is in use stays and is not written to any more.
    for place in on_disks().into_iter().rev() {
        if place == "/"
            || rustix::mount::unmount(&place, rustix::mount::UnmountFlags::empty()).is_err()
        {
            let _ = rustix::mount::mount_remount(&place, MountFlags::RDONLY, c"");
        }
    }
    sync();
}

/// Writes all that is on disks. Not what is on a share: one that nobody serves any more would be waited for without an end.
pub fn sync() {
    for place in on_disks() {
        if let Ok(folder) = open(&place, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            let _ = rustix::fs::syncfs(folder);
        }
    }
}

/// Where disks are mounted, in the order in which they were.
fn on_disks() -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (device, place) = (fields.next()?, fields.next()?);
        device.starts_with("/dev/").then(|| place.replace("\\040", " "))
    });
    places.collect()
}
