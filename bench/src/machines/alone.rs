//! A sandbox without a steward: what `stead-box` needs, and nothing else.

use super::ground::{CPUS, MEMORY, PROCESSES, Programs};
use crate::error::{Context, Result};
use crate::peers::run;
use crate::stage::Stage;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use stead_box::hide;
use stead_box::spec::{Base, Ids, Limits, Net, Running, Spec, Upper};
use stead_file::declared::Egress;

/// The first id inside, outside: a range that no machine of a steward on a stage has.
const FIRST: u32 = 1_879_048_192 + 3000 * 65536;

/// Sandboxes on a stage.
pub struct Alone<'a> {
    pub stage: &'a Stage,
    pub programs: &'a Programs,
}

impl Alone<'_> {
    /// The run folder of one.
    pub fn run_folder(&self, name: &str) -> PathBuf {
        self.stage.path("boxes").join(name)
    }

    fn command(&self) -> Command {
        self.stage.command(&self.programs.sandbox)
    }

    /// Starts one, from looking at what is secret on this host to its first process.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(&self, name: &str) -> Result<Running> {
        let folder = |path: PathBuf| -> Result<PathBuf> {
            DirBuilder::new().recursive(true).mode(0o700).create(&path).context(path.display())?;
            Ok(path)
        };
        let run = folder(self.run_folder(name))?;
        let upper = folder(self.stage.path("uppers").join(name))?;
        folder(upper.join("work"))?;
        DirBuilder::new().mode(0o755).create(upper.join("fs")).context("an upper")?;
        let host = hide::Host { root: "/".into(), userxattr: false };
        let cover = hide::cover(&self.stage.path("covers"), &host).context("a cover")?;
        let spec = Spec {
            name: name.into(),
            hostname: name.into(),
            run: run.clone(),
            base: Base::Host { cover: cover.path, show: Vec::new() },
            layers: Vec::new(),
            upper: Upper::Folder(upper),
            ids: Ids::Range { first: FIRST },
            binds: Vec::new(),
            limits: Limits { memory: Some(MEMORY), cpus: Some(CPUS), processes: Some(PROCESSES) },
            cgroup: format!("bench-{}-{name}", std::process::id()),
            net: Some(Net {
                egress: Egress::Open,
                ports: Vec::new(),
                host_ports: Vec::new(),
                dns: Vec::new(),
                address: [10, 90, 0, 2].into(),
                peers: std::collections::BTreeMap::new(),
                tap: None,
                agent: None,
                screen: None,
            }),
            main: None,
            record: None,
            nested: false,
            env: std::collections::BTreeMap::new(),
        };
        let path = run.join("spec.json");
        std::fs::write(&path, serde_json::to_vec(&spec).context("a spec")?)?;
        let mut command = self.command();
        command
            .arg("start")
            .stdin(File::open(&path)?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = command.output().context("stead-box")?;
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).context(text.trim())
    }

    /// A command in one that runs.
    pub fn exec(&self, name: &str, words: &[&str]) -> Command {
        let mut command = self.command();
        command.arg("exec").arg(self.run_folder(name)).arg("--").args(words);
        command
    }

    /// Ends one.
    ///
    /// # Errors
    /// If it goes on.
    pub fn stop(&self, name: &str) -> Result<()> {
        let mut command = self.command();
        command.arg("stop").arg(self.run_folder(name)).args(["--grace", "0"]);
        run(command)
    }
}
