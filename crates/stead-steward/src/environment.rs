//! The environment that a session's command gets, and finding programs in it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use stead_hold::folder::Places;

/// Variables that describe the caller's own terminal, which is not the session's.
const OF_THE_CALLERS_TERMINAL: &[&str] = &[
    "ALACRITTY_LOG",
    "ALACRITTY_SOCKET",
    "ALACRITTY_WINDOW_ID",
    "COLUMNS",
    "GHOSTTY_RESOURCES_DIR",
    "GNOME_TERMINAL_SCREEN",
    "GNOME_TERMINAL_SERVICE",
    "ITERM_PROFILE",
    "ITERM_SESSION_ID",
    "KITTY_LISTEN_ON",
    "KITTY_PID",
    "KITTY_PUBLIC_KEY",
    "KITTY_WINDOW_ID",
    "KONSOLE_DBUS_SERVICE",
    "KONSOLE_DBUS_SESSION",
    "KONSOLE_DBUS_WINDOW",
    "KONSOLE_VERSION",
    "LC_TERMINAL",
    "LC_TERMINAL_VERSION",
    "LINES",
    "SHPOOL_SESSION_NAME",
    "STY",
    "TERMCAP",
    "TERMINAL_EMULATOR",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TERM_SESSION_ID",
    "TMUX",
    "TMUX_PANE",
    "VTE_VERSION",
    "WEZTERM_EXECUTABLE",
    "WEZTERM_PANE",
    "WEZTERM_UNIX_SOCKET",
    "WINDOW",
    "WINDOWID",
    "WT_PROFILE_ID",
    "WT_SESSION",
    "ZELLIJ",
    "ZELLIJ_PANE_ID",
    "ZELLIJ_SESSION_NAME",
    // Of the unit that may have started the caller.
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "SYSTEMD_EXEC_PID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Turns the caller's environment into the session's: the hold is its terminal, whatever the caller sits at.
pub fn for_session(env: &mut BTreeMap<String, String>, places: &Places, id: &str, name: &str) {
    env.retain(|key, value| {
        !key.is_empty()
            && !key.contains(['=', '\0'])
            && !value.contains('\0')
            && !OF_THE_CALLERS_TERMINAL.contains(&key.as_str())
    });
    let socket = places.hold_socket(id).to_string_lossy().into_owned();
    for (key, value) in [
        ("TERM", "xterm-256color"),
        ("COLORTERM", "truecolor"),
        ("STEAD_SESSION", name),
        ("STEAD_SESSION_ID", id),
        ("STEAD_HOLD_SOCKET", &socket),
    ] {
        env.insert(key.into(), value.into());
    }
}

/// The file that running `program` in `cwd` with this environment would start.
///
/// # Errors
/// A sentence that says why none would start.
pub fn find_program(
    program: &str,
    env: &BTreeMap<String, String>,
    cwd: &Path,
) -> Result<PathBuf, String> {
    if program.is_empty() {
        return Err("the command is empty".into());
    }
    if program.contains('\0') {
        return Err("the command contains a NUL character".into());
    }
    let shown: String = program.chars().take(80).flat_map(char::escape_debug).collect();
    if program.contains('/') {
        let path = cwd.join(program);
        return match executable(&path) {
            Ok(()) => Ok(path),
            Err(why) => Err(format!("cannot run \"{shown}\": {why}")),
        };
    }
    let path = env.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
    let mut found_but = None;
    for dir in path.split(':') {
        let candidate = cwd.join(dir).join(program);
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(why) if candidate.is_file() => {
                found_but.get_or_insert_with(|| format!("{} {why}", candidate.display()));
            }
            Err(_) => {}
        }
    }
    Err(match found_but {
        Some(why) => format!("cannot run \"{shown}\": {why}"),
        None => format!("there is no command \"{shown}\" in PATH"),
    })
}

fn executable(path: &Path) -> Result<(), String> {
    let meta = std::fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        _ => e.to_string(),
    })?;
    if meta.is_dir() {
        return Err("it is a folder".into());
    }
    let access = rustix::fs::access(path, rustix::fs::Access::EXEC_OK);
    if meta.permissions().mode() & 0o111 == 0 || access.is_err() {
        return Err("is not executable".into());
    }
    Ok(())
}

/// Checks that a session can start in `cwd`.
///
/// # Errors
/// A sentence that says why not.
pub fn check_cwd(cwd: &Path) -> Result<(), String> {
    let shown: String =
        cwd.display().to_string().chars().take(200).flat_map(char::escape_debug).collect();
    if !cwd.is_absolute() {
        return Err(format!("the folder \"{shown}\" is not an absolute path"));
    }
    match std::fs::metadata(cwd) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("there is no folder \"{shown}\""))
        }
        Err(e) => Err(format!("cannot enter the folder \"{shown}\": {e}")),
        Ok(meta) if !meta.is_dir() => Err(format!("\"{shown}\" is not a folder")),
        Ok(_) => rustix::fs::access(cwd, rustix::fs::Access::EXEC_OK)
            .map_err(|e| format!("cannot enter the folder \"{shown}\": {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_session_sees_its_own_terminal_not_the_callers() {
        let places = Places { data: "/d".into(), runtime: "/r".into(), config: "/c".into() };
        let mut env = env(&[("TMUX", "/tmp/x"), ("TERM", "dumb"), ("HOME", "/h"), ("A=B", "c")]);
        for_session(&mut env, &places, "id1", "fix");
        assert_eq!(env["TERM"], "xterm-256color");
        assert_eq!(env["STEAD_HOLD_SOCKET"], "/r/holds/id1.sock");
        assert_eq!(env["STEAD_SESSION"], "fix");
        assert_eq!(env["HOME"], "/h");
        assert!(!env.contains_key("TMUX") && !env.contains_key("A=B"));
    }

    #[test]
    fn a_program_is_found_as_the_session_would_find_it() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::fs::write(bin.join("tool"), "#!/bin/sh\n").unwrap();
        let path = env(&[("PATH", &format!("/nowhere:{}", bin.display()))]);
        let error = find_program("tool", &path, dir.path()).unwrap_err();
        assert!(error.contains("is not executable"), "{error}");
        std::fs::set_permissions(bin.join("tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_program("tool", &path, dir.path()).unwrap(), bin.join("tool"));
        assert_eq!(
            find_program("bin/tool", &env(&[]), dir.path()).unwrap(),
            dir.path().join("bin/tool")
        );
        let relative = env(&[("PATH", "bin")]);
        assert!(find_program("tool", &relative, dir.path()).is_ok());
        for (program, says) in
            [("no-such", "no command"), ("./x", "no such file"), ("/", "folder"), ("", "empty")]
        {
            let error = find_program(program, &path, dir.path()).unwrap_err();
            assert!(error.contains(says), "{program}: {error}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_entered_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        check_cwd(dir.path()).unwrap();
        for (path, says) in [
            (file.as_path(), "not a folder"),
            (&dir.path().join("no"), "there is no folder"),
            (Path::new("x"), "absolute"),
        ] {
            let error = check_cwd(path).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
