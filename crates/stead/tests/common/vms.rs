//! Virtual machines of one test's own: the real QEMU, never KVM, the smallest guests there are.

use super::{World, processes};
use std::path::PathBuf;

/// Keys of a light guest; tables of its own may follow.
pub const LIGHT: &str =
    "engine = \"qemu\"\nimage = \"debian/12\"\nmemory = \"256MiB\"\ncpus = 1\nports = []\n";

/// A light guest in a stead file. `keys` are its own, a line each.
pub fn light(name: &str, keys: &str) -> String {
    format!(
        "[machines.{name}]\n{LIGHT}{keys}\n[machines.{name}.qemu]\nguest = \"light\"\naccel = \"tcg\"\n"
    )
}

/// Where images are kept from run to run.
pub fn images() -> PathBuf {
    let cache = || {
        let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(std::env::home_dir()?.join(".cache")));
        home.expect("a home").join("stead-dev/images")
    };
    std::env::var_os("STEAD_TEST_IMAGES").map_or_else(cache, PathBuf::from)
}

/// What serves a machine's shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// QEMU itself.
    NineP,
    /// A program beside it.
    Virtiofs,
}

impl Served {
    /// The `PATH` with which shares are served so; `None` where they are not, which is said.
    pub fn path(self) -> Option<String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let has = |folder: &PathBuf| folder.join("virtiofsd").is_file();
        let always =
            ["/usr/libexec", "/usr/lib/qemu", "/usr/local/bin", "/usr/bin"].map(PathBuf::from);
        let everywhere = always.iter().any(has);
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let there = everywhere || folders.iter().any(has);
        match self {
            Served::Virtiofs if !there => {
                println!("skipped: there is no virtiofsd on PATH");
                return None;
            }
            Served::NineP if everywhere => {
                println!("skipped: virtiofsd is where it is always found");
                return None;
            }
            _ => {}
        }
        let folders = folders.into_iter().filter(|folder| self == Served::Virtiofs || !has(folder));
        Some(std::env::join_paths(folders).unwrap().into_string().unwrap())
    }

    /// The type of its mounts inside.
    pub fn mounted(self) -> &'static str {
        match self {
            Served::NineP => "9p",
            Served::Virtiofs => "virtiofs",
        }
    }
}

impl World {
    /// A world whose virtual machines are made on images that are there from run to run.
    pub fn of_vms() -> Self {
        let mut world = World::new();
        world.set_variable("STEAD_IMAGES", images().to_str().unwrap());
        world
    }

    /// The process of a running machine whose program has this name: `qemu-system-x86_64`, `stead-vm`.
    pub fn process_of(&self, machine: &str, program: &str) -> i32 {
        let init = self.sandbox(machine)["init"].as_i64().unwrap();
        let space = |pid: i64| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        // A process sees its own space, and what was started in another one as its children's.
        let inside = std::fs::read_link(format!("/proc/{init}/ns/pid")).unwrap();
        let is = |pid: &i32| {
            space((*pid).into()).as_ref() == Some(&inside)
                && std::fs::read_link(format!("/proc/{pid}/exe"))
                    .is_ok_and(|exe| exe.to_string_lossy().contains(program))
        };
        processes().into_iter().find(is).unwrap_or_else(|| panic!("{machine} has no {program}"))
    }
}
