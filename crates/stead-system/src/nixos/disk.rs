//! `hosts/NAME/disk.nix`: how an installation lays the disk out.

use super::Needs;
use super::expr::{Set, code};
use super::flake::Input;
use super::layout::Module;
use super::write::hash;
use crate::Whole;
use stead_file::Size;
use stead_file::declared::{Arch, RootFs};

/// Where that is kept which a root in memory does not keep.
pub(super) fn persist(whole: &Whole) -> Option<&'static str> {
    let disk = &whole.system.disk;
    disk.impermanent.then_some(match disk.root {
        // One file system: /nix has to be on it.
        RootFs::Ext4 => "/nix/persist",
        RootFs::Btrfs | RootFs::Zfs => "/persist",
    })
}

/// Folders without which a host would be another one, or empty.
const KEPT: [&str; 4] = ["/etc/nixos", "/home", "/var/lib", "/var/log"];

pub(super) fn render(whole: &Whole, needs: &mut Needs) -> String {
    let disk = &whole.system.disk;
    let persist = persist(whole);
    let disko = Input::flake("github:nix-community/disko", "Disks, as they are laid out.");
    needs.inputs.insert("disko".into(), disko);
    let mut imports = vec![code("inputs.disko.nixosModules.disko")];
    if persist.is_some() {
        let url = "github:nix-community/impermanence";
        let input = Input { follows: &[], ..Input::flake(url, "A root that is in memory.") };
        needs.inputs.insert("impermanence".into(), input);
        imports.push(code("inputs.impermanence.nixosModules.impermanence"));
    }

    let mut devices = Set::new().put(
        "disk.main",
        Set::new()
            .put("type", "disk")
            .put("device", disk.device.to_string_lossy().into_owned())
            .put("content", Set::new().put("type", "gpt").put("partitions", partitions(whole))),
    );
    if persist.is_some() {
        let memory = Set::new()
            .put("fsType", "tmpfs")
            .put("mountOptions", vec!["defaults", "mode=755", "size=25%"]);
        devices = devices.gap("The root is gone at a restart.").at(&["nodev", "/"], memory);
    }
    if disk.root == RootFs::Zfs {
        devices = devices.gap("").put("zpool.rpool", pool(persist.is_some()));
    }

    let mut body = Set::new().put("imports", imports).gap("").put("disko.devices", devices);
    if disk.root == RootFs::Zfs {
        let id = hash(whole.hostname().as_bytes())[..8].to_owned();
        body = body
            .gap("By this a pool knows whose it is.")
            .put("networking.hostId", id)
            .gap("Disks of virtual machines have no id to be found by.")
            .put("boot.zfs.devNodes", "/dev/disk/by-partlabel")
            .put("services.zfs.autoScrub.enable", true);
    }
    if let Some(persist) = persist {
        if disk.root != RootFs::Ext4 {
            body = body.gap("").at(&["fileSystems", persist, "neededForBoot"], true);
        }
        let mut folders: Vec<String> = KEPT.map(String::from).to_vec();
        folders.extend(disk.persist.iter().map(|path| path.to_string_lossy().into_owned()));
        folders.sort_unstable();
        folders.dedup();
        let kept = Set::new()
            .put("hideMounts", true)
            .put("directories", folders)
            .put("files", vec!["/etc/machine-id"]);
        body = body
            .gap("What makes this host the one it is stays.")
            .at(&["environment", "persistence", persist], kept);
    }
    let comment = match persist {
        Some(_) => "The disk as it is laid out at the installation. The root is in memory.",
        None => "The disk as it is laid out at the installation.",
    };
    Module { comment: comment.into(), takes: vec!["inputs"], names: Set::new(), body }.text()
}

fn partitions(whole: &Whole) -> Set {
    let disk = &whole.system.disk;
    let mut set = Set::new();
    if whole.system.arch == Arch::X86_64 {
        let bios = Set::new().put("priority", 1u16).put("size", "1M").put("type", "EF02");
        set = set.say("Where GRUB lies on a computer without UEFI.").put("bios", bios);
    }
    let boot = Set::new()
        .put("type", "filesystem")
        .put("format", "vfat")
        .put("mountpoint", "/boot")
        .put("mountOptions", vec!["umask=0077"]);
    let boot = Set::new()
        .put("priority", 2u16)
        .put("size", size(disk.boot))
        .put("type", "EF00")
        .put("content", boot);
    set = set.put("boot", boot);
    if let Some(swap) = disk.swap {
        let content = Set::new().put("type", "swap").put("discardPolicy", "both");
        let swap = Set::new().put("priority", 3u16).put("size", size(swap)).put("content", content);
        set = set.put("swap", swap);
    }
    let comment = if disk.grow { "The last, so that it can grow." } else { "All the rest." };
    let root = Set::new().put("size", "100%").put("content", root(whole));
    set.say(comment).put("root", root)
}

fn root(whole: &Whole) -> Set {
    let disk = &whole.system.disk;
    match disk.root {
        RootFs::Ext4 => Set::new()
            .put("type", "filesystem")
            .put("format", "ext4")
            .put("mountpoint", if disk.impermanent { "/nix" } else { "/" }),
        RootFs::Btrfs => {
            let volume = |mountpoint: &str| {
                Set::new()
                    .put("mountpoint", mountpoint)
                    .put("mountOptions", vec!["compress=zstd", "noatime"])
            };
            let mut volumes = Set::new();
            for (name, mountpoint) in places(disk.impermanent) {
                volumes = volumes.at(&[&format!("/{name}")], volume(mountpoint));
            }
            Set::new().put("type", "btrfs").put("extraArgs", vec!["-f"]).put("subvolumes", volumes)
        }
        RootFs::Zfs => Set::new().put("type", "zfs").put("pool", "rpool"),
    }
}

/// Parts of a file system that has several, and where each is.
fn places(impermanent: bool) -> &'static [(&'static str, &'static str)] {
    if impermanent {
        &[("nix", "/nix"), ("persist", "/persist")]
    } else {
        &[("root", "/"), ("home", "/home"), ("nix", "/nix")]
    }
}

fn pool(impermanent: bool) -> Set {
    let options = Set::new()
        .put("acltype", "posixacl")
        .put("compression", "zstd")
        .put("mountpoint", "none")
        .put("xattr", "sa");
    let mut sets = Set::new();
    for (name, mountpoint) in places(impermanent) {
        let set = Set::new()
            .put("type", "zfs_fs")
            .put("mountpoint", *mountpoint)
            .put("options.mountpoint", "legacy");
        sets = sets.put(name, set);
    }
    Set::new()
        .put("type", "zpool")
        .put("options.ashift", "12")
        .put("rootFsOptions", options)
        .put("datasets", sets)
}

/// A size as disko takes it.
fn size(size: Size) -> String {
    let mib = size.bytes() >> 20;
    if mib.is_multiple_of(1024) { format!("{}G", mib >> 10) } else { format!("{mib}M") }
}
