//! The real `apt` takes packages of a maker's only by the keys that are known of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use stead_system::debian::Repository;

/// The primary key in `maker/key.asc`; a subkey of it has signed `maker/InRelease`. Nobody has its secret.
const KNOWN: &str = "BF9FB8E32C944BB9686B61563E4B12B1D707F616";
const OTHER: &str = "2596A99EAAB33821893C0A79458CA832957F5868";

/// What apt says of a source that may have these keys.
fn update(folder: &Path, fingerprints: &[&str]) -> (bool, String) {
    let packages = folder.join("dists/stable");
    for arch in ["amd64", "arm64"] {
        let place = packages.join(format!("main/binary-{arch}"));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("Packages"), "").unwrap();
    }
    fs::write(packages.join("InRelease"), include_str!("maker/InRelease")).unwrap();
    let key = folder.join("key.asc");
    fs::write(&key, include_str!("maker/key.asc")).unwrap();
    for own in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(own)).unwrap();
    }
    let repository = Repository {
        key: "https://maker.example.org/key.asc".into(),
        fingerprints: fingerprints.iter().map(|one| (*one).to_owned()).collect(),
        address: format!("file:{}", folder.display()),
        suite: "stable".into(),
        components: "main".into(),
        packages: BTreeSet::new(),
    };
    let kept = repository.key_path("maker").display().to_string();
    let text = repository.text("maker").replace(&kept, &key.display().to_string());
    let sources = folder.join("maker.sources");
    fs::write(&sources, text).unwrap();
    let set = |name: &str, place: &Path| format!("-oDir::{name}={}", place.display());
    let out = Command::new("apt-get")
        .args(["update", "-q", "-oAPT::Sandbox::User=root", "-oAPT::Update::Error-Mode=any"])
        .arg(set("Etc::SourceList", &sources))
        .arg(set("Etc::SourceParts", Path::new("/dev/null")))
        .arg(set("State", &folder.join("state")))
        .arg(set("Cache", &folder.join("cache")))
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn apt_goes_by_the_fingerprint_and_not_by_what_is_in_the_file() {
    for (keys, good) in [(&[KNOWN][..], true), (&[OTHER, KNOWN][..], true), (&[OTHER][..], false)] {
        let folder = tempfile::tempdir().unwrap();
        let (done, said) = update(folder.path(), keys);
        assert_eq!(done, good, "{keys:?}: {said}");
    }
}
