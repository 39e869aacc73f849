//! The engine `sandbox` with the real programs.

use std::path::Path;
use stead_engines::sandbox::{Programs, Sandbox};
use stead_file::declared::Machine;
use stead_machine::Steps;
use stead_machine::engine::{Engine, Exec};
use stead_machine::model::{Phase, Wanted};

fn programs() -> Programs {
    let exe = std::env::current_exe().unwrap();
    let folder = exe.parent().and_then(Path::parent).unwrap();
    let program = |name: &str| {
        let path = folder.join(name);
        assert!(path.exists(), "{name} is not built: run `cargo build --workspace` first");
        path
    };
    Programs { sandbox: program("stead-box"), hold: program("stead-hold") }
}

fn wanted(name: &str, number: u32) -> Wanted {
    Wanted {
        name: name.into(),
        id: format!("{number:032x}"),
        number,
        address: [10, 90, 0, number as u8].into(),
        declared: Machine::default(),
        network: None,
        state: name.into(),
        created: 0,
    }
}

fn run(engine: &Sandbox, name: &str, script: &str) -> (i32, String) {
    let exec = Exec { command: ["sh", "-c", script].map(String::from).to_vec(), ..Exec::default() };
    let mut command = block(engine.exec(name, &exec)).unwrap();
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn a_machine_from_its_making_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Sandbox::new(&dir.path().join("data"), &dir.path().join("run"), programs());
    let steps = Steps::none();
    let wanted = wanted("box", 1);
    block(engine.create(&wanted, &steps)).unwrap();
    block(engine.start(&wanted, &steps)).unwrap();
    assert_eq!(block(engine.look("box")).unwrap().unwrap().phase, Phase::Running);
    let (status, text) = run(
        &engine,
        "box",
        "id -u; hostname; cat /etc/machine-id; echo x > /etc/x; ls /root /home | wc -l",
    );
    assert_eq!((status, text.lines().collect::<Vec<_>>()), (0, vec!["0", "box", &wanted.id, "3"]));
    block(engine.stop("box", &steps)).unwrap();
    block(engine.start(&wanted, &steps)).unwrap();
    assert_eq!(run(&engine, "box", "cat /etc/x; exit 3"), (3, "x\n".into()));
    block(engine.destroy("box", &steps)).unwrap();
    assert_eq!(block(engine.look("box")).unwrap(), None);
}
