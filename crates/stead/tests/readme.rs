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

#[test]
fn the_example_does_what_it_shows() {
    let readme = readme();
    let (_, rest) = readme.split_once("```console\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let world = World::new();
    let mut status = 0;
    for step in example.trim_start_matches("$ ").split("\n$ ") {
        let (command, expected) = step.split_once('\n').unwrap_or((step, ""));
        let path = format!("{}:{}", world.programs().display(), std::env::var("PATH").unwrap());
        // `$?` is the status of the command before, as in the shell that the reader sits at.
        let script = format!("(exit {status})\n{command}");
        let output =
            world.program("bash").args(["-c", &script]).env("PATH", path).output().unwrap();
        let mut printed = String::from_utf8(output.stdout).unwrap();
        printed.push_str(&String::from_utf8(output.stderr).unwrap());
        assert_eq!(printed.trim_end(), expected.trim_end(), "$ {command}");
        status = output.status.code().unwrap();
    }
}

#[test]
fn every_command_in_the_manual_is_one() {
    let world = World::new();
    let mut seen = 0;
    for file in ["README.md", "docs/agents.md", "docs/json.md"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
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
    let readme = readme();
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (toml, _) = rest.split_once("```").unwrap();
    let settings = stead_steward::settings::Settings::parse(toml, Path::new("README.md")).unwrap();
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
    for shell in ["bash", "zsh", "fish"] {
        assert!(world.ok(&["completions", shell]).contains("attach"), "{shell}");
    }
}
