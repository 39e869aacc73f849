//! The format of disks: headers of qcow2 files (QEMU's `docs/interop/qcow2.rst`), read with doubt, since what wrote them may
//! have been a machine's, and empty files, written.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 4] = *b"QFI\xfb";
/// The end of the extensions that follow a header.
const NO_MORE: u32 = 0;
/// The extension that names the format of the backing file.
const BACKING_FORMAT: u32 = 0xE279_2ACA;
/// Clusters of 64 KiB, as QEMU makes them.
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Bytes of a disk that one entry of the first table stands for.
const PER_ENTRY: u64 = CLUSTER * (CLUSTER / 8);
/// Where the fields of version 3 end.
const HEADER: u32 = 104;
/// The longest name of a backing file.
const LONGEST: u32 = 1023;
/// The largest first table that is read: QEMU's own limit.
const LARGEST_TABLE: u64 = 32 << 20;
/// Something is wrong with the file, and QEMU has said so in it.
const CORRUPT: u64 = 1 << 1;
/// Its data lies in another file.
const EXTERNAL: u64 = 1 << 2;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the disk.
    pub size: u64,
    /// The file under it, as it is named.
    pub backing: Option<PathBuf>,
    table: u64,
    entries: u32,
}

/// Whether a file begins as a qcow2 file does.
pub fn is(start: &[u8]) -> bool {
    start.starts_with(&MAGIC)
}

/// Reads the header of a file.
///
/// # Errors
/// What is wrong with it, for people: "it is ...".
pub fn read(file: &File) -> Result<Header, String> {
    let told = |e: io::Error| format!("it cannot be read: {e}");
    let mut bytes = [0; HEADER as usize];
    file.read_exact_at(&mut bytes[..72], 0).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => "it is cut off".to_owned(),
        _ => told(e),
    })?;
    if !is(&bytes) {
        return Err("it is no qcow2 file".into());
    }
    let half = |at: usize| u32::from_be_bytes(std::array::from_fn(|i| bytes[at + i]));
    let whole = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| bytes[at + i]));
    let incompatible = match half(4) {
        2 => 0,
        3 => {
            let mut rest = [0; 8];
            file.read_exact_at(&mut rest, 72).map_err(|_| "it is cut off".to_owned())?;
            u64::from_be_bytes(rest)
        }
        version => return Err(format!("it is qcow2 of version {version}, which is not known")),
    };
    if incompatible & CORRUPT != 0 {
        return Err("it is damaged, QEMU has marked it so".into());
    }
    if incompatible & EXTERNAL != 0 {
        return Err("its data lies in another file".into());
    }
    if half(32) != 0 {
        return Err("it is encrypted".into());
    }
    let (at, length) = (whole(8), half(16));
    let backing = if at == 0 {
        None
    } else if length > LONGEST {
        return Err("it is damaged: the name of the file under it is too long".into());
    } else {
        let mut name = vec![0; length as usize];
        file.read_exact_at(&mut name, at).map_err(|_| "it is cut off".to_owned())?;
        Some(PathBuf::from(OsStr::from_bytes(&name)))
    };
    Ok(Header { size: whole(24), backing, table: whole(40), entries: half(36) })
}

/// Whether nothing was ever written to the disk in this file.
///
/// # Errors
/// What is wrong with it, for people.
pub fn is_empty(file: &File) -> Result<bool, String> {
    let header = read(file)?;
    let length = u64::from(header.entries) * 8;
    if length > LARGEST_TABLE {
        return Err("it is damaged: its table is too large".into());
    }
    let mut table = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut table, header.table).map_err(|_| "it is cut off".to_owned())?;
    Ok(table.iter().all(|byte| *byte == 0))
}

/// Makes a file with an empty disk over another; it is on disk then. Sparse, so it takes a few kilobytes.
///
/// # Errors
/// If it cannot be written, or the name of the other is too long.
pub fn make(path: &Path, size: u64, backing: &Path, format: &str) -> io::Result<()> {
    let name = backing.as_os_str().as_bytes();
    let long = u32::try_from(name.len()).ok().filter(|long| *long <= LONGEST);
    let entries = u32::try_from(size.div_ceil(PER_ENTRY)).ok();
    let (Some(long), Some(entries)) = (long, entries) else {
        let what = "the name of the file under it is too long, or the disk is too large";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    };
    // Header; table of counts; the first block of counts; the first table of the disk.
    let table = (u64::from(entries) * 8).div_ceil(CLUSTER).max(1);
    let used = 3 + table;
    let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    let mut counts = Vec::new();
    (0..used).for_each(|_| counts.extend(1_u16.to_be_bytes()));
    if counts.len() as u64 > CLUSTER {
        let what = "the disk is too large";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    file.write_all_at(&counts, 2 * CLUSTER)?;
    file.write_all_at(&(2 * CLUSTER).to_be_bytes(), CLUSTER)?;
    file.set_len(used * CLUSTER)?;
    file.write_all_at(&header(size, entries, name, long, format), 0)?;
    file.sync_all()
}

fn header(size: u64, entries: u32, name: &[u8], long: u32, format: &str) -> Vec<u8> {
    let mut rest = Vec::new();
    rest.extend(BACKING_FORMAT.to_be_bytes());
    rest.extend(u32::try_from(format.len()).unwrap_or_default().to_be_bytes());
    rest.extend(format.as_bytes());
    rest.resize(rest.len().next_multiple_of(8), 0);
    rest.extend(NO_MORE.to_be_bytes());
    rest.extend(0_u32.to_be_bytes());
    let backing = u64::from(HEADER) + rest.len() as u64;

    let fields: [&[u8]; 15] = [
        &MAGIC,
        &3_u32.to_be_bytes(),
        &backing.to_be_bytes(),
        &long.to_be_bytes(),
        &CLUSTER_BITS.to_be_bytes(),
        &size.to_be_bytes(),
        // Not encrypted.
        &0_u32.to_be_bytes(),
        &entries.to_be_bytes(),
        &(3 * CLUSTER).to_be_bytes(),
        &CLUSTER.to_be_bytes(),
        // Clusters of the table of counts.
        &1_u32.to_be_bytes(),
        // No snapshots inside, no features.
        &[0; 36],
        // Counts of 16 bits.
        &4_u32.to_be_bytes(),
        &HEADER.to_be_bytes(),
        &rest,
    ];
    let mut bytes = fields.concat();
    bytes.extend(name);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn made(dir: &Path, size: u64) -> PathBuf {
        std::fs::write(dir.join("base"), vec![7; 1 << 20]).unwrap();
        let path = dir.join("disk.qcow2");
        make(&path, size, Path::new("base"), "raw").unwrap();
        path
    }

    fn qemu_img(arguments: &[&str], path: &Path) -> Option<String> {
        let output = match Command::new("qemu-img").args(arguments).arg(path).output() {
            Ok(output) => output,
            Err(e) => {
                println!("skipped: qemu-img: {e}");
                return None;
            }
        };
        assert!(output.status.success(), "{output:?}");
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn what_is_made_is_whole_in_the_eyes_of_qemu() {
        let dir = tempfile::tempdir().unwrap();
        for size in [1 << 20, (1 << 20) + 512, 64 << 30, 8 << 40] {
            let path = made(dir.path(), size);
            assert_eq!(read(&File::open(&path).unwrap()).unwrap().size, size);
            let Some(_) = qemu_img(&["check", "-f", "qcow2"], &path) else { return };
            let told = qemu_img(&["info", "-f", "qcow2", "--output=json"], &path).unwrap();
            let told: serde_json::Value = serde_json::from_str(&told).unwrap();
            assert_eq!(told["virtual-size"], size);
            assert_eq!(told["backing-filename"], "base");
            assert_eq!(told["backing-filename-format"], "raw");
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn what_was_written_to_is_not_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = made(dir.path(), 1 << 30);
        assert!(is_empty(&File::open(&path).unwrap()).unwrap());
        let output = Command::new("qemu-io")
            .args(["-f", "qcow2", "-c", "write -P 9 900M 4k", "-c", "read -P 7 0 64k"])
            .arg(&path)
            .output();
        let Ok(output) = output else { return println!("skipped: there is no qemu-io") };
        assert!(output.status.success(), "{output:?}");
        assert!(!is_empty(&File::open(&path).unwrap()).unwrap());
    }

    #[test]
    fn what_leads_elsewhere_or_is_damaged_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = made(dir.path(), 1 << 30);
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(read(&File::open(&path).unwrap()).unwrap().backing, Some("base".into()));
        let told = |at: usize, bytes: &[u8]| {
            let mut changed = whole.clone();
            changed[at..at + bytes.len()].copy_from_slice(bytes);
            std::fs::write(&path, changed).unwrap();
            read(&File::open(&path).unwrap()).unwrap_err()
        };
        assert!(told(0, b"X").contains("no qcow2 file"));
        assert!(told(7, &[9]).contains("version 9"));
        assert!(told(79, &[2]).contains("damaged"));
        assert!(told(79, &[4]).contains("another file"));
        assert!(told(35, &[1]).contains("encrypted"));
        assert!(told(16, &[0xff; 4]).contains("too long"));
        std::fs::write(&path, &whole[..60]).unwrap();
        assert!(read(&File::open(&path).unwrap()).unwrap_err().contains("cut off"));
    }

    #[test]
    fn an_absurd_table_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = made(dir.path(), 1 << 30);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[36..40].copy_from_slice(&[0xff; 4]);
        std::fs::write(&path, bytes).unwrap();
        assert!(is_empty(&File::open(&path).unwrap()).is_err());
    }
}
