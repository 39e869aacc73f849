//! A data folder with a manager on the simple engine, which can turn hostile.

#![allow(dead_code, missing_docs, reason = "each test program uses a part of it")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use stead_file::declared::{Declaration, Machine};
use stead_machine::hostile::Hostile;
use stead_machine::manager::{Selection, Summary};
use stead_machine::simple::Simple;
use stead_machine::{Engine, Manager, Plan};

pub const OWNER: &str = "test (/stead.toml)";
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct World {
    pub folder: tempfile::TempDir,
    pub simple: Simple,
    pub hostile: Arc<Hostile>,
    pub manager: Manager,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::within(folder)
    }

    fn within(folder: tempfile::TempDir) -> Self {
        let (simple, hostile, manager) = manager(folder.path());
        World { folder, simple, hostile, manager }
    }

    /// As another program sees it.
    pub fn again(self) -> Self {
        Self::within(self.folder)
    }

    pub async fn plan(&self, declared: &Declaration) -> Plan {
        self.manager.plan(declared, OWNER, PATIENCE).await.unwrap()
    }

    pub async fn apply(&self, declared: &Declaration) -> (Summary, Vec<String>) {
        let plan = self.plan(declared).await;
        self.manager.apply(plan, Selection::All, 4).wait().await
    }

    /// Applies, and says what is wrong if all is not as declared then.
    pub async fn applied(&self, declared: &Declaration) {
        let (_, failed) = self.apply(declared).await;
        assert!(failed.is_empty(), "{failed:?}");
        let plan = self.plan(declared).await;
        assert_eq!(plan.exit_status(), 0, "{plan}");
        let mut left = self.manager.operations().interrupted();
        left.retain(|operation| declared.machines.contains_key(&operation.machine));
        assert!(left.is_empty(), "{left:?}");
    }

    pub fn write(&self, machine: &str, text: &str) {
        std::fs::write(self.simple.files(machine).join("root/data"), text).unwrap();
    }

    pub fn read(&self, machine: &str) -> Option<String> {
        std::fs::read_to_string(self.simple.files(machine).join("root/data")).ok()
    }

    /// Its machine-id and host name.
    pub fn identity(&self, machine: &str) -> (String, String) {
        let read = |path: &str| {
            let text = std::fs::read_to_string(self.simple.files(machine).join(path)).unwrap();
            text.trim().to_owned()
        };
        (read("etc/machine-id"), read("etc/hostname"))
    }
}

pub fn manager(data: &Path) -> (Simple, Arc<Hostile>, Manager) {
    let simple = Simple::open(&data.join("simple")).unwrap();
    let hostile = Arc::new(Hostile::around(Arc::new(simple.clone())));
    let engine: Arc<dyn Engine> = hostile.clone();
    let manager = Manager::open(data, [engine]).unwrap();
    (simple, hostile, manager)
}

pub fn machine() -> Machine {
    Machine { engine: "simple".into(), ..Machine::default() }
}

pub fn declared(names: &[&str]) -> Declaration {
    let machines = names.iter().map(|name| ((*name).to_owned(), machine())).collect();
    Declaration { name: "test".into(), machines, ..Declaration::default() }
}
