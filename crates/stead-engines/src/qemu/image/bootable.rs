//! Disks that firmware starts: a GPT with a partition for GRUB and, last so that it can grow, one for the root.

use super::ext4;
use crate::debian::{ImageError, Job};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The partition that is the root.
pub const PARTITION: u32 = 2;
const SECTOR: u64 = 512;
/// Where GRUB's partition begins, and where it ends and the root's begins.
const GRUB: u64 = 2048;
const ROOT: u64 = 4096;
/// What the second table at the end of the disk needs, and no less than whole megabytes.
const TAIL: u64 = 1 << 20;
/// The table, with names of its own that are always the same.
const TABLE: &str = "label: gpt
label-id: 5B1C3F0E-7A2D-4C57-9D0A-57EAD0000003
start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, uuid=5B1C3F0E-7A2D-4C57-9D0A-57EAD0000004, name=grub
start=4096, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=5B1C3F0E-7A2D-4C57-9D0A-57EAD0000005, name=root
";

/// Makes the disk of `size` bytes, with GRUB as it is in the root's `/boot/grub/i386-pc`.
pub fn make(job: &Job, root: &Path, disk: &Path, size: u64) -> Result<(), ImageError> {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(disk);
    let file = file.map_err(ImageError::at("make", disk))?;
    file.set_len(size).map_err(ImageError::at("size", disk))?;
    let start = ROOT * SECTOR;
    ext4::make(job, root, disk, start, size - start - TAIL)?;
    let shell = job.tools.find("sh").unwrap_or_else(|| "/bin/sh".into());
    let table = format!("sfdisk --quiet --no-reread --no-tell-kernel \"$0\" <<'END'\n{TABLE}END\n");
    job.run(&shell, ["-euc".as_ref(), table.as_ref(), disk.as_os_str()], &[])?;
    let grub = root.join("boot/grub/i386-pc");
    let read = |name: &str| {
        let path = grub.join(name);
        fs::read(&path).map_err(ImageError::at("read", &path))
    };
    let (boot, core) = (read("boot.img")?, read("core.img")?);
    embed(&file, boot, core).map_err(ImageError::at("put GRUB into", disk))
}

/// What grub-bios-setup does: the first sector of the disk loads the first of GRUB's partition, which loads the rest.
fn embed(disk: &File, mut boot: Vec<u8>, mut core: Vec<u8>) -> io::Result<()> {
    let room = ((ROOT - GRUB) * SECTOR) as usize;
    if boot.len() != SECTOR as usize || !(1024..=room).contains(&core.len()) {
        return Err(io::Error::other("GRUB's files are not as long as they should be"));
    }
    let mut first = [0; SECTOR as usize];
    disk.read_exact_at(&mut first, 0)?;
    // Not GRUB's: where old systems described the disk, and the table of partitions.
    boot[0x03..0x5a].copy_from_slice(&first[0x03..0x5a]);
    boot[0x1b8..0x1fe].copy_from_slice(&first[0x1b8..0x1fe]);
    boot[0x5c..0x64].copy_from_slice(&GRUB.to_le_bytes());
    // The drive is the one that firmware started from, also where firmware says it is a diskette.
    boot[0x64] = 0xff;
    boot[0x66..0x68].copy_from_slice(&[0x90, 0x90]);
    // At the end of the core's first sector is where the others are; it has their number and address in memory.
    core[0x1f4..0x1fc].copy_from_slice(&(GRUB + 1).to_le_bytes());
    disk.write_all_at(&core, GRUB * SECTOR)?;
    disk.write_all_at(&boot, 0)?;
    disk.sync_all()
}
