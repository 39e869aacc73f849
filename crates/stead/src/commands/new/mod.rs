//! `stead new`: a machine chosen from menus, added to the stead file as a person would write it.

mod menu;
mod plain;
mod text;

use super::attach;
use crate::cli::New;
use crate::failure::{Failure, Outcome};
use crate::stead_file;
use std::fs;
use std::io;
use std::path::PathBuf;
use text::{Chosen, FEATURES, SIZES};

/// Somebody who answers.
trait Asker {
    /// One of several.
    fn one(&mut self, what: &str, items: &[String], default: usize) -> Result<usize, Failure>;
    /// Any of several.
    fn some(&mut self, what: &str, items: &[String]) -> Result<Vec<usize>, Failure>;
    /// A text.
    fn text(&mut self, what: &str, default: &str) -> Result<String, Failure>;
    /// Something to read.
    fn show(&mut self, text: &str) -> Result<(), Failure>;
}

pub fn run(args: &New) -> Outcome {
    if args.plain || !attach::has_terminal() {
        let (input, output) = (io::stdin().lock(), io::stdout().lock());
        add(args, &mut plain::Plain { input, output })
    } else {
        add(args, &mut menu::Menus)
    }
}

fn add(args: &New, asker: &mut dyn Asker) -> Outcome {
    let file = match &args.file.file {
        Some(file) => file.clone(),
        None => ::stead_file::find(&std::env::current_dir()?)
            .unwrap_or_else(|| PathBuf::from(::stead_file::FILE_NAME)),
    };
    let before = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(Failure::misused(format!("cannot read {}: {e}", file.display()))),
    };
    let vms = stead_engines::NAMES.contains(&"qemu");
    let chosen = choose(args.name.as_deref(), vms, asker)?;
    let table = text::table(&chosen);
    let after = text::appended(&before, &table);
    // What would be wrong is told before anything is written.
    stead_file::check(&after, &file)?;
    asker.show(&format!("\n{table}\n"))?;
    let question = format!("write this to {}", file.display());
    let answers = ["yes", "no"].map(String::from);
    if asker.one(&question, &answers, 0)? == 1 {
        return Err(Failure::failed("nothing was written"));
    }
    write(&file, &before, &after)?;
    asker.show(&format!("{}: stead plan shows what it would make\n", file.display()))?;
    Ok(0)
}

fn choose(name: Option<&str>, vms: bool, asker: &mut dyn Asker) -> Result<Chosen, Failure> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => asker.text("the machine's name", "box")?,
    };
    let mut kinds = vec!["sandbox: a copy-on-write clone of this computer".to_owned()];
    if vms {
        kinds.push("virtual machine: a system of its own".into());
        kinds.push("light virtual machine: a kernel and what Stead needs".into());
    }
    let kind = asker.one("what it is", &kinds, 0)?;
    let sizes: Vec<String> = SIZES
        .iter()
        .map(|(word, cpus, memory, disk)| match kind {
            0 => format!("{word}: {cpus} cpus, {memory} of memory"),
            _ => format!("{word}: {cpus} cpus, {memory} of memory, {disk} of disk"),
        })
        .collect();
    let size = asker.one("how large", &sizes, 1)?;
    let offered: Vec<_> = FEATURES.iter().filter(|(_, _, vm)| kind > 0 || !vm).collect();
    let words: Vec<String> = offered.iter().map(|(_, words, _)| (*words).to_owned()).collect();
    let features = asker.some("what it has beside", &words)?;
    let features = features.into_iter().map(|at| offered[at].0).collect();
    let shares = asker.text("folders it shares, with commas between; :ro only to read", "")?;
    let shares = shares.split(',').map(str::trim).filter(|share| !share.is_empty());
    let shares = shares.map(String::from).collect();
    Ok(Chosen { name, qemu: kind > 0, light: kind == 2, size, features, shares })
}

/// Writes the file, only if nobody wrote it meanwhile.
fn write(file: &std::path::Path, before: &str, after: &str) -> Result<(), Failure> {
    let wrong = |e: io::Error| Failure::failed(format!("cannot write {}: {e}", file.display()));
    let now = match fs::read_to_string(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        now => now.map_err(wrong)?,
    };
    if now != before {
        let changed = format!("{} was changed meanwhile; nothing was written", file.display());
        return Err(Failure::failed(changed));
    }
    // In place, so that links, owner and rights stay as they are.
    fs::write(file, after).map_err(wrong)
}
