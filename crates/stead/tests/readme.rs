//! What README and the manual say is so.

mod common;

use common::World;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// What stands in a fenced block of this language that has `word` in it.
fn block(language: &str, word: &str) -> String {
    let readme = readme();
    let mut blocks = readme.split("```");
    std::iter::from_fn(|| blocks.nth(1))
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .find(|block| block.contains(word))
        .unwrap_or_else(|| panic!("README has no {language} with {word}"))
        .to_owned()
}

/// Whether `said` is what is shown; `...` stands for anything.
fn is_as_shown(said: &str, shown: &str) -> bool {
    let mut parts = shown.split("...");
    let Some(mut rest) = said.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut closed = true;
    for part in parts {
        // What stands last may be anything.
        let at = if part.is_empty() { Some(rest.len()) } else { rest.find(part) };
        let Some(at) = at else { return false };
        rest = &rest[at + part.len()..];
        closed = !part.is_empty();
    }
    rest.is_empty() || !closed
}

/// Does what an example shows, in the home of this world, and compares what is printed.
fn walk(world: &World, example: &str) {
    let mut status = 0;
    let path = format!("{}:{}", world.programs().display(), std::env::var("PATH").unwrap());
    for step in example.trim_start_matches("$ ").split("\n$ ") {
        let (command, expected) = step.split_once('\n').unwrap_or((step, ""));
        // `$?` is the status of the command before, as in the shell that the reader sits at.
        let script = format!("exec 2>&1\n(exit {status})\n{command}");
        let output = world
            .program("bash")
            .args(["-c", &script])
            .current_dir(world.home())
            .env("PATH", &path)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let as_shown = is_as_shown(said.trim_end(), expected.trim_end());
        assert!(as_shown, "$ {command}\n{said}instead of\n{expected}");
        status = output.status.code().unwrap();
    }
}

#[test]
fn sessions_do_what_is_shown() {
    walk(&World::new(), &block("console", "$ stead logs"));
}

#[test]
fn machines_do_what_is_shown() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: limits need a control group, which only root has everywhere");
        return;
    }
    let world = World::new();
    let file = block("toml", "[machines.box]");
    std::fs::write(world.home().join("stead.toml"), file).unwrap();
    let there = Machines(&world);
    walk(&world, &block("console", "$ stead apply"));
    drop(there);
}

/// Takes machines away that a failed walk leaves.
struct Machines<'a>(&'a World);

impl Drop for Machines<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for machine in ["box", "twin"] {
                self.0.stead(&["destroy", "--yes", machine]);
            }
        }
    }
}

#[test]
fn dots_stand_for_anything() {
    assert!(is_as_shown("box: 28 KiB copied", "box: ... copied"));
    assert!(is_as_shown("a b c", "a...") && is_as_shown("", ""));
    assert!(!is_as_shown("box: 28 KiB copied!", "box: ... copied"));
    assert!(!is_as_shown("more", "") && !is_as_shown("b", "a...") && !is_as_shown("a", "a...b"));
}

#[test]
fn every_command_in_the_manual_is_one() {
    let world = World::new();
    let mut seen = 0;
    let manual = ["agents", "json", "machines", "qemu", "systems", "audit"]
        .map(|name| format!("docs/{name}.md"));
    for file in ["README.md".to_owned()].into_iter().chain(manual) {
        let text = std::fs::read_to_string(root().join(&file)).unwrap();
        for line in text.lines() {
            let Some(command) = line.strip_prefix("    ").filter(|l| l.starts_with("stead "))
            else {
                continue;
            };
            let words: Vec<&str> = command
                .split_whitespace()
                .skip(1)
                .take_while(|word| *word != "--" && *word != "#")
                .chain(["--help"])
                .collect();
            let said = world.stead(&words);
            assert_eq!(said.status, 0, "{file}: {command}: {}", said.err);
            seen += 1;
        }
    }
    assert!(seen >= 7, "only {seen} commands were found");
}

#[test]
fn the_settings_shown_are_settings() {
    let toml = block("toml", "[notify]");
    let settings = stead_steward::settings::Settings::parse(&toml, Path::new("README.md")).unwrap();
    assert!(settings.notify.ntfy.is_some());
}

#[test]
fn files_that_are_pointed_to_are_there() {
    for file in ["README.md", "ARCHITECTURE.md"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            if !target.starts_with("http") {
                assert!(root().join(target).exists(), "{file} points to {target}");
            }
        }
    }
}

#[test]
fn man_pages_and_completions_are_made() {
    let world = World::new();
    let man = world.path().join("man");
    world.ok(&["man", man.to_str().unwrap()]);
    let page = std::fs::read_to_string(man.join("stead-run.1")).unwrap();
    assert!(page.contains("worktree"), "{page}");
    for page in ["apply", "destroy", "doctor", "exec", "snapshot", "snapshot-restore"] {
        assert!(man.join(format!("stead-{page}.1")).exists(), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = world.ok(&["completions", shell]);
        for command in ["attach", "apply", "destroy", "doctor", "snapshot"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}
