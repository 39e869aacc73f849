//! What goes into the disks of guests.

use super::{Arch, Guest, bootable, ext4};
use crate::debian::{ImageError, Job, PACKAGES, Tools};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;

/// Another number for another way to make them.
pub const NUMBER: u32 = 1;
/// What a guest needs besides what every image has: to set its network up, to load modules, to grow.
const LIGHT: &str = "iproute2,kmod,e2fsprogs";
/// What makes a guest a whole computer: reached by ssh, set up by cloud-init, started by firmware.
const FULL: &str = "systemd,systemd-sysv,systemd-resolved,dbus,udev,openssh-server,cloud-init,cloud-guest-utils,\
    sudo,nftables,locales,fdisk,initramfs-tools,linux-image-amd64,grub-pc-bin,grub2-common,iproute2,kmod,e2fsprogs";
/// How large disks are; guests have larger ones on top and grow into them.
const LIGHT_SIZE: u64 = 2 << 30;
const FULL_SIZE: u64 = 4 << 30;
const LIGHT_HOOK: &str = include_str!("kernel.sh");
const FULL_HOOK: &str = include_str!("full.sh");
/// What disks are made with, and the packages with that.
const TOOLS: [(&str, &str); 3] =
    [("mmdebstrap", "mmdebstrap"), ("mke2fs", "e2fsprogs"), ("sfdisk", "fdisk")];

/// One disk.
pub struct Recipe<'a> {
    /// What it is called: `debian/12`.
    pub name: &'a str,
    /// The release by name.
    pub suite: &'a str,
    /// What kind of guest it is for.
    pub guest: Guest,
    /// The processor.
    pub arch: Arch,
}

impl Recipe<'_> {
    /// Whether all is here that it takes.
    pub fn check(&self, tools: &Tools) -> Result<(), ImageError> {
        if !rustix::process::geteuid().is_root() {
            return Err(ImageError::NotRoot(self.name.to_owned()));
        }
        for (program, package) in TOOLS {
            if tools.find(program).is_none() {
                return Err(ImageError::Needs { name: self.name.to_owned(), program, package });
            }
        }
        Ok(())
    }

    /// Makes the root in the folder `root`.
    pub fn root(&self, job: &Job, root: &Path, sources: &[String]) -> Result<(), ImageError> {
        let program = job.tools.find("mmdebstrap").unwrap_or_else(|| "mmdebstrap".into());
        let (more, hook) = match self.guest {
            Guest::Light => (LIGHT, LIGHT_HOOK),
            Guest::Full => (FULL, FULL_HOOK),
        };
        let mut arguments: Vec<OsString> = vec![
            "--mode=root".into(),
            "--variant=minbase".into(),
            format!("--architectures={}", self.arch.debian()).into(),
            format!("--include={PACKAGES},{more}").into(),
            format!("--customize-hook={hook}").into(),
            self.suite.into(),
            root.into(),
        ];
        arguments.extend(sources.iter().map(OsString::from));
        let part = root.parent().unwrap_or(root).to_string_lossy();
        let environment = [
            ("STEAD_PART", &*part),
            ("STEAD_ARCH", self.arch.debian()),
            ("STEAD_ROOT", ext4::ROOT),
        ];
        job.run(&program, arguments, &environment)
    }

    /// Makes the disk of what is in `root`; the number of the partition that is the root, if it has any.
    pub fn disk(&self, job: &Job, root: &Path, disk: &Path) -> Result<Option<u32>, ImageError> {
        if self.guest == Guest::Full {
            bootable::make(job, root, disk, FULL_SIZE)?;
            return Ok(Some(bootable::PARTITION));
        }
        // The kernel is beside the disk: what is started directly has no use for one of its own.
        let boot = root.join("boot");
        fs::remove_dir_all(&boot)
            .and_then(|()| fs::create_dir(&boot))
            .map_err(ImageError::at("empty", &boot))?;
        let file = File::create(disk).map_err(ImageError::at("make", disk))?;
        file.set_len(LIGHT_SIZE).map_err(ImageError::at("size", disk))?;
        ext4::make(job, root, disk, 0, LIGHT_SIZE)?;
        Ok(None)
    }
}
