//! What goes into the disks of guests.

use super::{Arch, Guest, ext4};
use crate::debian::{ImageError, Job, PACKAGES, Tools};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;

/// Another number for another way to make them.
pub const NUMBER: u32 = 1;
/// What a guest needs besides what every image has: to set its network up, to load modules, to grow.
const LIGHT: &str = "iproute2,kmod,e2fsprogs";
/// How large the disk of a light guest is; guests have larger ones on top and grow into them.
const LIGHT_SIZE: u64 = 2 << 30;
/// Puts the newest kernel of the release and its modules into the root `$1`, without what Debian would have installed
/// with it to start it. Packages come by mmdebstrap's own settings, so from where all others do.
const KERNEL: &str = r#"set -eu
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
cd "$STEAD_PART"
mkdir kernel
cd kernel
package=$(apt-cache depends --important "linux-image-$STEAD_ARCH" | sed -n 's/^ *Depends: //p' | head -n 1)
apt-get download -q -o APT::Sandbox::User=root "$package"
dpkg-deb -x ./*.deb .
rm ./*.deb
mkdir -p "$1/lib/modules"
for folder in lib usr/lib; do
    [ ! -d "$folder/modules" ] || mv "$folder"/modules/* "$1/lib/modules/"
done
mv boot/vmlinuz-* "$1/boot/"
cd ..
rm -r kernel
chroot "$1" depmod "$(ls "$1/lib/modules")"
"#;

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
        for (program, package) in [("mmdebstrap", "mmdebstrap"), ("mke2fs", "e2fsprogs")] {
            if tools.find(program).is_none() {
                return Err(ImageError::Needs { name: self.name.to_owned(), program, package });
            }
        }
        Ok(())
    }

    /// Makes the root in the folder `root`.
    pub fn root(&self, job: &Job, root: &Path, sources: &[String]) -> Result<(), ImageError> {
        let program = job.tools.find("mmdebstrap").unwrap_or_else(|| "mmdebstrap".into());
        let mut arguments: Vec<OsString> = vec![
            "--mode=root".into(),
            "--variant=minbase".into(),
            format!("--architectures={}", self.arch.debian()).into(),
            format!("--include={PACKAGES},{LIGHT}").into(),
            format!("--customize-hook={KERNEL}").into(),
            self.suite.into(),
            root.into(),
        ];
        arguments.extend(sources.iter().map(OsString::from));
        let part = root.parent().unwrap_or(root).to_string_lossy();
        let environment = [("STEAD_PART", &*part), ("STEAD_ARCH", self.arch.debian())];
        job.run(&program, arguments, &environment)
    }

    /// Makes the disk of what is in `root`; the number of the partition that is the root, if it has any.
    pub fn disk(&self, job: &Job, root: &Path, disk: &Path) -> Result<Option<u32>, ImageError> {
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
