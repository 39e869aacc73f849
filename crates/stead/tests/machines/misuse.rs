//! What cannot be done is told in one clear line.

use crate::common::World;

/// Asserts that this fails so, with one line of what is wrong and at most one of what to do.
fn fails(world: &World, args: &[&str], status: i32, text: &str) {
    let said = world.stead(args);
    assert_eq!(said.status, status, "{args:?}: {said:?}");
    assert!(said.err.contains(text), "{args:?}: {said:?}");
    let wrong =
        said.err.lines().filter(|line| line.contains('×') || line.starts_with("error:")).count();
    assert_eq!(wrong, 1, "{args:?}: {said:?}");
    assert!(!said.err.contains("panicked") && !said.err.contains('\u{1b}'), "{args:?}: {said:?}");
    assert_eq!(said.out, "", "{args:?}");
}

#[test]
fn commands_that_are_misused() {
    let world = World::new();
    for (args, text) in [
        (&["exec", "a"][..], "required"),
        (&["exec"], "required"),
        (&["exec", "-e", "=x", "a", "--", "true"], "NAME=VALUE"),
        (&["shell"], "required"),
        (&["cp", "a", "b"], "neither"),
        (&["cp", "a:x", "b:y"], "one of the two"),
        (&["cp", "a"], "required"),
        (&["cp", "-", "a:x"], "stead exec a -- sh -c 'cat > x'"),
        (&["cp", "a:x", "-"], "stead exec a -- cat x"),
        (&["forward", "a"], "required"),
        (&["forward", "a", "99999"], "no port"),
        (&["forward", "a", "x:80"], "no port"),
        (&["up"], "required"),
        (&["down"], "required"),
        (&["destroy"], "required"),
        (&["move", "a", "a"], "where it is"),
        (&["clone", "a"], "required"),
        (&["snapshot", "create"], "required"),
        (&["snapshot", "restore", "a"], "required"),
        (&["plan", "-f", "no-such.toml"], "stead init"),
        (&["plan", "-f", "."], "the file itself"),
        (&["plan", "--no-such"], "unexpected"),
        (&["apply", "--parallel", "many"], "invalid"),
    ] {
        fails(&world, args, 2, text);
    }
}

#[test]
fn machines_that_are_not_there_or_cannot_be() {
    let world = World::new();
    fails(&world, &["plan"], 2, "stead.toml");
    fails(&world, &["apply"], 2, "stead.toml");
    world.apply("[machines.box]\nrunning = false\n");
    fails(&world, &["plan", "bax"], 2, "bax");
    for args in [
        &["exec", "bax", "--", "true"][..],
        &["shell", "bax"],
        &["cp", "stead.toml", "bax:"],
        &["forward", "bax", "0:80"],
        &["diff", "bax"],
        &["up", "bax"],
        &["down", "bax"],
        &["restart", "-m", "bax"],
        &["destroy", "--yes", "bax"],
        &["snapshot", "create", "bax"],
        &["snapshot", "ls", "bax"],
        &["snapshot", "rm", "bax", "x"],
        &["clone", "bax", "other"],
        &["move", "--yes", "bax", "box"],
        &["run", "-m", "bax", "-d", "--", "true"],
    ] {
        fails(&world, args, 1, "there is no machine \"bax\"");
    }
    fails(&world, &["exec", "box", "--", "true"], 1, "does not run");
    // Nobody is asked about what is not there, and nothing goes of what is.
    world.ok(&["snapshot", "create", "box", "kept"]);
    fails(&world, &["snapshot", "rm", "box", "kept", "x"], 1, "has no snapshot \"x\"");
    fails(&world, &["snapshot", "rm", "--yes", "box", "kept", "x"], 1, "it has kept");
    fails(&world, &["snapshot", "rm", "box", "kept"], 2, "no terminal");
    assert!(world.ok(&["snapshot", "ls", "box"]).contains("kept"));
    let done = world.ok(&["snapshot", "rm", "--yes", "--json", "box", "kept"]);
    assert!(done.lines().last().is_some_and(|line| line.starts_with("{\"done\":")), "{done}");
    fails(&world, &["snapshot", "rm", "--yes", "box", "kept"], 1, "snapshot create box");
    fails(&world, &["init", "no/such"], 1, "there is no folder no/such");
    fails(&world, &["snapshot", "restore", "box", "x"], 2, "no snapshot x; it has none");
    fails(&world, &["cp", "no-such", "box:"], 1, "the first path");
    world.ok(&["up", "box"]);
    fails(&world, &["cp", "box:/no/such", "."], 1, "machine \"box\" has no /no/such");
    fails(&world, &["cp", "stead.toml", "box:/no/such"], 1, "has no folder for /no/such");
    fails(&world, &["cp", "box:/etc/hostname", "no/such"], 1, "there is no folder no");
    let copied = world.ok(&["cp", "--json", "stead.toml", "box:/root/x"]);
    assert_eq!(copied, "{\"machine\":\"box\",\"from\":\"stead.toml\",\"to\":\"box:/root/x\"}\n");
    world.ok(&["down", "box"]);
    for name in ["../x", "a/b", "", "host", "a b", "\u{1b}[31m"] {
        let said = world.stead(&["clone", "box", name]);
        assert!(
            [1, 2].contains(&said.status) && !said.err.contains('\u{1b}'),
            "{name:?}: {said:?}"
        );
    }
    fails(&world, &["snapshot", "create", "box", "../../x"], 2, "name");
    fails(&world, &["init"], 1, "is there already");
    for (text, wrong) in [
        ("[machines.a]\nmemory = \"lots\"\n", "memory"),
        ("[machines.a]\nmemroy = 1\n", "memory"),
        ("[machines.a\n", "stead.toml"),
        ("[machines.a]\nshares = [\"/no/such/folder\"]\n", "/no/such/folder"),
    ] {
        world.declare(text);
        let said = world.stead(&["apply", "--yes"]);
        assert_ne!(said.status, 0, "{text}: {said:?}");
        assert!(said.err.contains(wrong), "{text}: {said:?}");
    }
    // Its own files are not for machines.
    world.declare(&format!("[machines.a]\nshares = [\"{}:/x\"]\n", world.path().display()));
    let said = world.stead(&["apply", "--yes"]);
    assert_ne!(said.status, 0, "{said:?}");
    assert!(
        said.err.contains("files of stead itself") || said.out.contains("files of stead itself"),
        "{said:?}"
    );
}

#[test]
fn this_computer_is_not_a_machine_to_stop_or_keep() {
    let world = World::new();
    for args in [
        &["up", "host"][..],
        &["down", "host"],
        &["restart", "host"],
        &["restart", "-m", "host"],
        &["destroy", "host"],
        &["destroy", "--yes", "host"],
        &["diff", "host"],
        &["snapshot", "create", "host"],
        &["snapshot", "rm", "host", "x"],
        &["clone", "host", "copy"],
        &["move", "--yes", "host", "copy"],
    ] {
        fails(&world, args, 2, "host is this computer itself");
        let said = world.stead(args).err;
        assert!(said.contains("stead kill") && said.contains("stead init"), "{args:?}: {said}");
        assert_eq!(said.matches("this computer").count(), 1, "{args:?}: {said}");
    }
}

#[test]
fn a_stead_file_that_is_something_else_is_told_of_briefly() {
    let world = World::new();
    let path = world.home().join("stead.toml");
    let binary: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    for (bytes, text) in [
        (vec![b'#'; (1 << 20) + 1], "at most 1 MiB"),
        (binary, "stead.toml:"),
        (
            b"[machines.a]\nenv = { A = \"\xff\" }\n".to_vec(),
            "stead.toml:2:14: this is not UTF-8: ff",
        ),
    ] {
        std::fs::write(&path, bytes).unwrap();
        world.give(&path);
        fails(&world, &["plan"], 2, text);
        let said = world.stead(&["plan"]).err;
        assert!(said.len() < 2000, "{said}");
    }
}

#[test]
fn what_is_alike_for_many_machines_is_said_once() {
    let world = World::new();
    let names: Vec<String> = (0..20).map(|n| format!("[machines.m{n}]\n")).collect();
    let text = names.join("") + "[stead.defaults]\nimage = \"debian/99\"\n";
    world.declare(&text);
    let planned = world.stead(&["plan"]);
    assert_eq!(planned.status, 1, "{planned:?}");
    let told = "  all 20 machines: blocked: image: there is no image debian/99; there are host, ";
    assert_eq!(planned.out.matches("debian/99").count(), 1, "{planned:?}");
    assert!(planned.out.contains(told), "{planned:?}");
    assert_eq!(planned.out.lines().filter(|line| line.starts_with("x m")).count(), 20);
    assert_eq!(world.stead(&["apply", "--yes"]).status, 1);
}

#[test]
fn what_failed_is_told_once() {
    let world = World::new();
    // What its port leads from is taken: it is made, and does not start.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    world.declare(&format!("[machines.a]\nports = [\"{port}:80\"]\n"));
    for args in [&["apply", "--yes"][..], &["up", "a"], &["restart", "-m", "a"]] {
        let said = world.stead(args);
        assert_eq!(said.status, 1, "{args:?}: {said:?}");
        assert_eq!(said.err.matches(&port.to_string()).count(), 1, "{args:?}: {}", said.err);
        assert!(!said.err.contains("failed:"), "{args:?}: {}", said.err);
    }
    drop(taken);
    world.ok(&["up", "a"]);
}
