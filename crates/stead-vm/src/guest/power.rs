//! `reboot` and its like in a light guest, where no other program is by that name.

use super::{SELF, light, place};
use crate::sys;
use rustix::fd::BorrowedFd;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

/// What this program is called as.
const NAMES: [&str; 4] = ["reboot", "poweroff", "halt", "shutdown"];

/// Where whoever is root looks first, also in a login shell.
const PLACE: &str = "/usr/local/sbin";

/// Puts links to this program into the root, but for names that the root has programs by. A root without them does as well.
pub fn put(root: BorrowedFd<'_>) {
    let has = |name: &str| {
        let folders = [PLACE, "/usr/sbin", "/sbin"];
        folders.iter().any(|folder| place::names(root, folder).iter().any(|found| found == name))
    };
    let missing = NAMES.into_iter().filter(|name| !has(name)).collect::<Vec<_>>();
    if missing.is_empty() {
        return;
    }
    if let Ok(folder) = place::folder(root, PLACE.as_ref(), 0o755, false) {
        for name in missing {
            let _ = rustix::fs::symlinkat(SELF, &folder, name);
        }
    }
}

/// Does what the program is called as, if it is one of these.
pub fn called(program: &OsStr, args: &[OsString]) -> Option<ExitCode> {
    let name = Path::new(program).file_name()?.to_str()?;
    let name = NAMES.iter().find(|known| **known == name)?;
    let signal = match signal(name, args) {
        Ok(signal) => signal,
        Err(why) => {
            eprintln!("{name}: {why}");
            return Some(ExitCode::from(2));
        }
    };
    Some(match sys::kill(1, false, signal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{name}: {e}");
            ExitCode::FAILURE
        }
    })
}

/// What the first process is told. Everything is done at once, so a time that is later is refused.
fn signal(name: &str, args: &[OsString]) -> Result<i32, String> {
    let mut signal = if name == "reboot" { light::BEGIN_ANEW } else { light::TURN_OFF };
    for arg in args {
        match (name, arg.to_str()) {
            ("shutdown", Some("-r" | "--reboot")) => signal = light::BEGIN_ANEW,
            ("shutdown", Some("-h" | "-P" | "-H" | "--poweroff" | "--halt" | "now" | "+0")) => {}
            _ => return Err(format!("{} is not understood here", arg.display())),
        }
    }
    Ok(signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_mean_elsewhere() {
        let told = |words: &str| {
            let mut words = words.split(' ').map(OsString::from);
            let name = words.next().unwrap();
            signal(name.to_str().unwrap(), &words.collect::<Vec<_>>())
        };
        for off in ["poweroff", "halt", "shutdown", "shutdown -h now", "shutdown -P +0"] {
            assert_eq!(told(off), Ok(light::TURN_OFF), "{off}");
        }
        for anew in ["reboot", "shutdown -r now", "shutdown now -r"] {
            assert_eq!(told(anew), Ok(light::BEGIN_ANEW), "{anew}");
        }
        for later in ["shutdown -h 23:00", "shutdown -c", "reboot now"] {
            assert!(told(later).is_err(), "{later}");
        }
        assert!(called("/init".as_ref(), &[]).is_none());
    }
}
