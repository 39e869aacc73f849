//! The two forms of a kernel. Debian's (`bzImage`) unpacks itself, which takes an emulated processor seconds; the
//! program that is in it boots at once, by QEMU's PVH entry.

use super::unpack;
use crate::debian::{ImageError, Tools};
use std::fs;
use std::path::Path;

/// Where the head of a bzImage says how many sectors of 512 bytes its first part has.
const SECTORS: usize = 0x1f1;
const MAGIC: (usize, &[u8]) = (0x202, b"HdrS");
/// Where it says where its content begins after the first part, and how long that is.
const CONTENT: (usize, usize) = (0x248, 0x24c);
const ELF: &[u8] = b"\x7fELF";

/// The kernel proper that is in the bzImage at `path`.
pub fn unpacked(name: &str, path: &Path, tools: &Tools) -> Result<Vec<u8>, ImageError> {
    let image = fs::read(path).map_err(ImageError::at("read", path))?;
    let unusable = || ImageError::Unusable {
        path: path.to_owned(),
        what: "a kernel that can be unpacked".into(),
    };
    let content = content(&image).ok_or_else(unusable)?;
    let kernel = unpack::unpack(name, path, content.to_vec(), tools)?;
    if kernel.starts_with(ELF) { Ok(kernel) } else { Err(unusable()) }
}

/// What a bzImage unpacks when it starts.
fn content(image: &[u8]) -> Option<&[u8]> {
    let number = |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?));
    if !image.get(MAGIC.0..)?.starts_with(MAGIC.1) {
        return None;
    }
    // An old kernel may say 0, which is 4.
    let sectors = match *image.get(SECTORS)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (sectors + 1) * 512 + number(CONTENT.0)? as usize;
    let content = image.get(start..)?.get(..number(CONTENT.1)? as usize)?;
    // After it comes its unpacked length, but for gzip, which has that of its own.
    let gzip = content.starts_with(&[0x1f, 0x8b]);
    if gzip || !unpack::packed(content) { Some(content) } else { content.get(..content.len() - 4) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn the_kernel_in_a_bzimage_is_found() {
        let mut xz = Command::new("xz")
            .args(["--check=crc32", "-c"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        xz.stdin.take().unwrap().write_all(b"\x7fELF and so on").unwrap();
        let mut packed = xz.wait_with_output().unwrap().stdout;
        packed.extend(14_u32.to_le_bytes());
        let mut image = vec![0; 1024 + 64];
        image[SECTORS] = 1;
        image[MAGIC.0..][..4].copy_from_slice(MAGIC.1);
        image[CONTENT.0..][..4].copy_from_slice(&64_u32.to_le_bytes());
        image[CONTENT.1..][..4].copy_from_slice(&(packed.len() as u32).to_le_bytes());
        image.extend(packed);
        image.extend(b"and more");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vmlinuz");
        fs::write(&path, &image).unwrap();
        let tools = Tools::of_host();
        assert_eq!(unpacked("debian/12", &path, &tools).unwrap(), b"\x7fELF and so on");
        fs::write(&path, &image[..1100]).unwrap();
        let error = unpacked("debian/12", &path, &tools).unwrap_err().to_string();
        assert!(error.contains("not a kernel"), "{error}");
    }
}
