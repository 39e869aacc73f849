//! The simplest engine passes the conformance suite, and the suite sees what a hostile one does.

use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use stead_file::declared::Machine;
use stead_machine::Engine;
use stead_machine::conformance::{self, Bench, Outcome};
use stead_machine::hostile::{Hostile, Trick};
use stead_machine::model::Wanted;
use stead_machine::simple::Simple;

struct SimpleBench {
    folder: tempfile::TempDir,
    simple: Simple,
    engine: Arc<dyn Engine>,
}

impl SimpleBench {
    fn new() -> Self {
        Self::around(|engine| engine)
    }

    fn around(wrap: impl FnOnce(Arc<dyn Engine>) -> Arc<dyn Engine>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let simple = Simple::open(folder.path()).unwrap();
        let engine = wrap(Arc::new(simple.clone()));
        SimpleBench { folder, simple, engine }
    }
}

#[async_trait]
impl Bench for SimpleBench {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.clone()
    }

    fn wanted(&self, name: &str) -> Wanted {
        let number = name.bytes().fold(7_u32, |n, b| n.wrapping_mul(31).wrapping_add(b.into()));
        Wanted {
            name: name.into(),
            id: format!("{number:032x}"),
            number,
            address: std::net::Ipv4Addr::LOCALHOST,
            declared: Machine { engine: "simple".into(), ..Machine::default() },
            network: None,
            state: name.into(),
            created: 0,
        }
    }

    async fn residue(&self) -> Vec<String> {
        self.simple.residue()
    }

    fn place(&self, name: &str) -> PathBuf {
        self.simple.files(name).join("root/place")
    }

    fn base_files(&self, name: &str) -> Vec<PathBuf> {
        ["etc/motd", "etc/shells"].map(|path| self.simple.files(name).join(path)).to_vec()
    }
}

stead_machine::conformance_tests!(SimpleBench::new());

#[tokio::test]
async fn the_suite_sees_what_is_wrong() {
    for (trick, seen_by) in [
        (Trick::Unreachable, "create_start_stop_destroy"),
        (Trick::Blind, "observe_lists_what_look_sees"),
        (Trick::Strange, "observe_lists_what_look_sees"),
        (Trick::Half, "everything_may_be_asked_twice"),
        (Trick::Inverted, "create_start_stop_destroy"),
        (Trick::Stranger, "create_start_stop_destroy"),
        (Trick::FailsDone, "twenty_at_once"),
        (Trick::FailsAfter(1), "a_restart_keeps_the_state"),
    ] {
        let bench = SimpleBench::around(|engine| {
            let hostile = Hostile::around(engine);
            hostile.always(trick);
            Arc::new(hostile)
        });
        let outcome = conformance::check(&bench, seen_by).await;
        assert!(matches!(outcome, Outcome::Failed(_)), "{trick:?} {outcome:?}");
        // What it left goes with the test.
        for name in std::fs::read_dir(bench.folder.path()).unwrap().flatten() {
            let name = name.file_name();
            let _ =
                bench.simple.destroy(name.to_str().unwrap(), &stead_machine::Steps::none()).await;
        }
    }
}

#[tokio::test]
async fn a_report_has_a_line_for_each_check() {
    let report = conformance::run(&SimpleBench::new()).await;
    assert_eq!(report.failed(), [""; 0], "{report}");
    assert_eq!(report.lines.len(), conformance::CHECKS.len());
    let text = report.to_string();
    assert!(
        text.contains("skipped  memory_is_limited: its processes are processes of this host"),
        "{text}"
    );
}
