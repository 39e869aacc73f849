//! What the tests of engine `qemu` share: machines that are not started, written to and read by QEMU's own tools.

use crate::common::{Place, block, programs};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use stead_engines::qemu::{GuestBoot, Images, Programs, Qemu, disks::Disk};
use stead_file::declared::Machine;
use stead_machine::engine::{Engine, Result};
use stead_machine::model::{NewSnapshot, Snapshot, Wanted};
use stead_machine::{EngineError, Steps};
use stead_vm::guest::config::Config;
use stead_vm::spec::Board;

/// Bytes of what a root is at least.
pub const ROOT: u64 = 256 << 20;
/// Bytes of what survives.
pub const PERSIST: u64 = 64 << 20;

/// One image, made by nobody.
pub struct OneImage(pub PathBuf);

impl Images for OneImage {
    fn guest(&self, _: &Wanted) -> String {
        "light".into()
    }

    fn check(&self, wanted: &Wanted) -> std::result::Result<(), String> {
        match wanted.declared.image.as_str() {
            "debian/12" => Ok(()),
            other => Err(format!("there is no image {other}")),
        }
    }

    fn ensure(&self, wanted: &Wanted, _: &Steps) -> Result<PathBuf> {
        self.check(wanted).map_err(EngineError::Failed)?;
        Ok(self.0.clone())
    }

    fn boot(&self, _: &Wanted, _: Board, _: &Steps) -> Result<Option<GuestBoot>> {
        Ok(None)
    }

    fn seed(&self, _: &Wanted, _: &Config, _: &Path) -> Result<()> {
        Ok(())
    }

    fn root_size(&self, _: &Wanted) -> u64 {
        ROOT
    }

    fn persist_size(&self, _: &Wanted) -> u64 {
        PERSIST
    }
}

/// A place with an image in it.
pub struct World {
    pub place: Place,
    pub engine: Qemu,
}

impl World {
    /// `None` where there are no tools.
    pub fn new() -> Option<Self> {
        for tool in ["qemu-img", "qemu-io", "mke2fs"] {
            if Command::new(tool).arg("--version").output().is_err() {
                println!("skipped: there is no {tool}");
                return None;
            }
        }
        let place = Place::new();
        let images = place.data().join("images");
        std::fs::create_dir_all(&images).unwrap();
        let image = images.join("light.raw");
        std::fs::write(&image, "").unwrap();
        ok(Command::new("mke2fs").args(["-q", "-F", "-t", "ext4"]).arg(&image).arg("8M"));
        let engine = engine(&place);
        Some(World { place, engine })
    }

    pub fn wanted(&self, name: &str) -> Wanted {
        self.wanted_as(name, |_| {})
    }

    pub fn wanted_as(&self, name: &str, change: impl FnOnce(&mut Machine)) -> Wanted {
        let mut declared =
            Machine { engine: "qemu".into(), image: "debian/12".into(), ..Machine::default() };
        change(&mut declared);
        self.place.wanted(name, declared)
    }

    pub fn create(&self, wanted: &Wanted) {
        block(self.engine.create(wanted, &Steps::none())).unwrap();
    }

    pub fn made(&self, name: &str) -> Wanted {
        let wanted = self.wanted(name);
        self.create(&wanted);
        wanted
    }

    pub fn snapshot(&self, name: &str, snapshot: &str) -> Snapshot {
        block(self.engine.snapshot(name, &NewSnapshot::named(snapshot), &Steps::none())).unwrap()
    }

    pub fn restore(&self, name: &str, snapshot: &str) {
        block(self.engine.restore(name, snapshot, &Steps::none())).unwrap();
    }

    pub fn clone(&self, from: &str, snapshot: Option<&str>, to: &Wanted) {
        block(self.engine.clone_machine(from, snapshot, to, &Steps::none())).unwrap();
    }

    pub fn destroy(&self, name: &str) {
        block(self.engine.destroy(name, &Steps::none())).unwrap();
    }

    /// The disk that a machine writes to.
    pub fn disk(&self, name: &str) -> Disk {
        let disks = self.engine.disks(name).unwrap();
        disks.into_iter().find(|disk| !disk.readonly).unwrap()
    }

    /// Writes as the machine would: `mark` all over 64 KiB, so far into the disk.
    pub fn write(&self, name: &str, at: u64, mark: u8) {
        let path = self.disk(name).path;
        ok(&mut io(&path, &format!("write -P {mark} {at} 64k")));
    }

    /// Whether a machine reads what was written so.
    pub fn reads(&self, name: &str, at: u64, mark: u8) -> bool {
        let output = io(&self.disk(name).path, &format!("read -P {mark} {at} 64k")).output();
        let output = output.unwrap();
        assert!(output.status.code().is_some_and(|code| code <= 1), "{output:?}");
        !String::from_utf8_lossy(&output.stdout).contains("verification failed")
    }

    /// All layers: their files.
    pub fn layers(&self) -> Vec<PathBuf> {
        let folder = self.place.data().join("disks");
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name() != ".lock" {
                found.push(entry.path().join("disk.qcow2"));
            }
        }
        found.sort();
        found
    }
}

/// The engine, as a program that is started now sees it.
pub fn engine(place: &Place) -> Qemu {
    let programs = programs();
    let vm = programs.sandbox.with_file_name("stead-vm");
    let programs = Programs { sandbox: programs.sandbox, hold: programs.hold, vm };
    let images = OneImage(place.data().join("images/light.raw"));
    Qemu::new(&place.data(), &place.run(), programs, Arc::new(images))
}

/// QEMU's own tool at work on a qcow2 file.
pub fn io(path: &Path, what: &str) -> Command {
    let mut command = Command::new("qemu-io");
    command.args(["-f", "qcow2", "-c", what]).arg(path);
    command
}

/// Runs something that must work.
pub fn ok(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}
