//! Declared systems: rendered, brought to a machine that has them already, and checked there.

use crate::InUse;
use crate::error::{Context, Result};
use crate::machines::{Ground, Programs};
use crate::peers::{first_line, run};
use crate::report::{Page, Program, Set};
use crate::results::Results;
use crate::sample::Sample;
use crate::stage::Stage;
use crate::targets;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

const NAMES: [&str; 1] = ["stead"];

const PAGE: Page = Page {
    key: "systems",
    title: "Declared systems",
    how: "render: `stead system render --all`, 100 machines, half of them NixOS, into an empty folder. switch: `stead system \
          switch` of a sandbox that is as declared. audit: `stead audit` of the same. Each includes the start of the command.",
    ratios: &[],
};

/// A system that a copy of this host is brought to without a network.
const SYSTEM: &str = r#"
updates = "off"
audit_log = false
ssh = { enable = false }
disk = { grow = false }
users.ada = { sudo = "passwordless", keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD ada@laptop"] }
services.tick = { command = ["/bin/true"], calendar = "daily" }
"#;

/// How often.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Scale {
    /// Runs of each command.
    pub runs: usize,
}

impl Scale {
    /// The scale of the published tables.
    pub const FULL: Scale = Scale { runs: 21 };
    /// For trying out.
    pub const QUICK: Scale = Scale { runs: 5 };
}

/// The set as the report shows it.
pub fn set() -> Set {
    Set { title: "Declared systems", names: &NAMES, pages: vec![PAGE], targets: &targets::SYSTEMS }
}

/// Measures.
///
/// # Errors
/// If Stead does not start or a command fails.
pub fn measure(stead: &Path, scale: Scale, in_use: &InUse) -> Result<(Results, Vec<Program>)> {
    let programs = Programs::new(stead)?;
    let stage = Stage::new()?;
    in_use.add(stage.root());
    let outcome = measure_on(&stage, &programs, scale);
    in_use.remove();
    let version = first_line(&stead.join("stead"), "--version");
    Ok((outcome?, vec![Program { name: "stead", version, remark: "all defaults" }]))
}

fn measure_on(stage: &Stage, programs: &Programs, scale: Scale) -> Result<Results> {
    let ground = Ground::new(stage, programs, None)?;
    let many = file(stage, "many.toml", &hundred())?;
    let one =
        format!("[machines.box]\nsystem = \"dev\"\negress = \"none\"\n[systems.dev]\n{SYSTEM}");
    let one = file(stage, "one.toml", &one)?;
    run(ground.stead(&["apply", "--yes", "-f", &one]))?;
    run(ground.stead(&["system", "switch", "box", "-f", &one]))?;
    let (mut render, mut switch, mut audit) =
        (Sample::default(), Sample::default(), Sample::default());
    for round in 0..=scale.runs {
        let out = stage.path(&format!("out-{round}")).display().to_string();
        for (sample, words) in [
            (&mut render, vec!["system", "render", "--all", "-f", &many, &out]),
            (&mut switch, vec!["system", "switch", "box", "-f", &one]),
            (&mut audit, vec!["audit", "box", "-f", &one, "--json"]),
        ] {
            // An audit that finds something ends with 3.
            let fine: &[i32] = if words[0] == "audit" { &[0, 3] } else { &[0] };
            let mut command = ground.stead(&words);
            let start = Instant::now();
            let status = command.stdout(std::process::Stdio::null()).status()?;
            let took = start.elapsed();
            if !status.code().is_some_and(|code| fine.contains(&code)) {
                return Err(crate::error::Error::new(format!(
                    "stead {words:?} ended with {status}"
                )));
            }
            if round > 0 {
                sample.push(took);
            }
        }
    }
    let mut results = Results::default();
    for (sample, names) in [
        (render, ["render of 100 p50 ms", "render of 100 p95 ms"]),
        (switch, ["switch p50 ms", "switch p95 ms"]),
        (audit, ["audit p50 ms", "audit p95 ms"]),
    ] {
        for (name, percent) in names.into_iter().zip([50, 95]) {
            results.figure(PAGE.key, "stead", name, sample.percentile(percent));
        }
    }
    run(ground.stead(&["destroy", "--yes", "box"]))?;
    Ok(results)
}

fn file(stage: &Stage, name: &str, text: &str) -> Result<String> {
    let path: PathBuf = stage.path(name);
    std::fs::write(&path, text).context(path.display())?;
    Ok(path.display().to_string())
}

/// A stead file with a hundred machines, each with a system of its own.
fn hundred() -> String {
    let mut text = String::new();
    for n in 0..100 {
        let os = if n % 2 == 0 { "nixos" } else { "debian" };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "[machines.m{n}]\nsystem = \"s{n}\"\n[systems.s{n}]\nos = \"{os}\"\n{SYSTEM}"
        );
    }
    text
}
