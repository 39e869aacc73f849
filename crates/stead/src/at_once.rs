//! `stead exec` in a sandbox that runs: entered by this process itself, before anything else is set up.
//!
//! Only what is certain is done here. For all else, also for every mistake, the answer is `None`, and the command line
//! goes its usual way.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitCode;
use stead_box::enter::{Enter, NOT_ENTERED};
use stead_engines::sandbox::run_folder;
use stead_hold::folder::Places;
use stead_hold::trust::distrust;

/// Runs what the words of the command line (without the program) ask for, if it can be done at once.
pub fn exec(words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let (machine, enter) = read(words)?;
    let places = Places::from_env().ok()?;
    // What lies there says which process is entered. Why it is not trusted, the usual way tells.
    if distrust(&places.runtime).ok()?.is_some() {
        return None;
    }
    let run = run_folder(&places.data, &places.runtime, &machine)?;
    match enter.run_if_running(&run) {
        Ok(status) => status.map(|status| ExitCode::from(status as u8)),
        Err(e) => {
            eprintln!("stead: {e}");
            Some(ExitCode::from(NOT_ENTERED as u8))
        }
    }
}

/// `exec MACHINE [-C DIR] [-e NAME=VALUE]... [--] COMMAND...`: the machine and what is to be done in it.
fn read(mut words: impl Iterator<Item = OsString>) -> Option<(String, Enter)> {
    if words.next()? != "exec" {
        return None;
    }
    let machine = words.next()?.into_string().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if machine.starts_with('-') || !machine.chars().all(plain) {
        return None;
    }
    let mut enter = Enter::default();
    loop {
        let word = words.next()?;
        if word == "--" {
            break;
        } else if word == "-C" || word == "--cwd" {
            enter.cwd = Some(PathBuf::from(words.next()?));
        } else if word == "-e" || word == "--env" {
            enter.env.push(variable(&words.next()?)?);
        } else if word.as_bytes().starts_with(b"-") {
            return None;
        } else {
            enter.command.push(word);
            break;
        }
    }
    enter.command.extend(words);
    (!enter.command.is_empty()).then_some((machine, enter))
}

fn variable(word: &OsStr) -> Option<(OsString, OsString)> {
    let bytes = word.as_bytes();
    let at = bytes.iter().position(|b| *b == b'=').filter(|at| *at > 0)?;
    let part = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    Some((part(&bytes[..at]), part(&bytes[at + 1..])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(Into::into).collect()
    }

    #[test]
    fn it_reads_as_the_command_line_does() {
        for line in [
            "exec box true",
            "exec box -- true",
            "exec box -C /x -e A=b=c --env D= -- sh -c x",
            "exec box --cwd /x sh -- -e A=b",
            "exec box sh -e A=b --",
            "exec box -- -- a",
            "exec box -- a -- b",
        ] {
            let (machine, enter) = read(words(line).into_iter()).expect(line);
            let cli = Cli::parse_from([vec!["stead".into()], words(line)].concat());
            let Some(Command::Exec(asked)) = cli.command else { panic!("{line}") };
            assert_eq!(machine, asked.machine, "{line}");
            assert_eq!(enter.cwd, asked.cwd, "{line}");
            let env: Vec<(OsString, OsString)> =
                asked.env.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
            assert_eq!(enter.env, env, "{line}");
            let command: Vec<OsString> = asked.command.into_iter().map(Into::into).collect();
            assert_eq!(enter.command, command, "{line}");
        }
    }

    #[test]
    fn what_is_not_certain_goes_the_usual_way() {
        for line in [
            "exec",
            "exec box",
            "exec box --",
            "exec -h",
            "exec box --help",
            "exec box -e A -- true",
            "exec box -C",
            "exec ../x -- true",
            "exec -C /x box true",
            "exec box --cwd=/x true",
            "shell box",
        ] {
            assert!(read(words(line).into_iter()).is_none(), "{line}");
        }
    }
}
