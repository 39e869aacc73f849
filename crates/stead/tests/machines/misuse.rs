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
        (&["snapshot", "rm", "a", "x"], "no terminal"),
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
        &["clone", "bax", "other"],
        &["move", "--yes", "bax", "box"],
        &["run", "-m", "bax", "-d", "--", "true"],
    ] {
        fails(&world, args, 1, "there is no machine \"bax\"");
    }
    fails(&world, &["exec", "box", "--", "true"], 1, "does not run");
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
