//! What people type for virtual machines, as far as machines of any engine know it.

use crate::common::World;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_machine_without_a_console_says_so() {
    let world = World::new();
    world.apply("[machines.a]\n");
    for (command, why) in [
        (&["console", "a", "--log"][..], "console: \"a\" is on engine sandbox"),
        (&["start-script", "a"], "start-script: \"a\" is on engine sandbox"),
        (&["console", "b", "--log"], "no machine \"b\""),
    ] {
        let said = world.stead(command);
        assert_eq!(said.status, 1, "{command:?}: {said:?}");
        assert!(said.err.contains(why), "{command:?}: {said:?}");
    }
    let said = world.stead(&["console", "a"]);
    assert_eq!(said.status, 2, "{said:?}");
    assert!(said.err.contains("console a --log"), "{said:?}");
}

/// The login of Claude Code on this world's host.
fn logged_in(world: &World) -> Vec<(std::path::PathBuf, String)> {
    let folder = world.shared_folder(".claude");
    let files = [
        (folder.join(".credentials.json"), r#"{"claudeAiOauth":{"accessToken":"one"}}"#),
        (world.home().join(".claude.json"), r#"{"oauthAccount":{"id":"me"},"projects":{"/x":{}}}"#),
    ];
    files
        .map(|(path, text)| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            world.give(&path);
            (path, text.to_owned())
        })
        .into()
}

#[test]
fn a_login_is_copied_once_into_a_machine_that_has_none() {
    let world = World::new();
    let host = logged_in(&world);
    world.declare("[machines.a]\nshare_agent_auth = [\"claude\"]\n");
    let applied = world.stead(&["apply", "--yes"]);
    assert_eq!(applied.status, 0, "{applied:?}");
    assert!(applied.err.contains("stead login a -a claude"), "{applied:?}");
    let inside = "cd && stat -c %a .claude/.credentials.json .claude.json && cat .claude/.credentials.json .claude.json";
    let found = world.sh_ok("a", inside);
    assert_eq!(
        found,
        "600\n600\n{\"claudeAiOauth\":{\"accessToken\":\"one\"}}{\"oauthAccount\":{\"id\":\"me\"}}"
    );
    // What the machine has become since is its own.
    world.sh_ok("a", "cd && echo refreshed > .claude/.credentials.json");
    world.ok(&["restart", "a"]);
    let up = world.ok(&["up", "a", "--share-agent-auth"]);
    assert!(up.contains("left as it is"), "{up}");
    assert_eq!(world.sh_ok("a", "cd && cat .claude/.credentials.json"), "refreshed\n");
    for (path, text) in host {
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{}", path.display());
    }
}

#[test]
fn without_a_login_here_nothing_is_copied_and_it_is_said() {
    let world = World::new();
    world.apply("[machines.a]\n");
    let said = world.stead(&["up", "a", "--share-agent-auth"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("no login of claude to copy"), "{said:?}");
    let said = world.stead(&["apply", "--yes", "--share-agent-auth"]);
    assert_eq!(said.status, 1, "{said:?}");
    logged_in(&world);
    let said = world.ok(&["apply", "--yes", "--share-agent-auth"]);
    assert!(said.contains("a: the login of claude was copied"), "{said}");
}

#[test]
fn an_agent_logs_in_inside_and_is_shown_here() {
    let world = World::new();
    world.apply("[machines.a]\nenv = { FROM = \"the file\" }\n");
    let claude = "#!/bin/sh\necho \"$* $FROM: https://example.org/device\"; read code; echo \"got $code\" > ~/code\n";
    let put = "mkdir -p ~/.local/bin && cat > ~/.local/bin/claude && chmod 755 ~/.local/bin/claude";
    let said = world.stead_with_input(&["exec", "a", "--", "sh", "-c", put], claude.as_bytes());
    assert_eq!(said.status, 0, "{said:?}");
    let mut terminal = world.terminal(&["login", "a", "-a", "claude"]);
    terminal.wait_for("auth login the file: https://example.org/device");
    terminal.line("1234");
    assert_eq!(terminal.end(), 0);
    assert_eq!(world.sh_ok("a", "cat ~/code"), "got 1234\n");
    // What starts it without questions is there, and it alone says so to it.
    let started = world.sh_ok("a", "PATH=~/.local/bin:/usr/local/bin:$PATH; printf '#!/bin/sh\\necho $IS_SANDBOX $*\\n' > ~/.local/bin/claude; start-claude -p x; claude y");
    assert_eq!(started, "1 --dangerously-skip-permissions -p x\ny\n");
    let said = world.stead(&["login", "a", "-a", "claude"]);
    assert_eq!(said.status, 2, "{said:?}");
}

#[test]
fn a_machine_that_was_chosen_stands_in_the_file_as_a_person_would_write_it() {
    let world = World::new();
    world.declare("# Mine.\n[machines.other]\nrunning = false # for now\n");
    let said = world.stead_with_input(&["new"], b"try\n1\nlarge\nweb nested\n., /tmp:/t:ro\nyes\n");
    assert_eq!(said.status, 0, "{said:?}");
    let written = fs::read_to_string(world.home().join("stead.toml")).unwrap();
    assert_eq!(
        written,
        "# Mine.\n[machines.other]\nrunning = false # for now\n\n[machines.try]\nengine = \"sandbox\"\ncpus = 4\n\
         memory = \"8GiB\"\nshares = [\".\", \"/tmp:/t:ro\"]\nnested = true\negress = \"web-only\"\n"
    );
    // Nothing is written that would be wrong, that was refused, or that nobody finished.
    for (answers, why) in [
        ("try\n1\n1\n\n\nyes\n", "twice"),
        ("two\n1\n1\n\n\nno\n", "nothing was written"),
        ("two\n1\n1\n", "no answer"),
        ("a b\n1\n1\n\n\nyes\n", "stead.toml"),
    ] {
        let said = world.stead_with_input(&["new"], answers.as_bytes());
        assert_ne!(said.status, 0, "{answers:?}: {said:?}");
        assert!(said.err.contains(why) || why == "twice", "{answers:?}: {said:?}");
        assert_eq!(fs::read_to_string(world.home().join("stead.toml")).unwrap(), written);
    }
    let mut menus = world.terminal(&["new", "three"]);
    menus.wait_for("what it is (enter takes)");
    menus.send("sand\r");
    menus.wait_for("how large (enter takes)");
    menus.send("hu");
    menus.wait_for("how large (enter takes): hu");
    menus.send("\r");
    menus.wait_for("what it has beside (space marks");
    menus.send("nest");
    menus.wait_for("> [ ] nested");
    menus.send(" \r");
    menus.wait_for("folders it shares");
    menus.send("\r");
    menus.wait_for("[machines.three]");
    menus.send("\r");
    assert_eq!(menus.end(), 0);
    let added =
        "[machines.three]\nengine = \"sandbox\"\ncpus = 8\nmemory = \"16GiB\"\nnested = true\n";
    let now = fs::read_to_string(world.home().join("stead.toml")).unwrap();
    assert_eq!(now, format!("{written}\n{added}"));
}
