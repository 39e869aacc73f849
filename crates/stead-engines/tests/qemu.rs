//! The engine `qemu`, with real guests and without KVM, does what every engine must.

mod common;

use async_trait::async_trait;
use common::Place;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use stead_engines::qemu::{Guests, Programs, Qemu};
use stead_file::declared::{self, Accel, Board, Guest, Machine};
use stead_machine::Engine;
use stead_machine::conformance::Bench;
use stead_machine::model::Wanted;

struct QemuBench {
    engine: Qemu,
    place: Place,
    guest: Guest,
    board: Board,
    /// One at a time: each counts the processes of all of them before and after.
    _one: File,
}

/// Where images are kept from run to run.
fn images() -> PathBuf {
    let cache = || {
        let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(std::env::home_dir()?.join(".cache")));
        home.expect("a home").join("stead-dev/images")
    };
    std::env::var_os("STEAD_TEST_IMAGES").map_or_else(cache, PathBuf::from)
}

impl QemuBench {
    fn new(guest: Guest, board: Board) -> Self {
        let one = File::open(common::programs().sandbox).unwrap();
        one.lock().unwrap();
        let place = Place::new();
        let of_sandbox = common::programs();
        let vm = of_sandbox.sandbox.with_file_name("stead-vm");
        let programs = Programs { sandbox: of_sandbox.sandbox, hold: of_sandbox.hold, vm };
        let guests = Arc::new(Guests::new(&images(), &programs));
        let engine = Qemu::new(&place.data(), &place.run(), programs, guests);
        QemuBench { engine, place, guest, board, _one: one }
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
            ..declared::Qemu::default()
        };
        let machine = Machine {
            engine: "qemu".into(),
            image: "debian/12".into(),
            memory: Some(stead_file::size::Size(256 << 20)),
            cpus: Some(1000),
            qemu,
            ..Machine::default()
        };
        self.place.wanted(name, machine)
    }

    async fn residue(&self) -> Vec<String> {
        self.place.residue()
    }
}

stead_machine::conformance_tests!(QemuBench::new(Guest::Light, Board::Microvm));
