//! A disk that is soon full.

use super::{World, kill_and_wait};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A small filesystem at the world's data folder, in a mount namespace of its own.
pub struct SmallDisk {
    keeper: Child,
}

impl SmallDisk {
    pub fn new(world: &World, size: &str) -> Self {
        let data = world.path().join("data");
        let script =
            format!("mount -t tmpfs -o size={size} none {} && echo ready && cat", data.display());
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let mut keeper = command
            .args(["--mount", "sh", "-c", &script])
            .current_dir(world.home())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(
            line, "ready\n",
            "no small filesystem can be made here: unshare --mount and tmpfs are needed"
        );
        SmallDisk { keeper }
    }

    /// Where a path of its namespace is found outside.
    pub fn seen_from_outside(&self, path: &Path) -> PathBuf {
        let path = path.strip_prefix("/").unwrap();
        Path::new("/proc").join(self.keeper.id().to_string()).join("root").join(path)
    }

    /// The command to run programs behind.
    pub fn within(&self) -> Vec<String> {
        let target = self.keeper.id().to_string();
        let words = ["nsenter", "--mount", "--wd", "--preserve-credentials", "--target", &target];
        words.map(String::from).to_vec()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        kill_and_wait(self.keeper.id() as i32, 9);
        let _ = self.keeper.wait();
    }
}
