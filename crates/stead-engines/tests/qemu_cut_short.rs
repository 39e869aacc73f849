//! Work on states of engine `qemu` that ends at each of its steps, and is asked for again.

mod common;
#[path = "common/vm.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod vm;

use common::block;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use stead_file::size::Size;
use stead_machine::engine::Engine;
use stead_machine::model::NewSnapshot;
use stead_machine::steps::Journal;
use stead_machine::{EngineError, Steps};
use vm::World;

/// Where the image has nothing but zeroes.
const EMPTY: u64 = 100 << 20;

/// Asks for an end at a step: as if the program had been killed before it.
struct Cut {
    left: AtomicUsize,
}

impl Journal for Cut {
    fn step(&self, _: &str) {
        self.left.fetch_sub(1, Ordering::SeqCst);
    }
    fn note(&self, _: &str) {}
    fn progress(&self, _: u64, _: u64) {}
    fn cancelled(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

/// Asks for work that is cut short at each of its steps, and then again; `check` looks whether it was done once. All of it
/// in a world of its own, which is empty in the end.
fn cut_short(work: impl Fn(&World, &Steps) -> Result<(), EngineError>, check: impl Fn(&World)) {
    for left in 0.. {
        let Some(world) = World::new() else { return };
        world.made("box");
        world.write("box", EMPTY, 1);
        world.snapshot("box", "one");
        world.write("box", EMPTY, 2);
        world.made("other");
        let cut = Steps::new(Arc::new(Cut { left: AtomicUsize::new(left) }));
        let done = match work(&world, &cut) {
            Ok(()) => true,
            Err(EngineError::Cancelled) => false,
            Err(e) => panic!("cut short at step {left}: {e}"),
        };
        if !done {
            block(world.engine.sweep(&Steps::none())).unwrap();
            work(&world, &Steps::none()).unwrap();
        }
        check(&world);
        for name in ["box", "other", "twin"] {
            world.destroy(name);
        }
        assert!(world.layers().is_empty());
        if done {
            assert!(left > 0);
            return;
        }
    }
}

#[test]
fn what_was_cut_short_is_finished_by_asking_again() {
    let is_whole = |world: &World, name: &str, mark: u8| {
        assert!(world.reads(name, EMPTY, mark));
        // Nothing is left over, and nothing is missing.
        assert_eq!(block(world.engine.sweep(&Steps::none())).unwrap(), [""; 0]);
        assert!(world.reads(name, EMPTY, mark));
    };
    cut_short(
        |world, steps| block(world.engine.create(&world.wanted("twin"), steps)),
        |world| is_whole(world, "twin", 0),
    );
    cut_short(
        |world, steps| {
            block(world.engine.snapshot("box", &NewSnapshot::named("two"), steps)).map(drop)
        },
        |world| {
            is_whole(world, "box", 2);
            world.restore("box", "two");
            is_whole(world, "box", 2);
        },
    );
    cut_short(
        |world, steps| block(world.engine.restore("box", "one", steps)),
        |world| is_whole(world, "box", 1),
    );
    cut_short(
        |world, steps| block(world.engine.clone_machine("box", None, &world.wanted("twin"), steps)),
        |world| {
            is_whole(world, "twin", 2);
            is_whole(world, "box", 2);
        },
    );
    cut_short(
        |world, steps| block(world.engine.move_state("box", "other", "token", steps)),
        |world| {
            is_whole(world, "other", 2);
            is_whole(world, "box", 0);
        },
    );
    cut_short(
        |world, steps| block(world.engine.remove_snapshot("box", "one", steps)),
        |world| is_whole(world, "box", 2),
    );
    cut_short(
        |world, steps| block(world.engine.destroy("box", steps)),
        |world| assert_eq!(world.layers().len(), 1),
    );
    cut_short(
        |world, steps| {
            let larger = world.wanted_as("box", |machine| machine.disk = Some(Size(512 << 20)));
            block(world.engine.change(&world.wanted("box"), &larger, steps))
        },
        |world| {
            is_whole(world, "box", 2);
            assert_eq!(world.disk("box").size, 512 << 20);
        },
    );
}

#[test]
fn as_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: this is an ordinary user already");
    }
    common::again_as_nobody(&["as_an_ordinary_user"]);
}
