//! A flake on the disk: written again without a trace, around what a person has taken over.

mod nixos_support;

use nixos_support::{flake, options, wholes};
use std::fs;
use std::path::{Path, PathBuf};
use stead_system::nixos::{Error, MANIFEST, Written, render, write};
use stead_system::{File, Tree};

fn tree(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|(path, text)| (PathBuf::from(path), File::new(*text))).collect()
}

fn paths(all: &[&str]) -> Vec<PathBuf> {
    all.iter().map(PathBuf::from).collect()
}

#[test]
fn writing_again_touches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let tree = flake("microvm-host");
    let first = write(&tree, dir.path()).unwrap();
    assert_eq!(first.written.len(), tree.len());
    let stamps = || -> Vec<_> {
        let all = tree.keys().map(PathBuf::as_path).chain([Path::new(MANIFEST)]);
        all.map(|path| fs::metadata(dir.path().join(path)).unwrap().modified().unwrap()).collect()
    };
    let before = stamps();
    let again = write(&tree, dir.path()).unwrap();
    assert_eq!(again, Written { same: tree.keys().cloned().collect(), ..Written::default() });
    assert_eq!(stamps(), before);
    for (path, file) in &tree {
        assert_eq!(fs::read_to_string(dir.path().join(path)).unwrap(), file.text);
    }
}

#[test]
fn what_a_person_has_changed_or_made_is_left_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    fs::write(at("mine.nix"), "mine").unwrap();
    write(&tree(&[("a.nix", "1"), ("b/c.nix", "1"), ("d.nix", "1")]), dir.path()).unwrap();
    fs::write(at("b/c.nix"), "changed").unwrap();
    let next = tree(&[("a.nix", "2"), ("b/c.nix", "2"), ("d.nix", "1"), ("mine.nix", "x")]);
    let done = write(&next, dir.path()).unwrap();
    let wanted = Written {
        written: paths(&["a.nix"]),
        same: paths(&["d.nix"]),
        left: paths(&["b/c.nix", "mine.nix"]),
        removed: vec![],
    };
    assert_eq!(done, wanted);
    assert_eq!(fs::read_to_string(at("b/c.nix")).unwrap(), "changed");
    assert_eq!(fs::read_to_string(at("mine.nix")).unwrap(), "mine");
    // Put back as it was written, it is ours again.
    fs::write(at("b/c.nix"), "1").unwrap();
    assert_eq!(write(&next, dir.path()).unwrap().written, paths(&["b/c.nix"]));
}

#[test]
fn what_is_no_longer_rendered_goes_unless_it_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    write(&tree(&[("a/b/c.nix", "1"), ("d.nix", "1"), ("e.nix", "1")]), dir.path()).unwrap();
    fs::write(dir.path().join("d.nix"), "changed").unwrap();
    let done = write(&tree(&[("e.nix", "1")]), dir.path()).unwrap();
    assert_eq!((done.removed, done.left), (paths(&["a/b/c.nix"]), paths(&["d.nix"])));
    assert!(!dir.path().join("a").exists());
    // It is named every time, for as long as it is there.
    assert_eq!(write(&tree(&[("e.nix", "1")]), dir.path()).unwrap().left, paths(&["d.nix"]));
}

#[test]
fn a_link_is_never_written_through() {
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("x.nix"), "theirs").unwrap();
    std::os::unix::fs::symlink(other.path(), dir.path().join("hosts")).unwrap();
    let done = write(&tree(&[("hosts/x.nix", "ours")]), dir.path()).unwrap();
    assert_eq!(done.left, paths(&["hosts/x.nix"]));
    assert_eq!(fs::read_to_string(other.path().join("x.nix")).unwrap(), "theirs");
}

#[test]
fn no_manifest_leads_out_of_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("flake");
    fs::create_dir(&inner).unwrap();
    fs::write(dir.path().join("x"), "").unwrap();
    // The hash of nothing.
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    fs::write(inner.join(MANIFEST), format!("{{\"files\":{{\"../x\":\"{empty}\"}}}}")).unwrap();
    assert!(write(&Tree::new(), &inner).is_err());
    assert!(dir.path().join("x").exists());
}

#[test]
fn a_user_who_differs_between_hosts_has_a_file_for_each() {
    let tree = flake("microvm-host");
    assert!(tree.contains_key(Path::new("users/ada.nix")));
    let host = &tree[Path::new("hosts/metal/default.nix")].text;
    assert!(host.contains("../../users/ada+metal.nix"), "{host}");
}

#[test]
fn credentials_of_agents_are_never_taken_along() {
    let tree = flake("cloud-dev-server");
    assert_eq!(tree[Path::new("home/claude/CLAUDE.md")].mode, 0o644);
    assert_eq!(tree[Path::new("home/claude/hooks/stop.sh")].mode, 0o755);
    assert!(tree.keys().all(|path| {
        let path = path.to_string_lossy();
        !path.contains("credentials") && !path.contains("projects")
    }));
}

#[test]
fn what_cannot_be_rendered_is_said() {
    let all = wholes("cloud-dev-server");
    let twice = [all[0].clone(), all[0].clone()];
    assert!(matches!(render(&twice, &options("x")), Err(Error::Twice(..))));
    assert!(matches!(render(&[], &options("x")), Err(Error::Nothing)));
    let with = |change: &dyn Fn(&mut stead_system::Whole)| {
        let mut whole = all[0].clone();
        change(&mut whole);
        render(&[whole], &options("x"))
    };
    assert!(matches!(with(&|w| w.system.timezone = "a\0".into()), Err(Error::Zero(_))));
    assert!(matches!(with(&|w| w.system.hostname = Some("../x".into())), Err(Error::Name(..))));
    assert!(matches!(with(&|w| w.system.nixos.home_manager = false), Err(Error::HomeManager(..))));
    assert!(matches!(
        with(&|w| w.system.nixos.modules = vec!["/y.nix".into()]),
        Err(Error::Module(..))
    ));
    assert!(matches!(
        with(&|w| w.system.agents.claude_home = Some("/y".into())),
        Err(Error::Claude(..))
    ));
    assert!(matches!(
        with(&|w| w.system.overlay.funnel = vec![1, 2, 3, 4]),
        Err(Error::Funnel(_, 4))
    ));
}

#[test]
fn a_hundred_machines_are_one_flake() {
    let mut all = Vec::new();
    for at in 0..100 {
        let mut whole = wholes("cloud-dev-server").remove(0);
        whole.machine = format!("m{at}");
        whole.system.hostname = None;
        all.push(whole);
    }
    let begun = std::time::Instant::now();
    let tree = render(&all, &options("hundred")).unwrap();
    println!("{} files for 100 machines in {:?}", tree.len(), begun.elapsed());
    assert_eq!(tree.keys().filter(|path| path.ends_with("default.nix")).count(), 100);
}
