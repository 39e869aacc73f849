//! The engine `sandbox`, with the real programs, does what every engine must: as root, and as an ordinary user.

mod common;

use async_trait::async_trait;
use common::Place;
use std::fs::File;
use std::sync::Arc;
use stead_engines::sandbox::Sandbox;
use stead_file::declared::Machine;
use stead_machine::Engine;
use stead_machine::conformance::Bench;
use stead_machine::model::Wanted;

struct SandboxBench {
    engine: Sandbox,
    place: Place,
    /// One at a time: each counts the processes of all of them before and after.
    _one: File,
}

impl SandboxBench {
    fn new() -> Self {
        let one = File::open(common::programs().sandbox).unwrap();
        one.lock().unwrap();
        let place = Place::new();
        SandboxBench { engine: place.engine(), place, _one: one }
    }
}

#[async_trait]
impl Bench for SandboxBench {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(self.engine.clone())
    }

    fn wanted(&self, name: &str) -> Wanted {
        self.place.wanted(name, Machine::default())
    }

    async fn residue(&self) -> Vec<String> {
        self.place.residue()
    }
}

stead_machine::conformance_tests!(SandboxBench::new());

#[test]
fn as_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: this is an ordinary user already");
        return;
    }
    println!(
        "skipped diff_tells_what_changed: nobody but root can change files of the base: those folders belong to others"
    );
    common::again_as_nobody(&["as_an_ordinary_user", "diff_tells_what_changed"]);
}
