//! The table of partitions (GPT) of a disk that became larger: the second table moves to the disk's new end, and the last
//! partition takes what lies before it.

use crate::failure::{Result, Tried};
use crate::guest::say;
use crate::sys;
use rustix::fd::AsFd;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const SECTOR: u64 = 512;
const SIGNATURE: &[u8] = b"EFI PART";
/// Partitions begin and end at whole megabytes.
const ALIGNED: u64 = 2048;
/// Where the first table is.
const FIRST: u64 = 2;
/// More than any table has.
const MOST: u64 = 1 << 20;

/// Where a partition is, in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its first.
    pub start: u64,
    /// How many.
    pub length: u64,
}

/// Makes `device`, if it is the last partition of a disk with room behind it, as large as it can be. A disk where that cannot
/// be done stays as it is, and the console says why.
pub fn grow(device: &Path) -> Result<()> {
    let tried = || format!("making {} larger", device.display());
    let about = Path::new("/sys/class/block").join(device.file_name().unwrap_or_default());
    let Ok(number) = std::fs::read_to_string(about.join("partition")) else { return Ok(()) };
    let number = number.trim_end().parse::<u32>().unwrap_or(0);
    let about = about.canonicalize().tried(tried)?;
    let whole = about.parent().unwrap_or(&about);
    let sectors = std::fs::read_to_string(whole.join("size")).tried(tried)?;
    let sectors = sectors.trim_end().parse().unwrap_or(0);
    let whole = Path::new("/dev").join(whole.file_name().unwrap_or_default());
    let disk = File::options().read(true).write(true).open(&whole).tried(tried)?;
    match rewrite(&disk, sectors, number) {
        Ok(None) => Ok(()),
        Ok(Some(place)) => {
            let (start, length) = (place.start * SECTOR, place.length * SECTOR);
            sys::resize_partition(disk.as_fd(), number, start, length).tried(tried)
        }
        Err(e) => {
            say(&format!("{} stays as large as it is: {e}", device.display()));
            Ok(())
        }
    }
}

/// Rewrites the tables of a disk that has `sectors` sectors now; where partition `number` is then, if that is another place.
/// Cut short at any moment, there is one table that is whole.
fn rewrite(disk: &File, sectors: u64, number: u32) -> io::Result<Option<Place>> {
    let mut head = vec![0; SECTOR as usize];
    disk.read_exact_at(&mut head, SECTOR)?;
    let size = u64::from(short(&head, 12));
    if !head.starts_with(SIGNATURE) || !(92..=SECTOR).contains(&size) {
        return Err(wrong("it has no GPT"));
    }
    let size = size as usize;
    let (count, each) = (u64::from(short(&head, 80)), u64::from(short(&head, 84)));
    let length = count.saturating_mul(each);
    if long(&head, 72) != FIRST
        || each < 128
        || number == 0
        || u64::from(number) > count
        || length > MOST
    {
        return Err(wrong("its GPT has no such partition"));
    }
    let mut entries = vec![0; length as usize];
    disk.read_exact_at(&mut entries, FIRST * SECTOR)?;
    if crc(&entries) != short(&head, 88) || head_crc(&head, size) != short(&head, 16) {
        return Err(wrong("its GPT is damaged"));
    }
    let own = (u64::from(number - 1) * each) as usize;
    let (start, end) = (long(&entries, own + 32), long(&entries, own + 40));
    let used = |entry: &&[u8]| entry[..16].iter().any(|byte| *byte != 0);
    if entries.chunks_exact(each as usize).filter(used).any(|entry| long(entry, 32) > start)
        || entries[own..own + 16].iter().all(|byte| *byte == 0)
    {
        return Err(wrong("the partition is not its last"));
    }
    let second = (sectors.saturating_sub(1)).saturating_sub(length.div_ceil(SECTOR));
    let new_end = (second / ALIGNED * ALIGNED).saturating_sub(1);
    if new_end <= end {
        return Ok(None);
    }
    put_long(&mut entries, own + 40, new_end);
    let sum = crc(&entries);
    put_long(&mut head, 48, second - 1);
    head[88..92].copy_from_slice(&sum.to_le_bytes());
    let mut last = head.clone();
    for (head, own, other, table) in
        [(&mut last, sectors - 1, 1, second), (&mut head, 1, sectors - 1, FIRST)]
    {
        put_long(head, 24, own);
        put_long(head, 32, other);
        put_long(head, 72, table);
        let sum = head_crc(head, size);
        head[16..20].copy_from_slice(&sum.to_le_bytes());
    }
    disk.write_all_at(&entries, second * SECTOR)?;
    disk.write_all_at(&last, (sectors - 1) * SECTOR)?;
    disk.sync_all()?;
    disk.write_all_at(&entries, FIRST * SECTOR)?;
    disk.write_all_at(&head, SECTOR)?;
    protect(disk, sectors)?;
    disk.sync_all()?;
    Ok(Some(Place { start, length: new_end + 1 - start }))
}

/// What tells those who do not know GPTs that the disk is full.
fn protect(disk: &File, sectors: u64) -> io::Result<()> {
    let mut first = [0; SECTOR as usize];
    disk.read_exact_at(&mut first, 0)?;
    if first[0x1c2] != 0xee {
        return Ok(());
    }
    let length = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    disk.write_all_at(&length.to_le_bytes(), 0x1be + 12)
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn short(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |number| u32::from_le_bytes(*number))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |number| u64::from_le_bytes(*number))
}

fn put_long(bytes: &mut [u8], at: usize, number: u64) {
    bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
}

/// The checksum of a head, which is made as if it were not there.
fn head_crc(head: &[u8], size: usize) -> u32 {
    let mut head = head[..size].to_vec();
    head[16..20].fill(0);
    crc(&head)
}

/// The checksum of IEEE 802.3.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |mut sum: u32, byte| {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 0 { sum >> 1 } else { sum >> 1 ^ 0xedb8_8320 };
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    const TABLE: &str = "label: gpt\nstart=2048, size=2048, name=grub\nstart=4096, name=root\n";

    /// A disk of `megabytes` with two partitions, and the program that made it.
    fn disk(megabytes: u64) -> Option<(tempfile::NamedTempFile, File)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(megabytes << 20).unwrap();
        let made = Command::new("sfdisk")
            .args(["--quiet", "--no-reread", "--no-tell-kernel"])
            .arg(file.path())
            .stdin(Stdio::piped())
            .spawn();
        let Ok(mut made) = made else {
            println!("skipped: there is no sfdisk");
            return None;
        };
        made.stdin.take().unwrap().write_all(TABLE.as_bytes()).unwrap();
        assert!(made.wait().unwrap().success());
        let open = File::options().read(true).write(true).open(file.path()).unwrap();
        Some((file, open))
    }

    fn sfdisk(what: &str, path: &Path) -> String {
        let output = Command::new("sfdisk").arg(what).arg(path).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8(said).unwrap()
    }

    #[test]
    fn the_last_partition_takes_the_room_behind_it() {
        let Some((file, open)) = disk(16) else { return };
        let before = sfdisk("--dump", file.path());
        open.set_len(64 << 20).unwrap();
        let place = rewrite(&open, 64 << 11, 2).unwrap().unwrap();
        assert_eq!(place, Place { start: 4096, length: (63 << 11) - 4096 });
        let verified = sfdisk("--verify", file.path());
        assert!(verified.contains("No errors detected"), "{verified}");
        let after = sfdisk("--dump", file.path());
        assert!(after.contains(&format!("size={:>12}", place.length)), "{after}");
        assert!(after.contains("last-lba: 131038\n"), "{after}");
        let kept = |text: &str| -> Vec<String> {
            let keeps = |line: &&str| line.contains("uuid") || line.contains("label-id");
            let lines = text
                .lines()
                .filter(keeps)
                .map(|line| line.split(", ").filter(|part| !part.contains("size=")).collect());
            lines.collect()
        };
        assert_eq!(kept(&before), kept(&after));
        // It is there by now.
        assert_eq!(rewrite(&open, 64 << 11, 2).unwrap(), None);
        // The second table alone would do.
        open.write_all_at(&[0; 512], 512).unwrap();
        let damaged = sfdisk("--dump", file.path());
        assert!(damaged.contains(&format!("size={:>12}", place.length)), "{damaged}");
    }

    #[test]
    fn what_is_not_the_last_partition_or_not_whole_stays() {
        let Some((_file, open)) = disk(16) else { return };
        open.set_len(64 << 20).unwrap();
        let refused = |number: u32| rewrite(&open, 64 << 11, number).unwrap_err().to_string();
        assert_eq!(refused(1), "the partition is not its last");
        assert_eq!(refused(3), "the partition is not its last");
        assert_eq!(refused(200), "its GPT has no such partition");
        open.write_all_at(b"x", 1024 + 60).unwrap();
        assert_eq!(refused(2), "its GPT is damaged");
        open.write_all_at(&[0; 8], 512).unwrap();
        assert_eq!(refused(2), "it has no GPT");
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    }
}
