//! What is cloned into homes is cloned again when it is declared otherwise, and after half a success.

use std::path::{Path, PathBuf};
use std::process::Command;
use stead_file::declared::{System, User};
use stead_system::Whole;
use stead_system::debian::{Desired, render};

fn git(folder: &Path, words: &[&str]) {
    let who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
    let output = Command::new("git").current_dir(folder).args(who).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
}

fn repository(at: &Path, name: &str) -> PathBuf {
    let folder = at.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("CLAUDE.md"), name).unwrap();
    git(&folder, &["init", "--quiet"]);
    git(&folder, &["add", "--all"]);
    git(&folder, &["commit", "--quiet", "-m", "x"]);
    folder
}

fn desired() -> Desired {
    let mut system = System::default();
    let user = User { dotfiles: Some("https://example.org/d".into()), ..User::default() };
    system.users.insert("ada".into(), user);
    system.agents.claude_home = Some("https://example.org/c".into());
    render(&Whole { machine: "box".into(), name: "dev".into(), system, outside: false })
}

#[test]
fn a_clone_takes_the_place_of_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let (one, two) = (repository(dir.path(), "one"), repository(dir.path(), "two"));
    let desired = desired();
    for (task, is) in [("dotfiles of ada", "CLAUDE.md"), ("~/.claude of ada", ".claude/CLAUDE.md")]
    {
        let task = desired.tasks.iter().find(|own| own.name == task).unwrap();
        let clone = home.join(format!("clone-{}", is.len()));
        let run = |from: &Path| {
            let mut words = task.run.clone();
            let at = words.len();
            words[at - 2] = from.display().to_string();
            words[at - 1] = clone.display().to_string();
            Command::new(&words[0]).args(&words[1..]).env("HOME", &home).output().unwrap()
        };
        for from in [&one, &one, &two] {
            let output = run(from);
            assert!(output.status.success(), "{}: {output:?}", task.name);
            let kept = std::fs::read_to_string(clone.join("CLAUDE.md")).unwrap();
            assert_eq!(Some(&*kept), from.file_name().unwrap().to_str());
        }
        // What cannot be had takes nothing away, and one that was cut short is in nobody's way.
        std::fs::create_dir_all(clone.with_extension("new").join("half")).unwrap();
        assert!(!run(&dir.path().join("none")).status.success());
        assert_eq!(std::fs::read_to_string(clone.join("CLAUDE.md")).unwrap(), "two");
        assert!(home.join(is).exists());
    }
    assert_eq!(std::fs::read_to_string(home.join(".claude/CLAUDE.md")).unwrap(), "two");
}
