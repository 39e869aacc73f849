//! What people and machines get wrong: each is told in one clear line, and nothing else is harmed by it.

mod common;

use common::{Terminal, World, until};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A world in which a session runs that nothing may harm.
fn world() -> World {
    let world = World::new();
    bystander(&world);
    world
}

fn bystander(world: &World) {
    world.ok(&["run", "-d", "-n", "bystander", "--", "sh", "-c", "echo here; exec cat"]);
    world.ok(&["wait", "bystander", "--for", "here", "--timeout", "60s"]);
}

/// The bystander is listed, runs in its first life, and answers; there is no other session but `others`.
#[track_caller]
fn unharmed(world: &World, others: &[&str]) {
    let listed: Vec<stead_wire::session::Session> =
        serde_json::from_str(&world.ok(&["ls", "--json"])).unwrap();
    let mut names: Vec<&str> = listed.iter().map(|s| s.name.as_str()).collect();
    let mut expected: Vec<&str> = others.iter().copied().chain(["bystander"]).collect();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let session = world.session("bystander");
    assert_eq!((session.life, &session.exit), (1, &None));
    world.ok(&["send", "bystander", "still", "--key", "enter"]);
    world.ok(&["wait", "bystander", "--for", "still", "--timeout", "60s"]);
    let log = std::fs::read_to_string(world.places().data.join("steward.log")).unwrap_or_default();
    assert!(!log.contains("panicked"), "{log}");
}

/// What the command says to standard error, line by line without the indent, and its exit status before it.
/// The world's own folder is `$W`. Nothing may go to standard output.
#[track_caller]
fn told(world: &World, command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{command:?}");
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(!err.contains("panicked"), "{err}");
    let mut lines = vec![format!("{}", output.status.code().expect("killed by a signal"))];
    lines.extend(err.lines().map(|line| line.trim().replace(world.path().to_str().unwrap(), "$W")));
    lines.join("\n")
}

#[track_caller]
fn says(world: &World, args: &[&str], expected: &str) {
    let said = told(world, world.stead_command().args(args));
    assert_eq!(said, expected, "stead {args:?}");
}

/// The same for what the reader of the command line refuses, which adds usage: its first line counts.
#[track_caller]
fn misread(world: &World, args: &[&str], expected: &str) {
    let said = told(world, world.stead_command().args(args));
    let first: Vec<&str> = said.lines().take(2).collect();
    assert_eq!(first, ["2", expected], "stead {args:?}");
}

#[test]
fn names_that_cannot_be() {
    let world = world();
    let long = "x".repeat(10 * 1024);
    for (name, why) in [
        ("a/b", r#"the name "a/b" contains '/'; use letters, digits, '-', '_' and '.'"#),
        ("../up", r#"the name "../up" contains '/'; use letters, digits, '-', '_' and '.'"#),
        ("a b", r#"the name "a b" contains ' '; use letters, digits, '-', '_' and '.'"#),
        ("naïve", r#"the name "naïve" contains 'ï'; use letters, digits, '-', '_' and '.'"#),
        ("日本", r#"the name "日本" contains '日'; use letters, digits, '-', '_' and '.'"#),
        ("a\nb", r#"the name "a\nb" contains '\n'; use letters, digits, '-', '_' and '.'"#),
        (
            "\u{1b}[31m",
            r#"the name "\u{1b}[31m" contains '\u{1b}'; use letters, digits, '-', '_' and '.'"#,
        ),
        ("", "a name cannot be empty: use letters, digits, '-', '_' and '.'"),
        ("-x", r#"the name "-x" begins with "-"; begin with a letter or digit"#),
        (".", r#"the name "." begins with "."; begin with a letter or digit"#),
        ("..", r#"the name ".." begins with "."; begin with a letter or digit"#),
        (
            &long,
            "the name \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\" has 10240 bytes; at most 63 are allowed",
        ),
    ] {
        let expected = format!("2\n× {why}");
        says(&world, &["run", "-d", &format!("--name={name}"), "--", "true"], &expected);
        says(&world, &["rename", "bystander", "--", name], &expected);
        let held = world.hold(&["create", "-n", name, "true"]);
        assert_eq!((held.status, held.err), (2, format!("stead-hold: {why}\n")));
    }
    // Names that are only asked for need not be right to be told apart from what is there.
    for (name, shown) in [("a/b", "a/b"), ("..", ".."), ("日本", "日本")] {
        let expected = format!(
            "1\n× there is no session \"{shown}\"\nhelp: stead ls shows the sessions there are"
        );
        says(&world, &["screen", name], &expected);
    }
    let expected = format!(
        "1\n× there is no session \"{}…\"\nhelp: stead ls shows the sessions there are",
        &long[..39]
    );
    says(&world, &["screen", &long], &expected);
    unharmed(&world, &[]);
}

#[test]
fn commands_that_cannot_be_run() {
    let world = world();
    let file = |name: &str, text: &str, mode| {
        let path = world.home().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    file("plain", "text", 0o644);
    file("orphan", "#!/nowhere/interpreter\n", 0o755);
    for (command, expected) in [
        ("/nowhere/command", "2\n× cannot run \"/nowhere/command\": no such file"),
        ("no-such-command", "2\n× there is no command \"no-such-command\" in PATH"),
        ("/tmp", "2\n× cannot run \"/tmp\": it is a folder"),
        ("./plain", "2\n× cannot run \"./plain\": is not executable"),
        ("", "2\n× the command is empty"),
        (
            "./orphan",
            "1\n× \"./orphan\" did not start: the interpreter that ./orphan names (after \"#!\", or as an ELF \
             loader) does not exist",
        ),
    ] {
        says(&world, &["run", "-d", "--", command], expected);
    }
    for (folder, expected) in [
        ("/nowhere", "2\n× there is no folder \"/nowhere\""),
        ("plain", "2\n× \"$W/home/plain\" is not a folder"),
    ] {
        says(&world, &["run", "-d", "-C", folder, "--", "true"], expected);
    }
    unharmed(&world, &[]);
    let left = std::fs::read_dir(world.places().sessions()).unwrap().count();
    assert_eq!(left, 1, "a session that never began left its folder behind");
}

#[test]
fn a_folder_without_rights() {
    let mut world = World::new();
    // Root may enter any folder: the world goes to a user who may not.
    world.become_nobody();
    bystander(&world);
    let locked = world.home().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    says(
        &world,
        &["run", "-d", "-C", "locked", "--", "true"],
        "2\n× cannot enter the folder \"$W/home/locked\": Permission denied (os error 13)",
    );
    unharmed(&world, &[]);
    // A data folder that may be read and not written.
    let data = world.path().join("data2");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o555)).unwrap();
    let said = told(
        &world,
        world
            .stead_command()
            .env("XDG_DATA_HOME", &data)
            .env("XDG_RUNTIME_DIR", world.path().join("run2"))
            .arg("ls"),
    );
    assert_eq!(
        said,
        "1\n× cannot create $W/data2/stead/sessions: Permission denied (os error 13)\n\
         help: sessions are kept in XDG_DATA_HOME, sockets in XDG_RUNTIME_DIR: name folders that you may write to"
    );
    unharmed(&world, &[]);
}

#[test]
fn what_is_not_there() {
    let world = world();
    for args in [
        &["send", "bystandre", "x"][..],
        &["screen", "bystandre"],
        &["logs", "bystandre"],
        &["kill", "bystandre"],
        &["rm", "bystandre"],
        &["rename", "bystandre", "x"],
        &["status", "bystandre"],
        &["restart", "bystandre"],
        &["wait", "bystandre"],
        &["replay", "bystandre"],
        &["export", "bystandre"],
        &["search", "x", "bystandre"],
    ] {
        says(
            &world,
            args,
            "1\n× there is no session \"bystandre\"\nhelp: did you mean \"bystander\"?",
        );
    }
    let mut terminal = world.terminal_of(100, 24, &["attach", "bystandre"]);
    assert_eq!(terminal.end(), 1);
    assert!(terminal.text().join("\n").contains("did you mean \"bystander\"?"));
    says(
        &world,
        &["run", "-d", "-a", "nobody"],
        "2\n× there is no agent \"nobody\"\nhelp: one of claude, codex, gemini, opencode, shell",
    );
    says(
        &world,
        &["run", "-d", "-m", "mars", "--", "true"],
        "1\n× there is no machine \"mars\"\nhelp: stead ls shows the machines there are; declare it in stead.toml, \
         or use one called \"scratch\" (or scratch-...), which needs no file",
    );
    unharmed(&world, &[]);
}

#[test]
fn names_that_are_taken_and_sessions_that_have_ended() {
    let world = world();
    world.ok(&["run", "-d", "-n", "over", "--", "true"]);
    assert_eq!(world.stead(&["wait", "over", "--timeout", "60s"]).status, 0);
    for (args, expected) in [
        (
            &["run", "-d", "-n", "bystander", "--", "true"][..],
            "2\n× a session \"bystander\" exists already\nhelp: stead attach bystander, or another name",
        ),
        (
            &["run", "-d", "-n", "over", "--", "true"],
            "2\n× a session \"over\" exists already (it has ended)\nhelp: stead attach over, or another name",
        ),
        (
            &["rename", "bystander", "over"],
            "2\n× a session \"over\" exists already (it has ended)\nhelp: stead attach over, or another name",
        ),
        (
            &["send", "over", "x"],
            "1\n× over has ended: nobody reads what is typed\nhelp: stead restart over starts it again",
        ),
        (
            &["kill", "over"],
            "1\n× \"over\" has ended: exited(0)\nhelp: \"stead logs over\" shows what it printed",
        ),
        (
            &["rm", "bystander"],
            "1\n× bystander has not ended\n\
             help: stead kill bystander ends it; stead rm --force bystander does both",
        ),
    ] {
        says(&world, args, expected);
    }
    let held = world.hold(&["create", "-n", "bystander", "true"]);
    assert_eq!(
        (held.status, held.err.as_str()),
        (2, "stead-hold: a session \"bystander\" exists; choose another name\n")
    );
    unharmed(&world, &["over"]);
}

#[test]
fn words_that_mean_nothing() {
    let world = world();
    for (args, expected) in [
        (
            &["send", "bystander", "--key", "hyper-x"][..],
            "2\n× no key \"hyper-x\"\nhelp: enter, tab, esc, space, backspace, delete, insert, up, down, left, \
             right, home, end, pageup, pagedown, f1 to f12, ctrl-X, alt-X, shift-tab",
        ),
        (
            &["kill", "bystander", "-s", "NOPE"],
            "2\n× no signal \"NOPE\"\nhelp: INT, TERM, HUP, KILL, USR1, ..., or its number",
        ),
        (
            &["kill", "bystander", "-s", "99"],
            "2\n× no signal \"99\"\nhelp: INT, TERM, HUP, KILL, USR1, ..., or its number",
        ),
        (&["search", "-E", "("], "2\n× the pattern is wrong: unclosed group"),
        (&["search", ""], "2\n× the pattern is wrong: the pattern is empty"),
        (
            &["replay", "bystander", "--speed", "0"],
            "2\n× --speed takes a number above 0, such as 2 for twice as fast",
        ),
        (
            &["wait", "bystander", "--for", ""],
            "2\n× nothing to wait for: exit, idle, waiting, or a text",
        ),
        (
            &["export", "bystander", "-o", "/nowhere/file"],
            "1\n× cannot write /nowhere/file: No such file or directory (os error 2)\nhelp: -o names a file in a folder that is there and that you may write to",
        ),
    ] {
        says(&world, args, expected);
    }
    for (args, expected) in [
        (
            &["screen", "bystander", "--format", "png"][..],
            "error: invalid value 'png' for '--format <FORMAT>'",
        ),
        (
            &["export", "bystander", "--format", "png"],
            "error: invalid value 'png' for '--format <FORMAT>'",
        ),
        (
            &["logs", "bystander", "--since", "1y"],
            "error: invalid value '1y' for '--since <SINCE>': a duration is a number with ms, s, m, h or d, such \
             as 30s",
        ),
        (
            &["wait", "bystander", "--timeout", "soon"],
            "error: invalid value 'soon' for '--timeout <TIMEOUT>': a duration is a number with ms, s, m, h or d, \
             such as 30s",
        ),
        (
            &["run", "--restart", "sometimes", "--", "true"],
            "error: invalid value 'sometimes' for '--restart <RESTART>'",
        ),
        (&["frobnicate"], "error: unrecognized subcommand 'frobnicate'"),
        (&["send", "bystander"], "error: the following required arguments were not provided:"),
    ] {
        misread(&world, args, expected);
    }
    let held = world.hold(&["frobnicate"]);
    assert_eq!(
        (held.status, held.err.as_str()),
        (2, "stead-hold: no command \"frobnicate\"; see stead-hold --help\n")
    );
    unharmed(&world, &[]);
}

#[test]
fn terminals_of_any_size() {
    let world = world();
    for (cols, rows, inside) in [(1, 1, "1 1"), (1000, 500, "500 1000"), (65535, 65535, "500 1000")]
    {
        let name = format!("of-{cols}");
        let script = format!("stty size > {name}; printf '%2000s|' wide; exec cat");
        let terminal =
            world.terminal_of(cols, rows, &["run", "-n", &name, "--", "sh", "-c", &script]);
        let size = until("the size inside", || {
            let text = std::fs::read_to_string(world.home().join(&name)).unwrap_or_default();
            text.strip_suffix('\n').map(str::to_owned)
        });
        assert_eq!(size, inside);
        terminal.wait_until("the program's output", |model| model.text().join("").contains('|'));
        // To the other end and back, with the session shown all the time.
        for (cols, rows) in [(65535, 65535), (1, 1), (80, 24)] {
            terminal.resize(cols, rows);
        }
        terminal.line("after");
        terminal.wait_for("after");
        assert_eq!(terminal.detach(), 0);
        // Shown in a terminal of another size.
        let again = world.terminal_of(1, 1, &["attach", "--read-only", &name]);
        until("a picture", || (!again.raw().is_empty()).then_some(()));
        assert_eq!(again.detach(), 0);
        let session = world.session(&name);
        assert_eq!((session.life, session.exit), (1, None));
    }
    unharmed(&world, &["of-1", "of-1000", "of-65535"]);
}

#[test]
fn no_terminal_to_show_it_in() {
    let world = world();
    says(
        &world,
        &["run", "--", "true"],
        "2\n× there is no terminal to show the session in\n\
         help: start it with -d, or wait for its end with --wait",
    );
    says(
        &world,
        &["attach", "bystander"],
        "2\n× there is no terminal to show the session in\n\
         help: stead screen bystander prints what is on it; stead logs bystander all it printed",
    );
    says(
        &world,
        &[],
        "2\n× the dashboard needs a terminal\nhelp: stead ls lists the sessions without one",
    );
    unharmed(&world, &[]);
}

#[test]
fn surroundings_that_are_wrong() {
    // No steward runs yet: one that does serves whoever reaches its socket.
    let world = World::new();
    std::fs::write(world.path().join("file"), "").unwrap();
    let path = |part: &str| world.path().join(part).display().to_string();
    let long = path(&"l".repeat(120));
    let stead = |name: &str, value: Option<&str>| {
        let mut command = world.stead_command();
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
        told(&world, command.args(["run", "-d", "--", "true"]))
    };
    let help = "sessions are kept in XDG_DATA_HOME, sockets in XDG_RUNTIME_DIR: name folders that you may write to";
    assert_eq!(
        stead("XDG_DATA_HOME", Some(&path("file"))),
        format!(
            "1\n× cannot create $W/file/stead/sessions: Not a directory (os error 20)\nhelp: {help}"
        )
    );
    assert_eq!(
        stead("XDG_RUNTIME_DIR", Some(&path("file"))),
        format!(
            "1\n× cannot create $W/file/stead/holds: Not a directory (os error 20)\nhelp: {help}"
        )
    );
    let bytes = long.len() + "/stead/holds/01234567890abc.sock".len();
    let too_long = format!(
        "the folder {}/stead is too long for sockets: a socket's path has at most 107 bytes, and theirs would have \
         {bytes}; set XDG_RUNTIME_DIR to a shorter one",
        long.replace(world.path().to_str().unwrap(), "$W")
    );
    assert_eq!(stead("XDG_RUNTIME_DIR", Some(&long)), format!("1\n× {too_long}"));
    let mut create = world.program(world.programs().join("stead-hold"));
    create.env("XDG_RUNTIME_DIR", &long).args(["create", "true"]);
    assert_eq!(told(&world, &mut create), format!("1\nstead-hold: {too_long}"));

    let mut nowhere = world.stead_command();
    for name in ["HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"] {
        nowhere.env_remove(name);
    }
    assert_eq!(
        told(&world, nowhere.arg("ls")),
        "1\n× neither XDG_DATA_HOME nor HOME is set: set one of them"
    );
    bystander(&world);
    let mut prefix = world.stead_command();
    prefix.env("STEAD_PREFIX", "hyper-x").args(["attach", "bystander"]);
    let mut terminal = Terminal::start(&prefix, 100, 24);
    assert_eq!(terminal.end(), 2);
    let text = terminal.text().join("\n");
    assert!(
        text.contains(
            "STEAD_PREFIX: \"hyper-x\" is no prefix key: use ctrl- and a letter or one of \\ ] ^ _ @"
        ),
        "{text}"
    );
    unharmed(&world, &[]);
}

#[test]
fn a_runtime_folder_that_belongs_to_somebody_else() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("only root can give a folder away: not tested");
    }
    let world = world();
    let folder = world.path().join("theirs/stead");
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::chown(&folder, Some(common::NOBODY), None).unwrap();
    // What it says of a machine that runs is not even read.
    std::fs::create_dir_all(folder.join("machines/box")).unwrap();
    std::fs::write(folder.join("machines/box/run.json"), "theirs").unwrap();
    for args in [&["ls"][..], &["exec", "box", "--", "true"]] {
        let mut command = world.stead_command();
        command.env("XDG_RUNTIME_DIR", world.path().join("theirs"));
        command.env("XDG_DATA_HOME", world.path().join("data2"));
        assert_eq!(
            told(&world, command.args(args)),
            "1\n× the steward did not start: $W/theirs/stead belongs to user 65534, not to user 0: what lies in it \
             could not be trusted\nhelp: its log is $W/data2/stead/steward.log"
        );
    }
    unharmed(&world, &[]);
}

#[test]
fn settings_and_profiles_with_mistakes() {
    let world = World::new();
    let config = world.places().config;
    std::fs::create_dir_all(config.join("agents")).unwrap();
    std::fs::write(config.join("settings.toml"), "[notify]\n\ndesktp = true\n").unwrap();
    std::fs::write(config.join("agents/mine.toml"), "command = 3\n").unwrap();
    // Sessions run all the same; who asks is told of the mistake, with its line.
    bystander(&world);
    let status = world.ok(&["steward", "status"]);
    assert!(status.contains("settings.toml:3: unknown field `desktp`"), "{status}");
    let said = world.stead(&["agents"]);
    assert_eq!(said.status, 1);
    assert!(said.out.contains("claude"), "{said:?}");
    let place =
        format!("× {}:1: invalid type: integer `3`", config.join("agents/mine.toml").display());
    let lines: Vec<&str> = said.err.lines().map(str::trim).collect();
    assert!(lines.len() == 2 && lines[0].starts_with(&place), "{lines:?}");
    assert!(lines[1].starts_with("help: "), "{lines:?}");
    let said = told(&world, world.stead_command().args(["run", "-d", "-a", "mine"]));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert_eq!(lines[0], "2");
    assert!(
        lines[1].starts_with("× there is no agent \"mine\"; $W/config/stead/agents/mine.toml:1: ")
    );
    assert_eq!(lines[2], "help: one of claude, codex, gemini, opencode, shell");
    unharmed(&world, &[]);
}

#[test]
fn a_disk_that_is_full() {
    let mut world = World::new();
    world.use_small_disk();
    bystander(&world);
    let fill = world.path().join("data/fill").display().to_string();
    world.within_shell(&format!("cat /dev/zero > {fill} 2>/dev/null || true"));
    let said = told(&world, world.stead_command().args(["run", "-d", "-n", "late", "--", "true"]));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "1", "{said}");
    assert!(lines[1].starts_with("× ") && lines[1].contains("No space left on device"), "{said}");
    assert!(lines.len() <= 3, "{said}");
    unharmed(&world, &[]);
    world.within_shell(&format!("rm {fill}"));
    world.ok(&["run", "-d", "-n", "late", "--", "cat"]);
    unharmed(&world, &["late"]);
}

#[test]
fn a_disk_that_cannot_be_written() {
    let mut world = World::new();
    world.use_small_disk();
    world.within_shell(&format!("mount -o remount,ro {}", world.path().join("data").display()));
    says(
        &world,
        &["run", "-d", "--", "true"],
        "1\n× cannot create $W/data/stead/sessions: Read-only file system (os error 30)\n\
         help: sessions are kept in XDG_DATA_HOME, sockets in XDG_RUNTIME_DIR: name folders that you may write to",
    );
    world.within_shell(&format!("mount -o remount,rw {}", world.path().join("data").display()));
    bystander(&world);
    unharmed(&world, &[]);
}
