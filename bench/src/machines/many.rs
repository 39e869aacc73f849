//! A thousand machines that are declared and known.

use super::ground::Ground;
use super::{Bench, Figures, Metric};
use crate::error::{Context, Error, Result};
use crate::report::Page;
use crate::sample::Sample;
use crate::stage::Stage;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "machine-many",
        title: "A thousand machines",
        how: "A stead file declares them, stopped. One is made by `stead apply`; the records of the others are copies of \
              its own with names, numbers and addresses of their own, as if they had been made. Then `stead plan` \
              (nothing to do), `stead plan` with every machine's limit changed in the file, and `stead ls --machines`, \
              each as a command from its start to its end.",
        ratios: &[],
    },
    measure,
};

fn measure(bench: &Bench) -> Figures {
    let mut figures = Figures::new(METRIC.page.key);
    let stage = match Stage::new() {
        Ok(stage) => stage,
        Err(e) => {
            figures.note("stead", e);
            return figures;
        }
    };
    bench.in_use.add(stage.root());
    if let Err(e) = many(bench, &stage, &mut figures) {
        figures.note("stead", e);
    }
    bench.in_use.remove();
    figures
}

fn declare(stage: &Stage, many: usize, processes: u32) -> Result<()> {
    let mut text = String::from("[stead]\nname = \"bench\"\n");
    for n in 0..many {
        let _ = write!(text, "[machines.m{n}]\nrunning = false\nprocesses = {processes}\n");
    }
    fs::write(stage.path("home/stead.toml"), text).context("stead.toml")
}

fn many(bench: &Bench, stage: &Stage, figures: &mut Figures) -> Result<()> {
    let many = bench.scale.many;
    declare(stage, many, 100)?;
    let mut ground = Ground::new(stage, bench.programs, None)?;
    ground.ask(&["apply", "--yes", "m0"])?;
    let data = stage.path("data/stead");
    ground.again(|| (1..many).try_for_each(|n| copy(&data, n)))?;
    let runs = bench.scale.lists;
    let time = |args: &[&str], status: i32| -> Result<(Option<f64>, String)> {
        let mut sample = Sample::default();
        let mut text = String::new();
        for round in 0..=runs {
            let mut command = ground.stead(args);
            let start = Instant::now();
            let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
            if round > 0 {
                sample.push(start.elapsed());
            }
            text = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.code() != Some(status) {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(Error::new(format!("{args:?}: {} {text} {said}", output.status)));
            }
        }
        Ok((sample.percentile(50), text))
    };
    figures.put("stead", "plan, nothing ms", time(&["plan"], 0)?.0);
    let (listing, text) = time(&["ls", "--machines"], 0)?;
    figures.put("stead", "ls ms", listing);
    let listed = text.lines().filter(|line| line.trim_start().starts_with('m')).count();
    figures.put("stead", "listed", Some(listed as f64));
    declare(stage, many, 101)?;
    figures.put("stead", "plan, all change ms", time(&["plan"], 3)?.0);
    // Nothing of these was ever started, so that their folders are all there is of them.
    ground.again(|| {
        (1..many).try_for_each(|n| {
            fs::remove_dir_all(data.join(format!("machines/m{n}")))?;
            Ok(())
        })
    })
}

/// Copies the records of `m0` for another.
fn copy(data: &Path, n: usize) -> Result<()> {
    let name = format!("m{n}");
    let number = n + 1;
    let folder = data.join("machines").join(&name);
    fs::DirBuilder::new().mode(0o700).create(&folder).context(folder.display())?;
    let id = format!("{n:032x}");
    let address = format!("10.90.{}.{}", n / 250, n % 250 + 2);
    let change = |from: &Path, to: &Path| -> Result<()> {
        let mut value: serde_json::Value =
            serde_json::from_slice(&fs::read(from).context(from.display())?)
                .context(from.display())?;
        let whole = value.get("wanted").is_none();
        let wanted = if whole { Some(&mut value) } else { value.get_mut("wanted") };
        // What has no number is a state, which has no name either.
        if let Some(wanted) = wanted.filter(|wanted| wanted.get("number").is_some()) {
            for (key, new) in
                [("name", &name), ("id", &id), ("state", &name), ("address", &address)]
            {
                wanted[key] = new.as_str().into();
            }
            wanted["number"] = number.into();
        }
        fs::write(to, serde_json::to_vec_pretty(&value).context("JSON")?).context(to.display())
    };
    for file in ["machine.json", "sandbox.json", "state.json"] {
        change(&data.join("machines/m0").join(file), &folder.join(file))?;
    }
    fs::write(data.join("machines/.numbers").join(number.to_string()), name).context("a number")
}
