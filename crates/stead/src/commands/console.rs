//! `stead console`, `start-script`: a virtual machine below what runs in it.

use super::machine::path;
use super::{attach, print};
use crate::cli::{Console, StartScript};
use crate::failure::{Failure, Outcome};
use crate::present::NoC1;
use crate::steward::Steward;
use rustix::fs::inotify;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use stead_hold::attach::{Outcome as Attached, console};
use stead_hold::term::Plain;
use stead_steward::machines::api;
use stead_vm::doubted;

pub fn run(args: &Console) -> Outcome {
    let name = &args.machine;
    if !args.log && !attach::has_terminal() {
        return Err(Failure::misused("there is no terminal to show the console in")
            .help(format!("stead console {name} --log prints what it printed")));
    }
    let steward = Steward::of_user()?;
    let found: api::Console = steward.get(&format!("{}/console", path(name)))?;
    if args.log {
        return log(&found.log, args);
    }
    let stream = doubted::connect(&found.socket).map_err(|e| {
        Failure::failed(format!("the console of \"{name}\" cannot be reached: {e}")).help(format!(
            "stead up {name} starts it; stead console {name} --log prints what it printed"
        ))
    })?;
    match console(stream, attach::options()?.detach_key) {
        Ok(Attached::Closed(why)) => Err(Failure::failed(format!("{name}: {why}"))
            .help(format!("stead console {name} --log prints what it printed"))),
        Ok(_) => {
            let said = format!("[left the console of {name}; stead console {name} returns]\n");
            print(said.as_bytes())?;
            Ok(0)
        }
        Err(e) => Err(e.into()),
    }
}

/// Prints what a console printed, and with `-f` what it prints from now on.
fn log(path: &Path, args: &Console) -> Outcome {
    // Watched before reading, so that nothing is written in between unseen.
    let watch = args.follow.then(|| watch(path)).transpose()?;
    let mut file = match doubted::open(path) {
        Ok(file) => Some(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(Failure::failed(format!("{}: {e}", path.display()))),
    };
    // What a machine prints is not to be trusted with a terminal.
    let raw = args.raw || !io::stdout().is_terminal();
    let mut show = Show { plain: (!raw).then(Plain::default), no_c1: NoC1::default() };
    let mut buf = vec![0; 64 * 1024];
    loop {
        if file.is_none() {
            file = doubted::open(path).ok();
        }
        while let Some(file) = &mut file {
            let n = file.read(&mut buf)?;
            if n == 0 {
                break;
            }
            show.bytes(&buf[..n])?;
        }
        let Some(watch) = &watch else { return Ok(0) };
        let mut events = [0; 4096];
        match rustix::io::read(watch, &mut events) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(io::Error::from(e).into()),
        }
    }
}

/// A descriptor that can be read once something was written to the log, which need not be there yet.
fn watch(log: &Path) -> io::Result<rustix::fd::OwnedFd> {
    let folder = log.parent().unwrap_or(Path::new("/"));
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    let what = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
    inotify::add_watch(&watch, folder, what | inotify::WatchFlags::MOVED_TO)?;
    Ok(watch)
}

struct Show {
    plain: Option<Plain>,
    no_c1: NoC1,
}

impl Show {
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(plain) = &mut self.plain else { return print(bytes) };
        let (mut text, mut shown) = (Vec::new(), Vec::new());
        plain.strip(bytes, &mut text);
        self.no_c1.filter(&text, &mut shown);
        print(&shown)
    }
}

pub fn start_script(args: &StartScript) -> Outcome {
    let steward = Steward::of_user()?;
    let script: String = steward.get(&format!("{}/script", path(&args.machine)))?;
    let file = match &args.output {
        Some(file) if file == Path::new("-") => {
            print(script.as_bytes())?;
            return Ok(0);
        }
        Some(file) => file.clone(),
        None => PathBuf::from(format!("start-{}.sh", args.machine)),
    };
    write(&file, &script, args.force)?;
    print(format!("{}\n", file.display()).as_bytes())?;
    Ok(0)
}

/// Writes a program, over another one only if that is wanted, or if it is the same.
fn write(file: &Path, script: &str, force: bool) -> Result<(), Failure> {
    let there = fs::read(file);
    if there.as_ref().is_ok_and(|there| there == script.as_bytes()) {
        return Ok(());
    }
    if there.is_ok() && !force {
        return Err(Failure::failed(format!(
            "{} is there already, and another one",
            file.display()
        ))
        .help("--force writes over it, -o FILE writes another"));
    }
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o700).open(file);
    opened.and_then(|mut opened| opened.write_all(script.as_bytes())).map_err(|e| {
        Failure::failed(format!("cannot write {}: {e}", file.display()))
            .help("-o FILE writes it elsewhere, -o - prints it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_script_can_be_run_and_takes_nobodys_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("start-a.sh");
        write(&file, "#!/bin/sh\n", false).unwrap();
        // The environment of the machine is in it: nobody else reads that.
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        write(&file, "#!/bin/sh\n", false).unwrap();
        assert!(write(&file, "another", false).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "#!/bin/sh\n");
        write(&file, "another", true).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "another");
        assert!(write(&folder.path().join("no/folder"), "x", false).is_err());
    }
}
