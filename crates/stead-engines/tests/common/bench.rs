//! Real guests of engine `qemu` for tests: without KVM, and warm.
#![allow(dead_code, unreachable_pub)]

use crate::common::{self, Place, images};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use stead_engines::qemu::{Guests, Programs, Qemu};
use stead_file::declared::{self, Accel, Board, Guest, Machine};
use stead_file::size::Size;
use stead_machine::conformance::Bench;
use stead_machine::model::Wanted;
use stead_machine::{Engine, Steps};

/// Real guests, made of the image that is there.
pub struct QemuBench {
    pub engine: Qemu,
    pub place: Place,
    guest: Guest,
    board: Board,
    /// Whether machines start warm.
    pub warm: bool,
    /// One at a time: each counts the processes of all of them before and after.
    _one: File,
}

/// Templates for warm starts, kept from test to test and from run to run: all places have them in common.
struct Templates {
    kept: PathBuf,
    data: PathBuf,
}

impl Templates {
    /// Puts the kept ones into a place.
    fn bring(&self) {
        for folder in ["machines", "disks"] {
            link(&self.kept.join(folder), &self.data.join(folder));
        }
    }

    /// Keeps those of a place instead.
    fn keep(&self) {
        let new = self.kept.with_extension("new");
        let _ = std::fs::remove_dir_all(&new);
        for folder in ["machines", "disks"] {
            link(&self.data.join(folder), &new.join(folder));
        }
        let _ = std::fs::remove_dir_all(&self.kept);
        std::fs::rename(&new, &self.kept).unwrap();
    }

    fn there(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.data.join("machines")).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name.starts_with(".warm-")).collect()
    }
}

/// Makes `to` the same as `from`, of the same files.
fn link(from: &Path, to: &Path) {
    if !from.exists() {
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    let mut copied = false;
    for how in [&["-a", "--link"][..], &["-a", "--sparse=always"]] {
        let done = Command::new("cp").args(how).arg(from.join(".")).arg(to).output().unwrap();
        copied = done.status.success();
        if copied {
            break;
        }
    }
    assert!(copied, "{} cannot be copied", from.display());
}

impl QemuBench {
    /// A bench whose machines start warm.
    pub async fn warm(guest: Guest, board: Board) -> Self {
        let mut bench = QemuBench::new(guest, board);
        bench.warm = true;
        let kind = format!("{guest:?}-{board:?}").to_lowercase();
        let kept = images().with_file_name("warm").join(kind);
        let templates = Templates { kept, data: bench.place.data() };
        templates.bring();
        let before = templates.there();
        // Makes the template, if none fits; those of other days go with it.
        let first = bench.wanted("first");
        bench.engine.create(&first, &Steps::none()).await.unwrap();
        bench.engine.destroy(&first.name, &Steps::none()).await.unwrap();
        if templates.there() != before {
            for name in before {
                std::fs::remove_dir_all(bench.place.data().join("machines").join(name)).unwrap();
            }
            bench.engine.sweep(&Steps::none()).await.unwrap();
            templates.keep();
        }
        bench
    }

    pub fn new(guest: Guest, board: Board) -> Self {
        let one = File::open(common::programs().sandbox).unwrap();
        one.lock().unwrap();
        let place = Place::new();
        let of_sandbox = common::programs();
        let vm = of_sandbox.sandbox.with_file_name("stead-vm");
        let programs = Programs { sandbox: of_sandbox.sandbox, hold: of_sandbox.hold, vm };
        let guests = Arc::new(Guests::new(&images(), &programs));
        let engine = Qemu::new(&place.data(), &place.run(), programs, guests);
        QemuBench { engine, place, guest, board, warm: false, _one: one }
    }
}

#[async_trait]
impl Bench for QemuBench {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(self.engine.clone())
    }

    fn wanted(&self, name: &str) -> Wanted {
        let qemu = declared::Qemu {
            guest: self.guest,
            machine: Some(self.board),
            accel: Some(Accel::Tcg),
            warm: self.warm,
            ..declared::Qemu::default()
        };
        let machine = Machine {
            engine: "qemu".into(),
            image: "debian/12".into(),
            memory: Some(Size(256 << 20)),
            cpus: Some(1000),
            qemu: Box::new(qemu),
            ..Machine::default()
        };
        self.place.wanted(name, machine)
    }

    fn many(&self) -> usize {
        5
    }

    fn little_memory(&self) -> Size {
        Size(256 << 20)
    }

    fn small_disk(&self) -> Size {
        // A light image has two, a full one four.
        let image = if self.guest == Guest::Light { 2 } else { 4 };
        Size((image << 30) + (64 << 20))
    }

    async fn residue(&self) -> Vec<String> {
        // A template stays: another disk or another memory has another.
        let machines = std::fs::read_dir(self.place.data().join("machines"));
        let templates: String = machines
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(".warm-"))
            .flat_map(|entry| {
                let own = entry.path().join("qemu");
                let kept = std::fs::read_dir(own.join("snapshots")).into_iter().flatten().flatten();
                let files = kept.map(|entry| entry.path()).chain([own.join("state.json")]);
                files.filter_map(|file| std::fs::read_to_string(file).ok()).collect::<Vec<_>>()
            })
            .collect();
        let of_template = |line: &String| {
            let id = line.strip_prefix("data/disks/");
            line.starts_with("data/machines/.warm-") || id.is_some_and(|id| templates.contains(id))
        };
        self.place.residue().into_iter().filter(|line| !of_template(line)).collect()
    }
}
