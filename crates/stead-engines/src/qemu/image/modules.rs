//! The parts of a kernel that a guest needs before it has its root: which, in which order, and their files.

use super::unpack;
use crate::debian::{ImageError, Tools};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What is loaded before there is a root. What a release has built in, or does not have, is left out. All else is in
/// the root's own `/lib/modules`.
const WANTED: [&str; 16] = [
    // Devices, of q35 and of microvm.
    "virtio_pci",
    "virtio_mmio",
    // The line to the keeper.
    "virtio_console",
    // The root; ext4 asks for a checksum by name, which no dependency tells.
    "virtio_blk",
    "crc32c_generic",
    "crc32c_intel",
    "ext4",
    "overlay",
    // The network.
    "virtio_net",
    "af_packet",
    // Shares.
    "virtiofs",
    "9pnet_virtio",
    "9p",
    // Randomness and memory from outside, and being asked to end.
    "virtio_rng",
    "virtio_balloon",
    "button",
];
/// Those without which no guest comes up; each is a module or built in.
const REQUIRED: [&str; 4] = ["virtio_blk", "virtio_console", "virtio_net", "ext4"];

/// The modules that are loaded first, in order, as files that are not compressed. `modules` is `/lib/modules/RELEASE`.
pub fn collect(
    name: &str,
    modules: &Path,
    tools: &Tools,
) -> Result<Vec<(String, Vec<u8>)>, ImageError> {
    let read = |file: &str| {
        let path = modules.join(file);
        fs::read_to_string(&path).map_err(ImageError::at("read", &path))
    };
    let dependencies = parse(&read("modules.dep")?);
    let builtin: BTreeSet<String> =
        read("modules.builtin")?.lines().map(|line| plain(Path::new(line))).collect();
    for required in REQUIRED {
        if !dependencies.contains_key(required) && !builtin.contains(required) {
            return Err(ImageError::Unusable {
                path: modules.to_owned(),
                what: format!("the modules of a kernel with {required}"),
            });
        }
    }
    let mut files = Vec::new();
    for path in order(&dependencies) {
        let whole = modules.join(&path);
        let content = fs::read(&whole).map_err(ImageError::at("read", &whole))?;
        let content = unpack::unpack(name, &whole, content, tools)?;
        files.push((format!("{}.ko", plain(&path)), content));
    }
    Ok(files)
}

type Dependencies = BTreeMap<String, (PathBuf, Vec<PathBuf>)>;

/// What is in `modules.dep`: a module and all that must be there before it, the last of which comes first.
fn parse(text: &str) -> Dependencies {
    let mut found = Dependencies::new();
    for line in text.lines() {
        let Some((path, needs)) = line.split_once(':') else { continue };
        let needs = needs.split_whitespace().rev().map(PathBuf::from).collect();
        found.insert(plain(Path::new(path)), (path.into(), needs));
    }
    found
}

/// The files of what is wanted, each after those it needs.
fn order(dependencies: &Dependencies) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for (path, needs) in WANTED.iter().filter_map(|wanted| dependencies.get(*wanted)) {
        for file in needs.iter().chain([path]) {
            if !files.contains(file) {
                files.push(file.clone());
            }
        }
    }
    files
}

/// The name of the module in a file; the kernel takes `-` for `_`.
fn plain(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    file.split('.').next().unwrap_or_default().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_comes_after_all_that_it_needs() {
        let text = "kernel/virtio_pci.ko.xz: kernel/virtio-ring.ko.xz kernel/virtio.ko.xz\n\
            kernel/virtio.ko.xz:\nkernel/virtio-ring.ko.xz: kernel/virtio.ko.xz\nkernel/not.ko:\n\
            kernel/9p.ko: kernel/virtio.ko.xz\n";
        let found: Vec<_> = order(&parse(text)).iter().map(|path| plain(path)).collect();
        assert_eq!(found, ["virtio", "virtio_ring", "virtio_pci", "9p"]);
    }

    #[test]
    fn a_kernel_that_cannot_have_a_root_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("modules.dep"), "k/ext4.ko:\nk/virtio_net.ko:\n").unwrap();
        fs::write(folder.path().join("modules.builtin"), "kernel/virtio_console.ko\n").unwrap();
        let error = collect("debian/12", folder.path(), &Tools::of_host()).unwrap_err();
        assert!(error.to_string().contains("virtio_blk"), "{error}");
    }
}
